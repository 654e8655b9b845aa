import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from samples.slides.gigapixel import write_gigapixel
from sextant.slides import tfrecord
from sextant.slides.errors import SlideError
from sextant.slides.records import from_record, pixels
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
from tests.slides.made import full_rule, picture, write

ROOT = Path(__file__).parents[2]
LABEL = {"slide": "S-1", "patient": "P-1", "label": 2, "label_name": "LUSC"}


def tiled(path, target, **settings):
    return tile_slide(path, **LABEL, settings=TileSettings(**settings), target=target).summary


def tiles(path):
    with path.open("rb") as stream:
        return [from_record(payload) for payload in tfrecord.read(stream, path.name)]


@pytest.mark.parametrize(
    ("made", "settings", "engine", "down"),
    [
        ({}, {"size": 256}, "native", 1),
        ({}, {"size": 256, "background": 0.7}, "native", 1),
        ({"codec": "rgb"}, {"size": 256}, "native", 1),
        ({}, {"size": 256, "encoding": "jpeg"}, "turbo", 1),
        ({"side": 240}, {"size": 256}, "turbo", 1),
        ({"codec": "jp2k"}, {"size": 256}, "openslide", 1),
        ({"codec": "jp2k", "downs": (1,)}, {"size": 256}, "openslide", 1),
        ({"power": 40}, {"size": 128}, "turbo", 2),
    ],
)
def test_the_kept_tiles_are_those_of_the_full_rule(tmp_path, made, settings, engine, down):
    path = write(tmp_path / "s.svs", picture(2000, 1500, seed=3), **made)
    summary = tiled(path, tmp_path / "s.tfrecord", **settings)
    chosen = TileSettings(**settings)
    span = chosen.size * down
    truth = full_rule(path, chosen, down)
    found = tiles(tmp_path / "s.tfrecord")
    assert summary.engine == engine
    assert [(tile.x // span, tile.y // span) for tile in found] == sorted(truth, key=lambda at: (at[1], at[0]))
    assert (summary.columns, summary.rows) == (2000 // span, 1500 // span)
    assert summary.tiles == summary.columns * summary.rows == summary.kept + summary.dropped
    assert 3 < summary.kept == len(truth) < summary.tiles - 3
    for tile in found:
        assert (tile.slide, tile.patient, tile.label, tile.label_name) == tuple(LABEL.values())
        assert (tile.span, tile.size, tile.mpp) == (span, chosen.size, 0.5 * down)
        assert tile.background == pytest.approx(truth[tile.x // span, tile.y // span], abs=0.15)
        assert tile.grid == ((chosen.size // 256,) * 2 if engine == "native" else (1, 1))


@pytest.mark.parametrize(
    ("made", "settings", "most"),
    [({}, {}, 0), ({"codec": "rgb"}, {}, 0), ({}, {"encoding": "jpeg"}, 4), ({"codec": "jp2k"}, {}, 4)],
)
def test_records_hold_the_slides_pixels(tmp_path, made, settings, most):
    path = write(tmp_path / "s.svs", picture(1400, 1100), **made)
    tiled(path, tmp_path / "s.tfrecord", size=256, **settings)
    with openslide.OpenSlide(path) as slide:
        for tile in tiles(tmp_path / "s.tfrecord"):
            truth = np.asarray(slide.read_region((tile.x, tile.y), 0, (256, 256)).convert("RGB"), int)
            assert np.abs(pixels(tile) - truth).mean() <= most


def test_the_summary_is_of_the_file(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100))
    target = tmp_path / "s.tfrecord"
    summary = tiled(path, target, size=256)
    body = target.read_bytes()
    assert (summary.bytes, summary.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (summary.width, summary.height, summary.objective_power, summary.mpp) == (1400, 1100, 20, 0.5)
    assert (summary.slide, summary.magnification, summary.settings) == ("S-1", 20, TileSettings(size=256))
    assert 0 < summary.seconds_cpu < 30
    assert type(summary).model_validate_json(summary.model_dump_json()) == summary


def test_the_same_slide_gives_the_same_bytes(tmp_path):
    for made in ({}, {"power": 40}):
        path = write(tmp_path / "s.svs", picture(1400, 1100), **made)
        first = tiled(path, tmp_path / "first", size=256)
        again = tiled(path, tmp_path / "again", size=256)
        assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
        assert first.sha256 == again.sha256


def test_unknown_magnification_has_no_mpp(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100), power=None, mpp=None)
    summary = tiled(path, tmp_path / "s.tfrecord", size=256, unknown_magnification=20)
    assert (summary.magnification, summary.mpp, summary.objective_power) == (20, None, None)
    assert {tile.mpp for tile in tiles(tmp_path / "s.tfrecord")} == {None}


def spoiled(number, tile):
    return tile[: len(tile) // 2] if number in {8, 9, 14} else tile


@pytest.mark.parametrize(("settings", "count"), [({}, 3), ({"encoding": "jpeg"}, 3), ({"size": 512}, 2)])
def test_tiles_that_cannot_be_decoded_quarantine_the_slide(tmp_path, settings, count):
    path = write(tmp_path / "bad.svs", picture(1400, 1100), changed=spoiled)
    target = tmp_path / "s.tfrecord"
    target.write_bytes(b"of the run before")
    with pytest.raises(SlideError) as caught:
        tiled(path, target, **{"size": 256} | settings)
    assert caught.value.reason == "unreadable tiles"
    side = settings.get("size", 256)
    first = "x=512 y=256" if side == 256 else "x=512 y=0"
    total = (1400 // side) * (1100 // side)
    assert caught.value.detail.startswith(
        f"{count} of the {total} tiles of bad.svs cannot be decoded, the first at {first}: "
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.svs", "s.tfrecord"]
    assert target.read_bytes() == b"of the run before"


def test_tiles_that_openslide_cannot_decode_quarantine_the_slide(tmp_path):
    path = write(
        tmp_path / "bad.svs", picture(1400, 1100), codec="jp2k", changed=lambda n, t: b"x" * 50 if n == 8 else t
    )
    with pytest.raises(SlideError, match="the first at x=512 y=256") as caught:
        tiled(path, tmp_path / "s.tfrecord", size=256)
    assert caught.value.reason == "unreadable tiles"
    assert [each.name for each in tmp_path.iterdir()] == ["bad.svs"]


def test_damaged_background_harms_nobody(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100), changed=lambda n, t: t[:300] if n == 0 else t)
    assert tiled(path, tmp_path / "s.tfrecord", size=256).kept == len(tiles(tmp_path / "s.tfrecord")) > 3


def test_a_damaged_small_level_costs_time_only(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100))
    sound = tiled(path, tmp_path / "sound", size=256)
    with tifffile.TiffFile(path) as file:
        places = list(file.pages[-1].dataoffsets)
    body = bytearray(path.read_bytes())
    for place in places:
        body[place : place + 200] = bytes(200)
    path.write_bytes(body)
    found = tiled(path, tmp_path / "damaged", size=256)
    assert found.rechecked == found.tiles > sound.rechecked
    assert [(each.x, each.y) for each in tiles(tmp_path / "damaged")] == [(t.x, t.y) for t in tiles(tmp_path / "sound")]


def test_a_slide_without_tissue_is_told(tmp_path):
    path = write(tmp_path / "blank.svs", np.full((600, 600, 3), 240, np.uint8))
    with pytest.raises(SlideError, match=r"all 4 tiles of blank\.svs are background: more than 50%") as caught:
        tiled(path, tmp_path / "s.tfrecord", size=256)
    assert caught.value.reason == "no tissue"
    assert [each.name for each in tmp_path.iterdir()] == ["blank.svs"]


def test_a_target_that_cannot_be_written_is_not_the_slides_fault(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100))
    with pytest.raises(FileNotFoundError):
        tiled(path, tmp_path / "no folder" / "s.tfrecord", size=256)


def test_a_full_disk_leaves_nothing_half(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100))
    target = tmp_path / "s.tfrecord"
    target.write_bytes(b"of the run before")
    program = """
import resource
import sys
from pathlib import Path
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file of this process grows beyond it
tile_slide(Path(sys.argv[1]), slide="S", patient="P", label=0, label_name="LUAD", settings=TileSettings(size=256),
           target=Path(sys.argv[2]))
"""
    command = [sys.executable, "-c", program, str(path), str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.svs", "s.tfrecord"]
    assert target.read_bytes() == b"of the run before"


@pytest.mark.parametrize("power", [20, 40])
def test_a_quarter_of_a_gigapixel_takes_little_memory(tmp_path, power):
    path = tmp_path / "large.svs"
    write_gigapixel(path, 16_384, 16_384, power)
    program = """
import sys
from pathlib import Path
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
made = tile_slide(Path(sys.argv[1]), slide="S", patient="P", label=0, label_name="LUAD", settings=TileSettings(),
                  target=Path(sys.argv[2])).summary
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(made.engine, made.tiles, made.kept, peak.split()[1])
"""
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "t")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    engine, count, kept, peak = done.stdout.split()
    assert engine == {20: "native", 40: "turbo"}[power]
    assert int(count) == {20: 32 * 32, 40: 16 * 16}[power]
    assert 0.3 < int(kept) / int(count) < 0.45
    assert int(peak) < 200 * 1024  # KiB


DATA = Path(os.environ.get("SEXTANT_DATA", ROOT.parent / "shared" / "data")) / "slides"


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA")
@pytest.mark.parametrize(
    ("name", "size", "count"),
    [
        ("CMU-1-Small-Region.svs", 256, 88),
        ("CMU-1-Small-Region.svs", 240, 108),
        ("TCGA-CR-7395-01A-01-TS1.svs", 256, 221),
    ],
)
def test_real_slides_keep_the_tiles_of_the_full_rule(tmp_path, name, size, count):
    settings = TileSettings(size=size, unknown_magnification=20)
    summary = tile_slide(DATA / name, **LABEL, settings=settings, target=tmp_path / "t").summary
    truth = full_rule(DATA / name, settings)
    assert summary.tiles == count
    assert {(tile.x // size, tile.y // size) for tile in tiles(tmp_path / "t")} == set(truth)
    assert summary.rechecked < count or summary.engine != "native"


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA")
def test_a_real_unreadable_slide_is_told(tmp_path):
    with pytest.raises(
        SlideError, match=r"1 of the 1 tiles of openslide-python-unreadable\.svs cannot be decoded"
    ) as caught:
        tiled(DATA / "openslide-python-unreadable.svs", tmp_path / "t", size=16)
    assert caught.value.reason == "unreadable tiles"
