"""The environment of a Lambda function, checked once at cold start instead of at the first unlucky request."""

import os
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Settings = TypeVar("Settings", bound=BaseModel)


def environment(model: type[Settings], variables: Mapping[str, str] | None = None) -> Settings:
    """Environment variables as `model`, whose fields carry the variables' names.

    Args:
        model: a frozen pydantic model; variables it does not name are ignored.
        variables: instead of `os.environ`.

    Raises:
        ValueError: a variable is missing or unusable. The message names each one, the reason, and where to set it.
    """
    given = os.environ if variables is None else variables
    try:
        return model.model_validate({name: given[name] for name in model.model_fields if name in given})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(
            f"environment of this function: {faults}. Set it in the stack that creates the function."
        ) from None
