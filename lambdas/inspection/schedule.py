"""A shift begins or ends: its project's model is hosted, or not."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import wiring
from sextant.inspection.loop.shift import begin, end

logger = Logger(service="inspection-schedule")
services = wiring.services()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes `project`, `action` (`start` or `stop`) and `units`. The same twice changes nothing more."""
    project = event["project"]
    starts = event["action"] == "start"
    done = [begin(services, project, int(event.get("units", 1)))] if starts else end(services, project)
    logger.info("shift", project=project, action=event["action"], done=done)
    return {"done": done}
