"""A new model version has its archive: champion and challenger on the frozen test set."""

import re
from typing import Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant.environment import environment
from sextant.inspection import archive
from sextant.inspection.api import wiring
from sextant.inspection.loop.duel import judge


class Rule(BaseModel):
    """The environment of this function, besides that of the API."""

    model_config = ConfigDict(frozen=True)

    PROMOTION: Literal["automatic", "manual"]


logger = Logger(service="inspection-promote")
rule = environment(Rule)
services = wiring.services()
_ARCHIVE = re.compile(r"projects/([^/]+)/models/(\d+)/model\.tar\.gz")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles S3's `Object Created` of an archive. The same event twice compares twice and changes nothing more."""
    key = event["detail"]["object"]["key"]
    matched = _ARCHIVE.fullmatch(key)
    if matched is None:
        return {"decision": "none"}  # what a training job put out, before it is copied to its place
    automatic = rule.PROMOTION == "automatic"
    found = judge(services, archive.load, matched[1], int(matched[2]), automatic=automatic)
    logger.info("compared", project=matched[1], version=matched[2], decision=found.decision, words=found.words)
    return found.model_dump()
