"""Gold labels, label categories and input manifests; the labels inside answers; which job builds on which."""

import json

import pytest

from tests.labeling.pipeline import rows, run_job
from tests.labeling.staged import manifest, parse, stage


def line(number, attribute="boxes", job="job", **others):
    """A manifest line of an image with one box."""
    metadata = {"type": "groundtruth/object-detection", "class-map": {"0": "Stop"}, "job-name": f"labeling-job/{job}"}
    label = {"image_size": [{"width": 640, "height": 400, "depth": 3}], "annotations": [box(class_id=0)]}
    reference = f"s3://b/images/sign-{number}.v1.png"
    return {"source-ref": reference, attribute: label, f"{attribute}-metadata": metadata, **others}


def box(**others):
    return {"left": 1, "top": 2, "width": 3, "height": 4, **others}


def response(*contents, worker="w"):
    time = "2026-01-01T00:00:00Z"
    return {
        "answers": [
            {"answerContent": each, "workerId": f"{worker}{n}", "submissionTime": time}
            for n, each in enumerate(contents)
        ]
    }


def published(tmp_path, objects):
    stage(tmp_path, objects)
    run_job(tmp_path / "in", tmp_path / "out")
    return lambda table: rows(tmp_path / "out", table)


RESPONSES = "annotations/worker-response/iteration-1"
OUTPUT = "manifests/output/output.manifest"


def test_gold_labels_find_their_data_object_by_id_reference_or_file_name(tmp_path):
    gold = manifest(
        {"object-id": "0", "label": "Stop"},
        {"source-ref": "s3://b/images/sign-1.v1.png", "label": ["Stop", "Speed"]},
        {"object-id": 0, "label": "Stop"},
        {"object-id": "9", "label": "Stop"},
        {"label": "Stop"},
        {"object-id": "1"},
        "no json",
    )
    table = published(
        tmp_path,
        {
            f"job/{OUTPUT}": manifest(line(0), line(1), line(2)),
            "gold/job.jsonl": gold,
            "job/true_labels.json": [{"ImageId": "sign-2.v1", "Label": "Yield"}, {"ImageId": "x", "Label": "Yield"}, 5],
            "gold/nobody.jsonl": gold,
        },
    )
    found = sorted((each["job_name"], each["object_id"], each["label"], each["source"]) for each in table("gold_label"))
    assert found == [
        ("job", "0", "Stop", "gold/job.jsonl#0"),
        ("job", "1", "Speed", "gold/job.jsonl#1"),
        ("job", "1", "Stop", "gold/job.jsonl#1"),
        ("job", "2", "Yield", "job/true_labels.json#0"),
    ]
    assert sorted((each["source"], each["reason"]) for each in table("rejected")) == [
        ("gold/job.jsonl#3", "gold label of an unknown data object"),
        ("gold/job.jsonl#4", "not a gold label"),
        ("gold/job.jsonl#5", "not a gold label"),
        ("gold/job.jsonl#6", "not JSON"),
        ("gold/nobody.jsonl", "gold labels of an unknown job"),
        ("job/true_labels.json#1", "gold label of an unknown data object"),
        ("job/true_labels.json#2", "not a gold label"),
    ]


def test_gold_labels_of_a_name_that_several_jobs_have_are_of_none(tmp_path):
    staged = stage(
        tmp_path,
        {
            f"VideoObjectTracking/x-first_level-job/output/job/{OUTPUT}": manifest(line(0)),
            f"VideoObjectTracking/y-first_level-job/output/job/{OUTPUT}": manifest(line(0)),
            "gold/job.jsonl": manifest({"object-id": "0", "label": "a"}),
            "gold/x-first_level-job.jsonl": manifest({"object-id": "0", "label": "b"}),
        },
    )
    assert [(each["job_name"], each["label"]) for each in staged["parsed_gold"]] == [("x-first_level-job", "b")]
    (rejected,) = [each for each in staged["parsed_rejected"] if each["source"].startswith("gold")]
    assert (rejected["source"], rejected["reason"]) == ("gold/job.jsonl", "gold labels of several jobs")


CATEGORIES = {
    "document-version": "2020-07-01",
    "frameAttributes": [{"name": "Quality", "enum": ["Good", "Bad"]}, {"name": "Count", "type": "number"}],
    "categoryGlobalAttributes": [{"name": "Occluded", "enum": ["yes"]}],
    "labels": [
        {"label": "Car", "attributes": [{"name": "Color", "type": "string", "enum": ["red", 3]}]},
        {"label": "Van", "categoryAttributes": [{"name": "color", "enum": ["red"]}]},
        {"name": "no label"},
    ],
}


@pytest.mark.parametrize(
    "key", ["job/annotation-tool/data.json", "label_category_input/job/category-file.json", "job/label-categories.json"]
)
def test_categories_of_a_configuration(tmp_path, key):
    staged = stage(tmp_path, {f"job/{RESPONSES}/0/a.json": response({"x": {"label": "Car"}}), key: CATEGORIES})
    found = {(each["kind"], each["label"], each["name"], each["value"]) for each in staged["parsed_category"]}
    assert found == {
        ("label", "Car", None, None),
        ("label", "Van", None, None),
        ("label_attribute", "Car", "color", "red"),
        ("label_attribute", "Car", "color", "3"),
        ("label_attribute", "Van", "color", "red"),
        ("label_attribute", None, "occluded", "yes"),
        ("frame_attribute", None, "quality", "Good"),
        ("frame_attribute", None, "quality", "Bad"),
        ("frame_attribute", None, "count", None),
    }
    assert {(each["job_name"], each["source"]) for each in staged["parsed_category"]} == {("job", key)}
    assert [each["reason"] for each in staged["parsed_rejected"]] == ["not a label category"]


def test_class_maps_are_categories_too_and_configurations_are_believed_first(tmp_path):
    job = {f"job/{OUTPUT}": manifest(line(0), line(1)), "job/label-categories.json": {"labels": [{"label": "Stop"}]}}
    table = published(tmp_path, {**job, f"other/{OUTPUT}": manifest(line(0))})
    assert sorted((each["job_name"], each["label"], each["source"]) for each in table("category")) == [
        ("job", "Stop", "job/label-categories.json"),
        ("other", "Stop", f"other/{OUTPUT}#0"),
    ]


def test_categories_of_the_batch_workflows_own_folder(tmp_path):
    """Another root: it has those of every batch, also of jobs that are not in the input."""
    stage(tmp_path, {f"job/{OUTPUT}": manifest(line(0))})
    for job in ("job", "elsewhere"):
        path = tmp_path / "label_category_input" / job / "category-file.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"labels": [{"label": job}]}))
    staged = parse(tmp_path / "in", tmp_path / "again", tmp_path / "label_category_input")
    assert [(each["label"], each["source"]) for each in staged["parsed_category"]] == [
        ("Stop", f"job/{OUTPUT}#0"),
        ("job", "label_category_input/job/category-file.json"),
    ]
    assert staged["parsed_rejected"] == []


def test_the_size_of_the_input(tmp_path):
    data = manifest(*({"source-ref": f"s3://b/{n}.png"} for n in range(3))) + "\n"
    table = published(tmp_path, {f"job/{OUTPUT}": manifest(line(0)), "job/processed/data.manifest": data})
    assert [(each["input_count"], each["task_count"]) for each in table("job")] == [(3, 1)]


def test_labels_inside_answers(tmp_path):
    image = {
        "boundingBoxes": [box(label="a"), box(label="b", left="7")],
        "inputImageProperties": {"width": 9, "height": 8},
    }
    mask = {"labelMappings": {"road": {"color": "#ff0000"}}, "labeledImage": {"pngImageData": "AAAA"}}
    spans = {"entities": [{"label": "p", "startOffset": 3, "endOffset": 5}]}
    contents = ({"boundingBox": image}, {"m": mask}, {"t": spans}, {"c": {"labels": ["x", "y"]}}, {"c": {"label": "z"}})
    table = published(tmp_path, {f"job/{RESPONSES}/0/a.json": response(*contents)})
    found = sorted(
        (each["username"], each["position"], each["shape"], each["label"], each["left_px"], each["geometry"])
        for each in table("answer_annotation")
    )
    assert found == [
        ("w0", 0, "box", "a", 1.0, None),
        ("w0", 1, "box", "b", 7.0, None),
        ("w1", 0, "mask", "road", None, '{"color":"#ff0000"}'),
        ("w2", 0, "span", "p", None, '{"startOffset":3,"endOffset":5}'),
        ("w3", 0, "class", "x", None, None),
        ("w3", 1, "class", "y", None, None),
        ("w4", 0, "class", "z", None, None),
    ]
    answers = {each["answer_id"]: each["label_count"] for each in table("answer")}
    for answer_id, count in answers.items():
        assert sum(each["answer_id"] == answer_id for each in table("answer_annotation")) == count


def test_labels_of_per_frame_files_are_of_the_answer_that_names_their_folder(tmp_path):
    frame = {
        "frameNumber": 4,
        "frame": "f4.png",
        "boundingBoxes": [
            box(label="Car", objectId="o", objectName="Car:1", labelCategoryAttributes={"Moving": "yes"}),
            box(label="Van", left="x"),
        ],
        "polylines": [{"label": "Lane", "vertices": [{"x": 1, "y": 2}]}, "nothing"],
        "boundingCuboids": [{"label": "Truck", "centerX": 1.5}],
    }
    content = {
        "trackingAnnotations": {"frameData": {"entries": ["f4.json"], "s3Prefix": f"s3://b/job/{RESPONSES}/0/f/"}}
    }
    other = {"trackingAnnotations": {"frameData": {"entries": [], "s3Prefix": f"s3://b/job/{RESPONSES}/0/g/"}}}
    objects = {
        f"job/{RESPONSES}/0/a.json": response(content, other),
        f"job/{RESPONSES}/0/f/f4.json": {"trackingAnnotations": frame},
    }
    copied = {f"copy/{key}": body for key, body in objects.items()}
    table = published(tmp_path, {**objects, **copied})
    found = sorted(table("answer_annotation"), key=lambda each: each["position"])
    assert [(each["username"], each["frame_no"], each["frame"], each["shape"], each["label"]) for each in found] == [
        ("w0", 4, "f4.png", "box", "Car"),
        ("w0", 4, "f4.png", "box", "Van"),
        ("w0", 4, "f4.png", "polyline", "Lane"),
        ("w0", 4, "f4.png", "cuboid", "Truck"),
    ]
    assert (found[0]["instance_id"], found[0]["instance_name"]) == ("o", "Car:1")
    assert dict(found[0]["attributes"]) == {"moving": "yes"}
    assert found[1]["left_px"] is None
    assert json.loads(found[3]["geometry"]) == {"centerX": 1.5}
    assert {each["label_count"] for each in table("answer") if each["username"] == "w0"} == {4}
    assert {each["reason"] for each in table("rejected")} == {"not a number", "not an annotation"}


def test_the_size_of_an_image_is_the_manifests_else_the_answers(tmp_path):
    seen = {"boundingBox": {"boundingBoxes": [], "inputImageProperties": {"width": 9, "height": 8}}}
    sized = line(0)
    bare = line(1)
    del bare["boxes"]["image_size"]
    table = published(
        tmp_path,
        {
            f"job/{OUTPUT}": manifest(sized, bare),
            f"job/{RESPONSES}/0/a.json": response(seen),
            f"job/{RESPONSES}/1/a.json": response(seen),
        },
    )
    found = sorted((each["object_id"], each["width_px"], each["height_px"]) for each in table("frame"))
    assert found == [("0", 640.0, 400.0), ("1", 9.0, 8.0)]


def chained(number, *earlier, attribute, job):
    """A line that carries the labels of the jobs before."""
    record = line(number, attribute, job)
    for other, name in earlier:
        record |= {key: value for key, value in line(number, other, name).items() if key != "source-ref"}
    return record


def folder(batch, level, job):
    return f"VideoObjectTracking/{batch}-{level}_level-{job}/output/{job}/{OUTPUT}"


def test_base_jobs(tmp_path):
    objects = {}
    for batch in ("a", "b"):  # the same jobs with the same attributes, in two batches
        objects |= {
            folder(batch, "first", "car"): manifest(line(0, "car-ref", "car")),
            folder(batch, "first", "lane"): manifest(line(0, "lane-ref", "lane")),
            folder(batch, "second", "car-audit"): manifest(
                chained(0, ("car-ref", "CAR"), attribute="audit-ref", job="car-audit")
            ),
            folder(batch, "third", "car-review"): manifest(
                chained(0, ("car-ref", "car"), ("audit-ref", "car-audit"), attribute="review", job="car-review")
            ),
        }
    # Not yet consolidated: an answer is all there is.
    started = f"VideoObjectTracking/a-second_level-lane-check/output/lane-check/{RESPONSES}/0/a.json"
    objects |= {
        started: response({"x": {"label": "a"}}),
        f"signs/{OUTPUT}": manifest(line(0, "signs", "signs")),
        f"signs-adjusted/{OUTPUT}": manifest(chained(0, ("signs", "signs"), attribute="adj", job="signs-adjusted")),
        # Which of two batches, nobody can tell; and one whose labels come from elsewhere.
        f"loose/{OUTPUT}": manifest(chained(0, ("car-ref", "car"), attribute="loose", job="loose")),
        f"far/{OUTPUT}": manifest(chained(0, ("signs", "another"), attribute="far", job="far")),
    }
    table = published(tmp_path, objects)
    assert {each["job_name"]: (each["batch"], each["base_job"]) for each in table("job")} == {
        "a-first_level-car": ("a", None),
        "a-first_level-lane": ("a", None),
        "a-second_level-car-audit": ("a", "a-first_level-car"),
        "a-second_level-lane-check": ("a", "a-first_level-lane"),
        "a-third_level-car-review": ("a", "a-second_level-car-audit"),
        "b-first_level-car": ("b", None),
        "b-first_level-lane": ("b", None),
        "b-second_level-car-audit": ("b", "b-first_level-car"),
        "b-third_level-car-review": ("b", "b-second_level-car-audit"),
        "signs": ("signs", None),
        "signs-adjusted": ("signs-adjusted", "signs"),
        "loose": ("loose", None),
        "far": ("far", None),
    }
