"""What the console's API says of projects, photographs, models and belts. Times are ISO 8601 in UTC, shares 0 to 1."""

from __future__ import annotations

import datetime as dt  # noqa: TC003  pydantic reads the types of fields
from typing import Annotated, Literal

from pydantic import Field

from sextant.console.model import Frozen
from sextant.inspection.loop.champion import Champion  # noqa: TC001  pydantic reads the types of fields
from sextant.inspection.loop.drift import Finding  # noqa: TC001
from sextant.inspection.loop.duel import Duel  # noqa: TC001

Kind = Literal["train", "test"]
Label = Literal["normal", "anomaly"]
Span = Literal["1d", "3d", "1w", "2w", "1m", "3m", "6m"]
Where = Literal["trial", "line"]
Shown = Literal["waiting", "reject", "accept"]
TRIAL = r"^[^#/]+$"
"""A trial's name is a folder's, of which the journal's keys and S3's set two characters apart."""
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$")]
Uri = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$", max_length=1100)]
Keys = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...], Field(min_length=1, max_length=500)]


class Dataset(Frozen):
    """A dataset as it is now. `status` and `message` are those of the API of Lookout for Vision.

    `absent` is whether photographs of the last change were not there, which the message tells.
    """

    kind: Kind
    status: str
    message: str
    absent: bool
    total: int
    labeled: int
    normal: int
    anomaly: int


class Project(Frozen):
    """`champion` is the version that is to answer, `answers` the one that does, `hosted` are all that run. `waiting`
    counts to 1,000 at most.
    """

    name: str
    created: str
    datasets: tuple[Dataset, ...]
    versions: int
    champion: int | None
    answers: int | None
    hosted: tuple[int, ...]
    waiting: int


class Projects(Frozen):
    """All projects by name; `may_change` tells whether the caller may do more than look."""

    projects: tuple[Project, ...]
    may_change: bool = False


class Trial(Frozen):
    """Photographs of a trial: how many there are, and how many a person has verified."""

    name: str
    photographs: int
    verified: int


class ProjectPage(Project):
    """A project with its trials; `verified` photographs are not in the training dataset yet."""

    trials: tuple[Trial, ...]
    verified: int
    drop: str
    """Below this URI photographs of a belt are put."""
    may_change: bool = False


class Photograph(Frozen):
    """An entry of a dataset. `label` is None while nobody has labelled it; `kinds` are those its mask may paint."""

    source: str
    label: Label | None
    masked: bool
    kinds: tuple[str, ...]


class Entries(Frozen):
    """A page of a dataset's photographs; `next` is the token of the following one."""

    dataset: Dataset
    photographs: tuple[Photograph, ...]
    next: str | None
    may_change: bool = False


class Found(Frozen):
    """What the data doctor found: see `sextant.inspection.doctor`."""

    kind: str
    words: str
    remedy: str
    sources: tuple[str, ...]
    shown: int
    """How many photographs it is about; `sources` has the first."""
    numbers: dict[str, float]


class Doctor(Frozen):
    """The last examination of the datasets. `outdated` tells that a dataset has changed since."""

    state: Literal["never", "running", "done", "failed"]
    at: str | None = None
    photographs: int = 0
    left_out: int = 0
    findings: tuple[Found, ...] = ()
    message: str = ""
    outdated: bool = False
    may_change: bool = False


class Version(Frozen):
    """A model version. `status` is the API's; `seconds` its training took so far, or in all.

    `f1_interval` is the 95 % interval of `f1`; `photographs` and `anomalies` are those that it was measured on. None
    where the model's own evaluation does not tell.
    """

    version: int
    status: str
    message: str
    description: str | None
    created: str
    seconds: float | None
    step: str | None
    f1: float | None
    precision: float | None
    recall: float | None
    f1_interval: tuple[float, float] | None
    photographs: int | None
    anomalies: int | None
    duel: Duel | None


class Models(Frozen):
    """Versions of a project, the newest first."""

    versions: tuple[Version, ...]
    champion: Champion | None
    may_change: bool = False


class Cut(Frozen):
    """What a threshold on the probability of an anomaly would do to the measured photographs."""

    probability: float
    false_rejects: int
    missed: int
    f1: float


class Mistake(Frozen):
    """A photograph that the model gets wrong at its own threshold."""

    source: str
    anomalous: bool
    probability: float
    verdict: str


class Measured(Frozen):
    """How good a version is. `on` tells which photographs: a test set, or those of training by models without them.

    `threshold` is the probability from which on the model calls a photograph anomalous; rates have 95 % intervals.
    """

    on: Literal["test", "out_of_fold"]
    photographs: int
    normals: int
    anomalies: int
    f1: float | None
    precision: float | None
    recall: float | None
    auroc: float | None
    auroc_interval: tuple[float, float] | None
    average_precision: float | None
    ece: float | None
    false_rejects: int
    false_reject_interval: tuple[float, float]
    missed: int
    missed_interval: tuple[float, float]
    budget: float
    guarantee: float
    threshold: float | None
    verdicts: dict[str, int]
    pixel_auroc: float | None
    labels: tuple[LabelMeasured, ...]
    roc: tuple[tuple[float, float], ...]
    pr: tuple[tuple[float, float], ...]
    cuts: tuple[Cut, ...]
    mistakes: tuple[Mistake, ...]


class LabelMeasured(Frozen):
    """How well one kind of anomaly is painted."""

    name: str
    photographs: int
    f1: float
    iou: float


class ModelPage(Frozen):
    """A version with its measurements, None until it is trained, and what its training noted."""

    version: Version
    champion: bool
    measured: Measured | None
    notes: tuple[str, ...]
    card: str
    may_change: bool = False


class Verdict(Frozen):
    """A photograph with what the model says of it. `key` names it in what is said back; `truth` is a person's word."""

    key: str
    item: str
    source: str
    line: str
    camera: str
    at: str
    model_version: str
    is_anomalous: bool
    confidence: float
    probability: float | None
    verdict: Literal["accept", "reject", "review"]
    reason: str
    labels: tuple[str, ...]
    masked: bool
    crop_ok: bool
    seconds: float
    truth: Label | None
    added: bool


class Verdicts(Frozen):
    """Photographs to look at; `more` tells that there are others, `verified` how many wait to be added in all.

    `dataset` is what they are added to, None where the project has none: its status tells how an addition goes.
    """

    verdicts: tuple[Verdict, ...]
    more: bool
    verified: int
    dataset: Dataset | None
    may_change: bool = False


class Live(Frozen):
    """The newest verdicts, the newest first, and the counts of the last minutes by line and camera."""

    verdicts: tuple[Verdict, ...]
    minutes: int
    items: int
    rejects: int
    reviews: int
    cut: bool
    """Whether there were more items than are counted."""


class Ratio(Frozen):
    """Items of a place: of the whole project where `line` is empty, of a line where `camera` is."""

    line: str
    camera: str
    items: int
    anomalies: int
    rejects: int
    reviews: int
    ratio: float
    low: float
    high: float


class Hour(Frozen):
    """Items of a span of time that begins at `at`: an hour, or in the longer windows a day."""

    at: str
    items: int
    anomalies: int


class Dashboard(Frozen):
    """Counts of a window that ended at `as_of`."""

    span: Span
    as_of: str
    places: tuple[Ratio, ...]
    hours: tuple[Hour, ...]


class Watch(Frozen):
    """A finding of the drift monitors and the end of its window."""

    until: str
    finding: Finding


class Drift(Frozen):
    """The newest finding of each camera and measure, and the last alarms, the newest first."""

    latest: tuple[Watch, ...]
    alarms: tuple[Watch, ...]


class Backend(Frozen):
    """What an item costs with one backend: see `sextant.inspection.cost.Cost`."""

    backend: str
    usd_per_item: float
    usd_per_thousand: float
    usd_per_month: float
    units: int
    words: str


class Price(Frozen):
    """A price of the table, in US dollars, with its day and where it is from."""

    name: str
    usd: float
    of: dt.date
    source: str


class Costs(Frozen):
    """What an item costs at a rate (items per second) on a belt that runs some hours of a month."""

    rate: float
    hours: float
    costs: tuple[Backend, ...]
    prices: tuple[Price, ...]


class Done(Frozen):
    """What was changed, in words for the person who asked for it."""

    words: str
    count: int = 0


class NewProject(Frozen):
    """A project to make."""

    project: Name


class Import(Frozen):
    """Photographs of a folder, or a manifest (`….manifest`, `….jsonl`), into a dataset."""

    kind: Kind
    source: Uri
    labelled: bool = True
    """Whether the folders `normal` and `anomaly` label what they hold."""


class Labelled(Frozen):
    """A photograph and what a person says that it shows."""

    source: Uri
    label: Label


class Labels(Frozen):
    """Labels to change in a dataset."""

    kind: Kind
    labels: Annotated[tuple[Labelled, ...], Field(min_length=1, max_length=1000)]


class Verify(Frozen):
    """Whether the model is right about photographs."""

    where: Where
    keys: Keys
    correct: bool


class Try(Frozen):
    """Photographs of a folder for a trial."""

    trial: Annotated[str, Field(pattern=TRIAL, max_length=255)]
    source: Uri


class Chosen(Frozen):
    """A model version."""

    version: Annotated[int, Field(ge=1)]


class Host(Chosen):
    """A version to start, on some inference units, or to stop."""

    running: bool
    units: Annotated[int, Field(ge=1, le=10)] = 1


Measured.model_rebuild()
