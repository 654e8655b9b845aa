"""One photograph through a detector. Training, Lambda, SageMaker and the edge all call `detect`.

Needs numpy, onnxruntime, Pillow and pydantic only.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from sextant.inspection import crop as cropping
from sextant.inspection import model as numbers
from sextant.inspection import patches, rules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.inspection.crop import Box, Crop
    from sextant.inspection.model import Judged, Model
    from sextant.inspection.rules import Verdict
    from sextant.inspection.settings import DetectorSettings

BACKGROUND = ("background", "#FFFFFF")
ANOMALY = ("anomaly", "#FF4136")
"""Name and colour of what is painted where training had no masks."""

_PNG_LEVEL = 1  # a mask is a few areas: more effort saves hundreds of bytes


class Facts(BaseModel):
    """What a model card tells of the training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    normals: int
    anomalies: int
    photograph: tuple[int, int]
    """Width and height in pixels, of most photographs; others are judged too."""
    arithmetic: str = "float32"


@dataclass(frozen=True, eq=False)
class Detector:
    """A trained detector. `size` is the network's input (width, height); `graph` the ONNX that `network` runs."""

    settings: DetectorSettings
    crop: Crop
    size: tuple[int, int]
    graph: bytes
    network: Any
    model: Model
    facts: Facts

    @property
    def segments(self) -> bool:
        """Whether it learned masks: then it is a segmentation model in the service's words."""
        return bool(self.model.labels)


@dataclass(frozen=True, eq=False)
class Quality:
    """Of the photograph.

    Brightness (mean) and contrast (deviation) of luminance, 0 to 255; sharpness is the variance of its Laplacian over
    the crop as the network sees it.
    """

    brightness: float
    contrast: float
    sharpness: float


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector says of a photograph.

    `confidence` is the calibrated probability that `is_anomalous` is right, `probability` that of an anomaly.
    `anomalies` are name, colour and share of the photograph, background first; `size` is the photograph's (width,
    height); a pixel of `mask` (height, width), as large as the photograph, is a position in `anomalies`. The mask is
    None where nothing is painted by a model without labels. `heat` (rows, columns) is how suspicious each patch of the
    crop is, 0 where the model begins to paint. `segments` tells whether the answer holds masks, as the service's
    segmentation models give them.
    """

    is_anomalous: bool
    confidence: float
    probability: float
    score: float
    verdict: Verdict
    verdict_reason: str
    anomalies: tuple[tuple[str, str, float], ...]
    mask: NDArray[np.uint8] | None
    size: tuple[int, int]
    crop: Box
    crop_ok: bool
    quality: Quality
    heat: NDArray[np.float32]
    segments: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """A photograph as the network sees it: its pixels (height, width, 3) at the input's size."""

    pixels: NDArray[np.uint8]
    box: Box
    product_found: bool
    quality: Quality


def see(pixels: NDArray[np.uint8], crop: Crop, size: tuple[int, int]) -> Seen:
    """The crop of a photograph (height, width, 3) at the network's size, and how good the photograph is."""
    image = Image.fromarray(pixels)
    box, found, small = cropping.located(crop, image)
    view = patches.view(image, box, size)
    light = small @ np.array([0.299, 0.587, 0.114], np.float32)
    grey = view @ np.array([0.299, 0.587, 0.114], np.float32)
    edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return Seen(view, box, found, Quality(float(light.mean()), float(light.std()), float(edges.var())))


def detect(detector: Detector, pixels: NDArray[np.uint8]) -> Detection:
    """The detection of a photograph (height, width, 3), RGB, as `photograph.read` gives it; any size.

    Raises:
        FloatingPointError: a backbone of one's own gives what is no finite number for it.
    """
    seen = see(pixels, detector.crop, detector.size)
    judged = numbers.judge(
        detector.model, patches.features(detector.network, seen.pixels, surface=detector.crop.surface)
    )
    calibration = detector.model.calibration
    probability = calibration.probability(judged.score)
    is_anomalous = judged.score >= calibration.threshold
    confidence = probability if is_anomalous else 1 - probability
    painted = heats(detector.model, judged)
    mask = None
    anomalies: tuple[tuple[str, str, float], ...] = ((*BACKGROUND, 1.0),)
    if detector.segments or is_anomalous:
        mask, anomalies = _painted(detector.model, painted, seen.box, pixels.shape[:2])
    verdict, reason = rules.verdict(
        detector.settings.rules,
        is_anomalous=is_anomalous,
        confidence=confidence,
        anomalies=anomalies,
        product_found=seen.product_found,
        familiar=not judged.is_strange,
        promised=judged.score >= calibration.rejecting,
    )
    return Detection(
        is_anomalous=is_anomalous,
        confidence=confidence,
        probability=probability,
        score=judged.score,
        verdict=verdict,
        verdict_reason=reason,
        anomalies=anomalies,
        mask=mask if detector.segments or len(anomalies) > 1 else None,
        size=(pixels.shape[1], pixels.shape[0]),
        crop=seen.box,
        crop_ok=seen.product_found,
        quality=seen.quality,
        heat=np.max(painted, axis=0),
        segments=detector.segments,
    )


def heats(model: Model, judged: Judged) -> NDArray[np.float32]:
    """One map for each label, or a single one where there are none: (labels, rows, columns), painted from 0 on."""
    if judged.labels:
        return np.stack(judged.labels)
    return (np.log(judged.distances) - np.float32(np.log(model.suspicious)))[None]


def _painted(
    model: Model, heat: NDArray[np.float32], box: Box, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], tuple[tuple[str, str, float], ...]]:
    """The mask, and name, colour and share of what it holds."""
    height, width = shape[:2]
    mask = np.zeros((height, width), np.uint8)
    left, top, box_width, box_height = box
    area = mask[top : top + box_height, left : left + box_width]
    named = [(each.name, each.colour) for each in model.labels] or [ANOMALY]
    highest = heat.max(0)
    anomalies: list[tuple[str, str, float]] = []
    for (name, colour), own in zip(named, heat, strict=True):
        if not (own >= 0).any():
            continue
        # Where labels overlap the stronger one is painted. Eight bits are enough for a line between cells.
        decisive = np.where(own >= highest, own, np.minimum(own, own - highest))
        levels = np.clip(128 + 64 * decisive, 0, 255).astype(np.uint8)
        larger = np.asarray(Image.fromarray(levels).resize((box_width, box_height), Image.Resampling.BILINEAR))
        found = larger >= 128
        if anomalies:
            found &= area == 0
        count = int(np.count_nonzero(found))
        if count:
            anomalies.append((name, colour, count / mask.size))
            area[found] = len(anomalies)
    return mask, ((*BACKGROUND, 1 - sum(share for _, _, share in anomalies)), *anomalies)


def response(detection: Detection) -> dict[str, Any]:
    """The answer to DetectAnomalies, member for member as the service gave it.

    Areas are shares from 0 to 1, whatever their name says; the first is the background. Models that were trained
    without masks answer without `Anomalies` and `AnomalyMask`.
    """
    result: dict[str, Any] = {
        "Source": {"Type": "direct"},
        "IsAnomalous": bool(detection.is_anomalous),
        "Confidence": float(detection.confidence),
    }
    if detection.segments and detection.mask is not None:
        result["Anomalies"] = [
            {"Name": name, "PixelAnomaly": {"TotalPercentageArea": share, "Color": colour}}
            for name, colour, share in detection.anomalies
        ]
        result["AnomalyMask"] = base64.b64encode(mask_png(detection)).decode("ascii")
    return {"DetectAnomalyResult": result}


def mask_png(detection: Detection) -> bytes:
    """The mask as a palette PNG of the photograph's size, in the labels' colours on white.

    Raises:
        ValueError: the detection has no mask.
    """
    if detection.mask is None:
        raise ValueError("this detection has no mask: the photograph is normal, or the model paints none")
    image = Image.fromarray(detection.mask)
    image.putpalette([int(colour[at : at + 2], 16) for _, colour, _ in detection.anomalies for at in (1, 3, 5)])
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=_PNG_LEVEL)
    return stream.getvalue()
