"""A training job's records, however SageMaker hands them over: one reader for Pipe, FastFile and File.

In Pipe mode a channel is a FIFO per epoch, `{channel}_{epoch}`, through which all objects come back to back; in the
other modes it is a folder of shards. Files that are no shards, such as indexes, are passed over; a pipe cannot do that,
so its channel's prefix must hold shards only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sextant import container
from sextant.slides import tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPE_SECONDS = 600.0
"""How long a pipe may take to appear: SageMaker makes the next epoch's while the last one is read."""


def records(channel: str, epoch: int = 0, rank: int = 0, ranks: int = 1) -> Iterator[bytes]:
    """The payloads of a channel's records in one epoch.

    Args:
        channel: its name.
        epoch: from 0; a pipe can be read once per epoch.
        rank: of those that share a folder of shards, which takes every `ranks`-th; a pipe is its reader's alone.
        ranks: how many share it.

    Raises:
        InputError: the pipe does not appear, or the folder has no shards.
        RecordError: a record is damaged; it names shard and place.
    """
    if container.input_mode(channel) == "Pipe":
        path = container.channel(channel).with_name(f"{channel}_{epoch}")
        _await(path)
        with path.open("rb") as pipe:
            yield from tfrecord.read(pipe, path.name)
        return
    for shard in shards(channel)[rank::ranks]:
        with shard.open("rb") as file:
            yield from tfrecord.read(file, shard.name)


def shards(channel: str) -> list[Path]:
    """The shards of a channel that is a folder, by name.

    Raises:
        InputError: there are none.
    """
    found = sorted(container.channel(channel).rglob("*.tfrecord"))
    if not found:
        raise container.InputError(
            f"channel {channel} has no .tfrecord in {container.channel(channel)}: check its S3 prefix"
        )
    return found


def _await(path: Path) -> None:
    end = time.monotonic() + PIPE_SECONDS
    while not path.exists():
        if time.monotonic() > end:
            raise container.InputError(
                f"the pipe {path} did not appear within {PIPE_SECONDS:.0f} s: is the channel in Pipe mode?"
            )
        time.sleep(0.05)
