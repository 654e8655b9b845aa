"""The API of Lookout for Vision: all operations, behind an HTTP API that authorizes by IAM."""

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import measures, operations, wiring

logger = Logger(service="inspection-api")
services = wiring.services()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    began = time.monotonic()
    answer = operations.answer(services, event)
    measures.tell(services.place.METRICS, event, answer, time.monotonic() - began)
    return answer
