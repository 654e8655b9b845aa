"""Datasets: entries by source-ref, changes whole or not at all, states that scripts wait for."""

import datetime as dt
import json

import pytest
from botocore.exceptions import ClientError

from sextant.inspection import client as helpers
from sextant.inspection.api import datasets, limits, operations
from tests.inspection_api.stand import client_error, refused

TRAIN = {"ProjectName": "lego", "DatasetType": "train"}


def state(api, kind="train"):
    told = api.client.describe_dataset(ProjectName="lego", DatasetType=kind)["DatasetDescription"]
    stats = told["ImageStats"]
    return told["Status"], (stats["Total"], stats["Labeled"], stats["Normal"], stats["Anomaly"]), told["StatusMessage"]


def entries(api, **filters):
    return [json.loads(line) for line in api.client.list_dataset_entries(**TRAIN, **filters)["DatasetEntries"]]


def update(api, text):
    assert api.client.update_dataset_entries(**TRAIN, Changes=text) ["Status"] == "UPDATE_IN_PROGRESS"  # fmt: skip
    return api.work()


def test_an_empty_dataset_is_complete_at_once(api):
    api.client.create_project(ProjectName="lego")
    made = api.client.create_dataset(**TRAIN)["DatasetMetadata"]
    assert (made["DatasetType"], made["Status"], made["StatusMessage"]) == (
        "train",
        "CREATE_COMPLETE",
        "The dataset was created.",
    )
    assert state(api)[:2] == ("CREATE_COMPLETE", (0, 0, 0, 0))
    assert entries(api) == []
    answer = refused("ConflictException", lambda: api.client.create_dataset(**TRAIN), "already")
    assert (answer["ResourceId"], answer["ResourceType"]) == ("lego/train", "DATASET")
    refused("ResourceNotFoundException", lambda: api.client.describe_dataset(**{**TRAIN, "DatasetType": "test"}))


def test_a_dataset_from_a_manifest_is_read_afterwards(api):
    text = api.lines(normal=30, anomaly=12, unlabelled=3)
    api.s3.put_object(Bucket="customer", Key="m.manifest", Body=text.encode())
    api.client.create_project(ProjectName="lego")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "customer", "Key": "m.manifest"}}}
    made = api.client.create_dataset(**TRAIN, DatasetSource=source)["DatasetMetadata"]
    assert made["Status"] == "CREATE_IN_PROGRESS"
    assert state(api)[:2] == ("CREATE_IN_PROGRESS", (0, 0, 0, 0))
    refused("ConflictException", lambda: api.client.update_dataset_entries(**TRAIN, Changes="{}"), "IN_PROGRESS")
    refused("ConflictException", lambda: api.client.delete_dataset(**TRAIN), "CREATE_IN_PROGRESS")
    assert api.work() == ["CREATE_COMPLETE"]
    assert state(api)[:2] == ("CREATE_COMPLETE", (45, 42, 30, 12))
    assert len(entries(api)) == 45
    datasets_told = api.client.describe_project(ProjectName="lego")["ProjectDescription"]["Datasets"]
    assert [(each["DatasetType"], each["Status"]) for each in datasets_told] == [("train", "CREATE_COMPLETE")]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "customer/m.manifest is empty"),
        (b'{"source-ref": "s3://customer/a.jpg"}\nnonsense\n', "line 2: no JSON"),
        (b"a" * (1 << 20) + b"b" * 5, "more than 1 MiB"),
        (None, "cannot be read .NoSuchKey."),
    ],
)
def test_a_manifest_is_used_whole_or_not_at_all(api, body, told):
    if body is not None:
        api.s3.put_object(Bucket="customer", Key="m.manifest", Body=body)
    api.client.create_project(ProjectName="lego")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "customer", "Key": "m.manifest"}}}
    api.client.create_dataset(**TRAIN, DatasetSource=source)
    assert api.work() == ["CREATE_FAILED"]
    status, counts, message = state(api)
    assert (status, counts) == ("CREATE_FAILED", (0, 0, 0, 0))
    assert told.replace(".", "") in message.replace("(", "").replace(")", "").replace(".", "")
    assert entries(api) == []
    # Waiting helps nobody: the reason again, and what there is to do.
    for call in (api.train, lambda: api.client.update_dataset_entries(**TRAIN, Changes="{}")):
        answer = refused(
            "ConflictException", call, rf"The manifest cannot be used: .*{told}.*\. Delete it .DeleteDataset"
        )
        assert "Wait" not in answer["Error"]["Message"]
    api.client.delete_dataset(**TRAIN)
    assert api.work() == ["DELETE_COMPLETE"]
    refused("ResourceNotFoundException", lambda: api.client.describe_dataset(**TRAIN))


def test_photographs_that_are_not_there_are_counted_before_a_training_fails(api):
    """The lines are good and the photographs may still come: the change is used, and its message tells."""
    for number in range(1, 4):
        api.s3.put_object(Bucket="customer", Key=f"normal/{number}.jpg", Body=b"x")
    api.s3.put_object(Bucket="customer", Key="m.manifest", Body=api.lines(normal=4).encode())
    api.client.create_project(ProjectName="lego")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "customer", "Key": "m.manifest"}}}
    api.client.create_dataset(**TRAIN, DatasetSource=source)
    assert api.work() == ["CREATE_COMPLETE"]
    message = state(api)[2]
    assert "1 of its 4 photographs are not there or may not be read, such as s3://customer/normal/0.jpg" in message
    api.s3.put_object(Bucket="customer", Key="normal/0.jpg", Body=b"x")
    update(api, api.lines(normal=1))
    assert state(api)[2] == "The dataset was updated."
    update(api, api.lines(normal=1).replace("s3://customer", "s3://no-such-bucket"))
    assert "1 of its 1 photographs are not there" in state(api)[2]


def test_of_many_photographs_a_sample_is_looked_up(api, monkeypatch):
    monkeypatch.setattr(datasets, "_LOOKED_UP", 10)
    api.project("lego", normal=25)
    assert "9 of its 9 that were looked up are not there" in state(api)[2]


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_of_s3_is_no_photograph_that_is_not_there(api, monkeypatch, status):
    def refuse(**_request):
        raise client_error("InternalError", "We", "HeadObject", status)

    monkeypatch.setattr(api.services.s3, "head_object", refuse)
    api.project("lego", normal=3)
    assert state(api)[::2] == ("UPDATE_COMPLETE", "The dataset was updated.")


@pytest.mark.parametrize(
    ("again", "told", "not_told"),
    [
        ("normal", "1 line names a photograph that an earlier line of the change names", "label"),
        (
            "anomaly",
            "1 photograph has lines with different labels, such as s3://customer/normal/0.jpg, which is",
            "But",
        ),
    ],
)
def test_a_photograph_that_a_manifest_names_twice_is_told(api, again, told, not_told):
    """People label one photograph both ways: which of them a model learns is not left to the order of lines unsaid."""
    for number in range(3):
        api.s3.put_object(Bucket="customer", Key=f"normal/{number}.jpg", Body=b"x")
    text = api.lines(normal=3) + api.lines(normal=1).replace('"normal"', f'"{again}"')
    api.s3.put_object(Bucket="customer", Key="m.manifest", Body=text.encode())
    api.client.create_project(ProjectName="lego")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "customer", "Key": "m.manifest"}}}
    api.client.create_dataset(**TRAIN, DatasetSource=source)
    assert api.work() == ["CREATE_COMPLETE"]
    message = state(api)[2]
    assert told in message
    assert not_told not in message


def test_lines_replace_those_of_the_same_photograph(api):
    api.project("lego", normal=30)
    assert update(api, api.lines(anomaly=2)) == ["UPDATE_COMPLETE"]
    assert state(api)[:2] == ("UPDATE_COMPLETE", (32, 32, 30, 2))
    turned = api.lines(normal=3).replace('"normal"', '"anomaly"')
    again = turned + api.lines(normal=1)  # twice in one change: the later line counts
    update(api, again)
    assert state(api)[1] == (32, 32, 28, 4)
    found = {entry["source-ref"]: entry for entry in entries(api)}
    assert found["s3://customer/normal/0.jpg"]["auto-label-metadata"]["class-name"] == "normal"
    assert found["s3://customer/normal/1.jpg"]["auto-label-metadata"]["class-name"] == "anomaly"
    assert found["s3://customer/normal/1.jpg"]["auto-label"] == 1, "the integer follows the class name"


def test_a_bad_change_rolls_back(api):
    api.project("lego", normal=5)
    assert update(api, api.lines(anomaly=2) + "{}\n") == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    status, counts, message = state(api)
    assert (status, counts) == ("UPDATE_FAILED_ROLLBACK_COMPLETE", (5, 5, 5, 0))
    assert 'line 3: no "source-ref"' in message
    assert len(entries(api)) == 5
    assert update(api, api.lines(anomaly=2)) == ["UPDATE_COMPLETE"]
    assert state(api)[1] == (7, 7, 5, 2)


def test_a_change_of_ten_mebibytes_is_the_largest(api):
    api.project("lego")
    line = api.lines(normal=1).strip()
    big = (line + " " * 100 + "\n") * (limits.CHANGES_BYTES // (len(line) + 101))
    assert update(api, big) == ["UPDATE_COMPLETE"]
    assert state(api)[1] == (1, 1, 1, 0)
    refused("ValidationException", lambda: api.client.update_dataset_entries(**TRAIN, Changes=big + big), "length")


def test_more_photographs_than_a_dataset_holds_are_refused(api, monkeypatch):
    monkeypatch.setitem(limits.IMAGES, "train", 10)
    api.project("lego", normal=8)
    assert update(api, api.lines(anomaly=3)) == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    assert "would have 11 photographs; it holds at most 10" in state(api)[2]
    assert update(api, api.lines(anomaly=2)) == ["UPDATE_COMPLETE"]


def test_events_that_come_twice_or_late_change_nothing(api):
    api.project("lego", normal=5)
    api.client.update_dataset_entries(**TRAIN, Changes=api.lines(anomaly=1))
    task, document = api.queue[0]
    api.queue.append((task, document))
    assert api.work() == ["UPDATE_COMPLETE", "UPDATE_COMPLETE"]
    api.client.update_dataset_entries(**TRAIN, Changes=api.lines(anomaly=2))
    assert datasets.ingest(api.services, "lego", "train", document["ticket"]) == "UPDATE_IN_PROGRESS"
    assert state(api)[1] == (6, 6, 5, 1), "the late event belongs to an earlier change"
    assert api.work() == ["UPDATE_COMPLETE"]
    assert state(api)[1] == (7, 7, 5, 2)
    assert datasets.ingest(api.services, "nobody", "train", "x") == "unchanged"


def test_a_fault_of_aws_is_tried_again_and_one_that_lasts_is_told(api, monkeypatch):
    api.project("lego", normal=5)
    api.client.update_dataset_entries(**TRAIN, Changes=api.lines(anomaly=1))
    document = api.queue[0][1]
    failing = client_error("InternalError", "again", "GetObject", 500)
    with monkeypatch.context() as patch:
        patch.setattr(api.services.s3, "get_object", lambda **_: (_ for _ in ()).throw(failing))
        with pytest.raises(ClientError):
            datasets.ingest(api.services, "lego", "train", document["ticket"])
    assert state(api)[0] == "UPDATE_IN_PROGRESS"
    api.clock[0] += 2 * 3600 + 1
    assert state(api)[0] == "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    undoing = "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    assert api.work() == [undoing, "UPDATE_FAILED_ROLLBACK_COMPLETE"], "a change given up must not come back"
    status, counts, message = state(api)
    assert (status, counts) == ("UPDATE_FAILED_ROLLBACK_COMPLETE", (5, 5, 5, 0))
    assert "within two hours" in message
    assert update(api, api.lines(anomaly=1)) == ["UPDATE_COMPLETE"]


@pytest.fixture
def half(api, monkeypatch):
    """A dataset of 40 normal photographs whose change died after a batch of 25 entries, some new, some replaced."""
    api.project("lego", normal=40)
    before = entries(api)
    turned = api.lines(normal=20).replace('"normal"', '"anomaly"') + api.lines(anomaly=40)
    api.client.update_dataset_entries(**TRAIN, Changes=turned)
    batches = api.services.table.client.batch_write_item
    left = [1]

    def failing(**request):
        if not left:
            raise client_error("InternalServerError", "again", "BatchWriteItem", 500)
        left.pop()
        return batches(**request)

    event = api.queue[0][1]
    for attempt in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(api.services.table.client, "batch_write_item", failing)
            with pytest.raises(ClientError):
                datasets.ingest(api.services, "lego", "train", event["ticket"])
        assert len(entries(api)) == 45, "of an attempt half way"
        left[:] = [1] * (attempt == 0)  # the second attempt writes the same batch again
    return before


def test_what_a_change_wrote_that_never_ended_is_taken_back(api, half):
    api.queue.clear()
    api.clock[0] += 2 * 3600 + 1
    assert state(api)[0] == "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    refused("ConflictException", api.train, "UPDATE_FAILED_ROLLBACK_IN_PROGRESS")
    api.queue.clear()  # its event is lost, too
    api.clock[0] += 2 * 3600 + 1
    refused("ConflictException", lambda: update(api, api.lines(anomaly=1)), "taken back")
    assert api.work() == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    assert entries(api) == half
    assert state(api)[:2] == ("UPDATE_FAILED_ROLLBACK_COMPLETE", (40, 40, 40, 0))
    assert update(api, api.lines(anomaly=2)) == ["UPDATE_COMPLETE"]
    assert state(api)[1] == (42, 42, 40, 2)


def test_what_an_earlier_attempt_wrote_is_taken_back_where_a_later_one_finds_the_change_bad(api, half):
    item = api.services.table.get(("PROJECT#lego", "DATASET#train"))
    api.s3.delete_object(Bucket="data", Key=item["source"]["Key"])
    assert api.work() == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    assert entries(api) == half


def test_a_change_that_died_and_is_tried_again_is_whole(api, half):
    assert half
    assert api.work() == ["UPDATE_COMPLETE"]
    assert state(api)[1] == (80, 80, 20, 60)


def test_taking_back_that_cannot_be_started_is_asked_for_again(api, half):
    assert half
    api.queue.clear()
    api.clock[0] += 2 * 3600 + 1
    later = api.services.later
    object.__setattr__(api.services, "later", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        datasets.the_dataset(api.services, "lego", "train")
    object.__setattr__(api.services, "later", later)
    assert state(api)[0] == "UPDATE_FAILED_ROLLBACK_IN_PROGRESS"
    assert api.work() == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]


def masked(*names, start=0):
    """Lines of photographs whose masks name one anomaly each."""
    made = []
    for number, name in enumerate(names, start=start):
        colors = {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
                  "1": {"class-name": name, "hex-color": "#23A436"}}  # fmt: skip
        metadata = {"internal-color-map": colors, "type": "groundtruth/semantic-segmentation"}
        source = f"s3://customer/masked/{number}.jpg"
        made.append(json.dumps({"source-ref": source, "m-ref": "s3://customer/m.png", "m-ref-metadata": metadata}))
    return "\n".join(made) + "\n"


def test_a_project_has_at_most_a_hundred_anomaly_labels(api):
    api.project("lego")
    api.client.create_dataset(**{**TRAIN, "DatasetType": "test"})
    test = {**TRAIN, "DatasetType": "test"}
    assert update(api, masked(*(f"kind {n}" for n in range(60)))) == ["UPDATE_COMPLETE"]
    api.client.update_dataset_entries(**test, Changes=masked(*(f"kind {n}" for n in range(50, 101))))
    assert api.work() == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    assert "project lego would have 101 anomaly labels" in state(api, "test")[2]
    api.client.update_dataset_entries(**test, Changes=masked(*(f"kind {n}" for n in range(50, 100))))
    assert api.work() == ["UPDATE_COMPLETE"]
    assert update(api, masked("another", start=90)) == ["UPDATE_FAILED_ROLLBACK_COMPLETE"]
    assert update(api, masked("another")) == ["UPDATE_COMPLETE"], "in the place of kind 0, which nobody names any more"


def test_a_change_that_cannot_be_started_fails_and_may_be_tried_again(api):
    api.project("lego", normal=5)
    later = api.services.later
    object.__setattr__(api.services, "later", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        operations.run(api.services, "UpdateDatasetEntries", {**TRAIN, "Changes": api.lines(anomaly=1).encode()})
    object.__setattr__(api.services, "later", later)
    assert state(api)[0] == "UPDATE_FAILED_ROLLBACK_COMPLETE"
    assert update(api, api.lines(anomaly=1)) == ["UPDATE_COMPLETE"]


def dated(number, klass, date):
    metadata = {"class-name": klass, "type": "groundtruth/image-classification", "creation-date": date}
    document = {"source-ref": f"s3://customer/day/{number}.jpg", "l": 0, "l-metadata": metadata}
    return json.dumps(document) + "\n"


def test_entries_are_filtered_and_paged(api):
    api.project("lego")
    days = [dated(n, "anomaly" if n % 3 == 0 else "normal", f"2026-01-{n + 1:02}T00:00:00.000000") for n in range(20)]
    update(api, "".join(days) + api.lines(unlabelled=5))

    def numbers(**filters):
        found = (entry["source-ref"] for entry in entries(api, **filters))
        return sorted(int(source.rpartition("/")[2].removesuffix(".jpg")) for source in found if "/day/" in source)

    assert numbers() == list(range(20))
    assert numbers(AnomalyClass="anomaly") == [0, 3, 6, 9, 12, 15, 18]
    assert len(entries(api, Labeled=False)) == 5
    assert len(entries(api, Labeled=True)) == 20
    day = dt.datetime(2026, 1, 10, tzinfo=dt.UTC)
    assert numbers(BeforeCreationDate=day) == list(range(9))
    assert numbers(AfterCreationDate=day) == list(range(10, 20))
    assert numbers(SourceRefContains="day/1") == [1, *range(10, 20)]
    both = {"AnomalyClass": "normal", "SourceRefContains": "day/1", "AfterCreationDate": day}
    assert numbers(**both) == [10, 11, 13, 14, 16, 17, 19]
    paged = api.client.get_paginator("list_dataset_entries").paginate(
        **TRAIN, Labeled=True, PaginationConfig={"PageSize": 7}
    )
    pages = [page["DatasetEntries"] for page in paged]
    assert [len(page) for page in pages] == [7, 7, 6]
    assert len({line for page in pages for line in page}) == 20


def test_a_folder_of_photographs_becomes_a_dataset_as_in_the_console(api):
    for key in ("train/normal/1.jpg", "train/anomaly/2.png", "train/anomaly/deep/normal/3.jpg", "train/readme.txt",
                "train/4.jpeg", "other/normal/5.jpg"):  # fmt: skip
        api.s3.put_object(Bucket="customer", Key=key, Body=b"x")
    api.client.create_project(ProjectName="lego")
    count = helpers.import_folder(
        api.client,
        api.s3,
        "s3://customer/train/",
        project="lego",
        kind="train",
        target="s3://customer/m/train.manifest",
    )
    assert count == 4
    assert api.work() == ["CREATE_COMPLETE"]
    assert state(api)[1] == (4, 3, 1, 2)
    assert entries(api, AnomalyClass="normal")[0]["source-ref"] == "s3://customer/train/normal/1.jpg"


def test_a_manifest_exported_from_an_old_project_is_imported(api):
    metadata = {"class-name": "anomaly", "type": "groundtruth/image-classification"}
    colors = {"0": {"class-name": "cracked", "hex-color": "#23A436"}}
    line = {
        "source-ref": "training-images/a.jpg",
        "anomaly-label": 0,
        "anomaly-label-metadata": metadata,
        "anomaly-mask-ref": "masks/a.png",
        "anomaly-mask-ref-metadata": {"internal-color-map": colors, "type": "groundtruth/semantic-segmentation"},
    }
    exported = [json.dumps(line), ""]
    api.client.create_project(ProjectName="lego")
    places = {"root": "s3://customer/old", "target": "s3://customer/m.manifest"}
    assert helpers.import_manifest(api.client, api.s3, exported, project="lego", kind="train", **places) == 1
    api.work()
    assert state(api)[:2] == ("CREATE_COMPLETE", (1, 1, 0, 1))
    (entry,) = entries(api)
    assert entry["anomaly-mask-ref"] == "s3://customer/old/masks/a.png"
    assert entry["anomaly-label"] == 1
