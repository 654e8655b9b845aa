"""The journal as JSON lines for Athena: one object per project and hour, written anew whenever the hour changes.

`verdicts/day=YYYY-MM-DD/{project}-{HH}.jsonl`, hours of the photographs' arrival in UTC. An object holds every verdict
of its hour exactly once, so a table over them counts each item once, however often it was delivered.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection.loop.journal import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sextant.inspection.loop.journal import Journal, Record

PREFIX = "verdicts/"
FIELDS = (
    "item",
    "project",
    "model_version",
    "line",
    "camera",
    "at",
    "is_anomalous",
    "confidence",
    "verdict",
    "labels",
    "brightness",
    "sharpness",
    "crop_ok",
    "source",
    "seconds",
    "truth",
)
"""What a line tells; `truth` (`normal` or `anomaly`) is null until a person has said it."""
_OVERTAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"})


def publish(journal: Journal, s3: Any, bucket: str, now: dt.datetime) -> list[str]:
    """Writes the lines of this hour, the one before and those in which something changed later; tells their keys.

    An hour that another writer has written meanwhile is left to the next time: the slower of two knows less.

    Args:
        journal: of the system.
        s3: boto3's client.
        bucket: takes the lines.
        now: UTC.
    """
    recent = [now.strftime(HOUR), (now - dt.timedelta(hours=1)).strftime(HOUR)]
    late = journal.late()  # taken before reading: what is marked after this is written the next time
    hours = {(hour, project) for project in journal.projects() for hour in recent}
    hours |= {(each.hour, each.project) for each in late}
    written: list[str] = []
    overtaken: set[tuple[str, str]] = set()
    for hour, project in sorted(hours):
        try:
            written += _write(journal, s3, bucket, hour, project)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN:
                raise
            overtaken.add((hour, project))
    journal.settle(each for each in late if (each.hour, each.project) not in overtaken)
    return written


def line(record: Record) -> str:
    """One verdict as a line of JSON, with its end."""
    told = record.model_dump(include=set(FIELDS))
    return json.dumps({name: told[name] for name in FIELDS}, ensure_ascii=False, separators=(",", ":")) + "\n"


def key_of(hour: str, project: str) -> str:
    """The object of an hour (`YYYY-MM-DDTHH`) of a project."""
    day, _, of_day = hour.partition("T")
    return f"{PREFIX}day={day}/{project}-{of_day}.jsonl"


def _write(journal: Journal, s3: Any, bucket: str, hour: str, project: str) -> list[str]:
    """The key of what was written; none where the hour has no verdict."""
    key = key_of(hour, project)
    there = _there(s3, bucket, key)  # before the journal is read: what is written after this is newer
    body = "".join(
        line(each) for each in _of_hour(journal.items(project, dt.date.fromisoformat(hour[:10]), hour), hour)
    )
    if not body:
        return []
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/jsonlines", **there)
    return [key]


def _there(s3: Any, bucket: str, key: str) -> dict[str, str]:
    """The condition under which an object is still as it is now."""
    try:
        return {"IfMatch": s3.head_object(Bucket=bucket, Key=key)["ETag"]}
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        return {"IfNoneMatch": "*"}


def _of_hour(records: Iterable[Record], hour: str) -> Iterable[Record]:
    for record in records:
        if not record.arrived.startswith(hour):
            return  # they come in order, from the hour's begin on
        yield record
