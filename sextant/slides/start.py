"""A cohort's slides.csv has arrived: one run over it, however often the event comes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

TABLE = "slides.csv"
"""The name of a cohort's table. Its arrival starts the run: it is put last."""


class RunInput(BaseModel):
    """What an execution of the state machine is given. URIs have no slash at their end."""

    model_config = ConfigDict(frozen=True)

    run: str
    root: str
    table: str
    slides: str


def arrived_at(time: str) -> dt.datetime:
    """An event's time, `2026-11-21T17:30:00Z`, in UTC."""
    return dt.datetime.fromisoformat(time).astimezone(dt.UTC)


def run_input(bucket: str, key: str, etag: str, arrived: dt.datetime, runs: str) -> RunInput:
    """The run that one version of a slides.csv means.

    Args:
        bucket: where it lies.
        key: its key; the slides lie in the same folder or below.
        etag: of its content.
        arrived: when it arrived, in UTC.
        runs: the URI below which runs keep what they make.
    """
    folder = key.rpartition("/")[0]
    run = f"{arrived:%Y%m%dT%H%M%S}-{version_of(bucket, key, etag)}"
    slides = f"s3://{bucket}/{folder}" if folder else f"s3://{bucket}"
    return RunInput(run=run, root=f"{runs}/{run}", table=f"s3://{bucket}/{key}", slides=slides)


def version_of(bucket: str, key: str, etag: str) -> str:
    """The end of a run's name: the same for the same content of the same table."""
    return hashlib.sha256(f"{bucket}\n{key}\n{etag}".encode()).hexdigest()[:8]


def start(stepfunctions: Any, machine_arn: str, given: RunInput) -> str:
    """Starts the run; the name of its execution. A run that was started before is left alone."""
    with suppress(stepfunctions.exceptions.ExecutionAlreadyExists):  # the event came again
        stepfunctions.start_execution(
            stateMachineArn=machine_arn, name=given.run, input=json.dumps(given.model_dump(), sort_keys=True)
        )
    return given.run
