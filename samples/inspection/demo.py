"""The inspection demo: generated photographs (or your own) through the deployed system, then the proof.

Two products are trained through the API of Lookout for Vision, one with masks and one by folders. A belt runs past two
cameras, over one of which the lamp fails; some files on it are no photographs, some events come twice. Then verdicts,
masks, quarantine, drift and Athena's counts are compared with what the generator knows of each item. With your own
photographs nobody knows more than their labels: what the model reaches on them is shown.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from samples.check import Check
from samples.inspection import plant as plants
from samples.inspection.plant import Plant
from samples.inspection.sample import Truth, pixels_of, write_sample
from sextant.inspection.cost import costs
from sextant.inspection.loop import watch
from sextant.inspection.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import boto3

    from samples.inspection.sample import Item
    from sextant.inspection.loop.journal import Record
    from sextant.pipeline import Report

STACK = "local-Inspection"
PROJECT, TEXTURE = "bracket", "cloth"
BUDGET = 0.05
"""Of false rejects: the detector's own default."""
RECALL = 0.8
"""Of defects that are plain to see."""
PLAIN = 0.5
OVERLAP = 0.3
"""Intersection over union of masks and what the generator painted: the network's patches are coarser than a scratch."""
_SURE = 0.7
"""Below this confidence the belt's items go to a person, as the model card advises where training separated the
classes: no score lies between accepting and rejecting then, and nobody would be asked."""
_AGAIN = 5
_PERIOD = dt.timedelta(seconds=2)
"""From item to item on the belt."""
_REAL = {"circuitboard": (0.80, 0.90), "cookies": (0.90, 0.97)}
"""F1 and AUROC that the project's real data must reach: what one model of them may miss of the means of many splits."""


@dataclass(frozen=True)
class _Belt:
    """What came of the stream: of which version, when the run began, and the records by the sample's file."""

    project: str
    version: str
    began: dt.datetime
    records: Mapping[str, Record]


def demo(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    folder: Path,
    report: Report,
    *,
    data: Path | None = None,
) -> list[Check]:
    """Runs the whole system and compares.

    Args:
        session: the account with the local stage.
        outputs: of its stacks, by stack name.
        folder: an empty folder to generate the sample in.
        report: told about progress.
        data: a folder shaped as the project's real data, or labelled photographs of your own; the sample without it.

    Raises:
        PipelineError: a step failed.
    """
    plant = Plant(session, outputs[STACK])
    if data is not None:
        return _measured(plant, data, report)
    report("sample", 0, 1)
    truth = write_sample(folder)
    report("sample", 1, 1)
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    plants.set_rules(plant, PROJECT, {"min_confidence": _SURE})
    versions = {each: plants.start_training(plant, each, folder / each, report) for each in (PROJECT, TEXTURE)}
    models = {}
    for done, (project, version) in enumerate(versions.items()):
        report("train", done, len(versions))
        models[project] = plants.wait_trained(plant, project, version)
    report("train", len(versions), len(versions))
    plants.host(plant, PROJECT, versions[PROJECT])
    belt = _stream(plant, folder, truth, _Belt(PROJECT, versions[PROJECT], began, {}), report)
    checks = [
        *_datasets(plant, truth),
        *_tested(models),
        *_judged(belt, truth),
        *_held(plant, truth),
        *_twice(plant, belt, folder, report),
        *_masked(plant, belt, folder, truth, report),
        *_drifting(plant, belt, truth),
        *_tried(plant, folder, belt, truth, report),
        *_unchanged(plant, belt),
        *_counted(plant, belt),
        *_costs(),
    ]
    report("done", 1, 1)
    return checks


def _stream(plant: Plant, folder: Path, truth: Truth, belt: _Belt, report: Report) -> _Belt:
    """The belt runs: everything below `incoming/` into the bucket, until each has its verdict or a reason for none."""
    items = truth.of("incoming")
    files = [(each.file, _key(belt, each.file), {"at": _taken(belt.began, each, len(items))}) for each in items]
    plants.put_all(plant, folder, [*files, *((name, name, {}) for name in truth.corrupt)], report)
    plants.wait_for("judge", lambda: len(plants.verdicts(plant, belt.project, belt.began)), len(items), report)
    held = truth.corrupt.keys()
    plants.wait_for("quarantine", lambda: len(held & plants.quarantined(plant).keys()), len(held), report)
    return replace(belt, records=_records(plant, belt))


def _key(belt: _Belt, file: str) -> str:
    """Each run has a folder of its own below the camera: the same photograph at the same place would be no new item."""
    camera, _, name = file.rpartition("/")
    return f"{camera}/run-{belt.version}/{name}"


def _records(plant: Plant, belt: _Belt) -> dict[str, Record]:
    found = plants.verdicts(plant, belt.project, belt.began)
    return {key.replace(f"/run-{belt.version}/", "/"): each for key, each in found.items()}


def _taken(began: dt.datetime, item: Item, count: int) -> str:
    """When the camera took it; the last one just now."""
    return (began - (count - item.order) * _PERIOD).isoformat(timespec="milliseconds")


def _datasets(plant: Plant, truth: Truth) -> list[Check]:
    checks = []
    for project in (PROJECT, TEXTURE):
        for kind in ("train", "test"):
            told = plant.api.describe_dataset(ProjectName=project, DatasetType=kind)["DatasetDescription"]["ImageStats"]
            labels = [each.label for each in truth.of(kind, project)]
            measured = f"{told['Normal']} + {told['Anomaly']}"
            expected = f"{labels.count('normal')} + {labels.count('anomaly')}"
            checks.append(Check(f"{project}: normal + anomalous photographs to {kind} on", measured, expected))
    return checks


def _tested(models: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Nobody knows beforehand how good a model is; far below what these products allow, something is broken."""
    found = []
    for project, model in models.items():
        told = model["Performance"]
        found.append(Check(f"{project}: F1 score on the test photographs", round(told["F1Score"], 3)))
        found.append(Check(f"{project}: share of its alarms that are right (precision)", round(told["Precision"], 3)))
        found.append(Check(f"{project}: share of the defects that it finds (recall)", round(told["Recall"], 3)))
    return found


def _judged(belt: _Belt, truth: Truth) -> list[Check]:
    """Verdicts against the labels. Where the lamp fails, the photographs are not those that the budget is for."""
    items = truth.of("incoming")
    there = [each for each in items if each.file in belt.records]
    steady = [each for each in there if each.label == "normal" and each.lamp == 1]
    called = sum(belt.records[each.file].is_anomalous for each in steady)
    asked = sum(belt.records[each.file].verdict == "review" for each in there)
    bad = [each for each in there if each.label == "anomaly"]
    caught = sum(belt.records[each.file].verdict != "accept" for each in bad)
    plain = [each for each in bad if each.flaws[0].plain >= PLAIN]
    seen = sum(belt.records[each.file].verdict != "accept" for each in plain)
    low, _ = wilson(called, len(steady))
    _, high = wilson(seen, len(plain))
    return [
        Check("items on the belt that have a verdict", len(there), len(items)),
        Check(f"good items called anomalous, of {len(steady)} under steady light", called),
        Check(f"how far above {BUDGET:.0%} their share is, beyond chance", max(0.0, low - BUDGET), 0.0),
        Check(f"defective items that do not pass, of {len(bad)}", caught),
        Check(
            f"how far below {RECALL:.0%} that of the {len(plain)} plain ones is, beyond chance",
            max(0.0, RECALL - high),
            0.0,
        ),
        Check("items that wait for a person on the page Review", asked),
    ]


def _held(plant: Plant, truth: Truth) -> list[Check]:
    found = plants.quarantined(plant)
    right = sum(name in found and found[name].reason == reason for name, reason in truth.corrupt.items())
    return [Check("files in quarantine with the right reason", right, len(truth.corrupt))]


def _twice(plant: Plant, belt: _Belt, folder: Path, report: Report) -> list[Check]:
    """Photographs that are put again, and events that come again: of rejects, too, of which people would hear twice."""
    files = sorted(belt.records, key=lambda file: belt.records[file].verdict != "reject")[:_AGAIN]
    plants.put_all(plant, folder, [(each, _key(belt, each), {}) for each in files], report)
    ends = plants.again(plant, [_key(belt, each) for each in files])
    told = sum(each["status"] != "SUCCEEDED" or json.loads(each["output"]).get("tell", True) for each in ends)
    return [Check(f"messages sent again when {_AGAIN} events came twice", told, 0)]


def _unchanged(plant: Plant, belt: _Belt) -> list[Check]:
    now = _records(plant, belt)
    changed = sum(now.get(file) != belt.records.get(file) for file in now.keys() | belt.records.keys())
    return [Check(f"verdicts changed by {_AGAIN} photographs uploaded again", changed, 0)]


def _masked(plant: Plant, belt: _Belt, folder: Path, truth: Truth, report: Report) -> list[Check]:
    """DetectAnomalies on the test photographs with a defect: the mask it answers, against the one that was painted."""
    items = [each for each in truth.of("test", belt.project) if each.mask]
    overlaps: list[float] = []
    whole = 0
    for done, item in enumerate(items, start=1):
        answer = plant.api.detect_anomalies(
            ProjectName=belt.project,
            ModelVersion=belt.version,
            ContentType="image/jpeg",
            Body=(folder / item.file).read_bytes(),
        )["DetectAnomalyResult"]
        report("masks", done, len(items))
        mask = np.asarray(Image.open(io.BytesIO(answer["AnomalyMask"])).convert("RGB"))
        painted = pixels_of((folder / str(item.mask)).read_bytes()) > 0
        shares = sum(each["PixelAnomaly"]["TotalPercentageArea"] for each in answer["Anomalies"])
        whole += mask.shape[:2] == painted.shape and abs(shares - 1) < 1e-6
        if answer["IsAnomalous"]:
            found = (mask != 255).any(2)
            overlaps.append(float((found & painted).sum() / max(1, (found | painted).sum())))
    mean = float(np.mean(overlaps)) if overlaps else 0.0
    return [
        Check("masks as large as their photograph, adding up to all of it", whole, len(items)),
        Check(f"mean overlap (IoU) of mask and true defect, {len(overlaps)} found", round(mean, 3)),
        Check(f"how far this overlap is below {OVERLAP:g}", max(0.0, round(OVERLAP - mean, 3)), 0.0),
    ]


def _drifting(plant: Plant, belt: _Belt, truth: Truth) -> list[Check]:
    """The hourly look at the cameras, now."""
    plant.call("Drift")
    since = belt.began.isoformat()
    alarms = {
        each.camera
        for until, each in watch.alarms(plant.journal.table, belt.project)
        if until >= since and each.measure == "brightness"
    }
    return [Check("camera whose lamp is found to fail", ", ".join(sorted(alarms)), truth.drifting)]


def _tried(plant: Plant, folder: Path, belt: _Belt, truth: Truth, report: Report) -> list[Check]:
    """A trial of unlabelled photographs, none of which counts as an item of the belt."""
    name, items = f"demo-{belt.version}", truth.of("new-data", belt.project)
    keys = {f"new-data/{belt.project}/{name}/{each.file.rpartition('/')[2]}": each for each in items}
    plants.put_all(plant, folder, [(each.file, key, {}) for key, each in keys.items()], report)
    plants.wait_for("trial", lambda: len(plants.trial(plant, belt.project, name)), len(keys), report)
    found = plants.trial(plant, belt.project, name)
    right = sum(each.is_anomalous == (keys[key].label == "anomaly") for key, each in found.items())
    return [
        Check("photographs of the trial that have a prediction", len(found), len(keys)),
        Check("predictions of the trial that are right", right),
    ]


def _counted(plant: Plant, belt: _Belt) -> list[Check]:
    """Athena's counts of the belt, after the lines were written."""
    plant.call("Upkeep")
    sql = (
        "SELECT count(*), count(DISTINCT item), count_if(verdict = 'reject') FROM verdicts "  # noqa: S608 - our own
        f"WHERE project = '{belt.project}' AND model_version = '{belt.version}'"
    )
    items, distinct, rejects = _asked(plant, sql)
    expected = len(belt.records)
    return [
        Check("items that Athena counts on the belt", items, expected),
        Check("different items among them", distinct, expected),
        Check(
            "rejected items that Athena counts",
            rejects,
            sum(each.verdict == "reject" for each in belt.records.values()),
        ),
    ]


def _asked(plant: Plant, sql: str) -> list[int]:
    """The numbers of a query's only row."""
    athena = plant.session.client("athena")
    started = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": plant.outputs["DatabaseName"]},
        WorkGroup=plant.outputs["WorkgroupName"],
    )["QueryExecutionId"]
    plants.wait("a query", lambda: _state(athena, started) not in {"QUEUED", "RUNNING"})
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return [int(cell.get("VarCharValue", 0)) for cell in rows[1]["Data"]]


def _state(athena: Any, query: str) -> str:
    return str(athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"])


def _costs() -> list[Check]:
    """The original post's numbers, and ours beside them."""
    found = []
    for rate, posted in ((1.0, 0.001), (5.0, 0.0002)):
        by_backend = {each.backend: each.usd_per_item for each in costs(rate)}
        found.append(
            Check(
                f"US$ per item at {rate:g} per second, Lookout for Vision",
                by_backend["lookoutvision"],
                posted,
                1e-9,
            )
        )
        found.append(
            Check(f"US$ per item at {rate:g} per second, this system on Lambda", round(by_backend["lambda, belt"], 7))
        )
    return found


def _measured(plant: Plant, data: Path, report: Report) -> list[Check]:
    """Labelled photographs: what a model of them reaches on its test set, else out of fold."""
    vision = data / "vision" if (data / "vision").is_dir() else data
    real = [vision / name for name in _REAL if (vision / name).is_dir()]
    found = []
    for folder in real or [vision]:
        project = plants.project_of(folder)
        version = plants.start_training(plant, project, folder, report)
        report(f"train {project}", 0, 1)
        model = plants.wait_trained(plant, project, version)
        report(f"train {project}", 1, 1)
        area = _area(plant, model)
        if area is None:
            found.append(Check(f"{project}: trained without anomalies, as version", version))
            continue
        f1 = model["Performance"]["F1Score"]
        found += [
            Check(f"{project}: F1 score", round(f1, 3)),
            Check(f"{project}: area under the ROC curve (AUROC)", round(area, 3)),
        ]
        if real:
            low, least = _REAL[folder.name]
            found.append(Check(f"{project}: how far F1 is below {low:g}", max(0.0, low - f1), 0.0))
            found.append(Check(f"{project}: how far AUROC is below {least:g}", max(0.0, least - area), 0.0))
    return found


def _area(plant: Plant, model: Mapping[str, Any]) -> float | None:
    """The AUROC of a version, in the file that the service wrote it to; None where there is no anomaly to find."""
    place = model["EvaluationResult"]
    body = plant.s3.get_object(Bucket=place["Bucket"], Key=place["Key"])["Body"].read()
    area: float | None = json.loads(body)["AggregatedEvaluationResults"]["Metrics"]["ROCAUC"]
    return area


def run_on(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    inputs: Sequence[Path],
    folder: Path,
    report: Report,
) -> tuple[list[Path], dict[str, int]]:
    """Your own labelled photographs: a model of each folder, its evaluation, and verdicts on what lies in its `new/`.

    A folder is as `plant.start_training` takes it. Written below `folder`, for each of them: evaluation files and
    model.tar.gz, and with photographs in `new/` their verdicts.csv and masks.

    Returns:
        The files, and what became of the photographs of this run, in words.
    """
    plant = Plant(session, outputs[STACK])
    written: list[Path] = []
    totals: Counter[str] = Counter()
    for source in inputs:
        project = plants.project_of(source)
        version = plants.start_training(plant, project, source, report)
        report(f"train {project}", 0, 1)
        model = plants.wait_trained(plant, project, version)
        report(f"train {project}", 1, 1)
        out = folder / source.resolve().name
        out.mkdir(parents=True, exist_ok=True)
        for name, place in (("EvaluationResult", "result.json"), ("EvaluationManifest", "manifest.jsonl")):
            told = model[name]
            path = out / f"evaluation-{place}"
            path.write_bytes(plant.s3.get_object(Bucket=told["Bucket"], Key=told["Key"])["Body"].read())
            written.append(path)
        archive = out / "model.tar.gz"
        key = f"projects/{project}/models/{version}/model.tar.gz"
        archive.write_bytes(plant.s3.get_object(Bucket=plant.bucket, Key=key)["Body"].read())
        written.append(archive)
        details = json.loads((out / "evaluation-result.json").read_bytes())["EvaluationDetails"]
        totals["photographs trained on"] += details["NumberOfTrainingImages"]
        if (source / "new").is_dir():
            plants.host(plant, project, version)
            prefix = f"new-data/{project}/run-{version}/"
            written += _new(plant, prefix, source / "new", out, report)
            totals.update(_judged_of(plant, prefix))
            plant.api.stop_model(ProjectName=project, ModelVersion=version)
    return written, dict(totals)


def _judged_of(plant: Plant, prefix: str) -> dict[str, int]:
    """What became of the photographs below a prefix, `new-data/{project}/{trial}/`."""
    verdicts = [each.verdict for each in plants.trial(plant, *prefix.split("/")[1:3]).values()]
    return {
        "judged": len(verdicts),
        "of them rejected": verdicts.count("reject"),
        "for a person to look at": verdicts.count("review"),
        "without a verdict": sum(key.startswith(prefix) for key in plants.quarantined(plant)),
    }


def _new(plant: Plant, prefix: str, folder: Path, out: Path, report: Report) -> list[Path]:
    """Verdicts on unlabelled photographs, which are put below a prefix: `new-data/{project}/{trial}/`."""
    project, name = prefix.split("/")[1:3]
    names = [path.relative_to(folder).as_posix() for path in plants.photographs(folder)]
    plants.put_all(plant, folder, [(each, prefix + each, {}) for each in names], report)

    def judged() -> int:
        held = plants.quarantined(plant).keys()
        return len(plants.trial(plant, project, name)) + sum(prefix + each in held for each in names)

    plants.wait_for("judge", judged, len(names), report)
    found, held = plants.trial(plant, project, name), plants.quarantined(plant)
    written = [out / "verdicts.csv"]
    with written[0].open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "verdict", "is_anomalous", "confidence", "labels", "reason"])
        for each in names:
            record, without = found.get(prefix + each), held.get(prefix + each)
            if record:
                labels = " ".join(record.labels)
                table.writerow(
                    [each, record.verdict, record.is_anomalous, f"{record.confidence:.4f}", labels, record.reason]
                )
                if record.mask:
                    mask = (out / "masks" / each).with_suffix(".png")
                    mask.parent.mkdir(parents=True, exist_ok=True)
                    key = record.mask.removeprefix(plant.uri(""))
                    mask.write_bytes(plant.s3.get_object(Bucket=plant.bucket, Key=key)["Body"].read())
                    written.append(mask)
            else:
                detail = f"{without.reason}: {without.detail}" if without else "not judged yet"
                table.writerow([each, "", "", "", "", detail])
    return written


def quarantine(session: boto3.session.Session, outputs: Mapping[str, str]) -> list[dict[str, str]]:
    """Photographs without a verdict, each with its reason."""
    found = Plant(session, outputs).journal.quarantined()
    return [{"source": each.source, "reason": each.reason, "detail": each.detail} for each in found]
