"""Who may read the dashboards: people in a group of the console's user pool that gives them a role.

A token of the pool alone is not enough: the dashboards name workers and tell how long each of them worked.
"""

from collections.abc import Callable, Mapping
from typing import Any

ROLES = frozenset({"admin", "analyst"})


class ForbiddenError(Exception):
    """The caller has no role that may read dashboards."""

    remedy = f"Ask an administrator to add you to the group {' or '.join(sorted(ROLES))}, then sign in again."


def groups(event: Mapping[str, Any]) -> frozenset[str]:
    """The Cognito groups in an HTTP API's event (payload format 2.0); none where the event has no such claim.

    API Gateway writes a claim that is a list as one text, `[admin analyst]`; group names have no blanks.
    """
    found: Any = event.get("requestContext") or {}
    for part in ("authorizer", "jwt", "claims"):
        found = found.get(part) or {}
    claim = found.get("cognito:groups")
    if isinstance(claim, str):
        claim = claim.removeprefix("[").removesuffix("]").split()
    return frozenset(each for each in claim if isinstance(each, str)) if isinstance(claim, list) else frozenset()


def readers_only(app: Any, following: Callable[[Any], Any]) -> Any:
    """A middleware for Powertools' event handler: lets only people with a role through.

    Raises:
        ForbiddenError: the caller has none.
    """
    if not groups(app.current_event.raw_event) & ROLES:
        raise ForbiddenError("your sign-in is good, but none of your groups may read dashboards")
    return following(app)
