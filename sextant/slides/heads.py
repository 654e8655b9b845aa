"""What turns features into logits per tile: two heads, small enough to be trained with numpy on a CPU.

- `linear`: softmax regression on tiles, every tile having its slide's label. L2, class weights, L-BFGS: the loss is
  convex, so the result does not depend on a seed.
- `attention`: gated-attention multiple-instance learning on slides (Ilse, Tomczak and Welling 2018, arXiv 1802.04712).
  The classifier after the attention is linear, so a slide's logits are the attention-weighted mean of its tiles'
  logits: every tile has logits and an attention logit of its own.

Both standardise features with the mean and deviation of the training tiles, which they keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from sextant.slides.aggregate import softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float32]
    Arrays: TypeAlias = dict[str, NDArray[np.float32]]

Kind: TypeAlias = Literal["linear", "attention"]

HIDDEN = 64
GATE = 32
_LEARNING_RATE = 1e-3
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@dataclass(frozen=True, eq=False)
class TileOutputs:
    """Of tiles: logits, shape (n, classes), and attention logits, shape (n,), where the head has any."""

    logits: Array
    attention: Array | None


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head: its arrays are all float32 and named as the code below names them."""

    kind: Kind
    arrays: Arrays

    def outputs(self, features: NDArray[Any]) -> TileOutputs:
        """What the head makes of features, shape (n, dim)."""
        x = standardised(features, self.arrays)
        if self.kind == "linear":
            return TileOutputs(x @ self.arrays["W"] + self.arrays["b"], None)
        inner = _inner(x, self.arrays)
        return TileOutputs(inner.logits, inner.attention)


def shapes(kind: Kind, dim: int, classes: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a head by its name."""
    found = {"mean": (dim,), "scale": (dim,)}
    if kind == "linear":
        return {**found, "W": (dim, classes), "b": (classes,)}
    return {**found, **{name: each.shape for name, each in attention_start(dim, classes, 0).items()}}


def standard(features: NDArray[Any]) -> Arrays:
    """`mean` and `scale` of features, each shape (dim,); a feature that never changes has scale 1."""
    mean = features.mean(0, dtype=np.float64)
    deviation = features.std(0, dtype=np.float64)
    return {"mean": mean.astype(np.float32), "scale": np.where(deviation > 1e-6, deviation, 1).astype(np.float32)}


def standardised(features: NDArray[Any], arrays: Mapping[str, Array]) -> Array:
    """Features less their mean, divided by their scale."""
    return np.asarray((features.astype(np.float32, copy=False) - arrays["mean"]) / arrays["scale"])


def class_weights(labels: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """Per class n / (classes present * n of the class), so that all classes weigh the same; 0 for absent ones."""
    counts = np.bincount(labels, minlength=classes)
    weights = np.zeros(classes)
    weights[counts > 0] = len(labels) / ((counts > 0).sum() * counts[counts > 0])
    return weights


def linear_loss(
    flat: NDArray[np.float64],
    x: NDArray[np.floating],
    labels: NDArray[np.integer],
    weights: NDArray[np.float64],
    strength: float,
) -> tuple[float, NDArray[np.float64]]:
    """Weighted mean cross-entropy plus strength / 2 * |W|², and its gradient; `flat` is W (dim, classes), then b."""
    classes = len(flat) // (x.shape[1] + 1)
    matrix, bias = _unpacked(flat, x.shape[1], classes)
    probabilities = softmax(x @ matrix.astype(x.dtype) + bias)
    rows = np.arange(len(x))
    weight = weights[labels]
    total = weight.sum()
    loss = -(weight * np.log(np.maximum(probabilities[rows, labels], 1e-300))).sum() / total
    probabilities[rows, labels] -= 1
    error = probabilities * (weight / total)[:, None]
    gradient = (x.T @ error.astype(x.dtype)).astype(np.float64) + strength * matrix
    return float(loss + strength / 2 * (matrix**2).sum()), np.append(gradient.ravel(), error.sum(0))


def fit_linear(
    x: Array, labels: NDArray[np.integer], *, classes: int, strength: float, start: Head | None, scaling: Arrays
) -> Head:
    """The linear head of standardised features.

    Args:
        x: standardised features, shape (n, dim).
        labels: of the tiles, shape (n,).
        classes: how many there are.
        strength: of L2.
        start: a head to begin with, such as that of the next strength: the result is the same, and sooner there.
        scaling: `mean` and `scale` that x was made with.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  a server only reads heads: half a second less until it answers

    flat = np.zeros((x.shape[1] + 1) * classes)
    if start:
        flat = np.append(start.arrays["W"].ravel(), start.arrays["b"]).astype(np.float64)
    found = minimize(
        linear_loss,
        flat,
        (x, labels, class_weights(labels, classes), strength),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "ftol": 1e-9, "gtol": 1e-6},
    )
    matrix, bias = _unpacked(found.x, x.shape[1], classes)
    return Head("linear", {**scaling, "W": matrix.astype(np.float32), "b": bias.astype(np.float32)})


def _unpacked(flat: NDArray[np.float64], dim: int, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return flat[: dim * classes].reshape(dim, classes), flat[dim * classes :]


@dataclass(frozen=True, eq=False)
class _Inner:
    hidden: NDArray[Any]
    tanh: NDArray[Any]
    gate: NDArray[Any]
    attention: NDArray[Any]
    logits: NDArray[Any]


def attention_start(dim: int, classes: int, seed: int) -> Arrays:
    """Parameters to begin with: He's normal before ReLU, Glorot's before the gates, zero biases and classifier."""
    rng = np.random.default_rng(seed)

    def normal(rows: int, columns: int, deviation: float) -> Array:
        return (rng.standard_normal((rows, columns)) * deviation).astype(np.float32)

    return {
        "P": normal(dim, HIDDEN, (2 / dim) ** 0.5),
        "p": np.zeros(HIDDEN, np.float32),
        "V": normal(HIDDEN, GATE, (2 / (HIDDEN + GATE)) ** 0.5),
        "v": np.zeros(GATE, np.float32),
        "U": normal(HIDDEN, GATE, (2 / (HIDDEN + GATE)) ** 0.5),
        "u": np.zeros(GATE, np.float32),
        "w": normal(GATE, 1, (2 / (GATE + 1)) ** 0.5)[:, 0],
        "W": np.zeros((HIDDEN, classes), np.float32),
        "b": np.zeros(classes, np.float32),
    }


def _inner(x: NDArray[Any], of: Mapping[str, NDArray[Any]]) -> _Inner:
    hidden = np.maximum(x @ of["P"] + of["p"], 0)
    tanh = np.tanh(hidden @ of["V"] + of["v"])
    gate = 1 / (1 + np.exp(-(hidden @ of["U"] + of["u"])))
    return _Inner(hidden, tanh, gate, (tanh * gate) @ of["w"], hidden @ of["W"] + of["b"])


def attention_loss(
    x: NDArray[Any], label: int, weight: float, of: Mapping[str, NDArray[Any]]
) -> tuple[float, dict[str, NDArray[Any]]]:
    """Weighted cross-entropy of one slide's tiles, x of shape (tiles, dim), and its gradient by parameter."""
    inner = _inner(x, of)
    share = softmax(inner.attention).astype(x.dtype)
    error = softmax(share @ inner.logits)
    loss = -weight * float(np.log(max(float(error[label]), 1e-300)))
    error[label] -= 1
    error = (weight * error).astype(x.dtype)
    by_share = inner.logits @ error
    by_attention = share * (by_share - share @ by_share)
    by_logits = share[:, None] * error
    outer = by_attention[:, None] * of["w"]
    by_tanh = outer * inner.gate * (1 - inner.tanh**2)
    by_gate = outer * inner.tanh * inner.gate * (1 - inner.gate)
    by_hidden = (by_tanh @ of["V"].T + by_gate @ of["U"].T + by_logits @ of["W"].T) * (inner.hidden > 0)
    return loss, {
        "P": x.T @ by_hidden,
        "p": by_hidden.sum(0),
        "V": inner.hidden.T @ by_tanh,
        "v": by_tanh.sum(0),
        "U": inner.hidden.T @ by_gate,
        "u": by_gate.sum(0),
        "w": (inner.tanh * inner.gate).T @ by_attention,
        "W": inner.hidden.T @ by_logits,
        "b": by_logits.sum(0),
    }


@dataclass(frozen=True, eq=False)
class Descent:
    """Adam's state (Kingma and Ba 2014) with decoupled weight decay (Loshchilov and Hutter 2017)."""

    steps: int
    parameters: Arrays
    first: Arrays
    second: Arrays


def descent(parameters: Arrays) -> Descent:
    """Adam's state before the first step."""
    zeros = {name: np.zeros_like(each) for name, each in parameters.items()}
    return Descent(0, parameters, zeros, {name: each.copy() for name, each in zeros.items()})


def epoch(
    state: Descent,
    slides: Sequence[tuple[Callable[[], Array], int]],
    weights: NDArray[np.float64],
    strength: float,
    seed: tuple[int, int],
) -> tuple[Descent, float]:
    """One pass over the slides in an order that the seed decides, one step per slide.

    Args:
        state: before the pass.
        slides: what gives a slide's standardised features, shape (tiles, dim), and its label.
        weights: of the classes.
        strength: of weight decay, on matrices.
        seed: of the run and number of the epoch: a run that goes on after a stop takes the same order.

    Returns:
        The state after the pass, and the mean loss of its steps.
    """
    losses = []
    for number in np.random.default_rng(seed).permutation(len(slides)).tolist():
        features, label = slides[number]
        loss, gradient = attention_loss(features(), label, float(weights[label]), state.parameters)
        state = _step(state, gradient, strength)
        losses.append(loss)
    return state, float(np.mean(losses))


def _step(state: Descent, gradient: Mapping[str, NDArray[Any]], strength: float) -> Descent:
    steps = state.steps + 1
    parameters: Arrays = {}
    first: Arrays = {}
    second: Arrays = {}
    for name, value in state.parameters.items():
        slope = gradient[name]
        first[name] = (_BETAS[0] * state.first[name] + (1 - _BETAS[0]) * slope).astype(np.float32)
        second[name] = (_BETAS[1] * state.second[name] + (1 - _BETAS[1]) * slope**2).astype(np.float32)
        mean = first[name] / (1 - _BETAS[0] ** steps)
        deviation = np.sqrt(second[name] / (1 - _BETAS[1] ** steps))
        decay = strength * value if value.ndim > 1 else 0
        parameters[name] = (value - _LEARNING_RATE * (mean / (deviation + _EPSILON) + decay)).astype(np.float32)
    return Descent(steps, parameters, first, second)
