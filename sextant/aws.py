"""The one place that makes boto3 clients: adaptive retries, and time-outs shorter than any Lambda function's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_athena import AthenaClient

CONFIG = Config(
    retries={"mode": "adaptive", "max_attempts": 5},
    connect_timeout=3,
    read_timeout=20,
    # A dashboard asks for all its reports at once: more threads than the default pool of 10 would wait for sockets.
    max_pool_connections=32,
)


@overload
def client(service: Literal["athena"]) -> AthenaClient: ...


@overload
def client(service: str) -> BaseClient: ...


def client(service: str) -> object:
    """A client of an AWS service, by boto3's name, in the region and at the endpoint that the environment tells."""
    return boto3.client(service, config=CONFIG)  # type: ignore[call-overload]  # the overloads above give the type
