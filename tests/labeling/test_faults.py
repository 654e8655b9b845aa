"""Input that is broken, missing, doubled or huge, and a job that dies: nothing is lost, and the rest is reported."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samples.labeling import generate
from samples.labeling.scale import write_answers, write_manifest
from sextant import storage
from sextant.labeling import etl
from sextant.labeling.tables import TABLES
from tests.labeling import faults
from tests.labeling.pipeline import ROOT, SHIM, catalog, published, read, report, rows, run_job, same, start_job
from tests.labeling.staged import parse, stage

RESPONSE = "jobs/x/annotations/worker-response/iteration-1/0/2026-09-01_10:00:00.json"


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    return folder / "batch_manifests", generate(folder, 7)


def everything(target):
    """What is published, by name; the manifests of directed audits tell the place themselves."""
    return {
        name: sorted(repr(each).replace(str(target), "") for each in read(target / name)) for name in published(target)
    }


@pytest.mark.parametrize(
    "wait_for",
    ["_staging/*/parsed_answer/others-*.parquet", "_staging/*/made_task/*.parquet", "labels/answer/*.parquet"],
)
def test_killed_anywhere_and_run_again_gives_the_same(batch, tmp_path, wait_for):
    source, _ = batch
    target = tmp_path / "killed"
    process = start_job(source, target)
    while process.poll() is None and not list(target.glob(wait_for)):
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    run_job(source, target)
    run_job(source, tmp_path / "whole")
    assert everything(target) == everything(tmp_path / "whole")


def test_a_larger_run_killed_in_publication_is_mended(tmp_path):
    """Wherever publication stops: after every move in turn, over what an earlier run had published."""
    made, target = tmp_path / "made", tmp_path / "out"
    for killed_after in range(4):
        shutil.rmtree(target, ignore_errors=True)
        for folder, names in ((target, "abcd"), (made, "xyz")):
            folder.mkdir(exist_ok=True)
            for number, name in enumerate(names):
                (folder / (f"part-{number:05d}.parquet" if folder == target else f"{name}.parquet")).write_text(name)
        moves = iter([storage.move] * killed_after)
        with pytest.MonkeyPatch.context() as patch, suppress(StopIteration):
            patch.setattr(storage, "move", lambda one, other, moves=moves: next(moves)(one, other))
            etl.publish(str(made), str(target))
        for name in "xyz":  # the next run makes them again
            (made / f"{name}.parquet").write_text(name)
        assert etl.publish(str(made), str(target)) == 3
        assert [(target / name).read_text() for name in published(target)] == list("xyz")


def test_a_terminated_publication_is_mended(batch, tmp_path):
    source, _ = batch
    run_job(source, tmp_path)
    whole = everything(tmp_path)
    (tmp_path / "labels" / "answer" / "part-00000.parquet").unlink()
    (tmp_path / "labels" / "task" / "part-00001.parquet").write_bytes(b"from a larger run")
    run_job(source, tmp_path)
    assert everything(tmp_path) == whole


def test_runs_do_not_share_their_staging(tmp_path):
    chunk = "parsed_answer/others-000009.parquet"
    for run, age in (("alive", 0), ("dead", 2 * 86_400)):
        path = tmp_path / "_staging" / run / chunk
        path.parent.mkdir(parents=True)
        path.write_bytes(b"of another run")
        os.utime(path, (time.time() - age,) * 2)
    mine, other = etl.staging_of(str(tmp_path)), etl.staging_of(str(tmp_path))
    assert mine != other
    assert [each.name for each in (tmp_path / "_staging").iterdir()] == ["alive"]
    stage(tmp_path, {RESPONSE: {"answers": []}})
    run_job(tmp_path / "in", tmp_path)
    assert (tmp_path / "_staging" / "alive" / chunk).exists()
    assert rows(tmp_path, "answer") == []


def test_an_object_that_cannot_be_deleted_is_told(monkeypatch):
    class Stubborn:
        def get_paginator(self, _):
            return self

        def paginate(self, **_):
            found = {"Key": "p/a", "Size": 1, "ETag": "", "LastModified": datetime(2026, 9, 1, tzinfo=UTC)}
            return [{"Contents": [found]}]

        def delete_objects(self, **_):
            return {"Errors": [{"Key": "p/a", "Code": "AccessDenied", "Message": "no"}]}

    monkeypatch.setattr(storage, "_s3", Stubborn)
    with pytest.raises(OSError, match="p/a: AccessDenied"):
        storage.remove_below("s3://b/p")


def test_the_same_answer_written_again_is_one_answer(batch, tmp_path):
    source, truth = batch
    copy = tmp_path / "in"
    shutil.copytree(source, copy)
    for path in list(copy.rglob("worker-response/iteration-1/*/*.json")):
        shutil.copyfile(path, path.with_name("2030-01-01_00:00:00.json"))
    run_job(copy, tmp_path / "out")
    assert len(rows(tmp_path / "out", "answer")) == truth.tables["answer"]
    same(report(catalog(tmp_path / "out"), "report_team"), truth.reports["report_team"])


def test_an_answer_given_twice_by_a_worker_with_another_content_is_two(tmp_path):
    said = {"submissionTime": "2026-09-01T10:00:00Z", "workerId": "w"}
    answers = [{**said, "answerContent": {"crowd-classifier": {"label": label}}} for label in "ABB"]
    stage(tmp_path, {RESPONSE: {"answers": answers}})
    run_job(tmp_path / "in", tmp_path / "out")
    assert sorted(each["label"] for each in rows(tmp_path / "out", "answer")) == ["A", "B"]
    assert [each["status"] for each in rows(tmp_path / "out", "task")] == ["answered"]


def test_the_same_answer_in_another_iteration_is_another_answer(tmp_path):
    said = {"answers": [{"workerId": "w", "answerContent": {"crowd-classifier": {"label": "A"}}}]}
    stage(tmp_path, {RESPONSE: said, RESPONSE.replace("iteration-1", "iteration-2"): said})
    run_job(tmp_path / "in", tmp_path / "out")
    assert sorted(each["iteration"] for each in rows(tmp_path / "out", "answer")) == [1, 2]


def team(name, picture, *, answer="A"):
    """A job `cats` of one team."""
    metadata = {"type": "groundtruth/image-classification", "job-name": "labeling-job/cats", "class-name": name}
    said = {"submissionTime": "2026-09-01T10:00:00Z", "workerId": name, "answerContent": {"c": {"label": answer}}}
    return {
        f"{name}/cats/manifests/output/output.manifest": {"source-ref": picture, "cats": 1, "cats-metadata": metadata},
        f"{name}/cats/annotations/worker-response/iteration-1/0/{name}.json": {"answers": [said]},
    }


def test_two_jobs_whose_folders_have_one_name_stay_two(tmp_path):
    copy = {f"backup/{key}": body for key, body in team("teamB", "s3://b/2.jpg").items()}
    found = stage(tmp_path, {**team("teamA", "s3://b/1.jpg"), **team("teamB", "s3://b/2.jpg"), **copy})
    tasks = sorted((each["job_name"], each["source_ref"]) for each in found["parsed_task"])
    # Of the copies, the first in order names the job.
    assert tasks == [("backup/teamB/cats", "s3://b/2.jpg"), ("teamA/cats", "s3://b/1.jpg")]
    answers = {(each["job_name"], each["worker_id"]) for each in found["parsed_answer"]}
    assert answers == {("backup/teamB/cats", "teamB"), ("teamA/cats", "teamA")}
    assert [(each["source"].partition("/")[0], each["reason"]) for each in found["parsed_rejected"]] == [
        ("teamB", "duplicate")
    ]


def test_a_job_in_progress_beside_another_of_its_name_is_its_own(tmp_path):
    started = {key: body for key, body in team("teamB", "").items() if "worker-response" in key}
    found = stage(tmp_path, {**team("teamA", "s3://b/1.jpg"), **started})
    assert sorted(each["job_name"] for each in found["parsed_answer"]) == ["teamA/cats", "teamB/cats"]
    assert [each["job_name"] for each in found["parsed_task"]] == ["teamA/cats"]


def test_a_second_manifest_in_one_folder_is_no_duplicate(tmp_path):
    found = stage(tmp_path, {"x/a.output.manifest": '{"a":1}', "x/b.output.manifest": '{"b":1}'})
    assert "second manifest" in [each["reason"] for each in found["parsed_rejected"]]


def test_objects_deleted_between_list_and_read(tmp_path, monkeypatch):
    manifest = "jobs/y/manifests/output/output.manifest"
    stage(tmp_path, {RESPONSE: {"answers": []}, manifest: "{}"})
    listed = storage.entries(f"{tmp_path}/in/")
    monkeypatch.setattr(storage, "entries", lambda root: listed if root.endswith("in/") else [])
    for key in (RESPONSE, manifest):
        (tmp_path / "in" / key).unlink()
    found = parse(tmp_path / "in", tmp_path / "staging")["parsed_rejected"]
    assert sorted((each["source"], each["reason"]) for each in found) == [(RESPONSE, "gone"), (manifest, "gone")]


def test_an_empty_input_gives_empty_tables(tmp_path):
    (tmp_path / "in").mkdir()
    run_job(tmp_path / "in", tmp_path / "out")
    connection = catalog(tmp_path / "out")
    assert report(connection, "report_tasks") == []
    assert report(connection, "report_team") == [[0, 0, 0, 0, 0, None, None, None]]


def test_an_input_that_is_not_there_is_named(tmp_path):
    process = start_job(tmp_path / "nowhere", tmp_path / "out")
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "nowhere" in err


def test_ten_thousand_small_files(tmp_path):
    write_answers(tmp_path / "in", 10_000)
    run_job(tmp_path / "in" / "batch_manifests", tmp_path / "out")
    ((answers, frames, jobs),) = (
        catalog(tmp_path / "out")
        .execute("SELECT count(*), sum(frame_count), count(DISTINCT job_name) FROM answer")
        .fetchall()
    )
    assert (answers, frames, jobs) == (10_000, 300_000, 20)
    assert published(tmp_path / "out/labels/answer") == ["part-00000.parquet"]


@pytest.mark.parametrize("size", [30 << 20, pytest.param(1 << 30, marks=pytest.mark.slow)])
def test_a_long_manifest_in_bounded_memory(tmp_path, size):
    lines = write_manifest(tmp_path / "in" / "bird" / "output.manifest", size)
    program = (
        "import pyarrow as pa\n"
        "from pathlib import Path\n"
        "from sextant.labeling import etl\n"
        f"found = etl.survey({str(tmp_path / 'in')!r} + '/')\n"
        f"batch = pa.RecordBatch.from_pydict({{'work': etl.manifest_work(found, {str(tmp_path / 'out')!r})}})\n"
        "rows = {n: r for each in etl.parse(iter([batch])) for n, r in zip(*each.to_pydict().values())}\n"
        # Not ru_maxrss: Linux gives a child that of the process which started it.
        "status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(rows['parsed_task'], status['VmHWM'].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    parsed, peak = map(int, done.stdout.split())
    assert parsed == lines
    assert peak < 700 << 10, f"{peak >> 10} MiB for a manifest of {size >> 20} MiB"


def test_a_line_without_end_is_cut_and_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "LONGEST_LINE", 2 << 20)
    manifest = tmp_path / "m"
    manifest.write_bytes(b'{"a":"' + b"x" * (5 << 20) + b'"}\n{"b":1}')
    first, second = storage.lines(str(manifest))
    assert len(first) < 5 << 20
    assert second == b'{"b":1}'


def without_orjson(folder):
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "orjson.py").write_text("raise ImportError('not in this environment')\n")
    return (blocked, SHIM, ROOT)


def test_without_orjson_the_result_is_the_same(batch, tmp_path):
    source, _ = batch
    run_job(source, tmp_path / "fast")
    run_job(source, tmp_path / "slow", path=without_orjson(tmp_path))
    fast, slow = everything(tmp_path / "fast"), everything(tmp_path / "slow")
    rejected = "labels/rejected/part-00000.parquet"  # tells a parser's own words
    assert len(fast.pop(rejected)) == len(slow.pop(rejected))
    assert fast == slow


def test_no_content_ends_a_run_with_or_without_orjson(tmp_path):
    faults.write(tmp_path / "in")
    results = []
    for name, options in (("fast", {}), ("slow", {"path": without_orjson(tmp_path)})):
        run_job(tmp_path / "in", tmp_path / name, **options)
        results.append({table.name: rows(tmp_path / name, table.name) for table in TABLES})
        for row in results[-1]["rejected"]:
            del row["detail"]  # a parser's own words
        results[-1] = {table: sorted(map(repr, found)) for table, found in results[-1].items()}
    assert results[0] == results[1]
    rejected = {(each["source"].rpartition("/")[2], each["reason"]) for each in rows(tmp_path / "fast", "rejected")}
    assert {("t.json", "unusable"), ("t.json", "not JSON"), ("t.json#1", "not a time")} <= rejected
    assert {("output.manifest#2", "unusable"), ("output.manifest#3", "unusable")} <= rejected
    assert {("output.manifest#4", "not JSON"), ("output.manifest#5", "not JSON")} <= rejected
    answers = {each["object_id"] for each in rows(tmp_path / "fast", "answer")}
    assert answers == {"good", "first-hour", "first-day", "long", "small", "zero"}
    assert {each["object_id"] for each in rows(tmp_path / "fast", "task") if each["job_name"] == "z"} == {"0", "1", "6"}
    assert [each["object_id"] for each in rows(tmp_path / "fast", "annotation") if each["job_name"] == "y"] == ["good"]
    counted = sum(each["annotation_count"] for each in rows(tmp_path / "fast", "label_count"))
    assert counted == len(rows(tmp_path / "fast", "annotation"))


@given(depth=st.integers(200, 320), key=st.sampled_from(["x", "answerContent", "label-category-attributes", "birds"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_depth_is_kept_or_rejected_whole(tmp_path_factory, depth, key):
    deep = json.loads("[" * depth + "]" * depth)
    box = {"class-id": 0, "height": 1, "width": 1, "top": 1, "left": 1, key: deep}
    frames = {"tracking-annotations": [{"frame-no": 0, "annotations": [box]}]}
    kept = {"submissionTime": "2026-09-01T10:00:00Z", "workerId": "w", "answerContent": 1}
    found = stage(
        tmp_path_factory.mktemp("deep"),
        {
            RESPONSE: {"answers": [kept, {**kept, "workerId": "v", key: deep}]},
            "jobs/x/annotations/consolidated-annotation/output/0/SeqLabel.json": frames,
        },
    )
    rejected = {each["source"].rpartition("/")[2] for each in found["parsed_rejected"]}
    assert len(found["parsed_answer"]) == (0 if RESPONSE.rpartition("/")[2] in rejected else 2)
    whole = 0 if "SeqLabel.json" in rejected else 1
    assert [len(found[name]) for name in ("parsed_annotation", "parsed_frame", "parsed_task")] == [whole] * 3
    assert sum(each["annotation_count"] for each in found["parsed_label_tally"]) == whole
    assert sum(each["frame_count"] for each in found["parsed_frame_tally"]) == whole
