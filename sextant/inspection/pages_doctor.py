"""The data doctor as the console shows it: a project's datasets are examined by a function that nobody waits for."""

from __future__ import annotations

import datetime as dt
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection import doctor, manifest
from sextant.inspection import pages_model as model
from sextant.inspection.api import models
from sextant.inspection.api.services import dataset_key, split, the_project
from sextant.inspection.evaluation import Evaluation
from sextant.inspection.examples import Example, InputError
from sextant.inspection.loop.champion import champion
from sextant.inspection.pages_reading import KINDS, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sextant.inspection.api.services import Services

MOST = 2000
"""Photographs of a dataset that one examination looks at: it has a quarter of an hour."""
_SHOWN = 24
_TOO_LONG = dt.timedelta(minutes=16)


def ask(services: Services, start: Callable[[str], None], name: str) -> model.Done:
    """Has the datasets of a project examined.

    Args:
        services: of the API.
        start: begins an examination (`examine`) that nobody waits for.
        name: of the project.

    Raises:
        ApiError: there is no such project.
    """
    the_project(services, name)
    _write(services, name, {"state": "running", "at": _now(services).isoformat(timespec="seconds")})
    start(name)
    return model.Done(words="The photographs are being examined.")


def report(services: Services, name: str) -> model.Doctor:
    """The last examination of a project."""
    the_project(services, name)
    try:
        body = services.s3.get_object(Bucket=services.place.BUCKET, Key=_key(name))["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
            raise
        return model.Doctor(state="never")
    document = json.loads(body)
    seen = document.pop("seen", None)
    told = model.Doctor.model_validate(document)
    if told.state == "running" and told.at and _now(services) - dt.datetime.fromisoformat(told.at) > _TOO_LONG:
        message = "It did not come to an end; the log of the function Doctor says why. Examine again."
        return told.model_copy(update={"state": "failed", "message": message})
    return told.model_copy(update={"outdated": told.state == "done" and seen != _seen(services, name)})


def examine(services: Services, name: str) -> model.Doctor:
    """Examines the datasets of a project and keeps what is found."""
    at = _now(services).isoformat(timespec="seconds")
    seen = _seen(services, name)
    examples: dict[str, list[Example]] = {}
    left_out = 0
    for kind in KINDS:
        below = services.table.below(f"PROJECT#{name}", f"ENTRY#{kind}#")
        labelled = [item for _, item in below if item.get("label") is not None]
        examples[kind] = [_example(services, item["line"]) for item in labelled[:MOST]]
        left_out += len(labelled) - len(examples[kind])
    try:
        found = doctor.examine(examples["train"], test=examples["test"], out_of_fold=_out_of_fold(services, name))
        told = model.Doctor(
            state="done",
            at=at,
            photographs=sum(len(each) for each in examples.values()),
            left_out=left_out,
            findings=tuple(_found(found)),
        )
    except (InputError, LookupError) as error:
        told = model.Doctor(state="failed", at=at, message=str(error))
    _write(services, name, {**told.model_dump(mode="json", exclude={"may_change", "outdated"}), "seen": seen})
    return told


def _found(findings: Sequence[doctor.Finding]) -> list[model.Found]:
    return [
        model.Found(
            kind=each.kind,
            words=each.words,
            remedy=each.remedy,
            sources=each.sources[:_SHOWN],
            shown=len(each.sources),
            numbers={name: float(value) for name, value in each.numbers.items()},
        )
        for each in findings
    ]


def _example(services: Services, line: str) -> Example:
    entry = manifest.read(line)
    return Example(source=entry.source, label=entry.label or "normal", pixels=partial(_pixels, services, entry.source))


def _pixels(services: Services, source: str) -> bytes:
    """The photograph's bytes; of one that is gone none, which the doctor tells as unreadable."""
    bucket, key = split(source)
    try:
        body: bytes = services.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "NoSuchBucket", "404"}:
            raise
        return b""
    return body


def _out_of_fold(services: Services, name: str) -> Evaluation | None:
    """What the champion's training said of each photograph without having seen it."""
    pointer = champion(services, name)
    if pointer is None:
        return None
    found, _ = models.observed(services, name, str(pointer.version))
    metrics = opened(services, found).get("metrics.json")
    return Evaluation.model_validate(json.loads(metrics)["out_of_fold"]) if metrics else None


def _seen(services: Services, name: str) -> list[str]:
    """When the datasets were last changed."""
    items = (services.table.get(dataset_key(name, kind)) for kind in KINDS)
    return [str(item["updated"]) if item else "" for item in items]


def _write(services: Services, name: str, document: dict[str, Any]) -> None:
    body = json.dumps(document, ensure_ascii=False).encode()
    services.s3.put_object(Bucket=services.place.BUCKET, Key=_key(name), Body=body, ContentType="application/json")


def _key(name: str) -> str:
    return f"projects/{name}/doctor.json"


def _now(services: Services) -> dt.datetime:
    return dt.datetime.fromtimestamp(services.now(), dt.UTC)
