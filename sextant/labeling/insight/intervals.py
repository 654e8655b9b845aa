"""Intervals of shares: Wilson's 95 % score interval, and the limits of a p-chart, over numpy arrays.

`sextant.labeling.interval_sql` says the same in SQL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sextant.labeling.interval_sql import SIGMAS, Z95

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def wilson(successes: ArrayLike, trials: ArrayLike, z: float = Z95) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share; sensible for any number of trials, and for shares of 0 and 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927);
    recommended for small n by Brown, Cai and DasGupta, Statistical Science 16 (2001).

    Args:
        successes: counts, any shape.
        trials: counts of the same shape; not less than `successes`.
        z: normal quantile of the wanted confidence.

    Returns:
        Lower and upper bounds, 0 to 1; NaN where there are no trials.

    Raises:
        ValueError: a count is negative or no number, or there are more successes than trials.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    if not bool(np.all((k >= 0) & (k <= n) & np.isfinite(n))):
        raise ValueError("a share needs 0 <= successes <= trials, both finite: check what was counted")
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding may carry the bounds of 0 and 1 over the edge, or off it.
    lower = np.where(k == 0, np.where(n == 0, np.nan, 0.0), np.maximum(centre - half, 0.0))
    upper = np.where(k == n, np.where(n == 0, np.nan, 1.0), np.minimum(centre + half, 1.0))
    return lower, upper


@dataclass(frozen=True)
class ControlChart:
    """A p-chart: the centre line, and for each period its share, its limits, and whether it lies beyond them."""

    centre: float
    share: Floats
    lower: Floats
    upper: Floats
    beyond: NDArray[np.bool_]


def p_chart(defects: ArrayLike, inspected: ArrayLike) -> ControlChart:
    """Control limits of a share over periods of unequal size: centre ± 3 standard errors of each period's own n.

    Source: D. C. Montgomery, Introduction to Statistical Quality Control, section "Variable Sample Size" of the
    chapter on control charts for attributes: p ± 3 sqrt(p (1 - p) / n_i), p over all periods, cut at 0 and 1.
    Shares that pass are charted by the same formula as shares that fail.

    Args:
        defects: count of each period, shape (periods,).
        inspected: number inspected in each period, shape (periods,); 0 gives NaN for the period.

    Raises:
        ValueError: as `wilson`.
    """
    k, n = np.broadcast_arrays(
        np.atleast_1d(np.asarray(defects, np.float64)), np.atleast_1d(np.asarray(inspected, np.float64))
    )
    if not bool(np.all((k >= 0) & (k <= n) & np.isfinite(n))):
        raise ValueError("a share needs 0 <= defects <= inspected, both finite: check what was counted")
    total = float(n.sum())
    centre = float(k.sum()) / total if total else math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        half = np.where(n > 0, SIGMAS * np.sqrt(centre * (1 - centre) / n), np.nan)
    # A thousandth of a millionth forgives the rounding of shares that lie exactly on the line.
    beyond = np.abs(share - centre) > half + 1e-9
    return ControlChart(centre, share, np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0), beyond)
