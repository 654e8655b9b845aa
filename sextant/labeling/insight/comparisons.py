"""Compares the answers to one data object: boxes, spans and tracks, each answer with each other.

What comes out are sums that add up over data objects (table object_agreement): `agreement.summary` makes F1, alpha,
HOTA, MOTA and IDF1 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from sextant.labeling.insight import spans, tracking_metrics
from sextant.labeling.insight.columns import coded, distinct, floats, integers
from sextant.labeling.insight.overlap import best_matching, box_iou, same_group
from sextant.labeling.insight.tracking_metrics import THRESHOLDS, Tracks

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Row = dict[str, Any]
JOB = ("job_name", "modality", "task_type")
BOX = ("left_px", "top_px", "width_px", "height_px")
SPAN = ("start_offset", "end_offset")
OVERLAP = 0.5
"""Least IoU of boxes that iou_f1 takes for the same."""


@dataclass(frozen=True)
class _Answers:
    """The shapes of the answers to one object. `answer` and `label` number `workers` and `labels`, shape (n,)."""

    workers: list[str | None]
    labels: list[str | None]
    answer: Integers
    label: Integers
    frame: Integers
    place: Floats
    track: Integers

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.workers)), 2))


def _read(rows: pa.Table, kind: str) -> _Answers:
    who = {
        each["answer_id"]: each["worker"]
        for each in rows.select(["answer_id", "worker"]).group_by(["answer_id", "worker"]).aggregate([]).to_pylist()
    }
    order = sorted(who, key=lambda each: (who[each] or "", each))
    answer, answers = coded(rows.column("answer_id"))
    rank = np.array([order.index(each) for each in answers])
    drawn = rows.column("drawn").to_numpy().astype(bool)
    label, labels = coded(rows.column("label").filter(rows.column("drawn")))
    # Frames are known by number, or by file where the answer does not tell it.
    numbered = rows.column("frame_no").is_valid().to_numpy()
    _, frame = distinct(
        np.where(numbered, integers(rows.column("frame_no")), -1),
        np.where(numbered, -1, coded(rows.column("frame"))[0]),
    )
    place = SPAN if kind == "span" else BOX
    return _Answers(
        [who[each] for each in order],
        [*labels, None] if (label < 0).any() else labels,
        rank[answer][drawn],
        np.where(label < 0, len(labels), label),
        frame[drawn],
        np.stack([floats(rows.column(name))[drawn] for name in place], axis=1),
        coded(rows.column("instance"))[0][drawn],
    )


def comparisons(rows: pa.Table) -> dict[str, list[Row]]:
    """Compares the answers to one data object, each with each other.

    Args:
        rows: one row per shape, or one with `drawn` false for an answer without any: columns of JOB, kind (box, span
            or track), object_id, chance_set, answer_id, worker, day, drawn, frame_no, frame, instance, label, BOX,
            start_offset, end_offset. With a chance_set the answers are of different objects.

    Returns:
        Rows of table object_agreement.
    """
    first = {name: rows.column(name)[0].as_py() for name in (*JOB, "kind", "object_id", "chance_set", "day")}
    told = _read(rows, first["kind"])
    counts = np.zeros((len(told.workers), len(told.labels)))
    np.add.at(counts, (told.answer, told.label), 1)
    pairs = told.pairs
    one, other = (np.array([each[side] for each in pairs], np.int64) for side in (0, 1))
    total = counts[one] + counts[other]
    base = {**{name: first[name] for name in JOB}, "object_id": first["object_id"], "day": first["day"]}
    measured = _tracks(told) if first["kind"] == "track" else _shapes(told, first["kind"])
    if first["chance_set"] is not None:
        measured = [each for each in measured if each.metric == "iou_alpha"]
        head = {**base, "object_id": None, "day": None, "chance_set": first["chance_set"]}
        return {"object_agreement": [row for each in measured for row in _by_chance(head, each, total, told.labels)]}
    made: list[Row] = []
    base["answer_count"] = len(told.workers)
    for each in measured:
        for number, (a, b) in enumerate(pairs):
            head = {
                **base,
                "metric": each.metric,
                "threshold": each.threshold,
                "worker": told.workers[a],
                "other_worker": told.workers[b],
                "pair_count": 1,
            }
            seen = np.flatnonzero(total[number])
            made += [
                {
                    **head,
                    "label": told.labels[label],
                    "agreed": float(each.agreed[number, label]),
                    "total": float(total[number, label]),
                    "association": None if each.association is None else float(each.association[number, label]),
                }
                for label in seen
            ] or [{**head, "agreed": 0.0, "total": 0.0}]
    return {"object_agreement": made}


@dataclass(frozen=True)
class _Measured:
    """One metric of every pair of answers and class: shape (pairs, labels)."""

    metric: str
    agreed: Floats
    threshold: float | None = None
    association: Floats | None = None


def _by_chance(head: Row, measured: _Measured, total: Floats, labels: list[str | None]) -> list[Row]:
    """Sums over the pairs of one chance set."""
    return [
        {
            **head,
            "metric": measured.metric,
            "label": label,
            "pair_count": int(np.count_nonzero(total[:, number])),
            "agreed": float(measured.agreed[:, number].sum()),
            "total": float(total[:, number].sum()),
        }
        for number, label in enumerate(labels)
    ]


def _shapes(told: _Answers, kind: str) -> list[_Measured]:
    """F1 and overlap of shapes of one class in one frame: twice what is matched."""
    one, other = same_group(told.frame * max(1, len(told.labels)) + told.label)
    swapped = told.answer[one] > told.answer[other]
    one, other = np.where(swapped, other, one), np.where(swapped, one, other)
    apart = told.answer[one] != told.answer[other]
    one, other = one[apart], other[apart]
    pair = told.answer[one] * len(told.workers) + told.answer[other]
    number = np.array([a * len(told.workers) + b for a, b in told.pairs], np.int64)
    pair = np.searchsorted(number, pair)
    shapes = max(1, told.answer.size)

    def matched(score: Floats, worth: Floats) -> Floats:
        """Twice the worth of the best matching by score, by pair of answers and label."""
        chosen = best_matching(pair * shapes + one, pair * shapes + other, score)
        sums = np.zeros((number.size, len(told.labels)))
        np.add.at(sums, (pair[chosen], told.label[one[chosen]]), 2 * worth[chosen])
        return sums

    def most(worth: Floats, near: Bools) -> Floats:
        """As many matches as possible; among as many, the best."""
        return matched(np.where(near, 1 + worth / (shapes + 1), 0.0), np.ones(worth.size))

    if kind == "span":
        same = spans.exact(told.place[one], told.place[other])
        shared = spans.overlapping(told.place[one], told.place[other])
        return [_Measured("span_f1", most(same, same > 0)), _Measured("span_overlap_f1", most(shared, shared > 0))]
    iou = box_iou(told.place[one], told.place[other])
    return [_Measured("iou_f1", most(iou, iou >= OVERLAP)), _Measured("iou_alpha", matched(iou, iou))]


def _tracks(told: _Answers) -> list[_Measured]:
    """HOTA, MOTA and IDF1, class by class. Neither answer is the truth: MOTA adds up both directions."""
    shape = (len(told.pairs), len(told.labels))
    matched, association = np.zeros((THRESHOLDS.size, *shape)), np.zeros((THRESHOLDS.size, *shape))
    right, same = np.zeros(shape), np.zeros(shape)
    by_answer = [
        [
            Tracks(told.frame[of], _numbered(told.track[of]), told.place[of])
            for of in (_one_per_frame(told, answer, label) for label in range(len(told.labels)))
        ]
        for answer in range(len(told.workers))
    ]
    for pair, (a, b) in enumerate(told.pairs):
        for label in range(len(told.labels)):
            one, other = by_answer[a][label], by_answer[b][label]
            near, far = tracking_metrics.candidates(one, other), tracking_metrics.candidates(other, one)
            sums = tracking_metrics.hota(one, other, near)
            matched[:, pair, label], association[:, pair, label] = 2 * sums.matched, sums.association
            there, back = tracking_metrics.clear(one, other, near), tracking_metrics.clear(other, one, far)
            errors = sum(each.missed + each.extra + each.switched for each in (there, back))
            right[pair, label] = one.frame.size + other.frame.size - errors
            same[pair, label] = 2 * tracking_metrics.identity(one, other, near)
    return [
        *(
            _Measured("hota", matched[each], float(round(threshold, 2)), association[each])
            for each, threshold in enumerate(THRESHOLDS)
        ),
        _Measured("mota", right),
        _Measured("idf1", same),
    ]


def _one_per_frame(told: _Answers, answer: int, label: int) -> Integers:
    """Boxes of one answer and class: the first of each track in a frame; a box without identity is its own track."""
    of = np.flatnonzero((told.answer == answer) & (told.label == label))
    known = told.track[of] >= 0
    return of[np.sort(distinct(told.frame[of], np.where(known, told.track[of], -1 - of))[0])] if of.size else of


def _numbered(track: Integers) -> Integers:
    alone = np.where(track >= 0, track, -1 - np.arange(track.size))
    found: Integers = np.unique(alone, return_inverse=True)[1].reshape(-1)
    return found
