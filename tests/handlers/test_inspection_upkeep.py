"""What runs beside the belt, by its functions: upkeep and drift over several projects, and the sweep."""

import datetime as dt
import json
import os
import sys
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from sextant.inspection.api import projects
from sextant.inspection.api.errors import ApiError
from sextant.inspection.loop import champion
from sextant.inspection.loop.journal import Journal, Quarantined
from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, PROJECT


class Topic:
    def __init__(self):
        self.told = []

    def publish(self, **message):
        self.told.append(message)


@pytest.fixture
def world():
    with there.account():
        made = there.make()
        journal = Journal(made.services.table)
        for each in list(journal.untold(dt.datetime.now(dt.UTC))):  # people have heard of what the world begins with
            journal.told(each.item)
        made.topic = Topic()
        yield made


def cold(world, name):
    """A function's cold start on the world."""
    clients = {"stepfunctions": world.machine, "sns": world.topic, "s3": world.s3,
               "dynamodb": world.services.table.client}  # fmt: skip
    with (
        mock.patch.dict(os.environ, {**there.ENVIRONMENT, "ALARMS_TOPIC": "arn:aws:sns:eu-central-1:1:alarms"}),
        mock.patch("sextant.inspection.api.wiring.services", return_value=world.services),
        mock.patch("sextant.aws.client", side_effect=clients.__getitem__),
    ):
        sys.modules.pop(f"lambdas.inspection.{name}", None)
        module = __import__(f"lambdas.inspection.{name}", fromlist=["handler"])
    return lambda request: module.handler(request, there.CONTEXT)


def another(world, name="anvil"):
    """A project before `bracket` in every list, whose champion has lost its archive and cannot be hosted."""
    services = world.services
    projects.create_project(services, {"ProjectName": name})
    item = {"number": 1, "status": "HOSTED", "message": "", "created": 1.5, "units": 1}
    services.table.put_all(
        [((f"PROJECT#{name}", f"MODEL#{number:06d}"), {**item, "number": number}) for number in (1, 2)]
    )
    services.table.put_all([((f"PROJECT#{name}", "MODEL#000002"), {**item, "number": 2, "status": "HOSTING_FAILED",
                                                                     "message": "No instance was free."})])  # fmt: skip
    champion.point(services, name, 1, "first", "the first")


def started(world):
    return [each["detail"]["object"]["key"] for _, each in world.machine.started]


def test_one_project_that_fails_keeps_no_other_from_its_upkeep(world):
    another(world)
    refused = ClientError(
        {"Error": {"Code": "ServiceUnavailable", "Message": "no instance was free"}}, "CreateEndpoint"
    )
    broken = mock.patch.object(world.services.backend, "start", side_effect=refused)
    with broken, pytest.raises(ApiError):
        champion.point(world.services, "anvil", 2, "ada", "better")
    with broken, pytest.raises(ExceptionGroup, match="no instance was free"):
        cold(world, "upkeep")({})
    assert sorted(started(world)) == [f"incoming/{PROJECT}/a/top/{number}.jpg" for number in (1, 2)]

    world.machine.started.clear()
    assert cold(world, "upkeep")({})["stopped"] == []
    assert cold(world, "upkeep")({})["stopped"] == ["anvil/1"], "the start was tried again, and came to its end"


def test_upkeep_starts_again_what_nobody_has_been_told_of(world):
    journal = Journal(world.services.table)
    rejected = there.record(3, item="f" * 24, etag="e", version_id="v7")
    assert rejected.verdict == "reject"
    journal.record(rejected, dt.datetime.now(dt.UTC) - dt.timedelta(minutes=11))
    journal.record(there.record(10, item="e" * 24, etag="e"), dt.datetime.now(dt.UTC))
    cold(world, "upkeep")({})
    found = [each["detail"]["object"] for _, each in world.machine.started]
    assert {"key": rejected.source.removeprefix(f"s3://{BUCKET}/"), "etag": "e", "version-id": "v7"} in found
    assert len(found) == 3, "and two that waited for a model"


def test_one_project_without_its_archive_keeps_no_other_from_its_drift_monitors(world):
    another(world)
    journal = Journal(world.services.table)
    now = dt.datetime.now(dt.UTC)
    for project in ("anvil", PROJECT):
        for number in range(80):
            at = (now - dt.timedelta(minutes=30) + dt.timedelta(seconds=number)).isoformat(timespec="seconds")
            brightness = 120.0 + number % 5 - (60 if number >= 40 else 0)
            item = f"{number:04x}{'a' if project == 'anvil' else 'b'}".zfill(24)
            seen = {"arrived": at, "at": at, "brightness": brightness, "line": "c", "camera": "new"}
            journal.record(there.record(number, project=project, item=item, **seen), now)
    with pytest.raises(ExceptionGroup) as told:
        cold(world, "drift")({})
    (error,) = told.value.exceptions
    assert str(error) == (
        f"the archive s3://{BUCKET}/projects/anvil/models/1/model.tar.gz is not there any more: promote another "
        "version, or train a new one"
    )
    assert {each["Subject"] for each in world.topic.told} == {f"Drift: {PROJECT}, camera new, brightness"}


def test_the_sweep_goes_on_where_it_was_and_tries_what_failed_again(world):
    handler = cold(world, "sweep")
    with mock.patch.object(there.CONTEXT, "get_remaining_time_in_millis", return_value=1_000):
        handler({"settled": -3600})
        assert set(started(world)) >= {f"incoming/{PROJECT}/{line}/0.jpg" for line in ("a/top", "b/side")}
        assert not [each for each in started(world) if each.startswith("new-data/")], "there was no time for that"
        handler({"settled": -3600})
    assert [each for each in started(world) if each.startswith("new-data/")]
    assert len(set(started(world))) == len(started(world))
    assert handler({"every": 6})["started"] == 0
    assert handler({"every": 6})["started"] == 0, "it is not time yet"
    held = [each for each in Journal(world.services.table).quarantined() if each.reason == "no_verdict"]
    assert handler({})["started"] == len(held)
    everything = list(Journal(world.services.table).quarantined())
    assert isinstance(everything[0], Quarantined)
    assert handler({"quarantined": True})["started"] == len(everything)
    json.dumps(world.machine.started)
