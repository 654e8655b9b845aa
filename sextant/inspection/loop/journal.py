"""The journal: one record per photograph, what waits for a person, what could not be used. Each is written once.

Items of the table (partition key, sort key), where `arrived` is the photograph's LastModified in S3, which is the same
however often its event comes:

| pk | sk | is |
| --- | --- | --- |
| ITEMS#{project}#{YYYY-MM-DD} | {arrived}#{item} | a verdict |
| PHOTOGRAPH#{item} | PHOTOGRAPH | where the verdict of an item lies: a photograph that is put again is no other item |
| REVIEW#{project} | {arrived}#{item} | a verdict that waits for a person |
| TRIAL#{project} | {trial}#{item} | a photograph of a trial with what the model says of it |
| QUARANTINE | {item} | a photograph without a verdict, and why |
| LATE | {YYYY-MM-DDTHH}#{project} | an hour whose lines are to be written again |
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from sextant.inspection.api.store import Change, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sextant.inspection.api.store import Action, Item, Key, Table

Verdict: TypeAlias = Literal["accept", "reject", "review"]
Label: TypeAlias = Literal["normal", "anomaly"]

HOUR = "%Y-%m-%dT%H"


class Record(BaseModel):
    """One verdict. Times are ISO 8601 in UTC; `labels` are the names of the anomalies seen, the background left out.

    `run` names the execution that wrote it; `mask` is the URI of the anomaly mask (PNG), where there is one; `truth`
    is what a person said afterwards.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    project: str
    model_version: str
    line: str = ""
    camera: str = ""
    trial: str = ""
    at: str
    arrived: str
    is_anomalous: bool
    confidence: float
    probability: float | None = None
    verdict: Verdict
    reason: str = ""
    labels: tuple[str, ...] = ()
    brightness: float
    sharpness: float
    crop_ok: bool
    source: str
    mask: str | None = None
    seconds: float
    truth: Label | None = None
    checked_by: str | None = None
    run: str = ""

    @property
    def sort(self) -> str:
        """The sort key among the verdicts of a project."""
        return f"{self.arrived}#{self.item}"

    @property
    def key(self) -> Key:
        """Where the record lies."""
        if self.trial:
            return f"TRIAL#{self.project}", f"{self.trial}#{self.item}"
        return f"ITEMS#{self.project}#{self.arrived[:10]}", self.sort


class Quarantined(BaseModel):
    """A photograph without a verdict: `reason` is of `REASONS` or of PhotographError, `detail` tells a person."""

    model_config = ConfigDict(frozen=True)

    item: str
    source: str
    project: str = ""
    etag: str = ""
    version_id: str | None = None
    reason: str
    detail: str
    at: str


NO_MODEL = "no_model_running"
"""Photographs that only wait: the next sweep after a start tries them again."""
REASONS = (NO_MODEL, "no_such_project", "wrong_place", "gone")


@dataclass(frozen=True)
class Late:
    """An hour (`YYYY-MM-DDTHH`) of a project whose lines are to be written again; each marking has its own ticket."""

    hour: str
    project: str
    ticket: str


@dataclass(frozen=True)
class Journal:
    """The records of a table."""

    table: Table

    def record(self, record: Record, now: dt.datetime) -> bool:
        """Writes the verdict of an item that has none yet, and takes the photograph out of quarantine.

        Returns:
            Whether this very run wrote it, now or in an attempt before: then what follows from it is still to be done.
        """
        if not self._written(record):
            there = self.known(record.key, record.item)
            if there is not None:
                self.release(record.item)  # put again while no model ran, it waits without need
                return there.run == record.run
            self._written(record, anew=True)
        if not record.trial and _is_late(record.arrived, now):
            self.mark_late(record)
        return True

    def _written(self, record: Record, *, anew: bool = False) -> bool:
        """Whether there was no verdict yet; `anew` where the one that the item had is not there any more."""
        actions: list[Action] = [Put(record.key, _kept(record))]
        if not record.trial:
            pk, sk = record.key
            actions.append(Put(_first(record.item), {"under": pk, "sort": sk}, absent=not anew))
        if record.verdict == "review" and not record.trial:
            actions.append(Put((f"REVIEW#{record.project}", record.sort), _kept(record), absent=False))
        actions.append(Remove(("QUARANTINE", record.item)))
        return not self.table.commit(*actions)

    def quarantine(self, found: Quarantined) -> None:
        """Keeps a photograph that could not be used; the same again replaces it."""
        self.table.commit(Put(("QUARANTINE", found.item), found.model_dump(exclude_none=True), absent=False))

    def quarantined(self) -> Iterator[Quarantined]:
        """All of them, by item."""
        for _, item in self.table.below("QUARANTINE"):
            yield Quarantined.model_validate(item)

    def release(self, item: str) -> None:
        """Takes a photograph out of quarantine."""
        self.table.commit(Remove(("QUARANTINE", item)))

    def items(self, project: str, day: dt.date, after: str = "") -> Iterator[Record]:
        """The verdicts of a UTC day in their order, from the one after a sort key on."""
        for _, item in self.table.below(f"ITEMS#{project}#{day.isoformat()}", after=after):
            yield _read(item)

    def item(self, key: Key) -> Record | None:
        """One record by its key."""
        found = self.table.get(key)
        return None if found is None else _read(found)

    def known(self, key: Key, item: str) -> Record | None:
        """The record under a key, or where the item's photograph has come before: put again, it arrives anew."""
        found = self.item(key)
        if found is None and (first := self.table.get(_first(item))) is not None:
            found = self.item((first["under"], first["sort"]))
        return found

    def waiting(self, project: str) -> Iterator[Record]:
        """The verdicts that wait for a person, the oldest first."""
        for _, item in self.table.below(f"REVIEW#{project}"):
            yield _read(item)

    def trial(self, project: str, trial: str = "") -> Iterator[Record]:
        """The photographs of a trial, or of all trials of a project."""
        for _, item in self.table.below(f"TRIAL#{project}", f"{trial}#" if trial else ""):
            yield _read(item)

    def check(self, record: Record, truth: Label, who: str) -> None:
        """Keeps what a person says of a photograph, and ends its waiting."""
        actions: list[Action] = [Change(record.key, {"truth": truth, "checked_by": who})]
        if not record.trial:
            actions.append(Remove((f"REVIEW#{record.project}", record.sort)))
        if self.table.commit(*actions):
            raise LookupError(f"item {record.item} is not in the journal any more: reload the list")
        if not record.trial:
            self.mark_late(record)

    def mark_late(self, record: Record) -> None:
        """Has the lines of the record's hour written again."""
        hour = dt.datetime.fromisoformat(record.arrived).strftime(HOUR)
        self.table.commit(Put(("LATE", f"{hour}#{record.project}"), {"ticket": uuid.uuid4().hex}, absent=False))

    def late(self) -> list[Late]:
        """The hours whose lines are to be written again."""
        found = ((*key.partition("#")[::2], item["ticket"]) for key, item in self.table.below("LATE"))
        return [Late(hour, project, ticket) for hour, project, ticket in found]

    def settle(self, late: Late) -> None:
        """An hour's lines are written; one that was marked anew meanwhile stays."""
        self.table.commit(Remove(("LATE", f"{late.hour}#{late.project}"), {"ticket": [late.ticket]}))

    def projects(self) -> list[str]:
        """The names of all projects."""
        return [name for name, _ in self.table.below("PROJECTS")]


def _first(item: str) -> Key:
    return f"PHOTOGRAPH#{item}", "PHOTOGRAPH"


def _is_late(arrived: str, now: dt.datetime) -> bool:
    """Whether the writer of lines looks at that hour no more by itself: it does at this hour's and the one before."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return dt.datetime.fromisoformat(arrived) < hour - dt.timedelta(hours=1)


def _kept(record: Record) -> Item:
    return record.model_dump(exclude_none=True)


def _read(item: Item) -> Record:
    return Record.model_validate(
        {name: float(value) if isinstance(value, Decimal) else value for name, value in item.items()}
    )
