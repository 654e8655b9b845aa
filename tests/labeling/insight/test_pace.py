from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sextant.labeling.insight import pace
from sextant.labeling.insight.intervals import wilson
from tests.labeling.insight.lake import analysed, lake

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def answer(number, worker, seconds, labels=1, **more):
    return {
        "answer_id": f"a{number}",
        "job_name": "j",
        "modality": "ObjectDetection",
        "task_type": "object-detection",
        "object_id": str(number),
        "worker_id": worker,
        "username": worker.lower(),
        "submitted_at": START + timedelta(minutes=number),
        "seconds": seconds,
        "label_count": labels,
        **more,
    }


def flags(made, kind):
    return {row["answer_id"] for row in made["answer_flag"] if row["flag"] == kind}


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (100, 40, 61)],  # tables of the sign test
)
def test_median_interval_is_the_sign_tests(count, first, last):
    values = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert pace.median_interval(values) == ((count + 1) / 2, first, last)


def test_few_values_have_a_median_without_interval():
    assert pace.median_interval(np.array([3.0, 1.0, 2.0])) == (2.0, None, None)


def test_median_interval_covers_at_least_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(2_000):
        _, lower, upper = pace.median_interval(rng.exponential(1.0, 15))
        covered += lower <= np.log(2) <= upper
    assert 0.95 <= covered / 2_000 <= 0.98  # 0.965 by the binomial distribution


def test_frontier():
    seconds = np.array([1.0, 2.0, 3.0, 2.0, 1.0, 4.0])
    quality = np.array([0.5, 0.9, 0.9, 0.8, 0.5, 0.95])
    assert pace.efficient(seconds, quality).tolist() == [True, True, False, False, True, True]


def test_quantiles_without_ones_own_answers_are_those_of_the_others():
    rng = np.random.default_rng(2)
    logs, workers = np.round(rng.normal(size=300), 1), rng.integers(0, 6, 300)  # with ties
    order = np.argsort(logs, kind="stable")
    shares = np.array([0.01, 0.25, 0.5, 0.75])
    for worker in range(6):
        own = np.flatnonzero(workers[order] == worker)
        others = pace._others(logs[order], own, shares)
        assert others == pytest.approx(np.quantile(logs[workers != worker], shares))


def test_the_fence_by_hand():
    # Quartiles 2, 4 and 6: three quartile distances beyond the upper one.
    assert pace.idle_limit(np.arange(9.0)) == 6 + 3 * 4
    # Where times spread less than that, three times the median.
    assert pace.idle_limit(np.log(np.linspace(10.0, 10.2, 9))) == pytest.approx(np.log(30.3))


@pytest.mark.parametrize(("answers", "workers"), [(25, 3), (40, 4), (100, 5), (1_000, 10)])
def test_honest_work_is_seldom_called_rushed_and_hardly_ever_idle(answers, workers):
    rushed = idle = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        logs, who = rng.normal(3, 0.9, answers), np.arange(answers) % workers
        rushed += int(np.sum(logs < pace.rush_limits(logs, who)[who]))
        idle += int(np.sum(logs > pace.idle_limit(logs)))
    assert rushed / (200 * answers) <= 0.015
    assert idle / (200 * answers) <= 0.001


def test_a_worker_who_clicks_through_is_found_and_the_others_are_not():
    rng = np.random.default_rng(8)
    answers = [answer(n, "ABCD"[n % 4], float(rng.lognormal(3, 0.4)), 3) for n in range(200)]
    for n in range(0, 40, 4):  # ten answers of A
        answers[n]["seconds"] = 2.0
    answers[3]["seconds"] = 3_600.0  # D went for lunch
    made = analysed(lake(answer=answers), "pace")
    assert flags(made, "rush") >= {f"a{n}" for n in range(0, 40, 4)}
    assert len(flags(made, "rush")) <= 13
    assert flags(made, "idle") == {"a3"}
    (lunch,) = [row for row in made["answer_flag"] if row["flag"] == "idle"]
    assert lunch["value"] == 1_200
    assert 20 < lunch["reference"] < 200


def test_evenly_timed_answers_raise_no_flag_for_a_second_more_or_less():
    answers = [answer(n, "ABC"[n % 3], 10.0) for n in range(90)]
    answers[0]["seconds"], answers[1]["seconds"] = 9.9, 11.0
    assert analysed(lake(answer=answers), "pace")["answer_flag"] == []


@pytest.mark.parametrize(
    "seconds",
    [[0.0] * 40, [1e9] * 40, [0.0] * 20 + [1e9] * 20, [5.0], [-1.0] * 40, [None] * 40, [float("inf"), float("nan")]],
)
@pytest.mark.parametrize("workers", ["A", "ABC"])
def test_hostile_times_break_nothing(seconds, workers):
    answers = [answer(n, workers[n % len(workers)], each, n % 3) for n, each in enumerate(seconds)]
    made = analysed(lake(answer=answers), "pace")
    told = [each for each in seconds if each is not None and each >= 0 and np.isfinite(each)]
    assert sum(row["answer_count"] for row in made["pace"]) == len(told)
    assert all(np.isfinite(row["seconds_per_label"]) for row in made["pace"])
    if len(set(seconds)) == 1 or workers == "A":
        assert flags(made, "rush") == set()


def test_quality_is_of_audits_first_then_gold_then_the_model():
    counted = {"job_name": "audit", "audited_job": "j", "label": "Car", "self_audited_count": 0}
    rated = {"job_name": "j", "answer_count": 40, "lower": 0.6, "upper": 0.8}
    spark = lake(
        answer=[answer(n, "ABCDE"[n % 5], 10.0 + n % 5, 2) for n in range(60)],
        audit_count=[
            {**counted, "worker": "a", "attribute": "", "audited_count": 30, "passed_count": 27, "auditor": "x"},
            {**counted, "worker": "a", "attribute": "", "audited_count": 10, "passed_count": 9, "auditor": "y"},
            {**counted, "worker": "a", "attribute": "moving", "audited_count": 40, "passed_count": 0},
            {**counted, "worker": "b", "attribute": "", "audited_count": 5, "passed_count": 5, "audited_job": "k"},
        ],
        worker_quality=[
            {**rated, "worker_id": "A", "method": "gold", "accuracy": 0.1},
            {**rated, "worker_id": "B", "method": "gold", "accuracy": 0.7},
            {**rated, "worker_id": "B", "method": "dawid-skene", "accuracy": 0.2},
            {**rated, "worker_id": "C", "method": "dawid-skene", "accuracy": 0.95},
            {**rated, "worker_id": "D", "method": "consensus", "accuracy": 0.99},
            {**rated, "worker_id": "E", "method": "dawid-skene", "lower": None, "upper": None, "withheld": "few"},
        ],
    )
    rows = {row["username"]: row for row in analysed(spark, "pace")["pace"]}
    told = {name: (row["quality"], row["quality_method"], row.get("efficient")) for name, row in rows.items()}
    assert told == {
        "a": (0.9, "audit", True),  # 5 s per label
        "b": (0.7, "gold", False),  # slower and worse than a
        "c": (0.95, "dawid-skene", True),  # slower and better
        "d": (None, None, None),
        "e": (None, None, None),
    }
    assert rows["e"]["quality_count"] is None
    lower, upper = wilson(36, 40)
    assert (rows["a"]["quality_lower"], rows["a"]["quality_upper"], rows["a"]["quality_count"]) == (lower, upper, 40)
    assert (rows["a"]["seconds_per_label"], rows["a"]["lower"], rows["a"]["upper"]) == (5.0, 5.0, 5.0)
