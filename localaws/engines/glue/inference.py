"""What is in a file: its format and its columns, from a bounded sample, as Glue's built-in classifiers decide.

A file is never read whole: JSON from at most `WINDOWS` windows of `WINDOW` bytes, CSV from its start, Parquet from its
footer. Types are Hive's: JSON gives boolean, int, bigint, double, string, array<…>, struct<…>; unlike kinds meet in
string.
"""

from __future__ import annotations

import csv
import re
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from localaws.home import Document

WINDOW = 1 << 20
WINDOWS = 16
SAMPLE = WINDOW * WINDOWS
CSV_ROWS = 1_000
# A struct with more fields than this holds data in its keys; Athena could not read its type either.
MAX_FIELDS = 1_000
UNSAFE_NAME = re.compile(r"[^\w\-.$@ /]")


@dataclass
class Array:
    """`array<element>`; an element of None has not been seen yet."""

    element: Kind = None


@dataclass
class Struct:
    """`struct<…>`, or the columns of a table."""

    fields: dict[str, Kind] = field(default_factory=dict)


Kind: TypeAlias = "str | Array | Struct | None"


class Unreadable(Exception):  # noqa: N818 - it is a verdict on a file, not a fault
    """Why a file cannot be part of a table."""


@dataclass
class Sample:
    """What was found in files of one format. `serde` holds the CSV details; `problems` what was skipped inside a
    file.
    """

    classification: str
    columns: Struct
    compression: str = "none"
    serde: tuple[tuple[str, str], ...] = ()
    problems: list[str] = field(default_factory=list)


_ORDER = {"int": 0, "bigint": 1, "double": 2}


def merge_scalar(left: Kind, right: str) -> Kind:
    """Int < bigint < double; anything else that differs is a string."""
    if left is None or left == right:
        return right
    if isinstance(left, str) and left in _ORDER and right in _ORDER:
        return left if _ORDER[left] >= _ORDER[right] else right
    return "string"


def merge(left: Kind, right: Kind) -> Kind:
    """The type that holds both."""
    if left is None:
        return right
    if right is None:
        return left
    if isinstance(left, Struct) and isinstance(right, Struct):
        fields = dict(left.fields)
        for name, kind in right.fields.items():
            fields[name] = merge(fields.get(name), kind)
        return Struct(fields)
    if isinstance(left, Array) and isinstance(right, Array):
        return Array(merge(left.element, right.element))
    return merge_scalar(left, right) if isinstance(left, str) and isinstance(right, str) else "string"


def absorb(kind: Kind, value: Any) -> Kind:
    """The type that holds what `kind` holds and a JSON value. Structs and arrays are extended in place."""
    if value is None:
        return kind
    if isinstance(value, dict):
        if kind is None:
            kind = Struct()
        if not isinstance(kind, Struct):
            return "string"
        fields = kind.fields
        for name, item in value.items():
            lowered = name.lower()
            fields[lowered] = absorb(fields.get(lowered), item)
        return kind
    if isinstance(value, list):
        if kind is None:
            kind = Array()
        if not isinstance(kind, Array):
            return "string"
        for item in value:
            kind.element = absorb(kind.element, item)
        return kind
    if isinstance(kind, (Array, Struct)):
        return "string"
    if isinstance(value, bool):
        return merge_scalar(kind, "boolean")
    if isinstance(value, int):
        size = "int" if -(1 << 31) <= value < 1 << 31 else "bigint" if -(1 << 63) <= value < 1 << 63 else "double"
        return merge_scalar(kind, size)
    return merge_scalar(kind, "double" if isinstance(value, float) else "string")


def hive_type(kind: Kind) -> str:
    """The type's text. Where nothing was seen, the choice is one that reads anything: null is a string, `{}` is a
    `map<string,string>` (Glue writes `struct<>`, which Athena refuses), and so is a struct whose keys are data.
    """
    if kind is None:
        return "string"
    if isinstance(kind, str):
        return kind
    if isinstance(kind, Array):
        return f"array<{hive_type(kind.element)}>"
    if not kind.fields:
        return "map<string,string>"
    if len(kind.fields) > MAX_FIELDS or any(UNSAFE_NAME.search(name) or not name for name in kind.fields):
        value: Kind = None
        for inner in kind.fields.values():
            value = merge(value, inner)
        return f"map<string,{hive_type(value)}>"
    return f"struct<{','.join(f'{name}:{hive_type(inner)}' for name, inner in kind.fields.items())}>"


def columns_of(struct: Struct) -> list[Document]:
    """Glue's `Columns`."""
    return [{"Name": name, "Type": hive_type(kind)} for name, kind in struct.fields.items()]


# -- reading samples -----------------------------------------------------------------------------------------------


def sample_file(path: Path, classifiers: Sequence[Document] = ()) -> Sample:
    """Classifies one file.

    Args:
        path: the body.
        classifiers: custom CSV and JSON classifiers, tried first.

    Raises:
        Unreadable: it is empty, binary, truncated or of no known format; the message says which.
        FileNotFoundError: it was deleted meanwhile.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("it is empty")
    with path.open("rb") as file:
        magic = file.read(4)
        if magic == b"PAR1":
            return _parquet(path)
        compression = "gzip" if magic[:2] == b"\x1f\x8b" else "bzip2" if magic[:3] == b"BZh" else "none"
        if compression == "bzip2":
            raise Unreadable("bzip2 is not read: recompress with gzip")
        file.seek(0)
        head, complete = (_gunzip(file), False) if compression == "gzip" else (file.read(SAMPLE), size <= SAMPLE)
        if compression == "gzip":
            head, complete = head[:SAMPLE], len(head) <= SAMPLE
        windows = [] if complete or compression == "gzip" else _windows(file, size)
    if b"\x00" in head[:4096]:
        raise Unreadable("it is binary data of no known format")
    head = head.removeprefix(b"\xef\xbb\xbf")
    found = _text(head, windows, complete=complete, classifiers=classifiers)
    found.compression = compression
    return found


def _gunzip(file: IO[bytes]) -> bytes:
    """At most one byte more than a sample, so that the caller sees whether there is more."""
    inflate, out = zlib.decompressobj(wbits=31), bytearray()
    try:
        while len(out) <= SAMPLE and (chunk := file.read(1 << 16)):
            out += inflate.decompress(chunk, SAMPLE + 1 - len(out))
            while inflate.unconsumed_tail and len(out) <= SAMPLE:
                out += inflate.decompress(inflate.unconsumed_tail, SAMPLE + 1 - len(out))
    except zlib.error as problem:
        raise Unreadable(f"it is broken gzip: {problem}") from None
    if len(out) <= SAMPLE and not inflate.eof:
        raise Unreadable("it is truncated gzip")
    return bytes(out)


def _windows(file: IO[bytes], size: int) -> list[bytes]:
    """Whole lines from places spread over a large file, so that fields which appear late are seen."""
    found = []
    for at in range(1, WINDOWS + 1):
        file.seek(max(SAMPLE, min(size * at // WINDOWS, size) - WINDOW))
        _, _, lines = file.read(WINDOW).partition(b"\n")
        found.append(lines if at == WINDOWS else lines.rpartition(b"\n")[0])
    return found


def _parquet(path: Path) -> Sample:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as problem:
        raise Unreadable(f"its Parquet footer cannot be read: {problem}") from None
    try:
        return Sample("parquet", Struct({entry.name.lower(): _arrow_kind(entry.type) for entry in schema}))
    except pa.ArrowNotImplementedError as problem:
        raise Unreadable(str(problem)) from None


def _arrow_kind(kind: pa.DataType) -> Kind:
    if pa.types.is_struct(kind):
        return Struct({kind.field(i).name.lower(): _arrow_kind(kind.field(i).type) for i in range(kind.num_fields)})
    if pa.types.is_map(kind):
        return f"map<{hive_type(_arrow_kind(kind.key_type))},{hive_type(_arrow_kind(kind.item_type))}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return Array(_arrow_kind(kind.value_type))
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_dictionary(kind):
        return _arrow_kind(kind.value_type)
    names = {
        "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
        "uint8": "smallint",
        "uint16": "int", "uint32": "bigint", "uint64": "decimal(20,0)", "float": "float", "double": "double",
        "halffloat": "float",
        "string": "string", "large_string": "string", "binary": "binary", "large_binary": "binary",
        "date32[day]": "date", "null": "string",
    }  # fmt: skip
    if str(kind) not in names:
        raise pa.ArrowNotImplementedError(f"the Parquet type {kind} has no Hive type")
    return names[str(kind)]


def _text(head: bytes, windows: list[bytes], *, complete: bool, classifiers: Sequence[Document]) -> Sample:
    for classifier in classifiers:
        if "CsvClassifier" in classifier:
            found = _csv(head, complete=complete, classifier=classifier["CsvClassifier"])
            if found is not None:
                return found
        elif "JsonClassifier" in classifier:
            return _json(head, windows, complete=complete, path=classifier["JsonClassifier"]["JsonPath"])
    if head.lstrip()[:1] in (b"{", b"["):
        return _json(head, windows, complete=complete, path="$")
    found = _csv(head, complete=complete, classifier={})
    if found is None:
        raise Unreadable("it is neither JSON, CSV nor Parquet")
    return found


# -- JSON ----------------------------------------------------------------------------------------------------------


def _json(head: bytes, windows: list[bytes], *, complete: bool, path: str) -> Sample:
    """One document (also pretty-printed), or a document per line. A top-level array is a column named `array`."""
    rows = Struct()
    problems: list[str] = []
    if complete:
        try:
            document = orjson.loads(head)
        except orjson.JSONDecodeError as problem:
            reason = str(problem)
        else:
            _absorb_document(rows, document, path)
            return Sample("json", rows, problems=problems)
    else:
        reason = "it is larger than a sample"
    lines = [line for line in head.split(b"\n") if line.strip()]
    if not complete and len(lines) > 1:
        lines.pop()  # cut by the sample
    good = 0
    for line in [*lines, *(line for window in windows for line in window.split(b"\n") if line.strip())]:
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            problems.append(str(problem))
            continue
        if isinstance(document, (dict, list)):
            good += 1
            _absorb_document(rows, document, path)
        else:
            problems.append(f"a line holds {str(document)[:40]!r}, not an object")
    if good and good >= len(problems):
        shown = [f"{len(problems)} lines are not JSON, the first: {problems[0]}"] if problems else []
        return Sample("json", rows, problems=shown)
    if not complete:
        try:
            _absorb_document(rows, orjson.loads(close_document(head)), path)
        except (orjson.JSONDecodeError, ValueError):
            raise Unreadable("its first megabytes are not JSON") from None
        return Sample("json", rows)
    raise Unreadable(f"it is not valid JSON: {reason}")


def _absorb_document(rows: Struct, document: Any, path: str) -> None:
    for record in _json_path(document, path):
        if isinstance(record, dict):
            absorb(rows, record)
        elif isinstance(record, list):
            rows.fields["array"] = absorb(rows.fields.get("array"), record)


def _json_path(document: Any, path: str) -> Iterable[Any]:
    """`$`, `$[*]`, `$.a.b`, `$.a[*]`: what a JSON classifier can name as the record."""
    found = [document]
    for step in re.findall(r"\.([\w\-]+)|\[['\"]([^'\"]+)['\"]\]|(\[\*\])", path):
        name = step[0] or step[1]
        if name:
            found = [item[name] for item in found if isinstance(item, dict) and name in item]
        else:
            found = [element for item in found if isinstance(item, list) for element in item]
    return found


def close_document(prefix: bytes) -> bytes:
    """The start of a JSON document, cut after its last whole value and closed.

    Raises:
        ValueError: no value is whole.
    """
    open_brackets: list[int] = []
    cut, closers = -1, b""
    in_string = escaped = False
    for at, byte in enumerate(prefix):
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            open_brackets.append(0x7D if byte == 0x7B else 0x5D)
        elif byte in b"}]":
            open_brackets.pop()
            cut, closers = at + 1, bytes(reversed(open_brackets))
        elif byte == 0x2C:
            cut, closers = at, bytes(reversed(open_brackets))
    if cut < 0:
        raise ValueError("no value is whole")
    return prefix[:cut] + closers


# -- CSV -----------------------------------------------------------------------------------------------------------

DELIMITERS = (",", "|", "\t", ";", "\x01")


def _csv(head: bytes, *, complete: bool, classifier: Document) -> Sample | None:
    """Delimiter, header and types. At least two columns and two rows, all rows of one width, as Glue's CSV
    classifier.
    """
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as problem:
        if complete or problem.start < len(head) - 4:
            return None
        text = head[: problem.start].decode("utf-8")
    lines = text.splitlines(keepends=True)
    if not complete and len(lines) > 1:
        lines.pop()
    quote = classifier.get("QuoteSymbol") or '"'
    for delimiter in [classifier["Delimiter"]] if classifier.get("Delimiter") else DELIMITERS:
        rows: list[list[str]] = []
        try:
            for row in csv.reader(lines, delimiter=delimiter, quotechar=quote):
                if row:
                    rows.append(row)
                if len(rows) >= CSV_ROWS:
                    break
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        alone = bool(classifier.get("AllowSingleColumn")) or bool(classifier.get("Header"))
        if (
            (width >= 2 or (alone and width))
            and (len(rows) >= 2 or classifier)
            and all(len(row) == width for row in rows)
        ):
            quoted = f"{quote}" in "".join(lines[:CSV_ROWS])
            return _csv_sample(
                rows, delimiter, quote, quoted=quoted or bool(classifier.get("QuoteSymbol")), classifier=classifier
            )
    return None


def _csv_sample(rows: list[list[str]], delimiter: str, quote: str, *, quoted: bool, classifier: Document) -> Sample:
    presence = classifier.get("ContainsHeader", "UNKNOWN")
    header = presence == "PRESENT" or (presence == "UNKNOWN" and _is_header(rows))
    names = list(classifier.get("Header") or (rows[0] if header else [f"col{at}" for at in range(len(rows[0]))]))
    body = rows[1:] if header else rows
    columns = Struct()
    for at, raw in enumerate(names):
        name = (raw.strip() or f"col{at}").lower()
        while name in columns.fields:
            name += "_"
        kinds = {_csv_kind(row[at]) for row in body if row[at].strip()}
        blank = any(not row[at].strip() for row in body)
        kind = kinds.pop() if len(kinds) == 1 else "double" if kinds == {"bigint", "double"} else "string"
        # OpenCSVSerDe cannot read an empty cell as a number.
        columns.fields[name] = "string" if quoted and blank else kind
    serde: dict[str, str] = {"delimiter": delimiter}
    if header:
        serde["header"] = "1"
    if quoted:
        serde["quote"] = quote
    return Sample("csv", columns, serde=tuple(sorted(serde.items())))


def _csv_kind(cell: str) -> str:
    cell = cell.strip()
    if re.fullmatch(r"[+-]?\d{1,18}", cell):
        return "bigint"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell):
        return "double"
    return "string"


def _is_header(rows: list[list[str]]) -> bool:
    """Glue's rule: every cell of the first row is text, short and a possible name (the last may be empty), and some
    column below it is no text.
    """
    first = rows[0]
    named = all(cell.strip() or at == len(first) - 1 for at, cell in enumerate(first))
    texts = all(
        _csv_kind(cell) == "string" and len(cell) <= 150 and re.search(r"\w", cell) for cell in first if cell.strip()
    )
    distinct = len({cell.strip().lower() for cell in first}) == len(first)
    numeric = any(
        all(_csv_kind(row[at]) != "string" for row in rows[1:] if row[at].strip())
        and any(row[at].strip() for row in rows[1:])
        for at in range(len(first))
    )
    return named and texts and distinct and numeric
