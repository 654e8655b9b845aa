"""Labels of the levels of one data object, found again from level to level, and who made them.

A batch labels a data object on the first level, and audits or adjusts its labels on the next ones: a chain of jobs,
each telling its `base_job`. `Chain` holds some data objects of one chain as arrays; `match` finds the labels of one
level among those of another; `best_worker` says which worker a consolidated label came from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sextant.labeling.insight.columns import coded, codes, floats
from sextant.labeling.insight.overlap import across_groups, best_matching, box_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sextant.labeling.insight.columns import Column

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

MATCHED_IOU = 0.3
"""Least overlap at which an untracked shape is held to be the one of the level before, moved; below, one was removed
and another added. Adjusting moves edges, so most pairs lie far above; unrelated neighbours lie far below."""

REACH = 8.0
"""Pixels by which the bounding box of points and lines is widened on each side to find them again, for want of area."""

CANDIDATES = 2_000_000
"""Pairs of shapes compared at once: what a crowded frame may cost in memory (about 200 MB)."""


class Chain:
    """Rows of some data objects of one chain of jobs: what `levels.sql` gives.

    `kind` tells the rows apart: `object` (one data object of one job, or the part of it that one task of the job is),
    `answerer` (a worker who answered it), `label` (a consolidated label), `frame` (a frame of a sequence that the job
    holds), `answer` (a shape or class of one worker's answer, where an object has several answers).
    Arrays are of shape (rows,) over all kinds; codes number equal values from 0.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table.combine_chunks()
        self.kind: NDArray[Any] = self.text("kind")
        self.object = codes(self.table["data_object"])
        self.job = codes(self.table["job_name"])
        of_task = combined(self.job, self.object, codes(self.table["object_id"]))
        self.task: Integers = np.unique(of_task, return_inverse=True)[1].reshape(-1)
        self.frame = self._frames()
        self.instance = codes(self.table["instance_id"])
        self.tracked = np.asarray(pc.is_valid(self.table["instance_id"]).to_numpy(), dtype=bool)
        self.label = codes(self.table["label"])
        self.shape = codes(self.table["shape"])
        self.geometry = codes(self.table["geometry"])
        self.box: Floats = np.column_stack(
            [floats(self.table[name]) for name in ("left_px", "top_px", "width_px", "height_px")]
        )

    def _frames(self) -> Integers:
        """Codes of frames: by their file, for a job that sees a part of a sequence may number its frames anew; by
        their number where a label or frame does not tell its file, or two frames of a task have one. The file of an
        answer's frame is that which the task has under its number.
        """
        number, name = codes(self.table["frame_no"]), codes(self.table["frame"])
        told, named = (np.asarray(pc.is_valid(self.table[each]).to_numpy(), bool) for each in ("frame_no", "frame"))
        known = told & np.isin(self.kind, ["label", "frame"])
        own = combined(self.task, number)
        keys, first = np.unique(own[known], return_index=True)
        if not named[known].all() or len(np.unique(combined(self.task, name)[known])) < len(keys):
            return number
        if len(keys):
            at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
            name = np.where(told & (keys[at] == own), name[known][first][at], name)
        return name

    @cached_property
    def spot(self) -> Integers:
        """A number for each frame of each data object."""
        return combined(self.object, self.frame)

    @cached_property
    def place(self) -> Integers:
        """A number for each kind of shape in one frame of one data object: where a label can be another's."""
        return combined(self.object, self.frame, self.shape)

    @cached_property
    def exact(self) -> Integers:
        """A number that two labels have in common when nothing but their attributes tells them apart."""
        sides = [np.unique(self.box[:, side], return_inverse=True)[1] for side in range(4)]
        return combined(self.place, self.label, self.geometry, *sides)

    def rows(self, kind: str) -> Integers:
        """Row numbers of a kind."""
        return np.flatnonzero(self.kind == kind)

    def is_shape(self, *names: str) -> Mask:
        """Which rows are of these shapes."""
        code, values = coded(self.table["shape"])
        return np.array([*(each in names for each in values), False])[code]

    @cached_property
    def workers(self) -> Integers:
        """A number for each person: rows with one worker id or one sub are one person; -1 where no worker is told."""
        return persons(self.table["worker_id"], self.table["sub"])

    def text(self, name: str) -> NDArray[Any]:
        """A column as Python values; None where there is none."""
        code, values = coded(self.table[name])
        return np.array([*values, None], dtype=object)[code]


def persons(worker_id: Column, sub: Column) -> Integers:
    """Numbers for persons: one worker id or one sub is one person. -1 where there is no worker id."""
    ids, subs = codes(worker_id), codes(sub)
    told = np.asarray(pc.is_valid(worker_id).to_numpy(), dtype=bool)
    known = told & np.asarray(pc.is_valid(sub).to_numpy(), dtype=bool)
    size = int(ids.max(initial=-1)) + 1
    count = size + int(subs.max(initial=-1)) + 1
    links = coo_array((np.ones(int(known.sum())), (ids[known], subs[known] + size)), shape=(count, count))
    _, person = connected_components(links, directed=False)
    return np.where(told, person.astype(np.int64)[ids], -1)


def combined(*parts: Integers) -> Integers:
    """One number for each combination of codes: equal exactly where all parts are equal."""
    result = np.zeros(len(parts[0]), np.int64)
    size = 1
    for part in parts:
        width = int(part.max(initial=0)) + 1
        if size > (1 << 62) // max(width, 1):
            _, result = np.unique(result, return_inverse=True)
            size = int(result.max(initial=0)) + 1
        result = result * width + part
        size *= width
    return result


def occurrence(keys: Integers) -> Integers:
    """0 for the first row with its key, 1 for the second, and so on."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    result = np.empty(len(keys), np.int64)
    result[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    return result


def joined(left: Integers, right: Integers) -> tuple[Integers, Integers]:
    """Pairs of positions with one key; the n-th of the left with the n-th of the right where a key is repeated."""
    if not len(left) or not len(right):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    both = combined(np.r_[left, right], np.r_[occurrence(left), occurrence(right)])
    _, first, second = np.intersect1d(both[: len(left)], both[len(left) :], assume_unique=True, return_indices=True)
    return first, second


@dataclass(frozen=True)
class Matched:
    """Labels of two levels, as row numbers of the chain: pairs, and those without a partner."""

    base: Integers
    new: Integers
    removed: Integers
    added: Integers


def match(chain: Chain, base: Integers, new: Integers, *, several: bool = False) -> Matched:
    """Finds the labels of one level among those of the level before, data object by data object.

    Tracked labels are one where frame and instance id are. Others are first paired where nothing changed; of what is
    left, boxes, spans and shapes with points are assigned within their frame by the greatest total overlap (Hungarian
    method; at least `MATCHED_IOU`); masks by class, classes where the task admits one, custom labels by their order.

    Args:
        chain: the rows.
        base: row numbers of the labels of level N-1.
        new: row numbers of the labels of level N.
        several: a data object may have several classes, so that one is no substitute for another.
    """
    track = combined(chain.object, chain.frame, chain.instance)
    ones, twos = [base[:0]], [new[:0]]

    def take(left: Integers, right: Integers, pairs: tuple[Integers, Integers]) -> tuple[Integers, Integers]:
        """Keeps the pairs of positions and gives what is left of both sides."""
        ones.append(left[pairs[0]])
        twos.append(right[pairs[1]])
        return np.delete(left, pairs[0]), np.delete(right, pairs[1])

    left, right = base[chain.tracked[base]], new[chain.tracked[new]]
    lost, found = take(left, right, joined(track[left], track[right]))
    left, right = base[~chain.tracked[base]], new[~chain.tracked[new]]
    left, right = take(left, right, joined(chain.exact[left], chain.exact[right]))
    left, right = take(left, right, _nearest(chain, left, right))
    left, right = take(left, right, _placeless(chain, left, right, several=several))
    return Matched(np.concatenate(ones), np.concatenate(twos), np.sort(np.r_[lost, left]), np.sort(np.r_[found, right]))


def _placeless(chain: Chain, base: Integers, new: Integers, *, several: bool) -> tuple[Integers, Integers]:
    """Positions of masks of one class, of custom labels in their order, and of the one class of an object."""
    mask = chain.is_shape("mask")
    ordered = chain.is_shape("custom") if several else chain.is_shape("custom", "class", "verdict")
    key = np.where(mask | ordered, combined(chain.place, np.where(mask, chain.label, 0)), -1)
    left, right = np.flatnonzero(key[base] >= 0), np.flatnonzero(key[new] >= 0)
    one, two = joined(key[base][left], key[new][right])
    return left[one], right[two]


def _nearest(chain: Chain, base: Integers, new: Integers) -> tuple[Integers, Integers]:
    """Positions of the labels assigned to each other by their overlap."""
    rows = np.r_[base, new]
    extent = extents(chain, rows)
    place = chain.place[rows]
    first: list[Integers] = []
    second: list[Integers] = []
    weight: list[Floats] = []
    for one, two in candidates(place[: len(base)], place[len(base) :]):
        iou = box_iou(extent[one], extent[len(base) + two])
        near = iou >= MATCHED_IOU
        first.append(one[near])
        second.append(two[near])
        # Of two partners that lie alike the one of the same class is it.
        weight.append(iou[near] + 1e-6 * (chain.label[base[one[near]]] == chain.label[new[two[near]]]))
    if not first:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    left, right, worth = np.concatenate(first), np.concatenate(second), np.concatenate(weight)
    chosen = best_matching(left, right, worth)
    return left[chosen], right[chosen]


def candidates(left: Integers, right: Integers) -> Iterator[tuple[Integers, Integers]]:
    """All pairs of positions with one key, about `CANDIDATES` at a time."""
    if not len(left):
        return
    ordered = np.sort(right)
    pairs = np.cumsum(np.searchsorted(ordered, left, "right") - np.searchsorted(ordered, left, "left"))
    cuts = np.unique(pairs // CANDIDATES, return_index=True)[1]
    for start, end in zip(cuts, [*cuts[1:], len(left)], strict=True):
        one, two = across_groups(left[start:end], right)
        yield one + start, two


def measurable(boxes: Floats) -> Mask:
    """Which boxes, shape (n, 4), have an area: all four numbers finite, width and height above 0."""
    return np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)


def extents(chain: Chain, rows: Integers) -> Floats:
    """A box, shape (rows, 4), in which a label lies: the box itself, a span as a box one high, the bounding box of
    points widened by `REACH`, a cuboid from above without its turn; NaN for what lies nowhere.
    """
    result = chain.box[rows].copy()
    placed = chain.is_shape("span", "polygon", "polyline", "keypoint", "cuboid")[rows]
    known: dict[int, tuple[float, float, float, float]] = {}
    texts = chain.table["geometry"]
    for at in np.flatnonzero(placed):
        code = int(chain.geometry[rows[at]])
        if code not in known:
            known[code] = extent_of(texts[int(rows[at])].as_py())
        result[at] = known[code]
    result[~(placed | chain.is_shape("box")[rows])] = np.nan
    return result


_NOWHERE = (np.nan, np.nan, np.nan, np.nan)


def extent_of(geometry: str | None) -> tuple[float, float, float, float]:
    """The bounding box of a geometry in JSON (see `extents`); NaN where it has none."""
    try:
        shape = json.loads(geometry or "null")
        if "startOffset" in shape:
            start, end = float(shape["startOffset"]), float(shape["endOffset"])
            return start, 0.0, end - start, 1.0
        if "center-x" in shape:
            length, width = float(shape["length"]), float(shape["width"])
            return float(shape["center-x"]) - length / 2, float(shape["center-y"]) - width / 2, length, width
        points = shape.get("vertices", [shape])
        across, down = [float(each["x"]) for each in points], [float(each["y"]) for each in points]
        left, top = min(across) - REACH, min(down) - REACH
        return left, top, max(across) + REACH - left, max(down) + REACH - top
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return _NOWHERE


@dataclass(frozen=True)
class Origins:
    """Labels and the answers that they may have come from: row numbers, and how good the resemblance is. Sorted by
    label, the best first; one for each label and worker.
    """

    label: Integers
    answer: Integers
    worth: Floats


def origins(chain: Chain, labels: Integers, answers: Integers) -> Origins:
    """The answers' shapes that consolidated labels may have come from.

    An answer's shape is a label's where both lie in one frame of one data object, are of one kind, and are the same
    track, the same class or geometry, or overlap by `MATCHED_IOU` or more. The same track is worth most, then the same
    class, then the overlap.

    Args:
        chain: the rows.
        labels: row numbers of consolidated labels.
        answers: row numbers of answers' shapes.
    """
    extent_l, extent_a = extents(chain, labels), extents(chain, answers)
    whole = chain.is_shape("class", "verdict", "mask")
    found: list[tuple[Integers, Integers, Floats]] = []
    for one, two in candidates(chain.place[labels], chain.place[answers]):
        label, answer = labels[one], answers[two]
        iou = box_iou(extent_l[one], extent_a[two])
        same_label = chain.label[label] == chain.label[answer]
        track = chain.tracked[label] & chain.tracked[answer] & (chain.instance[label] == chain.instance[answer])
        placeless = ~measurable(extent_l[one])
        same = placeless & same_label & (whole[label] | (chain.geometry[label] == chain.geometry[answer]))
        good = track | same | (iou >= MATCHED_IOU)
        found.append((label[good], answer[good], (2.0 * track + same_label + iou)[good]))
    if not found:
        return Origins(labels[:0], answers[:0], np.empty(0))
    label = np.concatenate([each[0] for each in found])
    answer = np.concatenate([each[1] for each in found])
    worth = np.concatenate([each[2] for each in found])
    order = np.lexsort((answer, -worth, label))
    label, answer, worth = label[order], answer[order], worth[order]
    best = occurrence(combined(label, chain.workers[answer] + 1)) == 0
    return Origins(label[best], answer[best], worth[best])


def best_worker(chain: Chain, found: Origins) -> tuple[Integers, Integers]:
    """Labels and the worker of the answer that resembles each most; none where two workers' do equally."""
    first = np.flatnonzero(occurrence(found.label) == 0)
    after = np.minimum(first + 1, max(len(found.label) - 1, 0))
    tied = (found.label[after] == found.label[first]) & (after > first)
    tied &= found.worth[after] > found.worth[first] - 1e-9
    return found.label[first[~tied]], chain.workers[found.answer[first[~tied]]]
