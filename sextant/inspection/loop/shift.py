"""When a belt runs: its model is hosted for a shift and costs nothing outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sextant.inspection.api import models
from sextant.inspection.api.errors import ApiError
from sextant.inspection.loop.champion import USABLE, champion

if TYPE_CHECKING:
    from sextant.inspection.api.services import Services

_HOSTED = frozenset({"HOSTED", "STARTING_HOSTING"})


def begin(services: Services, project: str, units: int) -> str:
    """Hosts the champion, or the newest trained version where there is none; the state it then has."""
    version = _chosen(services, project)
    _, item = models.settled(services, project, str(version))
    if item["status"] in _HOSTED:
        return str(item["status"])
    asked = {"ProjectName": project, "ModelVersion": str(version), "MinInferenceUnits": units}
    return str(models.start_model(services, asked)["Status"])


def end(services: Services, project: str) -> list[str]:
    """Stops every hosted version of a project; which."""
    stopped = []
    for _, item in list(services.table.below(f"PROJECT#{project}", "MODEL#")):
        if item["status"] in _HOSTED:
            models.stop_model(services, {"ProjectName": project, "ModelVersion": str(item["number"])})
            stopped.append(str(item["number"]))
    return stopped


def _chosen(services: Services, project: str) -> int:
    pointer = champion(services, project)
    if pointer is not None:
        return pointer.version
    trained = [
        int(item["number"])
        for _, item in services.table.below(f"PROJECT#{project}", "MODEL#")
        if item["status"] in USABLE
    ]
    if not trained:
        message = f"Project {project} has no trained model to start: train one, or take its shift out of [inspection]."
        raise ApiError("ResourceNotFoundException", 404, message)
    return trained[-1]
