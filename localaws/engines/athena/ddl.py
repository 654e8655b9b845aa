"""Statements on the data catalog: databases, tables, views, partitions, SHOW and DESCRIBE."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from localaws.engines.athena import results, tables, views
from localaws.engines.athena import statements as st
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.execution import (
    Outcome,
    Run,
    compile_query,
    document_of,
    require_database,
    resolved,
)
from localaws.engines.athena.model import CATALOG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localaws.engines.athena.types import Type
    from localaws.home import Document


from localaws.engines.athena.writing import INPUTS, TEXT_INPUT, partition_input


def create_view(run: Run, statement: st.CreateView) -> Outcome:
    database, name = resolved(run, statement.name)
    require_database(run, database)
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


def create_table(run: Run, statement: st.CreateTable) -> Outcome:
    database, name = resolved(run, statement.name)
    require_database(run, database)
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
    reads, writes = INPUTS["parquet"] if parquet else TEXT_INPUT
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


def create_database(run: Run, statement: st.CreateDatabase) -> Outcome:
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


def drop(run: Run, statement: st.Drop) -> Outcome:
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
    database, name = resolved(run, statement.name)
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


def show(run: Run, statement: st.Show) -> Outcome:
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
        require_database(run, database)
        run.permit_catalog("GetTables", database)
        found = [d for d in run.catalog.tables(database) if what == "TABLES" or d.get("TableType") == "VIRTUAL_VIEW"]
        return listing("tab_name" if what == "TABLES" else "views", (d["Name"] for d in found))
    assert name is not None
    database, table = resolved(run, name)
    document = document_of(run, database, table)
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


def describe(run: Run, name: st.Name) -> Outcome:
    database, table = resolved(run, name)
    document = document_of(run, database, table)

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


def repair(run: Run, name: st.Name) -> Outcome:
    """Adds the partitions whose folders `key=value/…` stand below the table's location."""
    database, table = resolved(run, name)
    document = document_of(run, database, table)
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
            partition_input(document, dict(zip((k.lower() for k in keys), values, strict=True)), place)
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


def alter(run: Run, statement: st.AlterTable) -> Outcome:
    database, table = resolved(run, statement.name)
    document = document_of(run, database, table)
    known = {tuple(p["Values"]) for p in run.catalog.partitions(database, table)} if statement.partitions else set()
    if statement.action == "ADD PARTITION":
        run.permit_catalog("BatchCreatePartition", database, table)
        inputs = [partition_input(document, values, location) for values, location in statement.partitions]
        repeated = [i["Values"] for i in inputs if tuple(i["Values"]) in known]
        if repeated and not statement.lenient:
            raise SqlError("ALREADY_EXISTS", f"FAILED: SemanticException Partition already exists: {repeated[0]}")
        new = [i for i in inputs if tuple(i["Values"]) not in known]
        if new:
            run.catalog.put_partitions(database, table, new)
    elif statement.action == "DROP PARTITION":
        run.permit_catalog("DeletePartition", database, table)
        values = [tuple(partition_input(document, v, "")["Values"]) for v, _ in statement.partitions]
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
