"""Datasets and their entries. Whatever changes entries runs in a function of its own, one change at a time."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection import manifest
from sextant.inspection.api import limits
from sextant.inspection.api.errors import conflict, missing
from sextant.inspection.api.projects import dataset_metadata, touch
from sextant.inspection.api.services import after, dataset_key, entry_key, page, split, the_project
from sextant.inspection.api.store import Change, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sextant.inspection.api.errors import ApiError
    from sextant.inspection.api.services import Document, Services
    from sextant.inspection.api.store import Item, Key
    from sextant.inspection.manifest import Entry

COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED_ROLLBACK_COMPLETE")
"""The states of a dataset that can be used and changed."""
_UNDOING = "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
_LONGEST = 1 << 20
_LOOKED_UP = 1000
_LOOKS_AT_ONCE = 16
_LOST_AFTER = 2 * 3600.0
"""Seconds after which a change has been given up: its function has been tried three times by then."""


def create_dataset(services: Services, request: Mapping[str, Any]) -> Document:
    """CreateDataset: empty, or from a manifest, which is read afterwards."""
    name, kind = request["ProjectName"], request["DatasetType"]
    project = the_project(services, name)
    source = request.get("DatasetSource", {}).get("GroundTruthManifest", {}).get("S3Object")
    state = ("CREATE_IN_PROGRESS", "The dataset is being created.") if source else ("CREATE_COMPLETE", _CREATED)
    now = services.today
    item = {
        "status": state[0],
        "message": state[1],
        "created": now,
        "updated": now,
        "ticket": services.identifier(),
        "source": source,
        **dict.fromkeys(("total", "labeled", "normal", "anomaly"), 0),
    }
    refused = services.table.commit(Put(dataset_key(name, kind), item), touch(services, project))
    if 0 in refused:
        message = (
            f"Project {name} has a {kind} dataset already. Add to it with UpdateDatasetEntries, or delete it first."
        )
        raise conflict("DATASET", f"{name}/{kind}", message)
    if refused:
        raise conflict("PROJECT", name, f"Project {name} is just being changed. Try again.")
    if source:
        _hand_over(services, name, kind, item, "CREATE_FAILED")
    return {"DatasetMetadata": dataset_metadata(kind, item)}


def describe_dataset(services: Services, request: Mapping[str, Any]) -> Document:
    """DescribeDataset."""
    name, kind = request["ProjectName"], request["DatasetType"]
    item = the_dataset(services, name, kind)
    stats = {"Total": "total", "Labeled": "labeled", "Normal": "normal", "Anomaly": "anomaly"}
    told = {
        **dataset_metadata(kind, item),
        "ProjectName": name,
        "LastUpdatedTimestamp": item["updated"],
        "ImageStats": {told: item[kept] for told, kept in stats.items()},
    }
    return {"DatasetDescription": told}


def delete_dataset(services: Services, request: Mapping[str, Any]) -> Document:
    """DeleteDataset: trainings under way go on, for they have copies of their manifests."""
    name, kind = request["ProjectName"], request["DatasetType"]
    item = the_dataset(services, name, kind)
    before = [*COMPLETE, "CREATE_FAILED", "DELETE_FAILED"]
    _begin(services, (name, kind), item, "DELETE_IN_PROGRESS", before, message="The dataset is being deleted.")
    return {}


def update_dataset_entries(services: Services, request: Mapping[str, Any]) -> Document:
    """UpdateDatasetEntries: lines are added, or replace those with the same source-ref."""
    name, kind = request["ProjectName"], request["DatasetType"]
    item = the_dataset(services, name, kind)
    key = f"projects/{name}/datasets/{kind}/changes/{services.identifier()}.jsonl"
    services.s3.put_object(Bucket=services.place.BUCKET, Key=key, Body=request["Changes"])
    source = {"Bucket": services.place.BUCKET, "Key": key}
    told = {"message": "The dataset is being updated.", "source": source}
    _begin(services, (name, kind), item, "UPDATE_IN_PROGRESS", COMPLETE, **told)
    return {"Status": "UPDATE_IN_PROGRESS"}


def list_dataset_entries(services: Services, request: Mapping[str, Any]) -> Document:
    """ListDatasetEntries."""
    name, kind = request["ProjectName"], request["DatasetType"]
    the_dataset(services, name, kind)
    prefix = f"ENTRY#{kind}#"
    found = services.table.below(f"PROJECT#{name}", prefix, after(request, prefix))
    results, token = page(((key, item) for key, item in found if _wanted(item, request)), request)
    return {"DatasetEntries": [item["line"] for item in results], "NextToken": token}


def the_dataset(services: Services, project: str, kind: str) -> Item:
    """The item of a dataset; a change that was lost on its way counts as failed, and an update is taken back first.

    Raises:
        ApiError: there is none.
    """
    the_project(services, project)
    key = dataset_key(project, kind)
    item = services.table.get(key)
    if item is None:
        message = f"Project {project} has no {kind} dataset. Make it with CreateDataset."
        raise missing("DATASET", f"{project}/{kind}", message)
    failed = _FAILED.get(item["status"])
    if failed is None or services.now() - float(item["updated"]) < _LOST_AFTER:
        return item
    if failed == "UPDATE_FAILED_ROLLBACK_COMPLETE":
        _take_back(services, project, kind, item)
        return services.table.get(key) or item
    lost = {"status": failed, "message": _LOST, "ticket": ""}
    services.table.commit(Change(key, lost, {"ticket": [item["ticket"]]}))
    return services.table.get(key) or item


def unready(project: str, kind: str, item: Item) -> ApiError:
    """The refusal of what a dataset's state does not allow: its reason, and what helps, which of a failed one is no
    waiting.
    """
    remedy = (
        "Delete it (DeleteDataset), then create it again (CreateDataset) with the reason mended."
        if item["status"].endswith("_FAILED")
        else "Wait for it, then try again."
    )
    message = f"The {kind} dataset of project {project} is {item['status']}: {item['message'].rstrip('.')}. {remedy}"
    return conflict("DATASET", f"{project}/{kind}", message)


def lines(services: Services, project: str, kind: str) -> Iterator[tuple[str, str]]:
    """The labelled entries of a dataset: label and JSON line."""
    for _, item in services.table.below(f"PROJECT#{project}", f"ENTRY#{kind}#"):
        if item.get("label"):
            yield item["label"], item["line"]


_CREATED = "The dataset was created."
_LOST = "It did not come to an end within two hours. Try again."
_FAILED = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_FAILED_ROLLBACK_COMPLETE",
    _UNDOING: "UPDATE_FAILED_ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
}


# --- What runs afterwards --------------------------------------------------------------------------------------------


def ingest(services: Services, project: str, kind: str, ticket: str) -> str:
    """Brings a dataset's change to its end and returns the state it then has.

    The event that asks for it may come twice or late: its `ticket` must be the dataset's. A manifest is used whole or
    not at all: with one bad line nothing of it enters, and what attempts that died have written is taken back.

    Raises:
        ClientError: of the table, and of S3 where the next attempt may succeed; the event comes again then.
    """
    key = dataset_key(project, kind)
    item = services.table.get(key)
    if item is None or item["ticket"] != ticket or item["status"] not in _FAILED:
        return "unchanged" if item is None else str(item["status"])
    if item["status"] == "DELETE_IN_PROGRESS":
        below = services.table.below(f"PROJECT#{project}", f"ENTRY#{kind}#")
        services.table.remove_all((f"PROJECT#{project}", sort) for sort, _ in below)
        services.table.commit(Remove(key, {"ticket": [ticket]}))
        return "DELETE_COMPLETE"
    state, told = _FAILED[item["status"]], {"message": _LOST}
    if item["status"] == _UNDOING:
        _undo(services, project, kind, item["undo"])
    else:
        try:
            found, repeated = _merged(_read(services, item["source"]))
            state, told = _write(services, project, kind, item, found)
            told["message"] += repeated
        except manifest.ManifestError as error:
            _undo(services, project, kind, ticket)  # an attempt before this one may have written some
            told = {"message": f"The manifest cannot be used: {error}"}
    done = {"status": state, "updated": services.today, "ticket": "", **told}
    services.table.commit(Change(key, done, {"ticket": [ticket]}))
    return state


def _merged(given: Iterable[Entry]) -> tuple[dict[str, Entry], str]:
    """The entries of a change by photograph, the later line of each; and in words what earlier ones that drops."""
    found: dict[str, Entry] = {}
    repeats, contradicted = 0, set()
    for entry in given:
        before = found.get(entry.source)
        repeats += before is not None
        if before is not None and before.label != entry.label:
            contradicted.add(entry.source)
        found[entry.source] = entry
    if not repeats:
        return found, ""
    lines = "1 line names a photograph" if repeats == 1 else f"{repeats:,} lines name photographs"
    told = f" {lines} that an earlier line of the change names; the last line of each counts."
    if contradicted:
        photographs = "1 photograph has" if len(contradicted) == 1 else f"{len(contradicted):,} photographs have"
        first = min(contradicted)
        told += (
            f" {photographs} lines with different labels, such as {first}, which is now "
            f"{found[first].label or 'unlabelled'}: look at it, and mend its label where it is wrong."
        )
    return found, told


def _write(services: Services, project: str, kind: str, item: Item, found: Mapping[str, Entry]) -> tuple[str, Document]:
    new = {entry_key(project, kind, source): entry for source, entry in found.items()}
    labels: dict[Key, str | None] = {}
    kinds: dict[Key, Iterable[str]] = {}
    replaced: dict[Key, Item] = {}
    for sort, each in services.table.below(f"PROJECT#{project}", f"ENTRY#{kind}#"):
        key = f"PROJECT#{project}", sort
        labels[key], kinds[key] = each.get("label"), each.get("kinds", ())
        if key in new:
            replaced[key] = each
    labels |= {key: entry.label for key, entry in new.items()}
    kinds |= {key: entry.colors for key, entry in new.items()}
    named = sorted({name for names in kinds.values() for name in names})
    _check(services, project, kind, len(labels), named)
    now = services.today
    written = ((key, _entry(entry, now, item["ticket"], replaced.get(key))) for key, entry in new.items())
    services.table.put_all(written)
    normal, anomaly = (list(labels.values()).count(label) for label in ("normal", "anomaly"))
    counts = {"total": len(labels), "labeled": normal + anomaly, "normal": normal, "anomaly": anomaly, "kinds": named}
    created = item["status"] == "CREATE_IN_PROGRESS"
    absent = _absent(services, sorted(found))
    message = " ".join(filter(None, (_CREATED if created else "The dataset was updated.", absent)))
    told = {**counts, "message": message, "absent": bool(absent)}
    return ("CREATE_COMPLETE" if created else "UPDATE_COMPLETE"), told


def _absent(services: Services, sources: Sequence[str]) -> str:
    """How many photographs of a change are not there, in words; empty where all are.

    They may come later, and the lines themselves are good: the change is used all the same, and whoever waits for it
    reads before the training what would fail it. Of more than 1,000 photographs every so-manieth is looked up.
    """
    looked = sources[:: -(-len(sources) // _LOOKED_UP) or 1]
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        there = pool.map(partial(_is_there, services), looked)
        absent = [source for source, found in zip(looked, there, strict=True) if not found]
    if not absent:
        return ""
    of = f"{len(looked):,} photographs" if len(looked) == len(sources) else f"{len(looked):,} that were looked up"
    return (
        f"But {len(absent):,} of its {of} are not there or may not be read, such as {absent[0]}. "
        "Put them there, or name their bucket in source_buckets of the environment's [inspection], before a training."
    )


def _is_there(services: Services, source: str) -> bool:
    bucket, key = split(source)
    try:
        services.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # S3 answers 403 for what is not there where the bucket may not be listed. Its own faults say nothing.
        return error.response["ResponseMetadata"]["HTTPStatusCode"] not in {400, 403, 404}
    return True


def _check(services: Services, project: str, kind: str, total: int, named: Sequence[str]) -> None:
    """Holds a dataset's photographs, and the anomaly labels of both datasets of the project, against the limits."""
    if total > limits.IMAGES[kind]:
        raise manifest.ManifestError(
            f"the {kind} dataset would have {total} photographs; it holds at most {limits.IMAGES[kind]}"
        )
    other = services.table.get(dataset_key(project, "test" if kind == "train" else "train")) or {}
    labels = {*named, *other.get("kinds", ())}
    if len(labels) > manifest.MOST_LABELS:
        raise manifest.ManifestError(
            f"project {project} would have {len(labels)} anomaly labels in its masks' colour maps; it has at most "
            f"{manifest.MOST_LABELS}. Give kinds of anomalies one name"
        )


def _entry(entry: Entry, now: float, ticket: str, replaced: Item | None) -> Document:
    """The item of an entry: with the change that wrote it, and what was there before that, so that it can be undone."""
    created = entry.created.timestamp() if entry.created else now
    before = replaced
    if replaced is not None and replaced.get("ticket") == ticket:  # an earlier attempt of the same change was here
        before = replaced.get("before")
    return {
        "source": entry.source,
        "label": entry.label,
        "kinds": sorted(entry.colors) or None,
        "created": created,
        "line": entry.line,
        "ticket": ticket,
        "before": before and {name: value for name, value in before.items() if name not in {"ticket", "before"}},
    }


def _take_back(services: Services, project: str, kind: str, item: Item) -> None:
    """Hands over that a lost update is undone; or that the undoing of one is, which was lost itself."""
    key = dataset_key(project, kind)
    changes = {
        "status": _UNDOING,
        "message": "The update did not come to an end within two hours; what it has written is being taken back.",
        "updated": services.today,
        "ticket": services.identifier(),
        "undo": item["undo"] if item["status"] == _UNDOING else item["ticket"],
    }
    if services.table.commit(Change(key, changes, {"ticket": [item["ticket"]]})):
        return  # another did it
    try:
        services.later("ingest", {"project": project, "type": kind, "ticket": changes["ticket"]})
    except Exception:  # whoever asks next tries again
        services.table.commit(Change(key, {"updated": item["updated"]}, {"ticket": [changes["ticket"]]}))
        raise


def _undo(services: Services, project: str, kind: str, ticket: str) -> None:
    """Entries that a change has written are again as they were before it. The same again changes nothing."""
    below = services.table.below(f"PROJECT#{project}", f"ENTRY#{kind}#")
    found = [((f"PROJECT#{project}", sort), each.get("before")) for sort, each in below if each.get("ticket") == ticket]
    services.table.put_all((key, before) for key, before in found if before is not None)
    services.table.remove_all(key for key, before in found if before is None)


def _read(services: Services, source: Mapping[str, str]) -> Iterator[Entry]:
    uri = f"s3://{source['Bucket']}/{source['Key']}"
    version = {"VersionId": source["VersionId"]} if "VersionId" in source else {}
    try:
        got = services.s3.get_object(Bucket=source["Bucket"], Key=source["Key"], **version)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {400, 403, 404}:
            raise
        status, reason = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        remedy = (
            "name its bucket in source_buckets of the environment's [inspection], or put it into the system's own"
            if status == 403
            else "give the key of a manifest"
        )
        raise manifest.ManifestError(f"{uri} cannot be read ({reason}): {remedy}") from error
    if got["ContentLength"] > limits.MANIFEST_BYTES:
        raise manifest.ManifestError(f"{uri} has {got['ContentLength']} bytes; a manifest has at most 1 GB")
    number = 0
    for number, line in enumerate(_lines(got["Body"]), start=1):
        if line.strip():
            yield manifest.stored(line, number)
    if not number:
        raise manifest.ManifestError(f"{uri} is empty; write one JSON line for each photograph")


def _lines(body: Any) -> Iterator[bytes]:
    """Lines of bounded length: what has no line ends is no manifest and must not fill the memory."""
    pending = b""
    for block in body.iter_chunks(_LONGEST):
        *whole, pending = (pending + block).split(b"\n")
        yield from whole
        if len(pending) > _LONGEST:
            raise manifest.ManifestError("a line has more than 1 MiB: it is no manifest of JSON lines")
    if pending:
        yield pending


def _begin(
    services: Services, at: tuple[str, str], item: Item, status: str, before: Sequence[str], **changes: Any
) -> None:
    """Takes a dataset, (project, type), for one change and hands that over."""
    name, kind = at
    changes |= {"status": status, "updated": services.today, "ticket": services.identifier()}
    where = {"ticket": [item["ticket"]], "status": list(before)}
    if services.table.commit(Change(dataset_key(name, kind), changes, where)):
        now = the_dataset(services, name, kind)
        raise unready(name, kind, now)
    _hand_over(services, name, kind, {**item, **changes}, _FAILED[status])


def _hand_over(services: Services, name: str, kind: str, item: Mapping[str, Any], failed: str) -> None:
    try:
        services.later("ingest", {"project": name, "type": kind, "ticket": item["ticket"]})
    except Exception:
        told = {"status": failed, "message": "It could not be started. Try again.", "ticket": ""}
        services.table.commit(Change(dataset_key(name, kind), told, {"ticket": [item["ticket"]]}))
        raise


def _wanted(item: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    label, created = item.get("label"), dt.datetime.fromtimestamp(float(item["created"]), dt.UTC)
    labelled, kind = request.get("Labeled"), request.get("AnomalyClass")
    before, since = request.get("BeforeCreationDate"), request.get("AfterCreationDate")
    return (
        (labelled is None or labelled == (label is not None))
        and (kind is None or kind == label)
        and (before is None or created < before)
        and (since is None or created > since)
        and request.get("SourceRefContains", "") in item["source"]
    )
