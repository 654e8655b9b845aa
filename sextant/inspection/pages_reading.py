"""What the console's pages show of projects, datasets, models and belts. All that changes something is elsewhere."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.console.operation import OperationError
from sextant.inspection import cost, manifest
from sextant.inspection import pages_model as model
from sextant.inspection.api import datasets, models
from sextant.inspection.api.services import after, dataset_key, page, the_project
from sextant.inspection.calibration import Calibration
from sextant.inspection.evaluation import Evaluation
from sextant.inspection.loop import champion as champions
from sextant.inspection.loop import duel, watch
from sextant.inspection.loop import review as verifying
from sextant.inspection.loop.arrival import INCOMING
from sextant.inspection.loop.journal import Record
from sextant.inspection.loop.scores import archive_body
from sextant.inspection.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sextant.inspection.api.services import Services, Version
    from sextant.inspection.api.store import Item
    from sextant.inspection.pages_desk import Desk

KINDS: tuple[model.Kind, ...] = ("train", "test")
_READERS = 16
_COUNTED = 1000
"""What waits is counted up to here: a page that tells "1,000 or more" says enough."""
_SHOWN = 200
_MISTAKES = 60
_ALARMS = 50
_MINUTES = 10
_LIVE = 24
_LIVE_COUNTED = 5000
_LATEST = 8
_LOOKED = 10_000
_OF_ARCHIVE = ("metrics.json", "model_card.md", "calibration.json")
_KEPT = 8


# --- Projects and datasets -------------------------------------------------------------------------------------------


def projects(desk: Desk) -> model.Projects:
    """All projects by name."""
    with ThreadPoolExecutor(_READERS) as pool:
        return model.Projects(projects=tuple(pool.map(partial(_project, desk), desk.journal.projects())))


def project(desk: Desk, name: str) -> model.ProjectPage:
    """One project with its trials."""
    verifying.settle(desk.journal, name)
    counts: dict[str, list[int]] = {}
    for record in desk.journal.trial(name):
        told = counts.setdefault(record.trial, [0, 0])
        told[0] += 1
        told[1] += record.truth is not None
    trials = (model.Trial(name=trial, photographs=n, verified=done) for trial, (n, done) in sorted(counts.items()))
    return model.ProjectPage(
        **dict(_project(desk, name)),
        trials=tuple(trials),
        verified=verified(desk, name),
        drop=f"s3://{desk.bucket}/{INCOMING}{name}/",
    )


def _project(desk: Desk, name: str) -> model.Project:
    services = desk.services
    item = the_project(services, name)
    versions = [each for _, each in services.table.below(f"PROJECT#{name}", "MODEL#")]
    pointer = champions.champion(services, name)
    found = (dataset(services, name, kind) for kind in KINDS)
    try:
        answers = int(champions.answering(services, name)[0].number)
    except champions.NoModelError:
        answers = None
    return model.Project(
        name=name,
        created=_iso(item["created"]),
        datasets=tuple(each for each in found if each is not None),
        versions=len(versions),
        champion=pointer.version if pointer else None,
        answers=answers,
        hosted=tuple(int(each["number"]) for each in versions if each["status"] == "HOSTED"),
        waiting=sum(1 for _ in itertools.islice(services.table.below(f"REVIEW#{name}"), _COUNTED)),
    )


def dataset(services: Services, name: str, kind: model.Kind) -> model.Dataset | None:
    """A dataset of a project, None where it has none."""
    if services.table.get(dataset_key(name, kind)) is None:
        return None
    item = datasets.the_dataset(services, name, kind)
    counts = {each: int(item[each]) for each in ("total", "labeled", "normal", "anomaly")}
    absent = bool(item.get("absent"))
    return model.Dataset(kind=kind, status=item["status"], message=item["message"], absent=absent, **counts)


def entries(desk: Desk, name: str, kind: model.Kind, *, label: str, find: str, token: str, most: int) -> model.Entries:
    """A page of a dataset's photographs by file name, of one label (`normal`, `anomaly`, `none`) unless it is empty.

    Raises:
        ApiError: there is no such dataset, or the token is none of this list.
    """
    datasets.the_dataset(desk.services, name, kind)
    request: dict[str, Any] = {"MaxResults": most, **({"NextToken": token} if token else {})}
    asked = {"none": None}.get(label, label)
    last = after(request, f"ENTRY#{kind}#")
    below = sorted(desk.services.table.below(f"PROJECT#{name}", f"ENTRY#{kind}#"), key=_by_name)
    begin = next((at for at, (key, _) in enumerate(below, 1) if key == last), 0)
    wanted = (
        (key, item)
        for key, item in below[begin:]
        if (not label or item.get("label") == asked) and find.lower() in item["source"].lower()
    )
    found, following = page(wanted, request)
    told = dataset(desk.services, name, kind)
    if told is None:  # it was deleted just now
        raise OperationError(404, "NoDataset", f"Project {name} has no {kind} dataset", "Make one.")
    return model.Entries(dataset=told, photographs=tuple(_photograph(each) for each in found), next=following)


def _by_name(entry: tuple[str, Item]) -> tuple[str, str]:
    """2.jpg before 10.jpg."""
    source = entry[1]["source"]
    return re.sub(r"\d+", lambda found: found[0].zfill(12), source.rpartition("/")[2]), source


def _photograph(item: Item) -> model.Photograph:
    entry = manifest.read(item["line"])
    return model.Photograph(
        source=entry.source, label=entry.label, masked=entry.mask is not None, kinds=tuple(sorted(entry.colors))
    )


# --- Models ----------------------------------------------------------------------------------------------------------


def versions(desk: Desk, name: str) -> model.Models:
    """Every version of a project, the newest first; what is on its way is asked about."""
    services = desk.services
    the_project(services, name)
    outcomes = {each.challenger: each for each in duel.duels(services, name)}
    listed = [int(item["number"]) for _, item in services.table.below(f"PROJECT#{name}", "MODEL#")]
    found = [_version(desk, name, number, outcomes.get(number)) for number in listed[::-1]]
    return model.Models(versions=tuple(found), champion=champions.champion(services, name))


def version(desk: Desk, name: str, number: int) -> model.ModelPage:
    """One version with its measurements.

    Raises:
        ApiError: there is none.
    """
    services = desk.services
    outcomes = {each.challenger: each for each in duel.duels(services, name)}
    told = _version(desk, name, number, outcomes.get(number))
    pointer = champions.champion(services, name)
    files = archived(desk, models.settled(services, name, str(number))[0]) if told.status in champions.USABLE else {}
    metrics = json.loads(files["metrics.json"]) if "metrics.json" in files else {}
    calibration = files.get("calibration.json")
    return model.ModelPage(
        version=told,
        champion=pointer is not None and pointer.version == number,
        measured=_measured(metrics, Calibration.model_validate_json(calibration) if calibration else None),
        notes=tuple(metrics.get("notes", ())),
        card=files.get("model_card.md", b"").decode(),
    )


def _version(desk: Desk, name: str, number: int, outcome: duel.Duel | None) -> model.Version:
    services = desk.services
    found, item = models.settled(services, name, str(number))
    seconds, step = _training(services, found, item)
    performance = item.get("performance") or {}
    scores = {
        to: performance.get(of) for to, of in (("f1", "F1Score"), ("precision", "Precision"), ("recall", "Recall"))
    }
    counts = item.get("counts") or {}
    return model.Version(
        version=number,
        status=item["status"],
        message=item["message"],
        description=item.get("description"),
        created=_iso(item["created"]),
        seconds=seconds,
        step=step,
        **{to: None if value is None else float(value) for to, value in scores.items()},
        f1_interval=_f1_interval(counts) if counts and scores["f1"] is not None else None,
        photographs=counts.get("photographs"),
        anomalies=counts.get("anomalies"),
        duel=outcome,
    )


def _f1_interval(counts: Mapping[str, Any]) -> tuple[float, float]:
    """The 95 % interval of an F1 score: of what is anomalous or was called so, the share J that is both has Wilson's,
    and F1 is 2 J / (1 + J), which grows with it.
    """
    low, high = wilson(int(counts["hits"]), int(counts["anomalies"]) + int(counts["false"]))
    return 2 * low / (1 + low), 2 * high / (1 + high)


def _training(services: Services, found: Version, item: Item) -> tuple[float | None, str | None]:
    """Seconds that a training has taken so far or took in all, and what SageMaker says it does now."""
    if item["status"] != "TRAINING":
        ended = item.get("evaluated")
        return (None if ended is None else round(float(ended) - float(item["created"]), 1)), None
    try:
        job = services.sagemaker.describe_training_job(TrainingJobName=found.name)
    except ClientError:
        return None, None  # it is just about to start; `settled` knows what to make of one that never does
    transitions = job.get("SecondaryStatusTransitions") or [{}]
    step = transitions[-1].get("StatusMessage") or job.get("SecondaryStatus") or job["TrainingJobStatus"]
    return round(max(0.0, services.now() - float(item["created"])), 0), step


def archived(desk: Desk, found: Version) -> Mapping[str, bytes]:
    """See `opened`; those of the latest versions are kept."""
    if found.name not in desk.archives:
        while len(desk.archives) >= _KEPT:
            desk.archives.pop(next(iter(desk.archives)))
        desk.archives[found.name] = opened(desk.services, found)
    return desk.archives[found.name]


def opened(services: Services, found: Version) -> dict[str, bytes]:
    """The measurements, model card and calibration of a version's archive; none where AWS's algorithm made it.

    Raises:
        LookupError: the archive is not there any more.
    """
    body = archive_body(services, found.archive)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in _OF_ARCHIVE and (file := archive.extractfile(member)):
                files[name] = file.read()
    return files


def _measured(metrics: Mapping[str, Any], calibration: Calibration | None) -> model.Measured | None:
    if not metrics:
        return None
    of_test = metrics.get("test")
    found = Evaluation.model_validate(of_test or metrics["out_of_fold"])
    missed = sum(each.anomalous and not each.is_anomalous for each in found.rows)
    wrong = sorted(
        (each for each in found.rows if each.anomalous != each.is_anomalous),
        key=lambda each: (not each.anomalous, each.probability if each.anomalous else -each.probability),
    )
    same = set(model.Measured.model_fields) & set(Evaluation.model_fields) - {"labels"}
    return model.Measured(
        on="test" if of_test else "out_of_fold",
        missed=missed,
        missed_interval=wilson(missed, found.anomalies),
        threshold=calibration.probability(calibration.threshold) if calibration else None,
        labels=tuple(
            model.LabelMeasured(name=each.name, photographs=each.photographs, f1=each.f1, iou=each.iou)
            for each in found.labels
        ),
        cuts=tuple(
            model.Cut(probability=each.probability, false_rejects=each.false_rejects, missed=each.missed, f1=each.f1)
            for each in found.thresholds
        ),
        mistakes=tuple(
            model.Mistake(
                source=each.source, anomalous=each.anomalous, probability=each.probability, verdict=each.verdict
            )
            for each in wrong[:_MISTAKES]
        ),
        **{name: getattr(found, name) for name in same},
    )


# --- What waits for a person -----------------------------------------------------------------------------------------


def trial(desk: Desk, name: str, trial_name: str) -> model.Verdicts:
    """The photographs of a trial: those that nobody has verified first, the least sure before the others."""
    training = _settled(desk, name)
    below = desk.services.table.below(f"TRIAL#{name}", f"{trial_name}#")
    found = [_verdict(key, item) for key, item in below]
    found.sort(key=lambda each: (each.truth is not None, each.confidence))
    return _verdicts(desk, name, found, _COUNTED, training)


def review(desk: Desk, name: str, show: model.Shown = "waiting") -> model.Verdicts:
    """The photographs of a belt that wait for a person, the oldest first; or those that were rejected or accepted, the
    newest first, for a verdict may be wrong of which the model was sure.
    """
    training = _settled(desk, name)
    below = desk.services.table.below(f"REVIEW#{name}") if show == "waiting" else _newest(desk, name, show)
    found = [_verdict(key, item) for key, item in itertools.islice(below, _SHOWN + 1)]
    return _verdicts(desk, name, found, _SHOWN, training)


def _settled(desk: Desk, name: str) -> model.Dataset | None:
    """A project's training dataset, as it was before what has come into it was settled: who is told that it is at rest
    is not told that something is still on its way.
    """
    the_project(desk.services, name)
    training = dataset(desk.services, name, "train")
    verifying.settle(desk.journal, name)
    return training


def _verdicts(
    desk: Desk, name: str, found: list[model.Verdict], most: int, training: model.Dataset | None
) -> model.Verdicts:
    shown = tuple(found[:most])
    return model.Verdicts(verdicts=shown, more=len(found) > most, verified=verified(desk, name), dataset=training)


def _newest(desk: Desk, name: str, verdict: str) -> Iterator[tuple[str, Item]]:
    """The belt's items of one verdict, the newest first: of the last days, and of what a page has time to look at."""
    looked = 0
    today = dt.datetime.fromtimestamp(desk.services.now(), dt.UTC).date()
    for back in range(_LATEST):
        day = (today - dt.timedelta(days=back)).isoformat()
        partition = f"ITEMS#{name}#{day}"
        last = desk.services.table.last(partition, day)
        if last is None:
            continue
        for hour in range(int(last[0][11:13]), -1, -1):
            found = list(desk.services.table.below(partition, f"{day}T{hour:02}"))
            yield from ((key, item) for key, item in reversed(found) if item["verdict"] == verdict)
            looked += len(found)
            if looked > _LOOKED:
                return


def verified(desk: Desk, name: str) -> int:
    """How many photographs a person has verified that are neither in the training dataset nor on their way there."""
    return sum(1 for _ in verifying.verified(desk.journal, name))


def _verdict(key: str, item: Item) -> model.Verdict:
    record = Record.model_validate({name: _number(value) for name, value in item.items()})
    same = set(model.Verdict.model_fields) & set(Record.model_fields)
    return model.Verdict(
        key=key,
        masked=record.mask is not None,
        added="added" in item,
        **{name: getattr(record, name) for name in same},
    )


# --- Belts -----------------------------------------------------------------------------------------------------------


def live(desk: Desk, name: str, line: str = "", camera: str = "") -> model.Live:
    """The newest verdicts of a project, or of one line or camera of it, and the counts of the last minutes."""
    services = desk.services
    the_project(services, name)
    now = dt.datetime.fromtimestamp(services.now(), dt.UTC)
    since = now - dt.timedelta(minutes=_MINUTES)
    days = sorted({since.date(), now.date()})
    below = itertools.chain.from_iterable(
        services.table.below(f"ITEMS#{name}#{day.isoformat()}", after=since.isoformat(timespec="seconds"))
        for day in days
    )
    recent = list(itertools.islice(_of(below, line, camera), _LIVE_COUNTED + 1))
    shown = [_verdict(key, item) for key, item in recent[-_LIVE:][::-1]] or _latest(desk, name, line, camera, now)
    verdicts = [item["verdict"] for _, item in recent]
    return model.Live(
        verdicts=tuple(shown),
        minutes=_MINUTES,
        items=len(verdicts),
        rejects=verdicts.count("reject"),
        reviews=verdicts.count("review"),
        cut=len(verdicts) > _LIVE_COUNTED,
    )


def _latest(desk: Desk, name: str, line: str, camera: str, now: dt.datetime) -> list[model.Verdict]:
    """The last verdicts of the newest of the last days that has any: a belt that rests still shows what it saw."""
    for back in range(_LATEST):
        day = (now - dt.timedelta(days=back)).date()
        last = desk.services.table.last(f"ITEMS#{name}#{day.isoformat()}", day.isoformat())
        if last is None:
            continue
        arrived = dt.datetime.fromisoformat(last[1]["arrived"]) - dt.timedelta(minutes=_MINUTES)
        begin = arrived.isoformat(timespec="seconds")
        below = desk.services.table.below(f"ITEMS#{name}#{day.isoformat()}", after=begin)
        found = list(itertools.islice(_of(below, line, camera), _LIVE_COUNTED))
        if found:
            return [_verdict(key, item) for key, item in found[-_LIVE:][::-1]]
    return []


def _of(below: Iterable[tuple[str, Item]], line: str, camera: str) -> Iterator[tuple[str, Item]]:
    return (
        (key, item)
        for key, item in below
        if (not line or item.get("line") == line) and (not camera or item.get("camera") == camera)
    )


def drift(desk: Desk, name: str) -> model.Drift:
    """What the drift monitors found of a project's cameras."""
    table = desk.services.table
    the_project(desk.services, name)
    alarms = list(watch.alarms(table, name))[-_ALARMS:][::-1]
    return model.Drift(
        latest=tuple(model.Watch(until=until, finding=found) for until, found in watch.latest(table, name)),
        alarms=tuple(model.Watch(until=until, finding=found) for until, found in alarms),
    )


def costs(rate: float, hours: float) -> model.Costs:
    """What an item costs with each backend; `rate` in items per second, `hours` of a month."""
    told = set(model.Backend.model_fields)
    return model.Costs(
        rate=rate,
        hours=hours,
        costs=tuple(
            model.Backend.model_validate({name: getattr(each, name) for name in told})
            for each in cost.costs(rate, hours)
        ),
        prices=tuple(
            model.Price(name=name, usd=price.usd, of=price.of, source=price.source)
            for name, price in cost.price_table().items()
        ),
    )


def _iso(seconds: Any) -> str:
    return dt.datetime.fromtimestamp(float(seconds), dt.UTC).isoformat(timespec="seconds")


def _number(value: Any) -> Any:
    return float(value) if type(value).__name__ == "Decimal" else value  # DynamoDB's numbers
