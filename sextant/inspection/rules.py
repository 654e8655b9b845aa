"""From an answer to a verdict: accept, reject, or review by a person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sextant.inspection.settings import RejectRules

Verdict: TypeAlias = Literal["accept", "reject", "review"]

ANY_LABEL = "*"


def verdict(
    rules: RejectRules,
    *,
    is_anomalous: bool,
    confidence: float,
    anomalies: Sequence[tuple[str, str, float]],
    product_found: bool,
    familiar: bool = True,
    promised: bool = True,
) -> tuple[Verdict, str]:
    """The verdict and its reason in words.

    Args:
        rules: of the line.
        is_anomalous: what the model says.
        confidence: the probability that it is right; below one half where the false-reject budget keeps it from calling
            an item anomalous that probably is.
        anomalies: name, colour and share of the photograph, background first.
        product_found: whether a product lies where it is looked for.
        familiar: whether the photograph as a whole is like those of the training.
        promised: whether a rejection keeps the promise of the false-reject budget.
    """
    if not all(map(math.isfinite, (confidence, *(share for _, _, share in anomalies)))):
        # Every comparison with NaN is False: an item would pass each of the rules below.
        return "review", "the model gives no number: its files are damaged, or its backbone overflows"
    if not product_found:
        return "review", "no whole product was found in the photograph"
    if not familiar:
        return "review", "the photograph as a whole is unlike those of the training: look at camera and light"
    if not is_anomalous and confidence < 0.5:
        return "review", "probably anomalous, but a rejection would not keep the false-reject budget"
    if rules.min_confidence is not None and confidence < rules.min_confidence:
        return "review", f"confidence {confidence:.2f} is below {rules.min_confidence:g}"
    if not is_anomalous:
        return "accept", "normal"
    if rules.look_at_areas:
        counted = [
            name
            for name, _, share in anomalies[1:]
            if share >= rules.min_area.get(name, rules.min_area.get(ANY_LABEL, 0.0))
        ]
        if len(counted) < rules.min_labels:
            return "accept", f"anomalous, but {len(counted)} of {rules.min_labels} labels reach their area"
    if not promised:
        return "review", "anomalous, but too few normal photographs promise that this is no false reject"
    return "reject", "anomalous"
