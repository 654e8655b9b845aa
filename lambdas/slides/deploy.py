"""After a person has decided about a model package, and after the endpoint has changed: brings it up to date."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.environment import environment
from sextant.slides.deploy import Serving, deploy

logger = Logger(service="slides-deploy")
serving = environment(Serving)
sagemaker = aws.client("sagemaker")
scaling = aws.client("application-autoscaling")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles SageMaker's Model Package State Change and Endpoint State Change, each any number of times."""
    detail = event["detail"]
    asked = detail["ModelPackageArn"] if detail.get("ModelApprovalStatus") == "Approved" else None
    done = deploy(sagemaker, scaling, serving, asked)
    logger.info("endpoint compared with the registry", asked=asked, done=done)
    return {"endpoint": serving.ENDPOINT, "done": done}
