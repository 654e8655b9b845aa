"""The journal as JSON lines for Athena: one object per project and hour, written anew whenever the hour changes.

`verdicts/day=YYYY-MM-DD/{project}-{HH}.jsonl`, hours of the photographs' arrival in UTC. An object holds every verdict
of its hour exactly once, so a table over them counts each item once, however often it was delivered.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

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


def publish(journal: Journal, s3: Any, bucket: str, now: dt.datetime) -> list[str]:
    """Writes the lines of this hour, the one before and those in which something changed later; tells their keys.

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
    written = [key for hour, project in sorted(hours) if (key := _write(journal, s3, bucket, hour, project))]
    for each in late:
        journal.settle(each)
    return written


def line(record: Record) -> str:
    """One verdict as a line of JSON, with its end."""
    told = record.model_dump(include=set(FIELDS))
    return json.dumps({name: told[name] for name in FIELDS}, ensure_ascii=False, separators=(",", ":")) + "\n"


def key_of(hour: str, project: str) -> str:
    """The object of an hour (`YYYY-MM-DDTHH`) of a project."""
    day, _, of_day = hour.partition("T")
    return f"{PREFIX}day={day}/{project}-{of_day}.jsonl"


def _write(journal: Journal, s3: Any, bucket: str, hour: str, project: str) -> str | None:
    body = "".join(
        line(each) for each in _of_hour(journal.items(project, dt.date.fromisoformat(hour[:10]), hour), hour)
    )
    if not body:
        return None
    key = key_of(hour, project)
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/jsonlines")
    return key


def _of_hour(records: Iterable[Record], hour: str) -> Iterable[Record]:
    for record in records:
        if not record.arrived.startswith(hour):
            return  # they come in order, from the hour's begin on
        yield record
