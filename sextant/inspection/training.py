"""From labelled photographs to a detector."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sextant.inspection import backbone, doctor, evaluation, fitting, patches, photograph, quantised, rules
from sextant.inspection import crop as cropping
from sextant.inspection.crop import Crop
from sextant.inspection.detector import Detector, Facts, see
from sextant.inspection.examples import InputError
from sextant.inspection.statistics import auroc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from sextant.inspection.evaluation import Evaluation
    from sextant.inspection.examples import Example
    from sextant.inspection.fitting import Fitted
    from sextant.inspection.settings import DetectorSettings

FEWEST_NORMALS = 10
MOST = 500
"""Normal and anomalous photographs each that are learned from; of more a sample is taken, which the notes tell."""

_CROP_SAMPLE = 100


@dataclass(frozen=True, eq=False)
class Trained:
    """A detector with what is known of it.

    `out_of_fold` are the numbers of its training photographs, each judged by what had not seen it; `test` those of the
    test photographs, None without them. `notes` are sentences for people: what was left out, what cannot be promised.
    `skipped` are photographs that could not be read, with the reason.
    """

    detector: Detector
    out_of_fold: Evaluation
    test: Evaluation | None
    training_photographs: int
    notes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def evaluation(self) -> Evaluation:
        """The numbers to show: of the test photographs, else out of fold."""
        return self.test or self.out_of_fold


@dataclass(frozen=True, eq=False)
class _Set:
    """Photographs as the network sees them; `groups` as in `doctor.groups`, `masks` shares of patches by position."""

    settings: DetectorSettings
    crop: Crop
    size: tuple[int, int]
    photograph: tuple[int, int]
    sources: list[str]
    groups: list[int]
    anomalous: NDArray[np.bool_]
    pixels: list[NDArray[np.uint8]]
    masks: dict[int, NDArray[np.float32]]
    labels: tuple[tuple[str, str], ...]


def train(
    examples: Iterable[Example],
    settings: DetectorSettings,
    *,
    report: Callable[[str, int, int], None] | None = None,
    test: Iterable[Example] = (),
) -> Trained:
    """A detector from at least 10 normal photographs and any number of anomalous ones, none included.

    The same examples and settings give the same detector.

    Args:
        examples: the training photographs.
        settings: of the detector.
        report: called with what is being done, how much is done and how much there is.
        test: photographs for an evaluation that training does not see.

    Raises:
        InputError: too few normal photographs, or a test set that cannot be used.
        BackboneError: the backbone cannot be used.
    """
    tell = report or (lambda _what, _done, _all: None)
    given = list(examples)
    notes: list[str] = []
    chosen = _sampled(given, settings.seed, notes)
    readable, skipped = _readable(chosen, tell)
    _enough(readable, skipped)
    crop = _crop(readable, settings)
    whole = _set(readable, settings, crop, tell)
    fitted, detector = _detector(whole, backbone.graph(settings.backbone), "float32", tell)
    if settings.int8:
        fitted, detector = _eight_bits((fitted, detector), whole, notes, tell)
    notes += _promises(detector)
    out_of_fold = evaluation.measured(_rows(detector, fitted, whole), detector.model.calibration)
    held_out = list(test)
    tested = evaluation.evaluate(detector, held_out) if held_out else None
    return Trained(detector, out_of_fold, tested, len(readable), tuple(notes), tuple(skipped))


def _sampled(examples: Sequence[Example], seed: int, notes: list[str]) -> list[Example]:
    rng = np.random.default_rng(seed)
    found: list[Example] = []
    for kind in ("normal", "anomaly"):
        some = [each for each in examples if each.label == kind]
        if len(some) > MOST:
            notes.append(f"Of {len(some)} {kind} photographs a sample of {MOST} was learned from.")
            some = [some[at] for at in np.sort(rng.permutation(len(some))[:MOST])]
        found += some
    return found


@dataclass(frozen=True, eq=False)
class _Readable:
    example: Example
    width: int
    height: int
    small: NDArray[np.float16]
    digest: bytes


def _readable(examples: Sequence[Example], tell: Any) -> tuple[list[_Readable], list[tuple[str, str]]]:
    found: list[_Readable] = []
    skipped: list[tuple[str, str]] = []
    for done, example in enumerate(examples, start=1):
        try:
            pixels = example.read()
        except photograph.PhotographError as error:
            skipped.append((example.source, str(error)))
            continue
        finally:
            tell("read photographs", done, len(examples))
        image = Image.fromarray(pixels)
        digest = hashlib.sha256(pixels.tobytes()).digest()
        found.append(
            _Readable(example, image.width, image.height, cropping.small_view(image).astype(np.float16), digest)
        )
    return found, skipped


def _enough(readable: Sequence[_Readable], skipped: Sequence[tuple[str, str]]) -> None:
    normals = {each.digest for each in readable if not each.example.is_anomalous}
    if len(normals) >= FEWEST_NORMALS:
        return
    unread = (
        f"; {len(skipped)} photographs could not be read, such as {skipped[0][0]} ({skipped[0][1]})" if skipped else ""
    )
    raise InputError(
        f"{len(normals)} different normal photographs, and a training needs at least {FEWEST_NORMALS}{unread}. "
        f"Take {FEWEST_NORMALS - len(normals)} more photographs of items without a defect"
    )


def _crop(readable: Sequence[_Readable], settings: DetectorSettings) -> Crop:
    if settings.crop == "none":
        return Crop()
    if isinstance(settings.crop, tuple):
        left, top, width, height = settings.crop
        if left + width > 1 or top + height > 1 or min(width, height) <= 0:
            raise InputError(
                f"crop {settings.crop} reaches out of the photograph: give left, top, width, height as shares"
            )
        return Crop(kind="fixed", left=left, top=top, width=width, height=height)
    normal = [each.small.astype(np.float32) for each in readable if not each.example.is_anomalous]
    return cropping.learned(normal[:_CROP_SAMPLE])


def _input_size(readable: Sequence[_Readable], crop: Crop, settings: DetectorSettings) -> tuple[int, int]:
    width, height = (float(np.median([getattr(each, side) for each in readable])) for side in ("width", "height"))
    return patches.input_size(round(crop.width * width), round(crop.height * height), settings.input_px)


def _set(readable: Sequence[_Readable], settings: DetectorSettings, crop: Crop, tell: Any) -> _Set:
    size = _input_size(readable, crop, settings)
    labels = sorted({told for each in readable for told in each.example.mask_labels.values()})
    names: dict[str, str] = {}
    for name, colour in labels:
        names.setdefault(name, colour)
    pixels: list[NDArray[np.uint8]] = []
    boxes: list[cropping.Box] = []
    for done, each in enumerate(readable, start=1):
        seen = see(each.example.read(), crop, size)
        pixels.append(seen.pixels)
        boxes.append(seen.box)
        tell("crop photographs", done, len(readable))
    masks = {}
    for at, each in enumerate(readable):
        mask = each.example.read_mask() if each.example.is_anomalous else None
        if mask is not None:
            masks[at] = _covered(mask, each, boxes[at], size, list(names))
    painted = [n for n, name in enumerate(names) if any(mask[n].max() > 0 for mask in masks.values())]
    return _Set(
        settings=settings,
        crop=crop,
        size=size,
        photograph=Counter((each.width, each.height) for each in readable).most_common(1)[0][0],
        sources=[each.example.source for each in readable],
        groups=doctor.groups(
            [each.small.astype(np.float32) for each in readable],
            [each.digest for each in readable],
            [each.example.is_anomalous for each in readable],
        ),
        anomalous=np.array([each.example.is_anomalous for each in readable]),
        pixels=pixels,
        masks={at: mask[painted] for at, mask in masks.items()} if painted else {},
        labels=tuple(list(names.items())[n] for n in painted),
    )


def _covered(
    mask: NDArray[np.uint8], of: _Readable, box: cropping.Box, size: tuple[int, int], names: Sequence[str]
) -> NDArray[np.float32]:
    """Shares of the network's input that labels cover, (labels, height / 8, width / 8)."""
    numbers: Mapping[int, tuple[str, str]] = of.example.mask_labels
    x, y = mask.shape[1] / of.width, mask.shape[0] / of.height
    left, top, width, height = box
    around = (left * x, top * y, (left + width) * x, (top + height) * y)
    grid = (size[0] // 8, size[1] // 8)
    shares: list[NDArray[np.float32]] = []
    for name in names:
        wanted = [number for number, (own, _) in numbers.items() if own == name]
        image = Image.fromarray(np.isin(mask, wanted).astype(np.uint8) * 255)
        share: NDArray[np.float32] = np.asarray(image.resize(grid, Image.Resampling.BOX, box=around), np.float32)
        shares.append(share / np.float32(255))
    covered: NDArray[np.float32] = np.array(shares, np.float32).reshape(-1, grid[1], grid[0])
    return covered


def _detector(whole: _Set, graph: bytes, arithmetic: str, tell: Any) -> tuple[Fitted, Detector]:
    network = patches.session(graph)
    features = []
    for done, pixels in enumerate(whole.pixels, start=1):
        features.append(np.ascontiguousarray(patches.features(network, pixels, surface=whole.crop.surface)))
        tell("compute features", done, len(whole.pixels))
    folds = fitting.folds(whole.groups, whole.anomalous, whole.settings.seed)
    rows, columns = features[0].shape[:2]
    masks = {at: _on_grid(mask, rows, columns) for at, mask in whole.masks.items()}
    photographs = fitting.Photographs(
        features=features,
        anomalous=whole.anomalous,
        groups=whole.groups,
        folds=folds,
        masks=masks,
        labels=whole.labels,
        maps=patches.channels(network),
        surface=whole.crop.surface,
    )
    fitted = fitting.fit(photographs, whole.settings, tell)
    facts = Facts(
        normals=int((~whole.anomalous).sum()),
        anomalies=int(whole.anomalous.sum()),
        photograph=whole.photograph,
        arithmetic=arithmetic,
    )
    return fitted, Detector(whole.settings, whole.crop, whole.size, graph, network, fitted.model, facts)


def _on_grid(mask: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    if mask.shape[1:] == (rows, columns):
        return mask
    return np.stack([np.asarray(Image.fromarray(each).resize((columns, rows), Image.Resampling.BOX)) for each in mask])


def _eight_bits(made: tuple[Fitted, Detector], whole: _Set, notes: list[str], tell: Any) -> tuple[Fitted, Detector]:
    """The detector in 8-bit arithmetic where it detects as well out of fold, else the given one; a note tells which."""
    fitted, detector = made
    if not detector.model.calibration.calibrated:
        notes.append("8-bit arithmetic was not tried: without anomalies nothing tells what it costs.")
        return made
    graph = quantised.graph(detector.graph, detector.network.get_inputs()[0].name, whole.pixels)
    other, small = _detector(whole, graph, "int8", tell)
    areas = [auroc(each.scores[~whole.anomalous], each.scores[whole.anomalous]) for each in (fitted, other)]
    keeps = areas[1] >= areas[0] - quantised.TOLERANCE
    notes.append(
        f"8-bit arithmetic was {'kept' if keeps else 'refused'}: out-of-fold AUROC {areas[1]:.3f} where float32 has "
        f"{areas[0]:.3f}."
    )
    return (other, small) if keeps else made


def _promises(detector: Detector) -> list[str]:
    calibration = detector.model.calibration
    notes = []
    if calibration.normals < calibration.normals_needed:
        missing = calibration.normals_needed - calibration.normals
        notes.append(
            f"{calibration.normals} different normal photographs promise at most {calibration.guarantee:.1%} false "
            f"rejects on average; for the budget of {calibration.budget:.1%} add {missing}."
        )
    if calibration.rejecting <= calibration.threshold and detector.settings.rules.min_confidence is None:
        notes.append(
            "No score lies between accepting and rejecting: set rules.min_confidence, such as 0.7, for people to look "
            "at unsure items."
        )
    if not calibration.calibrated:
        notes.append(
            f"Fewer than {fitting.FEWEST_ANOMALIES} anomalies: only normal items were learned, and the confidence is a "
            "scale, not a measured probability."
        )
    return notes


def _rows(detector: Detector, fitted: Fitted, whole: _Set) -> list[evaluation.Row]:
    calibration = detector.model.calibration
    rows = []
    told = (whole.sources, whole.anomalous.tolist(), fitted.scores.tolist(), fitted.folds.tolist())
    for source, truth, score, fold in zip(*told, strict=True):
        probability = calibration.probability(score)
        is_anomalous = score >= calibration.threshold
        confidence = probability if is_anomalous else 1 - probability
        verdict, _ = rules.verdict(
            detector.settings.rules.model_copy(update={"min_area": {}, "min_labels": 1}),
            is_anomalous=is_anomalous,
            confidence=confidence,
            anomalies=(),
            product_found=True,
            promised=score >= calibration.rejecting,
        )
        rows.append(
            evaluation.Row(
                source=source,
                anomalous=truth,
                is_anomalous=is_anomalous,
                confidence=confidence,
                probability=probability,
                score=score,
                verdict=verdict,
                fold=fold,
            )
        )
    return rows
