"""The whole job over a batch whose second level saw only some data objects, in another order, under other ids."""

import json
import shutil
from pathlib import Path

import pytest

from tests.labeling.pipeline import rows, run_job

FRAMES = 12
CLIPS = ("s3://clips/a.json", "s3://clips/b.json", "s3://clips/c.json", "s3://clips/b.json")
"""The sources of the first level; one is listed twice."""
MADE = ("ana", "bela", "ana", "chidi")
AUDITORS = ("hana", "emre", "hana")
METADATA = {"human-annotated": "yes", "class-map": {"0": "Car"}, "type": "groundtruth/video-object-tracking"}


def left(clip, number):
    """Where the car of a clip is; in the third clip it is set down wrongly once."""
    return 100 * clip + 3 * number + (300 if (clip, number) == (2, 7) else 0)


def sequence(clip, **audit):
    frames = []
    for number in range(FRAMES):
        verdict = {"audit": "Fail" if number in audit["failed"] else "Pass"} if audit else {}
        car = {
            "left": left(clip, number) + (4 if audit and number in audit["failed"] else 0),
            "top": 50,
            "width": 60,
            "height": 40,
            "class-id": "0",
            "object-id": f"car-{clip}",
            "object-name": "Car:1",
            "label-category-attributes": {"moving": "yes", **verdict},
        }
        frames.append({"annotations": [car], "frame-no": str(number), "frame": f"{number:04d}.jpg"})
    return {"tracking-annotations": frames}


def response(worker, seconds):
    identity = {"identityProviderType": "Cognito", "issuer": "https://issuer", "sub": f"sub-{worker}"}
    return {
        "answers": [
            {
                "acceptanceTime": "2026-09-01T08:00:00Z",
                "submissionTime": "2026-09-01T09:00:00Z",
                "timeSpentInSeconds": seconds,
                "workerId": f"id-{worker}",
                "workerMetadata": {"identityData": identity},
                "answerContent": {"trackingAnnotations": {"frameData": {"entries": [], "s3Prefix": ""}}},
            }
        ]
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    source = tmp_path_factory.mktemp("audited")
    files = {}
    roots = {
        "cars": "VideoObjectTracking/day-first_level-cars/output/cars",
        "cars-audit": "VideoObjectTrackingAudit/day-second_level-cars-audit/output/cars-audit",
    }

    def metadata(name, day):
        return {**METADATA, "job-name": f"labeling-job/{name}", "creation-date": f"2026-09-{day:02d}T10:00:00.000000"}

    def add(name, at, labels, worker, seconds):
        root = roots[name]
        files[f"{root}/annotations/consolidated-annotation/output/{at}/SeqLabel.json"] = labels
        folder = f"{root}/annotations/worker-response/iteration-1/{at}"
        files[f"{folder}/2026-09-01_09:00:00.json"] = response(worker, seconds)
        return f"s3://batches/batch_manifests/{root}/annotations/consolidated-annotation/output/{at}/SeqLabel.json"

    first = []
    for at, clip in enumerate(CLIPS):
        uri = add("cars", at, sequence(at), MADE[at], 100.0)
        first.append({"source-ref": clip, "cars-ref": uri, "cars-ref-metadata": metadata("cars", 1)})
    second = []
    # Of the source listed twice, the first place of the second level holds what its first place held before.
    for at, (clip, auditor) in enumerate(zip((1, 3, 0), AUDITORS, strict=True)):
        uri = add("cars-audit", at, sequence(clip, failed={0, 5} if clip == 1 else {clip}), auditor, 30.0)
        audited = {"cars-audit-ref": uri, "cars-audit-ref-metadata": metadata("cars-audit", 2)}
        second.append({**first[clip], **audited})
    for name, lines in (("cars", first), ("cars-audit", second)):
        files[f"{roots[name]}/manifests/output/output.manifest"] = "".join(f"{json.dumps(line)}\n" for line in lines)
    for key, body in files.items():
        path = source / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if isinstance(body, str) else json.dumps(body))
    return source


@pytest.fixture(scope="module")
def target(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    run_job(source, out)
    return out


def summed(listed, key, *counts):
    found = {}
    for row in listed:
        sums = found.setdefault(tuple(row[name] for name in key), [0] * len(counts))
        found[tuple(row[name] for name in key)] = [a + row[name] for a, name in zip(sums, counts, strict=True)]
    return found


def test_verdicts_reach_the_workers_of_the_same_sources(target):
    listed = [row for row in rows(target, "audit_count") if row["attribute"] == ""]
    assert summed(listed, ("audited_job", "worker", "auditor"), "audited_count", "passed_count") == {
        ("day-first_level-cars", "sub-bela", "sub-hana"): [12, 10],
        ("day-first_level-cars", "sub-chidi", "sub-emre"): [12, 11],
        ("day-first_level-cars", "sub-ana", "sub-hana"): [12, 11],
    }
    by_value = [row for row in rows(target, "audit_count") if row["attribute"] == "moving"]
    assert summed(by_value, ("value",), "audited_count") == {("yes",): [36]}


def test_only_what_the_second_level_saw_counts_for_the_first_pass(target):
    found = summed(rows(target, "first_pass"), ("job_name", "worker"), "label_count", "accepted_count")
    assert found == {
        ("day-first_level-cars", "sub-bela"): [12, 10],
        ("day-first_level-cars", "sub-chidi"): [12, 11],
        ("day-first_level-cars", "sub-ana"): [12, 11],
    }


def test_changes_are_found_under_other_ids(target):
    tasks = {row["object_id"]: row for row in rows(target, "adjustment_task")}
    columns = ("added", "removed", "moved", "relabelled", "attribute", "unchanged")
    assert {key: [row[f"{each}_count"] for each in columns] for key, row in tasks.items()} == {
        "0": [0, 0, 2, 0, 0, 10],
        "1": [0, 0, 1, 0, 0, 11],
        "2": [0, 0, 1, 0, 0, 11],
    }
    assert {row["seconds"] for row in tasks.values()} == {30.0}
    assert [row["source_ref"] for _, row in sorted(tasks.items())] == [CLIPS[1], CLIPS[3], CLIPS[0]]
    moved = rows(target, "adjustment")
    assert [row["iou"] for row in moved] == [pytest.approx(56 / 64)] * 4
    assert sorted((row["object_id"], row["frame_no"]) for row in moved) == [("0", 0), ("0", 5), ("1", 3), ("2", 0)]
    assert summed(rows(target, "adjustment_count"), ("change", "iou_from"), "label_count") == {
        ("moved", 0.8): [4],
        ("unchanged", 0.9): [32],
    }


def test_auditors(target):
    found = {row["auditor"]: row for row in rows(target, "auditor_quality")}
    assert {name: (row["audited_count"], row["passed_count"]) for name, row in found.items()} == {
        "sub-hana": (24, 21),
        "sub-emre": (12, 11),
    }


def test_a_jump_leads_to_an_audit_of_the_frames_around_it(target):
    issues = [row for row in rows(target, "track_issue") if row["job_name"] == "day-first_level-cars"]
    assert [(row["object_id"], row["issue"], row["frame_no"], row["worker"]) for row in issues] == [
        ("2", "jump", 7, "sub-ana"),
        ("2", "jump", 8, "sub-ana"),
    ]
    assert {row["worker"] for row in rows(target, "track") if row["job_name"].endswith("audit")} == {
        "sub-ana",
        "sub-bela",
        "sub-chidi",
    }
    (window,) = [row for row in rows(target, "directed_audit") if row["job_name"] == "day-first_level-cars"]
    assert (window["first_frame_no"], window["last_frame_no"]) == (4, 11)
    assert (window["frame_count"], window["sequence_frame_count"], window["issue_count"]) == (8, 12, 2)
    (line,) = (target / window["manifest"]).read_text().splitlines()
    document = json.loads(line)
    assert document["source-ref"] == f"{target}/audits/day-first_level-cars/2/4-11.json"
    assert document["cars-ref"] == f"{target}/audits/day-first_level-cars/2/4-11.labels.json"
    listed = json.loads(Path(document["source-ref"]).read_text())
    assert [each["frame-no"] for each in listed["frames"]] == list(range(4, 12))
    labels = json.loads(Path(document["cars-ref"]).read_text())["tracking-annotations"]
    assert [each["annotations"][0]["left"] for each in labels] == [left(2, number) for number in range(4, 12)]


def test_the_audit_of_a_directed_manifest_reaches_the_worker(source, target, tmp_path):
    """The manifest as the job wrote it, an audit's output over it as Ground Truth gives it, and the job again."""
    grown, out = tmp_path / "grown", tmp_path / "out"
    shutil.copytree(source, grown)
    (line,) = (target / "audits/day-first_level-cars/directed.manifest").read_text().splitlines()
    document = json.loads(line)
    labels = json.loads(Path(document["cars-ref"]).read_text())
    for frame in labels["tracking-annotations"]:
        (car,) = frame["annotations"]
        failed = int(frame["frame-no"]) == 7
        car["label-category-attributes"]["audit"] = "Fail" if failed else "Pass"
        car["left"] -= 300 if failed else 0
    job = grown / "VideoObjectTrackingAudit/day-second_level-cars-window/output/cars-window"
    key = "annotations/consolidated-annotation/output/0/SeqLabel.json"
    metadata = {**METADATA, "job-name": "labeling-job/cars-window", "creation-date": "2026-09-03T10:00:00.000000"}
    audited = {
        "cars-window-ref": f"s3://batches/batch_manifests/{job.relative_to(grown).as_posix()}/{key}",
        "cars-window-ref-metadata": metadata,
    }
    written = {
        key: json.dumps(labels),
        "annotations/worker-response/iteration-1/0/2026-09-03_09:00:00.json": json.dumps(response("ivo", 20.0)),
        "manifests/output/output.manifest": json.dumps({**document, **audited}) + "\n",
    }
    for path, text in written.items():
        (job / path).parent.mkdir(parents=True)
        (job / path).write_text(text)
    run_job(grown, out)
    name, base = "day-second_level-cars-window", "day-first_level-cars"
    verdicts = [row for row in rows(out, "audit_count") if row["job_name"] == name and row["attribute"] == ""]
    assert summed(verdicts, ("audited_job", "worker", "auditor"), "audited_count", "passed_count") == {
        (base, "sub-ana", "sub-ivo"): [8, 7]
    }
    (moved,) = [row for row in rows(out, "adjustment") if row["job_name"] == name]
    assert (moved["frame_no"], moved["change"], moved["worker"], moved["auditor"]) == (7, "moved", "sub-ana", "sub-ivo")
    # Nobody else saw the third clip. Four clips of 12 labels, of which the other audit fails four.
    first = summed(
        [row for row in rows(out, "first_pass") if row["audit_job"] == name], (), "label_count", "accepted_count"
    )
    assert first == {(): [8, 7]}
    (cost,) = [row for row in rows(out, "accepted_cost") if row["batch"] == "day"]
    assert (cost["label_count"], cost["accepted_count"]) == (48, 48 - 4 - 1)
