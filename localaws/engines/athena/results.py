"""Query results as Athena stores and returns them.

`<id>.csv` quotes every value; NULL is nothing between the commas, an empty string is `""`. DDL and SHOW write
`<id>.txt`, one line a row. Beside either stands `.metadata`: AWS keeps an undocumented binary there for its own use;
ours is the ResultSetMetadata and the update count as JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localaws.engines.athena.types import Type
    from localaws.home import Document

_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "date": 0, "boolean": 0}
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|)(,|\r?\n|\Z)')


def column_info(name: str, of: Type) -> Document:
    """ColumnInfo of a result column: Athena's type name, precision and scale."""
    precision, scale = _DIGITS.get(of.name, 0), 0
    if of.name == "varchar":
        precision = of.precision if of.precision is not None else 2147483647
    elif of.name == "decimal":
        precision, scale = of.precision or 0, of.scale or 0
    elif of.name.startswith("timestamp"):
        precision = 3
    elif of.name == "varbinary":
        precision = 1073741824
    kind = {"real": "float"}.get(of.name, of.name)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": of.name == "varchar",
    }


def text_column(name: str) -> Document:
    """ColumnInfo of a column of SHOW and DESCRIBE."""
    return {
        "CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": "string",
        "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": False,
    }  # fmt: skip


def encode_csv(rows: Sequence[Sequence[str | None]]) -> str:
    """Rows as Athena's CSV."""
    return "".join(
        ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows
    )


def decode_csv(text: str, start: int = 0) -> Iterator[tuple[list[str | None], int]]:
    """Rows of Athena's CSV from a character offset on, each with the offset where the next row starts."""
    at = start
    while at < len(text):
        row: list[str | None] = []
        while True:
            found = _CELL.match(text, at)
            assert found, f"not Athena's CSV at offset {at}"
            row.append(None if found[1] is None else found[1].replace('""', '"'))
            at = found.end()
            if found[2] != ",":
                break
        yield row, at


def page(rows: Sequence[Sequence[str | None]]) -> list[Document]:
    """Rows as GetQueryResults shows them: NULL is a Datum without VarCharValue."""
    return [{"Data": [_datum(cell) for cell in row]} for row in rows]


def _datum(cell: str | None) -> dict[str, Any]:
    return {} if cell is None else {"VarCharValue": cell}
