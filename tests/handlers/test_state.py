"""State of the data from Glue's workflow runs, as botocore's model has them."""

import datetime as dt
import json

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from sextant.labeling.dashboards.athena import QueryError
from sextant.labeling.dashboards.state import state
from tests.handlers.serving import event, load_handler

NAME = "SMGT-Glue-Workflow"
T = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def glue():
    return boto3.client("glue", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")


def run(number, status="COMPLETED", **statistics):
    """A run that began `number` hours after T and took half an hour."""
    ended = {} if status == "RUNNING" else {"CompletedOn": T + number * HOUR + HOUR / 2}
    return {
        "Name": NAME,
        "WorkflowRunId": f"wr_{number}",
        "StartedOn": T + number * HOUR,
        "Status": status,
        "Statistics": {"TotalActions": 5, "FailedActions": 0, **statistics},
        **ended,
    }


FAILED_GRAPH = {
    "Nodes": [
        {"Type": "TRIGGER", "Name": "Daily"},
        {
            "Type": "JOB",
            "Name": "Reports",
            "JobDetails": {
                "JobRuns": [
                    {"Attempt": 1, "JobRunState": "FAILED", "ErrorMessage": "no space left"},
                    {"Attempt": 0, "JobRunState": "FAILED", "ErrorMessage": "lost a worker"},
                ]
            },
        },
        {"Type": "CRAWLER", "Name": "Videos", "CrawlerDetails": {"Crawls": [{"State": "SUCCEEDED"}]}},
        {"Type": "CRAWLER", "Name": "Audits", "CrawlerDetails": {"Crawls": [{"State": "FAILED"}]}},
    ]
}


def asked(runs, graph=None):
    client = glue()
    with Stubber(client) as stub:
        stub.add_response("get_workflow_runs", {"Runs": runs} if runs else {}, {"Name": NAME, "MaxResults": 25})
        if graph:
            found, nodes = graph
            expected = {"Name": NAME, "RunId": found["WorkflowRunId"], "IncludeGraph": True}
            stub.add_response("get_workflow_run", {"Run": found | {"Graph": nodes}}, expected)
        told = state(client, NAME)
        stub.assert_no_pending_responses()
    return told


def test_nothing_ran_yet():
    assert asked([]).model_dump() == {"as_of": None, "running_since": None, "failure": None}


def test_the_data_is_as_old_as_the_last_good_run_in_whatever_order_glue_lists_them():
    told = asked([run(0), run(2), run(1)])
    assert (told.as_of, told.running_since, told.failure) == (T + 2.5 * HOUR, None, None)


def test_a_run_under_way_changes_nothing_yet():
    told = asked([run(2, "RUNNING"), run(1)])
    assert (told.as_of, told.running_since) == (T + 1.5 * HOUR, T + 2 * HOUR)


@pytest.mark.parametrize("kind", ["FailedActions", "ErroredActions", "TimeoutActions", "StoppedActions"])
def test_a_completed_run_with_a_bad_step_failed(kind):
    """Glue calls a run COMPLETED when it ended, whatever became of its steps."""
    bad = run(3, **{kind: 1})
    told = asked([bad, run(1)], (bad, FAILED_GRAPH))
    assert told.as_of == T + 1.5 * HOUR
    assert told.failure.at == T + 3.5 * HOUR
    assert told.failure.reason == "Reports ended as FAILED: no space left; Audits ended as FAILED: Glue gives no reason"


def test_tables_are_as_fresh_as_the_job_though_a_crawler_failed_after_it():
    bad = run(3, FailedActions=1)
    done = {"Attempt": 0, "JobRunState": "SUCCEEDED", "CompletedOn": T + 3.2 * HOUR}
    nodes = [{"Type": "JOB", "Name": "Reports", "JobDetails": {"JobRuns": [done]}}, FAILED_GRAPH["Nodes"][3]]
    told = asked([bad, run(1)], (bad, {"Nodes": nodes}))
    assert told.as_of == T + 3.2 * HOUR
    assert told.failure.reason == "Audits ended as FAILED: Glue gives no reason"


def test_a_stopped_run_without_a_graph_says_how_it_ended():
    bad = run(3, "STOPPED")
    assert asked([bad], (bad, {"Nodes": []})).failure.reason == "the run ended as STOPPED"


def test_an_old_failure_is_forgotten_once_a_run_succeeded():
    assert asked([run(2), run(1, FailedActions=1)]).failure is None


def test_glue_refuses():
    client = glue()
    with Stubber(client) as stub:
        stub.add_client_error("get_workflow_runs", "AccessDeniedException", "not allowed", 400)
        with pytest.raises(QueryError, match="not allowed") as raised:
            state(client, NAME)
    assert (raised.value.status, raised.value.code) == (502, "AccessDeniedException")


class Glue:
    def __init__(self, runs):
        self.runs = runs

    def get_workflow_runs(self, **request):
        if request != {"Name": NAME, "MaxResults": 25}:
            raise ClientError({"Error": {"Code": "EntityNotFoundException", "Message": str(request)}}, "")
        return {"Runs": self.runs}


def test_over_http():
    answer = load_handler(None, Glue([run(2, "RUNNING"), run(1)]))(event("GET", "/api/state"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {
        "as_of": "2026-03-02T10:30:00Z",
        "running_since": "2026-03-02T11:00:00Z",
        "failure": None,
    }
    refused = load_handler(None, Glue([]), WORKFLOW="another")(event("GET", "/api/state"))
    assert (refused["statusCode"], json.loads(refused["body"])["error"]["code"]) == (502, "EntityNotFoundException")
