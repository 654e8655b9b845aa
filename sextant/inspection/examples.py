"""A labelled photograph, as training and evaluation take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sextant.inspection import photograph

if TYPE_CHECKING:
    from collections.abc import Mapping

Pixels: TypeAlias = bytes | NDArray[np.uint8] | Callable[[], bytes | NDArray[np.uint8]]


class InputError(ValueError):
    """A training or an evaluation that cannot be done with what it was given; the message names the remedy."""


@dataclass(frozen=True, eq=False)
class Example:
    """One photograph and what is known of it.

    `pixels` is the file's bytes, an array (height, width, 3) RGB, or a function that gives one of them when it is
    needed: a data set need not fit into memory. `mask` holds numbers of `mask_labels` (name and colour `#RRGGBB`), 0 is
    background; any shape (height, width) that covers the photograph. Or a function, as for `pixels`.
    """

    source: str
    label: Literal["normal", "anomaly"]
    pixels: Pixels
    mask: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]] | None = None
    mask_labels: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_anomalous(self) -> bool:
        return self.label == "anomaly"

    def read(self) -> NDArray[np.uint8]:
        """The photograph, shape (height, width, 3), RGB.

        Raises:
            PhotographError: its bytes are no usable photograph.
        """
        given = self.pixels() if callable(self.pixels) else self.pixels
        return photograph.read(given) if isinstance(given, bytes) else given

    def read_mask(self) -> NDArray[np.uint8] | None:
        """The mask, or None where nobody has painted one."""
        return self.mask() if callable(self.mask) else self.mask
