"""HTTP API of the inspection pages: projects, datasets, models, what waits for a person, belts."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.environment import environment
from sextant.inspection.api import wiring
from sextant.inspection.pages import inspection_routes
from sextant.inspection.pages_desk import FAULTS, Desk, Place, fault

logger = Logger(service="inspection-pages")
place = environment(Place)
functions: Any = aws.client("lambda")


def examine(project: str) -> None:
    """Starts the data doctor without waiting for it."""
    payload = json.dumps({"project": project}).encode()
    functions.invoke(FunctionName=place.DOCTOR_FUNCTION, InvocationType="Event", Payload=payload)


desk = Desk(wiring.services(), aws.client("athena"), place, examine)
app = application("Sextant inspection pages", inspection_routes(desk, logger), logger, faults=FAULTS, fault=fault)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
