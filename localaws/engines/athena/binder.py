"""Athena SQL → DuckDB SQL: names, types and semantics resolved the way Trino's analyzer resolves them.

sqlglot reads the text; everything after that is decided here, from the catalog's types, so that nothing is left to
DuckDB's own coercions and aliases: each relation gets an alias of ours, each output column the name `_o<n>`, each
expression a Trino type. A construct this module does not know raises NOT_SUPPORTED with its name.

One liberty, on purpose: `UNNEST(array(row)) AS t(x)` with a single alias gives the
row itself. Trino wants one alias per field, but queries written for older Athena engines, such as the Ground Truth
reports', rely on the row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import functions, specials, syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import Type, literal, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


_COMPARE = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "with_",
    "windows", "hint", "kind", "operation_modifiers", "laterals", "sample",
}  # fmt: skip
_UNITS = {
    "millisecond": 1,
    "second": 1000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
    "month": 1,
    "quarter": 3,
    "year": 12,
}


def unsupported(what: str, node: exp.Expr | None = None) -> SqlError:
    return SqlError("NOT_SUPPORTED", f"{what} is not supported by this engine", syntax.place(node) if node else None)


class Binder:
    """Binds one statement.

    `describe(database, table)` gives a table's columns or a view's definition; it raises for tables that are not there
    or not allowed. `database` is the session's database; None if the statement has to qualify its tables.
    """

    def __init__(
        self,
        describe: Callable[[str, str], TableColumns | View],
        database: str | None,
    ) -> None:
        self.describe = describe
        self.database = database
        self.scans: list[Scan] = []
        self.failures = ex.Failures()
        self._ctes: list[dict[str, tuple[str, tuple[tuple[str, Type], ...]]]] = []
        self._aliases = 0
        self._views: list[tuple[str, str]] = []
        self._grouped: set[str] | None = None  # SQL of the grouping keys while an aggregate query's outputs are bound
        self._aggregate_depth = 0
        self._windows: dict[str, exp.Window] = {}

    # --- statements -------------------------------------------------------------------------------------------------

    def compile(self, tree: exp.Expr) -> Compiled:
        """Binds a whole query.

        Raises:
            SqlError: as Athena would fail, or NOT_SUPPORTED.
        """
        query = self.query(tree, None)
        return Compiled(query.sql, query.columns, tuple(self.scans))

    def alias(self, prefix: str = "r") -> str:
        self._aliases += 1
        return f"{prefix}{self._aliases}"

    def query(self, node: exp.Expr, parent: Scope | None) -> Query:
        """SELECT, VALUES, a set operation or a parenthesised one, with its WITH, ORDER BY and LIMIT."""
        if isinstance(node, exp.Subquery) and not node.args.get("alias"):
            inner = node.this
            if any(node.args.get(part) for part in ("order", "limit", "offset", "with_")):
                return self._ordered(self.query(inner, parent), node, parent)
            return self.query(inner, parent)
        depth = len(self._ctes)
        prefix = self._with(node, parent)
        if isinstance(node, exp.Select):
            bound = self._select(node, parent)
        elif isinstance(node, exp.SetOperation):
            bound = self._ordered(self._set_operation(node, parent), node, parent)
        elif isinstance(node, exp.Values):
            bound = self._ordered(self._values(node, parent), node, parent)
        elif isinstance(node, exp.Table):
            bound = self._select(exp.select("*").from_(node), parent)
        else:
            raise unsupported(f"{type(node).__name__.upper()} as a query", node)
        del self._ctes[depth:]
        return replace(bound, sql=prefix + bound.sql) if prefix else bound

    def _with(self, node: exp.Expr, parent: Scope | None) -> str:
        clause = node.args.get("with_")
        if not clause:
            return ""
        if clause.args.get("recursive"):
            raise unsupported("WITH RECURSIVE", clause)
        texts = []
        for cte in clause.expressions:
            name = cte.alias.lower()
            bound = self.query(cte.this, parent)
            columns = _renamed(bound.columns, cte.args["alias"].args.get("columns"), name)
            marker = self.alias("w")
            texts.append(f"{marker} AS ({bound.sql})")
            self._ctes.append({name: (marker, columns)})
        return f"WITH {', '.join(texts)} "

    def _ordered(self, bound: Query, node: exp.Expr, parent: Scope | None) -> Query:
        """ORDER BY and LIMIT over a whole query, where only its output columns are in scope."""
        order, limit = node.args.get("order"), self._limit(node)
        if not order and not limit:
            return bound
        name = self.alias("s")
        fields = tuple(Field(c, of, f"{name}._o{i}") for i, (c, of) in enumerate(bound.columns))
        scope = Scope([Relation(fields)], parent=parent)
        keys = []
        for item in order.expressions if order else ():
            at = _ordinal(item.this, len(fields))
            key = Expr(fields[at].sql, fields[at].type) if at is not None else self.expr(item.this, scope)
            keys.append(_sorted_by(key.sql, item))
        names = ", ".join(f"{f.sql} AS _o{i}" for i, f in enumerate(fields))
        ordering = f" ORDER BY {', '.join(keys)}" if keys else ""
        return replace(bound, sql=f"SELECT {names} FROM ({bound.sql}) {name}{ordering}{limit}")

    def _limit(self, node: exp.Expr) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        text = ""
        if isinstance(limit, exp.Fetch):
            options = limit.args.get("limit_options")
            if options and (options.args.get("with_ties") or options.args.get("percent")):
                raise unsupported("FETCH FIRST … WITH TIES", limit)
            text = f" LIMIT {self._count(limit.args.get('count') or exp.Literal.number(1))}"
        elif limit and not (isinstance(limit.expression, exp.Var) and limit.expression.name.upper() == "ALL"):
            text = f" LIMIT {self._count(limit.expression)}"
        return text + (f" OFFSET {self._count(offset.expression)}" if offset else "")

    def _count(self, node: exp.Expr) -> int:
        if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
            raise SqlError("SYNTAX_ERROR", "LIMIT and OFFSET take a whole number", syntax.place(node))
        return int(node.name)

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        word = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}[type(node)]
        if node.args.get("by_name"):
            raise unsupported("UNION BY NAME", node)
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        if len(left.columns) != len(right.columns):
            raise SqlError(
                "TYPE_MISMATCH",
                f"{word} query has different number of fields: {len(left.columns)}, {len(right.columns)}",
                syntax.place(node.expression),
            )
        common = []
        for number, ((name, a), (_, b)) in enumerate(zip(left.columns, right.columns, strict=True)):
            of = t.common_type(a, b)
            if of is None:
                raise SqlError(
                    "TYPE_MISMATCH",
                    f"column {number + 1} in {word} query has incompatible types: {a}, {b}",
                    syntax.place(node.expression),
                )
            common.append((name, of))
        distinct = node.args.get("distinct", True)
        if word != "UNION" and not distinct:
            raise unsupported(f"{word} ALL", node)
        types = [of for _, of in common]
        operator = f"{word}{'' if distinct else ' ALL'}"
        return Query(f"({self._as(left, types)}) {operator} ({self._as(right, types)})", tuple(common))

    def _as(self, bound: Query, types: Sequence[Type]) -> str:
        """The query with its columns converted to `types`."""
        if [of for _, of in bound.columns] == list(types):
            return bound.sql
        name = self.alias("s")
        items = [
            f"{ex.convert(Expr(f'{name}._o{i}', of), target).sql} AS _o{i}"
            for i, ((_, of), target) in enumerate(zip(bound.columns, types, strict=True))
        ]
        return f"SELECT {', '.join(items)} FROM ({bound.sql}) {name}"

    def converted(self, bound: Query, columns: Sequence[tuple[str, Type]]) -> Query:
        """The query with columns of the given names and types; the caller has checked that they convert."""
        return Query(self._as(bound, [of for _, of in columns]), tuple(columns))

    def _values(self, node: exp.Values, parent: Scope | None) -> Query:
        scope = Scope(parent=parent)
        rows = [[self.expr(item, scope) for item in _items(row)] for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise SqlError("TYPE_MISMATCH", "Values rows have different sizes", syntax.place(node))
        types: list[Type] = []
        for column in zip(*rows, strict=True):
            types.append(self.common([e for e in column], "Values rows", node))
        text = ", ".join(
            "(" + ", ".join(ex.convert(e, of).sql for e, of in zip(row, types, strict=True)) + ")" for row in rows
        )
        name = self.alias("v")
        heads = ", ".join(f"_o{i}" for i in range(len(types)))
        columns = tuple((f"_col{i}", of) for i, of in enumerate(types))
        return Query(f"SELECT {heads} FROM (VALUES {text}) {name}({heads})", columns)

    # --- SELECT -----------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select, parent: Scope | None) -> Query:
        extra = [part for part, value in node.args.items() if value and part not in _SELECT_PARTS]
        if extra or node.args.get("sample") or node.args.get("hint") or node.args.get("laterals"):
            raise unsupported(f"{(extra or ['TABLESAMPLE'])[0].upper().strip('_')} in SELECT", node)
        if node.args.get("kind") or node.args.get("operation_modifiers"):
            raise unsupported(f"SELECT {node.args.get('kind') or node.args['operation_modifiers'][0]}", node)
        outer = self._grouped, self._aggregate_depth, self._windows, self.failures.anchor, self.failures.try_depth
        self._grouped, self._aggregate_depth, self.failures.try_depth = None, 0, 0
        self._windows = {w.name.lower(): w for w in node.args.get("windows") or ()}
        scope = Scope(parent=parent)
        source = self._from(node, scope)
        visible = [f for r in scope.relations for f in r.fields if not f.hidden]
        self.failures.anchor = visible[0].sql if visible else ""

        where = node.args.get("where")
        conditions = self.boolean(where.this, scope, "WHERE clause") if where else None
        if where:
            self._prune(where.this, scope)

        names, items = self._items(node, scope)
        group = node.args.get("group")
        grouping, keys = self._group(group, items, scope) if group else ("", [])
        parts = [*node.expressions, *([node.args["having"]] if node.args.get("having") else [])]
        order = node.args.get("order")
        aggregated = bool(group) or any(map(_has_aggregate, [*parts, *(order.expressions if order else ())]))
        if aggregated:
            self._grouped = {key.sql for key in keys}
            if not keys:
                self.failures.anchor = ""
        outputs = [item if isinstance(item, Expr) else self._output(item, scope) for item in items]
        having = ""
        if node.args.get("having"):
            bound = self.boolean(node.args["having"].this, scope, "HAVING clause")
            having = f" HAVING {self._covered(bound).sql}"

        distinct = node.args.get("distinct")
        if distinct and distinct.args.get("on"):
            raise SqlError("SYNTAX_ERROR", "mismatched input 'ON'", syntax.place(distinct))
        ordering = self._order(order, names, outputs, scope, distinct=bool(distinct)) if order else ""
        heads = ", ".join(f"{e.sql} AS _o{i}" for i, e in enumerate(outputs))
        sql = (
            f"SELECT {'DISTINCT ' if distinct else ''}{heads}{source}"
            f"{f' WHERE {conditions.sql}' if conditions else ''}{grouping}{having}{ordering}{self._limit(node)}"
        )
        self._grouped, self._aggregate_depth, self._windows, self.failures.anchor, self.failures.try_depth = outer
        columns = tuple((name or f"_col{i}", e.type) for i, (name, e) in enumerate(zip(names, outputs, strict=True)))
        return Query(sql, columns)

    def _items(self, node: exp.Select, scope: Scope) -> tuple[list[str | None], list[Expr | exp.Expr]]:
        """Output names, and per output either its tree or, from a `*`, its expression."""
        names: list[str | None] = []
        items: list[Expr | exp.Expr] = []
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
            if isinstance(star, exp.Star):
                if any(star.args.get(part) for part in ("except_", "replace", "rename", "ilike")):
                    raise SqlError("SYNTAX_ERROR", "mismatched input after '*'", syntax.place(item))
                for found in self._star(item, scope):
                    names.append(found.name)
                    items.append(exp.Placeholder(this="field", field=found))
            else:
                tree = item.this if isinstance(item, exp.Alias) else item
                names.append(item.alias.lower() if isinstance(item, exp.Alias) else _implied_name(tree))
                items.append(tree)
        return names, items

    def _star(self, item: exp.Expr, scope: Scope) -> Iterator[Field]:
        relations = scope.relations
        if isinstance(item, exp.Column):
            wanted = tuple(part.name.lower() for part in item.parts[:-1])
            relations = [r for r in relations if r.names[-len(wanted) :] == wanted]
            if not relations:
                raise SqlError("TABLE_NOT_FOUND", f"Unable to resolve reference {'.'.join(wanted)}", syntax.place(item))
        elif not any(r.names or r.fields[0].name != "" for r in relations):
            raise SqlError(
                "COLUMN_NOT_FOUND", "SELECT * not allowed in queries without FROM clause", syntax.place(item)
            )
        else:
            yield from scope.merged.values()
        for relation in relations:
            for found in relation.fields:
                merged = isinstance(item, exp.Star) and found.name in scope.merged
                if not found.hidden and not merged:
                    self._use(found)
                    yield found

    def _output(self, tree: exp.Expr, scope: Scope) -> Expr:
        return self._covered(self.expr(tree, scope))

    def _covered(self, bound: Expr) -> Expr:
        """The expression, unless an aggregate query uses a column outside GROUP BY."""
        if self._grouped is not None and bound.ungrouped:
            raise SqlError(
                "EXPRESSION_NOT_AGGREGATE",
                f"'{bound.ungrouped}' must be an aggregate expression or appear in GROUP BY clause",
            )
        return bound

    def _group(self, group: exp.Group, items: list[Any], scope: Scope) -> tuple[str, list[Expr]]:
        """The GROUP BY clause and every grouping key in it."""
        if group.args.get("all") or group.args.get("totals"):
            raise unsupported("GROUP BY ALL", group)
        keys: list[Expr] = []

        def key(tree: exp.Expr) -> str:
            tree = tree.this if isinstance(tree, exp.Paren) else tree
            at = _ordinal(tree, len(items))
            bound = self.expr(tree if at is None else items[at], scope)
            keys.append(bound)
            return bound.sql

        def several(tree: exp.Expr) -> str:
            if isinstance(tree, (exp.Rollup, exp.Cube)):
                word = "ROLLUP" if isinstance(tree, exp.Rollup) else "CUBE"
                return f"{word} ({', '.join(several(e) for e in tree.expressions)})"
            if isinstance(tree, exp.GroupingSets):
                return f"GROUPING SETS ({', '.join(several(e) for e in tree.expressions)})"
            if isinstance(tree, exp.Tuple):
                return f"({', '.join(key(e) for e in tree.expressions)})"
            return key(tree)

        parts = [several(e) for e in group.expressions]
        for name in ("grouping_sets", "rollup", "cube"):
            parts += [several(e) for e in group.args.get(name) or ()]
        return f" GROUP BY {', '.join(parts)}", keys

    def _order(
        self, order: exp.Order, names: list[str | None], outputs: list[Expr], scope: Scope, *, distinct: bool
    ) -> str:
        known: dict[str, Expr] = {}
        for name, output in zip(names, outputs, strict=True):
            if name is not None:
                known.setdefault(name, output)
        inner = replace_outputs(scope, known)
        keys = []
        for item in order.expressions:
            at = _ordinal(item.this, len(outputs))
            bound = outputs[at] if at is not None else self._covered(self.expr(item.this, inner))
            places = [i for i, output in enumerate(outputs) if output.sql == bound.sql]
            if distinct and not places:
                raise SqlError(
                    "EXPRESSION_NOT_IN_DISTINCT",
                    "For SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    syntax.place(item),
                )
            keys.append(_sorted_by(f"_o{places[0]}" if places else bound.sql, item))
        return f" ORDER BY {', '.join(keys)}"

    # --- FROM -------------------------------------------------------------------------------------------------------

    def _from(self, node: exp.Select, scope: Scope) -> str:
        clause = node.args.get("from_")
        if not clause:
            if not any(str(call.this).lower() == "try" for call in node.find_all(exp.Anonymous)):
                return ""
            scope.relations.append(Relation((Field("", t.INTEGER, "one.x"),)))  # the row that `Failures` anchors to
            return " FROM (VALUES (CAST(1 AS INTEGER))) one(x)"
        text = self._relation(clause.this, scope)
        comma = False
        for join in node.args.get("joins") or ():
            comma = comma or not (join.args.get("kind") or join.args.get("on") or join.args.get("using"))
            if comma and join.side in ("RIGHT", "FULL"):
                raise unsupported(f"{join.side} JOIN after a comma in FROM", join)
            text += self._join(join, scope)
        return f" FROM {text}"

    def _join(self, join: exp.Join, scope: Scope) -> str:
        if join.args.get("method"):
            raise unsupported(f"{join.args['method']} JOIN", join)
        kind, side, using = join.kind.upper(), join.side.upper(), join.args.get("using")
        if kind not in ("", "INNER", "OUTER", "CROSS"):
            raise unsupported(f"{kind} JOIN", join)
        before = len(scope.relations)
        text = self._relation(join.this, scope)
        if using:
            left = Scope(scope.relations[:before], dict(scope.merged), parent=None)
            right = Scope(scope.relations[before:])
            conditions = []
            for column in using:
                name = column.name.lower()
                a, b = self._find((name,), left, column), self._find((name,), right, column)
                a, b = self._pair(a, b, "=", join)
                conditions.append(f"{a.sql} = {b.sql}")
                merged = f"coalesce({a.sql}, {b.sql})" if side == "FULL" else (b.sql if side == "RIGHT" else a.sql)
                scope.merged[name] = Field(name, a.type, merged)
            return f" {side} JOIN {text} ON {' AND '.join(conditions)}"
        condition = join.args.get("on")
        if condition is None:
            if kind != "CROSS" and (side or kind):
                raise SqlError("SYNTAX_ERROR", "JOIN without ON or USING", syntax.place(join))
            return f" CROSS JOIN {text}"
        return f" {side} JOIN {text} ON {self.boolean(condition, scope, 'JOIN ON clause').sql}"

    def _relation(self, node: exp.Expr, scope: Scope) -> str:  # noqa: PLR0911 - one return per kind of relation
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope)
        if isinstance(node, exp.Table):
            if isinstance(node.this, exp.Anonymous) or not isinstance(node.this, exp.Identifier):
                raise unsupported(f"Table function {node.this.name}", node)
            return self._table(node, scope)
        if isinstance(node, exp.Lateral):
            if not isinstance(node.this, exp.Subquery) or node.args.get("view"):
                raise unsupported("LATERAL VIEW" if node.args.get("view") else "LATERAL", node)
            bound = self.query(node.this.this, Scope(scope.relations, scope.merged, parent=scope.parent))
            return "LATERAL " + self._derived(bound, node, scope)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            inner = Scope(parent=scope.parent)
            text = self._relation(_without_joins(node.this), inner)
            for join in node.this.args.get("joins") or ():
                text += self._join(join, inner)
            if node.args.get("alias"):
                raise unsupported("An alias for a parenthesised join", node)
            scope.relations += inner.relations
            scope.merged.update(inner.merged)
            return f"({text})"
        if isinstance(node, (exp.Subquery, exp.Values)):
            if node.args.get("sample") or node.args.get("pivots"):
                raise unsupported("TABLESAMPLE or PIVOT", node)
            bound = (
                self._values(node, scope.parent)
                if isinstance(node, exp.Values)
                else self.query(_bare(node), scope.parent)
            )
            return self._derived(bound, node, scope)
        raise unsupported(f"{type(node).__name__} in FROM", node)

    def _derived(self, bound: Query, node: exp.Expr, scope: Scope) -> str:
        name = self.alias("q")
        alias = node.args.get("alias")
        label = alias.this.name.lower() if alias and alias.this else ""
        columns = _renamed(bound.columns, alias.args.get("columns") if alias else None, label)
        fields = tuple(Field(c, of, f"{name}._o{i}") for i, (c, of) in enumerate(columns))
        scope.relations.append(Relation(fields, (label,) if label else ()))
        return f"({bound.sql}) {name}"

    def _table(self, node: exp.Table, scope: Scope) -> str:
        for part, word in (("sample", "TABLESAMPLE"), ("version", "FOR … AS OF"), ("pivots", "PIVOT")):
            if node.args.get(part):
                raise unsupported(word, node)
        name, database, catalog = node.name.lower(), node.db.lower(), node.catalog.lower()
        alias = node.args.get("alias")
        label = alias.this.name.lower() if alias and alias.this else ""
        renames = alias.args.get("columns") if alias else None
        if not database:
            for level in reversed(self._ctes):
                if name in level:
                    marker, columns = level[name]
                    known = self.alias("q")
                    fields = tuple(
                        Field(c, of, f"{known}._o{i}")
                        for i, (c, of) in enumerate(_renamed(columns, renames, label or name))
                    )
                    scope.relations.append(Relation(fields, (label or name,)))
                    return f"{marker} {known}"
        if catalog and catalog != CATALOG:
            raise SqlError("CATALOG_NOT_FOUND", f"Catalog '{catalog}' does not exist", syntax.place(node))
        database = database or (self.database or "")
        if not database:
            raise SqlError(
                "MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", syntax.place(node)
            )
        try:
            found = self.describe(database, name)
        except SqlError as error:
            where = syntax.place(node)
            raise SqlError(error.code, error.message, where if error.code.endswith("_NOT_FOUND") else None) from error
        names = (label,) if label else (CATALOG, database, name)
        if isinstance(found, View):
            bound = self._view(found, (database, name))
            known = self.alias("q")
            columns = _renamed(bound.columns, renames, label or name)
            fields = tuple(Field(c, of, f"{known}._o{i}") for i, (c, of) in enumerate(columns))
            scope.relations.append(Relation(fields, names))
            return f"({bound.sql}) {known}"
        known = self.alias("t")
        scan = Scan(database, name, f"\x00{len(self.scans)}\x00")
        self.scans.append(scan)
        columns = (*found.columns, *found.partition_keys)
        shown = _renamed(columns, renames, label or name)
        fields = tuple(
            _ScanField(c, of, f"{known}.{quote(own)}", scan=scan, column=own)
            for (c, of), (own, _) in zip(shown, columns, strict=True)
        )
        path = _ScanField("$path", t.VARCHAR, f'{known}."$path"', hidden=True, scan=scan, column="$path")
        scope.relations.append(Relation((*fields, path), names))
        return f"{scan.marker} {known}"

    def _view(self, view: View, name: tuple[str, str]) -> Query:
        if name in self._views:
            raise SqlError("VIEW_IS_RECURSIVE", f"View '{name[0]}.{name[1]}' is recursive")
        saved = self.database, self._ctes
        self.database, self._ctes = view.database, []
        self._views.append(name)
        try:
            bound = self.query(syntax.parse(view.sql), None)
        except SqlError as error:
            if error.code == "ACCESS_DENIED":
                raise
            reason = f"Failed analyzing stored view '{CATALOG}.{name[0]}.{name[1]}': {error.message}"
            raise SqlError("INVALID_VIEW", reason) from error
        finally:
            self._views.pop()
            self.database, self._ctes = saved
        if len(bound.columns) != len(view.columns):
            raise SqlError("INVALID_VIEW", f"View '{CATALOG}.{name[0]}.{name[1]}' is stale; it must be re-created")
        for (_, actual), (column, promised) in zip(bound.columns, view.columns, strict=True):
            if not t.coercible(actual, promised):
                reason = (
                    f"View '{CATALOG}.{name[0]}.{name[1]}' is stale or in invalid state: column [{column}] of type "
                    f"{actual} projected from query view cannot be coerced to type {promised} stored in view definition"
                )
                raise SqlError("INVALID_VIEW", reason)
        return self.converted(bound, view.columns)

    def _unnest(self, node: exp.Unnest, scope: Scope) -> str:
        name = self.alias("u")
        alias = node.args.get("alias")
        renames = [c.name.lower() for c in (alias.args.get("columns") or ())] if alias else []
        label = alias.this.name.lower() if alias and alias.this else ""
        offset = node.args.get("offset")
        columns: list[str] = []
        fields: list[Field] = []
        lengths: list[str] = []
        arguments = [self.expr(tree, scope) for tree in node.expressions]
        wanted = len(renames)
        for argument in arguments:
            start = f"{name}._u{len(columns)}"
            if argument.type.name == "map":
                columns += [f"unnest(map_keys({argument.sql}))", f"unnest(map_values({argument.sql}))"]
                lengths.append(f"CAST(cardinality({argument.sql}) AS BIGINT)")
                second = f"{name}._u{len(columns) - 1}"
                fields += [Field("key", argument.type.args[0], start), Field("value", argument.type.args[1], second)]
            elif argument.type.name == "array":
                columns.append(f"unnest({argument.sql})")
                lengths.append(f"len({argument.sql})")
                element = argument.type.element
                itself = len(arguments) == 1 and wanted == 1
                if element.name == "row" and not itself:
                    fields += [
                        Field(own, of, f"struct_extract({start}, {literal(inner)})")
                        for own, (inner, of) in zip(element.names, element.fields(), strict=True)
                    ]
                else:
                    fields.append(Field(None, element, start))
            else:
                raise SqlError("TYPE_MISMATCH", f"Cannot unnest type: {argument.type}", syntax.place(node))
        if offset:
            longest = lengths[0] if len(lengths) == 1 else f"greatest({', '.join(lengths)})"
            columns.append(f"unnest(range(1, {longest} + 1))")
            fields.append(Field(None, t.BIGINT, f"{name}._u{len(columns) - 1}"))
            if isinstance(offset, exp.Identifier):
                renames.append(offset.name.lower())
        if renames and len(renames) != len(fields):
            raise SqlError(
                "MISMATCHED_COLUMN_ALIASES",
                f"Column alias list has {len(renames)} entries but '{label}' has {len(fields)} columns available",
                syntax.place(node),
            )
        if renames:
            fields = [replace(f, name=new) for f, new in zip(fields, renames, strict=True)]
        scope.relations.append(Relation(tuple(fields), (label,) if label else ()))
        heads = ", ".join(f"{sql} AS _u{i}" for i, sql in enumerate(columns))
        return f"LATERAL (SELECT {heads}) {name}"

    # --- names ------------------------------------------------------------------------------------------------------

    def _use(self, found: Field) -> None:
        if isinstance(found, _ScanField):
            found.scan.used.add(found.column)

    def _lookup(self, parts: tuple[str, ...], scope: Scope, node: exp.Expr) -> Field | None:
        """The column of this scope that the (qualified) name means."""
        column, qualifier = parts[-1], parts[:-1]
        if not qualifier and column in scope.merged:
            return scope.merged[column]
        found = [
            f
            for r in scope.relations
            if not qualifier or r.names[-len(qualifier) :] == qualifier
            for f in r.fields
            if f.name == column
        ]
        if len(found) > 1:
            raise SqlError("AMBIGUOUS_NAME", f"Column '{'.'.join(parts)}' is ambiguous", syntax.place(node))
        return found[0] if found else None

    def _find(self, parts: tuple[str, ...], scope: Scope, node: exp.Expr) -> Expr:
        """A possibly qualified name followed by row fields: the longest name that is a column wins, as in Trino."""
        level: Scope | None = scope
        while level:
            if parts[0] in level.lambdas:
                return self._fields(level.lambdas[parts[0]], parts[1:], node)
            if len(parts) == 1 and parts[0] in level.outputs:
                return level.outputs[parts[0]]
            for length in range(len(parts), 0, -1):
                found = self._lookup(parts[:length], level, node)
                if found:
                    self._use(found)
                    own = level is scope or self._same_select(level, scope)
                    ungrouped = ".".join(parts[:length]) if own and self._grouped is not None else None
                    if ungrouped and (self._aggregate_depth or found.sql in (self._grouped or ())):
                        ungrouped = None
                    return self._fields(Expr(found.sql, found.type, ungrouped), parts[length:], node)
            level = level.parent
        raise SqlError("COLUMN_NOT_FOUND", f"Column '{'.'.join(parts)}' cannot be resolved", syntax.place(node))

    @staticmethod
    def _same_select(level: Scope, scope: Scope) -> bool:
        """Whether `scope` only adds lambda parameters or aliases to the SELECT of `level`."""
        at: Scope | None = scope
        while at is not None and at is not level and not at.relations:
            at = at.parent
        return at is not None and at.relations is level.relations

    def _fields(self, base: Expr, names: Sequence[str], node: exp.Expr) -> Expr:
        for name in names:
            if base.type.name != "row":
                shown = "COLUMN_NOT_FOUND" if base.type.name == "map" else "TYPE_MISMATCH"
                raise SqlError(
                    shown, f"Expression is not of type ROW: field '{name}' of {base.type}", syntax.place(node)
                )
            found = [(n, of) for n, of in base.type.fields() if n.lower() == name]
            if not found:
                raise SqlError(
                    "COLUMN_NOT_FOUND", f"Column '{name}' cannot be resolved in {base.type}", syntax.place(node)
                )
            base = self._regrouped(base.typed(f"struct_extract({base.sql}, {literal(found[0][0])})", found[0][1]))
        return base

    def _regrouped(self, bound: Expr) -> Expr:
        """An expression that is itself a grouping key is covered, whatever it is made of."""
        if bound.ungrouped and self._grouped and bound.sql in self._grouped:
            return replace(bound, ungrouped=None)
        return bound

    # --- expressions ------------------------------------------------------------------------------------------------

    def expr(self, node: exp.Expr, scope: Scope) -> Expr:
        """Binds one expression."""
        return self._regrouped(self._expr(node, scope))

    def boolean(self, node: exp.Expr, scope: Scope, what: str) -> Expr:
        bound = self.expr(node, scope)
        if bound.type.name not in ("boolean", "unknown"):
            raise SqlError(
                "TYPE_MISMATCH", f"{what} must evaluate to a boolean: actual type {bound.type}", syntax.place(node)
            )
        return bound

    def common(self, parts: Sequence[Expr], what: str, node: exp.Expr) -> Type:
        """The type all parts convert to."""
        of = parts[0].type
        for part in parts[1:]:
            found = t.common_type(of, part.type)
            if found is None:
                raise SqlError(
                    "TYPE_MISMATCH", f"{what} must have the same type: {of}, {part.type}", syntax.place(node)
                )
            of = found
        return of

    def _pair(self, a: Expr, b: Expr, operator: str, node: exp.Expr) -> tuple[Expr, Expr]:
        of = t.common_type(a.type, b.type)
        if of is None:
            raise SqlError("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {operator} {b.type}", syntax.place(node))
        return ex.convert(a, of), ex.convert(b, of)

    def _expr(self, node: exp.Expr, scope: Scope) -> Expr:  # noqa: C901, PLR0911, PLR0912, PLR0915 - one case per node
        match node:
            case exp.Placeholder() if node.args.get("field"):
                found: Field = node.args["field"]
                ungrouped = found.name if self._grouped is not None and found.sql not in self._grouped else None
                return Expr(found.sql, found.type, ungrouped)
            case exp.Placeholder():
                raise SqlError("INVALID_PARAMETER_USAGE", "Incorrect number of parameters", syntax.place(node))
            case exp.Paren():
                inner = self.expr(node.this, scope)
                return replace(inner, sql=f"({inner.sql})") if not inner.sql.startswith("(") else inner
            case exp.Column():
                return self._find(tuple(p.name.lower() for p in node.parts), scope, node)
            case exp.Identifier():
                return self._find((node.name.lower(),), scope, node)
            case exp.Dot():
                return self._dot(node, scope)
            case exp.Literal():
                return _literal(node)
            case exp.HexString():
                return Expr(f"unhex({literal(str(node.args['this']))})", t.VARBINARY)
            case exp.Null():
                return Expr("NULL", t.UNKNOWN)
            case exp.Boolean():
                return Expr("true" if node.this else "false", t.BOOLEAN)
            case exp.Not():
                inner = self.boolean(node.this, scope, "Value of logical NOT expression")
                return combine(f"(NOT {inner.sql})", t.BOOLEAN, inner)
            case exp.And() | exp.Or():
                word = "AND" if isinstance(node, exp.And) else "OR"
                parts = [self.boolean(p, scope, "Logical expression term") for p in node.flatten(unnest=False)]
                return combine(f"({f' {word} '.join(p.sql for p in parts)})", t.BOOLEAN, *parts)
            case exp.Neg():
                inner = self.expr(node.this, scope)
                if inner.type.name not in t.NUMBERS and "interval" not in inner.type.name:
                    raise SqlError("TYPE_MISMATCH", f"Cannot negate {inner.type}", syntax.place(node))
                value = -inner.value if isinstance(inner.value, (int, float)) else None
                return replace(inner, sql=f"(-{inner.sql})", value=value)
            case exp.Any() | exp.All():
                raise unsupported("A quantified comparison outside =, <>, <, >, <=, >=", node)
            case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                return self._comparison(node, scope)
            case exp.NullSafeEQ() | exp.NullSafeNEQ():
                a, b = self._pair(
                    self.expr(node.this, scope), self.expr(node.expression, scope), "IS DISTINCT FROM", node
                )
                word = "NOT DISTINCT" if isinstance(node, exp.NullSafeEQ) else "DISTINCT"
                return combine(f"({a.sql} IS {word} FROM {b.sql})", t.BOOLEAN, a, b)
            case exp.Is():
                inner = self.expr(node.this, scope)
                if not isinstance(node.expression, exp.Null):
                    raise SqlError("SYNTAX_ERROR", f"mismatched input '{node.expression.sql()}'", syntax.place(node))
                return combine(f"({inner.sql} IS {'NOT ' if node.args.get('negate') else ''}NULL)", t.BOOLEAN, inner)
            case exp.In():
                return self._in(node, scope)
            case exp.Between():
                if node.args.get("symmetric"):
                    raise unsupported("BETWEEN SYMMETRIC", node)
                low = exp.GTE(this=node.this, expression=node.args["low"])
                high = exp.LTE(this=node.this, expression=node.args["high"])
                a, b = self._comparison(low, scope), self._comparison(high, scope)
                return combine(f"({a.sql} AND {b.sql})", t.BOOLEAN, a, b)
            case exp.Like() | exp.Escape():
                return self._like(node, scope)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div() | exp.Mod():
                a, b = self.expr(node.this, scope), self.expr(node.expression, scope)
                try:
                    return specials.arithmetic(_ARITHMETIC[type(node)], a, b)
                except SqlError as error:
                    raise SqlError(error.code, error.message, syntax.place(node)) from error
            case exp.DPipe():
                return specials.concat(self, [self.expr(p, scope) for p in node.flatten(unnest=False)], node)
            case exp.Case():
                return self._case(node, scope)
            case exp.If():
                return self._if(node, scope)
            case exp.TryCast() | exp.Cast():
                return self._cast(node, scope)
            case exp.ParseJSON():
                return combine(f"CAST({self.expr(node.this, scope).sql} AS JSON)", t.JSON)
            case exp.Interval():
                return self._interval(node)
            case exp.Array():
                parts = [self.expr(e, scope) for e in node.expressions]
                of = self.common(parts, "All ARRAY elements", node) if parts else t.UNKNOWN
                inner = ", ".join(ex.convert(p, of).sql for p in parts)
                text = f"[{inner}]" if parts else f"CAST([] AS {t.storage(t.array(of))})"
                return combine(text, t.array(of), *parts)
            case exp.Tuple():
                return self._row([self.expr(e, scope) for e in node.expressions])
            case exp.Bracket():
                return self._subscript(node, scope)
            case exp.Subquery() | exp.Select() | exp.SetOperation() | exp.Exists() if self._confined(scope):
                raise unsupported("A subquery inside TRY or a lambda", node)
            case exp.Subquery() | exp.Select() | exp.SetOperation():
                bound = self.query(node, scope)
                if len(bound.columns) != 1:
                    raise unsupported("A scalar subquery with several columns", node)
                return Expr(f"({bound.sql})", bound.columns[0][1])
            case exp.Exists():
                return Expr(f"EXISTS ({self.query(node.this, scope).sql})", t.BOOLEAN)
            case exp.Extract():
                return self.call(node.this.name.lower(), [node.expression], scope, node)
            case exp.Trim():
                name = {"": "trim", "BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[
                    (node.args.get("position") or "").upper()
                ]
                return self.call(name, [e for e in (node.this, node.expression) if e], scope, node)
            case exp.StrPosition():
                return self.call("strpos", [node.this, node.args["substr"]], scope, node)
            case exp.AtTimeZone():
                return specials.at_timezone(self.expr(node.this, scope), self.expr(node.args["zone"], scope))
            case exp.CurrentDate():
                return Expr("CAST(timezone('UTC', now()) AS DATE)", t.DATE)
            case exp.CurrentTimestamp():
                return Expr("date_trunc('millisecond', now())", t.TIMESTAMP_TZ)
            case exp.Localtimestamp():
                return Expr("date_trunc('millisecond', timezone('UTC', now()))", t.TIMESTAMP)
            case exp.Window():
                return self._window(node, scope)
            case exp.Filter() | exp.WithinGroup() | exp.Anonymous():
                return self._call(node, scope)
        raise unsupported(f"{type(node).__name__} ({node.sql(dialect='trino')[:60]})", node)

    def _confined(self, scope: Scope) -> bool:
        """Whether an expression stands where DuckDB takes no subquery."""
        return bool(self.failures.try_depth or scope.lambdas)

    def _dot(self, node: exp.Dot, scope: Scope) -> Expr:
        names: list[str] = []
        base: exp.Expr = node
        while isinstance(base, exp.Dot):
            if not isinstance(base.expression, exp.Identifier):
                raise unsupported(f"Method call {base.expression.sql()}", base)
            names.insert(0, base.expression.name.lower())
            base = base.this
        if isinstance(base, exp.Column):
            return self._find((*(p.name.lower() for p in base.parts), *names), scope, node)
        if isinstance(base, exp.Identifier):
            return self._find((base.name.lower(), *names), scope, node)
        return self._fields(self.expr(base, scope), names, node)

    def _comparison(self, node: exp.Expr, scope: Scope) -> Expr:
        operator = _COMPARE[type(node)]
        if isinstance(node.expression, (exp.Any, exp.All)):
            left = self.expr(node.this, scope)
            bound = self.query(_bare(node.expression.this), scope)
            a, b = self._pair(left, Expr("", bound.columns[0][1]), operator, node)
            word = "ANY" if isinstance(node.expression, exp.Any) else "ALL"
            return combine(f"({a.sql} {operator} {word} ({self._as(bound, [b.type])}))", t.BOOLEAN, a)
        a, b = self.expr(node.this, scope), self.expr(node.expression, scope)
        a, b = self._pair(a, b, operator, node)
        return combine(self._compare(a, b, operator, node), t.BOOLEAN, a, b)

    def _compare(self, a: Expr, b: Expr, operator: str, node: exp.Expr) -> str:
        """Comparison with SQL's three values also inside rows and arrays, which DuckDB compares as plain values."""
        kind = a.type
        if kind.name == "row" and operator in ("=", "<>"):
            parts = [
                self._compare(
                    Expr(f"struct_extract({a.sql}, {literal(n)})", of),
                    Expr(f"struct_extract({b.sql}, {literal(n)})", of),
                    "=",
                    node,
                )
                for n, of in kind.fields()
            ]
            same = f"CASE WHEN {a.sql} IS NOT NULL AND {b.sql} IS NOT NULL THEN ({' AND '.join(parts)}) END"
            return f"({same})" if operator == "=" else f"(NOT ({same}))"
        if kind.name == "array" and kind.element.name not in ("row", "array", "map") and operator in ("=", "<>"):
            same = f"athena_same({a.sql}, {b.sql})"
            return same if operator == "=" else f"(NOT {same})"
        if kind.args or kind.name == "json":
            raise unsupported(f"Operator {operator} on {kind}", node)
        plain = f"({a.sql} {operator} {b.sql})"
        if kind.name not in ("double", "real"):
            return plain
        # NaN equals nothing and is neither more nor less than anything in Trino; in DuckDB it equals itself, the largest.
        if operator in ("=", "<>") and (a.value is not None or b.value is not None):
            return plain
        larger = b if operator.startswith("<") and operator != "<>" else a
        if larger.value is not None:
            return plain
        return f"({plain} OR isnan({a.sql}))" if operator == "<>" else f"({plain} AND NOT isnan({larger.sql}))"

    def _in(self, node: exp.In, scope: Scope) -> Expr:
        left = self.expr(node.this, scope)
        if node.args.get("unnest") or node.args.get("field"):
            raise SqlError("SYNTAX_ERROR", "IN expects a list or a subquery", syntax.place(node))
        if query := node.args.get("query"):
            if self._confined(scope):
                raise unsupported("A subquery inside TRY or a lambda", node)
            bound = self.query(_bare(query), scope)
            if left.type.name == "row" or len(bound.columns) != 1:
                raise unsupported("IN (subquery) with several columns", node)
            a, b = self._pair(left, Expr("", bound.columns[0][1]), "IN", node)
            if a.type.args:
                raise unsupported(f"IN (subquery) on {a.type}", node)
            return combine(f"({a.sql} IN ({self._as(bound, [b.type])}))", t.BOOLEAN, a)
        parts = [self.expr(e, scope) for e in node.expressions]
        of = self.common([left, *parts], "IN value and list items", node)
        a, items = ex.convert(left, of), [ex.convert(p, of) for p in parts]
        if of.args:
            text = " OR ".join(self._compare(a, item, "=", node) for item in items)
            return combine(f"({text})", t.BOOLEAN, left, *parts)
        return combine(f"({a.sql} IN ({', '.join(i.sql for i in items)}))", t.BOOLEAN, left, *parts)

    def _like(self, node: exp.Expr, scope: Scope) -> Expr:
        like, escape = (node.this, self.expr(node.expression, scope)) if isinstance(node, exp.Escape) else (node, None)
        if isinstance(like, exp.Not):
            inner = self._like(exp.Escape(this=like.this, expression=node.expression), scope)
            return combine(f"(NOT {inner.sql})", t.BOOLEAN, inner)
        if not isinstance(like, exp.Like) or isinstance(like.expression, (exp.Tuple, exp.Any, exp.All)):
            raise unsupported(f"{type(like).__name__} with this pattern", node)
        a, b = self.expr(like.this, scope), self.expr(like.expression, scope)
        for part in (a, b, *([escape] if escape else [])):
            if part.type.name not in ("varchar", "unknown"):
                raise SqlError("TYPE_MISMATCH", f"LIKE expects varchar: actual type {part.type}", syntax.place(node))
        word = "NOT LIKE" if like.args.get("negate") else "LIKE"
        text = f"({ex.convert(a, t.VARCHAR).sql} {word} {ex.convert(b, t.VARCHAR).sql}{f' ESCAPE {escape.sql}' if escape else ''})"
        return combine(text, t.BOOLEAN, a, b)

    def _case(self, node: exp.Case, scope: Scope) -> Expr:
        tests: list[Expr] = []
        for branch in node.args["ifs"]:
            if node.this is not None:
                tests.append(self._comparison(exp.EQ(this=node.this, expression=branch.this), scope))
            else:
                tests.append(self.boolean(branch.this, scope, "CASE WHEN clause"))
        values = [self.expr(branch.args["true"], scope) for branch in node.args["ifs"]]
        default = self.expr(node.args["default"], scope) if node.args.get("default") else None
        of = self.common([*values, *([default] if default else [])], "All CASE results", node)
        text = " ".join(
            f"WHEN {test.sql} THEN {ex.convert(value, of).sql}" for test, value in zip(tests, values, strict=True)
        )
        last = f" ELSE {ex.convert(default, of).sql}" if default else ""
        return combine(f"CASE {text}{last} END", of, *tests, *values, *([default] if default else []))

    def _if(self, node: exp.If, scope: Scope) -> Expr:
        test = self.boolean(node.this, scope, "IF condition")
        branches = [self.expr(b, scope) for b in (node.args["true"], node.args.get("false")) if b]
        of = self.common(branches, "Result types for IF", node)
        texts = [ex.convert(b, of).sql for b in branches]
        last = f" ELSE {texts[1]}" if len(texts) > 1 else ""
        return combine(f"CASE WHEN {test.sql} THEN {texts[0]}{last} END", of, test, *branches)

    def _cast(self, node: exp.Cast, scope: Scope) -> Expr:
        inner = self.expr(node.this, scope)
        if node.args.get("format") or node.args.get("action"):
            raise unsupported("CAST … FORMAT", node)
        target = sql_type(node.to)
        if (
            isinstance(node.this, exp.Literal)
            and node.this.is_string
            and target.name == "decimal"
            and not node.to.expressions
        ):
            return _literal(exp.Literal.number(node.this.name))
        try:
            return ex.cast(inner, target, safe=isinstance(node, exp.TryCast), failures=self.failures)
        except SqlError as error:
            raise SqlError(error.code, error.message, syntax.place(node)) from error

    def _interval(self, node: exp.Interval) -> Expr:
        unit = node.args.get("unit")
        if not isinstance(node.this, exp.Literal) or unit is None:
            raise SqlError("SYNTAX_ERROR", "INTERVAL expects a quoted literal and a unit", syntax.place(node))
        text = node.this.name.strip()
        if isinstance(unit, exp.IntervalSpan):
            span = (unit.this.name.upper(), unit.expression.name.upper())
            found = re.fullmatch(r"(-?)(\d+)-(\d+)", text)
            if span != ("YEAR", "MONTH") or not found:
                raise unsupported(f"INTERVAL '{text}' {' TO '.join(span)}", node)
            months = (int(found[2]) * 12 + int(found[3])) * (-1 if found[1] else 1)
            return Expr(f"CAST({months} AS INTEGER)", t.MONTH_INTERVAL, value=months)
        name = unit.name.lower().removesuffix("s")
        if name not in _UNITS or not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise SqlError("SYNTAX_ERROR", f"Invalid INTERVAL '{text}' {unit.name}", syntax.place(node))
        amount = round(float(text) * _UNITS[name])
        if name in ("month", "quarter", "year"):
            return Expr(f"CAST({amount} AS INTEGER)", t.MONTH_INTERVAL, value=amount)
        return Expr(f"CAST({amount} AS BIGINT)", t.DAY_INTERVAL, value=amount)

    def _row(self, parts: Sequence[Expr]) -> Expr:
        text = ", ".join(f"field{i} := {p.sql}" for i, p in enumerate(parts))
        return combine(f"struct_pack({text})", t.row(*((None, p.type) for p in parts)), *parts)

    def _subscript(self, node: exp.Bracket, scope: Scope) -> Expr:
        base = self.expr(node.this, scope)
        if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
            raise SqlError("SYNTAX_ERROR", "A subscript is one expression", syntax.place(node))
        index = self.expr(node.expressions[0], scope)
        return specials.subscript(self, base, index, node)

    def _window(self, node: exp.Window, scope: Scope) -> Expr:
        name = node.args.get("alias")
        if name is not None and name.name.lower() not in self._windows:
            raise SqlError("INVALID_WINDOW_REFERENCE", f"Cannot resolve WINDOW name {name.name}", syntax.place(node))
        own = self._windows[name.name.lower()] if name is not None else node
        partition = [self.expr(e, scope) for e in own.args.get("partition_by") or ()]
        order = own.args.get("order") or node.args.get("order")
        keys: list[Expr] = []
        sorted_by = []
        for item in order.expressions if order else ():
            keys.append(self.expr(item.this, scope))
            sorted_by.append(_sorted_by(keys[-1].sql, item))
        call = self._call(node.this, scope, windowed=True)
        parts = []
        if partition:
            parts.append(f"PARTITION BY {', '.join(p.sql for p in partition)}")
        if sorted_by:
            parts.append(f"ORDER BY {', '.join(sorted_by)}")
        spec = own.args.get("spec") or node.args.get("spec")
        if spec:
            parts.append(self._frame(spec, keys, scope))
        made = self._modified(call, after=f" OVER ({' '.join(parts)})", node=node)
        return combine(made.sql, call.type, call, *partition, *keys)

    def _frame(self, spec: exp.WindowSpec, keys: Sequence[Expr], scope: Scope) -> str:
        kind = (spec.args.get("kind") or "").upper()
        if spec.args.get("exclude"):
            raise unsupported("EXCLUDE in a window frame", spec)

        def bound(value: Any, side: str) -> str:
            if not isinstance(value, exp.Expr):
                return f"{value} {side or ''}".strip() if value else "CURRENT ROW"
            found = self.expr(value, scope)
            if kind == "RANGE" and found.type == t.DAY_INTERVAL and keys and keys[0].type.name in ("timestamp", "date"):
                return f"to_milliseconds({found.sql}) {side}"
            if found.type.name not in t.NUMBERS or (kind == "RANGE" and keys and keys[0].type.name not in t.NUMBERS):
                raise unsupported(f"A {kind} frame over {keys[0].type if keys else 'nothing'}", spec)
            return f"{found.sql} {side}"

        start = bound(spec.args.get("start"), spec.args.get("start_side") or "")
        end = bound(spec.args.get("end"), spec.args.get("end_side") or "") if spec.args.get("end") else "CURRENT ROW"
        return f"{kind} BETWEEN {start} AND {end}"

    def _call(self, node: exp.Expr, scope: Scope, *, windowed: bool = False) -> Expr:
        """A function call with what may stand around it: FILTER, WITHIN GROUP, DISTINCT, ORDER BY, IGNORE NULLS."""
        condition: exp.Expr | None = None
        ordering: exp.Expr | None = None
        ignore_nulls = False
        place = node
        while not isinstance(node, exp.Anonymous):
            if isinstance(node, exp.Filter):
                condition = node.expression.this
            elif isinstance(node, exp.WithinGroup):
                ordering = node.expression
            elif isinstance(node, exp.IgnoreNulls):
                ignore_nulls = True
            elif not isinstance(node, exp.RespectNulls):
                raise unsupported(f"{type(node).__name__} as a function", place)
            node = node.this
        name = str(node.this).lower()
        if name in functions.AGGREGATE or name in specials.AGGREGATES:
            return self._aggregate(name, node, scope, condition, ordering, windowed=windowed)
        if name in functions.WINDOW:
            if not windowed:
                raise SqlError("MISSING_OVER", f"Window function {name} requires OVER clause", syntax.place(place))
            arguments = [self.expr(e, scope) for e in node.expressions]
            return self._apply(functions.WINDOW, name, arguments, node, nulls=" IGNORE NULLS" if ignore_nulls else "")
        if condition is not None or ordering is not None or windowed or ignore_nulls:
            raise SqlError("FUNCTION_NOT_AGGREGATE", f"{name} is not an aggregate function", syntax.place(place))
        return self.call(name, node.expressions, scope, node)

    def _aggregate(
        self,
        name: str,
        node: exp.Anonymous,
        scope: Scope,
        condition: exp.Expr | None,
        within: exp.Expr | None,
        *,
        windowed: bool,
    ) -> Expr:
        if self._aggregate_depth:
            raise SqlError(
                "NESTED_AGGREGATION", f"Cannot nest aggregations inside aggregation '{name}'", syntax.place(node)
            )
        trees, distinct, order = list(node.expressions), False, within
        if len(trees) == 1 and isinstance(trees[0], exp.Star):
            trees = []
        if trees and isinstance(trees[-1], exp.Order):
            order = trees[-1]
            trees[-1] = order.this
        if trees and isinstance(trees[0], exp.Distinct):
            distinct, trees = True, [*trees[0].expressions, *trees[1:]]
            if trees and isinstance(trees[-1], exp.Order):
                order = trees[-1]
                trees[-1] = order.this
        if name == "listagg" and within is None:
            raise SqlError("SYNTAX_ERROR", "LISTAGG expects WITHIN GROUP (ORDER BY …)", syntax.place(node))
        # In `sum(count(*)) OVER ()` the inner call aggregates, the outer one does not.
        self._aggregate_depth += not windowed
        arguments = [self.expr(e, scope) for e in trees]
        keys = [(self.expr(item.this, scope), item) for item in order.expressions] if order else []
        test = self.boolean(condition, scope, "FILTER expression") if condition is not None else None
        self._aggregate_depth -= not windowed
        if name in specials.AGGREGATES:
            made = specials.AGGREGATES[name](self, arguments, node)
        else:
            made = self._apply(functions.AGGREGATE, name, arguments, node)
        if not windowed:
            made = replace(made, ungrouped=None)
        if not (distinct or keys or test):
            return made
        before = "DISTINCT " if distinct else ""
        inside = f" ORDER BY {', '.join(_sorted_by(k.sql, item) for k, item in keys)}" if keys else ""
        after = f" FILTER (WHERE {test.sql})" if test else ""
        return self._modified(made, before, inside, after, node)

    def _modified(
        self, made: Expr, before: str = "", inside: str = "", after: str = "", node: exp.Expr | None = None
    ) -> Expr:
        """Puts DISTINCT, ORDER BY, FILTER or OVER to the DuckDB call that a template wraps (`CAST(sum(x) AS BIGINT)`)."""
        text, at, changed = made.sql, 0, False
        while found := _AGGREGATE_CALL.search(text, at):
            start, changed = found.end(), True
            end = _closing(text, start)
            filtered = text.startswith(" FILTER (", end + 1)
            last = _closing(text, end + 10) if filtered else end
            new = f"{before}{text[start:end]}{inside}){text[end + 1 : last + 1]}{after}"
            text, at = f"{text[:start]}{new}{text[last + 1 :]}", start + len(new)
        if not changed:
            raise unsupported("DISTINCT, ORDER BY, FILTER or OVER in this function", node)
        return replace(made, sql=text)

    def call(self, name: str, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
        """A scalar function by its Athena name."""
        try:
            if name in specials.WITH_TREES:
                return specials.WITH_TREES[name](self, trees, scope, node)
            if name in specials.SPECIAL:
                return specials.SPECIAL[name](self, [self.expr(e, scope) for e in trees], node)
            if name in functions.SCALAR:
                return self._scalar(name, trees, scope, node)
        except SqlError as error:
            if error.message.startswith("line "):
                raise
            raise SqlError(error.code, error.message, syntax.place(node)) from error
        if name in functions.UNSUPPORTED:
            raise unsupported(f"Function '{name}'", node)
        raise SqlError("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", syntax.place(node))

    def _scalar(self, name: str, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
        arguments = [None if isinstance(e, exp.Lambda) else self.expr(e, scope) for e in trees]
        function, bindings = functions.resolve(name, functions.SCALAR, arguments)
        made: list[Expr] = []
        lambdas: dict[int, tuple[list[str], Expr]] = {}
        for number, (tree, argument) in enumerate(zip(trees, arguments, strict=True)):
            if argument is not None:
                parameter = function.parameters[min(number, len(function.parameters) - 1)]
                made.append(self._argument(argument, functions.substitute(parameter, bindings)))
            else:
                *takes, gives = function.parameters[number].args
                names, body = self.lambda_(tree, [functions.substitute(p, bindings) for p in takes], scope)
                if gives.name not in bindings and len(gives.name) == 1:
                    bindings[gives.name] = body.type
                target = functions.substitute(gives, bindings)
                if not t.coercible(body.type, target):
                    raise SqlError("TYPE_MISMATCH", f"Lambda of {name} must return {target}, not {body.type}")
                body = self._argument(body, target)
                lambdas[number] = (names, body)
                made.append(combine(f"lambda {', '.join(names)}: {body.sql}", body.type, body))
        return self._fill(function, bindings, made, lambdas)

    def _argument(self, bound: Expr, target: Type) -> Expr:
        return bound if len(target.name) == 1 else ex.convert(bound, target)

    def lambda_(self, node: exp.Expr, types: Sequence[Type], scope: Scope) -> tuple[list[str], Expr]:
        """Parameter names for DuckDB and the bound body of a lambda that takes `types`."""
        if not isinstance(node, exp.Lambda) or len(node.expressions) != len(types):
            raise SqlError("TYPE_MISMATCH", f"A lambda with {len(types)} parameters is expected", syntax.place(node))
        depth, level = 0, scope
        while level.parent and level.lambdas:
            depth, level = depth + 1, level.parent
        # The same text for the same expression: GROUP BY keys are recognised by their SQL.
        names = [f"l{depth}_{i}_" for i in range(len(types))]
        inner = Scope(parent=scope)
        for parameter, name, of in zip(node.expressions, names, types, strict=True):
            inner.lambdas[parameter.name.lower()] = Expr(name, of)
        return names, self.expr(node.this, inner)

    def _apply(
        self,
        table: dict[str, list[functions.Function]],
        name: str,
        arguments: list[Expr],
        node: exp.Expr,
        nulls: str = "",
    ) -> Expr:
        try:
            function, bindings = functions.resolve(name, table, list(arguments))
        except SqlError as error:
            raise SqlError(error.code, error.message, syntax.place(node)) from error
        made = [
            self._argument(a, functions.substitute(function.parameters[min(i, len(function.parameters) - 1)], bindings))
            for i, a in enumerate(arguments)
        ]
        return self._fill(function, bindings, made, {}, nulls)

    def _fill(
        self,
        function: functions.Function,
        bindings: dict[str, Type],
        made: list[Expr],
        lambdas: dict[int, tuple[list[str], Expr]],
        nulls: str = "",
    ) -> Expr:
        result = functions.substitute(function.result, bindings)
        assert isinstance(function.sql, str)

        def put(found: re.Match[str]) -> str:
            key, *rest = found[1].split(":")
            if key == "R":
                return t.storage(result)
            if key == "*":
                return ", ".join(m.sql for m in made)
            if key == "nulls":
                return nulls
            if key == "text":  # an array element as text
                return ex.text_of(rest[0] + "_" if not rest[0].endswith("_") else rest[0], made[0].type.element)
            if key in ("pair", "apply"):  # a lambda (k, v) over one map entry
                names, body = lambdas[int(rest[0])]
                entry = "e_" if key == "pair" else rest[1]
                text = re.sub(rf"\b{names[0]}\b", f"{entry}.key", body.sql)
                text = re.sub(rf"\b{names[1]}\b", f"{entry}.value", text)
                return f"lambda {entry}: {text}" if key == "pair" else text
            if key.startswith("L"):
                return ex.local(made[int(key[1:])])
            return made[int(key)].sql

        text = re.sub(r"\{(\*|R|nulls|L?\d+|text:\w+|pair:\d+|apply:\d+:\w+)\}", put, function.sql)
        return combine(text, result, *made)

    # --- partition pruning ------------------------------------------------------------------------------------------

    def _prune(self, node: exp.Expr, scope: Scope) -> None:
        """Keeps, per scan, the conditions of a conjunction that only speak of its partition keys and constants."""
        node = node.this if isinstance(node, exp.Paren) else node
        if isinstance(node, exp.And):
            self._prune(node.this, scope)
            self._prune(node.expression, scope)
            return
        if any(isinstance(part, (exp.Query, exp.Anonymous)) for part in node.walk()):
            return
        fields = []
        for column in node.find_all(exp.Column):
            found = self._lookup(tuple(p.name.lower() for p in column.parts), scope, column)
            if not isinstance(found, _ScanField):
                return
            fields.append(found)
        scans = {id(f.scan): f.scan for f in fields}
        if len(scans) != 1:
            return
        scan = fields[0].scan
        described = self.describe(scan.database, scan.table)
        assert isinstance(described, TableColumns)
        keys = {name for name, _ in described.partition_keys}
        if not keys or any(f.column not in keys for f in fields):
            return
        bound = self.boolean(node, scope, "WHERE clause")
        prefix = fields[0].sql.split(".", 1)[0]
        scan.pruning.append(re.sub(rf'\b{prefix}\."', 'p."', bound.sql))
        if isinstance(node, (exp.EQ, exp.In)) and isinstance(node.this, exp.Column):
            items = [node.expression] if isinstance(node, exp.EQ) else node.expressions
            if all(isinstance(item, exp.Literal) for item in items):
                values = {item.name for item in items}
                known = scan.equals.get(fields[0].column)
                scan.equals[fields[0].column] = values if known is None else known & values


@dataclass(frozen=True)
class _ScanField(Field):
    """A column of a table, which remembers its scan."""

    scan: Scan = field(default_factory=lambda: Scan("", "", ""), compare=False)
    column: str = ""


_AGGREGATE_CALL = re.compile(
    r"\b(count|count_if|sum|avg|min|max|arg_max|arg_min|arg_max_null|arg_min_null|any_value|list|bool_and|bool_or|"
    r"approx_count_distinct|approx_quantile|stddev_samp|stddev_pop|var_samp|var_pop|corr|covar_samp|covar_pop|regr_slope|"
    r"regr_intercept|geomean|bit_and|bit_or|string_agg|histogram|row_number|rank|dense_rank|percent_rank|cume_dist|ntile|lag|"
    r"lead|first_value|last_value|nth_value)\("
)


def _closing(sql: str, start: int) -> int:
    """Index of the parenthesis that closes the one before `start`; quoted text is skipped."""
    depth, at = 1, start
    while depth:
        char = sql[at]
        if char in "'\"":
            at = sql.index(char, at + 1)
        depth += (char == "(") - (char == ")")
        at += 1
    return at - 1


def replace_outputs(scope: Scope, outputs: dict[str, Expr]) -> Scope:
    return Scope(scope.relations, scope.merged, scope.lambdas, outputs, scope.parent)


def _bare(node: exp.Expr) -> exp.Expr:
    """A subquery without its alias."""
    if isinstance(node, exp.Subquery) and node.args.get("alias"):
        node = node.copy()
        node.set("alias", None)
    return node


def _without_joins(node: exp.Table) -> exp.Table:
    if node.args.get("joins"):
        node = node.copy()
        node.set("joins", None)
    return node


def _items(row: exp.Expr) -> list[exp.Expr]:
    return row.expressions if isinstance(row, exp.Tuple) else [row]


def _renamed(
    columns: Sequence[tuple[str, Type]], renames: Sequence[exp.Expr] | None, label: str
) -> tuple[tuple[str, Type], ...]:
    if not renames:
        return tuple(columns)
    if len(renames) != len(columns):
        raise SqlError(
            "MISMATCHED_COLUMN_ALIASES",
            f"Column alias list has {len(renames)} entries but '{label}' has {len(columns)} columns available",
        )
    return tuple((new.name.lower(), of) for new, (_, of) in zip(renames, columns, strict=True))


def _ordinal(node: exp.Expr, count: int) -> int | None:
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
        return None
    at = int(node.name)
    if not 1 <= at <= count:
        raise SqlError("INVALID_COLUMN_REFERENCE", f"position {at} is not in select list", syntax.place(node))
    return at - 1


def _sorted_by(sql: str, item: exp.Expr) -> str:
    nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
    return f"{sql} {'DESC' if item.args.get('desc') else 'ASC'} NULLS {nulls}"


def _implied_name(tree: exp.Expr) -> str | None:
    """Trino names an output after the column or field it is, and nothing else."""
    if isinstance(tree, exp.Column):
        return tree.name.lower()
    if isinstance(tree, exp.Dot) and isinstance(tree.expression, exp.Identifier):
        return tree.expression.name.lower()
    return None


def _has_aggregate(node: exp.Expr) -> bool:
    """Whether an aggregate call outside windows and subqueries occurs."""
    if isinstance(node, exp.Query) or isinstance(node, exp.Subquery):
        return False
    if isinstance(node, exp.Window):
        inner = node.this
        while isinstance(inner, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)):
            inner = inner.this
        children = [*inner.expressions, *(node.args.get("partition_by") or ())]
        children += [node.args["order"]] if node.args.get("order") else []
        return any(map(_has_aggregate, children))
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower()
        if name in functions.AGGREGATE or name in specials.AGGREGATES or name == "grouping":
            return True
    return any(_has_aggregate(child) for child in node.iter_expressions())


def _literal(node: exp.Literal) -> Expr:
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


def sql_type(node: exp.DataType) -> Type:  # noqa: C901 - one case per type
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
            precision, scale = (numbers + [0])[:2] if numbers else (38, 0)
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
