"""What the console's pages of this system work with, and how they tell what AWS or the system's API refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from sextant.console import http
from sextant.console.model import Error
from sextant.console.operation import OperationError, told
from sextant.inspection.api.errors import ApiError
from sextant.inspection.loop.journal import Journal
from sextant.inspection.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sextant.inspection.api.services import Services

FAULTS = (OperationError, ApiError, LookupError, ManifestError, ClientError, BotoCoreError)
"""What a request may end in."""


class Place(BaseModel):
    """The environment of the function, besides that of the API."""

    model_config = ConfigDict(frozen=True)

    DATABASE: str
    WORKGROUP: str
    DOCTOR_FUNCTION: str
    """Examines the datasets of a project; it is not waited for."""


@dataclass(frozen=True)
class Desk:
    """The state of API and loop, Athena, and the examination of a project that runs by itself (`examine(project)`).

    `archives` holds what pages need of the latest archives, by the versions' unique names.
    """

    services: Services
    athena: Any
    place: Place
    examine: Callable[[str], None]
    archives: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def journal(self) -> Journal:
        """Verdicts, and what waits for a person."""
        return Journal(self.services.table)

    @property
    def bucket(self) -> str:
        """The system's own bucket."""
        return self.services.place.BUCKET


def fault(error: Exception) -> Error:
    """A fault of `FAULTS`, or of any request, as the API tells it."""
    match error:
        case ApiError():
            return Error(status=error.status, code=error.code, message=error.message, remedy="")
        case ManifestError():
            return Error(status=422, code="Manifest", message=str(error), remedy="Mend it, then try again.")
        case LookupError():
            return Error(status=404, code="NotThere", message=str(error.args[0]), remedy="Reload the page.")
        case ClientError() | BotoCoreError():
            try:
                with told("AWS"):
                    raise error
            except OperationError as refused:
                return http.fault(refused)
        case _:
            return http.fault(error)
