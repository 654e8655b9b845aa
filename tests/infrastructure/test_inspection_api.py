"""The inspection API's functions: what each may do, and no more."""

import json

import pytest


@pytest.fixture
def stack(production):
    return production["Inspection"]["Resources"]


def allowed(stack, role):
    """(action, resource as text) of the role whose policy's name begins with a construct's."""
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for name, each in stack.items()
        if each["Type"] == "AWS::IAM::Policy" and name.startswith(f"{role}RoleDefaultPolicy")
    ]
    as_list = lambda value: value if isinstance(value, list) else [value]  # noqa: E731
    return {
        (action, json.dumps(resource))
        for statement in policy
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def test_a_manifest_may_be_read_in_the_version_that_a_request_names(stack):
    """S3 asks for s3:GetObjectVersion where a request has a VersionId, and s3:GetObject is not enough."""
    objects = {resource for action, resource in allowed(stack, "ApiIngest") if action == "s3:GetObjectVersion"}
    assert len(objects) == 2
    assert any("StorageData" in resource for resource in objects)
    assert any("my-photographs/*" in resource for resource in objects)


def test_the_belt_asks_about_endpoints_and_changes_none(stack):
    sagemaker = {action for action, _ in allowed(stack, "BeltDetect") if action.startswith("sagemaker:")}
    assert sagemaker == {"sagemaker:DescribeTrainingJob", "sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"}


def test_upkeep_starts_and_stops_models_and_trains_none(stack, local):
    upkeep = {action for action, _ in allowed(stack, "Upkeep")}
    hosting = {"sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:DeleteModel", "iam:PassRole"}
    assert hosting | {"application-autoscaling:RegisterScalableTarget"} < upkeep
    assert "sagemaker:CreateTrainingJob" not in upkeep
    assert hosting | {"sagemaker:CreateTrainingJob"} < {action for action, _ in allowed(stack, "ApiFunction")}
    at_home = {action for action, _ in allowed(local["Inspection"]["Resources"], "Upkeep")}
    assert {each for each in at_home if each.startswith("sagemaker:")} == {"sagemaker:DescribeTrainingJob"}
    assert "iam:PassRole" not in at_home, "nothing runs there between two photographs"
