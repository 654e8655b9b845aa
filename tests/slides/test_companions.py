"""Slides of several files from the table to the heatmap: every one that OpenSlide reads is fetched whole."""

import shutil
import threading
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sextant import storage
from sextant.slides import measuring, results
from sextant.slides.cohort import Row, gather
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.companions import companions, fetch
from sextant.slides.errors import SlideError
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.reader import open_slide, openslide_region
from sextant.slides.scores import TileScores
from sextant.slides.settings import TileSettings
from tests.handlers.slide_run import CELL, picture
from tests.slides.several_files import SIDE, write_dicom, write_mirax, write_vms, write_vmu

WRITERS = {"mrxs": write_mirax, "vms": write_vms, "vmu": write_vmu, "dcm": write_dicom}


@pytest.fixture(scope="module")
def pixels():
    shown = picture()
    return np.pad(shown, ((0, -shown.shape[0] % SIDE), (0, -shown.shape[1] % SIDE), (0, 0)), "edge")


@pytest.fixture(scope="module")
def slides(tmp_path_factory, pixels):
    """A slide of each format in a folder of its own and, in one folder with it, another series of DICOM."""
    root = tmp_path_factory.mktemp("slides")
    for ending, write in WRITERS.items():
        (root / ending).mkdir()
        write(root / ending / f"{ending}-1.{ending}", pixels)
    write_dicom(root / "dcm" / "dcm-2.dcm", pixels[: 2 * SIDE], "1.2.3.6")
    return root


def rows(*names):
    return [Row(name, f"P-{name}", "a", f"{name[:-2]}/{name}.{name[:-2]}") for name in names]


def test_a_slide_s_files_are_those_of_its_format(slides):
    found = {name: [each.key for each in companions(str(slides), rows(name)[0].key)] for name in ("mrxs-1", "dcm-2")}
    assert found == {
        "mrxs-1": [f"mrxs/mrxs-1/{each}" for each in ("Data0000.dat", "Index.dat", "Slidedat.ini")],
        "dcm-2": ["dcm/dcm-2_4.dcm"],
    }
    assert [each.key for each in companions(str(slides), "vms/vms-1.vms")] == ["vms/vms-1.jpg", "vms/vms-1_map.jpg"]
    assert companions(str(slides), "vms/vms-1.svs") == []


@pytest.mark.parametrize("ending", WRITERS)
def test_a_slide_that_was_fetched_is_whole(slides, tmp_path, pixels, ending):
    fetch(str(slides), f"{ending}/{ending}-1.{ending}", tmp_path / f"{ending}-1.{ending}")
    with open_slide(tmp_path / f"{ending}-1.{ending}") as slide:
        assert (slide.objective_power, slide.mpp) == (20, 0.5)
        found = np.asarray(openslide_region(slide, 0, (0, 0), (slide.width, slide.height))).astype(int)
    assert np.abs(found - pixels).mean() < 1


def test_a_cohort_of_them_is_planned_tiled_shown_and_drawn(slides, tmp_path):
    names = [*(f"{each}-1" for each in WRITERS), "dcm-2"]
    cohort = gather(rows(*names), str(slides))
    assert [each.slide for each in cohort.rows] == sorted(names)
    assert cohort.notes == (), "what belongs to a slide is no slide without a row"
    sizes = {each.slide: each.size for each in cohort.rows}
    for ending in ("mrxs", "vms", "vmu"):
        every = sum(path.stat().st_size for path in (slides / ending).rglob("*") if path.is_file())
        assert sizes[f"{ending}-1"] == every
    assert sizes["dcm-2"] == sum(path.stat().st_size for path in (slides / "dcm").glob("dcm-2*"))
    planned = [
        PlannedSlide(
            slide=each.slide, key=each.key, patient=each.patient, label="a", label_index=0, split="test", host=0,
            bytes=each.size,
        )
        for each in cohort.rows
    ]  # fmt: skip
    plan = Plan(classes=("a",), tiles=TileSettings(size=CELL), slides=tuple(planned))
    run = tmp_path / "run"
    done = tile_host(str(run), str(slides), plan, host=0, processes=2, stopping=threading.Event(), tell=print)
    assert done.quarantined == ()
    assert len(done.tiled) == len(names)
    for name in names:
        overview = measuring._overview(str(run), name)
        width, height = overview.size
        tile = TileScores(name, CELL, 0, CELL, (1.0,), (0.0,), None)
        image = np.asarray(Image.open(BytesIO(results.heatmap(overview.pixels, overview.size, [tile], ("a",), "a"))))
        across = image.shape[1] / width
        x, y = round(1.5 * CELL * across), round(0.5 * CELL * across)
        shown = np.array(overview.pixels[y, x]) * (1 - results.OPACITY) + results.OPACITY * np.array([253, 231, 37])
        assert np.abs(image[y, x] - shown).max() <= 1, "the tile's colour over the slide's"
        assert np.abs(overview.pixels[y, x].astype(int) - picture()[CELL // 2, 3 * CELL // 2]).max() < 12
        assert height in {6 * CELL, 2 * CELL}


@pytest.mark.parametrize("other", ["P-1", "P-2"])
def test_two_files_of_one_slide_are_no_two_slides(tmp_path, pixels, other):
    write_dicom(tmp_path / "a.dcm", pixels)
    write_vms(tmp_path / "b.vms", pixels)
    shutil.copytree(tmp_path, tmp_path / "copied", ignore=shutil.ignore_patterns("*.dcm", "copied"))
    named = [("a", "a.dcm", "P-1"), ("a4", "a_4.dcm", other), ("b", "b.vms", "P-1"), ("c", "copied/b.vms", other)]
    cohort = gather([Row(slide, patient, "x", key) for slide, key, patient in named], str(tmp_path))
    if other == "P-1":
        assert [row.slide for row in cohort.rows] == ["a", "b"]
        assert {each.slide: each.reason for each in cohort.quarantined} == dict.fromkeys(("a4", "c"), "copy of a slide")
    else:
        assert cohort.rows == (), "whose slide it is nobody can tell"
        assert {each.reason for each in cohort.quarantined} == {"conflicting copies"}


def test_without_its_other_files_a_slide_is_told_in_the_plan(tmp_path, pixels):
    for ending in ("mrxs", "vms", "vmu"):
        (tmp_path / ending).mkdir()
        WRITERS[ending](tmp_path / ending / f"{ending}-1.{ending}", pixels)
    for path in [*(tmp_path / "mrxs/mrxs-1").iterdir(), tmp_path / "vms/vms-1.jpg", tmp_path / "vmu/vmu-1_map.ngr"]:
        path.unlink()
    cohort = gather(rows("mrxs-1", "vms-1", "vmu-1"), str(tmp_path))
    assert cohort.rows == ()
    assert {each.slide: (each.reason, each.detail) for each in cohort.quarantined} == {
        "mrxs-1": ("missing file", "mrxs/mrxs-1.mrxs needs the files of the folder mrxs/mrxs-1/: upload it too"),
        "vms-1": ("missing file", "vms/vms-1.vms needs 'vms-1.jpg' beside it, which is not there: upload it too"),
        "vmu-1": ("missing file", "vmu/vmu-1.vmu needs 'vmu-1_map.ngr' beside it, which is not there: upload it too"),
    }


@pytest.mark.parametrize("key", ["../../escaped.txt", "a/../../escaped.txt"])
def test_no_key_beside_a_slide_leads_out_of_its_folder(tmp_path, monkeypatch, key):
    (tmp_path / "slides" / "m").mkdir(parents=True)
    (tmp_path / "slides" / "m.mrxs").write_bytes(b"x")
    entry = storage.Entry(key, 1, "", datetime(2026, 11, 21, tzinfo=UTC))
    monkeypatch.setattr(storage, "entries", lambda _root: [entry])
    (tmp_path / "work").mkdir()
    with pytest.raises(SlideError, match="no name of a file"):
        fetch(str(tmp_path / "slides"), "m.mrxs", tmp_path / "work" / "m.mrxs")


def test_a_slide_names_no_file_of_another_folder(tmp_path, pixels):
    (tmp_path / "vms").mkdir()
    write_vms(tmp_path / "vms/vms-1.vms", pixels)
    told = (tmp_path / "vms/vms-1.vms").read_text().replace("ImageFile=vms-1.jpg", "ImageFile=../secret.jpg")
    (tmp_path / "vms/vms-1.vms").write_text(told)
    (tmp_path / "secret.jpg").write_bytes(b"x")
    with pytest.raises(SlideError, match=r"needs '\.\./secret\.jpg' beside it"):
        companions(str(tmp_path), "vms/vms-1.vms")
