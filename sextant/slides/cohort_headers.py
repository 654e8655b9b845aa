"""Whether a file can be a slide at all, from its first bytes and its directories: before anybody downloads it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, BinaryIO

import tifffile

from sextant.slides.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTENSIONS = (".svs", ".svslide", ".tiff", ".tif", ".ndpi", ".scn", ".bif", ".mrxs", ".vms", ".vmu", ".czi", ".dcm")
"""Of the files that OpenSlide reads."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NDPI_FLAG = 65420
_KINDS: dict[str, tuple[int, bytes]] = {
    ".dcm": (128, b"DICM"),
    ".czi": (0, b"ZISRAWFILE"),
    ".mrxs": (0, b"\xff\xd8\xff"),
    ".vms": (0, b"[Virtual Microscope"),
    ".vmu": (0, b"[Uncompressed Virtual Microscope"),
}
"""By extension, where a file that is no TIFF tells what it is, and by which bytes."""


class _Told(logging.Handler):
    """What tifffile logs of the file that a thread reads: it belongs to that file's finding, not to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    def clear(self) -> None:
        self._of_thread.lines = []

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def emit(self, record: logging.LogRecord) -> None:
        self._of_thread.lines = [*self.lines(), record.getMessage()]

    def lines(self) -> list[str]:
        found: list[str] = getattr(self._of_thread, "lines", [])
        return found


_TOLD = _Told()
logging.getLogger("tifffile").addHandler(_TOLD)


def check_header(stream: BinaryIO, key: str, size: int) -> None:
    """Passes what may be a slide; the pixels are the tiling step's to judge.

    Args:
        stream: the file, to read and seek in; of a TIFF its directories are read, of others some bytes.
        key: its name, for the extension and for messages.
        size: in bytes.

    Raises:
        SlideError: the file is no slide, or its directories lead beyond its end.
    """
    start = stream.read(160)
    if not start:
        raise SlideError("truncated file", f"{key} is empty: copy it again")
    if start.startswith(_TIFF):
        _check_tiff(stream, key, size)
        return
    at, mark = _KINDS.get(key[key.rfind(".") :].lower(), (0, _TIFF[0]))
    if start[at : at + len(mark)] != mark:
        raise SlideError("not a slide", f"{key} begins with {start[:4].hex()}, which no slide format of its name does")


def _check_tiff(stream: BinaryIO, key: str, size: int) -> None:
    stream.seek(0)
    _TOLD.clear()
    try:
        with tifffile.TiffFile(stream, name=key) as file:
            pages = list(file.pages)
            ends = [_end(page.dataoffsets, page.databytecounts) for page in pages]
            tiled = any(isinstance(page, tifffile.TiffPage) and page.is_tiled for page in pages)
            hamamatsu = _NDPI_FLAG in file.pages.first.tags
    except Exception as error:  # a damaged TIFF raises anything in a parser
        told = "; ".join([*_TOLD.lines(), str(error)])
        raise SlideError(
            "truncated file",
            f"{key} has {size} bytes, and its directories cannot be followed in them ({told}): copy it again",
        ) from error
    if max(ends) > size:
        raise SlideError("truncated file", f"{key} has {size} bytes, and its tiles need {max(ends)}: copy it again")
    if not tiled and not hamamatsu:
        raise SlideError("not a slide", f"{key} is a TIFF without tiles: export it as pyramidal tiled TIFF")


def _end(offsets: Sequence[int], counts: Sequence[int]) -> int:
    return max((offset + count for offset, count in zip(offsets, counts, strict=True)), default=0)
