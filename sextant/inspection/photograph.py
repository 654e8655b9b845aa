"""A photograph from its bytes: whatever a camera, a phone or a converter wrote becomes the same kind of pixels.

Everything that reads photographs (training, Lambda, SageMaker, the edge) goes through `read`, so a photograph has one
set of numbers wherever it is judged.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SIDE = 64
LARGEST_PIXELS = 4096 * 4096
"""Both are Lookout for Vision's own limits, but that sides may be longer than 4096 px where the product is not."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""What Pillow may end in when it decodes damaged bytes."""


class PhotographError(ValueError):
    """Bytes that are no usable photograph.

    `reason` is one of `empty`, `not_an_image`, `too_small`, `too_large`, `truncated`; `detail` tells what was found and
    what to do.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, or it could not come back from another process
        self.reason = reason
        self.detail = detail

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def read(body: bytes) -> NDArray[np.uint8]:
    """The photograph's pixels, shape (height, width, 3), RGB, upright as its EXIF orientation tells.

    CMYK, grey, palette and 16-bit pictures are converted; what is transparent lies on white. The size is taken from the
    header before anything is decoded, so a decompression bomb costs nothing.

    Raises:
        PhotographError: no JPEG or PNG, damaged, below 64 px a side or above 16.8 million pixels.
    """
    if not body:
        raise PhotographError("empty", "the file has no bytes: send a JPEG or PNG")
    with warnings.catch_warnings():
        # Of sizes, which are limited here, and of EXIF, which tells no more than the orientation.
        warnings.simplefilter("ignore")
        return _decoded(_opened(body))


def _decoded(image: Image.Image) -> NDArray[np.uint8]:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise _too_large(f"{width} x {height}")
    if min(width, height) < SMALLEST_SIDE:
        raise PhotographError(
            "too_small", f"{width} x {height} px: a photograph has at least {SMALLEST_SIDE} px on every side"
        )
    try:
        image.load()
        return np.asarray(_rgb(_upright(image)))
    except _DAMAGED as error:
        raise PhotographError(
            "truncated",
            f"{image.format} of {width} x {height} px that ends early or is damaged: {error}. Send it again",
        ) from error


def _opened(body: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(body), formats=("JPEG", "PNG"))
    except Image.DecompressionBombError as error:
        raise _too_large("hundreds of millions of") from error
    except _DAMAGED as error:
        kind = "JPEG" if body.startswith(b"\xff\xd8") else "PNG" if body.startswith(b"\x89PNG") else ""
        if kind:
            raise PhotographError(
                "truncated", f"{kind} of {len(body)} bytes whose header is cut off or damaged. Send it again"
            ) from error
        raise PhotographError(
            "not_an_image", f"{len(body)} bytes that are neither JPEG nor PNG: convert the photograph to one of them"
        ) from error


def _too_large(size: str) -> PhotographError:
    return PhotographError(
        "too_large", f"{size} px: at most {LARGEST_PIXELS:,} pixels are read. Scale the photograph down"
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:  # EXIF that cannot be read tells no orientation; the pixels are there
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        values: NDArray[Any] = np.asarray(image)
        grey = (np.clip(values.astype(np.int64), 0, 65535) // 257).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")
