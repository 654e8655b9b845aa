import numpy as np
import pytest
from scipy.optimize import check_grad

from sextant.slides import heads
from sextant.slides.aggregate import slide_scores


def blobs(n=90, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    centres = np.eye(3, dim) * 3
    return (centres[labels] + rng.normal(size=(n, dim))).astype(np.float32), labels


def test_standardisation_survives_a_constant_feature():
    features = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    scaling = heads.standard(features)
    assert scaling["mean"].tolist() == [2, 5]
    assert scaling["scale"].tolist() == [1, 1]
    assert heads.standardised(features, scaling).tolist() == [[-1, 0], [1, 0]]


def test_class_weights_by_hand():
    # 6 tiles: 4, 2 and none. Two classes are there: 6 / (2 * 4) and 6 / (2 * 2).
    assert heads.class_weights(np.array([0, 0, 0, 0, 1, 1]), 3).tolist() == [0.75, 1.5, 0]


def test_linear_loss_by_hand_and_gradient_by_differences():
    x, labels = blobs(20, 4)
    zeros = np.zeros(5 * 3)
    assert heads.linear_loss(zeros, x, labels, np.ones(3), 1.0)[0] == pytest.approx(np.log(3))
    arguments = (x.astype(float), labels, np.array([0.5, 1.0, 2.0]), 0.7)
    start = np.random.default_rng(1).normal(size=15) * 0.1
    error = check_grad(
        lambda flat: heads.linear_loss(flat, *arguments)[0], lambda flat: heads.linear_loss(flat, *arguments)[1], start
    )
    assert error < 1e-6


def linear(strength, start=None):
    x, labels = blobs()
    scaling = heads.standard(x)
    standardised = heads.standardised(x, scaling)
    return heads.fit_linear(standardised, labels, classes=3, strength=strength, start=start, scaling=scaling)


def test_linear_head_is_at_the_minimum_and_repeats_itself():
    x, labels = blobs()
    head = linear(0.1)
    again = linear(0.1)
    assert all(np.array_equal(head.arrays[name], again.arrays[name]) for name in head.arrays)
    flat = np.append(head.arrays["W"].ravel(), head.arrays["b"]).astype(float)
    weights = heads.class_weights(labels, 3)
    standardised = heads.standardised(x, head.arrays)
    best, gradient = heads.linear_loss(flat, standardised, labels, weights, 0.1)
    assert np.abs(gradient).max() < 1e-3
    rng = np.random.default_rng(0)
    for _ in range(20):
        near = flat + rng.normal(size=flat.shape) * 0.05
        assert heads.linear_loss(near, standardised, labels, weights, 0.1)[0] > best
    warm = linear(0.1, start=linear(1.0))
    assert np.allclose(warm.arrays["W"], head.arrays["W"], atol=2e-3)
    unseen, truth = blobs(seed=5)
    outputs = head.outputs(unseen)
    assert (outputs.logits.argmax(1) == truth).mean() > 0.95
    assert outputs.attention is None


def test_attention_gradient_by_finite_differences():
    rng = np.random.default_rng(0)
    dim, classes = 5, 3
    parameters = {name: each.astype(np.float64) for name, each in heads.attention_start(dim, classes, 0).items()}
    parameters = {name: each + rng.normal(size=each.shape) * 0.3 for name, each in parameters.items()}
    x = rng.normal(size=(7, dim))
    _, gradient = heads.attention_loss(x, 1, 1.7, parameters)
    assert set(gradient) == set(parameters)
    for name, value in parameters.items():
        for _ in range(6):
            at = tuple(rng.integers(0, size) for size in value.shape)
            sides = []
            for step in (1e-5, -1e-5):
                moved = value.copy()
                moved[at] += step
                sides.append(heads.attention_loss(x, 1, 1.7, {**parameters, name: moved})[0])
            assert gradient[name][at] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4, abs=1e-7), name


def test_attention_finds_the_few_tiles_that_tell():
    rng = np.random.default_rng(0)

    def slide(label):
        """30 tiles of noise, three of which tell the class: feature 0 says where to look, feature 1 what it is."""
        x = rng.normal(size=(30, 8)).astype(np.float32) * 0.5
        x[:3, 0] += 4
        x[:3, 1] += 2 if label else -2
        return x

    def bag(x):
        return lambda: x

    labels = [0, 1] * 20
    slides = [(bag(slide(each)), each) for each in labels]
    state = heads.descent(heads.attention_start(8, 2, 0))
    losses = []
    for number in range(15):
        state, loss = heads.epoch(state, slides, np.ones(2), 0.01, (0, number))
        losses.append(loss)
    assert losses[0] > 0.5
    assert losses[-1] < 0.1
    head = heads.Head(
        "attention", {"mean": np.zeros(8, np.float32), "scale": np.ones(8, np.float32), **state.parameters}
    )
    for label in (0, 1) * 5:
        outputs = head.outputs(slide(label))
        assert slide_scores(outputs.logits, outputs.attention, "attention").argmax() == label
        assert set(np.argsort(-outputs.attention)[:3].tolist()) == {0, 1, 2}


def test_descent_is_adam():
    # One step of Adam moves every parameter by the learning rate against its slope's sign, whatever the slope's size.
    start = {"b": np.array([1.0, 1.0], np.float32)}
    moved = heads._step(heads.descent(start), {"b": np.array([1e-3, -50.0])}, 0.5)
    assert moved.steps == 1
    assert moved.parameters["b"] == pytest.approx([0.999, 1.001], abs=1e-5)
