"""`python -m samples.slides OUT [--seed N]`: writes the slides sample below OUT."""

from __future__ import annotations

import argparse
from pathlib import Path

from samples.slides.cohort import write_cohort

parser = argparse.ArgumentParser(prog="python -m samples.slides", description=__doc__)
parser.add_argument("out", type=Path, help="folder to write into")
parser.add_argument("--seed", type=int, default=7)
arguments = parser.parse_args()
write_cohort(arguments.out, arguments.seed)
