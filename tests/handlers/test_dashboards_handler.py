"""The Lambda handler on API Gateway v2 events: routes, errors, time limits, and the committed OpenAPI document."""

import datetime as dt
import json
from pathlib import Path

import pytest

from sextant.labeling.dashboards.athena import Lake, QueryError, cell, run
from sextant.labeling.dashboards.model import Filters
from sextant.labeling.dashboards.query import query
from sextant.labeling.dashboards.spec import SPECIFICATION
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth
from tests.handlers.serving import event, load_handler

OPENAPI = Path(__file__).parents[2] / "docs" / "labeling-dashboards.openapi.json"


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
    assert (status, [each["id"] for each in listing["dashboards"]]) == (200, ["annotations", "workers"])
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


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/dashboards/nope/query", {"visual": "labels"}, 404, "there are annotations, workers"),
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


def test_a_query_that_takes_too_long_is_stopped(athena):
    athena.hang, now, pauses = True, [0.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    lake = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP, QUERY_TIMEOUT_SECONDS=20)
    with pytest.raises(QueryError, match="after 20 s") as raised:
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


def test_the_committed_openapi_document_is_fresh(athena):
    load_handler(athena)
    from lambdas.labeling.dashboards import app

    fresh = json.loads(app.get_openapi_json_schema())
    assert json.loads(OPENAPI.read_text()) == fresh, "write it anew: see docs/console.md"
    assert set(fresh["paths"]) >= {"/api/dashboards/{dashboard_id}/query", "/api/dashboards/{dashboard_id}/queries"}
