"""Operators and functions whose Athena form a signature and a template cannot express.

Either their result type depends on the arguments' precision (decimals), or an argument must be a constant (formats,
units, JSON paths), or they must fail where DuckDB gives NULL (subscripts).
"""

# ruff: noqa: ARG001, SLF001 - all functions have one signature: (binder, arguments, node); one binder in several files

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localaws.engines.athena import dates, functions, json_functions
from localaws.engines.athena import expressions as ex
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlglot import exp

    from localaws.engines.athena.calls import Calls
    from localaws.engines.athena.model import Scope

from localaws.engines.athena.operators import accept, arithmetic, concat, constant, rescaled, unscaled, wrong


def _element_at(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in ("array", "map"):
        raise wrong("element_at", arguments)
    base, index = arguments
    if base.type.name == "map":
        return combine(
            f"{base.sql}[{accept(index, base.type.args[0], 'element_at').sql}]", base.type.args[1], base, index
        )
    at = accept(index, t.BIGINT, "element_at").sql
    text = binder.failures.unless(
        f"{at} <> 0", f"list_extract({base.sql}, {at})", "INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'"
    )
    return combine(text, base.type.element, base, index)


def _coalesce(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) < 2:
        raise SqlError("INVALID_ARGUMENTS", "The 'coalesce' function must have at least two arguments")
    of = binder.common(arguments, "All COALESCE operands", node)
    return combine(f"coalesce({', '.join(ex.convert(a, of).sql for a in arguments)})", of, *arguments)


def _nullif(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise SqlError("INVALID_ARGUMENTS", "Invalid number of arguments for 'nullif' function")
    a, b = arguments
    of = t.common_type(a.type, b.type)
    if of is None:
        raise SqlError("TYPE_MISMATCH", f"Types are not comparable with NULLIF: {a.type} vs {b.type}")
    return combine(
        f"CASE WHEN {ex.convert(a, of).sql} = {ex.convert(b, of).sql} THEN NULL ELSE {a.sql} END", a.type, a, b
    )


def _extreme(word: str) -> Callable[[Calls, list[Expr], exp.Expr], Expr]:
    def make(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
        of = binder.common(arguments, f"All {word} arguments", node)
        texts = [ex.convert(a, of).sql for a in arguments]
        # Trino: NULL as soon as one argument is NULL; DuckDB ignores NULLs.
        tests = " OR ".join(f"{text} IS NULL" for text in texts)
        return combine(f"CASE WHEN {tests} THEN NULL ELSE {word}({', '.join(texts)}) END", of, *arguments)

    return make


def _row(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    text = ", ".join(f"field{i} := {a.sql}" for i, a in enumerate(arguments))
    return combine(f"struct_pack({text})", t.row(*((None, a.type) for a in arguments)), *arguments)


def _map(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if not arguments:
        return Expr("MAP {}", t.map_of(t.UNKNOWN, t.UNKNOWN))
    if len(arguments) != 2 or any(a.type.name != "array" for a in arguments):
        raise wrong("map", arguments)
    keys, values = arguments
    return combine(f"map({keys.sql}, {values.sql})", t.map_of(keys.type.element, values.type.element), keys, values)


def _round(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    value = arguments[0] if arguments else Expr("NULL", t.UNKNOWN)
    digits = accept(arguments[1], t.INTEGER, "round") if len(arguments) == 2 else None
    if len(arguments) not in (1, 2) or value.type.name not in (*t.NUMBERS, "unknown"):
        raise wrong("round", arguments)
    if value.type.name != "decimal":
        if value.type.name in t.INTEGERS and digits is None:
            return value
        # Whole numbers have nothing after the point; before it, the decimal route is exact.
        if value.type.name in t.INTEGERS:
            return combine(
                f"CAST(round({value.sql}, {digits.sql if digits else 0}) AS {t.storage(value.type)})",
                value.type,
                *arguments,
            )
        inner = ex.convert(value, t.DOUBLE).sql
        text = f"round({inner}, {digits.sql})" if digits else f"round({inner})"
        of = value.type if value.type.name == "real" else t.DOUBLE
        return combine(f"CAST({text} AS {t.storage(of)})", of, *arguments)
    p, s = value.type.precision or 0, value.type.scale or 0
    if digits is None:
        of = t.decimal(min(38, p - s + min(1, s)), 0)
        return combine(f"CAST(round({value.sql}, 0) AS {t.storage(of)})", of, value)
    of = t.decimal(min(38, p + 1), s)
    places = constant("round", arguments[1])
    return combine(f"CAST(round({value.sql}, {min(int(places), s)}) AS {t.storage(of)})", of, *arguments)


def _whole(word: str) -> Callable[[Calls, list[Expr], exp.Expr], Expr]:
    def make(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 1 or arguments[0].type.name not in (*t.NUMBERS, "unknown"):
            raise wrong(word, arguments)
        value = arguments[0]
        if value.type.name in t.INTEGERS:
            return value
        if value.type.name == "decimal":
            p, s = value.type.precision or 0, value.type.scale or 0
            of = t.decimal(min(38, p - s + min(s, 1)), 0)
            return combine(f"CAST({word}({value.sql}) AS {t.storage(of)})", of, value)
        of = value.type if value.type.name == "real" else t.DOUBLE
        return combine(f"CAST({word}({ex.convert(value, of).sql}) AS {t.storage(of)})", of, value)

    return make


def _mod(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise wrong("mod", arguments)
    return arithmetic("%", *arguments)


def _width_bucket(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Trino's `MathFunctions.widthBucket`: 0 below, n + 1 above; descending bounds count from the other end."""
    if len(arguments) == 2 and arguments[1].type.name == "array":
        value, bins = (
            accept(arguments[0], t.DOUBLE, "width_bucket"),
            accept(arguments[1], t.array(t.DOUBLE), "width_bucket"),
        )
        return combine(f"len(list_filter({bins.sql}, lambda b_: b_ <= {value.sql}))", t.BIGINT, *arguments)
    if len(arguments) != 4:
        raise wrong("width_bucket", arguments)
    x, low, high = (accept(a, t.DOUBLE, "width_bucket").sql for a in arguments[:3])
    count = accept(arguments[3], t.BIGINT, "width_bucket").sql
    text = (
        f"CASE WHEN {low} < {high} THEN CASE WHEN {x} < {low} THEN 0 WHEN {x} >= {high} THEN {count} + 1 "
        f"ELSE CAST(floor({count} * ({x} - {low}) / ({high} - {low})) AS BIGINT) + 1 END "
        f"ELSE CASE WHEN {x} > {low} THEN 0 WHEN {x} <= {high} THEN {count} + 1 "
        f"ELSE CAST(floor({count} * ({low} - {x}) / ({low} - {high})) AS BIGINT) + 1 END END"
    )
    fails = binder.failures
    text = fails.unless(f"{low} <> {high}", text, "INVALID_FUNCTION_ARGUMENT", "'bounds cannot equal each other'")
    text = fails.unless(f"{count} > 0", text, "INVALID_FUNCTION_ARGUMENT", "'bucketCount must be greater than 0'")
    return combine(f"CAST({text} AS BIGINT)", t.BIGINT, *arguments)


def _substr(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise wrong("substr", arguments)
    text, start = accept(arguments[0], t.VARCHAR, "substr").sql, accept(arguments[1], t.BIGINT, "substr").sql
    length = f", greatest({accept(arguments[2], t.BIGINT, 'substr').sql}, 0)" if len(arguments) == 3 else ""
    # A start of 0 or before the text gives '' in Trino.
    empty = f"{start} = 0 OR -{start} > length({text})"
    return combine(f"CASE WHEN {empty} THEN '' ELSE substring({text}, {start}{length}) END", t.VARCHAR, *arguments)


def _split_part(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3:
        raise wrong("split_part", arguments)
    text, delimiter = (accept(a, t.VARCHAR, "split_part").sql for a in arguments[:2])
    at = accept(arguments[2], t.BIGINT, "split_part").sql
    made = binder.failures.unless(
        f"{at} > 0",
        f"string_split({text}, {delimiter})[{at}]",
        "INVALID_FUNCTION_ARGUMENT",
        "'Index must be greater than zero'",
    )
    return combine(made, t.VARCHAR, *arguments)


def _split(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise wrong("split", arguments)
    text, delimiter = (accept(a, t.VARCHAR, "split").sql for a in arguments[:2])
    parts = binder.failures.unless(
        f"{delimiter} <> ''",
        f"string_split({text}, {delimiter})",
        "INVALID_FUNCTION_ARGUMENT",
        "'The delimiter may not be the empty string'",
    )
    if len(arguments) == 3:
        limit = accept(arguments[2], t.BIGINT, "split").sql
        rest = f"array_to_string({parts}[{limit}:], {delimiter})"
        parts = f"CASE WHEN len({parts}) > {limit} THEN list_append({parts}[1:{limit} - 1], {rest}) ELSE {parts} END"
        parts = binder.failures.unless(f"{limit} > 0", parts, "INVALID_FUNCTION_ARGUMENT", "'Limit must be positive'")
    return combine(parts, t.array(t.VARCHAR), *arguments)


def _pad(word: str) -> Callable[[Calls, list[Expr], exp.Expr], Expr]:
    def make(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 3:
            raise wrong(word, arguments)
        text, size, pad = (
            accept(a, of, word).sql for a, of in zip(arguments, (t.VARCHAR, t.BIGINT, t.VARCHAR), strict=True)
        )
        made = binder.failures.unless(
            f"length({pad}) > 0", f"{word}({text}, CAST({size} AS INTEGER), {pad})", "INVALID_FUNCTION_ARGUMENT",
            "'Padding string must not be empty'",
        )  # fmt: skip
        return combine(made, t.VARCHAR, *arguments)

    return make


def _replace(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise wrong("replace", arguments)
    if arguments[1].value == "":
        raise SqlError("NOT_SUPPORTED", "replace() with an empty search string is not supported by this engine")
    texts = [accept(a, t.VARCHAR, "replace").sql for a in arguments] + ["''"]
    return combine(f"replace({', '.join(texts[:3])})", t.VARCHAR, *arguments)


def _regexp_replace(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    r"""Java's `$1` and `${name}` in the replacement become RE2's `\1`."""
    if len(arguments) not in (2, 3):
        raise wrong("regexp_replace", arguments)
    text, pattern = (accept(a, t.VARCHAR, "regexp_replace").sql for a in arguments[:2])
    made = ""
    if len(arguments) == 3:
        given = str(constant("regexp_replace", arguments[2]))
        if "${" in given:
            raise SqlError(
                "NOT_SUPPORTED", "Named groups in a regexp_replace replacement are not supported by this engine"
            )
        for piece in re.findall(r"\\.|\$\d|.", given, re.DOTALL):
            if piece[0] == "$" and len(piece) == 2:
                made += "\\" + piece[1]
            else:
                plain = piece[1:] if piece[0] == "\\" and len(piece) == 2 else piece
                made += "\\\\" if plain == "\\" else plain
    return combine(f"regexp_replace({text}, {pattern}, {literal(made)}, 'g')", t.VARCHAR, *arguments)


def _regexp_extract(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    """NULL where nothing matches. RE2 gives '' for a group that took no part, which Trino gives as NULL: where a
    pattern can do that and '' comes out, the query fails rather than guess.
    """
    if len(arguments) not in (2, 3):
        raise wrong("regexp_extract", arguments)
    text, pattern = (accept(a, t.VARCHAR, "regexp_extract").sql for a in arguments[:2])
    group = f", CAST({accept(arguments[2], t.BIGINT, 'regexp_extract').sql} AS INTEGER)" if len(arguments) == 3 else ""
    found = f"regexp_extract({text}, {pattern}{group})"
    shown = arguments[1].value
    if group and (shown is None or re.search(r"\)[?*{]|\|", str(shown))):
        found = binder.failures.unless(
            f"{found} <> ''", found, "NOT_SUPPORTED",
            "'regexp_extract of a group that may have matched nothing is not supported by this engine'",
        )  # fmt: skip
    return combine(f"CASE WHEN regexp_matches({text}, {pattern}) THEN {found} END", t.VARCHAR, *arguments)


def _typeof(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise wrong("typeof", arguments)
    return Expr(literal(str(arguments[0].type)), t.VARCHAR, arguments[0].ungrouped)


_TOO_LONG = "'result of sequence function must not have more than 10000 entries'"


def _sequence(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise wrong("sequence", arguments)
    start, stop = arguments[:2]
    step = arguments[2] if len(arguments) == 3 else None
    if start.type.name in t.INTEGERS and stop.type.name in t.INTEGERS:
        first, last = start.sql, stop.sql
        by = accept(step, t.BIGINT, "sequence").sql if step else f"CASE WHEN {first} <= {last} THEN 1 ELSE -1 END"
        text = f"generate_series(CAST({first} AS BIGINT), CAST({last} AS BIGINT), CAST({by} AS BIGINT))"
        if step:
            text = binder.failures.unless(
                f"({last} - {first}) * {by} >= 0 AND {by} <> 0", text, "INVALID_FUNCTION_ARGUMENT",
                "'sequence stop value should be greater than or equal to start value if step is greater than zero "
                "otherwise stop should be less than or equal to start'",
            )  # fmt: skip
        count = f"abs(CAST({last} AS BIGINT) - {first}) // abs(greatest(abs({by}), 1)) + 1"
        text = binder.failures.unless(f"{count} <= 10000", text, "INVALID_FUNCTION_ARGUMENT", _TOO_LONG)
        return combine(text, t.array(t.BIGINT), *arguments)
    of = t.common_type(start.type, stop.type)
    if of is None or of.name not in ("date", "timestamp"):
        raise wrong("sequence", arguments)
    if step is None and of.name == "date":
        step = Expr("CAST(86400000 AS BIGINT)", t.DAY_INTERVAL, value=86_400_000)
    if step is None or step.type not in (t.DAY_INTERVAL, t.MONTH_INTERVAL):
        raise wrong("sequence", arguments)
    width = f"to_milliseconds({step.sql})" if step.type == t.DAY_INTERVAL else f"to_months({step.sql})"
    ends = ", ".join(ex.local(ex.convert(e, of)) for e in (start, stop))
    text = f"generate_series({ends}, {width})"
    text = binder.failures.unless(f"len({text}) <= 10000", text, "INVALID_FUNCTION_ARGUMENT", _TOO_LONG)
    if of.name == "date":
        text = f"list_transform({text}, lambda d_: CAST(d_ AS DATE))"
    return combine(text, t.array(of), *arguments)


def _slice(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3 or arguments[0].type.name != "array":
        raise wrong("slice", arguments)
    base, start, length = arguments[0].sql, *(accept(a, t.BIGINT, "slice").sql for a in arguments[1:])
    first = f"CASE WHEN {start} < 0 THEN len({base}) + {start} + 1 ELSE {start} END"
    text = f"CASE WHEN {first} < 1 THEN {base}[1:0] ELSE list_slice({base}, {first}, ({first}) + {length} - 1) END"
    fails = binder.failures
    text = fails.unless(
        f"{length} >= 0", text, "INVALID_FUNCTION_ARGUMENT", "'length must be greater than or equal to 0'"
    )
    text = fails.unless(f"{start} <> 0", text, "INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'")
    return combine(text, arguments[0].type, *arguments)


def _zip(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) < 2 or any(a.type.name != "array" for a in arguments):
        raise wrong("zip", arguments)
    sizes = ", ".join(f"len({a.sql})" for a in arguments)
    pack = ", ".join(f"field{i} := list_extract({a.sql}, i_)" for i, a in enumerate(arguments))
    text = f"list_transform(range(1, greatest({sizes}) + 1), lambda i_: struct_pack({pack}))"
    of = t.array(t.row(*((None, a.type.element) for a in arguments)))
    missing = " OR ".join(f"{a.sql} IS NULL" for a in arguments)
    return combine(f"CASE WHEN {missing} THEN NULL ELSE {text} END", of, *arguments)


# --- aggregates that depend on decimal precision ---------------------------------------------------------------------


def _sum(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) == 1 and arguments[0].type.name == "decimal":
        of = t.decimal(38, arguments[0].type.scale or 0)
        return combine(f"CAST(sum({arguments[0].sql}) AS {t.storage(of)})", of, arguments[0])
    return binder._apply(functions.AGGREGATE, "sum", arguments, node)


def _avg(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) == 1 and arguments[0].type.name == "decimal":
        value = arguments[0]
        scale = value.type.scale or 0
        total = unscaled(f"CAST(sum({value.sql}) AS {t.storage(t.decimal(38, scale))})", scale)
        text = f"athena_round_divide({total}, CAST(nullif(count({value.sql}), 0) AS HUGEINT))"
        return combine(rescaled(text, value.type), value.type, value)
    return binder._apply(functions.AGGREGATE, "avg", arguments, node)


# --- functions that see trees: (binder, trees, scope, node) → expression ---------------------------------------------


def _try(binder: Calls, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 1:
        raise SqlError("INVALID_ARGUMENTS", "Invalid number of arguments for 'try' function")
    binder.failures.try_depth += 1
    inner = binder.expr(trees[0], scope)
    binder.failures.try_depth -= 1
    return inner.typed(f"TRY({inner.sql})", inner.type)


def _grouping(binder: Calls, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    parts = [binder.expr(tree, scope) for tree in trees]
    return Expr(f"CAST(GROUPING({', '.join(p.sql for p in parts)}) AS INTEGER)", t.INTEGER)


def _reduce(binder: Calls, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 4:
        raise SqlError(
            "FUNCTION_NOT_FOUND",
            "Unexpected parameters for function reduce. Expected: reduce(array(T), S, function(S,T,S), function(S,R))",
        )
    items, start = binder.expr(trees[0], scope), binder.expr(trees[1], scope)
    if items.type.name != "array":
        raise wrong("reduce", [items, start])
    state = start.type if start.type.name != "varchar" else t.VARCHAR
    for _ in range(2):
        names, body = binder.lambda_(trees[2], [state, items.type.element], scope)
        wider = t.common_type(state, body.type)
        if wider is None:
            raise SqlError("TYPE_MISMATCH", f"reduce: the state is {state}, its lambda gives {body.type}")
        if wider == state:
            break
        state = wider
    step, first = ex.convert(body, state).sql, ex.convert(start, state).sql
    folded = f"list_reduce({items.sql}, lambda {', '.join(names)}: {step}, {first})"
    last_names, last = binder.lambda_(trees[3], [state], scope)
    text = f"list_transform([{folded}], lambda {last_names[0]}: {last.sql})[1]"
    return combine(f"CASE WHEN {items.sql} IS NOT NULL THEN {text} END", last.type, items, start, body, last)


def _zip_with(binder: Calls, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 3:
        raise SqlError(
            "FUNCTION_NOT_FOUND",
            "Unexpected parameters for function zip_with. Expected: zip_with(array(T), array(U), function(T,U,R))",
        )
    a, b = binder.expr(trees[0], scope), binder.expr(trees[1], scope)
    if a.type.name != "array" or b.type.name != "array":
        raise wrong("zip_with", [a, b])
    names, body = binder.lambda_(trees[2], [a.type.element, b.type.element], scope)
    text = re.sub(rf"\b{names[0]}\b", f"list_extract({a.sql}, i_)", body.sql)
    text = re.sub(rf"\b{names[1]}\b", f"list_extract({b.sql}, i_)", text)
    whole = f"list_transform(range(1, greatest(len({a.sql}), len({b.sql})) + 1), lambda i_: {text})"
    return combine(
        f"CASE WHEN {a.sql} IS NOT NULL AND {b.sql} IS NOT NULL THEN {whole} END", t.array(body.type), a, b, body
    )


WITH_TREES: dict[str, Callable[[Calls, Sequence[exp.Expr], Scope, exp.Expr], Expr]] = {
    "try": _try,
    "grouping": _grouping,
    "reduce": _reduce,
    "zip_with": _zip_with,
}
SPECIAL: dict[str, Callable[[Calls, list[Expr], exp.Expr], Expr]] = {
    "element_at": _element_at,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "row": _row,
    "map": _map,
    "concat": concat,
    "round": _round,
    "ceil": _whole("ceil"),
    "ceiling": _whole("ceil"),
    "floor": _whole("floor"),
    "truncate": _whole("trunc"),
    "mod": _mod,
    "width_bucket": _width_bucket,
    "substr": _substr,
    "substring": _substr,
    "split_part": _split_part,
    "split": _split,
    "lpad": _pad("lpad"),
    "rpad": _pad("rpad"),
    "replace": _replace,
    "regexp_extract": _regexp_extract,
    "regexp_replace": _regexp_replace,
    "typeof": _typeof,
    "sequence": _sequence,
    "slice": _slice,
    **dates.FUNCTIONS,
    **json_functions.FUNCTIONS,
    "zip": _zip,
}
AGGREGATES: dict[str, Callable[[Calls, list[Expr], exp.Expr], Expr]] = {"sum": _sum, "avg": _avg}
