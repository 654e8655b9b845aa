import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.inspection import calibration, fitting
from sextant.inspection.model import Linear
from sextant.inspection.settings import DetectorSettings
from sextant.inspection.statistics import auroc


def test_conformal_threshold_by_hand():
    assert calibration.conformal(np.arange(1.0, 20), 0.05) == (19.0, pytest.approx(1 / 20))
    assert calibration.conformal(np.arange(1.0, 40), 0.05) == (38.0, pytest.approx(2 / 40))
    assert calibration.conformal(np.arange(1.0, 11), 0.05) == (10.0, pytest.approx(1 / 11))
    assert [calibration.normals_needed(each) for each in (0.05, 0.1, 0.01)] == [19, 9, 99]


def test_promise_holds_for_new_items():
    rng = np.random.default_rng(0)
    exceeded = [
        float((rng.normal(size=200) > calibration.conformal(rng.normal(size=39), 0.05)[0]).mean()) for _ in range(400)
    ]
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.006)


def test_platt_finds_the_logistic_that_made_the_labels():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=20_000) * 2
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(1.5 * scores - 0.7)))
    slope, intercept = calibration.platt(scores, truth)
    assert slope == pytest.approx(1.5, abs=0.08)
    assert intercept == pytest.approx(-0.7, abs=0.08)
    error = calibration.expected_calibration_error(1 / (1 + np.exp(-(slope * scores + intercept))), truth)
    assert error < 0.015


def test_separable_scores_do_not_give_certainty():
    scores = np.array([0.0, 0.1, 0.2, 5.0, 5.1])
    truth = scores > 1
    found = calibration.calibrated(scores, truth, range(5), 0.05)
    assert 0.2 < found.threshold < 5
    assert 0.5 < found.probability(5.1) < 0.99
    assert found.guarantee == pytest.approx(1 / 4)


def test_threshold_keeps_the_budget_where_probability_one_half_does_not():
    """Forty normal scores, some among the anomalous ones: one half would reject six of them."""
    normal = np.concatenate([np.linspace(0, 1, 34), np.linspace(3, 4, 6)])
    anomalous = np.linspace(2, 6, 40)
    scores = np.concatenate([normal, anomalous])
    truth = np.arange(80) >= 40
    found = calibration.calibrated(scores, truth, range(80), 0.05)
    assert (normal >= -found.intercept / found.slope).sum() > 2
    assert (normal >= found.threshold).sum() == 2
    assert (normal >= found.rejecting).sum() == 1  # 39 of 41 ranks: the promise is for an item not seen
    assert found.probability(found.threshold) > 0.5


def test_copies_of_a_photograph_promise_what_one_does():
    """Ten normal items, each of whose photographs is there four times, and many anomalies among their scores."""
    normal = np.linspace(0, 1, 10)
    anomalous = np.linspace(0.3, 2, 200)
    copied = np.concatenate([normal, normal - 0.05, normal - 0.02, normal - 0.01, anomalous])
    groups = [*range(10)] * 4 + list(range(10, 210))
    found = calibration.calibrated(copied, np.arange(240) >= 40, groups, 0.2)
    one = calibration.calibrated(np.concatenate([normal, anomalous]), np.arange(210) >= 10, range(210), 0.2)
    assert (found.normals, found.guarantee) == (one.normals, one.guarantee) == (10, pytest.approx(2 / 11))
    assert normal[8] < found.rejecting < normal[9]
    assert normal[7] < found.threshold < normal[8]
    assert (found.rejecting, found.threshold) == (one.rejecting, one.threshold)


def test_without_anomalies_one_half_lies_at_the_threshold():
    scores = np.random.default_rng(2).normal(size=30)
    found = calibration.calibrated(scores, np.zeros(30, bool), range(30), 0.05)
    assert not found.calibrated
    assert found.probability(found.threshold) == pytest.approx(0.5, abs=1e-4)
    assert found.probability(float(np.median(scores))) == pytest.approx(0.05, abs=1e-3)


def test_calibration_error_by_hand():
    probability = np.array([0.95, 0.95, 0.05, 0.65])
    truth = np.array([True, False, False, True])
    # Confidence 0.95 three times with two right, 0.65 once and right: (3 * |0.95 - 2/3| + 1 * |0.65 - 1|) / 4
    assert calibration.expected_calibration_error(probability, truth) == pytest.approx((3 * (0.95 - 2 / 3) + 0.35) / 4)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0.01, 0.4))
def test_a_threshold_is_always_a_score_and_its_promise_at_most_what_n_allows(scores, budget):
    threshold, promised = calibration.conformal(np.array(scores), budget)
    assert threshold in scores
    assert promised >= 1 / (len(scores) + 1) - 1e-12
    if len(scores) >= calibration.normals_needed(budget):
        assert promised <= budget + 1e-9
    else:
        assert math.isclose(promised, 1 / (len(scores) + 1))


def test_folds_keep_copies_together_and_spread_both_kinds():
    anomalous = np.arange(40) >= 24
    groups = list(range(40))
    groups[3] = groups[17] = 9
    folds = fitting.folds(groups, anomalous, 0)
    assert folds[3] == folds[17] == folds[9]
    assert set(folds[~anomalous]) == set(range(20))
    assert max(np.bincount(folds[anomalous])) <= 2
    assert np.array_equal(folds, fitting.folds(groups, anomalous, 0))


def test_an_anomaly_changes_nothing_in_what_is_said_of_others_of_its_fold():
    """Which no head of that fold has seen: neither the patches' nor the pooled one, nor those of labels."""
    rng = np.random.default_rng(9)
    anomalous = np.arange(21) >= 12
    photographs = fitting.Photographs(
        features=list(rng.normal(size=(21, 6, 6, 16)).astype(np.float32)),
        anomalous=anomalous,
        groups=range(21),
        folds=np.arange(21) % 3,
        masks={at: (rng.random((1, 6, 6)) < 0.5).astype(np.float32) for at in range(12, 21)},
        labels=(("crack", "#111111"),),
        maps=(16,),
        surface=False,
    )
    changed = replace(photographs, features=[*photographs.features[:20], photographs.features[20][::-1] + 3])
    settings = DetectorSettings(bank_patches=100)
    one, other = (fitting.fit(each, settings, lambda _what, _done, _all: None) for each in (photographs, changed))
    held = np.nonzero(photographs.folds[:20] == photographs.folds[20])[0]
    rest = np.nonzero(photographs.folds != photographs.folds[20])[0]
    assert np.array_equal(one.parts[held], other.parts[held])
    assert (one.parts[rest, 1:] != other.parts[rest, 1:]).all()
    # The cut of a label is chosen on the maps of all: it moves each of them by the same.
    painted = [np.stack([each - each.mean() for each in fitted.heats]) for fitted in (one, other)]
    assert painted[0][held] == pytest.approx(painted[1][held], abs=1e-5)
    assert np.abs(painted[0][rest] - painted[1][rest]).max(axis=(1, 2, 3)).min() > 1e-3


def test_a_generous_mask_does_not_hide_what_the_photograph_shows():
    """Anomalous photographs are painted all over, and nine of their 400 patches show the flaw."""
    rng = np.random.default_rng(0)
    anomalous = np.arange(48) >= 24
    features = rng.normal(size=(48, 20, 20, 16)).astype(np.float32)
    for at in np.nonzero(anomalous)[0]:
        row, column = rng.integers(2, 12, 2)
        features[at, row : row + 3, column : column + 3] += 1
    photographs = fitting.Photographs(
        features=list(features),
        anomalous=anomalous,
        groups=range(48),
        folds=np.arange(48) % 4,
        masks={int(at): np.ones((1, 20, 20), np.float32) for at in np.nonzero(anomalous)[0]},
        labels=(("flaw", "#111111"),),
        maps=(16,),
        surface=False,
    )
    found = fitting.fit(photographs, DetectorSettings(bank_patches=400), lambda _what, _done, _all: None)
    of_patches = found.parts[:, 1]
    assert auroc(of_patches[~anomalous], of_patches[anomalous]) >= 0.95


def test_logistic_has_no_slope_at_its_end():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 4))
    y = x[:, 0] + rng.normal(size=200) > 0.8
    found = fitting.logistic(x, y, 0.1)

    def loss(head):
        margin = (x @ head.weights + head.bias) * np.where(y, 1, -1)
        weight = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
        return float(weight @ np.logaddexp(0, -margin)) + 0.05 * float((head.weights**2).sum())

    best = loss(found)
    for step in (0.02, -0.02):
        for place in range(4):
            moved = found.weights.copy()
            moved[place] += step
            assert loss(Linear(moved, found.bias)) > best
        assert loss(Linear(found.weights, found.bias + step)) > best


def test_coreset_takes_the_lonely_vectors():
    rng = np.random.default_rng(4)
    crowd = rng.normal(size=(500, 6)).astype(np.float32) * 0.01
    lonely = np.eye(6, dtype=np.float32) * 10
    taken = fitting.coreset(np.concatenate([crowd, lonely]), 8, rng)
    assert all((np.abs(taken - each).max(1) < 1e-6).any() for each in lonely)


@pytest.mark.parametrize(("candidates", "size"), [(3000, 300), (200, 50)])
def test_coreset_is_the_one_taken_one_by_one(candidates, size):
    vectors = np.random.default_rng(5).normal(size=(candidates, 10)).astype(np.float32)
    taken = fitting.coreset(vectors, size, np.random.default_rng(6))
    at, farthest = int(np.random.default_rng(6).integers(candidates)), np.full(candidates, np.inf)
    for each in taken:
        assert np.array_equal(each, vectors[at])
        farthest = np.minimum(farthest, ((vectors - each) ** 2).sum(1))
        at = int(farthest.argmax())


def test_coreset_of_copies_has_as_many_as_asked_for():
    copies = np.repeat(np.eye(3, dtype=np.float32), 200, 0)
    taken = fitting.coreset(copies, 20, np.random.default_rng(7))
    assert taken.shape == (20, 3)
    assert len(np.unique(taken, axis=0)) == 3


def test_scaling_goes_halfway_to_whitening():
    """A direction of a hundredth of the variance counts a tenth, and all together count 3."""
    rng = np.random.default_rng(8)
    loud, quiet = rng.normal(size=(2, 100, 100))
    features = np.stack([loud + 0.1 * quiet, loud - 0.1 * quiet], -1).astype(np.float32)
    scaled = fitting.scaling([features], (2,), rng, surface=False)
    variance = (scaled.standardised(features).reshape(-1, 2) @ scaled.projection).var(0)
    assert variance.sum() == pytest.approx(3, rel=0.02)
    assert variance[1] / variance[0] == pytest.approx(0.1, rel=0.05)


def test_contrast_of_a_surface_is_made_equal_and_its_mean_is_kept():
    rng = np.random.default_rng(5)
    usual = [rng.normal(size=(20, 20, 3)).astype(np.float32) for _ in range(8)]
    scaled = fitting.scaling(usual, (3,), rng, surface=True)
    short = [
        scaled.placed(scaled.standardised(each))[:, :3] for each in (usual[0], usual[0] * 1.5 + 4, usual[0] * 0 + 4)
    ]
    assert short[1].std(0) == pytest.approx(short[0].std(0), rel=0.01)
    assert np.linalg.norm(short[1].mean(0) - short[0].mean(0)) > 3
    assert short[2].std(0) == pytest.approx(0, abs=1e-4), "a surface without any grain is not given one"
