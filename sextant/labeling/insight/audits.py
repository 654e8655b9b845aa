"""What the next levels say of labels: verdicts of audits, first-pass yield, changes, and how reliable auditors are.

A verdict is the audit attribute of a label (`audit`: Pass or Fail), or the class of a label verification (good or bad),
which is about a whole data object. `PASSED` are the words that pass.

`compare` is the analysis of one chain's data objects; `reliability` that of all verdicts of a modality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sextant.labeling.insight.adjustment import Difference, difference, long_form
from sextant.labeling.insight.columns import among, floats
from sextant.labeling.insight.intervals import wilson
from sextant.labeling.insight.levels import Chain, best_worker, combined, occurrence, origins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sextant.labeling.insight.columns import Column

    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Texts = NDArray[Any]
    Rows = dict[str, list[dict[str, object]]]

PASSED = frozenset({"pass", "good", "correct", "yes"})
"""Verdicts that pass, in lower case; any other verdict fails."""

VERIFICATION = "label-verification"
SEPARATOR = "|"
"""Between the names in the columns `known` and `counted`."""


def passes(verdict: str) -> bool:
    """Whether a verdict is one of `PASSED`, in any case."""
    return verdict.strip().casefold() in PASSED


@dataclass(frozen=True)
class Level:
    """One job of a chain. `objects` are its rows of kind object, `labels` those of kind label; `at` gives the row of
    kind object for each code of a data object, -1 where the job does not have it. Of sequences `spots` are the frames
    that the job holds (`Chain.spot`), sorted, and `spot_objects` the rows of kind object that they belong to; `partial`
    marks the data objects of which the job tells its frames.
    """

    name: str
    modality: str | None
    task_type: str | None
    base: str | None
    known: frozenset[str]
    counted: frozenset[str]
    objects: Integers
    labels: Integers
    answers: Integers
    at: Integers
    spots: Integers
    spot_objects: Integers
    partial: Mask

    def objects_of(self, chain: Chain, rows: Integers) -> Integers:
        """The rows of kind object in which this job holds the frames of some rows; -1 where it never saw them."""
        of = chain.object[rows]
        result = np.where(self.partial[of], -1, self.at[of])
        if len(self.spots):
            place = np.minimum(np.searchsorted(self.spots, chain.spot[rows]), len(self.spots) - 1)
            held = self.spots[place] == chain.spot[rows]
            result[held] = self.spot_objects[place[held]]
        return result

    @property
    def head(self) -> dict[str, object]:
        """The columns of every table."""
        return {"job_name": self.name, "modality": self.modality, "task_type": self.task_type}

    @property
    def several(self) -> bool:
        """Whether a data object may have several classes."""
        return (self.task_type or "").endswith("-multilabel")


class Story:
    """What is known of every label of a chain so far, level by level. Arrays of shape (rows,).

    `maker` is the person who made the label as it is: of the first level, or of the level that changed it last; -1
    when nobody knows. `state` is the row in which the label first was as it is now. `seen_by` numbers the level that
    was the first to see a label of the level before, -1 where none did; `stands` tells whether all who saw it let it
    stand. `sheet` gives the row of kind object of each row's task.
    """

    def __init__(self, chain: Chain, audit: str) -> None:
        self.chain = chain
        self.levels = _levels(chain)
        self.maker = np.full(len(chain.kind), -1, np.int64)
        self.state = np.arange(len(chain.kind))
        self.seen_by = np.full(len(chain.kind), -1, np.int64)
        self.stands = np.ones(len(chain.kind), bool)
        self.task = chain.task
        objects = chain.rows("object")
        of_task = np.full(int(self.task.max(initial=-1)) + 1, -1, np.int64)
        of_task[self.task[objects]] = objects
        self.sheet: Integers = of_task[self.task]
        answerers = chain.rows("answerer")
        who = np.unique(np.column_stack([self.task[answerers], chain.workers[answerers]]), axis=0)
        who = who[who[:, 1] >= 0]
        self.workers_of_task = np.bincount(who[:, 0], minlength=int(self.task.max(initial=-1)) + 1)
        self.sole = np.full(len(self.workers_of_task), -1, np.int64)
        self.sole[who[:, 0]] = who[:, 1]
        self.sole[self.workers_of_task != 1] = -1
        names = chain.text("username")
        self.name = np.full(int(chain.workers.max(initial=-1)) + 2, None, dtype=object)
        for row in answerers[::-1]:
            self.name[chain.workers[row]] = names[row] or self.name[chain.workers[row]]
        self.name[-1] = None
        self.day = chain.text("created_on")
        position, key, value = long_form(chain.table["attributes"], np.arange(len(chain.kind)))
        mine = np.flatnonzero(among(key, {audit}))
        self.verdict: Texts = np.full(len(chain.kind), "", dtype=object)
        self.verdict[position[mine]] = _texts(value, mine)

    def answered(self, level: Level, labels: Integers) -> Integers:
        """The person whose answer each label of a level came from; -1 when nobody knows."""
        result = self.sole[self.task[labels]]
        open_labels = labels[self.workers_of_task[self.task[labels]] > 1]
        if len(open_labels) and len(level.answers):
            found, worker = best_worker(self.chain, origins(self.chain, open_labels, level.answers))
            of = np.full(len(self.chain.kind), -1, np.int64)
            of[found] = worker
            result = np.where(self.workers_of_task[self.task[labels]] > 1, of[labels], result)
        return result

    def see(self, level: Level, labels: Integers, accepted: Mask) -> None:
        """Notes which labels of the level before a level saw, and which of them it let stand."""
        fresh = labels[self.seen_by[labels] < 0]
        self.seen_by[fresh] = self.levels.index(level)
        self.stands[labels] &= accepted


def _levels(chain: Chain) -> list[Level]:
    """The jobs, each after its base."""
    size = int(chain.object.max(initial=-1)) + 1
    found: dict[str, Level] = {}
    kinds = {kind: chain.rows(kind) for kind in ("object", "label", "answer", "frame")}
    columns = {name: chain.text(name) for name in ("job_name", "modality", "task_type", "base_job", "known", "counted")}
    for code in np.unique(chain.job[kinds["object"]]):
        mine = {kind: rows[chain.job[rows] == code] for kind, rows in kinds.items()}
        name, modality, task_type, base, known, counted = (each[mine["object"][0]] for each in columns.values())
        at = np.full(size, -1, np.int64)
        at[chain.object[mine["object"]]] = mine["object"]
        partial = np.zeros(size, bool)
        partial[chain.object[mine["frame"]]] = True
        held = np.r_[mine["frame"], mine["label"][partial[chain.object[mine["label"]]]]]
        spots, first = np.unique(chain.spot[held], return_index=True)
        sheet = np.full(int(chain.task.max(initial=-1)) + 1, -1, np.int64)
        sheet[chain.task[mine["object"]]] = mine["object"]
        found[name] = Level(
            name,
            modality,
            task_type,
            base,
            frozenset((known or "").split(SEPARATOR)) - {""},
            frozenset((counted or "").split(SEPARATOR)) - {""},
            mine["object"],
            mine["label"],
            mine["answer"],
            at,
            spots,
            sheet[chain.task[held[first]]],
            partial,
        )
    ordered: list[Level] = []
    left = dict(sorted(found.items()))
    while left:
        # A circle of bases, which no chain has, is cut at its first job by name.
        ready = [each for each in left.values() if each.base not in left] or [next(iter(left.values()))]
        ordered += ready
        for each in ready:
            del left[each.name]
    return ordered


def compare(table: pa.Table) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Verdicts and changes of some data objects of one chain of jobs.

    Two levels are compared in the frames that both hold: an audit may see a part of a sequence.

    The worker of a label is the only one who answered its data object on the first level; where several did, the one
    whose answer's shape resembles it most (`levels.origins`), and nobody when two do so equally. A label that a middle
    level changed or added is of the worker who did that. A verdict is of the worker who answered the audit, and where
    several did, each one's own verdict on the answer's shape that resembles the label.

    Args:
        table: rows as `levels.sql` gives them, of whole data objects.

    Returns:
        Rows of adjustment and adjustment_task; rows of audit_part, first_pass_part and adjustment_part, which add up
        over groups to those of audit_count, first_pass and adjustment_count.
    """
    chain = Chain(table)
    audit = next((each for each in chain.text("audit_attribute") if each), "audit")
    story = Story(chain, audit)
    adjusted = np.zeros(len(chain.kind), bool)
    objects = chain.rows("object")
    marked = np.zeros(int(story.task.max(initial=-1)) + 1, bool)
    marked[story.task[objects]] = chain.text("adjusted")[objects] == np.True_
    adjusted = marked[story.task]
    writes = ("adjustment", "adjustment_task", "audit_part", "first_pass_part", "adjustment_part")
    rows: Rows = {name: [] for name in writes}
    judged: list[_Judged] = []
    by_name = {each.name: each for each in story.levels}
    done: set[str] = set()
    for level in story.levels:
        base = by_name.get(level.base or "")
        base = base if base and base.name in done else None
        done.add(level.name)
        if level.task_type == VERIFICATION:
            judged.append(_verified(story, level, base))
            if base:
                story.see(level, *_good(story, level, base))
            continue
        made = story.answered(level, level.labels)
        story.maker[level.labels] = made
        if base is None:
            judged.append(_judged(story, level, None, level.labels, level.labels))
            continue
        old = base.labels[level.objects_of(chain, base.labels) >= 0]
        new = level.labels[base.objects_of(chain, level.labels) >= 0]
        changes = difference(
            chain,
            old,
            new,
            names=(base.known & level.known) - {audit},
            adjusted=adjusted,
            several=base.several or level.several,
        )
        judged.append(_judged(story, level, base, changes.matched.base, changes.matched.new))
        foreign = np.setdiff1d(level.labels, new)
        judged.append(_judged(story, level, None, foreign, foreign))
        story.see(level, *_untouched(story, changes))
        _count_changes(rows, story, level, base, changes)
        kept = changes.unchanged
        story.maker[changes.matched.new[kept]] = story.maker[changes.matched.base[kept]]
        story.state[changes.matched.new[kept]] = story.state[changes.matched.base[kept]]
    rows["audit_part"] = _verdicts(story, judged)
    for base in story.levels:
        if base.base not in by_name:
            rows["first_pass_part"] += _first_pass(story, base)
    return rows


# --- verdicts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """Verdicts of one job: on which label (row), by whom (-1: nobody knows), passed or not. `unit` numbers what is
    judged, so that two auditors of one thing meet; `whole` marks verdicts on whole data objects.
    """

    level: Level
    base: Level | None
    subject: Integers
    row: Integers
    auditor: Integers
    passed: Mask
    whole: bool = False


def _judged(story: Story, level: Level, base: Level | None, subject: Integers, rows: Integers) -> _Judged:
    """The verdicts that labels of a level (`rows`) carry, on the labels of the level before (`subject`)."""
    told = story.verdict[rows] != ""
    subject, rows = subject[told], rows[told]
    crowd = story.workers_of_task[story.task[rows]] > 1
    found_subject, found_row = [subject[~crowd]], [rows[~crowd]]
    auditor, verdict = [story.sole[story.task[rows[~crowd]]]], [story.verdict[rows[~crowd]]]
    if crowd.any():
        of = np.full(len(story.chain.kind), -1, np.int64)
        of[rows] = subject
        pairs = origins(story.chain, rows[crowd], level.answers)
        own = story.verdict[pairs.answer] != ""
        unknown = np.setdiff1d(rows[crowd], pairs.label[own])
        found_subject += [of[pairs.label[own]], of[unknown]]
        found_row += [pairs.label[own], unknown]
        auditor += [story.chain.workers[pairs.answer[own]], np.full(len(unknown), -1, np.int64)]
        verdict += [story.verdict[pairs.answer[own]], story.verdict[unknown]]
    passed = np.array([passes(each) for each in np.concatenate(verdict)], bool)
    return _Judged(
        level, base, np.concatenate(found_subject), np.concatenate(found_row), np.concatenate(auditor), passed
    )


def _verified(story: Story, level: Level, base: Level | None) -> _Judged:
    """The verdicts of a verification on whole data objects: each worker's own, where his answer is known."""
    chain = story.chain
    labels = chain.text("label")
    rows = level.labels[np.unique(chain.task[level.labels], return_index=True)[1]]
    row_of = np.full(int(chain.task.max(initial=-1)) + 1, -1, np.int64)
    row_of[chain.task[rows]] = rows
    crowd = story.workers_of_task[story.task[rows]] > 1
    answers = level.answers[row_of[chain.task[level.answers]] >= 0]
    # A worker who answered twice is heard once, with his last answer.
    answers = answers[::-1][occurrence(combined(chain.task[answers], chain.workers[answers] + 1)[::-1]) == 0][::-1]
    answers = answers[np.isin(chain.task[answers], chain.task[rows[crowd]])]
    unheard = rows[crowd & ~np.isin(chain.task[rows], chain.task[answers])]
    row = np.concatenate([rows[~crowd], row_of[chain.task[answers]], unheard])
    auditor = np.concatenate(
        [story.sole[story.task[rows[~crowd]]], chain.workers[answers], np.full(len(unheard), -1, np.int64)]
    )
    verdict = np.concatenate([labels[rows[~crowd]], labels[answers], labels[unheard]])
    passed = np.array([passes(each or "") for each in verdict], bool)
    return _Judged(level, base, _representative(chain, base, row), row, auditor, passed, whole=True)


def _representative(chain: Chain, base: Level | None, rows: Integers) -> Integers:
    """For each verdict on a data object a label of it on the level before; -1 where there is none."""
    first = np.full(int(chain.object.max(initial=-1)) + 1, -1, np.int64)
    if base is not None:
        first[chain.object[base.labels[::-1]]] = base.labels[::-1]
    return first[chain.object[rows]]


def _verdicts(story: Story, judged: list[_Judged]) -> list[dict[str, object]]:
    """Cells of audit_part: verdicts by everything that audit_count tells apart."""
    chain = story.chain
    judged = [each for each in judged if len(each.row)]
    if not judged:
        return []
    size = len(chain.kind)
    unit = np.concatenate([size + chain.object[e.row] if e.whole else story.state[e.subject] for e in judged])
    auditor = np.concatenate([each.auditor for each in judged])
    passed = np.concatenate([each.passed for each in judged])
    double, agreed = _doubles(unit, auditor, passed)
    cells: list[dict[str, object]] = []
    at = 0
    label_text = chain.text("label")
    for each in judged:
        here = slice(at, at + len(each.row))
        at += len(each.row)
        maker, label = _makers_and_labels(story, each, label_text)
        frame = {
            "worker": story.name[maker],
            "auditor": story.name[each.auditor],
            "label": label,
            "created_on": story.day[story.sheet[each.row]],
            "audited_count": np.ones(len(each.row), np.int64),
            "passed_count": each.passed.astype(np.int64),
            "self_audited_count": ((maker == each.auditor) & (maker >= 0)).astype(np.int64),
            "double_count": double[here].astype(np.int64),
            "double_agreed_count": agreed[here].astype(np.int64),
        }
        head = {**each.level.head, "audited_job": each.base.name if each.base else None}
        everything = np.full(len(each.row), "", dtype=object)
        cells += _summed({**frame, "attribute": everything, "value": everything}, head)
        counted = (each.base or each.level).counted
        if counted and not each.whole:
            position, name, value = long_form(chain.table["attributes"], each.subject)
            keep = np.flatnonzero(among(name, counted))
            taken = {column: values[position[keep]] for column, values in frame.items()}
            pairs = {"attribute": _texts(name, keep), "value": _texts(value, keep)}
            cells += _summed({**taken, **pairs}, head)
    return cells


def _texts(column: Column, at: Integers) -> Texts:
    """Texts of some places of a column; empty for null."""
    return np.asarray([each or "" for each in column.take(at).to_pylist()], dtype=object)


def _makers_and_labels(story: Story, judged: _Judged, label_text: Texts) -> tuple[Integers, Texts]:
    """Who made what was judged, and its class. Of a whole data object: the one maker of all its labels, and their one
    class; nobody, and an empty class, where there are several.
    """
    chain = story.chain
    if not judged.whole:
        # Without a level before, the label's maker is not known: who answered this job is its auditor.
        known = judged.base is not None
        return (
            story.maker[judged.subject] if known else np.full(len(judged.subject), -1, np.int64),
            label_text[judged.subject],
        )
    size = int(chain.object.max(initial=-1)) + 1
    maker, label = np.full(size, -1, np.int64), np.full(size, "", dtype=object)
    if judged.base is not None:
        rows = judged.base.labels
        at = chain.object[rows]
        present = judged.base.at >= 0
        maker[present] = story.sole[story.task[judged.base.at[present]]]
        maker[at] = story.maker[rows]
        label[at] = label_text[rows]
        maker[at[maker[at] != story.maker[rows]]] = -1
        label[at[label[at] != label_text[rows]]] = ""
    of = chain.object[judged.row]
    return maker[of], label[of]


def _doubles(unit: Integers, auditor: Integers, passed: Mask) -> tuple[Mask, Mask]:
    """Which verdicts are on something that another auditor judged too, and which of those most of the others share.
    An auditor who judged a thing twice has one voice there, that of the last verdict.
    """
    double, agreed = np.zeros(len(unit), bool), np.zeros(len(unit), bool)
    known = np.flatnonzero(auditor >= 0)
    if not len(known):
        return double, agreed
    thing = np.unique(unit[known], return_inverse=True)[1].reshape(-1)
    voice = np.unique(combined(thing, auditor[known]), return_inverse=True)[1].reshape(-1)
    last = np.zeros(int(voice.max()) + 1, np.int64)
    last[voice] = np.arange(len(known))
    says = passed[known][last]
    voices = np.bincount(thing[last])
    passing = np.bincount(thing[last], says).astype(np.int64)
    others = voices[thing] - 1
    pass_it = passing[thing] - says[voice]
    double[known] = others > 0
    agreed[known] = (others > 0) & np.where(passed[known], 2 * pass_it > others, 2 * (others - pass_it) > others)
    return double, agreed


def _summed(frame: Mapping[str, Any], head: Mapping[str, object]) -> list[dict[str, object]]:
    """Sums the columns named `…_count` over the other columns."""
    counts = [name for name in frame if name.endswith("_count")]
    keys = [name for name in frame if name not in counts]
    if not len(frame[counts[0]]):
        return []
    types = {"created_on": pa.date32(), "iou_from": pa.float64(), **dict.fromkeys(counts, pa.int64())}
    table = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in frame.items()})
    grouped = table.group_by(keys).aggregate([(name, "sum") for name in counts])
    grouped = grouped.rename_columns([each.removesuffix("_sum") for each in grouped.column_names])
    return [{**head, **row} for row in grouped.to_pylist()]


# --- first pass and changes -----------------------------------------------------------------------------------------


def _untouched(story: Story, changes: Difference) -> tuple[Integers, Mask]:
    """Labels that a level saw of the level before, and those it let stand: not changed, and no verdict fails them."""
    verdict = story.verdict[changes.matched.new]
    stands = changes.unchanged & np.array([each == "" or passes(each) for each in verdict], bool)
    removed = changes.matched.removed
    return np.r_[changes.matched.base, removed], np.r_[stands, np.zeros(len(removed), bool)]


def _good(story: Story, level: Level, base: Level) -> tuple[Integers, Mask]:
    """Labels of data objects with a verdict, and those that it passes; a bad one is on all of them."""
    chain = story.chain
    text = chain.text("label")
    good = np.ones(len(level.at), bool)
    told = np.zeros(len(level.at), bool)
    for row in level.labels:
        told[chain.object[row]] = True
        good[chain.object[row]] &= passes(text[row] or "")
    seen = base.labels[told[chain.object[base.labels]]]
    return seen, good[chain.object[seen]]


def _first_pass(story: Story, base: Level) -> list[dict[str, object]]:
    """Labels of a first level by the job that was the first to see them; those that all who saw them let stand are
    accepted. So every label is there once, whether it was verified, audited or both.
    """
    cells: list[dict[str, object]] = []
    for number in np.unique(story.seen_by[base.labels]):
        if number < 0:
            continue
        seen = base.labels[story.seen_by[base.labels] == number]
        frame = {
            "worker": story.name[story.maker[seen]],
            "label": story.chain.text("label")[seen],
            "created_on": story.day[story.sheet[seen]],
            "label_count": np.ones(len(seen), np.int64),
            "accepted_count": story.stands[seen].astype(np.int64),
        }
        cells += _summed(frame, {**base.head, "audit_job": story.levels[number].name})
    return cells


CHANGES = ("moved", "relabelled", "attribute")


def _count_changes(rows: Rows, story: Story, level: Level, base: Level, changes: Difference) -> None:
    """Appends the rows of adjustment and adjustment_task, and the cells of adjustment_part, of two levels."""
    chain, matched = story.chain, changes.matched
    label = chain.text("label")
    first = next((each for each in story.levels if each.base not in {one.name for one in story.levels}), base)
    # Whose work a data object was on the first level, for what was added to it.
    worker_of = np.full(len(level.at), -1, np.int64)
    labeled = first.at >= 0
    worker_of[labeled] = story.sole[story.task[first.at[labeled]]]
    head = {**level.head, "base_job": base.name}
    sets = {}
    for change in (*CHANGES, "unchanged"):
        mask = getattr(changes, change)
        sets[change] = matched.base[mask], matched.new[mask], changes.iou[mask]
    for change, old, new in (("added", None, matched.added), ("removed", matched.removed, None)):
        none = np.full(len(matched.added if old is None else matched.removed), -1, np.int64)
        sets[change] = none if old is None else old, none if new is None else new, np.full(len(none), np.nan)
    size = len(chain.kind)
    count: dict[str, Integers] = {}
    people: dict[str, tuple[Integers, Integers]] = {}
    for change, (old, new, iou) in sets.items():
        shown = np.where(new >= 0, new, old)
        sheet = level.objects_of(chain, shown)
        count[change] = np.bincount(sheet, minlength=size)
        worker = np.where(old >= 0, story.maker[old], worker_of[chain.object[shown]])
        auditor = np.where(new >= 0, story.maker[new], story.sole[story.task[sheet]])
        people[change] = (worker, auditor)
        frame = {
            "worker": story.name[worker],
            "auditor": story.name[auditor],
            "label": label[shown],
            "change": np.full(len(shown), change, dtype=object),
            "iou_from": pa.array(np.clip(np.floor(iou * 10 + 1e-9), 0, 9) / 10, pa.float64(), from_pandas=True),
            "created_on": story.day[sheet],
            "label_count": np.ones(len(shown), np.int64),
        }
        rows["adjustment_part"] += _summed(frame, head)
    rows["adjustment"] += _listed(story, level, changes, head, people)
    boxes = np.isfinite(changes.iou)
    of = level.objects_of(chain, matched.new[boxes])
    total, pairs = np.bincount(of, changes.iou[boxes], size), np.bincount(of, minlength=size)
    seconds = floats(chain.table["seconds"])
    object_id, source_ref = chain.text("object_id"), chain.text("source_ref")
    for row in level.objects[base.at[chain.object[level.objects]] >= 0]:
        rows["adjustment_task"].append(
            {
                **head,
                "object_id": object_id[row],
                "source_ref": source_ref[row],
                "worker": story.name[worker_of[chain.object[row]]],
                "auditor": story.name[story.sole[story.task[row]]],
                **{f"{each}_count": int(count[each][row]) for each in count},
                "mean_iou": total[row] / pairs[row] if pairs[row] else None,
                "seconds": float(seconds[row]),
                "created_on": story.day[row],
            }
        )


def _listed(
    story: Story,
    level: Level,
    changes: Difference,
    head: Mapping[str, object],
    people: Mapping[str, tuple[Integers, Integers]],
) -> list[dict[str, object]]:
    """One row of adjustment for every change of every label."""
    chain, matched = story.chain, changes.matched
    # A change: its kind, row before and after (-1: none), overlap, worker and auditor, attribute with its two values.
    found: list[tuple[str, int, int, float, int, int, tuple[str | None, str | None, str | None]]] = []
    for change in ("moved", "relabelled"):
        at = np.flatnonzero(getattr(changes, change))
        columns = (matched.base[at], matched.new[at], changes.iou[at], *people[change])
        found += [(change, *row, (None, None, None)) for row in zip(*(each.tolist() for each in columns), strict=True)]
    for pair, *attribute in changes.changed:
        old, new = int(matched.base[pair]), int(matched.new[pair])
        who = (int(story.maker[old]), int(story.maker[new]))
        found.append(
            ("attribute", old, new, float(changes.iou[pair]), *who, (attribute[0], attribute[1], attribute[2]))
        )
    for change, rows, added in (("added", matched.added, True), ("removed", matched.removed, False)):
        row: int
        for row, worker, auditor in zip(*(each.tolist() for each in (rows, *people[change])), strict=True):
            old, new = (-1, row) if added else (row, -1)
            found.append((change, old, new, float("nan"), worker, auditor, (None, None, None)))
    names = ["frame_no", "frame", "row_id", "instance_name", "label"]
    wanted = sorted({row for each in found for row in each[1:3] if row >= 0})
    cells = dict(zip(wanted, chain.table.select(names).take(np.array(wanted, np.int64)).to_pylist(), strict=True))
    object_id, source_ref = chain.table["object_id"], chain.table["source_ref"]
    listed: list[dict[str, object]] = []
    tasks = level.objects_of(
        chain, np.array([new if new >= 0 else old for _, old, new, *_ in found], np.int64)
    ).tolist()
    for (change, old, new, iou, worker, auditor, (name, before, after)), task in zip(found, tasks, strict=True):
        shown = cells[new if new >= 0 else old]
        listed.append(
            {
                **head,
                "object_id": object_id[task].as_py(),
                "source_ref": source_ref[task].as_py(),
                **{each: shown[each] for each in ("frame_no", "frame", "instance_name", "label")},
                "annotation_id": cells[new]["row_id"] if new >= 0 else None,
                "base_annotation_id": cells[old]["row_id"] if old >= 0 else None,
                "base_label": cells[old]["label"] if old >= 0 else None,
                "change": change,
                "attribute": name,
                "base_value": before,
                "value": after,
                "iou": iou,
                "worker": story.name[worker],
                "auditor": story.name[auditor],
                "created_on": story.day[task],
            }
        )
    return listed


# --- auditors -------------------------------------------------------------------------------------------------------


def reliability(table: pa.Table) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Auditors of one modality against each other, on the same workers and classes.

    In every stratum (worker and class) the auditor's passes are compared with what the others pass there (leave one
    out). Under the hypothesis that all judge alike, with the stratum's share p, the difference between his passes and
    the expected ones has the variance p (1 - p) n (n + m) / m, n his verdicts and m the others'; strata add up as in
    W. G. Cochran, Some methods for strengthening the common chi-squared tests, Biometrics 10 (1954). Strata that nobody
    else judged say nothing and are left out, as are labels of unknown workers, who are not one person: `expected_share`
    is to be held against `compared_passed_count` of `compared_count`. Boxes of one track are no independent cases, so
    the deviation of audits of tracks is larger than it seems: it ranks auditors, it does not prove anything.

    Args:
        table: columns modality, auditor, worker, label, audited_count, passed_count, double_count,
            double_agreed_count, self_audited_count; one row for each combination of the first four, auditor never null.

    Returns:
        Rows of auditor_quality.
    """
    text = {name: table[name].to_pylist() for name in ("modality", "auditor", "worker", "label")}
    number = {
        name: np.asarray(table[name].to_pylist(), np.float64)
        for name in (
            "audited_count", "passed_count", "double_count", "double_agreed_count", "self_audited_count"
        )
    }  # fmt: skip
    strata = {key: at for at, key in enumerate(dict.fromkeys(zip(text["worker"], text["label"], strict=True)))}
    stratum = np.array([strata[key] for key in zip(text["worker"], text["label"], strict=True)], np.int64)
    n, k = number["audited_count"], number["passed_count"]
    all_n, all_k = np.bincount(stratum, n)[stratum], np.bincount(stratum, k)[stratum]
    m = all_n - n
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.array([each is not None for each in text["worker"]], bool)
        compared = known & (m > 0) & (n > 0)
        expected = np.where(compared, n * (all_k - k) / m, 0.0)
        p = all_k / all_n
        variance = np.where(compared, p * (1 - p) * n * all_n / m, 0.0)
    auditors = np.array(text["auditor"], dtype=object)
    rows: list[dict[str, object]] = []
    for auditor in sorted({str(each) for each in text["auditor"]}):
        mine = auditors == auditor
        total = {name: int(values[mine].sum()) for name, values in number.items()}
        lower, upper = wilson(total["passed_count"], total["audited_count"])
        base = float(n[mine & compared].sum())
        spread = float(np.sqrt(variance[mine].sum()))
        off = float(k[mine & compared].sum() - expected[mine].sum())
        rows.append(
            {
                "auditor": auditor,
                "modality": text["modality"][0],
                **total,
                "pass_share": total["passed_count"] / total["audited_count"] if total["audited_count"] else None,
                "lower": float(lower),
                "upper": float(upper),
                "compared_count": int(base),
                "compared_passed_count": int(k[mine & compared].sum()),
                "expected_share": float(expected[mine].sum()) / base if base else None,
                "deviation": off / spread if spread else 0.0 if base else None,
            }
        )
    return {"auditor_quality": rows}
