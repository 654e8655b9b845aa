"""The one place that makes boto3 clients: adaptive retries, and timeouts by who waits.

Functions: a call to a service that does not answer ends within 24 s, which is before the function does: three attempts
of at most 2 s to connect and 5 s to read, and waits of up to 1 s and 2 s between them. Only a service that throttles
can make one longer. The shortest time limit of a function is 29 s.

Jobs: nobody waits at a screen, and a job that gives up loses hours. They read gigabytes from S3, whose answers pause
for more than 5 s where many connections share a link, or where S3 makes room for more requests.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config
from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

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
JOB_CONFIG = CONFIG.merge(
    Config(retries={"mode": "adaptive", "total_max_attempts": 8}, connect_timeout=10, read_timeout=60)
)
BROKEN = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError)
"""What reading a body raises when the connection breaks in the middle of it, or stalls."""
READS = 3
"""How often in a row a body may break. botocore tries again until an answer begins, and not after that."""
# botocore signs links to objects by version 2 where nobody asks: S3 refuses these for objects under a key of KMS.
_S3 = Config(signature_version="s3v4")


@overload
def client(service: Literal["athena"], config: Config = CONFIG) -> AthenaClient: ...


@overload
def client(service: Literal["glue"], config: Config = CONFIG) -> GlueClient: ...


@overload
def client(service: str, config: Config = CONFIG) -> BaseClient: ...


def client(service: str, config: Config = CONFIG) -> object:
    """A client of an AWS service, by boto3's name, in the region and at the endpoint that the environment tells.

    `config` is CONFIG in functions and JOB_CONFIG in jobs.
    """
    settings = config.merge(_S3) if service == "s3" else config
    return boto3.client(service, config=settings)  # type: ignore[call-overload]  # the overloads above give the type


def read_object(s3: Any, **request: Any) -> tuple[bytes, str]:
    """The body that GetObject gives, and its ETag without quotes; a body that breaks is asked for again.

    Args:
        s3: boto3's client.
        request: of GetObject; with a Range, the body is that of the range.

    Raises:
        ClientError: S3 refuses.
        BotoCoreError: S3 cannot be reached, or every body broke.
    """
    for _ in range(READS - 1):
        try:
            return _read_object(s3, request)
        except BROKEN:
            continue
    return _read_object(s3, request)


def _read_object(s3: Any, request: dict[str, Any]) -> tuple[bytes, str]:
    found = s3.get_object(**request)
    with closing(found["Body"]) as body:
        return body.read(), str(found.get("ETag", "")).strip('"')
