"""The one place that makes boto3 clients: adaptive retries, and an end to each call before our functions' own.

A call to a service that does not answer ends within 24 s: three attempts of at most 2 s to connect and 5 s to read, and
waits of up to 1 s and 2 s between them. Only a service that throttles can make one longer. The shortest time limit of a
function is 29 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient

CONFIG = Config(
    retries={"mode": "adaptive", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    # A dashboard asks for all its reports at once: more threads than the default pool of 10 would wait for sockets.
    max_pool_connections=32,
)
# botocore signs links to objects by version 2 where nobody asks: S3 refuses these for objects under a key of KMS.
_S3 = CONFIG.merge(Config(signature_version="s3v4"))


@overload
def client(service: Literal["athena"]) -> AthenaClient: ...


@overload
def client(service: Literal["glue"]) -> GlueClient: ...


@overload
def client(service: str) -> BaseClient: ...


def client(service: str) -> object:
    """A client of an AWS service, by boto3's name, in the region and at the endpoint that the environment tells."""
    return boto3.client(service, config=_S3 if service == "s3" else CONFIG)  # type: ignore[call-overload]  # the overloads above give the type
