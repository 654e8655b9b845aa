"""After detection: the journal, the metrics, and what a person is told of a reject. Twice the same is done once."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sextant.inspection.api.services import split
from sextant.inspection.loop.journal import FAULT, NO_MODEL, Journal, Quarantined, Record
from sextant.inspection.loop.metrics import tell

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sextant.inspection.loop.metrics import Name

_LINK_SECONDS = 12 * 3600
"""How long a link to a picture lasts at most: it ends with the session of the role that signed it."""
_SUBJECT = 100  # of SNS


class Place(BaseModel):
    """The environment of the recording function."""

    model_config = ConfigDict(frozen=True)

    TABLE: str
    METRICS: str
    """The namespace of the metrics."""


@dataclass(frozen=True)
class Recorder:
    """Writes outcomes; `s3` is boto3's client, for links."""

    journal: Journal
    s3: Any
    metrics: str

    def write(self, outcome: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        """Keeps an outcome of `detection.examine` and tells what the state machine does next.

        Returns:
            `verdict` (or `quarantine`), and `tell`: whether people are to be told, with `subject` and `message`.
        """
        if outcome["outcome"] == "quarantine":
            found = Quarantined.model_validate(outcome["found"])
            self.journal.quarantine(found)
            if found.reason != NO_MODEL:  # it waits, and will be looked at
                name: Name = "ErrorCount" if found.reason == FAULT else "InvalidImageCount"
                tell(self.metrics, found.project or "unknown", "none", {name: 1})
            return {"verdict": "quarantine", "item": found.item, "tell": False}
        record = Record.model_validate(outcome["record"])
        new = self.journal.record(record, now)
        if new and not record.trial:
            counts: dict[Name, float] = {
                "ProcessedImageCount": 1,
                "SuccessfulRequestCount": 1,
                "Time": 1000 * record.seconds,
            }
            if record.is_anomalous:
                counts["DetectedAnomalyCount"] = 1
            tell(self.metrics, record.project, record.model_version, counts)
        rejected = record.verdict == "reject" and not record.trial
        asked = rejected and (new or self.journal.is_untold(record, now))
        told = {"subject": subject(record), "message": message(record, self._link(record))} if asked else {}
        return {"verdict": record.verdict, "item": record.item, "project": record.project, "tell": asked, **told}

    def _link(self, record: Record) -> str:
        bucket, key = split(record.source)
        which = {"VersionId": record.version_id} if record.version_id else {}
        # Whoever put it may have told no type, and a browser would save what it is to show.
        kind = "image/png" if key.lower().endswith(".png") else "image/jpeg"
        link: str = self.s3.generate_presigned_url(
            "get_object",
            Params={"Bucket": bucket, "Key": key, "ResponseContentType": kind, **which},
            ExpiresIn=_LINK_SECONDS,
        )
        return link


def subject(record: Record) -> str:
    """What a mail's subject says, in the 100 characters of ASCII that SNS allows.

    Accents are left off; a name that is no ASCII even so is told by the body only.
    """
    names = (unicodedata.normalize("NFKD", each) for each in (record.project, record.line, record.camera))
    plain = ("".join(sign for sign in name if not unicodedata.combining(sign)) for name in names)
    return f"Reject: {' / '.join(name for name in plain if name.isascii() and name.isprintable())}"[:_SUBJECT]


def message(record: Record, link: str) -> str:
    """What people read of a reject, and what they can do where it is wrong."""
    seen = f": {', '.join(record.labels)}" if record.labels else ""
    wrong = {"action": "verify", "project": record.project, "items": [list(record.key)], "correct": False, "who": "…"}
    return (
        f"Project {record.project} has rejected an item{seen}.\n\n"
        f"Line: {record.line}\n"
        f"Camera: {record.camera}\n"
        f"Taken: {record.at}\n"
        f"Confidence: {record.confidence:.0%}, by model version {record.model_version}\n"
        f"Photograph: {record.source}\n"
        f"Item: {record.item}\n\n"
        f"See it (for some hours): {link}\n\n"
        "Is the item good? Then say that the verdict is wrong, so that the next model can learn from it: in the "
        "console on the page Review, or to the function Review (its name is an output of the stack) with\n"
        f"{json.dumps(wrong, ensure_ascii=False)}\n"
    )
