"""When a job will be done: simulated futures at the pace and in the working hours of the past.

A future goes hour by hour from `as_of`, the newest event of the data, never the clock. In each hour somebody works on
the job or nobody does; if so, as many answers come as in one of its past working hours. What the past leaves open
differs between futures:

- whether somebody works, by hour of the day, working days and weekends apart: beta variables, drawn once a future,
  around the job's own hours so far. They lean, with the weight of `PRIOR_HOURS` hours, on the hours of all jobs. What
  nobody has seen yet, a night or a weekend, is all worked in some futures and not at all in others;
- how many answers come: each day repeats a past day, each of its hours an hour of that one. In each future the past
  days and hours have weights of their own (Rubin, The Bayesian bootstrap, 1981), and the number drawn is a Poisson
  variable, for an hour does not repeat itself exactly.

Few hours tell little of a rate, and days differ as wholes: the weights have the concentration `ALIKE`, which widens the
interval until jobs simulated to their end, with hours that differ, end within it nineteen times of twenty. Where whole
days differ by a third as well, fewer do while only a day or two are known: 86 of 100.

What the jobs of a batch have in common, the hours of all, is the same in the same future of each: so the last of
several jobs is done when the last of them is done in each future (`batch_forecast.sql`).
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
ALIKE = 0.5
"""What a past hour, or day, counts as a case of its own: 1 is Rubin's bootstrap, less is wider."""


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


def working_hours(known: Activity, usual: Floats, rng: np.random.Generator) -> Floats:
    """The probability that somebody works, by future and slot: shape (FUTURES, 48).

    Args:
        known: the hours so far.
        usual: the probability they lean on, of that shape.
        rng: source of randomness.
    """
    idle = np.maximum(known.passed - known.worked, 0)
    sure = 1e-9  # a beta variable needs two positive parameters
    a, b = known.worked + PRIOR_HOURS * usual + sure, idle + PRIOR_HOURS * (1 - usual) + sure
    return np.asarray(rng.beta(a, b), dtype=np.float64)


def team_hours(everyone: Activity, rng: np.random.Generator) -> Floats:
    """The probability that somebody works on any job, by future and slot: shape (FUTURES, 48)."""
    half = PRIOR_HOURS / 2
    worked, passed = everyone.worked[:24] + everyone.worked[24:], everyone.passed[:24] + everyone.passed[24:]
    mean = (worked.sum() + half) / (passed.sum() + PRIOR_HOURS)
    nights = rng.integers(0, 2, (FUTURES, 1))
    by_hour = np.where(passed > 0, (worked + PRIOR_HOURS * mean) / (passed + PRIOR_HOURS), mean * nights)
    # Work at weekends, as a share of what the same hours of all days have.
    expected = (by_hour * everyone.passed[24:]).sum(axis=1)
    there = everyone.worked[24:].sum()
    weekends = rng.beta(there + half, np.maximum(expected - there, 0) + half)[:, None]
    return working_hours(everyone, np.hstack((by_hour, by_hour * weekends)), rng)


@dataclass(frozen=True)
class Past:
    """Hours that somebody worked, as hours since 1970 in rising order, and the answers of each: shape (hours,)."""

    hours: Integers
    answers: Floats


def finish_hours(remaining: int, past: Past, works: Floats, start: float, rng: np.random.Generator) -> Floats:
    """Hours from `start` until the answers that remain have come, in each simulated future; inf beyond the horizon.

    Args:
        remaining: answers.
        past: the hours to draw from.
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
    if not len(past.hours):
        return finished
    # In each future the past hours share the line from 0 to 1, one after the other: those of a day lie together.
    _, day_starts, day_of = np.unique(past.hours // 24, return_index=True, return_inverse=True)
    tiny = np.finfo(np.float64).tiny  # a gamma variable may be too small for a number
    shares = rng.gamma(ALIKE, size=(FUTURES, len(past.hours))) + tiny
    shares *= (rng.gamma(ALIKE, size=(FUTURES, len(day_starts))) + tiny)[:, day_of]
    ends = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    day_ends = np.hstack((np.zeros((FUTURES, 1)), ends[:, day_starts[1:] - 1], np.ones((FUTURES, 1))))
    every = np.arange(FUTURES)
    begins = lasts = np.zeros(FUTURES)
    first = int(np.floor(start))
    for hour in range(first, first + HORIZON_HOURS):
        open_futures = np.flatnonzero(~np.isfinite(finished))
        if not len(open_futures):
            break
        if hour in (first, hour // 24 * 24):
            today = (rng.random((FUTURES, 1)) > day_ends[:, 1:-1]).sum(axis=1)
            begins, lasts = day_ends[every, today], day_ends[every, today + 1]
        slot = int(slot_of(np.array([hour]))[0])
        # The hour that has begun is cut to what is left of it.
        begin = max(float(hour), start)
        active = open_futures[rng.random(len(open_futures)) < works[open_futures, slot]]
        if not len(active):
            continue
        at = begins[active] + (lasts - begins)[active] * rng.random(len(active))
        drawn = (at[:, None] > ends[active, :-1]).sum(axis=1)
        came = rng.poisson(past.answers[drawn] * (hour + 1 - begin))
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
        One row of table forecast; of a job that is not finished a row of table future for each of its futures.
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
        return {"forecast": [{**row, "expiry_risk": 0.0}], "future": []}
    if as_of is None or started is None:
        return {"forecast": [row], "future": _futures(row, [None] * FUTURES)}
    start = _hours(as_of)
    remaining = told["missing_answer_count"] + per_task * (told["open_count"] or 0)
    now = int(start)
    rng = np.random.default_rng(seed("forecast", told["job_name"]))
    team = team_hours(
        activity(everyone, int(everyone.min(initial=now)), now), np.random.default_rng(seed("forecast", "everyone"))
    )
    works = working_hours(activity(hours, int(_hours(started)), now), team, rng)
    # The hour of as_of is not over: as a whole hour its count would be too low.
    over = hours < now if (hours < now).any() else np.ones(len(hours), np.bool_)
    took = finish_hours(remaining, Past(hours[over][-DRAWN_HOURS:], counts[over][-DRAWN_HOURS:]), works, start, rng)
    low, middle, high = np.quantile(took, [0.025, 0.5, 0.975], method="inverted_cdf")
    row["eta_lower"], row["eta"], row["eta_upper"] = (_later(as_of, each) for each in (low, middle, high))
    left = _hours(row["expires_at"]) - start if row["expires_at"] else np.inf
    row["expiry_risk"] = float(np.mean(took > left)) if left > 0 else 1.0
    return {"forecast": [row], "future": _futures(row, [_later(as_of, each) for each in took])}


def _futures(row: dict[str, Any], done: list[datetime | None]) -> Rows:
    job = {"job_name": row["job_name"], "batch": row["batch"]}
    return [{**job, "future_no": n, "done_at": each} for n, each in enumerate(done)]


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
