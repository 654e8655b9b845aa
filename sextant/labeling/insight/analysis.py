"""Analyses: statistics that SQL cannot compute, done group by group in Python by the Glue job.

An analysis is a function over one `pa.Table`, all rows of one group, that returns rows of the tables of
`insight.tables`. Its SQL gathers what the function needs; the job sorts that by group and cuts it here. Where it runs
(one process at home, Spark's executors on AWS) makes no difference to the rows.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from functools import partial
from graphlib import TopologicalSorter
from hashlib import blake2b
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sextant import storage
from sextant.labeling.insight.tables import INSIGHT_TABLES, PARTS
from sextant.labeling.tables import Column, Table, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

    Rows = Sequence[Mapping[str, object]]
    Compute = Callable[[pa.Table], Mapping[str, Rows]]

FILES = Table(
    "files",
    "Text files that an analysis makes, published below `{OUTPUT_PATH}audits/`.",
    (
        Column("path", "string", "Relative to `audits/`: its parts are separated by `/`, none is empty or dots."),
        Column("body", "string", "The whole text."),
    ),
    key=("path",),
)

RUN_SCHEMA = "made string, rows bigint, failure string"
"""What `run` yields: for every table it staged its rows, for every group that failed an empty name and what failed."""

ROWS_PER_WRITE = 65_536


@dataclass(frozen=True)
class Analysis:
    """One analysis. `keys` and `order` are columns of its SQL; groups and their rows arrive sorted by both.

    The SQL is `glue_scripts/labeling/insight/{sql or name}.sql`: Spark SQL over the typed tables, the insight tables of
    other steps, and `settings` (one row: `label_reports.SETTINGS_SCHEMA`). One group must fit memory: a job, or a data
    object. Without keys everything is one group.

    `compute` names a function, `module:function` within this package: it is imported only where it runs. It takes one
    group and returns rows by table name, as dicts by column: a column that is missing, None or NaN is null. Rows named
    `files` (columns path and body) become text files. It must give the same rows for the same group: draw random
    numbers from a generator seeded with the key (`seed`). `writes` lists the tables it returns.
    """

    name: str
    keys: tuple[str, ...]
    order: tuple[str, ...]
    compute: str
    writes: tuple[str, ...]
    sql: str = ""

    @property
    def query(self) -> str:
        """Name of its SQL file below `glue_scripts/labeling/insight/`, without `.sql`."""
        return self.sql or self.name

    def function(self) -> Compute:
        """Imports the function.

        Raises:
            ImportError, AttributeError: there is none of that name.
        """
        module, _, name = self.compute.partition(":")
        function: Compute = getattr(import_module(f"sextant.labeling.insight.{module}"), name)
        return function


_SEQUENCE = ("kind", "submitted_at", "answer_id", "attribute", "value", "run_length")

_PLACE = ("data_object", "job_name", "kind", "frame_no", "row_id")
_LEVELS = ("adjustment", "adjustment_task", "audit_part", "first_pass_part", "adjustment_part")
_TRACKS = ("track", "track_issue")
_SHOWN = ("object_id", "kind", "place", "frame_no", "row_id")

_COMPARED = ("job_name", "kind", "bucket")
_SHAPES = ("compared", "worker", "answer_id", "frame_no", "position")
_SUMMED = ("metric", "object_id", "chance_set", "threshold", "worker", "other_worker", "label")
_QUALITY = ("worker_quality", "confusion", "consensus", "job_quality")

ANALYSES: tuple[Analysis, ...] = (
    # One entry a line, as `Analysis(name, keys, order, "module:function", writes)`.
    Analysis("choice_agreement", ("job_name",), ("object_id", "worker", "label"), "agreement:choices", ("agreement",)),
    Analysis("shape_comparison", _COMPARED, _SHAPES, "comparisons:comparisons", ("object_agreement",)),
    Analysis("level_comparison", _COMPARED, _SHAPES, "comparisons:comparisons", ("object_agreement",)),
    Analysis("shape_agreement", ("job_name",), _SUMMED, "agreement:summary", ("agreement",)),
    Analysis("quality", ("job_name",), ("object_id", "worker_id"), "quality:quality", _QUALITY),
    Analysis("levels", ("root_job", "bucket"), _PLACE, "audits:compare", _LEVELS),
    Analysis(
        "auditor_quality", ("modality",), ("auditor", "worker", "label"), "audits:reliability", ("auditor_quality",)
    ),
    Analysis("tracks", ("job_name", "bucket"), ("object_id", "kind", "frame_no", "row_id"), "tracks:inspect", _TRACKS),
    Analysis("directed_audit", ("job_name",), _SHOWN, "tracks:direct", ("directed_audit", "files")),
    Analysis(
        "pace", ("job_name",), ("worker_id", "submitted_at", "answer_id"), "pace:compute", ("pace", "answer_flag")
    ),
    Analysis("straight_lining", ("job_name",), _SEQUENCE, "straight_lining:compute", ("answer_flag",)),
    Analysis("drift", ("task_type", "subject"), ("scope", "item", "value"), "drift:compute", ("drift",)),
    Analysis("forecast", ("job_name",), ("kind", "hour"), "progress:compute", ("forecast", "future")),
    Analysis("cost", ("job_name",), ("kind", "username", "spent_on"), "cost:compute", ("cost",)),
)
"""Every analysis. One may read the tables of others: they run in the order that this asks for."""


def seed(*key: object) -> int:
    """A seed for `numpy.random.default_rng` that depends on the key alone: the same in every process and run."""
    text = "\x1f".join(map(str, key))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def groups(batches: Iterable[pa.RecordBatch], keys: Sequence[str]) -> Iterator[pa.Table]:
    """Cuts batches that are sorted by the keys into one table per group; nulls are one value."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        starts = _starts(batch, keys)
        if pending and _key(pending[-1], keys, -1) == _key(batch, keys, 0):
            starts = starts[1:]
        first = 0
        for start in starts:
            if start > first:
                pending.append(batch.slice(first, start - first))
            if pending:
                yield pa.Table.from_batches(pending)
            pending = []
            first = start
        pending.append(batch.slice(first))
    if pending:
        yield pa.Table.from_batches(pending)


def _starts(batch: pa.RecordBatch, keys: Sequence[str]) -> list[int]:
    """The rows of a batch where a group starts, the first included."""
    ends = [np.asarray(pc.call_function("run_end_encode", [batch.column(key)]).run_ends) for key in keys]
    inner = np.unique(np.concatenate(ends)) if ends else np.array([batch.num_rows])
    return [0, *(int(each) for each in inner[:-1])]


def _key(rows: pa.RecordBatch | pa.Table, keys: Sequence[str], row: int) -> tuple[object, ...]:
    return tuple(rows.column(key)[row].as_py() for key in keys)


def runner(analysis: Analysis, staging: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The analysis as a function for `mapInArrow`, which stages rows below `{staging}/insight_{table}/`."""
    return partial(run, analysis, staging)


def run(analysis: Analysis, staging: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Computes every group of sorted batches, stages the rows, and yields how many (`RUN_SCHEMA`).

    A group that fails is told and the next goes on, so that a run names every one of them. What is staged bears the
    name of the first group: a part of the work that is done twice overwrites itself.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        sheets = {name: _Sheet(insight_table(name), Path(folder)) for name in analysis.writes}
        chunk = ""
        for group in groups(batches, analysis.keys):
            key = _key(group, analysis.keys, 0)
            chunk = chunk or f"{analysis.name}-{seed(*key):016x}"
            try:
                _add(analysis, sheets, analysis.function()(group))
            except Exception as error:  # noqa: BLE001  whatever it is, the other groups go on and the run fails with it
                named = ", ".join(f"{name}={value!r}" for name, value in zip(analysis.keys, key, strict=True))
                failures.append(f"analysis {analysis.name}, group {named}: {_described(error)}")
        for name, sheet in sheets.items():
            if sheet.close():
                storage.upload(sheet.path, f"{staging}/insight_{name}/{chunk}.parquet")
    made = [(name, sheet.rows, None) for name, sheet in sheets.items()] + [("", 0, each) for each in failures]
    yield pa.RecordBatch.from_arrays(
        [
            pa.array([each[0] for each in made], pa.string()),
            pa.array([each[1] for each in made], pa.int64()),
            pa.array([each[2] for each in made], pa.string()),
        ],
        names=["made", "rows", "failure"],
    )


def _described(error: Exception) -> str:
    """The error with the place that raised it: the innermost line of this package."""
    place, trace = "", error.__traceback__
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.parent.name == "insight":
            place = f" ({path.name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


def insight_table(name: str) -> Table:
    """The table that an analysis writes by that name; KeyError when there is none."""
    for each in (*INSIGHT_TABLES, *PARTS, FILES):
        if each.name == name:
            return each
    raise KeyError(f"no insight table {name!r}: there are {', '.join(each.name for each in INSIGHT_TABLES)}, files")


def _add(analysis: Analysis, sheets: dict[str, _Sheet], made: Mapping[str, Rows]) -> None:
    """Rows of one group, all or none of them."""
    foreign = made.keys() - sheets.keys()
    if foreign:
        raise ValueError(f"rows of {', '.join(sorted(foreign))}, which {analysis.name} does not list in `writes`")
    batches = {name: sheets[name].batch(rows) for name, rows in made.items() if rows}
    for name, batch in batches.items():
        sheets[name].add(batch)


class _Sheet:
    """Rows of one table on their way to one Parquet file, which appears with the first row."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.path = folder / f"{table.name}.parquet"
        self.rows = 0
        self._table = table
        self._schema = arrow_schema(table)
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def batch(self, rows: Rows) -> pa.RecordBatch:
        """Rows as the table's columns."""
        unknown = {name for row in rows for name in row} - set(self._schema.names)
        if unknown:
            raise ValueError(f"table {self._table.name} has no column {', '.join(sorted(unknown))}")
        columns = []
        for field in self._schema:
            # Given the type at once, whole numbers would lose decimals without a word.
            kind = None if pa.types.is_integer(field.type) else field.type
            values: Any = [row.get(field.name) for row in rows]
            try:
                columns.append(pa.array(values, kind, from_pandas=True).cast(field.type))
            except (pa.ArrowException, OverflowError) as error:
                raise ValueError(f"{self._table.name}.{field.name}: {error}") from error
        if self._table is FILES:
            for path in columns[0].to_pylist():
                if not path or {"", ".", ".."} & set(path.split("/")):
                    raise ValueError(f"{path!r} is no path of a file below audits/")
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        if self._pending_rows >= ROWS_PER_WRITE:
            self._flush()

    def close(self) -> bool:
        """Whether there is a file."""
        self._flush()
        if self._writer:
            self._writer.close()
        return self._writer is not None

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, self._schema, compression="snappy", store_schema=False)
        self._writer.write_table(pa.Table.from_batches(self._pending).combine_chunks())
        self.rows += self._pending_rows
        self._pending.clear()
        self._pending_rows = 0


@dataclass(frozen=True)
class Step:
    """Something that makes insight tables: an analysis, or the SQL of one table alone."""

    name: str
    query: str
    writes: tuple[str, ...]
    analysis: Analysis | None = None


def steps(analyses: Sequence[Analysis] | None = None) -> list[Step]:
    """Everything that makes insight tables, each after what makes the tables that its SQL reads.

    A table that no analysis writes is made by `{table}.sql`, if there is one.

    Raises:
        graphlib.CycleError: two of them read each other's tables.
    """
    analyses = ANALYSES if analyses is None else analyses
    found = {each.name: Step(each.name, _query(each.query).read_text("utf-8"), each.writes, each) for each in analyses}
    written = {name for each in analyses for name in each.writes}
    for table in INSIGHT_TABLES:
        if table.name not in written and _query(table.name).is_file():
            found[f"{table.name}.sql"] = Step(f"{table.name}.sql", _query(table.name).read_text("utf-8"), (table.name,))
    makers: dict[str, list[str]] = {}
    for step in found.values():
        for name in step.writes:
            makers.setdefault(name, []).append(step.name)
    order = TopologicalSorter(
        {
            step.name: [maker for name in _READ.findall(_COMMENT.sub("", step.query)) for maker in makers.get(name, ())]
            for step in found.values()
        }
    )
    return [found[name] for name in order.static_order()]


_COMMENT = re.compile(r"--.*")
_READ = re.compile(r"\b(?:from|join)\s+(\w+)", re.IGNORECASE)


def _query(name: str) -> Traversable:
    return files("glue_scripts.labeling").joinpath("insight", f"{name}.sql")


def take_back(step: Step, staging: str) -> None:
    """Drops what a failed analysis staged: a table that lacks some groups would mislead, an empty one does not."""
    for table in step.writes:
        for entry in storage.entries(f"{staging}/insight_{table}"):
            if entry.key.rpartition("-")[0] == step.name:
                storage.remove(storage.joined(f"{staging}/insight_{table}", entry.key))
