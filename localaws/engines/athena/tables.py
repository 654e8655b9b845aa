"""Glue tables as DuckDB relations: which objects belong to a query, and the SQL that reads them as the table declares.

Parquet is read in place, by column name, each column checked against its declared type. Text formats (JSON, CSV) are
converted once per object version into Parquet files in the scratch folder, so that a dashboard over raw JSON parses it
once. Nothing is inferred from data.
"""

# ruff: noqa: S608 - DuckDB SQL made of bound trees: user text enters it only through `quote` and `literal`

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from localaws.engines.athena import projection, serde, views
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.model import TableColumns
from localaws.engines.athena.types import Type, literal, quote, storage
from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from localaws.engines.athena.model import Scan, View
    from localaws.home import Catalog, Document, Objects, StoredObject

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_BATCH_ROWS = 20_000
_BATCH_BYTES = 32 << 20
_MOST_CHUNKS = 32


@dataclass(frozen=True)
class Table:
    """A Glue table as this engine reads it.

    `format` is parquet, json, csv or lazy; `version` changes with the definition.
    """

    database: str
    name: str
    columns: tuple[tuple[str, Type], ...]
    keys: tuple[tuple[str, Type], ...]
    location: str
    format: str
    parameters: dict[str, str]
    serde: dict[str, str]
    version: str


@dataclass(frozen=True)
class Partition:
    values: tuple[str, ...]
    location: str
    columns: tuple[tuple[str, str], ...] = ()  # the partition's own column types, as the catalog spells them


@dataclass(frozen=True)
class DataFile:
    """An object that holds rows of the table; `values` are those of its partition."""

    bucket: str
    key: str
    etag: str
    size: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """What a scan reads: a DuckDB table expression, and the bytes Athena would have scanned."""

    sql: str
    scanned_bytes: int


def version(document: Document) -> str:
    """Changes whenever the definition that matters for reading does."""
    parts = [
        document.get(part)
        for part in ("StorageDescriptor", "PartitionKeys", "Parameters", "ViewOriginalText", "TableType")
    ]
    return hashlib.sha1(
        orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str), usedforsecurity=False
    ).hexdigest()


def describe(document: Document, database: str) -> TableColumns | View:
    """What the binder must know of a Glue table or view.

    Raises:
        SqlError: HIVE_METASTORE_ERROR for a view without SerDe information, as Athena answers; INVALID_VIEW or
            NOT_SUPPORTED for what else it cannot read.
    """
    if document.get("TableType") == "VIRTUAL_VIEW":
        # Empty is enough, but Athena wants the member to be there.
        if (document.get("StorageDescriptor") or {}).get("SerdeInfo") is None:
            raise SqlError("HIVE_METASTORE_ERROR", "Table storage descriptor is missing SerDe info")
        return views.decode(document.get("ViewOriginalText", ""), database)
    table = read_definition(document, database)
    return TableColumns(table.columns, table.keys)


def read_definition(document: Document, database: str) -> Table:
    """The table a Glue document defines.

    Raises:
        SqlError: NOT_SUPPORTED names a SerDe or table kind this engine cannot read.
    """
    descriptor = document.get("StorageDescriptor") or {}
    parameters = {str(k): str(v) for k, v in (document.get("Parameters") or {}).items()}
    info = descriptor.get("SerdeInfo") or {}
    library = (info.get("SerializationLibrary") or "").lower()
    name = document["Name"]
    if parameters.get("table_type", "").upper() == "ICEBERG":
        raise SqlError("NOT_SUPPORTED", f"Iceberg table {database}.{name} is not supported by this engine")
    formats = {"parquet": "parquet", "jsonserde": "json", "opencsvserde": "csv", "lazysimpleserde": "lazy"}
    found = next((kind for part, kind in formats.items() if part in library), None)
    if found is None:
        shown = info.get("SerializationLibrary") or "none"
        raise SqlError(
            "NOT_SUPPORTED", f"Table {database}.{name} has the SerDe '{shown}', which is not supported by this engine"
        )
    return Table(
        database=database,
        name=name,
        columns=tuple((c["Name"].lower(), t.parse_hive(c["Type"])) for c in descriptor.get("Columns") or ()),
        keys=tuple((c["Name"].lower(), t.parse_hive(c["Type"])) for c in document.get("PartitionKeys") or ()),
        location=descriptor.get("Location") or "",
        format=found,
        parameters=parameters,
        serde={str(k): str(v) for k, v in (info.get("Parameters") or {}).items()},
        version=version(document),
    )


def split_location(location: str) -> tuple[str, str]:
    """Bucket and key prefix (with its slash) of an `s3://` location.

    Raises:
        SqlError: INVALID_TABLE_PROPERTY for anything else.
    """
    scheme, _, rest = location.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme not in ("s3", "s3a", "s3n") or not bucket:
        raise SqlError("INVALID_TABLE_PROPERTY", f"Location '{location}' is no s3:// address")
    return bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _hidden(key: str) -> bool:
    return any(part.startswith(("_", ".")) for part in key.split("/"))


class Reader:
    """Turns scans into relations and remembers footers and converted text between queries.

    Args:
        scratch: folder for converted text; emptied with the process.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._footers: OrderedDict[tuple[str, str, str], tuple[pa.Schema, dict[str, int]]] = OrderedDict()
        self._chunks: dict[str, list[tuple[Path, frozenset[DataFile]]]] = {}
        self._lock = threading.Lock()
        self._converting: dict[str, threading.Lock] = {}

    def relation(  # noqa: PLR0917 - the surroundings of one run
        self,
        scan: Scan,
        document: Document,
        objects: Objects,
        catalog: Catalog,
        cursor: duckdb.DuckDBPyConnection,
        check: Callable[[], None],
        permit: Callable[[str, str], None],
    ) -> Relation:
        """The relation that stands for a scan.

        `check` raises when the query was stopped, `permit(bucket, prefix)` when the caller may not read there.
        """
        table = read_definition(document, scan.database)
        files = self._files(table, self._partitions(table, scan, catalog, cursor), objects, permit)
        check()
        if table.format == "parquet":
            return self._parquet(table, scan, files, objects)
        return self._text(table, scan, files, objects, check)

    # --- which objects ----------------------------------------------------------------------------------------------

    def _partitions(
        self, table: Table, scan: Scan, catalog: Catalog, cursor: duckdb.DuckDBPyConnection
    ) -> list[Partition] | None:
        """The partitions the query can need, or None for an unpartitioned table."""
        if not table.keys:
            return None
        names = [name for name, _ in table.keys]
        if projection.enabled(table.parameters):
            found = [
                Partition(values, place)
                for values, place in projection.partitions(names, table.parameters, table.location, scan.equals)
            ]
        else:
            found = [_partition(p, table) for p in catalog.partitions(scan.database, table.name)]
        if not scan.pruning or not found:
            return found
        rows = ", ".join(
            f"({i}, {', '.join(key_literal(v, of) for v, (_, of) in zip(p.values, table.keys, strict=True))})"
            for i, p in enumerate(found)
        )
        heads = ", ".join(quote(name) for name in names)
        kept = cursor.execute(
            f"SELECT i FROM (VALUES {rows}) p(i, {heads}) WHERE {' AND '.join(scan.pruning)}"
        ).fetchall()
        return [found[i] for (i,) in sorted(kept)]

    def _files(
        self, table: Table, partitions: list[Partition] | None, objects: Objects, permit: Callable[[str, str], None]
    ) -> list[DataFile]:
        if partitions is None:
            bucket, prefix = split_location(table.location)
            permit(bucket, prefix)
            return [_data_file(bucket, o, ()) for o in _listed(objects, bucket, prefix)]
        places: dict[tuple[str, str], list[Partition]] = {}
        for partition in partitions:
            places.setdefault(split_location(partition.location), []).append(partition)
        files: list[DataFile] = []
        for bucket, roots in _roots(places, table.location).items():
            for root in roots:
                permit(bucket, root)
                for found in _listed(objects, bucket, root):
                    folder = found.key
                    while "/" in folder.rstrip("/"):
                        folder = folder.rstrip("/").rpartition("/")[0] + "/"
                        files += [_data_file(bucket, found, p.values) for p in places.get((bucket, folder), ())]
                        if (bucket, folder) in places or len(folder) <= len(root):
                            break
        return files

    # --- Parquet ----------------------------------------------------------------------------------------------------

    def _footer(self, path: Path, file: DataFile) -> tuple[pa.Schema, dict[str, int]]:
        """Arrow schema and compressed bytes per top-level column of a Parquet object."""
        key = (file.bucket, file.key, file.etag)
        with self._lock:
            if key in self._footers:
                self._footers.move_to_end(key)
                return self._footers[key]
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise SqlError(
                "HIVE_BAD_DATA", f"Not a valid Parquet File: s3://{file.bucket}/{file.key} ({error})"
            ) from error
        sizes: dict[str, int] = {}
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for column in range(row_group.num_columns):
                chunk = row_group.column(column)
                name = chunk.path_in_schema.split(".", 1)[0].lower()
                sizes[name] = sizes.get(name, 0) + chunk.total_compressed_size
        made = metadata.schema.to_arrow_schema().remove_metadata(), sizes
        with self._lock:
            self._footers[key] = made
            while len(self._footers) > 50_000:
                self._footers.popitem(last=False)
        return made

    def _parquet(self, table: Table, scan: Scan, files: list[DataFile], objects: Objects) -> Relation:
        groups: dict[pa.Schema, list[tuple[Path, DataFile]]] = {}
        scanned = 0
        for file in files:
            try:
                path = objects.path(file.bucket, file.key)
                schema, sizes = self._footer(path, file)
            except (ServiceError, FileNotFoundError):
                continue  # deleted since it was listed: S3 would not have listed it a moment later
            groups.setdefault(schema, []).append((path, file))
            scanned += sum(sizes.get(column, 0) for column in scan.used)
        texts = [self._parquet_group(table, scan, schema, members) for schema, members in groups.items()]
        return Relation(f"({' UNION ALL '.join(texts) or _no_rows(table, scan)})", scanned)

    def _parquet_group(self, table: Table, scan: Scan, schema: pa.Schema, members: list[tuple[Path, DataFile]]) -> str:
        inside = {field.name.lower(): field for field in schema}
        heads = []
        for name, of in table.columns:
            if name not in scan.used:
                continue
            field = inside.get(name)
            if field is None:
                heads.append(f"CAST(NULL AS {storage(of)}) AS {quote(name)}")
                continue
            made = _from_parquet(f"d.{quote(field.name)}", field.type, of)
            if made is None:
                first = members[0][1]
                raise SqlError(
                    "HIVE_BAD_DATA",
                    f"Field {name}'s type {field.type} in parquet file s3://{first.bucket}/{first.key} is incompatible "
                    f"with type {of} defined in table schema",
                )
            heads.append(f"{made} AS {quote(name)}")
        paths = ", ".join(literal(self._plain(path)) for path, _ in members)
        source = f"read_parquet([{paths}], hive_partitioning = false) d"
        extra = [(name, of) for name, of in table.keys if name in scan.used]
        if extra or "$path" in scan.used:
            shown = ["$path"] if "$path" in scan.used else []
            rows = []
            for number, (_, file) in enumerate(members):
                cells = [literal(f"s3://{file.bucket}/{file.key}")] if shown else []
                cells += [
                    key_literal(value, of)
                    for value, (name, of) in zip(file.values, table.keys, strict=True)
                    if name in scan.used
                ]
                rows.append(f"({number}, {', '.join(cells)})")
            names = [*shown, *(name for name, _ in extra)]
            heads += [f"p.{quote(name)} AS {quote(name)}" for name in names]
            columns = ", ".join(map(quote, names))
            source += f" JOIN (VALUES {', '.join(rows)}) p(i, {columns}) ON d.file_index = p.i"
        return f"SELECT {', '.join(heads) or 'true AS one'} FROM {source}"

    def _plain(self, path: Path) -> str:
        """The path, or a link to it where DuckDB would read its name as a pattern."""
        text = str(path)
        if not set(text) & set("*?["):
            return text
        link = self.scratch / f"{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}.parquet"
        if not link.exists():
            link.symlink_to(path)
        return str(link)

    # --- text -------------------------------------------------------------------------------------------------------

    def _text(
        self, table: Table, scan: Scan, files: list[DataFile], objects: Objects, check: Callable[[], None]
    ) -> Relation:
        for _, of in table.columns:
            serde.arrow_type(of)
        identity = orjson.dumps([table.format, str(table.columns), str(table.keys), table.serde, _skipped(table)])
        key = hashlib.sha1(identity + f"{table.database}.{table.name}".encode(), usedforsecurity=False).hexdigest()
        with self._lock:
            lock = self._converting.setdefault(key, threading.Lock())
        with lock:
            chunks: list[tuple[Path, frozenset[DataFile]]] = self._chunks.get(key, [])
            wanted = set(files)
            missing = sorted(wanted.difference(*(members for _, members in chunks)), key=lambda f: f.key)
            if missing and len(chunks) >= _MOST_CHUNKS:
                for old, _ in chunks:
                    old.unlink(missing_ok=True)  # a query that was about to read it lists again
                chunks, missing = chunks[:0], sorted(wanted, key=lambda f: f.key)
            if missing:
                made = self.scratch / f"athena-{key[:8]}-{uuid.uuid4().hex}.parquet"
                done = self._convert(table, missing, objects, made, check)
                chunks = [*chunks, (made, frozenset(done))]
                wanted.difference_update(set(missing) - done)
            self._chunks[key] = chunks
        parts = []
        heads = ", ".join(quote(n) for n in self._visible(table, scan)) or "true AS one"
        for path, members in chunks:
            needed = members & wanted
            wanted -= needed
            if not needed:
                continue
            numbers = {f: i for i, f in enumerate(_ordered(members))}
            condition = ""
            if len(needed) < len(members):
                listed = ", ".join(str(numbers[f]) for f in needed)
                condition = f' WHERE "$file" IN ({listed})'
            parts.append(f"SELECT {heads} FROM read_parquet({literal(str(path))}){condition}")
        scanned = sum(f.size for f in files)
        return Relation(f"({' UNION ALL '.join(parts) or _no_rows(table, scan)})", scanned)

    def _visible(self, table: Table, scan: Scan) -> list[str]:
        names = [*(n for n, _ in table.columns), *(n for n, _ in table.keys), "$path"]
        return [n for n in names if n in scan.used]

    def _convert(
        self, table: Table, files: list[DataFile], objects: Objects, target: Path, check: Callable[[], None]
    ) -> set[DataFile]:
        """Writes the rows of text objects to one Parquet file; returns the objects that were still there."""
        reader = _LINES[table.format](table.columns, table.serde)
        schema = pa.schema([
            *(pa.field(n, serde.arrow_type(of)) for n, of in table.columns),
            *(pa.field(n, serde.arrow_type(of)) for n, of in table.keys),
            pa.field("$path", pa.string()),
            pa.field("$file", pa.int64()),
        ])  # fmt: skip
        skip = _skipped(table)
        done: set[DataFile] = set()
        present = [(f, p) for f in _ordered(files) if (p := _path(objects, f)) is not None]
        numbers = {f: i for i, (f, _) in enumerate(present)}
        writer = pq.ParquetWriter(target, schema, compression="lz4")
        rows: list[Sequence[Any]] = []
        sources: list[DataFile] = []
        size = 0
        now: DataFile | None = None

        def flush() -> None:
            nonlocal size
            if rows:
                writer.write_table(_table(schema, table, rows, sources, numbers))
                rows.clear()
                sources.clear()
                size = 0
                check()

        try:
            for file, path in present:
                now = file
                check()
                for line in serde.lines(path, file.key, skip):
                    row = reader(line)
                    if row is None:
                        continue
                    rows.append(row)
                    sources.append(file)
                    size += len(line)
                    if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                        flush()
                done.add(file)
            flush()
        except SqlError as error:
            target.unlink(missing_ok=True)
            where = f"s3://{now.bucket}/{now.key}" if now else ""
            raise SqlError(
                error.code, f"{error.message} in {where}" if where not in error.message else error.message
            ) from error
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            writer.close()
        return done


_LINES = {"json": serde.json_serde, "csv": serde.csv_serde, "lazy": serde.lazy_serde}


def _ordered(files: Any) -> list[DataFile]:
    return sorted(files, key=lambda f: (f.key, f.values, f.etag))


def _path(objects: Objects, file: DataFile) -> Path | None:
    try:
        path = objects.path(file.bucket, file.key)
    except ServiceError:
        return None
    return path if path.exists() else None


def _skipped(table: Table) -> int:
    return int(table.parameters.get("skip.header.line.count", table.serde.get("skip.header.line.count", "0")) or 0)


def _table(
    schema: pa.Schema, table: Table, rows: list[Sequence[Any]], sources: list[DataFile], numbers: dict[DataFile, int]
) -> pa.Table:
    try:
        columns = [
            pa.array(values, type=schema.field(i).type)
            for i, values in enumerate(zip(*rows, strict=True))
            if i < len(table.columns)
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
        raise SqlError("HIVE_BAD_DATA", str(error)) from error
    for number, (_, of) in enumerate(table.keys):
        made = {file: _key_value(file.values[number], of) for file in set(sources)}
        columns.append(pa.array([made[file] for file in sources], type=serde.arrow_type(of)))
    columns.append(pa.array([f"s3://{f.bucket}/{f.key}" for f in sources], type=pa.string()))
    columns.append(pa.array([numbers[f] for f in sources], type=pa.int64()))
    return pa.Table.from_arrays(columns, schema=schema)


def _key_value(text: str, of: Type) -> Any:
    if text == NULL_PARTITION:
        return None
    found = serde.lazy_serde([("key", of)], {"field.delim": "\x00"})(text.encode())
    value = found[0] if found else None
    if value is None:
        raise SqlError("HIVE_INVALID_PARTITION_VALUE", f"Invalid partition value '{text}' for {of} partition key")
    return value


def key_literal(text: str, of: Type) -> str:
    """A partition value as a DuckDB expression."""
    return f"CAST({'NULL' if text == NULL_PARTITION else literal(text)} AS {storage(of)})"


def _no_rows(table: Table, scan: Scan) -> str:
    columns = [(n, of) for n, of in (*table.columns, *table.keys, ("$path", t.VARCHAR)) if n in scan.used]
    heads = ", ".join(f"CAST(NULL AS {storage(of)}) AS {quote(n)}" for n, of in columns) or "true AS one"
    return f"SELECT {heads} WHERE false"


def _listed(objects: Objects, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """Data objects below a prefix: no empty ones, no folder markers, nothing hidden (`_SUCCESS`, `.tmp`)."""
    try:
        for found in objects.list(bucket, prefix):
            if found.size and not found.key.endswith("/") and not _hidden(found.key[len(prefix) :]):
                yield found
    except ServiceError as error:
        if error.code == "NoSuchBucket":
            raise SqlError(
                "HIVE_CURSOR_ERROR",
                f"The specified bucket does not exist (Service: Amazon S3; Error Code: NoSuchBucket): {bucket}",
            ) from error
        raise


def _data_file(bucket: str, found: StoredObject, values: tuple[str, ...]) -> DataFile:
    return DataFile(bucket, found.key, found.etag, found.size, values)


def _roots(places: dict[tuple[str, str], list[Partition]], location: str) -> dict[str, list[str]]:
    """Prefixes to list, per bucket: the table's own once, and every partition that lies elsewhere."""
    home = split_location(location) if location else ("", "")
    roots: dict[str, list[str]] = {}
    inside = [place for place in places if place[0] == home[0] and place[1].startswith(home[1])]
    if len(inside) > 4:
        roots[home[0]] = [home[1]]
    else:
        for bucket, prefix in inside:
            roots.setdefault(bucket, []).append(prefix)
    for bucket, prefix in places:
        if (bucket, prefix) not in inside:
            roots.setdefault(bucket, []).append(prefix)
    return roots


def _partition(document: Document, table: Table) -> Partition:
    descriptor = document.get("StorageDescriptor") or {}
    declared = dict(table.columns)
    for column in descriptor.get("Columns") or ():
        name = column["Name"].lower()
        if name not in declared:
            continue
        own = t.parse_hive(column["Type"])
        if own != declared[name] and not _evolves(own, declared[name]):
            where = "/".join(f"{k}={v}" for (k, _), v in zip(table.keys, document["Values"], strict=True))
            raise SqlError(
                "HIVE_PARTITION_SCHEMA_MISMATCH",
                "There is a mismatch between the table and partition schemas. The types are incompatible and cannot be "
                f"coerced. The column '{name}' in table '{table.database}.{table.name}' is declared as type "
                f"'{t.hive_name(declared[name])}', but partition '{where}' declared column '{name}' as type "
                f"'{column['Type']}'.",
            )
    location = descriptor.get("Location")
    if not location:
        location = table.location.rstrip("/") + "".join(
            f"/{k}={v}" for (k, _), v in zip(table.keys, document["Values"], strict=True)
        )
    return Partition(tuple(document["Values"]), location)


def _evolves(own: Type, declared: Type) -> bool:
    """Whether Hive converts a partition's column type to the table's."""
    if own.name == declared.name == "row":
        inside = dict(declared.fields())
        return all(n not in inside or of == inside[n] or _evolves(of, inside[n]) for n, of in own.fields())
    if own.name == declared.name and own.args:
        return all(a == b or _evolves(a, b) for a, b in zip(own.args, declared.args, strict=True))
    if own.args or declared.args:
        return False
    if "varchar" in (own.name, declared.name):
        return own.name in ("varchar", *t.NUMBERS, "date", "timestamp", "boolean")
    return t.coercible(own, declared) or {own.name, declared.name} <= set(t.NUMBERS)


_ARROW_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _from_parquet(sql: str, inside: pa.DataType, of: Type) -> str | None:
    """SQL that reads a Parquet column as its declared type, or None where Athena calls the two incompatible."""
    shown = str(inside)
    target = storage(of)
    if pa.types.is_dictionary(inside):
        return _from_parquet(sql, inside.value_type, of)
    match of.name:
        case "varchar" if shown in ("string", "large_string", "binary", "large_binary"):
            text = sql if "string" in shown else f"decode({sql})"
            return f"{text}[1:{of.precision}]" if of.precision else text
        case "varbinary" if shown in ("binary", "large_binary") or pa.types.is_fixed_size_binary(inside):
            return sql
        case "varbinary" if shown in ("string", "large_string"):
            return f"encode({sql})"
        case "boolean" if shown == "bool":
            return sql
        case "tinyint" | "smallint" | "integer" | "bigint" if shown in _ARROW_INTEGERS:
            return (
                sql
                if {"tinyint": "int8", "smallint": "int16", "integer": "int32", "bigint": "int64"}[of.name] == shown
                else f"CAST({sql} AS {target})"
            )
        case "real" if shown == "float":
            return sql
        case "double" if shown in ("float", "double"):
            return sql if shown == "double" else f"CAST({sql} AS DOUBLE)"
        case "decimal" if pa.types.is_decimal(inside) or shown in _ARROW_INTEGERS:
            return f"CAST({sql} AS {target})"
        case "date" if shown.startswith("date32"):
            return sql
        case "timestamp" if pa.types.is_timestamp(inside):
            stamp = f"timezone('UTC', {sql})" if inside.tz else sql
            if inside.unit == "ns":
                stamp = f"CAST({stamp} AS TIMESTAMP)"
            return stamp if inside.unit in ("ms", "s") else f"epoch_ms((epoch_us({stamp}) + 500) // 1000)"
        case "array" if pa.types.is_list(inside) or pa.types.is_large_list(inside):
            if _same(inside, of):
                return sql
            depth = sql.count("x_")
            inner = _from_parquet(f"x_{depth}", inside.value_type, of.element)
            return inner and f"list_transform({sql}, lambda x_{depth}: {inner})"
        case "map" if pa.types.is_map(inside):
            if _same(inside, of):
                return sql
            entry = f"x_{sql.count('x_')}"
            key = _from_parquet(f"{entry}.key", inside.key_type, of.args[0])
            value = _from_parquet(f"{entry}.value", inside.item_type, of.args[1])
            if key is None or value is None:
                return None
            pair = f"struct_pack(k := {key}, v := {value})"
            return f"map_from_entries(list_transform(map_entries({sql}), lambda {entry}: {pair}))"
        case "row" if pa.types.is_struct(inside):
            if _same(inside, of):
                return sql
            parts = []
            for name, field_type in of.fields():
                own = next((f for f in inside if f.name.lower() == name.lower()), None)
                made = f"CAST(NULL AS {storage(field_type)})"
                if own is not None:
                    found = _from_parquet(f"struct_extract({sql}, {literal(own.name)})", own.type, field_type)
                    if found is None:
                        return None
                    made = found
                parts.append(f"{quote(name)} := {made}")
            return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"
    return None


def _same(inside: pa.DataType, of: Type) -> bool:
    """Whether a nested Parquet type is the declared one already, names included."""
    match of.name:
        case "array":
            return (pa.types.is_list(inside) or pa.types.is_large_list(inside)) and _same(inside.value_type, of.element)
        case "map":
            return (
                pa.types.is_map(inside) and _same(inside.key_type, of.args[0]) and _same(inside.item_type, of.args[1])
            )
        case "row":
            return (
                pa.types.is_struct(inside)
                and [f.name for f in inside] == [n for n, _ in of.fields()]
                and all(_same(f.type, ft) for f, (_, ft) in zip(inside, of.fields(), strict=True))
            )
    return _from_parquet("x", inside, of) == "x"
