"""What is wrong with a data set before it is trained on, in words, with the photographs and the remedy."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import Image

from sextant.inspection import calibration, photograph
from sextant.inspection import crop as cropping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from sextant.inspection.evaluation import Evaluation
    from sextant.inspection.examples import Example

Kind: TypeAlias = Literal[
    "unreadable",
    "duplicates",
    "conflicting_labels",
    "leak",
    "suspicious_label",
    "exposure",
    "blur",
    "size",
    "imbalance",
    "too_few_normals",
    "no_anomalies",
]

ALIKE = 2.0
"""Luminance by which no cell of 32 x 32 differs between copies of one photograph: what another JPEG quality or size
changes is less, what another item changes is more."""

_GRID = 32
_OUTLIER = 5.0  # robust deviations
_LEAST_LIGHT = 10.0  # grey levels from the usual brightness that nobody need look at
_BLURRED = 0.35  # of the usual sharpness
_IMBALANCE = 10
_BUDGET = 0.05
_DOUBT = 0.9


@dataclass(frozen=True)
class Finding:
    """Something to look at: what it is in words, what to do, which photographs show it, and the numbers behind it."""

    kind: Kind
    words: str
    remedy: str
    sources: tuple[str, ...]
    numbers: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Looked:
    source: str
    anomalous: bool
    digest: bytes
    view: NDArray[np.float32]
    size: tuple[int, int]
    light: float
    sharpness: float


def examine(
    examples: Iterable[Example],
    *,
    test: Iterable[Example] = (),
    out_of_fold: Evaluation | None = None,
    false_reject_budget: float = _BUDGET,
) -> list[Finding]:
    """The findings of a training set, the gravest first; none is good news.

    Args:
        examples: of training.
        test: of the test set, for photographs that are in both.
        out_of_fold: of a training on these photographs, for labels that look wrong.
        false_reject_budget: that the project wants.
    """
    looked, unreadable = _looked(examples)
    tested, unreadable_too = _looked(test)
    numbered = _numbered(looked)
    found = [*_unreadable(unreadable + unreadable_too), *_leaks(looked, tested), *_copies(looked, numbered)]
    if out_of_fold:
        found += _suspicious(out_of_fold)
    found += _light(looked) + _blur(looked) + _sizes(looked) + _counts(looked, numbered, false_reject_budget)
    return found


def groups(views: Sequence[NDArray[np.float32]], digests: Sequence[bytes], anomalous: Sequence[bool]) -> list[int]:
    """A number for each photograph, the same for copies of one, from small views and digests of their pixels.

    Where more than half of the photographs look alike, or of the normal ones among them, they are taken for different:
    the products simply are. Of those that lie in a fixture under a steady lamp only the anomalous ones differ.
    """
    cells = np.stack([_cells(each) for each in views]) if views else np.zeros((0, 1))
    first: dict[bytes, int] = {}
    found = list(range(len(views)))
    for at, digest in enumerate(digests):
        found[at] = first.setdefault(digest, at)
    exact = list(found)
    for at in range(len(found)):
        alike = np.nonzero((np.abs(cells[:at] - cells[at]) <= ALIKE).all(1))[0].tolist()
        for other in alike:
            old, new = found[at], found[other]
            if old != new:
                found = [new if each == old else each for each in found]
    normal = [group for group, odd in zip(found, anomalous, strict=True) if not odd]
    return exact if _mostly_one(found) or _mostly_one(normal) else found


def _mostly_one(numbered: Sequence[int]) -> bool:
    return max(Counter(numbered).values(), default=0) > len(numbered) / 2


def _numbered(looked: Sequence[_Looked]) -> list[int]:
    return groups([each.view for each in looked], [each.digest for each in looked], [each.anomalous for each in looked])


def _cells(view: NDArray[np.float32]) -> NDArray[np.float32]:
    # Luminance: JPEG changes colours by more.
    image = Image.fromarray(view @ np.array([0.299, 0.587, 0.114], np.float32))
    return np.asarray(image.resize((_GRID, _GRID), Image.Resampling.BOX)).reshape(-1)


def _looked(examples: Iterable[Example]) -> tuple[list[_Looked], list[tuple[str, str]]]:
    found: list[_Looked] = []
    unreadable: list[tuple[str, str]] = []
    for example in examples:
        try:
            pixels = example.read()
        except photograph.PhotographError as error:
            unreadable.append((example.source, str(error)))
            continue
        view = cropping.small_view(Image.fromarray(pixels))
        grey = view @ np.array([0.299, 0.587, 0.114], np.float32)
        edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
        found.append(
            _Looked(
                source=example.source,
                anomalous=example.is_anomalous,
                digest=hashlib.sha256(pixels.tobytes()).digest(),
                view=view,
                size=(pixels.shape[1], pixels.shape[0]),
                light=float(grey.mean()),
                sharpness=float(edges.var()),
            )
        )
    return found, unreadable


def _unreadable(found: Sequence[tuple[str, str]]) -> list[Finding]:
    if not found:
        return []
    return [
        Finding(
            "unreadable",
            f"{_count(len(found), 'photograph')} cannot be read, such as {found[0][0]}: {found[0][1]}",
            "Take or upload them again, or remove them from the data set.",
            tuple(source for source, _ in found),
            {"photographs": len(found)},
        )
    ]


def _leaks(train: Sequence[_Looked], test: Sequence[_Looked]) -> list[Finding]:
    numbered = _numbered([*train, *test])
    known = set(numbered[: len(train)])
    leaked = [each for each, number in zip(test, numbered[len(train) :], strict=True) if number in known]
    if not leaked:
        return []
    copies = [each for each, number in zip(train, numbered, strict=False) if number in set(numbered[len(train) :])]
    return [
        Finding(
            "leak",
            f"{_count(len(leaked), 'test photograph')} also lie in the training set: the test "
            "tells better numbers than the line will see",
            "Remove them from one of the two sets.",
            tuple(each.source for each in [*leaked, *copies]),
            {"photographs": len(leaked), "share": len(leaked) / len(test)},
        )
    ]


def _copies(looked: Sequence[_Looked], numbered: Sequence[int]) -> list[Finding]:
    found: list[Finding] = []
    for number in dict.fromkeys(numbered):
        same = [each for each, own in zip(looked, numbered, strict=True) if own == number]
        if len(same) < 2:
            continue
        exact = len({each.digest for each in same}) == 1
        sources = tuple(each.source for each in same)
        numbers = {"photographs": float(len(same)), "exact": float(exact)}
        how = "the same pixels" if exact else "almost the same pixels"
        if len({each.anomalous for each in same}) == 2:
            words = f"{len(same)} photographs have {how}, but are labelled both normal and anomaly"
            found.insert(
                0, Finding("conflicting_labels", words, "Keep the right label, remove the other.", sources, numbers)
            )
        else:
            words = f"{len(same)} photographs have {how}: they count as one"
            found.append(Finding("duplicates", words, "Keep one of them.", sources, numbers))
    return found


def _suspicious(evaluation: Evaluation) -> list[Finding]:
    """Labels that the other photographs contradict with a confidence of at least 0.9."""
    found = []
    for label, words in ((False, "normal, but look anomalous"), (True, "anomaly, but look normal")):
        doubted = [
            each
            for each in evaluation.rows
            if each.anomalous == label and (1 - each.probability if label else each.probability) >= _DOUBT
        ]
        doubted.sort(key=lambda each: each.probability, reverse=not label)
        if doubted:
            found.append(
                Finding(
                    "suspicious_label",
                    f"{_count(len(doubted), 'photograph')} are labelled {words} to a detector trained on the others",
                    "Look at them and correct the label, or keep it: then they teach the detector something.",
                    tuple(each.source for each in doubted),
                    {"photographs": len(doubted), "probability": doubted[0].probability},
                )
            )
    return found


def _light(looked: Sequence[_Looked]) -> list[Finding]:
    if len(looked) < 5:
        return []
    lights = np.array([each.light for each in looked])
    usual = float(np.median(lights))
    spread = max(1.4826 * float(np.median(np.abs(lights - usual))), _LEAST_LIGHT / _OUTLIER)
    odd = [each for each in looked if abs(each.light - usual) > _OUTLIER * spread]
    if not odd:
        return []
    return [
        Finding(
            "exposure",
            f"{_count(len(odd), 'photograph')} are far brighter or darker than the others "
            f"(brightness {usual:.0f} of 255)",
            "If the line has such light, add more like them; else take them again.",
            tuple(each.source for each in odd),
            {
                "photographs": len(odd),
                "usual": usual,
                "worst": max(odd, key=lambda each: abs(each.light - usual)).light,
            },
        )
    ]


def _blur(looked: Sequence[_Looked]) -> list[Finding]:
    if len(looked) < 5:
        return []
    usual = float(np.median([each.sharpness for each in looked]))
    odd = [each for each in looked if each.sharpness < _BLURRED * usual]
    if not odd:
        return []
    return [
        Finding(
            "blur",
            f"{_count(len(odd), 'photograph')} are blurred: their sharpness is below {_BLURRED:.0%} of the usual",
            "Take them again with the product in focus and at rest, or remove them.",
            tuple(each.source for each in odd),
            {"photographs": len(odd), "usual": usual, "worst": min(each.sharpness for each in odd)},
        )
    ]


def _sizes(looked: Sequence[_Looked]) -> list[Finding]:
    if not looked:
        return []
    shapes = np.array([each.size[0] / each.size[1] for each in looked])
    usual = float(np.median(shapes))
    odd = [each for each, shape in zip(looked, shapes, strict=True) if not 0.9 < shape / usual < 1.1]
    if not odd:
        return []
    return [
        Finding(
            "size",
            f"{_count(len(odd), 'photograph')} have another shape than most: they are stretched to the same one",
            "Crop photographs to one ratio of width and height, or take them with one camera setting.",
            tuple(each.source for each in odd),
            {"photographs": len(odd), "usual": usual},
        )
    ]


def _counts(looked: Sequence[_Looked], numbered: Sequence[int], budget: float) -> list[Finding]:
    anomalies = sum(each.anomalous for each in looked)
    normals = len(looked) - anomalies
    needed = calibration.normals_needed(budget)
    different = len({group for each, group in zip(looked, numbered, strict=True) if not each.anomalous})
    found = []
    if different < needed:
        found.append(
            Finding(
                "too_few_normals",
                f"{different} different normal photographs can promise at most {1 / (different + 1):.1%} false rejects "
                f"on average, not {budget:.1%}",
                f"Add {needed - different} photographs of items without a defect.",
                (),
                {"normals": different, "needed": needed},
            )
        )
    if not anomalies:
        found.append(
            Finding(
                "no_anomalies",
                "There are no anomalies: the detector learns only what is normal, and its confidence is not measured",
                "Add photographs of defective items as they occur; ten of each kind help most.",
                (),
                {"anomalies": 0},
            )
        )
    elif max(normals, anomalies) > _IMBALANCE * min(normals, anomalies):
        found.append(
            Finding(
                "imbalance",
                f"{normals} normal and {anomalies} anomalous photographs: the rarer kind is told by few",
                f"Add {'anomalous' if anomalies < normals else 'normal'} photographs.",
                (),
                {"normals": normals, "anomalies": anomalies},
            )
        )
    return found


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' if number != 1 else ''}"
