"""Failures of a query, worded as Athena words them."""

from __future__ import annotations

import re


class SqlError(Exception):
    """The query fails: `code` is Trino's error name, such as COLUMN_NOT_FOUND.

    `where` is the 1-based (line, column) in the query's text, if known.
    """

    def __init__(self, code: str, message: str, where: tuple[int, int] | None = None) -> None:
        at = f"line {where[0]}:{where[1]}: " if where else ""
        super().__init__(f"{code}: {at}{message}")
        self.code = code
        self.message = at + message


class Cancelled(Exception):  # noqa: N818 - a state of the query, not a fault
    """The query was stopped; the text is its StateChangeReason."""


# Raised from inside DuckDB by `failure` in functions.py.
_MARKED = re.compile(r"⟦(\w+): (.*?)⟧", re.DOTALL)
_OVERFLOW = re.compile(r"Overflow in (\w+) of (\w+)(?: \(([^)]*)\))?")
_KIND = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint", "INT128": "decimal"}

# Trino's user errors; everything else is an internal fault of ours.
USER_ERRORS = frozenset({
    "SYNTAX_ERROR", "FUNCTION_NOT_FOUND", "COLUMN_NOT_FOUND", "TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "TYPE_MISMATCH",
})  # fmt: skip


def from_duckdb(error: Exception) -> SqlError:
    """Athena's wording of an error that DuckDB raised while it ran a compiled statement."""
    text = str(error)
    if marked := _MARKED.search(text):
        return SqlError(marked[1], marked[2])
    first = text.split("\n", 1)[0]
    if "Division by zero" in first:
        return SqlError("DIVISION_BY_ZERO", "Division by zero")
    if overflow := _OVERFLOW.search(text):
        kind = _KIND.get(overflow[2], overflow[2].lower())
        return SqlError("NUMERIC_VALUE_OUT_OF_RANGE", f"{kind} {overflow[1]} overflow: {overflow[3] or first}")
    if "More than one row returned by a subquery" in text:
        return SqlError("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
    if "Out of Memory" in text or "could not allocate" in text:
        return SqlError("EXCEEDED_LOCAL_MEMORY_LIMIT", f"Query exhausted resources at this scale factor. {first}")
    if "field value out of range" in first:
        return SqlError("INVALID_CAST_ARGUMENT", f"Value cannot be cast: {first.removeprefix('Conversion Error: ')}")
    if "out of range" in text or "Out of Range" in text or "Could not cast value" in text:
        return SqlError("NUMERIC_VALUE_OUT_OF_RANGE", first)
    if text.startswith("Conversion Error"):
        return SqlError("INVALID_CAST_ARGUMENT", first.removeprefix("Conversion Error: "))
    if text.startswith("Invalid Input Error"):
        return SqlError("INVALID_FUNCTION_ARGUMENT", first.removeprefix("Invalid Input Error: "))
    if text.startswith(("Binder Error", "Not implemented Error", "Parser Error", "Catalog Error")):
        return SqlError("NOT_SUPPORTED", f"This engine cannot run the statement: {first}")
    return SqlError("GENERIC_INTERNAL_ERROR", first)
