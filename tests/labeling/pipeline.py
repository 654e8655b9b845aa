"""Runs the labeling job as Glue does, a process with arguments, and reads what it published."""

import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import sqlglot

from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES
from sextant.labeling.views import VIEWS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "glue_scripts" / "labeling" / "label_reports.py"
SHIM = ROOT / "localaws" / "engines" / "glue" / "sparkless"
HIVE_TO_DUCKDB = {"string": "VARCHAR", "map<string,string>": "MAP(VARCHAR, VARCHAR)"}


def start_job(source, target, *, pool="", settings=(), python=sys.executable, path=(SHIM, ROOT), **environment):
    """The job's process, on the DuckDB engine unless another python and path are given.

    `settings` are further arguments of the job.
    """
    arguments = ["--INPUT_PATH", f"{source}/", "--OUTPUT_PATH", f"{target}/", "--USER_POOL_ID", pool, *settings]
    return subprocess.Popen(
        [str(python), str(SCRIPT), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_job(source, target, **options):
    """Runs the job to its end and returns what it printed."""
    process = start_job(source, target, **options)
    out, err = process.communicate(timeout=1500)  # a hung job must not hang the suite; Spark on a busy machine is slow
    assert process.returncode == 0, f"ended with {process.returncode}: {err[-4000:]}"
    return out


def published(target):
    """The published files, by path below the target; what a killed run staged there is not published."""
    found = (each.relative_to(target) for each in Path(target).rglob("*") if each.is_file())
    return sorted(each.as_posix() for each in found if each.parts[0] != "_staging")


def rows(target, table):
    """All rows of a published table as dicts."""
    return [row for each in sorted((Path(target) / "labels" / table).glob("*.parquet")) for row in read(each)]


def read(path):
    """The rows of a Parquet file; the lines of a manifest or label file of a directed audit."""
    return pq.ParquetFile(path).read().to_pylist() if path.suffix == ".parquet" else path.read_text().splitlines()


def catalog(target):
    """A database with the typed tables and those of the analytics, as the stack declares them, and the report views."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in (*TABLES, *INSIGHT_TABLES):
        columns = ", ".join(
            f"CAST({each.name} AS {HIVE_TO_DUCKDB.get(each.type, each.type)}) AS {each.name}" for each in table.columns
        )
        files = f"{target}/labels/{table.name}/*.parquet"
        connection.execute(f"CREATE VIEW {table.name} AS SELECT {columns} FROM read_parquet('{files}')")
    for view in VIEWS:
        (statement,) = sqlglot.transpile(view.sql, read="athena", write="duckdb")
        connection.execute(f"CREATE VIEW {view.name} AS {statement}")
    return connection


def report(connection, view):
    """A report's rows in the form of the truth file: days and instants as text, sorted."""
    found = connection.execute(f"SELECT * FROM {view}").fetchall()
    return sorted(([shown(value) for value in row] for row in found), key=lambda row: [str(each) for each in row])


def shown(value):
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return str(value) if isinstance(value, date) else value


def same(found, expected):
    """Compares two lists of rows exactly, numbers with a fraction to 9 digits."""
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine) == len(theirs)
        for value, wanted in zip(mine, theirs, strict=True):
            if isinstance(wanted, float) and isinstance(value, float):
                assert abs(value - wanted) <= 1e-9 * max(1.0, abs(wanted)), (mine, theirs)
            else:
                assert value == wanted, (mine, theirs)
