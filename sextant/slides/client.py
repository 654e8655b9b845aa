"""One run over a cohort from outside: slides and their slides.csv up, the state machine's run watched, results down.

`sextant run slides` and the demo use it at home and on AWS alike: it needs the deployed stack's outputs and nothing
else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sextant.pipeline import PipelineError, Report, clear, files_below, upload
from sextant.slides.operation import Place, Slides
from sextant.slides.start import TABLE, RunInput, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLL_SECONDS = (0.5, 20.0)
# A table that is there starts its run within seconds; a minute without one means that the start failed.
_START_SECONDS = 120.0
_RUN_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Deployed:
    """Where the slides stack is: names from its outputs."""

    slides_bucket: str
    runs_bucket: str
    machine_arn: str
    model_package_group: str

    @classmethod
    def of(cls, outputs: Mapping[str, str]) -> Deployed:
        """From the outputs of the CloudFormation stack `{environment}-Slides`."""
        return cls(
            slides_bucket=outputs["SlidesBucket"],
            runs_bucket=outputs["RunsBucket"],
            machine_arn=outputs["MachineArn"],
            model_package_group=outputs["ModelPackageGroup"],
        )


def run_cohort(session: Any, deployed: Deployed, folder: Path, name: str, report: Report) -> RunInput:
    """Uploads a cohort below `cohorts/{name}/`, waits for the run that its table starts, and for that run's end.

    Args:
        session: boto3's, on the account of the stack.
        deployed: where the stack is.
        folder: slides, and their slides.csv at the top.
        name: of the cohort in the bucket; what lies there is replaced. Slides that the folder does not have go, or one
            that was converted would be there in both formats.
        report: told about progress.

    Raises:
        PipelineError: there is no slides.csv, no run starts, or the run does not succeed.
    """
    if not (folder / TABLE).is_file():
        raise PipelineError(f"{folder} has no {TABLE}: put a table with the columns slide, patient, label there.")
    s3, prefix = session.client("s3"), f"cohorts/{name}/"
    stepfunctions = session.client("stepfunctions")
    known = {each["name"] for each in _executions(stepfunctions, deployed)}
    given = {f"{prefix}{path.relative_to(folder).as_posix()}" for path in files_below(folder)}
    clear(s3, deployed.slides_bucket, prefix, keep=given)
    upload(s3, folder, deployed.slides_bucket, prefix, report, last=TABLE)
    etag = s3.head_object(Bucket=deployed.slides_bucket, Key=f"{prefix}{TABLE}")["ETag"].strip('"')
    version = version_of(deployed.slides_bucket, f"{prefix}{TABLE}", etag)
    deadline = time.monotonic() + _START_SECONDS
    while not (started := [each for each in _executions(stepfunctions, deployed) if _is_new(each, version, known)]):
        if time.monotonic() > deadline:
            raise PipelineError(
                f"s3://{deployed.slides_bucket}/{prefix}{TABLE} has started no run: the log of the function Start says "
                "why; a bucket of your own must send its events to EventBridge."
            )
        time.sleep(_POLL_SECONDS[0])
    return _watch(session, deployed, started[0]["name"], report)


def _is_new(execution: Mapping[str, Any], version: str, known: set[str]) -> bool:
    return execution["name"] not in known and execution["name"].endswith(f"-{version}")


def _executions(stepfunctions: Any, deployed: Deployed) -> list[dict[str, Any]]:
    """The newest executions; those of a cohort just uploaded are among them."""
    answer: list[dict[str, Any]] = stepfunctions.list_executions(stateMachineArn=deployed.machine_arn, maxResults=100)[
        "executions"
    ]
    return answer


def _watch(session: Any, deployed: Deployed, run: str, report: Report) -> RunInput:
    """Waits for a run's end; what it was given."""
    stepfunctions = session.client("stepfunctions")
    place = Place(
        MACHINE_ARN=deployed.machine_arn,
        RUNS_BUCKET=deployed.runs_bucket,
        MODEL_PACKAGE_GROUP=deployed.model_package_group,
    )
    slides = Slides(place, stepfunctions=stepfunctions, sagemaker=session.client("sagemaker"), s3=session.client("s3"))
    began = time.monotonic()
    while True:
        found, steps = slides.run(run)
        current = next((step for step in steps if step.state == "running"), None)
        report(current.title if current else run, found.done, found.total)
        if found.state not in ("running", "stopping"):
            break
        if time.monotonic() - began > _RUN_SECONDS:
            raise PipelineError(f"run {run} did not end within a week: look at its execution in Step Functions")
        time.sleep(min(max(_POLL_SECONDS[0], (time.monotonic() - began) / 20), _POLL_SECONDS[1]))
    if found.state != "succeeded":
        failed = next((step for step in steps if step.error), None)
        reason = f"{failed.title}: {failed.error}" if failed else "look at its execution in Step Functions"
        raise PipelineError(f"run {run} {found.state}. {reason}")
    return slides.given(run)


def results(s3: Any, given: RunInput, folder: Path, report: Report) -> list[Path]:
    """A run's evaluation as files: metrics, and per test slide its scores, tiles, heatmap and outlines."""
    bucket, _, prefix = f"{given.root}/evaluation/".removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    written = []
    for done, key in enumerate(keys, start=1):
        path = folder / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))
        written.append(path)
        report("results", done, len(keys))
    return written
