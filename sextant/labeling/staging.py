"""Staged rows: what the parser hands to the SQL of the Glue job, as Parquet files, one per chunk of objects and table.

The schemas are `Table`s like those of `tables.py`, with the names that the SQL texts read (`parsed_…`). `Sheet` gathers
rows by column. Values that hold for a whole document (its job, its source) are kept once with a count and written as a
dictionary, and equal attribute maps are built once (their JSON text stands for them): so a row costs microseconds.
"""

from __future__ import annotations

import json
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sextant.labeling.tables import Column, Table, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAP = "map<string,string>"
NO_ATTRIBUTES = "[]"


def _table(name: str, doc: str, columns: str) -> Table:
    """A staged table from `name type` pairs, as Spark DDL writes them."""
    pairs = [each.split() for each in columns.split("; ")]
    return Table(name, doc, tuple(Column(column, kind, "") for column, kind in pairs), ())


_JOB = "job_name string; modality string; task_type string"

PARSED_ANSWER = _table(
    "parsed_answer",
    "One answer of a worker response; `place` is its object and position, `folder` that of its per-frame files.",
    "answer_id string; place string; job_name string; object_id string; iteration int; worker_id string; sub string; "
    "provider string; issuer string; accepted_at timestamp; submitted_at timestamp; seconds double; "
    "label_count bigint; frame_count bigint; label string; content string; framed string; entries array<string>; "
    "s3_prefix string; folder string; width_px double; height_px double; source string",
)
PARSED_WORKER_FRAME = _table(
    "parsed_worker_frame",
    "Labels in one per-frame file of an answer.",
    "job_name string; object_id string; folder string; frame string; label_count bigint; source string",
)
PARSED_ANSWER_ANNOTATION = _table(
    "parsed_answer_annotation",
    "One label of an answer; `document` is the answer's `place`, or the `source` of its per-frame file.",
    "document string; frame_no int; frame string; position int; instance_id string; instance_name string; "
    "label string; shape string; left_px double; top_px double; width_px double; height_px double; geometry string; "
    f"attributes {MAP}",
)
PARSED_TASK = _table(
    "parsed_task",
    "One manifest line and label attribute.",
    f"{_JOB}; object_id string; source_ref string; label_attribute string; status string; reason string; "
    "adjusted boolean; label string; confidence double; annotation_count bigint; frame_count bigint; audited boolean; "
    "created_at timestamp",
)
PARSED_ANNOTATION = _table(
    "parsed_annotation",
    "One consolidated annotation; `document` and `position` make its id.",
    f"document string; {_JOB}; object_id string; source_ref string; frame_no int; position int; frame string; "
    "instance_id string; instance_name string; label string; shape string; left_px double; top_px double; "
    f"width_px double; height_px double; geometry string; attributes {MAP}; confidence double; human boolean; "
    "created_at timestamp; source string",
)
PARSED_FRAME = _table(
    "parsed_frame",
    "One labeled frame.",
    f"{_JOB}; object_id string; source_ref string; frame_no int; frame string; width_px double; height_px double; "
    f"label_count bigint; attributes {MAP}; created_at timestamp; source string",
)
PARSED_LABEL_TALLY = _table(
    "parsed_label_tally",
    "Part of label_count: one chunk's share. `values_key` is the attributes as text, for Spark cannot group by a map.",
    f"{_JOB}; label string; values_key string; attributes {MAP}; created_on date; annotation_count bigint; "
    "frame_count bigint; instance_count bigint",
)
PARSED_ATTRIBUTE_TALLY = _table(
    "parsed_attribute_tally",
    "Part of attribute_count: one chunk's share.",
    f"{_JOB}; label string; attribute string; value string; created_on date; annotation_count bigint; "
    "frame_count bigint; instance_count bigint",
)
PARSED_FRAME_TALLY = _table(
    "parsed_frame_tally",
    "Part of frame_count: one chunk's share.",
    f"{_JOB}; label_count bigint; values_key string; attributes {MAP}; created_on date; frame_count bigint",
)
PARSED_GOLD = _table(
    "parsed_gold",
    "A right label; `named_by` (object_id, source_ref, or stem: the file's name without suffix) tells what `name` is.",
    "job_name string; named_by string; name string; label string; source string; bytes bigint",
)
PARSED_CATEGORY = _table(
    "parsed_category",
    "One label, attribute or value that a job allows.",
    "job_name string; kind string; label string; name string; value string; source string",
)
PARSED_INPUT = _table(
    "parsed_input",
    "Data objects of a job's input manifest.",
    "job_name string; object_count bigint; source string",
)
PARSED_REJECTED = _table(
    "parsed_rejected",
    "Input that could not be used.",
    "source string; reason string; detail string; bytes bigint",
)
REFERENCE = _table(
    "reference",
    "A manifest line that points to a sequence file, for the parser of that file.",
    f"{_JOB}; object_id string; source_ref string; target string; class_map string; human boolean; "
    "created_at timestamp",
)
FACT = _table(
    "fact",
    "What one kind of object tells about its job; the lowest rank is believed.",
    "job_name string; rank int; task_type string; modality string; label_attribute string",
)
CHAIN = _table(
    "chain",
    "Labels that a job's manifest lines carry from another job; `job` and `base` are Ground Truth's names of both.",
    "job_name string; job string; base_attribute string; base string",
)

STAGED = (
    PARSED_ANSWER,
    PARSED_WORKER_FRAME,
    PARSED_ANSWER_ANNOTATION,
    PARSED_TASK,
    PARSED_ANNOTATION,
    PARSED_FRAME,
    PARSED_LABEL_TALLY,
    PARSED_ATTRIBUTE_TALLY,
    PARSED_FRAME_TALLY,
    PARSED_GOLD,
    PARSED_CATEGORY,
    PARSED_INPUT,
    PARSED_REJECTED,
)
"""The staged tables that the SQL texts read."""

ROWS_PER_GROUP = 65_536

_REPEATING = frozenset(
    {"document", "job_name", "modality", "task_type", "object_id", "source_ref", "frame", "label", "shape", "source"}
    | {"instance_id", "instance_name"}
)
"""String columns with few values: they stay dictionaries from the parser to the file."""


class Sheet:
    """Rows of one staged table on their way to one Parquet file. The file appears with the first row.

    `add` takes one row; `extend` many of one document, where a column's value is a list, one per row, or a scalar for
    all. One sheet is filled by one of them. A map is given as text: a JSON list of its (name, value) pairs, sorted by
    name.
    """

    def __init__(self, table: Table, path: Path) -> None:
        self.table = table
        self.path = path
        self.rows = 0
        self._schema = arrow_schema(table)
        self._counts: list[int] = []
        self._segments: list[tuple[Any, ...]] = []
        self._settled = 0
        self._pending = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, *values: Any) -> None:
        """One row, in the order of the columns; no value may be a list, except of an array column's."""
        self._counts.append(1)
        self._segments.append(values)

    def extend(self, count: int, values: tuple[Any, ...]) -> None:
        """`count` rows of one document."""
        self._counts.append(count)
        self._segments.append(values)

    def settle(self) -> None:
        """Keeps the rows since the last settling; nothing else writes them to the file before it is closed."""
        settled = len(self._counts)
        if settled > self._settled:
            self._pending += sum(self._counts[self._settled :])
            self._settled = settled
            if self._pending >= ROWS_PER_GROUP:
                self._flush()

    def take_back(self) -> None:
        """Drops the rows since the last settling."""
        del self._counts[self._settled :], self._segments[self._settled :]

    def close(self) -> None:
        """Writes what is pending; does nothing when there never was a row."""
        self.settle()
        if self._pending:
            self._flush()
        if self._writer:
            self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._segments, strict=True)
        arrays = [self._array(field, values) for field, values in zip(self._schema, columns, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, names=self._schema.names)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.path, batch.schema, compression="snappy", store_schema=False, write_statistics=False
            )
        self._writer.write_batch(batch)
        self.rows += self._pending
        self._counts.clear()
        self._segments.clear()
        self._settled = 0
        self._pending = 0

    def _array(self, field: pa.Field[Any], values: Sequence[Any]) -> pa.Array[Any]:
        counts = self._counts
        # Whoever extends a sheet gives the same columns as lists every time.
        if isinstance(values[0], list) and not pa.types.is_list(field.type):
            values, counts = list(chain.from_iterable(values)), list[int]()
        repeated = len(values) < self._pending
        if field.name in _REPEATING or pa.types.is_map(field.type):
            return _distinct(field.type, values, counts if repeated else [])
        built: pa.Array[Any] = pa.array(values, field.type)
        return built.take(_index(range(len(values)), counts)) if repeated else built


def _distinct(kind: pa.DataType, values: Sequence[Any], counts: list[int]) -> pa.Array[Any]:
    """The values, each as often as its count says (once without counts); equal ones are built once."""
    if pa.types.is_map(kind):
        # The texts are long, but few objects stand for all: their hashes are known.
        places: dict[str, int] = {}
        index = _index([places.setdefault(each, len(places)) for each in values], counts)
        return pa.array([[(name, value) for name, value in json.loads(each)] for each in places], kind).take(index)
    encoded = pa.array(values, pa.string()).dictionary_encode()
    if not counts:
        return encoded
    return pa.DictionaryArray.from_arrays(encoded.indices.take(_index(range(len(values)), counts)), encoded.dictionary)


def _index(places: Sequence[int], counts: list[int]) -> pa.Array[Any]:
    """Places as an Arrow array, each as often as its count says."""
    index = array("i", places)
    if counts:
        index = array("i")
        for place, count in zip(places, counts, strict=True):
            index.extend(array("i", (place,)) * count)
    return pa.Array.from_buffers(pa.int32(), len(index), [None, pa.py_buffer(index)])
