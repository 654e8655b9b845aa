"""Objects to files and back: a job's channels and inputs, its outputs and checkpoints.

Everything happens in the name of the job's role: each object is asked for with `s3:GetObject`, each listing with
`s3:ListBucket`, each result with `s3:PutObject`.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import tarfile
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from localaws.home import Call, Document, Home

SYNC_SECONDS = 2.0


class DataError(Exception):
    """Data that cannot be fetched or stored: the job's FailureReason."""


@dataclass(frozen=True)
class Item:
    """One object of a source: `name` is its path below the channel's folder."""

    bucket: str
    key: str
    name: str
    size: int


def split(uri: str) -> tuple[str, str]:
    """(bucket, key) of an s3:// URI.

    Raises:
        DataError: it is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise DataError(f"ClientError: {uri!r} is not an s3:// URI")
    return bucket, key


def below(uri: str, *parts: str) -> str:
    return "/".join((uri.rstrip("/"), *parts))


class Storage:
    """The buckets as a job's role sees them."""

    def __init__(self, home: Home, call: Call) -> None:
        self._objects = home.objects(call.account)
        self._call = call
        self._home = home

    # -- in --------------------------------------------------------------------------------------------------------

    def items(self, uri: str, data_type: str = "S3Prefix", *, required: bool = True) -> list[Item]:
        """The objects of a source in key order.

        Args:
            uri: of a prefix, an object, or a manifest.
            data_type: `S3Prefix` or `ManifestFile`.
            required: whether there must be any.

        Raises:
            DataError: there are none, with what AWS says about it.
            ServiceError: the role may not list or read them.
        """
        found = list(self._manifest(uri) if data_type == "ManifestFile" else self._prefix(uri))
        if not found and required:
            bucket, _ = split(uri)
            raise DataError(
                f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data '
                f"source. Please ensure that the bucket exists in the selected region ({self._call.region}), that "
                f'objects exist under that S3 prefix, and that the role "{self._call.principal}" has "s3:ListBucket" '
                f'permissions on bucket "{bucket}".'
            )
        return found

    def _prefix(self, uri: str) -> Iterator[Item]:
        bucket, prefix = split(uri)
        self._call.authorize("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        folder = prefix.rpartition("/")[0]
        for entry in self._objects.list(bucket, prefix):
            if entry.key.endswith("/"):
                continue  # the marker of a folder in the S3 console
            whole = prefix.endswith("/") or not prefix or entry.key[len(prefix) :].startswith("/")
            name = entry.key.removeprefix(prefix if whole else folder).lstrip("/")
            yield Item(bucket, entry.key, name, entry.size)

    def _manifest(self, uri: str) -> Iterator[Item]:
        """`[{"prefix": "s3://bucket/folder/"}, "relative/key", …]`."""
        entries = json.loads(self.read(uri))
        if not isinstance(entries, list) or not entries or "prefix" not in entries[0]:
            raise DataError(
                f'ClientError: {uri} is no manifest: it must be a list that begins with {{"prefix": "s3://…"}}'
            )
        bucket, prefix = split(entries[0]["prefix"])
        for entry in entries[1:]:
            key = prefix + entry
            yield Item(bucket, key, entry.lstrip("/"), self._body(bucket, key).stat().st_size)

    def _body(self, bucket: str, key: str) -> Path:
        self._call.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        return self._objects.path(bucket, key)

    def check(self, uri: str) -> None:
        """Raises what reading the object would."""
        self._body(*split(uri))

    def read(self, uri: str) -> bytes:
        return self._body(*split(uri)).read_bytes()

    def body(self, item: Item) -> Path:
        """The object's body as a file, for reading only."""
        return self._body(item.bucket, item.key)

    def download(self, items: Iterable[Item], folder: Path, *, gzipped: bool = False) -> int:
        """Copies objects below a folder; how many bytes."""
        total = 0
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            target = _inside(folder, item.name)
            if gzipped:
                target = target.with_suffix("") if target.suffix == ".gz" else target
                with gzip.open(self.body(item)) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
            else:
                shutil.copyfile(self.body(item), target)
            total += target.stat().st_size
        return total

    def link(self, items: Iterable[Item], folder: Path) -> None:
        """FastFile: the files are the objects' bodies themselves; nothing is copied."""
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            _inside(folder, item.name).symlink_to(self.body(item))

    def extract(self, uri: str, folder: Path) -> None:
        """Unpacks a tar.gz object below a folder.

        Raises:
            DataError: it is no such archive.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(self._body(*split(uri))) as archive:
                archive.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise DataError(f"ClientError: {uri} is not a tar.gz archive: {error}") from error

    # -- out -------------------------------------------------------------------------------------------------------

    def store(self, uri: str, body: bytes | Path) -> None:
        """Puts one object; a file is moved there where possible."""
        bucket, key = split(uri)
        self._call.authorize("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        self._objects.write(bucket, key, body)

    def upload(self, folder: Path, uri: str) -> int:
        """Moves every file below a folder to the prefix; how many."""
        count = 0
        for path in _files(folder):
            self.store(below(uri, path.relative_to(folder).as_posix()), path)
            count += 1
        return count

    def upload_archive(self, folders: Sequence[Path], uri: str) -> None:
        """One tar.gz of what the hosts left in a folder; where several left the same name, the first host's counts."""
        with tempfile.NamedTemporaryFile(dir=folders[0].parent, suffix=".tar.gz", delete=False) as file:
            seen: set[str] = set()
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                for folder in folders:
                    for path in sorted(folder.rglob("*")):
                        name = path.relative_to(folder).as_posix()
                        if name not in seen:
                            seen.add(name)
                            archive.add(path, name, recursive=False)
        self.store(uri, Path(file.name))


class Sync:
    """Brings what a running container writes into a folder to S3, every few seconds and once more at the end.

    A file is taken when it has not changed since the last look, so that no half-written file goes up (the last look
    takes what is there). Files that vanish stay in S3, as on AWS.
    """

    def __init__(self, storage: Storage, folder: Path, uri: str) -> None:
        self._storage, self._folder, self._uri = storage, folder, uri
        self._seen: dict[str, tuple[int, int]] = {}
        self._stored: dict[str, tuple[int, int]] = {}
        self._end = threading.Event()
        self.error = ""
        self._thread = threading.Thread(target=self._loop, daemon=True, name="sync")

    def known(self) -> None:
        """What lies in the folder now came from S3 and need not go there."""
        self._stored = {name: mark for name, mark, _ in self._marks()}

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """The last look."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look(last=True)

    def _loop(self) -> None:
        while not self._end.wait(SYNC_SECONDS):
            self._look(last=False)

    def _marks(self) -> Iterator[tuple[str, tuple[int, int], Path]]:
        for path in _files(self._folder):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            yield path.relative_to(self._folder).as_posix(), (stat.st_size, stat.st_mtime_ns), path

    def _look(self, *, last: bool) -> None:
        for name, mark, path in list(self._marks()):
            settled = last or self._seen.get(name) == mark
            self._seen[name] = mark
            if not settled or self._stored.get(name) == mark:
                continue
            try:
                self._storage.store(below(self._uri, name), path.read_bytes())
                self._stored[name] = mark
            except FileNotFoundError:
                continue  # renamed or removed meanwhile
            except ServiceError as error:
                self.error = f"ClientError: {path.name} could not be stored at {self._uri}: {error.message}"


def share(items: Sequence[Item], distribution: str, host: int, hosts: int) -> list[Item]:
    """A host's part: all, or every n-th object (`ShardedByS3Key`)."""
    return list(items[host::hosts]) if distribution == "ShardedByS3Key" else list(items)


def shuffled(items: Sequence[Item], seed: int | None, epoch: int) -> list[Item]:
    """The objects in the order of an epoch: SageMaker shuffles them at the start of each (`ShuffleConfig`)."""
    order = list(items)
    if seed is not None:
        random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, no secret
    return order


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _inside(folder: Path, name: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise DataError(f"ClientError: the object name {name!r} leads out of the channel's folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def source_of(data_source: Document) -> tuple[str, str, str]:
    """(uri, data type, distribution) of an S3DataSource."""
    source = data_source["S3DataSource"]
    return source["S3Uri"], source["S3DataType"], source.get("S3DataDistributionType", "FullyReplicated")
