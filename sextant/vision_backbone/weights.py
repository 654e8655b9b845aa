"""Tensors of a PyTorch checkpoint, read without PyTorch and without running what a pickle may hold.

A checkpoint is a pickle of a dict of tensors that refer to storages lying beside it. Two containers exist:
- since PyTorch 1.6 a zip: `{name}/data.pkl` and one file `{name}/data/{key}` per storage;
- before that ("legacy"): five pickles in a row (magic number, protocol, system facts, the dict, the storage keys), then
  per key, in that order, the number of elements as int64 and the elements.
Source of both: torch/serialization.py (`_save`, `_legacy_save`).
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "|u1",
}


_DAMAGED = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    AttributeError,
    EOFError,
    LookupError,
    StopIteration,
    TypeError,
    ValueError,
)
"""What reading damaged bytes may end in."""


class CheckpointError(ValueError):
    """The file is no checkpoint of plain tensors."""


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


class _Unpickler(pickle.Unpickler):
    """Knows the names a dict of tensors needs and refuses every other, so that no code in the file is ever called."""

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return np.dtype(_TYPES[name])
        raise CheckpointError(f"the checkpoint asks for {module}.{name}: only plain tensors are read")

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, elements, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise CheckpointError(f"the checkpoint refers to {kind!r}: only storages of plain numbers are read")
        return _Storage(str(key), dtype, int(elements))


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The checkpoint's tensors by name, in the shapes they were saved with (C order), little-endian.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or one that holds more than a dict of tensors.
    """
    try:
        with path.open("rb") as file:
            tensors, stored = (_zipped if zipfile.is_zipfile(file) else _legacy)(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _DAMAGED as error:
        raise CheckpointError(f"{path} is no readable PyTorch checkpoint: {error}") from error
    return {name: _array(tensor, stored) for name, tensor in tensors.items() if isinstance(tensor, _Tensor)}


def _zipped(file: IO[bytes]) -> tuple[dict[str, object], Callable[[_Storage], bytes]]:
    file.seek(0)
    archive = zipfile.ZipFile(io.BytesIO(file.read()))
    pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = pickled.removesuffix("data.pkl")
    return _Unpickler(io.BytesIO(archive.read(pickled))).load(), lambda each: archive.read(f"{folder}data/{each.key}")


def _legacy(file: IO[bytes]) -> tuple[dict[str, object], Callable[[_Storage], bytes]]:
    file.seek(0)
    if (magic := _Unpickler(file).load()) != MAGIC or (protocol := _Unpickler(file).load()) != PROTOCOL:
        raise CheckpointError(f"it starts with {magic!r}, not with the number of a PyTorch checkpoint")
    facts = _Unpickler(file).load()
    if protocol != PROTOCOL or not facts["little_endian"]:
        raise CheckpointError("it was written on a big-endian machine")
    tensors = _Unpickler(file).load()
    sizes = {each.storage.key: each.storage for each in tensors.values()}
    stored: dict[str, bytes] = {}
    for key in _Unpickler(file).load():
        elements = int.from_bytes(file.read(8), "little")
        if elements != sizes[key].elements:
            raise CheckpointError(f"storage {key} has {elements} elements where its tensor says {sizes[key].elements}")
        stored[key] = file.read(elements * sizes[key].dtype.itemsize)
    return tensors, lambda each: stored[each.key]


def _array(tensor: _Tensor, stored: Callable[[_Storage], bytes]) -> NDArray[Any]:
    flat = np.frombuffer(stored(tensor.storage), tensor.storage.dtype)
    reach = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride, strict=True)) + 1
    if flat.size != tensor.storage.elements or reach > flat.size or min(tensor.stride, default=0) < 0:
        raise CheckpointError(
            f"storage {tensor.storage.key} ends after {flat.size} of {max(reach, tensor.storage.elements)} numbers"
        )
    steps = [step * flat.itemsize for step in tensor.stride]
    return np.array(np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps), order="C")
