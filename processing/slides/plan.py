"""The plan step: `python3 -m processing.slides.plan --run URI --table URI --slides URI`; slides.csv becomes a plan."""

from __future__ import annotations

import argparse
import sys

from pydantic import ValidationError

from sextant import storage
from sextant.container import InputError, failing
from sextant.slides.cohort import gather, read_table
from sextant.slides.cohort_tiling import clear_plan, publish_plan, quarantine
from sextant.slides.plan import FRACTIONS, SALT, make_plan
from sextant.slides.settings import TileSettings


def main() -> None:
    """Writes `plan.json`, and what cannot be used to `quarantine/`."""
    defaults = TileSettings()
    parser = argparse.ArgumentParser(prog="plan", description=__doc__)
    parser.add_argument("--run", required=True, help="URI of the run")
    parser.add_argument("--table", required=True, help="URI of slides.csv")
    parser.add_argument("--slides", required=True, help="URI of the folder with the slides")
    parser.add_argument("--hosts", type=int, default=1, help="instances of the tile step")
    parser.add_argument("--salt", default=SALT, help="another salt gives another split")
    parser.add_argument("--fractions", type=float, nargs=3, default=FRACTIONS, help="of patients: train valid test")
    parser.add_argument("--classes", nargs="+", default=(), help="labels in the order of the model's outputs")
    parser.add_argument("--size", type=int, default=defaults.size, help="pixels per side of a tile")
    parser.add_argument("--magnification", type=float, default=defaults.magnification, help="that tiles are seen at")
    parser.add_argument("--unknown-magnification", type=float, help="of slides that do not tell theirs")
    parser.add_argument("--background", type=float, default=defaults.background, help="most of a tile that may be so")
    parser.add_argument("--encoding", choices=("native", "jpeg"), default=defaults.encoding)
    given = parser.parse_args()
    try:
        tiles = TileSettings(
            size=given.size,
            magnification=given.magnification,
            unknown_magnification=given.unknown_magnification,
            background=given.background,
            encoding=given.encoding,
        )
    except ValidationError as error:
        raise InputError("; ".join(f"--{each['loc'][0]}: {each['msg']}" for each in error.errors())) from None
    try:
        rows = read_table(storage.read(given.table), given.table)
    except storage.GoneError:
        raise InputError(f"{given.table} is not there") from None
    cohort = gather(rows, given.slides, ignored=given.table)
    clear_plan(given.run)
    quarantine(given.run, cohort.quarantined, "plan")  # before a plan without slides fails
    first, second, third = given.fractions
    plan = make_plan(
        cohort,
        classes=tuple(given.classes),
        salt=given.salt,
        fractions=(first, second, third),
        hosts=given.hosts,
        tiles=tiles,
    )
    publish_plan(given.run, plan)
    for each in (*plan.quarantined, *plan.notes):
        print(f"{each.slide or 'cohort'}: {each.reason}, {each.detail}")  # noqa: T201  the job's log
    print(f"{len(plan.slides)} slides planned, {len(plan.quarantined)} in quarantine, {len(plan.notes)} notes")  # noqa: T201


if __name__ == "__main__":
    sys.exit(failing(main))
