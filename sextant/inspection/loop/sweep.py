"""Photographs without a verdict: an event was lost, a run died, or no model was hosted. They are tried again.

Nothing is lost for good while its photograph is there: the bucket is compared with the journal, in the order of keys.
A bucket of years is too large for one run, so the item SWEEP / SWEEP of the table holds how far a comparison has come,
and the next run goes on from there. One that has ended is where the next begins in time: what arrived since its begin,
and `OVERLAP` before, is compared again, so that runs that failed leave no hour to nobody.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sextant.inspection.api.services import split
from sextant.inspection.api.store import Change, Put
from sextant.inspection.loop.arrival import INCOMING, NEW_DATA, PlaceError, arrival
from sextant.inspection.loop.journal import NO_VERDICT, SETTLED, Quarantined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sextant.inspection.loop.arrival import Arrival
    from sextant.inspection.loop.journal import Journal

OVERLAP = dt.timedelta(hours=1)
"""A photograph that is uploaded in parts counts as arrived when its upload began."""
_KEY = "SWEEP", "SWEEP"
_WHY = (
    "It had no verdict: its event was lost, or its run has died. It is tried again with each sweep; where that does "
    "not help, the log of the state machine names the step that fails."
)


class Sweep(BaseModel):
    """How far a comparison has come. Times are UTC.

    `ticket` is its own; `began` when it did; `since` from which time on it looks; `after` the last key that it has
    compared, None where it has ended.
    """

    model_config = ConfigDict(frozen=True)

    ticket: str
    began: dt.datetime
    since: dt.datetime
    after: str | None = ""


def due(
    journal: Journal,
    s3: Any,
    bucket: str,
    asked: Mapping[str, Any],
    *,
    now: dt.datetime,
    time_left: Callable[[], bool],
) -> Iterator[Arrival]:
    """The photographs that are to be tried again now. Each is noted as one without a verdict before it is given.

    Args:
        journal: of the system.
        s3: boto3's client.
        bucket: of the photographs.
        asked: `hours` to look back (to the last comparison), `settled`: seconds that one may be under way (600),
            `every`: hours between two comparisons (0), `quarantined`: all that are in quarantine, too.
        now: UTC.
        time_left: see `missed`.
    """
    going = begin(journal, now, hours=asked.get("hours"), every=asked.get("every", 0))
    if asked.get("quarantined"):
        yield from list(held(journal, bucket))
    elif going is not None and not going.after:
        yield from list(held(journal, bucket, NO_VERDICT))
    if going is not None:
        until = now - dt.timedelta(seconds=asked.get("settled", SETTLED.total_seconds()))
        for each in missed(journal, s3, bucket, going, until=until, time_left=time_left):
            _note(journal, each, now)
            yield each


def begin(journal: Journal, now: dt.datetime, *, hours: float | None = None, every: float = 0) -> Sweep | None:
    """The comparison that a run is to go on with: the one under way, or a new one.

    Args:
        journal: of the system.
        now: UTC.
        hours: to look back; a new comparison begins then, whatever is under way.
        every: hours that lie between the begins of two comparisons at least.

    Returns:
        None where it is too early for another one.
    """
    item = journal.table.get(_KEY)
    there = None if item is None else Sweep.model_validate(item)
    if there is not None and hours is None:
        if there.after is not None:
            return there
        if now < there.began + dt.timedelta(hours=every) - OVERLAP / 2:  # a schedule does not keep the second
            return None
    since = dt.datetime.fromtimestamp(0, dt.UTC)
    if there is not None:
        since = there.since if there.after is not None else there.began - SETTLED - OVERLAP
        if hours is not None:
            since = min(since, now - dt.timedelta(hours=hours))
    new = Sweep(ticket=uuid.uuid4().hex, began=now, since=since)
    journal.table.commit(Put(_KEY, new.model_dump(mode="json"), absent=False))
    return new


def missed(
    journal: Journal, s3: Any, bucket: str, sweep: Sweep, *, until: dt.datetime, time_left: Callable[[], bool]
) -> Iterator[Arrival]:
    """Photographs that have neither a verdict nor a reason for none. Keeps after each page of keys how far it is.

    Whoever takes one must have noted it before asking for the next: then nothing is passed over.

    Args:
        journal: of the system.
        s3: boto3's client.
        bucket: of the photographs.
        sweep: what `begin` gave.
        until: UTC; what arrived later may still be on its way, and is left to the next comparison.
        time_left: whether there is time for another page.
    """
    held = {each.item for each in journal.quarantined()}
    for prefix in (INCOMING, NEW_DATA):
        if (sweep.after or "") > prefix and not (sweep.after or "").startswith(prefix):
            continue  # it has been through
        request = {"Bucket": bucket, "Prefix": prefix, **({"StartAfter": sweep.after} if sweep.after else {})}
        for page in s3.get_paginator("list_objects_v2").paginate(**request):
            found = page.get("Contents", [])
            for each in found:
                if not sweep.since <= each["LastModified"] < until or each["Key"].endswith("/"):
                    continue
                named = _named(bucket, each["Key"], each["ETag"].strip('"'))
                if named and named.item not in held and not _known(journal, named, each["LastModified"]):
                    yield named
            if found and not (_reached(journal, sweep, found[-1]["Key"]) and time_left()):
                return  # another one has begun that looks back as far, or the next run goes on
    _reached(journal, sweep, None)


def _reached(journal: Journal, sweep: Sweep, after: str | None) -> bool:
    return not journal.table.commit(Change(_KEY, {"after": after}, {"ticket": [sweep.ticket]}))


def held(journal: Journal, bucket: str, *reasons: str) -> Iterator[Arrival]:
    """The photographs in quarantine for one of some reasons, or for any where none is given."""
    for each in journal.quarantined():
        key = each.source.removeprefix(f"s3://{bucket}/")
        if not reasons or each.reason in reasons:
            named = _named(bucket, key, each.etag, each.version_id)
            if named:
                yield named


def untold(journal: Journal, now: dt.datetime) -> Iterator[Arrival]:
    """The photographs of rejects whose run has died before people were told: another finds the verdict and tells."""
    for record in journal.untold(now):
        bucket, key = split(record.source)
        named = _named(bucket, key, record.etag, record.version_id)
        if named:
            yield named


def _note(journal: Journal, named: Arrival, now: dt.datetime) -> None:
    """Keeps that a photograph is tried again, until it has a verdict: the next comparison looks at later ones."""
    journal.quarantine(
        Quarantined(
            item=named.item,
            source=named.source,
            project=named.project,
            etag=named.etag,
            version_id=named.version_id,
            reason=NO_VERDICT,
            detail=_WHY,
            at=now.isoformat(timespec="seconds"),
        )
    )


def start(stepfunctions: Any, machine_arn: str, named: Arrival) -> None:
    """Has the state machine look at a photograph, as if its event had just come."""
    document = {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": named.bucket},
            "object": {
                "key": named.key,
                "etag": named.etag,
                **({"version-id": named.version_id} if named.version_id else {}),
            },
        },
    }
    stepfunctions.start_execution(stateMachineArn=machine_arn, input=json.dumps(document))


def _named(bucket: str, key: str, etag: str, version_id: str | None = None) -> Arrival | None:
    try:
        return arrival(bucket, key, etag, version_id)
    except PlaceError:
        return None  # another name would be another photograph


def _known(journal: Journal, named: Arrival, modified: dt.datetime) -> bool:
    if named.trial:
        return journal.item((f"TRIAL#{named.project}", f"{named.trial}#{named.item}")) is not None
    arrived = modified.astimezone(dt.UTC).isoformat(timespec="seconds")
    key = (f"ITEMS#{named.project}#{arrived[:10]}", f"{arrived}#{named.item}")
    return journal.known(key, named.item) is not None
