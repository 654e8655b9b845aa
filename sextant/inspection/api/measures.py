"""What the service told CloudWatch of each photograph, under its old names, in a namespace that is not AWS's own.

Dimensions ProjectName and ModelVersion. Source: developer guide, "Monitoring … with Amazon CloudWatch".
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMESPACE = "LookoutVision"

_DETECT = re.compile(r"/2020-11-20/projects/([^/]+)/models/([^/]+)/detect/?")


@dataclass
class Told:
    """An answer, once it is there."""

    answer: dict[str, Any] = field(default_factory=dict)


@contextmanager
def measured(event: Mapping[str, Any]) -> Iterator[Told]:
    """Tells the metrics of a DetectAnomalies whose answer the block has set; of other requests nothing."""
    told, began = Told(), time.monotonic()
    yield told
    matched = _DETECT.fullmatch(event.get("rawPath", ""))
    if matched:
        metrics = EphemeralMetrics(namespace=NAMESPACE)
        metrics.add_dimension("ProjectName", matched[1])
        metrics.add_dimension("ModelVersion", matched[2])
        for name, value in counts(told.answer).items():
            metrics.add_metric(name, MetricUnit.Count, value)
        metrics.add_metric("Time", MetricUnit.Milliseconds, (time.monotonic() - began) * 1000)
        print(json.dumps(metrics.serialize_metric_set()))  # noqa: T201 - how a function tells metrics


def counts(answer: Mapping[str, Any]) -> dict[str, int]:
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
