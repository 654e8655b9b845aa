"""Champion and challenger on the same photographs: which answers for the line from now on, and why.

The photographs are those of the frozen test set, a copy of the project's test dataset that later changes of the dataset
do not reach, less all that either model was trained on. A challenger is promoted only when it is no worse in anything
(missed anomalies, false rejects) and better in something; where it trades one for the other, a person decides.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from sextant.inspection import manifest
from sextant.inspection.api.services import archive_uri, model_root, split
from sextant.inspection.api.store import Put
from sextant.inspection.loop.champion import champion, point
from sextant.inspection.statistics import auroc, sign_p

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sextant.inspection.api.services import Services
    from sextant.inspection.detector import Detector
    from sextant.inspection.manifest import Entry

Decision: TypeAlias = Literal["promote", "keep"]

FEWEST = 10
"""Normal photographs, and as many anomalies, below which nothing is decided: what the service asked of a test set."""
_BEYOND_CHANCE = 0.05
_MISSING = frozenset({"NoSuchKey", "404"})


class Answer(BaseModel):
    """What a model says of one test photograph."""

    model_config = ConfigDict(frozen=True)

    is_anomalous: bool
    probability: float


class Duel(BaseModel):
    """The outcome. `missed` and `false_rejects` are counts of champion and challenger; `p` is McNemar's exact one.

    `wins` are photographs that only the challenger gets right, `losses` those that only the champion does.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    champion: int | None = None  # the first version has none to beat; the table keeps no empty members
    challenger: int
    decision: Decision
    words: str
    at: str
    normals: int = 0
    anomalies: int = 0
    left_out: int = 0
    missed: tuple[int, int] = (0, 0)
    false_rejects: tuple[int, int] = (0, 0)
    auroc: tuple[float, float] | None = None
    wins: int = 0
    losses: int = 0
    p: float | None = None
    promoted: bool = False


def decide(labels: Sequence[bool], champion: Sequence[Answer], challenger: Sequence[Answer]) -> Mapping[str, Any]:
    """The fields of a Duel that follow from the answers.

    Args:
        labels: whether each photograph shows an anomaly.
        champion: its answers, in the same order.
        challenger: its answers, in the same order.
    """
    anomalies, normals = sum(labels), len(labels) - sum(labels)
    if min(anomalies, normals) < FEWEST:
        words = (
            f"The frozen test set has {normals} normal photographs and {anomalies} anomalies that neither model was "
            f"trained on; at least {FEWEST} of each are needed to compare. Add some to the test dataset and freeze it "
            "anew, or promote by hand."
        )
        return {"decision": "keep", "words": words, "normals": normals, "anomalies": anomalies}
    pairs = [(label, a.is_anomalous, b.is_anomalous) for label, a, b in zip(labels, champion, challenger, strict=True)]
    missed = (sum(y and not a for y, a, _ in pairs), sum(y and not b for y, _, b in pairs))
    rejected = (sum(a and not y for y, a, _ in pairs), sum(b and not y for y, _, b in pairs))
    wins = sum(a != y and b == y for y, a, b in pairs)
    losses = sum(a == y and b != y for y, a, b in pairs)
    areas = (_area(labels, champion), _area(labels, challenger))
    worse = missed[1] > missed[0] or rejected[1] > rejected[0]
    better = missed[1] < missed[0] or rejected[1] < rejected[0]
    p = sign_p(wins, losses)
    counted = (
        f"of {anomalies} anomalies it misses {missed[1]} (before: {missed[0]}), of {normals} normal items it rejects "
        f"{rejected[1]} (before: {rejected[0]}); only it is right on {wins}, only the champion on {losses} "
        f"({_chance(p, wins + losses)}); AUROC {areas[1]:.3f} (before: {areas[0]:.3f})"
    )
    decision: Decision = "keep"
    if worse and better:
        words = f"It trades one kind of error for the other, which a person must weigh: {counted}."
    elif worse:
        words = f"It is worse: {counted}."
    elif better:
        decision = "promote"
        fewer = missed[0] - missed[1] + rejected[0] - rejected[1]
        errors = "1 error" if fewer == 1 else f"{fewer} errors"
        words = f"It makes {errors} fewer on {len(labels)} photographs, and no more of either kind: {counted}."
    elif areas[1] > areas[0]:
        decision = "promote"
        words = f"It makes as many errors of either kind, and orders the {len(labels)} photographs better: {counted}."
    else:
        words = f"It is no better: {counted}."
    return {
        "decision": decision,
        "words": words,
        "normals": normals,
        "anomalies": anomalies,
        "missed": missed,
        "false_rejects": rejected,
        "auroc": areas,
        "wins": wins,
        "losses": losses,
        "p": p,
    }


def _chance(p: float, differing: int) -> str:
    told = f"McNemar p = {p:.2g}"
    return told if p < _BEYOND_CHANCE or not differing else f"{told}: such a difference may well be chance"


def _area(labels: Sequence[bool], answers: Sequence[Answer]) -> float:
    told = [(each.probability, label) for each, label in zip(answers, labels, strict=True)]
    return auroc((each for each, label in told if not label), (each for each, label in told if label))


def judge(
    services: Services, load: Callable[[bytes], Detector], project: str, challenger: int, *, automatic: bool
) -> Duel:
    """Compares a newly trained version with the champion, keeps the outcome and, if allowed, promotes it.

    What has come to its end is kept as it is, however often it is asked for.

    Args:
        services: of the API.
        load: makes a detector of an archive.
        project: whose versions they are.
        challenger: the new version.
        automatic: whether a better one takes over by itself.

    Raises:
        ClientError: of AWS, where the next attempt may succeed.
        ApiError: likewise: another version has just become the champion, or hosting was refused.
    """
    key = (f"PROJECT#{project}", f"DUEL#{challenger:06d}")
    item = services.table.get(key)
    kept = None if item is None else Duel.model_validate(item)
    if kept is not None and (kept.promoted or kept.decision == "keep" or not automatic):
        return kept
    now = champion(services, project)
    answers = now is not None and now.version == challenger
    at = dt.datetime.fromtimestamp(services.now(), dt.UTC).isoformat(timespec="seconds")
    base: dict[str, Any] = {"project": project, "challenger": challenger, "at": at}
    if now is None:
        point(services, project, challenger, "first", "the project's first model")
        words = "It is the project's first model: there is none to compare it with."
        found = Duel(**base, champion=None, decision="promote", words=words, promoted=True)
    elif answers and now:
        # A person was faster, or the attempt before has died after it had promoted it: then the reason is its words.
        told = kept or Duel(**base, champion=now.before, decision="promote", words=f"It answers: {now.reason}")
        found = told.model_copy(update={"promoted": True})
    elif challenger in now.rolled_back:
        words = "A person has rolled it back: it does not come back by itself. Promote it by hand."
        found = kept or Duel(**base, champion=now.version, decision="keep", words=words)
    else:
        found = _compared(services, load, now.version, base)
        if found.decision == "promote" and automatic:
            point(services, project, challenger, "comparison", found.words, against=now.version)
            found = found.model_copy(update={"promoted": True})
    # An attempt that runs beside this one knows more where this one only saw that it is promoted.
    services.table.commit(Put(key, found.model_dump(exclude_none=True), absent=kept is None and answers))
    return found


def duels(services: Services, project: str) -> Iterator[Duel]:
    """The outcomes of a project, by challenger."""
    for _, item in services.table.below(f"PROJECT#{project}", "DUEL#"):
        yield Duel.model_validate(item)


def freeze(services: Services, project: str, version: int) -> list[Entry]:
    """Makes the test set of a version's training the frozen one, and gives its entries; none where it had none."""
    own = f"{model_root(services.place, project, version)}/test.manifest"
    body = _read(services, own)
    if body is not None:
        bucket, key = split(_frozen(services, project))
        services.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/jsonlines")
    return [] if body is None else list(manifest.entries(body.splitlines()))


def _compared(services: Services, load: Callable[[bytes], Detector], old: int, base: Mapping[str, Any]) -> Duel:
    # Only the comparison itself looks at photographs: who reads or freezes has no numpy.
    from sextant.inspection import archive, detector, photograph  # noqa: PLC0415

    project, new = base["project"], base["challenger"]
    if services.place.BACKEND in {"marketplace", "legacy"}:
        words = "What hosts the models of this environment keeps them to itself: compare and promote by hand."
        return Duel(**base, champion=old, decision="keep", words=words)
    body = _read(services, _frozen(services, project))
    entries = (
        list(manifest.entries(body.splitlines()))
        if body is not None
        else freeze(services, project, old) or freeze(services, project, new)
    )
    known = {source for version in (old, new) for source in _trained_on(services, project, version)}
    usable = [each for each in entries if each.label is not None and each.source not in known]
    try:
        models = [load(_archive(services, project, version)) for version in (old, new)]
    except archive.ArchiveError as error:
        words = f"The archives cannot be compared ({error}). Promote by hand."
        return Duel(**base, champion=old, decision="keep", words=words)
    labels: list[bool] = []
    answers: tuple[list[Answer], list[Answer]] = ([], [])
    unread = 0
    for entry in usable:
        try:
            pixels = photograph.read(_photograph(services, entry.source))
        except (photograph.PhotographError, FileNotFoundError):
            unread += 1
            continue
        labels.append(entry.label == "anomaly")
        for model, told in zip(models, answers, strict=True):
            seen = detector.detect(model, pixels)
            told.append(Answer(is_anomalous=seen.is_anomalous, probability=seen.probability))
    left_out = len(entries) - len(usable) + unread
    return Duel(**base, champion=old, left_out=left_out, **decide(labels, *answers))


def _trained_on(services: Services, project: str, version: int) -> Iterator[str]:
    body = _read(services, f"{model_root(services.place, project, version)}/train.manifest")
    for entry in manifest.entries((body or b"").splitlines()):
        yield entry.source


def _archive(services: Services, project: str, version: int) -> bytes:
    bucket, key = split(archive_uri(services.place, project, version))
    body: bytes = services.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _photograph(services: Services, source: str) -> bytes:
    body = _read(services, source)
    if body is None:
        raise FileNotFoundError(source)
    return body


def _frozen(services: Services, project: str) -> str:
    return f"s3://{services.place.BUCKET}/projects/{project}/frozen-test.manifest"


def _read(services: Services, uri: str) -> bytes | None:
    bucket, key = split(uri)
    try:
        body: bytes = services.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        return None
    return body
