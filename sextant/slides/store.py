"""What runs share: the tiles of slides and the features of shards, in folders beside the runs, named by what made them.

A run that fails, or one over a table that was changed, leaves to the next one what is not touched by the change:

- `{runs}/tiles/{digest}/tiles.tfrecord`, with what the console shows of the slide in `view/`, and last `tiles.json`;
- `{runs}/features/{digest}/features.tfrecord`, and last `account.json`.

A run keeps `tiles/{slide}.json`, which names the tiles that it uses. Nothing here is changed once it is whole, so two
runs may make and use it at a time; what is deleted here, a later run makes again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sextant import storage
from sextant.container import InputError
from sextant.slides.summary import TileSummary  # noqa: TC001  pydantic reads the types of fields

if TYPE_CHECKING:
    from sextant.slides.plan import PlannedSlide
    from sextant.slides.settings import TileSettings

TILES_VERSION = 1
"""Of the records and views that tiling writes: raise it with every change of their bytes, or old ones are taken."""


class TiledSlide(BaseModel):
    """`tiles.json` in the store, and `tiles/{slide}.json` of a run that uses it: `tiles` is the digest, the name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tiles: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    summary: TileSummary


def beside(run: str, kind: str, digest: str) -> str:
    """The URI of what is stored under a digest, `{runs}/{kind}/{digest}`.

    Raises:
        InputError: the run is at the top of a bucket, with nothing beside it.
    """
    runs, _, name = run.rstrip("/").rpartition("/")
    if not name or runs.endswith("/"):
        raise InputError(f"run {run}: give it a folder, such as s3://BUCKET/runs/RUN: what runs share lies beside it")
    return f"{runs or '.'}/{kind}/{digest}"


def tiles_digest(planned: PlannedSlide, settings: TileSettings, uri: str, version: str) -> str:
    """SHA-256 of all that a slide's records and view are made of.

    Args:
        planned: the records hold its names, patient and label.
        settings: the tiles'.
        uri: where the slide lies; its view tells it.
        version: tells one content of it from another.
    """
    made_of = {
        "tiling": TILES_VERSION,
        "slide": planned.slide,
        "patient": planned.patient,
        "label": planned.label,
        "label_index": planned.label_index,
        "uri": uri,
        "version": version,
        "settings": settings.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def stored_tiles(run: str, digest: str) -> TiledSlide | None:
    """The tiles of that digest; None where they were not made, or not left whole."""
    place = beside(run, "tiles", digest)
    try:
        sizes = {each.key: each.size for each in storage.entries(place)}
        found = TiledSlide.model_validate_json(storage.read(storage.joined(place, "tiles.json")))
    except (FileNotFoundError, storage.GoneError, ValidationError):
        return None
    return found if sizes.get("tiles.tfrecord") == found.summary.bytes else None


def forget_tiles(run: str, slide: str, digest: str) -> None:
    """After they were found damaged: the next tile step, of any run, makes them anew."""
    storage.remove(storage.joined(beside(run, "tiles", digest), "tiles.json"))
    storage.remove(account(run, slide))


def account(run: str, slide: str) -> str:
    """The URI of what tells that the run has tiles of the slide."""
    return storage.joined(run, f"tiles/{slide}.json")


def tiled(run: str, slide: str) -> TiledSlide | None:
    """The tiles that the run uses; None where it has none yet."""
    with suppress(storage.GoneError, ValidationError):
        return TiledSlide.model_validate_json(storage.read(account(run, slide)))
    return None
