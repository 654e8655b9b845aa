import base64
import io
import json
import math
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sextant.inspection import archive, detector, evaluation, model, patches, photograph, rules, saving, training
from sextant.inspection.archive import ArchiveError
from sextant.inspection.examples import Example, InputError
from sextant.inspection.settings import DetectorSettings, RejectRules
from tests.inspection.made import COLOUR, SIZE, examples, jpeg, plate, texture

SMALL = DetectorSettings(input_px=192, bank_patches=500)


PAINTED_NAN = (("background", "#FFFFFF", 0.95), ("crack", "#111111", math.nan))


@pytest.fixture(scope="module")
def trained():
    """Of 12 normal plates and 8 with masks."""
    return training.train(examples(plate, 12, 8, masks=True), SMALL, test=examples(plate, 4, 4, start=300, masks=True))


@pytest.fixture(scope="module")
def normal_only():
    return training.train(examples(texture, 10, 0), SMALL)


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive")
    saving.save(trained, path, project="plates", version="1")
    return path


def test_plates_are_told_apart_and_painted(trained):
    told = evaluation.evaluate(trained.detector, examples(plate, 12, 10, start=100, masks=True))
    assert trained.detector.crop.kind == "object"
    assert told.auroc == 1
    assert told.f1 >= 0.9
    assert told.pixel_auroc >= 0.97
    holes = next(each for each in told.labels if each.name == "hole")
    assert holes.f1 == 1
    assert holes.iou > 0.35
    assert trained.out_of_fold.auroc >= 0.95
    assert {each.fold for each in trained.out_of_fold.rows} == set(range(12))
    assert trained.test.photographs == 8


def test_ten_normal_surfaces_are_enough(normal_only):
    told = evaluation.evaluate(normal_only.detector, examples(texture, 15, 12, start=100))
    assert normal_only.detector.crop.kind == "whole"
    assert told.auroc >= 0.97
    assert told.recall >= 0.8
    assert told.false_rejects <= 2
    assert any("10 different normal photographs promise at most 9.1%" in each for each in normal_only.notes)
    assert any("only normal items were learned" in each for each in normal_only.notes)


@pytest.mark.parametrize("anomalies", [0, 8])
def test_what_is_no_photograph_of_the_product_is_called_anomalous_and_reviewed(anomalies):
    """The heads of a model that looks at the whole picture know nothing of a lens cap, and called it normal."""
    made = training.train(examples(texture, 12, anomalies), SMALL).detector
    assert made.crop.kind == "whole"
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for pixels in (noise, *(np.full((256, 256, 3), grey, np.uint8) for grey in (0, 110, 255))):
        found = detector.detect(made, pixels)
        assert found.is_anomalous
        assert (found.verdict, "unlike those of the training" in found.verdict_reason) == ("review", True)
    for seed in range(500, 530):
        pixels, _ = texture(seed, defect="scratch" if seed % 2 else None)
        assert "unlike" not in detector.detect(made, pixels).verdict_reason


def test_what_is_no_number_is_never_normal(trained, folder, tmp_path):
    made = trained.detector
    features = patches.features(made.network, np.zeros((64, 64, 3), np.uint8), surface=made.crop.surface)
    features[0, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="no finite number"):
        model.judge(made.model, features)
    files = {name: (folder / name).read_bytes() for name in archive.NEEDED}
    with np.load(io.BytesIO(files["bank.npz"])) as stored:
        arrays = dict(stored)
    arrays["bank"][3, 3] = np.inf
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    np.savez(tmp_path / "bank.npz", **arrays)
    with pytest.raises(ArchiveError, match="bank holds what is no finite number"):
        archive.load(tmp_path)


def brushed(seed, *, scratched=False):
    """Pixels (256, 256, 3) of brushed metal; a scratch across it is hardly brighter than the streaks."""
    rng = np.random.default_rng([seed, 11])
    summed = np.cumsum(rng.normal(size=(256, 296)), 1)
    streaks = (summed[:, 40:] - summed[:, :-40]) / 40**0.5
    mask = Image.new("L", (256, 256))
    if scratched:
        x, y = rng.integers(40, 200, 2)
        ImageDraw.Draw(mask).line((x, y, x + rng.integers(-25, 26), y + 30), fill=255, width=2)
    grey = rng.normal(150, 5) + 9 * streaks + 3 * rng.normal(size=streaks.shape) + 10 * (np.asarray(mask) > 0)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


def test_a_faint_scratch_in_brushed_metal_is_seen_from_normal_photographs_alone():
    """Averaged over 3 x 3 cells, and by plain principal components, it has an AUROC of 0.74."""
    seen = [Example(f"n{n}", "normal", jpeg(brushed(n))) for n in range(16)]
    made = training.train(seen, DetectorSettings(input_px=256, bank_patches=500))
    normal = [Example(f"n{n}", "normal", jpeg(brushed(n))) for n in range(100, 120)]
    marked = [Example(f"a{n}", "anomaly", jpeg(brushed(n, scratched=True))) for n in range(200, 220)]
    assert evaluation.evaluate(made.detector, normal + marked).auroc >= 0.92


def test_response_is_member_for_member_the_service_s(trained):
    pixels, _ = plate(105, defect="hole")
    found = detector.detect(trained.detector, pixels)
    answer = json.loads(json.dumps(detector.response(found)))
    assert set(answer) == {"DetectAnomalyResult"}
    result = answer["DetectAnomalyResult"]
    assert set(result) == {"Source", "IsAnomalous", "Confidence", "Anomalies", "AnomalyMask"}
    assert result["Source"] == {"Type": "direct"}
    assert result["IsAnomalous"] is True
    assert 0.5 < result["Confidence"] <= 1
    first, *rest = result["Anomalies"]
    assert (first["Name"], first["PixelAnomaly"]["Color"]) == ("background", "#FFFFFF")
    assert "hole" in [each["Name"] for each in rest]
    shares = [each["PixelAnomaly"]["TotalPercentageArea"] for each in result["Anomalies"]]
    assert sum(shares) == pytest.approx(1)
    image = Image.open(io.BytesIO(base64.b64decode(result["AnomalyMask"])))
    assert (image.format, image.size) == ("PNG", SIZE)
    painted = np.asarray(image.convert("RGB"))
    for each in result["Anomalies"]:
        colour = tuple(int(each["PixelAnomaly"]["Color"][at : at + 2], 16) for at in (1, 3, 5))
        assert (painted == colour).all(-1).mean() == pytest.approx(each["PixelAnomaly"]["TotalPercentageArea"])


def test_hole_is_painted_where_it_is_missing(trained):
    pixels, mask = plate(5005, defect="hole")
    found = detector.detect(trained.detector, pixels)
    at = [name for name, _, _ in found.anomalies].index("hole")
    inside = (found.mask == at) & (mask > 0)
    assert inside.sum() > 0.5 * mask.sum()
    assert COLOUR not in {colour for name, colour, _ in found.anomalies if name == "hole"}


def test_classifier_answers_without_masks_but_shows_the_place(normal_only):
    pixels, mask = texture(104, defect="scratch")
    found = detector.detect(normal_only.detector, pixels)
    assert set(detector.response(found)["DetectAnomalyResult"]) == {"Source", "IsAnomalous", "Confidence"}
    assert found.is_anomalous
    assert found.anomalies[1][0] == "anomaly"
    assert (found.mask[mask > 0] == 1).mean() > 0.5
    quiet = detector.detect(normal_only.detector, texture(1)[0])
    assert quiet.mask is None
    with pytest.raises(ValueError, match="has no mask"):
        detector.mask_png(quiet)


def test_photographs_of_any_size_are_judged(trained):
    pixels, _ = plate(105, defect="hole")
    larger = np.asarray(Image.fromarray(pixels).resize((1920, 1280), Image.Resampling.BICUBIC))
    found = detector.detect(trained.detector, larger)
    assert found.is_anomalous
    assert found.mask.shape == (1280, 1920)
    tiny = np.asarray(Image.fromarray(pixels).resize((96, 64)))
    assert detector.detect(trained.detector, tiny).size == (96, 64)
    noise = np.random.default_rng(0).integers(0, 255, (200, 90, 3), np.uint8)
    assert detector.detect(trained.detector, noise).verdict != "accept"


def test_an_empty_belt_is_for_a_person(trained):
    belt = np.full((320, 480, 3), (40, 70, 60), np.uint8)
    found = detector.detect(trained.detector, belt)
    assert not found.crop_ok
    assert (found.verdict, found.verdict_reason) == ("review", "no whole product was found in the photograph")


def test_training_folder_and_archive_give_the_same_numbers(trained, folder):
    """Parity: what was trained, what a folder holds and what SageMaker packs agree to the last bit, let alone 1e-4."""
    others = [archive.load(folder), archive.load(archive.pack(folder))]
    for seed, defect in ((200, None), (201, "scratch"), (202, "hole")):
        pixels = photograph.read(jpeg(plate(seed, defect=defect)[0]))
        first = detector.detect(trained.detector, pixels)
        for each in others:
            found = detector.detect(each, pixels)
            assert found.score == pytest.approx(first.score, abs=1e-6)
            assert found.probability == pytest.approx(first.probability, abs=1e-6)
            assert np.array_equal(found.mask, first.mask)
            assert np.abs(found.heat - first.heat).max() < 1e-4


def test_score_in_training_is_the_score_in_serving(trained):
    """The numbers that thresholds were chosen on and those that are served come from the same functions: a photograph's
    parts, computed step by step as training does, are what `judge` gives."""
    made = trained.detector
    seen = detector.see(plate(210)[0], made.crop, made.size)
    features = patches.features(made.network, seen.pixels, surface=made.crop.surface)
    standard = made.model.scaling.standardised(features)
    distances = model.nearest(made.model.scaling.placed(standard), made.model.bank)
    slow = np.sqrt(((made.model.scaling.placed(standard)[:, None] - made.model.bank[None]) ** 2).sum(-1)).min(1)
    assert np.abs(distances - slow).max() < 2e-3
    judged = model.judge(made.model, features)
    assert judged.parts[0] == pytest.approx(model.bank_part(distances, made.model.sizes), abs=1e-5)
    limited = model.deviations(np.array(judged.parts, np.float32), made.model.columns)
    assert judged.score == pytest.approx(float(limited @ made.model.weights), abs=1e-5)


def test_same_photographs_give_the_same_archive():
    given = examples(texture, 10, 4)
    files = [archive.files(training.train(given, SMALL).detector) for _ in range(2)]
    assert files[0] == files[1]


def test_archive_tells_what_it_is(folder):
    assert {each.name for each in folder.iterdir()} == {
        *archive.NEEDED,
        "metrics.json",
        "model_card.md",
        "evaluation_manifest.jsonl",
        "evaluation_result.json",
    }
    card = (folder / "model_card.md").read_text()
    assert "12 normal and 8 anomalous photographs of 480 x 320 px" in card
    assert "hole, scratch" in card
    assert json.loads((folder / "metrics.json").read_text())["test"]["photographs"] == 8
    result = json.loads((folder / "evaluation_result.json").read_text())
    metrics = result["AggregatedEvaluationResults"]["Metrics"]
    assert {each["ClassName"] for each in metrics["PixelAnomalyClassMetrics"]} == {"hole", "scratch"}
    assert archive.pack(folder) == archive.pack(folder)


def test_foreign_and_damaged_archives_are_refused(folder, tmp_path):
    packed = archive.pack(folder)
    for body in (b"", b"no archive", packed[: len(packed) // 2], packed[:-1000]):
        with pytest.raises(ArchiveError, match=r"fetch the archive again|has no"):
            archive.load(body)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as foreign:
        foreign.addfile(tarfile.TarInfo("model.pth"))
    with pytest.raises(ArchiveError, match="no detector of this product"):
        archive.load(stream.getvalue())
    with pytest.raises(ArchiveError, match="No such file"):
        archive.load(tmp_path / "none.tar.gz")

    def changed(name, change):
        copy = tmp_path / name
        copy.mkdir()
        for each in archive.NEEDED:
            (copy / each).write_bytes((folder / each).read_bytes())
        change(copy)
        return copy

    def of_format(number):
        def change(copy):
            described = json.loads((copy / "settings.json").read_text())
            (copy / "settings.json").write_text(json.dumps(described | {"format": number}))

        return change

    for name, change, reason in (
        ("newer", of_format(99), "has format 99"),
        ("older", of_format(2), "has format 2, and this version of the product reads 3: train again"),
        ("bank", lambda copy: (copy / "bank.npz").write_bytes(b"PK"), "damaged"),
        ("json", lambda copy: (copy / "calibration.json").write_text("{"), "damaged"),
        ("lost", lambda copy: (copy / "heads.npz").unlink(), "has no heads.npz"),
        (
            "network",
            lambda copy: (copy / "backbone.onnx").write_bytes(b"x"),
            "not the one it was trained with|backbone",
        ),
    ):
        with pytest.raises(ArchiveError, match=reason):
            archive.load(changed(name, change))


def test_arrays_of_two_trainings_do_not_mix(folder, normal_only, tmp_path):
    saving.save(normal_only, tmp_path)
    (tmp_path / "heads.npz").write_bytes((folder / "heads.npz").read_bytes())
    with pytest.raises(ArchiveError, match=r"do not fit|damaged"):
        archive.load(tmp_path)


def test_trainings_that_cannot_be_done_say_why():
    with pytest.raises(InputError, match="9 different normal photographs, and a training needs at least 10"):
        training.train(examples(texture, 9, 3), SMALL)
    same = examples(texture, 1, 0) * 12
    with pytest.raises(InputError, match="1 different normal photographs"):
        training.train(same, SMALL)
    broken = [Example(f"b{n}", "normal", b"\xff\xd8 no") for n in range(12)]
    with pytest.raises(InputError, match="12 photographs could not be read, such as b0"):
        training.train(broken, SMALL)
    with pytest.raises(InputError, match="reaches out of the photograph"):
        training.train(examples(texture, 10, 0), SMALL.model_copy(update={"crop": (0.5, 0.5, 0.6, 0.5)}))
    with pytest.raises(patches.BackboneError, match="no ONNX graph"):
        patches.session(b"no graph")


def test_unreadable_photographs_are_left_out_and_told(tmp_path):
    given = [*examples(texture, 10, 0), Example("cut.jpg", "normal", jpeg(texture(3)[0])[:500])]
    made = training.train(given, SMALL)
    assert [source for source, _ in made.skipped] == ["cut.jpg"]
    assert made.training_photographs == 10
    saving.save(made, tmp_path)
    assert "Not read: cut.jpg (truncated" in (tmp_path / "model_card.md").read_text()


def test_copies_of_photographs_promise_nothing_more_and_are_judged_by_what_saw_neither(tmp_path):
    """Ten plates, each a second time in another JPEG quality: 20 photographs would promise the budget of 5 %."""
    copies = [Example(f"again{n}.jpg", "normal", jpeg(plate(n)[0], quality=70)) for n in range(10)]
    made = training.train([*examples(plate, 10, 0), *copies], SMALL.model_copy(update={"input_px": 128}))
    calibration = made.detector.model.calibration
    assert made.detector.facts.normals == 20
    assert (calibration.normals, calibration.guarantee) == (10, pytest.approx(1 / 11))
    assert any("10 different normal photographs promise at most 9.1%" in each for each in made.notes)
    saving.save(made, tmp_path)
    assert "10 different normal photographs promise 9.1%" in (tmp_path / "model_card.md").read_text()
    folds = {each.source: each.fold for each in made.out_of_fold.rows}
    assert [folds[f"again{n}.jpg"] for n in range(10)] == [folds[f"n{n}.jpg"] for n in range(10)]


def test_products_in_a_fixture_are_learned_from_though_they_all_look_alike():
    """They were taken for copies of one, and a fold without any normal photograph ended the training."""
    still, _ = texture(1)

    def placed(seed, *, dented=False):
        rng = np.random.default_rng(seed)
        pixels = still + rng.normal(size=still.shape) * 2
        if dented:
            x, y = rng.integers(20, 200, 2)
            pixels[y : y + 40, x : x + 40] -= 40
        return jpeg(np.clip(pixels, 0, 255).astype(np.uint8))

    given = [Example(f"n{n}", "normal", placed(n)) for n in range(10)]
    given += [Example(f"a{n}", "anomaly", placed(100 + n, dented=True)) for n in range(12)]
    made = training.train(given, SMALL.model_copy(update={"input_px": 128}))
    assert made.detector.model.calibration.normals == 10
    assert made.out_of_fold.auroc == 1


@pytest.mark.slow
def test_int8_is_kept_only_where_it_detects_as_well(monkeypatch):
    given = examples(texture, 10, 4)
    eight = SMALL.model_copy(update={"int8": True})
    monkeypatch.setattr(training.quantised, "TOLERANCE", 1.0)
    kept = training.train(given, eight)
    assert kept.detector.facts.arithmetic == "int8"
    assert len(kept.detector.graph) < 1_600_000
    assert any("8-bit arithmetic was kept" in each for each in kept.notes)
    monkeypatch.setattr(training.quantised, "TOLERANCE", -1.0)
    refused = training.train(given, eight)
    assert refused.detector.facts.arithmetic == "float32"
    assert any("8-bit arithmetic was refused" in each for each in refused.notes)


@pytest.mark.parametrize(
    ("given", "settings", "expected"),
    [
        ({"is_anomalous": True, "confidence": 0.9}, {}, "reject"),
        ({"is_anomalous": False, "confidence": 0.9}, {}, "accept"),
        ({"is_anomalous": False, "confidence": 0.4}, {}, "review"),
        ({"is_anomalous": True, "confidence": 0.9, "product_found": False}, {}, "review"),
        ({"is_anomalous": True, "confidence": 0.9, "promised": False}, {}, "review"),
        ({"is_anomalous": True, "confidence": 0.7}, {"min_confidence": 0.8}, "review"),
        ({"is_anomalous": False, "confidence": 0.7}, {"min_confidence": 0.8}, "review"),
        ({"is_anomalous": True, "confidence": 0.9}, {"min_area": {"crack": 0.05, "*": 0.05}}, "accept"),
        ({"is_anomalous": True, "confidence": 0.9}, {"min_area": {"crack": 0.05}}, "reject"),
        ({"is_anomalous": True, "confidence": 0.9}, {"min_area": {"*": 0.05, "crack": 0.01}}, "reject"),
        ({"is_anomalous": True, "confidence": 0.9}, {"min_labels": 2}, "reject"),
        ({"is_anomalous": True, "confidence": 0.9}, {"min_labels": 3}, "accept"),
        ({"is_anomalous": False, "confidence": math.nan}, {}, "review"),
        ({"is_anomalous": False, "confidence": math.inf}, {"min_confidence": 0.8}, "review"),
        ({"is_anomalous": True, "confidence": 0.9, "anomalies": PAINTED_NAN}, {"min_area": {"*": 0.05}}, "review"),
    ],
)
def test_rules(given, settings, expected):
    anomalies = (("background", "#FFFFFF", 0.95), ("crack", "#111111", 0.02), ("dirt", "#222222", 0.03))
    given = {"anomalies": anomalies, "product_found": True, **given}
    verdict, reason = rules.verdict(RejectRules(**settings), **given)
    assert verdict == expected
    assert reason


def test_runtime_needs_four_libraries_only():
    """Lambda and the Raspberry Pi have numpy, onnxruntime, Pillow and pydantic."""
    program = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"scipy", "sklearn", "onnx", "boto3", "botocore", "torch"}:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refusing())
import sextant.inspection.archive, sextant.inspection.detector, sextant.inspection.photograph, sextant.inspection.rules
assert "sextant.storage" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
