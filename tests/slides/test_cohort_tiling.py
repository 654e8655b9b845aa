"""A slide that takes its process down, a full disk, and hosts that the plan does not know."""

import json
import os
import signal
import threading

import pytest

from sextant.slides import cohort_tiling
from sextant.slides.cohort_tiling import quarantine, tile_host
from sextant.slides.container import InputError
from sextant.slides.plan import Finding, Plan, PlannedSlide


def _killed(answer, path, *_):
    if path.name == "b.svs":
        os.kill(os.getpid(), signal.SIGSEGV)
    answer.send(("no tissue", f"{path.name} is empty"))


def _full(answer, *_):
    answer.send(OSError(28, "No space left on device"))


def _defect(*_):
    raise SystemExit(3)


@pytest.fixture
def cohort(tmp_path):
    slides = tmp_path / "slides"
    slides.mkdir()
    planned = []
    for n, name in enumerate("abc"):
        (slides / f"{name}.svs").write_bytes(b"x" * (3 - n))
        planned.append(
            PlannedSlide(
                slide=name,
                key=f"{name}.svs",
                patient=name,
                label="L",
                label_index=0,
                split="train",
                host=0,
                bytes=3 - n,
            )
        )
    return tmp_path / "run", slides, Plan(classes=("L",), slides=tuple(planned))


def tile(cohort, **changes):
    run, slides, plan = cohort
    lines = []
    options = {"host": 0, "processes": 1, "stopping": threading.Event(), "tell": lines.append} | changes
    return tile_host(str(run), str(slides), plan, **options), lines


def test_a_crash_quarantines_its_slide_only(cohort, monkeypatch):
    monkeypatch.setattr(cohort_tiling, "_child", _killed)
    made, lines = tile(cohort)
    assert {each.slide: each.reason for each in made.quarantined} == {"a": "no tissue", "b": "crash", "c": "no tissue"}
    assert "the process that tiled b.svs ended by SIGSEGV" in lines[1]
    assert {path.stem for path in (cohort[0] / "quarantine").iterdir()} == {"a", "b", "c"}


def test_a_program_that_ends_without_an_answer_is_told_with_its_code(cohort, monkeypatch):
    monkeypatch.setattr(cohort_tiling, "_child", _defect)
    made, _ = tile(cohort)
    assert {each.reason for each in made.quarantined} == {"crash"}
    assert "ended by code 3" in made.quarantined[0].detail


def test_a_full_disk_stops_the_host_and_quarantines_nothing(cohort, monkeypatch):
    monkeypatch.setattr(cohort_tiling, "_child", _full)
    with pytest.raises(OSError, match="No space left on device"):
        tile(cohort)
    assert not (cohort[0] / "quarantine").exists()


def test_told_to_stop_no_slide_is_begun(cohort):
    stopping = threading.Event()
    stopping.set()
    made, lines = tile(cohort, stopping=stopping)
    assert made.left == ("a", "b", "c")
    assert lines == []


def test_a_host_that_the_plan_does_not_know(cohort):
    with pytest.raises(InputError, match="host 1 of a plan for 1: plan for as many hosts"):
        tile(cohort, host=1)


def test_no_name_in_a_row_leads_out_of_the_quarantine(tmp_path):
    names = ["../../evil", "/etc/passwd", "a" * 300, "..", "x\ny", "ß" * 90]
    findings = [Finding(slide=name, key="", reason="unusable name", detail="d") for name in [*names, "good name-1"]]
    quarantine(str(tmp_path / "run"), findings, "plan")
    below = list((tmp_path / "run" / "quarantine").iterdir())
    assert [path for path in tmp_path.rglob("*.json") if path not in below] == []
    assert {json.loads(path.read_text())["slide"] for path in below} == {*names, "good name-1"}
    assert (tmp_path / "run/quarantine/good name-1.json").is_file()
