"""The API's services in a Lambda function, from its environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sextant import aws
from sextant.environment import environment
from sextant.inspection.api import backends
from sextant.inspection.api.services import Place, Services
from sextant.inspection.api.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sextant.inspection.api.services import Document, Task


def services() -> Services:
    """What every function of the API works with.

    Raises:
        ValueError: the environment is not complete.
    """
    place = environment(Place)
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    return Services(
        place=place,
        table=Table(aws.client("dynamodb"), place.TABLE),
        s3=s3,
        sagemaker=sagemaker,
        later=_later(aws.client("lambda"), place),
        backend=backends.backend(place, s3, sagemaker),
    )


def _later(functions: Any, place: Place) -> Callable[[Task, Document], None]:
    named = {"ingest": place.INGEST_FUNCTION, "packaging": place.PACKAGING_FUNCTION}

    def invoke(task: Task, document: Document) -> None:
        functions.invoke(FunctionName=named[task], InvocationType="Event", Payload=json.dumps(document).encode())

    return invoke
