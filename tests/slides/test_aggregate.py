import numpy as np
import pytest

from sextant.slides import aggregate

LOGITS = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]]))


def scores(aggregation, **given):
    return aggregate.slide_scores(LOGITS, np.zeros(5), aggregation, **given)


def test_every_aggregation_by_hand():
    assert scores("mean") == pytest.approx([0.61, 0.39])
    assert scores("majority") == pytest.approx([0.8, 0.2])
    # The highest 2 of 5 per class: (.9 + .8) / 2 and (.8 + .45) / 2, then made to add up to 1.
    assert scores("topk", top_share=0.4) == pytest.approx(np.array([0.85, 0.625]) / 1.475)
    assert scores("topk", top_share=0.01) == pytest.approx(np.array([0.9, 0.8]) / 1.7)
    mean = LOGITS.mean(0)
    assert scores("attention") == pytest.approx(np.exp(mean) / np.exp(mean).sum())


def test_attention_follows_its_weights():
    attention = np.array([0.0, 0.0, 1000.0, 0.0, 0.0])
    assert aggregate.slide_scores(LOGITS, attention, "attention") == pytest.approx([0.2, 0.8])
    with pytest.raises(ValueError, match="the head has no attention"):
        aggregate.slide_scores(LOGITS, None, "attention")


def test_temperature_changes_certainty_not_order():
    warm = scores("mean", temperature=2.0)
    assert warm == pytest.approx(np.sqrt([0.61, 0.39]) / np.sqrt([0.61, 0.39]).sum())
    assert scores("mean", temperature=0.5)[0] > 0.61
    assert scores("majority", temperature=1.0).sum() == pytest.approx(1)


def test_large_logits_do_not_overflow_and_no_tile_is_refused():
    assert aggregate.softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]
    with pytest.raises(ValueError, match="without tiles"):
        aggregate.slide_scores(np.empty((0, 2)), None, "mean")
