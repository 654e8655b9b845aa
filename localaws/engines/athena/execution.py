"""What every statement needs: the caller's permissions, compiled queries over the objects of the moment, results."""

# ruff: noqa: S608 - DuckDB SQL made of bound trees: user text enters it only through `quote` and `literal`

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from localaws.engines.athena import expressions, functions, operators, results, syntax, tables, views
from localaws.engines.athena import statements as st
from localaws.engines.athena import types as t
from localaws.engines.athena.binder import Binder
from localaws.engines.athena.errors import Cancelled, SqlError
from localaws.engines.athena.expressions import text_of
from localaws.engines.athena.model import CATALOG, Compiled, TableColumns, View
from localaws.engines.athena.types import Type, literal, outside_text, quote
from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable
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


@dataclass
class Engine:
    """What queries share: one DuckDB instance, the table reader and compiled statements."""

    home: Home
    folder: Path
    connection: duckdb.DuckDBPyConnection
    reader: tables.Reader
    plans: dict[tuple[Any, ...], tuple[Compiled, dict[tuple[str, str], str]]] = field(default_factory=dict)


def open_engine(home: Home) -> Engine:
    """A DuckDB without extensions, network or configuration changes.

    Whatever SQL reaches it, it reads and writes files only below its own scratch folder and the objects' bodies.
    """
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
    for macros in (expressions.MACROS, functions.MACROS, operators.MACROS):
        connection.execute(macros)
    # DuckDB compares real paths. Which object a caller may read is decided before it is named in SQL: see `runnable`.
    allowed = ", ".join(literal(str(place.resolve())) for place in (folder, home.bodies))
    connection.execute(f"SET GLOBAL allowed_directories = [{allowed}]")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")
    return Engine(home, folder, connection, tables.Reader(folder))


@dataclass
class Run:
    """One statement on its way.

    `output` is where results go (bucket, key prefix), `cutoff` the most bytes it may scan.
    """

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
            with suppress(duckdb.ConnectionException):  # it has just ended
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
        documents[database, name] = documents.get((database, name)) or document_of(run, database, name)
        return tables.describe(documents[database, name], database)

    if known is not None:
        compiled, versions = known
        for database, name in versions:
            documents[database, name] = {} if database == INFORMATION_SCHEMA else document_of(run, database, name)
        if all(tables.version(documents[used]) == seen for used, seen in versions.items()):
            return compiled, documents
        documents.clear()
    compiled = Binder(describe, run.database).compile(syntax.parse(sql))
    if len(run.engine.plans) > 500:
        run.engine.plans.clear()
    run.engine.plans[key] = compiled, {used: tables.version(d) for used, d in documents.items()}
    return compiled, documents


def document_of(run: Run, database: str, name: str) -> Document:
    """A table's document, for a caller who may see it.

    Raises:
        SqlError: SCHEMA_NOT_FOUND, TABLE_NOT_FOUND or ACCESS_DENIED.
    """
    run.permit_catalog("GetDatabase", database)
    run.permit_catalog("GetTable", database, name)
    found = run.catalog.table(database, name)
    if found is None:
        require_database(run, database)
        raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist")
    return found


def require_database(run: Run, database: str) -> None:
    if not any(d["Name"] == database for d in run.catalog.databases()):
        raise SqlError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")


def runnable(run: Run, compiled: Compiled, documents: dict[tuple[str, str], Document]) -> str:
    """The SQL to run now: each scan's marker replaced by the objects there are at this moment."""
    assert run.cursor is not None
    relations: dict[str, str] = {}
    scanned = 0
    for scan in compiled.scans:
        run.check()
        if scan.database == INFORMATION_SCHEMA:
            relations[scan.marker] = _information(run, scan.table)
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
        relations[scan.marker] = relation.sql
        scanned += relation.scanned_bytes
    run.scanned = scanned
    if run.cutoff is not None and scanned > run.cutoff:
        raise Cancelled("Query cancelled! : Bytes scanned limit was exceeded")
    return outside_text(compiled.sql, "\x00[0-9]+\x00", relations.__getitem__)


def permit_query(run: Run, sql: str) -> None:
    """Fails unless the caller may read every table and view of the query and their objects; reads none of them."""
    _, documents = compile_query(run, sql)
    for (database, table), document in documents.items():
        if document.get("PartitionKeys"):
            run.permit_catalog("GetPartitions", database, table)
        location = (document.get("StorageDescriptor") or {}).get("Location")
        if location:
            run.permit_objects(("s3:ListBucket", "s3:GetObject"), *tables.split_location(location))


def with_current_files(run: Run, sql: str, work: Any) -> Any:
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


def select(run: Run, sql: str) -> Outcome:
    target = run.engine.folder / f"{run.id}.csv"

    def work(compiled: Compiled, text: str) -> Outcome:
        assert run.cursor is not None
        heads = ", ".join(f"{text_of(f'q._o{i}', of)} AS _o{i}" for i, (_, of) in enumerate(compiled.columns))
        body = target.with_suffix(".rows")
        (rows,) = run.cursor.execute(
            f"COPY (SELECT {heads} FROM ({text}) q) TO {literal(str(body))} (FORMAT csv, HEADER false, FORCE_QUOTE *)"
        ).fetchall()[0]
        # The header is ours: two result columns may have one name, which DuckDB would change.
        with target.open("wb") as whole, body.open("rb") as rest:
            whole.write(results.encode_csv([[name for name, _ in compiled.columns]]).encode())
            shutil.copyfileobj(rest, whole)
        body.unlink()
        run.check()
        columns = [results.column_info(name, of) for name, of in compiled.columns]
        return Outcome(columns=columns, csv=target, rows=rows)

    return with_current_files(run, sql, work)


def explain(run: Run, sql: str) -> Outcome:
    inner = st.parse(sql)
    if not isinstance(inner, (st.Query, st.Insert, st.CreateTableAs)):
        raise SqlError("NOT_SUPPORTED", "EXPLAIN is only supported for queries, INSERT and CREATE TABLE AS")

    def work(_: Compiled, text: str) -> Outcome:
        assert run.cursor is not None
        plan = run.cursor.execute(f"EXPLAIN {text}").fetchall()[0][1]
        target = run.engine.folder / f"{run.id}.csv"
        target.write_text(results.encode_csv([["Query Plan"], [plan]]))
        run.scanned = 0
        return Outcome(columns=[results.column_info("Query Plan", t.VARCHAR)], csv=target, rows=1)

    return with_current_files(run, inner.sql, work)


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


def resolved(run: Run, name: st.Name) -> tuple[str, str]:
    database = name[0] or run.database
    if not database:
        raise SqlError("MISSING_SCHEMA_NAME", "line 1:1: Schema must be specified when session schema is not set")
    return database, name[1]
