import numpy as np
import pytest

from sextant.inspection import doctor, evaluation
from sextant.inspection.evaluation import Row
from sextant.inspection.examples import Example
from tests.inspection.made import jpeg, plate
from tests.inspection.test_evaluation import CALIBRATION


def pictures(count, start=0):
    return [Example(f"n{start + n}.jpg", "normal", jpeg(plate(start + n)[0])) for n in range(count)]


def found(kind, findings):
    return [each for each in findings if each.kind == kind]


def test_a_good_set_has_no_findings():
    anomalies = [Example(f"a{n}.jpg", "anomaly", jpeg(plate(900 + n, defect="hole")[0])) for n in range(4)]
    assert doctor.examine([*pictures(20), *anomalies], test=pictures(3, 500)) == []


def test_copies_are_found_in_any_quality():
    pixels, _ = plate(3)
    copies = [
        Example("first.jpg", "normal", jpeg(pixels)),
        Example("again.jpg", "normal", jpeg(pixels)),
        Example("smaller.jpg", "normal", jpeg(pixels, quality=70)),
        Example("other_label.jpg", "anomaly", jpeg(pixels, quality=90)),
    ]
    (conflict,) = found("conflicting_labels", doctor.examine([*pictures(6, 20), *copies[1:]]))
    assert set(conflict.sources) == {"again.jpg", "smaller.jpg", "other_label.jpg"}
    (same,) = found("duplicates", doctor.examine([*pictures(3), *copies[:2]]))
    assert same.sources == ("first.jpg", "again.jpg")
    assert same.numbers["exact"] == 1
    assert same.remedy


def test_leak_from_training_into_test():
    train = pictures(6)
    pixels, _ = plate(2)
    leaks = found("leak", doctor.examine(train, test=[*pictures(3, 50), Example("t.jpg", "normal", jpeg(pixels, 85))]))
    assert len(leaks) == 1
    assert set(leaks[0].sources) == {"t.jpg", "n2.jpg"}
    assert leaks[0].numbers["share"] == pytest.approx(1 / 4)


def test_products_that_all_look_alike_are_no_copies():
    rng = np.random.default_rng(0)
    plain = np.full((128, 128, 3), 120.0)
    views = [(plain + rng.normal(size=plain.shape)).astype(np.float32) for _ in range(8)]
    assert doctor.groups(views, [bytes([n]) for n in range(8)], [False] * 8) == list(range(8))


def test_products_in_a_fixture_are_no_copies_though_the_defective_ones_differ():
    """Half of the photographs are of one look: all of the normal ones."""
    rng = np.random.default_rng(0)
    views = [(np.full((128, 128, 3), 120.0) + rng.normal(size=(128, 128, 3))).astype(np.float32) for _ in range(16)]
    for at, view in enumerate(views[8:]):
        view[10 * at : 10 * at + 20] -= 40
    anomalous = [False] * 8 + [True] * 8
    assert doctor.groups(views, [bytes([n]) for n in range(16)], anomalous) == list(range(16))


def test_light_blur_shape_and_files():
    pixels = plate(1)[0]
    dark = (pixels * 0.25).astype(np.uint8)
    soft = np.asarray(doctor.Image.fromarray(plate(2)[0]).resize((40, 27)).resize((480, 320)))
    odd = [
        Example("dark.jpg", "normal", jpeg(dark)),
        Example("soft.jpg", "normal", jpeg(soft)),
        Example("wide.jpg", "normal", jpeg(pixels[100:260])),
        Example("cut.jpg", "normal", jpeg(pixels)[:900]),
    ]
    findings = doctor.examine([*pictures(12, 10), *odd])
    assert found("exposure", findings)[0].sources == ("dark.jpg",)
    assert "soft.jpg" in found("blur", findings)[0].sources
    assert found("size", findings)[0].sources == ("wide.jpg",)
    assert found("unreadable", findings)[0].sources == ("cut.jpg",)
    assert "truncated" in found("unreadable", findings)[0].words


def test_counts_and_what_they_can_promise():
    findings = doctor.examine(pictures(12))
    (few,) = found("too_few_normals", findings)
    assert "12 different normal photographs can promise at most 7.7% false rejects" in few.words
    assert few.remedy == "Add 7 photographs of items without a defect."
    assert found("no_anomalies", findings)
    one = Example("a.jpg", "anomaly", jpeg(plate(77, defect="hole")[0]))
    assert found("imbalance", doctor.examine([*pictures(12), one]))[0].numbers == {"normals": 12, "anomalies": 1}
    assert not found("too_few_normals", doctor.examine(pictures(12), false_reject_budget=0.1))
    again = [Example(f"again{n}.jpg", "normal", jpeg(plate(n)[0], quality=70)) for n in range(12)]
    (few,) = found("too_few_normals", doctor.examine([*pictures(12), *again]))
    assert few.numbers == {"normals": 12, "needed": 19}


def test_labels_that_the_others_contradict():
    def row(source, score, *, anomalous):
        probability = CALIBRATION.probability(score)
        return Row(
            source=source,
            anomalous=anomalous,
            is_anomalous=score > 0,
            confidence=max(probability, 1 - probability),
            probability=probability,
            score=score,
            verdict="accept",
        )

    rows = [
        row("n1", 5, anomalous=False),
        row("n2", -5, anomalous=False),
        row("n3", 3, anomalous=False),
        row("a1", -4, anomalous=True),
        row("a2", 1, anomalous=True),
    ]
    told = evaluation.measured(rows, CALIBRATION)
    first, second = found("suspicious_label", doctor.examine(pictures(5), out_of_fold=told))
    assert first.sources == ("n1", "n3")
    assert second.sources == ("a1",)
    assert "2 photographs are labelled normal, but look anomalous" in first.words
