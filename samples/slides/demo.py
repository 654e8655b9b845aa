"""The slides demo: a generated cohort (or your own) through the deployed pipeline, then the proof.

The run's plan, tiles, quarantine and scores are read back from S3 and compared with what the generator knows of each
slide it drew: decisions of the background rule tile by tile, splits, reasons, classes. With your own cohort nobody
knows the truth: what was measured is shown. With the project's real data, tissue tiles of known class are put together
into slides first, no field of view in two patients, and the model is held to what others reached on them.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from samples.check import Check
from samples.slides.cohort import Truth, write_cohort
from samples.slides.mosaic import write_mosaic_cohort
from sextant.slides import client, records, store, tfrecord
from sextant.slides.client import Deployed
from sextant.slides.evaluation import Evaluation, Interval
from sextant.slides.manifest import Manifest
from sextant.slides.operation import Place, Slides
from sextant.slides.plan import SPLITS, Plan, Split
from sextant.slides.results import SlideResult
from sextant.slides.store import TiledSlide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import boto3

    from sextant.pipeline import Report
    from sextant.slides.start import RunInput

STACK = "local-Slides"


def demo(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    folder: Path,
    report: Report,
    *,
    data: Path | None = None,
) -> list[Check]:
    """Runs the whole pipeline and compares.

    Args:
        session: the account with the local stage.
        outputs: of its stacks, by stack name.
        folder: an empty folder to generate the sample in.
        report: told about progress.
        data: a folder shaped as the project's real data, or a cohort of your own; the sample without it.

    Raises:
        PipelineError: a step failed.
    """
    deployed = Deployed.of(outputs[STACK])
    if data is not None:
        mosaic = data / "slides" / "lc25000-lung-mini.tar"
        source = folder / "lung" if mosaic.is_file() else data
        if mosaic.is_file():
            report("put tiles together", 0, 1)
            write_mosaic_cohort(data, source)
        run = _Run(session, client.run_cohort(session, deployed, source, source.resolve().name, report))
        return [*_measured(run), *(_floors(run) if mosaic.is_file() else ())]
    report("sample", 0, 1)
    truth = write_cohort(folder / "cohort")
    given = client.run_cohort(session, deployed, folder / "cohort", "sample", report)
    run = _Run(session, given)
    return [*_planned(run, truth), *_tiled(run, truth, report), *_packed(run, truth), *_scored(run, truth)]


class _Run:
    """What a run keeps in S3."""

    def __init__(self, session: boto3.session.Session, given: RunInput) -> None:
        self._s3: Any = session.client("s3")
        self._bucket, _, self._prefix = given.root.removeprefix("s3://").partition("/")

    def read(self, name: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}")["Body"].read()
        return body

    def tiles(self, slide: str) -> bytes:
        """The slide's records, which lie beside the runs."""
        told = TiledSlide.model_validate_json(self.read(f"tiles/{slide}.json"))
        place = store.beside(self._prefix, "tiles", told.tiles)
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=f"{place}/tiles.tfrecord")["Body"].read()
        return body

    def names(self, folder: str) -> list[str]:
        """The names of a folder's objects, sorted."""
        prefix = f"{self._prefix}/{folder}/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return sorted(each["Key"].removeprefix(prefix) for page in pages for each in page.get("Contents", []))


def _planned(run: _Run, truth: Truth) -> list[Check]:
    plan = Plan.model_validate_json(run.read("plan.json"))
    splits = {each.patient: each.split for each in plan.slides}
    expected = truth.splits(plan.salt)
    reasons = {each["slide"]: each["reason"] for each in map(json.loads, _bodies(run, "quarantine"))}
    bad = truth.quarantined_in_plan | truth.quarantined_in_tile
    return [
        Check("slides planned", len(plan.slides), len(truth.slides) + len(truth.quarantined_in_tile)),
        Check("patients in the split their hash gives", _equal(splits, expected), len(expected)),
        Check("quarantined, each with its reason", _equal(reasons, bad), len(bad)),
        Check("told and used all the same", len(plan.notes), len(truth.noted)),
    ]


def _tiled(run: _Run, truth: Truth, report: Report) -> list[Check]:
    """Every tile's decision against the rule over all pixels, and every kept tile's share of background."""
    kept: dict[tuple[str, int, int], float] = {}
    for done, slide in enumerate(truth.slides, start=1):
        report("compare tiles", done, len(truth.slides))
        for payload in tfrecord.read(io.BytesIO(run.tiles(slide.slide)), slide.slide):
            tile = records.from_record(payload)
            kept[slide.slide, tile.x // tile.span, tile.y // tile.span] = tile.background
    expected = {(each.slide, *place): share for each in truth.slides for place, share in each.kept.items()}
    dropped = {(each.slide, *place) for each in truth.slides for place in each.dropped}
    return [
        Check("tiles kept", len(kept), len(expected)),
        Check("of these, kept by the full rule too", len(kept.keys() & expected.keys()), len(expected)),
        Check("dropped by the full rule, and kept", len(kept.keys() & dropped), 0),
    ]


def _packed(run: _Run, truth: Truth) -> list[Check]:
    manifest = Manifest.model_validate_json(run.read("records/manifest.json"))
    records_of = {name: split.records - split.repeated for name, split in manifest.splits.items()}
    splits = truth.splits(Plan.model_validate_json(run.read("plan.json")).salt)
    tiles = {name: sum(len(each.kept) for each in truth.slides if splits[each.patient] == name) for name in records_of}
    return [
        Check("tiles in the shards of train, valid, test", _listed(records_of), _listed(tiles)),
        Check("different sizes of training shards", len({each.records for each in manifest.splits["train"].shards}), 1),
    ]


def _scored(run: _Run, truth: Truth) -> list[Check]:
    labels = {each.slide: each.label for each in truth.slides}
    splits = truth.splits(Plan.model_validate_json(run.read("plan.json")).salt)
    held_out = {each.slide for each in truth.slides if splits[each.patient] == "test"}
    results = _results(run)
    right = sum(each.predicted == labels[each.slide] for each in results)
    return [
        Check("test slides scored", len(results), len(held_out)),
        Check("of these, scored as their true class", right, len(held_out), 1),
        *_measured(run),
    ]


def _measured(run: _Run) -> list[Check]:
    """What nobody knows beforehand: the model's metrics on patients it has not seen."""
    evaluation = Evaluation.model_validate_json(run.read("evaluation/metrics.json"))
    found = [Check("slide accuracy, unseen patients", evaluation.slides.accuracy.value)]
    for name, level in (("slide", evaluation.slides), ("tile", evaluation.tiles)):
        if level.auc:
            found.append(Check(f"{name} AUC (macro), n = {level.n}", level.auc.value))
    return [*found, Check("tile balanced accuracy", evaluation.tiles.balanced_accuracy.value)]


def _floors(run: _Run) -> list[Check]:
    """What a frozen encoder and a linear head reach on these tiles in five folds by field of view, 0.94 and 0.99.

    One split has a few slides: it is wrong when its 95 % interval lies below.
    """
    tiles = Evaluation.model_validate_json(run.read("evaluation/metrics.json")).tiles
    return [
        _floor("tile balanced accuracy", tiles.balanced_accuracy, 0.94),
        *([_floor("tile AUC", tiles.auc, 0.99)] if tiles.auc else []),
    ]


def _floor(name: str, found: Interval, floor: float) -> Check:
    high = found.value if found.high is None else found.high
    return Check(f"{name}, interval's end below {floor:g}", max(0.0, floor - high), 0.0)


def _results(run: _Run) -> list[SlideResult]:
    names = [name for name in run.names("evaluation/slides") if name.endswith(".json")]
    return [SlideResult.model_validate_json(run.read(f"evaluation/slides/{name}")) for name in names]


def _bodies(run: _Run, folder: str) -> list[bytes]:
    return [run.read(f"{folder}/{name}") for name in run.names(folder)]


def _equal(found: Mapping[str, str], expected: Mapping[str, str]) -> int:
    """How many are as expected, less those that are not expected at all."""
    return sum(found.get(name) == value for name, value in expected.items()) - len(found.keys() - expected.keys())


def _listed(counts: Mapping[Split, int]) -> str:
    return " / ".join(f"{counts[name]:,}" for name in SPLITS)


def run_on(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    inputs: Sequence[Path],
    folder: Path,
    report: Report,
) -> tuple[list[Path], dict[str, int]]:
    """Your own cohorts, each a folder with slides.csv, through the deployed pipeline; results below `folder`.

    Returns:
        The files, and what the last cohort's run read, in words.
    """
    deployed = Deployed.of(outputs[STACK])
    written: list[Path] = []
    for source in inputs:
        name = source.resolve().name
        given = client.run_cohort(session, deployed, source, name, report)
        written += client.results(session.client("s3"), given, folder / name, report)
    return written, _totals(session, outputs)


def _totals(session: boto3.session.Session, outputs: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    slides = _operation(session, outputs[STACK])
    run = _Run(session, slides.given(slides.runs(1).runs[0].id))
    plan = Plan.model_validate_json(run.read("plan.json"))
    manifest = Manifest.model_validate_json(run.read("records/manifest.json"))
    return {
        "slides planned": len(plan.slides),
        "patients": len({each.patient for each in plan.slides}),
        "tiles": sum(each.records - each.repeated for each in manifest.splits.values()),
        "test slides scored": len(_results(run)),
    }


def quarantine(session: boto3.session.Session, outputs: Mapping[str, str]) -> list[dict[str, str]]:
    """Slides that the last run could not use, each with its reason."""
    page = _operation(session, outputs).quarantine("", "", 0, 1000)
    return [{"source": each.source, "reason": each.reason, "detail": each.detail} for each in page.entries]


def _operation(session: boto3.session.Session, outputs: Mapping[str, str]) -> Slides:
    deployed = Deployed.of(outputs)
    place = Place(
        MACHINE_ARN=deployed.machine_arn,
        RUNS_BUCKET=deployed.runs_bucket,
        MODEL_PACKAGE_GROUP=deployed.model_package_group,
    )
    made: Any = session.client
    return Slides(place, stepfunctions=made("stepfunctions"), sagemaker=made("sagemaker"), s3=made("s3"))
