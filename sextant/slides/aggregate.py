"""From the outputs of a slide's tiles to the scores of the slide.

A head gives every tile logits and, if it learnt where to look, an attention logit. All that a slide's scores need is in
these, so batch transform can write them per tile and a later step put them together.

| name | the slide's scores |
| --- | --- |
| `mean` | mean of the tiles' probabilities (the original's) |
| `majority` | share of the tiles that vote for a class |
| `topk` | per class, mean over the `top_share` of its highest tiles; then the rows are made to add up to 1 |
| `attention` | softmax of the tiles' logits, averaged with the weights softmax(attention logits) (Ilse et al. 2018) |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Aggregation: TypeAlias = Literal["mean", "majority", "topk", "attention"]

TOP_SHARE = 0.2


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities along the last axis, as float64; large logits do not overflow."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def slide_scores(
    logits: NDArray[np.floating],
    attention: NDArray[np.floating] | None,
    aggregation: Aggregation,
    temperature: float = 1.0,
    top_share: float = TOP_SHARE,
) -> NDArray[np.float64]:
    """The slide's scores, shape (classes,), adding up to 1.

    Args:
        logits: of the slide's tiles, shape (tiles, classes).
        attention: logits of shape (tiles,), for `attention` only.
        aggregation: how tiles are put together.
        temperature: divides the slide's log scores: above 1 they come less certain.
        top_share: of the tiles, for `topk`; one tile at least.

    Raises:
        ValueError: there are no tiles, or no attention where it is needed.
    """
    if not len(logits):
        raise ValueError("a slide without tiles has no scores")
    return tempered(_put_together(logits, attention, aggregation, top_share), temperature)


def tempered(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Scores whose logarithms are divided by the temperature and which add up to 1 again."""
    return softmax(np.log(np.maximum(scores, 1e-12)) / temperature)


def _put_together(
    logits: NDArray[np.floating], attention: NDArray[np.floating] | None, aggregation: Aggregation, top_share: float
) -> NDArray[np.float64]:
    if aggregation == "attention":
        if attention is None:
            raise ValueError("the head has no attention: train with --head attention, or aggregate by mean")
        return softmax(softmax(attention) @ logits.astype(np.float64))
    tiles = softmax(logits)
    if aggregation == "majority":
        return np.bincount(tiles.argmax(1), minlength=tiles.shape[1]) / len(tiles)
    if aggregation == "topk":
        count = max(1, round(top_share * len(tiles)))
        highest = np.sort(tiles, 0)[-count:].mean(0)
        return np.asarray(highest / highest.sum())
    return np.asarray(tiles.mean(0))
