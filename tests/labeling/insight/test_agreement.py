"""Agreement against textbook numbers, numbers counted by hand, and its intervals against a known population."""

from datetime import date
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from sextant.labeling.insight.agreement import choices, summary
from sextant.labeling.insight.bootstrap import BLOCKS, interval, resampling
from sextant.labeling.insight.comparisons import comparisons
from sextant.labeling.insight.tables import AGREEMENT, OBJECT_AGREEMENT
from sextant.labeling.tables import arrow_schema

JOB = {"job_name": "job", "modality": "Image", "task_type": "image-classification"}
DAY = date(2026, 11, 1)


def chosen(answers, **columns):
    """Rows (object, worker, label) as the analysis gets them."""
    rows = [{**JOB, "object_id": o, "worker": w, "label": label, "day": DAY, **columns} for o, w, label in answers]
    return pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def found(rows, **wanted):
    """The one row with these values."""
    (row,) = [each for each in rows if all(each.get(name) == value for name, value in wanted.items())]
    return row


# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units, missing
# values; nominal data: alpha = 0.743. The last unit has one answer, which pairs with none.
KRIPPENDORFF = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def reliability(data):
    """Answers of every unit of two or more."""
    values = [line.split() for line in data]
    units = range(len(values[0]))
    pairable = [unit for unit in units if sum(line[unit] != "." for line in values) > 1]
    return [
        (f"u{unit}", f"w{who}", line[unit]) for unit in pairable for who, line in enumerate(values) if line[unit] != "."
    ]


def test_alpha_of_the_textbook():
    rows = choices(chosen(reliability(KRIPPENDORFF)))["agreement"]
    row = found(rows, scope="job")
    assert row["value"] == pytest.approx(0.743, abs=0.0005)
    assert (row["object_count"], row["pair_count"]) == (11, 55)  # 8 units of 6 pairs, 2 of 3, 1 of 1
    assert row["lower"] < row["value"] < row["upper"]


def test_alpha_of_two_observers_of_the_textbook():
    """The same article, section B: two observers, nominal data, no missing values: alpha = 0.692."""
    data = ["a a b b d c c c e d d a", "b a b b b c c c e d d d"]
    rows = choices(chosen(reliability(data)))["agreement"]
    assert found(rows, scope="job")["value"] == pytest.approx(0.692, abs=0.0005)
    assert found(rows, scope="pair", worker="w0", other_worker="w1")["value"] == found(rows, scope="job")["value"]


def nominal_alpha(answers):
    """Krippendorff's formula by its definition, pair by pair."""
    units = {}
    for unit, _, label in answers:
        units.setdefault(unit, []).append(label)
    values = [label for labels in units.values() for label in labels]
    observed = sum(
        2 * sum(a != b for a, b in combinations(labels, 2)) / (len(labels) - 1) for labels in units.values()
    ) / len(values)
    expected = 2 * sum(a != b for a, b in combinations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


def simulated(random, objects=60, workers=6, accuracy=0.7, labels="abcd"):
    answers = []
    for each in range(objects):
        right = random.choice(list(labels))
        for who in random.choice(workers, random.integers(2, 5), replace=False):
            given = right if random.random() < accuracy else random.choice(list(labels))
            answers.append((f"o{each}", f"w{who}", str(given)))
    return answers


def test_every_scope_is_alpha_of_its_answers():
    answers = simulated(np.random.default_rng(5))
    rows = choices(chosen(answers))["agreement"]
    assert found(rows, scope="job")["value"] == pytest.approx(nominal_alpha(answers))
    assert found(rows, scope="day", day=DAY)["value"] == pytest.approx(nominal_alpha(answers))
    for label in "abcd":
        against_all = [(o, w, given == label) for o, w, given in answers]
        assert found(rows, scope="label", label=label)["value"] == pytest.approx(nominal_alpha(against_all))
    for one, other in combinations(sorted({w for _, w, _ in answers}), 2):
        both = {o for o, w, _ in answers if w == one} & {o for o, w, _ in answers if w == other}
        row = found(rows, scope="pair", worker=one, other_worker=other)
        assert row["object_count"] == row["pair_count"] == len(both)
        theirs = [each for each in answers if each[0] in both and each[1] in (one, other)]
        assert row["value"] == pytest.approx(nominal_alpha(theirs))


def test_days_are_those_of_the_last_answer():
    answers = simulated(np.random.default_rng(6), objects=20)
    days = {f"o{each}": date(2026, 11, 1 + each % 2) for each in range(20)}
    table = chosen(answers).drop(["day"]).append_column("day", pa.array([days[o] for o, _, _ in answers]))
    rows = choices(table)["agreement"]
    for day in set(days.values()):
        assert found(rows, scope="day", day=day)["value"] == pytest.approx(
            nominal_alpha([each for each in answers if days[each[0]] == day])
        )


def test_several_classes_count_class_by_class():
    """Two objects, two workers: {a, b} and {a}, then {} and {b}: one class differs in each."""
    answers = [("o1", "w1", "a"), ("o1", "w1", "b"), ("o1", "w2", "a"), ("o2", "w1", None), ("o2", "w2", "b")]
    rows = choices(chosen(answers))["agreement"]
    # Of a: answers 1 1 0 0, never apart: alpha 1. Of b: 1 0 0 1, always apart: observed 1, expected 2*2*2/(4*3) = 2/3.
    assert found(rows, scope="label", label="a")["value"] == 1
    assert found(rows, scope="label", label="b")["value"] == pytest.approx(1 - 1 / (2 / 3))
    # Together: observed 0 + 1, expected 2/3 + 2/3.
    assert found(rows, scope="job")["value"] == pytest.approx(1 - 1 / (4 / 3))


def test_one_class_alone_is_undefined_and_not_perfect():
    rows = choices(chosen([(f"o{n}", w, "a") for n in range(8) for w in ("w1", "w2")]))["agreement"]
    assert {each["scope"] for each in rows} == {"job", "label", "pair", "day"}
    assert all(each["value"] is each["lower"] is each["upper"] is None for each in rows)
    assert all(each["object_count"] == 8 for each in rows)


def test_answers_without_any_label_are_undefined():
    rows = choices(chosen([(f"o{n}", w, None) for n in range(3) for w in ("w1", "w2")]))["agreement"]
    assert all(each["value"] is None for each in rows)


def test_few_objects_give_no_interval():
    row = found(choices(chosen(simulated(np.random.default_rng(1), objects=4)))["agreement"], scope="job")
    assert row["value"] is not None
    assert row["lower"] is row["upper"] is None


def test_the_same_rows_every_time_and_other_draws_for_other_jobs():
    answers = simulated(np.random.default_rng(2))
    assert choices(chosen(answers)) == choices(chosen(answers))
    one, other = (found(choices(chosen(answers, job_name=job))["agreement"], scope="job") for job in ("a", "b"))
    assert one["value"] == pytest.approx(other["value"])
    assert (one["lower"], one["upper"]) != (other["lower"], other["upper"])


def test_ten_thousand_classes_are_bearable():
    random = np.random.default_rng(0)
    answers = [
        (f"o{each}", f"w{who}", f"c{label if random.random() < 0.8 else random.integers(10_000)}")
        for each, label in enumerate(random.integers(0, 10_000, 10_000))
        for who in random.choice(20, 2, replace=False)
    ]
    row = found(choices(chosen(answers))["agreement"], scope="job")
    assert row["value"] == pytest.approx(0.64, abs=0.02)


@pytest.mark.parametrize("objects", [40, BLOCKS + 500])
def test_bootstrap_intervals_hold_the_population_in_19_of_20_samples(objects):
    """Alpha of the population: answers are right by 0.7 and uniform otherwise, so pairs agree by chance-corrected
    0.49. Luck may cost 4 deviations of a binomial.
    """
    random = np.random.default_rng(11)
    samples = 200 if objects < BLOCKS else 60
    covered = 0
    for _ in range(samples):
        right = random.integers(0, 4, (objects, 1))
        given = np.where(random.random((objects, 3)) < 0.7, right, random.integers(0, 4, (objects, 3)))
        answers = {
            **{name: [value] * given.size for name, value in JOB.items()},
            "object_id": np.repeat(np.arange(objects), 3).astype(str),
            "worker": np.tile(["w0", "w1", "w2"], objects),
            "label": given.reshape(-1).astype(str),
            "day": pa.nulls(given.size, pa.date32()),
        }
        row = found(choices(pa.table(answers))["agreement"], scope="job")
        covered += row["lower"] <= 0.49 <= row["upper"]
    # The percentile interval of 40 objects is known to be somewhat short.
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / samples) - 0.02 <= covered / samples <= 1


def test_blocks_keep_the_spread_of_a_mean():
    """Of many objects blocks are drawn: the interval of a mean is that of the central limit theorem all the same."""
    random = np.random.default_rng(4)
    values = random.normal(10, 3, 20_000)
    sample = resampling(values.size, random)
    assert sample.weights.shape[1] == BLOCKS
    unit, item = np.arange(values.size), np.zeros(values.size, np.int64)
    means = sample.sums(unit, item, values, 1) / sample.sums(unit, item, np.ones(values.size), 1)
    value, lower, upper = (each[0] for each in interval(means, np.array([values.size])))
    assert value == pytest.approx(values.mean())
    assert upper - lower == pytest.approx(2 * 1.96 * 3 / np.sqrt(values.size), rel=0.12)


# --- shapes ---------------------------------------------------------------------------------------------------------


def shapes(kind, answers, object_id="o1", chance_set=None, task_type="object-detection"):
    """Answers {(answer_id, worker): [(frame, instance, label, place)]} as rows of one group."""
    names = (
        ("frame_no", pa.int32()), ("frame", pa.string()), ("instance", pa.string()), ("label", pa.string()),
        *((name, pa.float64()) for name in ("left_px", "top_px", "width_px", "height_px")),
        *((name, pa.float64()) for name in ("start_offset", "end_offset")),
    )  # fmt: skip
    rows = []
    for (answer, worker), drawn in answers.items():
        head = {**JOB, "task_type": task_type, "kind": kind, "object_id": object_id, "chance_set": chance_set}
        head |= {"compared": object_id, "answer_id": answer, "worker": worker, "day": DAY}
        for frame, instance, label, place in drawn:
            where = ("start_offset", "end_offset") if kind == "span" else ("left_px", "top_px", "width_px", "height_px")
            number = {"frame_no": frame} if isinstance(frame, int) else {"frame": frame}
            rows.append(
                {**head, "drawn": True, **number, "instance": instance, "label": label}
                | dict(zip(where, place, strict=True))
            )
        if not drawn:
            rows.append({**head, "drawn": False})
    types = dict(names) | {"chance_set": pa.string(), "worker": pa.string(), "object_id": pa.string()}
    columns = dict.fromkeys([name for row in rows for name in row] + [name for name, _ in names])
    return pa.table({name: pa.array([row.get(name) for row in rows], types.get(name)) for name in columns})


def compared(*tables):
    """The rows of table object_agreement as the second step reads them."""
    rows = [row for table in tables for row in comparisons(table)["object_agreement"]]
    schema = arrow_schema(OBJECT_AGREEMENT)
    assert {name for row in rows for name in row} <= set(schema.names)
    return pa.table({field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema})


def box(left, *, width=10.0, label="Car", frame=0, instance=None):
    return frame, instance, label, (left, 0.0, width, 10.0)


def test_boxes_counted_by_hand():
    answers = {
        ("a1", "ann"): [box(0), box(100), box(200, label="Bus")],
        ("a2", "bob"): [box(0), box(102), box(200)],  # one equal, one of IoU 8/12, one of another class
    }
    rows = summary(compared(shapes("box", answers)))["agreement"]
    job = found(rows, metric="iou_f1", scope="job")
    assert job["value"] == pytest.approx(2 * 2 / 6)
    assert (job["object_count"], job["pair_count"], job["lower"]) == (1, 1, None)
    assert found(rows, metric="iou_f1", scope="label", label="Car")["value"] == pytest.approx(2 * 2 / 5)
    assert found(rows, metric="iou_f1", scope="label", label="Bus")["value"] == 0
    assert found(rows, metric="iou_f1", scope="pair", worker="ann", other_worker="bob")["value"] == job["value"]
    assert found(rows, metric="iou_f1", scope="day", day=DAY)["value"] == job["value"]
    # One object: nobody knows what chance does.
    assert found(rows, metric="iou_alpha", scope="job")["value"] is None


def test_as_many_boxes_as_possible_are_matched():
    """Two pairs are equal, which would leave two boxes without; each with its other neighbour (IoU 7/13) all match."""
    answers = {("a1", "ann"): [box(3), box(6), box(9)], ("a2", "bob"): [box(0), box(3), box(6)]}
    assert found(summary(compared(shapes("box", answers)))["agreement"], metric="iou_f1", scope="job")["value"] == 1


def test_iou_alpha_is_corrected_by_chance_sets():
    """Observed IoU of 8/12 in both objects; by chance one of three pairs shares its box: (2/3 - 1/3) / (1 - 1/3)."""
    objects = [
        shapes("box", {("a1", "ann"): [box(0)], ("a2", "bob"): [box(2)]}, object_id=f"o{each}") for each in range(2)
    ]
    chance = shapes(
        "box", {("a1", "ann"): [box(0)], ("a3", "ann"): [box(0)], ("a5", "bob"): [box(500)]}, chance_set="0"
    )
    rows = summary(compared(*objects, chance))["agreement"]
    assert found(rows, metric="iou_alpha", scope="job")["value"] == pytest.approx(0.5)
    assert found(rows, metric="iou_alpha", scope="label", label="Car")["value"] == pytest.approx(0.5)
    assert found(rows, metric="iou_alpha", scope="job")["object_count"] == 2
    assert found(rows, metric="iou_f1", scope="job")["value"] == 1  # chance sets are no answers of anybody


def test_every_class_has_its_own_chance_and_a_rare_one_that_of_the_job():
    """IoU is 8/12 for each class. By chance cars share 8/12, busses nothing, both 1/3; no van was drawn twice."""
    objects = [
        shapes(
            "box",
            {
                ("a1", "ann"): [box(0), box(100, label="Bus"), box(200, label="Van")],
                ("a2", "bob"): [box(2), box(102, label="Bus"), box(202, label="Van")],
            },
            object_id=f"o{each}",
        )
        for each in range(2)
    ]
    chance = shapes(
        "box",
        {("a1", "ann"): [box(0), box(100, label="Bus")], ("a3", "ann"): [box(2), box(500, label="Bus")]},
        chance_set="0",
    )
    rows = summary(compared(*objects, chance))["agreement"]
    values = {
        each["label"]: each["value"] for each in rows if (each["metric"], each["scope"]) == ("iou_alpha", "label")
    }
    assert values == {"Car": pytest.approx(0), "Bus": pytest.approx(2 / 3), "Van": pytest.approx(1 / 2)}
    assert found(rows, metric="iou_alpha", scope="job")["value"] == pytest.approx(1 / 2)


def test_random_boxes_agree_by_chance_and_alpha_knows_it():
    """Everybody draws one of two boxes, whatever the image: the overlap is a half, alpha is nothing."""
    random = np.random.default_rng(8)
    places = random.integers(0, 2, (400, 2)) * 50.0
    tables = [
        shapes("box", {(f"a{n}", "ann"): [box(one)], (f"b{n}", "bob"): [box(other)]}, object_id=f"o{n}")
        for n, (one, other) in enumerate(places)
    ]
    chance = [
        shapes("box", {(f"a{n}", "ann"): [box(places[n, 0])] for n in range(start, start + 5)}, chance_set=str(start))
        for start in range(0, 400, 5)
    ]
    rows = summary(compared(*tables, *chance))["agreement"]
    assert found(rows, metric="iou_f1", scope="job")["value"] == pytest.approx(0.5, abs=0.1)
    row = found(rows, metric="iou_alpha", scope="job")
    assert row["lower"] < 0 < row["upper"]
    assert row["upper"] - row["lower"] < 0.4


def test_objects_compared_together_or_apart_give_the_same_rows():
    random = np.random.default_rng(12)
    tables = []
    for n in range(6):
        answers = {
            (f"a{n}-{who}", who): [
                box(left, label=str(random.choice(["Car", "Bus"])), frame=int(random.integers(2)))
                for left in random.uniform(0, 40, random.integers(0, 5))
            ]
            for who in ("ann", "bob", "cy")
        }
        tables.append(shapes("box", answers, object_id=f"o{n}", chance_set="0" if n == 5 else None))
    columns = tables[0].column_names
    together = comparisons(pa.concat_tables([each.select(columns) for each in tables]))["object_agreement"]
    apart = [row for each in tables for row in comparisons(each)["object_agreement"]]

    def order(row):
        return [str(row.get(name)) for name in OBJECT_AGREEMENT.key]

    assert sorted(together, key=order) == sorted(apart, key=order)


def test_a_worker_of_more_answers_to_an_object_weighs_no_more():
    """An object of three answers has three pairs, and weighs as three answers, not as three pairs."""
    three = shapes("box", {(f"a{who}", who): [box(0)] for who in ("ann", "bob", "cy")}, object_id="o1")
    two = shapes("box", {("b1", "ann"): [box(0)], ("b2", "bob"): [box(500)]}, object_id="o2")
    chance = shapes("box", {("a1", "ann"): [box(0)], ("b2", "bob"): [box(500)]}, chance_set="0")
    rows = summary(compared(three, two, chance))["agreement"]
    # 3 answers that agree, 2 that do not: 3/5, where counting pairs would say 3/4.
    assert found(rows, metric="iou_alpha", scope="job")["value"] == pytest.approx(3 / 5)


def test_empty_answers_count_and_hostile_boxes_are_shapes_nobody_shares():
    nan = float("nan")
    answers = {
        ("a1", "ann"): [],
        ("a2", "bob"): [box(0), box(nan), box(0, width=0.0), box(0, width=-5.0)],
        ("a3", "cy"): [box(0), box(nan), box(0, width=0.0)],
    }
    rows = summary(compared(shapes("box", answers)))["agreement"]
    assert found(rows, metric="iou_f1", scope="pair", worker="ann", other_worker="bob")["value"] == 0
    assert found(rows, metric="iou_f1", scope="pair", worker="bob", other_worker="cy")["value"] == pytest.approx(2 / 7)
    nothing = {("a1", "ann"): [], ("a2", "bob"): []}
    rows = summary(compared(shapes("box", nothing)))["agreement"]
    row = found(rows, metric="iou_f1", scope="job")
    assert row["value"] is None
    assert (row["object_count"], row["pair_count"]) == (1, 1)


def test_boxes_of_different_frames_are_different():
    answers = {("a1", "ann"): [box(0, frame=1)], ("a2", "bob"): [box(0, frame=2)]}
    assert found(summary(compared(shapes("box", answers)))["agreement"], metric="iou_f1", scope="job")["value"] == 0
    named = {
        ("a1", "ann"): [box(0, frame="1.jpg"), box(0, frame="3.jpg")],
        ("a2", "bob"): [box(0, frame="1.jpg"), box(0, frame="2.jpg")],
    }
    rows = summary(compared(shapes("box", named)))["agreement"]
    assert found(rows, metric="iou_f1", scope="job")["value"] == pytest.approx(2 / 4)


def test_spans_exact_and_overlapping():
    def span(start, end, label="Person"):
        return 0, None, label, (start, end)

    answers = {
        ("a1", "ann"): [span(0, 5), span(10, 20), span(30, 35, "City")],
        ("a2", "bob"): [span(0, 5), span(12, 20), span(30, 35), span(35, 40, "City")],
    }
    rows = summary(compared(shapes("span", answers, task_type="text-span")))["agreement"]
    assert found(rows, metric="span_f1", scope="job")["value"] == pytest.approx(2 * 1 / 7)
    assert found(rows, metric="span_overlap_f1", scope="job")["value"] == pytest.approx(2 * 2 / 7)  # 35-40 only touches
    assert found(rows, metric="span_overlap_f1", scope="label", label="City")["value"] == 0
    assert found(rows, metric="span_f1", scope="label", label="Person")["value"] == pytest.approx(2 / 5)


def test_empty_and_unknown_spans_share_nothing():
    unknown = (float("nan"), float("nan"))
    drawn = [(0, None, "X", (5, 5)), (0, None, "X", unknown), (0, None, "X", (7, 6)), (0, None, "X", (8, 9))]
    rows = summary(compared(shapes("span", {("a1", "ann"): drawn, ("a2", "bob"): drawn})))["agreement"]
    assert found(rows, metric="span_f1", scope="job")["value"] == pytest.approx(2 * 1 / 8)
    assert found(rows, metric="span_overlap_f1", scope="job")["value"] == pytest.approx(2 * 1 / 8)


def test_one_long_span_is_matched_to_one_short_one_only():
    answers = {
        ("a1", "ann"): [(0, None, "X", (0, 100))],
        ("a2", "bob"): [(0, None, "X", (start, start + 5)) for start in (0, 20, 40)],
    }
    rows = summary(compared(shapes("span", answers)))["agreement"]
    assert found(rows, metric="span_overlap_f1", scope="job")["value"] == pytest.approx(2 / 4)


def test_tracks_of_two_workers():
    """One track is exact, the other changes its name half-way, as in the test of the metrics themselves."""

    def track(frame, left, instance, label="Car"):
        return frame, instance, label, (left, 0.0, 50.0, 50.0)

    answers = {
        ("a1", "ann"): [track(f, 100.0 * each, f"t{each}") for f in range(10) for each in (0, 1)],
        ("a2", "bob"): [track(f, 100.0 * each, f"t{each ^ (f >= 5)}") for f in range(10) for each in (0, 1)],
    }
    rows = summary(compared(shapes("track", answers, task_type="video-object-tracking")))["agreement"]
    assert found(rows, metric="hota", scope="job")["value"] == pytest.approx(np.sqrt(1 / 3))
    assert found(rows, metric="mota", scope="job")["value"] == pytest.approx(0.9)
    assert found(rows, metric="idf1", scope="job")["value"] == pytest.approx(0.5)
    assert found(rows, metric="hota", scope="pair", worker="ann", other_worker="bob")["value"] == pytest.approx(
        np.sqrt(1 / 3)
    )
    assert found(rows, metric="hota", scope="job")["pair_count"] == 1


def test_tracks_add_up_over_sequences_and_classes():
    def sequence(number, offset, label):
        answers = {
            (f"a{number}", "ann"): [box(0, frame=f, instance="t", label=label) for f in range(10)],
            (f"b{number}", "bob"): [box(offset, frame=f, instance="t", label=label) for f in range(10)],
        }
        return shapes("track", answers, object_id=f"o{number}", task_type="video-object-tracking")

    rows = summary(compared(sequence(1, 0.0, "Car"), sequence(2, 500.0, "Bus")))["agreement"]
    assert found(rows, metric="hota", scope="label", label="Car")["value"] == pytest.approx(1)
    assert found(rows, metric="hota", scope="label", label="Bus")["value"] == 0
    # DetA = 10 / (10 + 10 + 10), AssA = 1.
    assert found(rows, metric="hota", scope="job")["value"] == pytest.approx(np.sqrt(1 / 3))
    assert found(rows, metric="mota", scope="job")["value"] == pytest.approx(1 - 40 / 40)
    assert found(rows, metric="idf1", scope="job")["value"] == pytest.approx(0.5)


def test_mota_is_that_of_both_directions():
    """Bob begins a second track half-way: seen from ann a switch, seen from bob none."""
    answers = {
        ("a1", "ann"): [box(0, frame=f, instance="t") for f in range(10)],
        ("a2", "bob"): [box(0, frame=f, instance=f"t{f // 5}") for f in range(10)],
    }
    rows = summary(compared(shapes("track", answers)))["agreement"]
    assert found(rows, metric="mota", scope="job")["value"] == pytest.approx(1 - 1 / 20)


def test_boxes_without_identity_are_tracks_of_their_own():
    answers = {(f"a-{who}", who): [box(0, frame=1), box(50, frame=1)] for who in ("ann", "bob")}
    rows = summary(compared(shapes("track", answers)))["agreement"]
    assert found(rows, metric="idf1", scope="job")["value"] == 1


def test_a_track_has_one_box_in_a_frame():
    answers = {
        ("a1", "ann"): [box(0, frame=1, instance="t"), box(50, frame=1, instance="t")],
        ("a2", "bob"): [box(0, frame=1, instance="t")],
    }
    rows = summary(compared(shapes("track", answers)))["agreement"]
    assert found(rows, metric="idf1", scope="job")["value"] == pytest.approx(2 / 3)


def test_rows_fit_the_table():
    answers = {("a1", None): [box(0)], ("a2", None): [box(0)]}
    rows = summary(compared(shapes("box", answers)))["agreement"]
    rows += choices(chosen(simulated(np.random.default_rng(1))))["agreement"]
    names = set(arrow_schema(AGREEMENT).names)
    assert all(set(row) <= names for row in rows)
    assert not [row for row in rows if row["scope"] == "pair" and row["worker"] is None]
    keys = [tuple(row.get(name) for name in AGREEMENT.key) for row in rows]
    assert len(set(keys)) == len(keys)
