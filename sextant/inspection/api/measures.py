"""What the service told CloudWatch of each photograph that it was asked about."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sextant.inspection.loop import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

_DETECT = re.compile(r"/2020-11-20/projects/([^/]+)/models/([^/]+)/detect/?")


def tell(namespace: str, event: Mapping[str, Any], answer: Mapping[str, Any], seconds: float) -> None:
    """Tells the metrics of a DetectAnomalies; of other requests nothing.

    Args:
        namespace: of the metrics.
        event: of an HTTP API.
        answer: that it got.
        seconds: it took.
    """
    matched = _DETECT.fullmatch(event.get("rawPath", ""))
    if matched:
        metrics.tell(namespace, matched[1], matched[2], {**counts(answer), "Time": seconds * 1000})


def counts(answer: Mapping[str, Any]) -> dict[metrics.Name, float]:
    """The metrics that one answer counts in."""
    match answer["statusCode"]:
        case 200:
            anomalous = json.loads(answer["body"])["DetectAnomalyResult"]["IsAnomalous"]
            return {"ProcessedImageCount": 1, "SuccessfulRequestCount": 1, "DetectedAnomalyCount": int(anomalous)}
        case 400:
            return {"InvalidImageCount": 1, "ErrorCount": 1}
        case 429:
            return {"ThrottledCount": 1}
        case _:
            return {"ErrorCount": 1}
