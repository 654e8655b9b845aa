"""Who answers for an item: the model on the device, and what the sorter needs of any answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sextant.inspection import archive, detector, photograph

if TYPE_CHECKING:
    from pathlib import Path

    from sextant.inspection.edge.settings import Verdict


_VERDICTS = ("accept", "reject", "review")


@dataclass(frozen=True)
class Answer:
    """A verdict on a photograph; the last four are known where the device's own model looked.

    Raises:
        ValueError: the verdict is none of a judge's, or the confidence is no probability: that is no answer.
    """

    verdict: Verdict
    reason: str
    confidence: float | None
    model: str
    labels: tuple[str, ...] = ()
    brightness: float | None = None
    sharpness: float | None = None
    crop_ok: bool | None = None

    def __post_init__(self) -> None:
        if self.verdict not in _VERDICTS:
            raise ValueError(f"{self.verdict!r} is no verdict of a judge")
        if self.confidence is not None and not 0 <= self.confidence <= 1:  # so is every NaN
            raise ValueError(f"the confidence {self.confidence!r} is no probability")


class Judge(Protocol):
    """Looks at a photograph's bytes.

    Raises:
        Exception: there is no answer.
    """

    def __call__(self, body: bytes, /) -> Answer: ...


def local(path: Path) -> Judge:
    """The model of a training's archive.

    Raises:
        ArchiveError: the file is no archive.
    """
    loaded = archive.load(path)
    model = hashlib.sha256(path.read_bytes()).hexdigest()[:12]

    def judge(body: bytes) -> Answer:
        found = detector.detect(loaded, photograph.read(body))
        return Answer(
            verdict=found.verdict,
            reason=found.verdict_reason,
            confidence=found.confidence,
            model=model,
            labels=tuple(name for name, _, _ in found.anomalies[1:]),
            brightness=found.quality.brightness,
            sharpness=found.quality.sharpness,
            crop_ok=found.crop_ok,
        )

    return judge
