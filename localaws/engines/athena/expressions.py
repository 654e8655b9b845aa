"""Typed SQL expressions: what the binder and the function table pass to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.types import Type, literal, quote, storage


@dataclass(frozen=True)
class Expr:
    """A DuckDB expression with its Athena type.

    `ungrouped` names a column that neither an aggregate nor GROUP BY covers; `value` is the Python value of a literal.
    """

    sql: str
    type: Type
    ungrouped: str | None = None
    value: Any = None

    def typed(self, sql: str, of: Type) -> Expr:
        return replace(self, sql=sql, type=of, value=None)


def combine(sql: str, of: Type, *parts: Expr) -> Expr:
    """An expression made of others: it is ungrouped where any of them is."""
    return Expr(sql, of, next((p.ungrouped for p in parts if p.ungrouped), None))


class Failures:
    """Writes SQL that fails the query with Athena's error when a row reaches it.

    `error()` is volatile, and DuckDB's TRY refuses volatile functions: inside TRY the failure is a cast that cannot
    succeed. The cast must depend on the row, or DuckDB would evaluate it while planning: `anchor` is any value of it.
    """

    def __init__(self) -> None:
        self.try_depth = 0
        self.anchor = ""

    def sql(self, code: str, message_sql: str) -> str:
        """`message_sql` is a DuckDB expression of the message's text."""
        text = f"{literal(f'⟦{code}: ')} || {message_sql} || '⟧'"
        if not self.try_depth:
            return f"error({text})"
        row = f" || coalesce(CAST({self.anchor} AS VARCHAR), '')" if self.anchor else ""
        return f"CASE WHEN CAST({text}{row} AS BOOLEAN) THEN NULL END"

    def unless(self, condition: str, value: str, code: str, message_sql: str) -> str:
        """`value`, or a failure for a row that does not meet `condition` (NULL counts as met)."""
        return f"CASE WHEN NOT ({condition}) THEN {self.sql(code, message_sql)} ELSE {value} END"


_NUMBER_TEXT = r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?\s*"
_TIMESTAMP_TEXT = r"[0-9]{4,}-[0-9]{1,2}-[0-9]{1,2}( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,12})?)?)?"


def convert(expr: Expr, target: Type) -> Expr:
    """An implicit conversion; the caller has checked `coercible`."""
    if expr.type == target or (expr.type.name == "varchar" and target.name == "varchar"):
        return replace(expr, type=target)
    if expr.type.name == "unknown":
        return expr.typed(f"CAST({expr.sql} AS {storage(target)})", target)
    return expr.typed(_convert_sql(expr.sql, expr.type, target), target)


def _convert_sql(sql: str, source: Type, target: Type) -> str:
    if source == target:
        return sql
    match source.name, target.name:
        case "row", "row":
            parts = (
                f"{quote(new)} := {_convert_sql(f'struct_extract({sql}, {literal(old)})', old_type, new_type)}"
                for (old, old_type), (new, new_type) in zip(source.fields(), target.fields(), strict=True)
            )
            return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"
        case "array", "array":
            item = _fresh(sql)
            return f"list_transform({sql}, lambda {item}: {_convert_sql(item, source.element, target.element)})"
        case "map", "map":
            key, value = source.args
            item = _fresh(sql)
            pair = (
                f"struct_pack(k := {_convert_sql(f'{item}.key', key, target.args[0])}, "
                f"v := {_convert_sql(f'{item}.value', value, target.args[1])})"
            )
            return f"map_from_entries(list_transform(map_entries({sql}), lambda {item}: {pair}))"
        case _, "timestamp with time zone":
            return f"timezone({literal(target.zone)}, CAST({sql} AS TIMESTAMP))"
        case "unknown", _:
            return f"CAST({sql} AS {storage(target)})"
        case "varchar", "varchar":
            return sql
    return f"CAST({sql} AS {storage(target)})"


def _fresh(sql: str) -> str:
    """A lambda parameter that does not occur in the text it will be used with."""
    number = 0
    while f"e{number}_" in sql:
        number += 1
    return f"e{number}_"


def local(expr: Expr) -> str:
    """A date or timestamp as a DuckDB TIMESTAMP in its own zone."""
    if expr.type.name == "timestamp with time zone":
        return f"timezone({literal(expr.type.zone)}, {expr.sql})"
    return expr.sql if expr.type.name == "timestamp" else f"CAST({expr.sql} AS TIMESTAMP)"


def at_zone(timestamp_sql: str, like: Type) -> str:
    """The inverse of `local` for the type `like`."""
    match like.name:
        case "timestamp with time zone":
            return f"timezone({literal(like.zone)}, {timestamp_sql})"
        case "date":
            return f"CAST({timestamp_sql} AS DATE)"
    return timestamp_sql


def cast(expr: Expr, target: Type, *, safe: bool, failures: Failures) -> Expr:  # noqa: PLR0915 - one case per pair of types
    """`CAST(expr AS target)` or, when `safe`, `TRY_CAST`, with Trino's rules for each pair of types.

    Raises:
        SqlError: TYPE_MISMATCH where Trino has no cast; NOT_SUPPORTED where this engine has none.
    """
    source, sql = expr.type, expr.sql

    def checked(condition: str, value: str) -> str:
        if safe:
            return f"CASE WHEN {condition} THEN {value} END"
        shown = f"CAST({sql} AS VARCHAR)"
        if source.name == "varchar" and target.name in ("date", "timestamp", "timestamp with time zone"):
            message = f"'Value cannot be cast to {target.name}: ' || {shown}"
        else:
            message = f"'Cannot cast ''' || {shown} || ''' to {str(target).upper()}'"
        return failures.unless(condition, value, "INVALID_CAST_ARGUMENT", message)

    def plain(value: str = sql) -> str:
        return f"{'TRY_CAST' if safe else 'CAST'}({value} AS {storage(target)})"

    def done(value: str) -> Expr:
        return expr.typed(value, target)

    if source == target:
        return expr
    if source.name == "unknown":
        return done(f"CAST({sql} AS {storage(target)})")
    match source.name, target.name:
        case "varchar", "varchar":
            # A longer varchar(n) is cut; a shorter one needs nothing.
            cut = target.precision is not None and (source.precision is None or source.precision > target.precision)
            return done(f"substring({sql}, 1, {target.precision})" if cut else sql)
        case "varchar", "tinyint" | "smallint" | "integer" | "bigint":
            return done(checked(f"regexp_full_match({sql}, '[+-]?[0-9]+')", plain()))
        case "varchar", "double" | "real":
            number = f"regexp_full_match({sql}, {literal(_NUMBER_TEXT)})"
            word = f"trim({sql}) IN ('NaN', 'Infinity', '-Infinity', '+Infinity')"
            text = f"CASE WHEN {number} THEN rtrim(trim({sql}), 'dDfF') ELSE trim({sql}) END"
            return done(checked(f"{number} OR {word}", plain(text)))
        case "varchar", "decimal":
            return done(checked(f"regexp_full_match({sql}, {literal(_NUMBER_TEXT.replace('[dDfF]?', ''))})", plain()))
        case "varchar", "boolean":
            return done(checked(f"lower({sql}) IN ('t', 'true', '1', 'f', 'false', '0')", plain(f"lower({sql})")))
        case "varchar", "date":
            form = f"regexp_full_match(trim({sql}), '[0-9]{{4,}}-[0-9]{{1,2}}-[0-9]{{1,2}}')"
            return done(checked(form, plain()))
        case "varchar", "timestamp":
            return done(checked(f"regexp_full_match({sql}, {literal(_TIMESTAMP_TEXT)})", millis(plain())))
        case "varchar", "timestamp with time zone":
            zoned = _TIMESTAMP_TEXT + r" ?(UTC|Z|[+-]00:?00)?"
            text = f"regexp_replace({sql}, ' ?(UTC|Z|[+-]00:?00)$', '')"
            stamp = f"{'TRY_CAST' if safe else 'CAST'}({text} AS TIMESTAMP)"
            return done(checked(f"regexp_full_match({sql}, {literal(zoned)})", f"timezone('UTC', {millis(stamp)})"))
        case "varchar", "time":
            return done(plain())
        case "varchar", "varbinary":
            return done(f"encode({sql})")
        case _, "varchar" if source.name in t.NUMBERS or source.name in (
            "boolean", "date", "time", "timestamp", "timestamp with time zone", "json",
            "interval day to second", "interval year to month",
        ):  # fmt: skip
            text = text_of(sql, source, exponent=True)
            if target.precision is None:
                return done(text)
            if source.name == "json":
                return done(f"substring({text}, 1, {target.precision})")
            return done(
                failures.unless(
                    f"length({text}) <= {target.precision}",
                    text,
                    "INVALID_CAST_ARGUMENT",
                    f"'Value ' || {text} || ' cannot be represented as varchar({target.precision})'",
                )
                if not safe
                else f"CASE WHEN length({text}) <= {target.precision} THEN {text} END"
            )
        case "double" | "real", "tinyint" | "smallint" | "integer" | "bigint":
            return done(checked(f"isfinite({sql})", plain(f"round({sql})")))
        case "double" | "real", "decimal":
            return done(checked(f"isfinite({sql})", plain()))
        case ("decimal", "tinyint" | "smallint" | "integer" | "bigint") | ("decimal", "decimal"):
            return done(plain())
        case (_, "boolean") | ("boolean", _) if {source.name, target.name} & set(t.NUMBERS):
            return done(f"({sql} <> 0)" if target.name == "boolean" else plain())
        case _ if source.name in t.NUMBERS and target.name in t.NUMBERS:
            return done(plain())
        case "date" | "timestamp" | "timestamp with time zone", "date":
            return done(f"CAST({local(expr)} AS DATE)")
        case "date" | "timestamp with time zone", "timestamp":
            return done(local(expr))
        case "date" | "timestamp", "timestamp with time zone":
            return done(f"timezone({literal(target.zone)}, {local(expr)})")
        case "timestamp with time zone", "timestamp with time zone":
            return replace(expr, value=None)
        case "timestamp" | "timestamp with time zone", "time":
            return done(f"CAST({local(expr)} AS TIME)")
        case "array", "array":
            item = _fresh(sql)
            inner = cast(Expr(item, source.element), target.element, safe=safe, failures=failures)
            return done(f"list_transform({sql}, lambda {item}: {inner.sql})")
        case "map", "map":
            item = _fresh(sql)
            key = cast(Expr(f"{item}.key", source.args[0]), target.args[0], safe=safe, failures=failures)
            value = cast(Expr(f"{item}.value", source.args[1]), target.args[1], safe=safe, failures=failures)
            pair = f"struct_pack(k := {key.sql}, v := {value.sql})"
            return done(f"map_from_entries(list_transform(map_entries({sql}), lambda {item}: {pair}))")
        case "row", "row" if len(source.args) == len(target.args):
            parts = []
            for (old, old_type), (new, new_type) in zip(source.fields(), target.fields(), strict=True):
                field = Expr(f"struct_extract({sql}, {literal(old)})", old_type)
                made = cast(field, new_type, safe=safe, failures=failures)
                parts.append(f"{quote(new)} := {made.sql}")
            return done(f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({', '.join(parts)}) END")
        case _, "json":
            return done(to_json(sql, source))
        case "json", _:
            return done(from_json(sql, target, checked))
    raise SqlError("TYPE_MISMATCH", f"Cannot cast {source} to {target}")


def millis(timestamp_sql: str) -> str:
    """A DuckDB timestamp rounded to Athena's milliseconds."""
    return f"epoch_ms((epoch_us({timestamp_sql}) + 500) // 1000)"


def to_json(sql: str, source: Type) -> str:
    """`CAST(… AS JSON)`: rows become objects, maps become objects with sorted keys.

    Raises:
        SqlError: TYPE_MISMATCH for types that have no JSON form.
    """
    match source.name:
        case "json":
            return sql
        case "varchar" | "boolean" | "tinyint" | "smallint" | "integer" | "bigint" | "double" | "real" | "decimal":
            return f"to_json({sql})"
        case "unknown":
            return "CAST(NULL AS JSON)"
        case "date" | "timestamp" | "timestamp with time zone":
            return f"to_json({text_of(sql, source)})"
        case "array":
            item = _fresh(sql)
            inner = f"coalesce({to_json(item, source.element)}, CAST('null' AS JSON))"
            return f"to_json(list_transform({sql}, lambda {item}: {inner}))"
        case "map" if source.args[0].name in ("varchar", "boolean", *t.NUMBERS):
            item = _fresh(sql)
            key, value = text_of(f"{item}.key", source.args[0]), to_json(f"{item}.value", source.args[1])
            pair = f"struct_pack(k := {key}, v := coalesce({value}, CAST('null' AS JSON)))"
            return f"to_json(map_from_entries(list_sort(list_transform(map_entries({sql}), lambda {item}: {pair}))))"
        case "row":
            parts = ", ".join(
                f"{quote(n)} := coalesce({to_json(f'struct_extract({sql}, {literal(n)})', ft)}, CAST('null' AS JSON))"
                for n, ft in source.fields()
            )
            return f"CASE WHEN {sql} IS NOT NULL THEN to_json(struct_pack({parts})) END"
    raise SqlError("TYPE_MISMATCH", f"Cannot cast {source} to json")


def from_json(sql: str, target: Type, checked: Any) -> str:
    """`CAST(json AS target)`: JSON null is NULL; objects become maps and rows, arrays become arrays."""
    kind = f"json_type({sql})"
    text = f"json_extract_string({sql}, '$')"
    match target.name:
        case "varchar":
            scalar = checked(f"{kind} NOT IN ('OBJECT', 'ARRAY')", text)
            return f"CASE WHEN {kind} <> 'NULL' THEN {scalar} END"
        case "boolean" | "tinyint" | "smallint" | "integer" | "bigint" | "double" | "real" | "decimal":
            number = f"round(CAST({text} AS DOUBLE))" if target.name in t.INTEGERS else text
            goal = storage(target)
            value = f"CASE WHEN {kind} = 'DOUBLE' THEN CAST({number} AS {goal}) ELSE CAST({text} AS {goal}) END"
            scalar = checked(f"{kind} NOT IN ('OBJECT', 'ARRAY')", value)
            return f"CASE WHEN {kind} <> 'NULL' THEN {scalar} END"
        case "json":
            return sql
        case "array":
            item = _fresh(sql)
            inner = from_json(item, target.element, checked)
            value = f"list_transform(CAST({sql} AS JSON[]), lambda {item}: {inner})"
            return f"CASE WHEN {kind} <> 'NULL' THEN {checked(f'{kind} = ' + literal('ARRAY'), value)} END"
        case "map" if target.args[0].name == "varchar":
            item = _fresh(sql)
            pair = f"struct_pack(k := {item}.key, v := {from_json(f'{item}.value', target.args[1], checked)})"
            entries = f"map_entries(from_json({sql}, '\"MAP(VARCHAR,JSON)\"'))"
            value = f"map_from_entries(list_transform({entries}, lambda {item}: {pair}))"
            return f"CASE WHEN {kind} <> 'NULL' THEN {checked(f'{kind} = ' + literal('OBJECT'), value)} END"
        case "row":
            members = f"from_json({sql}, '\"MAP(VARCHAR,JSON)\"')"
            parts = ", ".join(
                f"{quote(n)} := {from_json(f'{members}[{literal(n)}]', ft, checked)}" for n, ft in target.fields()
            )
            value = f"struct_pack({parts})"
            return f"CASE WHEN {kind} <> 'NULL' THEN {checked(f'{kind} = ' + literal('OBJECT'), value)} END"
    raise SqlError("TYPE_MISMATCH", f"Cannot cast json to {target}")


def text_of(sql: str, of: Type, *, exponent: bool = False) -> str:
    """The text of a value as Athena prints it in results.

    `exponent` gives the form of `CAST(double AS varchar)`, which Trino writes as `1.5E0`.
    """
    match of.name:
        case "varchar":
            return sql
        case "double" | "real":
            return f"athena_{'scientific' if exponent else 'java'}(CAST({sql} AS VARCHAR))"
        case "timestamp":
            return f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%g')"
        case "timestamp with time zone":
            shown = f"strftime(timezone({literal(of.zone)}, {sql}), '%Y-%m-%d %H:%M:%S.%g')"
            return f"{shown} || {literal(' ' + of.zone)}"
        case "time":
            return f"strftime(DATE '2000-01-01' + {sql}, '%H:%M:%S.%g')"
        case "varbinary":
            return f"trim(regexp_replace(lower(hex({sql})), '(..)', '\\1 ', 'g'))"
        case "interval day to second":
            sign = f"CASE WHEN {sql} < 0 THEN '-' ELSE '' END"
            clock = f"strftime(epoch_ms(abs({sql}) % 86400000), '%H:%M:%S.%g')"
            return f"{sign} || (abs({sql}) // 86400000) || ' ' || {clock}"
        case "interval year to month":
            return f"CASE WHEN {sql} < 0 THEN '-' ELSE '' END || (abs({sql}) // 12) || '-' || (abs({sql}) % 12)"
        case "array":
            item = _fresh(sql)
            inner = f"coalesce({text_of(item, of.element)}, 'null')"
            return f"'[' || array_to_string(list_transform({sql}, lambda {item}: {inner}), ', ') || ']'"
        case "map":
            item = _fresh(sql)
            key, value = text_of(f"{item}.key", of.args[0]), text_of(f"{item}.value", of.args[1])
            pair = f"{key} || '=' || coalesce({value}, 'null')"
            return f"'{{' || array_to_string(list_transform(map_entries({sql}), lambda {item}: {pair}), ', ') || '}}'"
        case "row":
            parts = " || ', ' || ".join(
                f"{literal(n + '=')} || coalesce({text_of(f'struct_extract({sql}, {literal(n)})', ft)}, 'null')"
                for n, ft in of.fields()
            )
            return f"CASE WHEN {sql} IS NOT NULL THEN '{{' || {parts} || '}}' END"
    return f"CAST({sql} AS VARCHAR)"


# Doubles as Java prints them (`Double.toString`: 1.0E7, 1.0E-4, else plain), from DuckDB's shortest digits; and as
# Trino casts them to varchar (`0.0E0` pattern of DecimalFormat).
MACROS = r"""
CREATE MACRO athena_digits(s) AS
    ltrim(replace(regexp_replace(lower(ltrim(s, '-')), 'e.*$', ''), '.', ''), '0');
CREATE MACRO athena_exponent(s) AS
    coalesce(try_cast(regexp_extract(lower(s), 'e([+-]?\d+)$', 1) AS INTEGER), 0) +
    CASE WHEN regexp_matches(ltrim(s, '-'), '^0\.') THEN -1 - length(regexp_extract(ltrim(s, '-'), '^0\.(0*)', 1))
         ELSE length(regexp_extract(ltrim(s, '-'), '^(\d+)', 1)) - 1 END;
CREATE MACRO athena_mantissa(d) AS
    d[1] || '.' || CASE WHEN rtrim(d[2:], '0') = '' THEN '0' ELSE rtrim(d[2:], '0') END;
CREATE MACRO athena_special(s) AS
    CASE lower(s) WHEN 'nan' THEN 'NaN' WHEN '-nan' THEN 'NaN'
                  WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' END;
CREATE MACRO athena_sign(s) AS CASE WHEN starts_with(s, '-') THEN '-' ELSE '' END;
CREATE MACRO athena_java(s) AS
    CASE WHEN athena_special(s) IS NOT NULL THEN athena_special(s)
         WHEN athena_digits(s) = '' THEN s
         WHEN athena_exponent(s) BETWEEN -3 AND 6 AND NOT contains(lower(s), 'e') THEN s
         ELSE athena_sign(s) || athena_mantissa(athena_digits(s)) || 'E' || athena_exponent(s) END;
CREATE MACRO athena_scientific(s) AS
    CASE WHEN athena_special(s) IS NOT NULL THEN athena_special(s)
         WHEN athena_digits(s) = '' THEN athena_sign(s) || '0E0'
         ELSE athena_sign(s) || athena_mantissa(athena_digits(s)) || 'E' || athena_exponent(s) END;
"""
