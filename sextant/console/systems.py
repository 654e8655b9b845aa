"""The systems of this environment as the console's function finds them: one entry for each that can be deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Json

from sextant import aws
from sextant.console.labeling import Labeling
from sextant.console.model import EnvironmentSettings, SystemId  # noqa: TC001 - pydantic reads them
from sextant.labeling.client import Deployed  # noqa: TC001

if TYPE_CHECKING:
    from sextant.console.operation import Operation


class LabelingPlace(BaseModel):
    """Where the labeling stack is, and what its steps are called."""

    model_config = ConfigDict(frozen=True)

    deployed: Deployed
    titles: dict[str, str] = {}


class Variables(BaseModel):
    """The environment of the function: the environment file as deployed, and a place for each system that is there."""

    model_config = ConfigDict(frozen=True)

    ENVIRONMENT: Json[EnvironmentSettings]
    LABELING: Json[LabelingPlace] | None = None


def operations(variables: Variables) -> dict[SystemId, Operation]:
    """The deployed systems, each with its own clients."""
    found: dict[SystemId, Operation] = {}
    if place := variables.LABELING:
        found["labeling"] = Labeling(
            deployed=place.deployed,
            titles=place.titles,
            glue=aws.client("glue"),
            athena=aws.client("athena"),
            s3=aws.client("s3"),
        )
    return found
