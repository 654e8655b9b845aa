"""`python -m samples.inspection OUT [--seed N]`: writes the inspection sample below OUT."""

from __future__ import annotations

import argparse
from pathlib import Path

from samples.inspection.sample import write_sample

parser = argparse.ArgumentParser(prog="python -m samples.inspection", description=__doc__)
parser.add_argument("out", type=Path, help="folder to write into")
parser.add_argument("--seed", type=int, default=7)
arguments = parser.parse_args()
write_sample(arguments.out, arguments.seed)
