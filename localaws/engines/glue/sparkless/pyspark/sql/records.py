"""JSON and CSV text to rows of a schema, by Spark's rules: what does not fit a column is NULL, what is no record is
corrupt.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
from typing import TYPE_CHECKING, Any

try:
    import orjson

    loads: Any = orjson.loads
except ImportError:  # real Glue has no orjson; this package runs only where it is, or slower
    loads = json.loads

from ..errors import AnalysisException, PySparkException, unsupported  # noqa: TID252 - the shim must not depend on where it lies
from .types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Convert = Callable[[Any], Any]

MISFIT = object()
_BITS: dict[type[DataType], int] = {ByteType: 8, ShortType: 16, IntegerType: 32, LongType: 64}


def timestamp(text: str) -> dt.datetime | None:
    """An ISO text as naive UTC, or None."""
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found.astimezone(dt.UTC).replace(tzinfo=None) if found.tzinfo else found


def _text(value: Any) -> str:
    """What a string column gets from a JSON value: the JSON text of anything that is no string."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value)


def _number(bits: int) -> Convert:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return lambda v: v if type(v) is int and low <= v <= high else MISFIT


def _double(value: Any) -> Any:
    if type(value) in (int, float):
        return float(value)
    return (
        {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.get(value, MISFIT)
        if isinstance(value, str)
        else MISFIT
    )


def _date(value: Any) -> Any:
    try:
        return dt.date.fromisoformat(value[:10]) if isinstance(value, str) else MISFIT
    except ValueError:
        return MISFIT


def converter(kind: DataType) -> Convert:
    """A function from a JSON value (not null) to the column's value, or MISFIT."""
    if isinstance(kind, StringType):
        return _text
    if type(kind) in _BITS:
        return _number(_BITS[type(kind)])
    if isinstance(kind, (DoubleType, FloatType)):
        return _double
    if isinstance(kind, BooleanType):
        return lambda v: v if type(v) is bool else MISFIT
    if isinstance(kind, TimestampType):
        return lambda v: (timestamp(v) or MISFIT) if isinstance(v, str) else MISFIT
    if isinstance(kind, DateType):
        return _date
    if isinstance(kind, DecimalType):
        places = decimal.Decimal(1).scaleb(-kind.scale)
        return lambda v: (
            decimal.Decimal(str(v)).quantize(places, decimal.ROUND_HALF_UP) if type(v) in (int, float) else MISFIT
        )
    if isinstance(kind, ArrayType):
        element = converter(kind.elementType)
        return lambda v: _list(v, element)
    if isinstance(kind, MapType):
        if not isinstance(kind.keyType, StringType):
            raise unsupported(f"JSON as {kind.simpleString()}", "map keys are strings")
        entry = converter(kind.valueType)
        return lambda v: _map(v, entry)
    if isinstance(kind, StructType):
        fields = [(field.name, converter(field.dataType)) for field in kind.fields]
        return lambda v: _struct(v, fields)
    raise unsupported(f"JSON as {kind.simpleString()}")


def _list(value: Any, element: Convert) -> Any:
    if not isinstance(value, list):
        return MISFIT
    found = [None if item is None else element(item) for item in value]
    return MISFIT if MISFIT in found else found


def _map(value: Any, entry: Convert) -> Any:
    if not isinstance(value, dict):
        return MISFIT
    found = [(key, None if item is None else entry(item)) for key, item in value.items()]
    return MISFIT if any(item is MISFIT for _, item in found) else found


def _struct(value: Any, fields: list[tuple[str, Convert]]) -> Any:
    """Fields that do not fit are NULL and the rest is kept, as Spark's partial results."""
    if not isinstance(value, dict):
        return MISFIT
    row = {}
    for name, convert in fields:
        item = value.get(name)
        found = None if item is None else convert(item)
        row[name] = None if found is MISFIT else found
    return row


def json_converter(schema: StructType, corrupt: str, mode: str) -> Callable[[bytes], list[list[Any]]]:
    """A function from one JSON text to rows: none for null, several for an array."""
    fields = [(f.name, None if f.name == corrupt else converter(f.dataType)) for f in schema.fields]

    def rows(text: bytes) -> list[list[Any]]:
        try:
            document = loads(text)
        except ValueError:
            return bad(text)
        found = []
        for item in document if isinstance(document, list) else [document]:
            if not isinstance(item, dict):
                found += bad(text)
                continue
            row: list[Any] = []
            misfit = False
            for name, convert in fields:
                value = None if convert is None else item.get(name)
                if value is not None and convert is not None:
                    value = convert(value)
                    if value is MISFIT:
                        value, misfit = None, True
                row.append(value)
            if not misfit:
                found.append(row)
            elif mode == "PERMISSIVE":
                found.append(
                    [text.decode("utf-8", "replace") if c is None else v for (_, c), v in zip(fields, row, strict=True)]
                )
            else:
                found += bad(text)
        return found

    def bad(text: bytes) -> list[list[Any]]:
        if mode == "FAILFAST":
            raise PySparkException(f"[MALFORMED_RECORD_IN_PARSING] Malformed record: {text[:200]!r}")
        if mode == "DROPMALFORMED":
            return []
        return [[text.decode("utf-8", "replace") if convert is None else None for _, convert in fields]]

    return rows


# -- inference -----------------------------------------------------------------------------------------------------


def infer(texts: Iterable[list[bytes]] | Iterable[bytes], corrupt: str) -> StructType:
    """The schema Spark infers from JSON: fields by name, bigint, double, string, boolean; conflicts become string."""
    merged: DataType = NullType()
    broken = False
    for text in texts:
        for one in text if isinstance(text, list) else [text]:
            try:
                document = loads(one)
            except ValueError:
                broken = True
                continue
            for item in document if isinstance(document, list) else [document]:
                if isinstance(item, dict):
                    merged = _merge(merged, _infer(item))
                else:
                    broken = True
    fields = list(merged.fields) if isinstance(merged, StructType) else []
    if broken:
        fields.append(StructField(corrupt, StringType()))
    if not fields:
        raise AnalysisException(
            "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for JSON. It must be specified manually."
        )
    result = _closed(StructType(sorted(fields, key=lambda f: f.name)))
    return result if isinstance(result, StructType) else StructType()


def _infer(value: Any) -> DataType:
    if value is None:
        return NullType()
    if isinstance(value, bool):
        return BooleanType()
    if isinstance(value, int):
        return LongType() if -(1 << 63) <= value < 1 << 63 else DoubleType()
    if isinstance(value, float):
        return DoubleType()
    if isinstance(value, str):
        return StringType()
    if isinstance(value, list):
        element: DataType = NullType()
        for item in value:
            element = _merge(element, _infer(item))
        return ArrayType(element)
    return StructType([StructField(name, _infer(value[name])) for name in sorted(value)])


def _merge(left: DataType, right: DataType) -> DataType:
    if left == right or isinstance(right, NullType):
        return left
    if isinstance(left, NullType):
        return right
    if isinstance(left, StructType) and isinstance(right, StructType):
        fields = {field.name: field.dataType for field in left.fields}
        for field in right.fields:
            fields[field.name] = _merge(fields[field.name], field.dataType) if field.name in fields else field.dataType
        return StructType([StructField(name, fields[name]) for name in sorted(fields)])
    if isinstance(left, ArrayType) and isinstance(right, ArrayType):
        return ArrayType(_merge(left.elementType, right.elementType))
    if isinstance(left, (LongType, DoubleType)) and isinstance(right, (LongType, DoubleType)):
        return DoubleType()
    return StringType()


def _closed(kind: DataType) -> DataType:
    """NULL everywhere becomes string; empty structs are dropped."""
    if isinstance(kind, NullType):
        return StringType()
    if isinstance(kind, ArrayType):
        return ArrayType(_closed(kind.elementType))
    if isinstance(kind, StructType):
        fields = [f for f in kind.fields if not (isinstance(f.dataType, StructType) and not f.dataType.fields)]
        return StructType([StructField(f.name, _closed(f.dataType)) for f in fields])
    return kind


# -- CSV -----------------------------------------------------------------------------------------------------------


def _cell(kind: DataType) -> Convert:
    """A function from a cell's text to the column's value, or MISFIT."""

    def whole(bits: int) -> Convert:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return lambda v: int(v) if re.fullmatch(r"[+-]?\d+", v) and low <= int(v) <= high else MISFIT

    def number(value: str) -> Any:
        try:
            return float(value)
        except ValueError:
            return MISFIT

    if isinstance(kind, StringType):
        return lambda v: v
    if type(kind) in _BITS:
        return whole(_BITS[type(kind)])
    if isinstance(kind, (DoubleType, FloatType)):
        return number
    if isinstance(kind, BooleanType):
        return lambda v: {"true": True, "false": False}.get(v.lower(), MISFIT)
    if isinstance(kind, TimestampType):
        return lambda v: timestamp(v) or MISFIT
    if isinstance(kind, DateType):
        return _date
    if isinstance(kind, DecimalType):
        return lambda v: (
            decimal.Decimal(v).quantize(decimal.Decimal(1).scaleb(-kind.scale), decimal.ROUND_HALF_UP)
            if re.fullmatch(r"[+-]?\d+(\.\d+)?", v)
            else MISFIT
        )
    if isinstance(kind, BinaryType):
        return lambda v: v.encode()
    raise unsupported(f"CSV as {kind.simpleString()}")


def csv_converter(schema: StructType, null: str, mode: str, corrupt: str) -> Callable[[list[str]], list[list[Any]]]:
    """A function from one CSV record to rows (one, or none where malformed records are dropped)."""
    cells = [_cell(f.dataType) for f in schema.fields if f.name != corrupt]
    at_corrupt = schema.names.index(corrupt) if corrupt in schema.names else -1

    def rows(record: list[str]) -> list[list[Any]]:
        malformed = len(record) != len(cells)
        row: list[Any] = []
        for at, convert in enumerate(cells):
            text = record[at] if at < len(record) else ""
            value = None if at >= len(record) or text in (null, "") else convert(text)
            if value is MISFIT:
                value, malformed = None, True
            row.append(value)
        if malformed and mode == "FAILFAST":
            raise PySparkException(f"[MALFORMED_RECORD_IN_PARSING] Malformed record: {record!r}")
        if malformed and mode == "DROPMALFORMED":
            return []
        if at_corrupt >= 0:
            row.insert(at_corrupt, ",".join(record) if malformed else None)
        return [row]

    return rows


def csv_types(records: Iterable[list[str]], width: int, null: str) -> list[DataType]:
    """`inferSchema`: int, bigint, double, timestamp, boolean or string per column."""
    tries: tuple[DataType, ...] = (IntegerType(), LongType(), DoubleType(), DateType(), TimestampType(), BooleanType())
    left = [list(tries) for _ in range(width)]
    seen = [False] * width
    for record in records:
        for at, text in enumerate(record[:width]):
            if text in ("", null):
                continue
            seen[at] = True
            left[at] = [
                kind
                for kind in left[at]
                if _cell(kind)(text) is not MISFIT and (not isinstance(kind, DateType) or len(text) == 10)
            ]
    return [kinds[0] if used and kinds else StringType() for kinds, used in zip(left, seen, strict=True)]
