"""After a person has approved a model package: brings it to the endpoint."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.environment import environment
from sextant.slides.deploy import Serving, deploy

logger = Logger(service="slides-deploy")
serving = environment(Serving)
sagemaker = aws.client("sagemaker")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles `SageMaker Model Package State Change`. The same event twice changes the endpoint once."""
    detail = event["detail"]
    done = deploy(sagemaker, serving, detail["ModelPackageArn"])
    logger.info("endpoint brought up to date", package=detail["ModelPackageArn"], done=done)
    return {"endpoint": serving.ENDPOINT, "done": done}
