"""The types of Athena SQL: names, Hive spelling, DuckDB storage and implicit conversions.

Sources: Trino's type documentation and `TypeCoercion`; Hive's DDL type grammar for what the Glue Data Catalog holds.
DuckDB storage: both interval types are integers (milliseconds, months), because Trino orders, adds and prints them so;
`timestamp with time zone` is an instant plus a zone known when the statement is compiled (`Type.zone`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaws.engines.athena.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Type:
    """A type of Athena SQL.

    `args` are element types of `array` and `map`, field types of `row`; `names` are the field names of a row (None for
    an anonymous field); `precision` and `scale` belong to decimals, `precision` to `varchar(n)` as well.
    """

    name: str
    args: tuple[Type, ...] = ()
    names: tuple[str | None, ...] = ()
    precision: int | None = None
    scale: int | None = None
    zone: str = "UTC"

    def __str__(self) -> str:
        """The type as Trino prints it."""
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "varchar" and self.precision is not None:
            return f"varchar({self.precision})"
        if self.name == "timestamp":
            return "timestamp(3)"
        if self.name == "timestamp with time zone":
            return "timestamp(3) with time zone"
        if self.name == "row":
            fields = (f'"{n}" {t}' if n else str(t) for n, t in zip(self.names, self.args, strict=True))
            return f"row({', '.join(fields)})"
        if self.args:
            return f"{self.name}({', '.join(map(str, self.args))})"
        return self.name

    @property
    def element(self) -> Type:
        return self.args[0]

    @property
    def digits(self) -> tuple[int, int]:
        """Precision and scale of a decimal."""
        return self.precision or 38, self.scale or 0

    def fields(self) -> Iterator[tuple[str, Type]]:
        """Name and type of each field of a row; anonymous fields are `field0`, `field1` … as Athena prints them."""
        for number, (name, field_type) in enumerate(zip(self.names, self.args, strict=True)):
            yield name or f"field{number}", field_type


BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT = map(Type, ("boolean", "tinyint", "smallint", "integer", "bigint"))
REAL, DOUBLE, VARCHAR, VARBINARY, DATE = map(Type, ("real", "double", "varchar", "varbinary", "date"))
TIME, TIMESTAMP, TIMESTAMP_TZ, JSON = map(Type, ("time", "timestamp", "timestamp with time zone", "json"))
DAY_INTERVAL, MONTH_INTERVAL, UNKNOWN = map(Type, ("interval day to second", "interval year to month", "unknown"))

INTEGERS = ("tinyint", "smallint", "integer", "bigint")
NUMBERS = (*INTEGERS, "decimal", "real", "double")
_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
_STORAGE = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "varchar": "VARCHAR",
    "varbinary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "json": "JSON",
    "interval day to second": "BIGINT",
    "interval year to month": "INTEGER",
    "unknown": "INTEGER",
}
_HIVE = {
    "boolean": BOOLEAN,
    "tinyint": TINYINT,
    "smallint": SMALLINT,
    "int": INTEGER,
    "integer": INTEGER,
    "bigint": BIGINT,
    "float": REAL,
    "real": REAL,
    "double": DOUBLE,
    "string": VARCHAR,
    "varchar": VARCHAR,
    "binary": VARBINARY,
    "date": DATE,
    "timestamp": TIMESTAMP,
}


def array(element: Type) -> Type:
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def row(*fields: tuple[str | None, Type]) -> Type:
    return Type("row", tuple(t for _, t in fields), tuple(n for n, _ in fields))


def decimal(precision: int, scale: int) -> Type:
    return Type("decimal", precision=precision, scale=scale)


def quote(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def outside_text(sql: str, pattern: str, replaced: Callable[[str], str]) -> str:
    """DuckDB SQL with each match of `pattern` replaced, except in literals and quoted names; what comes in stays."""
    parts = re.compile(rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"|({pattern})""")
    return parts.sub(lambda found: replaced(found[1]) if found[1] is not None else found[0], sql)


def storage(of: Type) -> str:
    """The DuckDB type that holds values of `of`."""
    match of.name:
        case "decimal":
            return f"DECIMAL({of.precision},{of.scale})"
        case "array":
            return f"{storage(of.element)}[]"
        case "map":
            return f"MAP({storage(of.args[0])}, {storage(of.args[1])})"
        case "row":
            return "STRUCT(" + ", ".join(f"{quote(n)} {storage(t)}" for n, t in of.fields()) + ")"
        case name:
            return _STORAGE[name]


def hive_name(of: Type) -> str:
    """The type as the Glue Data Catalog spells it.

    Raises:
        SqlError: NOT_SUPPORTED for types that Hive tables cannot hold.
    """
    match of.name:
        case "integer":
            return "int"
        case "real":
            return "float"
        case "varchar":
            return "string" if of.precision is None else f"varchar({of.precision})"
        case "varbinary":
            return "binary"
        case "decimal":
            return f"decimal({of.precision},{of.scale})"
        case "array":
            return f"array<{hive_name(of.element)}>"
        case "map":
            return f"map<{hive_name(of.args[0])},{hive_name(of.args[1])}>"
        case "row":
            return "struct<" + ",".join(f"{n}:{hive_name(t)}" for n, t in of.fields()) + ">"
        case "boolean" | "tinyint" | "smallint" | "bigint" | "double" | "date" | "timestamp":
            return of.name
    raise SqlError("NOT_SUPPORTED", f"Unsupported Hive type: {of}")


def parse_hive(text: str) -> Type:
    """The type that a Glue column declares, such as `array<struct<frame-no:string,boxes:array<double>>>`.

    Raises:
        SqlError: HIVE_INVALID_METADATA names the text that is no Hive type we read.
    """
    found, rest = _hive(text.strip(), text)
    if rest.strip():
        raise SqlError("HIVE_INVALID_METADATA", f"Unexpected {rest!r} after the type in {text!r}")
    return found


def _hive(rest: str, whole: str) -> tuple[Type, str]:
    found = re.match(r"\s*([A-Za-z_]+)\s*(\(\s*\d+\s*(?:,\s*\d+\s*)?\))?", rest)
    if not found:
        raise SqlError("HIVE_INVALID_METADATA", f"Not a Hive type: {whole!r}")
    name, rest = found[1].lower(), rest[found.end() :]
    numbers = [int(n) for n in re.findall(r"\d+", found[2] or "")]
    if name in ("array", "map", "struct"):
        if not rest.startswith("<"):
            raise SqlError("HIVE_INVALID_METADATA", f"'<' expected after {name} in {whole!r}")
        rest = rest[1:]
        names: list[str | None] = []
        args: list[Type] = []
        while not rest.startswith(">"):
            rest = rest.removeprefix(",").lstrip()
            if name == "struct":
                label, colon, rest = rest.partition(":")
                if not colon:
                    raise SqlError("HIVE_INVALID_METADATA", f"A struct field without type in {whole!r}")
                names.append(label.strip().strip("`").lower())
            arg, rest = _hive(rest, whole)
            args.append(arg)
            rest = rest.lstrip()
            if not rest.startswith((",", ">")):
                raise SqlError("HIVE_INVALID_METADATA", f"',' or '>' expected at {rest!r} in {whole!r}")
        if len(args) != {"array": 1, "map": 2}.get(name, len(args)):
            raise SqlError("HIVE_INVALID_METADATA", f"Wrong number of element types in {whole!r}")
        return Type("row" if name == "struct" else name, tuple(args), tuple(names)), rest[1:]
    if name == "decimal":
        precision, scale = (*numbers, 10, 0)[:2] if not numbers else (*numbers, 0)[:2]
        return decimal(precision, scale), rest
    if name == "varchar":
        return Type("varchar", precision=numbers[0] if numbers else None), rest
    if name not in _HIVE:
        raise SqlError("NOT_SUPPORTED", f"Column type {name!r} is not supported by this engine (in {whole!r})")
    return _HIVE[name], rest


def as_decimal(of: Type) -> Type:
    """The decimal that holds every value of an exact number type."""
    return of if of.name == "decimal" else decimal(_DIGITS[of.name], 0)


def common_type(a: Type, b: Type) -> Type | None:
    """The type that both convert to implicitly, or None: Trino's `TypeCoercion.getCommonSuperType`."""
    if a == b or b.name == "unknown":
        return a
    if a.name == "unknown":
        return b
    if a.name in NUMBERS and b.name in NUMBERS:
        return _common_number(a, b)
    if a.name == b.name:
        match a.name:
            case "varchar":
                exact = a.precision is not None and b.precision is not None
                return Type("varchar", precision=max(a.precision or 0, b.precision or 0)) if exact else VARCHAR
            case "array" | "map":
                args = [common_type(x, y) for x, y in zip(a.args, b.args, strict=True)]
                return None if None in args else Type(a.name, tuple(t for t in args if t))
            case "row" if len(a.args) == len(b.args):
                args = [common_type(x, y) for x, y in zip(a.args, b.args, strict=True)]
                names = tuple(x if x == y else None for x, y in zip(a.names, b.names, strict=True))
                return None if None in args else Type("row", tuple(t for t in args if t), names)
            case "timestamp with time zone":
                return TIMESTAMP_TZ
    order = ("date", "timestamp", "timestamp with time zone")
    if a.name in order and b.name in order:
        return max(a, b, key=lambda t: order.index(t.name))
    return None


def _common_number(a: Type, b: Type) -> Type:
    for name in ("double", "real"):
        if name in (a.name, b.name):
            return Type(name)
    if "decimal" in (a.name, b.name):
        left, right = as_decimal(a), as_decimal(b)
        scale = max(left.digits[1], right.digits[1])
        whole = max(p - s for p, s in (left.digits, right.digits))
        return decimal(min(38, whole + scale), scale)
    return max(a, b, key=lambda t: INTEGERS.index(t.name))


def coercible(source: Type, target: Type) -> bool:
    """Whether a value of `source` becomes `target` without a cast."""
    if target.name == "varchar" and source.name == "varchar":
        return target.precision is None or (source.precision is not None and source.precision <= target.precision)
    return common_type(source, target) == target
