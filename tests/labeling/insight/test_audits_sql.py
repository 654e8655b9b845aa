"""Which data objects are compared, and what the verdicts on a single job's labels add up to: the SQL beside `audits`."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.labeling.insight.lake import analysed, lake, table

KIND = {"modality": "VideoObjectTracking", "task_type": "video-object-tracking"}
DAY = datetime(2026, 9, 1, 10, tzinfo=UTC)


def job(name, base=None, **more):
    return {"job_name": name, "batch": "b", "base_job": base, **KIND, **more}


def task(name, at, source, workers=1, **more):
    placed = {"job_name": name, "object_id": str(at), "source_ref": source, "status": "labeled", "created_at": DAY}
    return {**placed, "worker_count": workers, "annotation_count": 1, "frame_count": 1, **KIND, **more}


def answer(name, at, who):
    said = {"answer_id": f"{name}-{at}-{who}", "job_name": name, "object_id": str(at), "submitted_at": DAY}
    return {**said, "worker_id": f"id-{who}", "username": who}


def label(name, at, number, source, left=0.0, *, frame=0, **attributes):
    sides = {"left_px": left, "top_px": 0.0, "width_px": 10.0, "height_px": 10.0, "shape": "box", "label": "Car"}
    placed = {"job_name": name, "object_id": str(at), "source_ref": source, "frame_no": frame, "frame": f"{frame}.jpg"}
    named = {"annotation_id": f"{name}-{at}-{frame}-{number}", "instance_id": f"car-{number}", "attributes": attributes}
    return {**placed, **sides, **named, "created_at": DAY}


def frames(name, at, *numbers):
    return [{"job_name": name, "object_id": str(at), "frame_no": n, "frame": f"{n}.jpg"} for n in numbers]


def tallies(labels):
    """The tables label_count and attribute_count of some labels."""
    whole, each = Counter(), Counter()
    for row in labels:
        whole[row["job_name"], row["label"], tuple(sorted(row["attributes"].items()))] += 1
        each.update((row["job_name"], row["label"], *pair) for pair in [("", ""), *row["attributes"].items()])
    on = DAY.date()
    return {
        "label_count": [
            {"job_name": name, "label": of, "attributes": dict(said), "annotation_count": n, "created_on": on}
            for (name, of, said), n in whole.items()
        ],
        "attribute_count": [
            {"job_name": name, "label": of, "attribute": key, "value": value, "annotation_count": n, "created_on": on}
            for (name, of, key, value), n in each.items()
        ],
    }


def lone(answers, workers):
    """A job that nobody follows: in each of two data objects a passed car that stands and one that drives and fails."""
    labels = [
        label("one", at, n, f"s3://{at}", audit=verdict, moving=moving, note="")
        for at in (0, 1)
        for n, (verdict, moving) in enumerate([(" PASS ", "no"), ("Fail", "yes"), ("", "yes")])
    ]
    tasks = [task("one", at, f"s3://{at}", count) for at, count in enumerate(workers)]
    return {"job": [job("one")], "task": tasks, "annotation": labels, "answer": answers, **tallies(labels)}


@pytest.mark.parametrize(
    ("who", "auditors"),
    [
        ((), {None: 2}),
        (("hana", "hana"), {"hana": 2}),
        (("hana", "emre"), {"hana": 1, "emre": 1}),
        (("hana",), {"hana": 1, None: 1}),
    ],
)
def test_verdicts_on_a_single_job_are_of_who_answered(who, auditors):
    answers = [answer("one", at, each) for at, each in enumerate(who)]
    spark = lake(**lone(answers, [1] * len(who) + [0] * (2 - len(who))))
    assert analysed(spark, "levels") == {
        name: [] for name in ("adjustment", "adjustment_task", "audit_part", "first_pass_part", "adjustment_part")
    }
    found = Counter()
    for row in table(spark, "audit_count"):
        assert (row["audited_job"], row["worker"], row["double_count"]) == (None, None, 0)
        assert (row["job_name"], row["task_type"], row["created_on"]) == ("one", KIND["task_type"], DAY.date())
        found[row["auditor"], row["label"], row["attribute"], row["value"], "n"] += row["audited_count"]
        found[row["auditor"], row["label"], row["attribute"], row["value"], "passed"] += row["passed_count"]
    expected = Counter()
    for name, count in auditors.items():
        for attribute, value, n, passed in (
            ("", "", 2, 1),
            ("moving", "no", 1, 1),
            ("moving", "yes", 1, 0),
            ("note", "", 2, 1),
        ):
            expected[name, "Car", attribute, value, "n"] = n * count
            expected[name, "Car", attribute, value, "passed"] = passed * count
    assert found == expected


def test_a_data_object_of_several_is_left_to_the_comparison_of_shapes():
    answers = [answer("one", 0, "hana"), answer("one", 1, "hana"), answer("one", 1, "emre")]
    spark = lake(**lone(answers, [1, 2]))
    made = analysed(spark, "levels")["audit_part"]
    assert sum(row["audited_count"] for row in made if row["attribute"] == "") == 2
    counted = [row for row in table(spark, "audit_count") if row["attribute"] == ""]
    assert [(row["auditor"], row["audited_count"], row["passed_count"]) for row in counted] == [("hana", 2, 1)]


def test_remarks_have_no_pass_rate():
    labels = [label("one", 0, n, "s3://0", audit="Pass", remark=str(n)) for n in range(51)]
    spark = lake(job=[job("one")], task=[task("one", 0, "s3://0", 0)], annotation=labels, **tallies(labels))
    assert {(row["attribute"], row["audited_count"]) for row in table(spark, "audit_count")} == {("", 51)}
