from datetime import UTC, datetime, timedelta
from math import log

import numpy as np
import pytest

from sextant.labeling.insight import drift
from tests.labeling.insight.lake import analysed, lake

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
INDEPENDENT = drift.Dispersion()


def test_index_and_distance_by_hand():
    found = drift.distances(np.array([30.0, 10.0]), np.array([50.0, 50.0]))
    p, q = 30.5 / 41, 50.5 / 101
    assert found.psi == pytest.approx((p - q) * log(p / q) + (q - p) * log((1 - p) / (1 - q)))
    # Halves of the distances to the mean distribution (5/8, 3/8), to base 2.
    js = 0.5 * (0.75 * log(6 / 5) + 0.25 * log(2 / 3)) + 0.5 * (0.5 * log(4 / 5) + 0.5 * log(4 / 3))
    assert found.js == pytest.approx((js / log(2)) ** 0.5)
    assert found.bins == 2


def test_equal_distributions_do_not_differ_and_disjoint_ones_do_wholly():
    assert drift.distances(np.array([5.0, 5.0]), np.array([5.0, 5.0])) == drift.Comparison(0.0, 0.0, 2)
    assert drift.distances(np.array([9.0, 0.0]), np.array([0.0, 9.0])).js == pytest.approx(1.0)


def test_rare_values_are_put_together():
    counts = np.array([500.0, 480.0, 8.0, 7.0, 5.0])
    assert drift.distances(counts, counts).bins == 5
    assert drift.distances(counts / 5, counts / 5).bins == 3
    assert drift.distances(np.array([1.0, 0.0, 0.0]), np.array([10.0, 9.0, 1.0])).bins == 2
    assert drift.distances(np.array([3.0]), np.array([10.0])) == drift.Comparison(0.0, 0.0, 1)


@pytest.mark.parametrize(
    "shares", [[0.5, 0.5], [0.7, 0.2, 0.1], [0.9, 0.09, 0.009, 0.001], [0.1] * 10, [0.4, 0.3, 0.2, 0.05, 0.03, 0.02]]
)
@pytest.mark.parametrize(("item", "reference"), [(5, 50), (20, 20), (50, 1_000), (400, 400), (3_000, 100)])
def test_without_drift_the_threshold_is_passed_once_in_a_hundred(shares, item, reference):
    rng = np.random.default_rng(1)
    alarms = 0
    for mine, theirs in zip(
        rng.multinomial(item, shares, 1_500), rng.multinomial(reference, shares, 1_500), strict=True
    ):
        found = drift.distances(mine.astype(float), theirs.astype(float))
        alarms += found.psi > drift.threshold(found.bins, item, reference, INDEPENDENT)
    assert alarms <= 27  # 15 expected, and three standard deviations


def clustered(rng, *, days=8, pictures=6, labels=20, alike=4.0, shares=(0.5, 0.3, 0.2)):
    """Counts of pictures whose labels resemble each other: Dirichlet-multinomial, the smaller `alike` the more."""
    counts = np.zeros((days, len(shares)))
    squares, crossed, sizes = counts.copy(), counts.copy(), np.zeros(days)
    for day in range(days):
        for _ in range(pictures):
            size = rng.poisson(labels) + 1
            here = rng.multinomial(size, rng.dirichlet(np.array(shares) * alike)).astype(float)
            counts[day] += here
            squares[day] += here**2
            crossed[day] += here * size
            sizes[day] += size**2
    return counts, drift.dispersion(counts, squares, crossed, sizes, np.full(days, float(pictures)))


def alarms(varied, counts):
    return sum(made.psi > limit for made, limit in drift.against_others(counts, varied)[1])


@pytest.mark.parametrize("pictures", [3, 20])
def test_pictures_full_of_one_class_are_no_drift(pictures):
    rng = np.random.default_rng(2)
    with_it = without = 0
    for _ in range(100):
        counts, varied = clustered(rng, pictures=pictures)
        with_it += alarms(varied, counts)
        without += alarms(INDEPENDENT, counts)
    assert with_it <= 20  # of 800: 8 expected
    assert without > 200  # what a plain chi-square would call drift


def test_dispersion_is_that_of_the_clusters():
    # Labels of one picture with intra-class correlation 1 / (1 + alike): 1 + (mean square size / mean size - 1) rho.
    _, varied = clustered(np.random.default_rng(3), days=5, pictures=400, labels=20, alike=4.0)
    assert varied.factor == pytest.approx(1 + 20.95 * 0.2, rel=0.1)
    assert varied.freedom == 5 * 399
    _, independent = clustered(np.random.default_rng(4), days=5, pictures=400, alike=1e9)
    assert independent.factor == pytest.approx(1.0, abs=0.05)


def test_single_labels_have_no_dispersion_and_single_clusters_tell_none():
    one = np.array([[3.0, 2.0], [1.0, 4.0]])
    assert drift.dispersion(one, one, one, np.array([5.0, 5.0]), np.array([5.0, 5.0])) == INDEPENDENT
    unknown = drift.dispersion(one, one**2, one * 5, np.array([25.0, 25.0]), np.array([1.0, 1.0]))
    assert np.isnan(drift.threshold(2, 5, 5, unknown))


def test_families_are_jobs_linked_by_classes():
    member, texts = drift.families([["car", "bus"], ["duck"], ["bus", "van"], [""]])
    assert member[0] == member[2]
    assert len({*member.tolist()}) == 3
    assert [texts[each] for each in member] == ["bus, car, van", "duck", "bus, car, van", ""]


def test_one_that_drifts_does_not_make_the_others_drift():
    same = np.array([[60.0, 40.0]] * 3)
    reference, found = drift.against_others(np.vstack((same, [[5.0, 95.0]])), INDEPENDENT)
    assert [made.psi > limit for made, limit in found] == [False, False, False, True]
    assert reference.tolist() == [[120, 80]] * 3 + [[180, 120]]
    # Of two, or of halves, nobody knows which one drifted.
    assert [
        made.psi > limit for made, limit in drift.against_others(np.array([[60.0, 40], [5, 95]]), INDEPENDENT)[1]
    ] == [
        True,
        True,
    ]


# --- through the SQL ------------------------------------------------------------------------------------------------


def image(job, number, day, label, *, side=20.0, **more):
    return {
        "annotation_id": f"{job}-{number}",
        "job_name": job,
        "task_type": "image-classification",
        "object_id": str(number),
        "frame_no": 0,
        "label": label,
        "shape": "box",
        "width_px": side,
        "height_px": side,
        "created_at": START + timedelta(days=day),
        "attributes": {},
        **more,
    }


def rows_of(annotations, jobs, answers=()):
    made = analysed(lake(annotation=annotations, job=jobs, answer_annotation=answers), "drift")["drift"]
    return {(row["subject"], row["scope"], row["item"]): row for row in made}


def birds(rng, job, days, per_day, shares):
    return [
        image(job, day * per_day + n, day, str(rng.choice(["duck", "goose", "swan"], p=shares(day))))
        for day in range(days)
        for n in range(per_day)
    ]


def test_a_day_of_other_birds_is_found_and_no_other_day():
    rng = np.random.default_rng(6)
    found = rows_of(
        birds(rng, "j", 12, 150, lambda day: [0.2, 0.2, 0.6] if day == 3 else [0.5, 0.3, 0.2]),
        [{"job_name": "j", "batch": "b"}],
    )
    days = {
        item: row["drifted"] for (subject, scope, item), row in found.items() if (subject, scope) == ("label", "day")
    }
    assert {day for day, drifted in days.items() if drifted} == {"2026-03-05"}
    assert len(days) == 12
    row = found["label", "day", "2026-03-05"]
    assert (row["case_count"], row["reference_count"], row["classes"]) == (150, 1_650, "duck, goose, swan")
    assert row["largest"].startswith("swan: ")
    assert not any(scope == "batch" for _, scope, _ in found)  # there is no other batch


def test_small_items_do_not_alarm():
    rng = np.random.default_rng(7)
    drifted = 0
    for _ in range(100):
        found = drift.against_others(rng.multinomial(5, [0.5, 0.3, 0.2], 12).astype(float), INDEPENDENT)[1]
        drifted += sum(drift.beyond(*each) > 0 for each in found)
    assert drifted <= 20  # of 1,200: 12 expected


def test_jobs_of_other_classes_are_no_reference_and_later_levels_no_news():
    jobs = [{"job_name": "x", "batch": "x"}, {"job_name": "y", "batch": "y"}]
    jobs.append({"job_name": "z", "batch": "y", "base_job": "y"})
    labels = [image("x", n, 0, "red") for n in range(30)] + [image("y", n, 1, "big") for n in range(30)]
    labels += [image("z", n, 2, "big", attributes={"audit": "Pass" if n % 2 else "Fail"}) for n in range(30)]
    for number, row in enumerate(labels):
        row["attributes"] = {"lit": "yes" if number % 3 else "no", **row["attributes"]}
    found = rows_of(labels, jobs)
    assert {(subject, scope) for subject, scope, _ in found} == set()  # one value, or one day and batch, in each family
    labels += [image("z", 100 + n, 3, "big", attributes={"audit": "Fail"}) for n in range(30)]
    assert set(rows_of(labels, jobs)) == {
        ("attribute.audit", "day", "2026-03-04"),
        ("attribute.audit", "day", "2026-03-05"),
    }


def test_box_sizes_and_tracks():
    rng = np.random.default_rng(9)
    sides = [float(rng.lognormal(3.6 if number % 4 == 2 else 3.0, 0.4)) for number in range(400)]
    tracks = [
        image("j", number, number % 4, "car", side=side * (1 + frame / 50), frame_no=frame, instance_id=f"t{number}")
        | {"annotation_id": f"{number}-{frame}"}
        for number, side in enumerate(sides)
        for frame in range(5)  # one label, however many frames
    ]
    found = rows_of(tracks, [{"job_name": "j", "batch": "b"}])
    assert {item for (_, _, item), row in found.items() if row["drifted"]} == {"2026-03-04"}
    assert found["box_size", "day", "2026-03-04"]["case_count"] == 100
    assert found["box_size", "day", "2026-03-04"]["largest"].startswith("above ")


def test_a_worker_with_habits_of_her_own():
    rng = np.random.default_rng(10)
    given = [
        {
            "answer_id": f"a{n}",
            "job_name": "j",
            "task_type": "image-classification",
            "username": f"w{n % 4}",
            "frame_no": None,  # as where an answer's file does not tell it
            "frame": "",
            "position": 0,
            "label": "duck" if n % 4 == 1 and rng.random() < 0.6 else str(rng.choice(["duck", "goose", "swan"])),
            "attributes": {},
        }
        for n in range(400)
    ]
    found = rows_of([], [{"job_name": "j", "batch": "b"}], given)
    assert {item for (_, scope, item), row in found.items() if scope == "worker" and row["drifted"]} == {"w1"}
    assert len(found) == 4


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_compare(count):
    assert rows_of([image("j", n, n, "duck") for n in range(count)], [{"job_name": "j", "batch": "b"}]) == {}


def test_free_text_is_no_thousand_values():
    labels = [image("j", n, n % 2, "duck", attributes={"note": f"text {n}"}) for n in range(400)]
    row = rows_of(labels, [{"job_name": "j", "batch": "b"}])["attribute.note", "day", "2026-03-02"]
    assert not row["drifted"]
    assert row["case_count"] == 200


def test_a_track_counts_by_its_first_class():
    """Ducks on one day and geese on the other, which the frames after the first take for the opposite."""
    tracks = [
        image("j", number, number % 2, label, frame_no=frame, instance_id=f"t{number}")
        | {"annotation_id": f"{number}-{frame}"}
        for number in range(80)
        for frame, label in enumerate(("duck", "goose", "goose") if number % 2 else ("goose", "duck", "duck"))
    ]
    given = [
        {"answer_id": f"a{each['object_id']}", "job_name": "j", "task_type": "image-classification", "position": 0}
        | {name: each[name] for name in ("frame_no", "instance_id", "label", "attributes")}
        | {"username": f"w{int(each['object_id']) % 2}"}
        for each in tracks
    ]
    found = rows_of(tracks, [{"job_name": "j", "batch": "b"}], given)
    ducks = found["label", "day", "2026-03-03"]
    assert (ducks["case_count"], ducks["largest"]) == (40, "goose: 0.0%, others 100.0%")
    assert found["label", "worker", "w1"]["largest"] == "goose: 0.0%, others 100.0%"
