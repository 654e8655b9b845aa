"""The inspection system as the console operates it: trainings are runs, photographs without a verdict its quarantine.

A run's id is `{project}-{version}`. Its steps are the training job and the comparison with the champion.
"""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from sextant.console.model import (
    Content,
    LogPlace,
    Need,
    NeedKind,
    Quarantine,
    Reason,
    Rejected,
    Run,
    RunPage,
    RunState,
    Step,
)
from sextant.console.operation import OperationError, told
from sextant.inspection.api import models
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import split
from sextant.inspection.loop import duel, review, sweep
from sextant.inspection.loop.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sextant.inspection.api.services import Services
    from sextant.inspection.api.store import Item
    from sextant.inspection.loop.journal import Quarantined

_STATES: dict[str, RunState] = {"TRAINING": "running", "TRAINING_FAILED": "failed"}
"""Of any other status the training has succeeded."""
_STOPPED = "was stopped"
_COUNTED = 1000
_MOST_AGAIN = 1000
"""Photographs that one replay starts with: it has half a minute."""


class Place(BaseModel):
    """The environment of the function, besides that of the API."""

    model_config = ConfigDict(frozen=True)

    MACHINE_ARN: str


@dataclass(frozen=True)
class Inspection:
    """See `sextant.console.operation.Operation`. `stepfunctions` is boto3's client."""

    services: Services
    stepfunctions: Any
    place: Place

    @property
    def journal(self) -> Journal:
        return Journal(self.services.table)

    def runs(self, limit: int, after: str | None = None) -> RunPage:
        """The trainings of all projects, newest first; `after` counts those of earlier pages."""
        begin = int(after) if after and after.isdigit() else 0
        with told("DynamoDB"):
            found = [
                (name, item)
                for name in self.journal.projects()
                for _, item in self.services.table.below(f"PROJECT#{name}", "MODEL#")
            ]
        found.sort(key=lambda each: -float(each[1]["created"]))
        runs = tuple(self.run(_id(name, item))[0] for name, item in found[begin : begin + limit])
        return RunPage(runs=runs, next=str(begin + limit) if begin + limit < len(found) else None)

    def run(self, run_id: str) -> tuple[Run, tuple[Step, ...]]:
        project, number = _parted(run_id)
        with _refusals(), told("SageMaker"):
            version, item = models.settled(self.services, project, str(number))
            steps = self._steps(project, number, version.name, item)
        state = _state(item)
        began = _time(item["created"])
        ended = max((each.ended_at for each in steps if each.ended_at), default=None) if state != "running" else None
        return Run(
            system="inspection",
            id=run_id,
            state=state,
            started_at=began,
            ended_at=ended,
            seconds=_seconds(began, ended),
            done=sum(each.state in {"succeeded", "failed", "stopped", "skipped"} for each in steps),
            total=len(steps),
        ), steps

    def _steps(self, project: str, number: int, job: str, item: Item) -> tuple[Step, ...]:
        state, began = _state(item), _time(item["created"])
        described = self._job(job)
        ended = described.get("TrainingEndTime") or (_time(item["evaluated"]) if item.get("evaluated") else None)
        outcome = next((each for each in duel.duels(self.services, project) if each.challenger == number), None)
        compared = dt.datetime.fromisoformat(outcome.at) if outcome else None
        train = Step(
            name=job,
            title="Train on the datasets, measure",
            kind="training",
            state=state,
            started_at=described.get("TrainingStartTime") or began,
            ended_at=None if state == "running" else ended,
            seconds=None if state == "running" else _seconds(began, ended),
            attempts=1,
            error=item["message"] if state == "failed" else None,
            log=LogPlace(group="/aws/sagemaker/TrainingJobs", stream=job) if described else None,
        )
        compare = Step(
            name="promote",
            title="Compare with the champion",
            kind="call",
            state="succeeded" if outcome else "waiting" if state == "running" else "skipped",
            started_at=compared,
            ended_at=compared,
            seconds=0.0 if compared else None,
        )
        return train, compare

    def _job(self, name: str) -> dict[str, Any]:
        """The training job; nothing where SageMaker does not have it any more."""
        try:
            found: dict[str, Any] = self.services.sagemaker.describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise
            return {}
        return found

    def start(self) -> str:
        """Trains the one project; where there are several, the person must say which."""
        with told("DynamoDB"):
            names = self.journal.projects()
        if len(names) != 1:
            message = "There is no project yet" if not names else f"There are {len(names)} projects"
            raise OperationError(
                409, "WhichProject", f"{message}: a training is of one", "Train it from its page Models."
            )
        with _refusals(), told("SageMaker"):
            return f"{names[0]}-{review.train(self.services, names[0])}"

    def stop(self, run_id: str) -> None:
        project, number = _parted(run_id)
        with _refusals(), told("SageMaker"):
            version, _ = models.settled(self.services, project, str(number))
            self.services.sagemaker.stop_training_job(TrainingJobName=version.name)

    def quarantine(self, reason: str, find: str, offset: int, limit: int) -> Quarantine:
        """Photographs that have no verdict."""
        with told("DynamoDB"):
            listed = list(self.journal.quarantined())
        counts: dict[str, int] = {}
        for each in listed:
            counts[each.reason] = counts.get(each.reason, 0) + 1
        wanted = find.lower()
        shown = [
            each
            for each in listed
            if (not reason or each.reason == reason) and wanted in f"{each.source}\n{each.detail}".lower()
        ]
        shown.sort(key=lambda each: each.at, reverse=True)
        reasons = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        return Quarantine(
            system="inspection",
            entries=tuple(
                Rejected(source=each.source, reason=each.reason, detail=each.detail)
                for each in shown[offset : offset + limit]
            ),
            total=len(shown),
            objects=len({each.source for each in shown}),
            reasons=tuple(Reason(reason=name, count=count) for name, count in reasons),
            offset=offset,
        )

    def content(self, source: str) -> Content:
        """Photographs are no text: only whether one is still there, and how large, can be told."""
        with told("DynamoDB"):
            found = next((each for each in self.journal.quarantined() if each.source == source), None)
        if found is None:
            raise OperationError(404, "NotQuarantined", f"{source!r} is not in quarantine", "Reload the list.")
        return self._content(found)

    def _content(self, found: Quarantined) -> Content:
        bucket, key = split(found.source)
        try:
            with told("S3"):
                stored = self.services.s3.head_object(Bucket=bucket, Key=key)
        except OperationError as error:
            if error.status == 404:
                return Content(source=found.source, state="gone")
            raise
        return Content(
            source=found.source,
            state="same" if stored["ETag"].strip('"') == found.etag else "changed",
            size_bytes=stored["ContentLength"],
            modified_at=stored["LastModified"],
        )

    def replay(self) -> str:
        """Has every photograph in quarantine looked at again. No run does it: each has an execution of its own."""
        with told("Step Functions"):
            held = itertools.islice(sweep.held(self.journal, self.services.place.BUCKET), _MOST_AGAIN)
            for each in held:
                sweep.start(self.stepfunctions, self.place.MACHINE_ARN, each)
        return ""

    def needs(self) -> tuple[Need, ...]:
        return (
            _need("quarantine", lambda: sum(1 for _ in self.journal.quarantined())),
            _need("review", lambda: self._waiting("REVIEW#")),
            _need("approval", self._challengers),
        )

    def _waiting(self, partition: str) -> int:
        names = self.journal.projects()
        return sum(
            sum(1 for _ in itertools.islice(self.services.table.below(f"{partition}{name}"), _COUNTED))
            for name in names
        )

    def _challengers(self) -> int:
        """Projects whose newest comparison found a better model that does not answer yet."""
        return sum(1 for name in self.journal.projects() if self._waits(name))

    def _waits(self, name: str) -> bool:
        outcomes = list(duel.duels(self.services, name))
        return bool(outcomes) and outcomes[-1].decision == "promote" and not outcomes[-1].promoted


def _need(kind: NeedKind, count: Callable[[], int]) -> Need:
    try:
        with told("DynamoDB"):
            return Need(kind=kind, count=count())
    except OperationError as error:
        return Need(kind=kind, count=None, fault=str(error))


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the API refuses into an `OperationError`."""
    try:
        yield
    except ApiError as error:
        raise OperationError(error.status, error.code, error.message, "Go back to the list.") from error


def _id(name: str, item: Item) -> str:
    return f"{name}-{int(item['number'])}"


def _parted(run_id: str) -> tuple[str, int]:
    project, _, number = run_id.rpartition("-")
    if not project or not number.isdigit():
        raise OperationError(404, "NoSuchRun", f"there is no training {run_id!r}", "Go back to the list.")
    return project, int(number)


def _state(item: Item) -> RunState:
    if item["status"] == "TRAINING_FAILED" and _STOPPED in item["message"]:
        return "stopped"
    return _STATES.get(item["status"], "succeeded")


def _time(seconds: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(seconds), dt.UTC)


def _seconds(began: dt.datetime, ended: dt.datetime | None) -> float | None:
    return round(max(0.0, (ended - began).total_seconds()), 1) if ended else None
