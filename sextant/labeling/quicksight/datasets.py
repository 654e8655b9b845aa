"""A data set of the specification as SPICE holds it: one query of scalar columns, and each measure as an expression.

A measure of the specification is Athena SQL over aggregates, such as `sum(a) FILTER (WHERE p) / sum(b)`. Here every
aggregate becomes one column of the query, computed row by row (`CASE WHEN p THEN a END`), and what stands around the
aggregates becomes a QuickSight calculated field (`sum({passed_1}) / sum({passed_2})`). A count of rows becomes a sum of
ones and zeros, so that none is 0 and no blank. So both surfaces compute a number in the same way, and a filter set in
QuickSight applies before the aggregation, as it does on the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import sqlglot
from sqlglot import expressions as e

from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.tables import TABLES
from sextant.labeling.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sextant.labeling.dashboards.model import Dataset

Kind = Literal["STRING", "INTEGER", "DECIMAL", "DATETIME"]
"""The types of a column that SPICE takes from Athena."""

_KINDS: dict[str, Kind] = {
    "string": "STRING",
    "bigint": "INTEGER",
    "int": "INTEGER",
    "double": "DECIMAL",
    "date": "DATETIME",
    "timestamp": "DATETIME",
}
_DIMENSIONS: dict[str, Kind] = {"text": "STRING", "number": "INTEGER", "day": "DATETIME", "time": "DATETIME"}
_COMPARED = re.compile(r"^((?:(?!\bSELECT\b).)+?) (?:IN \(\{values\}\)|>= \{values\})$")
_JOB_COLUMNS = ("level", "batch")
"""What filters know of a label's job: columns of table job, joined to every data set that knows the job."""


class UntranslatableError(ValueError):
    """A measure that QuickSight has no expression for. The message names it and what stands in the way."""


@dataclass(frozen=True)
class Spice:
    """The query, its columns in order with their types, and QuickSight's expression of each measure by name.

    `dates` are the measures that are days or times.
    """

    sql: str
    columns: dict[str, Kind]
    measures: dict[str, str]
    dates: frozenset[str]


def column_of(reference: str) -> str:
    """The SPICE column of a dimension or attribute: `label_attribute.moving` is `label_attribute_moving`."""
    return reference.replace(".", "_")


def spice(name: str, dataset: Dataset, references: Iterable[str], measures: Iterable[str]) -> Spice:
    """The SPICE data set that holds these dimensions or attributes and these measures.

    Args:
        name: of the data set, for messages.
        dataset: of the specification.
        references: dimensions and attributes (`label_attribute.moving`), each becomes a column.
        measures: names of measures.

    Raises:
        UntranslatableError: a measure uses more than sums, counts, extremes and means of rows, and arithmetic.
    """
    types = _column_types(dataset.source)
    selected = _filtered_by(dataset)
    kinds: dict[str, Kind] = {column: "DATETIME" if column == "day" else "STRING" for column in selected}
    for reference in sorted(set(references)):
        kind, _, attribute = reference.partition(".")
        column = column_of(reference)
        if attribute:
            selected[column], kinds[column] = f"element_at(attributes, '{attribute}')", "STRING"
        else:
            dimension = dataset.dimensions[kind]
            selected[column] = dimension.sql
            kinds[column] = _DIMENSIONS[dimension.kind]
    expressions: dict[str, str] = {}
    dates = set[str]()
    for measure in sorted(set(measures)):
        translation = _Translation(f"data set {name}, measure {measure}", measure, types)
        expressions[measure] = translation.of(dataset.measures[measure].sql)
        for column, (sql, kind) in translation.columns.items():
            selected[column], kinds[column] = sql, kind
        if set(translation.aggregates) <= {"min", "max"} and "DATETIME" in {k for _, k in translation.columns.values()}:
            dates.add(measure)
    listed = ",\n  ".join(f'{sql} AS "{column}"' for column, sql in selected.items())
    base = f"SELECT\n  {listed}\nFROM {dataset.source}"
    joined = [each for each in _JOB_COLUMNS if each in dataset.filters and each not in selected]
    if joined and "job" in selected:
        further = "".join(f', job."{each}"' for each in joined)
        sql = f'SELECT base.*{further}\nFROM (\n{base}\n) base\nLEFT JOIN job ON base."job" = job.job_name'
        kinds.update((each, "STRING") for each in joined)
    else:
        sql = base
    return Spice(sql, kinds, expressions, frozenset(dates))


def in_database(sql: str, database: str) -> str:
    """The query with every table qualified: QuickSight runs it without a current database.

    Raises:
        sqlglot.errors.ParseError: the query is no Athena SQL.
    """
    tree = sqlglot.parse_one(sql, read="athena")
    for table in tree.find_all(e.Table):
        if table.name and not table.db:
            table.set("db", e.to_identifier(database, quoted=True))
            table.set("this", e.to_identifier(table.name, quoted=True))
    return tree.sql("athena", pretty=True)


def _filtered_by(dataset: Dataset) -> dict[str, str]:
    """What the data set's filters compare, by the filter's name; `day` for a range of days."""
    found: dict[str, str] = {}
    for name, template in dataset.filters.items():
        compared = _COMPARED.match(template)
        if compared and "{name}" not in template:
            found["day" if name == "since" else name] = compared[1]
    return found


def _column_types(source: str) -> dict[str, str]:
    """Hive types of the columns that a FROM clause offers, as far as its tables and views are declared."""
    declared = {each.name: each.columns for each in (*TABLES, *INSIGHT_TABLES)}
    declared |= {each.name: each.columns for each in VIEWS}
    tree = sqlglot.parse_one(f"SELECT * FROM {source}", read="athena")  # noqa: S608 - parsed, never run
    return {column.name: column.type for table in tree.find_all(e.Table) for column in declared.get(table.name, ())}


class _Translation:
    """One measure on its way: `columns` (SQL and type) and `aggregates` gather as its expression is walked."""

    def __init__(self, where: str, prefix: str, types: dict[str, str]) -> None:
        self.where = where
        self.prefix = prefix
        self.types = types
        self.columns: dict[str, tuple[str, Kind]] = {}
        self.aggregates: list[str] = []

    def of(self, sql: str) -> str:
        tree = sqlglot.parse_one(f"SELECT {sql}", read="athena").expressions[0]
        return self._expression(tree)

    def _expression(self, node: e.Expr) -> str:
        match node:
            case e.Filter():
                return self._aggregate(node.this, node.expression.this)
            case e.AggFunc():
                return self._aggregate(node, None)
            case e.Paren():
                return f"({self._expression(node.this)})"
            case e.Neg():
                return f"-{self._expression(node.this)}"
            case e.Literal() if not node.is_string:
                return repr(float(node.this)).removesuffix(".0")
            case e.Cast() | e.TryCast():  # SPICE has decimals wherever it divides
                inner = self._expression(node.this)
                return f"({inner})" if isinstance(node.this, e.Binary) else inner
            case e.Coalesce():
                return self._call("coalesce", [node.this, *node.expressions])
            case e.Nullif():
                return self._call("nullIf", [node.this, node.expression])
            case e.Sqrt():
                return self._call("sqrt", [node.this])
            case e.Pow():
                return f"({self._expression(node.this)})^({self._expression(node.expression)})"
            case e.Case() if not node.this:
                otherwise = self._expression(node.args["default"]) if node.args.get("default") else "NULL"
                for branch in reversed(node.args["ifs"]):
                    then = self._expression(branch.args["true"])
                    otherwise = f"ifelse({self._expression(branch.this)}, {then}, {otherwise})"
                return otherwise
            case e.Greatest() | e.Least():
                sign = ">=" if isinstance(node, e.Greatest) else "<="
                [one, other] = [self._expression(each) for each in (node.this, *node.expressions)]
                return f"ifelse({one} {sign} {other}, {one}, {other})"
            case e.EQ():
                return f"{self._expression(node.left)} = {self._expression(node.right)}"
            case e.Add() | e.Sub() | e.Mul() | e.Div():
                sign = {e.Add: "+", e.Sub: "-", e.Mul: "*", e.Div: "/"}[type(node)]
                return f"{self._expression(node.left)} {sign} {self._expression(node.right)}"
            case _:
                raise UntranslatableError(
                    f"{self.where}: QuickSight has no expression for {node.sql('athena')!r}; write the measure with "
                    "aggregates of rows, arithmetic, coalesce, nullif and sqrt, or keep its visual out of QuickSight"
                )

    def _call(self, function: str, arguments: list[e.Expr]) -> str:
        return f"{function}({', '.join(self._expression(each) for each in arguments)})"

    def _aggregate(self, node: e.Expr, condition: e.Expr | None) -> str:
        match node:
            case e.Count() if isinstance(node.this, e.Distinct):
                [argument] = node.this.expressions
                return f"distinct_count({{{self._column(argument, condition, 'STRING')}}})"
            case e.Count() if isinstance(node.this, e.Star):
                return self._count(condition)
            case e.Count():
                return f"count({{{self._column(node.this, condition)}}})"
            case e.CountIf():
                return self._count(node.this if condition is None else e.and_(node.this, condition))
            case e.Sum() | e.Min() | e.Max() | e.Avg():
                name = type(node).__name__.lower()
                self.aggregates.append(name)
                return f"{name}({{{self._column(node.this, condition)}}})"
            case _:
                raise UntranslatableError(
                    f"{self.where}: {node.sql('athena')!r} is no sum, count, minimum, maximum or mean of rows"
                )

    def _count(self, condition: e.Expr | None) -> str:
        """The number of rows that meet the condition: 0 and no blank where none does, or where there are no rows."""
        one = e.Literal.number(1)
        counted = one if condition is None else e.Case(default=e.Literal.number(0)).when(condition.copy(), one)
        return f"coalesce(sum({{{self._column(counted, None, 'INTEGER')}}}), 0)"

    def _column(self, argument: e.Expr, condition: e.Expr | None, kind: Kind | None = None) -> str:
        """Adds the column that an aggregate reads and returns its name."""
        if argument.find(e.Window, e.AggFunc, e.Subquery):
            raise UntranslatableError(f"{self.where}: {argument.sql('athena')!r} is not computed from one row")
        sql = argument.sql("athena")
        if kind is None:
            declared = self.types.get(argument.name) if isinstance(argument, e.Column) else None
            kind = _KINDS.get(declared or "double", "DECIMAL")
            if declared is None:
                sql = f"CAST({sql} AS double)"
        elif kind == "STRING":
            sql = f"CAST({sql} AS varchar)"
        if condition is not None:
            sql = f"CASE WHEN {condition.sql('athena')} THEN {sql} END"
        for name, known in self.columns.items():
            if known == (sql, kind):
                return name
        name = f"{self.prefix}_{len(self.columns) + 1}"
        self.columns[name] = (sql, kind)
        return name
