"""Every hour: whether the cameras still see, and the models still score, as in their training."""

import datetime as dt
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api import wiring
from sextant.inspection.loop import watch
from sextant.inspection.loop.champion import champion
from sextant.inspection.loop.journal import Journal
from sextant.inspection.loop.projects import for_each
from sextant.inspection.loop.scores import normal_scores


class Place(BaseModel):
    """The environment of this function, besides that of the API."""

    model_config = ConfigDict(frozen=True)

    ALARMS_TOPIC: str


logger = Logger(service="inspection-drift")
place = environment(Place)
services = wiring.services()
journal = Journal(services.table)
sns: Any = aws.client("sns")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes nothing. Photographs are looked at once; an alarm that was told is not told again."""
    told: list[str] = []

    def look(project: str) -> None:
        pointer = champion(services, project)
        if pointer is None:
            return
        scores = normal_scores(services, project, pointer.version)
        for found in watch.look(journal, project, str(pointer.version), scores, dt.datetime.now(dt.UTC)):
            subject = f"Drift: {project}, camera {found.camera}, {found.measure}"
            text = watch.words(project, found)
            ascii_only = subject.encode("ascii", "replace").decode()[:100]
            sns.publish(TopicArn=place.ALARMS_TOPIC, Subject=ascii_only, Message=text)
            told.append(text)

    for_each(journal.projects(), look)
    logger.info("looked", alarms=told)
    return {"alarms": told}
