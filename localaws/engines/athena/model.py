"""What binding works with: scopes, scans and compiled statements, and the leaves of the syntax tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from localaws.engines.athena import syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr
from localaws.engines.athena.types import Type, literal

CATALOG = "awsdatacatalog"


@dataclass(frozen=True)
class Field:
    """A column of a relation: `sql` reads it, `hidden` ones (such as `"$path"`) are not in `*`."""

    name: str | None
    type: Type
    sql: str
    hidden: bool = False


@dataclass(frozen=True)
class Relation:
    """Something in FROM. `names` are the parts it can be qualified with, innermost last: (catalog, database, table)."""

    fields: tuple[Field, ...]
    names: tuple[str, ...] = ()


@dataclass
class Scope:
    """Where a name is looked up: the relations of one SELECT, then the enclosing query's."""

    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Field] = field(default_factory=dict)  # columns joined by USING
    lambdas: dict[str, Expr] = field(default_factory=dict)
    outputs: dict[str, Expr] = field(default_factory=dict)  # select aliases, visible to ORDER BY only
    parent: Scope | None = None


@dataclass(frozen=True)
class Query:
    """A bound query: `sql` has output columns `_o0`, `_o1` …; `columns` are their names and types."""

    sql: str
    columns: tuple[tuple[str, Type], ...]


@dataclass(frozen=True)
class TableColumns:
    """What the binder must know of a table. `columns` come first, then `partition_keys`, as in `SELECT *`."""

    columns: tuple[tuple[str, Type], ...]
    partition_keys: tuple[tuple[str, Type], ...] = ()


@dataclass(frozen=True)
class View:
    """A stored view: its own text, the database it was written in and the column types it promised."""

    sql: str
    database: str
    columns: tuple[tuple[str, Type], ...]


@dataclass
class Scan:
    """One use of a table in a statement; `marker` stands for its relation in the compiled SQL.

    `used` are the columns the statement reads; `pruning` is SQL over the partition keys (columns of relation `p`) that
    every row it needs satisfies.
    """

    database: str
    table: str
    marker: str
    used: set[str] = field(default_factory=set)
    pruning: list[str] = field(default_factory=list)
    equals: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Compiled:
    """A statement ready to run once each scan's marker is replaced by a relation."""

    sql: str
    columns: tuple[tuple[str, Type], ...]
    scans: tuple[Scan, ...]


@dataclass(frozen=True)
class ScanField(Field):
    """A column of a table, which remembers its scan."""

    scan: Scan = field(default_factory=lambda: Scan("", "", ""), compare=False)
    column: str = ""


def unsupported(what: str, node: exp.Expr | None = None) -> SqlError:
    return SqlError("NOT_SUPPORTED", f"{what} is not supported by this engine", syntax.place(node) if node else None)


def sorted_by(sql: str, item: exp.Expr) -> str:
    nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
    return f"{sql} {'DESC' if item.args.get('desc') else 'ASC'} NULLS {nulls}"


def bare(node: exp.Expr) -> exp.Expr:
    """A subquery without its alias."""
    if isinstance(node, exp.Subquery) and node.args.get("alias"):
        node = node.copy()
        node.set("alias", None)
    return node


def literal_of(node: exp.Literal) -> Expr:
    text = node.name
    if node.is_string:
        return Expr(literal(text), Type("varchar", precision=len(text)), value=text)
    if "e" in text.lower():
        return Expr(f"CAST({text} AS DOUBLE)", t.DOUBLE, value=float(text))
    if "." in text:
        whole, _, part = text.partition(".")
        whole = whole.lstrip("0")
        of = t.decimal(max(1, len(whole) + len(part)), len(part))
        if (of.precision or 0) > 38:
            raise SqlError("NUMERIC_VALUE_OUT_OF_RANGE", f"Invalid decimal literal {text}", syntax.place(node))
        return Expr(f"CAST({literal(text)} AS {t.storage(of)})", of, value=float(text))
    number = int(text)
    if number > 2**63 - 1:
        raise SqlError("INVALID_LITERAL", f"Invalid numeric literal: {text}", syntax.place(node))
    of = t.INTEGER if number < 2**31 else t.BIGINT
    return Expr(f"CAST({number} AS {t.storage(of)})", of, value=number)


def sql_type(node: exp.DataType) -> Type:
    """The type that a CAST names."""
    kind = exp.DType
    numbers = [int(p.name) for p in node.expressions if isinstance(p, exp.DataTypeParam)]
    simple = {
        kind.BOOLEAN: t.BOOLEAN, kind.TINYINT: t.TINYINT, kind.SMALLINT: t.SMALLINT, kind.INT: t.INTEGER,
        kind.BIGINT: t.BIGINT, kind.FLOAT: t.REAL, kind.DOUBLE: t.DOUBLE, kind.VARBINARY: t.VARBINARY,
        kind.DATE: t.DATE, kind.JSON: t.JSON, kind.TEXT: t.VARCHAR,
    }  # fmt: skip
    match node.this:
        case kind.VARCHAR:
            return Type("varchar", precision=numbers[0]) if numbers else t.VARCHAR
        case kind.DECIMAL:
            precision, scale = ([*numbers, 0])[:2] if numbers else (38, 0)
            if not 1 <= precision <= 38 or scale > precision:
                raise SqlError("INVALID_PARAMETER_USAGE", f"Invalid type decimal({precision},{scale})")
            return t.decimal(precision, scale)
        case kind.TIMESTAMP | kind.TIMESTAMPTZ | kind.TIME:
            if numbers and numbers[0] > 3:
                raise SqlError("NOT_SUPPORTED", f"{node.sql(dialect='trino')}: Athena's time types have milliseconds")
            return {kind.TIMESTAMP: t.TIMESTAMP, kind.TIMESTAMPTZ: t.TIMESTAMP_TZ, kind.TIME: t.TIME}[node.this]
        case kind.ARRAY | kind.MAP:
            args = tuple(sql_type(e) for e in node.expressions)
            return Type("array" if node.this == kind.ARRAY else "map", args)
        case kind.STRUCT:
            fields = [
                (e.name.lower(), sql_type(e.args["kind"])) if isinstance(e, exp.ColumnDef) else (None, sql_type(e))
                for e in node.expressions
            ]
            return t.row(*fields)
    if node.this in simple:
        return simple[node.this]
    raise SqlError("TYPE_NOT_FOUND", f"Unknown or unsupported type: {node.sql(dialect='trino')}")
