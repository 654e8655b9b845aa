"""Which data objects are compared, and what the verdicts on a single job add up to: the SQL beside `audits`."""

from collections import Counter

import pytest

from tests.labeling.insight.chains import (
    DAY,
    KIND,
    VERDICT,
    answer,
    chain,
    frames,
    job,
    label,
    said,
    tallies,
    task,
    track,
)
from tests.labeling.insight.lake import analysed, lake, table


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


# --- levels -----------------------------------------------------------------------------------------------------------


def counts(made):
    """Sums of what three tables tell: verdicts by worker, first pass by the job that saw it, changes."""
    audits, first, changes = Counter(), Counter(), Counter()
    for row in made["audit_part"]:
        if row["attribute"] == "":
            audits[row["audited_job"], row["worker"], row["auditor"], "audited"] += row["audited_count"]
            audits[row["audited_job"], row["worker"], row["auditor"], "passed"] += row["passed_count"]
    for row in made["first_pass_part"]:
        first[row["audit_job"], "seen"] += row["label_count"]
        first[row["audit_job"], "accepted"] += row["accepted_count"]
    for row in made["adjustment_part"]:
        changes[row["job_name"], row["change"]] += row["label_count"]
    return +audits, +first, +changes


TEN = range(10)


def test_frames_that_the_next_level_never_saw_are_not_removed():
    # The part's sequence file numbers its frames anew: they are known by their names.
    part = [{**each, "frame_no": at} for at, each in enumerate(track(4, 5, verdict="Pass"))]
    spark = chain(
        ("clip", None, "ana", [("s3://x", TEN, track(*TEN))]), ("audit", "clip", "hana", [("s3://x", (), part)])
    )
    framed = [{"job_name": "audit", "object_id": "0", "frame_no": at, "frame": f"{at + 4}.jpg"} for at in (0, 1)]
    rows = [*frames("clip", 0, *TEN), *framed]
    spark.createDataFrame(
        [tuple(row.get(name) for name in spark.table("frame").columns) for row in rows], spark.table("frame").schema
    ).createOrReplaceTempView("frame")
    audits, first, changes = counts(analysed(spark, "levels"))
    assert first == {("audit", "seen"): 2, ("audit", "accepted"): 2}
    assert changes == {("audit", "unchanged"): 2}
    assert audits == {("clip", "ana", "hana", "audited"): 2, ("clip", "ana", "hana", "passed"): 2}


def test_a_frame_that_was_emptied_was_seen():
    spark = chain(
        ("clip", None, "ana", [("s3://x", TEN, track(*TEN))]),
        ("audit", "clip", "hana", [("s3://x", (4, 5, 6), track(4, 5, verdict="Pass"))]),
    )
    _, first, changes = counts(analysed(spark, "levels"))
    assert first == {("audit", "seen"): 3, ("audit", "accepted"): 2}
    assert changes == {("audit", "unchanged"): 2, ("audit", "removed"): 1}


def test_windows_of_a_directed_audit_are_of_the_sequence_they_were_cut_from():
    folder = "s3://out/audits/clip/1"
    windows = [
        (f"{folder}/1-2.json", (1, 2), track(1, 2, verdict="Pass")),
        (f"{folder}/6-8.json", (6, 7, 8), [*track(6, 7, verdict="Pass"), *track(8, left=4.0, verdict="Fail")]),
    ]
    spark = chain(
        ("clip", None, "ana", [("s3://x", TEN, track(*TEN)), ("s3://y", TEN, track(*TEN))]),
        ("audit", "clip", "hana", windows),
    )
    made = analysed(spark, "levels")
    audits, first, changes = counts(made)
    assert audits == {("clip", "ana", "hana", "audited"): 5, ("clip", "ana", "hana", "passed"): 4}
    assert first == {("audit", "seen"): 5, ("audit", "accepted"): 4}
    assert changes == {("audit", "unchanged"): 4, ("audit", "moved"): 1}
    tasks = {row["object_id"]: row for row in made["adjustment_task"]}
    assert {key: (row["source_ref"], row["unchanged_count"], row["moved_count"]) for key, row in tasks.items()} == {
        "0": (windows[0][0], 2, 0),
        "1": (windows[1][0], 2, 1),
    }
    assert {row["worker"] for row in tasks.values()} == {"ana"}
    (moved,) = made["adjustment"]
    assert (moved["object_id"], moved["frame_no"], moved["worker"], moved["auditor"]) == ("1", 8, "ana", "hana")


def test_two_auditors_of_two_windows_have_each_their_own():
    folder = "s3://out/audits/clip/0"
    spark = chain(
        ("clip", None, "ana", [("s3://x", TEN, track(*TEN))]),
        ("audit", "clip", "hana", [(f"{folder}/{n}-{n}.json", (n,), track(n, verdict="Pass")) for n in (1, 4)]),
    )
    rows = [answer("clip", 0, "ana"), answer("audit", 0, "hana"), answer("audit", 1, "emre")]
    answers = spark.table("answer")
    spark.createDataFrame(
        [tuple(row.get(name) for name in answers.columns) for row in rows], answers.schema
    ).createOrReplaceTempView("answer")
    audits, _, _ = counts(analysed(spark, "levels"))
    expected = {("clip", "ana", who, what): 1 for who in ("hana", "emre") for what in ("audited", "passed")}
    assert audits == expected


def test_who_follows_a_verification_is_compared_with_the_labels_it_judged():
    before = [label("", "", n, "", 50.0 * n, moving="yes") for n in range(4)]
    after = [
        before[0],
        {**before[1], "left_px": 53.0},
        {**before[2], "attributes": {"moving": "no"}},
        label("", "", 9, "", 400.0, moving="no"),
    ]
    spark = chain(
        ("clip", None, "ana", [("s3://x", (0,), before)]),
        ("seen", "clip", "hana", [("s3://x", (0,), said("good"))], VERDICT),
        ("fix", "seen", "emre", [("s3://x", (0,), after)]),
    )
    made = analysed(spark, "levels")
    audits, first, changes = counts(made)
    assert changes == {("fix", name): 1 for name in ("unchanged", "moved", "attribute", "removed", "added")}
    assert {row["base_job"] for row in made["adjustment"]} == {"clip"}
    assert audits == {("clip", "ana", "hana", "audited"): 1, ("clip", "ana", "hana", "passed"): 1}
    # Each of the four labels once, though two jobs saw them; one is as it was.
    assert first == {("fix", "seen"): 4, ("fix", "accepted"): 1}


def test_a_verification_of_some_data_objects_hands_on_all_of_them():
    spark = chain(
        ("clip", None, "ana", [("s3://x", (0,), track(0)), ("s3://y", (0,), track(0))]),
        ("seen", "clip", "hana", [("s3://x", (0,), said("bad"))], VERDICT),
        ("fix", "seen", "emre", [("s3://x", (0,), track(0)), ("s3://y", (0,), track(0))]),
    )
    _, first, changes = counts(analysed(spark, "levels"))
    assert changes == {("fix", "unchanged"): 2}
    assert first == {("fix", "seen"): 2, ("fix", "accepted"): 1}


def test_labels_that_two_audits_saw_are_seen_once():
    verdicts = [("Pass", "Pass"), ("Pass", "Fail"), ("Fail", "Pass")]
    first_level = [each for frame in range(3) for each in track(frame)]
    audits = [[each for n, pair in enumerate(verdicts) for each in track(n, verdict=pair[who])] for who in (0, 1)]
    spark = chain(
        ("clip", None, "ana", [("s3://x", range(3), first_level)]),
        ("b", "clip", "hana", [("s3://x", range(3), audits[0])]),
        ("c", "clip", "emre", [("s3://x", range(3), audits[1])]),
    )
    _, first, _ = counts(analysed(spark, "levels"))
    assert first == {("b", "seen"): 3, ("b", "accepted"): 1}


def test_frames_that_the_level_before_never_saw_are_not_added():
    spark = chain(
        ("clip", None, "ana", [("s3://x", TEN, track(*TEN))]),
        ("audit", "clip", "hana", [("s3://x", (4, 5), track(4, 5, verdict="Pass"))]),
        ("last", "audit", "emre", [("s3://x", TEN, track(*TEN, verdict="Pass"))]),
    )
    audits, first, changes = counts(analysed(spark, "levels"))
    assert changes == {("audit", "unchanged"): 2, ("last", "unchanged"): 2}
    assert first == {("audit", "seen"): 2, ("audit", "accepted"): 2}
    assert audits["audit", "ana", "emre", "audited"] == 2
    assert audits[None, None, "emre", "audited"] == 8


def test_of_the_verdicts_on_parts_of_a_sequence_one_bad_one_is_enough():
    parts = [(f"s3://out/audits/clip/0/{n}-{n}.json", (n,), said(word)) for n, word in ((1, "bad"), (4, "good"))]
    spark = chain(("clip", None, "ana", [("s3://x", TEN, track(*TEN))]), ("seen", "clip", "hana", parts, VERDICT))
    audits, first, _ = counts(analysed(spark, "levels"))
    assert first == {("seen", "seen"): 10}
    assert audits == {("clip", "ana", "hana", "audited"): 2, ("clip", "ana", "hana", "passed"): 1}
