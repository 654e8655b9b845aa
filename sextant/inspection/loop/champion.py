"""Which model version answers a project's belts: a pointer that a person or a comparison moves, and back.

The item PROJECT#{project} / CHAMPION holds `version`, `before` (the version it replaced, or None), `since`, `by` and
`reason`. Hosting follows the pointer: the version before goes on answering until the new one is hosted.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sextant.inspection.api import models
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.store import Change, Put

if TYPE_CHECKING:
    from sextant.inspection.api.services import Services, Version
    from sextant.inspection.api.store import Item, Key

USABLE = frozenset({"TRAINED", "STARTING_HOSTING", "HOSTED", "HOSTING_FAILED", "STOPPING_HOSTING"})
"""The states of a version whose training has succeeded."""


class Champion(BaseModel):
    """The pointer; times in ISO 8601, UTC."""

    model_config = ConfigDict(frozen=True)

    version: int
    before: int | None = None
    since: str
    by: str
    reason: str
    retiring: bool = False
    """Whether the version before is still to be stopped."""


class NoModelError(Exception):
    """No version of the project answers photographs now. `missing` tells that there is no such project."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


def champion_key(project: str) -> Key:
    """The item of the pointer."""
    return f"PROJECT#{project}", "CHAMPION"


def champion(services: Services, project: str) -> Champion | None:
    """A project's pointer, None before its first model."""
    found = services.table.get(champion_key(project))
    return None if found is None else Champion.model_validate(found)


def point(services: Services, project: str, version: int, by: str, reason: str) -> Champion:
    """Moves the pointer to a version and hosts it where the one before is hosted. The same again changes nothing.

    Args:
        services: of the API.
        project: whose belts it concerns.
        version: the one that is to answer.
        by: who decided.
        reason: why, in words.

    Raises:
        ApiError: there is no such version, or its training did not succeed.
    """
    _, item = models.settled(services, project, str(version))
    if item["status"] not in USABLE:
        message = f"Version {project}/{version} is {item['status']}; only a trained one can answer."
        raise ApiError("ConflictException", 409, message)
    now = champion(services, project)
    if now is not None and now.version == version:
        return now
    moved = Champion(
        version=version,
        before=now.version if now else None,
        since=_iso(services.now()),
        by=by,
        reason=reason,
        retiring=now is not None,
    )
    services.table.commit(Put(champion_key(project), moved.model_dump(exclude_none=True), absent=False))
    if now is not None and item["status"] in {"TRAINED", "HOSTING_FAILED"}:
        _, old = models.settled(services, project, str(now.version))
        if old["status"] in {"HOSTED", "STARTING_HOSTING"}:
            _start(services, project, version, int(old.get("units", 1)))
    return moved


def roll_back(services: Services, project: str, by: str) -> Champion:
    """Moves the pointer back to the version before.

    Raises:
        ApiError: there is none, or it was deleted.
    """
    now = champion(services, project)
    if now is None or now.before is None:
        raise ApiError("ConflictException", 409, f"Project {project} has had no version before: nothing to go back to.")
    return point(services, project, now.before, by, f"rolled back from version {now.version}")


def answering(services: Services, project: str) -> tuple[Version, Item]:
    """The version that answers photographs now: the champion, or the one before while the champion is not hosted yet.

    Without a pointer it is the newest hosted version: a project whose models were started by hand works as it is.

    Raises:
        NoModelError: nothing is hosted, or there is no such project.
    """
    pointer = champion(services, project)
    asked = [pointer.version, pointer.before] if pointer else _newest(services, project)
    for number in asked:
        if number is None:
            continue
        try:
            version, item = models.settled(services, project, str(number))
        except ApiError:
            continue  # it was deleted
        if item["status"] == "HOSTED":
            return version, item
    if services.table.get((f"PROJECT#{project}", "PROJECT")) is None:
        message = f"There is no project {project}: create it, or put the photographs below the name of one there is"
        raise NoModelError(message, missing=True)
    raise NoModelError(
        f"No model version of project {project} is hosted: start one (StartModel). What has arrived waits until then"
    )


def is_answered(services: Services, project: str) -> bool:
    """Whether a version answers photographs of a project now."""
    try:
        answering(services, project)
    except NoModelError:
        return False
    return True


def tidy(services: Services, project: str) -> str | None:
    """Stops the version before, once, when the champion is hosted: nobody pays for two. Tells which, or None."""
    pointer = champion(services, project)
    if pointer is None or pointer.before is None or not pointer.retiring:
        return None
    try:
        _, new = models.settled(services, project, str(pointer.version))
        _, old = models.settled(services, project, str(pointer.before))
    except ApiError:
        return None
    if new["status"] != "HOSTED":
        return None
    stopped = old["status"] == "HOSTED"
    if stopped:
        models.stop_model(services, {"ProjectName": project, "ModelVersion": str(pointer.before)})
    services.table.commit(Change(champion_key(project), {"retiring": False}, {"since": [pointer.since]}))
    return str(pointer.before) if stopped else None


def _newest(services: Services, project: str) -> list[int]:
    there = [int(item["number"]) for _, item in services.table.below(f"PROJECT#{project}", "MODEL#")]
    return there[::-1]


def _start(services: Services, project: str, version: int, units: int) -> None:
    models.start_model(services, {"ProjectName": project, "ModelVersion": str(version), "MinInferenceUnits": units})


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
