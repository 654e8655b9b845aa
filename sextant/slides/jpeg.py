"""JPEG to pixels and back, by libjpeg-turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from sextant.slides.jpeg_stream import DamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode(jpeg: bytes, width: int, height: int, *, shrink: int = 1, gray: bool = False) -> NDArray[np.uint8]:
    """The pixels, shape (height / shrink, width / shrink, 3), RGB; or without the last axis and only the luminance.

    Args:
        jpeg: a whole stream.
        width: of the stream in pixels, as the TIFF tells.
        height: likewise.
        shrink: 1, 2, 4 or 8, a divisor of both: inverse DCT of that many times fewer coefficients per axis.
        gray: luminance alone, as the stream has it where it is YCbCr.

    Raises:
        DamagedError: any part of it is damaged, or it has another size.
    """
    shape = (height // shrink, width // shrink)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            jpeg, "GRAY" if gray else "RGB", min_height=shape[0], min_width=shape[1]
        )
    except ValueError as error:
        raise DamagedError(str(error)) from error
    if pixels.shape[:2] != shape:
        raise DamagedError(
            f"the JPEG has {pixels.shape[1]}x{pixels.shape[0]} pixels where {shape[1]}x{shape[0]} belong"
        )
    return pixels[..., 0] if gray else pixels


def encode(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """A JPEG of RGB pixels, chroma at half resolution (4:2:0) as Pillow writes by default."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420"))
