"""The pack step: `python3 -m processing.slides.pack --run URI`; tiles of slides become equal shards for training."""

from __future__ import annotations

import argparse
import sys

from sextant.container import failing
from sextant.slides.pack import FEWEST_SHARDS, pack


def main() -> None:
    """Writes `records/` and its manifest."""
    parser = argparse.ArgumentParser(prog="pack", description=__doc__)
    parser.add_argument("--run", required=True, help="URI of the run")
    parser.add_argument(
        "--world-size",
        type=int,
        default=FEWEST_SHARDS,
        help="the number of shards is a multiple of it and of its divisors",
    )
    given = parser.parse_args()
    manifest = pack(given.run, given.world_size)
    for name, split in manifest.splits.items():
        print(  # noqa: T201  the job's log
            f"{name}: {split.records} tiles of {split.slides} slides and {split.patients} patients in "
            f"{len(split.shards)} shards, {split.repeated} of them repeated"
        )


if __name__ == "__main__":
    sys.exit(failing(main))
