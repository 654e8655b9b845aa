"""How far shapes cover each other, and the best one-to-one matching of shapes that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

PAIRS_AT_ONCE = 2_000_000
"""Shapes compared at once: what a crowded frame may cost in memory (about 300 MB)."""


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of boxes.

    Args:
        first: shape (…, 4): left, top, width, height in pixels.
        second: likewise; both broadcast.

    Returns:
        0 to 1, shape (…). A box that is not finite, or has no area, covers nothing: 0.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.maximum(first[..., :2], second[..., :2])
        far = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
        covered = np.prod(np.maximum(far - near, 0.0), axis=-1)
        union = np.prod(first[..., 2:], axis=-1) + np.prod(second[..., 2:], axis=-1) - covered
        sound = np.all((first[..., 2:] > 0) & (second[..., 2:] > 0), axis=-1) & np.isfinite(covered / union)
    found: Floats = np.divide(covered, union, out=np.zeros_like(union), where=sound)
    return found


def same_group(group: Integers) -> tuple[Integers, Integers]:
    """All pairs i < j of positions with equal `group`, shape (n,): positions of i and of j, group by group."""
    found = list(chunks_of_pairs(group, int(group.size) ** 2 + 1))
    return found[0]


def chunks_of_pairs(group: Integers, at_once: int = PAIRS_AT_ONCE) -> Iterator[tuple[Integers, Integers]]:
    """`same_group` in chunks of some `at_once` pairs (more if one position has more); one chunk at least."""
    order = np.argsort(group, kind="stable")
    _, sizes = np.unique(group, return_counts=True)
    # The n-th member of a group of g has g - 1 - n partners after it.
    partners = np.repeat(np.cumsum(sizes), sizes) - np.arange(group.size) - 1
    for start, stop in _chunks(partners, at_once):
        first = np.repeat(np.arange(start, stop), partners[start:stop])
        before = np.cumsum(partners[start:stop]) - partners[start:stop]
        within = np.arange(first.size) - np.repeat(before, partners[start:stop])
        yield order[first], order[first + 1 + within]


def _chunks(sizes: Integers, at_once: int) -> Iterator[tuple[int, int]]:
    """Bounds of runs of positions whose sizes add up to some `at_once`; one at least."""
    part = (np.cumsum(sizes) - sizes) // at_once
    starts = np.flatnonzero(np.diff(part, prepend=-1)).tolist() or [0]
    yield from zip(starts, [*starts[1:], sizes.size], strict=True)


def across_groups(first: Integers, second: Integers) -> tuple[Integers, Integers]:
    """All pairs (i, j) with `first[i] == second[j]`: two arrays of positions, sorted by i."""
    found = list(chunks_across(first, second, int(first.size) * int(second.size) + 1))
    return found[0]


def chunks_across(
    first: Integers, second: Integers, at_once: int = PAIRS_AT_ONCE
) -> Iterator[tuple[Integers, Integers]]:
    """`across_groups` in chunks of some `at_once` pairs (more if one position has more); one chunk at least."""
    order = np.argsort(second, kind="stable")
    begin = np.searchsorted(second[order], first, "left")
    partners = np.searchsorted(second[order], first, "right") - begin
    for start, stop in _chunks(partners, at_once):
        some = partners[start:stop]
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        yield np.repeat(np.arange(start, stop), some), order[np.repeat(begin[start:stop], some) + within]


def best_matching(first: Integers, second: Integers, score: Floats) -> Bools:
    """Chooses candidates so that no shape is chosen twice and the sum of their scores is greatest.

    Many small problems are one: shapes of different frames or workers need only different numbers. A candidate without
    a rival is chosen at once; connected rivals are solved by the Hungarian method (`linear_sum_assignment`).

    Args:
        first: number of the shape on one side of each candidate, shape (n,).
        second: likewise of the other side; each candidate once.
        score: worth of each candidate; those not above 0 are never chosen.

    Returns:
        Which candidates are chosen, shape (n,).
    """
    chosen = np.zeros(score.shape, bool)
    worthy = np.flatnonzero(score > 0)
    if not worthy.size:
        return chosen
    rows, columns = (np.unique(each[worthy], return_inverse=True)[1].reshape(-1) for each in (first, second))
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    chosen[worthy[alone]] = True
    rivals = np.flatnonzero(~alone)
    if not rivals.size:
        return chosen
    rows, columns, worthy = rows[rivals], columns[rivals], worthy[rivals]
    nodes = int(rows.max()) + 1
    graph = coo_array((np.ones(rows.size), (rows, columns + nodes)), shape=(nodes + int(columns.max()) + 1,) * 2)
    part = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(part, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        near, row = np.unique(rows[members], return_inverse=True)
        far, column = np.unique(columns[members], return_inverse=True)
        worth = np.zeros((near.size, far.size))
        worth[row, column] = score[worthy[members]]
        candidate = np.full(worth.shape, -1)
        candidate[row, column] = worthy[members]
        taken = candidate[linear_sum_assignment(worth, maximize=True)]
        chosen[taken[taken >= 0]] = True
    return chosen
