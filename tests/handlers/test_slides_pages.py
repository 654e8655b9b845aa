"""The slides pages' function on API Gateway events, over a run whose every number is known."""

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sextant import aws
from sextant.slides.view_model import DROPPED
from sextant.slides.viewing import roc
from tests.handlers.serving import event
from tests.handlers.slide_run import (
    CELL,
    CLASSES,
    HEIGHT,
    HISTORY,
    RUN,
    RUNS,
    S3,
    SCORED,
    SLIDES,
    WIDTH,
    load_pages,
    luad,
    make_run,
    picture,
)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def s3(objects):
    return S3(dict(objects))


@pytest.fixture
def ask(s3):
    handler = load_pages(s3)

    def asked(path, **options):
        answer = handler(event("GET", f"/api/slides/{path}", **options))
        return int(answer["statusCode"]), json.loads(answer["body"])

    return asked


@pytest.fixture
def tile_of(s3):
    handler = load_pages(s3)

    def tile(slide, level, column, row, version=None):
        if version is None:
            told = json.loads(handler(event("GET", f"/api/slides/{RUN}/slides/{slide}"))["body"])
            version = told["version"]
        s3.reads.clear()
        return handler(event("GET", f"/api/slides/{RUN}/slides/{slide}/tiles/{version}/{level}/{column}/{row}"))

    return tile


def pixels(answer):
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["body"]))).convert("RGB")).astype(int)


# --- Cohort -----------------------------------------------------------------------------------------------------------


def test_the_cohort_has_every_slide_with_what_became_of_it(ask):
    status, told = ask(f"{RUN}/cohort")
    assert (status, told["classes"]) == (200, list(CLASSES))
    by = {each["slide"]: each for each in told["slides"]}
    assert list(by) == ["A1", "A2", "B1", "B2", "Q1", "T1", "T2", "T3", "V1"]
    a1 = by["A1"]
    # 10 columns and 5 rows of whole tiles, of which the first column is white.
    assert (a1["tiles"], a1["kept"], a1["engine"], a1["state"], a1["viewable"]) == (50, 45, "native", "scored", True)
    assert (a1["label"], a1["predicted"], a1["score"], a1["split"], a1["patient"]) == (
        "LUAD",
        "LUAD",
        0.9,
        "test",
        "P1",
    )
    assert by["B1"]["engine"] == "openslide"
    assert (by["B1"]["predicted"], by["B1"]["score"]) == ("LUAD", pytest.approx(0.3)), (
        "wrong: the score is its own class's"
    )
    assert (by["T1"]["state"], by["T1"]["tiles"], by["T1"]["predicted"]) == ("planned", None, None)
    assert (by["T3"]["state"], by["T3"]["reason"], by["T3"]["split"]) == ("quarantined", "no tissue", "train")
    assert (by["Q1"]["state"], by["Q1"]["reason"], by["Q1"]["patient"]) == ("quarantined", "truncated file", None)


def test_classes_are_counted_by_split_with_their_patients(ask):
    counts = {
        (each["split"], each["label"]): (each["slides"], each["patients"]) for each in ask(f"{RUN}/cohort")[1]["counts"]
    }
    assert counts == {
        ("train", "LUAD"): (1, 1),
        ("train", "LUSC"): (2, 1),
        ("valid", "LUAD"): (1, 1),
        ("valid", "LUSC"): (0, 0),
        ("test", "LUAD"): (2, 2),
        ("test", "LUSC"): (2, 2),
    }


# --- Metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_come_with_roc_curves_and_the_history_of_the_training(ask):
    status, told = ask(f"{RUN}/metrics")
    assert status == 200
    auc = told["evaluation"]["slides"]["auc_per_class"]["LUAD"]["value"]
    assert auc == pytest.approx(0.75), "3 of the 4 pairs of a LUAD and a LUSC slide are in order"
    curve = told["roc"][0]
    assert (curve["label"], curve["positives"], curve["negatives"]) == ("LUAD", 2, 2)
    points = [(each["false_positive_rate"], each["true_positive_rate"], each["threshold"]) for each in curve["points"]]
    assert points == [(0, 0, None), (0, 0.5, 0.9), (0.5, 0.5, 0.7), (0.5, 1, 0.6), (1, 1, 0.2)]
    assert np.trapezoid([y for _, y, _ in points], [x for x, _, _ in points]) == pytest.approx(auc)
    assert [(each["step"], each["values"]["train_loss"]) for each in told["training"]] == [
        (each["step"], each["train_loss"]) for each in HISTORY
    ]


def test_equal_scores_are_one_point_of_the_curve():
    found = roc("x", [(True, 0.5), (False, 0.5), (True, 0.1)])
    assert [(each.false_positive_rate, each.true_positive_rate) for each in found.points] == [(0, 0), (1, 0.5), (1, 1)]
    assert roc("x", [(True, 0.5), (True, 0.4)]) is None, "no slide of another class"


def test_a_training_that_went_on_tells_each_step_once(ask, s3):
    lines = [
        {"step": 2, "train_loss": 0.5},
        {"step": 1, "train_loss": 0.9},
        {"step": 2, "train_loss": 0.4, "val_loss": 1},
    ]
    s3.objects[RUNS, f"runs/{RUN}/checkpoints/history.jsonl"] = "\n".join(map(json.dumps, lines)).encode()
    assert ask(f"{RUN}/metrics")[1]["training"] == [
        {"step": 1, "values": {"train_loss": 0.9}},
        {"step": 2, "values": {"train_loss": 0.4, "val_loss": 1}},
    ]
    del s3.objects[RUNS, f"runs/{RUN}/checkpoints/history.jsonl"]
    assert ask(f"{RUN}/metrics")[1]["training"] == []
    s3.objects[RUNS, f"runs/{RUN}/checkpoints/history.jsonl"] = b'{"epoch": 1}'
    assert ask(f"{RUN}/metrics")[0] == 502


def test_a_run_without_evaluation_says_when_there_will_be_one(ask, s3):
    del s3.objects[RUNS, f"runs/{RUN}/evaluation/metrics.json"]
    status, told = ask(f"{RUN}/metrics")
    assert (status, told["error"]["code"]) == (404, "NotEvaluated")
    assert "Evaluate" in told["error"]["remedy"]


def test_a_damaged_file_is_named(ask, s3):
    s3.objects[RUNS, f"runs/{RUN}/evaluation/metrics.json"] = b'{"split": "test"'
    status, told = ask(f"{RUN}/metrics")
    assert (status, told["error"]["code"]) == (502, "DamagedFile")
    assert "evaluation/metrics.json" in told["error"]["message"]


# --- One slide --------------------------------------------------------------------------------------------------------


def test_a_slide_has_its_levels_its_tiles_and_their_scores(ask):
    status, told = ask(f"{RUN}/slides/A1")
    assert status == 200
    assert (told["width"], told["height"], told["mpp"], told["objective_power"]) == (WIDTH, HEIGHT, 0.5, 20)
    assert [
        (each["width"], each["height"], each["downsample"], each["columns"], each["rows"]) for each in told["levels"]
    ] == [
        (2600, 1500, 1, 11, 6),
        (650, 375, 4, 3, 2),
        (325, 188, 8, 1, 1),  # made, so that the whole slide fits into a tile
    ]
    shares = np.frombuffer(base64.b64decode(told["grid"]["shares"]), np.uint8).reshape(5, 10)
    assert (shares[:, 0] == DROPPED).all()
    assert (shares[:, 1:] == 0).all(), "no background in coloured cells"
    scores = told["scores"]
    assert (scores["classes"], scores["span"], len(scores["x"]), scores["attention"]) == (list(CLASSES), CELL, 45, None)
    for x, y, (first, second) in zip(scores["x"], scores["y"], scores["scores"], strict=True):
        assert (first, second) == (luad(x, y), pytest.approx(1 - luad(x, y)))
    assert [each["name"] for each in told["files"]] == [
        f"evaluation/slides/A1.{kind}" for kind in ("csv", "geojson", "json")
    ]


@pytest.mark.parametrize(("slide", "tolerance"), [("A1", 4), ("B1", 12)])
def test_every_tile_of_every_level_shows_the_slide(ask, tile_of, slide, tolerance):
    told = ask(f"{RUN}/slides/{slide}")[1]
    truth = picture()
    for number, level in enumerate(told["levels"]):
        factor = round(level["downsample"])
        wanted = np.asarray(Image.fromarray(truth).reduce(factor)).astype(int) if factor > 1 else truth.astype(int)
        assert wanted.shape[:2] == (level["height"], level["width"])
        for row in range(level["rows"]):
            for column in range(level["columns"]):
                found = pixels(tile_of(slide, number, column, row, told["version"]))
                left, top = column * level["tile_width"], row * level["tile_height"]
                part = wanted[top : top + level["tile_height"], left : left + level["tile_width"]]
                found = found[: part.shape[0], : part.shape[1]]
                assert np.abs(found - part).mean() < tolerance, (number, column, row)


def test_a_tile_is_one_ranged_read_of_the_slide_and_may_be_kept_for_ever(tile_of, s3, objects):
    answer = tile_of("A1", 0, 3, 2)
    slide = (SLIDES, "cohorts/lung/A1.svs")
    assert [(each["Bucket"], each["Key"]) for each in s3.reads] == [slide]
    first, last = map(int, s3.reads[0]["Range"].removeprefix("bytes=").split("-"))
    assert last - first < len(objects[slide]) / 10
    assert answer["headers"]["Content-Type"] == "image/jpeg"
    assert answer["headers"]["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer["headers"]["Vary"] == "Authorization", "another person at the same browser needs a role too"


def test_a_slide_of_jpeg_2000_comes_from_the_pyramid_beside_the_view(ask, tile_of, s3):
    levels = ask(f"{RUN}/slides/B1")[1]["levels"]
    assert [(each["width"], each["height"]) for each in levels] == [(2600, 1500), (1300, 750), (650, 375), (325, 188)]
    assert {(each["tile_width"], each["tile_height"]) for each in levels} == {(512, 512)}
    tile_of("B1", 0, 1, 1)
    assert [(each["Bucket"], each["Key"]) for each in s3.reads] == [(RUNS, f"runs/{RUN}/view/B1.jpgs")]


def test_a_slide_that_was_replaced_says_so(tile_of, s3):
    s3.objects[SLIDES, "cohorts/lung/A1.svs"] = b"II*\0another slide of the same name"
    answer = tile_of("A1", 0, 3, 2)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (409, "SlideReplaced")
    assert "s3://slides-bucket/cohorts/lung/A1.svs" in error["message"]
    del s3.objects[SLIDES, "cohorts/lung/A1.svs"]
    answer = tile_of("A1", 0, 3, 2)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (404, "SlideGone")


def test_a_slide_that_was_tiled_anew_is_read_anew(ask, tile_of, s3):
    version = ask(f"{RUN}/slides/A1")[1]["version"]
    tile_of("A1", 0, 0, 0, version)
    key = (RUNS, f"runs/{RUN}/view/A1.json")
    s3.objects[key] = s3.objects[key].replace(version.encode(), b"0123456789abcdef")
    assert tile_of("A1", 0, 0, 0, "0123456789abcdef")["statusCode"] == 200
    answer = tile_of("A1", 0, 0, 0, version)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (409, "ViewChanged")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("20261121T170000-ffffffff/cohort", 404, "NoRun"),
        ("20261121T170000-ffffffff/metrics", 404, "NoRun"),
        ("20261121T170000-ffffffff/artefacts", 404, "NoRun"),
        ("a.b/cohort", 422, "BadRequest"),
        (f"{RUN}/slides/Z9", 404, "NoSlide"),
        (f"{RUN}/slides/T1", 404, "NoView"),
        (f"{RUN}/slides/-x", 422, "BadRequest"),
        (f"{RUN}/slides/A1/tiles/VERSION/9/0/0", 404, "NoTile"),
        (f"{RUN}/slides/A1/tiles/VERSION/0/11/0", 404, "NoTile"),
        (f"{RUN}/slides/A1/tiles/VERSION/0/0/6", 404, "NoTile"),
        (f"{RUN}/slides/A1/tiles/VERSION/0/-1/0", 422, "BadRequest"),
        (f"{RUN}/slides/A1/tiles/VERSION/0/x/0", 422, "BadRequest"),
        (f"{RUN}/slides/A1/tiles/nothex/0/0/0", 422, "BadRequest"),
        (f"{RUN}/download?name=../other/plan.json", 404, "NoFile"),
        (f"{RUN}/download?name=evaluation", 404, "NoFile"),
        (f"{RUN}/download", 422, "BadRequest"),
    ],
)
def test_what_is_not_there_is_told_as_a_fault_with_a_remedy(ask, path, status, code):
    version = ask(f"{RUN}/slides/A1")[1]["version"]
    found, told = ask(path.replace("VERSION", version))
    assert (found, told["error"]["code"]) == (status, code)
    assert told["error"]["remedy"]


def test_without_a_role_nothing_is_read(ask, s3):
    status, told = ask(f"{RUN}/cohort", groups="[billing]")
    assert (status, told["error"]["code"], s3.reads) == (403, "Forbidden", [])


# --- Files ------------------------------------------------------------------------------------------------------------


def test_the_runs_files_are_listed_and_linked(ask):
    status, told = ask(f"{RUN}/artefacts")
    names = {each["name"]: each["size_bytes"] for each in told["artefacts"]}
    assert (status, told["more"]) == (200, False)
    assert {f"evaluation/slides/{slide}.csv" for slide in SCORED} < set(names)
    assert not any(each.startswith("view/") for each in names)
    status, told = ask(f"{RUN}/download?name=evaluation/slides/A1.csv")
    assert (status, told["seconds"]) == (200, 300)
    assert told["url"].startswith(f"https://{RUNS}.example/runs/{RUN}/evaluation/slides/A1.csv?expires=300")


def test_of_more_files_than_are_listed_any_can_be_found(ask, s3):
    s3.objects |= {(RUNS, f"runs/{RUN}/aaa/{number:04}.bin"): b"x" for number in range(1001)}
    told = ask(f"{RUN}/artefacts")[1]
    assert (len(told["artefacts"]), told["more"]) == (1000, True)
    told = ask(f"{RUN}/artefacts?find=SLIDES/a1.CSV")[1]
    assert ([each["name"] for each in told["artefacts"]], told["more"]) == (["evaluation/slides/A1.csv"], False)
    assert ask(f"{RUN}/artefacts?find=view/")[1]["artefacts"] == []


@pytest.mark.parametrize(
    ("slide", "reason", "remedy"),
    [
        ("Q1", "truncated file", "Q1.svs has 12 bytes: copy it again. Then start a run."),
        ("T3", "no tissue", "All 50 tiles are background. Then start a run."),
    ],
)
def test_a_slide_in_quarantine_says_why(ask, slide, reason, remedy):
    """Whoever follows an old address is told what became of the slide, put there by the plan (Q1) or by tiling (T3)."""
    status, told = ask(f"{RUN}/slides/{slide}")
    assert (status, told["error"]["code"], told["error"]["remedy"]) == (404, "Quarantined", remedy)
    assert told["error"]["message"] == f"slide '{slide}' is in quarantine: {reason}"


def test_links_are_signed_as_objects_under_a_key_of_kms_need_it(monkeypatch):
    """S3 refuses links of signature version 2 for them, which botocore makes where nobody asks for another."""
    for name, value in {"REGION": "eu-central-1", "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}" if name != "REGION" else "AWS_DEFAULT_REGION", value)
    url = aws.client("s3").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}, ExpiresIn=300)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=300" in url


def test_the_function_needs_no_package_that_lambda_lacks():
    """Its layer has Powertools, pydantic and boto3; nothing that draws or decodes."""
    program = """
import sys
for name in ("numpy", "scipy", "PIL", "openslide", "tifffile", "simplejpeg", "google_crc32c"):
    sys.modules[name] = None
import sextant.slides.pages, sextant.slides.viewing
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
