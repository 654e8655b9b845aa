"""Label drift: how far the labels of one day, worker or batch differ from all the others, and what chance explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, f

from sextant.labeling.insight.columns import codes, floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Rows: TypeAlias = "list[dict[str, Any]]"

SMALLEST_DRIFT = 0.1
"""A population stability index below this is customarily called stable (Siddiqi, Credit Risk Scorecards, 2006)."""
CHANCE = 0.01
FEWEST_EXPECTED = 5.0
"""Values of which fewer are expected on either side are put together, as for any chi-square test (Cochran 1954)."""
SMOOTHING = 0.5
"""Added to every count before logarithms are taken: Jeffreys' prior."""


@dataclass(frozen=True)
class Comparison:
    """One item against its reference; `bins` is the number of values after rare ones were put together."""

    psi: float
    js: float
    bins: int


def distances(item: Floats, reference: Floats) -> Comparison:
    """Population stability index and Jensen-Shannon distance of two distributions, given as counts by value.

    The index is the sum of (p - q) ln(p / q) over the values, rare ones together (Kullback and Leibler's J, 1951);
    the distance is the square root of the divergence to base 2 (Endres and Schindelin 2003), of all values as they are.

    Args:
        item: counts by value, shape (values,); not all 0.
        reference: counts of the others, likewise.
    """
    js = float(jensenshannon(item, reference, base=2))
    counts = np.stack((item, reference))
    expected = counts.sum(axis=0) / counts.sum() * counts.sum(axis=1).min()
    rare = expected < FEWEST_EXPECTED
    if np.count_nonzero(~rare) < 2 and np.count_nonzero(expected) >= 2:
        rare = np.arange(len(expected)) != int(np.argmax(expected))  # the most frequent against the rest
    if rare.any():
        together = counts[:, rare].sum(axis=1, keepdims=True)
        counts = counts[:, ~rare] if not together.any() else np.hstack((counts[:, ~rare], together))
    smooth = counts + SMOOTHING
    p, q = smooth / smooth.sum(axis=1, keepdims=True)
    return Comparison(float(np.sum((p - q) * np.log(p / q))), 0.0 if np.isnan(js) else js, counts.shape[1])


@dataclass(frozen=True)
class Dispersion:
    """How much more the counts of one item vary than independent labels would, and the freedom of that estimate.

    Labels of one picture resemble each other: there a hundred labels tell less than a hundred pictures with one each.
    `freedom` is the number of clusters less the number of items; infinite where every cluster is a single label.
    """

    factor: float = 1.0
    freedom: float = np.inf


def dispersion(counts: Floats, squares: Floats, crossed: Floats, sizes: Floats, clusters: Floats) -> Dispersion:
    """The mean design effect within items (Rao and Scott, The analysis of categorical data from complex sample surveys,
    JASA 76, 1981), not below 1.

    Args:
        counts: labels by item and value, shape (items, values).
        squares: sums over the item's clusters (data objects, or a worker's answers) of the squared counts, likewise.
        crossed: sums over the clusters of count times cluster size, likewise.
        sizes: sums over the clusters of the squared cluster size, shape (items,).
        clusters: number of clusters, shape (items,).
    """
    labels = counts.sum(axis=1)
    if np.array_equal(sizes, labels):
        return Dispersion()
    usable = clusters >= 2
    freedom = float((clusters[usable] - 1).sum())
    shares = counts[usable].sum(axis=0) / max(labels[usable].sum(), 1.0)
    frequent = shares * labels[usable].sum() >= FEWEST_EXPECTED
    if freedom == 0 or np.count_nonzero(frequent) < 2:
        return Dispersion(freedom=0.0)
    own = counts[usable] / labels[usable, None]
    spread = squares[usable] - 2 * own * crossed[usable] + own**2 * sizes[usable, None]
    spread *= (clusters[usable] / (clusters[usable] - 1))[:, None]
    expected = labels[usable].sum() * float((1 - shares[frequent]).sum())
    return Dispersion(max(float((spread[:, frequent] / shares[frequent]).sum()) / expected, 1.0), freedom)


def threshold(bins: int, item_count: float, reference_count: float, varied: Dispersion) -> float:
    """What the index exceeds once in a hundred times if item and reference are samples of one distribution.

    Then the index is about (1/n + 1/m) times a chi-square variable with bins - 1 degrees of freedom (Yurdakul and
    Naranjo, Statistical properties of the population stability index, 2020), times the dispersion; as that is
    estimated, an F variable replaces it. NaN where the dispersion cannot be told: every item is a single cluster.
    """
    scale = (1 / item_count + 1 / reference_count) * varied.factor
    if bins < 2:
        return 0.0
    if np.isinf(varied.freedom):
        return scale * float(chi2.ppf(1 - CHANCE, bins - 1))
    if varied.freedom == 0:
        return float("nan")
    return scale * (bins - 1) * float(f.ppf(1 - CHANCE, bins - 1, (bins - 1) * varied.freedom))


def families(classes: Sequence[Sequence[str]]) -> tuple[Integers, list[str]]:
    """Jobs that have a class in common, and those that have one in common with them: what can be compared.

    Args:
        classes: the classes of each job.

    Returns:
        The number of each job's family, and the classes of each family as text.
    """
    known = sorted({name for each in classes for name in each})
    number = {name: n for n, name in enumerate(known, len(classes))}
    pairs = [(job, number[name]) for job, each in enumerate(classes) for name in each]
    size = len(classes) + len(known)
    links = coo_array((np.ones(len(pairs)), tuple(np.array(pairs).reshape(-1, 2).T)), shape=(size, size))
    count, member = connected_components(links, directed=False)
    texts = [", ".join(name for name in known if member[number[name]] == family) for family in range(count)]
    return member[: len(classes)].astype(np.int64), texts


def compute(subject: pa.Table) -> dict[str, Rows]:
    """Every day, worker and batch of one task type and subject, each against all others of its scope.

    Args:
        subject: rows of `drift.sql`: counts by job, scope, item and value, with the sums over clusters.

    Returns:
        Rows of table drift; none for an item without others, or where there is only one value.
    """
    rows: Rows = []
    told = subject.slice(0, 1).select(["task_type", "subject"]).to_pylist()[0]
    jobs = codes(subject["job_name"])
    _, first = np.unique(jobs, return_index=True)
    member, texts = families([(each or "").split("\n") for each in subject["classes"].take(first).to_pylist()])
    scopes = np.asarray(subject["scope"].to_pylist())
    for family in np.unique(member):
        for scope in ("day", "worker", "batch"):
            own = subject.filter(pa.array((member[jobs] == family) & (scopes == scope)))
            if own.num_rows:
                rows += [{**told, "classes": texts[family], "scope": scope, **row} for row in _scope(own)]
    return {"drift": rows}


def _scope(rows: pa.Table) -> Rows:
    items, values, jobs = codes(rows["item"]), codes(rows["value"]), codes(rows["job_name"])
    shape = (int(items.max()) + 1, int(values.max()) + 1)
    names, value_names = (_names(rows[name], which) for name, which in (("item", items), ("value", values)))
    if min(shape) < 2:
        return []

    def matrix(name: str) -> Floats:
        made = np.zeros(shape)
        np.add.at(made, (items, values), floats(rows[name]))
        return made

    def by_item(name: str) -> Floats:
        _, once = np.unique(items * (int(jobs.max()) + 1) + jobs, return_index=True)  # each value repeats it
        return np.bincount(items[once], floats(rows[name])[once], shape[0]).astype(np.float64)

    counts = matrix("label_count")
    varied = dispersion(
        counts, matrix("squares"), matrix("crossed"), by_item("cluster_squares"), by_item("cluster_count")
    )
    found: Rows = []
    for name, item, reference, (compared, limit) in zip(names, counts, *against_others(counts, varied), strict=True):
        n, m = float(item.sum()), float(reference.sum())
        moved = int(np.argmax(np.abs(item / n - reference / m)))
        found.append(
            {
                "item": name,
                "psi": compared.psi,
                "js": compared.js,
                "threshold": limit,
                "drifted": beyond(compared, limit) > 0,
                "case_count": int(n),
                "reference_count": int(m),
                "largest": f"{value_names[moved]}: {item[moved] / n:.1%}, others {reference[moved] / m:.1%}",
            }
        )
    return found


def beyond(compared: Comparison, limit: float) -> float:
    """How many times its threshold an index is, 0 where that is no drift: below it or 0.1, or nobody knows it (NaN)."""
    return compared.psi / limit if compared.psi > limit and compared.psi > SMALLEST_DRIFT else 0.0


def against_others(counts: Floats, varied: Dispersion) -> tuple[Floats, list[tuple[Comparison, float]]]:
    """Compares each item with the others that do not drift themselves: one that does would make all others seem to.

    The farthest is left out of the references first, with those at least half as far, and the rest looked at again,
    as long as less than half of all labels are left out.

    Args:
        counts: labels by item and value, shape (items, values), at least two items.
        varied: the dispersion of the labels.

    Returns:
        The reference of each item, shape (items, values), and its comparison with the threshold.
    """
    left_out = np.zeros(len(counts), dtype=bool)
    while True:
        reference = counts[~left_out].sum(axis=0) - np.where(left_out[:, None], 0, counts)
        # Where nothing else is left, all others are the reference.
        reference = np.where(reference.sum(axis=1, keepdims=True) > 0, reference, counts.sum(axis=0) - counts)
        found = [
            (made := distances(item, other), threshold(made.bins, item.sum(), other.sum(), varied))
            for item, other in zip(counts, reference, strict=True)
        ]
        far = np.where(left_out, 0.0, [beyond(*each) for each in found])
        wider = left_out | ((far > 0) & (far >= far.max() / 2))
        if not far.any() or counts[wider].sum() * 2 >= counts.sum():
            return reference, found
        left_out = wider


def _names(column: pa.ChunkedArray[Any], which: NDArray[np.int64]) -> list[str]:
    _, first = np.unique(which, return_index=True)
    return [str(each) for each in column.take(first).to_pylist()]
