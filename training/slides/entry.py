"""The image's entry point: SageMaker starts a container with `train` for a training job, with `serve` for a model."""

from __future__ import annotations

import logging
import sys

from pydantic import ValidationError

from sextant import container
from sextant.slides import encoder, features, model, training
from sextant.slides.errors import RecordError
from sextant.slides.manifest import Manifest
from training.slides import serve


def train() -> None:
    """Trains the head that the hyperparameters ask for, from the channels train, valid, manifest and accounts.

    The last is `features/accounts/` of the run: features of another encoder or of other records are refused.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if container.hosts().count > 1:
        raise container.InputError("a head is trained on one instance: set InstanceCount to 1")
    try:
        settings = training.HeadSettings.model_validate(container.hyperparameters())
        manifest = Manifest.model_validate_json(_only_json("manifest"))
        network = encoder.load(settings.encoder)
        accounts = features.check_accounts(container.channel("accounts"), manifest, network)
        train_split, valid_split = (
            training.read_split(features.of_channel(name, accounts), name, len(manifest.classes))
            for name in ("train", "valid")
        )
        trained = training.train_head(
            train_split,
            valid_split,
            manifest,
            settings,
            encoder=model.encoder_facts(network),
            checkpoints=container.opt_ml() / "checkpoints",
        )
        graph = encoder.graph(network)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise container.InputError(f"{error.title}: {told}") from error
    except (training.TrainingError, encoder.EncoderError, RecordError) as error:
        raise container.InputError(str(error)) from error
    model.save(trained, container.opt_ml() / "model", graph)


def _only_json(channel: str) -> bytes:
    found = sorted(container.channel(channel).rglob("*.json"))
    if len(found) != 1:
        raise container.InputError(f"channel {channel} has {len(found)} JSON files: give it records/manifest.json")
    return found[0].read_bytes()


def main() -> int:
    """Does what the container was started for."""
    programs = {"train": train, "serve": serve.main}
    program = programs.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if program is None:
        sys.stderr.write(f"usage: python -m training.slides.entry {'|'.join(programs)}\n")
        return 2
    return container.failing(program)


if __name__ == "__main__":
    sys.exit(main())
