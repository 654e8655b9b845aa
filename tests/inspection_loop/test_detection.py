"""What becomes of one photograph, whatever it is and whoever answers for its project."""

import base64
import datetime as dt
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import Version
from sextant.inspection.archive import ArchiveError
from sextant.inspection.loop import detection
from sextant.inspection.loop.champion import NoModelError
from sextant.inspection.loop.detection import SURE, Loaded, answered, examine
from sextant.inspection.loop.journal import Journal, Quarantined, Record
from sextant.inspection.settings import RejectRules

KEY = "incoming/bracket/a/top/1.jpg"
QUALITY = SimpleNamespace(brightness=100.0, sharpness=50.0)


def jpeg(width=120, height=90):
    body = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 128, np.uint8)).save(body, "JPEG")
    return body.getvalue()


class Store:
    """S3 with one photograph; what is put is kept."""

    def __init__(self, body, fault="", size=None, settings=None):
        self.body, self.fault, self.size, self.asked, self.kept = body, fault, size, {}, {}
        self.settings = settings

    def get_object(self, **asked):
        if asked["Key"] == "projects/bracket/settings.json":
            if self.settings is None:
                raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
            return {"Body": io.BytesIO(self.settings)}
        self.asked = asked
        if self.fault:
            raise ClientError({"Error": {"Code": self.fault, "Message": ""}}, "GetObject")
        return {
            "Body": io.BytesIO(self.body),
            "ContentLength": self.size or len(self.body),
            "LastModified": dt.datetime(2026, 11, 21, 12, 0, 5, tzinfo=dt.UTC),
            "Metadata": {"at": "2026-11-21T11:59:58.500+00:00"},
        }

    def put_object(self, Key, Body, **_):  # noqa: N803 - boto3's
        self.kept[Key] = Body


class Hosted:
    """A backend that is no detector of this function."""

    def __init__(self, answer):
        self.answer = answer

    def detect(self, _version, _body, _kind):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def journal(table):
    Looking.table = table
    return Journal(table)


class Looking:
    """The table that `look` sees."""


def look(monkeypatch, store, answer=None, *, key=KEY, version_id=None, nobody=None):
    def answering(_services, project):
        if nobody:
            raise nobody
        return Version(project, 3, "arn", "s3://data/x", "name"), {}

    monkeypatch.setattr(detection, "answering", answering)
    services = SimpleNamespace(
        s3=store,
        table=Looking.table,
        backend=Hosted(answer or {"IsAnomalous": False, "Confidence": 0.99}),
        place=SimpleNamespace(BACKEND="sagemaker", BUCKET="data"),
        now=lambda: 1_800_000_000.0,
    )
    return examine(services, Loaded(store), ("data", key, "etag", version_id), "run")


def test_a_verdict_tells_item_place_and_times(monkeypatch):
    store = Store(jpeg())
    record = Record.model_validate(look(monkeypatch, store)["record"])
    assert (record.project, record.line, record.camera, record.model_version) == ("bracket", "a", "top", "3")
    assert record.at == "2026-11-21T11:59:58.500+00:00"
    assert record.arrived == "2026-11-21T12:00:05+00:00"
    assert (record.verdict, record.source, record.run) == ("accept", f"s3://data/{KEY}", "run")
    assert record.brightness == pytest.approx(128, abs=2)
    assert store.asked["IfMatch"] == '"etag"', "the very content that the event tells of"


def test_of_a_bucket_with_versions_the_events_own_is_read(monkeypatch):
    store = Store(jpeg())
    look(monkeypatch, store, version_id="v7")
    assert store.asked["VersionId"] == "v7"
    assert "IfMatch" not in store.asked


def test_the_mask_of_what_is_not_accepted_is_kept(monkeypatch):
    store = Store(jpeg())
    answer = {
        "IsAnomalous": True,
        "Confidence": 0.95,
        "Anomalies": [{"Name": "background"}, {"Name": "scratch"}],
        "AnomalyMask": base64.b64encode(b"png").decode(),
    }
    record = Record.model_validate(look(monkeypatch, store, answer)["record"])
    assert (record.verdict, record.labels) == ("reject", ("scratch",))
    assert store.kept == {f"masks/bracket/{record.item}.png": b"png"}
    assert record.mask == f"s3://data/masks/bracket/{record.item}.png"


@pytest.mark.parametrize(
    ("anomalous", "confidence", "verdict"),
    [(True, SURE, "reject"), (True, SURE - 0.01, "review"), (False, SURE, "accept"), (False, 0.4, "review")],
)
def test_an_answer_without_a_verdict_that_is_not_sure_goes_to_a_person(anomalous, confidence, verdict):
    answer = {"IsAnomalous": anomalous, "Confidence": confidence, "AnomalyMask": b"png"}
    found = answered(answer, QUALITY, RejectRules())
    assert found.told["verdict"] == verdict
    assert (found.mask is None) == (verdict == "accept")


def test_the_projects_own_rules_decide_where_the_answer_has_no_verdict(monkeypatch):
    anomalies = [
        {"Name": "background", "PixelAnomaly": {"TotalPercentageArea": 0.99, "Color": "#FFFFFF"}},
        {"Name": "scratch", "PixelAnomaly": {"TotalPercentageArea": 0.01, "Color": "#FF0000"}},
    ]
    answer = {"IsAnomalous": True, "Confidence": 0.7, "Anomalies": anomalies}
    verdicts = {}
    for rules in ({}, {"min_confidence": 0.6}, {"min_confidence": 0.6, "min_area": {"scratch": 0.02}}):
        store = Store(jpeg(), settings=json.dumps({"rules": rules}).encode())
        verdicts[json.dumps(rules)] = look(monkeypatch, store, answer)["record"]["verdict"]
    assert list(verdicts.values()) == ["review", "reject", "accept"]


@pytest.mark.parametrize(
    ("store", "options", "reason"),
    [
        (Store(b""), {}, "empty"),
        (Store(jpeg()[:300]), {}, "truncated"),
        (Store(jpeg(20, 20)), {}, "too_small"),
        (Store(jpeg(), size=9_000_000), {}, "too_large"),
        (Store(jpeg(), fault="NoSuchKey"), {}, "gone"),
        (Store(jpeg(), fault="PreconditionFailed"), {}, "gone"),
        (Store(jpeg()), {"key": "incoming/1.jpg"}, "wrong_place"),
        (Store(jpeg()), {"answer": {"IsAnomalous": True}}, "fault"),
        (Store(jpeg()), {"nobody": ArchiveError("model.tar.gz is damaged")}, "fault"),
        (Store(jpeg(), settings=b'{"rules": {"min_labels": 0}}'), {}, "settings"),
        (Store(jpeg()), {"nobody": NoModelError("none hosted")}, "no_model_running"),
        (Store(jpeg()), {"nobody": NoModelError("no project", missing=True)}, "no_such_project"),
        (Store(jpeg()), {"answer": ApiError("ValidationException", 400, "a photograph it does not take")}, "refused"),
    ],
)
def test_what_gets_no_verdict_goes_to_quarantine_with_a_reason(monkeypatch, store, options, reason):
    outcome = look(monkeypatch, store, **options)
    assert outcome["outcome"] == "quarantine"
    found = Quarantined.model_validate(outcome["found"])
    assert found.reason == reason
    assert found.detail
    assert found.etag == "etag"


@pytest.mark.parametrize(
    ("store", "answer"),
    [(Store(jpeg(), fault="SlowDown"), None), (Store(jpeg()), ApiError("InternalServerException", 500, "busy"))],
)
def test_a_fault_that_is_not_the_photographs_is_tried_again(monkeypatch, store, answer):
    with pytest.raises((ClientError, ApiError)):
        look(monkeypatch, store, answer)


def test_a_photograph_that_has_a_verdict_keeps_it_whatever_its_second_event_finds(monkeypatch, journal):
    first = Record.model_validate(look(monkeypatch, Store(jpeg()))["record"])
    journal.record(first, dt.datetime(2026, 11, 21, 12, 1, tzinfo=dt.UTC))
    for options in ({"nobody": NoModelError("none hosted")}, {"answer": {"IsAnomalous": True, "Confidence": 0.99}}):
        outcome = look(monkeypatch, Store(jpeg(), fault="NoSuchKey"), **options)
        assert Record.model_validate(outcome["record"]) == first


def test_a_fault_is_logged_with_its_trace(monkeypatch, caplog):
    look(monkeypatch, Store(jpeg()), {"IsAnomalous": True})
    assert "KeyError: 'Confidence'" in caplog.text
    assert KEY in caplog.text
