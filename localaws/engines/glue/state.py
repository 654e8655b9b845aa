"""What all of Glue's operations share: durable records, names, paging, errors, the clock."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from localaws.home import Call, Document, Home, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

KINDS = ("classifiers", "crawlers", "crawls", "jobs", "job_runs", "triggers", "workflows", "workflow_runs", "tags")
PAGE = 100


class Place(NamedTuple):
    """One account's Glue in one region."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:glue:{self.region}:{self.account}:{kind}/{name}"


def place_of(call: Call) -> Place:
    return Place(call.account, call.region)


def not_found(kind: str, name: str) -> ServiceError:
    return ServiceError("EntityNotFoundException", f"{kind} with name: {name} not found.")


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInputException", message)


class State:
    """The base of the engine's parts. Every change of a record happens under `_lock`."""

    def __init__(self, home: Home, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[str, MutableMapping[str, Document]] = {kind: home.records(f"glue_{kind}") for kind in KINDS}

    # -- records ---------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _read(self, kind: str, place: Place, *names: str) -> Document | None:
        return self._records[kind].get("/".join((*place, *names)))

    def _write(self, kind: str, place: Place, document: Document, *names: str) -> None:
        self._records[kind]["/".join((*place, *names))] = document

    def _remove(self, kind: str, place: Place, *names: str) -> None:
        self._records[kind].pop("/".join((*place, *names)), None)

    def _all(self, kind: str, place: Place, *names: str) -> list[Document]:
        """The documents below these names, in key order."""
        prefix = "/".join((*place, *names)) + "/"
        records = self._records[kind]
        found = (records.get(key) for key in list(records) if key.startswith(prefix))
        return [document for document in found if document is not None]

    def _everywhere(self, kind: str) -> list[tuple[Place, Document]]:
        records = self._records[kind]
        found = []
        for key in list(records):
            account, region, _ = key.split("/", 2)
            document = records.get(key)
            if document is not None:
                found.append((Place(account, region), document))
        return found

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


def role_arn(place: Place, role: str) -> str:
    """Glue takes a role's ARN or its name."""
    return role if role.startswith("arn:") else f"arn:aws:iam::{place.account}:role/{role}"
