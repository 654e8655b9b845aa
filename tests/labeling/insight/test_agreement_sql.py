"""What the SQL of agreement and quality gathers, through the analyses: which answers count, and which are compared."""

from datetime import UTC, date, datetime, timedelta

import pytest

from sextant.labeling.insight.analysis import steps
from tests.labeling.insight.lake import analysed, lake

START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def answer(number, object_id, worker, label=None, minutes=0, **columns):
    return {
        "answer_id": f"answer-{number}", "job_name": "job", "modality": "Image", "task_type": "image-classification",
        "object_id": object_id, "iteration": 1, "worker_id": f"id-{worker}", "username": worker, "label": label,
        "submitted_at": START + timedelta(minutes=minutes), "label_count": 1,
    } | columns  # fmt: skip


def shape(number, label, position=0, **columns):
    """A shape in an answer: 10 by 10 pixels, unless told otherwise."""
    square = {"left_px": 0.0, "top_px": 0.0, "width_px": 10.0, "height_px": 10.0}
    known = {"answer_id": f"answer-{number}", "job_name": "job", "frame_no": 0, "position": position}
    return known | {"task_type": "object-detection", "label": label, "shape": "box"} | square | columns


def found(rows, **wanted):
    (row,) = [each for each in rows if all(each.get(name) == value for name, value in wanted.items())]
    return row


def agreed(**tables):
    """Table agreement of answers, as the job makes it."""
    spark = lake(**tables)
    made = analysed(spark, "choice_agreement")["agreement"]
    parts = analysed(spark, "shape_comparison")["object_agreement"]
    parts += analysed(spark, "level_comparison")["object_agreement"]
    return made + analysed(lake(object_agreement=parts), "shape_agreement")["agreement"]


def test_the_latest_answer_of_a_worker_counts():
    answers = [
        answer(1, "0", "ann", "cat", minutes=5),
        answer(2, "0", "ann", "dog", minutes=3),  # earlier, whatever its number
        answer(3, "0", "bob", "cat"),
        answer(4, "1", "ann", "dog"),
        answer(5, "1", "bob", "dog"),
        answer(6, "2", "ann", "dog"),
        answer(7, "2", "ann", "cat", minutes=1),  # nobody else answered: nothing to compare
    ]
    rows = agreed(answer=answers)
    row = found(rows, scope="job", metric="alpha")
    assert (row["value"], row["object_count"], row["pair_count"]) == (1, 2, 2)
    made = analysed(lake(answer=answers), "quality")
    consensus = {each["object_id"]: (each["majority_label"], each["agreeing_count"]) for each in made["consensus"]}
    assert consensus == {"0": ("cat", 2), "1": ("dog", 2)}


def test_answers_of_several_classes_and_of_none():
    many = {"task_type": "image-classification-multilabel"}
    answers = [answer(1, "0", "ann", **many), answer(2, "0", "bob", label_count=0, **many)]
    classes = [shape(1, each, position=n, shape="class") for n, each in enumerate(("cat", "dog"))]
    rows = agreed(answer=answers, answer_annotation=classes)
    assert {each["label"] for each in rows if each["scope"] == "label"} == {"cat", "dog"}
    assert found(rows, scope="label", label="cat")["value"] == 0  # observed 1, expected 2 * 1 * 1 / (2 - 1) / 2


def test_gold_labels_that_contradict_each_other_are_none():
    answers = [answer(n, str(n // 2), "ann" if n % 2 else "bob", "cat") for n in range(4)]
    gold = [
        {"job_name": "job", "object_id": each, "label": label}
        for each, label in (("0", "cat"), ("0", "dog"), ("1", "cat"))
    ]
    made = analysed(lake(answer=answers, gold_label=gold), "quality")
    assert {each["object_id"]: each["gold_label"] for each in made["consensus"]} == {"0": None, "1": "cat"}
    assert found(made["job_quality"], measure="majority_accuracy")["case_count"] == 1


def test_boxes_of_two_workers_with_chance_sets():
    boxes = {"task_type": "object-detection", "label_count": 1}
    answers, shapes = [], []
    for each in range(7):
        for who, worker in enumerate(("ann", "bob")):
            number = 2 * each + who
            answers.append(answer(number, str(each), worker, **boxes))
            # Objects lie apart, so that nothing is shared by chance; bob is 2 of 10 pixels off: IoU 8/12.
            shapes.append(shape(number, "Car", left_px=100.0 * each + 2 * who))
    answers.append(answer(50, "0", "ann", minutes=-5, **boxes))  # ann's first try, which does not count
    shapes.append(shape(50, "Car", left_px=9000.0))
    shapes.append(shape(0, "Lane", position=1, shape="polyline", left_px=None))  # other shapes are not compared
    answers.append(answer(99, "6", "cy", **(boxes | {"label_count": 0})))  # an empty answer is one
    rows = agreed(answer=answers, answer_annotation=shapes)
    assert found(rows, metric="iou_f1", scope="pair", worker="ann", other_worker="bob")["value"] == 1
    row = found(rows, metric="iou_f1", scope="job")
    assert (row["object_count"], row["pair_count"]) == (7, 9)
    assert row["value"] == pytest.approx(14 / 16)
    # As answers: six objects of two, one of three whose pairs weigh a half: shares 6 * 2/3 + 1/2 * 2/3 of 6 + 1.
    assert found(rows, metric="iou_alpha", scope="job")["value"] == pytest.approx((6.5 * 2 / 3) / 7)
    assert found(rows, metric="iou_f1", scope="day", day=date(2026, 11, 1))["value"] == row["value"]
    parts = analysed(lake(answer=answers, answer_annotation=shapes), "shape_comparison")["object_agreement"]
    chance = [each for each in parts if each.get("chance_set") is not None]
    assert {each["chance_set"] for each in chance} == {"0", "1"}  # seven objects: five and two
    assert all(each["agreed"] == 0 for each in chance)


def test_chance_is_learned_from_five_hundred_objects():
    boxes = {"task_type": "object-detection", "label_count": 1}
    answers = [
        answer(2 * o + w, str(o), worker, **boxes) for o in range(503) for w, worker in enumerate(("ann", "bob"))
    ]
    spark = lake(answer=answers, answer_annotation=[shape(0, "Car")])
    (step,) = [each for each in steps() if each.name == "shape_comparison"]
    rows = spark.sql(step.query).collect()
    drawn = [(row["chance_set"], row["object_id"]) for row in rows if row["chance_set"] is not None]
    assert len({item for _, item in drawn}) == len(drawn) == 500
    assert {each: [one for one, _ in drawn].count(each) for each, _ in drawn} == {str(n): 5 for n in range(100)}


def test_answers_of_unknown_shape_are_not_empty():
    answers = [answer(n, "0", worker, label_count=None) for n, worker in enumerate(("ann", "bob"))]
    assert agreed(answer=answers) == []


def test_spans_by_their_offsets():
    text = {"task_type": "text-span", "label_count": 1}
    answers = [answer(n, "0", worker, **text) for n, worker in enumerate(("ann", "bob"))]
    none = dict.fromkeys(("left_px", "top_px", "width_px", "height_px"))
    spans = [
        shape(n, "Person", shape="span", geometry=f'{{"endOffset":{end},"startOffset":5}}', **none)
        for n, end in enumerate((9, 12))
    ]
    rows = agreed(answer=answers, answer_annotation=spans)
    assert found(rows, metric="span_f1", scope="job")["value"] == 0
    assert found(rows, metric="span_overlap_f1", scope="job")["value"] == 1


def sequence(job, frames, *, moved=0.0, object_id="0", shape="box"):
    """A labeled sequence: its task, frames and one track through all of them."""
    head = {"job_name": job, "modality": "VideoObjectTracking", "task_type": "video-object-tracking"}
    head |= {"object_id": object_id, "source_ref": "s3://clip"}
    named = [{**head, "frame_no": number, "frame": f"{number + first}.jpg"} for first, number in frames]
    square = {"left_px": moved, "top_px": 0.0, "width_px": 10.0, "height_px": 10.0}
    boxes = [
        {**each, **square, "annotation_id": f"{job}-{n}", "instance_id": "t", "label": "Car", "shape": shape}
        for n, each in enumerate(named)
    ]
    return {**head, "status": "labeled"}, named, boxes


def levels(moved=0.0, more=(), shape="box"):
    """A sequence of ten frames, of which an audit saw the last five, as frames 0 to 4 of its own."""
    base = sequence("base", [(0, n) for n in range(10)], shape=shape)
    after = sequence("audit", [(5, n) for n in range(5)], moved=moved, object_id="3", shape=shape)
    video = {"modality": "VideoObjectTracking", "task_type": "video-object-tracking"}
    return {
        "task": [base[0], after[0]],
        "frame": base[1] + after[1],
        "annotation": base[2] + after[2],
        "job": [{"job_name": "base"}, {"job_name": "audit", "base_job": "base"}],
        "answer": [
            answer(1, "0", "ann", job_name="base", label_count=None, **video),
            answer(2, "3", "zoe", job_name="audit", label_count=None, **video),
            *more,
        ],
    }


def test_two_levels_of_one_sequence():
    rows = agreed(**levels())
    assert {each["job_name"] for each in rows} == {"audit"}
    assert {each["metric"] for each in rows} == {"level_hota", "level_mota", "level_idf1"}  # not among answers'
    for metric in ("level_hota", "level_mota", "level_idf1"):
        row = found(rows, metric=metric, scope="pair", worker="ann", other_worker="zoe")
        assert row["value"] == pytest.approx(1)  # frames the audit did not see are no errors
        assert row["object_count"] == 1
    moved = agreed(**levels(moved=5.0))  # IoU 1/3: HOTA's six lowest thresholds of 19 match
    assert found(moved, metric="level_hota", scope="job")["value"] == pytest.approx(6 / 19)
    assert found(moved, metric="level_mota", scope="job")["value"] == pytest.approx(-1)
    assert found(moved, metric="level_idf1", scope="job")["value"] == 0


def test_nobody_is_a_pair_with_himself():
    told = levels()
    told["answer"][1] |= {"username": "ann", "worker_id": "id-ann"}
    rows = agreed(**told)
    assert found(rows, metric="level_hota", scope="job")["value"] == pytest.approx(1)
    assert [each for each in rows if each["scope"] == "pair"] == []


def test_levels_with_several_answers_are_not_compared():
    assert agreed(**levels(more=[answer(3, "3", "yan", job_name="audit", label_count=None)])) == []


def test_levels_without_boxes_are_not_compared():
    assert agreed(**levels(shape="polyline")) == []
