# ruff: noqa: N802, N803  Spark's own camelCase names are the interface here
"""Spark's types, their DDL text, and what they are in Arrow and in DuckDB.

Timestamps are instants, kept as UTC without a zone (`timestamp[us]`): the session time zone is always UTC.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from ..errors import ParseException, unsupported  # noqa: TID252 - the shim must not depend on where it lies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class DataType:
    """The base of all types. Two types are equal when class and parts are."""

    name = ""

    def simpleString(self) -> str:
        return self.name

    def typeName(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.simpleString())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class NullType(DataType):
    name = "void"


class StringType(DataType):
    name = "string"


class BinaryType(DataType):
    name = "binary"


class BooleanType(DataType):
    name = "boolean"


class ByteType(DataType):
    name = "tinyint"


class ShortType(DataType):
    name = "smallint"


class IntegerType(DataType):
    name = "int"


class LongType(DataType):
    name = "bigint"


class FloatType(DataType):
    name = "float"


class DoubleType(DataType):
    name = "double"


class DateType(DataType):
    name = "date"


class TimestampType(DataType):
    name = "timestamp"


class DecimalType(DataType):
    def __init__(self, precision: int = 10, scale: int = 0) -> None:
        self.precision, self.scale = precision, scale

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def simpleString(self) -> str:
        return f"decimal({self.precision},{self.scale})"


class ArrayType(DataType):
    name = "array"

    def __init__(self, elementType: DataType, containsNull: bool = True) -> None:
        self.elementType, self.containsNull = elementType, containsNull

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def simpleString(self) -> str:
        return f"array<{self.elementType.simpleString()}>"


class MapType(DataType):
    name = "map"

    def __init__(self, keyType: DataType, valueType: DataType, valueContainsNull: bool = True) -> None:
        self.keyType, self.valueType, self.valueContainsNull = keyType, valueType, valueContainsNull

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def simpleString(self) -> str:
        return f"map<{self.keyType.simpleString()},{self.valueType.simpleString()}>"


class StructField:
    """A column or a field of a struct."""

    def __init__(
        self, name: str, dataType: DataType, nullable: bool = True, metadata: dict[str, Any] | None = None
    ) -> None:
        self.name, self.dataType, self.nullable, self.metadata = name, dataType, nullable, metadata or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructField) and (self.name, self.dataType) == (other.name, other.dataType)

    def __hash__(self) -> int:
        return hash((self.name, self.dataType))

    def __repr__(self) -> str:
        return f"StructField({self.name!r}, {self.dataType!r}, {self.nullable})"


class StructType(DataType):
    """The schema of rows."""

    name = "struct"

    def __init__(self, fields: Sequence[StructField] | None = None) -> None:
        self.fields = list(fields or ())

    def add(
        self, field: str | StructField, data_type: str | DataType | None = None, nullable: bool = True
    ) -> StructType:
        if isinstance(field, StructField):
            self.fields.append(field)
        else:
            kind = data_type if isinstance(data_type, DataType) else parse_type(data_type or "")
            self.fields.append(StructField(field, kind, nullable))
        return self

    @classmethod
    def fromDDL(cls, ddl: str) -> StructType:
        return parse_schema(ddl)

    @property
    def names(self) -> list[str]:
        return [field.name for field in self.fields]

    def fieldNames(self) -> list[str]:
        return self.names

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def simpleString(self) -> str:
        return f"struct<{','.join(f'{f.name}:{f.dataType.simpleString()}' for f in self.fields)}>"

    def treeString(self) -> str:
        lines = ["root"]
        for field in self.fields:
            lines += [f" |-- {field.name}: {field.dataType.simpleString()} (nullable = {str(field.nullable).lower()})"]
        return "\n".join(lines)

    def __iter__(self) -> Iterator[StructField]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, key: str | int) -> StructField:
        return self.fields[key if isinstance(key, int) else self.names.index(key)]

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def __repr__(self) -> str:
        return f"StructType({self.fields!r})"


class Row(tuple[Any, ...]):  # noqa: SLOT001 - a row carries its field names
    """A row: a tuple whose values are also attributes. `Row(a=1)` makes one, `row.a`, `row["a"]`, `row[0]` read it."""

    __fields__: tuple[str, ...] = ()

    def __new__(cls, *values: Any, **named: Any) -> Self:
        row = super().__new__(cls, tuple(named.values()) if named else values)
        row.__fields__ = tuple(named)
        return row

    @classmethod
    def of(cls, names: tuple[str, ...], values: Sequence[Any]) -> Row:
        row = super().__new__(cls, values)
        row.__fields__ = names
        return row

    def asDict(self, recursive: bool = False) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            if isinstance(value, Row):
                return value.asDict(recursive=True)
            if isinstance(value, list):
                return [plain(item) for item in value]
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            return value

        return {name: plain(value) if recursive else value for name, value in zip(self.__fields__, self, strict=True)}

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self.__fields__.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.__fields__:
                raise KeyError(key)
            return super().__getitem__(self.__fields__.index(key))
        return super().__getitem__(key)

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def __contains__(self, key: object) -> bool:
        return key in self.__fields__ if self.__fields__ else super().__contains__(key)

    def __reduce__(self) -> Any:
        return Row.of, (self.__fields__, tuple(self))

    def __repr__(self) -> str:
        if not self.__fields__:
            return f"<Row({', '.join(map(repr, self))})>"
        return f"Row({', '.join(f'{n}={v!r}' for n, v in zip(self.__fields__, self, strict=True))})"


_ATOMIC: dict[str, DataType] = {
    "void": NullType(), "null": NullType(), "string": StringType(), "binary": BinaryType(), "boolean": BooleanType(),
    "tinyint": ByteType(), "byte": ByteType(), "smallint": ShortType(), "short": ShortType(), "int": IntegerType(),
    "integer": IntegerType(), "bigint": LongType(), "long": LongType(), "float": FloatType(), "real": FloatType(),
    "double": DoubleType(), "date": DateType(), "timestamp": TimestampType(),
}  # fmt: skip
_TOKEN = re.compile(r"\s*(?:`((?:[^`]|``)+)`|('(?:[^']|'')*')|([A-Za-z_0-9]+)|([<>(),:]))")


class _Ddl:
    """A reader of DDL text: `a INT, b ARRAY<STRUCT<c: STRING>> COMMENT 'x'`."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self) -> tuple[str, str]:
        """(kind, text) of the next token; kind is name, text, word, sign or end."""
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            if self.text[self.at :].strip():
                raise ParseException(f"Schema {self.text!r}: cannot read {self.text[self.at :]!r}")
            return "end", ""
        kinds = ("name", "text", "word", "sign")
        return next((kind, part) for kind, part in zip(kinds, match.groups(), strict=True) if part is not None)

    def take(self, wanted: str = "") -> str:
        _, text = self.peek()
        if wanted and text.upper() != wanted:
            raise ParseException(f"Schema {self.text!r}: expected {wanted!r} at {self.text[self.at :]!r}")
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise ParseException(f"Schema {self.text!r} ends too early")
        self.at = match.end()
        return text.replace("``", "`")

    def skip(self, sign: str) -> bool:
        if self.peek()[1].upper() == sign:
            self.take()
            return True
        return False

    def kind(self) -> DataType:
        word = self.take().lower()
        if word == "array":
            self.take("<")
            element = self.kind()
            self.take(">")
            return ArrayType(element)
        if word == "map":
            self.take("<")
            key = self.kind()
            self.take(",")
            value = self.kind()
            self.take(">")
            return MapType(key, value)
        if word == "struct":
            self.take("<")
            fields = [] if self.peek()[1] == ">" else self.fields()
            self.take(">")
            return StructType(fields)
        if word in ("decimal", "dec", "numeric"):
            precision, scale = 10, 0
            if self.skip("("):
                precision = int(self.take())
                scale = int(self.take()) if self.skip(",") else 0
                self.take(")")
            return DecimalType(precision, scale)
        if word in ("varchar", "char"):
            self.take("(")
            self.take()
            self.take(")")
            return StringType()
        if word not in _ATOMIC:
            raise unsupported(f"The Spark type {word!r} in schema {self.text!r}")
        return _ATOMIC[word]

    def fields(self) -> list[StructField]:
        found = []
        while True:
            name = self.take()
            self.skip(":")
            kind, nullable = self.kind(), True
            if self.skip("NOT"):
                self.take("NULL")
                nullable = False
            if self.skip("COMMENT"):
                self.take()
            found.append(StructField(name, kind, nullable))
            if not self.skip(","):
                return found


def parse_type(text: str) -> DataType:
    """The type of a DDL text such as `array<struct<a:int>>`."""
    reader = _Ddl(text)
    kind = reader.kind()
    if reader.peek()[0] != "end":
        raise ParseException(f"Type {text!r}: cannot read {text[reader.at :]!r}")
    return kind


def parse_schema(text: str) -> StructType:
    """The schema of a DDL text such as `a INT, b STRING`, or of `struct<a:int,b:string>`."""
    if text.strip().lower().startswith("struct<"):
        kind = parse_type(text)
        if isinstance(kind, StructType):
            return kind
    reader = _Ddl(text)
    fields = reader.fields()
    if reader.peek()[0] != "end":
        raise ParseException(f"Schema {text!r}: cannot read {text[reader.at :]!r}")
    return StructType(fields)


def as_schema(schema: str | StructType) -> StructType:
    return schema if isinstance(schema, StructType) else parse_schema(schema)


_TO_ARROW: dict[type[DataType], pa.DataType] = {
    NullType: pa.null(), StringType: pa.string(), BinaryType: pa.binary(), BooleanType: pa.bool_(), ByteType: pa.int8(),
    ShortType: pa.int16(), IntegerType: pa.int32(), LongType: pa.int64(), FloatType: pa.float32(),
    DoubleType: pa.float64(),
    DateType: pa.date32(), TimestampType: pa.timestamp("us"),
}  # fmt: skip


def to_arrow(kind: DataType, zone: str | None = None) -> pa.DataType:
    """The Arrow type; `zone` is the zone of timestamps (None inside this package, "UTC" towards user functions)."""
    if isinstance(kind, TimestampType):
        return pa.timestamp("us", zone)
    if isinstance(kind, DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, ArrayType):
        return pa.list_(pa.field("element", to_arrow(kind.elementType, zone)))
    if isinstance(kind, MapType):
        return pa.map_(to_arrow(kind.keyType, zone), to_arrow(kind.valueType, zone))
    if isinstance(kind, StructType):
        return pa.struct([pa.field(f.name, to_arrow(f.dataType, zone)) for f in kind.fields])
    return _TO_ARROW[type(kind)]


def arrow_schema(schema: StructType, zone: str | None = None) -> pa.Schema:
    return pa.schema([pa.field(f.name, to_arrow(f.dataType, zone)) for f in schema.fields])


_FROM_ARROW = {str(arrow): kind() for kind, arrow in _TO_ARROW.items() if kind is not TimestampType}


def from_arrow(kind: pa.DataType) -> DataType:
    """The Spark type of an Arrow type. Raises NotImplementedError for types Spark lacks."""
    if pa.types.is_timestamp(kind):
        return TimestampType()
    if pa.types.is_decimal(kind):
        return DecimalType(kind.precision, kind.scale)
    if pa.types.is_map(kind):
        return MapType(from_arrow(kind.key_type), from_arrow(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ArrayType(from_arrow(kind.value_type))
    if pa.types.is_struct(kind):
        return StructType(
            [StructField(kind.field(i).name, from_arrow(kind.field(i).type)) for i in range(kind.num_fields)]
        )
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return StringType()
    if pa.types.is_large_binary(kind):
        return BinaryType()
    if pa.types.is_dictionary(kind):
        return from_arrow(kind.value_type)
    if str(kind) not in _FROM_ARROW:
        raise unsupported(f"The Arrow type {kind}")
    return _FROM_ARROW[str(kind)]


def from_arrow_schema(schema: pa.Schema) -> StructType:
    return StructType([StructField(field.name, from_arrow(field.type)) for field in schema])


_TO_DUCKDB: dict[type[DataType], str] = {
    NullType: "INTEGER", StringType: "VARCHAR", BinaryType: "BLOB", BooleanType: "BOOLEAN", ByteType: "TINYINT",
    ShortType: "SMALLINT", IntegerType: "INTEGER", LongType: "BIGINT", FloatType: "FLOAT", DoubleType: "DOUBLE",
    DateType: "DATE", TimestampType: "TIMESTAMP",
}  # fmt: skip


def quoted(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def to_duckdb(kind: DataType) -> str:
    """The DuckDB type's text."""
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if isinstance(kind, ArrayType):
        return f"{to_duckdb(kind.elementType)}[]"
    if isinstance(kind, MapType):
        return f"MAP({to_duckdb(kind.keyType)},{to_duckdb(kind.valueType)})"
    if isinstance(kind, StructType):
        return f"STRUCT({','.join(f'{quoted(f.name)} {to_duckdb(f.dataType)}' for f in kind.fields)})"
    return _TO_DUCKDB[type(kind)]


_FROM_DUCKDB: dict[str, DataType] = {
    "null": NullType(), "sqlnull": NullType(), "varchar": StringType(), "json": StringType(), "uuid": StringType(),
    "blob": BinaryType(),
    "boolean": BooleanType(), "tinyint": ByteType(), "smallint": ShortType(), "integer": IntegerType(),
    "bigint": LongType(), "utinyint": ShortType(), "usmallint": IntegerType(), "uinteger": LongType(),
    # sum(bigint) is HUGEINT in DuckDB and bigint in Spark; cardinality() and list lengths are unsigned
    "hugeint": LongType(), "ubigint": LongType(), "float": FloatType(), "double": DoubleType(), "date": DateType(),
    "timestamp": TimestampType(), "timestamp with time zone": TimestampType(), "timestamp_ns": TimestampType(),
    "timestamp_ms": TimestampType(), "timestamp_s": TimestampType(),
}  # fmt: skip


def from_duckdb(kind: Any) -> DataType:
    """The Spark type of a `duckdb.typing.DuckDBPyType`. Raises NotImplementedError for types Spark lacks."""
    name = kind.id
    if name == "decimal":
        parts = dict(kind.children)
        return DecimalType(parts["precision"], parts["scale"])
    if name == "list":
        return ArrayType(from_duckdb(kind.children[0][1]))
    if name == "array":
        return ArrayType(from_duckdb(kind.children[0][1]))
    if name == "map":
        return MapType(from_duckdb(kind.children[0][1]), from_duckdb(kind.children[1][1]))
    if name == "struct":
        return StructType([StructField(child, from_duckdb(inner)) for child, inner in kind.children])
    if name not in _FROM_DUCKDB:
        raise unsupported(f"The result type {kind}")
    return _FROM_DUCKDB[name]


def to_python(kind: DataType, value: Any) -> Any:
    """An Arrow value (`as_py`) as PySpark shows it: structs as Rows, maps as dicts."""
    if value is None:
        return None
    if isinstance(kind, StructType):
        names = tuple(kind.names)
        return Row.of(names, [to_python(f.dataType, value[f.name]) for f in kind.fields])
    if isinstance(kind, ArrayType):
        return [to_python(kind.elementType, item) for item in value]
    if isinstance(kind, MapType):
        items = value.items() if isinstance(value, dict) else value
        return {key: to_python(kind.valueType, item) for key, item in items}
    if isinstance(kind, BinaryType):
        return bytearray(value)
    return value


def row_converter(schema: StructType) -> Any:
    """A function from one Arrow row (a list of column values) to a Row; scalars pass unchanged."""
    names = tuple(schema.names)
    nested = [isinstance(f.dataType, (StructType, ArrayType, MapType, BinaryType)) for f in schema.fields]
    kinds = [f.dataType for f in schema.fields]

    def convert(values: Sequence[Any]) -> Row:
        return Row.of(names, [to_python(k, v) if n else v for k, v, n in zip(kinds, values, nested, strict=True)])

    return convert
