"""The image encoder that slides and inspection share: EfficientNet-Lite0 as an ONNX graph, built without PyTorch."""

from sextant.vision_backbone.lite0 import DIM, INPUT_PX, build, digest, model_path

__all__ = ["DIM", "INPUT_PX", "build", "digest", "model_path"]
