"""The console's functions on API Gateway events: runs, quarantine, roles, faults, conditional requests."""

import datetime as dt
import json
from urllib.parse import quote

import pytest

from tests.handlers.insight import INSIGHTS
from tests.handlers.operating import (
    AFTER,
    BEGUN,
    CRAWLER,
    JOB,
    REJECTED,
    SETTINGS,
    TITLES,
    Bucket,
    Workflow,
    failed_run,
    good_run,
    lake_with_quarantine,
    load_console,
    load_operation,
    node,
    refusal,
    run,
    running_run,
)
from tests.handlers.serving import event

ADMIN, ANALYST = "[admin]", "[analyst]"


def caller(handler):
    def call(method, path, groups=ANALYST, headers=None):
        answer = handler(event(method, path, groups=groups, headers=headers))
        return int(answer["statusCode"]), json.loads(answer["body"] or "null")

    return call


@pytest.fixture(scope="module")
def athena():
    client = lake_with_quarantine()
    yield client
    client.close()


@pytest.fixture
def glue():
    return Workflow(good_run("wr_2", BEGUN), failed_run("wr_1", BEGUN - dt.timedelta(hours=1)))


@pytest.fixture
def s3():
    return Bucket()


@pytest.fixture
def call(glue, athena, s3):
    return caller(load_operation(glue, athena, s3))


@pytest.fixture(scope="module")
def rejected():
    return sorted((each["source"], each["reason"], each["detail"], each["bytes"]) for each in REJECTED)


def test_six_systems_are_listed_and_only_deployed_ones_are_said_to_be():
    status, told = caller(load_console())("GET", "/api/systems")
    assert (status, told["environment"]) == (200, "local")
    listed = {each["id"]: (each["deployed"], each["available"]) for each in told["systems"]}
    assert list(listed) == ["labeling", "slides", "health", "captions", "narration", "inspection"]
    assert listed["labeling"] == (True, True)
    assert listed["slides"] == (False, True)
    assert listed["health"] == (False, False)


def test_settings_are_those_of_the_environment_and_roles_those_of_the_caller():
    call = caller(load_console())
    status, told = call("GET", "/api/settings", groups="[analyst admin]")
    assert (status, told["you"]["roles"]) == (200, ["admin", "analyst"])
    assert told["environment"] == SETTINGS
    assert told["versions"]["Sextant"] == "0.1.0"
    assert set(told["versions"]) >= {"Python", "pydantic", "boto3"}
    assert call("GET", "/api/settings", groups="[other admin]")[1]["you"]["roles"] == ["admin"]


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        ((), "ready"),
        ((good_run("a", BEGUN),), "ready"),
        ((failed_run("a", BEGUN),), "failed"),
        ((running_run("a", BEGUN), failed_run("b", BEGUN - dt.timedelta(hours=1))), "running"),
    ],
)
def test_a_systems_state_is_that_of_its_last_run(athena, s3, runs, state):
    status, told = caller(load_operation(Workflow(*runs), athena, s3))("GET", "/api/systems/labeling")
    assert (status, told["state"]) == (200, state)
    assert (told["last_run"] or {}).get("id") == (runs[0]["WorkflowRunId"] if runs else None)


def test_runs_come_newest_first_with_their_outcome(call):
    status, told = call("GET", "/api/runs/labeling")
    assert status == 200
    newest, oldest = told["runs"]
    assert (newest["id"], newest["state"], newest["seconds"], newest["done"], newest["total"]) == (
        "wr_2", "succeeded", 42.0, 3, 3,
    )  # fmt: skip
    assert (oldest["id"], oldest["state"], oldest["done"], oldest["total"]) == ("wr_1", "failed", 1, 3)
    assert dt.datetime.fromisoformat(newest["started_at"]) == BEGUN


@pytest.mark.parametrize(
    ("status", "states", "expected"),
    [
        ("RUNNING", ("RUNNING", None), "running"),
        ("STOPPING", ("RUNNING", None), "stopping"),
        ("STOPPED", ("STOPPED", None), "stopped"),
        ("ERROR", ("SUCCEEDED", None), "failed"),
        ("COMPLETED", ("SUCCEEDED", "SUCCEEDED"), "succeeded"),
        ("COMPLETED", ("SUCCEEDED", "FAILED"), "failed"),
        ("COMPLETED", ("TIMEOUT", None), "failed"),
        ("COMPLETED", ("SUCCEEDED", "ERROR"), "failed"),
        ("COMPLETED", ("STOPPED", None), "stopped"),
    ],
)
def test_glues_states_in_the_consoles_words(athena, s3, status, states, expected):
    job, crawl = states
    nodes = (node(JOB, "JOB", job, begun=BEGUN, seconds=5), node(CRAWLER, "CRAWLER", crawl, begun=BEGUN, seconds=5))
    told = caller(load_operation(Workflow(run("a", status, BEGUN, nodes, 10)), athena, s3))("GET", "/api/runs/labeling")
    found = told[1]["runs"][0]
    assert found["state"] == expected
    assert (found["seconds"] is None) == (expected in ("running", "stopping"))


def test_older_runs_come_by_the_token_of_the_page_before(athena, s3):
    glue = Workflow(*(good_run(f"wr_{n}", BEGUN - dt.timedelta(hours=n)) for n in range(5)))
    call = caller(load_operation(glue, athena, s3))
    first = call("GET", "/api/runs/labeling?limit=3")[1]
    second = call("GET", f"/api/runs/labeling?limit=3&after={first['next']}")[1]
    assert [each["id"] for each in first["runs"] + second["runs"]] == [f"wr_{n}" for n in range(5)]
    assert second["next"] is None


def test_steps_come_in_the_order_in_which_they_run_with_titles_and_logs(call):
    told = call("GET", "/api/runs/labeling/wr_2")[1]
    assert [each["name"] for each in told["steps"]] == [JOB, AFTER, CRAWLER]
    job, after, crawler = told["steps"]
    assert (job["title"], job["kind"], job["state"], job["seconds"]) == (TITLES[JOB], "job", "succeeded", 30.0)
    assert job["log"] == {"group": "/aws-glue/jobs/output", "stream": "jr_0"}
    assert after["title"] == AFTER, "a step without a title goes by its name"
    assert (crawler["kind"], crawler["log"]["group"]) == ("crawler", "/aws-glue/crawlers")


def test_a_failed_step_tells_its_reason_its_attempts_and_the_error_log(call):
    job, *others = call("GET", "/api/runs/labeling/wr_1")[1]["steps"]
    assert (job["state"], job["error"], job["attempts"]) == ("failed", "AnalysisException: no such table: answer", 2)
    assert job["log"] == {"group": "/aws-glue/jobs/error", "stream": "jr_1"}, "of the last attempt"
    assert [each["state"] for each in others] == ["skipped", "skipped"]
    assert [each["log"] for each in others] == [None, None]


def test_what_has_not_begun_waits_while_the_run_goes_on(athena, s3):
    call = caller(load_operation(Workflow(running_run("a", BEGUN)), athena, s3))
    told = call("GET", "/api/runs/labeling/a")[1]
    assert [each["state"] for each in told["steps"]] == ["running", "waiting", "waiting"]
    assert told["steps"][0]["seconds"] is None, "an answer that counts on would be new to every poll"


def test_a_graph_with_a_circle_is_no_endless_loop(athena, s3):
    found = good_run("a", BEGUN)
    edges = found["Graph"]["Edges"]
    edges.append({"SourceId": edges[-1]["DestinationId"], "DestinationId": edges[0]["SourceId"]})
    status, told = caller(load_operation(Workflow(found), athena, s3))("GET", "/api/runs/labeling/a")
    assert (status, len(told["steps"])) == (200, 3)


CHANGES = [
    ("POST", "/api/runs/labeling", "start a run"),
    ("POST", "/api/runs/labeling/wr_2/stop", "stop a run"),
    ("POST", "/api/runs/labeling/wr_2/resume", "go on with a run"),
    ("POST", "/api/quarantine/labeling/replay", "replay quarantined input"),
]


@pytest.mark.parametrize(("method", "path", "what"), CHANGES)
def test_only_administrators_change_anything(call, glue, method, path, what):
    status, told = call(method, path)
    assert (status, told["error"]["code"]) == (403, "Forbidden")
    assert what in told["error"]["message"]
    assert "group admin" in told["error"]["remedy"]
    assert glue.calls == []


@pytest.mark.parametrize("groups", [None, "", "[]", "[billing]", "[admins]"])
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in CHANGES] + [("GET", "/api/quarantine/labeling")]
)
def test_without_a_role_nothing_is_done(call, glue, method, path, groups):
    assert call(method, path, groups=groups)[0] == 403
    assert glue.calls == []


def test_what_the_caller_may_do_is_in_the_answer(call, glue):
    for path, action in (("runs", "start"), ("quarantine", "replay")):
        assert call("GET", f"/api/{path}/labeling", groups=ADMIN)[1]["allowed"] == [action]
        assert call("GET", f"/api/{path}/labeling")[1]["allowed"] == []
    assert call("GET", "/api/runs/labeling/wr_2", groups=ADMIN)[1]["allowed"] == [], "it has ended"
    glue.runs.insert(0, running_run("wr_3", BEGUN))
    assert call("GET", "/api/runs/labeling/wr_3", groups=ADMIN)[1]["allowed"] == ["stop"]
    assert call("GET", "/api/runs/labeling/wr_3")[1]["allowed"] == []


def test_a_run_is_started_followed_and_stopped(call, glue):
    status, started = call("POST", "/api/runs/labeling", groups=ADMIN)
    assert (status, started["id"]) == (200, glue.runs[0]["WorkflowRunId"])
    status, told = call("POST", "/api/runs/labeling", groups=ADMIN)
    assert (status, told["error"]["code"]) == (409, "ConcurrentRunsExceededException")
    assert "wait for its end" in told["error"]["remedy"]
    status, stopped = call("POST", f"/api/runs/labeling/{started['id']}/stop", groups=ADMIN)
    assert (status, stopped["state"]) == (200, "stopped")
    status, told = call("POST", f"/api/runs/labeling/{started['id']}/stop", groups=ADMIN)
    assert (status, told["error"]["code"]) == (409, "IllegalWorkflowStateException")


def test_a_workflow_that_ended_begins_anew(call, glue):
    status, told = call("POST", "/api/runs/labeling/wr_2/resume", groups=ADMIN)
    assert (status, told["error"]["code"], told["error"]["remedy"]) == (409, "BeginsAnew", "Start a run.")
    assert glue.calls == []


def test_a_replay_is_a_run(call, glue):
    status, started = call("POST", "/api/quarantine/labeling/replay", groups=ADMIN)
    assert (status, started) == (200, {"system": "labeling", "id": glue.runs[0]["WorkflowRunId"]})
    assert glue.runs[0]["Status"] == "RUNNING"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (("AccessDeniedException", "not authorized to perform: glue:GetWorkflowRuns"), 502, "AccessDeniedException"),
        (("ThrottlingException", "Rate exceeded"), 503, "ThrottlingException"),
        (("EntityNotFoundException", "Workflow not found"), 404, "EntityNotFoundException"),
    ],
)
def test_what_glue_refuses_is_told_with_its_reason(call, glue, fault, status, code):
    glue.fault = fault
    got, told = call("GET", "/api/runs/labeling")
    assert (got, told["error"]["code"]) == (status, code)
    assert fault[1] in told["error"]["message"]
    assert told["error"]["remedy"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs/slides", 404),
        ("/api/runs/nothing", 422),
        ("/api/runs/labeling/wr_gone", 404),
        ("/api/runs/labeling?limit=0", 422),
        ("/api/runs/labeling?limit=101", 422),
        ("/api/runs/labeling/a%20b", 422),
        ("/api/quarantine/labeling?offset=-1", 422),
        (f"/api/quarantine/labeling?find={'x' * 201}", 422),
        ("/api/quarantine/labeling/content", 422),
    ],
)
def test_unusable_requests_are_refused_with_a_reason(call, path, status):
    got, told = call("GET", path)
    assert got == status
    assert told["error"]["message"]
    assert told["error"]["remedy"]


def test_the_whole_quarantine_is_listed_and_counted(call, rejected):
    told = call("GET", "/api/quarantine/labeling")[1]
    listed = [(each["source"], each["reason"], each["detail"], each["size_bytes"]) for each in told["entries"]]
    assert listed == rejected
    assert (told["total"], told["objects"]) == (len(rejected), len({row[0] for row in rejected}))
    assert {each["reason"]: each["count"] for each in told["reasons"]} == {
        reason: sum(row[1] == reason for row in rejected) for reason in {row[1] for row in rejected}
    }


def test_the_quarantine_is_filtered_and_paged(call, rejected):
    reason = rejected[0][1]
    told = call("GET", f"/api/quarantine/labeling?reason={quote(reason)}")[1]
    mine = [row for row in rejected if row[1] == reason]
    assert [each["source"] for each in told["entries"]] == [row[0] for row in mine]
    assert sum(each["count"] for each in told["reasons"]) == len(rejected), "of the whole quarantine"
    piece = rejected[-1][0][-7:]
    told = call("GET", f"/api/quarantine/labeling?find={quote(piece.upper())}")[1]
    expected = [row for row in rejected if piece.lower() in row[0].lower() or piece.lower() in row[2].lower()]
    assert [each["source"] for each in told["entries"]] == [row[0] for row in expected]
    paged = [call("GET", f"/api/quarantine/labeling?limit=1&offset={n}")[1] for n in range(len(rejected))]
    assert [page["entries"][0]["source"] for page in paged] == [row[0] for row in rejected]
    assert {page["total"] for page in paged} == {len(rejected)}


@pytest.mark.parametrize(
    "find", ["'; DROP TABLE rejected; --", "%", "_", "o'neill", "\\", "source-ref, note", "street/"]
)
def test_what_readers_type_is_only_ever_a_value(call, rejected, find):
    status, told = call("GET", f"/api/quarantine/labeling?find={quote(find)}")
    assert status == 200
    assert told["total"] == sum(find in row[0] or find in row[2] for row in rejected)
    assert call("GET", "/api/quarantine/labeling")[1]["total"] == len(rejected)


def test_an_object_shows_its_first_bytes(call, s3, rejected):
    source = next(row[0] for row in rejected if "#" not in row[0])
    s3.objects[f"input/{source}"] = ("ä".encode() * 3000, BEGUN - dt.timedelta(days=1))
    status, told = call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")
    assert (status, told["state"], told["size_bytes"], told["truncated"]) == (200, "same", 6000, True)
    assert told["text"] == "ä" * 1024
    assert s3.calls[-1]["Range"] == "bytes=0-2047"
    s3.objects[f"input/{source}"] = (b"x" + "ä".encode() * 3000, BEGUN + dt.timedelta(days=1))
    told = call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]
    assert told["text"] == "x" + "ä" * 1023, "half a character is cut"
    assert told["state"] == "changed", "after the last run began"
    s3.objects[f"input/{source}"] = (b"\x89PNG\r\n\x1a\n\x00\xff", BEGUN)
    assert call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]["text"] is None
    s3.objects[f"input/{source}"] = (b"", BEGUN)
    told = call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]
    assert (told["size_bytes"], told["text"]) == (0, "")
    del s3.objects[f"input/{source}"]
    assert call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]["state"] == "gone"


def test_only_what_is_in_quarantine_can_be_looked_at(call, s3):
    s3.objects["input/good.json"] = (b"{}", BEGUN)
    status, told = call("GET", "/api/quarantine/labeling/content?source=good.json")
    assert (status, told["error"]["code"]) == (404, "NotQuarantined")
    assert s3.calls == []


def test_of_a_manifest_its_line_is_shown(call, s3, rejected):
    source = next(row[0] for row in rejected if "#" in row[0])
    name, _, number = source.rpartition("#")
    lines = [f'{{"line": {n}}}' for n in range(int(number) + 3)]
    s3.objects[f"input/{name}"] = ("\n".join(lines).encode(), BEGUN)
    told = call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]
    assert told["text"] == lines[int(number)]
    assert told["size_bytes"] == len(lines[int(number)])
    for body in (b"", b"{}", b"\n" * int(number) + b"x" * 5_000_000):
        s3.objects[f"input/{name}"] = (body, BEGUN)
        told = call("GET", f"/api/quarantine/labeling/content?source={quote(source)}")[1]
        assert not told["text"], "an object that is empty, has too few lines, or a line that does not end"


def test_what_waits_for_a_person_is_counted(call, rejected):
    needs = {each["kind"]: each for each in call("GET", "/api/systems/labeling/attention")[1]["needs"]}
    assert needs["quarantine"]["count"] == len({row[0] for row in rejected})
    assert needs["finding"]["count"] == sum(row["severity"] == "error" for row in INSIGHTS["finding"])
    assert needs["directed_audit"]["count"] == len({row["object_id"] for row in INSIGHTS["directed_audit"]})
    assert needs["answer_flag"]["count"] == len(INSIGHTS["answer_flag"])
    risky = [row for row in INSIGHTS["forecast"] if (row.get("expiry_risk") or 0) >= 0.05]
    assert needs["expiry"]["count"] == len(risky)


def test_one_count_that_fails_does_not_hide_the_others(call, athena, monkeypatch):
    start = athena.start_query_execution

    def refusing(**request):
        if "FROM finding" in request["QueryString"]:
            raise refusal("StartQueryExecution", "InvalidRequestException", "TABLE_NOT_FOUND: finding")
        return start(**request)

    monkeypatch.setattr(athena, "start_query_execution", refusing)
    needs = {each["kind"]: each for each in call("GET", "/api/systems/labeling/attention")[1]["needs"]}
    assert needs["finding"]["count"] is None
    assert "TABLE_NOT_FOUND" in needs["finding"]["fault"]
    assert needs["quarantine"]["count"] is not None


def test_a_poll_that_finds_nothing_new_costs_a_status_line(glue, athena, s3):
    handler = load_operation(glue, athena, s3)
    first = handler(event("GET", "/api/runs/labeling"))
    tag = first["headers"]["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = handler(event("GET", "/api/runs/labeling", headers={"If-None-Match": known}))
        assert (again["statusCode"], again["body"], again["headers"]["ETag"]) == (304, "", tag)
    assert handler(event("GET", "/api/runs/labeling", headers={"If-None-Match": '"other"'}))["statusCode"] == 200
    assert handler(event("GET", "/api/runs/labeling", groups=ADMIN))["headers"]["ETag"] != tag, "another answer"
    glue.runs.insert(0, running_run("wr_3", BEGUN))
    changed = handler(event("GET", "/api/runs/labeling", headers={"If-None-Match": tag}))
    assert (changed["statusCode"], json.loads(changed["body"])["runs"][0]["id"]) == (200, "wr_3")


def test_faults_and_changes_carry_no_tag(glue, athena, s3):
    handler = load_operation(glue, athena, s3)
    assert "ETag" not in handler(event("GET", "/api/runs/slides"))["headers"]
    assert "ETag" not in handler(event("POST", "/api/runs/labeling", groups=ADMIN))["headers"]


def test_whoever_changes_something_is_in_the_log(call, caplog):
    call("POST", "/api/runs/labeling", groups=ADMIN)
    told = [vars(record) for record in caplog.records if "administrator" in record.message]
    assert told
    assert told[0]["sub"] == "c2d3e4f5-1111-2222-3333-444455556666"
