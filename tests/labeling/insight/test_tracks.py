"""Tracks without truth: each defect alone is found as exactly that; the real track has the measured findings."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.labeling.insight import tracks

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("SEXTANT_DATA", ROOT.parent / "shared" / "data")) / "groundtruth"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "bucket", "job_name", "modality", "task_type", "object_id", "source_ref")),
        ("frame_no", pa.int32()),
        *((name, pa.string()) for name in ("frame", "row_id", "instance_id", "instance_name", "label")),
        *((name, pa.float64()) for name in ("left_px", "top_px", "width_px", "height_px")),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("attribute", pa.string()),
        ("worker", pa.string()),
    ]
)
HEAD = {"bucket": "", "job_name": "job", "modality": "VideoObjectTracking", "task_type": "video-object-tracking"}


def group(boxes, *, frames=None, expected=(("Car", "color"),), makers=()):
    """`boxes` as (object id, frame number, instance, (left, top, width, height), attributes)."""
    rows = []
    for at, (object_id, number, instance, box, attributes) in enumerate(boxes):
        left, top, width, height = box
        rows.append(
            {
                "kind": "label",
                "object_id": object_id,
                "source_ref": f"s3://clips/{object_id}.json",
                "frame_no": number,
                "frame": f"{number:06d}.jpg",
                "row_id": f"{at:06d}",
                "instance_id": f"id-{instance}",
                "instance_name": f"Car:{instance}",
                "label": "Car",
                "left_px": left,
                "top_px": top,
                "width_px": width,
                "height_px": height,
                "attributes": list(attributes.items()),
            }
        )
    numbers = frames or sorted({(each[0], each[1]) for each in boxes})
    rows += [
        {"kind": "frame", "object_id": object_id, "frame_no": number, "frame": f"{number:06d}.jpg"}
        for object_id, number in numbers
    ]
    rows += [{"kind": "expected", "label": label, "attribute": name} for label, name in expected]
    rows += [
        {"kind": "maker", "object_id": object_id, "instance_id": instance, "worker": worker}
        for object_id, instance, worker in makers
    ]
    return pa.Table.from_pylist([{**HEAD, **row} for row in rows], schema=SCHEMA)


RED = {"color": "red"}
LENGTH = 30


def clean():
    """Two cars pass a parked one, each 3 and 4 pixels a frame; the second is there for frames 5 to 24."""
    boxes = {}
    for number in range(LENGTH):
        boxes[1, number] = (100.0 + 3 * number, 50.0, 100.0, 40.0)
        boxes[3, number] = (700.0, 300.0, 80.0, 50.0)
        if 5 <= number < 25:
            boxes[2, number] = (500.0 - 4 * number, 200.0, 60.0 + number % 2, 40.0)
    return boxes


def listed(boxes, attributes=None):
    attributes = attributes or {}
    return [("0", number, car, box, attributes.get((car, number), RED)) for (car, number), box in boxes.items()]


def issues(table):
    made = tracks.inspect(table).get("track_issue", [])
    return [(row["instance_name"], row["issue"], row["frame_no"], row["last_frame_no"], row["value"]) for row in made]


def test_a_clean_sequence_has_no_findings():
    made = tracks.inspect(group(listed(clean()), makers=[("0", None, "ana"), ("0", "id-2", "bela")]))
    assert made["track_issue"] == []
    rows = {row["instance_name"]: row for row in made["track"]}
    assert {name: row["frame_count"] for name, row in rows.items()} == {"Car:1": 30, "Car:2": 20, "Car:3": 30}
    assert (rows["Car:2"]["first_frame_no"], rows["Car:2"]["last_frame_no"]) == (5, 24)
    assert rows["Car:1"]["mean_iou"] == pytest.approx(97 / 103)
    assert rows["Car:1"]["minimum_iou"] == pytest.approx(97 / 103)
    assert rows["Car:3"]["mean_iou"] == 1.0
    assert {name: row["worker"] for name, row in rows.items()} == {"Car:1": "ana", "Car:2": "bela", "Car:3": "ana"}
    assert all(row[f"{each}_count"] == 0 for row in rows.values() for each in tracks.ISSUES)


def jump(boxes):
    for number in range(12, LENGTH):
        left, top, width, height = boxes[1, number]
        boxes[1, number] = (left + 40, top, width, height)


def size_change(boxes):
    for number in range(12, LENGTH):
        left, top, width, height = boxes[1, number]
        boxes[1, number] = (left, top, width, height * 1.3)


def gap(boxes):
    del boxes[1, 18], boxes[1, 19]


def frozen(boxes):
    boxes[1, 13] = boxes[1, 14] = boxes[1, 12]


def long_frozen(boxes):
    """Six frames forgotten; then the box is set where the car is by then."""
    for number in range(11, 17):
        boxes[1, number] = boxes[1, 10]


def identity_swap(boxes):
    for number in range(12, LENGTH):
        boxes[1, number], boxes[3, number] = boxes[3, number], boxes[1, number]


def swap_of_overlapping(boxes):
    """The two boxes share more than half: neither jumps below 0.5, but each goes on where the other was."""
    for number in range(LENGTH):
        boxes[3, number] = (boxes[1, number][0] + 25, 50.0, 100.0, 40.0)
    for number in range(12, LENGTH):
        boxes[1, number], boxes[3, number] = boxes[3, number], boxes[1, number]


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        (jump, ("Car:1", "jump", 12, 12, pytest.approx(57 / 143))),
        (size_change, ("Car:1", "size_change", 12, 12, pytest.approx(1.3))),
        (gap, ("Car:1", "gap", 18, 19, 2)),
        (frozen, ("Car:1", "frozen", 13, 14, 2)),
        (long_frozen, ("Car:1", "frozen", 11, 16, 6)),
        (identity_swap, ("Car:1", "identity_swap", 12, 12, pytest.approx(97 / 103))),
        (swap_of_overlapping, ("Car:1", "identity_swap", 12, 12, pytest.approx(97 / 103))),
    ],
)
def test_one_defect_is_one_finding(defect, expected):
    boxes = clean()
    defect(boxes)
    made = tracks.inspect(group(listed(boxes)))
    assert issues(group(listed(boxes))) == [expected]
    (row,) = [each for each in made["track"] if each["instance_name"] == expected[0]]
    assert [row[f"{each}_count"] for each in tracks.ISSUES] == [int(each == expected[1]) for each in tracks.ISSUES]


def test_missing_attributes_are_runs():
    bare = {(1, number): {} for number in range(5, 9)} | {(2, 20): {"color": ""}, (3, 0): {"shade": "red"}}
    assert sorted(issues(group(listed(clean(), bare)))) == [
        ("Car:1", "missing_attribute", 5, 8, 4),
        ("Car:2", "missing_attribute", 20, 20, 1),
        ("Car:3", "missing_attribute", 0, 0, 1),
    ]
    assert issues(group(listed(clean(), bare), expected=())) == []
    assert issues(group(listed(clean(), bare), expected=[("Van", "color")])) == []


def test_a_run_ends_with_its_track():
    bare = {(car, number): {} for car in (1, 2) for number in range(LENGTH)}
    assert sorted(issues(group(listed(clean(), bare)))) == [
        ("Car:1", "missing_attribute", 0, 29, 30),
        ("Car:2", "missing_attribute", 5, 24, 20),
    ]


def test_a_rest_is_not_frozen():
    boxes = clean()
    for number in range(12, LENGTH):
        boxes[1, number] = boxes[1, 12] if number < 20 else (136.0 + 3 * (number - 19), 50.0, 100.0, 40.0)
    assert issues(group(listed(boxes))) == []


def test_a_slow_car_rests_by_rounding():
    boxes = {(1, number): (float(round(100 + 0.7 * number)), 50.0, 60.0, 40.0) for number in range(60)}
    assert issues(group(listed(boxes))) == []


def test_a_parked_car_with_slips_is_not_frozen():
    boxes = {(1, number): (100.0 + 10 * (number in {5, 8, 15}), 50.0, 60.0, 40.0) for number in range(30)}
    assert issues(group(listed(boxes))) == []


def test_order_in_the_file_does_not_matter():
    boxes = clean()
    for defect in (jump, size_change, gap):
        defect(boxes)
    rows = listed(boxes)
    expected = tracks.inspect(group(rows))
    shuffled = [rows[at] for at in np.random.default_rng(1).permutation(len(rows))]
    again = tracks.inspect(group(shuffled))
    assert again["track_issue"] == expected["track_issue"]
    assert sorted(again["track"], key=str) == sorted(expected["track"], key=str)
    assert [each["issue"] for each in expected["track_issue"]] == ["jump", "size_change", "gap"]


def test_a_sequence_of_every_fifth_frame_has_no_gaps():
    boxes = [("0", 5 * number, 1, (100.0 + 3 * number, 50.0, 60.0, 40.0), RED) for number in range(20)]
    assert issues(group(boxes)) == []
    frames = [("0", 5 * number) for number in range(20)]
    assert issues(group(boxes[:7] + boxes[9:], frames=frames)) == [("Car:1", "gap", 35, 40, 2)]


def test_data_objects_are_kept_apart():
    one = listed(clean())
    boxes = clean()
    gap(boxes)
    two = [("1", *each[1:]) for each in listed(boxes)]
    made = tracks.inspect(group(one + two))
    assert [(row["object_id"], row["issue"]) for row in made["track_issue"]] == [("1", "gap")]
    assert len(made["track"]) == 6


def test_hostile_boxes():
    nan, inf = float("nan"), float("inf")
    boxes = clean()
    boxes[1, 3] = (nan, 50.0, 60.0, 40.0)
    boxes[1, 8] = (124.0, 50.0, -100.0, 40.0)
    boxes[1, 14] = (142.0, 50.0, 60.0, 0.0)
    boxes[1, 20] = (inf, 50.0, inf, 40.0)
    boxes[1, 25] = (-1e308, -1e308, 1e308, 1e308)
    found = issues(group(listed(boxes)))
    assert {each[:2] for each in found} <= {("Car:1", "jump"), ("Car:1", "size_change")}
    assert all(each[2] in {25, 26} for each in found)


def test_an_instance_twice_in_a_frame_counts_once():
    rows = listed(clean())
    rows.append(("0", 12, 1, (900.0, 600.0, 60.0, 40.0), RED))
    made = tracks.inspect(group(rows))
    assert made["track_issue"] == []
    assert sorted(row["frame_count"] for row in made["track"]) == [20, 30, 30]


def test_one_frame_and_no_frame():
    made = tracks.inspect(group([("0", 7, 1, (1.0, 2.0, 3.0, 4.0), RED)]))
    assert made["track_issue"] == []
    assert made["track"][0]["mean_iou"] is None
    assert tracks.inspect(group([], frames=[("0", 1)])) == {}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 8), st.integers(1, 3), st.tuples(*[st.floats(-50, 50) | st.just(float("nan"))] * 4)
        ),
        max_size=40,
    )
)
def test_whatever_comes_is_counted(boxes):
    made = tracks.inspect(group([("0", number, car, box, {}) for number, car, box in boxes]))
    seen = {(car, number) for number, car, _ in boxes}
    assert sum(row["frame_count"] for row in made.get("track", [])) == len(seen)
    for row in made.get("track", []):
        of = [each for each in made["track_issue"] if each["instance_id"] == row["instance_id"]]
        for issue in set(tracks.ISSUES) - {"missing_attribute"}:
            assert row[f"{issue}_count"] == sum(each["issue"] == issue for each in of)
        assert row["missing_attribute_count"] == row["frame_count"]
        assert row["gap_count"] == 0 or row["frame_count"] < row["last_frame_no"] - row["first_frame_no"] + 1
    for each in made.get("track_issue", []):
        assert each["frame_no"] <= each["last_frame_no"]


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA")
def test_the_real_track_has_the_measured_findings():
    document = json.loads((DATA / "video-tracking-mot17-13" / "SeqLabel.json").read_text())
    boxes = [
        (
            "0",
            int(frame["frame-no"]),
            each["object-name"].rpartition(":")[2],
            tuple(float(each[side]) for side in ("left", "top", "width", "height")),
            {name.lower(): value for name, value in each["label-category-attributes"].items()},
        )
        for frame in document["tracking-annotations"]
        for each in frame["annotations"]
    ]
    found = issues(group(boxes))
    assert [each[:3] for each in found if each[1] == "jump"] == [("Car:3", "jump", 10), ("Car:3", "jump", 41)]
    assert [each[:4] for each in found if each[1] == "gap"] == [("Car:1", "gap", 217, 217)]
    assert sorted(each[2] for each in found if each[1] == "size_change") == [10, 12, 102, 103, 138, 140]
    assert sum(each[4] for each in found if each[1] == "frozen") == 6
    assert [each for each in found if each[1] == "missing_attribute"] == [("Car:3", "missing_attribute", 9, 299, 291)]
    assert not [each for each in found if each[1] == "identity_swap"]
