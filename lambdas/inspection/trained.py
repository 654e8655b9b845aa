"""After a training job has come to an end: its model version does, too."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import training, wiring

logger = Logger(service="inspection-trained")
services = wiring.services()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles `SageMaker Training Job State Change`. The same event twice, or late, changes nothing more."""
    job = event["detail"]["TrainingJobName"]
    state = training.ended(services, job)
    logger.info("training settled", job=job, state=state)
    return {"job": job, "state": state}
