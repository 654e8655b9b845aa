"""The image's context: everything locked, and everything there that the code in it imports."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "processing" / "slides"
DISTRIBUTIONS = {
    "PIL": "pillow",
    "botocore": "boto3",
    "google_crc32c": "google-crc32c",
    "openslide": "openslide-python",
}
ELSEWHERE = {
    *("torch", "timm", "sagemaker", "efficientnet_lite_pytorch"),  # SageMaker's PyTorch image, notebooks
    *("aws_lambda_powertools", "mypy_boto3_athena", "mypy_boto3_glue", "_typeshed"),  # Lambda, types
}


def names(text):
    lines = (line.partition("#")[0].split("==")[0].strip() for line in text.splitlines())
    return {line.lower().replace("_", "-") for line in lines if line and not line.startswith("--")}


def test_the_lock_has_what_is_asked_for_by_hash_and_no_address():
    text = (IMAGE / "requirements.txt").read_text()
    assert names((IMAGE / "requirements.in").read_text()) <= names(text)
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry


def test_the_image_has_what_its_code_imports():
    asked = names((IMAGE / "requirements.in").read_text())
    folders = ("sextant/slides", "sextant/vision_backbone", "processing/slides", "training/slides")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    missing = set()
    for path in [*files, ROOT / "sextant/storage.py", ROOT / "sextant/aws.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            found = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            tops = {each.partition(".")[0] for each in found} - sys.stdlib_module_names - ELSEWHERE
            tops -= {"sextant", "processing", "training"}
            missing |= {f"{path.name}: {top}" for top in tops if DISTRIBUTIONS.get(top, top).lower() not in asked}
    assert not missing


def test_the_dockerfile_copies_what_its_context_holds():
    text = (IMAGE / "Dockerfile").read_text()
    assert set(re.findall(r"^COPY (\S+)", text, re.MULTILINE)) == {
        "requirements.txt",
        "sextant",
        "processing",
        "training",
    }
    assert "--require-hashes" in text
