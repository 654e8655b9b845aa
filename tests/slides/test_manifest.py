"""The manifest's rules: equal training shards, and steps that nobody types."""

import pytest
from pydantic import ValidationError

from sextant.slides.manifest import Manifest, ManifestSplit, Shard, steps_per_epoch
from sextant.slides.settings import TileSettings


def split(*records, repeated=0):
    shards = tuple(Shard(name=f"part-{n}", records=count, bytes=9, sha256="0") for n, count in enumerate(records))
    total = sum(records)
    return ManifestSplit(
        shards=shards, records=total, repeated=repeated, per_class={"a": total - repeated}, slides=1, patients=1
    )


def manifest(train, valid=None, multiple=1):
    return Manifest(
        classes=("a",),
        plan_digest="d",
        settings=TileSettings(),
        world_size_multiple=multiple,
        splits={"train": train, "valid": valid or split(*[1] * len(train.shards)), "test": split()},
    )


@pytest.mark.parametrize(
    ("batch", "world", "steps"),
    [(10, 1, 20), (10, 2, 10), (10, 4, 5), (7, 4, 8), (50, 4, 1), (64, 4, 1), (1, 4, 50)],
)
def test_steps_of_four_shards_of_fifty(batch, world, steps):
    assert steps_per_epoch(manifest(split(50, 50, 50, 50)), batch, world) == steps


@pytest.mark.parametrize("world", [0, 3, 8])
def test_a_world_that_cannot_share_equally_is_told_the_remedy(world):
    with pytest.raises(ValueError, match=rf"4 training shards cannot be dealt to {world} ranks.*--world-size {world}"):
        steps_per_epoch(manifest(split(50, 50, 50, 50)), 16, world)
    with pytest.raises(ValueError, match="batch size 0"):
        steps_per_epoch(manifest(split(5)), 0, 1)


def test_unequal_training_shards_are_no_manifest():
    # The original's deadlock: 120, 96, 96 and 72 records.
    with pytest.raises(ValidationError, match=r"training shards are unequal.*part-0 has 120, part-1 has 96"):
        manifest(split(120, 96, 96, 72))


def test_shards_of_another_multiple_are_no_manifest():
    with pytest.raises(ValidationError, match="shards of valid are no multiple of 2"):
        manifest(split(5, 5), split(3), multiple=2)


def test_counts_that_do_not_add_up_are_no_manifest():
    with pytest.raises(ValidationError, match="do not add up to 9"):
        ManifestSplit.model_validate(split(5, 5).model_dump() | {"repeated": 1})
    with pytest.raises(ValidationError, match="do not hold 11 records"):
        ManifestSplit.model_validate(split(5, 5).model_dump() | {"records": 11})
