"""Records of tiles become records of their features: the same shards with vectors instead of pixels.

A shard of features is written whole, and last its account, `features/accounts/{split}/{shard}.json`, says what it was
made of: training reads what has an account of the manifest's very records, and refuses all else. What was made once of
some records with some encoder lies beside the runs too (`sextant.slides.store`), and no run makes it again. The
accounts lie apart because Pipe mode streams every object below a channel's prefix to a reader of TFRecords.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from sextant import container, storage
from sextant.container import InputError
from sextant.slides import encoder as encoders
from sextant.slides import records, store, tfrecord, training_input
from sextant.slides.manifest import Manifest
from sextant.slides.plan import LEARNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from sextant.slides.encoder import Encoder
    from sextant.slides.manifest import Shard

BATCH = 8
"""Tiles decoded and encoded at a time. On CPUs larger batches are no faster, and lite0 takes 12 MB more per tile."""

FEATURES_VERSION = 1
"""Of how tiles become an encoder's input and its output records: raise it with every change, or old ones are taken."""


@dataclass(frozen=True)
class ShardFeatures:
    """What a shard's account tells: `shard` is its name in the manifest, `records` their count in it and here, `source`
    the sha256 of the tiles' shard, `bytes` and `sha256` are of the features'.
    """

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


def encode_run(run: str, encoder: Encoder, host: int = 0, hosts: int = 1, threads: int = 1) -> list[ShardFeatures]:
    """Writes the features of this host's share of a run's training and validation shards: every `hosts`-th.

    What lies among the features and is of no shard of the manifest is removed: it is of an earlier pack.

    Args:
        run: URI of the run.
        encoder: what makes the features.
        host: from 0.
        hosts: how many share the shards.
        threads: how many decode JPEGs and resize.

    Raises:
        InputError: the run has no manifest, or its records are not the manifest's.
        RecordError: a record is damaged. EncoderError: the tiles' scale is not the encoder's.
    """
    shards = [each for split in LEARNED for each in read_manifest(run).splits[split].shards]
    wanted = {name for each in shards for name in (each.name, _account_of(each.name))}
    for name in _names(run) - wanted:
        storage.remove(storage.joined(run, f"features/{name}"))
    return [_encode_shard(run, each, encoder, threads) for each in shards[host::hosts]]


def _encode_shard(run: str, shard: Shard, encoder: Encoder, threads: int) -> ShardFeatures:
    """Writes the features of one shard and then its account, unless they are there, whole."""
    target = storage.joined(run, f"features/{shard.name}")
    account = storage.joined(run, f"features/{_account_of(shard.name)}")
    key = hashlib.sha256(f"{FEATURES_VERSION}\n{shard.sha256}\n{encoder.sha256}".encode()).hexdigest()
    place = store.beside(run, "features", key)
    stored, stored_account = storage.joined(place, "features.tfrecord"), storage.joined(place, "account.json")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "features.tfrecord"
        done = _account(account)
        made_of = (shard.name, shard.sha256, encoder.sha256)
        if done and (done.shard, done.source, done.encoder_sha256) == made_of and _fetched(target, local, done):
            return done
        made = _account(stored_account)
        if made is None or not _fetched(stored, local, made):
            made = _encoded(storage.joined(run, f"records/{shard.name}"), shard, encoder, threads, local)
            storage.upload(local, stored)
            storage.write(json.dumps(asdict(made), indent=1).encode(), stored_account)
        made = replace(made, shard=shard.name)
        storage.remove(account)  # until the shard is whole, nothing tells of it
        storage.upload(local, target)
    storage.write(json.dumps(asdict(made), indent=1).encode(), account)
    return made


def _encoded(source: str, shard: Shard, encoder: Encoder, threads: int, target: Path) -> ShardFeatures:
    tiles = target.with_name("tiles.tfrecord")
    try:
        storage.download(source, tiles)
    except storage.GoneError as error:
        raise InputError(f"{source} is not there, though the manifest has it: pack again ({error})") from error
    if _sha256(tiles) != shard.sha256:
        raise InputError(f"{source} has other bytes than the manifest tells: pack again")
    with tiles.open("rb") as stream, target.open("wb") as file:
        count = tfrecord.write(file, of_records(tfrecord.read(stream, shard.name), encoder, threads))
    return ShardFeatures(
        shard=shard.name,
        records=count,
        bytes=target.stat().st_size,
        sha256=_sha256(target),
        source=shard.sha256,
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        dim=encoder.dim,
    )


def _fetched(uri: str, path: Path, told: ShardFeatures) -> bool:
    """Whether what lies there is what its account tells; it is at the path then."""
    try:
        storage.download(uri, path)
    except storage.GoneError:
        return False
    return _sha256(path) == told.sha256


def read_manifest(run: str) -> Manifest:
    """The run's manifest.

    Raises:
        InputError: there is none, or it is none of this version.
    """
    uri = storage.joined(run, "records/manifest.json")
    try:
        return Manifest.model_validate_json(storage.read(uri))
    except storage.GoneError:
        raise InputError(f"{uri} is not there: run the pack step first") from None
    except ValidationError as error:
        raise InputError(f"{uri} is no manifest of this version: {error.errors()[0]['msg']}; pack again") from None


def check_accounts(folder: Path, manifest: Manifest, encoder: Encoder) -> dict[str, ShardFeatures]:
    """The account of every shard of features, by its name, once it is sure that they are the manifest's.

    Args:
        folder: where the accounts lie.
        manifest: of the records that a model is about to be trained on.
        encoder: the one that the model is about to name as its own; another's features may have the same dimension.

    Raises:
        InputError: a shard of train or valid has no account or more than one, it was made of other records or by
            another encoder, or an account is of no shard of the manifest.
    """
    accounts: dict[str, ShardFeatures] = {}
    again = "run the feature step again"
    for path in sorted(folder.rglob("*.json")):
        told = _account(str(path))
        if told is None:
            raise InputError(f"{path.name} is no account of features: {again}")
        if told.shard in accounts:
            raise InputError(f"{told.shard} has two accounts of features, {path.name} is one: {again}")
        accounts[told.shard] = told
    shards = {each.name: each for split in LEARNED for each in manifest.splits[split].shards}
    for name in sorted(accounts.keys() - shards.keys()):
        raise InputError(f"features {name} are of no shard of the manifest: {again}, it removes what is stale")
    for name, shard in shards.items():
        told = accounts.get(name)
        if told is None:
            raise InputError(f"{name} has no features: {again}, it goes on there")
        if told.encoder_sha256 != encoder.sha256:
            raise InputError(
                f"{name} was made by {told.encoder} {told.encoder_sha256[:12]}, not by {encoder.name} "
                f"{encoder.sha256[:12]}: give hyperparameter encoder={told.encoder}, or {again}"
            )
        if (told.source, told.records) != (shard.sha256, shard.records):
            raise InputError(
                f"{name}: its features were made of {told.records} records with sha256 {told.source[:12]}, the "
                f"manifest has {shard.records} with {shard.sha256[:12]}: {again}"
            )
    return accounts


def of_channel(channel: str, accounts: Mapping[str, ShardFeatures]) -> Iterator[records.TileFeatures]:
    """The features of a channel, which holds the very shards that the accounts tell of, and nothing else.

    Raises:
        InputError: a shard is missing, foreign, or has other bytes; from a pipe, which has no names: the count differs.
        RecordError: a record is damaged.
    """
    mine = {name.partition("/")[2]: each for name, each in accounts.items() if name.startswith(f"{channel}/")}
    piped = container.input_mode(channel) == "Pipe"
    if not piped:
        found = {
            path.relative_to(container.channel(channel)).as_posix(): path for path in training_input.shards(channel)
        }
        for name in sorted(mine.keys() ^ found.keys()):
            fault = "is missing" if name in mine else "is of no shard of the manifest"
            raise InputError(f"channel {channel}: {name} {fault}: run the feature step again, or check its S3 prefix")
        for name, path in found.items():
            if _sha256(path) != mine[name].sha256:
                raise InputError(
                    f"channel {channel}: {name} has other bytes than were made: run the feature step again"
                )
    count = 0
    for payload in training_input.records(channel):
        yield records.features_from_record(payload)
        count += 1
    expected = sum(each.records for each in mine.values())
    if count != expected:
        raise InputError(
            f"channel {channel} gave {count} records of {expected}: run the feature step again, or check its S3 prefix"
        )


def _account_of(shard: str) -> str:
    return f"accounts/{shard}.json"


def _names(run: str) -> set[str]:
    try:
        return {each.key for each in storage.entries(storage.joined(run, "features"))}
    except FileNotFoundError:  # a folder of files that does not exist yet
        return set()


def _account(uri: str) -> ShardFeatures | None:
    try:
        return ShardFeatures(**json.loads(storage.read(uri)))
    except (storage.GoneError, ValueError, TypeError):  # none yet, or one of another version
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
