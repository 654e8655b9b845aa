"""When a job will be done: simulated futures at the pace and in the working hours of the past.

A future goes hour by hour from `as_of`, the newest event of the data, never the clock. In each hour somebody works on
the job or nobody does; if so, as many answers come as in one of its past working hours. What the past leaves open
differs between futures:

- whether somebody works, by hour of the day, working days and weekends apart: beta variables, drawn once a future,
  around the job's own hours so far. They lean, with the weight of `PRIOR_HOURS` hours, on the hours of all jobs. What
  nobody has seen yet, a night or a weekend, is all worked in some futures and not at all in others;
- how many answers come: in each future the past hours have weights of their own (Rubin, The Bayesian bootstrap, 1981),
  and the number drawn is a Poisson variable, for an hour does not repeat itself exactly.

The interval is a little too narrow: of jobs simulated to their end nine of ten ended within it, not nineteen of twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sextant.labeling.insight.analysis import seed

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Rows: TypeAlias = "list[dict[str, Any]]"

FUTURES = 1_000
HORIZON_HOURS = 90 * 24
LIFE = timedelta(days=30)
"""Ground Truth ends a labeling job 30 days after its start (developer guide, CreateLabelingJob)."""
PRIOR_HOURS = 0.25
"""Small: people keep their hours, so one night without work says much about the next."""
SLOTS = 48
"""Hours of the day, of working days first and of weekends then."""
HOUR = 3_600
LATEST_HOURS = 24
"""Worked hours that `tasks_per_hour` is the mean of."""
DRAWN_HOURS = 240
"""Worked hours that futures draw from, the latest: six weeks of forty hours."""


def slot_of(hours: Integers) -> Integers:
    """The slot of each hour, given as hours since 1970 in UTC. The first of January 1970 was a Thursday."""
    weekend = ((hours // 24 + 3) % 7) >= 5
    return np.asarray(hours % 24 + 24 * weekend, dtype=np.int64)


@dataclass(frozen=True)
class Activity:
    """In which hours past somebody worked, by slot: how many were worked and how many passed, shape (48,) each."""

    worked: Floats
    passed: Floats


def activity(hours: Integers, since: int, until: int) -> Activity:
    """Counts the worked hours among those from `since` to `until`, all as hours since 1970; at most the last year's."""
    since = max(since, until - 366 * 24)
    within = np.unique(hours[(hours >= since) & (hours <= until)])
    passed = np.bincount(slot_of(np.arange(since, until + 1)), minlength=SLOTS)
    return Activity(np.bincount(slot_of(within), minlength=SLOTS).astype(float), passed.astype(float))


def working_hours(own: Activity, everyone: Activity, rng: np.random.Generator) -> Floats:
    """The probability that somebody works on the job, by future and slot: shape (FUTURES, 48)."""
    half = PRIOR_HOURS / 2

    def draw(worked: Floats, passed: Floats, mean: Floats | float) -> Floats:
        idle = np.maximum(passed - worked, 0)
        sure = 1e-9  # a beta variable needs two positive parameters
        a, b = worked + PRIOR_HOURS * mean + sure, idle + PRIOR_HOURS * (1 - mean) + sure
        return np.asarray(rng.beta(np.broadcast_to(a, (FUTURES, len(worked))), b), dtype=np.float64)

    worked, passed = everyone.worked[:24] + everyone.worked[24:], everyone.passed[:24] + everyone.passed[24:]
    mean = (worked.sum() + half) / (passed.sum() + PRIOR_HOURS)
    nights = rng.integers(0, 2, (FUTURES, 1))
    by_hour = np.where(passed > 0, (worked + PRIOR_HOURS * mean) / (passed + PRIOR_HOURS), mean * nights)
    # Work at weekends, as a share of what the same hours of all days have.
    expected = (by_hour * everyone.passed[24:]).sum(axis=1)
    there = everyone.worked[24:].sum()
    weekends = rng.beta(there + half, np.maximum(expected - there, 0) + half)[:, None]
    team = draw(everyone.worked, everyone.passed, np.hstack((by_hour, by_hour * weekends)))
    return draw(own.worked, own.passed, team)


def finish_hours(remaining: int, hourly: Floats, works: Floats, start: float, rng: np.random.Generator) -> Floats:
    """Hours from `start` until the answers that remain have come, in each simulated future; inf beyond the horizon.

    Args:
        remaining: answers.
        hourly: answers of every past hour that had any.
        works: the probability that somebody works, by future and slot.
        start: hours since 1970, with fraction.
        rng: source of randomness.

    Returns:
        Shape (FUTURES,).
    """
    done = np.zeros(FUTURES)
    finished = np.full(FUTURES, np.inf)
    if remaining <= 0:
        return done
    if not len(hourly):
        return finished
    weights = np.cumsum(rng.dirichlet(np.ones(len(hourly)), FUTURES), axis=1)
    first = int(np.floor(start))
    for hour in range(first, first + HORIZON_HOURS):
        open_futures = np.flatnonzero(~np.isfinite(finished))
        if not len(open_futures):
            break
        slot = int(slot_of(np.array([hour]))[0])
        # The hour that has begun is cut to what is left of it.
        begin = max(float(hour), start)
        active = open_futures[rng.random(len(open_futures)) < works[open_futures, slot]]
        if not len(active):
            continue
        drawn = (rng.random((len(active), 1)) > weights[active, :-1]).sum(axis=1)
        came = rng.poisson(hourly[drawn] * (hour + 1 - begin))
        need = remaining - done[active]
        over = came >= need
        finished[active[over]] = begin - start + (need[over] / came[over]) * (hour + 1 - begin)
        done[active] += came
    return finished


def compute(job: pa.Table) -> dict[str, Rows]:
    """Progress of one job, and its forecast if it is not finished.

    Args:
        job: rows of `forecast.sql`: by `kind`, one `job`, its `own` answers by hour, and the hours of `everyone`.

    Returns:
        One row of table forecast.
    """
    rows = job.to_pylist()
    (told,) = [each for each in rows if each["kind"] == "job"]
    own = sorted((each["hour"], each["answer_count"]) for each in rows if each["kind"] == "own")
    everyone = np.array(sorted(each["hour"] for each in rows if each["kind"] == "everyone"), dtype=np.int64)
    names = ("job_name", "modality", "task_type", "level", "batch", "task_count", "labeled_count")
    row = {name: told[name] for name in (*names, "in_progress_count", "open_count", "as_of")}
    per_task = max(told["answers_per_task"] or 1, 1)
    hours = np.array([hour for hour, _ in own], dtype=np.int64)
    counts = np.array([count for _, count in own], dtype=np.float64)
    if len(counts):
        row["tasks_per_hour"] = float(counts[-LATEST_HOURS:].mean()) / per_task
    started, as_of = told["started_at"], told["as_of"]
    row["expires_at"] = _later(started, LIFE / timedelta(hours=1))
    if not told["in_progress_count"] and not told["open_count"]:
        return {"forecast": [{**row, "expiry_risk": 0.0}]}
    if as_of is None or started is None:
        return {"forecast": [row]}
    start = _hours(as_of)
    remaining = told["missing_answer_count"] + per_task * (told["open_count"] or 0)
    now = int(start)
    rng = np.random.default_rng(seed("forecast", told["job_name"]))
    works = working_hours(
        activity(hours, int(_hours(started)), now), activity(everyone, int(everyone.min(initial=now)), now), rng
    )
    # The hour of as_of is not over: as a whole hour its count would be too low.
    over = counts[hours < now]
    took = finish_hours(remaining, (over if len(over) else counts)[-DRAWN_HOURS:], works, start, rng)
    low, middle, high = np.quantile(took, [0.025, 0.5, 0.975], method="inverted_cdf")
    row["eta_lower"], row["eta"], row["eta_upper"] = (_later(as_of, each) for each in (low, middle, high))
    left = _hours(row["expires_at"]) - start if row["expires_at"] else np.inf
    row["expiry_risk"] = float(np.mean(took > left)) if left > 0 else 1.0
    return {"forecast": [row]}


def _hours(instant: datetime) -> float:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(hours=1)


def _later(instant: datetime | None, hours: float) -> datetime | None:
    """None beyond what is simulated, and beyond the year 9999."""
    if instant is None or not np.isfinite(hours):
        return None
    try:
        return instant + timedelta(hours=float(hours))
    except OverflowError:
        return None
