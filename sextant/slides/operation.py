"""The slides system as the console operates it: executions of its state machine, quarantined slides, approvals."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.console.model import (
    Content,
    LogPlace,
    Need,
    Quarantine,
    Reason,
    Rejected,
    Run,
    RunPage,
    RunState,
    Step,
    StepKind,
    StepState,
)
from sextant.console.operation import OperationError, told
from sextant.slides.start import RunInput, start

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATES: Mapping[str, RunState] = {"RUNNING": "running", "SUCCEEDED": "succeeded", "ABORTED": "stopped"}
"""Any other of Step Functions' states is a failure: FAILED, TIMED_OUT."""
_READERS = 16
TITLES = {
    "Plan": "Read slides.csv, split patients, check slides",
    "Tile": "Cut slides into tiles",
    "Pack": "Pack tiles into shards",
    "Features": "Encode tiles",
    "Train": "Train the classifier",
    "Model": "Make the model servable",
    "Score": "Score the test slides",
    "Evaluate": "Measure, draw heatmaps",
    "Register": "Register the model for approval",
}
"""What people call the states of the machine, in their order."""
_JOBS = {
    **dict.fromkeys(("Plan", "Tile", "Pack", "Features", "Evaluate"), "Processing"),
    "Train": "Training",
    "Score": "Transform",
}
"""The states that are jobs, and of which kind."""
_KINDS: Mapping[str, StepKind] = {"Processing": "processing", "Training": "training", "Transform": "transform"}


class Place(BaseModel):
    """Where the slides stack is: the environment of the function."""

    model_config = ConfigDict(frozen=True)

    MACHINE_ARN: str
    RUNS_BUCKET: str
    MODEL_PACKAGE_GROUP: str


@dataclass(frozen=True)
class Slides:
    """See `sextant.console.operation.Operation`. The clients are boto3's."""

    place: Place
    stepfunctions: Any
    sagemaker: Any
    s3: Any

    def runs(self, limit: int, after: str | None = None) -> RunPage:
        """Newest first, as Step Functions lists them; it keeps runs for 90 days."""
        with told("Step Functions"):
            page = self.stepfunctions.list_executions(
                stateMachineArn=self.place.MACHINE_ARN, maxResults=limit, **({"nextToken": after} if after else {})
            )
        with ThreadPoolExecutor(_READERS) as pool:
            runs = tuple(pool.map(self._run, page["executions"]))
        return RunPage(runs=runs, next=page.get("nextToken"))

    def run(self, run_id: str) -> tuple[Run, tuple[Step, ...]]:
        found = self._described(run_id)
        steps = self._steps(found)
        return _run(found, steps), steps

    def start(self) -> str:
        """Runs the newest cohort again, as a new run: nothing of the earlier one is overwritten."""
        page = self.runs(1)
        if not page.runs:
            raise OperationError(
                409,
                "NoCohort",
                "No cohort has arrived yet, so there is none to run again",
                "Put the slides and then their slides.csv into the slides bucket.",
            )
        last = self.given(page.runs[0].id)
        run = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{last.run.rpartition('-')[2]}"
        root = f"{last.root.removesuffix(f'/{last.run}')}/{run}"
        with told("Step Functions"):
            return start(self.stepfunctions, self.place.MACHINE_ARN, last.model_copy(update={"run": run, "root": root}))

    replay = start  # a mended slide is read by the next run

    def stop(self, run_id: str) -> None:
        with told("Step Functions"):
            self.stepfunctions.stop_execution(executionArn=self._arn(run_id), cause="stopped by an administrator")

    def resume(self, run_id: str) -> None:
        """A redrive of the execution: it goes on with the step that it ended in, under new job names."""
        with told("Step Functions"):
            self.stepfunctions.redrive_execution(executionArn=self._arn(run_id))

    def quarantine(self, reason: str, find: str, offset: int, limit: int) -> Quarantine:
        """Of the newest run."""
        listed = self._rejected()
        counts: dict[str, int] = {}
        for each in listed:
            counts[each.reason] = counts.get(each.reason, 0) + 1
        wanted = find.lower()
        shown = [
            each
            for each in listed
            if (not reason or each.reason == reason) and wanted in f"{each.source}\n{each.detail}".lower()
        ]
        return Quarantine(
            system="slides",
            entries=tuple(shown[offset : offset + limit]),
            total=len(shown),
            objects=len({each.source for each in shown}),
            reasons=tuple(
                Reason(reason=name, count=count)
                for name, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
            ),
            offset=offset,
        )

    def content(self, source: str) -> Content:
        """Slides are no text: only whether a slide is still there, and how large, can be told."""
        if source not in {each.source for each in self._rejected()}:
            raise OperationError(404, "NotQuarantined", f"{source!r} is not in quarantine", "Reload the list.")
        bucket, _, key = source.removeprefix("s3://").partition("/")
        try:
            with told("S3"):
                found = self.s3.head_object(Bucket=bucket, Key=key)
        except OperationError as error:
            if error.status == 404:
                return Content(source=source, state="gone")
            raise
        began = self.runs(1).runs[0].started_at
        return Content(
            source=source,
            state="changed" if found["LastModified"] > began else "same",
            size_bytes=found["ContentLength"],
            modified_at=found["LastModified"],
        )

    def needs(self) -> tuple[Need, ...]:
        return (self._needed("quarantine"), self._needed("approval"))

    def _needed(self, kind: Any) -> Need:
        try:
            count = len(self._rejected()) if kind == "quarantine" else self._unapproved()
        except OperationError as error:
            return Need(kind=kind, count=None, fault=str(error))
        return Need(kind=kind, count=count)

    def _unapproved(self) -> int:
        with told("SageMaker"):
            pages = self.sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=self.place.MODEL_PACKAGE_GROUP, ModelApprovalStatus="PendingManualApproval"
            )
            return sum(len(page["ModelPackageSummaryList"]) for page in pages)

    def _rejected(self) -> list[Rejected]:
        """What the newest run put into quarantine, in the order of the slides' names."""
        runs = self.runs(1).runs
        if not runs:
            return []
        bucket, prefix = self.place.RUNS_BUCKET, f"runs/{runs[0].id}/quarantine/"
        with told("S3"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
            with ThreadPoolExecutor(_READERS) as pool:
                bodies = list(pool.map(self._body, keys))
        slides = self.given(runs[0].id).slides
        return [_entry(json.loads(body), slides) for body in bodies]

    def _body(self, key: str) -> bytes:
        return aws.read_object(self.s3, Bucket=self.place.RUNS_BUCKET, Key=key)[0]

    def _run(self, found: Mapping[str, Any]) -> Run:
        """A listed execution. The history is asked only of runs that may not have done every step."""
        return _run(found, () if found["status"] == "SUCCEEDED" else self._steps(found), len(TITLES))

    def _steps(self, found: Mapping[str, Any]) -> tuple[Step, ...]:
        with told("Step Functions"):
            pages = self.stepfunctions.get_paginator("get_execution_history").paginate(
                executionArn=found["executionArn"], includeExecutionData=True
            )
            events = [event for page in pages for event in page["events"]]
        return _steps(events, _STATES.get(found["status"], "failed"), found["name"])

    def given(self, run_id: str) -> RunInput:
        """What a run was started with."""
        return RunInput.model_validate_json(self._described(run_id)["input"])

    def _described(self, run_id: str) -> dict[str, Any]:
        with told("Step Functions"):
            found: dict[str, Any] = self.stepfunctions.describe_execution(executionArn=self._arn(run_id))
        return found

    def _arn(self, run_id: str) -> str:
        return f"{self.place.MACHINE_ARN.replace(':stateMachine:', ':execution:')}:{run_id}"


def _entry(document: Mapping[str, str], slides: str) -> Rejected:
    source = f"{slides}/{document['key']}" if document.get("key") else document["slide"]
    return Rejected(source=source, reason=document["reason"], detail=document["detail"])


def _run(found: Mapping[str, Any], steps: tuple[Step, ...], total: int | None = None) -> Run:
    state = _STATES.get(found["status"], "failed")
    total = total or len(steps)
    ended = found.get("stopDate")
    done = sum(step.state in ("succeeded", "failed", "stopped") for step in steps)
    return Run(
        system="slides",
        id=found["name"],
        state=state,
        started_at=found["startDate"],
        ended_at=ended,
        seconds=_seconds(found["startDate"], ended),
        done=total if state == "succeeded" else done,
        total=total,
    )


@dataclass
class _Told:
    """What an execution's history tells of one state."""

    began: dt.datetime | None = None
    ended: dt.datetime | None = None
    attempts: int = 0
    job: str = ""
    """The end of the last attempt's job name: redrives of the execution, and retries since."""
    error: str | None = None


def _steps(events: list[dict[str, Any]], run: RunState, run_id: str) -> tuple[Step, ...]:
    """Every state of the machine in its order, with what the history tells of it."""
    told_of = {name: _Told() for name in TITLES}
    state, redrives, retries = _Told(), 0, 0
    for event in events:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            state = told_of[event["stateEnteredEventDetails"]["name"]]
            state.began = event["timestamp"]
            retries = 0
        elif kind.endswith("StateExited"):
            state.ended = event["timestamp"]
        elif kind in ("TaskScheduled", "LambdaFunctionScheduled"):
            state.attempts += 1
            state.job = f"{redrives}-{retries}"
            retries += 1
        elif kind == "ExecutionRedriven":  # it goes on with the state that failed
            redrives += 1
            retries = 0
        elif kind.endswith(("Failed", "TimedOut")):
            state.error = _reason(event)
    begun = [number for number, name in enumerate(TITLES) if told_of[name].began]
    return tuple(
        _step(name, told_of[name], run, run_id, passed=number < max(begun, default=0))
        for number, name in enumerate(TITLES)
    )


def _log(run_id: str, name: str, found: _Told) -> LogPlace | None:
    """The streams of a job's last attempt begin with its name; stacks/slides/steps.py gives it."""
    if name not in _JOBS or not found.job:
        return None
    return LogPlace(group=f"/aws/sagemaker/{_JOBS[name]}Jobs", stream=f"{run_id}-{name.lower()}-{found.job}")


def _step(name: str, found: _Told, run: RunState, run_id: str, *, passed: bool) -> Step:
    """What is told of a state; `passed` is one before others that began: a fine-tuning has no features."""
    state: StepState
    if found.ended:
        state = "succeeded"
    elif found.began:
        state = run if run in ("running", "stopped") else "failed"
    else:
        state = "waiting" if run == "running" and not passed else "skipped"
    return Step(
        name=name,
        title=TITLES[name],
        kind=_KINDS[_JOBS[name]] if name in _JOBS else "call",
        state=state,
        started_at=found.began,
        ended_at=found.ended,
        seconds=_seconds(found.began, found.ended),
        attempts=found.attempts,
        error=found.error if state == "failed" else None,
        log=_log(run_id, name, found),
    )


def _reason(event: Mapping[str, Any]) -> str:
    """SageMaker's reason where the cause is a job's description, else the cause as it is."""
    details: dict[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    cause = str(details.get("cause") or details.get("error") or "no reason is given")
    try:
        told = json.loads(cause)
        return str(told.get("ExitMessage") or told.get("FailureReason") or cause)
    except (ValueError, AttributeError):
        return cause


def _seconds(began: dt.datetime | None, ended: dt.datetime | None) -> float | None:
    """None until both are known: an answer that counts on would be new to every poll."""
    return round(max(0.0, (ended - began).total_seconds()), 1) if began and ended else None
