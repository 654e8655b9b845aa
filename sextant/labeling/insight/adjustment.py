"""What a level changed in the labels of the level before: added, removed, moved, relabelled, attribute changed.

A label is *moved* when an edge of its box differs by more than `MOVED_PX`; a polygon, polyline or key point when a
coordinate does, or the number of points; a span when an offset does; a cuboid when a number differs by more than
`MOVED_M`. A mask's pixels are not read: it is moved when the manifest says that its data object was adjusted. An
attribute is *changed* only if both jobs know it, and the verdict of an audit is no change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sextant.labeling.insight.columns import coded, distinct
from sextant.labeling.insight.levels import Matched, combined, match, measurable
from sextant.labeling.insight.overlap import box_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.labeling.insight.columns import Column
    from sextant.labeling.insight.levels import Chain

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

MOVED_PX = 0.5
"""Pixels. Boxes of one worker are whole numbers, so any move of theirs is seen; a consolidated box that is merely
rounded to whole pixels is not moved."""

MOVED_M = 0.01
"""Metres, or radians, of a cuboid."""


@dataclass(frozen=True)
class Difference:
    """Two levels of some data objects compared. Masks and `iou` have the shape of `matched.base`.

    `changed` holds the changed attributes as (position in `matched.base`, name, old value, new value), sorted; a value
    is None where the label has none.
    """

    matched: Matched
    moved: Mask
    relabelled: Mask
    iou: Floats
    changed: list[tuple[int, str, str | None, str | None]]

    @property
    def attribute(self) -> Mask:
        """Which pairs have a changed attribute."""
        result = np.zeros(len(self.moved), bool)
        result[[each[0] for each in self.changed]] = True
        return result

    @property
    def unchanged(self) -> Mask:
        """Which pairs are alike in everything."""
        return ~(self.moved | self.relabelled | self.attribute)


def difference(
    chain: Chain, base: Integers, new: Integers, *, names: frozenset[str], adjusted: Mask, several: bool = False
) -> Difference:
    """Compares the labels of two jobs.

    Args:
        chain: the rows.
        base: row numbers of the labels of level N-1.
        new: row numbers of the labels of level N.
        names: the attributes that both jobs know.
        adjusted: for each row, whether the manifest says that its data object was adjusted.
        several: as in `levels.match`.
    """
    matched = match(chain, base, new, several=several)
    one, two = matched.base, matched.new
    boxes = chain.is_shape("box")[one] & chain.is_shape("box")[two]
    with np.errstate(invalid="ignore"):
        edges = [_edges(chain.box[rows]) for rows in (one, two)]
        moved = boxes & (np.abs(edges[0] - edges[1]) > MOVED_PX).any(axis=1)
    moved |= boxes & (np.isnan(chain.box[one]) != np.isnan(chain.box[two])).any(axis=1)
    moved |= chain.shape[one] != chain.shape[two]
    masks = chain.is_shape("mask")[one]
    moved |= masks & adjusted[two]
    texts = chain.table["geometry"]
    for at in np.flatnonzero(~boxes & ~masks & (chain.geometry[one] != chain.geometry[two])):
        moved[at] = differ(texts[int(one[at])].as_py(), texts[int(two[at])].as_py())
    whole = boxes & measurable(chain.box[one]) & measurable(chain.box[two])
    iou = np.where(whole, box_iou(chain.box[one], chain.box[two]), np.nan)
    return Difference(matched, moved, chain.label[one] != chain.label[two], iou, _attributes(chain, matched, names))


def _edges(boxes: Floats) -> Floats:
    return np.column_stack([boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]])


def differ(one: str | None, two: str | None) -> bool:
    """Whether two geometries in JSON differ by more than rounding."""
    try:
        first, second = json.loads(one or "null"), json.loads(two or "null")
    except ValueError:
        return one != two
    cuboid = isinstance(first, dict) and "center-x" in first
    span = isinstance(first, dict) and "startOffset" in first
    return _differ(first, second, MOVED_M if cuboid else 0.0 if span else MOVED_PX)


def _differ(one: object, two: object, tolerance: float) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() != two.keys() or any(_differ(one[key], two[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) != len(two) or any(_differ(*each, tolerance) for each in zip(one, two, strict=True))
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(one - two) > tolerance
    return one != two


def _attributes(chain: Chain, matched: Matched, names: frozenset[str]) -> list[tuple[int, str, str | None, str | None]]:
    """The attributes of pairs that differ; an empty value is as none."""
    if not names or not len(matched.base):
        return []
    sides = [long_form(chain.table["attributes"], rows) for rows in (matched.base, matched.new)]
    pair = np.r_[sides[0][0], sides[1][0]]
    name, named = coded(pa.chunked_array([*sides[0][1].chunks, *sides[1][1].chunks], pa.string()))
    value, valued = coded(pa.chunked_array([*sides[0][2].chunks, *sides[1][2].chunks], pa.string()))
    told = np.array([*(each in names for each in named), False])[name]
    told &= np.array([*(each != "" for each in valued), False])[value]
    keys = combined(pair, name + 1)
    size = len(sides[0][0])
    before, after = np.flatnonzero(told[:size]), size + np.flatnonzero(told[size:])
    _, one, two = np.intersect1d(keys[before], keys[after], assume_unique=True, return_indices=True)
    differs = value[before[one]] != value[after[two]]
    both = zip(before[one][differs].tolist(), after[two][differs].tolist(), strict=True)
    found: list[tuple[int, str, str | None, str | None]] = [
        (int(pair[old]), named[name[old]], valued[value[old]], valued[value[new]]) for old, new in both
    ]
    found += [(int(pair[old]), named[name[old]], valued[value[old]], None) for old in np.delete(before, one).tolist()]
    found += [(int(pair[new]), named[name[new]], None, valued[value[new]]) for new in np.delete(after, two).tolist()]
    return sorted(found, key=lambda each: each[:2])


def long_form(attributes: Column, rows: Integers) -> tuple[Integers, Column, Column]:
    """Maps as three arrays: position in `rows`, key and value; of a key that a map repeats the first.

    Args:
        attributes: maps of text to text, or null.
        rows: which ones, in this order.
    """
    taken: Any = attributes.take(rows).combine_chunks()
    offsets = np.asarray(taken.offsets, np.int64)
    position = np.repeat(np.arange(len(rows)), np.diff(offsets))
    start, end = int(offsets[0]), int(offsets[-1])
    name = pa.chunked_array([taken.keys.slice(start, end - start)], pa.string())
    value = pa.chunked_array([taken.items.slice(start, end - start)], pa.string())
    first = np.sort(distinct(position, coded(name)[0])[0])
    if len(first) == len(position):
        return position, name, value
    return position[first], name.take(first), value.take(first)
