"""A function on AWS has Python, boto3 and the Powertools layer: nothing of what only a laptop or Glue has."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "lambdas").glob("*/*.py")
    if path.stem != "__init__"
)
OF_IMAGE = {f"lambdas.inspection.{name}" for name in ("api", "detect", "doctor", "pages", "promote")}
"""Their image has numpy, ONNX Runtime and Pillow beside (lambdas/inspection/image)."""
LOOKING = ("numpy", "onnxruntime", "PIL")
ABSENT = (
    "onnx",
    "sklearn",
    "scipy",
    "pandas",
    "pyarrow",
    "duckdb",
    "sqlglot",
    "orjson",
    "aws_cdk",
    "ministack",
    "localaws",
    "samples",
)
# Imports the module with those packages gone; what it complains of otherwise is its environment.
PROGRAM = """
import importlib, sys
for name in sys.argv[2].split(","):
    sys.modules[name] = None
try:
    importlib.import_module(sys.argv[1])
except ValueError as error:
    assert "environment of this function" in str(error), error
"""


def test_there_are_handlers():
    assert "lambdas.labeling.dashboards" in HANDLERS


@pytest.mark.parametrize("module", HANDLERS)
def test_a_handler_needs_no_package_that_its_function_lacks(module):
    absent = ABSENT if module in OF_IMAGE else ABSENT + LOOKING
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, ",".join(absent)],
        cwd=ROOT,
        env={"AWS_DEFAULT_REGION": "eu-central-1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
