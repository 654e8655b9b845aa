"""The drift monitors over the journal: each camera's photographs since the last look, its reference, what was found.

Items of the table:

| pk | sk | is |
| --- | --- | --- |
| CAMERA#{project} | {line}#{camera}#{model version} | the reference, and up to where photographs were looked at |
| DRIFT#{project} | {line}#{camera}#{measure} | what the newest window says |
| ALARM#{project} | {end of the window}#{line}#{camera}#{measure} | every alarm |
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from sextant.inspection.api.store import Put
from sextant.inspection.loop.drift import FEWEST, REFERENCE, Finding, Reference, Watched, findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sextant.inspection.api.store import Item, Table
    from sextant.inspection.loop.journal import Journal, Record

_LOOK_BACK = dt.timedelta(days=2)
_LARGEST_WINDOW = 2000
"""Photographs of a camera that one look takes; what is left over is taken by the next."""


def look(
    journal: Journal, project: str, version: str, scores: Callable[[], Sequence[float]], now: dt.datetime
) -> list[Finding]:
    """Looks at what each camera has sent to a model version since the last look; gives the alarms that are new.

    Args:
        journal: of the system.
        project: the one to look at.
        version: the model version that answers for it.
        scores: the out-of-fold anomaly probabilities of the version's normal training photographs.
        now: UTC.
    """
    table = journal.table
    watched: list[Watched] = []
    ends: dict[tuple[str, str], Record] = {}
    for (line, camera), records in _by_camera(journal, project, version, now).items():
        key = (f"CAMERA#{project}", f"{line}#{camera}#{version}")
        state = table.get(key) or {}
        fresh = [each for each in records if each.sort > state.get("seen", "")][:_LARGEST_WINDOW]
        if len(fresh) < FEWEST:
            continue  # too few to say anything: they wait for more
        last = fresh[-1]
        fresh.sort(key=lambda each: each.at)  # in the order of taking: stores of a belt that was offline come at once
        reference = _reference(state)
        if reference is None:  # the first photographs are what later ones are compared with
            first = FEWEST if len(fresh) >= 2 * FEWEST else min(len(fresh), REFERENCE)
            reference, fresh = Reference.of(fresh[:first]), fresh[first:]
        if len(fresh) < FEWEST:
            _keep(table, key, reference, last.sort)
            continue
        watched.append(Watched(line, camera, fresh, reference, scores()))
        ends[line, camera] = last
    found = findings(watched)
    new = [each for each in found if _tell(table, project, each, ends[each.line, each.camera])]
    moved = {(each.line, each.camera) for each in found if each.alarm or each.unclear}
    for each in watched:
        if each.reference is not None:
            place = (each.line, each.camera)
            grown = each.reference if place in moved else each.reference.grown(each.records)
            _keep(table, (f"CAMERA#{project}", f"{each.line}#{each.camera}#{version}"), grown, ends[place].sort)
    return new


def latest(table: Table, project: str) -> Iterator[tuple[str, Finding]]:
    """The newest finding of each camera and measure, with the end of its window."""
    for _, item in table.below(f"DRIFT#{project}"):
        yield item["until"], Finding.model_validate_json(item["finding"])


def alarms(table: Table, project: str) -> Iterator[tuple[str, Finding]]:
    """Every alarm in order, with the end of its window."""
    for _, item in table.below(f"ALARM#{project}"):
        yield item["until"], Finding.model_validate_json(item["finding"])


def words(project: str, finding: Finding) -> str:
    """An alarm as a message."""
    examples = "".join(f"\n  {each}" for each in finding.examples)
    return (
        f"Project {project}, line {finding.line}, camera {finding.camera}: {finding.words}\n"
        f"Of {finding.n} photographs against {finding.reference} of the reference: difference {finding.size:.2f}, "
        f"p = {finding.p:.1e} (an alarm needs less than {finding.alpha:.1e}).\n"
        f"Photographs that lie farthest off:{examples}"
    )


def _by_camera(
    journal: Journal, project: str, version: str, now: dt.datetime
) -> Mapping[tuple[str, str], Sequence[Record]]:
    found: dict[tuple[str, str], list[Record]] = {}
    for back in range(_LOOK_BACK.days, -1, -1):
        for record in journal.items(project, (now - dt.timedelta(days=back)).date()):
            if record.model_version == version:
                found.setdefault((record.line, record.camera), []).append(record)
    return found


def _reference(state: Item) -> Reference | None:
    return Reference.model_validate_json(state["reference"]) if state.get("reference") else None


def _keep(table: Table, key: tuple[str, str], reference: Reference, seen: str) -> None:
    rounded: dict[str, Any] = reference.model_dump()
    for measure in ("brightness", "sharpness"):
        rounded[measure] = [float(f"{value:.6g}") for value in rounded[measure]]
    table.commit(Put(key, {"reference": json.dumps(rounded), "seen": seen}, absent=False))


def _tell(table: Table, project: str, finding: Finding, last: Record) -> bool:
    """Keeps a finding; whether it is an alarm that was not there before."""
    place = f"{finding.line}#{finding.camera}#{finding.measure}"
    item = {"until": last.arrived, "finding": finding.model_dump_json()}
    table.commit(Put((f"DRIFT#{project}", place), item, absent=False))
    return finding.alarm and not table.commit(Put((f"ALARM#{project}", f"{last.sort}#{place}"), item))
