"""The slides' benchmark on a slide of some tiles: that it counts what the tile step does, and reckons as told."""

import os
import sys
import tomllib

import pytest

from benchmarks import slides
from benchmarks.slides import PRICES, ROOT
from tests.slides.made import picture, write

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_job_is_the_tiles_with_the_view(tmp_path):
    slide = write(tmp_path / "s.svs", picture(4096, 3072, seed=3))
    ours = slides._ours(slide, tmp_path, ENVIRONMENT, 2)
    job, told = ours
    assert told["engine"] == "native"
    assert 3 < told["kept"] < told["tiles"] == 48
    assert 0 < told["view"] < job.cpu
    whole, alone = slides._tiled("copied", [ours], peer=100 * job.cpu, floor=80)
    assert (whole["name"], alone["name"]) == ("copied (native), tiles and view", "copied (native), tiles alone")
    assert whole["ratio"] == pytest.approx(100)
    assert whole["ok"]
    assert alone["ours"] == pytest.approx(job.cpu - told["view"])
    assert not slides._tiled("copied", [ours], peer=79 * job.cpu, floor=80)[0]["ok"], "the floor is of the whole job"
    assert [each.name for each in tmp_path.iterdir()] == ["s.svs"], "what it wrote is gone"


def test_records_and_features_are_timed_on_what_the_job_wrote(tmp_path):
    slide = write(tmp_path / "s.svs", picture(4096, 3072, seed=3))
    slides._job(slides._command(slide, tmp_path, 1, slides.TileSettings()), ENVIRONMENT)
    told = [*slides._streams(tmp_path / "tiles.tfrecord"), slides._features(tmp_path / "tiles.tfrecord")]
    assert [each["unit"] for each in told] == ["MB/CPU-s"] * 3 + ["tiles/CPU-s"]
    assert all(each["ours"] > 1 for each in told)


def test_scaling_makes_its_tiles_anew_for_each_number_of_processes(tmp_path):
    slide = write(tmp_path / "s.svs", picture(2048, 1536, seed=3))
    assert slides._scaling(tmp_path, slide)["ours"] > 0


def test_a_cohort_costs_its_share_of_hosts_and_hours(tmp_path):
    """A slide of a millionth of the cohort's bytes stands for a million: one CPU-second of it, 278 CPU-hours."""
    slide = tmp_path / "s.svs"
    slide.write_bytes(bytes(412_000))
    price = tomllib.loads(PRICES.read_text())["instance"]["ml.m5.4xlarge"]
    minutes, cost = slides._cohort(1.0, 30.0, slide)
    assert minutes["ours"] == pytest.approx(1e6 / 16 / 16 / 60)
    assert cost["ours"] == pytest.approx(1e6 / 3600 / price["vcpus"] * price["usd_per_hour"])
    assert minutes["ratio"] == cost["ratio"] == pytest.approx(30)


def test_a_process_that_fails_is_told_with_what_it_said():
    with pytest.raises(RuntimeError, match="no such slide"):
        slides._job([sys.executable, "-c", "raise SystemExit('no such slide')"], ENVIRONMENT)
