"""A photograph has arrived: what the model that answers for its project says of it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import wiring
from sextant.inspection.loop.arrival import named_in
from sextant.inspection.loop.detection import Loaded, examine

logger = Logger(service="inspection-detect")
services = wiring.services()
loaded = Loaded(services.s3)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes `event`, S3's `Object Created`, and `run`, the execution's id; gives a verdict or the reason for none."""
    return examine(services, loaded, named_in(event["event"]), event["run"])
