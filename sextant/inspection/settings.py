"""How a detector is trained and how its answers become verdicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class RejectRules(BaseModel):
    """When an item that the model calls anomalous is let pass, or handed to a person, all the same.

    They are the three rules of the service's documentation: by confidence, by area and by number of anomaly labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_confidence: Share | None = None
    """Below this confidence nobody decides alone: the item goes to review."""
    min_area: dict[str, Share] = {}
    """By label: the share of the photograph from which on it counts. The label `*` stands for those not named."""
    min_labels: Annotated[int, Field(ge=1)] = 1
    """So many labels must count for a rejection."""

    @property
    def look_at_areas(self) -> bool:
        """Whether masks decide too."""
        return bool(self.min_area) or self.min_labels > 1


def _crop(given: Any) -> Any:
    """`0.1,0.2,0.5,0.5` as hyperparameters tell it."""
    if isinstance(given, str) and "," in given:
        return tuple(float(each) for each in given.strip("()[] ").split(","))
    return given


class DetectorSettings(BaseModel):
    """What a training is told; the defaults are meant for any product. SageMaker's hyperparameters are these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input_px: Annotated[int, Field(ge=128, le=1024)] = 320
    """The network sees a crop of about input_px² pixels."""
    backbone: Annotated[str, Field(pattern=r"^(lite0|file:.+|s3://.+)$")] = "lite0"
    """`lite0`, or a graph of one's own as a file or object: see `backbone`."""
    crop: Annotated[Literal["auto", "none"] | tuple[Share, Share, Share, Share], BeforeValidator(_crop)] = "auto"
    """`auto` follows the product where photographs show one on a plain background; `none` takes the whole photograph;
    or a region (left, top, width, height) as shares of the photograph."""
    false_reject_budget: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Of normal items at most this share may be rejected, on average over trainings: see `calibration`."""
    rules: RejectRules = RejectRules()
    bank_patches: Annotated[int, Field(ge=100, le=20000)] = 2000
    """Patches of normal items to compare with: memory and time of a photograph grow with them."""
    seed: Annotated[int, Field(ge=0)] = 0
    int8: bool = False
    """Try 8-bit arithmetic, and keep it only where it detects as well."""
