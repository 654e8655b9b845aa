# ruff: noqa: N802, N803, S608  Spark's own camelCase names are the interface here; SQL is built from quoted names
"""DataFrames: either a DuckDB view, or a stream of Arrow batches that becomes one when SQL first needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import AnalysisException, PySparkTypeError, PySparkValueError, unsupported  # noqa: TID252 - the shim must not depend on where it lies
from .storage import scratch_file
from .types import (
    BinaryType,
    NullType,
    Row,
    StructType,
    arrow_schema,
    as_schema,
    quoted,
    row_converter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .readwriter import DataFrameWriter
    from .session import SparkSession

    Batches = Callable[[], Iterator[pa.RecordBatch]]

BATCH_ROWS = 10_000  # spark.sql.execution.arrow.maxRecordsPerBatch


def conform(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """A batch with exactly this schema: columns by name, types cast where nothing is lost.

    Raises:
        PySparkTypeError: a column is missing or cannot be cast.
    """
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        if at < 0:
            raise PySparkTypeError(f"{where}: the batch lacks the column {field.name!r}; it has {batch.schema.names}")
        column = batch.column(at)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
                raise PySparkTypeError(
                    f"{where}: column {field.name!r} is {column.type}, wanted {field.type}: {problem}"
                ) from None
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class DataFrame:
    """See the package's docstring for what it can do."""

    def __init__(
        self,
        session: SparkSession,
        schema: StructType,
        *,
        view: str = "",
        batches: Batches | None = None,
        with_metadata: Callable[[], DataFrame] | None = None,
    ) -> None:
        self.sparkSession = session
        self.schema = schema
        self._view = view
        self._batches = batches
        self._with_metadata = with_metadata
        self._cached = False

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        return self.schema.names

    @property
    def dtypes(self) -> list[tuple[str, str]]:
        return [(field.name, field.dataType.simpleString()) for field in self.schema.fields]

    def printSchema(self, level: int | None = None) -> None:
        print(self.schema.treeString())  # noqa: T201 - it prints by contract

    @property
    def write(self) -> DataFrameWriter:
        from .readwriter import DataFrameWriter  # noqa: PLC0415 - the two modules need each other

        return DataFrameWriter(self)

    # -- where its rows come from ----------------------------------------------------------------------------------

    def relation(self) -> str:
        """The DuckDB view of this frame; a stream is spilled to Parquet first."""
        if not self._view:
            path = scratch_file(".parquet")
            schema = arrow_schema(self.schema)
            with pq.ParquetWriter(path, schema, compression="lz4") as writer:
                for batch in self.arrow_batches():
                    writer.write_batch(batch)
            self._view = self.sparkSession.view_of_parquet([str(path)], self.schema)
        elif self._cached:
            path = scratch_file(".parquet")
            self.sparkSession.copy_to_parquet(f"SELECT * FROM {quoted(self._view)}", path, "lz4")
            self._view = self.sparkSession.view_of_parquet([str(path)], self.schema)
        self._cached = False
        return self._view

    def metadata_relation(self) -> str:
        """The view with the hidden column `_metadata`. Raises AnalysisException where the source has none."""
        if self._with_metadata is None:
            raise AnalysisException(
                "[UNRESOLVED_COLUMN] _metadata is known only on a frame just read from text, json or csv files"
            )
        return self._with_metadata().relation()

    def arrow_batches(self) -> Iterator[pa.RecordBatch]:
        """Batches in this package's own types (timestamps without zone)."""
        schema = arrow_schema(self.schema)
        if self._view or self._batches is None:
            for batch in self.sparkSession.stream(f"SELECT * FROM {quoted(self.relation())}", BATCH_ROWS):
                yield conform(batch, schema, "query")
        else:
            for batch in self._batches():
                yield conform(batch, schema, "mapInArrow")

    def _derive(self, query: str) -> DataFrame:
        return self.sparkSession.from_query(query)

    def _from(self, projection: str = "*", tail: str = "") -> DataFrame:
        return self._derive(f"SELECT {projection} FROM {quoted(self.relation())} {tail}")

    def _column(self, name: Any) -> str:
        if not isinstance(name, str):
            raise unsupported("A Column expression", "pass names, or use selectExpr or spark.sql")
        for column in self.columns:
            if column.lower() == name.strip("`").lower():
                return quoted(column)
        raise AnalysisException(f"[UNRESOLVED_COLUMN] {name!r} is not among the columns {self.columns}")

    # -- transformations -------------------------------------------------------------------------------------------

    def createOrReplaceTempView(self, name: str) -> None:
        self.sparkSession.register(name, self)

    def mapInArrow(
        self,
        func: Callable[[Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]],
        schema: str | StructType,
        barrier: bool = False,
    ) -> DataFrame:
        """Streams the rows through a function of Arrow batches, in this process. Timestamps have the zone UTC on both
        sides.
        """
        target = as_schema(schema)
        zoned = arrow_schema(self.schema, "UTC")

        def batches() -> Iterator[pa.RecordBatch]:
            incoming = (conform(batch, zoned, "mapInArrow input") for batch in self.arrow_batches())
            for batch in func(incoming):
                if not isinstance(batch, pa.RecordBatch):
                    raise PySparkTypeError(
                        f"mapInArrow: the function gave {type(batch).__name__}, not pyarrow.RecordBatch"
                    )
                if batch.num_rows:
                    yield batch

        return DataFrame(self.sparkSession, target, batches=batches)

    def select(self, *columns: Any) -> DataFrame:
        names = columns[0] if len(columns) == 1 and isinstance(columns[0], list) else columns
        return self._from(", ".join("*" if name == "*" else self._column(name) for name in names))

    def selectExpr(self, *expressions: Any) -> DataFrame:
        texts = expressions[0] if len(expressions) == 1 and isinstance(expressions[0], list) else expressions
        return self.sparkSession.sql_over(f"SELECT {', '.join(texts)} FROM __this__", {"__this__": self})

    def filter(self, condition: Any) -> DataFrame:
        if not isinstance(condition, str):
            raise unsupported("DataFrame.filter with a Column", "pass the condition as SQL text")
        return self.sparkSession.sql_over(f"SELECT * FROM __this__ WHERE {condition}", {"__this__": self})

    where = filter  # noqa: A003 - the method above

    def drop(self, *columns: Any) -> DataFrame:
        gone = {str(name).lower() for name in columns}
        return self._from(", ".join(quoted(name) for name in self.columns if name.lower() not in gone))

    def withColumnRenamed(self, existing: str, new: str) -> DataFrame:
        return self._from(
            ", ".join(quoted(n) + (f" AS {quoted(new)}" if n.lower() == existing.lower() else "") for n in self.columns)
        )

    def toDF(self, *names: str) -> DataFrame:
        if len(names) != len(self.columns):
            raise PySparkValueError(f"toDF got {len(names)} names for {len(self.columns)} columns")
        return self._from(", ".join(f"{quoted(o)} AS {quoted(n)}" for o, n in zip(self.columns, names, strict=True)))

    def limit(self, num: int) -> DataFrame:
        return self._from(tail=f"LIMIT {int(num)}")

    def distinct(self) -> DataFrame:
        return self._from("DISTINCT *")

    def union(self, other: DataFrame) -> DataFrame:
        if len(self.columns) != len(other.columns):
            raise AnalysisException(
                f"[NUM_COLUMNS_MISMATCH] UNION of {len(self.columns)} and {len(other.columns)} columns"
            )
        return self._derive(
            f"SELECT * FROM {quoted(self.relation())} UNION ALL SELECT * FROM {quoted(other.relation())}"
        )

    unionAll = union  # noqa: N815

    def unionByName(self, other: DataFrame, allowMissingColumns: bool = False) -> DataFrame:
        if not allowMissingColumns and {c.lower() for c in self.columns} != {c.lower() for c in other.columns}:
            raise AnalysisException(f"[UNRESOLVED_COLUMN] unionByName of {self.columns} and {other.columns}")
        return self._derive(
            f"SELECT * FROM {quoted(self.relation())} UNION ALL BY NAME SELECT * FROM {quoted(other.relation())}"
        )

    def orderBy(self, *columns: Any, ascending: bool = True) -> DataFrame:
        names = columns[0] if len(columns) == 1 and isinstance(columns[0], list) else columns
        if not names:
            raise PySparkValueError("a sort needs a column")
        order = "ASC NULLS FIRST" if ascending else "DESC NULLS LAST"
        return self._from(tail="ORDER BY " + ", ".join(f"{self._column(name)} {order}" for name in names))

    sort = orderBy

    def sortWithinPartitions(self, *columns: Any, ascending: bool = True) -> DataFrame:
        """All rows are one partition here, so this is `orderBy`; who relies on less is right on Spark, too."""
        return self.orderBy(*columns, ascending=ascending)

    # Physical hints: one process, so there is nothing to distribute. cache() does pay: the rows are spilled once.

    def cache(self) -> DataFrame:
        self._cached = bool(self._view)
        return self

    def persist(self, storageLevel: Any = None) -> DataFrame:
        return self.cache()

    def unpersist(self, blocking: bool = False) -> DataFrame:
        return self

    def repartition(self, numPartitions: Any, *columns: Any) -> DataFrame:
        """By number, columns or both; they are checked as Spark does."""
        if isinstance(numPartitions, bool) or not isinstance(numPartitions, int):
            columns = (numPartitions, *columns)
        elif numPartitions < 1:
            raise PySparkValueError(f"repartition: the number of partitions ({numPartitions}) must be positive")
        for name in columns:
            self._column(name)
        return self

    def coalesce(self, numPartitions: int) -> DataFrame:
        return self

    def hint(self, name: str, *parameters: Any) -> DataFrame:
        return self

    # -- actions ---------------------------------------------------------------------------------------------------

    def count(self) -> int:
        return int(self.sparkSession.value(f"SELECT count(*) FROM {quoted(self.relation())}"))

    def isEmpty(self) -> bool:
        return not self.take(1)

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[Row]:
        convert = row_converter(self.schema)
        for batch in self.arrow_batches():
            for values in zip(*[column.to_pylist() for column in batch.columns], strict=True):
                yield convert(values)

    def collect(self) -> list[Row]:
        return list(self.toLocalIterator())

    def take(self, num: int) -> list[Row]:
        return self.limit(num).collect()

    def head(self, n: int | None = None) -> Any:
        rows = self.take(1 if n is None else n)
        return rows if n is not None else rows[0] if rows else None

    def first(self) -> Row | None:
        return self.head()  # type: ignore[no-any-return] - head() without n gives a row

    def show(self, n: int = 20, truncate: bool | int = True, vertical: bool = False) -> None:
        width = 20 if truncate is True else int(truncate) or 10**9
        rows = [self.columns] + [
            ["NULL" if value is None else str(value)[:width] for value in row] for row in self.take(n)
        ]
        widths = [max(len(row[at]) for row in rows) for at in range(len(self.columns))]
        for row in rows:
            print("|" + "|".join(cell.rjust(size) for cell, size in zip(row, widths, strict=True)) + "|")  # noqa: T201

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unsupported(f"DataFrame.{name}", "use Spark SQL (spark.sql, selectExpr) or an offered method")

    def __getitem__(self, key: Any) -> NoReturn:
        raise unsupported(f"The column expression df[{key!r}]", "use Spark SQL (spark.sql, selectExpr)")


def refuse_void(schema: StructType, target: str) -> None:
    """As Spark: a column that is only NULL has no type to be written with."""
    for field in schema.fields:
        if isinstance(field.dataType, NullType) or (target != "Parquet" and isinstance(field.dataType, BinaryType)):
            raise AnalysisException(
                f"[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] {target} does not support the column {field.name!r} of type "
                f"{field.dataType.simpleString()}: cast it"
            )
