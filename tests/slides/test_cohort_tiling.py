"""A slide that takes its process down, a full disk, and hosts that the plan does not know."""

import hashlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from sextant.container import InputError
from sextant.slides import cohort_tiling, store
from sextant.slides.cohort_tiling import clear_plan, publish_plan, quarantine, tile_host
from sextant.slides.companions import fetch
from sextant.slides.plan import Finding, Plan, PlannedSlide
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import TileSummary


def _killed(answer, path, *_):
    if path.name == "b.svs":
        os.kill(os.getpid(), signal.SIGSEGV)
    answer.send(("no tissue", f"{path.name} is empty"))


def _full(answer, *_):
    answer.send(OSError(28, "No space left on device"))


def _defect(*_):
    raise SystemExit(3)


def _tiled(answer, path, planned, settings, target, _):
    """Records that are the slide's bytes, and a view of two files."""
    body = path.read_bytes()
    target.write_bytes(body)
    for kind in ("idx", "json"):
        (target.parent / "view" / f"{planned.slide}.{kind}").write_bytes(body)
    answer.send(
        TileSummary(
            slide=planned.slide,
            engine="native",
            width=1,
            height=1,
            objective_power=None,
            mpp=None,
            magnification=20,
            columns=1,
            rows=1,
            tiles=1,
            kept=1,
            dropped=0,
            rechecked=0,
            seconds_cpu=os.getpid(),  # who made it
            bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            settings=settings,
        )
    )


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
    return tmp_path / "runs" / "one", slides, Plan(classes=("L",), slides=tuple(planned))


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


def places(run):
    return {name: store.tiled(str(run), name) for name in "abc"}


def test_tiles_of_another_run_are_taken_and_nothing_is_made(cohort, monkeypatch):
    monkeypatch.setattr(cohort_tiling, "_child", _tiled)
    one, slides, plan = cohort
    assert tile(cohort)[0].tiled == ("a", "b", "c")
    two = one.with_name("two")
    made, lines = tile((two, slides, plan))
    assert (made.tiled, made.done_before) == ((), ("a", "b", "c"))
    assert lines == [f"{name}: was tiled before" for name in "abc"]
    assert places(one) == places(two)
    views = [{path.name: path.read_bytes() for path in (run / "view").iterdir()} for run in (one, two)]
    assert views[0] == views[1] == {f"{name}.{kind}": b"x" * (3 - n) for n, name in enumerate("abc")
                                    for kind in ("idx", "json")}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda slides, plan: (slides / "b.svs").write_bytes(b"yy") and plan,
        lambda _, plan: changed(plan, patient="other"),
        lambda _, plan: changed(plan, label="M"),
        lambda _, plan: plan.model_copy(update={"tiles": TileSettings(quality=80)}),
    ],
)
def test_what_its_tiles_are_made_of_has_changed(cohort, monkeypatch, change):
    monkeypatch.setattr(cohort_tiling, "_child", _tiled)
    one, slides, plan = cohort
    tile(cohort)
    before = places(one)
    again = change(slides, plan)
    made, _ = tile((one, slides, again))
    assert made.tiled == (("a", "b", "c") if again.tiles != plan.tiles else ("b",))
    assert {name for name, each in places(one).items() if each.tiles != before[name].tiles} == set(made.tiled)


def changed(plan, **fields):
    """The plan with another patient or label of slide b."""
    labels = (*plan.classes, *filter(None, [fields.get("label")]))
    slides = [
        each.model_copy(update=fields | {"label_index": len(labels) - 1}) if each.slide == "b" else each
        for each in plan.slides
    ]
    return Plan(classes=labels, slides=tuple(slides))


@pytest.mark.parametrize("loss", ["tiles.tfrecord", "tiles.json"])
def test_tiles_that_were_lost_or_left_half_are_made_anew(cohort, monkeypatch, loss):
    monkeypatch.setattr(cohort_tiling, "_child", _tiled)
    one, slides, plan = cohort
    tile(cohort)
    kept = places(one)["b"]
    place = Path(store.beside(str(one), "tiles", kept.tiles))
    if loss.endswith("json"):
        (place / loss).unlink()
    else:
        (place / loss).write_bytes(b"h")
    made, _ = tile((one.with_name("two"), slides, plan))
    assert (made.tiled, made.done_before) == (("b",), ("a", "c"))
    assert (place / "tiles.tfrecord").read_bytes() == b"xx"


def test_a_slide_that_is_replaced_while_it_is_read_gives_no_tiles(cohort, monkeypatch):
    def replaced(root, key, path):
        fetch(root, key, path)
        if key == "b.svs":
            (Path(root) / key).write_bytes(b"replaced")

    monkeypatch.setattr(cohort_tiling, "_child", _tiled)
    monkeypatch.setattr(cohort_tiling, "fetch", replaced)
    made, _ = tile(cohort)
    assert {each.slide: each.reason for each in made.quarantined} == {"b": "changing file"}
    assert places(cohort[0])["b"] is None


def test_a_plan_that_fails_leaves_no_plan_and_one_that_forgets_a_slide_leaves_nothing_of_it(cohort, monkeypatch):
    monkeypatch.setattr(cohort_tiling, "_child", _tiled)
    run, _, plan = cohort
    publish_plan(str(run), plan)
    tile(cohort)
    finding = Finding(slide="a", key="a.svs", reason="missing file", detail="d")
    clear_plan(str(run))
    quarantine(str(run), [finding], "plan")
    assert not (run / "plan.json").exists(), "a step that goes on would go by what is no more"
    assert {name for name, each in places(run).items() if each} == {"b", "c"}
    less = Plan(classes=plan.classes, slides=plan.slides[2:], quarantined=(finding,))
    publish_plan(str(run), less)
    assert {name for name, each in places(run).items() if each} == {"c"}
    assert {path.name for path in (run / "view").glob("*.json")} == {"c.json"}
    assert {path.name for path in (run / "quarantine").iterdir()} == {"a.json"}


def test_a_run_at_the_top_of_a_bucket_has_nothing_beside_it():
    assert store.beside("s3://b/one/", "tiles", "d") == "s3://b/tiles/d"
    assert store.beside("one", "tiles", "d") == "./tiles/d"
    with pytest.raises(InputError, match="give it a folder"):
        store.beside("s3://b", "tiles", "d")
