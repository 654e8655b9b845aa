"""Who may do what: people in a group of the console's user pool that gives them a role.

A token of the pool alone is not enough: reports name workers, and runs cost money. `analyst` reads; `admin` also starts
and stops runs and replays quarantined input.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["admin", "analyst"]

ROLES: frozenset[Role] = frozenset(get_args(Role))


class ForbiddenError(Exception):
    """The caller's roles do not allow it. `remedy` names the groups that would.

    Args:
        message: what is not allowed.
        roles: any of which would allow it.
    """

    def __init__(self, message: str, roles: frozenset[Role] = ROLES) -> None:
        super().__init__(message)
        self.remedy = f"Ask an administrator to add you to the group {' or '.join(sorted(roles))}, then sign in again."


def claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The token's claims in an HTTP API's event (payload format 2.0); none where a JWT authorizer left none."""
    found: Any = event.get("requestContext") or {}
    for part in ("authorizer", "jwt", "claims"):
        found = found.get(part) or {}
    return found if isinstance(found, Mapping) else {}


def groups(event: Mapping[str, Any]) -> frozenset[str]:
    """The Cognito groups in an HTTP API's event; none where it has no such claim.

    API Gateway writes a claim that is a list as one text, `[admin analyst]`; group names have no blanks.
    """
    claim = claims(event).get("cognito:groups")
    if isinstance(claim, str):
        claim = claim.removeprefix("[").removesuffix("]").split()
    return frozenset(each for each in claim if isinstance(each, str)) if isinstance(claim, list) else frozenset()


def roles(event: Mapping[str, Any]) -> frozenset[Role]:
    """The roles that the caller's groups give."""
    found = groups(event)
    return frozenset(each for each in ROLES if each in found)


def readers_only(app: Any, following: Callable[[Any], Any]) -> Any:
    """A middleware for Powertools' event handler: lets only people with a role through.

    Raises:
        ForbiddenError: the caller has none.
    """
    if not roles(app.current_event.raw_event):
        raise ForbiddenError("your sign-in is good, but none of your groups may read this")
    return following(app)


def admins_only(event: Mapping[str, Any], what: str) -> None:
    """Lets only administrators through.

    Raises:
        ForbiddenError: the caller is none; `what` says what only they may do.
    """
    if "admin" not in roles(event):
        raise ForbiddenError(f"only administrators may {what}", frozenset({"admin"}))
