"""Several labels of one data object, several answers of one person, answers with and without a time."""

import json

import pytest

from tests.labeling.pipeline import catalog, report, rows, run_job
from tests.labeling.staged import stage


def response(*answers):
    return {
        "answers": [
            {"submissionTime": f"2026-09-01T10:00:0{number}Z", "answerContent": {"c": {"label": "A"}}, **each}
            for number, each in enumerate(answers)
        ]
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    identity = {"identityData": {"identityProviderType": "Cognito", "issuer": "https://i", "sub": "a-sub"}}

    def metadata(name, confidence):
        kind = {"type": "groundtruth/image-classification", "job-name": "labeling-job/x", "creation-date": "2026-09-01"}
        return {**kind, "class-name": name, "confidence": confidence}

    line = {"source-ref": "s3://b/a.jpg", "color": 1, "color-metadata": metadata("Azure", 0.9)}
    line |= {"shape": 2, "shape-metadata": metadata("Zebra", 0.2)}
    answers = response({"workerId": "w", "workerMetadata": identity, "timeSpentInSeconds": 60}, {"workerId": "w"})
    folder_of = "x/annotations/worker-response/iteration-1/0/t.json"
    stage(folder, {"x/manifests/output/output.manifest": json.dumps(line), folder_of: answers})
    run_job(folder / "in", folder / "out")
    return folder / "out"


def test_a_class_has_its_own_confidence(published):
    (task,) = rows(published, "task")
    assert (task["label"], task["confidence"], task["annotation_count"]) == ("Azure", 0.9, 2)


def test_two_labels_of_an_image_are_in_one_frame(published):
    (frame,) = rows(published, "frame")
    assert (frame["frame"], frame["label_count"]) == ("a.jpg", 2)
    assert [each["frame_count"] for each in rows(published, "task")] == [1]
    assert [(each["label_count"], each["frame_count"]) for each in rows(published, "frame_count")] == [(2, 1)]


def test_a_worker_known_by_one_answer_is_one_person(published):
    ((*_, answers),) = [(each["username"], each["answer_count"]) for each in rows(published, "worker_count")]
    assert answers == 2
    (worker,) = rows(published, "worker")
    assert (worker["username"], worker["sub"], worker["provider"]) == ("a-sub", "a-sub", "Cognito")
    assert {each["username"] for each in rows(published, "answer")} == {"a-sub"}


def test_labels_per_hour_are_those_of_timed_answers(published):
    (team,) = report(catalog(published), "report_team")
    assert (team[4], team[-1]) == (2, 60.0)
