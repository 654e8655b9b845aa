"""The sample itself: deterministic, consistent, and with every case where its truth says it is."""

import hashlib
import json
import tomllib
from collections import Counter
from itertools import pairwise

import pytest
import sqlglot
from sqlglot import exp

from samples.labeling import generate
from samples.labeling.demo import _equal_rows
from samples.labeling.questions import WAGE_USD, krippendorff
from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES
from tests.labeling.pipeline import ROOT


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    return folder, generate(folder)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(sample, tmp_path):
    folder, truth = sample
    assert generate(tmp_path / "again") == truth
    assert content(tmp_path / "again") == content(folder)


def test_another_seed_gives_another_world_with_as_many_cases(sample, tmp_path):
    folder, truth = sample
    other = generate(tmp_path / "other", seed=11)
    assert content(tmp_path / "other") != content(folder)
    assert [each.name for each in other.questions] == [each.name for each in truth.questions]


def asked(truth, name):
    return next(each.rows for each in truth.questions if each.name.startswith(name))


def test_audits_add_up_to_the_report_of_audits(sample):
    _, truth = sample
    rows = asked(truth, "audit passes, by worker")
    verdicts = Counter()
    for row in truth.reports["report_audit"]:
        verdicts[row[4]] += row[6]
    assert sum(row[3] for row in rows) == verdicts.total()
    assert sum(row[4] for row in rows) == verdicts["Pass"]
    assert sum(row[5] for row in rows) > 0, "somebody audits himself"


def test_accepted_labels_are_no_more_than_passed_ones(sample):
    _, truth = sample
    passed, accepted = Counter(), Counter()  # nobody changed a label before the second level
    for job, worker, _, _, count, _ in asked(truth, "audit passes, by worker"):
        if "-second_level-" in job:
            passed[job.partition("-second_level-")[0], job.endswith("lane-audit"), worker] += count
    for job, worker, _, count in asked(truth, "first-pass yield"):
        accepted[job.partition("-first_level-")[0], job.endswith("lane"), worker] += count
    assert accepted.keys() == passed.keys()
    assert all(accepted[key] <= passed[key] for key in passed)
    assert sum(accepted.values()) < sum(passed.values()), "some passed labels were changed all the same"


def sequences(folder, job):
    """Frames of a job's clips by object: {frame: {vehicle: annotation}}."""
    return {
        path.parent.name: {
            int(frame["frame-no"]): {each["object-name"]: each for each in frame["annotations"]}
            for frame in json.loads(path.read_text())["tracking-annotations"]
        }
        for path in (folder / "batch_manifests").glob(f"*/{job}/**/SeqLabel.json")
    }


def steps(clip, vehicle):
    """(frame, box before, box) of a vehicle."""
    track = [(number, boxes[vehicle]) for number, boxes in sorted(clip.items()) if vehicle in boxes]
    return [(number, before, box) for (_, before), (number, box) in pairwise(track)]


def test_every_placed_defect_is_in_the_files(sample):
    clips = sequences(sample[0], "tunnel-first_level-vehicle")
    assert {number for number, before, box in steps(clips["0"], "Vehicle:1") if box["left"] - before["left"] > 100} == {
        6
    }
    assert {number for number, before, box in steps(clips["1"], "Vehicle:2") if box["width"] != before["width"]} == {8}
    assert {number for number, boxes in clips["2"].items() if "Vehicle:3" not in boxes} == {5, 6, 7}
    still = {number for number, before, box in steps(clips["3"], "Vehicle:1") if box["left"] == before["left"]}
    assert still == set(range(5, 9))
    swapped = {number for number, before, box in steps(clips["4"], "Vehicle:1") if box["top"] != before["top"]}
    assert swapped == {7} == {n for n, before, box in steps(clips["4"], "Vehicle:2") if box["top"] != before["top"]}
    bare = {
        n for n, boxes in clips["5"].items() if "vehicle_type" not in boxes["Vehicle:2"]["label-category-attributes"]
    }
    assert bare == set(range(3, 8))
    assert 10 not in clips["6"]
    assert len(clips["6"]) == len(clips["0"]) - 1
    values = Counter(each["label-category-attributes"]["vehicle_type"] for each in boxes_of(clips["6"]))
    assert values["Truck"] == 1


def boxes_of(clip):
    return [box for boxes in clip.values() for box in boxes.values()]


def test_clean_clips_move_evenly(sample):
    clips = sequences(sample[0], "meadow-first_level-vehicle")
    assert len(clips) == 2
    for clip in clips.values():
        for vehicle in clip[0]:
            moves = {
                (box["left"] - before["left"], box["top"] - before["top"]) for _, before, box in steps(clip, vehicle)
            }
            assert len(moves) == 1
            assert len(steps(clip, vehicle)) == len(clip) - 1


def test_an_unfinished_job_has_answers_and_no_output(sample):
    folder, truth = sample
    for job, objects, begun, waiting in asked(truth, "unfinished jobs"):
        home = folder / "batch_manifests" / "ImageClassification" / job
        lines = (home / "processed" / "data.manifest").read_text().splitlines()
        answers = list((home / "output").rglob("worker-response/**/*.json"))
        assert (len(lines), len(answers)) == (objects, begun)
        assert waiting == objects - begun > 0
        assert not list((home / "output").rglob("output.manifest"))


def test_gold_labels_are_told_for_half_of_the_images(sample):
    folder, truth = sample
    lines = (folder / "batch_manifests" / "gold" / "signals.jsonl").read_text().splitlines()
    told = {each["object-id"]: each["label"] for each in map(json.loads, lines)}
    images = asked(truth, "majority and gold label")
    assert len(told) == len(images) / 2
    assert told == {row[0]: row[3] for row in images if row[3]}


def test_the_wage_is_that_of_the_local_environment():
    environment = tomllib.loads((ROOT / "environments" / "local.toml").read_text())
    assert environment["labeling"]["cost"]["wage_usd_per_hour"] == WAGE_USD


def test_krippendorffs_alpha_by_hand():
    """Coincidences of aa, ab, bb, bb: aa 2, ab and ba 1 each, bb 4. Observed 2/8, expected 2·3·5/(8·7)."""
    assert krippendorff(["aa", "ab", "bb", "bb"]) == pytest.approx(1 - (2 / 8) / (30 / 56))
    assert krippendorff(["aa", "bb"]) == 1


def test_a_surplus_row_is_as_wrong_as_a_missing_one():
    expected = [["a", 1], ["a", 1], ["b", None]]
    a, b = {"name": "a", "n": "1.0"}, {"name": "b", "n": None}
    assert _equal_rows([b, a, a], expected) == 3
    assert _equal_rows([b, a], expected) == 2
    assert _equal_rows([b, a, a, a], expected) == 2
    assert _equal_rows([], expected) == 0


def test_every_analytics_table_is_asked_and_no_other_name(sample):
    columns = {table.name: {each.name for each in table.columns} for table in (*TABLES, *INSIGHT_TABLES)}
    found = set()
    for question in sample[1].questions:
        statement = sqlglot.parse_one(question.sql, read="athena")
        tables = {each.name for each in statement.find_all(exp.Table)}
        found |= tables
        known = set().union(*(columns[name] for name in tables))
        given = {each.name for alias in statement.find_all(exp.TableAlias) for each in alias.columns}
        assert {each.name for each in statement.find_all(exp.Column)} <= known | given, question.name
    assert found == {table.name for table in INSIGHT_TABLES}
