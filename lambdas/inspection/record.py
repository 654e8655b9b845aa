"""After detection: writes the verdict into the journal, once, and tells what comes next."""

import datetime as dt
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api.store import Table
from sextant.inspection.loop.journal import Journal
from sextant.inspection.loop.record import Place, Recorder

logger = Logger(service="inspection-record")
place = environment(Place)
recorder = Recorder(Journal(Table(aws.client("dynamodb"), place.TABLE)), aws.client("s3"), place.METRICS)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes what the detecting function gave, or as `told` the item of a reject that people have heard of.

    The same execution may call again: it is told the same.
    """
    if "told" in event:
        recorder.journal.told(event["told"])
        return {"told": event["told"]}
    done = recorder.write(event, dt.datetime.now(dt.UTC))
    logger.info("recorded", verdict=done["verdict"], item=done["item"])
    return done
