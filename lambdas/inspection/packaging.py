"""A packaging job: a trained version as an archive that an edge device installs."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import packaging, wiring
from sextant.inspection.edge.bundle import bundle

logger = Logger(service="inspection-packaging")
services = wiring.services()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles `{project, job}` from the API. The same event twice makes the same archive."""
    state = packaging.pack(services, event["project"], event["job"], bundle)
    logger.info("model packed", project=event["project"], job=event["job"], state=state)
    return {"state": state}
