# ruff: noqa: N802, N803, S608  Spark's own camelCase names are the interface here; SQL is built from quoted names
"""SparkSession: one DuckDB database in memory, bounded, spilling to scratch."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, NoReturn, Self

import duckdb
import pyarrow as pa
from sqlglot import exp

from ..context import SparkConf, SparkContext  # noqa: TID252 - the shim must not depend on where it lies
from ..errors import AnalysisException, PySparkTypeError, PySparkValueError, unsupported  # noqa: TID252
from . import dialect
from .dataframe import DataFrame
from .storage import scratch
from .types import (
    ArrayType,
    DataType,
    MapType,
    Row,
    StructField,
    StructType,
    arrow_schema,
    as_schema,
    from_arrow_schema,
    from_duckdb,
    quoted,
    to_duckdb,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .readwriter import DataFrameReader

# Settings that would change results and are not followed.
_FIXED = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "false", "spark.sql.caseSensitive": "false"}


class RuntimeConfig:
    """`spark.conf`: remembers settings. Those of `_FIXED` may only be set to what holds here anyway."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings

    def set(self, key: str, value: Any) -> None:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        if key in _FIXED and shown.lower() not in (_FIXED[key].lower(), "etc/utc"):
            raise unsupported(f"{key}={shown}", f"it is always {_FIXED[key]}")
        self._settings[key] = shown

    def get(self, key: str, default: str | None = None) -> str | None:
        return self._settings.get(key, _FIXED.get(key, default))

    def unset(self, key: str) -> None:
        self._settings.pop(key, None)


class Catalog:
    """`spark.catalog`, of temporary views only."""

    def __init__(self, views: dict[str, DataFrame]) -> None:
        self._views = views

    def dropTempView(self, viewName: str) -> bool:
        return self._views.pop(viewName.lower(), None) is not None

    def tableExists(self, tableName: str, dbName: str | None = None) -> bool:
        return tableName.lower() in self._views

    def listTables(self, dbName: str | None = None) -> list[Row]:
        return [Row(name=name, isTemporary=True) for name in self._views]

    def clearCache(self) -> None: ...

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"spark.catalog.{name}")


class SparkSession:
    """See the package's docstring."""

    _active: SparkSession | None = None

    class Builder:
        """`SparkSession.builder`."""

        def __init__(self) -> None:
            self._settings: dict[str, str] = {}

        def appName(self, name: str) -> SparkSession.Builder:
            return self.config("spark.app.name", name)

        def master(self, master: str) -> SparkSession.Builder:
            return self.config("spark.master", master)

        def enableHiveSupport(self) -> SparkSession.Builder:
            """Accepted: tables of the Data Catalog are still refused by name when a statement uses one."""
            return self

        def config(
            self,
            key: str | None = None,
            value: Any = None,
            conf: SparkConf | None = None,
            map: Mapping[str, Any] | None = None,  # noqa: A002 - PySpark's name
        ) -> SparkSession.Builder:
            found = {**dict(conf.getAll() if conf else ()), **dict(map or {}), **({key: value} if key else {})}
            self._settings.update({k: str(v) for k, v in found.items()})
            return self

        def getOrCreate(self) -> SparkSession:
            session = SparkSession._active or SparkSession(SparkContext.getOrCreate())
            for key, value in self._settings.items():
                session.conf.set(key, value)
            return session

    class _BuilderAttribute:
        def __get__(self, instance: object, owner: object = None) -> SparkSession.Builder:
            return SparkSession.Builder()

    builder = _BuilderAttribute()

    def __init__(self, sparkContext: SparkContext | None = None) -> None:
        self.sparkContext = sparkContext or SparkContext.getOrCreate()
        self.version = "3.5.6"
        self.conf = RuntimeConfig(dict(self.sparkContext.getConf().getAll()))
        self._views: dict[str, DataFrame] = {}
        self.catalog = Catalog(self._views)
        self._numbers = itertools.count(1)
        self._duckdb = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": os.environ.get("SPARKLESS_MEMORY", "640MB"),
                "temp_directory": str(scratch() / "duckdb"),
                "threads": os.environ.get("SPARKLESS_THREADS", str(min(os.cpu_count() or 1, 4))),
                "TimeZone": "UTC",
                "autoinstall_known_extensions": "false",
            },
        )
        self._duckdb.execute(dialect.MACROS)
        SparkSession._active = self

    @classmethod
    def getActiveSession(cls) -> SparkSession | None:
        return cls._active

    # -- towards scripts -------------------------------------------------------------------------------------------

    @property
    def read(self) -> DataFrameReader:
        from .readwriter import DataFrameReader  # noqa: PLC0415 - the two modules need each other

        return DataFrameReader(self)

    def sql(self, sqlQuery: str, args: Mapping[str, Any] | None = None) -> DataFrame:
        """Runs one Spark SQL statement: a query, CREATE [OR REPLACE] TEMP VIEW, DROP VIEW or SET."""
        if args is not None and not hasattr(args, "items"):
            raise unsupported("spark.sql with positional args", "use a dict")
        return self.sql_over(sqlQuery, {}, args)

    def sql_over(
        self, statement: str, frames: Mapping[str, DataFrame], args: Mapping[str, Any] | None = None
    ) -> DataFrame:
        """`sql` with frames that are visible by name beside the temporary views."""
        tree = dialect.bind(dialect.parse(statement), args or {})
        if isinstance(tree, exp.Create):
            return self._create_view(tree)
        if isinstance(tree, exp.Drop) and tree.args.get("kind") == "VIEW":
            if not self.catalog.dropTempView(tree.this.name) and not tree.args.get("exists"):
                raise AnalysisException(f"[TABLE_OR_VIEW_NOT_FOUND] The view {tree.this.name!r} cannot be found")
            return self.createDataFrame([], "result STRING")
        if isinstance(tree, exp.Set):
            key, _, value = statement.strip().rstrip(";")[3:].partition("=")
            self.conf.set(key.strip(), value.strip())
            return self.createDataFrame([(key.strip(), value.strip())], "key STRING, value STRING")
        if not isinstance(tree, exp.Query):
            raise unsupported(f"The statement {type(tree).__name__.upper()}")
        return self._query(tree, frames)

    def _query(self, tree: exp.Expr, frames: Mapping[str, DataFrame]) -> DataFrame:
        hidden = any("_metadata" in (column.name, column.table) for column in tree.find_all(exp.Column))
        if hidden and any(True for _ in tree.find_all(exp.Star)):
            raise unsupported("_metadata together with *", "name the columns")

        def relation(name: str) -> str:
            frame = frames.get(name) or self._views.get(name.lower())
            if frame is None:
                raise AnalysisException(
                    f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {name!r} cannot be found; temporary views: "
                    f"{sorted(self._views)}"
                )
            return frame.metadata_relation() if hidden and frame._with_metadata else frame.relation()  # noqa: SLF001

        return self.from_query(dialect.translate(tree, relation))

    def _create_view(self, tree: exp.Create) -> DataFrame:
        temporary = any(isinstance(part, exp.TemporaryProperty) for part in tree.find_all(exp.Property))
        if tree.args.get("kind") != "VIEW" or not temporary:
            raise unsupported(
                f"CREATE {tree.args.get('kind')}", "CREATE TEMP VIEW is offered; write data with DataFrame.write"
            )
        name = tree.this.this.name if isinstance(tree.this, exp.Schema) else tree.this.name
        if isinstance(tree.this, exp.Schema):
            raise unsupported("CREATE VIEW with column names")
        if self.catalog.tableExists(name) and not tree.args.get("replace"):
            raise AnalysisException(f"[TEMP_TABLE_OR_VIEW_ALREADY_EXISTS] The view {name!r} exists")
        self.register(name, self._query(tree.expression, {}))
        return self.createDataFrame([], "result STRING")

    def table(self, tableName: str) -> DataFrame:
        if tableName.lower() not in self._views:
            raise AnalysisException(f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {tableName!r} cannot be found")
        return self._views[tableName.lower()]

    def range(self, start: int, end: int | None = None, step: int = 1, numPartitions: int | None = None) -> DataFrame:
        first, last = (0, start) if end is None else (start, end)
        return self.from_query(f"SELECT range AS id FROM range({int(first)}, {int(last)}, {int(step)})")

    def createDataFrame(
        self, data: Any, schema: Any = None, samplingRatio: float | None = None, verifySchema: bool = True
    ) -> DataFrame:
        """From tuples, dicts or Rows. As in Spark 3.5, Arrow tables are not accepted (Spark 4 does)."""
        if isinstance(data, pa.Table):
            raise PySparkTypeError("createDataFrame of a pyarrow.Table is Spark 4; give rows, or read Parquet")
        rows = list(data)
        kind = as_schema(schema) if isinstance(schema, (str, StructType)) else None
        names = list(schema) if isinstance(schema, (list, tuple)) else None
        if kind is None:
            if not rows:
                raise PySparkValueError("[CANNOT_INFER_EMPTY_SCHEMA] give a schema for no rows")
            first = rows[0]
            if names is None:
                names = (
                    list(first)
                    if isinstance(first, dict)
                    else list(getattr(first, "__fields__", ())) or [f"_{i}" for i in range(1, len(first) + 1)]
                )
            table = pa.table({n: pa.array([_value(r, n, at) for r in rows]) for at, n in enumerate(names)})
            kind = from_arrow_schema(table.schema)
        target = arrow_schema(kind)
        columns = []
        for at, field in enumerate(kind.fields):
            try:
                columns.append(
                    pa.array(
                        [_plain(field.dataType, _value(row, field.name, at)) for row in rows], target.field(at).type
                    )
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
                raise PySparkTypeError(
                    f"createDataFrame: column {field.name!r} ({field.dataType.simpleString()}): {problem}"
                ) from None
        batch = pa.RecordBatch.from_arrays(columns, schema=target)
        return DataFrame(self, kind, batches=lambda: iter([batch]))

    def stop(self) -> None:
        self._duckdb.close()
        SparkSession._active = None
        self.sparkContext.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"SparkSession.{name}")

    # -- towards this package --------------------------------------------------------------------------------------

    def register(self, name: str, frame: DataFrame) -> None:
        self._views[name.lower()] = frame

    def _new_view(self, query: str) -> str:
        name = f"df_{next(self._numbers)}"
        self._run(f"CREATE VIEW {quoted(name)} AS {query}")
        return name

    def _run(self, query: str) -> None:
        try:
            self._duckdb.cursor().execute(query)
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as problem:
            raise AnalysisException(f"{problem}\nin DuckDB's text of the statement:\n{query}") from None

    def from_query(self, query: str) -> DataFrame:
        """A frame of a DuckDB query; result types that Spark does not have become the ones it has."""
        try:
            bound = self._duckdb.cursor().sql(query)
            schema = StructType(
                [StructField(name, from_duckdb(kind)) for name, kind in zip(bound.columns, bound.types, strict=True)]
            )
            casts = [
                str(kind) != to_duckdb(field.dataType) for field, kind in zip(schema.fields, bound.types, strict=True)
            ]
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as problem:
            raise AnalysisException(f"{problem}\nin DuckDB's text of the statement:\n{query}") from None
        duplicates = {name for name in schema.names if schema.names.count(name) > 1}
        if duplicates:
            raise AnalysisException(
                f"[COLUMN_ALREADY_EXISTS] The result has several columns named {sorted(duplicates)}: use AS"
            )
        if any(casts):
            columns = [
                f"CAST({quoted(f.name)} AS {to_duckdb(f.dataType)}) AS {quoted(f.name)}" if cast else quoted(f.name)
                for f, cast in zip(schema.fields, casts, strict=True)
            ]
            query = f"SELECT {', '.join(columns)} FROM ({query})"
        return DataFrame(self, schema, view=self._new_view(query))

    def view_of_parquet(self, paths: Sequence[str], schema: StructType) -> str:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        columns = ", ".join(quoted(name) for name in schema.names) or "*"
        return self._new_view(f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false)")

    def parquet_query(self, paths: Sequence[str], columns: str = "*") -> str:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        return f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"

    def copy_to_parquet(self, query: str, path: Path, compression: str, options: str = "") -> None:
        target = str(path).replace("'", "''")
        self._execute(
            f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION {compression}, ROW_GROUP_SIZE 122880{options})"
        )

    def _execute(self, query: str) -> Any:
        return self._duckdb.cursor().execute(query)

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._duckdb.cursor().sql(query).to_arrow_reader(rows)

    def value(self, query: str) -> Any:
        return self._execute(query).fetchone()[0]


def _value(row: Any, name: str, at: int) -> Any:
    if isinstance(row, dict):
        return row.get(name)
    fields = getattr(row, "__fields__", ())
    return row[fields.index(name)] if name in fields else row[at]


def _plain(kind: DataType, value: Any) -> Any:
    """A Python value as Arrow wants it: structs from tuples, Rows or dicts become dicts, maps become pairs."""
    if value is None:
        return None
    if isinstance(kind, StructType):
        return {f.name: _plain(f.dataType, _value(value, f.name, at)) for at, f in enumerate(kind.fields)}
    if isinstance(kind, ArrayType):
        return [_plain(kind.elementType, item) for item in value]
    if isinstance(kind, MapType):
        return [(key, _plain(kind.valueType, item)) for key, item in value.items()]
    return value
