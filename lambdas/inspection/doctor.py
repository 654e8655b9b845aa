"""The data doctor: examines the photographs of a project's datasets, which takes longer than a page waits."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection import pages_doctor
from sextant.inspection.api import wiring

logger = Logger(service="inspection-doctor")
services = wiring.services()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes `project`. Twice at once does no harm: the report is overwritten with the same."""
    found = pages_doctor.examine(services, event["project"])
    logger.info("examined", project=event["project"], findings=len(found.findings))
    return {"findings": len(found.findings)}
