"""A `Home` without an emulator: buckets are folders, the catalog and the records live in memory.

The engines' own tests and the benchmarks run on it: no sockets, no IAM, no notifications.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

from localaws.home import Call, Document, ServiceError, StoredObject


class FolderObjects:
    """Each bucket is a folder, each object a file below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create_bucket(self, bucket: str) -> None:
        (self.root / bucket).mkdir(parents=True, exist_ok=True)

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        base = self._bucket(bucket)
        start = base / prefix.rpartition("/")[0]
        found = [(p.relative_to(base).as_posix(), p) for p in start.rglob("*") if p.is_file()]
        for key, path in sorted(found, key=lambda item: item[0].encode()):
            if key.startswith(prefix):
                stat = path.stat()
                # Same size and time means same content for a test; hashing every body would cost more than reading it.
                etag = hashlib.md5(f"{key}{stat.st_size}{stat.st_mtime_ns}".encode(), usedforsecurity=False).hexdigest()
                yield StoredObject(key=key, size=stat.st_size, etag=etag, modified=stat.st_mtime)

    def read(self, bucket: str, key: str) -> bytes:
        return self.path(bucket, key).read_bytes()

    def path(self, bucket: str, key: str) -> Path:
        path = self._bucket(bucket) / key
        if not path.is_file():
            raise ServiceError("NoSuchKey", f"The specified key does not exist: s3://{bucket}/{key}", 404)
        return path

    def write(self, bucket: str, key: str, body: bytes | Path, content_type: str = "application/octet-stream") -> None:
        path = self._bucket(bucket) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(body, Path):
            shutil.move(body, path)
        else:
            path.write_bytes(body)

    def delete(self, bucket: str, key: str) -> None:
        (self._bucket(bucket) / key).unlink(missing_ok=True)

    def _bucket(self, bucket: str) -> Path:
        path = self.root / bucket
        if not path.is_dir():
            raise ServiceError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", 404)
        return path


class MemoryCatalog:
    """Databases, tables and partitions in dicts."""

    def __init__(self) -> None:
        self._databases: dict[str, Document] = {}
        self._tables: dict[tuple[str, str], Document] = {}
        self._partitions: dict[tuple[str, str], dict[tuple[str, ...], Document]] = {}

    def databases(self) -> list[Document]:
        return copy.deepcopy(list(self._databases.values()))

    def create_database(self, database_input: Document) -> None:
        if database_input["Name"] in self._databases:
            raise ServiceError("AlreadyExistsException", f"Database {database_input['Name']} already exists")
        self._databases[database_input["Name"]] = dict(database_input)

    def delete_database(self, name: str) -> None:
        self._databases.pop(name, None)
        for key in [key for key in self._tables if key[0] == name]:
            self.delete_table(*key)

    def tables(self, database: str) -> list[Document]:
        return copy.deepcopy([table for (owner, _), table in self._tables.items() if owner == database])

    def table(self, database: str, name: str) -> Document | None:
        return copy.deepcopy(self._tables.get((database, name)))

    def put_table(self, database: str, table_input: Document) -> None:
        if database not in self._databases:
            raise ServiceError("EntityNotFoundException", f"Database {database} not found.")
        self._tables[database, table_input["Name"]] = {**copy.deepcopy(table_input), "DatabaseName": database}

    def delete_table(self, database: str, name: str) -> None:
        self._tables.pop((database, name), None)
        self._partitions.pop((database, name), None)

    def partitions(self, database: str, table: str) -> list[Document]:
        return copy.deepcopy(list(self._partitions.get((database, table), {}).values()))

    def put_partitions(self, database: str, table: str, partition_inputs: Sequence[Document]) -> None:
        stored = self._partitions.setdefault((database, table), {})
        for entry in partition_inputs:
            stored[tuple(entry["Values"])] = {**copy.deepcopy(entry), "DatabaseName": database, "TableName": table}

    def delete_partitions(self, database: str, table: str, values: Sequence[Sequence[str]]) -> None:
        for value in values:
            self._partitions.get((database, table), {}).pop(tuple(value), None)


class MemoryRecords(MutableMapping[str, Document]):
    """Records that end with the process."""

    def __init__(self) -> None:
        self._data: dict[str, Document] = {}
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> Document:
        with self._lock:
            return copy.deepcopy(self._data[key])

    def __setitem__(self, key: str, value: Document) -> None:
        with self._lock:
            self._data[key] = copy.deepcopy(value)

    def __delitem__(self, key: str) -> None:
        with self._lock:
            del self._data[key]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(sorted(self._data))

    def __len__(self) -> int:
        return len(self._data)


class FolderHome:
    """See the module. `logs`, `events` and `metrics` keep what engines told, for assertions."""

    def __init__(self, root: Path, endpoint: str = "http://127.0.0.1:1") -> None:
        self.endpoint = endpoint
        self.scratch = root / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.events: list[Document] = []
        self.metrics: list[tuple[str, str, float, dict[str, str]]] = []
        self.bodies = root
        self._root = root
        self._objects: dict[str, FolderObjects] = {}
        self._catalogs: dict[tuple[str, str], MemoryCatalog] = {}
        self._records: dict[str, MemoryRecords] = {}

    def objects(self, account: str) -> FolderObjects:
        return self._objects.setdefault(account, FolderObjects(self._root / account))

    def catalog(self, account: str, region: str) -> MemoryCatalog:
        return self._catalogs.setdefault((account, region), MemoryCatalog())

    def records(self, name: str) -> MemoryRecords:
        return self._records.setdefault(name, MemoryRecords())

    def as_role(self, account: str, region: str, role_arn: str, service: str) -> Call:
        return Call(account=account, region=region, principal=role_arn)

    def role_environment(self, account: str, region: str, role_arn: str, service: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }

    def log(self, account: str, region: str, group: str, stream: str, lines: Sequence[str]) -> None:
        self.logs.setdefault((group, stream), []).extend(lines)

    def metric(
        self, account: str, region: str, namespace: str, *, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        self.metrics.append((namespace, name, value, dict(dimensions)))

    def emit(self, account: str, region: str, source: str, detail_type: str, detail: Document) -> None:
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail, "account": account})
