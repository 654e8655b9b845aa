"""A slide's view: its index against an independent reader of TIFF, its pixels against OpenSlide's."""

import base64
import hashlib
import io
import itertools
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from sextant import storage
from sextant.slides import store
from sextant.slides import view as writer
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.errors import SlideError
from sextant.slides.jpeg_stream import whole
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
from sextant.slides.view import write_view
from sextant.slides.view_model import DROPPED, ENTRY, STEPS, TileGrid, View
from tests.handlers.slide_run import CELL, HEIGHT, WIDTH, picture, write_slide
from tests.slides import made

DATA = Path(os.environ.get("SEXTANT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "slides"
SETTINGS = TileSettings(size=CELL, magnification=20.0)
NO_TILES = TileGrid(span=CELL, columns=0, rows=0, shares="")


def viewed(path, folder, settings=SETTINGS, *, name="S"):
    records = folder / "S.tfrecord"
    tiled = tile_slide(path, slide=name, patient="P", label=0, label_name="a", settings=settings, target=records)
    return write_view(path, slide=name, uri="s3://slides/S.svs", etag="tag", tiles=tiled.grid, folder=folder)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "S.svs"
    write_slide(path, "rgb")
    return path


def entries(folder, name="S"):
    return list(ENTRY.iter_unpack((folder / f"{name}.idx").read_bytes()))


def tile(path, folder, view, number, place):
    """A tile of the view as any viewer reads it: from its bytes and what the view says lies before them."""
    level, (column, row) = view.levels[number], place
    offset, count = entries(folder, view.slide)[level.first + row * level.columns + column]
    source = path if level.source == "slide" else folder / f"{view.slide}.jpgs"
    body = source.read_bytes()[offset : offset + count]
    stream = whole(body, base64.b64decode(level.beginning)) if level.source == "slide" else body
    return np.asarray(Image.open(io.BytesIO(stream)).convert("RGB")).astype(int)


def test_the_index_is_that_of_the_tiff(slide, tmp_path):
    view = viewed(slide, tmp_path)
    assert View.model_validate_json((tmp_path / "S.json").read_bytes()) == view
    found = entries(tmp_path)
    with tifffile.TiffFile(slide) as file:
        pages = [page for page in file.pages if page.is_tiled]
    wanted = [pair for page in pages for pair in zip(page.dataoffsets, page.databytecounts, strict=True)]
    assert found[: len(wanted)] == wanted
    assert [(each.source, each.width, each.height, each.first) for each in view.levels] == [
        ("slide", WIDTH, HEIGHT, 0),
        ("slide", 650, 375, 66),
        ("pyramid", 325, 188, 72),
    ]
    assert len(found) == 73


def test_the_grid_tells_what_the_records_hold(slide, tmp_path):
    view = viewed(slide, tmp_path)
    shares = np.frombuffer(base64.b64decode(view.grid.shares), np.uint8).reshape(view.grid.rows, view.grid.columns)
    assert shares.shape == (HEIGHT // CELL, WIDTH // CELL)
    assert (shares[:, 0] == DROPPED).all(), "the first column is white"
    assert (shares[:, 1:] <= STEPS * SETTINGS.background).all()
    assert (shares != DROPPED).sum() == 45
    assert view.grid.span == CELL


def test_a_slide_without_jpeg_tiles_gets_a_pyramid_down_to_one_tile(tmp_path):
    path = tmp_path / "S.svs"
    write_slide(path, "jp2k")
    view = viewed(path, tmp_path)
    sizes = [(each.width, each.height, each.downsample) for each in view.levels]
    assert sizes == [(2600, 1500, 1), (1300, 750, 2), (650, 375, 4), (325, 188, 8)]
    assert {each.source for each in view.levels} == {"pyramid"}
    ends = sorted((offset, offset + count) for offset, count in entries(tmp_path))
    assert ends[-1][1] == (tmp_path / "S.jpgs").stat().st_size
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(ends)), "each byte is one tile's"


def test_no_more_than_a_few_tiles_are_in_memory(tmp_path, monkeypatch):
    """Of each level four at most, whatever the slide's size: what is read at a time is one tile."""
    path = tmp_path / "S.svs"
    write_slide(path, "jp2k")
    asked = []
    real = writer.openslide_region
    monkeypatch.setattr(writer, "openslide_region", lambda *of: asked.append(of[3]) or real(*of))
    viewed(path, tmp_path)
    assert max(max(size) for size in asked) == writer.TILE_PX
    assert sum(width * height for width, height in asked) == WIDTH * HEIGHT, "and each pixel is read once"


@pytest.mark.parametrize(
    ("codec", "downs", "size"),
    [
        ("rgb", (1, 4), (650, 375)),  # below its own levels one more is made, from this
        ("jp2k", (1, 4), (650, 375)),
        ("rgb", (1, 2, 8), (1024, 591)),  # its own end at 325 pixels: the one before is made smaller
    ],
)
def test_the_overview_is_the_whole_slide_made_small(tmp_path, codec, downs, size):
    path = made.write(tmp_path / "S.svs", picture(), codec=codec, downs=downs)
    viewed(path, tmp_path)
    with Image.open(tmp_path / "S.jpg") as image:
        assert image.size == size
        off = np.asarray(image).astype(int) - np.asarray(Image.fromarray(picture()).resize(size, Image.Resampling.BOX))
    assert np.abs(off).mean() < 4


def test_the_version_is_of_the_slide_and_its_tiles(slide, tmp_path):
    view = viewed(slide, tmp_path)
    again = viewed(slide, tmp_path)
    assert view.version == again.version
    other = write_view(slide, slide="S", uri="s3://slides/S.svs", etag="other", tiles=view.grid, folder=tmp_path)
    assert other.version != view.version


def test_a_file_that_is_no_slide_is_refused(tmp_path):
    (tmp_path / "S.svs").write_text("no slide")
    with pytest.raises(SlideError, match="not a slide"):
        write_view(tmp_path / "S.svs", slide="S", uri="", etag="", tiles=NO_TILES, folder=tmp_path)


def test_the_tile_step_leaves_a_view_of_every_slide_it_could_tile(slide, tmp_path):
    folder, run = tmp_path / "slides", tmp_path / "run"
    folder.mkdir()
    shutil.copy(slide, folder / "S.1.svs")
    (folder / "T.svs").write_text("no slide")
    planned = [
        PlannedSlide(
            slide=name, key=f"{name}.svs", patient=name, label="a", label_index=0, split="test", host=0, bytes=1
        )
        for name in ("S.1", "T")
    ]
    plan = Plan(classes=("a",), tiles=SETTINGS, slides=tuple(planned))
    tile_host(str(run), str(folder), plan, host=0, processes=2, stopping=threading.Event(), tell=print)
    assert sorted(each.name for each in (run / "view").iterdir()) == ["S.1.idx", "S.1.jpg", "S.1.jpgs", "S.1.json"]
    view = View.model_validate_json((run / "view" / "S.1.json").read_bytes())
    assert (view.slide, view.uri) == ("S.1", f"{folder}/S.1.svs")
    assert view.etag == storage.etag(f"{folder}/S.1.svs")
    (folder / "S.1.svs").write_text("another slide")
    assert view.etag != storage.etag(f"{folder}/S.1.svs")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("CMU-1-Small-Region.svs", ["slide", "pyramid", "pyramid", "pyramid"]),
        ("TCGA-CR-7395-01A-01-TS1.svs", ["pyramid"] * 5),
    ],
)
def test_real_slides_have_openslides_colours(tmp_path, name, sources):
    """CMU-1's tiles are JPEGs without tables whose RGB only the TIFF tells; TCGA's slide is JPEG 2000."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data/slides")
    view = viewed(path, tmp_path, TileSettings(unknown_magnification=20.0))
    assert [each.source for each in view.levels] == sources
    with openslide.OpenSlide(path) as opened:
        for number, level in enumerate(view.levels[:2]):
            column, row = level.columns // 2, level.rows // 2
            found = tile(path, tmp_path, view, number, (column, row))
            size = (found.shape[1], found.shape[0])
            side = round(level.downsample)
            place = (column * level.tile_width * side, row * level.tile_height * side)
            region = (
                opened.read_region(place, 0, (size[0] * side, size[1] * side))
                .convert("RGB")
                .resize(size, Image.Resampling.BOX)
            )
            off = found - np.asarray(region).astype(int)
            assert np.abs(off).mean() < (1 if level.source == "slide" else 8), "what is encoded anew loses a little"
            assert np.abs(off.mean((0, 1))).max() < 1, "but its colour stays"


def test_other_bytes_are_another_version(slide, tmp_path):
    """Runs share tiles and views by a digest that holds `TILES_VERSION`: whoever changes what is made raises it, or
    runs go on with what the old code made. A newer JPEG library may change the sample slide itself: then only this.
    """
    view = viewed(slide, tmp_path)
    made_of = (
        (tmp_path / "S.tfrecord").read_bytes() + view.model_dump_json().encode() + (tmp_path / "S.jpg").read_bytes()
    )

    assert (store.TILES_VERSION, hashlib.sha256(made_of).hexdigest()[:16]) == (1, "f6006806a844ed08")
