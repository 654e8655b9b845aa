"""The journal: everything once, nothing lost, whatever comes twice or late."""

import datetime as dt
import hashlib
import io
import itertools
import json

import pytest
from botocore.exceptions import ClientError

from sextant.inspection.loop import lines, sweep
from sextant.inspection.loop.arrival import PlaceError, arrival, item_of, told_time
from sextant.inspection.loop.journal import Journal, Quarantined
from sextant.inspection.loop.record import Recorder, message, subject
from sextant.inspection.loop.review import verify
from sextant.inspection.loop.views import COLUMNS
from tests.inspection_loop.table import NOW, record


@pytest.fixture
def journal(table):
    return Journal(table)


def names(found):
    return [each.item for each in found]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("incoming/bracket/a/top/1.jpg", ("incoming", "bracket", "a", "top", "")),
        ("incoming/bracket/a/top/2026/11/1.jpg", ("incoming", "bracket", "a", "top", "")),
        ("new-data/bracket/1.jpg", ("new-data", "bracket", "", "", "new-data")),
        ("new-data/bracket/monday/1.jpg", ("new-data", "bracket", "", "", "monday")),
    ],
)
def test_a_key_tells_project_and_place(key, told):
    found = arrival("data", key, "e")
    assert (found.kind, found.project, found.line, found.camera, found.trial) == told


@pytest.mark.parametrize(
    "key", ["incoming/1.jpg", "incoming/bracket/a/1.jpg", "incoming/bracket//top/1.jpg", "new-data/1.jpg", "x/1.jpg"]
)
def test_a_key_that_tells_no_place_names_the_remedy(key):
    with pytest.raises(PlaceError, match=r"put (the photograph|it|photographs) there"):
        arrival("data", key, "e")


def test_an_item_is_its_content_at_its_place():
    assert item_of("b", "k", "e") == item_of("b", "k", "e")
    assert len({item_of("b", "k", "e"), item_of("b", "k", "f"), item_of("b", "l", "e"), item_of("c", "k", "e")}) == 4


def test_the_uploader_may_tell_when_the_photograph_was_taken():
    modified = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    assert told_time({"at": "2026-11-20T23:30:00+01:00"}, modified) == dt.datetime(2026, 11, 20, 22, 30, tzinfo=dt.UTC)
    assert told_time({"at": "yesterday"}, modified) == modified
    assert told_time({"at": "9999-12-31T23:59:59-12:00"}, modified) == modified
    assert told_time({}, modified) == modified


def test_a_photograph_that_comes_twice_counts_once_and_keeps_its_first_verdict(journal):
    first = record(1)
    assert journal.record(first, NOW)
    assert not journal.record(first, NOW)
    assert not journal.record(record(1, run="another", verdict="reject", is_anomalous=True), NOW)

    (kept,) = journal.items("bracket", NOW.date())
    assert kept == first


def test_a_photograph_that_is_put_again_is_the_same_item(journal):
    first = record(1)
    later = (dt.datetime.fromisoformat(first.arrived) + dt.timedelta(minutes=3)).isoformat(timespec="seconds")
    assert journal.record(first, NOW)
    journal.quarantine(quarantined(first.item, "no_model_running"))
    assert not journal.record(first.model_copy(update={"arrived": later, "run": "another"}), NOW)
    assert list(journal.items("bracket", NOW.date())) == [first]
    assert list(journal.quarantined()) == [], "it waits for nothing"

    s3 = Bucket()
    key = "incoming/bracket/a/top/again.jpg"
    item = item_of("data", key, "e")
    journal.record(record(2, item=item), NOW)
    s3.objects[key] = (b"", dt.datetime.fromisoformat(later))
    assert swept(journal, s3) == [], "the sweep knows it, too"


def test_a_verdict_that_was_deleted_is_written_anew(journal):
    first = record(1)
    journal.record(first, NOW)
    journal.table.remove_all([first.key])
    assert journal.record(first.model_copy(update={"run": "another"}), NOW)
    assert names(journal.items("bracket", NOW.date())) == [first.item]


def test_an_item_may_be_tried_and_pass_on_the_belt(journal):
    assert journal.record(record(1), NOW)
    assert journal.record(record(1, trial="monday"), NOW)
    assert not journal.record(record(1, trial="monday", run="another"), NOW)
    assert names(journal.trial("bracket", "monday")) == [record(1).item]


def test_what_is_to_be_reviewed_waits_until_a_person_has_said_what_it_is(journal):
    asked = record(2, verdict="review", is_anomalous=True)
    journal.record(asked, NOW)
    journal.record(record(3), NOW)
    assert names(journal.waiting("bracket")) == [asked.item]

    done = verify(journal, asked.key, correct=False, who="ada")

    assert (done.truth, done.checked_by) == ("normal", "ada")
    assert names(journal.waiting("bracket")) == []
    assert journal.item(asked.key).truth == "normal"
    assert [(each.hour, each.project) for each in journal.late()] == [("2026-11-21T12", "bracket")]


def test_a_trial_lies_apart_from_the_belt(journal):
    tried = record(4, trial="monday", line="", camera="", verdict="review")
    journal.record(tried, NOW)
    assert names(journal.trial("bracket")) == [tried.item]
    assert names(journal.trial("bracket", "tuesday")) == []
    assert names(journal.items("bracket", NOW.date())) == []
    assert names(journal.waiting("bracket")) == []
    assert verify(journal, tried.key, correct=True, who="ada").truth == "normal"


def test_of_an_item_that_is_not_there_the_list_is_to_be_loaded_anew(journal):
    with pytest.raises(LookupError, match="reload the list"):
        verify(journal, record(5).key, correct=True, who="ada")


def quarantined(item, reason="truncated", **changes):
    told = {"item": item, "source": "s3://data/incoming/bracket/a/top/1.jpg", "reason": reason, "detail": "cut off"}
    return Quarantined(**told, at="2026-11-21T12:00:00+00:00", **changes)


def test_a_verdict_ends_the_quarantine_of_its_photograph(journal):
    journal.quarantine(quarantined(record(6).item))
    journal.quarantine(quarantined(record(6).item))
    assert names(journal.quarantined()) == [record(6).item]

    journal.record(record(6), NOW)

    assert names(journal.quarantined()) == []


def swept(journal, s3, now=NOW, *, time_left=lambda: True, **asked):
    return [each.key for each in sweep.due(journal, s3, "data", asked, now=now, time_left=time_left)]


class Bucket:
    """S3 as far as the loop uses it: objects by key, with their time."""

    def __init__(self):
        self.objects = {}

    def put_object(self, *, Key, Body, IfMatch=None, IfNoneMatch=None, **_):  # noqa: N803 - boto3's
        if (Key in self.objects) if IfNoneMatch else IfMatch != self._etag(Key):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": ""}}, "PutObject")
        self.objects[Key] = (Body, NOW)

    def head_object(self, *, Key, **_):  # noqa: N803 - boto3's
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "404", "Message": ""}}, "HeadObject")
        return {"ETag": self._etag(Key)}

    def _etag(self, key):
        return hashlib.md5(self.objects[key][0]).hexdigest()

    def get_paginator(self, _name):
        return self

    def paginate(self, *, Prefix, StartAfter="", **_):  # noqa: N803 - boto3's
        found = [
            {"Key": key, "ETag": '"e"', "LastModified": at}
            for key, (_, at) in sorted(self.objects.items())
            if key.startswith(Prefix) and key > StartAfter
        ]
        for at in range(0, max(1, len(found)), 2):
            yield {"Contents": found[at : at + 2]} if found else {}

    def generate_presigned_url(self, _operation, Params, ExpiresIn):  # noqa: N803 - boto3's
        kind = Params["ResponseContentType"]
        return f"https://signed/{Params['Key']}?for={ExpiresIn}&version={Params.get('VersionId')}&type={kind}"


def test_lines_hold_each_hour_once_and_are_written_anew(journal, table):
    table.put_all([(("PROJECTS", "bracket"), {"created": 1})])
    s3 = Bucket()
    for number in range(3):
        journal.record(record(number), NOW)
    assert lines.publish(journal, s3, "data", NOW) == ["verdicts/day=2026-11-21/bracket-12.jsonl"]
    journal.record(record(3, labels=("scratch", "höcker")), NOW)
    lines.publish(journal, s3, "data", NOW)

    (body, _) = s3.objects["verdicts/day=2026-11-21/bracket-12.jsonl"]
    found = [json.loads(line) for line in io.BytesIO(body)]
    assert [each["item"] for each in found] == [record(number).item for number in range(4)]
    assert found[3]["labels"] == ["scratch", "höcker"]
    assert found[0]["truth"] is None
    assert list(found[0]) == [name for name, _ in COLUMNS], "the table's columns are the line's members"


def test_a_late_verdict_and_a_late_answer_bring_their_hours_back(journal, table):
    table.put_all([(("PROJECTS", "bracket"), {"created": 1})])
    s3 = Bucket()
    old = "2026-11-20T07:15:00+00:00"
    journal.record(record(7, arrived=old, at=old), NOW)
    assert lines.publish(journal, s3, "data", NOW) == ["verdicts/day=2026-11-20/bracket-07.jsonl"]
    assert lines.publish(journal, s3, "data", NOW) == [], "settled"

    verify(journal, record(7, arrived=old).key, correct=True, who="ada")

    assert lines.publish(journal, s3, "data", NOW) == ["verdicts/day=2026-11-20/bracket-07.jsonl"]
    assert json.loads(s3.objects["verdicts/day=2026-11-20/bracket-07.jsonl"][0])["truth"] == "normal"


@pytest.mark.parametrize(
    ("recorded", "marks"),
    [
        ("2026-11-21T11:59:59", 0),
        ("2026-11-21T12:00:01", 1),  # the hour's lines may be written for the last time at any moment
        ("2026-11-21T12:58:00", 1),  # they have been
        ("2026-11-21T13:40:00", 1),
    ],
)
def test_a_verdict_that_is_not_kept_within_its_own_hour_brings_its_hour_back(journal, table, recorded, marks):
    table.put_all([(("PROJECTS", "bracket"), {"created": 1})])
    arrived = "2026-11-21T11:59:30+00:00"
    kept = dt.datetime.fromisoformat(f"{recorded}+00:00")
    journal.record(record(1, arrived=arrived), kept)
    journal.record(record(1, arrived=arrived), kept)
    assert len(journal.late()) == marks, "the same transaction notes it"
    s3 = Bucket()
    after = kept + dt.timedelta(minutes=2)
    assert lines.publish(journal, s3, "data", after) == ["verdicts/day=2026-11-21/bracket-11.jsonl"]
    assert journal.late() == []


def test_an_hour_that_is_marked_while_it_is_written_is_written_again(journal):
    old = record(8, arrived="2026-11-20T07:15:00+00:00", verdict="review")
    journal.record(old, NOW)
    before = journal.late()
    verify(journal, old.key, correct=True, who="ada")
    journal.settle(before)
    assert [each.hour for each in journal.late()] == ["2026-11-20T07"]


def test_the_slower_of_two_writers_of_an_hour_leaves_it_as_the_faster_wrote_it(journal, table):
    table.put_all([(("PROJECTS", "bracket"), {"created": 1})])
    old = {"arrived": "2026-11-20T07:15:00+00:00"}
    journal.record(record(1, **old), NOW)
    s3 = Bucket()
    slow = Bucket()
    slow.objects = s3.objects

    def put_object(**asked):
        del slow.put_object
        journal.record(record(2, **old), NOW)
        lines.publish(journal, s3, "data", NOW)
        journal.record(record(3, **old), NOW)
        slow.put_object(**asked)

    slow.put_object = put_object
    assert lines.publish(journal, slow, "data", NOW) == []

    key = "verdicts/day=2026-11-20/bracket-07.jsonl"
    assert s3.objects[key][0].count(b"\n") == 2
    assert lines.publish(journal, s3, "data", NOW) == [key], "what came in between is written the next time"
    assert s3.objects[key][0].count(b"\n") == 3


def test_the_sweep_finds_what_has_no_verdict_and_nothing_else(journal):
    s3 = Bucket()
    known = record(9)
    arrived = dt.datetime.fromisoformat(known.arrived)
    for name in ("seen", "lost", "held", "young", "old"):
        s3.objects[f"incoming/bracket/a/top/{name}.jpg"] = (b"", arrived)
    s3.objects["incoming/bracket/a/top/young.jpg"] = (b"", NOW)
    s3.objects["incoming/bracket/a/top/old.jpg"] = (b"", NOW - dt.timedelta(days=9))
    s3.objects["incoming/no-place.jpg"] = s3.objects["incoming/bracket/a/top/"] = (b"", arrived)
    s3.objects["new-data/bracket/tried.jpg"] = s3.objects["new-data/bracket/new.jpg"] = (b"", arrived)
    journal.record(known.model_copy(update={"item": item_of("data", "incoming/bracket/a/top/seen.jpg", "e")}), NOW)
    tried = record(10, trial="new-data", item=item_of("data", "new-data/bracket/tried.jpg", "e"))
    journal.record(tried, NOW)
    held = item_of("data", "incoming/bracket/a/top/held.jpg", "e")
    source = "s3://data/incoming/bracket/a/top/held.jpg"
    journal.quarantine(quarantined(held, "no_model_running", etag="e").model_copy(update={"source": source}))

    swept(journal, Bucket())
    found = swept(journal, s3, NOW + dt.timedelta(seconds=30), hours=7)

    assert found == ["incoming/bracket/a/top/lost.jpg", "new-data/bracket/new.jpg"]
    assert [each.item for each in sweep.held(journal, "data", "no_model_running")] == [held]
    assert list(sweep.held(journal, "data", "truncated")) == []


def test_a_sweep_looks_at_what_came_since_the_last_one_that_ended(journal):
    s3 = Bucket()
    s3.objects["incoming/bracket/a/top/1.jpg"] = (b"", NOW - dt.timedelta(days=30))
    assert swept(journal, s3) == ["incoming/bracket/a/top/1.jpg"], "the first one looks at everything"
    journal.record(record(1, item=item_of("data", "incoming/bracket/a/top/1.jpg", "e")), NOW)

    hour = dt.timedelta(hours=1)
    s3.objects["incoming/bracket/a/top/2.jpg"] = (b"", NOW - dt.timedelta(minutes=30))  # its upload began then
    s3.objects["incoming/bracket/a/top/3.jpg"] = (b"", NOW + hour)
    s3.objects["incoming/bracket/a/top/4.jpg"] = (b"", NOW + 25 * hour)
    assert swept(journal, s3, NOW + 2 * hour, every=6) == [], "it is not time yet"
    with pytest.raises(OSError, match="S3 is away"):
        swept(journal, Broken(), NOW + 6 * hour, every=6)
    found = swept(journal, s3, NOW + 30 * hour, every=6)
    assert found == [f"incoming/bracket/a/top/{number}.jpg" for number in (2, 3, 4)], (
        "a day without sweeps loses nothing"
    )


class Broken(Bucket):
    def paginate(self, **_):
        raise OSError("S3 is away")


def test_a_photograph_whose_second_run_dies_too_is_tried_with_each_sweep_until_it_has_a_verdict(journal):
    s3 = Bucket()
    key = "incoming/bracket/a/top/1.jpg"
    s3.objects[key] = (b"", NOW - dt.timedelta(hours=1))
    for hours in (0, 6, 48):
        assert swept(journal, s3, NOW + dt.timedelta(hours=hours)) == [key]
    (noted,) = journal.quarantined()
    assert (noted.reason, noted.source) == ("no_verdict", f"s3://data/{key}")
    journal.record(record(1, item=item_of("data", key, "e")), NOW)
    assert swept(journal, s3, NOW + dt.timedelta(hours=54)) == []
    assert list(journal.quarantined()) == []


def test_a_bucket_too_large_for_one_run_is_swept_in_several_and_nothing_is_passed_over(journal):
    s3 = Bucket()
    keys = [f"incoming/bracket/a/top/{number}.jpg" for number in range(5)]
    keys += [f"new-data/bracket/{number}.jpg" for number in range(3)]
    hour = dt.timedelta(hours=1)
    for key in keys:
        s3.objects[key] = (b"", NOW - hour)
    found = []
    for run in range(5):
        found.append(swept(journal, s3, NOW + run * hour, every=6, time_left=lambda: False))
        if run == 1:  # comes behind where the comparison is, and before its end
            s3.objects["incoming/bracket/a/top/00.jpg"] = (b"", NOW + hour)
    assert [len(each) for each in found] == [2, 2, 1, 2, 1]
    assert list(itertools.chain.from_iterable(found)) == keys
    assert swept(journal, s3, NOW + 5 * hour, every=6) == []
    again = swept(journal, s3, NOW + 6 * hour, every=6)
    assert again[-1] == "incoming/bracket/a/top/00.jpg"
    assert again[:-1] == [each.key for each in sorted((arrival("data", key, "e") for key in keys), key=item)]


def item(found):
    return found.item


def test_a_run_that_another_one_has_overtaken_stops(journal):
    s3 = Bucket()
    for number in range(5):
        s3.objects[f"incoming/bracket/a/top/{number}.jpg"] = (b"", NOW - dt.timedelta(hours=1))
    slow = sweep.due(journal, s3, "data", {}, now=NOW, time_left=lambda: True)
    next(slow)
    swept(journal, Bucket(), hours=48, time_left=lambda: False)
    assert len(list(slow)) == 1, "the rest of its page"
    assert sweep.begin(journal, NOW, every=6) is None, "the newer comparison is where it was"


def test_a_reject_is_told_once_with_its_picture(journal, capsys):
    recorder = Recorder(journal, Bucket(), "Sextant/test/LookoutVision")
    rejected = record(11, verdict="reject", is_anomalous=True, labels=("scratch",), confidence=0.93, version_id="v7")
    outcome = {"outcome": "verdict", "record": rejected.model_dump()}

    told = recorder.write(outcome, NOW)
    retried = recorder.write(outcome, NOW)
    again = recorder.write({"outcome": "verdict", "record": {**rejected.model_dump(), "run": "another"}}, NOW)

    assert retried == told, "its answer may have been lost: the run is told the same"
    assert told["tell"]
    assert "https://signed/incoming/bracket/a/top/11.jpg" in told["message"]
    assert "version=v7" in told["message"], "the picture that was looked at, whatever lies there now"
    assert "type=image/jpeg" in told["message"], "to be looked at, whatever type it was put with"
    assert "Project bracket has rejected an item: scratch." in told["message"]
    assert "93%" in told["message"]
    assert told["message"].count("anomalous") == 0, "which every reject is"
    assert again == {"verdict": "reject", "item": rejected.item, "project": "bracket", "tell": False}
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (counted,) = [each for each in metrics if "DetectedAnomalyCount" in each]
    assert counted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Sextant/test/LookoutVision"
    assert counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["ProjectName", "ModelVersion"]]
    assert (counted["ProjectName"], counted["ModelVersion"]) == ("bracket", "1")


def test_a_reject_whose_run_dies_before_its_message_is_sent_is_told_by_another(journal):
    recorder = Recorder(journal, Bucket(), "n")
    rejected = record(11, verdict="reject", is_anomalous=True)
    recorder.write({"outcome": "verdict", "record": rejected.model_dump()}, NOW)
    another = {"outcome": "verdict", "record": {**rejected.model_dump(), "run": "another"}}
    assert list(journal.untold(NOW)) == [], "its own run may still be at it"

    later = NOW + dt.timedelta(minutes=11)
    assert names(journal.untold(later)) == [rejected.item]
    assert recorder.write(another, later)["tell"]

    journal.told(rejected.item)
    assert not recorder.write(another, later)["tell"]
    assert list(journal.untold(later)) == []


def test_accepted_reviewed_and_tried_photographs_are_told_nobody(journal, capsys):
    recorder = Recorder(journal, Bucket(), "n")
    for number, changes in enumerate(({}, {"verdict": "review"}, {"verdict": "reject", "trial": "monday"})):
        outcome = {"outcome": "verdict", "record": record(number, **changes).model_dump()}
        assert not recorder.write(outcome, NOW)["tell"]
    assert capsys.readouterr().out.count("ProcessedImageCount") == 2 * 2, "a trial is no item of the belt"


def test_what_cannot_be_used_is_kept_with_its_reason(journal, capsys):
    told = Recorder(journal, Bucket(), "n").write(
        {"outcome": "quarantine", "found": quarantined("f" * 24, project="bracket").model_dump()}, NOW
    )
    assert told == {"verdict": "quarantine", "item": "f" * 24, "tell": False}
    assert [each.reason for each in journal.quarantined()] == ["truncated"]
    assert "InvalidImageCount" in capsys.readouterr().out


@pytest.mark.parametrize(("reason", "counted"), [("no_model_running", ""), ("fault", "ErrorCount")])
def test_what_waits_or_failed_is_no_invalid_image(journal, capsys, reason, counted):
    found = quarantined("f" * 24, reason, project="bracket").model_dump()
    Recorder(journal, Bucket(), "n").write({"outcome": "quarantine", "found": found}, NOW)
    out = capsys.readouterr().out
    assert "InvalidImageCount" not in out
    assert counted in out


def test_a_subject_is_what_mail_takes():
    assert subject(record(1, line="line-1", camera="cam-ü")) == "Reject: bracket / line-1 / cam-u"
    assert subject(record(1, line="线路", camera="a\nb")) == "Reject: bracket", "the body has the names"
    text = subject(record(1, line="é" * 300))
    assert len(text) == 100
    assert text.isascii()


def test_what_a_message_says_of_a_wrong_reject_is_what_the_review_takes(journal):
    wrong = record(11, verdict="reject", is_anomalous=True, line="线路", camera="cam-ü")
    journal.record(wrong, NOW)
    text = message(wrong, "https://signed")
    assert "Line: 线路\nCamera: cam-ü\n" in text
    asked = json.loads(text.splitlines()[-1])
    assert (asked["action"], asked["project"]) == ("verify", "bracket")
    (key,) = asked["items"]
    assert verify(journal, tuple(key), correct=asked["correct"], who="ada").truth == "normal"
