import random
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest

from sextant.labeling.insight import cost
from sextant.labeling.insight.audits import PASSED
from sextant.labeling.layout import TASK_TYPES
from tests.labeling.insight.chains import VERDICT, chain, label, said, track
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


def spent(day, usd, *, rework=False, batch="b"):
    return {"batch": batch, "spent_on": date(2026, 3, day), "amount_usd": usd, "rework": rework, "kind": "labor"}


def batch_cost(settings=None, **tables):
    rows = table(lake(settings, **{"job": JOBS, **tables}), "accepted_cost")
    return {row["batch"]: row for row in rows}["b"]


def accepted(*levels):
    """Labels and accepted labels of the batch of a chain."""
    (row,) = table(chain(*levels), "accepted_cost")
    return row["label_count"], row["accepted_count"]


def boxes(*verdicts):
    """Labels of one image; each with a verdict, or with none."""
    return [label("", "", n, "", 50.0 * n, **({} if one is None else {"audit": one})) for n, one in enumerate(verdicts)]


ONE = (0,)
FOUR = boxes(None, None, None, None)


def test_cost_of_labels_that_the_last_level_did_not_fail():
    row = batch_cost(
        task=[
            task("a", 0) | {"source_ref": "x"},
            task("a", 1) | {"source_ref": "y"},
            task("c", 0) | {"source_ref": "x"},
        ],
        annotation=[
            *(label("a", 0, n, "x") for n in range(4)),
            *(label("a", 1, n, "y") for n in range(3)),  # the second level never saw it
            label("c", 0, 0, "x", audit="Pass"),
            label("c", 0, 1, "x", audit=" fail"),
            label("c", 0, 2, "x", moving="fail"),  # has no verdict
            label("c", 0, 3, "x", audit=""),  # nor has this
        ],
        cost=[spent(2, 10.0), spent(3, 5.0, rework=True)],
    )
    assert (row["label_count"], row["accepted_count"]) == (7, 6)
    assert (row["amount_usd"], row["rework_usd"], row["usd_per_accepted"]) == (15.0, 5.0, 2.5)
    assert (row["budget_usd"], row["burn_usd_per_day"], row["exhausted_on"]) == (None, 7.5, None)


def test_a_verification_fails_the_labels_of_its_data_object():
    first = ("a", None, "ana", [("x", ONE, boxes(None)), ("y", ONE, boxes(None, None))])
    verified = ("v", "a", "hana", [("x", ONE, said("bad")), ("y", ONE, said("Good"))], VERDICT)
    assert accepted(first, verified) == (3, 2)


def test_a_label_is_counted_once_where_jobs_tell_no_sources():
    assert accepted(("a", None, "ana", [(None, ONE, FOUR)]), ("c", "a", "hana", [(None, ONE, FOUR)])) == (4, 4)


def test_who_follows_a_verification_takes_on_the_labels_it_judged():
    first = ("a", None, "ana", [("x", ONE, boxes(None)), ("y", ONE, boxes(None)), ("z", ONE, boxes(None))])
    verified = ("v", "a", "hana", [("x", ONE, said("good")), ("y", ONE, said("bad")), ("z", ONE, said("bad"))], VERDICT)
    adjusted = ("c", "v", "emre", [("x", ONE, boxes("Fail")), ("y", ONE, boxes(None))])
    # The label of y was set right, that of z nobody took on.
    assert accepted(first, verified, adjusted) == (3, 1)


def test_windows_of_a_directed_audit_take_on_their_frames_alone():
    folder = "s3://out/audits/clip/0"
    first = ("clip", None, "ana", [("s3://x", range(10), track(*range(10)))])
    windows = [
        (f"{folder}/1-2.json", (1, 2), [*track(1, verdict="Pass"), *track(2, verdict="Fail")]),
        (f"{folder}/7-7.json", (7,), track(7, verdict="Fail")),
    ]
    assert accepted(first, ("audit", "clip", "hana", windows)) == (10, 8)


def test_frames_that_the_next_level_emptied_hold_nothing():
    first = ("clip", None, "ana", [("s3://x", range(10), track(*range(10)))])
    part = ("audit", "clip", "hana", [("s3://x", (4, 5, 6), track(4, 5, verdict="Pass"))])
    assert accepted(first, part) == (10, 9)


def test_of_two_audits_of_one_job_the_later_level_counts():
    first = ("a", None, "ana", [("x", ONE, FOUR)])
    two = [
        (name, "a", "hana", [("x", ONE, boxes(*verdicts))])
        for name, verdicts in (("c", ["Pass"] * 4), ("d", ["Fail"] * 4))
    ]
    assert accepted(first, *two) == (4, 0)
    assert accepted(first, two[0], ("d", "c", "hana", two[1][3])) == (4, 0)
    assert accepted(first, two[0]) == (4, 4)


@pytest.mark.parametrize(("verdicts", "held"), [(("Pass", "Fail", None, ""), 3), ((None,), 1), (("no",), 0)])
def test_a_single_job_that_carries_verdicts(verdicts, held):
    assert accepted(("a", None, "hana", [("x", ONE, boxes(*verdicts))])) == (len(verdicts), held)


def test_a_batch_that_goes_on_with_the_labels_of_another():
    spark = chain(("a", None, "ana", [("x", ONE, FOUR)]), ("c", "a", "hana", [("x", ONE, boxes("Pass", "Fail"))]))
    jobs = [{"job_name": "a", "batch": "b"}, {"job_name": "c", "batch": "other", "base_job": "a"}]
    columns = spark.table("job").columns
    spark.createDataFrame(
        [tuple(({"task_type": "object-detection"} | row).get(name) for name in columns) for row in jobs],
        spark.table("job").schema,
    ).createOrReplaceTempView("job")
    found = {row["batch"]: (row["label_count"], row["accepted_count"]) for row in table(spark, "accepted_cost")}
    assert found == {"b": (4, 4), "other": (2, 1)}


def test_no_more_labels_hold_than_there_are():
    """Chains at random in which nobody adds a label: a frame's label is counted once, by the last who holds it."""
    rng = random.Random(5)
    kinds = [None, "whole", "part", "windows", "verdict"]
    for _ in range(12):
        levels = [("j0", None, "ana", [("s3://x", range(6), track(*range(6))), ("s3://y", range(6), track(*range(6)))])]
        owner = {}
        last = {(at, number): True for at in range(2) for number in range(6)}
        base, shown = "j0", "j0"
        for depth in (1, 2, 3):
            kind, name = rng.choice(kinds), f"j{depth}"
            sizes = {"whole": 6, "part": 3, "windows": 2}
            if kind is None:
                break
            tasks = []
            for at, source in enumerate(("s3://x", "s3://y")):
                if kind == "verdict":
                    good = rng.random() < 0.5
                    tasks.append((source, ONE, said("good" if good else "bad")))
                    if not good:
                        last |= {key: False for key in last if key[0] == at and owner.get(key, "j0") == base}
                    continue
                numbers = sorted(rng.sample(range(6), sizes[kind]))
                place = f"s3://out/audits/j0/{at}/{numbers[0]}-{numbers[-1]}.json" if kind == "windows" else source
                labels = []
                for number in numbers:
                    passed = rng.random() < 0.7
                    last[at, number] = passed
                    owner[at, number] = name
                    labels += track(number, verdict="Pass" if passed else "Fail")
                tasks.append((place, tuple(numbers), labels))
            levels.append((name, shown, "hana", tasks, *([VERDICT] if kind == "verdict" else [])))
            shown = name
            base = base if kind == "verdict" else name
        labels, held = accepted(*levels)
        assert held <= labels == 12
        assert held == sum(last.values())


@pytest.mark.parametrize(("name", "times"), [("accepted_cost", 3), ("audit_count", 1)])
def test_the_words_that_pass_are_those_of_the_audits(name, times):
    text = files("glue_scripts.labeling.insight").joinpath(f"{name}.sql").read_text("utf-8")
    assert text.count("('pass', 'good', 'correct', 'yes')") == times
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


def test_the_end_of_a_batch_is_unknown_while_that_of_one_job_is():
    states = [
        {"job_name": name, "batch": "b", "in_progress_count": 0, "open_count": count, "eta": eta}
        for name, count, eta in (("a", 1, None), ("c", 1, START + timedelta(days=5)), ("e", 0, None))
    ]
    days = [spent(2, 10.0), spent(5, 10.0)]
    assert batch_cost({"budget_usd": 50.0}, cost=days, forecast=states)["exhausted_on"] == date(2026, 3, 11)
    assert batch_cost({"budget_usd": 50.0}, cost=days, forecast=states[1:])["exhausted_on"] is None
