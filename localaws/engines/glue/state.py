"""What all of Glue's operations share: durable records, names, paging, errors, the clock."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from localaws.engines import ledger
from localaws.engines.ledger import Ledger
from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SERVICE = "glue.amazonaws.com"
KINDS = ("classifiers", "crawlers", "crawls", "jobs", "job_runs", "triggers", "workflows", "workflow_runs", "tags")
PAGE = 100


class Place(ledger.Place):
    """One account's Glue in one region."""

    __slots__ = ()

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:glue:{self.region}:{self.account}:{kind}/{name}"


def place_of(call: Call) -> Place:
    return Place(call.account, call.region)


def not_found(kind: str, name: str) -> ServiceError:
    return ServiceError("EntityNotFoundException", f"{kind} with name: {name} not found.")


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInputException", message)


class State(Ledger[Place]):
    """The base of the engine's parts."""

    def __init__(self, home: Home, clock: Callable[[], float] = time.time) -> None:
        super().__init__(home, clock, place=Place, service="glue", kinds=KINDS)

    def _require(self, kind: str, shown: str, place: Place, *names: str) -> Document:
        document = self._read(kind, place, *names)
        if document is None:
            raise not_found(shown, names[-1])
        return document

    # -- tags ------------------------------------------------------------------------------------------------------

    def _set_tags(self, place: Place, kind: str, name: str, tags: Mapping[str, str] | None) -> None:
        if tags:
            self._write("tags", place, {"Tags": dict(tags)}, kind, name)

    def _tagged(self, place: Place, kind: str, names: Iterable[str], wanted: Mapping[str, str] | None) -> list[str]:
        if not wanted:
            return list(names)
        return [
            name
            for name in names
            if wanted.items() <= (self._read("tags", place, kind, name) or {"Tags": {}})["Tags"].items()
        ]

    def _tag_target(self, call: Call, arn: str) -> tuple[str, str]:
        """(kind, name) of a resource that exists here."""
        place = place_of(call)
        kind, _, name = arn.removeprefix(place.arn("", "")[:-1]).partition("/")
        if not arn.startswith(f"arn:aws:glue:{place.region}:{place.account}:") or not name:
            raise invalid(f"{arn!r} is not the ARN of a Glue resource in {place.region} of {place.account}")
        if f"{kind}s" in self._records and self._read(f"{kind}s", place, name) is None:
            raise not_found(kind.capitalize(), name)
        return kind, name

    def get_tags(self, call: Call, params: Document) -> Document:
        kind, name = self._tag_target(call, params["ResourceArn"])
        return {"Tags": (self._read("tags", place_of(call), kind, name) or {"Tags": {}})["Tags"]}

    def tag_resource(self, call: Call, params: Document) -> Document:
        kind, name = self._tag_target(call, params["ResourceArn"])
        with self._lock:
            known = (self._read("tags", place_of(call), kind, name) or {"Tags": {}})["Tags"]
            self._write("tags", place_of(call), {"Tags": {**known, **params["TagsToAdd"]}}, kind, name)
        return {}

    def untag_resource(self, call: Call, params: Document) -> Document:
        kind, name = self._tag_target(call, params["ResourceArn"])
        with self._lock:
            known = (self._read("tags", place_of(call), kind, name) or {"Tags": {}})["Tags"]
            kept = {key: value for key, value in known.items() if key not in params["TagsToRemove"]}
            self._write("tags", place_of(call), {"Tags": kept}, kind, name)
        return {}


def paged(items: list[Any], params: Mapping[str, Any], key: str) -> Document:
    """One page of a list. The token is the offset, so a list that grows between pages repeats or misses nothing old.

    Raises:
        ServiceError: InvalidInputException for a token this service did not give.
    """
    token = params.get("NextToken") or "0"
    if not token.isdigit() or int(token) > len(items):
        raise invalid(f"NextToken {token!r} was not given by this operation")
    start = int(token)
    end = start + int(params.get("MaxResults") or PAGE)
    page: Document = {key: items[start:end]}
    if end < len(items):
        page["NextToken"] = str(end)
    return page


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}{uuid.uuid4().hex}"


def hand_over(call: Call, role: str) -> None:
    """Checks that the caller may pass a role, by ARN or name, to Glue."""
    call.authorize("iam:PassRole", role_arn(place_of(call), role), {"iam:PassedToService": SERVICE})


def role_arn(place: Place, role: str) -> str:
    """Glue takes a role's ARN or its name."""
    return role if role.startswith("arn:") else f"arn:aws:iam::{place.account}:role/{role}"
