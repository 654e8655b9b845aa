from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from sextant.labeling.insight import progress
from tests.labeling.insight.lake import SCHEMAS, analysed, lake, table

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


def test_the_usual_number_of_answers_is_that_of_most_tasks():
    """Some tasks got more answers than others: not the largest number counts."""
    task = [
        {"job_name": "j", "object_id": str(n), "status": "labeled", "answer_count": 3 if n < 20 else 5}
        for n in range(22)
    ]
    job = {"job_name": "j", "started_at": START, "input_count": 40}
    rows = lake(answer=answers([START]), task=task, job=[job]).sql(_query()).collect()
    assert {row["answers_per_task"] for row in rows} == {3}


def test_a_task_that_takes_three_answers_takes_three_times_as_long():
    given = [START + timedelta(minutes=6 * n) for n in range(1_200)]  # 10 an hour, five days and nights
    task = [{"job_name": "j", "object_id": str(n), "status": "labeled", "answer_count": 3} for n in range(400)]
    job = {"job_name": "j", "started_at": START, "input_count": 500}
    (row,) = analysed(lake(answer=answers(given), task=task, job=[job]), "forecast")["forecast"]
    # 100 tasks are 300 answers: 30 hours.
    assert (row["open_count"], row["tasks_per_hour"]) == (100, pytest.approx(10 / 3))
    assert timedelta(hours=25) < row["eta"] - row["as_of"] < timedelta(hours=35)


def _query():
    from sextant.labeling.insight.analysis import steps

    return next(step.query for step in steps() if step.name == "forecast")


def computed(times, known, job="j"):
    """What the product makes of a job of which the first answers are known, one a task."""
    hours, counts = np.unique([int(each.timestamp()) // 3600 for each in times[:known]], return_counts=True)
    told = dict.fromkeys(("modality", "task_type", "level")) | {
        "job_name": job, "batch": "b", "started_at": times[0], "as_of": times[known - 1], "task_count": len(times),
        "labeled_count": known, "in_progress_count": 0, "open_count": len(times) - known, "answers_per_task": 1,
        "missing_answer_count": 0,
    }  # fmt: skip
    worked = [{"hour": int(hour), "answer_count": int(count)} for hour, count in zip(hours, counts, strict=True)]
    rows = [{"kind": "job", "hour": None, "answer_count": None}]
    rows += [{"kind": kind, **each} for kind in ("everyone", "own") for each in worked]
    return progress.compute(pa.Table.from_pylist([told | each for each in rows]))


@pytest.mark.parametrize(
    ("share", "options"),
    [
        (0.3, {}),
        (0.6, {}),
        (0.5, {"hours": range(24), "weekend": True}),
        (0.1, {}),  # a day known: nobody has seen a weekend
        (0.5, {"uneven": 1.0}),
    ],
)
def test_interval_covers_what_happens(share, options):
    """Jobs are worked to their end, and forecast from the middle, with nothing of the end known."""
    covered, widths, errors = 0, [], []
    for seed in range(200):
        times = work(np.random.default_rng(seed), 1_200, **options)
        (row,) = computed(times, int(len(times) * share))["forecast"]
        as_of, last = row["as_of"], datetime.max.replace(tzinfo=UTC)
        low, middle, high = (row[name] or last for name in ("eta_lower", "eta", "eta_upper"))
        covered += low <= times[-1] <= high
        widths.append((high - low) / (times[-1] - as_of))
        errors.append((middle - as_of) / (times[-1] - as_of))
    assert covered / 200 >= 0.95
    assert np.median(widths) < 2.1  # a forecast of anything would cover, too
    assert share < 0.2 or 0.8 < np.median(errors) < 1.3


def batches(spark):
    """Rows of batch_forecast by batch, after the analysis has written what its SQL reads."""
    made = analysed(spark, "forecast")
    for name, rows in made.items():
        empty = spark.createDataFrame([], SCHEMAS[name])
        told = [tuple(row.get(column) for column in empty.columns) for row in rows]
        spark.createDataFrame(told, SCHEMAS[name]).createOrReplaceTempView(name)
    utc = {"tzinfo": UTC}
    found = [
        {name: each.replace(**utc) if isinstance(each, datetime) else each for name, each in row.items()}
        for row in table(spark, "batch_forecast")
    ]
    return {row["batch"]: row for row in found}, made


def unfinished(*jobs):
    """A lake of jobs (name, batch, times of answers, objects of the input), each answer to a task that is labeled."""
    return lake(
        answer=[each for name, _, times, _ in jobs for each in answers(times, name)],
        task=[
            {"job_name": name, "object_id": str(n), "status": "labeled", "answer_count": 1, "created_at": each}
            for name, _, times, _ in jobs
            for n, each in enumerate(times)
        ],
        job=[
            {"job_name": name, "batch": batch, "started_at": min(times, default=None), "input_count": size}
            for name, batch, times, size in jobs
        ],
    )


def test_the_last_of_several_jobs_is_later_than_each_of_them():
    times = work(np.random.default_rng(5), 600)
    jobs = [(f"j{n}", "b", times, 1_000) for n in range(5)]
    found, made = batches(unfinished(*jobs, ("only", "c", times, 1_000), ("done", "d", times[:50], 50)))
    assert found.keys() == {"b", "c"}, "nothing is to come of d"
    assert {(row["unfinished_count"], row["all_unfinished_count"]) for row in found.values()} == {(5, 6), (1, 6)}
    by_job = {row["job_name"]: row for row in made["forecast"]}
    for end in ("", "_lower", "_upper"):
        # One job is the last by itself.
        assert found["c"][f"last_eta{end}"] == by_job["only"][f"eta{end}"]
        assert found["b"][f"last_eta{end}"] >= max(by_job[name][f"eta{end}"] for name, *_ in jobs)
        assert found["b"][f"all_eta{end}"] >= found["b"][f"last_eta{end}"]
    # In a future of the batch all its jobs are done: counted again, by another way than by sorting.
    done = [{} for _ in range(progress.FUTURES)]
    for row in made["future"]:
        if row["batch"] == "b":
            done[row["future_no"]][row["job_name"]] = row["done_at"]
    for end, share in (("_lower", 0.025), ("", 0.5), ("_upper", 0.975)):
        by_then = [all(each <= found["b"][f"last_eta{end}"] for each in jobs.values()) for jobs in done]
        assert np.mean(by_then) == pytest.approx(share, abs=0.001)
    assert max(by_job[name]["eta"] for name, *_ in jobs) < found["b"]["last_eta"]


def test_nobody_knows_when_the_last_is_done_if_nobody_knows_it_of_one():
    times = work(np.random.default_rng(5), 300)
    found, made = batches(unfinished(("known", "b", times, 400), ("unknown", "b", [], 100), ("other", "c", times, 400)))
    assert {row["job_name"]: row.get("eta") is None for row in made["forecast"]} == {
        "known": False, "unknown": True, "other": False,
    }  # fmt: skip
    assert (found["b"]["unfinished_count"], found["b"]["last_eta"], found["b"]["last_eta_lower"]) == (2, None, None)
    assert found["c"]["last_eta"] is not None
    assert found["c"]["all_eta"] is None


def test_what_jobs_have_in_common_goes_the_same_way_in_a_future_of_both():
    """Nobody has seen a weekend: in half of the futures it is worked, for one job as for the other."""
    monday = [
        START + timedelta(hours=day * 24 + hour, minutes=3 * n)
        for day in range(4)
        for hour in range(8)
        for n in range(20)
    ]
    found = [computed(monday + monday, len(monday), job)["future"] for job in ("j", "k")]
    took = np.array([[(row["done_at"] - START) / timedelta(hours=1) for row in each] for each in found])
    assert np.corrcoef(took)[0, 1] > 0.5


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
