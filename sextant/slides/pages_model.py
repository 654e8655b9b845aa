"""What the console's API says about a run over a cohort of slides. Places are pixels of level 0, shares 0 to 1."""

from __future__ import annotations

from typing import Literal

from sextant.console.model import Frozen
from sextant.slides.evaluation import Evaluation  # noqa: TC001  pydantic reads the types of fields
from sextant.slides.plan import Split  # noqa: TC001
from sextant.slides.view_model import TileGrid  # noqa: TC001

SlideState = Literal["planned", "tiled", "scored", "quarantined"]


class CohortSlide(Frozen):
    """A slide of the run. `score` is that of its true class; `kept` of `tiles` tiles are in the records.

    What is not known yet is None: a quarantined slide has no tiles, a slide of the training split no score. One that
    could not be planned has no patient, label or split either.
    """

    slide: str
    patient: str | None = None
    label: str | None = None
    split: Split | None = None
    state: SlideState
    kept: int | None = None
    tiles: int | None = None
    engine: str | None = None
    predicted: str | None = None
    score: float | None = None
    viewable: bool = False
    reason: str | None = None
    detail: str | None = None


class ClassCount(Frozen):
    """Slides and patients of a class in a split."""

    split: Split
    label: str
    slides: int
    patients: int


class Cohort(Frozen):
    """The run's slides in the order of their names; `classes` in the order of the model's outputs."""

    run: str
    classes: tuple[str, ...]
    slides: tuple[CohortSlide, ...]
    counts: tuple[ClassCount, ...]


class RocPoint(Frozen):
    """At `threshold` and above a slide counts as of the class; None stands for more than any score."""

    false_positive_rate: float
    true_positive_rate: float
    threshold: float | None


class Roc(Frozen):
    """The ROC curve of one class against the rest, over slides."""

    label: str
    positives: int
    negatives: int
    points: tuple[RocPoint, ...]


class TrainingPoint(Frozen):
    """What a training step told: numbers by their name."""

    step: int
    values: dict[str, float]


class Metrics(Frozen):
    """What the run's model was measured at; `training` is empty where the training wrote no history."""

    run: str
    evaluation: Evaluation
    roc: tuple[Roc, ...]
    training: tuple[TrainingPoint, ...]


class ZoomLevel(Frozen):
    """A level of the slide's pyramid, in tiles; `downsample` is pixels of level 0 per pixel of it."""

    width: int
    height: int
    downsample: float
    tile_width: int
    tile_height: int
    columns: int
    rows: int


class Scores(Frozen):
    """Scores of the tiles of a slide: `x` and `y` by tile, `scores` by tile and class, `attention` where there is."""

    classes: tuple[str, ...]
    span: int
    x: tuple[int, ...]
    y: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    attention: tuple[float, ...] | None


class SlidePage(Frozen):
    """A slide to look at. `scores` are there for slides of the test split that were scored."""

    run: str
    slide: CohortSlide
    version: str
    width: int
    height: int
    objective_power: float | None
    mpp: float | None
    levels: tuple[ZoomLevel, ...]
    grid: TileGrid
    scores: Scores | None
    files: tuple[Artefact, ...]


class Artefact(Frozen):
    """A file of the run: `name` is relative to it."""

    name: str
    size_bytes: int


class Artefacts(Frozen):
    """Files of a run in the order of their names; `more` tells that there are others."""

    run: str
    artefacts: tuple[Artefact, ...]
    more: bool


class Download(Frozen):
    """A link that needs no sign-in and works for some seconds."""

    url: str
    seconds: int


SlidePage.model_rebuild()
