"""The Lambda handler on API Gateway v2 events: routes, errors, time limits, and the committed OpenAPI document."""

import datetime as dt
import itertools
import json

import pytest

from sextant import aws
from sextant.labeling.dashboards.athena import MOST_AT_ONCE, Lake, QueryError, cell, run, run_all
from sextant.labeling.dashboards.failures import METRIC
from sextant.labeling.dashboards.model import Filters
from sextant.labeling.dashboards.query import query
from sextant.labeling.dashboards.spec import SPECIFICATION
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth
from tests.handlers.serving import event, load_handler


@pytest.fixture
def athena():
    client = LakeAthena(truth())
    yield client
    client.close()


@pytest.fixture
def call(athena):
    handler = load_handler(athena)

    def called(method, path, body=None):
        answer = handler(event(method, path, None if body is None else json.dumps(body)))
        return int(answer["statusCode"]), json.loads(answer["body"])

    return called


def test_the_dashboards_and_their_layout(call):
    status, listing = call("GET", "/api/dashboards")
    assert (status, [each["id"] for each in listing["dashboards"]]) == (
        200,
        ["overview", "annotations", "workers", "audits", "tracks", "cost"],
    )
    status, page = call("GET", "/api/dashboards/workers")
    assert status == 200
    assert {each["dataset"] for each in page["dashboard"]["visuals"]} == set(page["datasets"])
    assert "sql" not in json.dumps(page)
    assert "FROM" not in json.dumps(page)


def test_a_query_answers_typed_rows_with_their_origin(call, athena):
    status, answer = call(
        "POST", "/api/dashboards/workers/query", {"visual": "pace", "filters": {"worker": ["ada", "o'neill"]}}
    )
    assert status == 200
    assert answer["columns"] == [{"name": "mean", "type": "double"}, {"name": "timed", "type": "bigint"}]
    assert isinstance(answer["rows"][0][1], int)
    execution = athena.get_query_execution(QueryExecutionId=answer["query_execution_id"])["QueryExecution"]
    assert dt.datetime.fromisoformat(answer["as_of"]) == execution["Status"]["SubmissionDateTime"]
    assert answer["bytes_scanned"] == execution["Statistics"]["DataScannedInBytes"] > 0
    assert answer["cached"] is False
    (request,) = athena.requests
    assert request["ExecutionParameters"] == ["'ada'", "'o''neill'"]
    assert request["WorkGroup"] == "SMGTReportsWorkGroup"
    assert request["QueryExecutionContext"] == {"Database": "smgt-gluedatabase", "Catalog": "AwsDataCatalog"}
    assert request["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"] == {
        "Enabled": True,
        "MaxAgeInMinutes": 5,
    }


def test_fresh_asks_anew(call, athena):
    call("POST", "/api/dashboards/workers/query", {"visual": "pace", "fresh": True})
    assert "ResultReuseConfiguration" not in athena.requests[0]


def test_a_sheet_is_answered_in_order_and_one_failure_fails_one_report(call, athena):
    athena.fail = {"FROM frame_count": "TABLE_NOT_FOUND: frame_count"}
    status, told = call("POST", "/api/dashboards/annotations/queries", {"visuals": ["labels", "frames", "tasks"]})
    assert status == 200
    labels, frames, tasks = told["outcomes"]
    assert [labels["visual"], frames["visual"], tasks["visual"]] == ["labels", "frames", "tasks"]
    assert labels["answer"]["rows"]
    assert tasks["answer"]["rows"]
    assert frames["answer"] is None
    assert frames["error"]["status"] == 502
    assert "TABLE_NOT_FOUND" in frames["error"]["message"]
    assert frames["error"]["query_execution_id"]
    assert frames["error"]["remedy"]


def test_two_batches_side_by_side(call, athena):
    """Each visual is answered under both sets of filters, as if asked alone under either."""
    visuals = ["labels", "first-pass"]
    street, harbour = {"batch": ["street"]}, {"batch": ["harbour"]}
    path = "/api/dashboards/overview/queries"
    _, both = call("POST", path, {"visuals": visuals, "filters": street, "compare": harbour})
    alone = [call("POST", path, {"visuals": visuals, "filters": each})[1]["outcomes"] for each in (street, harbour)]
    for outcome, one, other in zip(both["outcomes"], *alone, strict=True):
        assert outcome["visual"] == one["visual"]
        assert outcome["answer"]["rows"] == one["answer"]["rows"]
        assert outcome["compared"]["rows"] == other["answer"]["rows"]
        assert outcome["answer"]["rows"] != outcome["compared"]["rows"]
        assert one["compared"] is None
    athena.fail = {"FROM (SELECT first_pass": "TABLE_NOT_FOUND: first_pass"}
    _, told = call("POST", path, {"visuals": visuals, "filters": street, "compare": harbour})
    labels, first_pass = told["outcomes"]
    assert labels["compared"]["rows"]
    assert (first_pass["answer"], first_pass["compared"], first_pass["error"]["status"]) == (None, None, 502)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (
            "/api/dashboards/nope/query",
            {"visual": "labels"},
            404,
            "there are overview, annotations, workers, audits, tracks, cost",
        ),
        ("/api/dashboards/workers/query", {"visual": "nope"}, 404, "there are team"),
        ("/api/dashboards/workers/queries", {"visuals": ["team", "nope"]}, 404, "no visual 'nope'"),
        ("/api/dashboards/workers/query", {"visual": "team", "filters": {"city": ["x"]}}, 422, "filters.city"),
        ("/api/dashboards/workers/query", {"visual": "team", "filters": {"job": ["x" * 401]}}, 422, "filters.job.0"),
        ("/api/dashboards/workers/query", {"visual": "team", "filters": {"job": ["x\0"]}}, 422, "filters.job.0"),
        ("/api/dashboards/workers/query", {"visual": "team", "filters": {"job": ["x"] * 51}}, 422, "filters.job"),
        ("/api/dashboards/workers/query", {"visual": "team", "filters": {"since": "soon"}}, 422, "filters.since"),
        (
            "/api/dashboards/workers/query",
            {"visual": "team", "filters": {"since": "2026-02-02", "until": "2026-02-01"}},
            422,
            "swap them",
        ),
        ("/api/dashboards/workers/queries", {"visuals": []}, 422, "visuals"),
        ("/api/dashboards/workers/query", {}, 422, "visual"),
    ],
)
def test_unusable_requests_name_the_fault(call, athena, *, path, body, status, says):
    got, told = call("POST", path, body)
    assert got == status
    assert told["error"]["status"] == status
    assert says in told["error"]["message"]
    assert told["error"]["remedy"]
    assert athena.requests == []


def test_a_refused_request_is_a_bad_gateway_with_the_reason(call, athena):
    athena.refuse = "AccessDeniedException"
    status, told = call("POST", "/api/dashboards/workers/query", {"visual": "team"})
    assert (status, told["error"]["code"]) == (502, "AccessDeniedException")
    assert "athena:StartQueryExecution" in told["error"]["message"]


def test_every_failed_report_is_logged_and_counted(call, athena, caplog, capsys):
    athena.fail = {"FROM frame_count": "TABLE_NOT_FOUND: frame_count"}
    filters = {"job": ["a-readers-own-words"]}
    call("POST", "/api/dashboards/annotations/queries", {"visuals": ["labels", "frames", "tasks"], "filters": filters})
    call("POST", "/api/dashboards/annotations/query", {"visual": "frames", "filters": filters})
    errors = [vars(record) for record in caplog.records if record.levelname == "ERROR"]
    assert [(line["visual"], line["code"]) for line in errors] == [("frames", "QueryFailed")] * 2
    assert all("TABLE_NOT_FOUND: frame_count" in line["reason"] for line in errors)
    assert {line["query_execution_id"] for line in errors} == set(athena.failed)
    assert "a-readers-own-words" not in str(list(map(vars, caplog.records)))
    counted = [each for each in emitted(capsys) if METRIC in each]
    assert [line[METRIC] for line in counted] == [[1.0], [1.0]]
    (declared,) = counted[0]["_aws"]["CloudWatchMetrics"]
    assert (declared["Namespace"], declared["Dimensions"]) == ("Sextant/test", [["service"]])
    assert counted[0]["service"] == "labeling-dashboards"


def emitted(capsys):
    """What was printed in CloudWatch's embedded metric format."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "_aws" in line]


def test_good_reports_make_no_noise(call, caplog, capsys):
    call("POST", "/api/dashboards/annotations/queries", {"visuals": ["labels", "frames"]})
    assert not caplog.records
    assert [METRIC in each for each in emitted(capsys)] == [False]


ROUTES = [
    ("GET", "/api/dashboards", None),
    ("GET", "/api/dashboards/workers", None),
    ("POST", "/api/dashboards/workers/query", {"visual": "team"}),
    ("POST", "/api/dashboards/workers/queries", {"visuals": ["team"]}),
]


@pytest.mark.parametrize("groups", ["[analyst]", "[admin]", "[billing admin]", ["admin", "analyst"], "analyst"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_group_with_a_role_may_read(athena, method, path, body, groups):
    answer = load_handler(athena)(event(method, path, body and json.dumps(body), groups=groups))
    assert answer["statusCode"] == 200


@pytest.mark.parametrize(
    "groups", [None, "", "[]", [], "[billing]", "[admins]", "[my,admin]", {"admin": 1}, [["admin"]]]
)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_a_role_nothing_is_read(athena, method, path, body, groups):
    answer = load_handler(athena)(event(method, path, body and json.dumps(body), groups=groups))
    told = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], told["status"], told["code"]) == (403, 403, "Forbidden")
    assert "admin or analyst" in told["remedy"]
    assert athena.requests == []


@pytest.mark.parametrize("missing", ["authorizer", "jwt", "claims", "cognito:groups"])
def test_an_event_without_claims_reads_nothing(athena, missing):
    request = event("GET", "/api/dashboards/workers")
    part = request["requestContext"]
    for name in ("authorizer", "jwt", "claims", "cognito:groups"):
        if name == missing:
            del part[name]
            break
        part = part[name]
    assert load_handler(athena)(request)["statusCode"] == 403


def test_all_queries_of_a_request_share_one_deadline(athena):
    """However late a query starts: the second begins when the first one's time is up, and has none left."""
    athena.hang = True
    ticks = itertools.count()
    lake = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP, QUERY_TIMEOUT_SECONDS=0.2)
    wanted = [query(SPECIFICATION, "workers", "team", Filters())] * 3
    results = run_all(athena, lake, wanted, clock=lambda: float(next(ticks)))
    assert [result.status for result in results] == [504] * 3
    assert len(athena.stopped) == 3
    assert next(ticks) == 4, "one look at the clock for the deadline, one for each query"


def test_no_more_visuals_than_run_at_once(call, athena):
    status, told = call("POST", "/api/dashboards/workers/queries", {"visuals": ["team"] * (MOST_AT_ONCE + 1)})
    assert (status, "visuals" in told["error"]["message"]) == (422, True)
    assert athena.requests == []
    assert all(len(each.visuals) <= MOST_AT_ONCE for each in SPECIFICATION.dashboards), "a page asks for all at once"


def test_a_call_to_a_silent_service_ends_before_the_function():
    settings = aws.CONFIG
    attempts = settings.retries["total_max_attempts"]
    pauses = sum(2**attempt for attempt in range(attempts - 1))  # botocore's backoff, at its longest
    assert attempts * (settings.connect_timeout + settings.read_timeout) + pauses <= 24


def test_a_query_that_takes_too_long_is_stopped(athena):
    athena.hang, now, pauses = True, [0.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    lake = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP, QUERY_TIMEOUT_SECONDS=20)
    with pytest.raises(QueryError, match="stopped 20 s after") as raised:
        run(athena, lake, query(SPECIFICATION, "workers", "team", Filters()), clock=lambda: now[0], sleep=sleep)
    assert raised.value.status == 504
    assert athena.stopped == [raised.value.query_execution_id]
    assert 15 < now[0] <= 20
    assert pauses == sorted(pauses), "the pauses grow"
    assert len(pauses) < 40, "and they are few"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("9007199254740993", "bigint", 9007199254740993),
        (None, "bigint", None),
        ("1.5", "double", 1.5),
        ("NaN", "double", None),
        ("Infinity", "double", None),
        ("2.50", "decimal", 2.5),
        ("true", "boolean", True),
        ("false", "boolean", False),
        ("007", "varchar", "007"),
        ("", "varchar", ""),
        ("2026-03-02", "date", "2026-03-02"),
    ],
)
def test_result_text_gets_its_columns_type(text, kind, expected):
    found = cell(text, kind)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"DATABASE": ""}, "DATABASE"),
        ({"QUERY_TIMEOUT_SECONDS": "60"}, "QUERY_TIMEOUT_SECONDS"),
        ({"RESULT_REUSE_MINUTES": "often"}, "RESULT_REUSE_MINUTES"),
    ],
)
def test_a_wrong_environment_stops_the_cold_start(athena, variables, named):
    with pytest.raises(ValueError, match=f"{named}.*Set it in the stack"):
        load_handler(athena, **variables)
