"""A dataset's change: its manifest read, its entries written or deleted."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import datasets, wiring

logger = Logger(service="inspection-ingest")
services = wiring.services()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles `{project, type, ticket}` from the API. The same event twice changes the dataset once."""
    state = datasets.ingest(services, event["project"], event["type"], event["ticket"])
    logger.info("dataset changed", project=event["project"], dataset=event["type"], state=state)
    return {"state": state}
