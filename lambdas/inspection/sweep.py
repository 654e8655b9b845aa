"""Photographs that no event or run brought to a verdict: they are found in the bucket and tried again."""

import datetime as dt
from functools import partial
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


_ENOUGH_MS = 120_000
"""Time in which a page of 1,000 keys is surely compared."""
logger = Logger(service="inspection-sweep")
place = environment(Place)
journal = Journal(Table(aws.client("dynamodb"), place.TABLE))
s3, stepfunctions = aws.client("s3"), aws.client("stepfunctions")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Goes on with a comparison of bucket and journal or begins another; tells how many photographs it `started`.

    Takes `hours`, `settled`, `every` and `quarantined`: see `due`.
    """
    found = 0
    now, left = dt.datetime.now(dt.UTC), partial(_time_left, context)
    for each in sweep.due(journal, s3, place.BUCKET, event, now=now, time_left=left):
        sweep.start(stepfunctions, place.MACHINE_ARN, each)
        found += 1
    logger.info("swept", found=found)
    return {"started": found}


def _time_left(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() > _ENOUGH_MS
