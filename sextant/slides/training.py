"""Training a head on features: settings are chosen on the validation slides' AUC, never on the test split.

Order of work: read the features of both splits, fit one head per strength of regularisation, keep the one whose
validation slides have the highest macro AUC (the lower log loss where AUCs are equal), then fit the temperature that
makes its scores honest. What is done is checkpointed and not done again after a stop.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize_scalar

from sextant.slides import heads, metrics
from sextant.slides.aggregate import Aggregation, slide_scores, softmax, tempered
from sextant.slides.evaluation import metric_line
from sextant.slides.heads import Head, Kind
from sextant.slides.model import EncoderFacts, Model, ModelError, ModelFacts, Validation, read_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sextant.slides.manifest import Manifest
    from sextant.slides.records import TileFeatures

STRENGTHS = {"linear": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001), "attention": (0.1, 0.01)}
"""Candidates of L2 (linear) and of weight decay (attention), the strongest first."""

CALIBRATION_SLIDES = 20
"""With fewer validation slides a temperature would be noise: it stays 1."""

PATIENCE = 8
"""Epochs of the attention head without a better validation before it ends."""

_log = logging.getLogger(__name__)


class TrainingError(Exception):
    """Features that no head can be trained on: the message names them, the reason and the remedy."""


class HeadSettings(BaseModel):
    """What is trained; the hyperparameters of the training job. `aggregation` defaults to the head's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["head"] = "head"
    head: Kind = "linear"
    aggregation: Aggregation | None = None
    encoder: str = "lite0"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 60
    """Of the attention head, at most; the linear head converges by itself."""
    seed: Annotated[int, Field(ge=0)] = 0

    def aggregated_by(self) -> Aggregation:
        """The aggregation that is used."""
        return self.aggregation or ("attention" if self.head == "attention" else "mean")


@dataclass(frozen=True, eq=False)
class Split:
    """The features of a split, ordered by slide, y and x whatever order they were read in.

    `features` is float32 (n, dim); `slide` tells for each tile where its slide is in `slides`, `labels` and `patients`.
    """

    features: NDArray[np.float32]
    slide: NDArray[np.intp]
    slides: tuple[str, ...]
    labels: NDArray[np.int64]
    patients: tuple[str, ...]

    def tile_labels(self) -> NDArray[np.int64]:
        """The label of every tile's slide."""
        return np.asarray(self.labels[self.slide])

    def tiles(self, number: int) -> slice:
        """Where the tiles of a slide lie in `features`."""
        return slice(*np.searchsorted(self.slide, (number, number + 1)).tolist())

    def digest(self) -> str:
        """SHA-256 of everything in it."""
        digest = hashlib.sha256(json.dumps([self.slides, self.labels.tolist(), self.patients]).encode())
        digest.update(np.ascontiguousarray(self.slide).tobytes())
        digest.update(np.ascontiguousarray(self.features).tobytes())
        return digest.hexdigest()


def read_split(tiles: Iterable[TileFeatures], name: str, classes: int) -> Split:
    """The tiles of a split as arrays; a tile that shards repeat to be of equal length counts once.

    Memory is 4 bytes per number: 5 GB per million tiles of 1,280 features.

    Raises:
        TrainingError: there are none, a slide has two labels or patients, a label is no class, or dimensions differ.
    """
    found: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    slides: dict[str, tuple[int, str]] = {}
    dim = 0
    for each in tiles:
        known = slides.setdefault(each.slide, (each.label, each.patient))
        if known != (each.label, each.patient):
            raise TrainingError(
                f"{name}: slide {each.slide} has label and patient {known} and {(each.label, each.patient)}: plan again"
            )
        if not 0 <= each.label < classes:
            raise TrainingError(f"{name}: slide {each.slide} has label {each.label}, but there are {classes} classes")
        dim = dim or len(each.feature)
        if len(each.feature) != dim:
            raise TrainingError(
                f"{name}: features of {dim} and of {len(each.feature)} numbers: shards of two encoders are mixed; run "
                "the feature step again"
            )
        found[each.slide, each.y, each.x] = each.feature
    if not found:
        raise TrainingError(f"{name} has no tiles: check the channel's prefix, and that the pack step gave it slides")
    names = tuple(sorted(slides))
    place = {each: number for number, each in enumerate(names)}
    keys = sorted(found)
    features = np.empty((len(keys), dim), np.float32)
    for row, key in enumerate(keys):
        features[row] = found.pop(key)
    return Split(
        features=features,
        slide=np.array([place[key[0]] for key in keys]),
        slides=names,
        labels=np.array([slides[each][0] for each in names]),
        patients=tuple(slides[each][1] for each in names),
    )


def slides_scored(head: Head, split: Split, aggregation: Aggregation) -> NDArray[np.float64]:
    """The scores of a split's slides, shape (slides, classes), at temperature 1."""
    outputs = head.outputs(split.features)
    return np.stack(
        [
            slide_scores(outputs.logits[at], None if outputs.attention is None else outputs.attention[at], aggregation)
            for at in map(split.tiles, range(len(split.slides)))
        ]
    )


@dataclass(frozen=True, eq=False)
class _Candidate:
    head: Head
    strength: float
    auc: float
    loss: float

    def better_than(self, other: _Candidate | None) -> bool:
        return other is None or (self.auc, -self.loss) > (other.auc, -other.loss)


def train_head(
    train: Split, valid: Split, manifest: Manifest, settings: HeadSettings, *, encoder: EncoderFacts, checkpoints: Path
) -> Model:
    """The best head of its kind by the validation slides, calibrated, as a model that can be saved and served.

    Args:
        train: what heads are fitted to.
        valid: what decides between them.
        manifest: of the records that the features were made of.
        settings: what is trained.
        encoder: what made the features.
        checkpoints: a folder that outlives a stopped job; what an earlier attempt left there is used if it is of the
            same data and settings.

    Raises:
        TrainingError: the encoder's dimension is not the features', a class is missing, a patient is in both splits.
    """
    _check(train, valid, manifest, settings, encoder)
    aggregation = settings.aggregated_by()
    data = hashlib.sha256(f"{train.digest()}{valid.digest()}".encode()).hexdigest()
    fingerprint = hashlib.sha256(f"{data}{settings.model_dump_json()}{manifest.plan_digest}".encode()).hexdigest()
    work = _Work(train, valid, settings, len(manifest.classes), _Checkpoints(checkpoints, fingerprint))
    best = _fit_linear(work) if settings.head == "linear" else _fit_attention(work)
    scores = slides_scored(best.head, valid, aggregation)
    temperature = fitted_temperature(scores, valid.labels)
    scores = tempered(scores, temperature)
    tiles = softmax(best.head.outputs(valid.features).logits)
    auc = metrics.macro_auc(valid.labels, scores)
    assert auc is not None
    measured = Validation(
        slides=len(valid.slides),
        patients=len(set(valid.patients)),
        tiles=len(valid.features),
        slide_auc=auc,
        slide_accuracy=metrics.accuracy(valid.labels, scores),
        slide_loss=metrics.log_loss(valid.labels, scores),
        tile_accuracy=metrics.accuracy(valid.tile_labels(), tiles),
    )
    for name, value in (
        ("val_slide_auc", measured.slide_auc),
        ("val_slide_accuracy", measured.slide_accuracy),
        ("val_tile_accuracy", measured.tile_accuracy),
        ("val_loss", measured.slide_loss),
    ):
        _log.info(metric_line(name, value))
    facts = ModelFacts(
        classes=manifest.classes,
        encoder=encoder,
        head=settings.head,
        aggregation=aggregation,
        temperature=temperature,
        strength=best.strength,
        validation=measured,
        tiles=manifest.settings,
        plan_digest=manifest.plan_digest,
        data_digest=data,
    )
    return Model(facts, best.head)


def fitted_temperature(scores: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    """The temperature, 0.2 to 5, with the least log loss of slides (Guo et al. 2017); 1 for fewer than 20 slides.

    The truth counts as (n + 1) / (n + 2) of n slides (Platt 1999), the rest being the other classes': where all slides
    are told right, nothing else would keep the scores from becoming certain.
    """
    n, classes = scores.shape
    if n < CALIBRATION_SLIDES:
        return 1.0
    truth = np.full(scores.shape, 1 / (n + 2) / (classes - 1))
    truth[np.arange(n), labels] = (n + 1) / (n + 2)

    def loss(logarithm: float) -> float:
        warmed = tempered(scores, float(np.exp(logarithm)))
        return float(-(truth * np.log(np.maximum(warmed, 1e-12))).sum())

    found = minimize_scalar(loss, bounds=(np.log(0.2), np.log(5)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def _check(train: Split, valid: Split, manifest: Manifest, settings: HeadSettings, encoder: EncoderFacts) -> None:
    for name, split in (("train", train), ("valid", valid)):
        if split.features.shape[1] != encoder.dim:
            raise TrainingError(
                f"{name}: features of {split.features.shape[1]} numbers, but encoder {encoder.name} makes "
                f"{encoder.dim}: give the encoder that the feature step ran with"
            )
        if len(set(split.labels.tolist())) < 2:
            raise TrainingError(
                f"{name} has slides of one class only ({manifest.classes[int(split.labels[0])]}): its AUC is "
                "undefined. Add patients, or plan with other fractions or another salt"
            )
    both = sorted(set(train.patients) & set(valid.patients))
    if both:
        raise TrainingError(f"patients in train and in valid: {', '.join(both[:5])}. Plan and pack again")
    absent = sorted(set(range(len(manifest.classes))) - set(train.labels.tolist()))
    if absent:
        names = ", ".join(manifest.classes[each] for each in absent)
        raise TrainingError(f"train has no slide of {names}: add patients, or plan with another salt")
    if settings.aggregated_by() == "attention" and settings.head != "attention":
        raise TrainingError("aggregation attention needs head attention: set it, or use mean, majority or topk")


@dataclass(frozen=True, eq=False)
class _Work:
    train: Split
    valid: Split
    settings: HeadSettings
    classes: int
    checkpoints: _Checkpoints

    def candidate(self, head: Head, strength: float) -> _Candidate:
        scores = slides_scored(head, self.valid, self.settings.aggregated_by())
        auc = metrics.macro_auc(self.valid.labels, scores)
        assert auc is not None
        return _Candidate(head, strength, auc, metrics.log_loss(self.valid.labels, scores))


def _fit_linear(work: _Work) -> _Candidate:
    scaling = heads.standard(work.train.features)
    x = heads.standardised(work.train.features, scaling)
    labels = work.train.tile_labels()
    best: _Candidate | None = None
    head: Head | None = None
    for number, strength in enumerate(STRENGTHS["linear"]):
        saved = work.checkpoints.load(f"linear-{number}")
        if saved:
            head = Head("linear", saved[0])
        else:
            head = heads.fit_linear(x, labels, classes=work.classes, strength=strength, start=head, scaling=scaling)
            work.checkpoints.save(f"linear-{number}", head.arrays, {})
        found = work.candidate(head, strength)
        _log.info("strength %g: val_slide_auc %.4f, val_loss %.4f", strength, found.auc, found.loss)
        work.checkpoints.tell(number + 1, {"val_slide_auc": found.auc, "val_loss": found.loss})
        if found.better_than(best):
            best = found
    assert best is not None
    return best


def _fit_attention(work: _Work) -> _Candidate:
    scaling = heads.standard(work.train.features)
    best: _Candidate | None = None
    for number, strength in enumerate(STRENGTHS["attention"]):
        found = _descended(work, scaling, f"attention-{number}", strength)
        if found.better_than(best):
            best = found
    assert best is not None
    return best


def _descended(work: _Work, scaling: heads.Arrays, name: str, strength: float) -> _Candidate:
    """The attention head of one strength: its best epoch, stopping after some that are no better."""
    labels = work.train.labels
    weights = heads.class_weights(labels, work.classes)
    slides = [
        (partial(_standardised, work.train, number, scaling), label) for number, label in enumerate(labels.tolist())
    ]
    seed = work.settings.seed
    state = heads.descent(heads.attention_start(len(scaling["mean"]), work.classes, seed))
    best: _Candidate | None = None
    first, waited = 0, 0
    saved = work.checkpoints.load(name)
    if saved:
        arrays, facts = saved
        state = heads.Descent(facts["steps"], _part(arrays, "now"), _part(arrays, "first"), _part(arrays, "second"))
        best = _Candidate(Head("attention", _part(arrays, "best")), strength, facts["auc"], facts["loss"])
        first, waited = facts["epochs"], facts["waited"]
    for number in range(first, work.settings.epochs):
        if waited >= PATIENCE:
            break
        state, loss = heads.epoch(state, slides, weights, strength, (seed, number))
        found = work.candidate(Head("attention", {**scaling, **state.parameters}), strength)
        if best is None or found.better_than(best):
            best, waited = found, 0
        else:
            waited += 1
        _log.info("epoch %d, decay %g", number, strength)
        _log.info(metric_line("train_loss", loss))
        _log.info(metric_line("val_slide_auc", found.auc))
        told = {"train_loss": loss, "val_slide_auc": found.auc, "val_loss": found.loss}
        work.checkpoints.tell(number + 1, {f"{key}, decay {strength:g}": each for key, each in told.items()})
        groups = {"now": state.parameters, "first": state.first, "second": state.second, "best": best.head.arrays}
        work.checkpoints.save(
            name,
            {f"{group}.{key}": value for group, arrays in groups.items() for key, value in arrays.items()},
            {"steps": state.steps, "epochs": number + 1, "waited": waited, "auc": best.auc, "loss": best.loss},
        )
    assert best is not None
    return best


def _standardised(split: Split, number: int, scaling: heads.Arrays) -> NDArray[np.float32]:
    return heads.standardised(split.features[split.tiles(number)], scaling)


def _part(arrays: Mapping[str, NDArray[np.float32]], group: str) -> heads.Arrays:
    return {name.partition(".")[2]: each for name, each in arrays.items() if name.startswith(f"{group}.")}


@dataclass(frozen=True)
class _Checkpoints:
    """Files of arrays and facts in a folder; those of other data or settings are as good as absent."""

    folder: Path
    fingerprint: str

    def tell(self, step: int, values: Mapping[str, float]) -> None:
        """A line of the training's history, which the console draws; it reads a step that is told twice once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'step': step, **values})}\n")

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, float]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        told = json.dumps({**facts, "fingerprint": self.fingerprint}).encode()
        partial_file = self.folder / f".{name}.partial"
        with partial_file.open("wb") as file:
            np.savez(file, facts=np.frombuffer(told, np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        path = self._path(name)
        if path.exists():  # should the new one be damaged, that of an epoch before is no loss
            path.replace(self._path(f"{name}.before"))
        partial_file.replace(path)

    def load(self, name: str) -> tuple[heads.Arrays, dict[str, Any]] | None:
        for path in (self._path(name), self._path(f"{name}.before")):
            try:
                arrays = read_arrays(path)
                facts = json.loads(arrays.pop("facts").tobytes())
                if facts.pop("fingerprint") == self.fingerprint:
                    return arrays, facts
            except FileNotFoundError:
                continue
            except (ModelError, OSError, ValueError, KeyError) as error:
                _log.warning("checkpoint %s cannot be used, an earlier one is looked for: %s", path.name, error)
        return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
