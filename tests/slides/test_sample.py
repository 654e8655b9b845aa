"""Gigapixel slides and mosaics of real tiles: what they are made of, by another reader."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from samples.slides import mosaic
from samples.slides.gigapixel import BLOBS, _cells, write_gigapixel
from samples.slides.texture import CLASSES, GLASS, stain, structure, tissue

DATA = Path(os.environ.get("SEXTANT_DATA", Path(__file__).parents[3] / "shared" / "data"))
without_data = pytest.mark.skipif(
    not (DATA / "slides").is_dir(), reason="no real data: give its folder as SEXTANT_DATA"
)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.svs"
    write_gigapixel(path, 8192, 4096, 40)
    return path


def test_a_large_slide_has_levels_of_averages(large):
    with openslide.OpenSlide(large) as slide:
        assert slide.level_dimensions == ((8192, 4096), (2048, 1024), (512, 256))
        assert (slide.properties["openslide.objective-power"], slide.properties["openslide.mpp-x"]) == ("40", "0.25")
        for level, down in ((1, 4), (2, 16)):
            full = slide.read_region((2048, 1024), 0, (64 * down, 64 * down)).convert("L").reduce(down)
            small = slide.read_region((2048, 1024), level, (64, 64)).convert("L")
            assert abs(np.asarray(full, float).mean() - np.asarray(small, float).mean()) < 1
            assert np.corrcoef(np.asarray(full).ravel(), np.asarray(small).ravel())[0, 1] > 0.8


def test_a_large_slide_is_a_third_tissue(large):
    with openslide.OpenSlide(large) as slide:
        small = np.asarray(slide.read_region((0, 0), 2, (512, 256)).convert("RGB"), int)
    tissue_share = (np.abs(small - GLASS).max(2) > 20).mean()
    assert 0.3 < tissue_share < 0.42
    assert 0.36 < _cells(640, 512).mean() < 0.4
    assert len(BLOBS) == 4


def test_a_large_slide_is_the_same_every_time_and_a_bigtiff(large, tmp_path):
    write_gigapixel(tmp_path / "again.svs", 8192, 4096, 40)
    assert (tmp_path / "again.svs").read_bytes() == large.read_bytes()
    with tifffile.TiffFile(large) as file:
        assert file.is_bigtiff
        assert file.is_svs
        assert [page.is_tiled for page in file.pages] == [True, False, True, True]


@pytest.mark.parametrize(("size", "power"), [((4096, 4000), 20), ((0, 4096), 20), ((4096, 4096), 10)])
def test_sizes_that_have_no_pyramid(tmp_path, size, power):
    with pytest.raises(ValueError, match="give multiples of 4096 px"):
        write_gigapixel(tmp_path / "none.svs", *size, power)


@pytest.mark.slow
def test_the_slide_of_the_bench_is_written_in_little_memory(tmp_path):
    program = (
        "import pathlib, sys\n"
        "from samples.slides.gigapixel import write_gigapixel\n"
        "write_gigapixel(pathlib.Path(sys.argv[1]), 40960, 32768, 40)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "s40.svs")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(told) < 300 * 1024
    assert 50e6 < (tmp_path / "s40.svs").stat().st_size < 150e6


@pytest.mark.parametrize("label", CLASSES)
def test_a_texture_continues_at_its_opposite_edges(label):
    draw = np.random.default_rng(3)
    image = stain(draw).colours()[structure(label, draw, 400)].astype(int)
    within = np.abs(np.diff(image, axis=0)).mean()
    assert np.abs(image[0] - image[-1]).mean() < 1.5 * within
    assert np.abs(image[:, 0] - image[:, -1]).mean() < 1.5 * within


def test_classes_differ_in_structure_and_patients_in_stain():
    shares = {label: [] for label in CLASSES}
    means = []
    for seed in range(3):
        for label in CLASSES:
            index = structure(label, np.random.default_rng(seed), 500)
            shares[label].append((index // 64 > 20).mean())  # nuclei
        draw = np.random.default_rng(seed)
        means.append(stain(draw).colours()[tissue("LUAD", draw, 500)].mean((0, 1)))
    assert min(shares["LUSC"]) > max(shares["LUAD"]) > max(shares["normal"])
    assert np.ptp(means, axis=0).max() > 8


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mosaics")
    whole = mosaic._patients
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mosaic, "_patients", lambda rows: list(whole(rows))[::31])
        return folder, mosaic.write_mosaic_cohort(DATA, folder)


@pytest.mark.realdata
@without_data
def test_every_group_is_in_one_patient():
    rows = (DATA / "slides" / "lc25000-lung-mini.csv").read_text().splitlines()[1:]
    entries = [dict(zip(("file", "label", "group"), row.split(","), strict=True)) for row in rows]
    of = {entry["file"]: (entry["label"], entry["group"]) for entry in entries}
    found = list(mosaic._patients(entries))
    assert len(found) == 125  # 41 + 42 + 42
    assert sorted(file for _, files in found for file in files) == sorted(of)
    owners = {}
    for patient, (label, files) in enumerate(found):
        assert len(files) <= len(mosaic.CELLS)
        for file in files:
            assert of[file][0] == label
            assert owners.setdefault(of[file][1], patient) == patient


@pytest.mark.realdata
@without_data
def test_a_mosaic_shows_the_real_tiles_where_the_grid_has_them(mosaics):
    folder, truth = mosaics
    assert [each.label for each in truth.slides] == ["LUAD", "LUAD", "LUSC", "normal", "normal"]
    *whole, last = truth.slides  # normal has 249 groups: three are left for its last patient
    assert all(set(each.kept) == set(mosaic.CELLS) for each in whole)
    assert set(last.kept) == set(mosaic.CELLS[:9])
    first = truth.slides[0]
    with tarfile.open(DATA / "slides" / "lc25000-lung-mini.tar") as archive:
        index = archive.extractfile("index.csv").read().decode().splitlines()[1:]
        rows = [dict(zip(("file", "label", "group"), row.split(","), strict=True)) for row in index]
        _, files = next(iter(mosaic._patients(rows)))
        drawn = Image.open(io.BytesIO(archive.extractfile(files[3]).read())).convert("RGB").resize((512, 512))
    column, row = mosaic.CELLS[3]
    with openslide.OpenSlide(folder / first.key) as slide:
        shown = slide.read_region((column * 512, row * 512), 0, (512, 512)).convert("RGB")
    assert np.abs(np.asarray(drawn, int) - np.asarray(shown, int)).mean() < 6


def test_without_the_tiles_the_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"give the folder that holds slides/lc25000-lung-mini\.tar"):
        mosaic.write_mosaic_cohort(tmp_path, tmp_path / "out")
