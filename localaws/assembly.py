"""The cloud assembly of an environment, synthesized once per content of what goes into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the app reads at synthesis; a change in any of them makes another assembly.
SOURCES = (
    "app.py", "cdk.json", "environments", "stacks",
    "lambdas", "glue_scripts", "processing", "training", "sextant", "web",
)  # fmt: skip
_IGNORED = {"__pycache__", ".DS_Store"}
_KEPT = 3


class SynthesisError(Exception):
    """The CDK app failed. The message is what it printed last."""


def synthesize(environment: str, folder: Path) -> Path:
    """The assembly of one environment file, below `folder`; cached by the content of the sources.

    Raises:
        SynthesisError: a bad environment file, a nag finding, or a fault in the app.
    """
    digest = _digest(environment)
    target = folder / digest
    if (target / "manifest.json").is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{digest}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            "CDK_OUTDIR": str(partial),
            "CDK_CONTEXT_JSON": json.dumps({"environments": environment}),
            # cdk-nag and the template validation are tests; a deployment need not pay their seconds again.
            "CDK_VALIDATION": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0 or not (partial / "manifest.json").is_file():
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise SynthesisError("The CDK app failed:\n" + "\n".join(lines[-15:]))
    partial.rename(target)
    _forget_old(folder)
    return target


def _digest(environment: str) -> str:
    total = hashlib.sha256(environment.encode())
    for source in SOURCES:
        path = ROOT / source
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if _IGNORED.isdisjoint(file.parts) and file.suffix != ".pyc":
                total.update(f"{file.relative_to(ROOT)}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]


def _forget_old(folder: Path) -> None:
    made = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in made[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
