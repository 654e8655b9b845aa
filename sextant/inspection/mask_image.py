"""Mask images: a PNG that paints each kind of anomaly in the colour which the manifest names for it.

Ground Truth and the service's console write them with a palette or as RGBA, with a white or a transparent background,
and smooth their edges. Needs numpy and Pillow, which functions that only read manifests do without.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from sextant.inspection.manifest import MOST_LABELS, ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Labels: TypeAlias = dict[int, tuple[str, str]]

OPAQUE = 128
"""The least alpha of a painted pixel: what smoothing left more transparent than this is background."""
NEAR = 96
"""How far a pixel's colour may be from the anomaly's (sum over R, G, B): a smoothed edge has the background in it."""
_LARGEST = 4096 * 4096


def labels_of(colors: Mapping[str, str]) -> Labels:
    """The numbers of anomaly labels in a mask: from 1, in the order of their names; 0 is the background.

    Args:
        colors: `#RRGGBB` by name, as in `manifest.Entry.colors`, of all manifests together.

    Raises:
        ManifestError: there are too many.
    """
    if len(colors) > MOST_LABELS:
        raise ManifestError(
            f"the masks' colour maps name {len(colors)} anomaly labels; there are at most {MOST_LABELS}"
        )
    return {index: (name, colors[name]) for index, name in enumerate(sorted(colors), start=1)}


def read(body: bytes, labels: Labels, source: str = "the mask") -> NDArray[np.uint8]:
    """A mask image as label numbers, shape (height, width); 0 is background.

    Args:
        body: the PNG.
        labels: name and colour by number, as `labels_of` gives them.
        source: what messages call it.

    Raises:
        ManifestError: it is no image, too large, or paints in colours that belong to no label.
    """
    pixels = _rgba(body, source)
    if not labels:
        raise ManifestError(f"{source}: the manifest's internal-color-map names no anomaly for its colours")
    nearest = np.zeros(pixels.shape[:2], np.uint8)
    distance = np.full(pixels.shape[:2], NEAR, np.int16)
    for number, (_, color) in labels.items():  # one at a time: a photograph of 16 million pixels may have 20
        away = np.abs(pixels[..., :3].astype(np.int16) - np.array(_rgb(color), np.int16)).sum(axis=-1, dtype=np.int16)
        closer = away <= distance
        nearest[closer], distance[closer] = number, away[closer]
    painted = pixels[..., 3] >= OPAQUE
    found = painted & (nearest > 0)
    background = (pixels[..., :3] >= 255 - NEAR // 3).all(axis=-1) | (pixels[..., :3] <= NEAR // 3).all(axis=-1)
    strange = painted & ~found & ~background
    # Smoothed edges are strange too, but never most of what is painted.
    if strange.sum() > max(found.sum(), 16):
        color = pixels[strange][0]
        raise ManifestError(
            f"{source}: it paints in #{color[0]:02X}{color[1]:02X}{color[2]:02X}, which the manifest's "
            f"internal-color-map does not name. It names {', '.join(f'{n} {c}' for n, c in labels.values())}"
        )
    return np.where(found, nearest, 0).astype(np.uint8)


def _rgba(body: bytes, source: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
            if image.width * image.height > _LARGEST:
                raise ManifestError(f"{source}: {image.width} x {image.height} pixels; a mask has at most 4096 x 4096")
            return np.asarray(image.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError(f"{source}: no readable PNG ({error})") from None


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
