"""Text formats of Hive tables, read by the declared schema and never by inference.

A SerDe here is a function from one line to the values of the table's columns. Values are what pyarrow wants for the
column's Arrow type: rows as dicts, maps as lists of pairs, timestamps as naive UTC datetimes.

Sources: the OpenX and Hive JSON SerDes, OpenCSVSerde and LazySimpleSerDe as the Athena user guide documents them.
Decisions where the guides leave room:
- a JSON value that cannot become the declared type fails the query (HIVE_BAD_DATA), or is NULL where the table sets
  `ignore.malformed.json`, which also turns a malformed line into a row of NULLs;
- blank lines are skipped.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from localaws.engines.athena.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from localaws.engines.athena.types import Type

Line = "Callable[[bytes], Sequence[Any] | None]"
LONGEST_LINE = 64 << 20  # bytes; a longer one is a broken file, and must not exhaust the memory
_RANGE = {"tinyint": 1 << 7, "smallint": 1 << 15, "integer": 1 << 31, "bigint": 1 << 63}


def arrow_type(of: Type) -> pa.DataType:
    """The Arrow type that holds a column while its text is converted."""
    simple = {
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "real": pa.float32(),
        "double": pa.float64(),
        "varchar": pa.string(),
        "varbinary": pa.binary(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("ms"),
    }
    match of.name:
        case "decimal":
            return pa.decimal128(of.precision or 38, of.scale or 0)
        case "array":
            return pa.list_(arrow_type(of.element))
        case "map":
            return pa.map_(arrow_type(of.args[0]), arrow_type(of.args[1]))
        case "row":
            return pa.struct([pa.field(n, arrow_type(t)) for n, t in of.fields()])
        case name:
            return simple[name]


def lines(path: Path, key: str, skip: int = 0) -> Iterator[bytes]:
    """The lines of a (compressed) text object without their ends; `skip` header lines are left out.

    Raises:
        SqlError: HIVE_BAD_DATA for a line over 64 MB, NOT_SUPPORTED for a compression we cannot read.
        FileNotFoundError: the object went away.
    """
    name = key.lower()
    opener: Callable[[Path], Any] = (
        gzip.open if name.endswith(".gz") else bz2.open if name.endswith(".bz2") else open_plain
    )
    if name.endswith((".snappy", ".lz4", ".zst", ".lzo")):
        raise SqlError("NOT_SUPPORTED", f"Compression of {key} is not supported by this engine")
    try:
        with opener(path) as stream:
            while line := stream.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise SqlError("HIVE_BAD_DATA", f"Line longer than {LONGEST_LINE} bytes in {key}")
                if skip:
                    skip -= 1
                else:
                    yield line.rstrip(b"\r\n")
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise SqlError("HIVE_CURSOR_ERROR", f"Failed to read {key}: {error}") from error


def open_plain(path: Path) -> Any:
    return path.open("rb")


class BadValueError(ValueError):
    """A value that does not become the declared type."""


# --- JSON -----------------------------------------------------------------------------------------------------------


def json_serde(
    columns: Sequence[tuple[str, Type]], parameters: Mapping[str, str]
) -> Callable[[bytes], Sequence[Any] | None]:
    """One JSON object a line; keys are matched without case. None for a blank line."""
    lenient = parameters.get("ignore.malformed.json", "false").lower() == "true"
    exact = parameters.get("case.insensitive", "true").lower() == "false"
    dotted = parameters.get("dots.in.keys", "false").lower() == "true"
    renamed = {
        (value if exact else value.lower()): name.removeprefix("mapping.").lower()
        for name, value in parameters.items()
        if name.startswith("mapping.")
    }
    places = {name: at for at, (name, _) in enumerate(columns)}
    readers = [_json_reader(of, lenient=lenient) for _, of in columns]
    empty = [None] * len(columns)

    def read(line: bytes) -> Sequence[Any] | None:
        if not line.strip():
            return None
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if lenient:
                return empty
            raise SqlError(
                "HIVE_CURSOR_ERROR",
                f"Row is not a valid JSON Object - JSONException: {error} (each object must stand on one line)",
            ) from error
        if isinstance(found, list):
            pairs: Any = zip(range(len(columns)), found, strict=False)
        elif isinstance(found, dict):
            pairs = ((_place(key), value) for key, value in found.items())
        elif lenient:
            return empty
        else:
            raise SqlError(
                "HIVE_CURSOR_ERROR", "Row is not a valid JSON Object: a JSON object is expected on each line"
            )
        row = empty.copy()
        for at, value in pairs:
            if at is not None and value is not None:
                try:
                    row[at] = readers[at](value)
                except (ValueError, OverflowError) as error:
                    raise SqlError(
                        "HIVE_BAD_DATA",
                        f"Error parsing field value '{value}' for field {at} ({columns[at][0]}): {error}",
                    ) from error
        return row

    def _place(key: str) -> int | None:
        name = key if exact else key.lower()
        name = renamed.get(name, name)
        if dotted:
            name = name.replace(".", "_")
        return places.get(name.lower() if exact and name in renamed.values() else name)

    return read


def _json_reader(of: Type, *, lenient: bool) -> Callable[[Any], Any]:
    """A function that turns a JSON value (never None) into the declared type."""
    strict = _strict_json_reader(of, lenient=lenient)
    if not lenient:
        return strict

    def read(value: Any) -> Any:
        try:
            return strict(value)
        except (ValueError, OverflowError):
            return None

    return read


def _strict_json_reader(of: Type, *, lenient: bool) -> Callable[[Any], Any]:
    match of.name:
        case "varchar":
            return lambda value: value if isinstance(value, str) else orjson.dumps(value).decode()
        case "boolean":
            return _boolean
        case "tinyint" | "smallint" | "integer" | "bigint":
            return _whole(_RANGE[of.name])
        case "real" | "double":
            return _number
        case "decimal":
            return _decimal(of)
        case "timestamp":
            return _timestamp
        case "date":
            return date.fromisoformat
        case "varbinary":
            return lambda value: str(value).encode()
        case "array":
            inner = _json_reader(of.element, lenient=lenient)

            def read_array(value: Any) -> Any:
                if value == "":
                    return None
                if not isinstance(value, list):
                    raise BadValueError(f"an array is expected, not {type(value).__name__}")
                return [None if item is None else inner(item) for item in value]

            return read_array
        case "map":
            key, inner = (_json_reader(arg, lenient=lenient) for arg in of.args)

            def read_map(value: Any) -> Any:
                if value == "":
                    return None
                if not isinstance(value, dict):
                    raise BadValueError(f"an object is expected, not {type(value).__name__}")
                return [(key(name), None if item is None else inner(item)) for name, item in value.items()]

            return read_map
        case "row":
            readers = {name: (name, _json_reader(t, lenient=lenient)) for name, t in of.fields()}

            def read_row(value: Any) -> Any:
                if value == "":
                    return None
                if not isinstance(value, dict):
                    raise BadValueError(f"an object is expected, not {type(value).__name__}")
                made = {}
                for name, item in value.items():
                    found = readers.get(name) or readers.get(name.lower())
                    if found is not None and item is not None:
                        made[found[0]] = found[1](item)
                return made

            return read_row
    raise SqlError("NOT_SUPPORTED", f"Type {of} in a JSON table is not supported by this engine")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("true", "false"):
        return text == "true"
    raise BadValueError("not a boolean")


def _whole(limit: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, (bool, list, dict)):
            raise BadValueError("not a number")
        number = int(value) if not isinstance(value, float) or value.is_integer() else None
        if number is None or not -limit <= number < limit:
            raise BadValueError("out of range")
        return number

    return read


def _number(value: Any) -> float:
    if isinstance(value, (bool, list, dict)):
        raise BadValueError("not a number")
    return float(value)


def _decimal(of: Type) -> Callable[[Any], Decimal]:
    step = Decimal(1).scaleb(-(of.scale or 0))

    def read(value: Any) -> Decimal:
        try:
            made = Decimal(str(value)).quantize(step, rounding="ROUND_HALF_UP")
        except InvalidOperation as error:
            raise BadValueError("not a decimal") from error
        if len(made.as_tuple().digits) > (of.precision or 38):
            raise BadValueError("out of range")
        return made

    return read


def _timestamp(value: Any) -> datetime:
    """`2020-01-01 10:00:00.123`, the ISO form with or without zone, or seconds (milliseconds) since 1970."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) > 1e11 else value
        made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    else:
        made = datetime.fromisoformat(str(value).strip())
    if made.tzinfo:
        made = made.astimezone(UTC).replace(tzinfo=None)
    return made.replace(microsecond=made.microsecond // 1000 * 1000)


# --- delimited text -------------------------------------------------------------------------------------------------


def csv_serde(
    columns: Sequence[tuple[str, Type]], parameters: Mapping[str, str]
) -> Callable[[bytes], Sequence[Any] | None]:
    """OpenCSVSerde: quoted values; dates are days and timestamps milliseconds since 1970; only absence is NULL."""
    separator = parameters.get("separatorChar", ",")
    quote = parameters.get("quoteChar", '"')
    escape = parameters.get("escapeChar", "\\")
    separator, quote, escape = (
        char.encode().decode("unicode_escape") if len(char) > 1 else char for char in (separator, quote, escape)
    )
    options: dict[str, Any] = {"delimiter": separator, "quotechar": quote or None, "doublequote": True}
    if escape and escape not in (quote, separator):
        options["escapechar"] = escape
    if not quote:
        options["quoting"] = csv.QUOTE_NONE
    readers = [_csv_reader(of, name) for name, of in columns]

    def read(line: bytes) -> Sequence[Any] | None:
        if not line:
            return None
        try:
            cells = next(csv.reader([line.decode("utf-8", "replace")], **options))
        except (csv.Error, StopIteration) as error:
            raise SqlError("HIVE_CURSOR_ERROR", f"Row is not valid CSV: {error}") from error
        return [reader(cell) for reader, cell in zip(readers, cells, strict=False)] + [None] * (
            len(readers) - len(cells)
        )

    return read


def _csv_reader(of: Type, column: str) -> Callable[[str], Any]:
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC, as Arrow wants it
    kinds: dict[str, Callable[[str], Any]] = {
        "varchar": str,
        "boolean": _boolean,
        "real": float,
        "double": float,
        "date": lambda text: date(1970, 1, 1) + timedelta(days=int(text)),
        "timestamp": lambda text: epoch + timedelta(milliseconds=int(text)),
    }
    if of.name in _RANGE:
        inner = _whole(_RANGE[of.name])
    elif of.name == "decimal":
        inner = _decimal(of)
    elif of.name in kinds:
        inner = kinds[of.name]
    else:
        raise SqlError("NOT_SUPPORTED", f"Column {column}: OpenCSVSerde has no type {of}")

    def read(text: str) -> Any:
        try:
            return inner(text)
        except (ValueError, OverflowError) as error:
            raise SqlError(
                "HIVE_BAD_DATA", f"Error parsing field value '{text}' for field {column}: {error}"
            ) from error

    return read


def lazy_serde(
    columns: Sequence[tuple[str, Type]], parameters: Mapping[str, str]
) -> Callable[[bytes], Sequence[Any] | None]:
    """LazySimpleSerDe: separators by nesting level; what does not parse is NULL."""
    first = parameters.get("field.delim", parameters.get("serialization.format", "\x01"))
    if first.isdigit() and len(first) <= 3:
        first = chr(int(first))
    separators = [
        first,
        parameters.get("collection.delim", parameters.get("colelction.delim", "\x02")),
        parameters.get("mapkey.delim", "\x03"),
        *map(chr, range(4, 9)),
    ]
    null = parameters.get("serialization.null.format", "\\N")
    escape = parameters.get("escape.delim", "")
    readers = [_lazy_reader(of, separators, 1, null) for _, of in columns]

    def read(line: bytes) -> Sequence[Any] | None:
        text = line.decode("utf-8", "replace")
        if escape:
            cells = re.split(rf"(?<!{re.escape(escape)}){re.escape(separators[0])}", text)
            cells = [c if c == null else re.sub(rf"{re.escape(escape)}(.)", r"\1", c) for c in cells]
        else:
            cells = text.split(separators[0])
        row = [reader(cell) for reader, cell in zip(readers, cells, strict=False)]
        return row + [None] * (len(readers) - len(row))

    return read


def _lazy_reader(of: Type, separators: Sequence[str], level: int, null: str) -> Callable[[str], Any]:
    def optional(inner: Callable[[str], Any]) -> Callable[[str], Any]:
        def read(text: str) -> Any:
            if text == null:
                return None
            try:
                return inner(text)
            except (ValueError, OverflowError):
                return None

        return read

    separator = separators[level]
    match of.name:
        case "varchar":
            limit = of.precision
            return optional(lambda text: text[:limit] if limit else text)
        case "tinyint" | "smallint" | "integer" | "bigint":
            return optional(_whole(_RANGE[of.name]))
        case "real" | "double":
            return optional(lambda text: math.nan if text == "NaN" else float(text))
        case "decimal":
            return optional(_decimal(of))
        case "boolean":
            return optional(_boolean)
        case "date":
            return optional(date.fromisoformat)
        case "timestamp":
            return optional(lambda text: _timestamp(text) if " " in text or len(text) == 10 else None)
        case "varbinary":
            return optional(str.encode)
        case "array":
            inner = _lazy_reader(of.element, separators, level + 1, null)
            return optional(lambda text: [inner(part) for part in text.split(separator)] if text else [])
        case "map":
            key = _lazy_reader(of.args[0], separators, level + 2, null)
            value = _lazy_reader(of.args[1], separators, level + 2, null)
            between = separators[level + 1]

            def read_map(text: str) -> Any:
                pairs = [part.split(between, 1) for part in text.split(separator)] if text else []
                return [(key(p[0]), value(p[1]) if len(p) > 1 else None) for p in pairs]

            return optional(read_map)
        case "row":
            fields = [(n, _lazy_reader(t, separators, level + 1, null)) for n, t in of.fields()]
            return optional(
                lambda text: {n: reader(part) for (n, reader), part in zip(fields, text.split(separator), strict=False)}
            )
    raise SqlError("NOT_SUPPORTED", f"Type {of} in a delimited table is not supported by this engine")
