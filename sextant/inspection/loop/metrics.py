"""Metrics under the names and dimensions that Amazon Lookout for Vision had.

The namespace cannot be its own: CloudWatch takes nothing below `AWS/` from anybody else. It is
`Sextant/{environment}/LookoutVision`: an old dashboard or alarm needs that one word changed. Names and dimensions are
from the page "Monitoring Lookout for Vision with CloudWatch" of its developer guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from aws_lambda_powertools.metrics import MetricUnit, single_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

Name: TypeAlias = Literal[
    "DetectedAnomalyCount",
    "ErrorCount",
    "InvalidImageCount",
    "ProcessedImageCount",
    "SuccessfulRequestCount",
    "ThrottledCount",
    "Time",
]


def tell(namespace: str, project: str, version: str, values: Mapping[Name, float]) -> None:
    """Writes metrics of a model version into the function's log, from which CloudWatch takes them.

    Args:
        namespace: see above.
        project: dimension ProjectName.
        version: dimension ModelVersion.
        values: counts, and `Time` in milliseconds.
    """
    dimensions = {"ProjectName": project, "ModelVersion": version}
    for name, value in values.items():
        unit = MetricUnit.Milliseconds if name == "Time" else MetricUnit.Count
        with single_metric(name=name, unit=unit, value=value, namespace=namespace, default_dimensions=dimensions):
            pass  # the block ends with the line
