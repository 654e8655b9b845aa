"""What is known and checked before a distributed training starts, without PyTorch: settings, ranks and their shards.

The original hung or died when one rank had fewer records than the others. Here the manifest decides the steps, and
shards that cannot be dealt equally are refused before any process group is formed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sextant import container
from sextant.slides import training_input
from sextant.slides.aggregate import Aggregation  # noqa: TC001  pydantic reads the types of fields
from sextant.slides.manifest import Manifest, steps_per_epoch
from sextant.slides.plan import LEARNED

if TYPE_CHECKING:
    from pathlib import Path

    from sextant.slides.plan import Split


class FinetuneSettings(BaseModel):
    """The hyperparameters of fine-tuning; SageMaker hands them over as strings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["finetune"] = "finetune"
    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Tiles per rank and step."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    patience: Annotated[int, Field(ge=1)] = 3
    """Epochs without a higher validation slide AUC before it ends."""
    aggregation: Aggregation = "mean"
    processes_per_host: Annotated[int, Field(ge=1)] | None = None
    """Ranks per host; None: one per GPU, or one where there is none."""
    seed: Annotated[int, Field(ge=0)] = 0


def settings() -> FinetuneSettings:
    """The job's settings.

    Raises:
        InputError: a hyperparameter is unknown or out of range.
    """
    try:
        found = FinetuneSettings.model_validate(container.hyperparameters())
    except ValidationError as error:
        raise container.InputError(f"hyperparameters: {_told(error)}") from error
    if found.aggregation == "attention":
        raise container.InputError("aggregation attention needs head attention: fine-tune with mean, majority or topk")
    return found


def manifest() -> Manifest:
    """The manifest of the channel `manifest`.

    Raises:
        InputError: there is none, or its training shards are unequal.
    """
    found = sorted(container.channel("manifest").rglob("*.json"))
    if len(found) != 1:
        raise container.InputError(f"channel manifest has {len(found)} JSON files: give it records/manifest.json")
    try:
        return Manifest.model_validate_json(found[0].read_bytes())
    except ValidationError as error:
        raise container.InputError(f"{found[0].name}: {_told(error)}") from error


def check(packed: Manifest, batch_size: int, ranks: int) -> int:
    """The steps per epoch of every rank, once it is sure that all ranks have that many.

    Args:
        packed: the manifest.
        batch_size: tiles per rank and step.
        ranks: of all hosts together.

    Raises:
        InputError: the shards cannot be dealt equally, those that the channel holds are not the manifest's, or ranks
            would read the same pipe, or pipes with the same records.
    """
    try:
        steps = steps_per_epoch(packed, batch_size, ranks)
    except ValueError as error:
        raise container.InputError(str(error)) from error
    for split in LEARNED:
        if container.input_mode(channel_of(split, 0)) == "Pipe":
            _check_pipes(split, ranks)
        else:
            _check_shards(split, packed)
    return steps


def _check_shards(split: Split, packed: Manifest) -> None:
    told = {each.name.rpartition("/")[2]: each.bytes for each in packed.splits[split].shards}
    found = {each.name: each.stat().st_size for each in training_input.shards(split)}
    wrong = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
    if wrong:
        raise container.InputError(
            f"channel {split} does not hold the manifest's shards: {wrong[0]} has {found.get(wrong[0])} bytes of "
            f"{told.get(wrong[0])}. Point it at the records that this manifest was packed with, all on every host"
        )


def _check_pipes(split: Split, ranks: int) -> None:
    """A pipe cannot be dealt out by its readers as a folder can: what comes through it is one rank's."""
    hosts = container.hosts().count
    channels = [channel_of(split, number) for number in range(ranks // hosts)]
    if len(set(channels)) < len(channels):
        raise container.InputError(
            f"channel {split} is a pipe, which one rank can read, and {len(channels)} ranks per host share it: use "
            f"input mode FastFile, one rank per host, or a channel for each rank ({split}_0, {split}_1, …) with "
            "shards of its own"
        )
    replicated = [each for each in channels if not container.is_shared_out(each)]
    if hosts > 1 and replicated:
        raise container.InputError(
            f"channel {replicated[0]} brings the same records to each of {hosts} hosts through a pipe: use input mode "
            "FastFile, or S3DataDistributionType ShardedByS3Key"
        )


def channel_of(split: str, local_rank: int) -> str:
    """The channel that a rank reads a split from.

    A folder is shared by all ranks. A pipe has one reader, so in Pipe mode each rank of a host has a channel of its
    own: `train_0`, `train_1`, …
    """
    own = f"{split}_{local_rank}"
    try:
        return own if container.input_mode(own) == "Pipe" else split
    except container.InputError:
        return split


def checkpoints() -> Path:
    """Where checkpoints outlive a stopped job."""
    return container.opt_ml() / "checkpoints"


def _told(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in error.errors())
