"""The deployed system as a plant uses it: photographs in, a model trained, its verdicts read.

Everything goes through the API of Lookout for Vision, the bucket and the table of the stack.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from sextant.inspection import client, manifest
from sextant.inspection.api import limits
from sextant.inspection.api.store import Table
from sextant.inspection.api.training import settings_key
from sextant.inspection.loop.journal import Journal
from sextant.pipeline import PipelineError, files_below, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import boto3

    from sextant.inspection.loop.journal import Quarantined, Record
    from sextant.pipeline import Report

_POLL_SECONDS = 0.5
_PATIENCE = 3600.0
_QUIET = 300.0
"""Seconds without another verdict after which the belt stands still."""
_UPLOADS = 8
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_PROJECT = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True)
class Plant:
    """The stack's outputs and the clients for them."""

    session: boto3.session.Session
    outputs: Mapping[str, str]

    @cached_property
    def s3(self) -> Any:
        """boto3's client."""
        return self.session.client("s3")

    @cached_property
    def api(self) -> Any:
        """`lookoutvision`, as boto3 had it."""
        keys = self.session.get_credentials()
        # At home one endpoint is all of AWS, and the environment names it.
        return client.lookoutvision(
            None if os.environ.get("AWS_ENDPOINT_URL") else self.outputs["ApiUrl"],
            aws_access_key_id=keys.access_key if keys else None,
            aws_secret_access_key=keys.secret_key if keys else None,
            aws_session_token=keys.token if keys else None,
            region_name=self.session.region_name,
        )

    @cached_property
    def journal(self) -> Journal:
        """Of verdicts."""
        made: Any = self.session.client
        return Journal(Table(made("dynamodb"), self.outputs["TableName"]))

    @property
    def bucket(self) -> str:
        """Where photographs are put."""
        return self.outputs["DataBucket"]

    def uri(self, key: str) -> str:
        """Of an object in the bucket."""
        return f"s3://{self.bucket}/{key}"

    def call(self, name: str, **document: Any) -> dict[str, Any]:
        """Invokes a function of the stack by the name of its output.

        Raises:
            PipelineError: it failed.
        """
        given = json.dumps(document).encode()
        told = self.session.client("lambda").invoke(FunctionName=self.outputs[f"{name}Function"], Payload=given)
        answer: dict[str, Any] = json.loads(told["Payload"].read())
        if "FunctionError" in told:
            raise PipelineError(f"function {name} failed: {answer.get('errorMessage', answer)}. Its log tells more.")
        return answer

    def model(self, project: str, version: str) -> dict[str, Any]:
        """What DescribeModel tells of a version."""
        found: dict[str, Any] = self.api.describe_model(ProjectName=project, ModelVersion=version)["ModelDescription"]
        return found


def project_of(folder: Path) -> str:
    """A name that a project may have, after a folder."""
    return _PROJECT.sub("-", folder.resolve().name).strip("-_") or "project"


def set_rules(plant: Plant, project: str, rules: Mapping[str, Any]) -> None:
    """The project's own rules, from answer to verdict: trainings from now on take them."""
    body = json.dumps({"rules": rules}).encode()
    plant.s3.put_object(Bucket=plant.bucket, Key=settings_key(project), Body=body)


def start_training(plant: Plant, project: str, folder: Path, report: Report) -> str:
    """Uploads a folder of labelled photographs, makes the project's datasets of it, and starts a training.

    Args:
        plant: the deployed system.
        project: made if it is not there; its datasets are replaced.
        folder: `train.manifest` and perhaps `test.manifest`, whose paths begin in it; or the same as folders `train`
            and `test`, each with `normal` and `anomaly`; or these two at the top; or one manifest of any name.
        report: told about progress.

    Returns:
        The number of the new model version.

    Raises:
        PipelineError: the folder has no such form, too few normal photographs, or a dataset could not be made.
    """
    sources = _sources(folder)
    _check(folder, sources["train"])
    upload(plant.s3, folder, plant.bucket, f"datasets/{project}/", report)
    if project not in _projects(plant):
        plant.api.create_project(ProjectName=project)
    for kind, source in sources.items():
        report(f"{project}: dataset {kind}", 0, 1)
        _make_dataset(plant, project, kind, folder, source)
    for kind in sources:
        wait(f"dataset {kind} of {project}", partial(_is_made, plant, project, kind))
        report(f"{project}: dataset {kind}", 1, 1)
    place = {"Bucket": plant.bucket, "Prefix": f"projects/{project}/evaluation/"}
    made = plant.api.create_model(ProjectName=project, OutputConfig={"S3Location": place})
    version: str = made["ModelMetadata"]["ModelVersion"]
    return version


def wait_trained(plant: Plant, project: str, version: str) -> dict[str, Any]:
    """Waits for a training's end; what DescribeModel tells then.

    Raises:
        PipelineError: it failed.
    """
    wait(f"training of {project}/{version}", lambda: plant.model(project, version)["Status"] != "TRAINING")
    found = plant.model(project, version)
    if found["Status"] == "TRAINING_FAILED":
        raise PipelineError(f"The training of {project}/{version} failed: {found['StatusMessage']}")
    return found


def host(plant: Plant, project: str, version: str) -> None:
    """Makes a version the one that answers for its project, and waits until it does."""
    plant.call("Review", action="promote", project=project, version=version, who="demo", reason="the newest")
    if plant.model(project, version)["Status"] not in {"HOSTED", "STARTING_HOSTING"}:
        plant.api.start_model(ProjectName=project, ModelVersion=version, MinInferenceUnits=1)
    wait(f"hosting of {project}/{version}", lambda: plant.model(project, version)["Status"] == "HOSTED")


def put_all(plant: Plant, folder: Path, files: Sequence[tuple[str, str, Mapping[str, str]]], report: Report) -> None:
    """Puts files into the bucket, a few at once.

    Args:
        plant: the deployed system.
        folder: they lie below it.
        files: path below the folder, key in the bucket, metadata.
        report: told about progress.
    """

    def put(file: tuple[str, str, Mapping[str, str]]) -> None:
        path, key, metadata = file
        plant.s3.put_object(Bucket=plant.bucket, Key=key, Body=(folder / path).read_bytes(), Metadata=dict(metadata))

    with ThreadPoolExecutor(_UPLOADS) as pool:
        for done, _ in enumerate(pool.map(put, files), start=1):
            report("put photographs", done, len(files))


def verdicts(plant: Plant, project: str, since: dt.datetime) -> dict[str, Record]:
    """The records of photographs of a belt that arrived since then (UTC), by key."""
    found: dict[str, Record] = {}
    day = since.date()
    while day <= dt.datetime.now(dt.UTC).date():
        for each in plant.journal.items(project, day):
            if each.arrived >= since.isoformat(timespec="seconds"):
                found[each.source.removeprefix(plant.uri(""))] = each
        day += dt.timedelta(days=1)
    return found


def trial(plant: Plant, project: str, name: str) -> dict[str, Record]:
    """The records of a trial, by the photograph's key."""
    return {each.source.removeprefix(plant.uri("")): each for each in plant.journal.trial(project, name)}


def quarantined(plant: Plant) -> dict[str, Quarantined]:
    """What has no verdict, by key."""
    return {each.source.removeprefix(plant.uri("")): each for each in plant.journal.quarantined()}


def wait_for(what: str, count: Callable[[], int], wanted: int, report: Report) -> int:
    """Waits until there are so many; how many there are, which is fewer when nothing more has come for minutes."""
    seen, changed = -1, time.monotonic()
    while (now := count()) < wanted:
        if now != seen:
            seen, changed = now, time.monotonic()
        elif time.monotonic() - changed > _QUIET:
            break
        report(what, now, wanted)
        time.sleep(_POLL_SECONDS)
    report(what, now, wanted)
    return now


def again(plant: Plant, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Delivers the events of photographs a second time; what the state machine says of each."""
    machines: Any = plant.session.client("stepfunctions")
    found: list[str] = []
    for key in keys:
        etag = plant.s3.head_object(Bucket=plant.bucket, Key=key)["ETag"].strip('"')
        event = {"detail": {"bucket": {"name": plant.bucket}, "object": {"key": key, "etag": etag}}}
        started = machines.start_execution(stateMachineArn=plant.outputs["MachineArn"], input=json.dumps(event))
        found.append(started["executionArn"])
    for arn in found:
        wait("a second delivery", partial(_ended, machines, arn))
    return [machines.describe_execution(executionArn=arn) for arn in found]


def _ended(machines: Any, arn: str) -> bool:
    return bool(machines.describe_execution(executionArn=arn)["status"] != "RUNNING")


def photographs(folder: Path) -> list[Path]:
    """The photographs below a folder."""
    return [path for path in files_below(folder) if path.suffix.lower() in _PHOTOGRAPHS]


def _projects(plant: Plant) -> set[str]:
    pages = plant.api.get_paginator("list_projects").paginate()
    return {each["ProjectName"] for page in pages for each in page["Projects"]}


def _sources(folder: Path) -> dict[str, Path]:
    """By dataset type: a manifest, or a folder with normal and anomaly."""
    for form in ("{}.manifest", "{}"):
        found = {kind: path for kind in ("train", "test") if (path := folder / form.format(kind)).exists()}
        if "train" in found:
            return found
    if (folder / "normal").is_dir():
        return {"train": folder}
    manifests = sorted(folder.glob("*.manifest"))
    if len(manifests) == 1:
        return {"train": manifests[0]}
    raise PipelineError(
        f"{folder} has no labelled photographs: put them into its folders normal and anomaly, or into train/normal, "
        "train/anomaly, test/normal and test/anomaly, or put a train.manifest there."
    )


def _check(folder: Path, source: Path) -> None:
    """Whether a training could use what is to be trained on: better told now than with a project that stays behind."""
    try:
        labels = {entry.source: entry.label for entry in manifest.entries(_lines(folder, source))}
    except manifest.ManifestError as error:
        raise PipelineError(f"{source}: {error}") from error
    normals = list(labels.values()).count("normal")
    if normals < limits.NORMALS_TO_TRAIN:
        raise PipelineError(
            f"{folder} has {normals} photographs labelled normal to train on; a training needs "
            f"{limits.NORMALS_TO_TRAIN}. Add some, and run the command again."
        )


def _lines(folder: Path, source: Path) -> list[str | bytes]:
    """The lines of a manifest, or of a folder's photographs: those that it holds now, for the bucket may have others of
    an earlier run, under labels that were mended since. Paths begin in `folder`.
    """
    if not source.is_dir():
        return [*source.read_bytes().splitlines()]
    keys = [path.relative_to(source).as_posix() for path in photographs(source)]
    below = "" if source == folder else source.relative_to(folder).as_posix()
    return [*manifest.of_folder(below, keys, dt.datetime.now(dt.UTC))]


def _make_dataset(plant: Plant, project: str, kind: Any, folder: Path, source: Path) -> None:
    if _status(plant, project, kind):
        plant.api.delete_dataset(ProjectName=project, DatasetType=kind)
        wait(f"deletion of dataset {kind}", lambda: not _status(plant, project, kind))
    root, target = plant.uri(f"datasets/{project}"), plant.uri(f"projects/{project}/{kind}.manifest")
    lines = _lines(folder, source)
    try:
        client.import_manifest(plant.api, plant.s3, lines, project=project, kind=kind, root=root, target=target)
    except manifest.ManifestError as error:
        raise PipelineError(f"{source}: {error}") from error


def _status(plant: Plant, project: str, kind: str) -> str:
    try:
        found = plant.api.describe_dataset(ProjectName=project, DatasetType=kind)["DatasetDescription"]
    except plant.api.exceptions.ResourceNotFoundException:
        return ""
    return str(found["Status"])


def _is_made(plant: Plant, project: str, kind: str) -> bool:
    found = plant.api.describe_dataset(ProjectName=project, DatasetType=kind)["DatasetDescription"]
    if found["Status"] == "CREATE_FAILED":
        raise PipelineError(f"dataset {kind} of {project}: {found['StatusMessage']}")
    return bool(found["Status"] == "CREATE_COMPLETE")


def wait(what: str, done: Callable[[], bool]) -> None:
    """Waits until something is so.

    Raises:
        PipelineError: it is not within an hour.
    """
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > _PATIENCE:
            raise PipelineError(f"{what} did not end within an hour: look at the stack's logs.")
        time.sleep(_POLL_SECONDS)
