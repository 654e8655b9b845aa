from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest

from sextant.labeling.insight import cost
from sextant.labeling.insight.audits import PASSED
from sextant.labeling.layout import TASK_TYPES
from tests.labeling.insight.lake import analysed, lake, table

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PRICES = cost.Prices(date(2026, 1, 1), ((100.0, 0.08), (1_000.0, 0.04), (float("inf"), 0.02)), {"text-span": 0.5})


@pytest.mark.parametrize(
    ("count", "before", "usd"),
    [
        (10, 0, 0.8),
        (100, 0, 8.0),
        (101, 0, 8.04),
        (1_500, 0, 8 + 36 + 10),
        (10, 95, 0.4 + 0.2),
        (10, 100, 0.4),
        (10, 5_000, 0.2),
        (0, 0, 0.0),
    ],
)
def test_tiers(count, before, usd):
    assert cost.service_usd(count, before, PRICES) == pytest.approx(usd)


def test_the_price_table_is_whole():
    prices = cost.price_table()
    assert [up_to for up_to, _ in prices.service] == [50_000, 1_000_000, float("inf")]
    assert set(prices.public) <= set(TASK_TYPES)
    assert {"image-classification", "object-detection", "text-classification", "semantic-segmentation"} <= set(
        prices.public
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("of = ", "is no TOML"),
        ("of = 2026-01-01\n[public]\n", "lacks 'service'"),
        ("of = 'today'\n[[service]]\nusd = 1\n[public]\n", "of is 'today'"),
        ("of = 2026-01-01\n[[service]]\nusd = -1\n[public]\n", "service is -1"),
        ("of = 2026-01-01\n[[service]]\nusd = 1\n[public]\ncustom = nan\n", "public.custom is nan"),
        ("of = 2026-01-01\n[[service]]\nusd = 1\n[public]\ncustom = '1'\n", "public.custom is '1'"),
        ("of = 2026-01-01\n[[service]]\nup_to = 5\nusd = 1\n[public]\n", "only the last has no up_to"),
        ("of = 2026-01-01\n[[service]]\nup_to = 5\nusd = 1\n[[service]]\nup_to = 4\nusd = 1\n[public]\n", "rise"),
    ],
)
def test_a_faulty_price_table_is_told(text, told):
    with pytest.raises(cost.PriceTableError, match=told):
        cost.read_prices(text)


JOBS = [
    {"job_name": "a", "batch": "b", "task_type": "image-classification", "level": "first"},
    {"job_name": "c", "batch": "b", "task_type": "video-object-tracking", "level": "second", "base_job": "a"},
    {"job_name": "p", "batch": "p", "task_type": "text-span", "level": ""},
]


def task(job, number, *, frames=1, status="labeled", day=0):
    at = START + timedelta(days=day)
    return {"job_name": job, "object_id": str(number), "status": status, "frame_count": frames, "created_at": at}


def answer(number, job, seconds, provider="Cognito", **more):
    return {
        "answer_id": str(number),
        "job_name": job,
        "username": "w",
        "provider": provider,
        "accepted_at": START,
        "submitted_at": START + timedelta(hours=1),
        "seconds": seconds,
        **more,
    }


def costs(settings=None, **tables):
    rows = analysed(lake(settings, job=JOBS, **tables), "cost")["cost"]
    return {(row["job_name"], row["kind"], str(row["spent_on"])): row for row in rows}


def test_objects_frames_hours_and_answers_are_paid_for():
    prices = cost.price_table()
    first, public = prices.service[0][1], prices.public["text-span"]
    found = costs(
        {"wage_usd_per_hour": 20.0},
        task=[task("a", 1), task("a", 2, day=1), task("a", 3, status="failed"), task("c", 1, frames=24)],
        answer=[
            answer(1, "a", 1_800.0),
            answer(2, "a", 900.0),
            answer(3, "c", 3_600.0),
            answer(4, "p", 60.0, "public"),
            answer(5, "p", None, "public"),
            answer(6, "a", None),
        ],
    )
    assert {key: (row["unit_count"], row["amount_usd"], row["rework"]) for key, row in found.items()} == {
        ("a", "service", "2026-03-02"): (1, first, False),
        ("a", "service", "2026-03-03"): (1, first, False),
        ("c", "service", "2026-03-02"): (24, pytest.approx(24 * first), True),
        ("a", "labor", "2026-03-02"): (0.75, pytest.approx(15.0), False),
        ("c", "labor", "2026-03-02"): (1.0, 20.0, True),
        ("p", "public", "2026-03-02"): (2, pytest.approx(2 * public), False),
    }
    assert {row["prices_of"] for row in found.values()} == {prices.of}
    assert found["a", "labor", "2026-03-02"]["unit_price_usd"] == 20.0
    assert found["a", "service", "2026-03-02"]["username"] is None


def test_without_a_wage_labor_costs_nothing_that_anybody_knows():
    assert set(costs(answer=[answer(1, "a", 60.0)], task=[task("a", 1)])) == {("a", "service", "2026-03-02")}


def test_the_months_objects_of_all_jobs_count_for_the_tier_and_the_next_month_begins_anew():
    tiers = [usd for _, usd in cost.price_table().service]
    found = costs(
        task=[task("a", 1, frames=40_000), task("c", 1, frames=20_000, day=1), task("c", 2, frames=10, day=30)]
    )
    assert found["a", "service", "2026-03-02"]["amount_usd"] == pytest.approx(40_000 * tiers[0])
    assert found["c", "service", "2026-03-03"]["amount_usd"] == pytest.approx(10_000 * (tiers[0] + tiers[1]))
    assert found["c", "service", "2026-04-01"]["amount_usd"] == pytest.approx(10 * tiers[0])


@pytest.mark.parametrize(("seconds", "hours"), [(1e9, 1.0), (-5.0, None), (0.0, None), (3_600.5, 1.0)])
def test_nobody_is_paid_for_more_than_the_time_there_was(seconds, hours):
    found = costs({"wage_usd_per_hour": 10.0}, answer=[answer(1, "a", seconds)])
    assert [row["unit_count"] for row in found.values()] == ([hours] if hours else [])


# --- accepted labels ------------------------------------------------------------------------------------------------


def label(job, number, ref, **more):
    return {"annotation_id": f"{job}{number}", "job_name": job, "source_ref": ref, "shape": "box", **more}


def spent(day, usd, *, rework=False, batch="b"):
    return {"batch": batch, "spent_on": date(2026, 3, day), "amount_usd": usd, "rework": rework, "kind": "labor"}


def batch_cost(settings=None, **tables):
    rows = table(lake(settings, **{"job": JOBS, **tables}), "accepted_cost")
    return {row["batch"]: row for row in rows}["b"]


def test_labels_hold_that_the_last_level_did_not_fail():
    row = batch_cost(
        task=[task("c", 0) | {"source_ref": "x"}],
        annotation=[
            *(label("a", n, "x") for n in range(4)),
            *(label("a", n, "y") for n in range(4, 7)),  # the second level never saw it
            label("c", 0, "x", attributes={"audit": "Pass"}),
            label("c", 1, "x", attributes={"audit": " fail"}),
            label("c", 2, "x", attributes={"moving": "fail"}),  # has no verdict
        ],
        cost=[spent(2, 10.0), spent(3, 5.0, rework=True)],
    )
    assert (row["label_count"], row["accepted_count"]) == (7, 5)
    assert (row["amount_usd"], row["rework_usd"], row["usd_per_accepted"]) == (15.0, 5.0, 3.0)
    assert (row["budget_usd"], row["burn_usd_per_day"], row["exhausted_on"]) == (None, 7.5, None)


def test_a_verification_fails_the_labels_of_its_data_object():
    jobs = [*JOBS[:1], {"job_name": "v", "batch": "b", "task_type": "label-verification", "base_job": "a"}]
    row = batch_cost(
        job=jobs,
        task=[task("v", n) | {"source_ref": ref} for n, ref in enumerate("xy")],
        annotation=[
            label("a", 0, "x"),
            label("a", 1, "y"),
            label("a", 2, "y"),
            label("v", 0, "x", shape="verdict", label="bad"),
            label("v", 1, "y", shape="verdict", label="Good"),
        ],
    )
    assert (row["label_count"], row["accepted_count"], row["amount_usd"]) == (3, 2, 0.0)


def test_the_words_that_pass_are_those_of_the_audits():
    text = files("glue_scripts.labeling.insight").joinpath("accepted_cost.sql").read_text("utf-8")
    assert text.count("('pass', 'good', 'correct', 'yes')") == 2
    assert {"pass", "good", "correct", "yes"} == PASSED


@pytest.mark.parametrize(
    ("budget", "unfinished", "eta", "ends"),
    [
        (50.0, 1, None, date(2026, 3, 11)),  # 20 in 4 days, 30 left
        (20.0, 0, None, date(2026, 3, 5)),  # spent on the last day
        (15.0, 1, None, date(2026, 3, 5)),
        (10.0, 0, None, date(2026, 3, 2)),
        (50.0, 0, None, None),  # done
        (50.0, 1, START + timedelta(days=5), None),  # done before
        (1e9, 1, None, None),  # not in this century
        (None, 1, None, None),
    ],
)
def test_the_budget_ends_when_it_is_spent(budget, unfinished, eta, ends):
    state = {"job_name": "a", "batch": "b", "in_progress_count": 0, "open_count": unfinished, "eta": eta}
    row = batch_cost({"budget_usd": budget}, cost=[spent(2, 10.0), spent(5, 10.0)], forecast=[state])
    assert row["exhausted_on"] == ends
    assert row["burn_usd_per_day"] == 10.0
