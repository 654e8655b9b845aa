"""Spans of text of several workers compared: named entities by their offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def exact(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """Where two spans have the same offsets: the strict matching of CoNLL-2003.

    Args:
        first: shape (n, 2): start and end offset in characters, the end exclusive.
        second: likewise.
    """
    return np.asarray(np.all(first == second, axis=-1))


def overlapping(first: Floats, second: Floats) -> Floats:
    """Shared characters by characters of both (Jaccard): above 0 where two spans share a character, 1 if they are one.

    The relaxed matching of MUC-7 and i2b2. An empty or unknown span shares nothing.
    """
    shared = np.minimum(first[:, 1], second[:, 1]) - np.maximum(first[:, 0], second[:, 0])
    covered = np.maximum(first[:, 1], second[:, 1]) - np.minimum(first[:, 0], second[:, 0])
    found: Floats = np.divide(shared, covered, out=np.zeros_like(shared), where=(shared > 0) & np.isfinite(covered))
    return found
