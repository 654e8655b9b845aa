"""Statements that write data: CREATE TABLE AS, INSERT INTO and UNLOAD."""

# ruff: noqa: S608 - DuckDB SQL made of bound trees: user text enters it only through `quote` and `literal`

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localaws.engines.athena import expressions, results, tables
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
    with_current_files,
)
from localaws.engines.athena.expressions import text_of
from localaws.engines.athena.model import CATALOG, Compiled
from localaws.engines.athena.types import Type, literal, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localaws.home import Document


_MOST_WRITERS = 100  # partitions one statement may write, as in Athena
_FORMATS = {
    "PARQUET": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "JSON": "org.apache.hive.hcatalog.data.JsonSerDe",
    "TEXTFILE": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
}
INPUTS = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    )
}
TEXT_INPUT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")


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
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE written AS SELECT {heads} FROM ({text}) q")
        keys = ", ".join(quote(name) for name, _ in target.keys)
        groups = cursor.execute(f"SELECT DISTINCT {keys} FROM written ORDER BY ALL").fetchall() if keys else [()]
        if len(groups) > _MOST_WRITERS:
            raise SqlError(
                "HIVE_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {_MOST_WRITERS} open writers for partitions/buckets",
            )
        total = 0
        addresses: list[str] = []
        partitions: list[tuple[str, ...]] = []
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

    return with_current_files(run, sql, work)


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
    zipped = ", COMPRESSION gzip" if target.compression else ""
    options = {
        "parquet": f"FORMAT parquet, COMPRESSION {target.compression or 'snappy'}",
        "json": f"FORMAT json{zipped}",
        "lazy": f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x07'{zipped}",
    }[target.format]
    condition = f" WHERE {where}" if where else ""
    (rows,) = cursor.execute(
        f"COPY (SELECT {heads} FROM written{condition}) TO {literal(str(file))} ({options})",
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


def create_table_as(run: Run, statement: st.CreateTableAs) -> Outcome:
    database, name = resolved(run, statement.name)
    if run.catalog.table(database, name) is not None:
        if statement.if_not_exists:
            return Outcome(columns=[results.column_info("rows", t.BIGINT)])
        raise SqlError(
            "TABLE_ALREADY_EXISTS", f"line 1:1: Destination table '{CATALOG}.{database}.{name}' already exists"
        )
    require_database(run, database)
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
            f"Target directory for table '{database}.{name}' already exists: {location}. You may need to manually "
            "clean the data at this location before retrying",
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
    reads, writes = INPUTS.get(target.format, TEXT_INPUT)
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
        partition_input(document, dict(zip((n for n, _ in target.keys), values, strict=True)), "")
        for values in partitions
        if values not in known
    ]
    if inputs:
        run.catalog.put_partitions(database, document["Name"], inputs)


def partition_input(document: Document, values: dict[str, str], location: str) -> Document:
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


def insert(run: Run, statement: st.Insert) -> Outcome:
    database, name = resolved(run, statement.name)
    document = document_of(run, database, name)
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
    sql = f"SELECT {items} FROM ({statement.sql}) i({heads})"
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


def unload(run: Run, statement: st.Unload) -> Outcome:
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
