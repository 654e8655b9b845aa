"""Time against quality, and answers that came too fast or took too long.

Everything is in seconds per label, on a logarithmic scale where distributions are compared: working times are skewed,
and twice as long is as far as half as long. An answer without any label took its time too, and counts as one label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.stats import binom, t

from sextant.labeling.insight.columns import codes, floats
from sextant.labeling.insight.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Rows: TypeAlias = "list[dict[str, Any]]"

FLAGGED = ("job_name", "modality", "task_type", "answer_id", "object_id", "worker_id", "username", "submitted_at")
"""Columns of an answer that a flag repeats."""
LEVEL = 0.95
SHORTEST_SECONDS = 0.001
"""Zero seconds happen and have no logarithm: they count as the shortest time that Ground Truth writes."""
FEWEST_PEERS = 20
"""Answers of at least two colleagues below which nobody's answers are called fast."""
FEWEST_TIMES = 8
"""Answers of a job below which none is called long: quartiles of fewer are noise."""
RUSH_RATIO = 0.5
IDLE_RATIO = 3.0
"""What stands out takes at most half or at least three times the usual time, however little the times spread."""
FENCE = 3.0
"""Quartile distances beyond the upper quartile: Tukey's outer fence (Exploratory Data Analysis, 1977, 2C)."""


def seconds_per_label(seconds: Floats, labels: Floats) -> Floats:
    """Seconds per label of answers; NaN where the time is not told, negative or not finite.

    Args:
        seconds: time spent, NaN where it is not told.
        labels: labels in each answer, NaN where the answer's shape is unknown.
    """
    usable = np.isfinite(seconds) & (seconds >= 0)
    shares = np.where(usable, seconds, np.nan) / np.where(labels > 1, labels, 1.0)
    return np.asarray(shares, dtype=np.float64)


def median_interval(values: Floats, level: float = LEVEL) -> tuple[float, float | None, float | None]:
    """Median, and the bounds of its interval from order statistics: exact for any continuous distribution.

    The interval from the k-th smallest to the k-th largest of n values covers the median unless fewer than k values
    lie on one side of it, so with probability 1 - 2 P(Binomial(n, 1/2) < k) (David and Nagaraja, Order Statistics,
    2003, 7.1). The largest k that still gives the level is taken; fewer than 6 values give none at 95 %.
    """
    ordered = np.sort(values)
    count = len(ordered)
    beyond = int(binom.ppf((1 - level) / 2, count, 0.5))
    median = float(np.median(ordered))
    if beyond < 1:
        return median, None, None
    return median, float(ordered[beyond - 1]), float(ordered[count - beyond])


def efficient(seconds: Floats, quality: Floats) -> NDArray[np.bool_]:
    """Whether nobody is at least as fast and as good and in one of both better: the Pareto frontier.

    Args:
        seconds: seconds per label of each worker.
        quality: 0 to 1.
    """
    distinct, which = np.unique(seconds, return_inverse=True)
    best = np.full(len(distinct), -np.inf)
    np.maximum.at(best, which, quality)
    best_of_faster = np.concatenate(([-np.inf], np.maximum.accumulate(best)[:-1]))
    return np.asarray((quality == best[which]) & (quality > best_of_faster[which]), dtype=np.bool_)


def rush_limits(logs: Floats, workers: NDArray[np.int64]) -> Floats:
    """Below which log seconds per label an answer of each worker is faster than nearly all of the colleagues'.

    The limit is the first percentile of the colleagues' answers, once as it is and once as median and quartile distance
    of a normal distribution predict it (with Student's t for few answers); the lower counts, so that neither a handful
    of answers nor a heavy tail makes one. One answer in a hundred of an honest worker lies below.

    Args:
        logs: log seconds per label of all answers of a job.
        workers: who gave them: 0 to W-1.

    Returns:
        One limit per worker, NaN with fewer than FEWEST_PEERS answers of two colleagues.
    """
    order = np.argsort(logs, kind="stable")
    ordered = logs[order]
    of_worker = np.argsort(workers[order], kind="stable")
    sizes = np.bincount(workers)
    ends = np.cumsum(sizes)
    limits = np.full(len(sizes), np.nan)
    for worker, (start, end) in enumerate(zip(ends - sizes, ends, strict=True)):
        count = len(logs) - int(sizes[worker])
        if count < FEWEST_PEERS or np.count_nonzero(sizes) < 3:
            continue
        own = of_worker[start:end]  # places of the worker's own answers among all, ascending
        first, low, median, high = _others(ordered, own, np.array([0.01, 0.25, 0.5, 0.75]))
        spread = (high - low) / 1.349
        predicted = median - float(t.ppf(0.99, count - 1)) * spread * np.sqrt(1 + 1 / count)
        limits[worker] = min(first, predicted, median + np.log(RUSH_RATIO))
    return limits


def _others(ordered: Floats, own: NDArray[np.int64], shares: Floats) -> Floats:
    """Quantiles (linear between order statistics) of sorted values without those at the places `own`."""
    count = len(ordered) - len(own)
    before = own - np.arange(len(own))  # how many of the others come before each of the own

    def at(ranks: NDArray[np.int64]) -> Floats:
        return np.asarray(ordered[ranks + np.searchsorted(before, ranks, side="right")], dtype=np.float64)

    places = shares * (count - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    return at(below) + (places - below) * (at(above) - at(below))


def idle_limit(logs: Floats) -> float:
    """Above which log seconds per label an answer was interrupted: the outer fence of the job's answers.

    Quartiles bear a quarter of outliers, so the answers that are looked for may be among them. Of normal logs one in a
    million lies above. NaN with fewer than FEWEST_TIMES answers.
    """
    if len(logs) < FEWEST_TIMES:
        return float("nan")
    low, median, high = np.quantile(logs, [0.25, 0.5, 0.75])
    return float(max(high + FENCE * (high - low), median + np.log(IDLE_RATIO)))


def compute(job: pa.Table) -> dict[str, Rows]:
    """The pace of every worker of a job, and its answers that were rushed or interrupted.

    Args:
        job: rows of `pace.sql`: the answers that tell their time, each with what is known of its worker's quality.

    Returns:
        Rows of the tables pace and answer_flag.
    """
    shares = seconds_per_label(floats(job["seconds"]), floats(job["label_count"]))
    known = np.flatnonzero(np.isfinite(shares))
    if not len(known):
        return {}
    job, shares = job.take(known), shares[known]
    workers = codes(job["worker_id"])
    logs = np.log(np.maximum(shares, SHORTEST_SECONDS))
    return {"pace": _paces(job, shares, workers), "answer_flag": _flags(job, shares, logs, workers)}


def _paces(job: pa.Table, shares: Floats, workers: NDArray[np.int64]) -> Rows:
    order = np.argsort(workers, kind="stable")
    sizes = np.bincount(workers)
    rows: Rows = []
    starts = np.cumsum(sizes) - sizes
    for told, own in zip(job.take(order[starts]).to_pylist(), np.split(order, starts[1:]), strict=True):
        median, lower, upper = median_interval(shares[own])
        rows.append(
            {
                **{name: told[name] for name in ("job_name", "modality", "task_type", "worker_id", "username")},
                "answer_count": len(own),
                "seconds_per_label": median,
                "lower": lower,
                "upper": upper,
                **_quality(told),
            }
        )
    rated = [row for row in rows if row["quality"] is not None]
    if rated:
        seconds, quality = (np.array([row[name] for row in rated], float) for name in ("seconds_per_label", "quality"))
        for row, frontier in zip(rated, efficient(seconds, quality).tolist(), strict=True):
            row["efficient"] = frontier
    return rows


def _quality(told: Mapping[str, Any]) -> dict[str, object]:
    """What is known best of a worker: audits, then gold labels, then the model of all answers."""
    if told["audited_count"]:
        passed, audited = told["passed_count"], told["audited_count"]
        lower, upper = wilson(passed, audited)
        bounds = (passed / audited, float(lower), float(upper), audited, "audit")
    else:
        names = ("accuracy", "accuracy_lower", "accuracy_upper", "accuracy_count", "accuracy_method")
        bounds = tuple(told[name] for name in names)
    return dict(
        zip(("quality", "quality_lower", "quality_upper", "quality_count", "quality_method"), bounds, strict=True)
    )


def _flags(job: pa.Table, shares: Floats, logs: Floats, workers: NDArray[np.int64]) -> Rows:
    rush = rush_limits(logs, workers)[workers]
    idle = np.full(len(logs), idle_limit(logs))
    rows: Rows = []
    for flag, found, limits in (("rush", logs < rush, rush), ("idle", logs > idle, idle)):
        places = np.flatnonzero(found)
        for at, row in zip(places, job.take(places).select(FLAGGED).to_pylist(), strict=True):
            rows.append({**row, "flag": flag, "value": float(shares[at]), "reference": float(np.exp(limits[at]))})
    return rows
