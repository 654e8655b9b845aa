from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sextant.labeling.insight import progress
from tests.labeling.insight.lake import analysed, lake, table

START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
OFFICE = range(9, 17)


def answers(times, job="j", worker="w"):
    return [
        {"answer_id": f"{job}{n}", "job_name": job, "object_id": str(n), "worker_id": worker, "submitted_at": time}
        for n, time in enumerate(times)
    ]


def forecast(known, *, size=None, done=None, job="j", **more):
    """The forecast of a job whose answers came at these times; all of its tasks are labeled but the first `open`."""
    done = len(known) if done is None else done
    tasks = [
        {
            "job_name": job,
            "object_id": str(n),
            "status": "labeled" if n < done else "answered",
            "answer_count": 1,
        }
        for n in range(len(known))
    ]
    spark = lake(
        answer=answers(known, job),
        task=tasks,
        job=[{"job_name": job, "batch": "b", "level": "", "started_at": min(known, default=None), "input_count": size}],
        **more,
    )
    (row,) = analysed(spark, "forecast")["forecast"]
    return row


def work(rng, total, *, rate=20.0, hours=OFFICE, weekend=False, uneven=4.0):
    """Times of answers in office hours, nine hours of ten, with a rate that differs from hour to hour."""
    times, hour = [], START + timedelta(hours=int(rng.integers(0, 168)))
    while len(times) < total:
        if hour.hour in hours and (weekend or hour.weekday() < 5) and rng.random() < 0.9:
            count = rng.poisson(rate * rng.gamma(uneven, 1 / uneven))
            times += [hour + timedelta(hours=float(each)) for each in np.sort(rng.random(count))]
        hour += timedelta(hours=1)
    return times[:total]


def test_slots_are_hours_of_working_days_and_weekends():
    hours = np.array([int((START + timedelta(days=n)).timestamp()) // 3600 for n in range(7)])
    assert progress.slot_of(hours).tolist() == [9, 9, 9, 9, 9, 33, 33]


def test_finished_job_has_no_eta():
    row = forecast([START + timedelta(minutes=n) for n in range(30)])
    assert (row["labeled_count"], row["in_progress_count"], row["open_count"]) == (30, 0, None)
    assert (row.get("eta"), row["expiry_risk"]) == (None, 0.0)
    assert row["expires_at"] == START + timedelta(days=30)


def test_answered_tasks_that_wait_for_consolidation_alone_are_done_now():
    times = [START + timedelta(minutes=n) for n in range(30)]
    row = forecast(times, done=20)
    assert row["eta"] == row["eta_lower"] == row["eta_upper"] == row["as_of"] == times[-1]
    assert row["in_progress_count"] == 10


def test_counts_and_rate():
    times = [START + timedelta(minutes=3 * n) for n in range(60)]  # 20 an hour, 3 hours
    row = forecast(times, size=200, done=50)
    assert (row["task_count"], row["labeled_count"], row["in_progress_count"], row["open_count"]) == (200, 50, 10, 140)
    assert row["tasks_per_hour"] == 20
    assert row["as_of"] < row["eta_lower"] <= row["eta"] <= row["eta_upper"]


def test_several_answers_a_task():
    task = [{"job_name": "j", "object_id": str(n), "status": "labeled", "answer_count": 3} for n in range(20)]
    task += [{"job_name": "j", "object_id": str(n), "status": "answered", "answer_count": 1} for n in range(20, 30)]
    given = [START + timedelta(minutes=n) for n in range(70)]
    job = {"job_name": "j", "started_at": START, "input_count": 40}
    rows = lake(answer=answers(given), task=task, job=[job]).sql(_query()).collect()
    (told,) = [row for row in rows if row["kind"] == "job"]
    assert (told["answers_per_task"], told["missing_answer_count"], told["open_count"]) == (3, 20, 10)


def _query():
    from sextant.labeling.insight.analysis import steps

    return next(step.query for step in steps() if step.name == "forecast")


@pytest.mark.parametrize(
    ("share", "options", "least"),
    [
        (0.3, {}, 0.85),  # over 200 seeds 0.91: nine of ten where it says nineteen of twenty
        (0.6, {}, 0.85),
        (0.5, {"hours": range(24), "weekend": True}, 0.85),
        (0.1, {}, 0.8),  # a day known: nobody has seen a weekend
    ],
)
def test_interval_covers_what_happens(share, options, least):
    """Jobs are worked to their end, and forecast from the middle, with nothing of the end known."""
    covered, widths, errors = 0, [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hours = np.array([each.timestamp() / 3600 for each in work(rng, 1_200, **options)])
        known = int(len(hours) * share)
        now = hours[known - 1]
        worked, counts = np.unique(np.floor(hours[:known]).astype(np.int64), return_counts=True)
        passed = progress.activity(worked, int(worked[0]), int(now))
        took = progress.finish_hours(
            len(hours) - known, counts[:-1].astype(float), progress.working_hours(passed, passed, rng), now, rng
        )
        low, middle, high = np.quantile(took, [0.025, 0.5, 0.975])
        real = hours[-1] - now
        covered += low <= real <= high
        widths.append((high - low) / real)
        errors.append(middle / real)
    assert covered / 40 >= least
    assert np.median(widths) < 1.5  # a forecast of anything would cover, too
    assert share < 0.2 or 0.8 < np.median(errors) < 1.3


def test_nights_and_weekends_are_waited_for():
    rng = np.random.default_rng(1)
    times = [each for each in work(rng, 3_000) if each < START + timedelta(days=11, hours=6)]  # to Friday, 15:00
    row = forecast(times, size=len(times) + 40)  # half an hour's or three hours' work
    assert row["as_of"].weekday() == 4
    assert row["eta_lower"].weekday() == 4
    late = forecast(times, size=len(times) + 90)
    assert late["eta"].weekday() == 0
    assert late["eta_upper"].hour in OFFICE


def test_a_job_that_nobody_works_on_will_expire():
    known = [START + timedelta(minutes=n) for n in range(20)]
    other = answers([START + timedelta(days=29, minutes=n) for n in range(5)], job="other")
    spark = lake(
        answer=[*answers(known), *other],
        task=[{"job_name": "j", "object_id": str(n), "status": "answered", "answer_count": 1} for n in range(20)],
        job=[{"job_name": "j", "started_at": START, "input_count": 2_000}],
    )
    (row,) = analysed(spark, "forecast")["forecast"]
    assert row["as_of"] == START + timedelta(days=29, minutes=4)
    assert row["expiry_risk"] > 0.95
    assert row["eta"] is None or row["eta"] > row["expires_at"]


def test_forecasts_do_not_change_from_run_to_run():
    times = work(np.random.default_rng(3), 200)
    assert forecast(times, size=400) == forecast(times, size=400)
    assert forecast(times, size=400) != forecast(times, size=400, job="k") | {"job_name": "j"}


@pytest.mark.parametrize(
    "known",
    [
        [],
        [START],
        [START] * 50,
        [datetime(9999, 12, 31, 23, tzinfo=UTC)],
        [datetime(1900, 1, 1, tzinfo=UTC), START],
        [None, None],
    ],
)
def test_hostile_times_break_nothing(known):
    told = [each for each in known if each]
    spark = lake(
        answer=answers(known),
        task=[
            {"job_name": "j", "object_id": str(n), "status": "answered", "answer_count": 1} for n in range(len(known))
        ],
        job=[{"job_name": "j", "started_at": min(told, default=None), "input_count": 100}],
    )
    (row,) = analysed(spark, "forecast")["forecast"]
    assert row["open_count"] == 100 - len(known)
    bounds = [row.get(name) for name in ("eta_lower", "eta", "eta_upper")]
    assert all(each is None or each >= row["as_of"] for each in bounds)


def test_progress_by_hour():
    rows = [
        {"job_name": "j", "object_id": "1", "worker_id": "a", "submitted_at": START, "label_count": 2, "seconds": 5.0},
        {"job_name": "j", "object_id": "1", "worker_id": "b", "submitted_at": START + timedelta(minutes=59)},
        {"job_name": "j", "object_id": "1", "worker_id": "c", "submitted_at": START + timedelta(minutes=61)},
        {
            "job_name": "j",
            "object_id": "2",
            "worker_id": "c",
            "submitted_at": START + timedelta(minutes=62),
            "seconds": 1.0,
        },
        {"job_name": "j", "object_id": "3", "worker_id": "c"},
    ]
    found = table(lake(answer=[{"answer_id": str(n), **row} for n, row in enumerate(rows)]), "progress")
    told = sorted(
        (
            row["hour"].hour,
            row["answer_count"],
            row["label_count"],
            row["task_count"],
            row["worker_count"],
            row["seconds"],
        )
        for row in found
    )
    assert told == [(9, 2, 2, 1, 2, 5.0), (10, 2, None, 1, 1, 1.0)]
