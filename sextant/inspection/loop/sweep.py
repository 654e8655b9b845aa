"""Photographs without a verdict: an event was lost, a run died, or no model was hosted. They are tried again.

Nothing is lost for good while its photograph is there: the bucket is compared with the journal.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from sextant.inspection.loop.arrival import INCOMING, NEW_DATA, PlaceError, arrival

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sextant.inspection.loop.arrival import Arrival
    from sextant.inspection.loop.journal import Journal

SETTLED = dt.timedelta(minutes=10)
"""A photograph younger than this may still be on its way."""


def missed(journal: Journal, s3: Any, bucket: str, since: dt.datetime, until: dt.datetime) -> Iterator[Arrival]:
    """Photographs that arrived in a span of time (UTC) and have neither a verdict nor a reason for none."""
    held = {each.item for each in journal.quarantined()}
    for prefix in (INCOMING, NEW_DATA):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                if not since <= found["LastModified"] < until or found["Key"].endswith("/"):
                    continue
                named = _named(bucket, found["Key"], found["ETag"].strip('"'))
                if named and named.item not in held and not _known(journal, named, found["LastModified"]):
                    yield named


def held(journal: Journal, bucket: str, *reasons: str) -> Iterator[Arrival]:
    """The photographs in quarantine for one of some reasons, or for any where none is given."""
    for each in journal.quarantined():
        key = each.source.removeprefix(f"s3://{bucket}/")
        if not reasons or each.reason in reasons:
            named = _named(bucket, key, each.etag, each.version_id)
            if named:
                yield named


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
