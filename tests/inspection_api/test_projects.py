"""Projects, models' tags, pages and requests that come twice, as boto3 sees them."""

import base64
import datetime as dt

import pytest

from sextant.inspection.api import operations
from tests.inspection_api.stand import ACCOUNT, REGION, refused


def test_a_project_is_made_told_and_deleted(api):
    made = api.client.create_project(ProjectName="lego")["ProjectMetadata"]
    assert made == {
        "ProjectArn": f"arn:aws:lookoutvision:{REGION}:{ACCOUNT}:project/lego",
        "ProjectName": "lego",
        "CreationTimestamp": dt.datetime.fromtimestamp(1_800_000_000, dt.UTC),
    }
    told = api.client.describe_project(ProjectName="lego")["ProjectDescription"]
    assert told == {**made, "Datasets": []}
    assert api.client.list_projects()["Projects"] == [made]
    assert api.client.delete_project(ProjectName="lego")["ProjectArn"] == made["ProjectArn"]
    assert api.client.list_projects()["Projects"] == []
    answer = refused("ResourceNotFoundException", lambda: api.client.describe_project(ProjectName="lego"))
    assert (answer["ResourceId"], answer["ResourceType"]) == ("lego", "PROJECT")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_two_projects_of_one_name_conflict(api):
    api.client.create_project(ProjectName="lego")
    answer = refused("ConflictException", lambda: api.client.create_project(ProjectName="lego"), "already")
    assert (answer["ResourceId"], answer["ResourceType"]) == ("lego", "PROJECT")


def test_pages_hold_everything_once(api):
    names = [f"p{number:03}" for number in range(23)]
    for name in names:
        operations.run(api.services, "CreateProject", {"ProjectName": name})
    pages = list(api.client.get_paginator("list_projects").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Projects"]) for page in pages] == [5, 5, 5, 5, 3]
    assert [each["ProjectName"] for page in pages for each in page["Projects"]] == names
    assert len(api.client.list_projects()["Projects"]) == 23
    exactly = api.client.list_projects(MaxResults=23)
    assert "NextToken" not in exactly


@pytest.mark.parametrize("token", ["abc", "/+8=", base64.b64encode(b"x" * 1025).decode()])
def test_a_foreign_token_is_told(api, token):
    refused("ValidationException", lambda: api.client.list_projects(NextToken=token), "NextToken is not a token")


def test_a_token_of_another_list_is_told(api):
    """DynamoDB refuses to begin outside of a list, which moto does not."""
    api.project("lego", normal=12)
    api.client.create_dataset(ProjectName="lego", DatasetType="test")
    train, test = ({"ProjectName": "lego", "DatasetType": kind} for kind in ("train", "test"))
    token = api.client.list_dataset_entries(**train, MaxResults=2)["NextToken"]
    assert len(api.client.list_dataset_entries(**train, NextToken=token)["DatasetEntries"]) == 10
    for ask in (
        lambda: api.client.list_dataset_entries(**test, NextToken=token),
        lambda: api.client.list_models(ProjectName="lego", NextToken=token),
        lambda: api.client.list_model_packaging_jobs(ProjectName="lego", NextToken=token),
    ):
        refused("ValidationException", ask, "NextToken is not a token of this list")


def test_a_project_with_datasets_or_models_stays(api):
    api.project("lego", normal=12)
    api.trained()
    refused("ConflictException", lambda: api.client.delete_project(ProjectName="lego"), "train dataset")
    api.client.delete_dataset(ProjectName="lego", DatasetType="train")
    refused("ConflictException", lambda: api.client.delete_project(ProjectName="lego"), "train dataset")
    api.work()
    refused("ConflictException", lambda: api.client.delete_project(ProjectName="lego"), "has models")
    api.client.delete_model(ProjectName="lego", ModelVersion="1")
    api.client.delete_project(ProjectName="lego")
    assert api.services.table.client.scan(TableName="inspection", FilterExpression="NOT begins_with(pk, :t)",
        ExpressionAttributeValues={":t": {"S": "TOKEN#"}})["Items"] == []  # fmt: skip


def test_a_project_made_anew_has_nothing_of_the_one_before(api):
    api.client.create_project(ProjectName="lego")
    api.client.create_project(ProjectName="lego-2")
    table = api.services.table
    kept = [(f"{prefix}{name}", "x") for prefix in ("REVIEW#", "VERIFIED#", "CAMERA#", "DRIFT#", "ALARM#")
            for name in ("lego", "lego-2")]  # fmt: skip
    kept += [(f"PROJECT#{name}", sort) for sort in ("CHAMPION", "DUEL#000001", "JOB#j", "COMPONENT#c#1")
             for name in ("lego", "lego-2")]  # fmt: skip
    verdict = "ITEMS#lego#2026-11-21", "x"
    table.put_all((key, {"version": 1}) for key in (*kept, verdict))
    for key in ("projects/lego/settings.json", "projects/lego/frozen-test.manifest", "projects/lego-2/settings.json",
                "incoming/lego/1.jpg"):  # fmt: skip
        api.s3.put_object(Bucket="data", Key=key, Body=b"{}")
    api.client.delete_project(ProjectName="lego")
    left = [key for key in (*kept, verdict) if table.get(key)]
    assert left == [each for each in kept if each[0].endswith("lego-2")] + [verdict]
    objects = [each["Key"] for each in api.s3.list_objects_v2(Bucket="data")["Contents"]]
    assert objects == ["incoming/lego/1.jpg", "projects/lego-2/settings.json"]


def test_a_project_that_is_changed_meanwhile_is_not_deleted(api, monkeypatch):
    api.client.create_project(ProjectName="lego")
    last = type(api.services.table).last

    def slow(table, *asked):
        found = last(table, *asked)
        monkeypatch.undo()
        operations.run(api.services, "CreateDataset", {"ProjectName": "lego", "DatasetType": "train"})
        return found

    monkeypatch.setattr(type(api.services.table), "last", slow)
    refused("ConflictException", lambda: api.client.delete_project(ProjectName="lego"), "just being changed")
    assert api.client.describe_project(ProjectName="lego")["ProjectDescription"]["Datasets"]


def test_a_deletion_that_died_half_way_is_ended_by_the_next_and_nothing_is_put_in_between(api, monkeypatch):
    api.client.create_project(ProjectName="lego")
    with monkeypatch.context() as patch:
        patch.setattr(api.services.s3, "get_paginator", lambda _: 1 / 0)
        refused("InternalServerException", lambda: api.client.delete_project(ProjectName="lego"))
    dataset = {"ProjectName": "lego", "DatasetType": "train"}
    refused("ConflictException", lambda: api.client.create_dataset(**dataset), "is being deleted")
    api.client.delete_project(ProjectName="lego")
    api.project("lego", normal=12)


def test_the_same_token_makes_one_project(api):
    first = api.client.create_project(ProjectName="lego", ClientToken="t-1")
    again = api.client.create_project(ProjectName="lego", ClientToken="t-1")
    assert again["ProjectMetadata"] == first["ProjectMetadata"]
    refused("ConflictException", lambda: api.client.create_project(ProjectName="other", ClientToken="t-1"), "t-1")
    # A token belongs to its operation, and for eight hours.
    assert api.client.delete_project(ProjectName="lego", ClientToken="t-1")["ProjectArn"].endswith("lego")
    assert api.client.delete_project(ProjectName="lego", ClientToken="t-1")["ProjectArn"].endswith("lego")
    api.clock[0] += 8 * 3600 + 1
    api.client.create_project(ProjectName="lego", ClientToken="t-1")
    refused("ConflictException", lambda: api.client.create_project(ProjectName="lego", ClientToken="t-2"))


def test_a_request_that_failed_may_be_tried_again_with_its_token(api):
    refused("ResourceNotFoundException", lambda: api.client.delete_project(ProjectName="lego", ClientToken="t-1"))
    api.client.create_project(ProjectName="lego")
    api.client.delete_project(ProjectName="lego", ClientToken="t-1")


def test_a_request_under_way_makes_its_double_wait_but_not_for_ever(api):
    inside = []

    def double(services, _request):
        if not inside:
            inside.append(True)
            with pytest.raises(Exception, match="ThrottlingException"):
                operations.run(services, "CreateProject", {"ProjectName": "lego", "ClientToken": "t"})
        return {}

    operations.OPERATIONS["CreateProject"], kept = double, operations.OPERATIONS["CreateProject"]
    try:
        operations.run(api.services, "CreateProject", {"ProjectName": "lego", "ClientToken": "t"})
    finally:
        operations.OPERATIONS["CreateProject"] = kept
    assert inside
    # One whose function died tells nothing for a minute, then it may be done again.
    api.services.table.put_all([(("TOKEN#CreateProject#dead", "TOKEN"), {"request": digest(), "since": 1_800_000_000})])
    api.clock[0] += 61
    assert api.client.create_project(ProjectName="lego", ClientToken="dead")["ProjectMetadata"]["ProjectName"] == "lego"


def digest():
    import hashlib

    return hashlib.sha256(b'{"ProjectName": "lego"}').hexdigest()


def test_models_have_tags(api):
    api.project("lego", normal=12)
    number = api.trained(Tags=[{"Key": "team", "Value": "bricks"}])
    arn = f"arn:aws:lookoutvision:{REGION}:{ACCOUNT}:model/lego/{number}"
    api.client.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "lego"}, {"Key": "Größe 1", "Value": ""}])
    told = api.client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in told} == {"team": "lego", "Größe 1": ""}
    api.client.untag_resource(ResourceArn=arn, TagKeys=["team", "nobody"])
    assert api.client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "Größe 1", "Value": ""}]
    more = [{"Key": f"k{number}", "Value": "v"} for number in range(200)]
    refused("ServiceQuotaExceededException", lambda: api.client.tag_resource(ResourceArn=arn, Tags=more), "201 tags")
    other = arn.replace("model/lego/1", "project/lego")
    refused("ValidationException", lambda: api.client.list_tags_for_resource(ResourceArn=other), "no ARN of a model")
    none = arn.replace("lego/1", "lego/7")
    refused("ResourceNotFoundException", lambda: api.client.list_tags_for_resource(ResourceArn=none))
    for foreign in (arn.replace(ACCOUNT, "999988887777"), arn.replace(REGION, "eu-west-3")):
        refused("ResourceNotFoundException", lambda: api.client.tag_resource(ResourceArn=foreign, Tags=more[:1]))  # noqa: B023
