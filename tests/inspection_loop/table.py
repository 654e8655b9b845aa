"""A table in memory that behaves as DynamoDB does for the journal, and records to put into it."""

import datetime as dt

import boto3
from moto import mock_aws

from sextant.inspection.api.store import Table
from sextant.inspection.loop.journal import Record

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)


def tables():
    """A generator for a fixture: the table, as long as it lasts."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield Table(client, "table")


def record(number=0, **changes):
    """A verdict; the number makes it another photograph, a second later."""
    arrived = (NOW - dt.timedelta(minutes=10) + dt.timedelta(seconds=number)).isoformat(timespec="seconds")
    told = {
        "item": f"{number:024x}",
        "project": "bracket",
        "model_version": "1",
        "line": "a",
        "camera": "top",
        "at": arrived,
        "arrived": arrived,
        "is_anomalous": False,
        "confidence": 0.97,
        "probability": 0.03,
        "verdict": "accept",
        "brightness": 120.5,
        "sharpness": 88.25,
        "crop_ok": True,
        "source": f"s3://data/incoming/bracket/a/top/{number}.jpg",
        "seconds": 0.04,
        "run": f"run-{number}",
    }
    return Record.model_validate({**told, **changes})
