"""Slides of several files: what belongs to one, by the rule of its format (openslide.org/formats).

MIRAX        everything in the folder beside the .mrxs file that has its name
Hamamatsu    the files that the text of a .vms or .vmu names, in the same folder
DICOM        the files of the same folder and series (Series Instance UID)

A slide of any other format is one file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sextant import storage
from sextant.slides.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_HEAD = 1 << 16
"""Bytes of a file that tell what belongs to it: the whole text of a .vms, and a DICOM file's general attributes."""
_NEEDED = ("ImageFile", "MapFile")
_USED = ("MacroImage", "OptimisationFile")
_SERIES = re.compile(rb"\x20\x00\x0d\x00UI..[\d. \0]{0,64}\x20\x00\x0e\x00UI(..)", re.DOTALL)
"""The Series Instance UID, (0020,000E), in the explicit little endian form that slides have. It is the one that follows
the Study Instance UID, (0020,000D): further ahead, sequences name other series that the slide refers to."""


def companions(root: str, key: str, files: Sequence[storage.Entry] | None = None) -> list[storage.Entry]:
    """The other files of a slide, in the order of their keys; none where its format needs no other.

    Args:
        root: URI of the slides' folder.
        key: the slide's, relative to it, as those of the answer are.
        files: what is below the root, where that is known already.

    Raises:
        SlideError: a file that the slide needs is not there, or what should name it cannot be read.
        GoneError: the slide itself is not there.
    """
    folder = key.rpartition("/")[0]
    match key[key.rfind(".") :].lower():
        case ".mrxs":
            beside = key[: key.rfind(".")]
            found = _below(root, beside, files)
            if not found:
                raise SlideError("missing file", f"{key} needs the files of the folder {beside}/: upload it too")
            return found
        case ".vms" | ".vmu":
            return _named(root, key, _below(root, folder, files))
        case ".dcm":
            return _series(root, key, _below(root, folder, files))
    return []


def fetch(root: str, key: str, path: Path) -> None:
    """Downloads a slide as `path`, with its other files where its format looks for them.

    Raises:
        SlideError: as for `companions`, or a key is no name of a file.
        GoneError: a file is not there.
    """
    storage.download(storage.joined(root, key), path)
    beside = _prefix(key.rpartition("/")[0])
    for each in companions(root, key):
        part = path.parent / each.key.removeprefix(beside)
        if ".." in part.parts or not part.is_relative_to(path.parent):  # keys are anybody's
            raise SlideError("unreadable slide", f"{each.key} beside {key} is no name of a file: remove it")
        part.parent.mkdir(parents=True, exist_ok=True)
        storage.download(storage.joined(root, each.key), part)


def _prefix(folder: str) -> str:
    return f"{folder}/" if folder else ""


def _below(root: str, folder: str, files: Sequence[storage.Entry] | None) -> list[storage.Entry]:
    beginning = _prefix(folder)
    if files is not None:
        return [each for each in files if each.key.startswith(beginning)]
    try:
        listed = storage.entries(storage.joined(root, folder) if folder else root)
    except FileNotFoundError:
        return []
    return [replace(each, key=f"{beginning}{each.key}") for each in listed]


def _named(root: str, key: str, files: Iterable[storage.Entry]) -> list[storage.Entry]:
    by_key = {each.key: each for each in files}
    beside = _prefix(key.rpartition("/")[0])
    found = {}
    for line in _head(root, key).decode("latin-1").splitlines():
        name, _, file = (each.strip() for each in line.partition("="))
        if not name.startswith((*_NEEDED, *_USED)) or not file:
            continue
        if f"{beside}{file}" in by_key:
            found[f"{beside}{file}"] = by_key[f"{beside}{file}"]
        elif name.startswith(_NEEDED):
            raise SlideError("missing file", f"{key} needs {file[:200]!r} beside it, which is not there: upload it too")
    return [found[each] for each in sorted(found)]


def _series(root: str, key: str, files: Iterable[storage.Entry]) -> list[storage.Entry]:
    beside = _prefix(key.rpartition("/")[0])
    others = [
        each
        for each in files
        if each.key.lower().endswith(".dcm") and each.key != key and "/" not in each.key.removeprefix(beside)
    ]
    if not others:
        return []
    series = _series_of(root, key)
    if not series:
        raise SlideError("not a slide", f"{key} names no series in its first {_HEAD} bytes: export it as DICOM WSI")
    return [each for each in others if _series_of(root, each.key) == series]


def _series_of(root: str, key: str) -> bytes:
    head = _head(root, key)
    found = _SERIES.search(head)
    return head[found.end() :][: int.from_bytes(found[1], "little")].rstrip(b"\0 ") if found else b""


def _head(root: str, key: str) -> bytes:
    with storage.opened(storage.joined(root, key), _HEAD) as stream:
        return stream.read(_HEAD)
