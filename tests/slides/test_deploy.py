"""An approved package reaches the endpoint once, and only while it is approved."""

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from sextant.slides.deploy import Serving, deploy

GROUP = "arn:aws:sagemaker:us-east-1:111111111111:model-package/dev-slides"
PACKAGE = f"{GROUP}/7"
SERVING = Serving.model_validate(
    {"ENDPOINT": "dev-slides", "ROLE_ARN": "arn:aws:iam::111111111111:role/jobs", "INSTANCE_TYPE": "ml.c5.xlarge"}
    | {"INSTANCES": "2", "NETWORK": "{}"}
)
MODEL = {
    "ModelName": "dev-slides-7",
    "ExecutionRoleArn": SERVING.ROLE_ARN,
    "PrimaryContainer": {"ModelPackageName": PACKAGE},
}
CONFIG = {
    "EndpointConfigName": "dev-slides-7",
    "ProductionVariants": [
        {
            "VariantName": "main",
            "ModelName": "dev-slides-7",
            "InstanceType": "ml.c5.xlarge",
            "InitialInstanceCount": 2,
        }
    ],
}
ENDPOINT = {"EndpointName": "dev-slides"}
BOTH = ENDPOINT | {"EndpointConfigName": "dev-slides-7"}
ARN = "arn:aws:sagemaker:us-east-1:111111111111:thing/dev-slides-7"


@pytest.fixture
def sagemaker():
    client = boto3.client("sagemaker", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def package(stub, status, number=7, decided=100):
    arn = f"{GROUP}/{number}"
    answer = {
        "ModelPackageName": "dev-slides",
        "ModelPackageArn": arn,
        "CreationTime": 0,
        "LastModifiedTime": decided,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "ModelApprovalStatus": status,
    }
    stub.add_response("describe_model_package", answer, {"ModelPackageName": arn})


def made(stub):
    stub.add_response("create_model", {"ModelArn": ARN}, MODEL)
    stub.add_response("create_endpoint_config", {"EndpointConfigArn": ARN}, CONFIG)


def serves(stub, config):
    """The endpoint has this configuration; None: there is no endpoint."""
    if config is None:
        stub.add_client_error("describe_endpoint", "ValidationException", "Could not find it", expected_params=ENDPOINT)
        return
    answer = ENDPOINT | {
        "EndpointArn": ARN,
        "EndpointConfigName": config,
        "EndpointStatus": "InService",
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }
    stub.add_response("describe_endpoint", answer, ENDPOINT)


def test_the_first_approval_creates_the_endpoint(sagemaker):
    client, stub = sagemaker
    package(stub, "Approved")
    serves(stub, None)
    made(stub)
    stub.add_response("create_endpoint", {"EndpointArn": ARN}, BOTH)
    assert deploy(client, SERVING, PACKAGE) == "created"


@pytest.mark.parametrize(("status", "decided"), [("Approved", 50), ("Rejected", 200)])
def test_a_later_approval_updates_it(sagemaker, status, decided):
    client, stub = sagemaker
    package(stub, "Approved")
    serves(stub, "dev-slides-6")
    package(stub, status, 6, decided)
    made(stub)
    stub.add_response("update_endpoint", {"EndpointArn": ARN}, BOTH)
    assert deploy(client, SERVING, PACKAGE) == "updated"


def test_the_same_approval_again_changes_nothing(sagemaker):
    client, stub = sagemaker
    package(stub, "Approved")
    serves(stub, "dev-slides-7")
    assert deploy(client, SERVING, PACKAGE) == "unchanged"


def test_an_old_approval_that_comes_again_does_not_roll_back(sagemaker):
    client, stub = sagemaker
    package(stub, "Approved", decided=100)
    serves(stub, "dev-slides-8")
    package(stub, "Approved", 8, 200)
    assert deploy(client, SERVING, PACKAGE) == "superseded"


def test_what_an_earlier_attempt_made_is_used(sagemaker):
    client, stub = sagemaker
    package(stub, "Approved")
    serves(stub, None)
    stub.add_client_error("create_model", "ValidationException", "Cannot create already existing model")
    stub.add_client_error("create_endpoint_config", "ValidationException", "Cannot create already existing config")
    stub.add_response("create_endpoint", {"EndpointArn": ARN}, BOTH)
    assert deploy(client, SERVING, PACKAGE) == "created"


def test_an_approval_that_was_taken_back_meanwhile_changes_nothing(sagemaker):
    client, stub = sagemaker
    package(stub, "Rejected")
    assert deploy(client, SERVING, PACKAGE) == "not approved"


def test_a_refusal_is_no_success(sagemaker):
    client, stub = sagemaker
    package(stub, "Approved")
    serves(stub, None)
    stub.add_client_error("create_model", "ValidationException", "Could not access model data")
    with pytest.raises(ClientError, match="Could not access model data"):
        deploy(client, SERVING, PACKAGE)
