# ruff: noqa: N802, N803, A002, S608  Spark's own camelCase names are the interface here; SQL is built from quoted names
"""DataFrameReader and DataFrameWriter."""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import re
import uuid
from typing import IO, TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import AnalysisException, PySparkException, PySparkValueError, unsupported  # noqa: TID252 - the shim must not depend on where it lies
from . import records, storage
from .dataframe import BATCH_ROWS, DataFrame, refuse_void
from .types import (
    DataType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
    arrow_schema,
    as_schema,
    from_arrow_schema,
    parse_schema,
    quoted,
    row_converter,
    to_arrow,
    to_duckdb,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .session import SparkSession
    from .storage import File

BINARY_FILE = parse_schema("path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY")
METADATA = parse_schema("file_path STRING, file_name STRING, file_size BIGINT, file_modification_time TIMESTAMP")
# What Hadoop's Path percent-encodes in `_metadata.file_path`.
UNSAFE_IN_URI = re.compile(r"[\x00-\x20\"#%<>?\[\]\\^`{|}\x7f]")
BATCH_BYTES = 16 << 20
LINE_CHUNK = 4 << 20

_COMMON = {
    "pathglobfilter",
    "recursivefilelookup",
    "ignoremissingfiles",
    "mode",
    "columnnameofcorruptrecord",
    "compression",
}
_OPTIONS = {
    "json": _COMMON | {"multiline", "linesep", "encoding", "primitivesasstring"},
    "csv": _COMMON
    | {
        "header",
        "sep",
        "delimiter",
        "quote",
        "escape",
        "nullvalue",
        "inferschema",
        "multiline",
        "encoding",
        "emptyvalue",
    },
    "text": _COMMON | {"wholetext", "linesep", "encoding"},
    "binaryfile": _COMMON,
    "parquet": _COMMON | {"mergeschema"},
}


class DataFrameReader:
    """`spark.read`."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._format = "parquet"
        self._schema: StructType | None = None
        self._options: dict[str, str] = {}

    def format(self, source: str) -> DataFrameReader:
        if source.lower() not in _OPTIONS:
            raise unsupported(f"The data source {source!r}", f"use one of {', '.join(sorted(_OPTIONS))}")
        self._format = source.lower()
        return self

    def schema(self, schema: str | StructType) -> DataFrameReader:
        self._schema = as_schema(schema)
        return self

    def option(self, key: str, value: Any) -> DataFrameReader:
        self._options[key.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def options(self, **options: Any) -> DataFrameReader:
        for key, value in options.items():
            if value is not None:
                self.option(key, value)
        return self

    def json(self, path: str | list[str], schema: str | StructType | None = None, **options: Any) -> DataFrame:
        return self.format("json").load(path, schema=schema, **options)

    def csv(self, path: str | list[str], schema: str | StructType | None = None, **options: Any) -> DataFrame:
        return self.format("csv").load(path, schema=schema, **options)

    def text(self, paths: str | list[str], **options: Any) -> DataFrame:
        return self.format("text").load(paths, **options)

    def parquet(self, *paths: str, **options: Any) -> DataFrame:
        return self.format("parquet").load(list(paths), **options)

    def table(self, tableName: str) -> DataFrame:
        return self._session.table(tableName)

    def load(
        self,
        path: str | list[str] | None = None,
        format: str | None = None,
        schema: str | StructType | None = None,
        **options: Any,
    ) -> DataFrame:
        if format:
            self.format(format)
        if schema is not None:
            self.schema(schema)
        self.options(**options)
        unknown = self._options.keys() - _OPTIONS[self._format]
        if unknown:
            raise unsupported(f"The {self._format} option {sorted(unknown)}")
        if self._options.get("encoding", "utf-8").lower() not in ("utf-8", "utf8"):
            raise unsupported(f"The encoding {self._options['encoding']!r}", "only UTF-8 is read")
        if not path:
            raise PySparkValueError("load() needs a path")
        files = [
            file
            for one in ([path] if isinstance(path, str) else path)
            for file in storage.list_files(
                one, recursive=self._flag("recursivefilelookup"), name_glob=self._options.get("pathglobfilter", "")
            )
        ]
        return {
            "binaryfile": self._binary, "text": self._text, "json": self._json, "csv": self._csv,
            "parquet": self._parquet
        }[self._format](files)  # fmt: skip

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"DataFrameReader.{name}")

    # -- sources ---------------------------------------------------------------------------------------------------

    def _flag(self, name: str) -> bool:
        return self._options.get(name, "false").lower() == "true"

    def _present(self, file: File, body: Any) -> bool:
        """Whether a read found the file; a deleted one is an error unless missing files are ignored."""
        if not isinstance(body, FileNotFoundError):
            return True
        if (
            self._flag("ignoremissingfiles")
            or str(self._session.conf.get("spark.sql.files.ignoreMissingFiles", "false")).lower() == "true"
        ):
            return False
        raise PySparkException(
            f"{file.path} was deleted after it was listed: run again, or set spark.sql.files.ignoreMissingFiles=true"
        )

    def _binary(self, files: list[File]) -> DataFrame:
        def batches() -> Iterator[pa.RecordBatch]:
            rows: list[tuple[str, dt.datetime, int, bytes]] = []
            size = 0
            for file, body in storage.read_ahead(files, storage.read_file):
                if not self._present(file, body):
                    continue
                rows.append((file.path, _utc(file.modified), len(body), body))
                size += len(body)
                if size >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                    yield _columns(BINARY_FILE, rows)
                    rows.clear()
                    size = 0
            if rows:
                yield _columns(BINARY_FILE, rows)

        if any(file.partition for file in files):
            raise unsupported(
                "binaryFile over k=v partition folders", "set recursiveFileLookup=true and read the values from path"
            )
        return DataFrame(self._session, BINARY_FILE, batches=batches)

    def _streamed(self, files: list[File], schema: StructType, rows: Any) -> DataFrame:
        """A frame of row tuples per file: the schema's columns, then the folders' `k=v` columns, then on request
        `_metadata`.
        """
        partition = _partition_columns(files)
        full = StructType([*schema.fields, *(StructField(name, kind) for name, kind in partition)])

        def frame(*, metadata: bool) -> DataFrame:
            shown = StructType([*full.fields, StructField("_metadata", METADATA)]) if metadata else full

            def batches() -> Iterator[pa.RecordBatch]:
                for file in files:
                    extra = [_partition_value(kind, dict(file.partition).get(name)) for name, kind in partition]
                    if metadata:
                        path = re.sub(UNSAFE_IN_URI, lambda found: f"%{ord(found[0]):02X}", file.path)
                        extra.append(
                            {
                                "file_path": path,
                                "file_name": file.name,
                                "file_size": file.size,
                                "file_modification_time": _utc(file.modified),
                            }
                        )
                    for columns in self._file_columns(file, rows):
                        count = len(columns[0]) if columns else 0
                        arrays = [
                            column if isinstance(column, pa.Array) else pa.array(column, to_arrow(field.dataType))
                            for column, field in zip(columns, schema.fields, strict=True)
                        ]
                        arrays += [
                            pa.array([value] * count, to_arrow(field.dataType))
                            for value, field in zip(extra, shown.fields[len(schema.fields) :], strict=True)
                        ]
                        yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(shown))

            return DataFrame(self._session, shown, batches=batches)

        plain = frame(metadata=False)
        plain._with_metadata = lambda: frame(metadata=True)  # noqa: SLF001 - one concept in two modules
        return plain

    def _file_columns(self, file: File, rows: Any) -> Iterator[list[Any]]:
        try:
            stream = storage.open_file(file)
        except FileNotFoundError as problem:
            self._present(file, problem)
            return
        try:
            yield from rows(decompressed(file, stream))
        finally:
            stream.close()

    def _text(self, files: list[File]) -> DataFrame:
        whole = self._flag("wholetext")

        def rows(stream: IO[bytes]) -> Iterator[list[Any]]:
            if whole:
                yield [[stream.read().decode("utf-8", "replace")]]
                return
            for lines in line_chunks(stream):
                yield [[line.decode("utf-8", "replace") for line in lines]]

        if self._options.get("linesep", "\n") != "\n":
            raise unsupported("The option lineSep", "lines end with \\n, \\r\\n")
        return self._streamed(files, self._schema or parse_schema("value STRING"), rows)

    def _json(self, files: list[File]) -> DataFrame:
        mode = self._options.get("mode", "PERMISSIVE").upper()
        multiline = self._flag("multiline")
        corrupt = self._options.get("columnnameofcorruptrecord", "_corrupt_record")

        def texts_of(stream: IO[bytes]) -> Iterator[list[Any]]:
            return documents(stream, multiline)

        schema = self._schema or records.infer(
            (document for file in files for texts in self._file_columns(file, texts_of) for document in texts),
            corrupt,
        )
        convert = records.json_converter(schema, corrupt, mode)

        def rows(stream: IO[bytes]) -> Iterator[list[Any]]:
            for texts in documents(stream, multiline):
                found = [row for text in texts for row in convert(text)]
                if found:
                    yield [list(column) for column in zip(*found, strict=True)]

        return self._streamed(files, schema, rows)

    def _csv(self, files: list[File]) -> DataFrame:
        header = self._flag("header")
        dialect: dict[str, Any] = {
            "delimiter": self._options.get("sep", self._options.get("delimiter", ",")),
            "quotechar": self._options.get("quote", '"') or None,
            "escapechar": self._options.get("escape", "\\"),
        }
        if dialect["escapechar"] == dialect["quotechar"]:
            dialect["escapechar"] = None
        if len(dialect["delimiter"] or "") != 1:
            raise unsupported(f"The csv separator {dialect['delimiter']!r}", "use one character")

        def lines(stream: IO[bytes]) -> Iterator[list[str]]:
            if self._flag("multiline"):
                text: Iterable[str] = io.TextIOWrapper(stream, "utf-8", "replace", newline="")  # type: ignore[arg-type]
            else:
                text = (line.decode("utf-8", "replace") for chunk in line_chunks(stream) for line in chunk)
            for row in csv.reader(text, doublequote=dialect["escapechar"] is None, strict=False, **dialect):
                if row:
                    yield row

        null = self._options.get("nullvalue", "")
        names = self._csv_names(files, lines, header)
        schema = self._schema
        if schema is None:
            kinds: list[DataType] = [StringType()] * len(names)
            if self._flag("inferschema"):
                kinds = records.csv_types(
                    (row for file in files for row in self._csv_rows(file, lines, header)), len(names), null
                )
            schema = StructType([StructField(name, kind) for name, kind in zip(names, kinds, strict=True)])
        convert = records.csv_converter(
            schema,
            null,
            self._options.get("mode", "PERMISSIVE").upper(),
            self._options.get("columnnameofcorruptrecord", "_corrupt_record"),
        )

        def rows(stream: IO[bytes]) -> Iterator[list[Any]]:
            found: list[Any] = []
            source = lines(stream)
            if header:
                next(source, None)
            for row in source:
                found += convert(row)
                if len(found) >= BATCH_ROWS:
                    yield [list(column) for column in zip(*found, strict=True)]
                    found = []
            if found:
                yield [list(column) for column in zip(*found, strict=True)]

        return self._streamed(files, schema, rows)

    def _csv_rows(self, file: File, lines: Any, header: bool) -> Iterator[list[str]]:
        stream = storage.open_file(file)
        source = lines(decompressed(file, stream))
        if header:
            next(source, None)
        yield from source

    def _csv_names(self, files: list[File], lines: Any, header: bool) -> list[str]:
        if self._schema is not None:
            return self._schema.names
        for file in files:
            first = next(lines(decompressed(file, storage.open_file(file))), None)
            if first is not None:
                return first if header else [f"_c{at}" for at in range(len(first))]
        raise AnalysisException(
            "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for CSV. It must be specified manually."
        )

    def _parquet(self, files: list[File]) -> DataFrame:
        if not files and self._schema is None:
            raise AnalysisException(
                "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for Parquet. It must be specified manually."
            )
        partition = _partition_columns(files)
        parts: list[str] = []
        schema = self._schema
        by_folder: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for file, path in storage.read_ahead(files, storage.local_copy):
            if self._present(file, path):
                by_folder.setdefault(file.partition, []).append(path)
        if schema is None:
            names = {name.lower() for name, _ in partition}
            first = from_arrow_schema(pq.read_schema(next(iter(by_folder.values()))[0]))
            schema = StructType([f for f in first.fields if f.name.lower() not in names])
        keys = {name.lower() for name, _ in partition}
        data = [field for field in schema.fields if field.name.lower() not in keys]
        for values, paths in by_folder.items():
            present = {name.lower() for path in paths for name in pq.read_schema(path).names}
            columns = [
                f"CAST({quoted(f.name)} AS {to_duckdb(f.dataType)}) AS {quoted(f.name)}"
                if f.name.lower() in present
                else f"CAST(NULL AS {to_duckdb(f.dataType)}) AS {quoted(f.name)}"
                for f in data
            ]
            for name, kind in partition:
                value = dict(values).get(name)
                shown = "NULL" if value in (None, HIVE_NULL) else "'" + value.replace("'", "''") + "'"
                columns.append(f"CAST({shown} AS {to_duckdb(kind)}) AS {quoted(name)}")
            parts.append(self._session.parquet_query(paths, ", ".join(columns)))
        if not parts:
            return self._session.createDataFrame([], schema)
        return self._session.from_query(" UNION ALL ".join(parts))


HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


def _columns(schema: StructType, rows: list[Any]) -> pa.RecordBatch:
    target = arrow_schema(schema)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), target, strict=True)],
        schema=target,
    )


def _partition_columns(files: list[File]) -> list[tuple[str, DataType]]:
    """The `k=v` columns and their inferred types: int, bigint, double, date, timestamp or string, as Spark."""
    values: dict[str, list[str]] = {}
    for file in files:
        for name, value in file.partition:
            values.setdefault(name, []).append(value)
    found = []
    for name, seen in values.items():
        real = [value for value in seen if value != HIVE_NULL]
        found.append(
            (
                name,
                next(
                    (kind for kind, pattern in _PARTITION_TYPES if all(pattern(value) for value in real)), StringType()
                )
                if real
                else StringType(),
            )
        )
    return found


def _fits(bits: int) -> Callable[[str], bool]:
    def fits(value: str) -> bool:
        return bool(re.fullmatch(r"[+-]?\d+", value)) and -(1 << (bits - 1)) <= int(value) < 1 << (bits - 1)

    return fits


_PARTITION_TYPES: tuple[tuple[DataType, Callable[[str], bool]], ...] = (
    (IntegerType(), _fits(32)),
    (LongType(), _fits(64)),
    (DoubleType(), lambda v: bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", v))),
    (DateType(), lambda v: bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", v))),
    (TimestampType(), lambda v: bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", v))),
)


def _partition_value(kind: DataType, value: str | None) -> Any:
    if value is None or value == HIVE_NULL:
        return None
    if isinstance(kind, (IntegerType, LongType)):
        return int(value)
    if isinstance(kind, DoubleType):
        return float(value)
    if isinstance(kind, DateType):
        return dt.date.fromisoformat(value)
    return dt.datetime.fromisoformat(value) if isinstance(kind, TimestampType) else value


def decompressed(file: File, stream: IO[bytes]) -> IO[bytes]:
    """The stream's text by the file's extension, as Hadoop's codecs do."""
    if file.name.endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value] - a readable binary file
    if file.name.endswith(".bz2"):
        return bz2.BZ2File(stream)  # type: ignore[return-value]
    return stream


def line_chunks(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """Lists of lines without their ends, a few MB at a time."""
    rest = b""
    while chunk := stream.read(LINE_CHUNK):
        lines = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        rest = lines.pop()
        if lines:
            yield [line[:-1] if line.endswith(b"\r") else line for line in lines]
    if rest:
        yield [rest[:-1] if rest.endswith(b"\r") else rest]


def documents(stream: IO[bytes], multiline: bool) -> Iterator[list[bytes]]:
    """The JSON texts of a file: one per line, or the whole file."""
    if multiline:
        yield [stream.read()]
        return
    for lines in line_chunks(stream):
        found = [line for line in lines if line.strip()]
        if found:
            yield found


class DataFrameWriter:
    """`df.write`."""

    def __init__(self, frame: DataFrame) -> None:
        self._frame = frame
        self._session = frame.sparkSession
        self._mode = "error"
        self._format = "parquet"
        self._options: dict[str, str] = {}
        self._partition: list[str] = []

    def mode(self, saveMode: str) -> DataFrameWriter:
        if saveMode.lower() not in ("overwrite", "append", "ignore", "error", "errorifexists"):
            raise PySparkValueError(f"Unknown save mode {saveMode!r}: use overwrite, append, ignore or error")
        self._mode = saveMode.lower().replace("errorifexists", "error")
        return self

    def format(self, source: str) -> DataFrameWriter:
        if source.lower() not in ("parquet", "json", "csv"):
            raise unsupported(f"Writing the format {source!r}", "use parquet, json or csv")
        self._format = source.lower()
        return self

    def option(self, key: str, value: Any) -> DataFrameWriter:
        if key.lower() not in ("compression", "header", "sep", "delimiter", "nullvalue", "partitionoverwritemode"):
            raise unsupported(f"The write option {key!r}")
        self._options[key.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
        return self

    def options(self, **options: Any) -> DataFrameWriter:
        for key, value in options.items():
            self.option(key, value)
        return self

    def partitionBy(self, *cols: Any) -> DataFrameWriter:
        names = cols[0] if len(cols) == 1 and isinstance(cols[0], list) else cols
        self._partition = [self._frame._column(name)[1:-1].replace('""', '"') for name in names]  # noqa: SLF001
        return self

    def parquet(
        self, path: str, mode: str | None = None, partitionBy: Any = None, compression: str | None = None
    ) -> None:
        self.save(path, "parquet", mode, partitionBy, **({"compression": compression} if compression else {}))

    def json(self, path: str, mode: str | None = None, compression: str | None = None) -> None:
        self.save(path, "json", mode, **({"compression": compression} if compression else {}))

    def csv(self, path: str, mode: str | None = None, header: bool | None = None, sep: str | None = None) -> None:
        self.save(
            path, "csv", mode, **({"header": header} if header is not None else {}), **({"sep": sep} if sep else {})
        )

    def save(
        self, path: str, format: str | None = None, mode: str | None = None, partitionBy: Any = None, **options: Any
    ) -> None:
        if format:
            self.format(format)
        if mode:
            self.mode(mode)
        if partitionBy:
            self.partitionBy(*([partitionBy] if isinstance(partitionBy, str) else partitionBy))
        self.options(**options)
        if self._mode in ("error", "ignore") and storage.exists(path):
            if self._mode == "ignore":
                return
            raise AnalysisException(
                f'[PATH_ALREADY_EXISTS] Path {path} already exists. Set mode as "overwrite" to overwrite the existing '
                "path."
            )
        refuse_void(self._frame.schema, self._format.capitalize())
        # The name is the target's, not random: a job that is killed and run again replaces its own files one by one.
        # Appended files need names of their own.
        write = uuid.uuid4() if self._mode == "append" else uuid.uuid5(uuid.NAMESPACE_URL, path.rstrip("/"))
        files = {"parquet": self._parquet_files, "json": self._text_files, "csv": self._text_files}[self._format](
            str(write)
        )
        dynamic = self._options.get(
            "partitionoverwritemode", self._session.conf.get("spark.sql.sources.partitionOverwriteMode") or "static"
        )
        replacing = (
            "none"
            if self._mode != "overwrite"
            else "partitions"
            if self._partition and dynamic.lower() == "dynamic"
            else "all"
        )
        storage.publish(files, path, replacing=replacing)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"DataFrameWriter.{name}")

    # -- files -----------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[tuple[str, str]]:
        """(folder, DuckDB query) of each partition; one with an empty folder when there is no partitioning."""
        view = quoted(self._frame.relation())
        if not self._partition:
            yield "", f"SELECT * FROM {view}"
            return
        if len(self._partition) == len(self._frame.columns):
            raise AnalysisException("[ALL_PARTITION_COLUMNS_NOT_ALLOWED] Cannot use all columns for partition columns.")
        keys = ", ".join(quoted(name) for name in self._partition)
        kept = ", ".join(quoted(name) for name in self._frame.columns if name not in self._partition)
        values = self._session.from_query(f"SELECT DISTINCT {keys} FROM {view} ORDER BY {keys}").collect()
        if len(values) > 1:  # read a stream of queries once
            self._frame.cache()
            view = quoted(self._frame.relation())
        for row in values:
            folder = "/".join(f"{name}={_folder_name(value)}" for name, value in zip(self._partition, row, strict=True))
            condition = " AND ".join(
                f"CAST({quoted(name)} AS VARCHAR) IS NOT DISTINCT FROM {_sql_text(value)}"
                for name, value in zip(self._partition, row, strict=True)
            )
            yield folder, f"SELECT {kept} FROM {view} WHERE {condition}"

    def _parquet_files(self, write: str) -> dict[str, Path]:
        compression = self._options.get("compression", "snappy").lower().replace("none", "uncompressed")
        suffix = {"uncompressed": "", "snappy": ".snappy", "zstd": ".zstd", "gzip": ".gz", "lz4": ".lz4"}
        if compression not in suffix:
            raise unsupported(f"The Parquet compression {compression!r}")
        files = {}
        for folder, query in self._groups():
            path = storage.scratch_file(".parquet")
            self._session.copy_to_parquet(query, path, compression)
            files[f"{folder}/part-00000-{write}-c000{suffix[compression]}.parquet".lstrip("/")] = path
        return files

    def _text_files(self, write: str) -> dict[str, Path]:
        compression = self._options.get("compression", "none").lower()
        if compression not in ("none", "gzip"):
            raise unsupported(f"The {self._format} compression {compression!r}", "use gzip or none")
        ending = f".{self._format}{'.gz' if compression == 'gzip' else ''}"
        files = {}
        for folder, query in self._groups():
            frame = self._session.from_query(query)
            path = storage.scratch_file(ending)
            with gzip.GzipFile(path, "wb", mtime=0) if compression == "gzip" else path.open("wb") as out:  # type: ignore[attr-defined]
                (_write_json if self._format == "json" else self._write_csv)(frame, out)
            files[f"{folder}/part-00000-{write}-c000{ending}".lstrip("/")] = path
        return files

    def _write_csv(self, frame: DataFrame, out: Any) -> None:
        null = self._options.get("nullvalue", "")
        text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
        separator = self._options.get("sep", self._options.get("delimiter", ","))
        if self._options.get("header") == "true":
            text.write(separator.join(_csv_cell(name, separator, null) for name in frame.columns) + "\n")
        for row in frame.toLocalIterator():
            text.write(separator.join(_csv_cell(value, separator, null) for value in row) + "\n")
        text.flush()
        text.detach()


def _write_json(frame: DataFrame, out: Any) -> None:
    """One object per line; NULL fields are left out and times end in Z, as Spark."""
    convert = row_converter(frame.schema)
    for batch in frame.arrow_batches():
        for values in zip(*[column.to_pylist() for column in batch.columns], strict=True):
            row = _json_value(convert(values))
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _json_value(value: Any) -> Any:
    if hasattr(value, "asDict"):
        return {k: _json_value(v) for k, v in value.asDict().items() if v is not None}
    if isinstance(value, dict):
        return {str(k): _json_value(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds" if value.microsecond % 1000 == 0 else "microseconds") + "Z"
    return value.isoformat() if isinstance(value, dt.date) else value


def _csv_cell(value: Any, separator: str, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds" if value.microsecond % 1000 == 0 else "microseconds") + "Z"
    if isinstance(value, (list, dict, tuple)):
        raise AnalysisException("[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] CSV does not support nested columns")
    text = str(value)
    if text == "":
        return '""'
    if separator in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _folder_name(value: Any) -> str:
    if value is None or value == "":
        return HIVE_NULL
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(shown, safe=" !$&()+,-.;@_~<>|`")


def _sql_text(value: Any) -> str:
    if value is None:
        return "NULL"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + shown.replace("'", "''") + "'"
