"""Photographs that no event or run brought to a verdict: they are found in the bucket and tried again."""

import datetime as dt
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api.store import Table
from sextant.inspection.loop import sweep
from sextant.inspection.loop.journal import Journal


class Place(BaseModel):
    """The environment of this function."""

    model_config = ConfigDict(frozen=True)

    TABLE: str
    BUCKET: str
    MACHINE_ARN: str


logger = Logger(service="inspection-sweep")
place = environment(Place)
journal = Journal(Table(aws.client("dynamodb"), place.TABLE))
s3, stepfunctions = aws.client("s3"), aws.client("stepfunctions")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes `hours` to look back (7), `settled`: seconds that one may be under way (600), `quarantined`: these too."""
    until = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=event.get("settled", 600))
    since = until - dt.timedelta(hours=event.get("hours", 7))
    found = list(sweep.missed(journal, s3, place.BUCKET, since, until))
    if event.get("quarantined"):
        found += sweep.held(journal, place.BUCKET)
    for each in found:
        sweep.start(stepfunctions, place.MACHINE_ARN, each)
    logger.info("swept", found=len(found))
    return {"started": len(found)}
