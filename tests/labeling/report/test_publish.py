"""Summaries: each batch in true numbers, told once, told again when they change, and never lost."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sextant.labeling.dashboards.athena import Lake
from sextant.labeling.report.publish import Target, publish
from sextant.labeling.report.summary import summaries, summary
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth

LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)


@pytest.fixture(scope="module")
def athena():
    lake = LakeAthena(truth())
    yield lake
    lake.close()


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


def test_a_batch_in_the_numbers_of_its_tables(athena):
    found = {each.batch: each for each in summaries(athena, LAKE)}
    street = found["street"].body.splitlines()
    # 80 of 100 and 50 of 50 labels; Wilson's bounds of 130 in 150 by hand.
    assert "First-pass yield 86.7 % (95 % interval 80.3 % to 91.2 %, n = 150 labels)" in street
    assert "Cost per accepted label $0.5000, $50.00 spent of $200.00" in street
    [looks] = [each for each in street if each.startswith("To look at: ")]
    assert "2 defects of the output" in looks


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
    "eta",
    "eta_lower",
    "eta_upper",
    "newest",
]
ROW = dict.fromkeys(UNMEASURED) | {"jobs": 1, "tasks": 3, "labeled": 2, "failed": 0}


def test_what_nobody_measured_is_left_out():
    assert (
        summary(ROW | {"batch": "a"}).body == "Batch a\n2 of 3 tasks labeled in 1 jobs, 0 failed\nTo look at: nothing"
    )


@pytest.mark.parametrize("batch", ["x" * 500, "Zürich\nSubject: x", "日本", ""])
def test_a_subject_is_what_sns_takes(batch):
    subject = summary(ROW | {"batch": batch}).subject
    assert subject.isascii()
    assert "\n" not in subject
    assert 0 < len(subject) <= 100
