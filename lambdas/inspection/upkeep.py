"""Every five minutes: lines of verdicts, what was replaced, what waited for a model, rejects that nobody heard of."""

import datetime as dt
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api import models, wiring
from sextant.inspection.loop import champion, lines, review, sweep
from sextant.inspection.loop.journal import NO_MODEL, Journal
from sextant.inspection.loop.projects import for_each


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
    now = dt.datetime.now(dt.UTC)
    written = lines.publish(journal, services.s3, services.place.BUCKET, now)
    again = list(sweep.untold(journal, now))
    waiting = list(sweep.held(journal, services.place.BUCKET, NO_MODEL))
    stopped: list[str] = []

    def tidy(project: str) -> None:
        models.settle_hosting(services, project)
        review.settle(journal, project)
        again.extend(each for each in waiting if each.project == project and champion.is_answered(services, project))
        stopped.extend(f"{project}/{version}" for version in champion.tidy(services, project))

    try:
        for_each(journal.projects(), tidy)
    finally:
        for each in again:
            sweep.start(stepfunctions, place.MACHINE_ARN, each)
        logger.info("upkeep", lines=len(written), stopped=stopped, again=len(again))
    return {"lines": written, "stopped": stopped, "again": len(again)}
