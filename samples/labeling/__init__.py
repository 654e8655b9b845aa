"""A labeling batch as Ground Truth would have written it, by workers whose skill, speed and bias are known.

`generate` writes the output of all jobs below `batch_manifests/`, with gold labels and the inputs of unfinished jobs;
the label category files below `label_category_input/`; the user pool as `users.json`; and as `truth.json` the exact
rows of every report and what the analytics must answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from samples.labeling.ground_truth import write_batch
from samples.labeling.truth import Truth, expected
from samples.labeling.world import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BUCKET", "Truth", "generate"]

BUCKET = "street-clips-batch-processing"
"""The bucket that the sample's URIs name; nothing reads them through it."""


def generate(
    out: Path, seed: int = 7, scale: int = 1, *, subs: Mapping[str, str] | None = None, issuer: str = ""
) -> Truth:
    """Writes the sample below `out` and returns the truth, also written as `out/truth.json`.

    The same arguments give the same bytes. At scale 1 there are about 1,500 objects; clips and images grow with it.

    Args:
        out: folder to write into; created if absent.
        seed: of the pseudo-random world.
        scale: at least 1.
        subs: subject by user name of users that exist already: a user pool chooses subjects itself.
        issuer: the user pool's issuer URL, if it exists already.

    Raises:
        ValueError: scale is less than 1.
    """
    if scale < 1:
        raise ValueError(f"scale {scale} is less than 1: give the number of times the sample is to be repeated")
    world = simulate(seed, scale, subs=subs or {}, issuer=issuer)
    damaged = write_batch(world, out, BUCKET)
    truth = expected(world, damaged)
    (out / "truth.json").write_text(truth.as_json(), encoding="utf-8")
    return truth
