"""Intervals of shares as Athena SQL: dashboards sum counts first and form shares and intervals of the sums.

The formulas are those of `sextant.labeling.insight.intervals`, whose sources they have;
`tests/labeling/insight/test_intervals.py` holds both to each other. Functions on AWS import this: it needs no numpy.
"""

from __future__ import annotations

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""

SIGMAS = 3.0
"""Width of control limits in standard errors, after Shewhart."""


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
    # The edge comes first: QuickSight, which has no least, takes the second of two when a comparison is with null.
    lower = f"CASE WHEN {k} = 0.0E0 THEN {n} * 0.0E0 ELSE greatest(0.0E0, {centre} - {half}) END"
    upper = f"CASE WHEN {k} = {n} THEN 1.0E0 ELSE least(1.0E0, {centre} + {half}) END"
    return lower, upper


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
    return centre, f"greatest(0.0E0, {centre} - {half})", f"least(1.0E0, {centre} + {half})"
