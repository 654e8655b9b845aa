"""The feature step: `python3 -m processing.slides.features --run URI`; records of tiles become records of features."""

from __future__ import annotations

import argparse
import sys

from sextant import container
from sextant.slides import encoder, features
from sextant.slides.errors import RecordError


def main() -> None:
    """Encodes this host's share of the training and validation shards."""
    parser = argparse.ArgumentParser(prog="features", description=__doc__)
    parser.add_argument("--run", required=True, help="URI of the run")
    parser.add_argument("--encoder", default=encoder.DEFAULT, help="lite0, onnx:FILE, timm:ID, python:MODULE:FACTORY")
    parser.add_argument("--threads", type=int, default=encoder.default_threads(), help="threads for one batch")
    given = parser.parse_args()
    hosts = container.hosts()
    try:
        network = encoder.load(given.encoder, given.threads)
        made = features.encode_run(given.run, network, hosts.index, hosts.count, given.threads)
    except (encoder.EncoderError, RecordError) as error:
        raise container.InputError(str(error)) from error
    records = sum(each.records for each in made)
    print(f"{records} tiles of {len(made)} shards encoded by {network.name} into {network.dim} features each")  # noqa: T201


if __name__ == "__main__":
    sys.exit(container.failing(main))
