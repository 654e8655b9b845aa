"""The functions that look at photographs: they run in an image that holds ONNX Runtime, numpy and Pillow."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stacks.building_blocks.python_code import ROOT, image_context

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_MB = 1769
"""At this size a function has one whole processor, and the detector uses no more than one."""


@cache
def looking_image() -> Path:
    """The build context of `lambdas/inspection/image/Dockerfile`."""
    return image_context(ROOT / "lambdas" / "inspection" / "image" / "Dockerfile", "sextant", "lambdas/inspection")
