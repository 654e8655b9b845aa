"""What the console tells of a run, from histories whose every event is known."""

import datetime as dt
import json

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from sextant.console.http import answer, application
from sextant.console.routes import operation_routes
from sextant.slides.operation import Place, Slides
from tests.handlers.serving import event

ARN = "arn:aws:states:eu-west-1:111122223333:stateMachine:slides"
RUN = "20261121T173000-0123abcd"
BEGAN = dt.datetime(2026, 11, 21, 17, 30, tzinfo=dt.UTC)


class StepFunctions:
    """One execution with the history that a test gives."""

    def __init__(self, status, events):
        self.status = status
        self.events = [{"timestamp": BEGAN + dt.timedelta(seconds=n), **each} for n, each in enumerate(events)]

    def describe_execution(self, **request):
        return {"executionArn": request["executionArn"], "name": RUN, "status": self.status, "startDate": BEGAN}

    def get_paginator(self, name):
        assert name == "get_execution_history"
        return self

    def paginate(self, **request):
        assert request["executionArn"] == f"{ARN.replace(':stateMachine:', ':execution:')}:{RUN}"
        yield {"events": self.events[:3]}
        yield {"events": self.events[3:]}


def entered(name):
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name}}


SCHEDULED, EXITED = {"type": "TaskScheduled"}, {"type": "TaskStateExited"}
FAILED = {"type": "TaskFailed", "taskFailedEventDetails": {"cause": json.dumps({"FailureReason": "no capacity"})}}
BROKEN = {"type": "ExecutionFailed", "executionFailedEventDetails": {"cause": "no capacity"}}
REDRIVEN = {"type": "ExecutionRedriven", "executionRedrivenEventDetails": {"redriveCount": 1}}
PLANNED = [entered("Plan"), SCHEDULED, EXITED]
TWICE = [*PLANNED, entered("Tile"), SCHEDULED, FAILED, SCHEDULED, FAILED, BROKEN]


def told(status, events):
    place = Place(MACHINE_ARN=ARN, RUNS_BUCKET="runs", MODEL_PACKAGE_GROUP="group")
    run, steps = Slides(place, stepfunctions=StepFunctions(status, events), sagemaker=None, s3=None).run(RUN)
    return run, {step.name: step for step in steps}


@pytest.mark.parametrize(
    ("status", "events", "state", "stream", "attempts"),
    [
        ("FAILED", TWICE, "failed", "tile-0-1", 2),
        ("RUNNING", [*TWICE, REDRIVEN], "running", "tile-0-1", 2),
        ("RUNNING", [*TWICE, REDRIVEN, SCHEDULED], "running", "tile-1-0", 3),
        ("RUNNING", [*TWICE, REDRIVEN, SCHEDULED, FAILED, SCHEDULED], "running", "tile-1-1", 4),
        ("FAILED", [*TWICE, REDRIVEN, SCHEDULED, FAILED, BROKEN, REDRIVEN, SCHEDULED, BROKEN], "failed", "tile-2-0", 4),
    ],
)
def test_a_jobs_log_is_that_of_the_last_attempt_since_the_last_redrive(status, events, state, stream, attempts):
    run, steps = told(status, events)
    tile = steps["Tile"]
    assert (run.state, tile.state, tile.attempts) == (state, state, attempts)
    assert (tile.log.group, tile.log.stream) == ("/aws/sagemaker/ProcessingJobs", f"{RUN}-{stream}")
    assert tile.error == ("no capacity" if state == "failed" else None)
    assert steps["Plan"].log.stream == f"{RUN}-plan-0-0"


def test_steps_after_a_redriven_one_are_named_by_its_redrive():
    _, steps = told("RUNNING", [*TWICE, REDRIVEN, SCHEDULED, EXITED, entered("Pack"), SCHEDULED])
    assert steps["Tile"].state == "succeeded"
    assert steps["Pack"].log.stream == f"{RUN}-pack-1-0"


def test_a_step_that_the_machine_does_not_have_is_not_waited_for():
    _, steps = told("RUNNING", [*PLANNED, entered("Train"), SCHEDULED])
    assert {name: steps[name].state for name in ("Plan", "Features", "Train", "Model")} == {
        "Plan": "succeeded",
        "Features": "skipped",
        "Train": "running",
        "Model": "waiting",
    }


def routes(stepfunctions):
    """The function's answers: status and body."""
    place = Place(MACHINE_ARN=ARN, RUNS_BUCKET="runs", MODEL_PACKAGE_GROUP="group")
    logger = Logger(service="test")
    slides = Slides(place, stepfunctions=stepfunctions, sagemaker=None, s3=None)
    app = application("Slides", operation_routes("slides", slides, logger), logger)

    def call(method, path, groups="[admin]"):
        found = answer(app, event(method, path, groups=groups), None)
        return found["statusCode"], json.loads(found["body"])

    return call


class Redriven(StepFunctions):
    """Step Functions that redrives: once, as the execution runs then."""

    def redrive_execution(self, **request):
        assert request["executionArn"].endswith(f":execution:slides:{RUN}")
        if self.status == "RUNNING":
            told = {"Error": {"Code": "ExecutionNotRedrivable", "Message": "Execution is RUNNING"}}
            raise ClientError(told, "RedriveExecution")
        self.status = "RUNNING"
        self.events.append({**REDRIVEN, "timestamp": BEGAN + dt.timedelta(minutes=5)})


def test_a_failed_run_goes_on_for_administrators_only():
    call = routes(Redriven("FAILED", TWICE))
    path = f"/api/runs/slides/{RUN}"
    assert call("GET", path)[1]["allowed"] == ["resume"]
    assert call("GET", path, groups="[analyst]")[1]["allowed"] == []
    assert call("POST", f"{path}/resume", groups="[analyst]")[0] == 403

    status, told = call("POST", f"{path}/resume")

    assert (status, told["state"], told["allowed"]) == (200, "running", ["stop"])
    status, told = call("POST", f"{path}/resume")
    assert (status, told["error"]["code"]) == (409, "ExecutionNotRedrivable")
    assert "start a run" in told["error"]["remedy"]


def test_a_run_that_succeeded_does_not_go_on():
    assert routes(Redriven("SUCCEEDED", PLANNED))("GET", f"/api/runs/slides/{RUN}")[1]["allowed"] == []
