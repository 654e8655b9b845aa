"""The tile step: `python3 -m processing.slides.tile --run URI --slides URI`; this host's slides become tiles."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from sextant.container import failing, hosts
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.pack import read_plan

STOPPED = 128 + signal.SIGTERM


def main() -> None:
    """Tiles until all is done, or until SIGTERM: then the slides in work are finished, and the code is 143."""
    parser = argparse.ArgumentParser(prog="tile", description=__doc__)
    parser.add_argument("--run", required=True, help="URI of the run")
    parser.add_argument("--slides", required=True, help="URI of the folder with the slides")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="slides in work at a time")
    given = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stopping.set())

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201  the job's log

    made = tile_host(
        given.run,
        given.slides,
        read_plan(given.run),
        host=hosts().index,
        processes=max(1, given.processes),
        stopping=stopping,
        tell=tell,
    )
    tell(
        f"{len(made.tiled)} slides tiled, {len(made.done_before)} were tiled before, "
        f"{len(made.quarantined)} in quarantine, {len(made.left)} left"
    )
    if made.left:
        tell("stopped by SIGTERM: the same command goes on with what is left")
        sys.exit(STOPPED)


if __name__ == "__main__":
    sys.exit(failing(main))
