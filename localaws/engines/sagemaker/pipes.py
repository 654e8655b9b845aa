"""Pipe mode: a channel's objects flow through one FIFO per epoch, `<folder>/<channel>_<epoch>`.

The reader opens the FIFO of epoch 0, reads to its end, and opens the next, which exists before that end. A reader that
goes away in the middle of an epoch ends that epoch; one that never comes costs nothing. Feeders end with the job.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import os
import shutil
import struct
import threading
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localaws.engines.sagemaker.data import Item, Storage

RECORD_MAGIC = 0xCED7230A
PIPE_BYTES = 1 << 20
POLL = 0.02


class Feeder:
    """Feeds one channel of one host.

    Args:
        storage: the objects, in the name of the job's role.
        folder: of the FIFOs (/opt/ml/input/data).
        channel: its name.
        items: the objects of an epoch, in their order.
        gzipped: whether objects are unpacked on their way.
        records: whether each object becomes one RecordIO record.
    """

    def __init__(
        self,
        storage: Storage,
        folder: Path,
        channel: str,
        items: Callable[[int], list[Item]],
        *,
        gzipped: bool = False,
        records: bool = False,
    ) -> None:
        self._storage, self._folder, self._channel, self._items = storage, folder, channel, items
        self._gzipped, self._records = gzipped, records
        self._end = threading.Event()
        self.error = ""
        self._fifo(0)
        self._thread = threading.Thread(target=self._feed, daemon=True, name=f"pipe-{channel}")

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Called when the container has ended: without a reader, no write can block."""
        self._end.set()
        self._thread.join(10)

    def _fifo(self, epoch: int) -> Path:
        path = self._folder / f"{self._channel}_{epoch}"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path)
        return path

    def _feed(self) -> None:
        epoch = 0
        while (descriptor := self._opened(self._fifo(epoch))) is not None:
            self._fifo(epoch + 1)
            # A reader that closes early has had enough of this epoch.
            with os.fdopen(descriptor, "wb", buffering=0) as pipe, contextlib.suppress(BrokenPipeError):
                try:
                    for item in self._items(epoch):
                        self._write(item, pipe)
                except BrokenPipeError:
                    raise
                except Exception as error:  # told as the job's failure; the reader sees the end of the epoch
                    self.error = f"ClientError: Data download failed for channel {self._channel}: {error}"
                    return
            epoch += 1

    def _opened(self, path: Path) -> int | None:
        """The write end, once somebody reads; None when the job has ended before."""
        while not self._end.is_set():
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    self.error = f"InternalServerError: {path.name}: {error.strerror}"
                    return None
                self._end.wait(POLL)
                continue
            os.set_blocking(descriptor, True)
            with contextlib.suppress(AttributeError, OSError):  # Linux: fewer switches between the two processes
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            return descriptor
        return None

    def _write(self, item: Item, pipe: IO[bytes]) -> None:
        body = self._storage.body(item)
        with cast("IO[bytes]", gzip.open(body)) if self._gzipped else body.open("rb") as source:
            if not self._records:
                shutil.copyfileobj(source, _Whole(pipe), PIPE_BYTES)
                return
            content = source.read()
            _Whole(pipe).write(struct.pack("<II", RECORD_MAGIC, len(content)) + content + b"\0" * (-len(content) % 4))


class _Whole:
    """An unbuffered pipe may take a part of what it is given; this writes until all is in."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, content: bytes) -> int:
        rest = memoryview(content)
        while rest:
            rest = rest[self._pipe.write(rest) :]
        return len(content)
