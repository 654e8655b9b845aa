"""What the pack step made: `records/manifest.json`, which training takes its steps from instead of from a person.

The shards of the training split have equal record counts, and their number is a multiple of the world size: every rank
does the same number of steps, or the collectives of distributed training wait for ever.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sextant.slides.plan import LEARNED, Split
from sextant.slides.settings import TileSettings  # noqa: TC001

_FROZEN = ConfigDict(extra="forbid", frozen=True)
Count = Annotated[int, Field(ge=0)]


class Shard(BaseModel):
    """A TFRecord file: `name` is relative to the manifest's folder. `index/{name}` with `.idx` is its index."""

    model_config = _FROZEN

    name: str
    records: Count
    bytes: Count
    sha256: str


class ManifestSplit(BaseModel):
    """A split's shards. `records` counts what lies in them; `repeated` of these lie there for the second time.

    `per_class` counts tiles, each once, in the order of the classes; slides and patients are those that have tiles.
    """

    model_config = _FROZEN

    shards: tuple[Shard, ...]
    records: Count
    repeated: Count = 0
    per_class: dict[str, Count]
    slides: Count
    patients: Count

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(each.records for each in self.shards) != self.records:
            raise ValueError(f"the shards do not hold {self.records} records")
        if sum(self.per_class.values()) != self.records - self.repeated:
            raise ValueError(f"the classes do not add up to {self.records - self.repeated} tiles")
        return self


class Manifest(BaseModel):
    """The manifest. `feature_dim` is the length of a record's feature vector; None where records are images."""

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    classes: tuple[str, ...]
    plan_digest: str
    settings: TileSettings
    feature_dim: int | None = None
    world_size_multiple: Annotated[int, Field(ge=1)]
    splits: dict[Split, ManifestSplit]

    @model_validator(mode="after")
    def _shards_are_equal(self) -> Self:
        shards = self.splits["train"].shards
        counts = {each.records for each in shards}
        if len(counts) != 1:
            told = ", ".join(f"{each.name} has {each.records}" for each in shards[:4])
            raise ValueError(f"the training shards are unequal ({told}): ranks would wait for ever; pack them again")
        for split in LEARNED:
            if len(self.splits[split].shards) % self.world_size_multiple:
                raise ValueError(
                    f"the shards of {split} are no multiple of {self.world_size_multiple}: pack them again"
                )
        return self


def steps_per_epoch(manifest: Manifest, batch_size: int, world_size: int) -> int:
    """Steps that every rank does in an epoch: its records by the batch size, the last batch being a smaller one.

    Raises:
        ValueError: the training shards cannot be dealt to so many ranks equally, or the batch size is no number of
            records.
    """
    if batch_size < 1:
        raise ValueError(f"batch size {batch_size}: give 1 or more")
    train = manifest.splits["train"]
    if world_size < 1 or len(train.shards) % world_size:
        raise ValueError(
            f"{len(train.shards)} training shards cannot be dealt to {world_size} ranks equally: train on a divisor of "
            f"{len(train.shards)}, or pack with --world-size {world_size}"
        )
    return -(-train.records // world_size // batch_size)
