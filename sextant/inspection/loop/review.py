"""What people say of verdicts, into the dataset, and a new model from it.

What a person has verified and the training dataset does not have is an item VERIFIED#{project} / {trial or line}#{sort
key of the verdict}: it is forgotten neither with the tab nor by a dataset that refuses it. `adding` tells since when it
is on its way there.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sextant.inspection import manifest
from sextant.inspection.api import datasets, models
from sextant.inspection.api.services import dataset_key, entry_key
from sextant.inspection.api.store import Change, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sextant.inspection.api.services import Services
    from sextant.inspection.api.store import Key
    from sextant.inspection.loop.journal import Journal, Label, Record

VERIFIED = "VERIFIED#"
JOB = "sextant/verified"
"""The job's name in the manifest lines of verified photographs."""


def verify(journal: Journal, key: Key, *, correct: bool, who: str) -> Record:
    """A person says that a prediction is correct or not; the photograph waits no longer.

    Args:
        journal: of the system.
        key: of the record.
        correct: whether the model's `is_anomalous` is right.
        who: the person.

    Raises:
        LookupError: there is no such record.
    """
    record = journal.item(key)
    if record is None:
        raise LookupError(f"there is no item {key[1]} of {key[0].partition('#')[2]} in the journal: reload the list")
    truth: Label = "anomaly" if record.is_anomalous == correct else "normal"
    journal.check(record, truth, who)
    journal.table.commit(Put(_mark(record.project, key), {"by": who}, absent=False))
    return record.model_copy(update={"truth": truth, "checked_by": who})


def add(services: Services, journal: Journal, project: str, keys: Sequence[Key]) -> int:
    """Adds verified photographs to the project's training dataset; tells how many. The same again changes nothing.

    They wait on until `settle` finds them in the dataset.

    Raises:
        LookupError: a record is not there, or nobody has verified it.
        ApiError: there is no training dataset, or it is just being changed: try again.
    """
    found = []
    for key in keys:
        record = journal.item(key)
        if record is None or record.truth is None:
            raise LookupError(f"item {key[1]} has not been verified: say first whether the prediction is correct")
        found.append(record)
    if not found:
        return 0
    at = dt.datetime.fromtimestamp(services.now(), dt.UTC)
    lines = [manifest.line_of(each.source, each.truth, at, JOB) for each in found]
    changes = "".join(f"{line}\n" for line in lines).encode()
    datasets.update_dataset_entries(services, {"ProjectName": project, "DatasetType": "train", "Changes": changes})
    adding = at.isoformat(timespec="seconds")
    journal.table.put_all(
        (_mark(project, key), {"by": each.checked_by, "adding": adding}) for key, each in zip(keys, found, strict=True)
    )
    return len(found)


def verified(journal: Journal, project: str) -> Iterator[Key]:
    """The keys of the records that a person has verified and nobody is adding to the dataset."""
    for mark, item in journal.table.below(f"{VERIFIED}{project}"):
        if not item.get("adding"):
            yield _key(project, mark)


def settle(journal: Journal, project: str) -> None:
    """What has come into the training dataset waits no more; what it has refused may be added again."""
    table = journal.table
    marks = [(mark, item) for mark, item in table.below(f"{VERIFIED}{project}") if item.get("adding")]
    if not marks:
        return
    there = table.get(dataset_key(project, "train"))
    if there is not None and there["status"].endswith("_IN_PROGRESS"):
        return
    for mark, item in marks:
        key = _key(project, mark)
        record = journal.item(key)
        entry = None if record is None else table.get(entry_key(project, "train", record.source))
        if record is None:
            table.commit(Remove((f"{VERIFIED}{project}", mark)))
        elif entry is not None and entry.get("label") == record.truth:
            table.commit(Change(key, {"added": item["adding"]}), Remove((f"{VERIFIED}{project}", mark)))
        else:
            table.commit(Put((f"{VERIFIED}{project}", mark), {"by": item.get("by")}, absent=False))


def _mark(project: str, key: Key) -> Key:
    where = "trial" if key[0].startswith("TRIAL#") else "line"
    return f"{VERIFIED}{project}", f"{where}#{key[1]}"


def _key(project: str, mark: str) -> Key:
    where, _, sort = mark.partition("#")
    return journal_key(project, sort, trial=where == "trial")


def journal_key(project: str, sort: str, *, trial: bool) -> Key:
    """Where the journal keeps a verdict by its sort key: see `sextant.inspection.loop.journal`."""
    return (f"TRIAL#{project}", sort) if trial else (f"ITEMS#{project}#{sort[:10]}", sort)


def train(services: Services, project: str) -> str:
    """Starts the training of a new version on the dataset as it is; its number.

    Raises:
        ApiError: as CreateModel.
    """
    place = {"Bucket": services.place.BUCKET, "Prefix": f"projects/{project}/evaluation/"}
    made = models.create_model(
        services, {"ProjectName": project, "OutputConfig": {"S3Location": place}, "Description": "after verification"}
    )
    version: str = made["ModelMetadata"]["ModelVersion"]
    return version
