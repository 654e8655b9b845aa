"""Bootstrap over data objects, on sums: a statistic is a function of sums over objects, so nothing is computed anew.

Answers to one data object are not independent of each other, so whole objects are drawn. The sums of all draws are one
product of a matrix of multiplicities with the objects' statistics.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13 (percentile interval).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

DRAWS = 1000
BLOCKS = 1000
"""More objects than this are drawn in as many random blocks of (nearly) equal size: the interval's own error stays
about 1/sqrt(2 BLOCKS) = 2 % of its width, as that from 1,000 draws is, and the cost no longer grows with the job."""
FEWEST_OBJECTS = 5
"""Fewer objects give no interval: draws of so few tell nothing about those that were not seen."""


@dataclass(frozen=True)
class Resampling:
    """Draws of the objects 0 … n-1. `block` is each object's block, shape (n,).

    `weights` has shape (1 + DRAWS, blocks): how often each block is drawn; row 0 is the sample itself, each block once.
    """

    block: Integers
    weights: Floats

    def sums(self, unit: Integers, item: Integers, value: Floats, items: int) -> Floats:
        """Sums of values over objects, for every draw.

        Args:
            unit: object of each value, shape (n,).
            item: what it is added to, 0 … items-1, shape (n,).
            value: shape (n,).
            items: number of items.

        Returns:
            Shape (1 + DRAWS, items).
        """
        matrix = csr_array((value, (item, self.block[unit])), shape=(items, self.weights.shape[1]))
        found: Floats = (matrix @ self.weights.T).T
        return found


def resampling(objects: int, random: np.random.Generator, draws: int = DRAWS) -> Resampling:
    """Draws for that many objects."""
    blocks = max(1, min(objects, BLOCKS))
    block = random.permutation(objects) % blocks
    drawn = random.integers(0, blocks, (draws, blocks)) + np.arange(draws)[:, np.newaxis] * blocks
    counts = np.bincount(drawn.reshape(-1), minlength=draws * blocks).reshape(draws, blocks)
    return Resampling(block, np.concatenate([np.ones((1, blocks)), counts.astype(np.float64)]))


def interval(statistics: Floats, objects: Integers) -> tuple[Floats, Floats, Floats]:
    """Value and 95 % percentile interval of each item.

    Args:
        statistics: shape (1 + draws, items), row 0 of the sample itself; NaN where undefined.
        objects: objects each item rests on, shape (items,).

    Returns:
        Value, lower and upper bound, shape (items,) each. Draws in which a statistic is undefined do not count; the
        bounds are NaN where it is undefined in the sample or in most draws, or rests on fewer than FEWEST_OBJECTS.
    """
    value = statistics[0]
    unknown = np.full(value.shape, np.nan)
    if statistics.shape[0] == 1:
        return value, unknown, unknown
    drawn = np.sort(statistics[1:], axis=0)  # NaN last
    defined = np.count_nonzero(~np.isnan(drawn), axis=0)
    sound = (objects >= FEWEST_OBJECTS) & (2 * defined > drawn.shape[0]) & ~np.isnan(value)
    item = np.arange(value.size)
    bounds = []
    for share in (0.025, 0.975):
        place = share * np.maximum(defined - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(defined - 1, 0))
        bound = drawn[below, item] + (place - below) * (drawn[above, item] - drawn[below, item])
        bounds.append(np.where(sound, bound, unknown))
    return value, bounds[0], bounds[1]
