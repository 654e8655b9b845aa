"""Summaries: each batch in true numbers, told once, told again when they change, and never lost."""

import datetime as dt

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sextant.labeling.dashboards.athena import Lake
from sextant.labeling.insight import progress
from sextant.labeling.report.publish import Target, publish
from sextant.labeling.report.summary import HORIZON_DAYS, summaries, summary
from tests.handlers import lake
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth

LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)


@pytest.fixture(scope="module")
def athena():
    found = LakeAthena(truth())
    yield found
    found.close()


@pytest.fixture
def account(monkeypatch):
    """A bucket, a topic and a queue that receives what the topic is told."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name="eu-central-1")
        s3.create_bucket(Bucket="processed", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        sns, sqs = (boto3.client(each, region_name="eu-central-1") for each in ("sns", "sqs"))
        topic = sns.create_topic(Name="summaries")["TopicArn"]
        queue = sqs.create_queue(QueueName="told")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

        def told():
            found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            for each in found:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
            return sorted(each["Body"] for each in found)

        yield s3, sns, Target(REPORT_BUCKET="processed", TOPIC_ARN=topic), told


def test_batches_in_the_numbers_of_their_tables(athena):
    """Every line of every mail, by hand from the rows of `tests.handlers.insight`."""
    harbour, street = summaries(athena, LAKE)
    assert harbour.subject == "Labeling harbour: 10 of 100 tasks done", "the newest work comes first"
    assert harbour.body.splitlines() == [
        "Batch harbour",
        "10 of 100 tasks done, 1 of them failed (1 job)",
        "Cost per accepted label $0.1000, $10.00 spent",
        "Expected end 02 Mar 2026, 21:00 UTC (95 % interval 02 Mar 2026, 19:00 UTC to more than 90 days ahead)",
        "To look at: nothing",
    ]
    assert street.subject == "Labeling street: second level, 2 of 10 tasks done", "the first level is done"
    assert street.body.splitlines() == [
        "Batch street",
        "First level, 10 of 10 tasks done (1 job)",
        "Second level, 2 of 10 tasks done, 3 begun (1 job)",
        # 80 of 100 and 50 of 50 labels; Wilson's bounds of 130 in 150 by hand.
        "First-pass yield 86.7 % (95 % interval 80.3 % to 91.2 %, n = 150 labels)",
        "Cost per accepted label $0.5000, $50.00 spent of $200.00",
        "Expected end 02 Mar 2026, 20:00 UTC (95 % interval 02 Mar 2026, 18:00 UTC to 03 Mar 2026, 18:00 UTC)",
        "To look at: 3 places in tracks, 3 answers that stand out, 2 defects of the output",
    ]


def test_jobs_of_a_level_add_up_and_levels_do_not(monkeypatch):
    """Two jobs of 50 objects begin a batch, 10 are labeled; one is adjusted. The job tables know no open ones."""
    jobs = [
        {
            "job_name": name,
            "batch": "b",
            "level": level,
            "task_count": done,
            "labeled_count": done,
            "failed_count": failed,
        }
        for name, level, done, failed in (("one", "first", 6, 1), ("two", "first", 4, 2), ("three", "second", 1, 0))
    ]
    forecasts = [
        {"job_name": name, "batch": "b", "level": level, "task_count": size, "labeled_count": done,
         "in_progress_count": begun, "open_count": waiting}
        for name, level, size, done, begun, waiting in (
            ("one", "first", 50, 6, 2, 42), ("two", "first", 50, 4, 0, 46), ("three", "second", 1, 1, 0, None),
        )
    ]  # fmt: skip
    # Two and a half hours after one job, the last: neither job's own time is told.
    ends = {"last_eta": dt.datetime(2026, 12, 31, 23, 59, 30, 250_000, tzinfo=dt.UTC)}
    batch = {"batch": "b", "unfinished_count": 2, "all_unfinished_count": 2, "last_eta_lower": ends["last_eta"]} | ends
    forecasts[0]["eta"] = forecasts[1]["eta"] = ends["last_eta"] - dt.timedelta(hours=2.5)
    monkeypatch.setattr(lake, "INSIGHTS", {"forecast": forecasts, "batch_forecast": [batch]})
    monkeypatch.setattr(lake, "_rows", lambda _: [("job", jobs)])
    athena = LakeAthena(truth())
    [found] = summaries(athena, LAKE)
    athena.close()
    assert found.subject == "Labeling b: first level, 10 of 100 tasks done"
    assert found.body.splitlines() == [
        "Batch b",
        "First level, 10 of 100 tasks done, 3 of them failed, 2 begun (2 jobs)",
        "Second level, 1 of at least 1 tasks done (1 job)",
        "Expected end 31 Dec 2026, 23:59 UTC (95 % interval 31 Dec 2026, 23:59 UTC to more than 90 days ahead)",
        "To look at: nothing",
    ]


def test_the_horizon_is_that_of_the_forecast():
    assert HORIZON_DAYS * 24 == progress.HORIZON_HOURS


def test_news_are_told_once_and_again_when_they_change(athena, account):
    s3, sns, target, told = account
    first = publish(athena, s3, sns, LAKE, target)
    assert first.report == "s3://processed/reports/labeling.html"
    assert len(told()) == len(first.published) == len(summaries(athena, LAKE)) > 1
    page = s3.get_object(Bucket="processed", Key="reports/labeling.html")
    assert page["ContentType"].startswith("text/html")
    assert page["Body"].read().startswith(b"<!doctype html>")

    assert publish(athena, s3, sns, LAKE, target).published == ()
    assert told() == []

    [changed, *_] = s3.list_objects_v2(Bucket="processed", Prefix="reports/told/")["Contents"]
    s3.put_object(Bucket="processed", Key=changed["Key"], Body=b"yesterday's numbers")
    assert len(publish(athena, s3, sns, LAKE, target).published) == 1
    assert len(told()) == 1


def test_many_changed_batches_are_one_message(athena, account, monkeypatch):
    """The first run over an account's history."""
    s3, sns, target, told = account
    monkeypatch.setattr("sextant.labeling.report.publish.MOST_MESSAGES", 1)
    changed = publish(athena, s3, sns, LAKE, target).published
    [message] = told()
    assert len(changed) > 1
    for each in summaries(athena, LAKE):
        assert f"- {each.subject}\n" in message
    assert message.endswith("The whole report: s3://processed/reports/labeling.html\n")
    assert publish(athena, s3, sns, LAKE, target).published == ()


def test_a_message_that_was_refused_is_sent_by_the_next_run(athena, account):
    s3, sns, target, told = account
    refused = target.model_copy(update={"TOPIC_ARN": f"{target.TOPIC_ARN}-gone"})
    with pytest.raises(ClientError, match="NotFound"):
        publish(athena, s3, sns, LAKE, refused)
    assert "Contents" not in s3.list_objects_v2(Bucket="processed", Prefix="reports/told/")
    assert len(publish(athena, s3, sns, LAKE, target).published) == len(told()) > 1


def test_the_message_goes_before_what_remembers_it(athena, account, monkeypatch):
    s3, sns, target, told = account
    kept = s3.put_object

    def dies(**request):
        if "/told/" in request["Key"]:
            raise KeyboardInterrupt
        return kept(**request)

    monkeypatch.setattr(s3, "put_object", dies)
    with pytest.raises(KeyboardInterrupt):
        publish(athena, s3, sns, LAKE, target)
    assert len(told()) == 1


UNMEASURED = [
    "seen",
    "accepted",
    "lower",
    "upper",
    "issues",
    "flags",
    "findings",
    "usd_per_accepted",
    "amount_usd",
    "budget_usd",
    "unfinished_count",
    "last_eta",
    "last_eta_lower",
    "last_eta_upper",
    "newest",
]
ROW = dict.fromkeys(UNMEASURED)
LEVEL = {"level": "", "jobs": 1, "tasks": 3, "done": 2, "failed": 0, "in_progress": 0, "unsized": 0}


def test_what_nobody_measured_is_left_out():
    told = summary(ROW | {"batch": "a"}, [LEVEL])
    assert told.body == "Batch a\n2 of 3 tasks done (1 job)\nTo look at: nothing"


def test_an_end_that_nobody_can_tell_is_told_in_words():
    told = summary(ROW | {"batch": "a", "unfinished_count": 2}, [LEVEL]).body.splitlines()
    assert "Expected end: not within 90 days, or too little is known" in told
    assert not any("None" in each for each in told)


def test_without_a_forecast_there_are_no_counts():
    assert summary(ROW | {"batch": "a"}, []) == ("a", "Labeling a", "Batch a\nTo look at: nothing")


@pytest.mark.parametrize("batch", ["x" * 500, "Zürich\nSubject: x", "日本", ""])
def test_a_subject_is_what_sns_takes(batch):
    subject = summary(ROW | {"batch": batch}, [LEVEL]).subject
    assert subject.isascii()
    assert "\n" not in subject
    assert 0 < len(subject) <= 100
