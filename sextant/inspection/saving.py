"""What a training leaves beside the detector's own files: numbers, the service's evaluation files, the model card."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

from sextant.inspection import archive, evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from sextant.inspection.evaluation import Evaluation
    from sextant.inspection.training import Trained


def save(
    trained: Trained,
    folder: Path,
    *,
    ended: dt.datetime | None = None,
    project: str = "",
    version: str = "",
    model_arn: str = "",
) -> None:
    """Writes the content of model.tar.gz into a folder.

    Args:
        trained: what was trained.
        folder: made where there is none.
        ended: when the evaluation ended; now by default.
        project: name of the project, for the evaluation files.
        version: of the model.
        model_arn: of the model.
    """
    manifest, result = evaluation.service_files(
        trained.evaluation,
        training_photographs=trained.training_photographs,
        ended=ended or dt.datetime.now(dt.UTC),
        project=project,
        version=version,
        model_arn=model_arn,
    )
    metrics = {
        "notes": trained.notes,
        "skipped": trained.skipped,
        "out_of_fold": trained.out_of_fold.model_dump(mode="json"),
        "test": trained.test.model_dump(mode="json") if trained.test else None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        **archive.files(trained.detector),
        "metrics.json": json.dumps(metrics, indent=1).encode(),
        "model_card.md": card(trained, project, version).encode(),
        "evaluation_manifest.jsonl": manifest,
        "evaluation_result.json": result,
    }
    for name, body in written.items():
        (folder / name).write_bytes(body)


def card(trained: Trained, project: str = "", version: str = "") -> str:
    """The model card in Markdown."""
    detector = trained.detector
    calibration = detector.model.calibration
    crops = {
        "whole": "the whole photograph",
        "fixed": "a fixed region of the photograph",
        "object": "a box that follows the product",
    }
    labels = ", ".join(each.name for each in detector.model.labels) or "none; places are shown from the distance map"
    notes = [f"- {each}" for each in trained.notes]
    notes += [f"- Not read: {source} ({reason})" for source, reason in trained.skipped]
    lines = [
        f"# Anomaly detector{f' {project}' if project else ''}{f', version {version}' if version else ''}",
        "",
        "## What it is",
        (
            f"Trained on {detector.facts.normals} normal and {detector.facts.anomalies} anomalous photographs of "
            f"{detector.facts.photograph[0]} x {detector.facts.photograph[1]} px. It looks at "
            f"{crops[detector.crop.kind]} at {detector.size[0]} x {detector.size[1]} px with the backbone "
            f"{detector.settings.backbone} in "
            f"{detector.facts.arithmetic}."
        ),
        (
            f"It {'learned from the anomalies' if detector.model.patch else 'knows normal items only'}. Kinds of "
            f"defects with masks: {labels}."
        ),
        "",
        "## What it promises",
        (
            f"False-reject budget {calibration.budget:.1%}; {calibration.normals} different normal photographs promise "
            f"{calibration.guarantee:.1%} on average over trainings, if the line's items are like them."
        ),
        f"From {calibration.normals_needed} different normal photographs on the budget can be promised.",
        "",
        "## Measured",
        "| | out of fold | test |",
        "| --- | --- | --- |",
        *_table(trained.out_of_fold, trained.test),
        "",
        (
            "Out of fold: each training photograph judged by a model that had not seen it. Weights and thresholds "
            "were chosen on these numbers, so the test column is the one to trust."
        ),
        *(["", "## To know", *notes] if notes else []),
    ]
    return "\n".join(lines) + "\n"


def _table(own: Evaluation, test: Evaluation | None) -> list[str]:
    both = (own, test)

    def told(name: str) -> str:
        values = [getattr(each, name) if each else None for each in both]
        return " | ".join("" if value is None else f"{value:.3f}" for value in values)

    def rejects(of: Evaluation | None) -> str:
        if of is None or of.false_reject_rate is None:
            return ""
        low, high = of.false_reject_interval
        return f"{of.false_reject_rate:.3f} ({of.false_rejects} of {of.normals}; {low:.3f} to {high:.3f})"

    rows = [
        ("photographs (normal + anomalous)", " | ".join(f"{e.normals} + {e.anomalies}" if e else "" for e in both)),
        *((words, told(name)) for words, name in (("F1", "f1"), ("precision", "precision"), ("recall", "recall"))),
        ("AUROC", told("auroc")),
        ("average precision", told("average_precision")),
        ("expected calibration error", told("ece")),
        ("false rejects, 95 % interval", " | ".join(rejects(each) for each in both)),
        ("AUROC of pixels", told("pixel_auroc")),
    ]
    return [f"| {words} | {values} |" for words, values in rows if values.strip(" |")]
