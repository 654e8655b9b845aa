"""A level of a slide whose tiles are JPEGs in a TIFF: read tile by tile, straight from the file."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sextant.slides import jpeg, jpeg_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHRINKS = (1, 2, 4, 8)
"""What libjpeg scales by while it decodes."""
_CACHED = 16 << 20


@dataclass(frozen=True, eq=False)
class JpegLevel:
    """`offsets` and `counts` are the bytes of the tiles, row by row; `beginning` is what their streams lack.

    Pixels are those of the level; tiles at the right and lower edge are padded to the whole size.
    """

    descriptor: int
    width: int
    height: int
    tile_width: int
    tile_height: int
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    beginning: bytes
    _cache: OrderedDict[tuple[int, int, bool], NDArray[np.uint8]] = field(default_factory=OrderedDict)

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile_width)

    def parts(self, column: int, row: int, columns: int) -> list[bytes]:
        """Neighbouring tiles of a row, each as a stream of its own; their coded data is that of the slide.

        Raises:
            DamagedError: their bytes are no JPEG.
        """
        first = row * self.columns + column
        offsets = self.offsets[first : first + columns].tolist()
        counts = self.counts[first : first + columns].tolist()
        start = offsets[0]
        ends = map(int.__add__, offsets, counts)
        if all(end == after for end, after in zip(ends, offsets[1:], strict=False)):  # as scanners write them
            block = os.pread(self.descriptor, sum(counts), start)  # one call of the system
            bodies = [block[at - start : at - start + count] for at, count in zip(offsets, counts, strict=True)]
        else:
            bodies = [os.pread(self.descriptor, count, at) for at, count in zip(offsets, counts, strict=True)]
        return [jpeg_stream.whole(body, self.beginning) for body in bodies]

    def region(
        self, x: int, y: int, width: int, height: int, *, shrink: int = 1, gray: bool = False
    ) -> NDArray[np.uint8]:
        """Pixels of the level shrunk by 1, 2, 4 or 8, which must divide the tiles: x, y, width, height are shrunk ones.

        Raises:
            DamagedError: a tile of it cannot be decoded.
        """
        across, down = self.tile_width // shrink, self.tile_height // shrink
        out = np.empty((height, width) if gray else (height, width, 3), np.uint8)
        for row in range(y // down, -(-(y + height) // down)):
            for column in range(x // across, -(-(x + width) // across)):
                left, top = column * across, row * down
                x0, y0 = max(x, left), max(y, top)
                x1, y1 = min(x + width, left + across), min(y + height, top + down)
                tile = self._decoded(column, row, shrink, gray=gray, again=x1 - x0 < across or y1 - y0 < down)
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    def _decoded(self, column: int, row: int, shrink: int, *, gray: bool, again: bool) -> NDArray[np.uint8]:
        """A tile's pixels; kept for a while where only a part of it is wanted, for then its rest is wanted next."""
        key = (row * self.columns + column, shrink, gray)
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        (part,) = self.parts(column, row, 1)
        pixels = jpeg.decode(part, self.tile_width, self.tile_height, shrink=shrink, gray=gray)
        if again:
            self._cache[key] = pixels
            while len(self._cache) > max(1, _CACHED // pixels.nbytes):
                self._cache.popitem(last=False)
        return pixels
