"""What people say of verdicts, into the dataset, and a new model from it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sextant.inspection import manifest
from sextant.inspection.api import datasets, models
from sextant.inspection.api.store import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sextant.inspection.api.services import Services
    from sextant.inspection.api.store import Key
    from sextant.inspection.loop.journal import Journal, Label, Record

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
    return record.model_copy(update={"truth": truth, "checked_by": who})


def add(services: Services, journal: Journal, project: str, keys: Sequence[Key]) -> int:
    """Adds verified photographs to the project's training dataset; tells how many. The same again changes nothing.

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
    for key in keys:
        journal.table.commit(Change(key, {"added": at.isoformat(timespec="seconds")}))
    return len(found)


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
