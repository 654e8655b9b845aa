"""Takes the checkout off a container's module path, so that a container imports only what its image holds.

The interpreter that stands for an image's Python has the checkout installed; an image on AWS has only what was copied
into it. This folder is on PYTHONPATH of every container.
"""

# ruff: noqa: INP001 - a folder on a path, no package
import sys
from pathlib import Path

_here = Path(__file__).resolve()
_hidden = {str(_here.parents[4]), str(_here.parent)}
sys.path[:] = [entry for entry in sys.path if entry == "" or str(Path(entry).resolve()) not in _hidden]
