"""Athena SQL → DuckDB SQL: names, types and semantics resolved the way Trino's analyzer resolves them.

sqlglot reads the text; everything after that is decided here, from the catalog's types, so that nothing is left to
DuckDB's own coercions and aliases: each relation gets an alias of ours, each output column the name `_o<n>`, each
expression a Trino type. A construct this module does not know raises NOT_SUPPORTED with its name.

One liberty, on purpose: `UNNEST(array(row)) AS t(x)` with a single alias gives the
row itself. Trino wants one alias per field, but queries written for older Athena engines, such as the Ground Truth
reports', rely on the row.
"""

# ruff: noqa: S608 - DuckDB SQL made of bound trees: user text enters it only through `quote` and `literal`

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import functions, specials, syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr
from localaws.engines.athena.model import (
    CATALOG,
    Compiled,
    Field,
    Query,
    Relation,
    Scan,
    ScanField,
    Scope,
    TableColumns,
    View,
    bare,
    sorted_by,
    unsupported,
)  # fmt: skip
from localaws.engines.athena.scalars import Scalars
from localaws.engines.athena.types import Type, literal, outside_text, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SET_OPERATIONS = ((exp.Union, "UNION"), (exp.Intersect, "INTERSECT"), (exp.Except, "EXCEPT"))
_SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "with_",
    "windows", "hint", "kind", "operation_modifiers", "laterals", "sample",
}  # fmt: skip


class Binder(Scalars):
    """Binds one statement.

    `describe(database, table)` gives a table's columns or a view's definition; it raises for tables that are not there
    or not allowed. `database` is the session's database; None if the statement has to qualify its tables.
    """

    def __init__(
        self,
        describe: Callable[[str, str], TableColumns | View],
        database: str | None,
    ) -> None:
        super().__init__()
        self.describe = describe
        self.database = database
        self.scans: list[Scan] = []
        self._ctes: list[dict[str, tuple[str, tuple[tuple[str, Type], ...]]]] = []
        self._aliases = 0
        self._views: list[tuple[str, str]] = []

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

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
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
            keys.append(sorted_by(key.sql, item))
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
        word = next(w for kind, w in _SET_OPERATIONS if isinstance(node, kind))
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
        return Query(
            f"({self.converted_sql(left, types)}) {operator} ({self.converted_sql(right, types)})", tuple(common)
        )

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def converted_sql(self, bound: Query, types: Sequence[Type]) -> str:
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
        return Query(self.converted_sql(bound, [of for _, of in columns]), tuple(columns))

    def _values(self, node: exp.Values, parent: Scope | None) -> Query:
        scope = Scope(parent=parent)
        rows = [[self.expr(item, scope) for item in _items(row)] for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise SqlError("TYPE_MISMATCH", "Values rows have different sizes", syntax.place(node))
        types = [self.common(list(column), "Values rows", node) for column in zip(*rows, strict=True)]
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
        inner = _with_outputs(scope, known)
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
            keys.append(sorted_by(f"_o{places[0]}" if places else bound.sql, item))
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

    def _relation(self, node: exp.Expr, scope: Scope) -> str:
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
                else self.query(bare(node), scope.parent)
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
            ScanField(c, of, f"{known}.{quote(own)}", scan=scan, column=own)
            for (c, of), (own, _) in zip(shown, columns, strict=True)
        )
        path = ScanField("$path", t.VARCHAR, f'{known}."$path"', hidden=True, scan=scan, column="$path")
        scope.relations.append(Relation((*fields, path), names))
        return f"{scan.marker} {known}"

    def _view(self, view: View, name: tuple[str, str]) -> Query:
        if name in self._views:
            raise SqlError("VIEW_IS_RECURSIVE", f"View '{name[0]}.{name[1]}' is recursive")
        saved = self.database, self._ctes
        self.database = view.database
        self._ctes = []
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
            if not isinstance(found, ScanField):
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
        scan.pruning.append(outside_text(bound.sql, rf'\b{prefix}\.(?=")', lambda _: "p."))
        if isinstance(node, (exp.EQ, exp.In)) and isinstance(node.this, exp.Column):
            items = [node.expression] if isinstance(node, exp.EQ) else node.expressions
            if all(isinstance(item, exp.Literal) for item in items):
                values = {item.name for item in items}
                known = scan.equals.get(fields[0].column)
                scan.equals[fields[0].column] = values if known is None else known & values


def _with_outputs(scope: Scope, outputs: dict[str, Expr]) -> Scope:
    return Scope(scope.relations, scope.merged, scope.lambdas, outputs, scope.parent)


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


def _implied_name(tree: exp.Expr) -> str | None:
    """Trino names an output after the column or field it is, and nothing else."""
    if isinstance(tree, exp.Column):
        return tree.name.lower()
    if isinstance(tree, exp.Dot) and isinstance(tree.expression, exp.Identifier):
        return tree.expression.name.lower()
    return None


def _has_aggregate(node: exp.Expr) -> bool:
    """Whether an aggregate call outside windows and subqueries occurs."""
    if isinstance(node, (exp.Query, exp.Subquery)):
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
