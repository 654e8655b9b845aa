import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from sextant.slides import measuring, model, results, scores
from sextant.slides.heads import Head
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.model import EncoderFacts, Model, ModelFacts, Validation
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.scores import TileScores
from sextant.slides.settings import TileSettings
from sextant.slides.view_model import DROPPED, STEPS, TileGrid, View
from web.site import ROOT

CLASSES = ("luad", "lusc", "normal")


def made(plan_digest="0" * 64, **changed):
    """A linear head that takes three features as logits."""
    facts = {
        "classes": CLASSES,
        "encoder": EncoderFacts(name="made", sha256="e" * 64, dim=3, input_px=16),
        "head": "linear",
        "aggregation": "mean",
        "temperature": 1.0,
        "strength": 1.0,
        "validation": Validation(
            slides=1, patients=1, tiles=1, slide_auc=1, slide_accuracy=1, slide_loss=0, tile_accuracy=1
        ),
        "tiles": TileSettings(),
        "plan_digest": plan_digest,
        "data_digest": "1" * 64,
    }
    arrays = {"mean": np.zeros(3), "scale": np.ones(3), "W": np.eye(3), "b": np.zeros(3)}
    return Model(
        ModelFacts(**facts | changed), Head("linear", {name: each.astype(np.float32) for name, each in arrays.items()})
    )


def tile(x, y, *given, slide="s1", span=512):
    return TileScores(slide, x, y, span, given, tuple(float(np.log(each)) for each in given), None)


TILES = [tile(0, 0, 0.7, 0.2, 0.1), tile(512, 0, 0.2, 0.5, 0.3), tile(0, 512, 0.6, 0.3, 0.1)]


def test_scores_of_features():
    (first, second) = scores.of_features(
        made(), np.array([[1, 2, 3], [0, 0, 0]], np.float32), [("s", 1, 2, 3), ("s", 4, 5, 6)]
    )
    exponents = np.exp([1, 2, 3])
    assert first.scores == pytest.approx(exponents / exponents.sum())
    assert first.logits == pytest.approx((1, 2, 3))
    assert (second.x, second.y, second.span) == (4, 5, 6)
    assert second.scores == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_lines_come_back_ordered_and_once():
    lines = [scores.to_line(each, CLASSES, made().digest()).encode() for each in TILES]
    read = scores.from_lines([lines[2], b"\n", *lines, lines[0]], made(), "s1.out")
    assert [(each.x, each.y) for each in read] == [(0, 0), (512, 0), (0, 512)]
    assert read[1].scores == pytest.approx((0.2, 0.5, 0.3))
    assert read[1].logits == pytest.approx(np.log([0.2, 0.5, 0.3]), abs=1e-6)
    told = json.loads(lines[0])
    assert told["scores"] == {"luad": 0.7, "lusc": 0.2, "normal": 0.1}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line[:40], "s1.out: line 2 is no tile's scores"),
        (lambda line: line.replace(b'"lusc"', b'"LUSC"'), "line 2 is no tile's scores .'lusc'"),
        (lambda line: line.replace(b'"logits":[', b'"logits":[NaN,'), "does not have a finite number per class"),
        (lambda line: line.replace(b'"model":"', b'"model":"0'), "is of model 0.*scoring step again"),
        (lambda _: b"[]", "is no tile's scores"),
    ],
)
def test_lines_that_are_damaged_or_foreign_are_named(damage, reason):
    line = scores.to_line(TILES[0], CLASSES, made().digest()).encode()
    with pytest.raises(scores.ScoresError, match=reason):
        scores.from_lines([line, damage(line)], made(), "s1.out")


def test_slide_result_by_hand():
    result = results.slide_result(made(), TILES, data=b"abc", patient="p1", label="lusc", size=(1024, 1024))
    assert result.scores == {
        "luad": 0.5,
        "lusc": pytest.approx(1 / 3, abs=1e-6),
        "normal": pytest.approx(1 / 6, abs=1e-6),
    }
    assert (result.predicted, result.label, result.n_tiles) == ("luad", "lusc", 3)
    assert result.data_sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180: "abc"
    assert results.slide_result(made(aggregation="majority"), TILES, data=b"").scores["lusc"] == pytest.approx(
        1 / 3, abs=1e-6
    )


def test_csv_has_a_row_per_tile():
    rows = list(csv.DictReader(io.StringIO(results.tiles_csv(TILES, CLASSES).decode())))
    assert [row["predicted"] for row in rows] == ["luad", "lusc", "luad"]
    assert rows[2] == {
        "slide": "s1", "x": "0", "y": "512", "span": "512", "predicted": "luad", "luad": "0.600000",
        "lusc": "0.300000", "normal": "0.100000", "attention": "",
    }  # fmt: skip


def test_geojson_is_what_qupath_imports():
    told = json.loads(results.geojson(TILES, CLASSES, "m"))
    assert told["type"] == "FeatureCollection"
    second = told["features"][1]
    assert second["type"] == "Feature"
    assert second["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[512, 0], [1024, 0], [1024, 512], [512, 512], [512, 0]]],
    }
    properties = second["properties"]
    assert properties["objectType"] == "tile"
    assert properties["classification"] == {"name": "lusc", "color": [86, 180, 233]}
    assert properties["measurements"] == {"score luad": 0.2, "score lusc": 0.5, "score normal": 0.3}


def test_ramp_is_viridis_and_even_in_lightness():
    ramp = results.colours(np.linspace(0, 1, 21)).astype(float)
    assert ramp[0].tolist() == [68, 1, 84]
    assert ramp[-1].tolist() == [253, 231, 37]
    assert ramp[10].tolist() == [33, 145, 140]
    luminance = ramp @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    assert results.colours(np.array([-1.0, 2.0])).tolist() == [[68, 1, 84], [253, 231, 37]]


def test_the_pages_paint_in_the_colours_of_the_files():
    """No module is shared between a browser and the jobs: the page's copy is held to the product's here."""
    page = (ROOT / "app/tiles.js").read_text()
    ramp = json.loads(re.search(r"^const RAMP = (\[\[.*\]\]);$", page, re.MULTILINE)[1])
    assert ramp == results.colours(np.linspace(0, 1, len(ramp))).tolist()
    assert len(ramp) == len(results._RAMP), "linear between the same steps"
    numbers = dict(re.findall(r"^const (DROPPED|STEPS) = (\d+);", page, re.MULTILINE))
    assert numbers == {"DROPPED": str(DROPPED), "STEPS": str(STEPS)}


def test_heatmap_colours_tiles_where_they_lie():
    overview = np.full((100, 200, 3), 200, np.uint8)
    png = results.heatmap(overview, (2048, 1024), TILES, CLASSES, "luad")
    image = np.asarray(Image.open(io.BytesIO(png)))
    assert image.shape == (128, 200, 3)
    # Tile 0, 0 covers 512 of 2,048 pixels of 200: 0 to 50; its 0.7 is the eighth colour of the ramp.
    expected = 200 + results.OPACITY * (np.array([68, 191, 112]) - 200)
    assert image[25, 25] == pytest.approx(expected, abs=1)
    assert image[25, 49] == pytest.approx(expected, abs=1)
    assert image[49, 25] == pytest.approx(expected, abs=1)
    assert image[25, 51].tolist() == image[25, 75].tolist() != image[25, 49].tolist()
    assert image[75, 75].tolist() == [200, 200, 200]
    assert image[101:, :].min() < 100  # the legend


def planned(slide, patient, label, split="test"):
    return PlannedSlide(
        slide=slide,
        key=f"{slide}.svs",
        patient=patient,
        label=CLASSES[label],
        label_index=label,
        split=split,
        host=0,
        bytes=1,
    )


def run(tmp_path):
    slides = [planned(f"s{n}", f"p{n}", n % 3) for n in range(6)] + [planned("empty", "q", 0)]
    plan = Plan(classes=CLASSES, slides=(*slides, planned("seen", "r", 1, "train")))
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    trained = made(plan.digest())
    (tmp_path / "scores").mkdir()
    for each in slides[:6]:
        right = [0.6 if n == each.label_index else 0.2 for n in range(3)]
        lines = [
            scores.to_line(tile(x * 512, 0, *right, slide=each.slide), CLASSES, trained.digest()) for x in range(4)
        ]
        (tmp_path / f"scores/{each.slide}.tfrecord.out").write_text("\n".join(lines))
    shards = [Shard(name=f"test/{each.slide}.tfrecord", records=4, bytes=1, sha256="") for each in slides[:6]]
    one = ManifestSplit(
        shards=(Shard(name="part", records=1, bytes=1, sha256=""),),
        records=1,
        per_class={"luad": 1},
        slides=1,
        patients=1,
    )
    test = ManifestSplit(shards=tuple(shards), records=24, per_class={"luad": 24}, slides=6, patients=6)
    manifest = Manifest(
        classes=CLASSES,
        plan_digest=plan.digest(),
        settings=TileSettings(),
        world_size_multiple=1,
        splits={"train": one, "valid": one, "test": test},
    )
    (tmp_path / "records").mkdir()
    (tmp_path / "records/manifest.json").write_text(manifest.model_dump_json())
    return trained


def test_run_is_measured_and_its_slides_drawn(tmp_path):
    trained = run(tmp_path)
    evaluation = measuring.measure_run(str(tmp_path), trained)
    assert evaluation.slides.accuracy.value == 1
    assert evaluation.slides.auc.value == 1
    assert (evaluation.slides.n, evaluation.tiles.n) == (6, 24)
    assert evaluation.missing == ("empty",)
    assert evaluation.slides.confusion == ((2, 0, 0), (0, 2, 0), (0, 0, 2))
    assert json.loads((tmp_path / "evaluation/metrics.json").read_text())["split"] == "test"
    files = sorted(each.name for each in (tmp_path / "evaluation/slides").iterdir())
    assert files == [f"s{n}.{kind}" for n in range(6) for kind in ("csv", "geojson", "json")]
    result = json.loads((tmp_path / "evaluation/slides/s4.json").read_text())
    assert (result["label"], result["predicted"], result["patient"]) == ("lusc", "lusc", "p4")


def test_heatmap_is_drawn_on_the_view_that_the_tile_step_left(tmp_path):
    """No slide is there any more: it may be of many files, terabytes away, or another one by now."""
    trained = run(tmp_path)
    view = View(
        slide="s1", uri="s3://slides/s1.mrxs", etag="t", version="v", width=2048, height=1024, objective_power=20,
        mpp=0.5, levels=(), grid=TileGrid(span=512, columns=4, rows=2, shares=""),
    )  # fmt: skip
    (tmp_path / "view").mkdir()
    (tmp_path / "view/s1.json").write_text(view.model_dump_json())
    Image.new("RGB", (1024, 512), (200, 200, 200)).save(tmp_path / "view/s1.jpg", quality=95)
    measuring.measure_run(str(tmp_path), trained)
    with Image.open(tmp_path / "evaluation/slides/s1.png") as image:
        assert image.size == (1024, 540)
        # s1 is of lusc, and each of its tiles scores 0.6: the seventh colour of the ramp, over grey.
        expected = 200 + results.OPACITY * (np.array([34, 168, 132]) - 200)
        assert image.getpixel((1000, 100)) == pytest.approx(tuple(expected), abs=2)
        assert image.getpixel((1000, 400)) == pytest.approx((200, 200, 200), abs=2)
    result = json.loads((tmp_path / "evaluation/slides/s1.json").read_text())
    assert (result["width"], result["height"]) == (2048, 1024)


def test_model_of_another_plan_and_runs_without_scores_are_refused(tmp_path):
    trained = run(tmp_path)
    with pytest.raises(measuring.MeasuringError, match="trained under plan 000000000000"):
        measuring.measure_run(str(tmp_path), made())
    for each in (tmp_path / "scores").iterdir():
        each.unlink()
    with pytest.raises(measuring.MeasuringError, match="no scored slide of the test split"):
        measuring.measure_run(str(tmp_path), trained)


def test_scores_of_another_slide_are_refused(tmp_path):
    trained = run(tmp_path)
    (tmp_path / "scores/s0.tfrecord.out").replace(tmp_path / "scores/s1.tfrecord.out")
    with pytest.raises(scores.ScoresError, match="has scores of slide s0"):
        measuring.measure_run(str(tmp_path), trained)


@pytest.mark.parametrize("left", [1, 0])
def test_scores_that_were_lost_are_noticed(tmp_path, left):
    trained = run(tmp_path)
    file = tmp_path / "scores/s1.tfrecord.out"
    file.write_text("\n".join(file.read_text().splitlines()[:left]))
    if not left:
        file.unlink()
    with pytest.raises(scores.ScoresError, match=rf"test/s1.tfrecord has 4 tiles and {left} scores"):
        measuring.measure_run(str(tmp_path), trained)


def test_entry_point_tells_the_result_and_failures(tmp_path, monkeypatch, capsys):
    from processing.slides import evaluate
    from sextant import container

    trained = run(tmp_path)
    model.save(trained, tmp_path / "model")
    monkeypatch.setenv("OPT_ML", str(tmp_path / "ml"))
    arguments = ["evaluate", "--run", str(tmp_path), "--model"]
    monkeypatch.setattr("sys.argv", [*arguments, str(tmp_path / "model")])
    assert container.failing(evaluate.main) == 0
    assert "(n = 6 slides of 6 patients)" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", [*arguments, str(tmp_path / "nowhere")])
    assert container.failing(evaluate.main) == 1
    assert "nowhere is not there: give the model.tar.gz" in (tmp_path / "ml/output/failure").read_text()
    monkeypatch.setattr("sys.argv", ["evaluate", "--run", str(tmp_path / "other"), "--model", str(tmp_path / "model")])
    assert container.failing(evaluate.main) == 1
    assert "other/plan.json is not there: run the plan step first" in (tmp_path / "ml/output/failure").read_text()
