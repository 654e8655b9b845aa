"""A trained model as files: `model.json` tells what it is, `head.npz` holds the head's arrays (no pickle).

Where the encoder is an ONNX graph of the user's or was trained, `encoder.onnx` is it: whoever serves the model needs
nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sextant import storage
from sextant.slides.aggregate import TOP_SHARE, Aggregation
from sextant.slides.heads import Head, Kind, shapes
from sextant.slides.settings import TileSettings  # noqa: TC001  pydantic reads it

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.slides.encoder import Encoder

ENCODER_FILE = "encoder.onnx"
"""An encoder that is no part of the image that serves: one from a file, or one that was trained with the head."""
FINETUNED = "finetuned"
"""Name of an encoder that was trained with the head."""

_FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Share = Annotated[float, Field(ge=0, le=1)]


class ModelError(Exception):
    """Files that are no model, or one that does not fit: the message names them, the reason and the remedy."""


class EncoderFacts(BaseModel):
    """Which encoder made the features; serving refuses another."""

    model_config = _FROZEN

    name: str
    sha256: str
    dim: int
    input_px: int


class Validation(BaseModel):
    """What the model was chosen by. The scores are those of the calibrated model."""

    model_config = _FROZEN

    slides: int
    patients: int
    tiles: int
    slide_auc: Share
    slide_accuracy: Share
    slide_loss: float
    tile_accuracy: Share


class ModelFacts(BaseModel):
    """`model.json`."""

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    classes: tuple[str, ...]
    encoder: EncoderFacts
    head: Kind
    aggregation: Aggregation
    top_share: Share = TOP_SHARE
    temperature: Annotated[float, Field(gt=0)]
    strength: float
    validation: Validation
    tiles: TileSettings
    plan_digest: str
    data_digest: str


@dataclass(frozen=True, eq=False)
class Model:
    """A head and what is to be known about it."""

    facts: ModelFacts
    head: Head

    def digest(self) -> str:
        """SHA-256 of everything that decides its scores: results name the model by it."""
        digest = hashlib.sha256(self.facts.model_dump_json().encode())
        for name in sorted(self.head.arrays):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.head.arrays[name], "<f4").tobytes())
        return digest.hexdigest()

    def check_encoder(self, encoder: Encoder) -> None:
        """Refuses an encoder that is not the one the head was trained with.

        Raises:
            ModelError: the digests differ.
        """
        if encoder.sha256 != self.facts.encoder.sha256:
            raise ModelError(
                f"the model was trained on features of {self.facts.encoder.name} {self.facts.encoder.sha256[:12]}, and "
                f"{encoder.name} here is {encoder.sha256[:12]}: serve it with the image and encoder of its training"
            )


def encoder_facts(encoder: Encoder) -> EncoderFacts:
    """What a model keeps of its encoder."""
    return EncoderFacts(name=encoder.name, sha256=encoder.sha256, dim=encoder.dim, input_px=encoder.input_px)


def save(model: Model, folder: Path, graph: bytes | None = None) -> None:
    """Writes the model's files into the folder, its encoder's ONNX `graph` among them; `model.json` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    if graph is not None:
        (folder / ENCODER_FILE).write_bytes(graph)
    with (folder / "head.npz").open("wb") as file:
        np.savez(file, **model.head.arrays)  # type: ignore[arg-type]
    (folder / "model.json").write_text(model.facts.model_dump_json(indent=1), encoding="utf-8")


def load(folder: Path, called: str = "") -> Model:
    """The model of a folder, which errors name as it is `called`.

    Raises:
        ModelError: a file is missing, damaged, foreign or of another version.
    """
    called = called or str(folder)
    remedy = "give the model.tar.gz of a training job that completed, or train again"
    try:
        facts = ModelFacts.model_validate_json((folder / "model.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(f"{called} holds no model of this version (model.json: {_first(error)}): {remedy}") from error
    try:
        arrays = read_arrays(folder / "head.npz")
    except (OSError, ModelError) as error:
        raise ModelError(f"{called}: {error}: {remedy}") from error
    wanted = shapes(facts.head, facts.encoder.dim, len(facts.classes))
    found = {name: each.shape for name, each in arrays.items()}
    if found != wanted:
        raise ModelError(f"{called}: head.npz holds arrays {found} where model.json tells {wanted}: {remedy}")
    return Model(facts, Head(facts.head, arrays))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file by their names.

    Raises:
        ModelError: it is none, or damaged. OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        # Without this, numpy takes other formats too, and answers with something else than named arrays.
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ModelError(f"{path.name} is no .npz file, or its end is missing ({len(content)} bytes)")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)
    except (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path.name} is damaged ({error})") from error


def load_archive(uri: str) -> Model:
    """The model of SageMaker's model.tar.gz, or of a folder.

    Raises:
        ModelError: as for `load`, or the archive is not there, none or damaged.
    """
    if not storage.is_s3(uri) and Path(uri).is_dir():
        return load(Path(uri))
    try:
        content = storage.read(uri)
    except storage.GoneError:
        raise ModelError(f"{uri} is not there: give the model.tar.gz of a training job that completed") from None
    with tempfile.TemporaryDirectory() as folder:
        try:
            # All at once: tarfile would not read as far as the checksum at gzip's end.
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content)), mode="r:") as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise ModelError(
                f"{uri} is no archive of a model, or damaged ({error}): give the model.tar.gz of a training job that "
                "completed, or train again"
            ) from error
        return load(Path(folder), uri)


def _first(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
