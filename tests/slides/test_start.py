"""A slides.csv's event starts one run, whatever happens to the event."""

import datetime as dt
import json

import boto3
import pytest
from moto import mock_aws

from sextant.slides.start import arrived_at, run_input, start, version_of

ROLE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ARRIVED = dt.datetime(2026, 11, 21, 17, 30, 5, tzinfo=dt.UTC)


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # of the embedded AWS, where other tests have started it
    with mock_aws():
        role = boto3.client("iam", region_name="us-east-1").create_role(
            RoleName="states", AssumeRolePolicyDocument=json.dumps(ROLE)
        )["Role"]["Arn"]
        stepfunctions = boto3.client("stepfunctions", region_name="us-east-1")
        definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
        made = stepfunctions.create_state_machine(name="slides", definition=definition, roleArn=role)
        yield stepfunctions, made["stateMachineArn"]


def test_slides_lie_beside_their_table():
    given = run_input("bucket", "cohorts/nsclc/slides.csv", "abc", ARRIVED, "s3://runs/runs")
    assert given.table == "s3://bucket/cohorts/nsclc/slides.csv"
    assert given.slides == "s3://bucket/cohorts/nsclc"
    assert given.run == f"20261121T173005-{version_of('bucket', 'cohorts/nsclc/slides.csv', 'abc')}"
    assert given.root == f"s3://runs/runs/{given.run}"


def test_a_table_at_the_top_of_the_bucket_means_the_whole_bucket():
    assert run_input("bucket", "slides.csv", "abc", ARRIVED, "s3://runs/runs").slides == "s3://bucket"


def test_the_name_leaves_room_for_the_names_of_jobs():
    given = run_input("b" * 63, "x/" * 300 + "slides.csv", "abc", ARRIVED, "s3://runs/runs")
    assert len(f"{given.run}-evaluate-10") <= 63


def test_another_content_of_the_same_table_is_another_run():
    one, other = (run_input("b", "slides.csv", etag, ARRIVED, "s3://r/runs").run for etag in ("1", "2"))
    assert one != other


def test_times_of_events_are_read_in_utc():
    assert arrived_at("2026-11-21T17:30:05Z") == ARRIVED
    assert arrived_at("2026-11-21T19:30:05+02:00") == ARRIVED


def test_the_same_event_twice_starts_one_run(machine):
    stepfunctions, arn = machine
    given = run_input("bucket", "slides.csv", "abc", ARRIVED, "s3://runs/runs")
    assert start(stepfunctions, arn, given) == start(stepfunctions, arn, given) == given.run
    (found,) = stepfunctions.list_executions(stateMachineArn=arn)["executions"]
    told = stepfunctions.describe_execution(executionArn=found["executionArn"])["input"]
    assert json.loads(told) == given.model_dump()
