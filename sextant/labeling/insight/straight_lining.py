"""Straight-lining: the same answer again and again, more often than chance makes it.

A run of equal answers of one worker, in the order of submission, has the product of the chances of its answers. It
stands out when that product, times the worker's number of answers (Bonferroni: a run may begin at any of them), is
below 0.001. Equal answers in a row have innocent causes too, so a chance is generous:

- it is the share of the answer among the colleagues' answers or, if that is higher, the share of repetitions in what
  follows that answer in their sequences: data objects often come sorted (a Markov chain of order one);
- where colleagues answered the same data object, it is 1 if one of them said the same or if most of them say what they
  said of the data object before, and the plain share otherwise: sorted or not, the object has changed;
- shares are upper bounds of 95 % intervals, so that few answers prove little and none at all prove nothing.

A worker alone in a job has nobody to be compared with and is never flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from sextant.labeling.insight.columns import codes, integers
from sextant.labeling.insight.intervals import wilson
from sextant.labeling.insight.pace import FLAGGED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Rows: TypeAlias = "list[dict[str, Any]]"

ALPHA = 0.001
SHORTEST_RUN = 5
"""Shorter runs are nobody's habit, however rare the answer."""


def runs(workers: Integers, values: Integers) -> tuple[Integers, Integers]:
    """First places and lengths of the stretches of equal values of one worker, in rows sorted by worker and time."""
    change = (workers[1:] != workers[:-1]) | (values[1:] != values[:-1])
    begins = np.flatnonzero(np.concatenate((np.ones(min(len(values), 1), dtype=bool), change)))
    return begins.astype(np.int64), np.diff(np.append(begins, len(values))).astype(np.int64)


def chances(
    workers: Integers, values: Integers, counts: Integers, followed: Integers, repeated: Integers
) -> tuple[Floats, Floats]:
    """How probable a worker's answers are by those of the colleagues.

    Args:
        workers: one row per worker and value that occur together: 0 to W-1.
        values: 0 to V-1.
        counts: answers of the worker with the value.
        followed: those that another answer of the worker follows.
        repeated: those that an equal answer follows.

    Returns:
        For each row the colleagues' share of the value, and the chance that it comes after itself: upper bounds.
    """

    def of_value(cases: Integers) -> Integers:
        return np.asarray(np.bincount(values, cases)[values] - cases, dtype=np.int64)

    def of_all(cases: Integers) -> Integers:
        return np.asarray(cases.sum() - np.bincount(workers, cases)[workers], dtype=np.int64)

    share = _upper(of_value(counts), of_all(counts))
    # A value that no colleague gave twice tells nothing of its repetitions: those of all values do.
    told = of_value(followed)
    after_itself = np.where(told > 0, _upper(of_value(repeated), told), _upper(of_all(repeated), of_all(followed)))
    return share, np.maximum(share, after_itself)


def _upper(cases: Integers, of: Integers) -> Floats:
    _, upper = wilson(cases, of)
    return np.where(of > 0, upper, 1.0)


def choice_chances(values: Integers, objects: Integers, shares: Floats, repeats: Floats) -> Floats:
    """The chance of each choice, in rows sorted by worker and time, with regard to what colleagues say of its object.

    Args:
        values: the class, 0 to V-1.
        objects: the data object, 0 to O-1.
        shares: the colleagues' share of the class.
        repeats: the chance that the class comes after itself.
    """
    width = int(values.max(initial=0)) + 1
    pairs, of_pair, sizes = np.unique(objects * width + values, return_inverse=True, return_counts=True)
    answers = np.bincount(objects)
    # Classes of one object, the most frequent first: what most say is the first of them that is not the own.
    order = np.lexsort((pairs, -sizes, pairs // width))
    first = np.searchsorted(pairs[order] // width, objects)
    top = pairs[order][first] % width
    next_to_top = pairs[order][np.minimum(first + 1, len(pairs) - 1)] % width
    others_say = np.where(top == values, next_to_top, top)
    supported = sizes[of_pair] > 1
    alone = answers[objects] == 1
    unchanged = np.zeros(len(values), dtype=bool)
    unchanged[1:] = (others_say[1:] == others_say[:-1]) & ~alone[1:] & ~alone[:-1] & ~supported[:-1]
    return np.where(alone, repeats, np.where(supported | unchanged, 1.0, shares))


def run_limit(chance: Floats, answer_count: int) -> int | None:
    """The length at which a run with these chances stands out among so many answers; None if it never does."""
    with np.errstate(divide="ignore"):
        product = np.cumsum(np.log(chance))
    beyond = np.flatnonzero(product < np.log(ALPHA / answer_count))
    return max(int(beyond[0]) + 1, SHORTEST_RUN) if len(beyond) else None


def compute(job: pa.Table) -> dict[str, Rows]:
    """Flags of one job: every choice in a run that stands out, and every answer that has part in such a run of values.

    Args:
        job: rows of `straight_lining.sql`, by `kind`: each `choice` in order; `tally`, how often a worker gave a value
            of an attribute, and what followed; `run`, the part of a run of equal values in one answer.

    Returns:
        Rows of table answer_flag.
    """
    kinds = np.asarray(job["kind"].to_pylist())
    choices, tallies, parts = (job.filter(pa.array(kinds == kind)) for kind in ("choice", "tally", "run"))
    return {"answer_flag": [*_choices(choices), *_values(tallies, parts)]}


def _choices(choices: pa.Table) -> Rows:
    if not choices.num_rows:
        return []
    workers, values, objects = (codes(choices[name]) for name in ("worker_id", "value", "object_id"))
    order = np.lexsort((np.arange(len(workers)), workers))  # the rows come in order of time
    workers, values, objects = workers[order], values[order], objects[order]
    width = int(values.max()) + 1
    pairs, of_pair, counts = np.unique(workers * width + values, return_inverse=True, return_counts=True)
    followed = np.concatenate((workers[1:] == workers[:-1], [False]))
    repeated = followed & np.concatenate((values[1:] == values[:-1], [False]))
    shares, repeats = chances(
        pairs // width,
        pairs % width,
        counts,
        np.bincount(of_pair, followed).astype(np.int64),
        np.bincount(of_pair, repeated).astype(np.int64),
    )
    chance = choice_chances(values, objects, shares[of_pair], repeats[of_pair])
    answer_counts = np.bincount(workers)
    found: Rows = []
    for start, length in zip(*runs(workers, values), strict=True):
        limit = None
        if length >= SHORTEST_RUN:
            limit = run_limit(chance[start : start + length], int(answer_counts[workers[start]]))
        if limit is not None and length >= limit:
            for row in choices.take(order[start : start + length]).select(FLAGGED).to_pylist():
                found.append({**row, "flag": "straight_lining", "value": float(length), "reference": float(limit)})
    return found


def _values(tallies: pa.Table, parts: pa.Table) -> Rows:
    """Flags for attributes: a run's chance is the same at each of its values, so its length alone decides."""
    limits: dict[tuple[Any, ...], int | None] = {}
    attributes = codes(tallies["attribute"])
    for attribute in range(int(attributes.max(initial=-1)) + 1):
        of = tallies.filter(pa.array(attributes == attribute))
        counts, followed, repeated = (
            integers(of[name]) for name in ("answer_count", "followed_count", "repeated_count")
        )
        workers = codes(of["worker_id"])
        _, repeats = chances(workers, codes(of["value"]), counts, followed, repeated)
        totals = np.bincount(workers, counts)[workers]
        # The same limit as of a row of equal chances: the first length whose product is below.
        with np.errstate(divide="ignore"):
            lengths = np.floor(np.log(ALPHA / totals) / np.log(repeats)) + 1
        names = zip(*(of[name].to_pylist() for name in ("worker_id", "attribute", "value")), strict=True)
        for name, length, chance in zip(names, lengths, repeats, strict=True):
            limits[name] = max(int(length), SHORTEST_RUN) if chance < 1 else None
    found: dict[str, dict[str, Any]] = {}
    for row in parts.to_pylist():
        limit = limits[row["worker_id"], row["attribute"], row["value"]]
        if limit is None or row["run_length"] < limit:
            continue
        # Of several attributes the longest run tells.
        before = found.get(row["answer_id"])
        if before is None or (row["run_length"], -limit) > (before["value"], -before["reference"]):
            told = {"flag": "straight_lining", "value": float(row["run_length"]), "reference": float(limit)}
            found[row["answer_id"]] = {**{name: row[name] for name in FLAGGED}, **told}
    return list(found.values())
