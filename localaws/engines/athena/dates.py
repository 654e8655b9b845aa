"""Date and time functions whose unit, format or zone is a constant of the statement."""

# ruff: noqa: ARG001 - all functions have one signature: (binder, arguments, node)

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localaws.engines.athena import expressions as ex
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot import exp

    from localaws.engines.athena.calls import Calls

from localaws.engines.athena.operators import DATES, accept, at_timezone, constant, wrong

_MILLIS = {
    "millisecond": 1,
    "second": 1000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _date(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise wrong("date", arguments)
    return ex.cast(arguments[0], t.DATE, safe=False, failures=binder.failures)


def _date_trunc(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[1].type.name not in DATES:
        raise wrong("date_trunc", arguments)
    unit, value = str(constant("date_trunc", arguments[0])).lower(), arguments[1]
    allowed = [*_MONTHS, "week", "day"] if value.type.name == "date" else [*_MONTHS, *_MILLIS]
    if unit not in allowed:
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {value.type.name.upper()} field")
    return combine(ex.at_zone(f"date_trunc('{unit}', {ex.local(value)})", value.type), value.type, value)


def _date_add(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 3 or arguments[2].type.name not in DATES:
        raise wrong("date_add", arguments)
    unit, amount, value = (
        str(constant("date_add", arguments[0])).lower(),
        accept(arguments[1], t.BIGINT, "date_add"),
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


def _date_diff(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Whole units between two times (Trino), not boundaries crossed (DuckDB's date_diff)."""
    of = t.common_type(arguments[1].type, arguments[2].type) if len(arguments) == 3 else None
    if of is None or of.name not in DATES:
        raise wrong("date_diff", arguments)
    unit = str(constant("date_diff", arguments[0])).lower()
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


def _date_format(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in DATES:
        raise wrong("date_format", arguments)
    pattern = _mysql(str(constant("date_format", arguments[1])))
    return combine(f"strftime({ex.local(arguments[0])}, {literal(pattern)})", t.VARCHAR, arguments[0])


def _date_parse(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise wrong("date_parse", arguments)
    text, pattern = accept(arguments[0], t.VARCHAR, "date_parse"), _mysql(str(constant("date_parse", arguments[1])))
    pattern = pattern.replace("%-", "%")
    made = _parsed(binder, text.sql, pattern, str(arguments[1].value))
    return combine(ex.millis(made), t.TIMESTAMP, text)


def _parsed(binder: Calls, text: str, pattern: str, shown: str) -> str:
    parsed = f"try_strptime({text}, {literal(pattern)})"
    message = f"'Invalid format: \"' || {text} || '\" is malformed for {shown.replace(chr(39), chr(39) * 2)}'"
    return binder.failures.unless(
        f"{text} IS NULL OR {parsed} IS NOT NULL", parsed, "INVALID_FUNCTION_ARGUMENT", message
    )


def _format_datetime(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[0].type.name not in DATES:
        raise wrong("format_datetime", arguments)
    pattern, zoned = _joda(str(constant("format_datetime", arguments[1])))
    if zoned:
        raise SqlError("NOT_SUPPORTED", "format_datetime with a zone is not supported by this engine")
    return combine(f"strftime({ex.local(arguments[0])}, {literal(pattern)})", t.VARCHAR, arguments[0])


def _parse_datetime(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise wrong("parse_datetime", arguments)
    text = accept(arguments[0], t.VARCHAR, "parse_datetime")
    pattern, zoned = _joda(str(constant("parse_datetime", arguments[1])))
    if zoned:
        raise SqlError("NOT_SUPPORTED", "parse_datetime with a zone is not supported by this engine")
    made = _parsed(binder, text.sql, pattern.replace("%-", "%"), str(arguments[1].value))
    return combine(f"timezone('UTC', {ex.millis(made)})", t.TIMESTAMP_TZ, text)


def _from_iso8601_timestamp(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    """Trino keeps the text's own zone; here only UTC can be shown, so another offset fails instead of being shifted."""
    if len(arguments) != 1:
        raise wrong("from_iso8601_timestamp", arguments)
    text = accept(arguments[0], t.VARCHAR, "from_iso8601_timestamp").sql
    clock = r"[0-9]{2}(:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?)?"
    form = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(T({clock})?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?"
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


def _from_iso8601_date(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 1:
        raise wrong("from_iso8601_date", arguments)
    text = accept(arguments[0], t.VARCHAR, "from_iso8601_date").sql
    made = binder.failures.unless(
        f"regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')",
        f"CAST({text} AS DATE)",
        "INVALID_FUNCTION_ARGUMENT",
        f"'Invalid format: \"' || {text} || '\"'",
    )  # fmt: skip
    return combine(made, t.DATE, arguments[0])


def _to_iso8601(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    value = arguments[0] if len(arguments) == 1 else None
    if value is None or value.type.name not in DATES:
        raise wrong("to_iso8601", arguments)
    if value.type.name == "date":
        return combine(f"strftime({value.sql}, '%Y-%m-%d')", t.VARCHAR, value)
    if value.type.zone != "UTC":
        raise SqlError("NOT_SUPPORTED", f"to_iso8601 in zone {value.type.zone} is not supported by this engine")
    suffix = "Z" if value.type.name == "timestamp with time zone" else ""
    return combine(f"strftime({ex.local(value)}, '%Y-%m-%dT%H:%M:%S.%g{suffix}')", t.VARCHAR, value)


def _from_unixtime(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) not in (1, 2):
        raise wrong("from_unixtime", arguments)
    seconds = accept(arguments[0], t.DOUBLE, "from_unixtime")
    made = combine(f"timezone('UTC', epoch_ms(CAST(round({seconds.sql} * 1000) AS BIGINT)))", t.TIMESTAMP_TZ, seconds)
    return made if len(arguments) == 1 else at_timezone(made, arguments[1])


FUNCTIONS: dict[str, Callable[[Calls, list[Expr], exp.Expr], Expr]] = {
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
    "at_timezone": lambda _binder, arguments, _node: at_timezone(*arguments),
}
