"""Intervals of shares: Wilson's 95 % score interval, and the limits of a p-chart, as numbers and as Athena SQL.

Dashboards sum counts first and form shares and intervals of the sums, so the same formulas exist as SQL text;
`tests/labeling/insight/test_intervals.py` holds both to each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""

SIGMAS = 3.0
"""Width of control limits in standard errors, after Shewhart."""


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


def wilson_sql(successes: str, trials: str, z: float = Z95) -> tuple[str, str]:
    """`wilson` as two Athena SQL expressions, lower and upper; NULL where there are no trials.

    Args:
        successes: SQL expression of a count, such as `sum(passed_count)`; it is repeated in the text.
        trials: likewise; `sum(audited_count)`.
        z: as in `wilson`.
    """
    n = f"CAST(nullif({trials}, 0) AS double)"
    k = f"CAST({successes} AS double)"
    z2 = repr(z * z)
    centre = f"({k} + {z2} / 2.0E0) / ({n} + {z2})"
    half = f"{z!r} * sqrt({k} * ({n} - {k}) / {n} + {z2} / 4.0E0) / ({n} + {z2})"
    lower = f"CASE WHEN {k} = 0.0E0 THEN {n} * 0.0E0 ELSE greatest({centre} - {half}, 0.0E0) END"
    upper = f"CASE WHEN {k} = {n} THEN 1.0E0 ELSE least({centre} + {half}, 1.0E0) END"
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


def p_chart_sql(defects: str, inspected: str, over: str = "OVER ()") -> tuple[str, str, str]:
    """`p_chart` as Athena SQL expressions of a statement grouped by period: centre, lower, upper.

    Args:
        defects: SQL aggregate of the period, such as `sum(passed_count)`.
        inspected: likewise, such as `sum(audited_count)`.
        over: window over the periods of one chart; `OVER (PARTITION BY worker)` makes a chart of every worker.
    """
    n = f"CAST(nullif({inspected}, 0) AS double)"
    centre = f"CAST(sum({defects}) {over} AS double) / CAST(nullif(sum({inspected}) {over}, 0) AS double)"
    half = f"{SIGMAS!r} * sqrt(({centre}) * (1.0E0 - ({centre})) / {n})"
    return centre, f"greatest({centre} - {half}, 0.0E0)", f"least({centre} + {half}, 1.0E0)"
