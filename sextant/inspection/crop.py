"""Where the product lies in a photograph: a box of one size, laid over whatever differs from the background.

Products on a belt move from photograph to photograph. A box of fixed size that follows the product makes the same part
of it fall on the same place of the network's grid, and keeps the belt out of the comparison. The background is a plane
of colour fitted to the border of the photograph, so light that falls off to one side is no object.

Photographs of a surface (cloth, tiles, cells) have no object: `learned` sees that from the training photographs and
returns the whole picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VIEW_PX = 256
"""Longest side of the small view in which the object is looked for."""

Share = Annotated[float, Field(ge=0, le=1)]

_BINS = 128
_BORDER = 0.04  # of the longest side
_TAIL = 0.01  # of the object's pixels that may lie outside of its extent on each side: specks
_MARGIN = 0.04  # of the photograph's side, around the largest object seen
_LARGEST = 0.75  # of the picture: a larger box is no crop
_FOUND = 0.95  # of the training photographs must have an object
_VARIATION = 0.25  # of the objects' sides (relative standard deviation): more is no one product


class Crop(BaseModel):
    """How photographs are cropped; all numbers are shares of the photograph's width and height.

    `whole` takes all of it, `fixed` one region, `object` a box of (width, height) around the object. `coverage` is the
    range of the object's share of the picture in training: what lies far outside is no object, or not a whole one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["whole", "fixed", "object"] = "whole"
    left: Share = 0.0
    top: Share = 0.0
    width: Share = 1.0
    height: Share = 1.0
    coverage: tuple[Share, Share] = (0.0, 1.0)

    @property
    def surface(self) -> bool:
        """Whether no product was found that a box could follow: what is seen is then taken for a surface."""
        return self.kind != "object"


Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


def small_view(image: Image.Image) -> NDArray[np.float32]:
    """The picture with its longest side at 256 px, shape (height, width, 3), 0 to 255."""
    scale = VIEW_PX / max(image.size)
    size = tuple(max(8, round(side * scale)) for side in image.size)
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling.BOX), np.float32)


def foreground(view: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pixels differ from the background, shape (height, width).

    The threshold between background and object is Otsu's (1979) on the colour distance from the fitted background, and
    at least four times the background's own spread.
    """
    height, width = view.shape[:2]
    band = max(2, round(_BORDER * max(height, width)))
    border = np.ones((height, width), bool)
    border[band:-band, band:-band] = False
    y, x = np.nonzero(border)
    ring = np.stack([np.ones(len(x)), x / width - 0.5, y / height - 0.5], 1)
    colours = view[border].astype(np.float64)
    kept = np.ones(len(ring), bool)
    fitted = np.zeros((3, 3))
    residual = np.zeros(len(ring))
    for _ in range(3):  # what crosses the border is no background: fitted again without it
        some = ring[kept]
        fitted = np.linalg.solve(some.T @ some + 1e-9 * np.eye(3), some.T @ colours[kept])
        residual = np.sqrt(((colours - ring @ fitted) ** 2).sum(1))
        kept = residual <= 2.5 * np.median(residual) + 1
    # The plane at every pixel is a row's part and a column's part.
    across = ((np.arange(width) / width - 0.5)[:, None] * fitted[1]).astype(np.float32)
    down = (fitted[0] + (np.arange(height) / height - 0.5)[:, None] * fitted[2]).astype(np.float32)
    away = view - down[:, None] - across[None]
    distance: NDArray[np.float32] = np.sqrt(np.einsum("hwc,hwc->hw", away, away))
    found: NDArray[np.bool_] = distance > max(_otsu(distance), 4 * float(np.median(residual)))
    return found


def _otsu(values: NDArray[np.float32]) -> float:
    low = float(values.min())
    step = max(float(values.max()) - low, 1e-6) / _BINS
    bins = np.minimum(((values.ravel() - low) / step).astype(np.int64), _BINS - 1)
    weights = np.bincount(bins, minlength=_BINS) / values.size
    centres = low + (np.arange(_BINS) + 0.5) * step
    below = np.cumsum(weights)
    mean = np.cumsum(weights * centres)
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return float(centres[int(np.argmax(between))])


def learned(views: Sequence[NDArray[np.float32]]) -> Crop:
    """The crop for photographs like these (small views of normal ones): an object's box, or the whole picture."""
    masks = [foreground(each) for each in views]
    extents = [_extent(each) for each in masks]
    found = [each for each in extents if each is not None]
    if len(found) < _FOUND * len(extents):
        return Crop()
    sides = np.array([(right - left, bottom - top) for left, top, right, bottom in found])
    if (sides.std(0) > _VARIATION * sides.mean(0)).any():
        return Crop()
    width, height = np.minimum(1, np.quantile(sides, 0.95, axis=0) + 2 * _MARGIN)
    if width * height > _LARGEST:
        return Crop()
    coverage = [float(each.mean()) for each in masks]
    return Crop(
        kind="object", width=float(width), height=float(height), coverage=(min(coverage) / 2, min(1, max(coverage) * 2))
    )


def _extent(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom of the mask as shares, without the outermost 1 % of its pixels on each side."""
    if mask.mean() < 0.005:
        return None
    ends = []
    for axis in (0, 1):
        mass = np.cumsum(mask.sum(axis))
        low, high = np.searchsorted(mass, [_TAIL * mass[-1], (1 - _TAIL) * mass[-1]])
        ends.append((low / len(mass), (high + 1) / len(mass)))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def located(crop: Crop, image: Image.Image) -> tuple[Box, bool, NDArray[np.float32]]:
    """The box of this photograph, whether it can be trusted, and the small view it was found in.

    An object that covers much less or more of the picture than in training, or one that the picture cuts off, gives
    False: nothing, or not the product, lies there.
    """
    view = small_view(image)
    width, height = image.size
    left, top, trusted = crop.left, crop.top, True
    if crop.kind == "object":
        mask = foreground(view)
        left, top = _laid(mask, crop)
        trusted = crop.coverage[0] <= float(mask.mean()) <= crop.coverage[1]
        trusted = trusted and min(left, top) >= -_MARGIN and max(left + crop.width, top + crop.height) <= 1 + _MARGIN
        left, top = min(max(left, 0), 1 - crop.width), min(max(top, 0), 1 - crop.height)
    x, y = round(left * width), round(top * height)
    return (
        (x, y, min(width - x, round(crop.width * width)), min(height - y, round(crop.height * height))),
        trusted,
        view,
    )


def _laid(mask: NDArray[np.bool_], crop: Crop) -> tuple[float, float]:
    """Left and top of the box that holds most of the mask, centred on the extent of what it holds; shares."""
    height, width = mask.shape
    w, h = min(width, round(crop.width * width)), min(height, round(crop.height * height))
    total = np.zeros((height + 1, width + 1))
    total[1:, 1:] = mask.cumsum(0).cumsum(1)
    held = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    tops, lefts = np.nonzero(held >= 0.995 * held.max())
    top, left = round(float(tops.mean())), round(float(lefts.mean()))
    extent = _extent(mask[top : top + h, left : left + w])
    if extent is None:
        return left / width, top / height
    centre_x = (left + (extent[0] + extent[2]) / 2 * w) / width
    centre_y = (top + (extent[1] + extent[3]) / 2 * h) / height
    return centre_x - crop.width / 2, centre_y - crop.height / 2
