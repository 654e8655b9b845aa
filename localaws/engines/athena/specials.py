"""Operators and functions whose Athena form a signature and a template cannot express.

Either their result type depends on the arguments' precision (decimals), or an argument must be a constant (formats,
units, JSON paths), or they must fail where DuckDB gives NULL (subscripts).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import Type, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localaws.engines.athena.binder import Binder, Scope

DATES = ("date", "timestamp", "timestamp with time zone")
_MILLIS = {
    "millisecond": 1,
    "second": 1000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _wrong(name: str, arguments: Sequence[Expr]) -> SqlError:
    shown = ", ".join(str(a.type) for a in arguments)
    return SqlError("FUNCTION_NOT_FOUND", f"Unexpected parameters ({shown}) for function {name}")


def _constant(name: str, argument: Expr) -> Any:
    if argument.value is None:
        raise SqlError(
            "NOT_SUPPORTED", f"{name} with a format, unit or path that is not a literal is not supported by this engine"
        )
    return argument.value


def _as(argument: Expr, target: Type, name: str) -> Expr:
    if not t.coercible(argument.type, target):
        raise _wrong(name, [argument])
    return ex.convert(argument, target)


# --- operators ------------------------------------------------------------------------------------------------------


def arithmetic(operator: str, a: Expr, b: Expr) -> Expr:
    """`a + b` and the like with Trino's result types; integers divide to integers, overflow and `/ 0` fail.

    Decimal rules are those of Trino's `DecimalOperators`: a quotient has the larger scale and is rounded half up.
    """
    if a.type.name in t.NUMBERS and b.type.name in t.NUMBERS:
        if "decimal" in (a.type.name, b.type.name) and not {"double", "real"} & {a.type.name, b.type.name}:
            return _decimal_arithmetic(operator, a, b)
        of = t.common_type(a.type, b.type)
        assert of
        left, right = ex.convert(a, of).sql, ex.convert(b, of).sql
        symbol = "//" if operator == "/" and of.name in t.INTEGERS else operator
        return combine(f"({left} {symbol} {right})", of, a, b)
    if "unknown" in (a.type.name, b.type.name):
        of = b.type if a.type.name == "unknown" else a.type
        if of.name in (*t.NUMBERS, "unknown"):
            return combine("NULL", of, a, b)
    if operator in "+-":
        made = _time_arithmetic(operator, a, b)
        if made:
            return made
    intervals = ("interval day to second", "interval year to month")
    if operator == "*" and b.type.name in intervals:
        a, b = b, a
    if operator in "*/" and a.type.name in intervals and b.type.name in t.NUMBERS:
        text = f"CAST({a.sql} AS DOUBLE) {operator} {b.sql}"
        return combine(f"CAST(trunc({text}) AS {t.storage(a.type)})", a.type, a, b)
    raise SqlError("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {operator} {b.type}")


def _decimal_arithmetic(operator: str, a: Expr, b: Expr) -> Expr:
    x, y = t.as_decimal(a.type), t.as_decimal(b.type)
    assert x.precision and y.precision and x.scale is not None and y.scale is not None
    left, right = f"CAST({a.sql} AS {t.storage(x)})", f"CAST({b.sql} AS {t.storage(y)})"
    scale = max(x.scale, y.scale)
    whole = max(x.precision - x.scale, y.precision - y.scale)
    match operator:
        case "+" | "-":
            of = t.decimal(min(38, whole + scale + 1), scale)
            text = f"(CAST({left} AS {t.storage(of)}) {operator} CAST({right} AS {t.storage(of)}))"
        case "*":
            if x.scale + y.scale > 38:
                raise SqlError("INVALID_PARAMETER_USAGE", f"DECIMAL scale {x.scale + y.scale} must be in range [0, 38]")
            of = t.decimal(min(38, x.precision + y.precision), x.scale + y.scale)
            text = f"({left} * {right})"
        case "%":
            of = t.decimal(min(38, min(x.precision - x.scale, y.precision - y.scale) + scale), scale)
            text = f"({left} % {right})"
        case _:
            of = t.decimal(min(38, x.precision + y.scale + max(0, y.scale - x.scale)), scale)
            # Whole numbers n and d with n / d = a / b · 10^scale, divided with rounding half away from zero.
            numerator = f"{_unscaled(left, x.scale)} * {_power(scale + y.scale - x.scale)}"
            quotient = f"athena_round_divide({numerator}, {_unscaled(right, y.scale)})"
            return combine(_rescaled(quotient, of), of, a, b)
    return combine(f"CAST({text} AS {t.storage(of)})", of, a, b)


def _power(exponent: int) -> str:
    return f"CAST('{10**exponent}' AS HUGEINT)"


def _unscaled(sql: str, scale: int) -> str:
    """The digits of a decimal as a whole number."""
    return f"CAST(replace(CAST({sql} AS VARCHAR), '.', '') AS HUGEINT)" if scale else f"CAST({sql} AS HUGEINT)"


def _rescaled(sql: str, of: Type) -> str:
    """A whole number of 10^-scale units as a decimal."""
    return f"CAST(athena_scaled(CAST({sql} AS VARCHAR), {of.scale}) AS {t.storage(of)})"


def _time_arithmetic(operator: str, a: Expr, b: Expr) -> Expr | None:
    if a.type.name.startswith("interval") and b.type.name in DATES and operator == "+":
        a, b = b, a
    if a.type.name in DATES and b.type == t.DAY_INTERVAL:
        if a.type.name == "date":
            if b.value is not None and b.value % 86_400_000:
                raise SqlError("INVALID_FUNCTION_ARGUMENT", "Cannot add hour, minutes or seconds to a date")
            return combine(
                f"CAST({a.sql} {operator} to_days(CAST({b.sql} // 86400000 AS INTEGER)) AS DATE)", t.DATE, a, b
            )
        return combine(f"({a.sql} {operator} to_milliseconds({b.sql}))", a.type, a, b)
    if a.type.name in DATES and b.type == t.MONTH_INTERVAL:
        return combine(ex.at_zone(f"({ex.local(a)} {operator} to_months({b.sql}))", a.type), a.type, a, b)
    if a.type == b.type and a.type in (t.DAY_INTERVAL, t.MONTH_INTERVAL):
        return combine(f"({a.sql} {operator} {b.sql})", a.type, a, b)
    if operator == "-" and a.type.name in DATES and b.type.name in DATES:
        of = t.common_type(a.type, b.type)
        assert of
        left, right = ex.convert(a, of), ex.convert(b, of)
        ends = [e.sql if of.name != "date" else ex.local(e) for e in (left, right)]
        return combine(f"(epoch_ms({ends[0]}) - epoch_ms({ends[1]}))", t.DAY_INTERVAL, a, b)
    return None


def at_timezone(value: Expr, zone: Expr) -> Expr:
    """`AT TIME ZONE`: the same instant shown in a zone, which must be a literal."""
    name = str(_constant("AT TIME ZONE", zone))
    if not re.fullmatch(r"[A-Za-z_]+(/[A-Za-z_+\-0-9]+)*", name):
        raise SqlError("NOT_SUPPORTED", f"Time zone '{name}': only named zones are supported by this engine")
    of = replace(t.TIMESTAMP_TZ, zone=name)
    if value.type.name not in ("timestamp", "timestamp with time zone"):
        raise SqlError("TYPE_MISMATCH", f"AT TIME ZONE expects a timestamp, not {value.type}")
    return ex.convert(value, t.TIMESTAMP_TZ).typed(ex.convert(value, t.TIMESTAMP_TZ).sql, of)


def concat(binder: Binder, parts: Sequence[Expr], node: exp.Expr) -> Expr:
    """`||` and `concat`: text with text, arrays with arrays or elements."""
    if len(parts) < 2:
        raise SqlError("FUNCTION_NOT_FOUND", "There must be two or more concatenation arguments")
    if any(p.type.name == "array" for p in parts):
        of: Type | None = next(p.type for p in parts if p.type.name == "array")
        for part in parts:
            other = part.type if part.type.name in ("array", "unknown") else t.array(part.type)
            of = of and t.common_type(of, other)
        if of is None:
            raise SqlError("TYPE_MISMATCH", f"Cannot concatenate {', '.join(str(p.type) for p in parts)}")
        texts = [
            ex.convert(p, of).sql if p.type.name in ("array", "unknown") else f"[{ex.convert(p, of.element).sql}]"
            for p in parts
        ]
        tests = " AND ".join(f"{text} IS NOT NULL" for text in texts)
        return combine(f"CASE WHEN {tests} THEN {_nested('list_concat', texts)} END", of, *parts)
    for of in (t.VARCHAR, t.VARBINARY):
        if all(t.coercible(p.type, of) for p in parts):
            return combine(f"({' || '.join(ex.convert(p, of).sql for p in parts)})", of, *parts)
    raise SqlError(
        "TYPE_MISMATCH", f"Unexpected parameters ({', '.join(str(p.type) for p in parts)}) for function concat"
    )


def _nested(function: str, texts: Sequence[str]) -> str:
    text = texts[0]
    for other in texts[1:]:
        text = f"{function}({text}, {other})"
    return text


def subscript(binder: Binder, base: Expr, index: Expr, node: exp.Expr) -> Expr:
    """`a[i]` and `m[k]`, which fail where `element_at` gives NULL."""
    if base.type.name == "row":
        fields = list(base.type.fields())
        if not isinstance(index.value, int) or not 1 <= index.value <= len(fields):
            raise SqlError("INVALID_FUNCTION_ARGUMENT", f"Invalid subscript of {base.type}")
        name, of = fields[index.value - 1]
        return combine(f"struct_extract({base.sql}, {literal(name)})", of, base)
    if base.type.name == "array":
        at = _as(index, t.BIGINT, "subscript").sql
        size = f"len({base.sql})"
        message = (
            f"CASE WHEN {at} = 0 THEN 'SQL array indices start at 1' WHEN {at} < 0 THEN 'Array subscript is negative: ' || {at} "
            f"ELSE 'Array subscript must be less than or equal to array length: ' || {at} || ' > ' || {size} END"
        )
        text = binder.failures.unless(
            f"{at} BETWEEN 1 AND {size}", f"list_extract({base.sql}, {at})", "INVALID_FUNCTION_ARGUMENT", message
        )
        return combine(text, base.type.element, base, index)
    if base.type.name == "map":
        key_type, value_type = base.type.args
        key = _as(index, key_type, "subscript")
        message = f"'Key not present in map: ' || {ex.text_of(key.sql, key_type)}"
        found = f"{key.sql} IS NULL OR {base.sql} IS NULL OR map_contains({base.sql}, {key.sql})"
        text = binder.failures.unless(found, f"{base.sql}[{key.sql}]", "INVALID_FUNCTION_ARGUMENT", message)
        return combine(text, value_type, base, index)
    raise SqlError("TYPE_MISMATCH", f"Cannot use {index.type} as subscript of {base.type}")


# --- functions of bound arguments: (binder, arguments, node) → expression ------------------------------------------


def _element_at(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in ("array", "map"):
        raise _wrong("element_at", arguments)
    base, index = arguments
    if base.type.name == "map":
        return combine(f"{base.sql}[{_as(index, base.type.args[0], 'element_at').sql}]", base.type.args[1], base, index)
    at = _as(index, t.BIGINT, "element_at").sql
    text = binder.failures.unless(
        f"{at} <> 0", f"list_extract({base.sql}, {at})", "INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'"
    )
    return combine(text, base.type.element, base, index)


def _coalesce(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) < 2:
        raise SqlError("INVALID_ARGUMENTS", "The 'coalesce' function must have at least two arguments")
    of = binder.common(arguments, "All COALESCE operands", node)
    return combine(f"coalesce({', '.join(ex.convert(a, of).sql for a in arguments)})", of, *arguments)


def _nullif(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise SqlError("INVALID_ARGUMENTS", "Invalid number of arguments for 'nullif' function")
    a, b = arguments
    of = t.common_type(a.type, b.type)
    if of is None:
        raise SqlError("TYPE_MISMATCH", f"Types are not comparable with NULLIF: {a.type} vs {b.type}")
    return combine(
        f"CASE WHEN {ex.convert(a, of).sql} = {ex.convert(b, of).sql} THEN NULL ELSE {a.sql} END", a.type, a, b
    )


def _extreme(word: str) -> Callable[[Binder, list[Expr], exp.Expr], Expr]:
    def make(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
        of = binder.common(arguments, f"All {word} arguments", node)
        texts = [ex.convert(a, of).sql for a in arguments]
        # Trino: NULL as soon as one argument is NULL; DuckDB ignores NULLs.
        tests = " OR ".join(f"{text} IS NULL" for text in texts)
        return combine(f"CASE WHEN {tests} THEN NULL ELSE {word}({', '.join(texts)}) END", of, *arguments)

    return make


def _row(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    text = ", ".join(f"field{i} := {a.sql}" for i, a in enumerate(arguments))
    return combine(f"struct_pack({text})", t.row(*((None, a.type) for a in arguments)), *arguments)


def _map(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if not arguments:
        return Expr("MAP {}", t.map_of(t.UNKNOWN, t.UNKNOWN))
    if len(arguments) != 2 or any(a.type.name != "array" for a in arguments):
        raise _wrong("map", arguments)
    keys, values = arguments
    return combine(f"map({keys.sql}, {values.sql})", t.map_of(keys.type.element, values.type.element), keys, values)


def _round(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    value = arguments[0] if arguments else Expr("NULL", t.UNKNOWN)
    digits = _as(arguments[1], t.INTEGER, "round") if len(arguments) == 2 else None
    if len(arguments) not in (1, 2) or value.type.name not in (*t.NUMBERS, "unknown"):
        raise _wrong("round", arguments)
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
    places = _constant("round", arguments[1])
    return combine(f"CAST(round({value.sql}, {min(int(places), s)}) AS {t.storage(of)})", of, *arguments)


def _whole(word: str) -> Callable[[Binder, list[Expr], exp.Expr], Expr]:
    def make(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 1 or arguments[0].type.name not in (*t.NUMBERS, "unknown"):
            raise _wrong(word, arguments)
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


def _mod(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise _wrong("mod", arguments)
    return arithmetic("%", *arguments)


def _width_bucket(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Trino's `MathFunctions.widthBucket`: 0 below, n + 1 above; descending bounds count from the other end."""
    if len(arguments) == 2 and arguments[1].type.name == "array":
        value, bins = _as(arguments[0], t.DOUBLE, "width_bucket"), _as(arguments[1], t.array(t.DOUBLE), "width_bucket")
        return combine(f"len(list_filter({bins.sql}, lambda b_: b_ <= {value.sql}))", t.BIGINT, *arguments)
    if len(arguments) != 4:
        raise _wrong("width_bucket", arguments)
    x, low, high = (_as(a, t.DOUBLE, "width_bucket").sql for a in arguments[:3])
    count = _as(arguments[3], t.BIGINT, "width_bucket").sql
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


def _substr(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise _wrong("substr", arguments)
    text, start = _as(arguments[0], t.VARCHAR, "substr").sql, _as(arguments[1], t.BIGINT, "substr").sql
    length = f", greatest({_as(arguments[2], t.BIGINT, 'substr').sql}, 0)" if len(arguments) == 3 else ""
    # A start of 0 or before the text gives '' in Trino.
    empty = f"{start} = 0 OR -{start} > length({text})"
    return combine(f"CASE WHEN {empty} THEN '' ELSE substring({text}, {start}{length}) END", t.VARCHAR, *arguments)


def _split_part(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3:
        raise _wrong("split_part", arguments)
    text, delimiter = (_as(a, t.VARCHAR, "split_part").sql for a in arguments[:2])
    at = _as(arguments[2], t.BIGINT, "split_part").sql
    made = binder.failures.unless(
        f"{at} > 0",
        f"string_split({text}, {delimiter})[{at}]",
        "INVALID_FUNCTION_ARGUMENT",
        "'Index must be greater than zero'",
    )
    return combine(made, t.VARCHAR, *arguments)


def _split(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise _wrong("split", arguments)
    text, delimiter = (_as(a, t.VARCHAR, "split").sql for a in arguments[:2])
    parts = binder.failures.unless(
        f"{delimiter} <> ''",
        f"string_split({text}, {delimiter})",
        "INVALID_FUNCTION_ARGUMENT",
        "'The delimiter may not be the empty string'",
    )
    if len(arguments) == 3:
        limit = _as(arguments[2], t.BIGINT, "split").sql
        rest = f"array_to_string({parts}[{limit}:], {delimiter})"
        parts = f"CASE WHEN len({parts}) > {limit} THEN list_append({parts}[1:{limit} - 1], {rest}) ELSE {parts} END"
        parts = binder.failures.unless(f"{limit} > 0", parts, "INVALID_FUNCTION_ARGUMENT", "'Limit must be positive'")
    return combine(parts, t.array(t.VARCHAR), *arguments)


def _pad(word: str) -> Callable[[Binder, list[Expr], exp.Expr], Expr]:
    def make(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 3:
            raise _wrong(word, arguments)
        text, size, pad = (
            _as(a, of, word).sql for a, of in zip(arguments, (t.VARCHAR, t.BIGINT, t.VARCHAR), strict=True)
        )
        made = binder.failures.unless(
            f"length({pad}) > 0", f"{word}({text}, CAST({size} AS INTEGER), {pad})", "INVALID_FUNCTION_ARGUMENT",
            "'Padding string must not be empty'",
        )  # fmt: skip
        return combine(made, t.VARCHAR, *arguments)

    return make


def _replace(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise _wrong("replace", arguments)
    if arguments[1].value == "":
        raise SqlError("NOT_SUPPORTED", "replace() with an empty search string is not supported by this engine")
    texts = [_as(a, t.VARCHAR, "replace").sql for a in arguments] + ["''"]
    return combine(f"replace({', '.join(texts[:3])})", t.VARCHAR, *arguments)


def _regexp_replace(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Java's `$1` and `${name}` in the replacement become RE2's `\\1`."""
    if len(arguments) not in (2, 3):
        raise _wrong("regexp_replace", arguments)
    text, pattern = (_as(a, t.VARCHAR, "regexp_replace").sql for a in arguments[:2])
    made = ""
    if len(arguments) == 3:
        given = str(_constant("regexp_replace", arguments[2]))
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


def _regexp_extract(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    """NULL where nothing matches. RE2 gives '' for a group that took no part, which Trino gives as NULL: where a
    pattern can do that and '' comes out, the query fails rather than guess."""
    if len(arguments) not in (2, 3):
        raise _wrong("regexp_extract", arguments)
    text, pattern = (_as(a, t.VARCHAR, "regexp_extract").sql for a in arguments[:2])
    group = f", CAST({_as(arguments[2], t.BIGINT, 'regexp_extract').sql} AS INTEGER)" if len(arguments) == 3 else ""
    found = f"regexp_extract({text}, {pattern}{group})"
    shown = arguments[1].value
    if group and (shown is None or re.search(r"\)[?*{]|\|", str(shown))):
        found = binder.failures.unless(
            f"{found} <> ''", found, "NOT_SUPPORTED",
            "'regexp_extract of a group that may have matched nothing is not supported by this engine'",
        )  # fmt: skip
    return combine(f"CASE WHEN regexp_matches({text}, {pattern}) THEN {found} END", t.VARCHAR, *arguments)


def _typeof(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise _wrong("typeof", arguments)
    return Expr(literal(str(arguments[0].type)), t.VARCHAR, arguments[0].ungrouped)


_TOO_LONG = "'result of sequence function must not have more than 10000 entries'"


def _sequence(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (2, 3):
        raise _wrong("sequence", arguments)
    start, stop = arguments[:2]
    step = arguments[2] if len(arguments) == 3 else None
    if start.type.name in t.INTEGERS and stop.type.name in t.INTEGERS:
        first, last = start.sql, stop.sql
        by = _as(step, t.BIGINT, "sequence").sql if step else f"CASE WHEN {first} <= {last} THEN 1 ELSE -1 END"
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
        raise _wrong("sequence", arguments)
    if step is None and of.name == "date":
        step = Expr("CAST(86400000 AS BIGINT)", t.DAY_INTERVAL, value=86_400_000)
    if step is None or step.type not in (t.DAY_INTERVAL, t.MONTH_INTERVAL):
        raise _wrong("sequence", arguments)
    width = f"to_milliseconds({step.sql})" if step.type == t.DAY_INTERVAL else f"to_months({step.sql})"
    ends = ", ".join(ex.local(ex.convert(e, of)) for e in (start, stop))
    text = f"generate_series({ends}, {width})"
    text = binder.failures.unless(f"len({text}) <= 10000", text, "INVALID_FUNCTION_ARGUMENT", _TOO_LONG)
    if of.name == "date":
        text = f"list_transform({text}, lambda d_: CAST(d_ AS DATE))"
    return combine(text, t.array(of), *arguments)


def _slice(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3 or arguments[0].type.name != "array":
        raise _wrong("slice", arguments)
    base, start, length = arguments[0].sql, *(_as(a, t.BIGINT, "slice").sql for a in arguments[1:])
    first = f"CASE WHEN {start} < 0 THEN len({base}) + {start} + 1 ELSE {start} END"
    text = f"CASE WHEN {first} < 1 THEN {base}[1:0] ELSE list_slice({base}, {first}, ({first}) + {length} - 1) END"
    fails = binder.failures
    text = fails.unless(
        f"{length} >= 0", text, "INVALID_FUNCTION_ARGUMENT", "'length must be greater than or equal to 0'"
    )
    text = fails.unless(f"{start} <> 0", text, "INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'")
    return combine(text, arguments[0].type, *arguments)


def _zip(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) < 2 or any(a.type.name != "array" for a in arguments):
        raise _wrong("zip", arguments)
    sizes = ", ".join(f"len({a.sql})" for a in arguments)
    pack = ", ".join(f"field{i} := list_extract({a.sql}, i_)" for i, a in enumerate(arguments))
    text = f"list_transform(range(1, greatest({sizes}) + 1), lambda i_: struct_pack({pack}))"
    of = t.array(t.row(*((None, a.type.element) for a in arguments)))
    missing = " OR ".join(f"{a.sql} IS NULL" for a in arguments)
    return combine(f"CASE WHEN {missing} THEN NULL ELSE {text} END", of, *arguments)


# --- dates ----------------------------------------------------------------------------------------------------------


def _date(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise _wrong("date", arguments)
    return ex.cast(arguments[0], t.DATE, safe=False, failures=binder.failures)


def _date_trunc(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[1].type.name not in DATES:
        raise _wrong("date_trunc", arguments)
    unit, value = str(_constant("date_trunc", arguments[0])).lower(), arguments[1]
    allowed = [*_MONTHS, "week", "day"] if value.type.name == "date" else [*_MONTHS, *_MILLIS]
    if unit not in allowed:
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {value.type.name.upper()} field")
    return combine(ex.at_zone(f"date_trunc('{unit}', {ex.local(value)})", value.type), value.type, value)


def _date_add(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3 or arguments[2].type.name not in DATES:
        raise _wrong("date_add", arguments)
    unit, amount, value = (
        str(_constant("date_add", arguments[0])).lower(),
        _as(arguments[1], t.BIGINT, "date_add"),
        arguments[2],
    )
    if unit in _MONTHS:
        text = ex.at_zone(
            f"({ex.local(value)} + to_months(CAST({amount.sql} * {_MONTHS[unit]} AS INTEGER)))", value.type
        )
    elif unit in ("day", "week"):
        text = ex.at_zone(
            f"({ex.local(value)} + to_days(CAST({amount.sql} * {7 if unit == 'week' else 1} AS INTEGER)))", value.type
        )
    elif unit in _MILLIS and value.type.name != "date":
        text = f"({value.sql} + to_milliseconds({amount.sql} * {_MILLIS[unit]}))"
    else:
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {value.type.name.upper()} field")
    return combine(text, value.type, amount, value)


def _date_diff(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Whole units between two times (Trino), not boundaries crossed (DuckDB's date_diff)."""
    of = t.common_type(arguments[1].type, arguments[2].type) if len(arguments) == 3 else None
    if of is None or of.name not in DATES:
        raise _wrong("date_diff", arguments)
    unit = str(_constant("date_diff", arguments[0])).lower()
    allowed = [*_MONTHS, "week", "day"] if of.name == "date" else [*_MONTHS, *_MILLIS]
    if unit not in allowed:
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {of.name.upper()} field")
    a, b = (ex.local(ex.convert(e, of)) for e in arguments[1:])
    if unit in _MONTHS:
        text = f"(date_sub('month', {a}, {b}) // {_MONTHS[unit]})"
    else:
        text = f"((epoch_ms({b}) - epoch_ms({a})) // {_MILLIS[unit]})"
    return combine(text, t.BIGINT, *arguments[1:])


# MySQL's format letters (date_format, date_parse) and Joda's patterns (format_datetime, parse_datetime) as strftime.
_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "H": "%H", "h": "%I", "I": "%I", "i": "%M", "j": "%j",
    "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p", "S": "%S", "s": "%S", "T": "%H:%M:%S",
    "W": "%A", "Y": "%Y", "y": "%y", "%": "%%", "f": "%f", "v": "%V", "x": "%G",
}  # fmt: skip
_JODA = {
    "yyyy": "%Y", "YYYY": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g",
    "a": "%p", "EEEE": "%A", "EEE": "%a", "E": "%a", "DDD": "%j", "xxxx": "%G", "ww": "%V", "e": "%u",
    "y": "%Y", "Y": "%Y",
}  # fmt: skip


def _mysql(text: str) -> str:
    def put(found: re.Match[str]) -> str:
        if found[1] not in _MYSQL:
            raise SqlError("NOT_SUPPORTED", f"Date format '%{found[1]}' is not supported by this engine")
        return _MYSQL[found[1]]

    return re.sub(r"%(.)", put, text)


def _joda(text: str) -> tuple[str, bool]:
    """The strftime form, and whether the pattern reads or writes a zone."""
    made, zoned = "", False
    for piece in re.finditer(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", text, re.DOTALL):
        found = piece.group(0)
        if found[0] == "'":
            made += "'" if found == "''" else found[1:-1].replace("''", "'").replace("%", "%%")
        elif found in ("Z", "ZZ"):
            made, zoned = made + "%z", True
        elif found[0].isalpha():
            if found not in _JODA:
                raise SqlError("NOT_SUPPORTED", f"Date pattern '{found}' is not supported by this engine")
            made += _JODA[found]
        else:
            made += found.replace("%", "%%")
    return made, zoned


def _date_format(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in DATES:
        raise _wrong("date_format", arguments)
    pattern = _mysql(str(_constant("date_format", arguments[1])))
    return combine(f"strftime({ex.local(arguments[0])}, {literal(pattern)})", t.VARCHAR, arguments[0])


def _date_parse(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise _wrong("date_parse", arguments)
    text, pattern = _as(arguments[0], t.VARCHAR, "date_parse"), _mysql(str(_constant("date_parse", arguments[1])))
    pattern = pattern.replace("%-", "%")
    made = _parsed(binder, text.sql, pattern, str(arguments[1].value))
    return combine(ex.millis(made), t.TIMESTAMP, text)


def _parsed(binder: Binder, text: str, pattern: str, shown: str) -> str:
    parsed = f"try_strptime({text}, {literal(pattern)})"
    message = f"'Invalid format: \"' || {text} || '\" is malformed for {shown.replace(chr(39), chr(39) * 2)}'"
    return binder.failures.unless(
        f"{text} IS NULL OR {parsed} IS NOT NULL", parsed, "INVALID_FUNCTION_ARGUMENT", message
    )


def _format_datetime(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in DATES:
        raise _wrong("format_datetime", arguments)
    pattern, zoned = _joda(str(_constant("format_datetime", arguments[1])))
    if zoned:
        raise SqlError("NOT_SUPPORTED", "format_datetime with a zone is not supported by this engine")
    return combine(f"strftime({ex.local(arguments[0])}, {literal(pattern)})", t.VARCHAR, arguments[0])


def _parse_datetime(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise _wrong("parse_datetime", arguments)
    text = _as(arguments[0], t.VARCHAR, "parse_datetime")
    pattern, zoned = _joda(str(_constant("parse_datetime", arguments[1])))
    if zoned:
        raise SqlError("NOT_SUPPORTED", "parse_datetime with a zone is not supported by this engine")
    made = _parsed(binder, text.sql, pattern.replace("%-", "%"), str(arguments[1].value))
    return combine(f"timezone('UTC', {ex.millis(made)})", t.TIMESTAMP_TZ, text)


def _from_iso8601_timestamp(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Trino keeps the text's own zone; here only UTC can be shown, so another offset fails instead of being shifted."""
    if len(arguments) != 1:
        raise _wrong("from_iso8601_timestamp", arguments)
    text = _as(arguments[0], t.VARCHAR, "from_iso8601_timestamp").sql
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T([0-9]{2}(:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
    bare = f"rtrim(replace(replace(regexp_replace({text}, '(Z|[+-]00(:?00)?)$', ''), 'T', ' '), ',', '.'))"
    filled = f"CASE WHEN regexp_matches({bare}, ' [0-9]{{2}}$') THEN {bare} || ':00' ELSE {bare} END"
    made = f"timezone('UTC', {ex.millis(f'CAST({filled} AS TIMESTAMP)')})"
    fails = binder.failures
    made = fails.unless(
        f"NOT regexp_matches({text}, 'T.*[+-](0[1-9]|1[0-9]|00:?[0-9]*[1-9])')", made, "NOT_SUPPORTED",
        "'from_iso8601_timestamp with an offset other than UTC is not supported by this engine: ' || " + text,
    )  # fmt: skip
    made = fails.unless(
        f"regexp_full_match({text}, {literal(form)})",
        made,
        "INVALID_FUNCTION_ARGUMENT",
        f"'Invalid format: \"' || {text} || '\"'",
    )
    return combine(made, t.TIMESTAMP_TZ, arguments[0])


def _from_iso8601_date(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise _wrong("from_iso8601_date", arguments)
    text = _as(arguments[0], t.VARCHAR, "from_iso8601_date").sql
    made = binder.failures.unless(
        f"regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')", f"CAST({text} AS DATE)", "INVALID_FUNCTION_ARGUMENT",
        f"'Invalid format: \"' || {text} || '\"'",
    )  # fmt: skip
    return combine(made, t.DATE, arguments[0])


def _to_iso8601(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    value = arguments[0] if len(arguments) == 1 else None
    if value is None or value.type.name not in DATES:
        raise _wrong("to_iso8601", arguments)
    if value.type.name == "date":
        return combine(f"strftime({value.sql}, '%Y-%m-%d')", t.VARCHAR, value)
    if value.type.zone != "UTC":
        raise SqlError("NOT_SUPPORTED", f"to_iso8601 in zone {value.type.zone} is not supported by this engine")
    suffix = "Z" if value.type.name == "timestamp with time zone" else ""
    return combine(f"strftime({ex.local(value)}, '%Y-%m-%dT%H:%M:%S.%g{suffix}')", t.VARCHAR, value)


def _from_unixtime(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (1, 2):
        raise _wrong("from_unixtime", arguments)
    seconds = _as(arguments[0], t.DOUBLE, "from_unixtime")
    made = combine(f"timezone('UTC', epoch_ms(CAST(round({seconds.sql} * 1000) AS BIGINT)))", t.TIMESTAMP_TZ, seconds)
    return made if len(arguments) == 1 else at_timezone(made, arguments[1])


# --- JSON -----------------------------------------------------------------------------------------------------------


def _path(text: str) -> str:
    """A JSON path of plain steps (`$.a['b'][0]`) as DuckDB spells it."""
    rest, made = text.strip(), "$"
    if not rest.startswith("$"):
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{text}'")
    rest = rest[1:]
    while rest:
        step = re.match(r"""\.(\w[\w\-]*)|\[(\d+)\]|\[\s*"([^"\\]*)"\s*\]|\[\s*'([^'\\]*)'\s*\]|\."([^"\\]*)\"""", rest)
        if not step:
            raise SqlError("NOT_SUPPORTED", f"JSON path '{text}' is not supported by this engine (at '{rest}')")
        if step[2] is not None:
            made += f"[{step[2]}]"
        else:
            name = next(g for g in (step[1], step[3], step[4], step[5]) if g is not None)
            made += f'."{name}"'
        rest = rest[step.end() :]
    return made


def _json_input(name: str, argument: Expr) -> str:
    """The JSON value; malformed text is NULL, as in Trino's extracting functions."""
    if argument.type.name == "json":
        return argument.sql
    return f"TRY_CAST({_as(argument, t.VARCHAR, name).sql} AS JSON)"


def _json_extract(*, scalar: bool) -> Callable[[Binder, list[Expr], exp.Expr], Expr]:
    name = "json_extract_scalar" if scalar else "json_extract"

    def make(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 2:
            raise _wrong(name, arguments)
        value = _json_input(name, arguments[0])
        path = literal(_path(str(_constant(name, arguments[1]))))
        if scalar:
            kind = f"json_type({value}, {path})"
            text = f"CASE WHEN {kind} NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string({value}, {path}) END"
        else:
            text = f"json_extract({value}, {path})"
        return combine(text, t.VARCHAR if scalar else t.JSON, arguments[0])

    return make


def _json_size(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise _wrong("json_size", arguments)
    value = _json_input("json_size", arguments[0])
    part = f"json_extract({value}, {literal(_path(str(_constant('json_size', arguments[1]))))})"
    text = f"CASE json_type({part}) WHEN 'ARRAY' THEN json_array_length({part}) WHEN 'OBJECT' THEN len(json_keys({part})) ELSE 0 END"
    return combine(f"CASE WHEN {part} IS NOT NULL THEN CAST({text} AS BIGINT) END", t.BIGINT, arguments[0])


def _json_array_get(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise _wrong("json_array_get", arguments)
    value = _json_input("json_array_get", arguments[0])
    at = _as(arguments[1], t.BIGINT, "json_array_get").sql
    position = f"CASE WHEN {at} < 0 THEN {at} ELSE {at} + 1 END"
    text = f"list_extract(CAST(json_extract({value}, '$') AS JSON[]), {position})"
    return combine(f"CASE WHEN json_type({value}) = 'ARRAY' THEN {text} END", t.JSON, *arguments)


def _json_array_contains(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[1].type.name not in ("varchar", "boolean", *t.INTEGERS, "double"):
        raise _wrong("json_array_contains", arguments)
    value = _json_input("json_array_contains", arguments[0])
    wanted = f"CAST(to_json({arguments[1].sql}) AS VARCHAR)"
    items = f"list_transform(CAST(json_extract({value}, '$') AS JSON[]), lambda j_: CAST(j_ AS VARCHAR))"
    text = f"CASE WHEN json_type({value}) = 'ARRAY' THEN list_contains({items}, {wanted}) END"
    return combine(text, t.BOOLEAN, *arguments)


# --- aggregates that depend on decimal precision ---------------------------------------------------------------------


def _sum(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    from localaws.engines.athena import functions

    if len(arguments) == 1 and arguments[0].type.name == "decimal":
        of = t.decimal(38, arguments[0].type.scale or 0)
        return combine(f"CAST(sum({arguments[0].sql}) AS {t.storage(of)})", of, arguments[0])
    return binder._apply(functions.AGGREGATE, "sum", arguments, node)  # noqa: SLF001 - one analyzer in two files


def _avg(binder: Binder, arguments: list[Expr], node: exp.Expr) -> Expr:
    from localaws.engines.athena import functions

    if len(arguments) == 1 and arguments[0].type.name == "decimal":
        value = arguments[0]
        scale = value.type.scale or 0
        total = _unscaled(f"CAST(sum({value.sql}) AS {t.storage(t.decimal(38, scale))})", scale)
        text = f"athena_round_divide({total}, CAST(nullif(count({value.sql}), 0) AS HUGEINT))"
        return combine(_rescaled(text, value.type), value.type, value)
    return binder._apply(functions.AGGREGATE, "avg", arguments, node)  # noqa: SLF001


# --- functions that see trees: (binder, trees, scope, node) → expression ---------------------------------------------


def _try(binder: Binder, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 1:
        raise SqlError("INVALID_ARGUMENTS", "Invalid number of arguments for 'try' function")
    binder.failures.try_depth += 1
    inner = binder.expr(trees[0], scope)
    binder.failures.try_depth -= 1
    return inner.typed(f"TRY({inner.sql})", inner.type)


def _grouping(binder: Binder, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    parts = [binder.expr(tree, scope) for tree in trees]
    return Expr(f"CAST(GROUPING({', '.join(p.sql for p in parts)}) AS INTEGER)", t.INTEGER)


def _reduce(binder: Binder, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 4:
        raise SqlError(
            "FUNCTION_NOT_FOUND",
            "Unexpected parameters for function reduce. Expected: reduce(array(T), S, function(S,T,S), function(S,R))",
        )
    items, start = binder.expr(trees[0], scope), binder.expr(trees[1], scope)
    if items.type.name != "array":
        raise _wrong("reduce", [items, start])
    state = start.type if start.type.name != "varchar" else t.VARCHAR
    for _ in range(2):
        names, body = binder.lambda_(trees[2], [state, items.type.element], scope)
        wider = t.common_type(state, body.type)
        if wider is None:
            raise SqlError("TYPE_MISMATCH", f"reduce: the state is {state}, its lambda gives {body.type}")
        if wider == state:
            break
        state = wider
    folded = f"list_reduce({items.sql}, lambda {', '.join(names)}: {ex.convert(body, state).sql}, {ex.convert(start, state).sql})"
    last_names, last = binder.lambda_(trees[3], [state], scope)
    text = f"list_transform([{folded}], lambda {last_names[0]}: {last.sql})[1]"
    return combine(f"CASE WHEN {items.sql} IS NOT NULL THEN {text} END", last.type, items, start, body, last)


def _zip_with(binder: Binder, trees: Sequence[exp.Expr], scope: Scope, node: exp.Expr) -> Expr:
    if len(trees) != 3:
        raise SqlError(
            "FUNCTION_NOT_FOUND",
            "Unexpected parameters for function zip_with. Expected: zip_with(array(T), array(U), function(T,U,R))",
        )
    a, b = binder.expr(trees[0], scope), binder.expr(trees[1], scope)
    if a.type.name != "array" or b.type.name != "array":
        raise _wrong("zip_with", [a, b])
    names, body = binder.lambda_(trees[2], [a.type.element, b.type.element], scope)
    text = re.sub(rf"\b{names[0]}\b", f"list_extract({a.sql}, i_)", body.sql)
    text = re.sub(rf"\b{names[1]}\b", f"list_extract({b.sql}, i_)", text)
    whole = f"list_transform(range(1, greatest(len({a.sql}), len({b.sql})) + 1), lambda i_: {text})"
    return combine(
        f"CASE WHEN {a.sql} IS NOT NULL AND {b.sql} IS NOT NULL THEN {whole} END", t.array(body.type), a, b, body
    )


WITH_TREES: dict[str, Callable[[Binder, Sequence[exp.Expr], Scope, exp.Expr], Expr]] = {
    "try": _try,
    "grouping": _grouping,
    "reduce": _reduce,
    "zip_with": _zip_with,
}
SPECIAL: dict[str, Callable[[Binder, list[Expr], exp.Expr], Expr]] = {
    "element_at": _element_at,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "row": _row,
    "map": _map,
    "concat": lambda binder, arguments, node: concat(binder, arguments, node),
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
    "zip": _zip,
    "date": _date,
    "date_trunc": _date_trunc,
    "date_add": _date_add,
    "date_diff": _date_diff,
    "date_format": _date_format,
    "date_parse": _date_parse,
    "format_datetime": _format_datetime,
    "parse_datetime": _parse_datetime,
    "from_iso8601_timestamp": _from_iso8601_timestamp,
    "from_iso8601_date": _from_iso8601_date,
    "to_iso8601": _to_iso8601,
    "from_unixtime": _from_unixtime,
    "at_timezone": lambda binder, arguments, node: at_timezone(*arguments),
    "json_extract": _json_extract(scalar=False),
    "json_extract_scalar": _json_extract(scalar=True),
    "json_size": _json_size,
    "json_array_get": _json_array_get,
    "json_array_contains": _json_array_contains,
}
AGGREGATES: dict[str, Callable[[Binder, list[Expr], exp.Expr], Expr]] = {"sum": _sum, "avg": _avg}

MACROS = r"""
CREATE MACRO athena_same(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN len(a) <> len(b) THEN false
         ELSE athena_all(list_transform(range(1, len(a) + 1), lambda i_: list_extract(a, i_) = list_extract(b, i_))) END;
CREATE MACRO athena_round_divide(n, d) AS
    n // d + CASE WHEN 2 * abs(n % d) >= abs(d) THEN CAST(sign(n) AS HUGEINT) * CAST(sign(d) AS HUGEINT) ELSE 0 END;
CREATE MACRO athena_scaled(digits, scale) AS
    CASE WHEN scale = 0 THEN digits
         ELSE athena_sign(digits) || lpad(ltrim(digits, '-'), CAST(greatest(scale + 1, length(ltrim(digits, '-'))) AS INTEGER), '0')[:-(scale + 1)]
              || '.' || right(lpad(ltrim(digits, '-'), CAST(greatest(scale + 1, length(ltrim(digits, '-'))) AS INTEGER), '0'), scale) END;
"""
