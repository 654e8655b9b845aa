"""Runs one statement: permissions, catalog, DuckDB, and what it leaves in the buckets and the catalog."""

from __future__ import annotations

import re
import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any

import duckdb

from localaws.engines.athena import expressions, functions, results, specials, syntax, tables, views
from localaws.engines.athena import statements as st
from localaws.engines.athena import types as t
from localaws.engines.athena.binder import CATALOG, Binder, Compiled, TableColumns, View
from localaws.engines.athena.errors import Cancelled, SqlError, from_duckdb
from localaws.engines.athena.expressions import text_of
from localaws.engines.athena.types import Type, literal, quote
from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from localaws.home import Call, Catalog, Document, Home, Objects

INFORMATION_SCHEMA = "information_schema"
_INFORMATION: dict[str, tuple[tuple[str, Type], ...]] = {
    "schemata": tuple((n, t.VARCHAR) for n in ("catalog_name", "schema_name")),
    "tables": tuple((n, t.VARCHAR) for n in ("table_catalog", "table_schema", "table_name", "table_type")),
    "views": tuple((n, t.VARCHAR) for n in ("table_catalog", "table_schema", "table_name", "view_definition")),
    "columns": (
        *((n, t.VARCHAR) for n in ("table_catalog", "table_schema", "table_name", "column_name")),
        ("ordinal_position", t.BIGINT),
        *((n, t.VARCHAR) for n in ("column_default", "is_nullable", "data_type", "comment", "extra_info")),
    ),
}
_MOST_WRITERS = 100  # partitions one statement may write, as in Athena
_FORMATS = {
    "PARQUET": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "JSON": "org.apache.hive.hcatalog.data.JsonSerDe",
    "TEXTFILE": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
}
_INPUTS = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    )
}
_TEXT_INPUT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")


@dataclass
class Engine:
    """What queries share: one DuckDB instance, the table reader and compiled statements."""

    home: Home
    folder: Path
    connection: duckdb.DuckDBPyConnection
    reader: tables.Reader
    plans: dict[tuple[Any, ...], tuple[Compiled, dict[tuple[str, str], str]]] = field(default_factory=dict)


def open_engine(home: Home) -> Engine:
    """A DuckDB without extensions, network or configuration changes; it reads only the files named by our SQL."""
    folder = home.scratch / "athena"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options: dict[str, Any] = {
        "threads": 2,
        "memory_limit": "2GB",
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    connection = duckdb.connect(config=options)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    for macros in (expressions.MACROS, functions.MACROS, specials.MACROS):
        connection.execute(macros)
    connection.execute("SET lock_configuration = true")
    return Engine(home, folder, connection, tables.Reader(folder))


@dataclass
class Run:
    """One statement on its way. `output` is the result prefix (bucket, key prefix); `cutoff` the most bytes it may scan."""

    engine: Engine
    call: Call
    id: str
    database: str | None
    output: tuple[str, str]
    cutoff: int | None = None
    prepared: Any = None  # name → query text, for EXECUTE; set and deleted by PREPARE and DEALLOCATE
    stopped: threading.Event = field(default_factory=threading.Event)
    cursor: duckdb.DuckDBPyConnection | None = None
    scanned: int = 0
    planned: float = 0.0  # monotonic seconds when execution proper began

    @property
    def objects(self) -> Objects:
        return self.engine.home.objects(self.call.account)

    @property
    def catalog(self) -> Catalog:
        return self.engine.home.catalog(self.call.account, self.call.region)

    def check(self) -> None:
        """Raises Cancelled once the query was stopped."""
        if self.stopped.is_set():
            raise Cancelled("Query cancelled by user")

    def stop(self) -> None:
        self.stopped.set()
        if self.cursor is not None:
            self.cursor.interrupt()

    def permit(self, action: str, resource: str, *, path: str = "") -> None:
        """Fails the query when the caller may not do `action` on `resource`."""
        try:
            self.call.authorize(action, resource)
        except ServiceError as error:
            detail = error.message if action in error.message else f"{action} on resource: {resource}: {error.message}"
            if path:
                raise SqlError("ACCESS_DENIED", f"Permission denied on S3 path: {path} ({detail})") from error
            raise SqlError("ACCESS_DENIED", f"Insufficient permissions to execute the query. {detail}") from error

    def permit_catalog(self, action: str, *parts: str) -> None:
        """`glue:<action>` on the catalog, the database and the table named by `parts`."""
        base = f"arn:aws:glue:{self.call.region}:{self.call.account}"
        self.permit(f"glue:{action}", f"{base}:catalog")
        if parts:
            self.permit(f"glue:{action}", f"{base}:database/{parts[0]}")
        if len(parts) > 1:
            self.permit(f"glue:{action}", f"{base}:table/{parts[0]}/{parts[1]}")

    def permit_objects(self, actions: Iterable[str], bucket: str, prefix: str) -> None:
        for action in actions:
            whole = action in ("s3:ListBucket", "s3:GetBucketLocation")
            resource = f"arn:aws:s3:::{bucket}" + ("" if whole else f"/{prefix}*")
            self.permit(action, resource, path=f"s3://{bucket}/{prefix}")


@dataclass
class Outcome:
    """What a statement gave: result rows as a CSV file or lines of text, and counts."""

    columns: list[Document] = field(default_factory=list)
    csv: Path | None = None
    lines: list[str] | None = None
    rows: int = 0
    update_count: int = 0
    manifest: list[str] | None = None  # s3:// addresses an INSERT, CTAS or UNLOAD wrote
    created: str = ""  # where a CREATE TABLE AS put its data


def execute(run: Run, sql: str) -> Outcome:
    """Runs one statement.

    Raises:
        SqlError: why it failed, worded as Athena words it.
        Cancelled: it was stopped, or went over the workgroup's limit of scanned bytes.
    """
    statement = st.parse(sql)
    if isinstance(statement, st.Execute):
        run.permit("athena:GetPreparedStatement", run.prepared.arn)
        sql = st.fill_parameters(run.prepared.text(statement.name), statement.arguments)
        statement = st.parse(sql)
        if isinstance(statement, (st.Execute, st.Prepare, st.Deallocate)):
            raise SqlError("NOT_SUPPORTED", "A prepared statement cannot manage prepared statements")
    run.cursor = run.engine.connection.cursor()
    run.planned = time.monotonic()
    try:
        run.check()
        return _dispatch(run, statement)
    except duckdb.InterruptException as error:
        run.check()
        raise Cancelled("Query cancelled by user") from error
    except duckdb.Error as error:
        run.check()
        raise from_duckdb(error) from error
    except ServiceError as error:
        raise SqlError(_code(error.code), error.message) from error
    finally:
        run.cursor.close()


def _code(name: str) -> str:
    """`EntityNotFoundException` → ENTITY_NOT_FOUND."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Exception")).upper()


def _dispatch(run: Run, statement: st.Statement) -> Outcome:  # noqa: C901, PLR0911, PLR0912 - one case per statement
    match statement:
        case st.Query():
            return _select(run, statement.sql)
        case st.Explain():
            return _explain(run, statement.sql)
        case st.CreateTableAs():
            return _create_table_as(run, statement)
        case st.Insert():
            return _insert(run, statement)
        case st.Unload():
            return _unload(run, statement)
        case st.CreateView():
            return _create_view(run, statement)
        case st.CreateTable():
            return _create_table(run, statement)
        case st.CreateDatabase():
            return _create_database(run, statement)
        case st.Drop():
            return _drop(run, statement)
        case st.Show():
            return _show(run, statement)
        case st.Describe():
            return _describe(run, statement.name)
        case st.Repair():
            return _repair(run, statement.name)
        case st.AlterTable():
            return _alter(run, statement)
        case st.Prepare():
            run.prepared.set(statement.name, statement.sql)
            return Outcome(lines=[])
        case st.Deallocate():
            run.prepared.delete(statement.name)
            return Outcome(lines=[])
    raise SqlError("NOT_SUPPORTED", f"{type(statement).__name__} is not supported by this engine")


# --- SELECT ---------------------------------------------------------------------------------------------------------


def compile_query(run: Run, sql: str) -> tuple[Compiled, dict[tuple[str, str], Document]]:
    """The compiled query and the catalog's documents of every table and view it uses; the caller may use them all."""
    key = (run.call.account, run.call.region, run.database, sql)
    known = run.engine.plans.get(key)
    documents: dict[tuple[str, str], Document] = {}

    def describe(database: str, name: str) -> TableColumns | View:
        if database == INFORMATION_SCHEMA:
            if name not in _INFORMATION:
                raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{INFORMATION_SCHEMA}.{name}' does not exist")
            documents[database, name] = {}
            return TableColumns(_INFORMATION[name])
        documents[database, name] = documents.get((database, name)) or _document(run, database, name)
        return tables.describe(documents[database, name], database)

    if known is not None:
        compiled, versions = known
        for database, name in versions:
            documents[database, name] = {} if database == INFORMATION_SCHEMA else _document(run, database, name)
        if all(tables.version(documents[used]) == seen for used, seen in versions.items()):
            return compiled, documents
        documents.clear()
    compiled = Binder(describe, run.database).compile(syntax.parse(sql))
    if len(run.engine.plans) > 500:
        run.engine.plans.clear()
    run.engine.plans[key] = compiled, {used: tables.version(d) for used, d in documents.items()}
    return compiled, documents


def _document(run: Run, database: str, name: str) -> Document:
    """A table's document, for a caller who may see it.

    Raises:
        SqlError: SCHEMA_NOT_FOUND, TABLE_NOT_FOUND or ACCESS_DENIED.
    """
    run.permit_catalog("GetDatabase", database)
    run.permit_catalog("GetTable", database, name)
    found = run.catalog.table(database, name)
    if found is None:
        _require_database(run, database)
        raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist")
    return found


def _require_database(run: Run, database: str) -> None:
    if not any(d["Name"] == database for d in run.catalog.databases()):
        raise SqlError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")


def runnable(run: Run, compiled: Compiled, documents: dict[tuple[str, str], Document]) -> str:
    """The SQL to run now: each scan's marker replaced by the objects there are at this moment."""
    assert run.cursor is not None
    sql, scanned = compiled.sql, 0
    for scan in compiled.scans:
        run.check()
        if scan.database == INFORMATION_SCHEMA:
            sql = sql.replace(scan.marker, _information(run, scan.table))
            continue
        document = documents[scan.database, scan.table]
        location = (document.get("StorageDescriptor") or {}).get("Location") or ""
        if document.get("PartitionKeys"):
            run.permit_catalog("GetPartitions", scan.database, scan.table)
        seen: set[tuple[str, str]] = set()

        def permit(bucket: str, prefix: str, seen: set[tuple[str, str]] = seen, home: str = location) -> None:
            whole = tables.split_location(home) if home else ("", "")
            root = whole if whole[0] == bucket and prefix.startswith(whole[1]) else (bucket, prefix)
            if root not in seen:
                seen.add(root)
                run.permit_objects(("s3:ListBucket", "s3:GetObject"), *root)

        relation = run.engine.reader.relation(scan, document, run.objects, run.catalog, run.cursor, run.check, permit)
        sql = sql.replace(scan.marker, relation.sql)
        scanned += relation.scanned_bytes
    run.scanned = scanned
    if run.cutoff is not None and scanned > run.cutoff:
        raise Cancelled("Query cancelled! : Bytes scanned limit was exceeded")
    return sql


def _with_current_files(run: Run, sql: str, work: Any) -> Any:
    """`work(compiled, runnable SQL)`, again with a new listing when an object went away in between."""
    for attempt in range(4):
        compiled, documents = compile_query(run, sql)
        text = runnable(run, compiled, documents)
        try:
            return work(compiled, text)
        except duckdb.IOException as error:
            gone = "No such file" in str(error) or "No files found" in str(error) or "Cannot open file" in str(error)
            if attempt == 3 or not gone:
                raise
    raise AssertionError("unreachable")


def _select(run: Run, sql: str) -> Outcome:
    target = run.engine.folder / f"{run.id}.csv"

    def work(compiled: Compiled, text: str) -> Outcome:
        assert run.cursor is not None
        heads = ", ".join(f"{text_of(f'q._o{i}', of)} AS _o{i}" for i, (_, of) in enumerate(compiled.columns))
        body = target.with_suffix(".rows")
        (rows,) = run.cursor.execute(
            f"COPY (SELECT {heads} FROM ({text}) q) TO {literal(str(body))} (FORMAT csv, HEADER false, FORCE_QUOTE *)"  # noqa: S608 - compiled
        ).fetchall()[0]
        # The header is ours: two result columns may have one name, which DuckDB would change.
        with target.open("wb") as whole, body.open("rb") as rest:
            whole.write(results.encode_csv([[name for name, _ in compiled.columns]]).encode())
            shutil.copyfileobj(rest, whole)
        body.unlink()
        run.check()
        columns = [results.column_info(name, of) for name, of in compiled.columns]
        return Outcome(columns=columns, csv=target, rows=rows)

    return _with_current_files(run, sql, work)


def _explain(run: Run, sql: str) -> Outcome:
    inner = st.parse(sql)
    if not isinstance(inner, (st.Query, st.Insert, st.CreateTableAs)):
        raise SqlError("NOT_SUPPORTED", "EXPLAIN is only supported for queries, INSERT and CREATE TABLE AS")

    def work(compiled: Compiled, text: str) -> Outcome:
        assert run.cursor is not None
        plan = run.cursor.execute(f"EXPLAIN {text}").fetchall()[0][1]
        target = run.engine.folder / f"{run.id}.csv"
        target.write_text(results.encode_csv([["Query Plan"], [plan]]))
        run.scanned = 0
        return Outcome(columns=[results.column_info("Query Plan", t.VARCHAR)], csv=target, rows=1)

    return _with_current_files(run, inner.sql, work)


def _information(run: Run, table: str) -> str:
    """A table of information_schema as VALUES."""
    run.permit_catalog("GetDatabases")
    rows: list[tuple[Any, ...]] = []
    for database in run.catalog.databases():
        schema = database["Name"]
        if table == "schemata":
            rows.append((CATALOG, schema))
            continue
        run.permit_catalog("GetTables", schema)
        for document in run.catalog.tables(schema):
            is_view = document.get("TableType") == "VIRTUAL_VIEW"
            if table == "tables":
                rows.append((CATALOG, schema, document["Name"], "VIEW" if is_view else "BASE TABLE"))
            elif table == "views":
                if is_view:
                    rows.append(
                        (CATALOG, schema, document["Name"], views.decode(document["ViewOriginalText"], schema).sql)
                    )
            else:
                rows += _information_columns(schema, document)
    columns = _INFORMATION[table]
    heads = ", ".join(quote(n) for n, _ in columns)
    if not rows:
        nulls = ", ".join(f"CAST(NULL AS {t.storage(of)}) AS {quote(n)}" for n, of in columns)
        return f"(SELECT {nulls} WHERE false)"

    def cell(value: Any, of: Type) -> str:
        return f"CAST({'NULL' if value is None else literal(str(value))} AS {t.storage(of)})"

    text = ", ".join(
        "(" + ", ".join(cell(v, of) for v, (_, of) in zip(row, columns, strict=True)) + ")" for row in rows
    )
    return f"(SELECT * FROM (VALUES {text}) i({heads}))"


def _information_columns(schema: str, document: Document) -> list[tuple[Any, ...]]:
    keys = [c["Name"].lower() for c in document.get("PartitionKeys") or ()]
    try:
        described = tables.describe(document, schema)
    except SqlError:
        return []  # a table this engine cannot read is listed in `tables`, without columns
    columns = described.columns if isinstance(described, View) else (*described.columns, *described.partition_keys)
    return [
        (
            CATALOG,
            schema,
            document["Name"],
            name,
            at,
            None,
            "YES",
            str(of),
            None,
            "partition key" if name in keys else None,
        )
        for at, (name, of) in enumerate(columns, 1)
    ]


# --- statements that write data -------------------------------------------------------------------------------------


def _resolved(run: Run, name: st.Name) -> tuple[str, str]:
    database = name[0] or run.database
    if not database:
        raise SqlError("MISSING_SCHEMA_NAME", "line 1:1: Schema must be specified when session schema is not set")
    return database, name[1]


@dataclass(frozen=True)
class _Target:
    """Where rows go. `keys` are written as folders `key=value`, in this order."""

    bucket: str
    prefix: str
    format: str  # parquet, json or lazy
    compression: str
    delimiter: str
    columns: tuple[tuple[str, Type], ...]
    keys: tuple[tuple[str, Type], ...]


def _write(run: Run, sql: str, target: _Target) -> tuple[int, list[str], list[tuple[str, ...]]]:
    """Runs a query into files: number of rows, addresses written, partitions written.

    The query's columns are those of the target in order, partition keys last.
    """
    run.permit_objects(("s3:PutObject",), target.bucket, target.prefix)

    def work(compiled: Compiled, text: str) -> tuple[int, list[str], list[tuple[str, ...]]]:
        cursor = run.cursor
        assert cursor is not None
        every = (*target.columns, *target.keys)
        heads = ", ".join(
            f"{expressions.convert(expressions.Expr(f'q._o{i}', of), goal).sql} AS {quote(name)}"
            for i, ((_, of), (name, goal)) in enumerate(zip(compiled.columns, every, strict=True))
        )
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE written AS SELECT {heads} FROM ({text}) q")  # noqa: S608 - compiled
        keys = ", ".join(quote(name) for name, _ in target.keys)
        groups = cursor.execute(f"SELECT DISTINCT {keys} FROM written ORDER BY ALL").fetchall() if keys else [()]  # noqa: S608 - compiled
        if len(groups) > _MOST_WRITERS:
            raise SqlError(
                "HIVE_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {_MOST_WRITERS} open writers for partitions/buckets",
            )
        total, addresses, partitions = 0, [], []
        for number, group in enumerate(groups):
            run.check()
            rows, file, values = _write_group(run, target, group, number)
            if not rows:
                continue
            folder = "".join(f"{name}={value}/" for (name, _), value in zip(target.keys, values, strict=True))
            key = f"{target.prefix}{folder}{file.name}"
            run.objects.write(target.bucket, key, file)
            total += rows
            addresses.append(f"s3://{target.bucket}/{key}")
            partitions.append(values)
        return total, addresses, partitions

    return _with_current_files(run, sql, work)


def _write_group(run: Run, target: _Target, group: tuple[Any, ...], number: int) -> tuple[int, Path, tuple[str, ...]]:
    cursor = run.cursor
    assert cursor is not None
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    file = run.engine.folder / f"{stamp}_{number:05d}_{run.id}{_suffix(target)}"
    where = " AND ".join(f"{quote(name)} IS NOT DISTINCT FROM ?" for name, _ in target.keys)
    values = tuple(
        tables.NULL_PARTITION if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for value in group
    )
    if target.format == "lazy":
        nested = [name for name, of in target.columns if of.args]
        if nested:
            raise SqlError(
                "NOT_SUPPORTED", f"Writing nested columns {nested} as TEXTFILE is not supported by this engine"
            )
        cells = [f"coalesce({text_of(quote(n), of)}, '\\N')" for n, of in target.columns]
        heads = f"concat_ws({literal(target.delimiter)}, {', '.join(cells)}) AS line"
    else:
        heads = ", ".join(
            f"{text_of(quote(n), of)} AS {quote(n)}" if target.format == "json" and of.name == "timestamp" else quote(n)
            for n, of in target.columns
        )
    options = {
        "parquet": f"FORMAT parquet, COMPRESSION {target.compression or 'snappy'}",
        "json": f"FORMAT json{', COMPRESSION gzip' if target.compression else ''}",
        "lazy": f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x07'{', COMPRESSION gzip' if target.compression else ''}",
    }[target.format]
    condition = f" WHERE {where}" if where else ""
    (rows,) = cursor.execute(
        f"COPY (SELECT {heads} FROM written{condition}) TO {literal(str(file))} ({options})",  # noqa: S608 - compiled
        list(group) or None,
    ).fetchall()[0]
    return rows, file, values


def _suffix(target: _Target) -> str:
    if target.format == "parquet":
        return ""
    return ".gz" if target.compression else ""


def _compression(properties: dict[str, object], file_format: str, default: str) -> str:
    given = (
        properties.get("write_compression")
        or properties.get(f"{file_format}_compression")
        or properties.get("compression")
    )
    name = str(given or default).lower()
    allowed = {"parquet": ("gzip", "snappy", "zstd", "none", "uncompressed")}.get(file_format, ("gzip", "none"))
    if name not in allowed:
        raise SqlError(
            "NOT_SUPPORTED", f"Compression {name.upper()} for {file_format.upper()} is not supported by this engine"
        )
    if name in ("none", "uncompressed"):
        return "uncompressed" if file_format == "parquet" else ""
    return name


def _file_format(properties: dict[str, object]) -> str:
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in _FORMATS:
        raise SqlError("NOT_SUPPORTED", f"Format {name} is not supported by this engine: use PARQUET, JSON or TEXTFILE")
    return {"PARQUET": "parquet", "JSON": "json", "TEXTFILE": "lazy"}[name]


def _known(properties: dict[str, object], allowed: Sequence[str], what: str) -> None:
    for name in properties:
        if name not in allowed:
            raise SqlError(
                "INVALID_TABLE_PROPERTY", f"line 1:1: {what} property '{name}' does not exist or is not supported"
            )


def _empty(run: Run, bucket: str, prefix: str) -> bool:
    return not any(True for _ in run.objects.list(bucket, prefix))


def _create_table_as(run: Run, statement: st.CreateTableAs) -> Outcome:
    database, name = _resolved(run, statement.name)
    if run.catalog.table(database, name) is not None:
        if statement.if_not_exists:
            return Outcome(columns=[results.column_info("rows", t.BIGINT)])
        raise SqlError(
            "TABLE_ALREADY_EXISTS", f"line 1:1: Destination table '{CATALOG}.{database}.{name}' already exists"
        )
    _require_database(run, database)
    properties = statement.properties
    _known(
        properties,
        (
            "format",
            "external_location",
            "partitioned_by",
            "write_compression",
            "parquet_compression",
            "field_delimiter",
            "is_external",
            "table_type",
        ),
        "CREATE TABLE AS",
    )
    if str(properties.get("table_type", "HIVE")).upper() != "HIVE":
        raise SqlError("NOT_SUPPORTED", "Iceberg tables are not supported by this engine")
    file_format = _file_format(properties)
    compression = _compression(properties, file_format, "gzip")
    keys = list(properties.get("partitioned_by", []))  # type: ignore[call-overload]
    run.permit_catalog("CreateTable", database, name)
    compiled, _ = compile_query(run, statement.sql)
    names = [n for n, _ in compiled.columns]
    if len(set(names)) < len(names):
        raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Column name specified more than once: {names}")
    if keys and names[-len(keys) :] != keys:
        raise SqlError(
            "HIVE_COLUMN_ORDER_MISMATCH",
            f"Partition keys must be the last columns in the table and in the same order: {keys}",
        )
    for column, of in compiled.columns:
        if of == t.UNKNOWN:
            raise SqlError("COLUMN_TYPE_UNKNOWN", f"line 1:1: Column type is unknown: {column}")
        t.hive_name(of)
    location = str(properties.get("external_location") or f"s3://{run.output[0]}/{run.output[1]}tables/{run.id}/")
    bucket, prefix = tables.split_location(location)
    if not _empty(run, bucket, prefix):
        raise SqlError(
            "HIVE_PATH_ALREADY_EXISTS",
            f"Target directory for table '{database}.{name}' already exists: {location}. You may need to manually clean the "
            "data at this location before retrying",
        )
    plain = compiled.columns[: len(names) - len(keys)]
    key_columns = compiled.columns[len(names) - len(keys) :]
    delimiter = str(properties.get("field_delimiter", "\x01"))
    target = _Target(bucket, prefix, file_format, compression, delimiter, plain, key_columns)
    rows, addresses, partitions = _write(run, statement.sql, target) if statement.with_data else (0, [], [])
    document = _table_input(name, target, f"s3://{bucket}/{prefix}")
    run.catalog.put_table(database, document)
    _put_partitions(run, database, document, target, partitions)
    return Outcome(
        columns=[results.column_info("rows", t.BIGINT)],
        rows=0,
        update_count=rows,
        manifest=addresses,
        created=f"s3://{bucket}/{prefix}",
    )


def _table_input(name: str, target: _Target, location: str) -> Document:
    serde = {"parquet": _FORMATS["PARQUET"], "json": _FORMATS["JSON"], "lazy": _FORMATS["TEXTFILE"]}[target.format]
    reads, writes = _INPUTS.get(target.format, _TEXT_INPUT)
    parameters = {"serialization.format": "1"}
    if target.format == "lazy":
        parameters = {"field.delim": target.delimiter, "serialization.format": target.delimiter}
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
        "PartitionKeys": [{"Name": n, "Type": t.hive_name(of)} for n, of in target.keys],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": t.hive_name(of)} for n, of in target.columns],
            "Location": location,
            "InputFormat": reads,
            "OutputFormat": writes,
            "Compressed": False,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
        },
    }


def _put_partitions(
    run: Run, database: str, document: Document, target: _Target, partitions: list[tuple[str, ...]]
) -> None:
    if not target.keys or not partitions:
        return
    run.permit_catalog("BatchCreatePartition", database, document["Name"])
    known = {tuple(p["Values"]) for p in run.catalog.partitions(database, document["Name"])}
    inputs = [
        _partition_input(document, dict(zip((n for n, _ in target.keys), values, strict=True)), "")
        for values in partitions
        if values not in known
    ]
    if inputs:
        run.catalog.put_partitions(database, document["Name"], inputs)


def _partition_input(document: Document, values: dict[str, str], location: str) -> Document:
    keys = [c["Name"] for c in document.get("PartitionKeys") or ()]
    missing = [k for k in keys if k.lower() not in values]
    if missing or len(values) != len(keys):
        raise SqlError(
            "INVALID_PARTITION",
            f"FAILED: SemanticException partition spec {values} does not match the partition columns {keys}",
        )
    descriptor = dict(document["StorageDescriptor"])
    base = descriptor["Location"].rstrip("/")
    descriptor["Location"] = location or base + "".join(f"/{k}={values[k.lower()]}" for k in keys) + "/"
    return {"Values": [values[k.lower()] for k in keys], "StorageDescriptor": descriptor, "Parameters": {}}


def _insert(run: Run, statement: st.Insert) -> Outcome:
    database, name = _resolved(run, statement.name)
    document = _document(run, database, name)
    if document.get("TableType") == "VIRTUAL_VIEW":
        raise SqlError("NOT_SUPPORTED", "line 1:1: Inserting into views is not supported")
    table = tables.read_definition(document, database)
    if table.format == "csv":
        raise SqlError("NOT_SUPPORTED", "INSERT into a table with OpenCSVSerde is not supported, as in Athena")
    bucket, prefix = tables.split_location(table.location)
    compiled, _ = compile_query(run, statement.sql)
    every = (*table.columns, *table.keys)
    wanted = statement.columns or tuple(n for n, _ in every)
    unknown = [n for n in wanted if n not in dict(every)]
    if unknown:
        raise SqlError("COLUMN_NOT_FOUND", f"line 1:1: Insert column name does not exist in target table: {unknown[0]}")
    given = [of for _, of in compiled.columns]
    targets = [dict(every)[n] for n in wanted]
    if len(given) != len(targets) or not all(map(_insertable, given, targets)):
        raise SqlError(
            "TYPE_MISMATCH",
            f"line 1:1: Insert query has mismatched column types: Table: [{', '.join(map(str, targets))}], "
            f"Query: [{', '.join(map(str, given))}]",
        )
    # The columns in the table's order, those left out as NULL.
    items = ", ".join(
        f'i."{wanted.index(n)}"' if n in wanted else f"CAST(NULL AS {of if of.name != 'timestamp' else 'timestamp(3)'})"
        for n, of in every
    )
    heads = ", ".join(f'"{i}"' for i in range(len(wanted)))
    sql = f"SELECT {items} FROM ({statement.sql}) i({heads})"  # noqa: S608 - Athena SQL, bound like any query
    delimiter = table.serde.get("field.delim", "\x01")
    target = _Target(
        bucket,
        prefix,
        table.format,
        "snappy" if table.format == "parquet" else "",
        delimiter,
        table.columns,
        table.keys,
    )
    rows, addresses, partitions = _write(run, sql, target)
    _put_partitions(run, database, document, target, partitions)
    return Outcome(columns=[results.column_info("rows", t.BIGINT)], update_count=rows, manifest=addresses)


def _insertable(given: Type, target: Type) -> bool:
    return t.coercible(given, target) or (given.name == target.name == "varchar" and target.precision is None)


def _unload(run: Run, statement: st.Unload) -> Outcome:
    properties = statement.properties
    _known(properties, ("format", "compression", "field_delimiter", "partitioned_by"), "UNLOAD")
    if "format" not in properties:
        raise SqlError("INVALID_TABLE_PROPERTY", "UNLOAD needs WITH (format = …)")
    file_format = _file_format(properties)
    bucket, prefix = tables.split_location(statement.location)
    if not _empty(run, bucket, prefix):
        raise SqlError("HIVE_PATH_ALREADY_EXISTS", f"Target directory already exists: {statement.location}")
    keys = list(properties.get("partitioned_by", []))  # type: ignore[call-overload]
    compiled, _ = compile_query(run, statement.sql)
    names = [n for n, _ in compiled.columns]
    if keys and names[-len(keys) :] != keys:
        raise SqlError(
            "HIVE_COLUMN_ORDER_MISMATCH", f"Partition keys must be the last columns in the same order: {keys}"
        )
    cut = len(names) - len(keys)
    compression = _compression(properties, file_format, "gzip")
    delimiter = str(properties.get("field_delimiter", "\x01"))
    target = _Target(
        bucket, prefix, file_format, compression, delimiter, compiled.columns[:cut], compiled.columns[cut:]
    )
    rows, addresses, _ = _write(run, statement.sql, target)
    return Outcome(columns=[results.column_info("rows", t.BIGINT)], update_count=rows, manifest=addresses)


# --- catalog statements ---------------------------------------------------------------------------------------------


def _create_view(run: Run, statement: st.CreateView) -> Outcome:
    database, name = _resolved(run, statement.name)
    _require_database(run, database)
    known = run.catalog.table(database, name)
    if known is not None and (known.get("TableType") != "VIRTUAL_VIEW" or not statement.replace):
        kind = "View" if known.get("TableType") == "VIRTUAL_VIEW" else "Table"
        raise SqlError("TABLE_ALREADY_EXISTS", f"line 1:1: {kind} already exists: '{CATALOG}.{database}.{name}'")
    compiled, _ = compile_query(run, statement.sql)
    names = [n for n, _ in compiled.columns]
    if len(set(names)) < len(names):
        raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Column name specified more than once: {names}")
    run.permit_catalog("UpdateTable" if known else "CreateTable", database, name)
    run.catalog.put_table(database, views.table_input(name, statement.sql, run.database or database, compiled.columns))
    return Outcome(lines=[])


def _create_table(run: Run, statement: st.CreateTable) -> Outcome:
    database, name = _resolved(run, statement.name)
    _require_database(run, database)
    run.permit_catalog("CreateTable", database, name)
    if run.catalog.table(database, name) is not None:
        if statement.if_not_exists:
            return Outcome(lines=[])
        raise SqlError(
            "ALREADY_EXISTS", f"FAILED: Execution Error: AlreadyExistsException(message:Table {name} already exists)"
        )
    bucket, prefix = tables.split_location(statement.location)
    run.permit_objects(("s3:GetBucketLocation",), bucket, prefix)
    parquet = "parquet" in statement.serde.lower()
    reads, writes = _INPUTS["parquet"] if parquet else _TEXT_INPUT
    document = {
        "Name": name,
        "Description": statement.comment,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", **statement.parameters},
        "PartitionKeys": [_column(*key) for key in statement.keys],
        "StorageDescriptor": {
            "Columns": [_column(*column) for column in statement.columns],
            "Location": statement.location,
            "InputFormat": reads,
            "OutputFormat": writes,
            "Compressed": False,
            "SerdeInfo": {"SerializationLibrary": statement.serde, "Parameters": statement.serde_parameters},
        },
    }
    tables.read_definition({**document, "DatabaseName": database}, database)
    run.catalog.put_table(database, document)
    return Outcome(lines=[])


def _column(name: str, of: Type, comment: str) -> Document:
    return {"Name": name, "Type": t.hive_name(of), **({"Comment": comment} if comment else {})}


def _create_database(run: Run, statement: st.CreateDatabase) -> Outcome:
    run.permit_catalog("CreateDatabase", statement.name)
    if any(d["Name"] == statement.name for d in run.catalog.databases()):
        if statement.if_not_exists:
            return Outcome(lines=[])
        raise SqlError("ALREADY_EXISTS", f"FAILED: Execution Error: Database {statement.name} already exists")
    document: Document = {"Name": statement.name, "Parameters": statement.parameters}
    if statement.comment:
        document["Description"] = statement.comment
    if statement.location:
        document["LocationUri"] = statement.location
    run.catalog.create_database(document)
    return Outcome(lines=[])


def _drop(run: Run, statement: st.Drop) -> Outcome:
    if statement.kind == "DATABASE":
        name = statement.name[1]
        if not any(d["Name"] == name for d in run.catalog.databases()):
            if statement.if_exists:
                return Outcome(lines=[])
            raise SqlError("SCHEMA_NOT_FOUND", f"FAILED: SemanticException Database does not exist: {name}")
        if run.catalog.tables(name) and not statement.cascade:
            raise SqlError(
                "SCHEMA_NOT_EMPTY", f"FAILED: Execution Error: Database {name} is not empty. One or more tables exist."
            )
        run.permit_catalog("DeleteDatabase", name)
        run.catalog.delete_database(name)
        return Outcome(lines=[])
    database, name = _resolved(run, statement.name)
    found = run.catalog.table(database, name)
    if found is None:
        if statement.if_exists:
            return Outcome(lines=[])
        raise SqlError("TABLE_NOT_FOUND", f"{statement.kind.capitalize()} '{CATALOG}.{database}.{name}' does not exist")
    is_view = found.get("TableType") == "VIRTUAL_VIEW"
    if is_view != (statement.kind == "VIEW"):
        raise SqlError(
            "TABLE_NOT_FOUND",
            f"'{database}.{name}' is a {'view' if is_view else 'table'}: use DROP {'VIEW' if is_view else 'TABLE'}",
        )
    run.permit_catalog("DeleteTable", database, name)
    run.catalog.delete_table(database, name)
    return Outcome(lines=[])


def _show(run: Run, statement: st.Show) -> Outcome:
    def listing(head: str, names: Iterable[str]) -> Outcome:
        kept = [n for n in names if _matches(n, statement)]
        return Outcome(columns=[results.text_column(head)], lines=sorted(kept), rows=len(kept))

    what, name = statement.what, statement.name
    if what == "DATABASES":
        run.permit_catalog("GetDatabases")
        return listing("database_name", (d["Name"] for d in run.catalog.databases()))
    if what in ("TABLES", "VIEWS"):
        database = (name[0] if name else None) or run.database
        if not database:
            raise SqlError("MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set")
        _require_database(run, database)
        run.permit_catalog("GetTables", database)
        found = [d for d in run.catalog.tables(database) if what == "TABLES" or d.get("TableType") == "VIRTUAL_VIEW"]
        return listing("tab_name" if what == "TABLES" else "views", (d["Name"] for d in found))
    assert name is not None
    database, table = _resolved(run, name)
    document = _document(run, database, table)
    lines: list[str]
    if what == "PARTITIONS":
        keys = [c["Name"] for c in document.get("PartitionKeys") or ()]
        if not keys:
            raise SqlError("INVALID_TABLE", f"FAILED: SemanticException Table {table} is not a partitioned table")
        run.permit_catalog("GetPartitions", database, table)
        lines = sorted(
            "/".join(f"{k}={v}" for k, v in zip(keys, p["Values"], strict=True))
            for p in run.catalog.partitions(database, table)
        )
        return Outcome(columns=[results.text_column("partition")], lines=lines, rows=len(lines))
    if what == "COLUMNS":
        lines = [
            f"{c['Name']:<20}"
            for c in (*document["StorageDescriptor"]["Columns"], *(document.get("PartitionKeys") or ()))
        ]
        return Outcome(columns=[results.text_column("field")], lines=lines, rows=len(lines))
    if what == "TBLPROPERTIES":
        parameters = document.get("Parameters") or {}
        lines = [f"{k}\t{v}" for k, v in sorted(parameters.items()) if statement.pattern in (None, k)]
        return Outcome(
            columns=[results.text_column("prpt_name"), results.text_column("prpt_value")], lines=lines, rows=len(lines)
        )
    is_view = document.get("TableType") == "VIRTUAL_VIEW"
    if what == "CREATE VIEW":
        if not is_view:
            raise SqlError("NOT_SUPPORTED", f"'{database}.{table}' is a table, not a view")
        lines = [f"CREATE VIEW {table} AS", *views.decode(document["ViewOriginalText"], database).sql.splitlines()]
        return Outcome(columns=[results.text_column("Create View")], lines=lines, rows=len(lines))
    if is_view:
        raise SqlError("NOT_SUPPORTED", f"'{database}.{table}' is a view: use SHOW CREATE VIEW")
    lines = _create_text(document)
    return Outcome(columns=[results.text_column("createtab_stmt")], lines=lines, rows=len(lines))


def _matches(name: str, statement: st.Show) -> bool:
    if statement.pattern is None:
        return True
    if statement.like:
        form = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in statement.pattern)
        return re.fullmatch(form, name) is not None
    # Hive's patterns: `*` for anything and `|` for choices; Athena also takes `.*`.
    return any(re.match(translate(part.replace(".*", "*")), name) is not None for part in statement.pattern.split("|"))


def _create_text(document: Document) -> list[str]:
    """SHOW CREATE TABLE's lines."""
    descriptor = document["StorageDescriptor"]

    def columns(of: Sequence[Document]) -> list[str]:
        lines = [
            f"  `{c['Name']}` {c['Type']}" + (f" COMMENT {_quoted(c['Comment'])}" if c.get("Comment") else "")
            for c in of
        ]
        return [line + ("," if i < len(lines) - 1 else ")") for i, line in enumerate(lines)]

    lines = [f"CREATE EXTERNAL TABLE `{document['Name']}`(", *columns(descriptor["Columns"])]
    if document.get("PartitionKeys"):
        lines += ["PARTITIONED BY ( ", *columns(document["PartitionKeys"])]
    info = descriptor.get("SerdeInfo") or {}
    lines += ["ROW FORMAT SERDE ", f"  {_quoted(info.get('SerializationLibrary', ''))} "]

    def pairs(of: dict[str, Any]) -> list[str]:
        made = [f"  {_quoted(str(k))}={_quoted(str(v))}" for k, v in sorted(of.items())]
        return [line + (", " if i < len(made) - 1 else ") ") for i, line in enumerate(made)]

    if info.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES ( ", *pairs(info["Parameters"])]
    if descriptor.get("InputFormat"):
        lines += ["STORED AS INPUTFORMAT ", f"  {_quoted(descriptor['InputFormat'])} "]
        lines += ["OUTPUTFORMAT ", f"  {_quoted(descriptor.get('OutputFormat', ''))}"]
    lines += ["LOCATION", f"  {_quoted(descriptor.get('Location', ''))}"]
    parameters = {k: v for k, v in (document.get("Parameters") or {}).items() if k != "EXTERNAL"}
    if parameters:
        lines += ["TBLPROPERTIES (", *pairs(parameters)]
    return [line.rstrip() for line in lines]


def _quoted(text: str) -> str:
    return (
        "'"
        + text.replace("\\", "\\\\").replace("'", "\\'").encode("unicode_escape").decode().replace("\\\\", "\\")
        + "'"
    )


def _describe(run: Run, name: st.Name) -> Outcome:
    database, table = _resolved(run, name)
    document = _document(run, database, table)

    def line(column: Document) -> str:
        return f"{column['Name']:<20}\t{column['Type']:<20}\t{column.get('Comment') or '':<20}"

    columns, keys = document["StorageDescriptor"]["Columns"], document.get("PartitionKeys") or []
    lines = [line(c) for c in (*columns, *keys)]
    if keys:
        blank = f"{'':<20}\t{'':<20}\t{'':<20}"
        head = f"{'# col_name':<20}\t{'data_type':<20}\t{'comment':<20}"
        lines += [blank, f"{'# Partition Information':<20}\t{'':<20}\t{'':<20}", head, blank, *(line(c) for c in keys)]
    heads = [results.text_column(n) for n in ("col_name", "data_type", "comment")]
    return Outcome(columns=heads, lines=lines, rows=len(lines))


def _repair(run: Run, name: st.Name) -> Outcome:
    """Adds the partitions whose folders `key=value/…` stand below the table's location."""
    database, table = _resolved(run, name)
    document = _document(run, database, table)
    keys = [c["Name"] for c in document.get("PartitionKeys") or ()]
    if not keys:
        raise SqlError("INVALID_TABLE", f"FAILED: SemanticException Table {table} is not a partitioned table")
    bucket, prefix = tables.split_location(document["StorageDescriptor"]["Location"])
    run.permit_objects(("s3:ListBucket",), bucket, prefix)
    run.permit_catalog("GetPartitions", database, table)
    known = {tuple(p["Values"]) for p in run.catalog.partitions(database, table)}
    found: dict[tuple[str, ...], str] = {}
    for stored in run.objects.list(bucket, prefix):
        folders = stored.key[len(prefix) :].split("/")[:-1][: len(keys)]
        values = tuple(folder.partition("=")[2] for folder in folders)
        if len(folders) == len(keys) and [folder.partition("=")[0].lower() for folder in folders] == [
            k.lower() for k in keys
        ]:
            found.setdefault(values, f"s3://{bucket}/{prefix}{'/'.join(folders)}/")
    new = {values: place for values, place in found.items() if values not in known}
    if new:
        run.permit_catalog("BatchCreatePartition", database, table)
        inputs = [
            _partition_input(document, dict(zip((k.lower() for k in keys), values, strict=True)), place)
            for values, place in new.items()
        ]
        run.catalog.put_partitions(database, table, inputs)
    specs = [
        ":".join((table, "/".join(f"{k}={v}" for k, v in zip(keys, values, strict=True)))) for values in sorted(new)
    ]
    lines = []
    if specs:
        lines.append(f"Partitions not in metastore: {chr(9).join(specs)}")
        lines += [f"Repair: Added partition to metastore {spec}" for spec in specs]
    return Outcome(columns=[results.text_column("result")] if lines else [], lines=lines, rows=len(lines))


def _alter(run: Run, statement: st.AlterTable) -> Outcome:
    database, table = _resolved(run, statement.name)
    document = _document(run, database, table)
    known = {tuple(p["Values"]) for p in run.catalog.partitions(database, table)} if statement.partitions else set()
    if statement.action == "ADD PARTITION":
        run.permit_catalog("BatchCreatePartition", database, table)
        inputs = [_partition_input(document, values, location) for values, location in statement.partitions]
        repeated = [i["Values"] for i in inputs if tuple(i["Values"]) in known]
        if repeated and not statement.lenient:
            raise SqlError("ALREADY_EXISTS", f"FAILED: SemanticException Partition already exists: {repeated[0]}")
        new = [i for i in inputs if tuple(i["Values"]) not in known]
        if new:
            run.catalog.put_partitions(database, table, new)
    elif statement.action == "DROP PARTITION":
        run.permit_catalog("DeletePartition", database, table)
        values = [tuple(_partition_input(document, v, "")["Values"]) for v, _ in statement.partitions]
        missing = [v for v in values if v not in known]
        if missing and not statement.lenient:
            raise SqlError("NOT_FOUND", f"FAILED: SemanticException Partition not found: {list(missing[0])}")
        run.catalog.delete_partitions(database, table, [v for v in values if v in known])
    else:
        run.permit_catalog("UpdateTable", database, table)
        columns = [_column(*c) for c in statement.columns]
        descriptor = document["StorageDescriptor"]
        if statement.action == "SET TBLPROPERTIES":
            document["Parameters"] = {**(document.get("Parameters") or {}), **statement.parameters}
        elif statement.action == "SET LOCATION":
            tables.split_location(statement.location)
            descriptor["Location"] = statement.location
        elif statement.action == "ADD COLUMNS":
            descriptor["Columns"] = [*descriptor["Columns"], *columns]
        else:
            descriptor["Columns"] = columns
        allowed = (
            "Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "ViewOriginalText",
            "ViewExpandedText", "TableType", "Parameters",
        )  # fmt: skip
        run.catalog.put_table(database, {k: v for k, v in document.items() if k in allowed})
    return Outcome(lines=[])
