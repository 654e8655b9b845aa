"""A photograph as a grid of patch features: maps of a pretrained network at three depths, on one grid.

Mid-level maps of an ImageNet network describe small neighbourhoods well enough to tell a scratch from a texture
without training (Roth et al., PatchCore, arXiv 2106.08265). Maps are brought to the grid of the middle one (a cell is 8
px of the network's input with EfficientNet-Lite0) and stacked. PatchCore averages each map over 3 x 3 cells first. That
lets parts of a product lie a little differently; on a surface, where no part has a place, it only drowns what is faint
or small: three cells are a twelfth of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.inspection.crop import Box

STEP = 32
"""The network's input is a multiple of this on both sides."""


class BackboneError(ValueError):
    """An ONNX graph that cannot serve as backbone."""


def input_size(width: int, height: int, input_px: int) -> tuple[int, int]:
    """Width and height in px at which a crop of this shape goes through the network: about input_px² pixels in all."""
    scale = input_px / (width * height) ** 0.5
    long, short = max(width, height), min(width, height)
    if long > 4 * short:  # a strip: what its length needs would leave nothing of its width
        scale *= (4 * short / long) ** 0.5
    return _multiple(width * scale), _multiple(height * scale)


def _multiple(side: float) -> int:
    return max(64, round(side / STEP) * STEP)


def session(graph: bytes) -> Any:
    """The graph ready to run, on one thread: results and CPU time do not depend on the machine's load.

    Raises:
        BackboneError: no ONNX graph, or not one of maps: uint8 (1, height, width, 3) in, float32 (1, channels, h, w)
            out, one or more.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps the peak of the largest photograph
    try:
        made = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public base
        raise BackboneError(f"the backbone is no ONNX graph that can be run: {error}") from error
    inputs, outputs = made.get_inputs(), made.get_outputs()
    maps = [each for each in outputs if len(each.shape) == 4]
    counted = maps and all(isinstance(each.shape[1], int) for each in maps)
    if len(inputs) != 1 or inputs[0].type != "tensor(uint8)" or len(inputs[0].shape) != 4 or not counted:
        told = ", ".join(f"{each.name} {each.type} {each.shape}" for each in [*inputs, *outputs])
        raise BackboneError(
            f"the backbone has {told}: it must take uint8 pixels (n, height, width, 3), normalise them itself, and "
            f"give "
            "one or more maps (n, channels, h, w)"
        )
    return made


def channels(network: Any) -> tuple[int, ...]:
    """How many channels each of the network's maps has."""
    return tuple(each.shape[1] for each in network.get_outputs() if len(each.shape) == 4)


def view(image: Image.Image, box: Box, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The crop at the network's size, shape (height, width, 3); each pixel is the mean of the area it covers."""
    left, top, width, height = box
    box_px = (left, top, left + width, top + height)
    way = Image.Resampling.BOX if width >= size[0] else Image.Resampling.BILINEAR
    return np.asarray(image.resize(size, way, box=box_px))


def features(network: Any, pixels: NDArray[np.uint8], *, surface: bool) -> NDArray[np.float32]:
    """Patch features, shape (rows, columns, channels), of pixels (height, width, 3) from `view`.

    Each map is averaged over 3 x 3 cells; of a surface only one that is finer than the grid, against aliasing.
    """
    names = [each.name for each in network.get_outputs() if len(each.shape) == 4]
    maps = [each[0] for each in network.run(names, {network.get_inputs()[0].name: pixels[None]})]
    middle = sorted(maps, key=lambda each: each.shape[1])[len(maps) // 2]
    rows, columns = middle.shape[1:]
    smooth = [_averaged(each) if each.shape[1] > rows or not surface else each for each in maps]
    return np.concatenate([_on_grid(each, rows, columns) for each in smooth]).transpose(1, 2, 0)


def _averaged(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over 3 x 3 cells; beyond the edge the edge's values are repeated."""
    _, height, width = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down: NDArray[np.float32] = padded[:, :height] + padded[:, 1:-1] + padded[:, 2:]
    summed: NDArray[np.float32] = down[:, :, :width] + down[:, :, 1:-1] + down[:, :, 2:]
    np.multiply(summed, np.float32(1 / 9), out=summed)
    return summed


def _on_grid(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The map with other numbers of rows and columns: means of blocks where it is finer, else linear."""
    _, height, width = values.shape
    if height % rows == 0 and width % columns == 0 and height >= rows:
        y, x = height // rows, width // columns
        parts = [values[:, down::y, right::x] for down in range(y) for right in range(x)]
        means: NDArray[np.float32] = sum(parts[1:], start=parts[0])
        return means / np.float32(len(parts)) if len(parts) > 1 else means
    across: NDArray[np.float32] = values @ linear(width, columns).T
    placed: NDArray[np.float32] = linear(height, rows) @ across
    return placed


def linear(source: int, target: int) -> NDArray[np.float32]:
    """Weights (target, source) of linear interpolation between cell centres, constant beyond the outermost."""
    at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.minimum(at.astype(int), max(source - 2, 0))
    weights: NDArray[np.float32] = np.zeros((target, source), np.float32)
    rows = np.arange(target)
    weights[rows, low] = 1 - (at - low)
    weights[rows, np.minimum(low + 1, source - 1)] += (at - low).astype(np.float32)
    return weights
