"""The pack step: tiles of slides become shards for training, by copying bytes; what was tiled is verified on the way.

The run's `tiles/{slide}.json` name the tiles (`sextant.slides.store`) and their SHA-256. From these `records/` is made:

- `train/part-00000-of-00008.tfrecord`, …: equal counts. Where the tiles do not suffice, the first ones in order are
  there for a second time, and the manifest counts them as repeated.
- `valid/part-…`: every tile once, counts that differ by one at most. Repeats would weigh in a measure, and a rank that
  measures waits for nobody before the end.
- `test/{slide}.tfrecord`: the slide's own file.

The shards have an index each, `index/train/part-….idx`, with a line `offset length` (bytes, framing included) for every
record: for readers that begin anywhere in a shard, such as the PyPI package tfrecord, whose format it is. It lies
apart, because a channel or a transform job takes everything below its prefix for records.

Tiles are in order of SHA-256 of salt, slide, x and y: every shard is a random sample of all slides, and the same plan
always gives the same bytes. They are streamed over, once to be verified and once for as many shards as the disk holds
at a time: memory holds some numbers of each tile, and a small disk costs further passes, not the run.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from array import array
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from pydantic import ValidationError

from sextant import storage
from sextant.container import InputError
from sextant.slides import store, tfrecord
from sextant.slides.errors import RecordError
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.plan import LEARNED, Plan, PlannedSlide, Split, check_trainable
from sextant.slides.records import from_record
from sextant.slides.store import TiledSlide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sextant.slides.records import Tile

SHARD_BYTES = 256 << 20
"""A shard is not larger, so that shuffling shards and resuming at one are worth something."""
FEWEST_SHARDS = 8
READ_BYTES = 8 << 20
_AGAIN = "run the tile step again, or start a new run: it makes what is missing and takes the rest"
_DISK = 0.8
"""Of what is free, for the shards of a pass."""
_OPEN_FILES = 256


def read_plan(run: str) -> Plan:
    """The run's plan.

    Raises:
        InputError: there is none, or it is none of this version.
    """
    uri = storage.joined(run, "plan.json")
    try:
        return Plan.model_validate_json(storage.read(uri))
    except storage.GoneError:
        raise InputError(f"{uri} is not there: run the plan step first") from None
    except ValidationError as error:
        raise InputError(f"{uri} is no plan of this version: {error.errors()[0]['msg']}; plan again") from None


def pack(run: str, world_size: int = FEWEST_SHARDS) -> Manifest:
    """Writes `records/` of a run and, last, its manifest. A second time gives the same bytes at the same keys.

    Args:
        run: URI of the run.
        world_size: the number of shards of train and of valid is a multiple of it.

    Raises:
        InputError: a planned slide is neither tiled nor in quarantine, its tiles are damaged or of another plan, or
            nothing can be trained or tested with the slides that are left.
        OSError: the disk is full.
    """
    if world_size < 1:
        raise InputError(f"world size {world_size}: give the number of ranks that will train, 1 or more")
    plan = read_plan(run)
    digest = plan.digest()
    records = storage.joined(run, "records")
    storage.remove(storage.joined(records, "manifest.json"))  # until the end, nothing here is whole
    slides = _tiled(run, plan)
    check_trainable(
        plan.classes,
        [part.planned for part in slides],
        quarantined=len(plan.quarantined) + len(plan.slides) - len(slides),
    )
    splits: dict[Split, ManifestSplit] = {}
    with tempfile.TemporaryDirectory() as folder:
        for split in LEARNED:
            parts = _of_split(slides, split)
            ledger = _survey(run, plan, parts)
            count = _shard_count(sum(part.tiled.summary.bytes for part in parts), world_size)
            shards = _write_shards(run, split, parts, ledger, shards=count, folder=Path(folder))
            splits[split] = _told(plan, parts, shards)
        parts = _of_split(slides, "test")
        splits["test"] = _told(plan, parts, [_copy_slide(run, plan, part, Path(folder)) for part in parts])
    manifest = Manifest(
        classes=plan.classes, plan_digest=digest, settings=plan.tiles, world_size_multiple=world_size, splits=splits
    )
    _remove_others(records, manifest)
    storage.write(manifest.model_dump_json(indent=1).encode(), storage.joined(records, "manifest.json"))
    return manifest


@dataclass(frozen=True)
class _Part:
    """A slide whose tiles are there."""

    planned: PlannedSlide
    tiled: TiledSlide


def _of_split(slides: Sequence[_Part], split: Split) -> list[_Part]:
    return [each for each in slides if each.planned.split == split]


def _tiled(run: str, plan: Plan) -> list[_Part]:
    """The slides of the plan that were tiled; those in quarantine are left out."""
    there = {each.key for each in storage.entries(run) if each.key.startswith(("tiles/", "quarantine/"))}
    listed = [each for each in plan.slides if f"tiles/{each.slide}.json" in there]
    told = dict(zip(listed, storage.bodies([store.account(run, each.slide) for each in listed]), strict=True))
    found: list[_Part] = []
    missing: list[str] = []
    for planned in plan.slides:
        body = told.get(planned)
        if body is None or isinstance(body, storage.GoneError):
            if f"quarantine/{planned.slide}.json" not in there:
                missing.append(planned.slide)
            continue
        try:
            tiled = TiledSlide.model_validate_json(body)
        except ValidationError:
            missing.append(planned.slide)  # of another version: the tile step writes it anew
            continue
        if tiled.summary.settings != plan.tiles:
            raise InputError(f"the tiles of {planned.slide} were made under another plan: {_AGAIN}")
        found.append(_Part(planned, tiled))
    if missing:
        told_missing = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        raise InputError(f"{len(missing)} slides are not tiled yet ({told_missing}): {_AGAIN}")
    return found


@dataclass
class _Ledger:
    """Of every tile, in the order it was read: the start of its hash, and its bytes in the slide's file."""

    order: array[int] = field(default_factory=lambda: array("Q"))
    length: array[int] = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self.order)


def _survey(run: str, plan: Plan, parts: Sequence[_Part]) -> _Ledger:
    ledger = _Ledger()
    for part in parts:
        for order, frame in _verified(run, plan, part):
            ledger.order.append(order)
            ledger.length.append(len(frame))
    return ledger


def _verified(run: str, plan: Plan, part: _Part) -> Iterator[tuple[int, bytes]]:
    """The hash and the framed bytes of a slide's tiles, as its file holds them.

    Raises:
        InputError: the file is damaged, not the one that was made, or has tiles of another slide or plan. It is
            forgotten then, and the tile step makes it anew.
    """
    summary = part.tiled.summary
    whole, count = hashlib.sha256(), 0
    places: set[tuple[int, int]] = set()
    try:
        with storage.opened(_tiles_of(run, part), READ_BYTES) as stream:
            for payload in tfrecord.read(stream, f"its tiles {part.tiled.tiles}"):
                tile = from_record(payload)
                _check_identity(run, part, tile, count)
                framed = tfrecord.frame(payload)
                whole.update(framed)
                count += 1
                places.add((tile.x, tile.y))
                place = f"{plan.salt}\n{tile.slide}\n{tile.x}\n{tile.y}"
                yield int.from_bytes(hashlib.sha256(place.encode()).digest()[:8]), framed
    except storage.GoneError:
        raise _forgotten(run, part, f"its tiles {part.tiled.tiles} are not there any more") from None
    except RecordError as error:
        raise _forgotten(run, part, str(error)) from error
    if count != summary.kept or len(places) != count or whole.hexdigest() != summary.sha256:
        raise _forgotten(
            run,
            part,
            f"its tiles {part.tiled.tiles} are {count} at {len(places)} places where {summary.kept} were made, or have "
            "other bytes than were made",
        )


def _check_identity(run: str, part: _Part, tile: Tile, number: int) -> None:
    planned = part.planned
    expected = (planned.slide, planned.patient, planned.label_index, planned.label)
    if (tile.slide, tile.patient, tile.label, tile.label_name) != expected:
        raise _forgotten(
            run,
            part,
            f"record {number} of its tiles {part.tiled.tiles} is of slide {tile.slide}, patient {tile.patient}, "
            f"{tile.label_name}, not as planned",
        )


def _forgotten(run: str, part: _Part, reason: str) -> InputError:
    """Forgets tiles that cannot be used, or every further run would take them, and tells so."""
    store.forget_tiles(run, part.planned.slide, part.tiled.tiles)
    return InputError(f"slide {part.planned.slide}: {reason}: {_AGAIN}")


def _tiles_of(run: str, part: _Part) -> str:
    return storage.joined(store.beside(run, "tiles", part.tiled.tiles), "tiles.tfrecord")


def _shard_count(size: int, world_size: int) -> int:
    """Shards of a split: a multiple of the world size, at least 8, and none larger than a shard should be."""
    wanted = max(FEWEST_SHARDS, -(-size // SHARD_BYTES))
    return -(-wanted // world_size) * world_size


@dataclass(frozen=True)
class _Placement:
    """Where tiles go: of each copy the tile's number, its shard, and its offset there; in order of tile numbers."""

    tile: NDArray[np.int64]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    bytes: list[int]
    """Of every shard."""


def _place(ledger: _Ledger, shards: int, *, equal: bool) -> _Placement:
    ordered = np.argsort(np.array(ledger.order, np.uint64), kind="stable")
    if equal:
        padding = -len(ordered) % shards
        ordered = np.concatenate([ordered, np.resize(ordered, padding)])
    length = np.array(ledger.length, np.int64)[ordered]
    shard = np.arange(len(ordered)) % shards
    offset = np.empty_like(length)
    for number in range(shards):
        mine = shard == number
        offset[mine] = np.cumsum(length[mine]) - length[mine]
    by_tile = np.argsort(ordered, kind="stable")
    sizes = [int(length[shard == number].sum()) for number in range(shards)]
    return _Placement(ordered[by_tile], shard[by_tile], offset[by_tile], sizes)


def _write_shards(
    run: str, split: Split, parts: Sequence[_Part], ledger: _Ledger, *, shards: int, folder: Path
) -> list[Shard]:
    """The second pass, or passes: every tile's bytes go to their places in the shards, which are then published."""
    placement = _place(ledger, shards, equal=split == "train")
    made: list[Shard] = []
    for some in _passes(placement.bytes, int(shutil.disk_usage(folder).free * _DISK)):
        paths = {number: folder / f"part-{number:05}-of-{shards:05}.tfrecord" for number in some}
        with ExitStack() as stack:
            files = {number: stack.enter_context(path.open("wb")) for number, path in paths.items()}
            _copy(run, parts, ledger, placement, files)
        made += [_publish(run, f"{split}/{path.name}", path) for path in paths.values()]
    return made


def _passes(sizes: Sequence[int], free: int) -> Iterator[range]:
    """The shards in groups that fit the disk, and the open files that a process may have; one shard always is tried."""
    start = held = 0
    for number, size in enumerate(sizes):
        if number > start and (held + size > free or number - start == _OPEN_FILES):
            yield range(start, number)
            start, held = number, 0
        held += size
    yield range(start, len(sizes))


def _copy(
    run: str, parts: Sequence[_Part], ledger: _Ledger, placement: _Placement, files: Mapping[int, BinaryIO]
) -> None:
    """Raises: InputError, where a slide's tiles are not what the first pass has verified."""
    tile = copy = 0
    for part in parts:
        whole = hashlib.sha256()
        try:
            opened = storage.opened(_tiles_of(run, part), READ_BYTES)
        except storage.GoneError:
            raise _forgotten(run, part, f"its tiles {part.tiled.tiles} went while they were packed") from None
        with opened as stream:
            for _ in range(part.tiled.summary.kept):
                framed = stream.read(ledger.length[tile])
                whole.update(framed)
                while copy < len(placement.tile) and placement.tile[copy] == tile:
                    file = files.get(int(placement.shard[copy]))
                    if file:
                        file.seek(int(placement.offset[copy]))
                        file.write(framed)
                    copy += 1
                tile += 1
        if whole.hexdigest() != part.tiled.summary.sha256:
            raise _forgotten(run, part, f"its tiles {part.tiled.tiles} changed while they were packed")


def _copy_slide(run: str, plan: Plan, part: _Part, folder: Path) -> Shard:
    path = folder / f"{part.planned.slide}.tfrecord"
    with path.open("wb") as file:
        for _, framed in _verified(run, plan, part):
            file.write(framed)
    return _publish(run, f"test/{path.name}", path)


def _publish(run: str, name: str, path: Path) -> Shard:
    """A finished shard, with its index unless it is a slide's own."""
    index = tfrecord.index(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not name.startswith("test/"):
        text = "".join(f"{offset} {length}\n" for offset, length in index)
        storage.write(text.encode(), storage.joined(run, f"records/{_index_of(name)}"))
    storage.upload(path, storage.joined(run, f"records/{name}"))
    size = path.stat().st_size
    path.unlink()
    return Shard(name=name, records=len(index), bytes=size, sha256=digest)


def _index_of(shard: str) -> str:
    return f"index/{shard.removesuffix('.tfrecord')}.idx"


def _told(plan: Plan, parts: Sequence[_Part], shards: Sequence[Shard]) -> ManifestSplit:
    records = sum(each.records for each in shards)
    return ManifestSplit(
        shards=tuple(shards),
        records=records,
        repeated=records - sum(part.tiled.summary.kept for part in parts),
        per_class={
            name: sum(part.tiled.summary.kept for part in parts if part.planned.label == name) for name in plan.classes
        },
        slides=len(parts),
        patients=len({part.planned.patient for part in parts}),
    )


def _remove_others(records: str, manifest: Manifest) -> None:
    """Removes what an earlier pack with another number of shards left: a channel would train on it too."""
    mine = {shard.name for split in manifest.splits.values() for shard in split.shards}
    mine |= {_index_of(name) for name in mine}
    for each in storage.entries(records):
        if each.key not in mine:
            storage.remove(storage.joined(records, each.key))
