"""A run over slides as the console shows it: its cohort, its metrics, one slide, and tiles of a slide straight from S3.

It runs in a plain Lambda function: no numpy, no OpenSlide. A tile of the deep zoom is one ranged read of the slide.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from sextant import aws
from sextant.console.operation import OperationError, told
from sextant.slides.evaluation import Evaluation
from sextant.slides.jpeg_stream import DamagedError, whole
from sextant.slides.pages_model import (
    Artefact,
    Artefacts,
    ClassCount,
    Cohort,
    CohortSlide,
    Download,
    Metrics,
    Roc,
    RocPoint,
    Scores,
    SlidePage,
    SlideState,
    TrainingPoint,
    ZoomLevel,
)
from sextant.slides.plan import Finding, Plan, PlannedSlide
from sextant.slides.view_model import ENTRY, View, ViewLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_ARTEFACTS = 1000
DOWNLOAD_SECONDS = 300
HISTORY = "checkpoints/history.jsonl"
"""Written by training: a JSON object of numbers per line, `step` among them."""

_READERS = 16
_INDEX_BYTES = 48 << 20
_CHANGED = frozenset({"PreconditionFailed", "412"})
_GONE = frozenset({"NoSuchKey", "404"})
_AGAIN = "Start a run over the cohort as it is now."

Model = TypeVar("Model", bound=BaseModel)


class Place(BaseModel):
    """Where runs and slides lie: the environment of the function."""

    model_config = ConfigDict(frozen=True)

    RUNS_BUCKET: str


class _Summary(BaseModel):
    """What is needed of `tiles/{slide}.json`."""

    slide: str
    engine: str
    tiles: int
    kept: int


class _Tiled(BaseModel):
    summary: _Summary


class _Scored(BaseModel):
    """What is needed of `evaluation/slides/{slide}.json`."""

    slide: str
    label: str | None
    predicted: str
    scores: dict[str, float]


@dataclass
class _Opened:
    """A view with the index of its tiles."""

    view: View
    index: bytes


@dataclass
class Slides:
    """The runs' bucket. The client is boto3's; what was opened is kept for the next tile."""

    place: Place
    s3: Any
    _opened: OrderedDict[tuple[str, str], _Opened] = field(default_factory=OrderedDict)

    def cohort(self, run: str) -> Cohort:
        """Every slide of the run with what became of it.

        Raises:
            OperationError: there is no such run, or it has no plan yet.
        """
        plan = self._plan(run)
        files = self._names(run)
        tiled = {each.summary.slide: each.summary for each in self._all(run, files, "tiles/", _Tiled)}
        scored = {each.slide: each for each in self._all(run, files, "evaluation/slides/", _Scored)}
        findings = {each.slide: each for each in (*plan.quarantined, *self._findings(run, files))}
        slides = [
            _cohort_slide(each, tiled, scored, findings.get(each.slide), viewable=f"view/{each.slide}.json" in files)
            for each in plan.slides
        ]
        known = {each.slide for each in plan.slides}
        slides += [
            CohortSlide(slide=each.slide, state="quarantined", reason=each.reason, detail=each.detail)
            for each in findings.values()
            if each.slide not in known
        ]
        return Cohort(
            run=run,
            classes=plan.classes,
            slides=tuple(sorted(slides, key=lambda each: each.slide)),
            counts=tuple(_counts(plan)),
        )

    def metrics(self, run: str) -> Metrics:
        """The evaluation, with the ROC curves of its slides and the history of the training.

        Raises:
            OperationError: there is no such run, or it is not evaluated yet.
        """
        plan = self._plan(run)
        body = self._maybe(f"runs/{run}/evaluation/metrics.json")
        if body is None:
            raise OperationError(
                404, "NotEvaluated", f"run {run} has no metrics yet", "They appear when its step Evaluate has ended."
            )
        evaluation = _parsed(Evaluation, body, f"evaluation/metrics.json of run {run}")
        scored = list(self._all(run, self._names(run, "evaluation/slides/"), "evaluation/slides/", _Scored))
        curves = [roc(label, [(each.label == label, each.scores[label]) for each in scored]) for label in plan.classes]
        return Metrics(
            run=run,
            evaluation=evaluation,
            roc=tuple(each for each in curves if each is not None),
            training=tuple(_history(self._maybe(f"runs/{run}/{HISTORY}") or b"")),
        )

    def slide(self, run: str, slide: str) -> SlidePage:
        """A slide with its levels, its grid of tiles and their scores.

        Raises:
            OperationError: the run has no such slide, or no view of it.
        """
        plan = self._plan(run)
        self._check_sound(run, plan, slide)
        planned = next((each for each in plan.slides if each.slide == slide), None)
        if planned is None:
            raise OperationError(404, "NoSlide", f"run {run} has no slide {slide!r}", "Choose one of its cohort.")
        view = self._open(run, slide).view
        files = self._files(run, f"evaluation/slides/{slide}.")
        names = {each.name for each in files}
        tiled = [
            _parsed(_Tiled, body, f"tiles/{slide}.json")
            for body in [self._maybe(f"runs/{run}/tiles/{slide}.json")]
            if body is not None
        ]
        result = f"evaluation/slides/{slide}.json"
        scored = {slide: _parsed(_Scored, self._get(f"runs/{run}/{result}"), result)} if result in names else {}
        table = f"evaluation/slides/{slide}.csv"
        return SlidePage(
            run=run,
            slide=_cohort_slide(
                planned, {each.summary.slide: each.summary for each in tiled}, scored, None, viewable=True
            ),
            version=view.version,
            width=view.width,
            height=view.height,
            objective_power=view.objective_power,
            mpp=view.mpp,
            levels=tuple(
                ZoomLevel(**each.model_dump(exclude={"source", "beginning", "first"})) for each in view.levels
            ),
            grid=view.grid,
            scores=tile_scores(self._get(f"runs/{run}/{table}"), plan.classes) if table in names else None,
            files=tuple(each for each in files if each.name.rpartition(".")[0] == f"evaluation/slides/{slide}"),
        )

    def tile(self, run: str, slide: str, version: str, level: int, column: int, row: int) -> bytes:  # noqa: PLR0917
        """A tile of the deep zoom as JPEG.

        Raises:
            OperationError: there is no such tile, or the slide has changed since the run read it.
        """
        opened = self._open(run, slide)
        if opened.view.version != version:
            self._opened.pop((run, slide), None)
            opened = self._open(run, slide)
        view = opened.view
        if view.version != version:
            raise OperationError(409, "ViewChanged", f"slide {slide} was tiled anew meanwhile", "Reload the page.")
        if not 0 <= level < len(view.levels):
            raise OperationError(
                404, "NoTile", f"slide {slide} has {len(view.levels)} levels, none is {level}", "Reload the page."
            )
        of = view.levels[level]
        if not (0 <= column < of.columns and 0 <= row < of.rows):
            raise OperationError(
                404,
                "NoTile",
                f"level {level} of slide {slide} has {of.columns} columns and {of.rows} rows of tiles, none is "
                f"{column}, {row}",
                "Reload the page.",
            )
        offset, count = ENTRY.unpack_from(opened.index, (of.first + row * of.columns + column) * ENTRY.size)
        return self._pixels(run, view, of, offset, count)

    def artefacts(self, run: str, find: str = "") -> Artefacts:
        """The run's files that people take along, those whose name has `find` in it; the deep zoom's own are left out.

        Raises:
            OperationError: there is no such run.
        """
        self._plan(run)
        wanted = find.lower()
        files = [
            each for each in self._files(run, "") if not each.name.startswith("view/") and wanted in each.name.lower()
        ]
        return Artefacts(run=run, artefacts=tuple(files[:MOST_ARTEFACTS]), more=len(files) > MOST_ARTEFACTS)

    def download(self, run: str, name: str) -> Download:
        """A link to one file of the run.

        Raises:
            OperationError: the run has no such file.
        """
        key = f"runs/{run}/{name}"
        if name not in {each.name for each in self._files(run, name)}:
            raise OperationError(404, "NoFile", f"run {run} has no file {name!r}", "Reload the list of files.")
        shown = f'attachment; filename="{run}-{name.rpartition("/")[2]}"'
        with told("S3"):
            url = self.s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.place.RUNS_BUCKET, "Key": key, "ResponseContentDisposition": shown},
                ExpiresIn=DOWNLOAD_SECONDS,
            )
        return Download(url=url, seconds=DOWNLOAD_SECONDS)

    def _plan(self, run: str) -> Plan:
        body = self._maybe(f"runs/{run}/plan.json")
        if body is None:
            raise OperationError(
                404, "NoRun", f"there is no run {run!r}, or it has no plan yet", "Choose a run from the list."
            )
        return _parsed(Plan, body, f"plan.json of run {run}")

    def _check_sound(self, run: str, plan: Plan, slide: str) -> None:
        """Tells why a slide was put into quarantine, whichever step did it."""
        found = next((each for each in plan.quarantined if each.slide == slide), None)
        body = None if found else self._maybe(f"runs/{run}/quarantine/{slide}.json")
        if body is not None:
            found = _parsed(_Quarantined, body, f"quarantine/{slide}.json of run {run}")
        if found:
            raise OperationError(
                404,
                "Quarantined",
                f"slide {slide!r} is in quarantine: {found.reason}",
                f"{found.detail[:1].upper()}{found.detail[1:]}. Then start a run.",
            )

    def _open(self, run: str, slide: str) -> _Opened:
        known = self._opened.get((run, slide))
        if known is None:
            place = f"runs/{run}/view/{slide}"
            body = self._maybe(f"{place}.json")
            if body is None:
                raise OperationError(
                    404,
                    "NoView",
                    f"run {run} has nothing to show of slide {slide!r}",
                    "It appears when the slide is tiled.",
                )
            known = _Opened(_parsed(View, body, f"view/{slide}.json"), self._get(f"{place}.idx"))
            self._opened[run, slide] = known
            while len(self._opened) > 1 and sum(len(each.index) for each in self._opened.values()) > _INDEX_BYTES:
                self._opened.popitem(last=False)
        self._opened.move_to_end((run, slide))
        return known

    def _pixels(self, run: str, view: View, level: ViewLevel, offset: int, count: int) -> bytes:
        span = f"bytes={offset}-{offset + count - 1}"
        if level.source == "pyramid":
            key = f"runs/{run}/view/{view.slide}.jpgs"
            with told("S3"):
                return aws.read_object(self.s3, Bucket=self.place.RUNS_BUCKET, Key=key, Range=span)[0]
        bucket, _, key = view.uri.removeprefix("s3://").partition("/")
        replaced = OperationError(
            409, "SlideReplaced", f"slide {view.slide} was replaced at {view.uri} since this run read it", _AGAIN
        )
        try:
            body, etag = aws.read_object(self.s3, Bucket=bucket, Key=key, Range=span, IfMatch=f'"{view.etag}"')
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code in _CHANGED:
                raise replaced from error
            if code in _GONE:
                raise OperationError(
                    404, "SlideGone", f"slide {view.slide} is no longer at {view.uri}", _AGAIN
                ) from error
            with told("S3"):
                raise
        if etag != view.etag:
            raise replaced
        try:
            return whole(body, base64.b64decode(level.beginning))
        except DamagedError as error:
            raise OperationError(
                502, "DamagedTile", f"a tile of slide {view.slide} is damaged: {error}", "Copy the slide again."
            ) from error

    def _get(self, key: str) -> bytes:
        with told("S3"):
            return aws.read_object(self.s3, Bucket=self.place.RUNS_BUCKET, Key=key)[0]

    def _maybe(self, key: str) -> bytes | None:
        try:
            return self._get(key)
        except OperationError as error:
            if error.status == 404:
                return None
            raise

    def _files(self, run: str, prefix: str) -> list[Artefact]:
        root = f"runs/{run}/"
        with told("S3"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.place.RUNS_BUCKET, Prefix=f"{root}{prefix}"
            )
            return [
                Artefact(name=each["Key"].removeprefix(root), size_bytes=each["Size"])
                for page in pages
                for each in page.get("Contents", [])
            ]

    def _names(self, run: str, prefix: str = "") -> frozenset[str]:
        return frozenset(each.name for each in self._files(run, prefix))

    def _all(self, run: str, names: Iterable[str], folder: str, model: type[Model]) -> list[Model]:
        """The JSON documents of a folder, in the order of their names."""
        wanted = sorted(each for each in names if each.startswith(folder) and each.endswith(".json"))
        with ThreadPoolExecutor(_READERS) as pool:
            bodies = pool.map(self._get, [f"runs/{run}/{name}" for name in wanted])
            return [_parsed(model, body, f"{name} of run {run}") for name, body in zip(wanted, bodies, strict=True)]

    def _findings(self, run: str, names: Iterable[str]) -> list[Finding]:
        return [
            Finding(slide=each.slide, key=each.key, reason=each.reason, detail=each.detail)
            for each in self._all(run, names, "quarantine/", _Quarantined)
        ]


class _Quarantined(Finding):
    """`quarantine/{slide}.json`: with the step that put it there."""

    step: str


def roc(label: str, cases: list[tuple[bool, float]]) -> Roc | None:
    """The ROC curve of (is of the class, score), a point per different score; None where only one of the two occurs."""
    positives = sum(each for each, _ in cases)
    negatives = len(cases) - positives
    if not positives or not negatives:
        return None
    points = [RocPoint(false_positive_rate=0, true_positive_rate=0, threshold=None)]
    right = wrong = 0
    ordered = sorted(cases, key=lambda each: -each[1])
    for place, (positive, score) in enumerate(ordered):
        right, wrong = right + positive, wrong + (not positive)
        if place + 1 == len(ordered) or ordered[place + 1][1] != score:
            points.append(
                RocPoint(false_positive_rate=wrong / negatives, true_positive_rate=right / positives, threshold=score)
            )
    return Roc(label=label, positives=positives, negatives=negatives, points=tuple(points))


def tile_scores(table: bytes, classes: tuple[str, ...]) -> Scores:
    """The scores of `evaluation/slides/{slide}.csv`.

    Raises:
        OperationError: it is damaged.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode())))
        attention = tuple(float(each["attention"]) for each in rows if each["attention"])
        return Scores(
            classes=classes,
            span=int(rows[0]["span"]) if rows else 0,
            x=tuple(int(each["x"]) for each in rows),
            y=tuple(int(each["y"]) for each in rows),
            # Three digits tell two colours of a heatmap apart, and keep a large slide's answer below Lambda's 6 MB.
            scores=tuple(tuple(round(float(each[name]), 3) for name in classes) for each in rows),
            attention=tuple(round(each, 6) for each in attention) if len(attention) == len(rows) and rows else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged("the table of tile scores", error) from error


def _cohort_slide(
    planned: PlannedSlide,
    tiled: Mapping[str, _Summary],
    scored: Mapping[str, _Scored],
    finding: Finding | None,
    *,
    viewable: bool,
) -> CohortSlide:
    summary, result = tiled.get(planned.slide), scored.get(planned.slide)
    state: SlideState = "quarantined" if finding else "scored" if result else "tiled" if summary else "planned"
    return CohortSlide(
        slide=planned.slide,
        patient=planned.patient,
        label=planned.label,
        split=planned.split,
        state=state,
        kept=summary.kept if summary else None,
        tiles=summary.tiles if summary else None,
        engine=summary.engine if summary else None,
        predicted=result.predicted if result else None,
        score=result.scores.get(planned.label) if result else None,
        viewable=viewable,
        reason=finding.reason if finding else None,
        detail=finding.detail if finding else None,
    )


def _counts(plan: Plan) -> list[ClassCount]:
    found: dict[tuple[str, str], list[PlannedSlide]] = {}
    for each in plan.slides:
        found.setdefault((each.split, each.label), []).append(each)
    return [
        ClassCount(split=split, label=label, slides=len(of), patients=len({each.patient for each in of}))
        for split in ("train", "valid", "test")
        for label in plan.classes
        for of in [found.get((split, label), [])]
    ]


def _history(body: bytes) -> list[TrainingPoint]:
    """Lines of one step belong together; of two with the same number the later counts: a training that went on."""
    steps: dict[int, dict[str, float]] = {}
    try:
        for line in filter(None, map(bytes.strip, body.splitlines())):
            values = {name: float(value) for name, value in json.loads(line).items()}
            steps.setdefault(int(values.pop("step")), {}).update(values)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(HISTORY, error) from error
    return [TrainingPoint(step=step, values=values) for step, values in sorted(steps.items())]


def _parsed(model: type[Model], body: bytes, name: str) -> Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> OperationError:
    return OperationError(
        502, "DamagedFile", f"{name} cannot be read: {error}", "Run the step that writes it again; the log tells more."
    )
