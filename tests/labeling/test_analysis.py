"""Analyses: how rows are cut into groups, what becomes of theirs, and of those that fail."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.labeling import etl
from sextant.labeling.insight import analysis
from sextant.labeling.insight.analysis import Analysis
from sextant.labeling.insight.tables import INSIGHT_TABLES
from tests.labeling.pipeline import ROOT, SHIM, rows

KEYS = st.lists(st.tuples(st.sampled_from([None, "", "a", "ab", "b"]), st.integers(0, 2)), max_size=40)


@given(KEYS, st.lists(st.integers(0, 40), max_size=6))
def test_every_group_is_one_table_however_batches_are_cut(keys, cuts):
    keys = sorted(keys, key=lambda key: (key[0] is not None, key[0] or "", key[1]))
    whole = pa.RecordBatch.from_pydict(
        {
            "k": pa.array([key for key, _ in keys], pa.string()),
            "n": pa.array([number for _, number in keys], pa.int64()),
            "row": pa.array(range(len(keys)), pa.int64()),
        }
    )
    edges = sorted({0, len(keys), *(min(cut, len(keys)) for cut in cuts)})
    batches = [whole.slice(start, end - start) for start, end in pairwise(edges)]
    found = list(analysis.groups(batches, ("k", "n")))
    assert [row for group in found for row in group["row"].to_pylist()] == list(range(len(keys)))
    told = [set(zip(group["k"].to_pylist(), group["n"].to_pylist(), strict=True)) for group in found]
    assert [len(each) for each in told] == [1] * len(told)
    assert len(told) == len(set(keys))


def test_without_keys_everything_is_one_group():
    batch = pa.RecordBatch.from_pydict({"n": [1, 2]})
    assert [each.num_rows for each in analysis.groups([batch, batch], ())] == [4]
    assert list(analysis.groups([], ())) == []


def test_seeds_depend_on_the_key_alone():
    assert analysis.seed("job", 1) == analysis.seed("job", 1)
    assert len({analysis.seed("job", 1), analysis.seed("job", 2), analysis.seed("job1")}) == 3


def staged(folder, table):
    return [
        row for path in sorted(folder.glob(f"insight_{table}/*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def run(monkeypatch, folder, compute, writes=("agreement",), **columns):
    """One analysis by `job_name` over rows; what it yields."""
    made = Analysis("probe", ("job_name",), (), "probe:compute", writes)
    monkeypatch.setattr(Analysis, "function", lambda _: compute)
    return next(analysis.run(made, str(folder), iter([pa.RecordBatch.from_pydict(columns)]))).to_pylist()


def test_missing_columns_none_and_nan_are_null(monkeypatch, tmp_path):
    def compute(group):
        value = {"a": np.float64(0.5), "b": float("nan"), "c": None}[group["job_name"][0].as_py()]
        return {"agreement": [{"job_name": group["job_name"][0].as_py(), "value": value, "pair_count": np.int64(3)}]}

    told = run(monkeypatch, tmp_path, compute, job_name=["a", "b", "c"])
    assert told == [{"made": "agreement", "rows": 3, "failure": None}]
    found = staged(tmp_path, "agreement")
    assert [(each["job_name"], each["value"], each["pair_count"]) for each in found] == [
        ("a", 0.5, 3),
        ("b", None, 3),
        ("c", None, 3),
    ]
    assert {each["lower"] for each in found} == {None}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"agreement": [{"job": "a"}]}, "has no column job"),
        ({"agreement": [{"pair_count": 1.5}]}, "agreement.pair_count"),
        ({"pace": [{}]}, "rows of pace, which probe does not list"),
        ({"files": [{"path": "../x", "body": ""}]}, "no path of a file"),
        ({"files": [{"path": None, "body": ""}]}, "no path of a file"),
    ],
)
def test_wrong_rows_fail_their_group_by_name_and_no_other(monkeypatch, tmp_path, made, told):
    right = {"agreement": [{"job_name": "b"}]}
    compute = lambda group: made if group["job_name"][0].as_py() == "a" else right  # noqa: E731
    rows_made = run(monkeypatch, tmp_path, compute, ("agreement", "files"), job_name=["a", "a", "b"])
    assert [each["rows"] for each in rows_made] == [1, 0, 0]
    assert rows_made[-1]["failure"].startswith("analysis probe, group job_name='a': ValueError: ")
    assert told in rows_made[-1]["failure"]
    assert [each["job_name"] for each in staged(tmp_path, "agreement")] == ["b"]


def test_steps_come_after_what_they_read(monkeypatch, tmp_path):
    queries = {
        "late": "SELECT * FROM cost -- FROM drift\nJOIN pace ON true",
        "early": "SELECT 1",
        "cost": "FROM answer",
    }
    for name, text in queries.items():
        (tmp_path / f"{name}.sql").write_text(text)
    monkeypatch.setattr(analysis, "_query", lambda name: tmp_path / f"{name}.sql")
    late = Analysis("late", ("k",), (), "m:f", ("drift",))
    early = Analysis("early", ("k",), (), "m:f", ("pace",))
    order = [each.name for each in analysis.steps((late, early))]
    assert sorted(order) == ["cost.sql", "early", "late"]
    assert order[-1] == "late"


def test_every_analysis_is_there_and_writes_tables_that_exist():
    found = analysis.steps()
    assert len({each.name for each in found}) == len(found)
    for step in found:
        assert [analysis.insight_table(name).name for name in step.writes] == list(step.writes)
        if step.analysis:
            assert callable(step.analysis.function())
            assert "-" not in step.name


def test_files_are_published_and_what_is_no_longer_one_goes(tmp_path):
    folder = tmp_path / "insight_files"
    folder.mkdir()
    (tmp_path / "audits" / "old").mkdir(parents=True)
    (tmp_path / "audits" / "old" / "x.manifest").write_text("old")
    table = pa.table({"path": ["job/a.manifest"], "body": ["é\n"]})
    pq.write_table(table, folder / "probe-1.parquet")
    assert etl.publish_files(str(tmp_path), str(tmp_path / "audits")) == 1
    assert (tmp_path / "audits" / "job" / "a.manifest").read_text() == "é\n"
    assert not (tmp_path / "audits" / "old" / "x.manifest").exists()
    pq.write_table(table, folder / "probe-2.parquet")
    with pytest.raises(ValueError, match=r"two files job/a\.manifest"):
        etl.publish_files(str(tmp_path), str(tmp_path / "audits"))


PROBES = """
import pathlib, runpy, sys, types
from sextant.labeling.insight import analysis

def sound(group):
    job = group["job_name"][0].as_py()
    count = group.num_rows
    body = {"path": f"{job}.txt", "body": str(group["wage_usd_per_hour"][0].as_py())}
    return {"agreement": [{"job_name": job, "pair_count": count}], "files": [body]}

def broken(group):
    if group["job_name"][0].as_py().endswith("two"):
        raise ZeroDivisionError("no pairs")
    return {"drift": [{"item": group["job_name"][0].as_py()}]}

module = sys.modules["sextant.labeling.insight.probe"] = types.ModuleType("probe")
module.sound, module.broken = sound, broken
folder = pathlib.Path(sys.argv.pop(1))
analysis._query = lambda name: folder / f"{name}.sql"
analysis.ANALYSES = (
    analysis.Analysis("broken", ("job_name",), (), "probe:broken", ("drift",)),
    analysis.Analysis("sound", ("job_name",), ("object_id",), "probe:sound", ("agreement", "files")),
    analysis.Analysis("nonsense", (), (), "probe:sound", ("pace",)),
)
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_an_analysis_that_fails_loses_nothing_else(tmp_path):
    """Its table is empty, all others are published, and the run fails with the names of analysis and group."""
    for job in ("one", "two"):
        answer = {"answerContent": {"x": {"label": "a"}}, "workerId": "w", "submissionTime": "2026-01-01T00:00:00Z"}
        path = tmp_path / "in" / job / "annotations" / "worker-response" / "iteration-1" / "0" / "a.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"answers": [answer]}))
    queries = tmp_path / "queries"
    queries.mkdir()
    (queries / "sound.sql").write_text("SELECT a.*, s.wage_usd_per_hour FROM answer a CROSS JOIN settings s")
    (queries / "broken.sql").write_text("SELECT * FROM answer")
    (queries / "nonsense.sql").write_text("SELECT nothing FROM answer")
    columns = ", ".join(
        f"CAST({'job_name' if each.name == 'job_name' else 'pair_count' if each.name == 'answer_count' else 'NULL'} "
        f"AS {each.type}) AS {each.name}"
        for table in INSIGHT_TABLES
        if table.name == "progress"
        for each in table.columns
    )
    (queries / "progress.sql").write_text(f"SELECT {columns} FROM agreement")
    (queries / "cost.sql").write_text("SELECT job_name FROM job")
    job = ROOT / "glue_scripts" / "labeling" / "label_reports.py"
    arguments = ["--INPUT_PATH", f"{tmp_path}/in/", "--OUTPUT_PATH", f"{tmp_path}/out/"]
    done = subprocess.run(
        [sys.executable, "-c", PROBES, str(queries), str(job), *arguments, "--COST", '{"wage_usd_per_hour": 18.5}'],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SHIM, ROOT)))},
    )
    assert done.returncode == 1
    failures = done.stderr.rpartition("these failed")[2].splitlines()[1:]
    assert failures[0].startswith("analysis broken, group job_name='two': ZeroDivisionError: no pairs")
    for name in ("cost.sql: TypeError: ", "nonsense: AnalysisException: "):
        assert any(each.startswith(name) for each in failures)
    target = tmp_path / "out"
    assert len(rows(target, "answer")) == 2
    assert [(each["job_name"], each["pair_count"]) for each in rows(target, "agreement")] == [("one", 1), ("two", 1)]
    assert [(each["job_name"], each["answer_count"]) for each in rows(target, "progress")] == [("one", 1), ("two", 1)]
    assert (target / "audits" / "two.txt").read_text() == "18.5"
    for table in INSIGHT_TABLES:
        assert list((target / "labels" / table.name).glob("*.parquet")), table.name
    assert [rows(target, name) for name in ("drift", "pace", "cost")] == [[], [], []]
    assert not list((target / "_staging").rglob("*.parquet"))
