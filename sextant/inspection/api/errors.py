"""The errors of the API, by the names and HTTP statuses of its service model."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Resource: TypeAlias = Literal["PROJECT", "DATASET", "MODEL", "TRIAL", "MODEL_PACKAGE_JOB"]


class ApiError(Exception):
    """What a request is answered with when it cannot be done: boto3 raises it as `client.exceptions.<code>`.

    Args:
        code: the shape's name in the service model.
        status: HTTP status.
        message: for the person who called: names the input, the reason and the remedy.
        fields: further members of the shape, by their names there.
    """

    def __init__(self, code: str, status: int, message: str, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.fields = fields


def invalid(message: str) -> ApiError:
    """The request itself is unusable."""
    return ApiError("ValidationException", 400, message)


def missing(kind: Resource, name: str, message: str) -> ApiError:
    """What the request names is not there."""
    return ApiError("ResourceNotFoundException", 404, message, ResourceId=name, ResourceType=kind)


def conflict(kind: Resource, name: str, message: str) -> ApiError:
    """It is not in a state in which that can be done to it."""
    return ApiError("ConflictException", 409, message, ResourceId=name, ResourceType=kind)


def throttled(message: str, seconds: int) -> ApiError:
    """Something else must end first; the SDKs try again by themselves."""
    return ApiError("ThrottlingException", 429, message, ServiceCode=SERVICE, RetryAfterSeconds=seconds)


def over_quota(code: str, kind: Resource, name: str, message: str) -> ApiError:
    """A limit of the service; `code` is one of the limits' names in `limits`."""
    return ApiError(
        "ServiceQuotaExceededException",
        402,
        message,
        QuotaCode=code,
        ServiceCode=SERVICE,
        ResourceId=name,
        ResourceType=kind,
    )


def internal(message: str) -> ApiError:
    """A fault that the caller has no part in."""
    return ApiError("InternalServerException", 500, message)


SERVICE = "lookoutvision"
"""The service's code in Service Quotas."""
