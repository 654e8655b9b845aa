"""A run over five small slides, made by the very steps of the pipeline, in a bucket that answers as S3 does.

`A1` is an Aperio slide of JPEG tiles, `B1` one of JPEG 2000; both are of the test split and scored. Its colours are
`colour(column, row)` per 256 pixels, but for the first column, which is white: those tiles are background.
"""

import functools
import hashlib
import importlib
import io
import json
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from botocore.exceptions import ClientError
from PIL import Image

from samples.slides.svs import Level, encode_tile, write_svs
from sextant.slides import metrics, results
from sextant.slides.evaluation import Evaluation
from sextant.slides.plan import Finding, Plan, PlannedSlide
from sextant.slides.scores import TileScores
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
from sextant.slides.view import write_view
from tests.handlers.serving import CONTEXT

RUN = "20261121T170000-0a1b2c3d"
RUNS, SLIDES = "runs-bucket", "slides-bucket"
CLASSES = ("LUAD", "LUSC")
WIDTH, HEIGHT, CELL = 2600, 1500, 256
SETTINGS = TileSettings(size=256, magnification=20.0)
SCORED = {"A1": ("LUAD", 0.9), "A2": ("LUAD", 0.6), "B1": ("LUSC", 0.7), "B2": ("LUSC", 0.2)}
"""Of the test slides: the class and the score of LUAD. AUC by hand: 3 of the 4 pairs are in order."""
OTHERS = {
    "T1": ("LUAD", "train", "P5"),
    "T2": ("LUSC", "train", "P6"),
    "T3": ("LUSC", "train", "P6"),
    "V1": ("LUAD", "valid", "P7"),
}
HISTORY = [
    {"step": 10, "train_loss": 0.7, "val_slide_auc": 0.6},
    {"step": 100, "train_loss": 0.4, "val_slide_auc": 0.8},
]


def colour(column, row):
    """The colour of a cell, RGB; white in the first column."""
    return (255, 255, 255) if column == 0 else (40 + 18 * column, 60 + 25 * row, 200 - 15 * column)


def picture():
    """The slide's pixels, (HEIGHT, WIDTH, 3)."""
    cells = np.array([[colour(x, y) for x in range(-(-WIDTH // CELL))] for y in range(-(-HEIGHT // CELL))], np.uint8)
    return cells.repeat(CELL, 0).repeat(CELL, 1)[:HEIGHT, :WIDTH]


def level(pixels, codec):
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % 256), (0, -width % 256), (0, 0)), mode="edge")
    tiles = (
        encode_tile(np.ascontiguousarray(padded[y : y + 256, x : x + 256]), codec, 90)
        for y in range(0, height, 256)
        for x in range(0, width, 256)
    )
    return Level(width, height, tiles)


def write_slide(path, codec):
    """A pyramid of two levels, the second four times smaller."""
    pixels = picture()
    small = np.asarray(Image.fromarray(pixels).reduce(4))
    write_svs(path, [level(pixels, codec), level(small, codec)], small, codec=codec, quality=90, power=20, mpp=0.5)


def luad(tile_x, tile_y):
    """The made-up LUAD score of the tile that begins there."""
    return round(((tile_x // CELL) * 7 + (tile_y // CELL) * 3) % 10 / 10 + 0.05, 2)


def tile_scores(slide):
    """A score for every tile of a slide that is no background."""
    return [
        TileScores(slide, x, y, CELL, (luad(x, y), round(1 - luad(x, y), 2)), (0.0, 0.0), None)
        for y in range(0, HEIGHT - CELL + 1, CELL)
        for x in range(CELL, WIDTH - CELL + 1, CELL)
    ]


def planned(slide, label, split, patient):
    return PlannedSlide(
        slide=slide, key=f"{slide}.svs", patient=patient, label=label, label_index=CLASSES.index(label), split=split,
        host=0, bytes=1,
    )  # fmt: skip


def make_run(folder: Path):
    """The objects of both buckets by their names: {(bucket, key): body}."""
    slides = [planned(name, label, "test", f"P{i}") for i, (name, (label, _)) in enumerate(SCORED.items(), 1)]
    slides += [planned(name, *of) for name, of in OTHERS.items()]
    lost = Finding(slide="Q1", key="Q1.svs", reason="truncated file", detail="Q1.svs has 12 bytes: copy it again")
    plan = Plan(classes=CLASSES, tiles=SETTINGS, slides=tuple(slides), quarantined=(lost,))
    objects = {}

    def put(name, body):
        objects[RUNS, f"runs/{RUN}/{name}"] = body.encode() if isinstance(body, str) else body

    put("plan.json", plan.model_dump_json())
    for name, codec in (("A1", "rgb"), ("B1", "jp2k")):
        path, records = folder / f"{name}.svs", folder / f"{name}.tfrecord"
        write_slide(path, codec)
        of = next(each for each in slides if each.slide == name)
        made = tile_slide(
            path, slide=name, patient=of.patient, label=of.label_index, label_name=of.label, settings=SETTINGS,
            target=records,
        )  # fmt: skip
        body = path.read_bytes()
        objects[SLIDES, f"cohorts/lung/{name}.svs"] = body
        view = folder / "view"
        view.mkdir(exist_ok=True)
        uri = f"s3://{SLIDES}/cohorts/lung/{name}.svs"
        write_view(path, slide=name, uri=uri, etag=etag(body), tiles=made.grid, folder=view)
        put(
            f"tiles/{name}.json",
            json.dumps({"plan_digest": plan.digest(), "summary": made.summary.model_dump(mode="json")}),
        )
    for path in sorted((folder / "view").iterdir()):
        put(f"view/{path.name}", path.read_bytes())
    put(
        "quarantine/T3.json",
        json.dumps(
            {
                "slide": "T3",
                "key": "T3.svs",
                "reason": "no tissue",
                "detail": "all 50 tiles are background",
                "step": "tile",
            }
        ),
    )
    for name, (label, score) in SCORED.items():
        other = {"LUAD": score, "LUSC": round(1 - score, 6)}
        result = results.SlideResult(
            slide=name, patient="P", label=label, predicted=max(other, key=other.__getitem__), scores=other, n_tiles=45,
            aggregation="mean", width=WIDTH, height=HEIGHT, model_sha256="m", data_sha256="d",
        )  # fmt: skip
        put(f"evaluation/slides/{name}.json", result.model_dump_json())
        put(f"evaluation/slides/{name}.csv", results.tiles_csv(tile_scores(name), CLASSES))
        put(f"evaluation/slides/{name}.geojson", results.geojson(tile_scores(name), CLASSES, "m"))
    put("evaluation/metrics.json", evaluation(plan).model_dump_json())
    put("checkpoints/history.jsonl", "".join(f"{json.dumps(each)}\n" for each in HISTORY))
    return objects


def evaluation(plan):
    of = [(CLASSES.index(label), (score, 1 - score)) for label, score in SCORED.values()]
    measured = metrics.level(
        CLASSES, np.array([t for t, _ in of]), np.array([s for _, s in of]), [f"P{i}" for i in range(4)]
    )
    return Evaluation(
        split="test", classes=CLASSES, slides=measured, tiles=measured, aggregation="mean", model_sha256="m",
        plan_digest=plan.digest(),
    )  # fmt: skip


@functools.cache
def etag(body):
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class S3:
    """GetObject with Range and If-Match, ListObjectsV2 and links, over {(bucket, key): body}."""

    def __init__(self, objects):
        self.objects = objects
        self.reads = []

    def get_object(self, **request):
        self.reads.append(request)
        body = self.objects.get((request["Bucket"], request["Key"]))
        if body is None:
            raise refusal("NoSuchKey", "The specified key does not exist.")
        if request.get("IfMatch", f'"{etag(body)}"') != f'"{etag(body)}"':
            raise refusal("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        told = {"ETag": f'"{etag(body)}"'}
        if "Range" in request:
            first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
            body = body[first : last + 1]
        return {**told, "Body": io.BytesIO(body)}

    def get_paginator(self, operation):
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **request):
        found = sorted((key, len(body)) for (bucket, key), body in self.objects.items() if bucket == request["Bucket"])
        yield {"Contents": [{"Key": key, "Size": size} for key, size in found if key.startswith(request["Prefix"])]}

    def generate_presigned_url(self, operation, **request):
        return f"https://{request['Params']['Bucket']}.example/{request['Params']['Key']}?expires={request['ExpiresIn']}&{operation}"


def refusal(code, message):
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")


def load_pages(s3):
    """A cold start of the slides pages' function."""
    with (
        mock.patch.dict(os.environ, {"RUNS_BUCKET": RUNS, "AWS_DEFAULT_REGION": "eu-central-1"}),
        mock.patch("sextant.aws.client", side_effect={"s3": s3}.__getitem__),
    ):
        sys.modules.pop("lambdas.slides.pages", None)
        module = importlib.import_module("lambdas.slides.pages")
    return lambda request: module.handler(request, CONTEXT)
