"""A photograph that has arrived in the bucket: what its key tells, and the name by which it counts once.

Keys: `incoming/{project}/{line}/{camera}/{file}` from a belt, `new-data/{project}/[{trial}/]{file}` for a trial.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["incoming", "new-data"]

INCOMING, NEW_DATA = "incoming/", "new-data/"
_TRIAL = "new-data"
"""The trial of photographs that lie in no folder of their own."""


class PlaceError(ValueError):
    """A key that tells no project and place. The message says what it should look like."""


class Arrival(BaseModel):
    """One version of a photograph. `line` and `camera` are empty in a trial, `trial` on a belt."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    key: str
    etag: str
    version_id: str | None = None
    kind: Kind
    project: str
    line: str = ""
    camera: str = ""
    trial: str = ""

    @property
    def item(self) -> str:
        """The name of the item on the photograph: the same for the same content at the same place."""
        return item_of(self.bucket, self.key, self.etag)

    @property
    def source(self) -> str:
        """The photograph's URI."""
        return f"s3://{self.bucket}/{self.key}"


def item_of(bucket: str, key: str, etag: str) -> str:
    """See `Arrival.item`: 24 hexadecimal digits."""
    return hashlib.sha256(f"{bucket}\n{key}\n{etag}".encode()).hexdigest()[:24]


def arrival(bucket: str, key: str, etag: str, version_id: str | None = None) -> Arrival:
    """What a stored object's name tells.

    Raises:
        PlaceError: the key is not one of a photograph.
    """
    parts = key.split("/")
    if key.startswith(INCOMING):
        if len(parts) < 5 or not all(parts[1:4]) or not parts[-1]:
            raise PlaceError(f"{key} should be {INCOMING}PROJECT/LINE/CAMERA/FILE: put the photograph there")
        place = {"kind": "incoming", "project": parts[1], "line": parts[2], "camera": parts[3]}
    elif key.startswith(NEW_DATA):
        if len(parts) < 3 or not parts[1] or not parts[-1]:
            raise PlaceError(f"{key} should be {NEW_DATA}PROJECT/FILE or {NEW_DATA}PROJECT/TRIAL/FILE: put it there")
        place = {"kind": "new-data", "project": parts[1], "trial": parts[2] if len(parts) > 3 else _TRIAL}
    else:
        raise PlaceError(f"{key} lies neither below {INCOMING} nor below {NEW_DATA}: put photographs there")
    told = {"bucket": bucket, "key": key, "etag": etag, "version_id": version_id}
    return Arrival.model_validate({**told, **place})


def named_in(event: Mapping[str, Any]) -> tuple[str, str, str, str | None]:
    """Bucket, key, ETag and version of an `Object Created` event of EventBridge."""
    stored = event["detail"]["object"]
    return event["detail"]["bucket"]["name"], stored["key"], stored.get("etag", ""), stored.get("version-id")


def told_time(metadata: Mapping[str, str], modified: dt.datetime) -> dt.datetime:
    """When the photograph was taken, in UTC: what its uploader wrote into the metadata `at`, or when it arrived."""
    try:
        at = dt.datetime.fromisoformat(metadata.get("at", ""))
        return at.astimezone(dt.UTC) if at.tzinfo else at.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):  # no time, or one that UTC's calendar does not have
        return modified.astimezone(dt.UTC)
