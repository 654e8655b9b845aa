import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sextant import vision_backbone
from sextant.slides import encoder
from sextant.slides.records import Tile


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def jpeg(image):
    import simplejpeg

    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95, colorsubsampling="444")


def tile(x=0, mpp=0.5, size=64, **changed):
    rng = np.random.default_rng(x)
    small = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    image = small.repeat(size // 4, 0).repeat(size // 4, 1)
    given = {
        "slide": "s1",
        "patient": "p1",
        "label": 1,
        "label_name": "lusc",
        "x": x,
        "y": 0,
        "span": size,
        "size": size,
        "mpp": mpp,
        "background": 0.1,
        "grid": (1, 1),
        "parts": (jpeg(image),),
    }
    return Tile(**given | changed)


def graph(path, kind=TensorProto.FLOAT, shape=("n", 3, 8, 8), **told):
    """Its features are the means of the channels: known from the picture alone."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
        if kind == TensorProto.FLOAT
        else helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    made = helper.make_graph(nodes, "means", [helper.make_tensor_value_info("x", kind, list(shape))], [output])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: json.dumps(value) for key, value in told.items()})
    onnx.save(model, path)
    return f"onnx:{path}"


class Means:
    name, sha256, dim, input_px, mpp = "means", "0" * 64, 3, 16, None

    def encode(self, batch):
        return batch.mean((1, 2), dtype=np.float32)


class Broken(Means):
    def encode(self, batch):
        return np.full((len(batch), 3), np.nan, np.float32)


def means():
    return Means()


def number():
    return 5


def test_default_is_lite0_and_repeats_itself():
    lite0 = encoder.load()
    assert (lite0.name, lite0.dim, lite0.input_px, lite0.mpp) == ("lite0", 1280, 224, None)
    assert lite0.sha256 == vision_backbone.digest() != vision_backbone.digest((3,))
    images = [np.random.default_rng(seed).integers(0, 256, (512, 512, 3), dtype=np.uint8) for seed in range(3)]
    together = encoder.encode(lite0, images)
    assert together.shape == (3, 1280)
    # A tile alone and the same tile in a batch: served and trained features are the same.
    assert np.allclose(together[1], encoder.encode(lite0, images[1:2])[0], atol=1e-5)
    assert encoder.encode(lite0, []).shape == (0, 1280)


def test_resizing_averages_the_area():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)[..., None].repeat(3, 2)
    assert encoder.resized(image, 2)[..., 0].tolist() == [[3, 5], [11, 13]]  # means 2.5, 4.5, 10.5, 12.5, rounded up
    assert encoder.resized(image, 4) is image


def test_onnx_graph_gets_its_normalisation(tmp_path):
    image = np.full((8, 8, 3), (51, 102, 204), np.uint8)
    plain = encoder.load(graph(tmp_path / "imagenet.onnx"))
    assert np.allclose(
        encoder.encode(plain, [image])[0],
        [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225],
        atol=1e-6,
    )
    told = encoder.load(
        graph(
            tmp_path / "own.onnx",
            shape=("n", 3, "h", "w"),
            mean=[0, 0, 0],
            std=[0.5, 1, 1],
            input_px=16,
            mpp=0.25,
        )
    )
    assert (told.input_px, told.mpp, told.dim) == (16, 0.25, 3)
    assert np.allclose(encoder.encode(told, [image])[0], [0.4, 0.4, 0.8], atol=1e-6)
    assert told.sha256 != plain.sha256


def test_scale_the_encoder_was_not_made_for_is_refused(tmp_path):
    made = encoder.load(graph(tmp_path / "e.onnx", mpp=0.5))
    encoder.check_scale(made, 8, 0.5)
    encoder.check_scale(made, 8, None)
    with pytest.raises(encoder.EncoderError, match=r"64 px at 0\.5 µm come to 4\. .* size times µm is 4"):
        encoder.check_scale(made, 64, 0.5)


def test_python_encoder():
    made = encoder.load(f"python:{__name__}:means")
    assert encoder.encode(made, [np.full((16, 16, 3), 7, np.uint8)]).tolist() == [[7, 7, 7]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet50", "resnet50 is no encoder: use lite0, onnx:FILE"),
        ("onnx:", "is no encoder"),
        ("onnx:/nowhere.onnx", "there is no /nowhere.onnx"),
        ("onnx:" + __file__, "is no ONNX graph that can be run"),
        ("timm:vit_small", "needs timm, which is not installed"),
        ("python:json:nothing", "cannot be made: .*nothing"),
        (f"python:{__name__}:number", "returned int: an encoder has name"),
    ],
)
def test_encoders_that_cannot_be_loaded_say_why(name, reason):
    with pytest.raises(encoder.EncoderError, match=reason):
        encoder.load(name)


def test_graphs_of_other_shapes_are_refused(tmp_path):
    with pytest.raises(encoder.EncoderError, match=r"takes x tensor\(float\).*uint8 \(n, px, px, 3\)"):
        encoder.load(graph(tmp_path / "flat.onnx", shape=("n", 3, 8, 8, 8)))
    model = onnx.load(graph(tmp_path / "maps.onnx").removeprefix("onnx:"))
    model.graph.node[0].attribute[1].i = 1
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 1, 1]))
    onnx.save(model, tmp_path / "maps.onnx")
    with pytest.raises(encoder.EncoderError, match="export it with one vector per image"):
        encoder.load(f"onnx:{tmp_path / 'maps.onnx'}")


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(encoder.EncoderError, match="finite: False"):
        encoder.encode(Broken(), [np.zeros((16, 16, 3), np.uint8)])
