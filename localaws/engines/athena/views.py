"""Views as Athena keeps them in the Glue Data Catalog.

A view is a table of type VIRTUAL_VIEW whose ViewOriginalText is `/* Presto View: <base64 of JSON> */`; the JSON is
Trino's `ViewDefinition` (originalSql, catalog, schema, columns with Trino type names). CloudFormation templates write
the same form. Its StorageDescriptor must have a SerdeInfo, which may be empty: without one Athena cannot read the view.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.model import CATALOG, View, sql_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localaws.engines.athena.types import Type
    from localaws.home import Document


def encode(sql: str, database: str, columns: Sequence[tuple[str, Type]]) -> str:
    """The ViewOriginalText of a view."""
    definition: Document = {
        "originalSql": sql,
        "catalog": CATALOG,
        "schema": database,
        "columns": [{"name": name, "type": str(of)} for name, of in columns],
        "runAsInvoker": False,
        "properties": {},
    }
    return f"/* Presto View: {base64.b64encode(json.dumps(definition).encode()).decode()} */"


def decode(text: str, database: str) -> View:
    """The view that a ViewOriginalText holds; `database` is where the table lies, for views that name no schema.

    Raises:
        SqlError: INVALID_VIEW tells what is wrong with the text.
    """
    found = re.fullmatch(r"\s*/\* Presto View: ([A-Za-z0-9+/=\s]*) \*/\s*", text or "")
    if not found:
        raise SqlError("INVALID_VIEW", "ViewOriginalText is not of the form '/* Presto View: <base64> */'")
    try:
        definition = json.loads(base64.b64decode(found[1], validate=False))
        columns = tuple((c["name"].lower(), parse_type(c["type"])) for c in definition["columns"])
        return View(definition["originalSql"], (definition.get("schema") or database).lower(), columns)
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise SqlError("INVALID_VIEW", f"The view's definition cannot be read: {error!r}") from error


def parse_type(text: str) -> Type:
    """A Trino type name, such as `row("a" bigint, b array(varchar))`."""
    simple = {
        "interval day to second": t.DAY_INTERVAL,
        "interval year to month": t.MONTH_INTERVAL,
        "unknown": t.UNKNOWN,
    }
    if text.lower() in simple:
        return simple[text.lower()]
    try:
        return sql_type(exp.DataType.build(text, dialect="trino"))
    except SqlglotError as error:
        raise ValueError(f"unknown type {text!r}") from error


def table_input(name: str, sql: str, database: str, columns: Sequence[tuple[str, Type]]) -> Document:
    """The Glue TableInput of a view."""
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": _shown(of)} for n, of in columns],
            "Location": "",
            "SerdeInfo": {},
        },
        "ViewOriginalText": encode(sql, database, columns),
        "ViewExpandedText": "/* Presto View */",
    }


def _shown(of: Type) -> str:
    """The catalog's column type; types Hive lacks are shown as strings, as Athena does."""
    try:
        return t.hive_name(of)
    except SqlError:
        return "timestamp" if of.name == "timestamp with time zone" else "string"
