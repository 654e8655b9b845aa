"""Tracks without truth: each defect alone is found as exactly that; the real track has the measured findings."""

import json
import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sextant.labeling.insight import tracks
from sextant.labeling.insight.analysis import steps
from tests.labeling.insight.lake import analysed, lake

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("SEXTANT_DATA", ROOT.parent / "shared" / "data")) / "groundtruth"
SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("kind", "bucket", "job_name", "modality", "task_type", "object_id", "source_ref")
        ),
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
    assert {name: row["step_count"] for name, row in rows.items()} == {"Car:1": 29, "Car:2": 19, "Car:3": 29}
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


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((100.0 + 31, 50.0, 100.0, 40.0), ["jump"]),  # overlap 64 of 136 with the box before, 0.47
        ((100.0 + 33, 50.0, 100.0, 40.0), ["jump"]),
        ((100.0 + 15, 50.0, 100.0, 40.0), []),
        ((103.0, 50.0, 100.0, 31.0), ["size_change"]),  # 0.775 times
        ((103.0, 50.0, 100.0, 32.5), []),  # 0.8125 times
        ((103.0, 50.0, 100.0, 49.5), []),  # 1.2375 times
        ((103.0, 50.0, 100.0, 50.5), ["size_change"]),
    ],
)
def test_limits(box, found):
    boxes = [("0", 0, 1, (95.0, 50.0, 100.0, 40.0), RED), ("0", 1, 1, box, RED)]
    assert [each[1] for each in issues(group(boxes))] == found


def test_steps_over_a_gap_are_none():
    """Frames 0 to 11 and 13 to 29: 29 boxes, 11 and 16 steps."""
    boxes = clean()
    del boxes[1, 12]
    (row,) = [each for each in tracks.inspect(group(listed(boxes)))["track"] if each["instance_name"] == "Car:1"]
    assert (row["frame_count"], row["step_count"], row["mean_iou"]) == (29, 27, pytest.approx(97 / 103))


def test_one_missing_frame_is_a_gap():
    boxes = clean()
    del boxes[1, 12]
    assert issues(group(listed(boxes))) == [("Car:1", "gap", 12, 12, 1)]


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
    for slips in ({5, 8, 15}, {0, 3, 6, 8, 9, 13}, {26, 29}):
        boxes = {(1, number): (100.0 + 10 * (number in slips), 50.0, 60.0, 40.0) for number in range(30)}
        assert issues(group(listed(boxes))) == [], slips


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


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(1, 3), st.tuples(*[st.floats(-50, 50) | st.just(float("nan"))] * 4)),
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


# --- through the SQL --------------------------------------------------------------------------------------------------

VIDEO = {"job_name": "job", "modality": "VideoObjectTracking", "task_type": "video-object-tracking"}
CLIP = {**VIDEO, "object_id": "0"}


def clip(frames):
    """A sequence with one standing car."""
    numbered = [{**CLIP, "frame_no": number, "frame": f"{number}.jpg"} for number in range(frames)]
    box = {"label": "Car", "shape": "box", "left_px": 1.0, "top_px": 1.0, "width_px": 9.0, "height_px": 9.0}
    return {
        "job": [{**VIDEO, "annotation_count": frames}],
        "task": [{**CLIP, "status": "labeled", "source_ref": "s3://clip", "worker_count": 1}],
        "frame": numbered,
        "annotation": [
            {**each, **box, "annotation_id": f"{each['frame_no']:04}", "instance_id": "c", "attributes": {}}
            for each in numbered
        ],
    }


@pytest.mark.parametrize(("told", "missing"), [(2, 1), (1, 0)])
def test_an_attribute_that_half_of_a_class_has_is_expected_of_all(told, missing):
    counts = [{"job_name": "job", "label": "Car", "attribute": "", "value": "", "annotation_count": 4}]
    counts.append({"job_name": "job", "label": "Car", "attribute": "color", "value": "red", "annotation_count": told})
    tables = clip(4) | {"attribute_count": counts}
    for row in tables["annotation"][:told]:
        row["attributes"] = {"color": "red"}
    made = analysed(lake(**tables), "tracks")
    assert [row["issue"] for row in made["track_issue"] if row["issue"] == "missing_attribute"] == (
        ["missing_attribute"] * missing
    )


def test_a_directed_audit_reads_three_frames_around_a_finding():
    issue = {"issue": "jump", "frame_no": 20, "last_frame_no": 21, "instance_id": "c"}
    spark = lake({"output_path": "s3://out"}, **clip(40), track_issue=[{**CLIP, **issue}])
    (step,) = [each for each in steps() if each.name == "directed_audit"]
    rows = spark.sql(step.query).collect()
    for kind in ("frame", "label"):
        assert sorted(row["frame_no"] for row in rows if row["kind"] == kind) == list(range(17, 25))


# --- directed audits --------------------------------------------------------------------------------------------------


def test_windows_are_widened_and_merged():
    found = tracks.windows([(40, 40, "jump"), (2, 2, "gap"), (47, 49, "frozen"), (60, 60, "jump"), (60, 60, "gap")], 62)
    assert [(each.first, each.last, each.issues) for each in found] == [
        (0, 5, ("gap",)),
        (37, 52, ("jump", "frozen")),
        (57, 61, ("gap", "jump")),
    ]


@settings(deadline=None)
@given(
    st.integers(1, 60).flatmap(
        lambda length: st.tuples(
            st.lists(st.tuples(st.integers(0, length - 1), st.integers(0, 4)), max_size=12), st.just(length)
        )
    )
)
def test_windows_hold_every_finding_once(case):
    places, length = case
    spans = [(first, min(first + more, length - 1), "jump") for first, more in places]
    found = tracks.windows(spans, length)
    assert sum(len(each.issues) for each in found) == len(spans)
    assert all(0 <= each.first <= each.last < length for each in found)
    assert all(one.last + 1 < two.first for one, two in pairwise(found))
    for first, last, _ in spans:
        begin, end = max(0, first - tracks.MARGIN), min(length - 1, last + tracks.MARGIN)
        assert any(each.first <= begin and end <= each.last for each in found)


JOB = {
    "job_name": "street-first_level-cars",
    "modality": "VideoObjectTracking",
    "task_type": "video-object-tracking",
    "object_id": "3",
    "source_ref": "s3://clips/day-1/sequence.json",
    "created_at": datetime(2026, 9, 1, 12, 30, tzinfo=UTC),
    "label_attribute": "cars-ref",
    "input_path": "somewhere/in/",
    "output_path": "s3://processed",
    "sequence_frame_count": 300,
}
SHOWN = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "job_name", "modality", "task_type", "object_id", "source_ref")),
        ("created_at", pa.timestamp("us", "UTC")),
        *((name, pa.string()) for name in ("label_attribute", "input_path", "output_path")),
        ("frame_no", pa.int32()),
        ("frame", pa.string()),
        ("place", pa.int32()),
        ("last_place", pa.int32()),
        ("sequence_frame_count", pa.int64()),
        *((name, pa.string()) for name in ("issue", "row_id", "instance_id", "instance_name", "label", "shape")),
        *((name, pa.float64()) for name in ("left_px", "top_px", "width_px", "height_px")),
        ("geometry", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)


def doubtful(**changed):
    """Findings at places 10 and 100 of a sequence whose frames are numbered 5, 10, 15 …"""
    job = {**JOB, **changed}
    rows = [
        {"kind": "issue", "place": 10, "last_place": 10, "issue": "jump"},
        {"kind": "issue", "place": 100, "last_place": 101, "issue": "gap"},
    ]
    near = [*range(7, 14), *range(97, 105)]
    rows += [{"kind": "frame", "place": at, "frame_no": 5 * at + 5, "frame": f"{at:04d}.jpg"} for at in near]
    box = {"shape": "box", "left_px": 1.0, "top_px": 2.5, "width_px": 30.0, "height_px": 40.0, "label": "Car"}
    line = {"shape": "polyline", "geometry": '{"vertices":[{"x":1,"y":2}]}', "label": "Bike"}
    for at, shape in ((8, box), (8, line), (99, box)):
        more = {"instance_id": "id", "instance_name": "Car:1", "attributes": [("moving", "yes")]}
        rows.append({"kind": "label", "frame_no": 5 * at + 5, "row_id": f"{at}", **shape, **more})
    return pa.Table.from_pylist([{**job, **row} for row in rows], schema=SHOWN)


def test_a_directed_audit_lists_its_windows():
    made = tracks.direct(doubtful())
    assert [
        [row[name] for name in ("first_frame_no", "last_frame_no", "frame_count", "sequence_frame_count", "issues")]
        for row in made["directed_audit"]
    ] == [[40, 70, 7, 300, "jump"], [490, 525, 8, 300, "gap"]]
    assert {row["manifest"] for row in made["directed_audit"]} == {"audits/street-first_level-cars/directed.manifest"}
    assert {row["issue_count"] for row in made["directed_audit"]} == {1}


def test_a_directed_audit_is_an_input_of_ground_truth():
    files = {row["path"]: row["body"] for row in tracks.direct(doubtful())["files"]}
    root = "street-first_level-cars"
    lines = [json.loads(line) for line in files[f"{root}/directed.manifest"].splitlines()]
    assert [line["source-ref"] for line in lines] == [
        f"s3://processed/audits/{root}/3/40-70.json",
        f"s3://processed/audits/{root}/3/490-525.json",
    ]
    assert lines[0]["cars-ref"] == f"s3://processed/audits/{root}/3/40-70.labels.json"
    assert lines[0]["cars-ref-metadata"] == {
        "class-map": {"0": "Bike", "1": "Car"},
        "job-name": "labeling-job/street-first_level-cars",
        "human-annotated": "yes",
        "creation-date": "2026-09-01T12:30:00.000000",
        "type": "groundtruth/video-object-tracking",
    }
    sequence = json.loads(files[f"{root}/3/40-70.json"])
    assert sequence == {
        "seq-no": 1,
        "prefix": "s3://clips/day-1/",
        "number-of-frames": 7,
        "frames": [{"frame-no": 5 * at + 5, "frame": f"{at:04d}.jpg"} for at in range(7, 14)],
    }
    assert json.loads(files[f"{root}/3/490-525.json"])["seq-no"] == 2
    labels = json.loads(files[f"{root}/3/40-70.labels.json"])["tracking-annotations"]
    assert [each["frame-no"] for each in labels] == [str(5 * at + 5) for at in range(7, 14)]
    named = {"label-category-attributes": {"moving": "yes"}, "object-id": "id", "object-name": "Car:1"}
    assert labels[1] == {
        "annotations": [{"height": 40, "width": 30, "top": 2.5, "left": 1, "class-id": "1", **named}],
        "polylines": [{"vertices": [{"x": 1, "y": 2}], "class-id": "0", **named}],
        "frame-no": "45",
        "frame": "0008.jpg",
        "frame-attributes": {},
    }
    assert labels[0]["annotations"] == []
    assert len(files) == 5


@pytest.mark.parametrize("changed", [{"source_ref": None}, {"task_type": "point_cloud_object_tracking"}])
def test_windows_without_an_input_have_no_files(changed):
    made = tracks.direct(doubtful(**changed))
    assert [row["manifest"] for row in made["directed_audit"]] == [None, None]
    assert made["files"] == []


def test_the_prefix_is_that_of_the_sequence_file(monkeypatch):
    bodies = {
        "s3://clips/a.json": b'{"seq-no":1,"prefix":"s3://frames/a/"}',
        "s3://clips/b.json": b"[",
        "s3://clips/c.json": b"{}",
    }

    def read(uri):
        if uri not in bodies:
            raise tracks.storage.GoneError(uri)
        return bodies[uri]

    monkeypatch.setattr(tracks.storage, "read", read)
    assert tracks.frame_prefix("s3://clips/a.json", "s3://batches/") == "s3://frames/a/"
    assert [tracks.frame_prefix(f"s3://clips/{name}.json", "s3://batches/") for name in "bcd"] == ["s3://clips/"] * 3
    assert tracks.frame_prefix("s3://clips/a.json", "folder/") == "s3://clips/"


def test_what_was_written_is_read_as_ground_truth_output(tmp_path):
    """The labels of a window go through the parser of real sequence files and come back the same."""
    from tests.labeling.staged import stage

    files = {row["path"]: row["body"] for row in tracks.direct(doubtful())["files"]}
    body = files["street-first_level-cars/3/40-70.labels.json"]
    staged = stage(tmp_path, {"job/annotations/consolidated-annotation/output/0/SeqLabel.json": body})
    boxes = [row for row in staged["parsed_annotation"] if row["shape"] == "box"]
    assert [(row["frame_no"], row["left_px"], row["height_px"], row["instance_name"]) for row in boxes] == [
        (45, 1.0, 40.0, "Car:1")
    ]
    assert len(staged["parsed_frame"]) == 7
