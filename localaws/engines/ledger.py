"""The records of an engine: by account, region and names, durable, changed under one lock."""

from __future__ import annotations

import functools
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import botocore.session
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

    from localaws.home import Document, Home


class Place(NamedTuple):
    """One account's service in one region. A service's own subclass knows the form of its ARNs."""

    account: str
    region: str


P = TypeVar("P", bound=Place)


class Ledger(Generic[P]):
    """The base of an engine's parts. Every change of a record happens under `_lock`.

    Args:
        home: the surroundings.
        clock: epoch seconds, for time stamps.
        place: makes the service's place from account and region.
        service: its name, before each kind's in the name of the table.
        kinds: of records.
    """

    def __init__(
        self,
        home: Home,
        clock: Callable[[], float] = time.time,
        *,
        place: Callable[[str, str], P],
        service: str,
        kinds: Iterable[str],
    ) -> None:
        self._home = home
        self._clock = clock
        self._lock = threading.RLock()
        self._place = place
        self._records: dict[str, MutableMapping[str, Document]] = {
            kind: home.records(f"{service}_{kind}") for kind in kinds
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _read(self, kind: str, place: P, *names: str) -> Document | None:
        return self._records[kind].get("/".join((*place, *names)))

    def _write(self, kind: str, place: P, document: Document, *names: str) -> None:
        self._records[kind]["/".join((*place, *names))] = document

    def _remove(self, kind: str, place: P, *names: str) -> None:
        self._records[kind].pop("/".join((*place, *names)), None)

    def _all(self, kind: str, place: P, *names: str) -> list[Document]:
        """The documents below these names, in key order."""
        prefix = "/".join((*place, *names)) + "/"
        records = self._records[kind]
        found = (records.get(key) for key in list(records) if key.startswith(prefix))
        return [document for document in found if document is not None]

    def _everywhere(self, kind: str) -> list[tuple[P, Document]]:
        records = self._records[kind]
        found = []
        for key in list(records):
            account, region, _ = key.split("/", 2)
            document = records.get(key)
            if document is not None:
                found.append((self._place(account, region), document))
        return found


def shown(record: Document) -> Document:
    """The record as a Describe response: without the engine's own members, which begin with `_`."""
    return {key: value for key, value in record.items() if not key.startswith("_")}


def faults(service: str, operation: str, params: Mapping[str, Any]) -> str:
    """What botocore's model finds wrong with a request: clients look, too, state machines and templates do not."""
    report = ParamValidator().validate(dict(params), _shape(service, operation))
    return report.generate_report() if report.has_errors() else ""


@functools.cache
def _shape(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
