"""The sample: its files, its truth against the pixels, and that it is neither trivial nor hopeless."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from samples.inspection import bracket, camera, cloth, sample
from sextant.inspection import manifest, mask_image, photograph
from sextant.inspection.statistics import auroc


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small one: (folder, truth)."""
    few = dict.fromkeys(sample.PRODUCTS, (8, 4))
    size = sample.Size(few, dict.fromkeys(sample.PRODUCTS, (10, 10)), items=10, defective=3, dims_from=6)
    folder = tmp_path_factory.mktemp("sample")
    return folder, sample.write_sample(folder, size=size)


def test_every_photograph_is_there_readable_and_of_one_size(written):
    folder, truth = written
    sizes = {photograph.read((folder / each.file).read_bytes()).shape for each in truth.items}
    assert sizes == {(camera.HEIGHT, camera.WIDTH, 3)}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    told = {each.file for each in truth.items} | {name for name in truth.corrupt if name.endswith(".jpg")}
    assert there == told


def test_counts_of_normal_and_anomalous_photographs(written):
    _, truth = written
    for product in sample.PRODUCTS:
        assert [each.label for each in truth.of("train", product)].count("anomaly") == 4
        assert len(truth.of("test", product)) == 20
    stream = truth.of("incoming")
    assert (len(stream), [each.label for each in stream].count("anomaly")) == (20, 3)
    assert len(truth.of("new-data")) == 9


def test_the_belt_of_the_whole_sample_has_seven_percent_defects():
    assert round(100 * sample.FULL.defective / (len(sample.CAMERAS) * sample.FULL.items)) == 7


def test_a_mask_holds_its_defect_and_nothing_else(written):
    folder, truth = written
    marked = [each for each in truth.items if each.label == "anomaly"]
    assert all(each.mask and each.flaws for each in marked)
    assert not any(each.mask or each.flaws for each in truth.items if each.label == "normal")
    for each in marked:
        numbers = sample.pixels_of((folder / each.mask).read_bytes())
        names = sorted(sample.PRODUCTS[each.product].DEFECTS)
        (flaw,) = each.flaws
        assert set(np.unique(numbers)) == {0, names.index(flaw.name) + 1}
        assert flaw.share == pytest.approx((numbers > 0).mean())
        left, top, width, height = flaw.box
        assert (numbers[top : top + height, left : left + width] > 0).sum() == (numbers > 0).sum()
        assert (numbers[top, left : left + width] > 0).any()
        assert (numbers[top : top + height, left + width - 1] > 0).any()


@pytest.mark.parametrize(("product", "name"), [(p, n) for p in (bracket, cloth) for n in sorted(p.DEFECTS)])
def test_a_defect_changes_the_scene_inside_its_mask(product, name, monkeypatch):
    """The same item without the defect: what differs lies in the mask, but for its own soft edge and shadow."""
    plain = 0.9
    module, function = {
        "crack": (bracket, "_cracked"),
        "discoloured": (bracket, "_stained"),
        "scratch": (bracket, "_scratched"),
    }.get(name, (None, None))
    scene = product.scene(np.random.default_rng(5), ((name, plain),), 0)
    if module is None:
        inside = scene.light[scene.defects[0].pixels].mean(0)
        outside = scene.light[~scene.defects[0].pixels].mean(0)
        assert np.abs(inside - outside).max() > 0.02
        return
    real = getattr(module, function)

    def masked_only(part, plain, rng):
        _, mask = real(part, plain, rng)
        return part, mask

    monkeypatch.setattr(module, function, masked_only)
    without = product.scene(np.random.default_rng(5), ((name, plain),), 0)
    changed = np.abs(scene.light - without.light).max(2)
    mask = scene.defects[0].pixels
    assert (mask == without.defects[0].pixels).all()
    assert changed[mask].mean() > 0.02
    grown = np.asarray(Image.fromarray(mask).resize(mask.shape[::-1])) | _near(mask, 8)
    assert changed[~grown].max() < 0.02


def _near(mask, reach):
    y, x = np.nonzero(mask)
    near = np.zeros_like(mask)
    for a, b in zip(y, x, strict=True):
        near[max(0, a - reach) : a + reach + 1, max(0, b - reach) : b + reach + 1] = True
    return near


def test_faint_defects_change_less_than_plain_ones():
    for product, name in ((bracket, "scratch"), (bracket, "crack"), (cloth, "stain"), (cloth, "pulled")):
        contrasts = []
        for plain in (0.0, 1.0):
            found = [product.scene(np.random.default_rng(seed), ((name, plain),), 0) for seed in range(4)]
            contrasts.append(np.mean([_contrast(each) for each in found]))
        assert contrasts[0] < contrasts[1]


def _contrast(scene):
    mask = scene.defects[0].pixels
    ring = _near(mask, 5) & ~mask
    return np.abs(scene.light[mask].mean(0) - scene.light[ring].mean(0)).max()


def test_manifests_are_read_as_ground_truth_writes_them(written):
    folder, truth = written
    for product in sample.PRODUCTS:
        lines = (folder / product / "train.manifest").read_bytes().splitlines()
        entries = list(manifest.entries(lines))
        assert [each.label for each in entries] == ["normal"] * 8 + ["anomaly"] * 4
        assert all((folder / product / each.source).is_file() for each in entries)
        labels = mask_image.labels_of(entries[-1].colors)
        assert [name for name, _ in labels.values()] == sorted(sample.PRODUCTS[product].DEFECTS)
        for entry in entries[-4:]:
            body = (folder / product / entry.mask).read_bytes()
            assert (mask_image.read(body, labels) == sample.pixels_of(body)).all()
        under = manifest.under(lines[-1], "s3://bucket/somewhere")
        assert manifest.stored(under).mask.startswith("s3://bucket/somewhere/masks/train/")
    assert truth.of("train")[0].mask is None


def test_the_lamp_over_one_camera_dims_and_over_the_other_does_not(written):
    folder, truth = written
    light = {}
    for each in truth.of("incoming"):
        after = each.order >= truth.drifts_from
        assert (each.lamp < 1) == (after and each.camera == truth.drifting)
        pixels = photograph.read((folder / each.file).read_bytes())
        light.setdefault((each.camera, after), []).append(pixels.mean())
    dims, stays = sample.CAMERAS
    assert np.mean(light[dims, True]) < 0.93 * np.mean(light[dims, False])
    assert np.mean(light[stays, True]) == pytest.approx(np.mean(light[stays, False]), rel=0.05)


def test_files_without_a_verdict_are_refused_for_the_reason_told(written):
    folder, truth = written
    for name, reason in truth.corrupt.items():
        body = (folder / name).read_bytes()
        if reason in {"no_such_project", "wrong_place"}:
            photograph.read(body)
            continue
        with pytest.raises(photograph.PhotographError) as caught:
            photograph.read(body)
        assert caught.value.reason == reason


def test_the_difference_from_the_mean_image_finds_little(written):
    """What a beginner would do first; on the whole sample it has an AUROC of 0.51 and 0.74."""
    folder, truth = written

    def read(item):
        return photograph.read((folder / item.file).read_bytes()).astype(np.float32)

    for product in sample.PRODUCTS:
        mean = np.mean([read(each) for each in truth.of("train", product) if each.label == "normal"], axis=0)
        scores = {"normal": [], "anomaly": []}
        for each in truth.of("test", product):
            scores[each.label].append(np.abs(read(each) - mean).mean())
        assert auroc(scores["normal"], scores["anomaly"]) < 0.8


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path):
    item = sample.Item("bracket/train/anomaly/anomaly-001.jpg", "bracket", "train", "anomaly", order=1)
    hashes = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        sample._written(tmp_path / name, item, seed)
        hashes.append(hashlib.sha256((tmp_path / name / item.file).read_bytes()).hexdigest())
    assert hashes[0] == hashes[1] != hashes[2]


def test_truth_is_written_beside_the_files(written):
    folder, truth = written
    told = json.loads((folder / "truth.json").read_text())
    assert len(told["items"]) == len(truth.items)
    assert told["corrupt"] == truth.corrupt
