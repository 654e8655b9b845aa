"""After a slides.csv has arrived: starts the run over its cohort."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.environment import environment
from sextant.slides.start import arrived_at, run_input, start


class Place(BaseModel):
    """The environment of this function: the state machine, and the URI below which runs keep what they make."""

    model_config = ConfigDict(frozen=True)

    MACHINE_ARN: str
    RUNS: str


logger = Logger(service="slides-start")
place = environment(Place)
stepfunctions = aws.client("stepfunctions")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles S3's `Object Created` from EventBridge. The same event twice starts one run."""
    found = S3EventBridgeNotificationEvent(event)
    stored = found.detail.object
    given = run_input(found.detail.bucket.name, stored.key, stored.etag, arrived_at(found.time), place.RUNS)
    run = start(stepfunctions, place.MACHINE_ARN, given)
    logger.info("run started", run=run, table=given.table)
    return given.model_dump()
