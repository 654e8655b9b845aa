"""A run's plan: which slide is of which split, label and host, decided once, before any pixel is read.

Patients are split, never slides: all slides of a patient are in one split. The split depends on the salt and on the
patients' names and labels only: not on the order of rows, on the process or on the machine.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sextant.container import InputError
from sextant.slides.settings import TileSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sextant.slides.cohort import Cohort, Row

SALT = "sextant"
"""Another salt gives another split of the same cohort."""

FRACTIONS = (0.7, 0.2, 0.1)
"""Of the patients, in the order of `SPLITS`: the original's."""

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
LEARNED: tuple[Split, ...] = ("train", "valid")
"""What a training reads. The test split is scored from its tiles, as any slide will be: it needs no features."""

_FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PlannedSlide(BaseModel):
    """A slide to tile: `key` is relative to the slides' folder, `host` counts from 0, `bytes` is what it takes."""

    model_config = _FROZEN

    slide: str
    key: str
    patient: str
    label: str
    label_index: int
    split: Split
    host: int
    bytes: int


class Finding(BaseModel):
    """What is wrong with a slide, or worth telling: `reason` is a short phrase to count by, `detail` has the remedy."""

    model_config = _FROZEN

    slide: str
    key: str
    reason: str
    detail: str


class Plan(BaseModel):
    """The plan as `plan.json` keeps it. `slides` are in the order of their names; `notes` were told and change nothing.

    `classes` are in the order of the model's outputs: a label's index counts in them.
    """

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    classes: tuple[str, ...]
    salt: str = SALT
    fractions: tuple[float, float, float] = FRACTIONS
    hosts: Annotated[int, Field(ge=1)] = 1
    tiles: TileSettings = TileSettings()
    slides: tuple[PlannedSlide, ...]
    quarantined: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        splits: dict[str, str] = {}
        for each in self.slides:
            if each.label_index >= len(self.classes) or self.classes[each.label_index] != each.label:
                raise ValueError(f"slide {each.slide}: label {each.label} is not class {each.label_index}")
            if splits.setdefault(each.patient, each.split) != each.split:
                raise ValueError(f"patient {each.patient} is in {splits[each.patient]} and in {each.split}")
            if each.host >= self.hosts:
                raise ValueError(f"slide {each.slide} is for host {each.host} of {self.hosts}")
        return self

    def digest(self) -> str:
        """SHA-256 of what decides the results: shards, models and scores of another plan are told by it.

        The hosts are left out, and so is what was only told: another number of hosts goes on where the first ended.
        """
        decisive = self.model_dump_json(
            exclude={"hosts": True, "quarantined": True, "notes": True, "slides": {"__all__": {"host"}}}
        )
        return hashlib.sha256(decisive.encode()).hexdigest()


def make_plan(
    cohort: Cohort,
    *,
    classes: Sequence[str] = (),
    salt: str = SALT,
    fractions: tuple[float, float, float] = FRACTIONS,
    hosts: int = 1,
    tiles: TileSettings | None = None,
) -> Plan:
    """The plan of a cohort.

    Args:
        cohort: what `cohort.gather` found.
        classes: the order of the model's outputs; the labels' names in order of the alphabet where none are given.
        salt: decides which patients are in which split.
        fractions: of the patients, for train, valid and test.
        hosts: that will tile.
        tiles: how.

    Raises:
        InputError: no slide is left, nothing can be trained or tested with those that are, or hosts, fractions or
            classes are none.
    """
    if hosts < 1:
        raise InputError(f"{hosts} hosts: give the number of instances of the tile step, 1 or more")
    if len(set(classes)) != len(classes):
        raise InputError(f"classes {', '.join(classes)}: a name comes twice")
    foreign = [row for row in cohort.rows if classes and row.label not in classes]
    rows = [row for row in cohort.rows if row not in foreign]
    quarantined = [
        *cohort.quarantined,
        *(
            _finding(row, "unknown label", f"{row.label} is none of the classes {', '.join(classes)}: correct the row")
            for row in foreign
        ),
    ]
    if not rows:
        counts = Counter(each.reason for each in quarantined)
        told = ", ".join(f"{count} with {reason}" for reason, count in counts.most_common())
        raise InputError(f"no slide of slides.csv can be used: {told}. The quarantine says what to do about each.")
    names = tuple(classes) or tuple(sorted({row.label for row in rows}))
    try:
        split = split_patients(labels_of_patients((row.patient, row.label) for row in rows), salt, fractions)
    except ValueError as error:
        raise InputError(str(error)) from None
    host = assign_hosts([(row.slide, row.size) for row in rows], hosts)
    slides = [
        PlannedSlide(
            slide=row.slide,
            key=row.key,
            patient=row.patient,
            label=row.label,
            label_index=names.index(row.label),
            split=split[row.patient],
            host=host[row.slide],
            bytes=row.size,
        )
        for row in rows
    ]
    check_trainable(names, slides, quarantined=len(quarantined))
    return Plan(
        classes=names,
        salt=salt,
        fractions=fractions,
        hosts=hosts,
        tiles=tiles or TileSettings(),
        slides=tuple(sorted(slides, key=lambda each: each.slide)),
        quarantined=tuple(sorted(quarantined, key=lambda each: each.slide)),
        notes=(*cohort.notes, *_gaps(names, slides, fractions)),
    )


def _finding(row: Row, reason: str, detail: str) -> Finding:
    return Finding(slide=row.slide, key=row.key, reason=reason, detail=detail)


def check_trainable(classes: Sequence[str], slides: Iterable[PlannedSlide], *, quarantined: int) -> None:
    """Refuses slides that no model can be trained, chosen and tested with: before tiling, and again after it.

    Args:
        classes: of the plan.
        slides: that can be used.
        quarantined: slides that could not, which the message tells.

    Raises:
        InputError: there is one class only, one has no patient in train, valid has patients of one class only (its AUC
            decides between models), or test has none.
    """
    patients: dict[tuple[str, str], set[str]] = {}
    for each in slides:
        patients.setdefault((each.label, each.split), set()).add(each.patient)
    of = {name: [len(patients.get((name, split), ())) for split in SPLITS] for name in classes}
    if len(classes) < 2:
        fault = f"all slides are of one class, {classes[0]}"
    elif lacking := [name for name in classes if not of[name][0]]:
        fault = f"no patient of {', '.join(lacking)} is in train"
    elif sum(1 for name in classes if of[name][1]) < 2:
        alone = ", ".join(name for name in classes if of[name][1])
        fault = f"valid has {f'patients of {alone} only' if alone else 'no patient'}, and needs two classes"
    elif not any(of[name][2] for name in classes):
        fault = "no patient is in test"
    else:
        return
    counts = ", ".join(f"{name} {'/'.join(map(str, counted))}" for name, counted in of.items())
    mend = f", mend the slides in quarantine ({quarantined})" if quarantined else ""
    raise InputError(
        f"{fault}. Patients in train/valid/test: {counts}. Add patients{mend}, or plan with another salt or fractions"
    )


def _gaps(
    classes: Sequence[str], slides: Sequence[PlannedSlide], fractions: tuple[float, float, float]
) -> Iterator[Finding]:
    """Notes the classes that a split lacks: what is trained or measured there says nothing about them."""
    there = {(each.label, each.split) for each in slides}
    for name in classes:
        for split, fraction in zip(SPLITS, fractions, strict=True):
            if fraction and (name, split) not in there:
                detail = f"no slide of {name} is in {split}: add patients of this class"
                yield Finding(slide="", key="", reason="class without slides", detail=detail)


def split_patients(
    labels: Mapping[str, frozenset[str]], salt: str = SALT, fractions: tuple[float, float, float] = FRACTIONS
) -> dict[str, Split]:
    """The split of every patient, from the labels of the patient's slides.

    Patients with the same set of labels are a stratum. In it they are ordered by SHA-256 of salt and name, and the
    counts are the fractions' by largest remainder, ties going to the earlier split. A stratum of three or more reaches
    every split that has a fraction; one of two reaches train and test; a patient alone goes to train.

    Raises:
        ValueError: the fractions are negative or do not add up to 1, or none is for training.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9 or not fractions[0]:
        raise ValueError(f"fractions {fractions}: give three shares of train, valid and test that add up to 1")
    strata: dict[tuple[str, ...], list[str]] = {}
    for patient, of_patient in labels.items():
        strata.setdefault(tuple(sorted(of_patient)), []).append(patient)
    split: dict[str, Split] = {}
    for patients in strata.values():
        ordered = sorted(patients, key=lambda each: hashlib.sha256(f"{salt}\n{each}".encode()).digest())
        names = [
            name for name, count in zip(SPLITS, _counts(len(ordered), fractions), strict=True) for _ in range(count)
        ]
        split.update(zip(ordered, names, strict=True))
    return split


def _counts(patients: int, fractions: tuple[float, float, float]) -> list[int]:
    """How many of a stratum's patients go to train, valid and test."""
    shares = [patients * fraction for fraction in fractions]
    counts = [int(share + 1e-9) for share in shares]
    by_remainder = sorted(range(3), key=lambda each: (round(counts[each] - shares[each], 9), each))
    for each in by_remainder[: patients - sum(counts)]:
        counts[each] += 1
    order = [each for each in (0, 2, 1) if fractions[each] > 0]  # what two patients reach: train, then test
    for each in order[:patients]:
        if not counts[each]:
            richest = max(range(3), key=lambda other: (counts[other], -other))
            counts[richest] -= 1
            counts[each] += 1
    return counts


def assign_hosts(sizes: Sequence[tuple[str, int]], hosts: int) -> dict[str, int]:
    """The host of every slide, from (slide, bytes): the largest first, always to the host that has least to do.

    No host has more than 4/3 - 1/(3 hosts) times the bytes of the best assignment there is (Graham 1969).
    """
    waiting = [(0, host) for host in range(hosts)]
    assigned: dict[str, int] = {}
    for slide, size in sorted(sizes, key=lambda each: (-each[1], each[0])):
        load, host = heapq.heappop(waiting)
        assigned[slide] = host
        heapq.heappush(waiting, (load + size, host))
    return assigned


def labels_of_patients(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """The label set of every patient, from (patient, label) of the slides."""
    found: dict[str, set[str]] = {}
    for patient, label in pairs:
        found.setdefault(patient, set()).add(label)
    return {patient: frozenset(labels) for patient, labels in found.items()}
