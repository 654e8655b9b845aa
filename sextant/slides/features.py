"""Records of tiles become records of their features: the same shards with vectors instead of pixels.

A shard of features is written whole, and last its account, `features/accounts/{split}/{shard}.json`, says what it was
made of: a step that starts again skips the shards that are done with the same encoder and records. The accounts lie
apart because Pipe mode streams every object below a channel's prefix to a reader of TFRecords.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from sextant import storage
from sextant.slides import encoder as encoders
from sextant.slides import records, tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from sextant.slides.encoder import Encoder

BATCH = 8
"""Tiles decoded and encoded at a time. On CPUs larger batches are no faster, and lite0 takes 12 MB more per tile."""

SPLITS = ("train", "valid")
"""The test split is scored from its tiles, as any slide will be: it needs no features."""


@dataclass(frozen=True)
class ShardFeatures:
    """What a shard's account tells: `source` is the sha256 of the tiles' shard, `sha256` that of the features'."""

    shard: str
    records: int
    bytes: int
    sha256: str
    source: str
    encoder: str
    encoder_sha256: str
    dim: int


def of_records(payloads: Iterable[bytes], encoder: Encoder, threads: int = 1) -> Iterator[bytes]:
    """Feature records, in order, of tile records; memory is bounded by one batch.

    Args:
        payloads: serialized Examples of tiles.
        encoder: what makes the features; its own threads are its own.
        threads: how many decode JPEGs and resize.

    Raises:
        RecordError: a record or a JPEG in it is damaged.
        EncoderError: the tiles' scale is not the encoder's.
    """
    rest = iter(payloads)
    with ThreadPoolExecutor(threads) as pool:
        while batch := list(islice(rest, BATCH)):
            tiles = [records.from_record(each) for each in batch]
            for tile in tiles:
                encoders.check_scale(encoder, tile.size, tile.mpp)
            images = list(pool.map(image_of, tiles, repeat(encoder.input_px)))
            for tile, feature in zip(tiles, encoders.encode(encoder, images), strict=True):
                yield records.features_to_record(
                    records.TileFeatures(
                        slide=tile.slide,
                        patient=tile.patient,
                        label=tile.label,
                        label_name=tile.label_name,
                        x=tile.x,
                        y=tile.y,
                        span=tile.span,
                        feature=feature,
                    )
                )


def image_of(tile: records.Tile, px: int) -> NDArray[np.uint8]:
    """The tile's pixels as an encoder of that input size sees them, shape (px, px, 3)."""
    return encoders.resized(records.pixels(tile), px)


def encode_shard(source: str, target: str, account: str, encoder: Encoder, threads: int = 1) -> ShardFeatures:
    """Writes the features of one shard of tiles and then its account, unless they are there already.

    Args:
        source: URI of the tiles' shard.
        target: URI of the features' shard.
        account: URI of its account.
        encoder: what makes the features.
        threads: how many decode JPEGs and resize.

    Raises:
        RecordError: a record is damaged. GoneError: there is no such shard.
    """
    with tempfile.TemporaryDirectory() as folder:
        tiles = Path(folder) / "tiles.tfrecord"
        storage.download(source, tiles)
        made_of = _sha256(tiles)
        done = _account(account)
        if done and (done.source, done.encoder_sha256) == (made_of, encoder.sha256):
            return done
        local = Path(folder) / "features.tfrecord"
        with tiles.open("rb") as stream, local.open("wb") as file:
            payloads = tfrecord.read(stream, source.rpartition("/")[2])
            count = tfrecord.write(file, of_records(payloads, encoder, threads))
        made = ShardFeatures(
            shard=target.rpartition("/")[2],
            records=count,
            bytes=local.stat().st_size,
            sha256=_sha256(local),
            source=made_of,
            encoder=encoder.name,
            encoder_sha256=encoder.sha256,
            dim=encoder.dim,
        )
        storage.upload(local, target)
        storage.write(json.dumps(asdict(made), indent=1).encode(), account)
        return made


def encode_run(run: str, encoder: Encoder, host: int = 0, hosts: int = 1, threads: int = 1) -> list[ShardFeatures]:
    """Writes the features of this host's share of a run's training and validation shards: every `hosts`-th.

    Raises:
        RecordError: a record is damaged. FileNotFoundError: the run has no records yet.
    """
    packed = [each.key for each in storage.entries(storage.joined(run, "records")) if each.key.endswith(".tfrecord")]
    shards = [each for each in packed if each.partition("/")[0] in SPLITS]
    if not shards:
        raise FileNotFoundError(f"{run} has no records of tiles to encode: run the pack step first")
    return [
        encode_shard(
            storage.joined(run, f"records/{each}"),
            storage.joined(run, f"features/{each}"),
            storage.joined(run, f"features/accounts/{each}.json"),
            encoder,
            threads,
        )
        for each in shards[host::hosts]
    ]


def check_accounts(folder: Path, encoder: Encoder) -> None:
    """Refuses features that another encoder made: their dimension may be the same, and nothing else would tell.

    Args:
        folder: where the accounts of the shards lie.
        encoder: the one that a model is about to name as its own.

    Raises:
        EncoderError: a shard was made by another, or an account cannot be read.
    """
    for path in sorted(folder.rglob("*.json")):
        told = _account(str(path))
        if told is None:
            raise encoders.EncoderError(f"{path.name} is no account of features: run the feature step again")
        if told.encoder_sha256 != encoder.sha256:
            raise encoders.EncoderError(
                f"{told.shard} was made by {told.encoder} {told.encoder_sha256[:12]}, not by {encoder.name} "
                f"{encoder.sha256[:12]}: give hyperparameter encoder={told.encoder}, or run the feature step again"
            )


def _account(uri: str) -> ShardFeatures | None:
    try:
        return ShardFeatures(**json.loads(storage.read(uri)))
    except (storage.GoneError, ValueError, TypeError):  # none yet, or one of another version
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
