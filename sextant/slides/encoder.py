"""What turns a tile into a feature vector, by a name that tells where it comes from.

| name | encoder |
| --- | --- |
| `lite0` | EfficientNet-Lite0, ImageNet weights, 1,280 features of 224 px: the default, no PyTorch needed |
| `onnx:FILE` | an ONNX graph in a file or an s3:// object, such as an exported pathology model |
| `timm:ID` | a model of the hub or a folder, through timm: needs torch and timm |
| `python:PACKAGE.MODULE:FACTORY` | whatever a function without arguments returns, if it is an `Encoder` |

An ONNX graph has one input: uint8 (n, px, px, 3), which it normalises itself, or float32 (n, 3, px, px), which gets
(value / 255 - mean) / deviation; and its first output is (n, dim). Its metadata may tell `mean` and `std` (JSON lists
of three; ImageNet's by default), `input_px` (where the shape leaves it open; 224 by default) and `mpp` (none by
default).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import onnxruntime
from PIL import Image

from sextant import storage, vision_backbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DEFAULT = "lite0"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
SCALE_TOLERANCE = 1.25
"""An encoder that was made for one µm per pixel is fed with pixels up to this factor smaller or larger."""


class EncoderError(Exception):
    """An encoder that cannot be loaded, or tiles that it was not made for."""


@runtime_checkable
class Encoder(Protocol):
    """A frozen network. `mpp` is the µm per pixel it was made for, None when it does not care.

    `sha256` is the digest of its weights, or a text that tells them apart from others of the same name.
    """

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def input_px(self) -> int: ...
    @property
    def mpp(self) -> float | None: ...

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features, shape (n, dim), of RGB images, shape (n, input_px, input_px, 3)."""
        ...


def load(name: str = DEFAULT, threads: int = 1) -> Encoder:
    """The encoder of a name; `threads` is what it may use within one batch.

    Raises:
        EncoderError: an unknown kind, a missing file or package, or something that is no encoder.
    """
    kind, _, rest = name.partition(":")
    if name == DEFAULT:
        return _graph(name, vision_backbone.model_path().read_bytes(), threads, vision_backbone.digest())
    if kind == "onnx" and rest:
        try:
            content = storage.read(rest)
        except storage.GoneError as error:
            raise EncoderError(f"{name}: there is no {rest}: give a file or an s3:// object that exists") from error
        return _graph(name, content, threads, hashlib.sha256(content).hexdigest())
    if kind == "timm" and rest:
        return _timm(name, rest, threads)
    if kind == "python" and rest.count(":") == 1:
        return _made(name, *rest.split(":"))
    raise EncoderError(f"{name} is no encoder: use lite0, onnx:FILE, timm:ID or python:PACKAGE.MODULE:FACTORY")


def graph(encoder: Encoder) -> bytes | None:
    """The file of an `onnx:` encoder, which a model trained on its features has to bring along; None for others.

    Raises:
        EncoderError: the file is another one than was loaded, or is gone.
    """
    kind, _, rest = encoder.name.partition(":")
    if kind != "onnx":
        return None
    try:
        content = storage.read(rest)
    except storage.GoneError as error:
        raise EncoderError(f"{rest} is gone since it was loaded: put it back and train again") from error
    if hashlib.sha256(content).hexdigest() != encoder.sha256:
        raise EncoderError(f"{rest} has changed since it was loaded: run the feature step and the training again")
    return content


def check_scale(encoder: Encoder, size: int, mpp: float | None) -> None:
    """Refuses tiles whose pixels, once resized for the encoder, are much smaller or larger than those it was made for.

    Args:
        encoder: what will see them.
        size: side of a tile in pixels.
        mpp: the µm per pixel of a tile, None where the slide does not tell; then nothing can be checked.

    Raises:
        EncoderError: they differ by more than the factor SCALE_TOLERANCE.
    """
    if encoder.mpp is None or mpp is None:
        return
    seen = mpp * size / encoder.input_px
    if max(seen / encoder.mpp, encoder.mpp / seen) > SCALE_TOLERANCE:
        raise EncoderError(
            f"{encoder.name} was made for {encoder.mpp:g} µm per pixel at {encoder.input_px} px; tiles of {size} px at "
            f"{mpp:g} µm come to {seen:g}. Plan with another tile size or magnification, so that size times µm is "
            f"{encoder.mpp * encoder.input_px:g}"
        )


def resized(image: NDArray[np.uint8], px: int) -> NDArray[np.uint8]:
    """The square image with px pixels per side, each the mean of the area that it covers (Pillow's BOX filter).

    Training, serving and benchmarks all go through here, so that a tile has one feature vector wherever it is computed:
    decoding at a reduced scale would be faster by a millisecond and give other numbers where a slide has other parts.
    """
    if image.shape[:2] == (px, px):
        return image
    return np.asarray(Image.fromarray(image).resize((px, px), Image.Resampling.BOX))


def encode(encoder: Encoder, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Features, shape (n, dim), of square RGB images of any size.

    Raises:
        EncoderError: the encoder returns another shape than it promises, or numbers that are not finite.
    """
    if not images:
        return np.empty((0, encoder.dim), np.float32)
    features = encoder.encode(np.stack([resized(each, encoder.input_px) for each in images]))
    if features.shape != (len(images), encoder.dim) or not np.isfinite(features).all():
        raise EncoderError(
            f"{encoder.name} gave an array of shape {features.shape}, finite: {bool(np.isfinite(features).all())}, "
            f"where {(len(images), encoder.dim)} finite numbers belong: this encoder cannot be used"
        )
    return features.astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class _Graph:
    """An ONNX graph. `mean` and `deviation` are those of float inputs; None: the graph takes uint8."""

    name: str
    sha256: str
    dim: int
    input_px: int
    mpp: float | None
    session: Any
    normalisation: tuple[NDArray[np.float32], NDArray[np.float32]] | None

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        value: NDArray[Any] = batch
        if self.normalisation:
            mean, deviation = self.normalisation
            value = np.ascontiguousarray(((batch / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2))
        output = self.session.get_outputs()[0].name
        features: NDArray[np.float32] = self.session.run([output], {self.session.get_inputs()[0].name: value})[0]
        return features


def _graph(name: str, content: bytes, threads: int, sha256: str) -> Encoder:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for work sleep: several processes share the cores, and CPU seconds are what a job pays.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public base
        raise EncoderError(f"{name} is no ONNX graph that can be run: {error}") from error
    told = session.get_modelmeta().custom_metadata_map
    inputs, output = session.get_inputs(), session.get_outputs()[0]
    shape = inputs[0].shape
    raw = inputs[0].type == "tensor(uint8)"
    if len(inputs) != 1 or len(shape) != 4 or (not raw and inputs[0].type != "tensor(float)"):
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise EncoderError(f"{name} takes {found}: an encoder takes uint8 (n, px, px, 3) or float32 (n, 3, px, px)")
    side = shape[1 if raw else 2]
    px = side if isinstance(side, int) else int(told.get("input_px", vision_backbone.INPUT_PX))
    mean, deviation = (
        np.asarray(json.loads(told[key]) if key in told else default, np.float32)
        for key, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_DEVIATION))
    )
    if len(output.shape) != 2 or not isinstance(output.shape[1], int):
        raise EncoderError(f"{name} gives {output.name} {output.shape}: export it with one vector per image, (n, dim)")
    return _Graph(
        name=name,
        sha256=sha256,
        dim=output.shape[1],
        input_px=px,
        mpp=float(told["mpp"]) if "mpp" in told else None,
        session=session,
        normalisation=None if raw else (mean, deviation),
    )


@dataclass(frozen=True, eq=False)
class _Timm:
    name: str
    sha256: str
    dim: int
    input_px: int
    mpp: float | None
    network: Any
    mean: Any
    deviation: Any

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode():
            value = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2))).to(self.mean.device)
            features: NDArray[np.float32] = self.network((value / 255.0 - self.mean) / self.deviation).cpu().numpy()
        return features


def _timm(name: str, model: str, threads: int) -> Encoder:
    try:
        timm: Any = importlib.import_module("timm")  # heavy, and only this kind of encoder needs it
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        raise EncoderError(
            f"{name} needs {error.name}, which is not installed: use an image with torch and timm, or export the model "
            "to ONNX and name it onnx:FILE"
        ) from error
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = f"local-dir:{model}" if Path(model).is_dir() else model
    network = timm.create_model(source, pretrained=True, num_classes=0).eval().to(device)
    wanted = timm.data.resolve_model_data_config(network)
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    mean, deviation = (torch.tensor(wanted[key], device=device).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    return _Timm(
        name,
        digest.hexdigest(),
        int(network.num_features),
        int(wanted["input_size"][-1]),
        None,
        network,
        mean,
        deviation,
    )


def _made(name: str, module: str, factory: str) -> Encoder:
    try:
        made = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        raise EncoderError(
            f"{name} cannot be made: {error}. The module must be installed in this environment"
        ) from error
    if not isinstance(made, Encoder):
        raise EncoderError(
            f"{name} returned {type(made).__name__}: an encoder has name, sha256, dim, input_px, mpp, encode"
        )
    return made


def default_threads() -> int:
    """As many threads as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
