"""Compares the answers to one data object: boxes, spans and tracks, each answer with each other.

What comes out are sums that add up over data objects (table object_agreement): `agreement.summary` makes F1, alpha,
HOTA, MOTA and IDF1 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sextant.labeling.insight import spans, tracking_metrics
from sextant.labeling.insight.columns import JOB, coded, distinct, floats, integers
from sextant.labeling.insight.overlap import across_groups, best_matching, box_iou, chunks_of_pairs, same_group
from sextant.labeling.insight.tracking_metrics import THRESHOLDS, Tracks

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Row = dict[str, Any]
BOX = ("left_px", "top_px", "width_px", "height_px")
SPAN = ("start_offset", "end_offset")
OVERLAP = 0.5
"""Least IoU of boxes that iou_f1 takes for the same."""


@dataclass(frozen=True)
class _Drawn:
    """Answers and the shapes in them.

    `group` and `worker` number what an answer was compared in and who gave it, shape (answers,): answers are sorted by
    both. The others are of shapes, (n,), and (n, 4) or (n, 2) their `place`: `answer` numbers the answer, `frame`,
    `label` and `track` (-1: none) are numbers from 0 on.
    """

    group: Integers
    worker: Integers
    labels: list[str | None]
    answer: Integers
    label: Integers
    frame: Integers
    place: Floats
    track: Integers


@dataclass(frozen=True)
class _Cells:
    """Pairs of answers (one before other), and for each pair and class in either answer a cell: how many shapes both
    answers have of the class together. Cells are sorted by pair and label.
    """

    one: Integers
    other: Integers
    pair: Integers
    label: Integers
    total: Floats

    def sums(self, pair: Integers, label: Integers, worth: Floats) -> Floats:
        """Adds up by cell, shape (cells,)."""
        width = int(self.label.max()) + 1 if self.label.size else 1
        cell = np.searchsorted(self.pair * width + self.label, pair * width + label)
        return np.bincount(cell, worth, self.pair.size).astype(np.float64)


@dataclass(frozen=True)
class _Measured:
    """One metric of every cell, shape (cells,)."""

    metric: str
    agreed: Floats
    threshold: float | None = None
    association: Floats | None = None


def comparisons(rows: pa.Table) -> dict[str, list[Row]]:
    """Compares answers to one data object, each with each other; of any number of data objects of one job.

    Args:
        rows: one row per shape, or one with `drawn` false for an answer without any: columns of JOB, kind (box, span,
            track, or level: tracks as two levels left them; of all rows the same), compared (answers that have it in
            common are compared), object_id, chance_set, answer_id, worker, day, drawn, frame_no, frame, instance,
            label, BOX, start_offset, end_offset.
            With a chance_set the answers are of different objects.

    Returns:
        Rows of table object_agreement.
    """
    base = {name: rows.column(name)[0].as_py() for name in JOB}
    kind = rows.column("kind")[0].as_py()
    group, groups = coded(rows.column("compared"))
    of_group = rows.select(["object_id", "chance_set", "day"]).take(distinct(group)[0]).to_pylist()
    worker, workers = coded(rows.column("worker"))
    told = _read(rows, kind, group, worker)
    cells = _cells(told)
    if kind in ("track", "level"):
        measured = _tracks(told, cells, "level_" if kind == "level" else "")
    else:
        measured = _shapes(told, cells, kind)
    chance = np.array([each["chance_set"] is not None for each in of_group], bool)[told.group[cells.one]]
    answers = np.bincount(told.group, minlength=len(groups)).tolist()
    names = [*workers, None]  # -1 is none
    heads = [
        {
            **base,
            "object_id": of_group[number]["object_id"],
            "day": of_group[number]["day"],
            "worker": names[first],
            "other_worker": names[second],
            "answer_count": answers[number],
            "pair_count": 1,
        }
        for number, first, second in zip(
            *(each.tolist() for each in (told.group[cells.one], told.worker[cells.one], told.worker[cells.other])),
            strict=True,
        )
    ]
    alone = np.setdiff1d(np.flatnonzero(~chance), cells.pair)
    own = np.flatnonzero(~chance[cells.pair])
    made: list[Row] = []
    for each in measured:
        metric = {"metric": each.metric, "threshold": each.threshold}
        association = [None] * own.size if each.association is None else each.association[own].tolist()
        made += [{**heads[pair], **metric, "agreed": 0.0, "total": 0.0} for pair in alone.tolist()]
        made += [
            {
                **heads[pair],
                **metric,
                "label": told.labels[label],
                "agreed": agreed,
                "total": total,
                "association": associated,
            }
            for pair, label, agreed, total, associated in zip(
                *(values[own].tolist() for values in (cells.pair, cells.label, each.agreed, cells.total)),
                association,
                strict=True,
            )
        ]
        if each.metric == "iou_alpha":
            kept = np.flatnonzero(chance[cells.pair])
            sets = [of_group[number]["chance_set"] for number in range(len(groups))]
            made += [{**base, **row} for row in _by_chance(each, told, cells, kept, sets)]
    return {"object_agreement": made}


def _read(rows: pa.Table, kind: str, group: Integers, worker: Integers) -> _Drawn:
    first, answer = distinct(group, worker, coded(rows.column("answer_id"))[0])
    drawn = rows.column("drawn").to_numpy().astype(bool)
    label, labels = coded(rows.column("label"))
    # Frames are known by number, or by file where the answer does not tell it.
    numbered = rows.column("frame_no").is_valid().to_numpy()
    _, frame = distinct(
        np.where(numbered, integers(rows.column("frame_no")), -1),
        np.where(numbered, -1, coded(rows.column("frame"))[0]),
    )
    place = SPAN if kind == "span" else BOX
    return _Drawn(
        group[first],
        worker[first],
        [*labels, None],
        answer[drawn],
        np.where(label < 0, len(labels), label)[drawn],
        frame[drawn],
        np.stack([floats(rows.column(name))[drawn] for name in place], axis=1),
        coded(rows.column("instance"))[0][drawn],
    )


def _cells(told: _Drawn) -> _Cells:
    one, other = same_group(told.group)
    first, number = distinct(told.answer, told.label)
    answer, label, count = told.answer[first], told.label[first], np.bincount(number, minlength=first.size)
    sides = [across_groups(side, answer) for side in (one, other)]
    pair, held = (np.concatenate([each[place] for each in sides]) for place in (0, 1))
    first, number = distinct(pair, label[held])
    total = np.bincount(number, count[held], first.size).astype(np.float64)
    return _Cells(one, other, pair[first], label[held][first], total)


def _by_chance(measured: _Measured, told: _Drawn, cells: _Cells, kept: Integers, sets: list[str | None]) -> list[Row]:
    """Sums over the pairs of each chance set."""
    group, label = told.group[cells.one[cells.pair[kept]]], cells.label[kept]
    first, number = distinct(group, label)
    sums = (np.bincount(number, values[kept], first.size).tolist() for values in (measured.agreed, cells.total))
    return [
        {
            "chance_set": sets[group[at]],
            "metric": measured.metric,
            "label": told.labels[label[at]],
            "pair_count": pairs,
            "agreed": agreed,
            "total": total,
        }
        for at, pairs, agreed, total in zip(
            first.tolist(), np.bincount(number, minlength=first.size).tolist(), *sums, strict=True
        )
    ]


def _shapes(told: _Drawn, cells: _Cells, kind: str) -> list[_Measured]:
    """F1 and overlap of shapes of one class in one frame: twice what is matched."""
    _, alike = distinct(told.group[told.answer], told.frame, told.label)
    overlap = spans.overlapping if kind == "span" else box_iou
    found = []
    for some in chunks_of_pairs(alike):
        swapped = told.answer[some[0]] > told.answer[some[1]]
        one, other = np.where(swapped, some[1], some[0]), np.where(swapped, some[0], some[1])
        worth = overlap(told.place[one], told.place[other])
        near = (told.answer[one] != told.answer[other]) & (worth > 0)
        found.append((one[near], other[near], worth[near]))
    one, other, worth = (np.concatenate(each) for each in zip(*found, strict=True))
    answers = told.group.size
    pair = np.searchsorted(cells.one * answers + cells.other, told.answer[one] * answers + told.answer[other])
    shapes = told.answer.size

    def matched(score: Floats, value: Floats) -> Floats:
        """Twice the value of the best matching by score, by cell."""
        chosen = best_matching(pair * shapes + one, pair * shapes + other, score)
        return cells.sums(pair[chosen], told.label[one[chosen]], 2 * value[chosen])

    def most(near: Bools) -> Floats:
        """As many matches as possible; among as many, the best."""
        return matched(np.where(near, 1 + worth / (shapes + 1), 0.0), np.ones(worth.size))

    if kind == "span":
        same = spans.exact(told.place[one], told.place[other])
        return [_Measured("span_f1", most(same)), _Measured("span_overlap_f1", most(worth > 0))]
    return [_Measured("iou_f1", most(worth >= OVERLAP)), _Measured("iou_alpha", matched(worth, worth))]


def _tracks(told: _Drawn, cells: _Cells, prefix: str) -> list[_Measured]:
    """HOTA, MOTA and IDF1, class by class. Neither answer is the truth: MOTA adds up both directions.

    The prefix tells the metrics of two levels from those of answers: an auditor starts from what the level before left,
    so that both are alike by construction.
    """
    matched, association = (np.zeros((THRESHOLDS.size, cells.pair.size)) for _ in range(2))
    right, same = np.zeros(cells.pair.size), np.zeros(cells.pair.size)
    tracks: dict[tuple[int, int], Tracks] = {}
    for number, (pair, label) in enumerate(zip(cells.pair.tolist(), cells.label.tolist(), strict=True)):
        sides = (int(cells.one[pair]), label), (int(cells.other[pair]), label)
        for side in sides:
            if side not in tracks:
                of = _one_per_frame(told, *side)
                tracks[side] = Tracks(told.frame[of], _numbered(told.track[of]), told.place[of])
        one, other = (tracks[side] for side in sides)
        near, far = tracking_metrics.candidates(one, other), tracking_metrics.candidates(other, one)
        sums = tracking_metrics.hota(one, other, near)
        matched[:, number], association[:, number] = 2 * sums.matched, sums.association
        there, back = tracking_metrics.clear(one, other, near), tracking_metrics.clear(other, one, far)
        errors = sum(each.missed + each.extra + each.switched for each in (there, back))
        right[number] = one.frame.size + other.frame.size - errors
        same[number] = 2 * tracking_metrics.identity(one, other, near)
    return [
        *(
            _Measured(f"{prefix}hota", matched[each], float(round(threshold, 2)), association[each])
            for each, threshold in enumerate(THRESHOLDS)
        ),
        _Measured(f"{prefix}mota", right),
        _Measured(f"{prefix}idf1", same),
    ]


def _one_per_frame(told: _Drawn, answer: int, label: int) -> Integers:
    """Boxes of one answer and class: the first of each track in a frame; a box without identity is its own track."""
    of = np.flatnonzero((told.answer == answer) & (told.label == label))
    known = told.track[of] >= 0
    return of[np.sort(distinct(told.frame[of], np.where(known, told.track[of], -1 - of))[0])] if of.size else of


def _numbered(track: Integers) -> Integers:
    alone = np.where(track >= 0, track, -1 - np.arange(track.size))
    found: Integers = np.unique(alone, return_inverse=True)[1].reshape(-1)
    return found
