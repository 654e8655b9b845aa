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
| LATE | {YYYY-MM-DDTHH}#{project}#{ticket} | an hour whose lines are to be written again |
| UNTOLD | {item} | a reject whose message has not been sent yet |
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
    from collections.abc import Iterable, Iterator

    from sextant.inspection.api.store import Action, Item, Key, Table
    from sextant.inspection.loop.arrival import Arrival

Verdict: TypeAlias = Literal["accept", "reject", "review"]
Label: TypeAlias = Literal["normal", "anomaly"]

HOUR = "%Y-%m-%dT%H"


class Record(BaseModel):
    """One verdict. Times are ISO 8601 in UTC; `labels` are the names of the anomalies seen, the background left out.

    `run` names the execution that wrote it; `etag` and `version_id` are of the very photograph that was looked at, for
    there may be another at `source` since; `mask` is the URI of the anomaly mask (PNG), where there is one; `truth` is
    what a person said afterwards.
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
    etag: str = ""
    version_id: str | None = None
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
    """A photograph without a verdict: `reason` is one word (see `detection`), `detail` tells a person."""

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
NO_VERDICT = "no_verdict"
"""Photographs whose event was lost or whose run has died: each sweep tries them again."""
FAULT = "fault"
"""Not the photograph's: the model's answer, its archive or the program is at fault."""
SETTLED = dt.timedelta(minutes=10)
"""A photograph younger than this may still be on its way: a run ends within five minutes."""


@dataclass(frozen=True)
class Late:
    """An hour (`YYYY-MM-DDTHH`) of a project whose lines are to be written again. `sort` is the mark's own key: no two
    marks have one, so neither do writers wait for each other nor does settling one settle a later one.
    """

    hour: str
    project: str
    sort: str


@dataclass(frozen=True)
class Journal:
    """The records of a table."""

    table: Table

    def record(self, record: Record, now: dt.datetime) -> bool:
        """Writes the verdict of an item that has none yet, and takes the photograph out of quarantine.

        What follows from it (lines to be written again, a message to be sent) is noted in the same transaction: a run
        that dies afterwards leaves it to others.

        Returns:
            Whether this call wrote it.
        """
        if self._written(record, now):
            return True
        if self.known(record.key, record.item) is not None:
            self.release(record.item)  # put again while no model ran, it waits without need
            return False
        return self._written(record, now, anew=True)

    def _written(self, record: Record, now: dt.datetime, *, anew: bool = False) -> bool:
        """Whether there was no verdict yet; `anew` where the one that the item had is not there any more."""
        actions: list[Action] = [Put(record.key, _kept(record))]
        if not record.trial:
            pk, sk = record.key
            actions.append(Put(_first(record.item), {"under": pk, "sort": sk}, absent=not anew))
        if record.verdict == "review" and not record.trial:
            actions.append(Put((f"REVIEW#{record.project}", record.sort), _kept(record), absent=False))
        if record.verdict == "reject" and not record.trial:
            pk, sk = record.key
            mark = {"run": record.run, "since": now.isoformat(timespec="seconds"), "under": pk, "sort": sk}
            actions.append(Put(_untold(record.item), mark, absent=False))
        if not record.trial and record.arrived[:13] != now.strftime(HOUR):
            # The writer of lines looks at an hour until five minutes before the end of the next: nobody but the one
            # who writes a verdict within its own hour may rely on that.
            actions.append(_late_mark(record))
        actions.append(Remove(("QUARANTINE", record.item)))
        return not self.table.commit(*actions)

    def is_untold(self, record: Record, now: dt.datetime) -> bool:
        """Whether a reject's message is still to be sent by its run: the one that wrote it, or, where that has died
        without sending it, any other.
        """
        mark = self.table.get(_untold(record.item))
        return mark is not None and (mark["run"] == record.run or _died(mark, now))

    def told(self, item: str) -> None:
        """A reject's message is sent."""
        self.table.commit(Remove(_untold(item)))

    def untold(self, now: dt.datetime) -> Iterator[Record]:
        """Rejects whose run has died before their message was sent."""
        for item, mark in self.table.below("UNTOLD"):
            if _died(mark, now):
                record = self.item((mark["under"], mark["sort"]))
                if record is None:
                    self.told(item)  # of a verdict that was deleted nobody needs to hear
                else:
                    yield record

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

    def of(self, named: Arrival) -> Record | None:
        """The verdict that a photograph has already."""
        if named.trial:
            return self.item((f"TRIAL#{named.project}", f"{named.trial}#{named.item}"))
        first = self.table.get(_first(named.item))
        return None if first is None else self.item((first["under"], first["sort"]))

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
            actions += [Remove((f"REVIEW#{record.project}", record.sort)), _late_mark(record)]
        if self.table.commit(*actions):
            raise LookupError(f"item {record.item} is not in the journal any more: reload the list")

    def late(self) -> list[Late]:
        """The hours whose lines are to be written again."""
        found = (sort for sort, _ in self.table.below("LATE"))
        return [Late(hour=each.split("#")[0], project=each.split("#")[1], sort=each) for each in found]

    def settle(self, late: Iterable[Late]) -> None:
        """The lines of these hours are written; what was marked meanwhile stays."""
        self.table.remove_all(("LATE", each.sort) for each in late)

    def projects(self) -> list[str]:
        """The names of all projects."""
        return [name for name, _ in self.table.below("PROJECTS")]


def _first(item: str) -> Key:
    return f"PHOTOGRAPH#{item}", "PHOTOGRAPH"


def _untold(item: str) -> Key:
    return "UNTOLD", item


def _died(mark: Item, now: dt.datetime) -> bool:
    return dt.datetime.fromisoformat(mark["since"]) < now - SETTLED


def _late_mark(record: Record) -> Put:
    return Put(("LATE", f"{record.arrived[:13]}#{record.project}#{uuid.uuid4().hex}"), {})


def _kept(record: Record) -> Item:
    return record.model_dump(exclude_none=True)


def _read(item: Item) -> Record:
    return Record.model_validate(
        {name: float(value) if isinstance(value, Decimal) else value for name, value in item.items()}
    )
