"""The sample cohort through plan, tile and pack, over a folder, beside the truth that the generator counted."""

import csv
import hashlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image, ImageDraw

from samples.slides.cohort import Painter, Scan, Truth, patients, write_cohort
from samples.slides.svs import decode_tile, encode_tile
from sextant.slides import tfrecord
from sextant.slides.manifest import Manifest
from sextant.slides.plan import SALT, Plan
from sextant.slides.records import from_record, pixels
from sextant.slides.store import TiledSlide


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    return folder, write_cohort(folder)


def start(step, run, *arguments, host=None, **options):
    environment = os.environ | {"OPT_ML": str(run.parent / f"opt-ml-{host or 'algo-1'}")}
    if host:
        config = run.parent / f"opt-ml-{host}" / "config"
        config.mkdir(parents=True, exist_ok=True)
        hosts = {"current_host": host, "hosts": ["algo-1", "algo-2"]}
        (config / "resourceconfig.json").write_text(json.dumps(hosts))
    command = [sys.executable, "-m", f"processing.slides.{step}", "--run", str(run), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def step(name, run, *arguments, code=0, host=None):
    process = start(name, run, *arguments, host=host)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, out + err
    return out, err


def here(name, run, *arguments):
    """A step in this process: a tenth of the time, where nobody looks at its output."""
    module = importlib.import_module(f"processing.slides.{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, "--run", str(run), *map(str, arguments)])
        module.main()


def plan_of(folder, run, *arguments):
    here("plan", run, "--table", folder / "slides.csv", "--slides", folder, *arguments)


@pytest.fixture(scope="module")
def run(sample, tmp_path_factory):
    """The run with two hosts, one after the other."""
    folder, _ = sample
    run = tmp_path_factory.mktemp("work") / "run"
    plan_of(folder, run, "--hosts", 2)
    for host in ("algo-1", "algo-2"):
        step("tile", run, "--slides", folder, "--processes", 2, host=host)
    step("pack", run, "--world-size", 4)
    return run


def read_plan(run):
    return Plan.model_validate_json((run / "plan.json").read_text())


def account(run, slide):
    return TiledSlide.model_validate_json((run / "tiles" / f"{slide}.json").read_text())


def tiles_of(run, slide):
    return run.parent / "tiles" / account(run, slide).tiles / "tiles.tfrecord"


def records(path):
    with path.open("rb") as file:
        return [from_record(each) for each in tfrecord.read(file, path.name)]


# The sample itself.


def test_the_cohort_is_as_large_as_it_says(sample):
    folder, truth = sample
    assert len(truth.slides) == 29
    assert Counter(each.label for each in truth.slides) == {"LUAD": 9, "LUSC": 10, "normal": 10}
    assert len({each.patient for each in truth.slides}) == 24
    assert sum(path.stat().st_size for path in folder.iterdir()) < 60e6
    assert all(len(each.kept) >= 5 for each in truth.slides)
    assert all(each.dropped for each in truth.slides)


def test_the_table_is_in_the_spelling_of_spreadsheets(sample):
    body = (sample[0] / "slides.csv").read_bytes()
    assert body.startswith(b"\xef\xbb\xbfslide,patient,label\r\n")
    assert body.count(b"slide,patient,label\r\n") == 2
    rows = {tuple(row) for row in csv.reader(io.StringIO(body.decode("utf-8-sig"))) if row}
    assert {(each.slide, each.patient, each.label) for each in sample[1].slides} <= rows


@pytest.mark.parametrize("scan", [Scan(), Scan("rgb"), Scan("jp2k"), Scan(power=40, big=True)])
def test_the_same_seed_gives_the_same_bytes(tmp_path, scan):
    scan = replace(scan, size=(1100, 900))
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Painter.of(np.random.default_rng(5)).write(tmp_path / name, "S", "P", "LUSC", scan)
        written.append((tmp_path / name / "S.svs").read_bytes())
    assert written[0] == written[1]


def test_openslide_reads_what_the_generator_meant(sample):
    folder, truth = sample
    for each in truth.slides:
        with openslide.OpenSlide(folder / each.key) as slide:
            properties = slide.properties
            assert properties["openslide.vendor"] == "aperio"
            assert slide.dimensions == (each.width, each.height)
            assert slide.level_dimensions[1] == (each.width // 4, each.height // 4)
            assert properties.get("openslide.objective-power") == (
                str(each.scan.power) if each.scan.told_power else None
            )
            assert ("openslide.mpp-x" in properties) == each.scan.told_mpp


def test_every_format_is_there(sample):
    folder, truth = sample
    found = set()
    for each in truth.slides:
        with tifffile.TiffFile(folder / each.key) as file:
            page = file.pages.first
            found.add((page.compression.name, page.photometric.name, page.jpegtables is not None, file.is_bigtiff))
    assert found == {
        ("JPEG", "YCBCR", False, False),
        ("JPEG", "YCBCR", False, True),
        ("JPEG", "RGB", True, False),
        ("APERIO_JP2000_RGB", "RGB", False, False),
    }


@pytest.mark.parametrize("codec", ["ycbcr", "rgb", "jp2k"])
def test_colours_survive_each_codec(codec):
    drawn = np.random.default_rng(0).integers(60, 220, (8, 8, 3), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    back = decode_tile(encode_tile(drawn, codec, 70), codec, 70)
    assert np.abs(back.astype(int) - drawn).mean() < 8


def test_tissue_is_where_the_polygons_are(sample):
    folder, truth = sample
    for each in truth.slides[:6]:
        with openslide.OpenSlide(folder / each.key) as slide:
            small = np.asarray(slide.read_region((0, 0), 1, slide.level_dimensions[1]).convert("RGB"))
        drawn = Image.new("1", small.shape[1::-1])
        for polygon in each.tissue:
            ImageDraw.Draw(drawn).polygon([(x / 4, y / 4) for x, y in polygon], fill=1)
        glass = np.abs(small.astype(int) - 243).max(2) < 12
        outside = ~np.asarray(drawn)
        assert glass[outside].mean() > 0.98
        assert glass[~outside].mean() < 0.35


def test_the_low_level_is_the_average_of_the_high_one(sample):
    folder, _ = sample
    with openslide.OpenSlide(folder / "S01.svs") as slide:
        full = slide.read_region((1024, 1024), 0, (512, 512)).convert("RGB").reduce(4)
        small = slide.read_region((1024, 1024), 1, (128, 128)).convert("RGB")
    near = np.abs(np.asarray(full, int) - np.asarray(small, int)).mean()
    beside = np.abs(np.asarray(full, int) - np.roll(np.asarray(small, int), 1, 0)).mean()
    assert near < 10 < beside


def test_no_tile_off_the_native_grid_is_near_the_rule_s_edge(sample):
    # There two right decoders may differ by a few pixels: the truth must not hang on them.
    for each in sample[1].slides:
        if each.scan.power != 20 or each.scan.codec == "jp2k":
            assert min(abs(share - 0.5) for share in (each.kept | each.dropped).values()) > 0.002


def test_the_exact_split_of_the_truth_by_hand():
    truth = Truth((), (), {}, {}, {})
    assert truth.splits("x") == {}
    order = sorted(patients(), key=lambda each: hashlib.sha256(f"{SALT}\n{each[0]}".encode()).hexdigest())
    alone = [patient for patient, labels in order if set(labels) == {"LUAD"}]
    assert len(alone) == 7  # 5, 1, 1


# The steps over it.


def test_the_plan_is_the_truth(sample, run):
    _, truth = sample
    plan = read_plan(run)
    assert plan.classes == truth.classes
    assert {each.slide: each.reason for each in plan.quarantined} == truth.quarantined_in_plan
    assert {each.slide: each.reason for each in plan.notes if each.slide} == truth.noted
    assert {each.slide for each in plan.slides} == {
        each.slide for each in truth.slides
    } | truth.quarantined_in_tile.keys()
    assert {each.patient: each.split for each in plan.slides} == truth.splits(plan.salt)
    loads = Counter()
    for each in plan.slides:
        loads[each.host] += each.bytes
    assert max(loads.values()) / min(loads.values()) < 1.1


def test_what_is_in_quarantine_says_why_and_where(sample, run):
    _, truth = sample
    found = {path.stem: json.loads(path.read_text()) for path in (run / "quarantine").iterdir()}
    assert {slide: (each["reason"], each["step"]) for slide, each in found.items()} == {
        **{slide: (reason, "plan") for slide, reason in truth.quarantined_in_plan.items()},
        **{slide: (reason, "tile") for slide, reason in truth.quarantined_in_tile.items()},
    }
    assert all(
        each.keys() == {"slide", "key", "reason", "detail", "step"} and each["detail"] for each in found.values()
    )


def test_tiles_are_kept_and_dropped_as_the_full_rule_says(sample, run):
    for truth in sample[1].slides:
        span = 512 * truth.scan.power // 20
        tiles = records(tiles_of(run, truth.slide))
        assert {(tile.x // span, tile.y // span) for tile in tiles} == truth.kept.keys(), truth.slide
        told = account(run, truth.slide).summary
        assert (told.kept, told.dropped) == (len(truth.kept), len(truth.dropped))
        assert told.engine == {"jp2k": "openslide"}.get(
            truth.scan.codec, "turbo" if truth.scan.power == 40 else "native"
        )
        assert {(tile.patient, tile.label_name, tile.span, tile.size) for tile in tiles} == {
            (truth.patient, truth.label, span, 512)
        }


@pytest.mark.parametrize("name", ["S02", "S03", "S12"])
def test_pixels_of_a_tile_are_the_slide_s(sample, run, name):
    tile = records(tiles_of(run, name))[5]
    with openslide.OpenSlide(sample[0] / f"{name}.svs") as slide:
        region = np.asarray(slide.read_region((tile.x, tile.y), 0, (512, 512)).convert("RGB"), int)
    difference = np.abs(region - pixels(tile))
    assert difference.mean() < (3 if name == "S12" else 1)


def test_packed_records_are_the_tiles_and_no_patient_is_in_two_splits(sample, run):
    _, truth = sample
    manifest = Manifest.model_validate_json((run / "records/manifest.json").read_text())
    splits = truth.splits(SALT)
    expected = Counter()
    for each in truth.slides:
        expected[splits[each.patient], each.label] += len(each.kept)
    found = Counter()
    patients_of = {}
    for name, split in manifest.splits.items():
        seen = set()
        for shard in split.shards:
            for tile in records(run / "records" / shard.name):
                seen.add((tile.slide, tile.x, tile.y, tile.label_name))
                patients_of.setdefault(tile.patient, set()).add(name)
        found.update((name, label) for *_, label in seen)
        assert split.records - split.repeated == len(seen)
        assert split.per_class == {label: expected[name, label] for label in truth.classes}
    assert found == expected
    assert {len(each) for each in patients_of.values()} == {1}
    assert len({shard.records for shard in manifest.splits["train"].shards}) == 1
    assert manifest.plan_digest == read_plan(run).digest()


def content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


FEW = {f"S{number:02}" for number in range(1, 8)}


@pytest.fixture
def few(sample, tmp_path):
    """Seven slides of the cohort, S06 at 40x among them, of so many patients: four of one class, three of another."""
    folder = tmp_path / "few"
    folder.mkdir()
    rows = [f"{name},P-{name},{('LUAD', 'LUSC')[n % 2]}" for n, name in enumerate(sorted(FEW))]
    (folder / "slides.csv").write_text("\n".join(["slide,patient,label", *rows]))
    for name in FEW:
        os.link(sample[0] / f"{name}.svs", folder / f"{name}.svs")
    return folder


def test_one_host_and_two_give_the_same_bytes(few, tmp_path):
    one, two = tmp_path / "first" / "run", tmp_path / "second" / "run"
    for run, hosts in ((one, ["algo-1"]), (two, ["algo-2", "algo-1"])):
        plan_of(few, run, "--hosts", len(hosts))
        for host in hosts:
            step("tile", run, "--slides", few, "--processes", len(hosts), host=host)
        here("pack", run, "--world-size", 4)
    assert content(one / "records") == content(two / "records")
    assert content(one / "view") == content(two / "view")
    out, _ = step("tile", one, "--slides", few)
    assert "0 slides tiled, 7 were tiled before, 0 in quarantine, 0 left" in out


def test_another_run_takes_the_tiles_of_the_first_and_makes_what_has_changed(few, tmp_path, sample):
    first, second, third, fourth = (tmp_path / "runs" / name for name in ("first", "second", "third", "fourth"))
    for run, tiled in ((first, 7), (second, 0)):
        plan_of(few, run)
        out, _ = step("tile", run, "--slides", few)
        assert f"{tiled} slides tiled, {7 - tiled} were tiled before" in out
        here("pack", run)
    assert content(first) == content(second)
    assert len(list((second / "view").glob("*.json"))) == 7

    # Another slide under the name of one, and another label of one: both are made anew, and told apart.
    (few / "S03.svs").unlink()
    os.link(sample[0] / "S08.svs", few / "S03.svs")
    plan_of(few, third)
    out, _ = step("tile", third, "--slides", few)
    assert "1 slides tiled, 6 were tiled before" in out
    assert [name for name in sorted(FEW) if tiles_of(third, name) != tiles_of(second, name)] == ["S03"]
    table = (few / "slides.csv").read_text()
    (few / "slides.csv").write_text(table.replace("S05,P-S05,LUAD", "S05,P-S05,LUSC"))
    plan_of(few, fourth)
    out, _ = step("tile", fourth, "--slides", few)
    assert "1 slides tiled, 6 were tiled before" in out
    assert [name for name in sorted(FEW) if tiles_of(fourth, name) != tiles_of(third, name)] == ["S05"]
    assert {tile.label_name for tile in records(tiles_of(fourth, "S05"))} == {"LUSC"}


def test_sigterm_ends_the_step_between_slides_and_the_next_start_goes_on(few, tmp_path):
    run = tmp_path / "runs" / "one"
    plan_of(few, run)
    process = start("tile", run, "--slides", few, "--processes", 1)
    try:
        assert process.stdout.readline().startswith("S06: ")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, out + err
    assert "the same command goes on with what is left" in out
    done = {path.stem for path in (run / "tiles").iterdir()}
    assert 0 < len(done) < len(FEW)
    assert {path.parent.name for path in tmp_path.rglob("tiles.json")} == {account(run, name).tiles for name in done}
    _, err = step("pack", run, code=1)
    assert "not tiled yet" in err
    out, _ = step("tile", run, "--slides", few)
    assert f"{len(done)} were tiled before" in out
    assert {path.stem for path in (run / "tiles").iterdir()} == FEW


@pytest.mark.slow
def test_a_killed_host_leaves_nothing_half_and_goes_on(few, tmp_path):
    run = tmp_path / "runs" / "one"
    plan_of(few, run)
    process = start("tile", run, "--slides", few, "--processes", 2, start_new_session=True)
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for path in (run / "tiles").glob("*.json"):
        told = account(run, path.stem)
        assert hashlib.sha256(tiles_of(run, path.stem).read_bytes()).hexdigest() == told.summary.sha256
    step("tile", run, "--slides", few)
    assert {path.stem for path in (run / "tiles").glob("*.json")} == FEW


def test_a_slide_is_tiled_or_in_quarantine_and_never_both(few, tmp_path):
    run = tmp_path / "runs" / "one"
    sound = (few / "S03.svs").read_bytes()

    def places():
        return {name: [folder for folder in ("tiles", "quarantine") if (run / folder / f"{name}.json").exists()]
                for name in FEW}  # fmt: skip

    whole = {name: ["tiles"] for name in FEW}

    def tile():
        return step("tile", run, "--slides", few)[0]

    plan_of(few, run)
    (few / "S03.svs").unlink()
    assert "6 slides tiled, 0 were tiled before, 1 in quarantine, 0 left" in tile()
    assert json.loads((run / "quarantine/S03.json").read_text())["reason"] == "missing file"
    (few / "S03.svs").write_bytes(sound)
    assert "1 slides tiled, 6 were tiled before, 0 in quarantine, 0 left" in tile()
    assert places() == whole
    # Sound once, gone now: its tiles are no more the run's, and pack goes by that.
    (few / "S03.svs").unlink()
    assert "0 slides tiled, 6 were tiled before, 1 in quarantine, 0 left" in tile()
    assert places() == whole | {"S03": ["quarantine"]}
    assert not (run / "view/S03.json").exists()
    # Planned again under the same run: rejected by the plan, then mended, and found done though it was in quarantine.
    plan_of(few, run)
    assert read_plan(run).quarantined[0].slide == "S03"
    assert places()["S03"] == ["quarantine"]
    (few / "S03.svs").write_bytes(sound)
    plan_of(few, run)
    assert places()["S03"] == []
    tile()
    assert places() == whole
    here("pack", run)


def test_other_settings_are_another_plan(sample, run, tmp_path):
    folder, _ = sample
    other = tmp_path / "run"
    plan_of(folder, other, "--unknown-magnification", 20, "--fractions", 0.5, 0.25, 0.25)
    plan = read_plan(other)
    assert plan.tiles.unknown_magnification == 20
    assert plan.digest() != read_plan(run).digest()
    _, err = step("plan", other, "--table", folder / "slides.csv", "--slides", folder, "--size", 17, code=1)
    assert err.startswith("--size: ")


def test_steps_tell_what_is_missing(sample, tmp_path):
    folder, _ = sample
    _, err = step("tile", tmp_path / "run", "--slides", folder, code=1)
    assert err.endswith("plan.json is not there: run the plan step first\n")
    _, err = step("plan", tmp_path / "run", "--table", tmp_path / "none.csv", "--slides", folder, code=1)
    assert err.endswith("none.csv is not there\n")
    assert (tmp_path / "opt-ml-algo-1/output/failure").read_text().endswith("none.csv is not there")
