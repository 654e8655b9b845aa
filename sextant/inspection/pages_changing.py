"""What administrators change in the console: projects, labels, trainings, what answers, and what the model learns."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sextant.console.operation import OperationError
from sextant.inspection import manifest
from sextant.inspection import pages_model as model
from sextant.inspection.api import datasets, limits, models, projects
from sextant.inspection.api.services import dataset_key, entry_key, split, the_project
from sextant.inspection.loop import champion, duel, review
from sextant.inspection.loop.arrival import NEW_DATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sextant.inspection.pages_desk import Desk

_JOB = "sextant/console"
"""The job's name in the manifest lines of photographs that were labelled in the console."""
_COPIERS = 16
_MOST_OF_A_TRIAL = 500
_MOST_ADDED = 500
"""Photographs at once: a request has half a minute. What is left over waits on, and the page says how many."""


def create(desk: Desk, name: str) -> model.Done:
    """Makes a project.

    Raises:
        ApiError: there is one of that name.
    """
    projects.create_project(desk.services, {"ProjectName": name})
    return model.Done(words=f"Project {name} is there. Give it a dataset next.")


def load(desk: Desk, name: str, asked: model.Import) -> model.Done:
    """Photographs of a folder, or those of a manifest, into a dataset: a new one, or one that is there.

    Raises:
        ApiError: the dataset is just being changed.
        ManifestError: a line cannot be used.
        OperationError: there is nothing to import, or more than a dataset holds.
    """
    services = desk.services
    the_project(services, name)
    lines = _manifest(desk, asked.source) if _is_manifest(asked.source) else _folder(desk, asked)
    if not lines:
        raise OperationError(
            404,
            "NothingThere",
            f"{asked.source} holds no photograph (.jpg, .jpeg or .png)",
            "Give the folder that holds them, or their manifest.",
        )
    most = limits.IMAGES[asked.kind]
    if len(lines) > most:
        message = f"{asked.source} has {len(lines):,} photographs; a {asked.kind} dataset holds {most:,}"
        raise OperationError(422, "TooMany", message, "Import a part of it.")
    body = "".join(f"{line}\n" for line in lines).encode()
    there = services.table.get(dataset_key(name, asked.kind))
    if there is not None:
        datasets.update_dataset_entries(services, _changes(name, asked.kind, body))
    else:
        key = f"projects/{name}/datasets/{asked.kind}/import-{services.identifier()}.manifest"
        services.s3.put_object(Bucket=desk.bucket, Key=key, Body=body)
        source = {"GroundTruthManifest": {"S3Object": {"Bucket": desk.bucket, "Key": key}}}
        datasets.create_dataset(services, {"ProjectName": name, "DatasetType": asked.kind, "DatasetSource": source})
    return model.Done(words=f"{len(lines):,} photographs are being imported.", count=len(lines))


def _is_manifest(source: str) -> bool:
    return source.endswith((".manifest", ".jsonl"))


def _folder(desk: Desk, asked: model.Import) -> list[str]:
    bucket, prefix, keys = _listed(desk, asked.source)
    now = dt.datetime.fromtimestamp(desk.services.now(), dt.UTC)
    root = f"s3://{bucket}/{prefix}".rstrip("/")
    return list(manifest.of_folder(root, keys, now, labelled=asked.labelled))


def _manifest(desk: Desk, source: str) -> list[str]:
    bucket, key = split(source)
    body = desk.services.s3.get_object(Bucket=bucket, Key=key)["Body"].read(limits.MANIFEST_BYTES)
    root = source.rpartition("/")[0]
    found = (manifest.under(line, root, number) for number, line in enumerate(body.splitlines(), 1) if line.strip())
    return list(found)


def _listed(desk: Desk, source: str) -> tuple[str, str, list[str]]:
    """The bucket, the folder's prefix, and the keys below it relative to it."""
    bucket, key = split(source)
    prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
    pages = desk.services.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"].removeprefix(prefix) for found in pages for each in found.get("Contents", [])]
    return bucket, prefix, keys


def label(desk: Desk, name: str, asked: model.Labels) -> model.Done:
    """Changes labels in a dataset; what a line says besides stays, but for the mask of what is normal now.

    Raises:
        ApiError: the dataset is just being changed.
        OperationError: a photograph is not in it.
    """
    services = desk.services
    datasets.the_dataset(services, name, asked.kind)
    now = dt.datetime.fromtimestamp(services.now(), dt.UTC)
    lines = []
    for each in asked.labels:
        item = services.table.get(entry_key(name, asked.kind, each.source))
        if item is None:
            message = f"{each.source} is not in the {asked.kind} dataset of project {name}"
            raise OperationError(404, "NotThere", message, "Reload the page.")
        lines.append(relabelled(item["line"], each.label, now))
    datasets.update_dataset_entries(services, _changes(name, asked.kind, "".join(f"{e}\n" for e in lines).encode()))
    return model.Done(words=f"{len(lines)} labels are being changed.", count=len(lines))


def relabelled(line: str, label: model.Label, at: dt.datetime) -> str:
    """A manifest line with another label; a normal photograph has no mask."""
    document = json.loads(line)
    for name in [each.removesuffix("-metadata") for each in document if each.endswith("-metadata")]:
        kind = document[f"{name}-metadata"].get("type")
        if kind == manifest.CLASSIFICATION or (kind == manifest.SEGMENTATION and label == "normal"):
            document.pop(name, None)
            document.pop(f"{name}-metadata")
    own = json.loads(manifest.line_of(document["source-ref"], label, at, _JOB))
    return json.dumps({**document, **own}, separators=(",", ":"), ensure_ascii=False)


def _changes(name: str, kind: model.Kind, body: bytes) -> dict[str, Any]:
    if len(body) > limits.CHANGES_BYTES:
        raise OperationError(
            422,
            "TooMuch",
            f"the change has {len(body):,} bytes; one has at most {limits.CHANGES_BYTES:,}",
            "Take less.",
        )
    return {"ProjectName": name, "DatasetType": kind, "Changes": body}


def train(desk: Desk, name: str) -> model.Done:
    """Trains a new version on the datasets as they are.

    Raises:
        ApiError: as CreateModel.
    """
    number = review.train(desk.services, name)
    return model.Done(words=f"Version {number} is being trained.", count=int(number))


def host(desk: Desk, name: str, asked: model.Host) -> model.Done:
    """Starts or stops a version.

    Raises:
        ApiError: as StartModel and StopModel.
    """
    request = {"ProjectName": name, "ModelVersion": str(asked.version)}
    if asked.running:
        models.start_model(desk.services, {**request, "MinInferenceUnits": asked.units})
        return model.Done(words=f"Version {asked.version} is being started.")
    models.stop_model(desk.services, request)
    return model.Done(words=f"Version {asked.version} is being stopped.")


def promote(desk: Desk, name: str, version: int, who: str) -> model.Done:
    """Has a version answer for the project's belts.

    Raises:
        ApiError: its training did not succeed.
    """
    moved = champion.point(desk.services, name, version, who, "promoted by hand")
    return model.Done(words=f"Version {moved.version} is the champion.")


def roll_back(desk: Desk, name: str, who: str) -> model.Done:
    """Has the version before answer again.

    Raises:
        ApiError: there is none.
    """
    moved = champion.roll_back(desk.services, name, who)
    return model.Done(words=f"Version {moved.version} is the champion again.")


def freeze(desk: Desk, name: str, version: int) -> model.Done:
    """Makes the test photographs of a version's training those on which champions and challengers are compared.

    Raises:
        OperationError: it was trained without a test dataset.
    """
    models.settled(desk.services, name, str(version))
    found = duel.freeze(desk.services, name, version)
    if not found:
        message = f"version {version} of project {name} was trained without a test dataset"
        raise OperationError(409, "NoTestSet", message, "Make a test dataset, train, and freeze that version's.")
    return model.Done(words=f"{len(found)} photographs are frozen for comparisons.", count=len(found))


def verify(desk: Desk, name: str, asked: model.Verify, who: str) -> model.Done:
    """A person says whether the model is right about photographs.

    Raises:
        LookupError: one is not in the journal any more.
    """
    for sort in asked.keys:
        key = review.journal_key(name, sort, trial=asked.where == "trial")
        review.verify(desk.journal, key, correct=asked.correct, who=who)
    return model.Done(words=f"{len(asked.keys)} verified.", count=len(asked.keys))


def add(desk: Desk, name: str) -> model.Done:
    """Adds the verified photographs of a project to its training dataset, 500 at once.

    Raises:
        ApiError: there is no training dataset, or it is just being changed.
        LookupError: a photograph is not in the journal any more.
    """
    review.settle(desk.journal, name)
    keys = list(itertools.islice(review.verified(desk.journal, name), _MOST_ADDED))
    count = review.add(desk.services, desk.journal, name, keys)
    return model.Done(words=f"{count} photographs are being added to the training dataset.", count=count)


def attempt(desk: Desk, name: str, asked: model.Try) -> model.Done:
    """Runs a trial detection: the photographs of a folder are copied to where trials begin.

    Raises:
        OperationError: there is nothing to try, or more than a trial takes.
    """
    services = desk.services
    the_project(services, name)
    bucket, prefix, keys = _listed(desk, asked.source)
    found = [each for each in keys if each.lower().endswith((".jpg", ".jpeg", ".png"))]
    if not 0 < len(found) <= _MOST_OF_A_TRIAL:
        message = f"{asked.source} holds {len(found):,} photographs; a trial takes 1 to {_MOST_OF_A_TRIAL}"
        raise OperationError(422, "TrialSize", message, "Give another folder.")

    def copy(each: str) -> None:
        target = f"{NEW_DATA}{name}/{asked.trial}/{each}"
        services.s3.copy_object(Bucket=desk.bucket, Key=target, CopySource={"Bucket": bucket, "Key": f"{prefix}{each}"})

    with ThreadPoolExecutor(_COPIERS) as pool:
        _all(pool.map(copy, found))
    return model.Done(words=f"{len(found)} photographs are on their way through the model.", count=len(found))


def _all(results: Iterable[None]) -> None:
    for _ in results:
        pass
