import itertools

import numpy as np
import pytest

from sextant.slides import evaluation, metrics


def three(*first):
    """Scores of three classes: the first given, the others share the rest."""
    return np.array([[each, (1 - each) * 0.6, (1 - each) * 0.4] for each in first])


def test_auc_by_hand_with_ties():
    truth = np.array([True, True, False, False])
    assert metrics.auc(truth, np.array([0.9, 0.8, 0.3, 0.1])) == 1
    assert metrics.auc(truth, np.array([0.1, 0.3, 0.8, 0.9])) == 0
    assert metrics.auc(truth, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    # Pairs: .8>.3 .8>.6 .6>.3 .6=.6: 3.5 of 4.
    assert metrics.auc(truth, np.array([0.8, 0.6, 0.6, 0.3])) == 0.875
    assert metrics.auc(np.array([True, True]), np.array([0.1, 0.2])) is None
    assert metrics.auc(np.array([False]), np.array([0.1])) is None


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(3)
    truth, score = rng.random(80) < 0.3, rng.integers(0, 12, 80) / 12
    pairs = list(itertools.product(score[truth], score[~truth]))
    share = sum(1 if a > b else 0.5 if a == b else 0 for a, b in pairs) / len(pairs)
    assert metrics.auc(truth, score) == pytest.approx(share, abs=1e-12)


def test_macro_auc_leaves_out_classes_without_cases():
    truth = np.array([0, 0, 1])
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.3, 0.6]])
    assert metrics.macro_auc(truth, scores) == pytest.approx((1 + 0.5) / 2)
    assert metrics.macro_auc(np.array([1, 1]), scores[:2]) is None


def test_accuracies_confusion_and_loss_by_hand():
    truth = np.array([0, 0, 0, 1])
    scores = np.array([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5], [0.7, 0.3]])
    assert metrics.accuracy(truth, scores) == 0.75  # of equals the first class is taken
    assert metrics.balanced_accuracy(truth, scores) == 0.5
    assert metrics.confusion(truth, scores).tolist() == [[3, 0], [1, 0]]
    assert metrics.log_loss(truth[2:], scores[2:]) == pytest.approx(-(np.log(0.5) + np.log(0.3)) / 2)
    assert metrics.log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-np.log(1e-12))


def test_calibration_by_hand():
    scores = np.array([[0.95, 0.05], [0.91, 0.09], [0.55, 0.45], [1.0, 0.0]])
    bins = metrics.reliability(np.array([0, 1, 0, 0]), scores)
    assert [(each.low, each.n) for each in bins] == [(0.5, 1), (0.9, 3)]
    assert bins[1].confidence == pytest.approx((0.95 + 0.91 + 1) / 3)
    assert bins[1].accuracy == pytest.approx(2 / 3)
    expected = (1 * abs(1 - 0.55) + 3 * abs(2 / 3 - 2.86 / 3)) / 4
    assert metrics.calibration_error(bins) == pytest.approx(expected)


def test_bootstrap_resamples_patients_not_cases():
    # 40 cases of two patients, one all right and one all wrong: a draw of two patients gives 0, 0.5 or 1.
    right = np.repeat([1.0, 0.0], 20)
    patients = ["a"] * 20 + ["b"] * 20
    seen = set()

    def measure(index):
        seen.add(float(right[index].mean()))
        return [right[index].mean()]

    assert metrics.bootstrap(patients, measure) == [(0.0, 1.0)]
    assert seen == {0.0, 0.5, 1.0}
    # Taken as 40 patients of one case each it is the binomial's 95 % interval, about 0.5 -+ 1.96 * sqrt(0.25 / 40).
    ((low, high),) = metrics.bootstrap([str(each) for each in range(40)], measure, resamples=4000)
    assert (low, high) == pytest.approx((0.345, 0.655), abs=0.03)


def test_bootstrap_repeats_itself_and_tells_what_it_cannot_measure():
    right = np.arange(30) % 3
    patients = [str(each) for each in range(30)]

    def measure(index):
        return [right[index].mean() / 2, np.nan]

    first = metrics.bootstrap(patients, measure)
    assert first == metrics.bootstrap(patients, measure)
    assert first != metrics.bootstrap(patients, measure, seed=1)
    assert first[1] is None


def test_level_puts_everything_together():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    logits = rng.normal(size=(60, 3)) + 2 * np.eye(3)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    patients = [f"p{each // 2}" for each in range(60)]
    level = metrics.level(("a", "b", "c"), truth, scores, patients, resamples=300)
    assert (level.n, level.patients) == (60, 30)
    assert np.array(level.confusion).sum(1).tolist() == np.bincount(truth).tolist()
    assert level.accuracy.value == pytest.approx(np.trace(np.array(level.confusion)) / 60)
    assert level.auc.low < level.auc.value < level.auc.high
    assert level.auc.value == pytest.approx(np.mean([each.value for each in level.auc_per_class.values()]))
    assert evaluation.Level.model_validate_json(level.model_dump_json()) == level


def test_level_with_one_class_has_no_auc_and_an_empty_one_is_refused():
    level = metrics.level(("a", "b", "c"), np.array([0, 0]), three(0.9, 0.2), ["p", "q"], resamples=200)
    assert level.auc is None
    assert level.auc_per_class == {"a": None, "b": None, "c": None}
    assert level.accuracy.value == 0.5
    with pytest.raises(ValueError, match="no scored slides"):
        metrics.level(("a", "b"), np.array([], int), np.empty((0, 2)), [])


def test_sentence_tells_interval_and_n():
    level = metrics.level(("a", "b", "c"), np.array([0, 0, 1]), three(0.9, 0.3, 0.2), ["p", "q", "r"])
    measured = evaluation.Evaluation(
        split="test",
        classes=("a", "b", "c"),
        slides=level,
        tiles=level,
        aggregation="mean",
        model_sha256="0" * 64,
        plan_digest="1" * 64,
    )
    assert measured.sentence() == (
        "slides: AUC 1.000, balanced accuracy 0.750 [0.000, 1.000] (n = 3 slides of 3 patients)"
    ), "every draw has AUC 1; one of 27 draws q alone, which is wrong, and 8 of 27 leave it out"


def test_metric_lines_are_what_the_definitions_find():
    import re

    for each in evaluation.METRIC_DEFINITIONS:
        for value in (0.98765432, 1e-7, 123456.7):
            found = re.search(each["Regex"], evaluation.metric_line(each["Name"], value))
            assert float(found[1]) == pytest.approx(value, rel=1e-5)
    assert evaluation.metric_line("val_slide_auc", 0.98) == "#quality_metric: val_slide_auc=0.98"
