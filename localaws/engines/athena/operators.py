"""Operators whose result type or failure a plain SQL operator cannot express, and the checks functions share."""

# ruff: noqa: ARG001 - all functions have one signature: (binder, arguments, node)

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import Type, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

    from localaws.engines.athena.calls import Calls

DATES = ("date", "timestamp", "timestamp with time zone")


def wrong(name: str, arguments: Sequence[Expr]) -> SqlError:
    shown = ", ".join(str(a.type) for a in arguments)
    return SqlError("FUNCTION_NOT_FOUND", f"Unexpected parameters ({shown}) for function {name}")


def constant(name: str, argument: Expr) -> Any:
    if argument.value is None:
        raise SqlError(
            "NOT_SUPPORTED", f"{name} with a format, unit or path that is not a literal is not supported by this engine"
        )
    return argument.value


def accept(argument: Expr, target: Type, name: str) -> Expr:
    if not t.coercible(argument.type, target):
        raise wrong(name, [argument])
    return ex.convert(argument, target)


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
    (xp, xs), (yp, ys) = x.digits, y.digits
    left, right = f"CAST({a.sql} AS {t.storage(x)})", f"CAST({b.sql} AS {t.storage(y)})"
    scale = max(xs, ys)
    whole = max(xp - xs, yp - ys)
    match operator:
        case "+" | "-":
            of = t.decimal(min(38, whole + scale + 1), scale)
            text = f"(CAST({left} AS {t.storage(of)}) {operator} CAST({right} AS {t.storage(of)}))"
        case "*":
            if xs + ys > 38:
                raise SqlError("INVALID_PARAMETER_USAGE", f"DECIMAL scale {xs + ys} must be in range [0, 38]")
            of = t.decimal(min(38, xp + yp), xs + ys)
            text = f"({left} * {right})"
        case "%":
            of = t.decimal(min(38, min(xp - xs, yp - ys) + scale), scale)
            text = f"({left} % {right})"
        case _:
            of = t.decimal(min(38, xp + ys + max(0, ys - xs)), scale)
            # Whole numbers n and d with n / d = a / b · 10^scale, divided with rounding half away from zero.
            numerator = f"{unscaled(left, xs)} * {_power(scale + ys - xs)}"
            quotient = f"athena_round_divide({numerator}, {unscaled(right, ys)})"
            return combine(rescaled(quotient, of), of, a, b)
    return combine(f"CAST({text} AS {t.storage(of)})", of, a, b)


def _power(exponent: int) -> str:
    return f"CAST('{10**exponent}' AS HUGEINT)"


def unscaled(sql: str, scale: int) -> str:
    """The digits of a decimal as a whole number."""
    return f"CAST(replace(CAST({sql} AS VARCHAR), '.', '') AS HUGEINT)" if scale else f"CAST({sql} AS HUGEINT)"


def rescaled(sql: str, of: Type) -> str:
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
    name = str(constant("AT TIME ZONE", zone))
    if not re.fullmatch(r"[A-Za-z_]+(/[A-Za-z_+\-0-9]+)*", name):
        raise SqlError("NOT_SUPPORTED", f"Time zone '{name}': only named zones are supported by this engine")
    of = replace(t.TIMESTAMP_TZ, zone=name)
    if value.type.name not in ("timestamp", "timestamp with time zone"):
        raise SqlError("TYPE_MISMATCH", f"AT TIME ZONE expects a timestamp, not {value.type}")
    return ex.convert(value, t.TIMESTAMP_TZ).typed(ex.convert(value, t.TIMESTAMP_TZ).sql, of)


def concat(binder: Calls, parts: Sequence[Expr], node: exp.Expr) -> Expr:
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


def subscript(binder: Calls, base: Expr, index: Expr, node: exp.Expr) -> Expr:
    """`a[i]` and `m[k]`, which fail where `element_at` gives NULL."""
    if base.type.name == "row":
        fields = list(base.type.fields())
        if not isinstance(index.value, int) or not 1 <= index.value <= len(fields):
            raise SqlError("INVALID_FUNCTION_ARGUMENT", f"Invalid subscript of {base.type}")
        name, of = fields[index.value - 1]
        return combine(f"struct_extract({base.sql}, {literal(name)})", of, base)
    if base.type.name == "array":
        at = accept(index, t.BIGINT, "subscript").sql
        size = f"len({base.sql})"
        message = (
            f"CASE WHEN {at} = 0 THEN 'SQL array indices start at 1' "
            f"WHEN {at} < 0 THEN 'Array subscript is negative: ' || {at} "
            f"ELSE 'Array subscript must be less than or equal to array length: ' || {at} || ' > ' || {size} END"
        )
        text = binder.failures.unless(
            f"{at} BETWEEN 1 AND {size}", f"list_extract({base.sql}, {at})", "INVALID_FUNCTION_ARGUMENT", message
        )
        return combine(text, base.type.element, base, index)
    if base.type.name == "map":
        key_type, value_type = base.type.args
        key = accept(index, key_type, "subscript")
        message = f"'Key not present in map: ' || {ex.text_of(key.sql, key_type)}"
        found = f"{key.sql} IS NULL OR {base.sql} IS NULL OR map_contains({base.sql}, {key.sql})"
        text = binder.failures.unless(found, f"{base.sql}[{key.sql}]", "INVALID_FUNCTION_ARGUMENT", message)
        return combine(text, value_type, base, index)
    raise SqlError("TYPE_MISMATCH", f"Cannot use {index.type} as subscript of {base.type}")


# Used above: Trino's array equality and decimal division.
MACROS = r"""
CREATE MACRO athena_same(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN len(a) <> len(b) THEN false
         ELSE athena_all(list_transform(range(1, len(a) + 1),
                                        lambda i_: list_extract(a, i_) = list_extract(b, i_))) END;
CREATE MACRO athena_round_divide(n, d) AS
    n // d + CASE WHEN 2 * abs(n % d) >= abs(d) THEN CAST(sign(n) AS HUGEINT) * CAST(sign(d) AS HUGEINT) ELSE 0 END;
CREATE MACRO athena_padded(digits, scale) AS
    lpad(digits, CAST(greatest(scale + 1, length(digits)) AS INTEGER), '0');
CREATE MACRO athena_scaled(digits, scale) AS
    CASE WHEN scale = 0 THEN digits
         ELSE athena_sign(digits) || athena_padded(ltrim(digits, '-'), scale)[:-(scale + 1)] || '.' ||
              right(athena_padded(ltrim(digits, '-'), scale), scale) END;
"""
