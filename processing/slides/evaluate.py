"""The evaluation step: `python3 -m processing.slides.evaluate --run URI --model URI`."""

from __future__ import annotations

import argparse
import sys

from sextant import container
from sextant.slides import measuring, model
from sextant.slides.scores import ScoresError
from sextant.storage import GoneError


def main() -> None:
    """Measures the model on the test split and writes results, tiles, heatmaps and outlines of its slides."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    parser.add_argument("--run", required=True, help="URI of the run")
    parser.add_argument("--model", required=True, help="URI of model.tar.gz, or a folder of the model's files")
    given = parser.parse_args()
    try:
        trained = model.load_archive(given.model)
        evaluation = measuring.measure_run(given.run, trained)
    except (model.ModelError, measuring.MeasuringError, ScoresError, GoneError) as error:
        raise container.InputError(str(error)) from error
    print(evaluation.sentence())  # noqa: T201  the job's log
    if evaluation.missing:
        print(f"without tiles, so without scores: {', '.join(evaluation.missing)}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(container.failing(main))
