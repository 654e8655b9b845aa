"""The viewer on a slide of 1.3 gigapixels: tiled and viewed by the pipeline's steps, moved in Chromium."""

import json
import math
import re
import time

import numpy as np
import openslide
import pytest
from PIL import Image

from samples.slides.gigapixel import write_gigapixel
from sextant.slides import records, results, tfrecord
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.scores import TileScores
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
from sextant.slides.view import write_view
from tests.browser.slides_site import listed, serve
from tests.handlers.slide_run import CLASSES, RUN, RUNS, S3, SLIDES, etag

pytestmark = pytest.mark.browser

NAME, KEY = "G1", "cohorts/large/G1.svs"
WIDTH, HEIGHT = 40_960, 32_768  # 1.34 gigapixels
X, Y = 24_576, 21_296
"""In the middle of a large piece of tissue."""
SIDE, CORNER = 256, 12
"""Pixels of a tile's side, and of what is compared of it."""
PATCH = 240
"""CSS pixels per side of what is compared in the middle."""
READ = """([left, top, side]) => {
  const context = document.querySelector('.deepzoom canvas').getContext('2d');
  return [...context.getImageData(left, top, side, side).data];
}"""
FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const frame = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The slide's path, and the objects of a run over it."""
    folder = tmp_path_factory.mktemp("large")
    path, tiles, view = folder / f"{NAME}.svs", folder / "tiles.tfrecord", folder / "view"
    view.mkdir()
    write_gigapixel(path, WIDTH, HEIGHT)
    of = {"slide": NAME, "patient": "P1", "label": CLASSES[0]}
    settings = TileSettings()
    tiled = tile_slide(path, slide=NAME, patient="P1", label=0, label_name=CLASSES[0], settings=settings, target=tiles)
    body, uri = path.read_bytes(), f"s3://{SLIDES}/{KEY}"
    write_view(path, slide=NAME, uri=uri, etag=etag(body), tiles=tiled.grid, folder=view)
    planned = PlannedSlide(**of, key="G1.svs", label_index=0, split="test", host=0, bytes=len(body))
    plan = Plan(classes=CLASSES, tiles=settings, slides=(planned,))
    with tiles.open("rb") as stream:
        cut = [records.from_record(each) for each in tfrecord.read(stream, NAME)]
    scored = [
        TileScores(NAME, each.x, each.y, each.span, (each.x / WIDTH, 1 - each.x / WIDTH), (0.0, 0.0), None)
        for each in cut
    ]
    result = results.SlideResult(
        **of, predicted=CLASSES[0], scores={"LUAD": 0.6, "LUSC": 0.4}, n_tiles=len(scored), aggregation="mean",
        width=WIDTH, height=HEIGHT, model_sha256="m", data_sha256="d",
    )  # fmt: skip
    made = {
        "plan.json": plan.model_dump_json().encode(),
        f"tiles/{NAME}.json": json.dumps({"summary": tiled.summary.model_dump(mode="json")}).encode(),
        f"evaluation/slides/{NAME}.json": result.model_dump_json().encode(),
        f"evaluation/slides/{NAME}.csv": results.tiles_csv(scored, CLASSES),
        **{f"view/{each.name}": each.read_bytes() for each in view.iterdir()},
    }
    return path, {(SLIDES, KEY): body, **{(RUNS, f"runs/{RUN}/{name}"): each for name, each in made.items()}}


@pytest.fixture
def site(large):
    running = serve(S3(dict(large[1])), listed(RUN))
    yield running
    running.close()


def settled(page):
    page.wait_for_selector(".deepzoom[data-ready]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # the last tile is decoded and blended in after it has come


def shown(page, left, top, side=PATCH):
    """What the viewer has painted there, RGB, shape (side, side, 3)."""
    found = np.array(page.evaluate(READ, [left, top, side]), np.uint8).reshape(side, side, 4)
    assert (found[..., 3] == 255).all(), "it is painted to its last pixel"
    return found[..., :3].astype(int)


def box(page):
    found = page.locator(".deepzoom").bounding_box()
    return round(found["width"]), round(found["height"])


@pytest.mark.parametrize(("level", "down"), [(2, 16), (1, 4), (0, 1)])
def test_its_own_pixels_are_shown_at_three_zooms(open_page, site, large, *, level, down):
    """Where a pixel of a level is a pixel of the screen, the viewer shows what OpenSlide reads there.

    The viewer draws each tile a pixel too wide and high, so that no seam can be seen: what is compared lies near the
    tiles' upper left corners, where that moves nothing.
    """
    page = open_page(f"{site.url}/#/slides/slide/{NAME}?run={RUN}", reduced_motion="reduce")
    page.expected_errors = ["willReadFrequently"]  # the test reads what is painted; the page never does
    settled(page)
    width, height = box(page)
    left, top = (math.floor(size / 2) - at // down for size, at in ((width, X), (height, Y)))
    x, y = ((size / 2 - at) * down for size, at in ((width, left), (height, top)))  # pixels lie on pixels
    page.goto("about:blank")
    page.goto(f"{site.url}/#/slides/slide/{NAME}?run={RUN}&class=none&x={x}&y={y}&z={1 / down}")
    settled(page)
    compared = 0
    with openslide.OpenSlide(large[0]) as slide:
        for row in range(-top // SIDE + 1, (height - top) // SIDE):
            for column in range(-left // SIDE + 1, (width - left) // SIDE):
                at = left + column * SIDE + 2, top + row * SIDE + 2
                place = ((column * SIDE + 2) * down, (row * SIDE + 2) * down)
                wanted = np.asarray(slide.read_region(place, level, (CORNER, CORNER)).convert("RGB")).astype(int)
                assert np.abs(shown(page, *at, CORNER) - wanted).mean() < 4, (column, row)
                compared += wanted.std() > 10
    assert compared >= 2, "and there is something to see"
    asked = {int(each[1]) for path in site.asked if (each := re.search(rf"/{NAME}/tiles/\w+/(\d)/", path))}
    assert level in asked
    assert page.get_by_role("alert").count() == 0


def test_it_moves_without_a_fault_and_shows_where_it_came_to(open_page, site, large):
    begun = time.monotonic()
    page = open_page(f"{site.url}/#/slides/slide/{NAME}?run={RUN}")
    page.expected_errors = ["willReadFrequently"]
    page.wait_for_selector(".deepzoom[data-ready]")
    ready = time.monotonic() - begun
    settled(page)
    frame = page.locator(".deepzoom").bounding_box()
    middle = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.evaluate(FRAMES)
    page.mouse.move(frame["x"] + 0.60 * frame["width"], frame["y"] + 0.62 * frame["height"])
    for _ in range(24):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(80)
    for step in (1, -1, 1):
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - step * 260, middle[1] - step * 140, steps=20)
        page.mouse.up()
        page.wait_for_timeout(150)
    page.wait_for_timeout(1500)
    frames = np.array(page.evaluate("window.frames_"))
    told = ", ".join(f"{np.percentile(frames, each):.0f} ms (p{each})" for each in (50, 95, 99))
    print(f"ready after {ready:.1f} s, frames {told}")  # noqa: T201  to be read by -s, not held: they are the machine's
    settled(page)
    assert page.get_by_role("alert").count() == 0
    at = {name: float(value) for name, value in re.findall(r"[?&](x|y|z)=([\d.e-]+)", page.url)}
    assert at["z"] > 0.2, "it went in"
    # The heatmap off, what is seen is the slide's at the address that the page keeps.
    page.get_by_role("combobox", name="Score of").select_option("No heatmap")
    settled(page)
    width, height = box(page)
    found = shown(page, (width - PATCH) // 2, (height - PATCH) // 2)
    side = round(PATCH / at["z"])
    with openslide.OpenSlide(large[0]) as slide:
        region = slide.read_region((round(at["x"] - side / 2), round(at["y"] - side / 2)), 0, (side, side))
    wanted = np.asarray(region.convert("RGB").resize((PATCH, PATCH), Image.Resampling.BILINEAR)).astype(int)
    assert wanted.std() > 15
    assert np.abs(found - wanted).mean() < 0.5 * np.abs(wanted - wanted.mean((0, 1))).mean(), "not merely its colours"
