"""The last step of a run: its model enters the registry, to be approved by a person."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.environment import environment
from sextant.slides.register import Registry, Trained, register

logger = Logger(service="slides-register")
registry = environment(Registry)
sagemaker = aws.client("sagemaker")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes the state machine's input with `model.data`; called twice for a run, it adds one package."""
    trained = Trained(run=event["run"], root=event["root"], data=event["model"]["data"])
    arn = register(sagemaker, registry, trained)
    logger.info("model registered", run=trained.run, package=arn)
    return {"package": arn}
