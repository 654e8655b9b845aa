"""slides.csv and the files beside it: which row means which slide, and what is wrong with the rest.

The table comes from spreadsheets and from several hands: with a byte order mark, CRLF, semicolons or tabs, quotes,
blank lines, and its header again in the middle. Nothing in it stops the cohort but a table that is none.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sextant import storage
from sextant.container import InputError
from sextant.slides.cohort_headers import EXTENSIONS, check_header
from sextant.slides.companions import companions
from sextant.slides.errors import SlideError
from sextant.slides.plan import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = ("slide", "patient", "label")
KEY_COLUMNS = ("key", "file")
READERS = 16
"""Headers read at a time."""

_NAME = re.compile(r"[^\W_][\w .,()+=@-]*")
"""What a slide may be called: its name is part of object keys and file names."""
_LONGEST_NAME = 180  # bytes: with an extension it must fit a file name
_BLOCK = 1 << 16
"""Bytes of a header that come over at once."""


@dataclass(frozen=True)
class Row:
    """A row of slides.csv; `key` is the slide's, relative to the slides' folder, empty where the table has none."""

    slide: str
    patient: str
    label: str
    key: str = ""
    size: int = 0


@dataclass(frozen=True)
class Cohort:
    """Slides that can be planned, in the order of their names, and what is to be told about the others."""

    rows: tuple[Row, ...]
    quarantined: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def read_table(body: bytes, name: str = "slides.csv") -> list[Row]:
    """The rows of slides.csv with the columns slide, patient, label and, as one likes, key (or file).

    A slide may be told with its folder and its extension: then that is its key. Further columns are ignored.

    Raises:
        InputError: it is no UTF-8 text, lacks a column, or has no row.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 (byte {error.start}): save it as 'CSV UTF-8'") from None
    if "\0" in text:
        raise InputError(f"{name} holds zero bytes, so it is no text: save it as 'CSV UTF-8'")
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    lines = [
        [field.strip() for field in fields]
        for fields in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        if any(field.strip() for field in fields)
    ]
    header = [field.lower() for field in lines[0]] if lines else []
    missing = [each for each in COLUMNS if header.count(each) != 1]
    if missing:
        raise InputError(
            f"{name} needs each of the columns {', '.join(COLUMNS)} once in its first line, which is {first[:200]!r}"
        )
    at = [header.index(each) for each in COLUMNS]
    key_at = next((header.index(each) for each in KEY_COLUMNS if each in header), None)
    rows = [
        _row([_field(fields, column) for column in at], "" if key_at is None else _field(fields, key_at))
        for fields in lines[1:]
        if [field.lower() for field in fields] != header
    ]
    if not rows:
        raise InputError(f"{name} has no row below its header: add a line for every slide")
    return rows


def _field(fields: Sequence[str], column: int) -> str:
    return fields[column] if column < len(fields) else ""


def _row(values: Sequence[str], key: str) -> Row:
    slide, patient, label = values
    name = slide.replace("\\", "/")
    if not key and ("/" in name or name != slide_name(name)):
        key = name
    return Row(slide_name(name), patient, label, key.replace("\\", "/").removeprefix("./"))


def slide_name(key: str) -> str:
    """What a slide is called: its file's name without the extension of a slide format."""
    name = key.rpartition("/")[2]
    ending = next((each for each in EXTENSIONS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


def is_name(slide: str) -> bool:
    """Whether a slide may be called so."""
    return bool(_NAME.fullmatch(slide)) and len(slide.encode()) <= _LONGEST_NAME


def gather(rows: Sequence[Row], slides: str, *, ignored: str = "") -> Cohort:
    """Finds the rows' files below `slides` and looks into each header.

    Quarantined are: a row without slide, patient or label; a slide with several patients, labels or files; a slide
    whose file is missing or ambiguous, is no slide or ends too early; and slides of the same content under several
    names: all of them where their patients or labels differ, else all but the first. Told, but of no consequence, are
    rows that come twice, and files of slides that no row names.

    Equal content is told by size and, where several have one size, SHA-256: of slides of several files by that of their
    largest, so that two rows that name two files of one slide are found, too.

    Args:
        rows: of the table, in any order.
        slides: URI of the folder; files of subfolders count.
        ignored: URI of the table itself, which may lie there.

    Raises:
        InputError: there is no such folder.
    """
    try:
        files = [each for each in storage.entries(slides) if storage.joined(slides, each.key) != ignored]
    except FileNotFoundError as error:
        raise InputError(str(error)) from None
    findings = _Findings()
    single = _one_row_per_slide(rows, findings)
    located = _located(single, files, findings)
    with ThreadPoolExecutor(READERS) as pool:
        checked = list(pool.map(partial(_checked, slides, files), located))
    sound = []
    used = {row.key for row in located}
    largest: dict[str, str] = {}
    for row, found in zip(located, checked, strict=True):
        if isinstance(found, SlideError):
            findings.quarantine(row, found.reason, found.detail)
        else:
            sound.append(replace(row, size=row.size + sum(each.size for each in found)))
            used.update(each.key for each in found)
            largest[row.slide] = max([(row.size, row.key), *((each.size, each.key) for each in found)])[1]
    kept = _without_copies(sound, largest, slides, findings)
    _tell_unnamed(rows, files, used, findings)
    in_order = sorted(findings.quarantined.values(), key=lambda each: each.slide)
    return Cohort(tuple(kept), tuple(in_order), tuple(findings.notes))


class _Findings:
    """What was found so far; a slide is quarantined once, for the first reason."""

    def __init__(self) -> None:
        self.quarantined: dict[str, Finding] = {}
        self.notes: list[Finding] = []

    def quarantine(self, row: Row, reason: str, detail: str) -> None:
        finding = Finding(slide=row.slide, key=row.key, reason=reason, detail=detail)
        self.quarantined.setdefault(row.slide, finding)

    def note(self, slide: str, key: str, reason: str, detail: str) -> None:
        self.notes.append(Finding(slide=slide, key=key, reason=reason, detail=detail))


def _one_row_per_slide(rows: Iterable[Row], findings: _Findings) -> list[Row]:
    by_slide: defaultdict[str, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        if not row.slide:
            named = replace(row, slide=f"row-{number}")
            findings.quarantine(named, "incomplete row", f"row {number} of the table names no slide: add it")
        else:
            by_slide[row.slide].append(row)
    found = []
    for slide, same in sorted(by_slide.items()):
        row = next((each for each in same if each.key), same[0])
        fault = _row_fault(same)
        if fault:
            findings.quarantine(row, *fault)
            continue
        if len(same) > 1:
            findings.note(slide, row.key, "duplicate row", f"{len(same)} equal rows: it counts once")
        found.append(row)
    return found


def _row_fault(same: Sequence[Row]) -> tuple[str, str] | None:
    """What is wrong with the rows of one slide: reason and detail."""
    row = same[0]
    for column in ("patient", "label"):
        values = sorted({getattr(each, column) for each in same})
        if "" in values:
            return "incomplete row", f"the row of {row.slide} has no {column}: add it, or take the row out"
        if len(values) > 1:
            return (
                f"conflicting {column}s",
                f"{row.slide} has the {column}s {', '.join(values)}: keep the row that is right",
            )
    keys = sorted({each.key for each in same if each.key})
    if len(keys) > 1:
        return "conflicting files", f"{row.slide} has the files {', '.join(keys)}: give each a slide name of its own"
    if not is_name(row.slide):
        allowed = (
            f"be letters, digits, blanks and .,()+=@_-, begin with a letter or digit, and have {_LONGEST_NAME} bytes"
        )
        return "unusable name", f"{row.slide[:200]!r} must {allowed}: rename it, and tell its file in the column key"
    return None


def _located(rows: Iterable[Row], files: Sequence[storage.Entry], findings: _Findings) -> list[Row]:
    by_key = {each.key: each for each in files}
    by_file: defaultdict[str, list[storage.Entry]] = defaultdict(list)
    by_name: defaultdict[str, list[storage.Entry]] = defaultdict(list)
    for each in files:
        by_file[each.key.rpartition("/")[2]].append(each)
        if _is_slide_file(each.key):
            by_name[slide_name(each.key)].append(each)
    found = []
    for row in rows:
        if row.key in by_key:
            meant = [by_key[row.key]]
        elif row.key:  # a file's name without the folders that an export puts it into
            meant = [each for each in by_file[row.key.rpartition("/")[2]] if each.key.endswith(f"/{row.key}")]
        else:
            meant = by_name[row.slide]
        if not meant:
            looked = row.key or f"{row.slide} with an extension such as .svs"
            findings.quarantine(row, "missing file", f"{looked} is not among the slides: upload it, or correct the row")
        elif len(meant) > 1:
            told = ", ".join(each.key for each in meant[:4])
            findings.quarantine(row, "several files", f"{row.slide} may be {told}: tell which in the column key")
        else:
            found.append(replace(row, key=meant[0].key, size=meant[0].size))
    return found


def _is_slide_file(key: str) -> bool:
    return key.lower().endswith(EXTENSIONS) and not key.rpartition("/")[2].startswith(".")


def _checked(slides: str, files: Sequence[storage.Entry], row: Row) -> list[storage.Entry] | SlideError:
    """The slide's other files; or what is wrong with it."""
    try:
        with storage.opened(storage.joined(slides, row.key), _BLOCK) as stream:
            check_header(stream, row.key, row.size)
        return companions(slides, row.key, files)
    except SlideError as error:
        return error
    except storage.GoneError as error:
        return SlideError("missing file", f"{row.key} was listed, but cannot be read: {error}")


def _without_copies(rows: Sequence[Row], largest: Mapping[str, str], slides: str, findings: _Findings) -> list[Row]:
    """`largest` is the key of each slide's largest file."""
    by_content: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    sizes: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        sizes[row.size] += 1
    for row in rows:
        # Not the ETag: that of an object under a KMS key, or uploaded in parts, says nothing of its content.
        content = "" if sizes[row.size] == 1 else _sha256(storage.joined(slides, largest[row.slide]))
        by_content[row.size, content].append(row)
    kept = []
    for same in by_content.values():
        first = same[0]
        if len({(each.patient, each.label) for each in same}) > 1:
            told = ", ".join(f"{each.slide} ({each.patient}, {each.label})" for each in same)
            for row in same:
                findings.quarantine(row, "conflicting copies", f"one content is {told}: keep the row that is right")
            continue
        kept.append(first)
        for row in same[1:]:
            findings.quarantine(row, "copy of a slide", f"{row.slide} has the content of {first.slide}, which is kept")
    return sorted(kept, key=lambda each: each.slide)


def _sha256(uri: str) -> str:
    digest = hashlib.sha256()
    with storage.opened(uri) as stream:
        while block := stream.read(storage.BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _tell_unnamed(rows: Iterable[Row], files: Iterable[storage.Entry], used: set[str], findings: _Findings) -> None:
    """Notes the files of slides that no row names; files of other kinds are nobody's business."""
    named = {row.slide for row in rows} | {slide_name(row.key) for row in rows if row.key}
    for each in files:
        if _is_slide_file(each.key) and each.key not in used and slide_name(each.key) not in named:
            findings.note(
                slide_name(each.key), each.key, "not in slides.csv", f"{each.key} has no row: add one to use it"
            )
