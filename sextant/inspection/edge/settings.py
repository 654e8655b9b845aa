"""The sorter's configuration file, TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Seconds = Annotated[float, Field(gt=0, le=3600)]
Pin = Annotated[int, Field(ge=2, le=27)]
"""A GPIO number (BCM); 0 and 1 are those of the board's own memory."""
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$")]
"""What may stand in a key of S3."""
Verdict: TypeAlias = Literal["accept", "reject", "review", "inspect"]
"""`inspect` is of items that nobody judged: no answer in time, no photograph, a start in between."""


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the message names the field, the reason and the remedy."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Belt(_Table):
    """Pins and times of the belt; times count from the moment at which an item breaks the beam."""

    beam_pin: Pin
    pusher_pin: Pin
    pusher_active_high: bool = True
    """Whether the pusher is out while its pin is high. With false it is out while the pin is low: wired so, what lies
    on the belt goes to inspection while the board has no power or the sorter has ended."""
    travel_s: Seconds
    """From the beam to the pusher."""
    pulse_s: Annotated[float, Field(gt=0, le=2)] = 0.08
    """How long the pusher is out."""
    debounce_s: Annotated[float, Field(ge=0, le=2)] = 0.03
    """The beam is whole for so long between two items; what breaks it earlier is the same item."""
    blocked_s: Seconds = 5.0
    """A beam that is broken for longer is blocked or dirty: then no item is seen."""
    settle_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    """So long before the pusher an item without an answer is given up."""

    @model_validator(mode="after")
    def _apart(self) -> Belt:
        if self.beam_pin == self.pusher_pin:
            raise ValueError(f"beam_pin and pusher_pin are both {self.beam_pin}: give each a pin of its own")
        if self.settle_s >= self.travel_s:
            raise ValueError(f"settle_s ({self.settle_s:g}) must be shorter than travel_s ({self.travel_s:g})")
        return self


class Camera(_Table):
    """Where photographs come from."""

    kind: Literal["picamera2", "command"] = "picamera2"
    command: tuple[str, ...] = ()
    """Of kind `command`: a program with its arguments that writes a JPEG to its output, such as rpicam-jpeg."""
    size: tuple[Annotated[int, Field(ge=64, le=4096)], Annotated[int, Field(ge=64, le=4096)]] = (1280, 960)
    """Of kind `picamera2`: width and height in px."""
    within_s: Seconds = 0.15
    """A photograph begun later than this after the beam may show the next item: it is not judged."""

    @model_validator(mode="after")
    def _complete(self) -> Camera:
        if (self.kind == "command") != bool(self.command):
            raise ValueError('give command = ["program", "argument"] with kind = "command", and only then')
        return self


class Cloud(_Table):
    """What the sorter does over the network, all of it behind circuit breakers."""

    bucket: str | None = None
    """Photographs are put there under incoming/PROJECT/LINE/CAMERA/, where the stack looks for them."""
    forward: frozenset[Verdict] = frozenset({"reject", "review", "inspect"})
    """Verdicts whose photographs are put there."""
    sample: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the others that is put there, too: without them nobody sees the model's misses."""
    endpoint: str | None = None
    """URL of the API. With it each item is asked in line, and the local model answers where the API does not."""
    model_version: Annotated[str, Field(pattern=r"^([1-9][0-9]*|latest)$")] = "1"
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8
    """An answer of the API with a lower one becomes `review`."""
    region: str | None = None
    timeout_s: Seconds = 1.0
    """Of one call."""
    failures: Annotated[int, Field(ge=1)] = 3
    """So many in a row open the circuit."""
    recovery_s: Annotated[int, Field(ge=1)] = 30
    """So long it stays open before it is tried again."""

    @model_validator(mode="after")
    def _does_something(self) -> Cloud:
        if not self.bucket and not self.endpoint:
            raise ValueError("give a bucket to forward to, an endpoint to ask, or leave [cloud] out")
        return self


def forwards(cloud: Cloud | None, verdict: Verdict | None, chance: float) -> bool:
    """Whether the photograph of an item with that verdict goes to the bucket; `chance`, 0 to 1, draws the sample."""
    if cloud is None or not cloud.bucket:
        return False
    return verdict in cloud.forward or chance < cloud.sample


class Settings(_Table):
    """The whole file. `model` and `store` are paths relative to the file; tables are `belt`, `camera`, `cloud`."""

    project: Word
    line: Word = "line-1"
    camera_name: Word = "camera-1"
    model: Path | None = None
    """A training's model.tar.gz."""
    store: Path = Path("store.sqlite")
    keep: Annotated[int, Field(ge=100)] = 5000
    """Finished items whose records and photographs are kept; what waits to be forwarded is kept besides."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8765
    """Of the page at 127.0.0.1; 0 takes a free one."""
    belt: Belt
    camera: Camera = Camera()
    cloud: Cloud | None = None

    @model_validator(mode="after")
    def _somebody_judges(self) -> Settings:
        if self.model is None and (self.cloud is None or self.cloud.endpoint is None):
            raise ValueError("nobody would judge: give a model, or [cloud] with an endpoint")
        return self


def load(path: Path) -> Settings:
    """The settings in a file, paths made relative to it.

    Raises:
        ConfigurationError: it cannot be read, is no TOML, or has a field that cannot be used.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}: name the file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. Mend the line") from error
    try:
        found = Settings.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the file'}: {_said(each)}" for each in error.errors())
        raise ConfigurationError(f"{path}: {faults}. The example beside the program names every field") from None
    folder = path.resolve().parent
    model = folder / found.model if found.model else None
    return found.model_copy(update={"model": model, "store": folder / found.store})


def _said(fault: object) -> str:
    assert isinstance(fault, dict)
    if fault["type"] == "extra_forbidden":
        return "there is no such field"
    return f"{str(fault['msg']).removeprefix('Value error, ')} (given: {fault['input']!r})"[:300]
