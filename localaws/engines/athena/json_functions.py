"""JSON functions: paths are constants of plain steps, malformed text is NULL."""

# ruff: noqa: ARG001 - all functions have one signature: (binder, arguments, node)

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.expressions import Expr, combine
from localaws.engines.athena.types import literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot import exp

    from localaws.engines.athena.calls import Calls

from localaws.engines.athena.operators import accept, constant, wrong


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
    return f"TRY_CAST({accept(argument, t.VARCHAR, name).sql} AS JSON)"


def _json_extract(*, scalar: bool) -> Callable[[Calls, list[Expr], exp.Expr], Expr]:
    name = "json_extract_scalar" if scalar else "json_extract"

    def make(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
        if len(arguments) != 2:
            raise wrong(name, arguments)
        value = _json_input(name, arguments[0])
        path = literal(_path(str(constant(name, arguments[1]))))
        if scalar:
            kind = f"json_type({value}, {path})"
            text = f"CASE WHEN {kind} NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string({value}, {path}) END"
        else:
            text = f"json_extract({value}, {path})"
        return combine(text, t.VARCHAR if scalar else t.JSON, arguments[0])

    return make


def _json_size(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise wrong("json_size", arguments)
    value = _json_input("json_size", arguments[0])
    part = f"json_extract({value}, {literal(_path(str(constant('json_size', arguments[1]))))})"
    sizes = f"WHEN 'ARRAY' THEN json_array_length({part}) WHEN 'OBJECT' THEN len(json_keys({part}))"
    text = f"CASE json_type({part}) {sizes} ELSE 0 END"
    return combine(f"CASE WHEN {part} IS NOT NULL THEN CAST({text} AS BIGINT) END", t.BIGINT, arguments[0])


def _json_array_get(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2:
        raise wrong("json_array_get", arguments)
    value = _json_input("json_array_get", arguments[0])
    at = accept(arguments[1], t.BIGINT, "json_array_get").sql
    position = f"CASE WHEN {at} < 0 THEN {at} ELSE {at} + 1 END"
    text = f"list_extract(CAST(json_extract({value}, '$') AS JSON[]), {position})"
    return combine(f"CASE WHEN json_type({value}) = 'ARRAY' THEN {text} END", t.JSON, *arguments)


def _json_array_contains(binder: Calls, arguments: list[Expr], node: exp.Expr) -> Expr:
    if len(arguments) != 2 or arguments[1].type.name not in ("varchar", "boolean", *t.INTEGERS, "double"):
        raise wrong("json_array_contains", arguments)
    value = _json_input("json_array_contains", arguments[0])
    wanted = f"CAST(to_json({arguments[1].sql}) AS VARCHAR)"
    items = f"list_transform(CAST(json_extract({value}, '$') AS JSON[]), lambda j_: CAST(j_ AS VARCHAR))"
    text = f"CASE WHEN json_type({value}) = 'ARRAY' THEN list_contains({items}, {wanted}) END"
    return combine(text, t.BOOLEAN, *arguments)


FUNCTIONS: dict[str, Callable[[Calls, list[Expr], exp.Expr], Expr]] = {
    "json_extract": _json_extract(scalar=False),
    "json_extract_scalar": _json_extract(scalar=True),
    "json_size": _json_size,
    "json_array_get": _json_array_get,
    "json_array_contains": _json_array_contains,
}
