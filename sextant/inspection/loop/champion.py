"""Which model version answers a project's belts: a pointer that a person or a comparison moves, and back.

The item PROJECT#{project} / CHAMPION holds `version`, `before` (the last one that answered, or None), `since`, `by` and
`reason`. Hosting follows the pointer: the version before goes on answering until the new one is hosted.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sextant.inspection.api import models
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import champion_key
from sextant.inspection.api.store import Action, Change, Put

if TYPE_CHECKING:
    from sextant.inspection.api.services import Services, Version
    from sextant.inspection.api.store import Item

USABLE = frozenset({"TRAINED", "STARTING_HOSTING", "HOSTED", "HOSTING_FAILED", "STOPPING_HOSTING"})
"""The states of a version whose training has succeeded."""
_RUNNING = frozenset({"HOSTED", "STARTING_HOSTING"})
_PATIENCE = 1800
"""Seconds in which a champion should be hosted: an endpoint takes a few minutes."""


class Champion(BaseModel):
    """The pointer; times in ISO 8601, UTC."""

    model_config = ConfigDict(frozen=True)

    version: int
    before: int | None = None
    since: str
    by: str
    reason: str
    retiring: bool = False
    """Whether the version before and those of `passed` are still to be stopped."""
    passed: tuple[int, ...] = ()
    """Versions that were replaced, too, before they were hosted or stopped."""
    rolled_back: tuple[int, ...] = ()
    """Versions that a person has taken back: no comparison promotes one again, only a person."""

    @property
    def replaced(self) -> tuple[int, ...]:
        """The versions that are still to be stopped."""
        return (self.before, *self.passed) if self.retiring and self.before is not None else ()


class NoModelError(Exception):
    """No version of the project answers photographs now. `missing` tells that there is no such project."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class NotHostedError(Exception):
    """A champion that should be hosted has not been for a while; the message tells why."""


def champion(services: Services, project: str) -> Champion | None:
    """A project's pointer, None before its first model."""
    found = services.table.get(champion_key(project))
    return None if found is None else Champion.model_validate(found)


def point(
    services: Services,
    project: str,
    version: int,
    by: str,
    reason: str,
    *,
    against: int | None = None,
    rolled_back: tuple[int, ...] = (),
) -> Champion:
    """Moves the pointer to a version and hosts it where the one before is hosted.

    The same again only tries the hosting again, where that has failed.

    Args:
        services: of the API.
        project: whose belts it concerns.
        version: the one that is to answer.
        by: who decided.
        reason: why, in words.
        against: the champion that was decided against, where that took a while.
        rolled_back: versions that must not come back by themselves, besides those of before.

    Raises:
        ApiError: there is no such version, its training did not succeed, or another has moved the pointer meanwhile.
    """
    overtaken = ApiError(
        "ConflictException",
        409,
        f"Another version of project {project} has just been made the champion. Look at it and try again.",
    )
    _, item = models.settled(services, project, str(version))
    if item["status"] not in USABLE:
        message = f"Version {project}/{version} is {item['status']}; only a trained one can answer."
        raise ApiError("ConflictException", 409, message)
    now = champion(services, project)
    if now is not None and now.version == version:
        moved = now
    elif against is not None and (now is None or now.version != against):
        raise overtaken
    else:
        moved = Champion(version=version, since=_iso(services.now()), by=by, reason=reason)
        action: Action = Put(champion_key(project), moved.model_dump(exclude_none=True))
        if now is not None:
            taken_back = [each for each in dict.fromkeys((*now.rolled_back, *rolled_back)) if each != version]
            changes = {**_replacing(services, project, now, version), "rolled_back": tuple(taken_back)}
            moved = moved.model_copy(update=changes)
            # Whoever decided did so against the champion that was there.
            seen: dict[str, list[Any]] = {"version": [now.version], "since": [now.since]}
            action = Change(champion_key(project), moved.model_dump(), seen)
        if services.table.commit(action):
            raise overtaken
    _follow(services, project, moved)
    return moved


def _replacing(services: Services, project: str, now: Champion, version: int) -> dict[str, Any]:
    """What of a pointer follows from the one that it replaces: `before` is the one that answers, if any does."""
    replaced = [each for each in dict.fromkeys((now.version, *now.replaced)) if each != version]
    before = next((each for each in replaced if _status(services, project, each) == "HOSTED"), now.version)
    return {"before": before, "passed": tuple(each for each in replaced if each != before), "retiring": True}


def _follow(services: Services, project: str, pointer: Champion) -> None:
    """Hosts the champion where one that it replaces runs, for its belt does, too."""
    if not pointer.replaced or _status(services, project, pointer.version) not in {"TRAINED", "HOSTING_FAILED"}:
        return
    for each in pointer.replaced:
        if _status(services, project, each) in _RUNNING:
            _, old = models.settled(services, project, str(each))
            _start(services, project, pointer.version, int(old.get("units", 1)))
            return


def _status(services: Services, project: str, number: int) -> str | None:
    """None of a version that was deleted."""
    try:
        _, item = models.settled(services, project, str(number))
    except ApiError:
        return None
    return str(item["status"])


def roll_back(services: Services, project: str, by: str) -> Champion:
    """Moves the pointer back to the version before; the one it leaves does not come back by itself.

    Raises:
        ApiError: there is none, or it was deleted.
    """
    now = champion(services, project)
    if now is None or now.before is None:
        raise ApiError("ConflictException", 409, f"Project {project} has had no version before: nothing to go back to.")
    reason = (
        f"rolled back from version {now.version}, which does not come back by itself; the next version is compared "
        "with this one"
    )
    back = (now.version,)
    return point(services, project, now.before, by, reason, against=now.version, rolled_back=back)


def answering(services: Services, project: str) -> tuple[Version, Item]:
    """The version that answers photographs now: the champion, or the one before while the champion is not hosted yet.

    Without a pointer it is the newest hosted version: a project whose models were started by hand works as it is.
    Nothing is changed: whoever looks at photographs may not.

    Raises:
        NoModelError: nothing is hosted, or there is no such project.
    """
    pointer = champion(services, project)
    asked = [pointer.version, pointer.before, *pointer.passed] if pointer else _newest(services, project)
    for number in asked:
        if number is None:
            continue
        try:
            version, item = models.observed(services, project, str(number))
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


def tidy(services: Services, project: str) -> list[str]:
    """Stops the versions that were replaced, once, when the champion is hosted: nobody pays for two. Tells which.

    A champion whose hosting has failed is started again.

    Raises:
        NotHostedError: it has not been hosted for long, though its belt runs.
        ApiError: a start or a stop was refused; the next time tries again.
    """
    pointer = champion(services, project)
    if pointer is None or not pointer.retiring:
        return []
    try:
        _, new = models.settled(services, project, str(pointer.version))
    except ApiError:
        return []  # it was deleted
    running = [each for each in pointer.replaced if _status(services, project, each) in _RUNNING]
    if new["status"] != "HOSTED":
        _follow(services, project, pointer)
        if running and services.now() - dt.datetime.fromisoformat(pointer.since).timestamp() > _PATIENCE:
            raise NotHostedError(
                f"Version {pointer.version} of project {project} is the champion since {pointer.since} and is "
                f"{new['status']}: {new['message']} Version {pointer.before} goes on answering. Mend the reason, or "
                "roll back."
            )
        return []
    for each in running:
        models.stop_model(services, {"ProjectName": project, "ModelVersion": str(each)})
    settled = {"retiring": False, "passed": ()}
    services.table.commit(Change(champion_key(project), settled, {"since": [pointer.since]}))
    return [str(each) for each in running]


def _newest(services: Services, project: str) -> list[int]:
    there = [int(item["number"]) for _, item in services.table.below(f"PROJECT#{project}", "MODEL#")]
    return there[::-1]


def _start(services: Services, project: str, version: int, units: int) -> None:
    models.start_model(services, {"ProjectName": project, "ModelVersion": str(version), "MinInferenceUnits": units})


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
