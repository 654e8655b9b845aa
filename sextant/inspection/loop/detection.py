"""One photograph through the model that answers for its project: a record, or the reason why there is none."""

from __future__ import annotations

import base64
import datetime as dt
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sextant.inspection import detector, photograph
from sextant.inspection.api import limits, training
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import split
from sextant.inspection.archive import load
from sextant.inspection.crop import Crop
from sextant.inspection.loop.arrival import PlaceError, arrival, item_of, told_time
from sextant.inspection.loop.champion import NoModelError, answering
from sextant.inspection.loop.journal import FAULT, NO_MODEL, Journal, Quarantined, Record
from sextant.inspection.rules import verdict as verdict_of
from sextant.inspection.settings import RejectRules

if TYPE_CHECKING:
    from sextant.inspection.api.services import Document, Services, Version
    from sextant.inspection.detector import Detection, Detector, Quality
    from sextant.inspection.loop.arrival import Arrival

_LOADED = 4
"""Detectors that a function keeps in memory."""
SURE = 0.8
"""Confidence below which an answer that comes without a verdict is handed to a person."""
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})
_WHOLE, _SIZE = Crop(), (320, 320)
"""How the quality of a photograph is measured where no detector of ours crops it."""
_PNG = b"\x89PNG\r\n\x1a\n"
_log = logging.getLogger(__name__)


class UnusableError(Exception):
    """A photograph that gets no verdict: `reason` is one word, `detail` tells a person what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Loaded:
    """The detectors that were read from archives, the latest used last."""

    s3: Any
    kept: OrderedDict[str, Detector] = field(default_factory=OrderedDict)

    def of(self, version: Version) -> Detector:
        """The detector of a version's archive."""
        if version.name not in self.kept:
            bucket, key = split(version.archive)
            self.kept[version.name] = load(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            while len(self.kept) > _LOADED:
                self.kept.popitem(last=False)
        self.kept.move_to_end(version.name)
        return self.kept[version.name]


@dataclass(frozen=True)
class Examined:
    """What a model says of a photograph. `mask` is a PNG, of pictures that are not accepted."""

    told: Document
    mask: bytes | None = None


def examine(services: Services, loaded: Loaded, named: tuple[str, str, str, str | None], run: str) -> Document:
    """The outcome of a photograph, for the journal. One that has a verdict keeps it and is not looked at again.

    Args:
        services: of the API.
        loaded: the detectors in memory.
        named: bucket, key, ETag and version of the photograph.
        run: the execution that asks.

    Returns:
        `{"outcome": "verdict", "record": …}` of a Record, or `{"outcome": "quarantine", "found": …}` of a Quarantined.

    Raises:
        ClientError, BotoCoreError: of AWS, where the next attempt may succeed.
        ApiError: of what hosts the model, likewise.
    """
    bucket, key, etag, version_id = named
    try:
        found = arrival(bucket, key, etag, version_id)
        there = Journal(services.table).of(found)
        record = there.model_copy(update={"run": run}) if there else _record(services, loaded, found, run)
    except (ClientError, BotoCoreError, ApiError):
        raise
    except Exception as error:  # noqa: BLE001 - the fault of one photograph, or of its model, must not stop the belt
        reason, detail = _reason(error)
        if reason == FAULT:
            _log.exception("no verdict on s3://%s/%s", bucket, key)
        quarantined = Quarantined(
            item=item_of(bucket, key, etag),
            source=f"s3://{bucket}/{key}",
            project=key.split("/")[1] if key.count("/") > 1 else "",
            etag=etag,
            version_id=version_id,
            reason=reason,
            detail=detail,
            at=dt.datetime.fromtimestamp(services.now(), dt.UTC).isoformat(timespec="seconds"),
        )
        return {"outcome": "quarantine", "found": quarantined.model_dump(exclude_none=True)}
    return {"outcome": "verdict", "record": record.model_dump(exclude_none=True)}


def _reason(error: Exception) -> tuple[str, str]:
    match error:
        case UnusableError() | photograph.PhotographError():
            return error.reason, error.detail
        case NoModelError():
            return ("no_such_project" if error.missing else NO_MODEL), str(error)
        case PlaceError():
            return "wrong_place", str(error)
        case _:
            # Whatever it is, trying the same again does not mend it.
            what = f"{type(error).__name__}: {error}"
            return FAULT, f"{what}. The log of the function Detect has the trace: mend it, then try again."


def _record(services: Services, loaded: Loaded, found: Arrival, run: str) -> Record:
    began = time.perf_counter()
    version, _ = answering(services, found.project)
    body, stored = _fetched(services.s3, found)
    examined = _examined(services, loaded, version, body)
    at = told_time(stored["Metadata"], stored["LastModified"])
    told = {
        **examined.told,
        "item": found.item,
        "project": found.project,
        "model_version": str(version.number),
        "line": found.line,
        "camera": found.camera,
        "trial": found.trial,
        "at": at.isoformat(timespec="milliseconds"),
        "arrived": stored["LastModified"].astimezone(dt.UTC).isoformat(timespec="seconds"),
        "source": found.source,
        "etag": found.etag,
        "version_id": found.version_id,
        "run": run,
    }
    if examined.mask is not None:
        key = f"masks/{found.project}/{found.item}.png"
        services.s3.put_object(Bucket=services.place.BUCKET, Key=key, Body=examined.mask, ContentType="image/png")
        told["mask"] = f"s3://{services.place.BUCKET}/{key}"
    return Record.model_validate({**told, "seconds": round(time.perf_counter() - began, 4)})


def _fetched(s3: Any, found: Arrival) -> tuple[bytes, Document]:
    """The photograph's bytes and what S3 tells of it: of that very content, even where it was overwritten since."""
    which = {"VersionId": found.version_id} if found.version_id else {"IfMatch": f'"{found.etag}"'}
    try:
        stored = s3.get_object(Bucket=found.bucket, Key=found.key, **which)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise UnusableError("gone", f"{found.source} was deleted or replaced before it was read") from error
    if stored["ContentLength"] > limits.PHOTOGRAPH_BYTES:
        size = f"{stored['ContentLength']:,} bytes; a photograph has at most {limits.PHOTOGRAPH_BYTES:,}"
        raise UnusableError("too_large", f"{found.source} has {size}: save it with more compression")
    return stored["Body"].read(), stored


def _examined(services: Services, loaded: Loaded, version: Version, body: bytes) -> Examined:
    """By this system's detector in this function, or by what hosts the models of this environment."""
    pixels = photograph.read(body)
    if services.place.BACKEND == "lambda":
        return told(detector.detect(loaded.of(version), pixels))
    kind = "image/png" if body.startswith(_PNG) else "image/jpeg"
    try:
        answer = services.backend.detect(version, body, kind)
    except ApiError as error:
        if error.status != 400:
            raise
        raise UnusableError("refused", error.message) from error
    try:
        rules = RejectRules.model_validate(training.settings(services, version.project).get("rules", {}))
    except ValueError as error:
        raise UnusableError("settings", f"settings.json of project {version.project}: {error}") from error
    return answered(answer, detector.see(pixels, _WHOLE, _SIZE).quality, rules)


def told(detection: Detection) -> Examined:
    """What a record keeps of a detection."""
    found = {
        "is_anomalous": detection.is_anomalous,
        "confidence": detection.confidence,
        "probability": detection.probability,
        "verdict": detection.verdict,
        "reason": detection.verdict_reason,
        "labels": [name for name, _, _ in detection.anomalies[1:]],
        "brightness": detection.quality.brightness,
        "sharpness": detection.quality.sharpness,
        "crop_ok": detection.crop_ok,
    }
    shown = detection.mask is not None and detection.verdict != "accept"
    return Examined(found, detector.mask_png(detection) if shown else None)


def answered(answer: Document, quality: Quality, rules: RejectRules) -> Examined:
    """What a record keeps of a DetectAnomalyResult, which tells no verdict: the project's rules give it.

    Args:
        answer: IsAnomalous and Confidence, and of segmentation Anomalies and AnomalyMask.
        quality: of the photograph.
        rules: of the project; where they name no confidence, a person looks below `SURE`.
    """
    is_anomalous, confidence = bool(answer["IsAnomalous"]), float(answer["Confidence"])
    anomalies = [(each["Name"], *_painted(each)) for each in answer.get("Anomalies", [])]
    sure = SURE if rules.min_confidence is None else rules.min_confidence
    verdict, reason = verdict_of(
        rules.model_copy(update={"min_confidence": sure}),
        is_anomalous=is_anomalous,
        confidence=confidence,
        anomalies=anomalies,
        product_found=True,  # such a model tells nothing of where it looked
    )
    found = {
        "is_anomalous": is_anomalous,
        "confidence": confidence,
        "verdict": verdict,
        "reason": reason,
        "labels": [name for name, _, _ in anomalies[1:]],
        "brightness": quality.brightness,
        "sharpness": quality.sharpness,
        "crop_ok": True,
    }
    mask = answer.get("AnomalyMask")
    # Of our own endpoint it is base64 text, of the service's client bytes.
    body = base64.b64decode(mask) if isinstance(mask, str) else mask
    return Examined(found, body if body and verdict != "accept" else None)


def _painted(anomaly: Document) -> tuple[str, float]:
    """Colour and share of the photograph, from 0 to 1, of one of a segmentation's Anomalies."""
    told = anomaly.get("PixelAnomaly", {})
    return str(told.get("Color", "")), float(told.get("TotalPercentageArea", 0))
