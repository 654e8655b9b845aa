"""Function calls: scalar functions, lambdas, aggregates and windows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import functions, specials, syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.model import Scope, sorted_by, unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localaws.engines.athena.types import Type

_AGGREGATE_CALL = re.compile(
    r"\b(count|count_if|sum|avg|min|max|arg_max|arg_min|arg_max_null|arg_min_null|any_value|list|bool_and|bool_or|"
    r"approx_count_distinct|approx_quantile|stddev_samp|stddev_pop|var_samp|var_pop|corr|covar_samp|covar_pop|regr_slope|"
    r"regr_intercept|geomean|bit_and|bit_or|string_agg|histogram|row_number|rank|dense_rank|percent_rank|cume_dist|ntile|lag|"
    r"lead|first_value|last_value|nth_value)\("
)


class Calls:
    """Binds calls; the layers above bind what stands in them."""

    def __init__(self) -> None:
        self.failures = ex.Failures()
        self._aggregate_depth = 0
        self._windows: dict[str, exp.Window] = {}

    def expr(self, node: exp.Expr, scope: Scope) -> Expr:
        raise NotImplementedError

    def boolean(self, node: exp.Expr, scope: Scope, what: str) -> Expr:
        raise NotImplementedError

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

    def _window(self, node: exp.Window, scope: Scope) -> Expr:
        name = node.args.get("alias")
        if name is not None and name.name.lower() not in self._windows:
            raise SqlError("INVALID_WINDOW_REFERENCE", f"Cannot resolve WINDOW name {name.name}", syntax.place(node))
        own = self._windows[name.name.lower()] if name is not None else node
        partition = [self.expr(e, scope) for e in own.args.get("partition_by") or ()]
        order = own.args.get("order") or node.args.get("order")
        keys: list[Expr] = []
        ordering: list[str] = []
        for item in order.expressions if order else ():
            keys.append(self.expr(item.this, scope))
            ordering.append(sorted_by(keys[-1].sql, item))
        call = self._call(node.this, scope, windowed=True)
        parts = []
        if partition:
            parts.append(f"PARTITION BY {', '.join(p.sql for p in partition)}")
        if ordering:
            parts.append(f"ORDER BY {', '.join(ordering)}")
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
            if ignore_nulls:
                raise unsupported("IGNORE NULLS with an aggregate", place)
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
        trees: list[exp.Expr] = list(node.expressions)
        distinct, order = False, within
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
        inside = f" ORDER BY {', '.join(sorted_by(k.sql, item) for k, item in keys)}" if keys else ""
        after = f" FILTER (WHERE {test.sql})" if test else ""
        return self._modified(made, before, inside, after, node)

    def _modified(
        self, made: Expr, before: str = "", inside: str = "", after: str = "", node: exp.Expr | None = None
    ) -> Expr:
        """Puts DISTINCT, ORDER BY, FILTER or OVER to the DuckDB calls that a template wraps (`CAST(sum(…) …)`)."""
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
