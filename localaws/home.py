"""What an engine may ask of its surroundings.

An engine is a class whose public methods are AWS operations in snake case: `start_query_execution(call, params)`.
`call` says who asks; `params` is the request as botocore would send it; the result is the response as boto3 shows it.
`Home` is the rest of the embedded AWS: object bodies, the data catalog, durable records, roles, logs and events.
`adapter.EmulatorHome` gives it on the running emulator, `folder_home.FolderHome` in a folder for tests and benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from pathlib import Path

Document: TypeAlias = dict[str, Any]


class ServiceError(Exception):
    """An error as AWS would answer it: boto3 raises it as `client.exceptions.<code>`.

    Args:
        code: the error's shape name, such as `InvalidRequestException`.
        message: for the person who called: names the input, the reason and, where there is one, the remedy.
        status: the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


class Authorizer(Protocol):
    """Raises `ServiceError("AccessDeniedException", …)` when a caller's policies do not allow an action.

    `context` holds the condition keys of the request that only the service knows, such as `iam:PassedToService`.
    """

    def __call__(self, action: str, resource: str, context: Mapping[str, str] | None = None, /) -> None: ...


def allow_all(action: str, resource: str, context: Mapping[str, str] | None = None) -> None:
    """The authorizer when IAM enforcement is off."""


@dataclass(frozen=True)
class Call:
    """Who calls, where, and what they may do.

    `authorize(action, resource_arn)` raises `ServiceError("AccessDeniedException", …)` when the caller's policies do
    not allow it. The wire has already checked the operation itself; engines check what the operation touches in the
    caller's name, as AWS does (Athena reads tables and objects with the caller's permissions).
    """

    account: str
    region: str
    authorize: Authorizer = field(default=allow_all, compare=False)
    principal: str = ""


@dataclass(frozen=True)
class StoredObject:
    """One object of a bucket as a listing shows it. `etag` is without quotes; `modified` is epoch seconds."""

    key: str
    size: int
    etag: str
    modified: float


class Objects(Protocol):
    """The buckets of one account. Missing buckets and keys raise `ServiceError("NoSuchBucket"|"NoSuchKey")`."""

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Objects under a prefix in key order (UTF-8 bytes, as S3)."""
        ...

    def read(self, bucket: str, key: str) -> bytes: ...

    def path(self, bucket: str, key: str) -> Path:
        """A local file with the object's body: for reading only, valid until the object changes."""
        ...

    def write(self, bucket: str, key: str, body: bytes | Path, content_type: str = "application/octet-stream") -> None:
        """Puts an object as S3 would, notifications included. A `Path` is moved in where possible."""
        ...

    def delete(self, bucket: str, key: str) -> None: ...


class Catalog(Protocol):
    """The Glue Data Catalog of one account and region. Dicts are shaped as the Glue API shows them."""

    def databases(self) -> list[Document]: ...

    def create_database(self, database_input: Document) -> None: ...

    def delete_database(self, name: str) -> None: ...

    def tables(self, database: str) -> list[Document]: ...

    def table(self, database: str, name: str) -> Document | None: ...

    def put_table(self, database: str, table_input: Document) -> None:
        """Creates the table or replaces its definition; keeps its partitions."""
        ...

    def delete_table(self, database: str, name: str) -> None: ...

    def partitions(self, database: str, table: str) -> list[Document]: ...

    def put_partitions(self, database: str, table: str, partition_inputs: Sequence[Document]) -> None:
        """Creates partitions, or replaces those with the same `Values`."""
        ...

    def delete_partitions(self, database: str, table: str, values: Sequence[Sequence[str]]) -> None: ...


class Home(Protocol):
    """The surroundings of the engines."""

    @property
    def endpoint(self) -> str:
        """The URL of every AWS API here, for child processes (`AWS_ENDPOINT_URL`)."""
        ...

    @property
    def scratch(self) -> Path:
        """A folder for temporary files, emptied at start."""
        ...

    @property
    def bodies(self) -> Path:
        """The folder below which lie the files that `Objects.path` gives."""
        ...

    def objects(self, account: str) -> Objects: ...

    def catalog(self, account: str, region: str) -> Catalog: ...

    def records(self, name: str) -> MutableMapping[str, Document]:
        """A durable, thread-safe mapping (it survives kill -9). Reads return copies: assign to save a change.

        Keys are the engine's own; by custom `"{account}/{region}/{name}"`.
        """
        ...

    def as_role(self, account: str, region: str, role_arn: str, service: str) -> Call:
        """The call of a service that assumed a role (`service` is the principal, such as `glue.amazonaws.com`).

        Raises:
            ServiceError: the role does not exist, or its trust policy does not let the service assume it.
        """
        ...

    def role_environment(self, account: str, region: str, role_arn: str, service: str) -> dict[str, str]:
        """`AWS_*` variables for a child process that runs as the role against this endpoint."""
        ...

    def log(self, account: str, region: str, group: str, stream: str, lines: Sequence[str]) -> None:
        """Appends to CloudWatch Logs, creating group and stream."""
        ...

    def metric(
        self, account: str, region: str, namespace: str, *, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        """Puts one value of a CloudWatch metric."""
        ...

    def emit(self, account: str, region: str, source: str, detail_type: str, detail: Document) -> None:
        """Puts a service event on the default EventBridge bus."""
        ...
