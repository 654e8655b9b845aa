"""The job over real Ground Truth output: every image, answer, worker, frame and box is there."""

import json
import os
from pathlib import Path

import pytest

from tests.labeling.pipeline import ROOT, catalog, rows, run_job

DATA = Path(os.environ.get("SEXTANT_DATA", ROOT.parent / "shared" / "data")) / "groundtruth"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA"),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    target = tmp_path_factory.mktemp("real")
    run_job(DATA, target)
    return target


def test_birds_are_complete(real):
    connection = catalog(real)
    birds = "job_name = 'image-classification-birds'"
    count = "SELECT count(*), count(DISTINCT worker_id), count(DISTINCT object_id) FROM answer WHERE"
    assert connection.execute(f"{count} {birds}").fetchone() == (1510, 97, 302)
    statement = f"SELECT count(*), min(answer_count), max(answer_count), sum(annotation_count) FROM task WHERE {birds}"
    assert connection.execute(statement).fetchone() == (302, 5, 5, 302)


def test_birds_answers_are_those_of_the_files(real):
    found = sorted(
        (answer["workerId"], answer["submissionTime"], answer["answerContent"]["crowd-image-classifier"]["label"])
        for path in (DATA / "image-classification-birds" / "worker-response").rglob("*.json")
        for answer in json.loads(path.read_text())["answers"]
    )
    answers = rows(real, "answer")
    mine = sorted(
        (each["worker_id"], each["submitted_at"].strftime("%Y-%m-%dT%H:%M:%SZ"), each["label"]) for each in answers
    )
    assert mine == found


def test_answers_and_labels_are_of_the_same_objects(real):
    """Were they joined by a wrong object id, answers would agree with labels by chance only (10 classes)."""
    joined = "FROM answer a JOIN task t USING (job_name, object_id)"
    (agreed,) = catalog(real).execute(f"SELECT avg(CAST(a.label = t.label AS INTEGER)) {joined}").fetchone()
    assert agreed > 0.85


def test_the_track_is_complete(real):
    connection = catalog(real)
    of = "job_name = 'video-tracking-mot17-13'"
    statement = (
        "SELECT count(*), count(DISTINCT frame_no), count(DISTINCT instance_id), sum(left_px) FROM annotation WHERE"
    )
    document = json.loads((DATA / "video-tracking-mot17-13" / "SeqLabel.json").read_text())
    left = sum(box["left"] for frame in document["tracking-annotations"] for box in frame["annotations"])
    assert connection.execute(f"{statement} {of}").fetchone() == (890, 300, 3, left)
    assert connection.execute(f"SELECT count(*), sum(label_count) FROM frame WHERE {of}").fetchone() == (300, 890)


def test_nothing_is_dropped_but_what_is_no_output(real):
    assert {each["source"] for each in rows(real, "rejected")} <= {"image-classification-birds/true_labels.json"}
    assert len([each for each in rows(real, "task") if each["job_name"] == "doc-two-line"]) == 2
