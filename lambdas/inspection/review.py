"""What a person says of verdicts: verified, added to the dataset, trained on, promoted, rolled back."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.inspection.api import wiring
from sextant.inspection.loop import champion, duel, review
from sextant.inspection.loop.journal import Journal

logger = Logger(service="inspection-review")
services = wiring.services()
journal = Journal(services.table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes `action`, `project`, `who`, and what the action needs: `items` (keys `[pk, sk]`), `correct`, `version`."""
    project, who = event["project"], event.get("who", "unknown")
    keys = [(pk, sk) for pk, sk in event.get("items", [])]
    logger.info("asked", action=event["action"], project=project, who=who)
    match event["action"]:
        case "verify":
            done = [review.verify(journal, key, correct=event["correct"], who=who) for key in keys]
            return {"verified": [each.item for each in done]}
        case "add":
            return {"added": review.add(services, journal, project, keys)}
        case "train":
            return {"version": review.train(services, project)}
        case "promote":
            reason = event.get("reason", "promoted by hand")
            return champion.point(services, project, int(event["version"]), who, reason).model_dump()
        case "roll_back":
            return champion.roll_back(services, project, who).model_dump()
        case "freeze":
            return {"photographs": len(duel.freeze(services, project, int(event["version"])))}
        case other:
            raise ValueError(f"action {other!r}: give verify, add, train, promote, roll_back or freeze")
