"""Every five minutes: the lines of verdicts, the version that was replaced, and what waited for a model."""

import datetime as dt
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api import wiring
from sextant.inspection.loop import champion, lines, sweep
from sextant.inspection.loop.journal import NO_MODEL, Journal


class Place(BaseModel):
    """The environment of this function, besides that of the API."""

    model_config = ConfigDict(frozen=True)

    MACHINE_ARN: str


logger = Logger(service="inspection-upkeep")
place = environment(Place)
services = wiring.services()
journal = Journal(services.table)
stepfunctions = aws.client("stepfunctions")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes nothing. Twice at once does no harm: every object is overwritten with the same."""
    written = lines.publish(journal, services.s3, services.place.BUCKET, dt.datetime.now(dt.UTC))
    stopped = [name for name in journal.projects() if champion.tidy(services, name)]
    waiting = list(sweep.held(journal, services.place.BUCKET, NO_MODEL))
    hosted = {name for name in {each.project for each in waiting} if champion.is_answered(services, name)}
    again = [each for each in waiting if each.project in hosted]
    for each in again:
        sweep.start(stepfunctions, place.MACHINE_ARN, each)
    logger.info("upkeep", lines=len(written), stopped=stopped, again=len(again))
    return {"lines": written, "stopped": stopped, "again": len(again)}
