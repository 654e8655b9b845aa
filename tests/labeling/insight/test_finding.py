"""Every defect is put into clean data, found alone, and not found in the data without it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.labeling.insight.lake import lake, table

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SIZE = {"width_px": 640.0, "height_px": 480.0}


def shape(frame, instance="t1", *, job="j", item="0", label="car", left=10.0, **more):
    return {
        "annotation_id": f"{job}-{item}-{frame}-{instance}",
        "job_name": job,
        "object_id": item,
        "source_ref": f"s3://clips/{item}",
        "frame_no": frame,
        "instance_id": instance,
        "label": label,
        "shape": "box",
        "left_px": left + frame,
        "top_px": 20.0,
        "width_px": 40.0,
        "height_px": 30.0,
        "attributes": {"moving": "Dynamic"},
        "source": f"{item}/SeqLabel.json",
        **more,
    }


def clean():
    """A tracked clip of 20 frames with two cars, and an image; both answered, labeled and within their categories."""
    frames = range(20)
    labels = [shape(n) for n in frames] + [shape(n, "t2", left=200.0) for n in frames]
    labels.append(shape(0, None, job="i", item="7", annotation_id="i-7-0-0", source="output.manifest#7"))
    return {
        "job": [
            {"job_name": job, "task_type": kind, "finished_at": START, "answer_count": 2}
            for job, kind in (("j", "video-object-tracking"), ("i", "object-detection"))
        ],
        "task": [
            {"job_name": job, "object_id": item, "status": "labeled", "answer_count": 1, "created_at": START}
            for job, item in (("j", "0"), ("i", "7"))
        ],
        "frame": [
            {"job_name": "j", "object_id": "0", "frame_no": n, "label_count": 2, "source": "0/SeqLabel.json", **SIZE}
            | {"attributes": {"weather": "dry"}}
            for n in frames
        ]
        + [{"job_name": "i", "object_id": "7", "frame_no": 0, "label_count": 1, "attributes": {}, **SIZE}],
        "annotation": labels,
        "answer": [
            {
                "answer_id": job,
                "job_name": job,
                "object_id": item,
                "username": "ann",
                "accepted_at": START - timedelta(minutes=2),
                "submitted_at": START,
                "seconds": 100.0,
                "source": f"{item}.json",
            }
            for job, item in (("j", "0"), ("i", "7"))
        ],
        "answer_annotation": [
            {"answer_id": each["job_name"], "position": n} | {k: each[k] for k in ("job_name", "object_id", "label")}
            for n, each in enumerate(labels)
        ],
        "attribute_count": [
            {"job_name": job, "label": "car", "attribute": attribute, "value": value}
            for job in "ji"
            for attribute, value in (("", ""), ("moving", "Dynamic"))
        ],
        "category": [
            {"job_name": "j", "kind": "label", "label": "car"},
            {"job_name": "j", "kind": "label_attribute", "name": "moving", "value": "Dynamic"},
            {"job_name": "j", "kind": "label_attribute", "name": "moving", "value": "Stationary"},
            {"job_name": "j", "kind": "label_attribute", "label": "car", "name": "number"},
            {"job_name": "j", "kind": "frame_attribute", "name": "weather", "value": "dry"},
        ],
    }


def findings(data):
    return [(row["finding"], row["frame_no"], row["source"]) for row in table(lake(**data), "finding")]


def details(data):
    return [row["detail"] for row in table(lake(**data), "finding")]


def change(data, name, condition, **values):
    for row in data[name]:
        if condition(row):
            row.update(values)


def test_clean_data_has_no_finding():
    assert findings(clean()) == []


def test_nothing_at_all_has_no_finding():
    assert findings({}) == []


def test_missing_frames():
    data = clean()
    data["frame"] = [row for row in data["frame"] if row["frame_no"] not in (5, 6, 7)]
    assert findings(data) == [("missing_frame", 5, "0/SeqLabel.json")]
    assert details(data) == ["no frames 5 to 7"]


def test_every_fifth_frame_is_no_gap():
    data = clean()
    data["frame"] = [row for row in data["frame"] if row["frame_no"] % 5 == 0]
    assert findings(data) == []


def test_a_frame_without_labels_between_others():
    data = clean()
    change(data, "frame", lambda row: row["frame_no"] in (8, 9), label_count=0)
    change(data, "frame", lambda row: row["frame_no"] in (0, 18, 19) and row["job_name"] == "j", label_count=0)
    assert findings(data) == [("missing_label", 8, "0/SeqLabel.json")]
    change(data, "frame", lambda row: 8 <= row["frame_no"] < 14, label_count=0)
    assert findings(data) == []  # an empty street


def test_answers_that_never_became_a_label():
    data = clean()
    change(data, "task", lambda row: row["job_name"] == "i", status="answered")
    data["annotation"] = [row for row in data["annotation"] if row["job_name"] == "j"]
    assert findings(data) == []  # the job may still be at it
    data["answer"].append({"answer_id": "later", "job_name": "k", "submitted_at": START + timedelta(days=8)})
    assert findings(data) == [("missing_label", None, "7.json")]


def test_a_label_without_answer():
    data = clean()
    change(data, "task", lambda row: row["job_name"] == "j", answer_count=0)
    data["answer_annotation"] = [row for row in data["answer_annotation"] if row["job_name"] == "i"]
    assert findings(data) == [("missing_answer", None, "0/SeqLabel.json")]
    change(data, "annotation", lambda row: row["job_name"] == "j", human=False)
    assert findings(data) == []  # labeled by the model


def test_the_same_box_twice():
    data = clean()
    data["annotation"] += [shape(n, "t3", left=10.4) for n in range(4, 8)]
    data["answer_annotation"] += [{"answer_id": "j", "job_name": "j", "object_id": "0", "label": "car"}]
    assert findings(data) == [("duplicate_label", 4, "0/SeqLabel.json")]
    assert details(data) == ["two boxes of car in one place, in 4 frames: t1 and t3"]
    for row in data["annotation"]:
        if row["instance_id"] == "t3":
            row["left_px"] += 2  # IoU 0.89
    assert findings(data) == []


@pytest.mark.parametrize(("height", "count"), [(31.5, 1), (32.0, 0)])
def test_the_same_box_is_one_of_nineteen_twentieths(height, count):
    """Beside a box of 40 by 30 one that is only higher: IoU 30 / 31.5 = 0.952, and 30 / 32 = 0.9375."""
    data = clean()
    data["annotation"].append(shape(4, "t3", height_px=height))
    assert [finding for finding, _, _ in findings(data)] == ["duplicate_label"] * count


def test_an_image_with_one_box_drawn_three_times():
    data = clean()
    data["annotation"] += [
        shape(0, None, job="i", item="7", annotation_id=f"i-7-0-{n}", source="output.manifest#7") for n in (1, 2)
    ]
    assert findings(data) == [("duplicate_label", 0, "output.manifest#7")] * 3


@pytest.mark.parametrize("given", ["bus", "CAR"])
def test_a_class_that_no_worker_gave(given):
    data = clean()
    change(data, "answer_annotation", lambda row: row["job_name"] == "i", label=given)
    assert findings(data) == [("contradiction", 0, "output.manifest#7")]
    change(data, "annotation", lambda row: row["job_name"] == "i", label="3")
    assert findings(data) == []  # a class number that the job does not name


def test_one_track_of_two_classes():
    data = clean()
    for name in ("annotation", "answer_annotation"):
        data[name].append(shape(20, "t2", label="bus") if name == "annotation" else {**data[name][0], "label": "bus"})
    data["category"].append({"job_name": "j", "kind": "label", "label": "bus"})
    assert findings(data) == [("contradiction", 0, "0/SeqLabel.json")]
    assert details(data) == ["tracked object t2 is bus and car"]


def test_one_picture_twice_with_two_classes():
    data = clean()
    for item, label in (("8", "cat"), ("9", "dog")):
        data["task"].append(
            {"job_name": "i", "object_id": item, "source_ref": "s3://one", "status": "labeled", "label": label}
        )
        change(data, "task", lambda row: row["job_name"] == "i", answer_count=1)
        data["annotation"].append(
            shape(0, None, job="i", item=item, label=label, shape="class", annotation_id=item, source=f"#{item}")
        )
        data["answer"].append({"answer_id": item, "job_name": "i", "object_id": item, "label": label})
    assert sorted(findings(data)) == [("contradiction", None, "#8"), ("contradiction", None, "#9")]


@pytest.mark.parametrize(("adjusted", "moved", "count"), [(False, 1, 1), (False, 0, 0), (True, 1, 0), (None, 1, 0)])
def test_unadjusted_labels_that_differ(adjusted, moved, count):
    data = clean()
    data["parsed_task"] = [{"job_name": "i", "object_id": "7", "adjusted": adjusted}]
    data["adjustment_task"] = [
        {"job_name": "i", "base_job": "h", "object_id": "7", "moved_count": moved, "unchanged_count": 4}
        | dict.fromkeys(("added_count", "removed_count", "relabelled_count", "attribute_count"), 0)
    ]
    assert findings(data) == [("contradiction", None, "output.manifest#7")] * count


def test_labels_attributes_and_values_that_nobody_allowed():
    data = clean()
    change(data, "annotation", lambda row: row["frame_no"] == 3 and row["instance_id"] == "t2", label="bike")
    change(data, "annotation", lambda row: row["frame_no"] == 6, attributes={"moving": "Flying", "number": "12"})
    change(data, "annotation", lambda row: row["frame_no"] == 9, attributes={"colour": "red"})
    change(data, "frame", lambda row: row["frame_no"] == 4, attributes={"weather": "wet"})
    change(data, "frame", lambda row: row["frame_no"] == 5, attributes={"season": "spring"})
    data["attribute_count"] += [
        {"job_name": "j", "label": label, "attribute": attribute, "value": value}
        for label, attribute, value in (
            ("bike", "", ""),
            ("bike", "moving", "Dynamic"),
            ("car", "moving", "Flying"),
            ("car", "number", "12"),
            ("car", "colour", "red"),
        )
    ]
    data["answer_annotation"].append({"answer_id": "j", "job_name": "j", "object_id": "0", "label": "bike"})
    found = sorted((finding, frame) for finding, frame, _ in findings(data) if finding != "contradiction")
    assert found == [
        ("unknown_attribute", 5),
        ("unknown_attribute", 9),
        ("unknown_label", 3),
        ("unknown_value", 4),
        ("unknown_value", 6),
    ]
    assert "attribute moving of car has the value Flying, 2 times" in details(data)
    data["category"] = []
    assert [finding for finding, _, _ in findings(data)] == ["contradiction"]  # t2 is car and bike


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ({"left_px": -3.0}, "outside_image"),
        ({"left_px": 610.0}, "outside_image"),
        ({"top_px": 460.0}, "outside_image"),
        ({"left_px": -0.6, "top_px": -0.9}, None),
        ({"left_px": 600.5}, None),
        ({"width_px": 0.0}, "empty_shape"),
        ({"height_px": -4.0}, "empty_shape"),
        ({"width_px": None}, "empty_shape"),
    ],
)
def test_boxes_beyond_the_image_or_without_area(values, finding):
    data = clean()
    change(data, "annotation", lambda row: row["job_name"] == "i", **values)
    assert findings(data) == ([(finding, 0, "output.manifest#7")] if finding else [])


def test_without_a_size_only_the_left_and_top_edge_are_known():
    data = clean()
    change(data, "frame", lambda _: True, width_px=None, height_px=None)
    change(data, "annotation", lambda row: row["job_name"] == "i", left_px=99_999.0)
    assert findings(data) == []


@pytest.mark.parametrize("values", [{"submitted_at": START - timedelta(minutes=3)}, {"seconds": -1.0}])
def test_times_in_the_wrong_order(values):
    data = clean()
    change(data, "answer", lambda row: row["job_name"] == "i", **values)
    assert findings(data) == [("time_order", None, "7.json")]
