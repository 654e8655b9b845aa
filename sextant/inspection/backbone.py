"""The network that turns photographs into maps: EfficientNet-Lite0 up to its eleventh block, or a graph of one's own.

A graph of one's own is an ONNX file that takes uint8 pixels (n, height, width, 3), any height and width that are
multiples of 32, normalises them itself and gives one or more maps (n, channels, h, w). The published numbers of this
product hold for EfficientNet-Lite0 only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sextant import vision_backbone
from sextant.inspection.patches import BackboneError

BLOCKS = (2, 4, 10)
"""Maps of 24, 40 and 112 channels at 1/4, 1/8 and 1/16 of the input: what lies deeper is about objects, not flaws."""


def graph(name: str) -> bytes:
    """The ONNX graph of `lite0` or `file:PATH`, without the layers that no map needs.

    Raises:
        BackboneError: there is no such file, or an unknown kind.
    """
    if name == "lite0":
        return _maps_only(vision_backbone.model_path(BLOCKS).read_bytes())
    if name.startswith("file:"):
        try:
            return Path(name.removeprefix("file:")).read_bytes()
        except OSError as error:
            raise BackboneError(f"{name}: {error.strerror}: give the path of an ONNX file") from error
    raise BackboneError(f"{name} is no backbone: use lite0 or file:PATH of an ONNX graph")


def _maps_only(content: bytes) -> bytes:
    """The graph without its other outputs and what only they need: a fifth of the bytes and a third of the time
    less.
    """
    import onnx  # noqa: PLC0415  only training needs it

    model: Any = onnx.load_from_string(content)
    kept = [each for each in model.graph.output if each.name != "features"]
    needed = {each.name for each in kept}
    nodes: list[Any] = []
    for node in reversed(model.graph.node):  # a graph's nodes come in the order of their results
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    constants = [each for each in model.graph.initializer if each.name in needed]
    for name, values in (("output", kept), ("node", nodes[::-1]), ("initializer", constants)):
        copies = [type(each).FromString(each.SerializeToString()) for each in values]
        model.graph.ClearField(name)
        getattr(model.graph, name).extend(copies)
    return bytes(model.SerializeToString(deterministic=True))
