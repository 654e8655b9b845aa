"""Names, operators and every other expression, resolved and typed as Trino's analyzer does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import operators, syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.calls import Calls
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.model import Field, Query, ScanField, Scope, bare, literal_of, sql_type, unsupported
from localaws.engines.athena.types import Type, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPARE: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
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


class Scalars(Calls):
    """Binds expressions; `Binder` binds the queries inside them."""

    def __init__(self) -> None:
        super().__init__()
        self._grouped: set[str] | None = None  # SQL of the grouping keys while an aggregate query's outputs are bound

    def query(self, node: exp.Expr, parent: Scope | None) -> Query:
        raise NotImplementedError

    def converted_sql(self, bound: Query, types: Sequence[Type]) -> str:
        raise NotImplementedError

    # --- names ------------------------------------------------------------------------------------------------------

    def _use(self, found: Field) -> None:
        if isinstance(found, ScanField):
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

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def expr(self, node: exp.Expr, scope: Scope) -> Expr:
        """Binds one expression."""
        return self._regrouped(self._expr(node, scope))

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def boolean(self, node: exp.Expr, scope: Scope, what: str) -> Expr:
        bound = self.expr(node, scope)
        if bound.type.name not in ("boolean", "unknown"):
            raise SqlError(
                "TYPE_MISMATCH", f"{what} must evaluate to a boolean: actual type {bound.type}", syntax.place(node)
            )
        return bound

    def _pair(self, a: Expr, b: Expr, operator: str, node: exp.Expr) -> tuple[Expr, Expr]:
        of = t.common_type(a.type, b.type)
        if of is None:
            raise SqlError("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {operator} {b.type}", syntax.place(node))
        return ex.convert(a, of), ex.convert(b, of)

    def _expr(self, node: exp.Expr, scope: Scope) -> Expr:  # noqa: PLR0915 - one case per node
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
                return literal_of(node)
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
                    return operators.arithmetic(_ARITHMETIC[type(node)], a, b)
                except SqlError as error:
                    raise SqlError(error.code, error.message, syntax.place(node)) from error
            case exp.DPipe():
                return operators.concat(self, [self.expr(p, scope) for p in node.flatten(unnest=False)], node)
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
                return operators.at_timezone(self.expr(node.this, scope), self.expr(node.args["zone"], scope))
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
            bound = self.query(bare(node.expression.this), scope)
            a, b = self._pair(left, Expr("", bound.columns[0][1]), operator, node)
            word = "ANY" if isinstance(node.expression, exp.Any) else "ALL"
            return combine(f"({a.sql} {operator} {word} ({self.converted_sql(bound, [b.type])}))", t.BOOLEAN, a)
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
        # In Trino NaN equals nothing and is neither more nor less than anything; in DuckDB it is the largest number.
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
            bound = self.query(bare(query), scope)
            if left.type.name == "row" or len(bound.columns) != 1:
                raise unsupported("IN (subquery) with several columns", node)
            a, b = self._pair(left, Expr("", bound.columns[0][1]), "IN", node)
            if a.type.args:
                raise unsupported(f"IN (subquery) on {a.type}", node)
            return combine(f"({a.sql} IN ({self.converted_sql(bound, [b.type])}))", t.BOOLEAN, a)
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
        value, pattern = ex.convert(a, t.VARCHAR).sql, ex.convert(b, t.VARCHAR).sql
        text = f"({value} {word} {pattern}{f' ESCAPE {escape.sql}' if escape else ''})"
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
            return self.expr(exp.Literal.number(node.this.name), scope)
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
        return operators.subscript(self, base, index, node)
