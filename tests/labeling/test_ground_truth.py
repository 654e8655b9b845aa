"""Documents of every task type and every trap of the real files, parsed to rows."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sextant.labeling.layout import Kind, place_of
from tests.labeling.staged import manifest, stage

JOB = "jobs/birds"
MANIFEST = f"{JOB}/manifests/output/output.manifest"
SEQUENCE = f"{JOB}/annotations/consolidated-annotation/output/0/SeqLabel.json"
RESPONSE = f"{JOB}/annotations/worker-response/iteration-1/0/2026-09-01_10:00:00.json"
CREATED = "2026-09-01T10:00:00.250000"


def metadata(kind, **more):
    return {"type": f"groundtruth/{kind}", "job-name": "labeling-job/birds", "creation-date": CREATED, **more}


def annotations(rows):
    return [(each["label"], each["shape"]) for each in rows["parsed_annotation"]]


def reasons(rows):
    return [each["reason"] for each in rows["parsed_rejected"]]


# --- manifests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [9, "9"])
def test_image_classification_with_a_class_that_is_a_number_or_text(tmp_path, number):
    line = {
        "source-ref": "s3://b/a.jpg",
        "birds": number,
        "birds-metadata": metadata(
            "image-classification", **{"class-name": "Canary", "confidence": 0.95, "human-annotated": "yes"}
        ),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    (annotation,) = rows["parsed_annotation"]
    assert (annotation["label"], annotation["shape"], annotation["confidence"]) == ("Canary", "class", 0.95)
    assert annotation["created_at"] == datetime(2026, 9, 1, 10, 0, 0, 250000, UTC)
    assert (annotation["job_name"], annotation["modality"]) == ("birds", "ImageClassification")
    assert (annotation["frame"], annotation["human"]) == ("a.jpg", True)
    (task,) = rows["parsed_task"]
    assert (task["status"], task["label"], task["annotation_count"]) == ("labeled", "Canary", 1)


def test_text_classification_has_no_frame_name(tmp_path):
    line = {
        "source": "good food/drink",
        "mood": "1",
        "mood-metadata": metadata("text-classification", **{"class-name": "positive"}),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["source_ref"], each["frame"]) for each in rows["parsed_annotation"]] == [("good food/drink", None)]


def test_multilabel_names_come_from_the_class_map(tmp_path):
    more = {"class-map": {"0": "road", "2": "night"}, "confidence-map": {"0": 0.5, "2": "0.75"}}
    line = {
        "source-ref": "s3://b/a.jpg",
        "birds": [0, "2"],
        "birds-metadata": metadata("image-classification-multilabel", **more),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["label"], each["confidence"]) for each in rows["parsed_annotation"]] == [
        ("road", 0.5),
        ("night", 0.75),
    ]


def test_consolidated_boxes_are_fractions_and_keep_their_confidence(tmp_path):
    box = {"class_id": 0, "left": 164.60000000000002, "top": 1, "width": "20", "height": 4}
    value = {"image_size": [{"width": 9, "height": 9, "depth": 3}], "annotations": [box]}
    line = {
        "source-ref": "s3://b/a.png",
        "birds": value,
        "birds-metadata": metadata(
            "object-detection", **{"class-map": {"0": "wing"}, "objects": [{"confidence": 0.09}]}
        ),
    }
    (row,) = stage(tmp_path, {MANIFEST: manifest(line)})["parsed_annotation"]
    assert (row["left_px"], row["width_px"], row["label"], row["confidence"]) == (
        164.60000000000002,
        20.0,
        "wing",
        0.09,
    )


def test_segmentation_gives_one_mask_per_class_without_the_background(tmp_path):
    colors = {
        "0": {"class-name": "BACKGROUND", "hex-color": "#fff"},
        "1": {"class-name": "Bird", "hex-color": "#2ca02c", "confidence": 0.0},
    }
    line = {
        "source-ref": "s3://b/a.png",
        "birds-ref": "s3://b/mask.png",
        "birds-ref-metadata": metadata("semantic-segmentation", **{"internal-color-map": colors}),
    }
    (row,) = stage(tmp_path, {MANIFEST: manifest(line)})["parsed_annotation"]
    assert (row["label"], json.loads(row["geometry"])) == ("Bird", {"mask": "s3://b/mask.png", "color": "#2ca02c"})


def test_entities_are_spans(tmp_path):
    value = {
        "annotations": {
            "labels": [{"label": "Place"}],
            "entities": [{"label": "Place", "startOffset": 3, "endOffset": 9}],
        }
    }
    line = {"source": "to Berlin", "ner": value, "ner-metadata": metadata("text-span", entities=[{"confidence": 0.8}])}
    (row,) = stage(tmp_path, {MANIFEST: manifest(line)})["parsed_annotation"]
    assert (row["label"], row["shape"], row["confidence"]) == ("Place", "span", 0.8)
    assert json.loads(row["geometry"]) == {"startOffset": 3, "endOffset": 9}


def test_cuboids_in_the_line_with_class_map_spelled_with_underscore(tmp_path):
    cuboid = {
        "class-id": 0,
        "object-id": "x",
        "object-name": "Car:1",
        "center-x": 1.5,
        "yaw": 3,
        "label-category-attributes": {"Parked": True},
    }
    line = {
        "source-ref": "s3://b/0.bin",
        "3d-bounding-box": {"annotations": [cuboid]},
        "3d-bounding-box-metadata": metadata("point_cloud_object_detection", class_map={"0": "Car"}),
    }
    (row,) = stage(tmp_path, {MANIFEST: manifest(line)})["parsed_annotation"]
    assert (row["label"], row["shape"], row["instance_id"], dict(row["attributes"])) == (
        "Car",
        "cuboid",
        "x",
        {"parked": "true"},
    )


def test_verification_is_a_verdict_and_the_verified_label_is_not_counted_again(tmp_path):
    earlier = {**metadata("object-detection"), "job-name": "labeling-job/boxes"}
    line = {
        "source-ref": "s3://b/a.jpg",
        "boxes": {"image_size": [], "annotations": [{"class_id": 0, "left": 1, "top": 1, "width": 1, "height": 1}]},
        "boxes-metadata": earlier,
        "verify-boxes": "1",
        "verify-boxes-metadata": metadata(
            "label-verification", **{"class-name": "bad", "worker-feedback": [{"comment": "blurred"}]}
        ),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert annotations(rows) == [("bad", "verdict")]
    assert "blurred" in rows["parsed_annotation"][0]["geometry"]
    assert rows["parsed_task"][0]["audited"] is True


@pytest.mark.parametrize(("status", "adjusted"), [("adjusted", True), ("unadjusted", False)])
def test_adjustment_status(tmp_path, status, adjusted):
    value = {"image_size": [], "annotations": []}
    line = {
        "source-ref": "s3://b/a.jpg",
        "adjusted-x": value,
        "adjusted-x-metadata": metadata("object-detection", **{"adjustment-status": status}),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["adjusted"], each["annotation_count"], each["frame_count"]) for each in rows["parsed_task"]] == [
        (adjusted, 0, 1)
    ]
    assert [each["label_count"] for each in rows["parsed_frame"]] == [0]


def test_metadata_under_another_name_than_the_label(tmp_path):
    line = {
        "source-ref": "s3://b/a.jpg",
        "birds": 1,
        "auto-label-metadata": metadata("image-classification", **{"class-name": "Owl", "human-annotated": "no"}),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["label"], each["human"]) for each in rows["parsed_annotation"]] == [("Owl", False)]
    assert [each["label_attribute"] for each in rows["parsed_task"]] == ["birds"]


def test_members_that_only_look_like_metadata_are_none(tmp_path):
    line = {
        "source-ref": "s3://b/a.jpg",
        "metadata": {"camera": 3},
        "annotator-metadata": {"name": "x"},
        "form": {"plate": "AB"},
        "form-metadata": metadata("custom"),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert annotations(rows) == [("", "custom")]
    assert json.loads(rows["parsed_annotation"][0]["geometry"]) == {"plate": "AB"}
    assert reasons(rows) == []


def test_failure_reason(tmp_path):
    line = {
        "source-ref": "s3://b/a.jpg",
        "birds-metadata": {
            "failure-reason": "ClientError: too large",
            "job-name": "labeling-job/birds",
            "type": "groundtruth/image-classification",
        },
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["status"], each["reason"]) for each in rows["parsed_task"]] == [("failed", "ClientError: too large")]
    assert rows["parsed_frame"] == rows["parsed_annotation"] == rows["parsed_rejected"] == []


def test_invisible_characters_leave_the_source_reference(tmp_path):
    line = {
        "source-ref": "s3://b/\u200ba\ufeff.jpg",
        "birds": 1,
        "birds-metadata": metadata("image-classification", **{"class-name": "Owl"}),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert [(each["source_ref"], each["frame"]) for each in rows["parsed_task"] and rows["parsed_annotation"]] == [
        ("s3://b/a.jpg", "a.jpg")
    ]


def test_unknown_task_type_is_kept_as_custom_and_reported(tmp_path):
    line = {"source-ref": "s3://b/a.jpg", "birds": {"x": 1}, "birds-metadata": metadata("hologram")}
    rows = stage(tmp_path, {MANIFEST: manifest(line)})
    assert annotations(rows) == [("", "custom")]
    assert reasons(rows) == ["unknown task type"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"source-ref": "s3://b/a.jpg"}, "label attribute missing"),
        ({"source-ref": "s3://b/a.jpg", "birds": 1}, "label attribute missing"),
        ({"source-ref": "s3://b/a.jpg", "birds-metadata": metadata("image-classification")}, "label attribute missing"),
        ('{"source-ref":"s3://b/a', "not JSON"),
        ("[1]", "unexpected JSON"),
        ({"source-ref": "x", "birds": {"no": 1}, "birds-metadata": metadata("object-detection")}, "unexpected label"),
    ],
)
def test_a_bad_line_is_rejected_and_the_next_one_counts(tmp_path, line, reason):
    good = {
        "source-ref": "s3://b/b.jpg",
        "birds": 1,
        "birds-metadata": metadata("image-classification", **{"class-name": "Owl"}),
    }
    rows = stage(tmp_path, {MANIFEST: manifest(line, good)})
    assert [(each["reason"], each["source"]) for each in rows["parsed_rejected"]] == [(reason, f"{MANIFEST}#0")]
    assert ("Owl", "class") in annotations(rows)
    assert "1" in [each["object_id"] for each in rows["parsed_task"]]


def test_empty_manifest_is_reported(tmp_path):
    assert reasons(stage(tmp_path, {MANIFEST: b""})) == ["empty object"]


def test_blank_lines_keep_the_numbers_of_the_others(tmp_path):
    line = {"source-ref": "s3://b/b.jpg", "birds": 1, "birds-metadata": metadata("image-classification")}
    rows = stage(tmp_path, {MANIFEST: f"{json.dumps(line)}\r\n\r\n{json.dumps(line)}"})
    assert [each["object_id"] for each in rows["parsed_task"]] == ["0", "2"]


# --- sequences ------------------------------------------------------------------------------------------------------

BOX = {"height": 10, "width": 20, "top": 1, "left": 2, "class-id": "0", "object-id": "u1", "object-name": "Vehicle:1"}


def test_string_frame_numbers_are_sorted_as_numbers(tmp_path):
    frames = [{"annotations": [BOX], "frame-no": number, "frame": f"{number}.jpg"} for number in ("10", "9", 2)]
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": frames}})
    assert [each["frame_no"] for each in rows["parsed_annotation"]] == [2, 9, 10]
    assert {each["label"] for each in rows["parsed_annotation"]} == {"Vehicle"}
    assert rows["parsed_task"][0]["task_type"] == "video-object-tracking"


def test_class_map_and_date_come_from_the_manifest(tmp_path):
    line = {
        "source-ref": "s3://b/clip.json",
        "birds-ref": f"s3://elsewhere/{SEQUENCE}",
        "birds-ref-metadata": metadata(
            "video-object-detection", **{"class-map": {"0": "Adult"}, "human-annotated": "yes"}
        ),
    }
    shape = {
        "height": 1,
        "width": 1,
        "top": 1,
        "left": 1,
        "class-id": "0",
        "label-category-attributes": {"Occluded": "yes"},
    }
    frames = [{"annotations": [shape], "frame-no": "0", "frame": "0.jpg"}]
    rows = stage(tmp_path, {MANIFEST: manifest(line), SEQUENCE: {"detection-annotations": frames}})
    (row,) = rows["parsed_annotation"]
    assert (row["label"], row["source_ref"], row["created_at"].year) == ("Adult", "s3://b/clip.json", 2026)
    assert (row["instance_id"], row["attributes"]) == (None, [("occluded", "yes")])
    assert reasons(rows) == []


def test_a_sequence_that_the_manifest_names_but_that_is_not_there(tmp_path):
    line = {
        "source-ref": "s3://b/c.json",
        "birds-ref": f"s3://x/{SEQUENCE}",
        "birds-ref-metadata": metadata("video-object-tracking"),
    }
    assert reasons(stage(tmp_path, {MANIFEST: manifest(line)})) == ["label file missing"]


@pytest.mark.parametrize(
    ("key", "shape"), [("polylines", "polyline"), ("polygons", "polygon"), ("keypoints", "keypoint")]
)
def test_other_shapes_of_a_frame(tmp_path, key, shape):
    drawn = {"vertices": [{"x": 1, "y": 2}], "class-id": "0", "object-name": "Lane:1", "object-id": "u"}
    frames = [{"annotations": [BOX], key: [drawn], "frame-no": "0", "frame": "0.jpg"}]
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": frames}})
    assert annotations(rows) == [("Vehicle", "box"), ("Lane", shape)]
    assert rows["parsed_annotation"][0]["left_px"] == 2
    assert json.loads(rows["parsed_annotation"][1]["geometry"]) == {"vertices": [{"x": 1, "y": 2}]}


def test_point_cloud_tracks(tmp_path):
    cuboid = {
        "class-id": 0,
        "object-name": "Truck:1",
        "object-id": "t",
        "center-x": 1.0,
        "length": 4,
        "width": 2,
        "height": 1,
    }
    frames = [{"frame-number": 0, "frame-name": "0.bin", "annotations": [cuboid], "frame-attributes": {"Fog": "no"}}]
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": frames}})
    (row,) = rows["parsed_annotation"]
    assert (row["task_type"], row["shape"], row["frame"], row["width_px"]) == (
        "point_cloud_object_tracking",
        "cuboid",
        "0.bin",
        None,
    )
    assert rows["parsed_frame"][0]["attributes"] == [("fog", "no")]


def test_linked_lidar_and_camera(tmp_path):
    frames = {"tracking-annotations": [{"annotations": [BOX], "frame-no": "0", "frame": "0.jpg"}]}
    rows = stage(tmp_path, {SEQUENCE: {"lidar": frames, "camera-0": frames}})
    assert [each["source"].rpartition("#")[2] for each in rows["parsed_frame"]] == ["lidar", "camera-0"]
    assert len({each["document"] for each in rows["parsed_annotation"]}) == 2
    assert rows["parsed_task"][0]["annotation_count"] == 2


def test_attribute_values_of_any_kind_become_text(tmp_path):
    found = {"Moving": True, "Count": 3, "Share": 0.5, "Tags": ["a"], "Nothing": None, "moving": "twice"}
    frames = [
        {"annotations": [{**BOX, "label-category-attributes": found}], "frame-no": "0", "frame-attributes": {"N": 4}}
    ]
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": frames}})
    assert dict(rows["parsed_annotation"][0]["attributes"]) == {
        "count": "3",
        "moving": "true",
        "moving_2": "twice",
        "nothing": "null",
        "share": "0.5",
        "tags": '["a"]',
    }
    assert dict(rows["parsed_frame"][0]["attributes"]) == {"n": "4"}


@pytest.mark.parametrize(
    ("frames", "reason", "kept"),
    [
        (["nonsense", {"annotations": [BOX], "frame-no": "0"}], "not a frame", 1),
        ([{"annotations": [BOX], "frame": "a"}], "frame without number", 1),
        ([{"annotations": [BOX], "frame-no": "1"}, {"annotations": [BOX], "frame-no": 1}], "frame number twice", 2),
        ([{"annotations": [BOX, 5], "frame-no": "0"}], "not an annotation", 1),
        ([{"annotations": [{**BOX, "left": "far"}], "frame-no": "0"}], "not a number", 1),
    ],
)
def test_damage_in_a_sequence_costs_no_more_than_itself(tmp_path, frames, reason, kept):
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": frames}})
    assert reasons(rows) == [reason]
    assert len(rows["parsed_annotation"]) == kept
    ids = [(each["document"], each["frame_no"], each["position"]) for each in rows["parsed_annotation"]]
    assert len(set(ids)) == len(ids)


def test_a_box_without_a_side_is_kept_as_custom(tmp_path):
    short = {key: value for key, value in BOX.items() if key != "width"}
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": [{"annotations": [BOX, short], "frame-no": "0"}]}})
    assert annotations(rows) == [("Vehicle", "box"), ("Vehicle", "custom")]


def test_a_side_beyond_exact_doubles_is_kept(tmp_path):
    box = {**BOX, "left": 2**53 + 1, "top": "1e999"}
    rows = stage(tmp_path, {SEQUENCE: {"tracking-annotations": [{"annotations": [box], "frame-no": "0"}]}})
    assert rows["parsed_annotation"][0]["left_px"] == float(2**53 + 1)
    assert rows["parsed_annotation"][0]["top_px"] is None
    assert reasons(rows) == ["not a number"]


def test_labels_without_class_ids_are_told_apart(tmp_path):
    shapes = [{key: BOX[key] for key in ("left", "top", "width", "height")} | {"label": label} for label in ("a", "b")]
    rows = stage(tmp_path, {SEQUENCE: {"detection-annotations": [{"annotations": shapes, "frame-no": 0}]}})
    assert annotations(rows) == [("a", "box"), ("b", "box")]


def test_a_json_that_is_no_sequence(tmp_path):
    assert reasons(stage(tmp_path, {SEQUENCE: {"frames": []}})) == ["not a sequence"]


# --- answers --------------------------------------------------------------------------------------------------------


def answer(content, **more):
    return {"answerContent": content, "submissionTime": "2026-09-01T10:00:00Z", "workerId": "w1", **more}


def test_every_answer_of_every_worker(tmp_path):
    said = [
        answer({"crowd-image-classifier": {"label": label}}, workerId=f"w{n}")
        for n, label in enumerate(("A", "B", "A"))
    ]
    rows = stage(tmp_path, {RESPONSE: {"answers": said}})
    assert [(each["worker_id"], each["label"], each["label_count"]) for each in rows["parsed_answer"]] == [
        ("w0", "A", 1),
        ("w1", "B", 1),
        ("w2", "A", 1),
    ]
    assert {each["provider"] for each in rows["parsed_answer"]} == {"public"}
    assert {each["seconds"] for each in rows["parsed_answer"]} == {None}


def test_private_answers_tell_times_and_identity(tmp_path):
    identity = {"identityData": {"identityProviderType": "Oidc", "issuer": "https://i", "sub": "s"}}
    more = {"acceptanceTime": "2026-09-01T11:59:00+02:00", "timeSpentInSeconds": "40.543", "workerMetadata": identity}
    (row,) = stage(tmp_path, {RESPONSE: {"answers": [answer({"x": 1}, **more)]}})["parsed_answer"]
    assert (row["provider"], row["sub"], row["issuer"], row["seconds"]) == ("Oidc", "s", "https://i", 40.543)
    assert row["accepted_at"] == datetime(2026, 9, 1, 9, 59, tzinfo=UTC)


def test_time_spent_is_computed_when_it_is_missing(tmp_path):
    (row,) = stage(tmp_path, {RESPONSE: {"answers": [answer({}, acceptanceTime="2026-09-01T09:58:30Z")]}})[
        "parsed_answer"
    ]
    assert row["seconds"] == 90


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ({"boundingBox": {"boundingBoxes": [{}, {}], "inputImageProperties": {}}}, 2),
        ({"annotations": {"boundingBoxes": [{}]}}, 1),
        ({"crowd-entity-annotation": {"entities": [{}, {}, {}]}}, 3),
        (
            {
                "crowd-semantic-segmentation": {
                    "labelMappings": {"a": {}, "b": {}},
                    "labeledImage": {"pngImageData": "A" * 999},
                }
            },
            2,
        ),
        ({"crowd-image-classifier-multi-select": {"labels": []}}, 0),
        ({"plate": "AB"}, None),
        ('{"crowd-classifier":{"label":"x"}}', 1),
        ("free text", None),
        ([1], None),
    ],
)
def test_labels_in_an_answer(tmp_path, content, labels):
    (row,) = stage(tmp_path, {RESPONSE: {"answers": [answer(content)]}})["parsed_answer"]
    assert row["label_count"] == labels
    assert "AAAA" not in row["content"]


def test_frames_of_a_tracking_answer(tmp_path):
    folder = RESPONSE.rpartition("/")[0]
    data = {"entries": ["frame_0001.jpeg.json", "frame_0002.jpeg.json"], "s3Prefix": f"s3://b/{folder}/ab12/"}
    frame = {
        "trackingAnnotations": {"frameNumber": 1, "boundingBoxes": [{}, {}], "polylines": [{}], "frameAttributes": {}}
    }
    clouds = [{"frameName": "x", "boundingCuboids": [{}]}]
    rows = stage(
        tmp_path,
        {
            RESPONSE: {"answers": [answer({"trackingAnnotations": {"frameData": data}})]},
            f"{folder}/ab12/frame_0001.jpeg.json": frame,
            f"{folder}/ab12/frame_0002.jpeg.json": clouds,
        },
    )
    (row,) = rows["parsed_answer"]
    assert (row["frame_count"], row["folder"], row["framed"]) == (2, "ab12", "trackingAnnotations")
    assert [each["label_count"] for each in rows["parsed_worker_frame"]] == [3, 1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty object"),
        (b" \n", "empty object"),
        (b'{"answers":[{"acc', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"7", "unexpected JSON"),
        (b"{}", "no answers"),
        (b'{"answers":[]}', "no answers"),
        (b'{"answers":[{"workerId":"w"}]}', "not an answer"),
    ],
)
def test_a_damaged_response_is_rejected(tmp_path, body, reason):
    rows = stage(tmp_path, {RESPONSE: body})
    assert [(each["reason"], each["bytes"]) for each in rows["parsed_rejected"]] == [(reason, len(body))]


def test_an_answer_submitted_before_it_was_accepted_counts_without_its_time(tmp_path):
    answer = {
        "workerId": "w",
        "acceptanceTime": "2026-09-01T11:00:00Z",
        "submissionTime": "2026-09-01T10:00:00Z",
        "answerContent": {"crowd-image-classifier": {"label": "A"}},
    }
    rows = stage(tmp_path, {RESPONSE: json.dumps({"answers": [answer]}).encode()})
    assert [each["seconds"] for each in rows["parsed_answer"]] == [None]
    assert [each["reason"] for each in rows["parsed_rejected"]] == ["not a time"]


@pytest.mark.parametrize("name", ["acceptanceTime", "submissionTime"])
def test_a_time_that_is_none_is_told_and_the_answer_kept(tmp_path, name):
    answer = {"workerId": "w", name: "yesterday", "answerContent": {"crowd-image-classifier": {"label": "A"}}}
    rows = stage(tmp_path, {RESPONSE: json.dumps({"answers": [answer]}).encode()})
    assert len(rows["parsed_answer"]) == 1
    assert [each["reason"] for each in rows["parsed_rejected"]] == ["not a time"]
    assert name in rows["parsed_rejected"][0]["detail"]


# --- any bytes ------------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([
    "height", "width", "top", "left", "tracking-annotations", "annotations", "frame-no", "lidar", "polylines",
    "label-category-attributes", "frame-attributes", "center-x", "answers", "answerContent", "workerId",
    "workerMetadata", "identityData", "trackingAnnotations", "frameData", "entries", "timeSpentInSeconds",
    "submissionTime", "source-ref", "birds", "birds-metadata", "type", "class-map", "internal-color-map",
    "creation-date", "class-id", "object-id", "object-name",
])  # fmt: skip
DOCUMENTS = st.recursive(
    JSON_VALUES
    | st.sampled_from(
        ["groundtruth/object-detection", "groundtruth/text-span", "groundtruth/semantic-segmentation", "1"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=40,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    body=st.binary(max_size=40) | DOCUMENTS.map(lambda each: json.dumps(each).encode()),
    key=st.sampled_from([MANIFEST, SEQUENCE, RESPONSE]),
)
def test_any_document_is_parsed_or_rejected(tmp_path_factory, body, key):
    rows = stage(tmp_path_factory.mktemp("any"), {key: body})
    assert any(rows.values()), "a document left no trace"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides=st.fixed_dictionaries(dict.fromkeys(BOX, JSON_VALUES)), number=JSON_VALUES, attributes=JSON_VALUES)
def test_any_values_in_a_box_leave_one_annotation(tmp_path_factory, sides, number, attributes):
    shape = {**sides, "label-category-attributes": attributes}
    document = {
        "tracking-annotations": [{"annotations": [shape, BOX], "frame-no": number, "frame-attributes": attributes}]
    }
    rows = stage(tmp_path_factory.mktemp("any"), {SEQUENCE: json.dumps(document)})
    assert len(rows["parsed_annotation"]) == 2 or reasons(rows) == ["not JSON"]


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kind", "job_name", "modality"),
    [
        (
            "VideoObjectTracking/b-first_level-x/output/x/manifests/output/output.manifest",
            Kind.MANIFEST,
            "b-first_level-x",
            "VideoObjectTracking",
        ),
        (
            "p/VideoObjectTrackingAudit/b-second_level-x/output/x/annotations/worker-response/iteration-3/7/t.json",
            Kind.RESPONSE,
            "b-second_level-x",
            "VideoObjectTrackingAudit",
        ),
        ("team/output/x/annotations/worker-response/iteration-1/7/ab/frame_0001.jpeg.json", Kind.WORKER_FRAME, "x", ""),
        ("x/annotations/consolidated-annotation/output/12/SeqLabel.json", Kind.SEQUENCE, "x", ""),
        ("x/annotations/consolidated-annotation/consolidation-request/iteration-1/t.json", Kind.WORKINGS, "", ""),
        ("x/annotations/intermediate/1/annotations.json", Kind.WORKINGS, "", ""),
        ("x/manifests/intermediate/1/output.manifest", Kind.WORKINGS, "", ""),
        ("x/processed/data.manifest", Kind.INPUT, "x", ""),
        ("x/processed/other", Kind.WORKINGS, "", ""),
        ("x/training/model.tar.gz", Kind.WORKINGS, "", ""),
        ("x/worker-response/iteration-1/7/t.json", Kind.RESPONSE, "x", ""),
        ("x/output.manifest", Kind.MANIFEST, "x", ""),
        ("x/SeqLabel.json", Kind.SEQUENCE, "x", ""),
        ("SeqLabel.json", Kind.SEQUENCE, "root", ""),
        ("doc.output.manifest", Kind.MANIFEST, "doc", ""),
        ("x/", Kind.WORKINGS, "", ""),
        ("x_$folder$", Kind.WORKINGS, "", ""),
        ("x/true_labels.json", Kind.GOLD, "x", ""),
        ("y/gold/x.jsonl", Kind.GOLD, "x", ""),
        ("gold/x.json", Kind.FOREIGN, "gold", ""),
        ("label_category_input/x/category-file.json", Kind.CATEGORIES, "x", ""),
        ("x/annotation-tool/data.json", Kind.CATEGORIES, "x", ""),
        ("x/annotation-tool/template.liquid", Kind.WORKINGS, "", ""),
    ],
)
def test_place_of_a_key(key, kind, job_name, modality):
    place = place_of(key, "root")
    assert (place.kind, place.job_name, place.modality) == (kind, job_name, modality)


def test_a_second_copy_of_an_output_is_a_duplicate(tmp_path):
    sequence = {"tracking-annotations": [{"annotations": [BOX], "frame-no": "0"}]}
    rows = stage(tmp_path, {SEQUENCE: sequence, f"copy/{SEQUENCE}": sequence})
    assert len(rows["parsed_annotation"]) == 1
    assert reasons(rows) == ["duplicate"]
