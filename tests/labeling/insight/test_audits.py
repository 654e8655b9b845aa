"""Verdicts, first-pass yield, changes and auditors of small chains of jobs whose every label is known."""

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sextant.labeling.insight.audits import compare, passes, reliability
from tests.labeling.insight.chains import chain_table

DAY = {"first": date(2026, 9, 1), "second": date(2026, 9, 2), "third": date(2026, 9, 3)}
MODALITY = "VideoObjectTracking"


def job(
    name, base, objects, *, task_type="video-object-tracking", known="moving|vehicle_type", counted="moving", **more
):
    """Rows of one job. `objects` is {data object: (answerers, labels)}, a label a dict of columns."""
    rows = []
    for at, (data_object, (answerers, labels)) in enumerate(objects.items()):
        place = {"root_job": "first", "bucket": "", "job_name": name, "data_object": data_object}
        rows.append(
            {
                **place,
                "kind": "object",
                "modality": MODALITY if base is None else f"{MODALITY}Audit",
                "task_type": task_type,
                "base_job": base,
                "object_id": str(at),
                "source_ref": f"s3://in/{data_object}",
                "created_on": DAY.get(name, date(2026, 9, 9)),
                "adjusted": None,
                "seconds": 10.0 * len(answerers),
                "known": known,
                "counted": counted,
                "audit_attribute": "audit",
                **more,
            }
        )
        rows += [
            {**place, "object_id": str(at), "kind": "answerer", "worker_id": f"id-{who}", "sub": None, "username": who}
            for who in answerers
        ]
        rows += [
            {**place, "object_id": str(at), "row_id": f"{name}-{data_object}-{n}", "kind": "label", **label}
            for n, label in enumerate(labels)
        ]
    return rows


def car(instance, left=0.0, *, label="Car", frame=0, **attributes):
    sides = {"left_px": left, "top_px": 0.0, "width_px": 10.0, "height_px": 10.0}
    named = {"instance_id": instance, "instance_name": f"{label}:{instance}"}
    return {"shape": "box", "label": label, "frame_no": frame, "attributes": attributes, **sides, **named}


def answer(name, data_object, who, label, at=0):
    place = {"root_job": "first", "bucket": "", "job_name": name, "data_object": data_object, "object_id": str(at)}
    return {**place, "kind": "answer", "worker_id": f"id-{who}", "username": who, **label}


def counted(rows, *names, **only):
    """Sums of audit_part's counts by some columns."""
    found = {}
    for row in rows:
        if all(row[name] == value for name, value in {"attribute": "", **only}.items()):
            sums = found.setdefault(tuple(row[name] for name in names), Counter())
            sums.update({name: value for name, value in row.items() if name.endswith("_count") and value})
    return {key: {name.removesuffix("_count"): n for name, n in sums.items()} for key, sums in found.items()}


def two_levels():
    first = {
        "clip": (
            ["ana"],
            [car("a", moving="yes"), car("b", 100, moving="no"), car("c", 200, label="Van", moving="no")],
        ),
        "other": (["bela"], [car("a", moving="yes")]),
        "unseen": (["ana"], [car("a", moving="yes")]),
    }
    second = {
        "clip": (
            ["hana"],
            [
                car("a", moving="yes", audit="Pass"),
                car("b", 103, moving="no", audit="Fail"),
                car("d", 400, moving="no", audit="Pass"),
            ],
        ),
        "other": (["bela"], [car("a", label="Van", moving="no", audit="good ")]),
    }
    return job("first", None, first) + job("second", "first", second)


def test_verdicts_by_worker_and_auditor():
    made = compare(chain_table(two_levels()))
    assert counted(made["audit_part"], "job_name", "audited_job", "worker", "auditor", "label", "created_on") == {
        ("second", "first", "ana", "hana", "Car", DAY["second"]): {"audited": 2, "passed": 1},
        ("second", "first", "bela", "bela", "Car", DAY["second"]): {"audited": 1, "passed": 1, "self_audited": 1},
    }


def test_verdicts_by_attribute_are_of_what_the_worker_said():
    made = compare(chain_table(two_levels()))
    assert counted(made["audit_part"], "worker", "attribute", "value", attribute="moving") == {
        ("ana", "moving", "yes"): {"audited": 1, "passed": 1},
        ("ana", "moving", "no"): {"audited": 1},
        ("bela", "moving", "yes"): {"audited": 1, "passed": 1, "self_audited": 1},
    }
    assert {row["attribute"] for row in made["audit_part"]} == {"", "moving"}


def test_first_pass_needs_a_pass_and_no_change():
    made = compare(chain_table(two_levels()))
    found = {(row["worker"], row["label"]): row for row in made["first_pass_part"]}
    assert {key: (row["label_count"], row["accepted_count"]) for key, row in found.items()} == {
        ("ana", "Car"): (2, 1),
        ("ana", "Van"): (1, 0),
        ("bela", "Car"): (1, 0),
    }
    row = found["ana", "Car"]
    assert (row["job_name"], row["audit_job"], row["created_on"]) == ("first", "second", DAY["first"])
    assert row["modality"] == MODALITY


def test_changes_with_what_was_before():
    made = compare(chain_table(two_levels()))
    found = {(row["object_id"], row["change"], row["attribute"]): row for row in made["adjustment"]}
    assert set(found) == {
        ("0", "moved", None),
        ("0", "added", None),
        ("0", "removed", None),
        ("1", "relabelled", None),
        ("1", "attribute", "moving"),
    }
    moved = found["0", "moved", None]
    assert moved["iou"] == pytest.approx(7 / 13)
    assert (moved["annotation_id"], moved["base_annotation_id"]) == ("second-clip-1", "first-clip-1")
    assert (moved["worker"], moved["auditor"], moved["created_on"]) == ("ana", "hana", DAY["second"])
    assert (moved["job_name"], moved["base_job"], moved["source_ref"]) == ("second", "first", "s3://in/clip")
    added = found["0", "added", None]
    assert (added["base_annotation_id"], added["base_label"], added["worker"], added["auditor"]) == (
        None,
        None,
        "ana",
        "hana",
    )
    removed = found["0", "removed", None]
    assert (removed["annotation_id"], removed["label"], removed["base_label"], removed["auditor"]) == (
        None,
        "Van",
        "Van",
        "hana",
    )
    attribute = found["1", "attribute", "moving"]
    assert (attribute["base_value"], attribute["value"], attribute["iou"]) == ("yes", "no", 1.0)
    assert (found["1", "relabelled", None]["base_label"], found["1", "relabelled", None]["label"]) == ("Car", "Van")


def test_changes_of_each_data_object():
    made = compare(chain_table(two_levels()))
    columns = ("added", "removed", "moved", "relabelled", "attribute", "unchanged")
    found = {row["source_ref"]: row for row in made["adjustment_task"]}
    assert {key: [row[f"{each}_count"] for each in columns] for key, row in found.items()} == {
        "s3://in/clip": [1, 1, 1, 0, 0, 1],
        "s3://in/other": [0, 0, 0, 1, 1, 0],
    }
    assert found["s3://in/clip"]["mean_iou"] == pytest.approx((1 + 7 / 13) / 2)
    assert [(row["worker"], row["auditor"], row["seconds"]) for row in found.values()] == [
        ("ana", "hana", 10.0),
        ("bela", "bela", 10.0),
    ]


def test_counts_by_change_and_overlap():
    made = compare(chain_table(two_levels()))
    found = Counter()
    for row in made["adjustment_part"]:
        found[row["change"], row["label"], row["iou_from"]] += row["label_count"]
    assert found == {
        ("unchanged", "Car", 0.9): 1,
        ("moved", "Car", 0.5): 1,
        ("added", "Car", None): 1,
        ("removed", "Van", None): 1,
        ("relabelled", "Van", 0.9): 1,
        ("attribute", "Van", 0.9): 1,
    }


def three_levels():
    first = {"clip": (["ana"], [car("a"), car("b", 100), car("c", 200)])}
    second = {
        "clip": (["hana"], [car("a", audit="Pass"), car("b", 103, audit="Fail"), car("c", 200, audit="Fail")]),
    }
    third = {
        "clip": (["ana"], [car("a", audit="Pass"), car("b", 103, audit="Pass"), car("c", 200, audit="Pass")]),
    }
    return job("first", None, first) + job("second", "first", second) + job("third", "second", third)


def test_a_middle_level_owns_what_it_changed():
    made = compare(chain_table(three_levels()))
    # Ana audits two labels that are still her own; what Hana moved is Hana's.
    assert counted(made["audit_part"], "job_name", "worker", "auditor") == {
        ("second", "ana", "hana"): {"audited": 3, "passed": 1, "double": 2, "double_agreed": 1},
        ("third", "ana", "ana"): {"audited": 2, "passed": 2, "self_audited": 2, "double": 2, "double_agreed": 1},
        ("third", "hana", "ana"): {"audited": 1, "passed": 1},
    }
    assert {row["audit_job"] for row in made["first_pass_part"]} == {"second"}
    assert [row["base_job"] for row in made["adjustment_task"]] == ["first", "second"]


def test_order_of_rows_does_not_matter():
    rows = two_levels() + [{**row, "data_object": f"3-{row['data_object']}"} for row in three_levels()[:0]]
    expected = compare(chain_table(rows))
    again = compare(chain_table([rows[at] for at in np.random.default_rng(3).permutation(len(rows))]))
    for name in expected:
        assert sorted(map(repr, again[name])) == sorted(map(repr, expected[name]))


def test_two_audits_of_one_job_meet():
    first = {"clip": (["ana"], [car("a"), car("b", 100)])}
    one = {"clip": (["hana"], [car("a", audit="Pass"), car("b", 100, audit="Pass")])}
    two = {"clip": (["emre"], [car("a", audit="Pass"), car("b", 100, audit="Fail")])}
    made = compare(chain_table(job("first", None, first) + job("second", "first", one) + job("third", "first", two)))
    assert counted(made["audit_part"], "auditor") == {
        ("hana",): {"audited": 2, "passed": 2, "double": 2, "double_agreed": 1},
        ("emre",): {"audited": 2, "passed": 1, "double": 2, "double_agreed": 1},
    }


def test_audits_without_a_job_before():
    alone = {"clip": (["hana"], [car("a", moving="no", audit="Pass"), car("b", moving="no", audit="bad"), car("c")])}
    made = compare(chain_table(job("second", None, alone)))
    assert counted(made["audit_part"], "audited_job", "worker", "auditor") == {
        (None, None, "hana"): {"audited": 2, "passed": 1}
    }
    assert not made["first_pass_part"] + made["adjustment"] + made["adjustment_task"] + made["adjustment_part"]


def test_two_unknown_people_are_not_one():
    alone = {"clip": (["emre", "hana"], [car("a", audit="Pass")])}
    made = compare(chain_table(job("second", None, alone)))
    assert counted(made["audit_part"], "worker", "auditor") == {(None, None): {"audited": 1, "passed": 1}}


def test_a_data_object_the_job_before_lacks():
    first = {"clip": (["ana"], [car("a")])}
    second = {"clip": (["hana"], [car("a", audit="Pass")]), "new": (["hana"], [car("a", audit="Fail")])}
    made = compare(chain_table(job("first", None, first) + job("second", "first", second)))
    assert counted(made["audit_part"], "audited_job", "worker") == {
        ("first", "ana"): {"audited": 1, "passed": 1},
        (None, None): {"audited": 1},
    }
    assert [row["object_id"] for row in made["adjustment_task"]] == ["0"]


def drawn(left, label="Sign"):
    return {**car(None, left, label=label), "instance_id": None, "instance_name": None}


def test_of_several_workers_the_one_who_drew_it():
    first = {"image": (["ana", "bela"], [drawn(0), drawn(50), drawn(90)])}
    second = {"image": (["hana"], [drawn(0), drawn(55), drawn(90)])}
    answers = [("ana", 1), ("bela", 3), ("ana", 53), ("bela", 51), ("ana", 92), ("bela", 92)]
    rows = job("first", None, first, task_type="object-detection")
    rows += job("second", "first", second, task_type="object-detection")
    rows += [answer("first", "image", who, drawn(left)) for who, left in answers]
    made = compare(chain_table(rows))
    assert {row["worker"]: (row["label_count"], row["accepted_count"]) for row in made["first_pass_part"]} == {
        "ana": (1, 1),
        "bela": (1, 0),
        None: (1, 1),
    }
    assert made["adjustment_task"][0]["worker"] is None


def test_several_auditors_each_with_his_own_verdict():
    first = {"clip": (["ana"], [car("a"), car("b", 100)])}
    second = {"clip": (["emre", "hana", "ivo"], [car("a", audit="Pass"), car("b", 100, audit="Fail")])}
    rows = job("first", None, first) + job("second", "first", second)
    said = {"emre": ("Pass", "Pass"), "hana": ("Pass", "Fail"), "ivo": ("Fail", "Fail")}
    for who, (one, two) in said.items():
        rows.append(answer("second", "clip", who, car("a", audit=one)))
        rows.append(answer("second", "clip", who, car("b", 101, audit=two)))
    made = compare(chain_table(rows))
    assert counted(made["audit_part"], "auditor") == {
        ("emre",): {"audited": 2, "passed": 2, "double": 2},
        ("hana",): {"audited": 2, "passed": 1, "double": 2},
        ("ivo",): {"audited": 2, "double": 2},
    }
    # Of two others who disagree neither is most; and where nobody's answer is known, the job's verdict counts once.
    silent = compare(chain_table([row for row in rows if row["kind"] != "answer"]))
    assert counted(silent["audit_part"], "auditor") == {(None,): {"audited": 2, "passed": 1}}


def verification(verdicts, answers=()):
    first = {
        name: (["ana"], labels) for name, labels in (("x", [drawn(0), drawn(50)]), ("y", [drawn(0), drawn(50, "Car")]))
    }
    second = {
        name: (who, [{"shape": "verdict", "label": verdict, "frame_no": 0}])
        for name, (who, verdict) in verdicts.items()
    }
    rows = job("first", None, first, task_type="object-detection")
    rows += job("second", "first", second, task_type="label-verification")
    place = {name: at for at, name in enumerate(second)}
    rows += [answer("second", name, who, {"shape": "class", "label": said}, place[name]) for name, who, said in answers]
    return compare(chain_table(rows))


def test_a_verification_is_one_verdict_on_a_data_object():
    made = verification({"x": (["hana"], "good"), "y": (["hana"], "bad")})
    assert counted(made["audit_part"], "worker", "auditor", "label") == {
        ("ana", "hana", "Sign"): {"audited": 1, "passed": 1},
        ("ana", "hana", ""): {"audited": 1},
    }
    assert {row["label"]: (row["label_count"], row["accepted_count"]) for row in made["first_pass_part"]} == {
        "Sign": (3, 2),
        "Car": (1, 0),
    }
    assert made["adjustment"] == made["adjustment_task"] == made["adjustment_part"] == []


def test_a_verified_image_of_two_workers_is_nobodys():
    first = {"x": (["ana", "bela"], [drawn(0), drawn(50)]), "y": (["ana", "bela"], [drawn(0), drawn(50)])}
    second = {name: (["hana"], [{"shape": "verdict", "label": "good", "frame_no": 0}]) for name in first}
    rows = job("first", None, first, task_type="object-detection")
    rows += job("second", "first", second, task_type="label-verification")
    for who, lefts in (("ana", (1, 52)), ("bela", (2, 51))):
        rows += [answer("first", "x", who, drawn(left)) for left in lefts]
    rows += [answer("first", "y", "bela", drawn(left), at=1) for left in (0, 50)]
    made = compare(chain_table(rows))
    assert counted(made["audit_part"], "worker", "auditor") == {
        (None, "hana"): {"audited": 1, "passed": 1},
        ("bela", "hana"): {"audited": 1, "passed": 1},
    }


def test_several_verify():
    said = [
        ("x", "emre", "good"),
        ("x", "hana", "good"),
        ("x", "ivo", "bad"),
        ("x", "ivo", "good"),
        ("y", "emre", "bad"),
    ]
    made = verification({"x": (["emre", "hana", "ivo"], "good"), "y": (["emre", "hana"], "bad")}, said)
    assert counted(made["audit_part"], "auditor") == {
        ("emre",): {"audited": 2, "passed": 1, "double": 1, "double_agreed": 1},
        ("hana",): {"audited": 1, "passed": 1, "double": 1, "double_agreed": 1},
        ("ivo",): {"audited": 1, "passed": 1, "double": 1, "double_agreed": 1},
    }


@pytest.mark.parametrize(
    ("verdict", "passed"),
    [("Pass", True), (" GOOD", True), ("correct", True), ("Yes", True), ("Fail", False), ("passed?", False)],
)
def test_words_that_pass(verdict, passed):
    assert passes(verdict) is passed


def test_another_audit_attribute():
    first = {"clip": (["ana"], [car("a")])}
    second = {"clip": (["hana"], [car("a", review="yes", audit="Fail")])}
    rows = job("first", None, first, known="audit") + job("second", "first", second, known="audit|review")
    made = compare(chain_table([{**row, "audit_attribute": "review"} for row in rows]))
    assert counted(made["audit_part"], "auditor") == {("hana",): {"audited": 1, "passed": 1}}


def test_what_one_level_does_not_know_is_no_change():
    first = {"clip": (["ana"], [car("a", moving="yes", vehicle_type="Car"), car("b", 50, moving="yes")])}
    second = {
        "clip": (
            ["hana"],
            [car("a", moving="yes", audit="Pass"), car("b", 50, moving="yes", audit="Fail", colour="red")],
        )
    }
    third = {
        "clip": (
            ["emre"],
            [car("a", moving="yes", audit="Fail"), car("b", 50, moving="yes", audit="Pass", colour="red")],
        )
    }
    rows = job("first", None, first, known="moving|vehicle_type")
    rows += job("second", "first", second, known="audit|colour|moving")
    rows += job("third", "second", third, known="audit|colour|moving")
    made = compare(chain_table(rows))
    assert made["adjustment"] == []
    assert [row["unchanged_count"] for row in made["adjustment_task"]] == [2, 2]


def test_first_pass_is_of_the_first_level_alone():
    first = {"x": (["ana"], [car("a")])}
    second = {"x": (["hana"], [car("a", 3)])}
    third = {"x": (["emre"], [{"shape": "verdict", "label": "good", "frame_no": 0}])}
    rows = job("first", None, first) + job("second", "first", second)
    made = compare(chain_table(rows + job("third", "second", third, task_type="label-verification")))
    assert {row["audit_job"] for row in made["first_pass_part"]} == {"second"}
    # What Hana changed is hers when it is verified.
    assert counted(made["audit_part"], "job_name", "worker", "auditor") == {
        ("third", "hana", "emre"): {"audited": 1, "passed": 1}
    }


def test_jobs_in_a_circle_end():
    one = {"clip": (["ana"], [car("a", audit="Pass")])}
    made = compare(chain_table(job("first", "second", one) + job("second", "first", one)))
    assert sum(row["audited_count"] for row in made["audit_part"] if row["attribute"] == "") == 2


LABELS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 2.0, 30.0, float("nan")]), st.sampled_from(["Car", "Van"]),
              st.sampled_from(["Pass", "Fail", "", None])),
    max_size=6,
)  # fmt: skip


@settings(deadline=None)
@given(LABELS, LABELS)
def test_every_label_is_counted_once(before, after):
    first = {"clip": (["ana"], [car(each, left, label=label) for each, left, label, _ in before])}
    second = {
        "clip": (
            ["hana"],
            [car(i, left, label=label, **({} if v is None else {"audit": v})) for i, left, label, v in after],
        )
    }
    made = compare(chain_table(job("first", None, first) + job("second", "first", second)))
    (task,) = made["adjustment_task"]
    kept = len(before) - task["removed_count"]
    assert kept == len(after) - task["added_count"]
    assert task["unchanged_count"] <= kept
    assert kept <= sum(task[f"{each}_count"] for each in ("moved", "relabelled", "attribute", "unchanged"))
    assert sum(row["label_count"] for row in made["first_pass_part"]) == len(before)
    verdicts = sum(row["audited_count"] for row in made["audit_part"] if row["attribute"] == "")
    assert verdicts <= sum(bool(each[3]) for each in after)
    for change in ("added", "removed", "moved", "relabelled", "attribute", "unchanged"):
        summed = sum(row["label_count"] for row in made["adjustment_part"] if row["change"] == change)
        assert summed == task[f"{change}_count"]
    for change in ("added", "removed", "moved", "relabelled"):
        assert sum(row["change"] == change for row in made["adjustment"]) == task[f"{change}_count"]


# --- auditors ---------------------------------------------------------------------------------------------------------


def judged(*rows):
    names = ("auditor", "worker", "label", "audited_count", "passed_count")
    return pa.Table.from_pylist(
        [
            {
                "modality": "m",
                "double_count": 0,
                "double_agreed_count": 0,
                "self_audited_count": 0,
                **dict(zip(names, row, strict=True)),
            }
            for row in rows
        ]
    )


def test_an_auditor_against_the_others_on_the_same_work():
    made = reliability(
        judged(
            ("strict", "ana", "Car", 100, 60),
            ("usual", "ana", "Car", 200, 180),
            ("other", "ana", "Car", 100, 90),
            ("strict", "bela", "Car", 50, 10),  # nobody else judged Bela: it says nothing of the auditor
        )
    )
    found = {row["auditor"]: row for row in made["auditor_quality"]}
    strict = found["strict"]
    assert (strict["audited_count"], strict["passed_count"], strict["pass_share"]) == (150, 70, pytest.approx(70 / 150))
    assert (strict["compared_count"], strict["compared_passed_count"]) == (100, 60)
    assert strict["expected_share"] == pytest.approx(270 / 300)
    p = 330 / 400
    assert strict["deviation"] == pytest.approx((60 - 90) / np.sqrt(p * (1 - p) * 100 * 400 / 300))
    assert found["other"]["expected_share"] == pytest.approx(240 / 300)
    assert strict["lower"] < strict["pass_share"] < strict["upper"]


def test_a_hard_worker_makes_no_strict_auditor():
    """One auditor got the bad work, the other the good: where both judged, they judged alike."""
    made = reliability(
        judged(
            ("one", "good", "Car", 900, 855), ("two", "good", "Car", 100, 95),
            ("one", "bad", "Car", 100, 50), ("two", "bad", "Car", 900, 450),
        )
    )  # fmt: skip
    one, two = made["auditor_quality"]
    assert (one["pass_share"], two["pass_share"]) == (0.905, 0.545)
    assert one["expected_share"] == pytest.approx(0.905)
    assert one["deviation"] == pytest.approx(0)
    assert two["deviation"] == pytest.approx(0)


def test_an_auditor_alone():
    (row,) = reliability(judged(("one", "ana", "Car", 3, 3)))["auditor_quality"]
    assert (row["expected_share"], row["deviation"], row["upper"]) == (None, None, 1.0)
    assert (row["compared_count"], row["compared_passed_count"]) == (0, 0)


def test_labels_of_unknown_workers_are_not_one_persons():
    rows = reliability(judged(("one", None, "Car", 100, 90), ("two", None, "Car", 100, 50)))["auditor_quality"]
    assert [(row["audited_count"], row["compared_count"], row["expected_share"]) for row in rows] == [
        (100, 0, None)
    ] * 2
    assert [row["deviation"] for row in rows] == [None, None]


def test_both_shares_are_of_the_same_labels():
    """Two judge one worker's work alike, and one of them the bad work of another alone."""
    rows = judged(("one", "ana", "Car", 100, 90), ("two", "ana", "Car", 100, 90), ("one", "bela", "Car", 100, 10))
    one, _ = reliability(rows)["auditor_quality"]
    assert (one["pass_share"], one["expected_share"], one["deviation"]) == (0.5, 0.9, 0.0)
    assert one["compared_passed_count"] / one["compared_count"] == 0.9


def test_all_pass_everything():
    rows = reliability(judged(("one", "ana", "Car", 5, 5), ("two", "ana", "Car", 5, 5)))["auditor_quality"]
    assert [(row["expected_share"], row["deviation"]) for row in rows] == [(1.0, 0.0), (1.0, 0.0)]


def test_deviations_are_standard_normal_when_all_judge_alike():
    """600 worlds of four auditors on three workers: 95 % of deviations lie within 1.96."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(600):
        rows = []
        for worker, share in (("ana", 0.95), ("bela", 0.8), ("chidi", 0.6)):
            for auditor in "wxyz":
                n = int(rng.integers(5, 80))
                rows.append((auditor, worker, "Car", n, int(rng.binomial(n, share))))
        found += [row["deviation"] for row in reliability(judged(*rows))["auditor_quality"]]
    assert np.mean(np.abs(found) < 1.96) == pytest.approx(0.95, abs=0.015)
    assert np.std(found) == pytest.approx(1, abs=0.05)
