"""The tests behind drift and promotion, against scipy and by hand."""

import math
import random

import numpy as np
import pytest
from scipy import stats

from sextant.inspection.loop.drift import more_often_p
from sextant.inspection.statistics import auroc, ks_distance, ks_p, psi, shift, sign_p, wilson


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m", "moved"), [(30, 200, 0.0), (50, 50, 0.5), (400, 200, 0.2), (31, 30, 1.0)])
def test_distance_and_probability_are_scipys(seed, n, m, moved):
    random_ = np.random.default_rng(seed)
    a, b = random_.normal(size=n), random_.normal(loc=moved, size=m)
    truth = stats.ks_2samp(a, b, method="exact")

    found = shift(list(a), list(b))

    assert found.distance == pytest.approx(truth.statistic)
    assert found.p == pytest.approx(truth.pvalue, rel=0.35, abs=0.02)


def test_ties_are_counted_on_both_sides():
    assert ks_distance([1, 1, 2, 2], [1, 2, 2, 2]) == pytest.approx(0.25)
    assert ks_distance([1, 1], [1, 1]) == 0.0
    assert ks_distance([0, 0], [1, 1]) == 1.0
    assert ks_p(0.0, 30, 30) == 1.0


def test_the_stability_index_by_hand():
    reference = list(range(100))  # tenths of ten values each
    assert psi(reference, reference) == pytest.approx(0.0, abs=1e-9)
    sample = [0.0] * 50 + [99.0] * 50  # all in the first and the last bin
    expected = [10.5 + (1 if at == 0 else 0) - (1 if at == 9 else 0) for at in range(10)]  # edges belong to the left
    observed = [50.5] + [0.5] * 8 + [50.5]
    terms = [(o / 105 - e / 105) * math.log(o / e) for e, o in zip(expected, observed, strict=True)]
    assert psi(reference, sample) == pytest.approx(sum(terms))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (9, 3), (4, 4), (1, 20)])
def test_mcnemar_is_the_binomial_test(wins, losses):
    truth = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_p(wins, losses) == pytest.approx(truth)


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_mann_and_whitneys_with_ties(seed):
    random_ = np.random.default_rng(seed)
    normal, anomalous = random_.integers(12, size=36) / 12, random_.integers(12, size=24) / 12
    assert auroc(normal, anomalous) == pytest.approx(stats.mannwhitneyu(anomalous, normal).statistic / (36 * 24))


@pytest.mark.parametrize(("count", "n"), [(0, 10), (3, 40), (40, 40)])
def test_wilson_is_scipys(count, n):
    truth = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count, n) == pytest.approx((truth.low, truth.high), abs=1e-4)


def test_of_nothing_everything_is_possible():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("before", "of_before", "now", "of_now"), [(0, 200, 4, 60), (3, 200, 1, 50), (0, 50, 0, 50)])
def test_more_often_is_fishers_test(before, of_before, now, of_now):
    rows = [[now, of_now - now], [before, of_before - before]]
    truth = stats.fisher_exact(rows, alternative="greater").pvalue
    assert more_often_p(before, of_before, now, of_now) == pytest.approx(truth)


def test_thousands_do_not_overflow():
    assert 0 <= more_often_p(random.Random(1).randrange(50), 20_000, 900, 20_000) < 1e-100
