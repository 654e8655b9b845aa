import datetime as dt
import json

import numpy as np
import pytest

from sextant.inspection import evaluation
from sextant.inspection.calibration import Calibration
from sextant.inspection.evaluation import Row

CALIBRATION = Calibration(
    slope=1,
    intercept=0,
    threshold=0,
    rejecting=1,
    budget=0.05,
    guarantee=0.05,
    normals=20,
    normals_needed=19,
    calibrated=True,
)


def row(source, score, *, anomalous):
    probability = CALIBRATION.probability(score)
    said = score >= 0
    return Row(
        source=source,
        anomalous=anomalous,
        is_anomalous=said,
        confidence=probability if said else 1 - probability,
        probability=probability,
        score=score,
        verdict="reject" if score >= 1 else "review" if said else "accept",
    )


ROWS = [
    row("n1", -3, anomalous=False),
    row("n2", -1, anomalous=False),
    row("n3", 2, anomalous=False),
    row("a1", -2, anomalous=True),
    row("a2", 0.5, anomalous=True),
    row("a3", 3, anomalous=True),
    row("a4", 4, anomalous=True),
]


def test_numbers_by_hand():
    told = evaluation.measured(ROWS, CALIBRATION)
    assert (told.normals, told.anomalies, told.false_rejects) == (3, 4, 1)
    assert told.precision == pytest.approx(3 / 4)
    assert told.recall == pytest.approx(3 / 4)
    assert told.f1 == pytest.approx(3 / 4)
    # Pairs in order: a1 beats n1; a2 beats n1, n2; a3 and a4 beat all three: 9 of 12.
    assert told.auroc == pytest.approx(9 / 12)
    # Ranked 4, 3, 2(n), 0.5, -1(n), -2, -3(n): hits at ranks 1, 2, 4, 6.
    assert told.average_precision == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)
    assert told.verdicts == {"accept": 3, "review": 1, "reject": 3}
    assert (told.rejected_normals, told.accepted_anomalies) == (1, 1)
    assert told.false_reject_rate == pytest.approx(1 / 3)
    assert told.keeps_budget is False or told.false_reject_interval[0] <= 0.05
    assert told.roc[0] == (0, 0)
    assert told.roc[-1] == (1, 1)


def test_every_threshold_counts_what_it_would_do():
    told = evaluation.measured(ROWS, CALIBRATION)
    cut = {each.threshold: each for each in told.thresholds}
    assert (cut[2].false_rejects, cut[2].missed) == (1, 2)
    assert cut[2].f1 == pytest.approx(2 * 2 / (3 + 4))
    assert (cut[-3].false_rejects, cut[-3].missed) == (3, 0)
    assert cut[0.5].probability == pytest.approx(0.6225, abs=1e-4)


def test_many_photographs_make_short_tables():
    rng = np.random.default_rng(0)
    rows = [row(str(n), float(rng.normal() + n % 2), anomalous=bool(n % 2)) for n in range(2000)]
    told = evaluation.measured(rows, CALIBRATION)
    assert len(told.thresholds) <= evaluation.CUTS
    scores, truth = np.array([each.score for each in rows]), np.array([each.anomalous for each in rows])
    slow = np.mean([(scores[truth] > each).mean() for each in scores[~truth]])
    assert told.auroc == pytest.approx(slow)
    assert told.auroc_interval[0] < told.auroc < told.auroc_interval[1]


@pytest.mark.parametrize(("normals", "anomalies", "lower"), [(11, 16, 0.845), (5, 5, 0.643), (200, 200, 0.990)])
def test_an_area_of_one_has_a_lower_end(normals, anomalies, lower):
    low, high = evaluation.auroc_interval(1.0, normals, anomalies)
    assert high == 1
    assert low == pytest.approx(lower, abs=1e-3)
    # At the end the area found lies 1.96 standard errors away, by Hanley and McNeil's formula with equal numbers.
    first, second, n = low / (2 - low), 2 * low**2 / (1 + low), (normals + anomalies) / 2 - 1
    variance = (low * (1 - low) + n * (first - low**2) + n * (second - low**2)) / (normals * anomalies)
    assert (1 - low) / variance**0.5 == pytest.approx(1.959964)


def test_an_interval_covers_the_true_area_and_lies_within_nought_and_one():
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):  # normal scores 2.5 deviations apart: the true area is 0.9615
        normal, anomalous = rng.normal(0, 1, 11), rng.normal(2.5, 1, 16)
        low, high = evaluation.auroc_interval(evaluation.auroc(normal, anomalous), 11, 16)
        assert 0 <= low <= high <= 1
        covered += low <= 0.9615 <= high
    assert 0.93 <= covered / 1000 <= 0.99
    assert evaluation.auroc_interval(0.0, 11, 16)[0] == 0
    assert evaluation.auroc_interval(0.0, 11, 16)[1] == pytest.approx(
        1 - evaluation.auroc_interval(1.0, 11, 16)[0], abs=1e-9
    )


def test_what_cannot_be_told_is_none():
    told = evaluation.measured(ROWS[:3], CALIBRATION)
    assert (told.f1, told.auroc, told.average_precision, told.ece) == (None, None, None, None)
    assert told.false_reject_rate == pytest.approx(1 / 3)
    told = evaluation.measured(ROWS[3:], CALIBRATION)
    assert told.false_reject_rate is None
    assert told.recall == pytest.approx(3 / 4)


def test_service_files_are_as_the_service_wrote_them():
    told = evaluation.measured(ROWS, CALIBRATION)
    manifest, result = evaluation.service_files(
        told,
        training_photographs=40,
        ended=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        project="boards",
        version="3",
        model_arn="arn:aws:lookoutvision:eu-central-1:1:model/boards/3",
    )
    lines = [json.loads(line) for line in manifest.splitlines()]
    assert [each["source-ref"] for each in lines] == [each.source for each in ROWS]
    assert lines[2]["anomaly-label"] == 0
    assert lines[2]["anomaly-label-detected"] == 1
    detected = lines[2]["anomaly-label-detected-metadata"]
    assert detected["class-name"] == "anomaly"
    assert detected["confidence"] == pytest.approx(ROWS[2].confidence)
    assert detected["project-name"] == "boards"
    assert detected["model-version"] == "3"
    document = json.loads(result)
    assert document["Version"] == 1
    assert document["EvaluationDetails"]["EvaluationEndTimestamp"] == "2026-01-02T03:04:05.000000"
    assert document["EvaluationDetails"]["NumberOfTrainingImages"] == 40
    assert document["EvaluationDetails"]["NumberOfTestingImages"] == 7
    metrics = document["AggregatedEvaluationResults"]["Metrics"]
    assert metrics["F1Score"] == pytest.approx(0.75)
    assert metrics["ROCAUC"] == pytest.approx(0.75)
    assert "PixelAnomalyClassMetrics" not in metrics
