"""`python -m samples.labeling OUT [--seed N] [--scale N]`: writes the labeling sample below OUT."""

from __future__ import annotations

import argparse
from pathlib import Path

from samples.labeling import generate

parser = argparse.ArgumentParser(prog="python -m samples.labeling", description=__doc__)
parser.add_argument("out", type=Path, help="folder to write into")
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--scale", type=int, default=1)
arguments = parser.parse_args()
generate(arguments.out, arguments.seed, arguments.scale)
