"""The real job of 302 images and five answers each, through the real job: its published numbers, to the digit."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.labeling.pipeline import ROOT, rows, run_job

DATA = Path(os.environ.get("SEXTANT_DATA", ROOT.parent / "shared" / "data")) / "groundtruth"
BIRDS = "image-classification-birds"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not (DATA / BIRDS).is_dir(), reason="no real data: give its folder as SEXTANT_DATA"),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    target = tmp_path_factory.mktemp("birds")
    run_job(DATA, target)
    return target


def of_birds(target, table, **wanted):
    return [
        each
        for each in rows(target, table)
        if each["job_name"] == BIRDS and all(each[name] == value for name, value in wanted.items())
    ]


def test_agreement_of_five_answers(real):
    """0.821496 by the library `krippendorff` 0.9, which is GPL and was run outside of the project."""
    (job,) = of_birds(real, "agreement", scope="job")
    assert job["value"] == pytest.approx(0.821496, abs=5e-7)
    assert job["lower"] < 0.80 < job["value"] < 0.84 < job["upper"]
    assert (job["object_count"], job["pair_count"]) == (302, 3020)
    by_label = {each["label"]: each["value"] for each in of_birds(real, "agreement", scope="label")}
    assert len(by_label) == 10
    assert min(by_label, key=by_label.get) == "Canary"
    assert max(by_label, key=by_label.get) == "Owl"


def test_accuracy_by_the_way_answers_are_consolidated(real):
    found = {each["measure"]: each for each in of_birds(real, "job_quality")}
    assert {name: round(each["value"], 4) for name, each in found.items() if name.endswith("accuracy")} == {
        "single_answer_accuracy": 0.8589,
        "majority_accuracy": 0.9007,
        "output_accuracy": 0.9007,
        "dawid_skene_accuracy": 0.8907,
    }
    assert all(each["lower"] < each["value"] < each["upper"] for each in found.values())
    assert found["worker_correlation"]["value"] >= 0.75
    assert found["worker_correlation"]["case_count"] == 40


def test_accuracy_predicted_without_gold_is_that_of_gold(real):
    predicted, true = (
        {each["worker_id"]: each for each in of_birds(real, "worker_quality", method=method)}
        for method in ("dawid-skene", "gold")
    )
    assert len(predicted) == len(true) == 97
    many = [worker for worker, each in true.items() if each["answer_count"] >= 10]
    assert len(many) == 40
    first, second = (np.array([each[worker]["accuracy"] for worker in many]) for each in (predicted, true))
    (told,) = of_birds(real, "job_quality", measure="worker_correlation")
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(told["value"])
    assert abs((first - second).mean()) < 0.04
    held = [predicted[each]["lower"] <= true[each]["accuracy"] <= predicted[each]["upper"] for each in many]
    # Real workers err together about one image (a duck that looks like a goose), which the model does not know.
    assert sum(held) >= 32


def test_confusions_and_consensus_add_up(real):
    gold = of_birds(real, "confusion", method="gold")
    wrong = {}
    for each in gold:
        if each["right_label"] != each["given_label"]:
            pair = each["right_label"], each["given_label"]
            wrong[pair] = wrong.get(pair, 0) + each["answer_count"]
    worst = sorted(wrong, key=wrong.get, reverse=True)[:3]
    assert [(*each, wrong[each]) for each in worst] == [
        ("Duck", "Goose", 48),
        ("Parrot", "Canary", 29),
        ("Duck", "Swan", 26),
    ]
    assert sum(each["answer_count"] for each in gold) == 1510
    expected = of_birds(real, "confusion", method="dawid-skene")
    assert sum(each["answer_count"] for each in expected) == pytest.approx(1510)
    consensus = of_birds(real, "consensus")
    assert len(consensus) == 302
    assert sum(each["majority_label"] == each["gold_label"] for each in consensus) == 272
    assert sum(each["label"] == each["gold_label"] for each in consensus) == 269
    assert all(0 < each["probability"] <= 1 and each["answer_count"] == 5 for each in consensus)
