"""Wilson's interval and the p-chart: published numbers, properties, and SQL that says the same."""

import duckdb
import numpy as np
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from sextant.labeling.insight.intervals import p_chart, wilson
from sextant.labeling.interval_sql import p_chart_sql, wilson_sql

COUNTS = st.integers(0, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def athena(statement):
    (text,) = sqlglot.transpile(statement, read="athena", write="duckdb")
    return duckdb.sql(text).fetchall()


def test_published_interval():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    lower, upper = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert np.round(lower, 4).tolist() == [0.2553, 0.0624, 0.0, 0.0061]
    assert np.round(upper, 4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]


@settings(deadline=None)
@given(COUNTS)
def test_as_scipy_has_it(count):
    k, n = count
    lower, upper = wilson(k, n)
    if n == 0:
        assert np.isnan(lower)
        assert np.isnan(upper)
        return
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert lower == pytest.approx(theirs.low, abs=1e-9)
    assert upper == pytest.approx(theirs.high, abs=1e-9)
    assert 0 <= lower <= k / n <= upper <= 1


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (float("nan"), 3), (1, float("inf"))])
def test_impossible_counts(k, n):
    with pytest.raises(ValueError, match="successes <= trials"):
        wilson(k, n)
    with pytest.raises(ValueError, match="defects <= inspected"):
        p_chart(k, n)


def test_sql_of_wilson_says_the_same():
    counts = [
        (k, n) for n in (0, 1, 2, 3, 7, 20, 263, 10**6) for k in sorted({0, 1, n // 3, n // 2, n - 1, n}) if 0 <= k <= n
    ]
    values = ", ".join(f"({i}, {k}, {n})" for i, (k, n) in enumerate(counts))
    lower, upper = wilson_sql("sum(k)", "sum(n)")
    rows = athena(f"SELECT {lower}, {upper} FROM (VALUES {values}) AS t (i, k, n) GROUP BY i ORDER BY i")
    lows, highs = wilson(*zip(*counts, strict=True))
    for row, low, high in zip(rows, lows, highs, strict=True):
        assert row == (
            (None, None) if np.isnan(low) else (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
        )


def test_limits_widen_for_small_periods():
    # Montgomery, table "Purchase order data for a control chart for fraction nonconforming with variable sample size":
    # 25 days, 234 defects of 2450; day 11 lies above its limit.
    defects = [12, 8, 6, 9, 10, 12, 11, 16, 10, 6, 20, 15, 9, 8, 6, 8, 10, 7, 5, 8, 5, 8, 10, 6, 9]
    sizes = [
        100,
        80,
        80,
        100,
        110,
        110,
        100,
        100,
        90,
        90,
        110,
        120,
        120,
        120,
        110,
        80,
        80,
        80,
        90,
        100,
        100,
        100,
        100,
        90,
        90,
    ]
    chart = p_chart(defects, sizes)
    assert chart.centre == pytest.approx(234 / 2450)
    assert chart.lower[0] == pytest.approx(0.0955 - 3 * np.sqrt(0.0955 * 0.9045 / 100), abs=1e-4)
    assert np.round(chart.upper[[0, 1]], 3).tolist() == [0.184, 0.194]
    assert np.flatnonzero(chart.beyond).tolist() == [10]
    defects[10] = 19
    assert not p_chart(defects, sizes).beyond.any()


def test_a_period_without_labels_is_no_alarm():
    chart = p_chart([1, 0, 2], [10, 0, 20])
    assert np.isnan(chart.upper[1])
    assert chart.beyond.tolist() == [False, False, False]
    assert np.isnan(p_chart([0], [0]).centre)


@settings(deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=5))
def test_sql_of_the_chart_says_the_same(counts):
    chart = p_chart(*zip(*counts, strict=True))
    values = ", ".join(f"({i}, CAST({k} AS bigint), CAST({n} AS bigint))" for i, (k, n) in enumerate(counts))
    listed = ", ".join(p_chart_sql("sum(k)", "sum(n)"))
    rows = athena(f"SELECT {listed} FROM (VALUES {values}) AS t (i, k, n) GROUP BY i ORDER BY i")
    for row, n, low, high in zip(rows, [n for _, n in counts], chart.lower, chart.upper, strict=True):
        if n:
            assert row == (
                pytest.approx(chart.centre, abs=1e-12),
                pytest.approx(low, abs=1e-9),
                pytest.approx(high, abs=1e-9),
            )
        else:
            assert row[1:] == (None, None) or chart.centre != chart.centre
