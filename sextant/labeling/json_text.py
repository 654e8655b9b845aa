"""JSON as orjson reads and writes it, with orjson or without: on AWS Glue it is there only if a wheel is given.

`slow_loads` and `slow_dumps` are the standard library's, made equal to orjson: what one refuses the other refuses, and
both write the same text. They differ in how deep an unkept member may nest before the whole text is refused: 1,024
levels with orjson, what Python's recursion limit leaves (about 900) without.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 254
"""Levels of nesting that can be written."""

UNUSABLE = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What input that is valid JSON may still raise: nested too deep to be written again, a number out of range."""

# What needs a second look: an exponent or integer that may leave the range of a double or of 64 bits, a surrogate.
_RARE = re.compile(r"[eE]\+?\d{3}|\d{19}|\\u[dD][89a-fA-F]")
# A string, which is kept as it is, or a number that Python writes unlike orjson: 1e-05 is 0.00001, 1e-06 is 1e-6.
_SMALL = re.compile(r'"(?:[^"\\]|\\.)*"|(-?)(\d)(?:\.(\d+))?e-0(\d)')


def slow_loads(body: bytes | str) -> Any:
    """The document of a JSON text in UTF-8.

    Raises:
        ValueError: it is no JSON, or holds a number over the range of a double or half a surrogate pair.
        RecursionError: it is nested too deep.
    """
    text = body if isinstance(body, str) else str(body, "utf-8")
    if not _RARE.search(text):
        return json.loads(text, parse_constant=_refuse)
    document = json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no UTF-8
    return document


def slow_dumps(document: Any) -> str:
    """The document as compact JSON.

    Raises:
        TypeError: it is nested deeper than `DEEPEST`.
        RecursionError: it is nested so deep that it cannot even be looked at.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    if text.count("[") + text.count("{") > DEEPEST and _depth(document) > DEEPEST:
        raise TypeError("Recursion limit reached")
    return _SMALL.sub(_small, text) if "e-0" in text else text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _whole(text: str) -> int | float:
    """An integer of 64 bits, with or without a sign, or a double."""
    number = int(text) if len(text) <= 20 else 2**64
    return number if -(2**63) <= number < 2**64 else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("number is infinity when parsed as double")
    return number


def _small(found: re.Match[str]) -> str:
    sign, first, rest, exponent = found.groups()
    if first is None:
        return found[0]
    if exponent == "5":
        return f"{sign}0.0000{first}{rest or ''}"
    return f"{sign}{first}{f'.{rest}' if rest else ''}e-{exponent}"


def _depth(document: Any) -> int:
    depth = -1
    level: list[Any] = [document]
    while level:
        depth += 1
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner
    return depth


loads: Callable[[bytes | str], Any]
encoded: Callable[[Any], bytes]

try:
    import orjson

    loads = orjson.loads
    encoded = orjson.dumps

    def dumps(document: Any) -> str:
        """The document as compact JSON; TypeError when it is nested deeper than `DEEPEST`."""
        return orjson.dumps(document).decode()

except ImportError:
    loads = slow_loads
    dumps = slow_dumps

    def encoded(document: Any) -> bytes:
        """The document as compact JSON in UTF-8."""
        return slow_dumps(document).encode()
