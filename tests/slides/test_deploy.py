"""The endpoint follows the registry: against the embedded SageMaker and its scaling, with servers that really run."""

import importlib
import io
import json
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from localaws.engines.autoscaling.engine import Autoscaling
from localaws.wire import Service
from sextant.slides import deploy as deploying
from sextant.slides.deploy import DeploymentError, Serving, deploy
from tests.handlers.serving import CONTEXT
from tests.local.test_wire import connect
from tests.sagemaker.conftest import aws, home, sagemaker
from tests.sagemaker.test_serving import SERVER, ask, settled

__all__ = ["aws", "home", "sagemaker"]

GROUP = "dev-slides"
TARGET = "endpoint/e/variant/main"
SERVING = {
    "ENDPOINT": "e",
    "MODEL_PACKAGE_GROUP": GROUP,
    "INSTANCE_TYPE": "ml.c5.xlarge",
    "INSTANCES": 1,
    "INSTANCES_MAX": 2,
    "INVOCATIONS_PER_MINUTE": 60,
    "NETWORK": "{}",
}


@pytest.fixture
def world(aws, monkeypatch):
    """A registry, the clients of the function, and EventBridge as one calls it: nothing is delivered by itself."""
    monkeypatch.setattr(deploying, "DELETION", {"Delay": 0.1, "MaxAttempts": 100})
    scaling = Autoscaling(aws.home, aws.sagemaker, period=3600)
    client = connect(Service(aws.sagemaker, "sagemaker"), "sagemaker", aws.call)
    scaler = connect(Service(scaling, "application-autoscaling"), "application-autoscaling", aws.call)
    client.create_model_package_group(ModelPackageGroupName=GROUP)
    made = SimpleNamespace(
        sagemaker=client,
        scaler=scaler,
        serving=Serving.model_validate(SERVING | {"ROLE_ARN": aws.role}),
        seen=0,
        arns=[],
    )

    def add(weights):
        """Registers a version with these weights; words that are no archive make one that cannot be unpacked."""
        version = len(made.arns) + 1
        aws.put(f"models/{version}.tar.gz", weights if isinstance(weights, bytes) else archive(weights))
        container = {"Image": aws.image(SERVER, "server"), "ModelDataUrl": f"s3://data/models/{version}.tar.gz"}
        specification = {"Containers": [container], "SupportedContentTypes": ["text/plain"]}
        specification["SupportedResponseMIMETypes"] = ["application/json"]
        answer = client.create_model_package(ModelPackageGroupName=GROUP, InferenceSpecification=specification)
        made.arns.append(answer["ModelPackageArn"])

    def decide(version, status="Approved"):
        client.update_model_package(ModelPackageArn=made.arns[version - 1], ModelApprovalStatus=status)

    def run(version=None):
        asked = made.arns[version - 1] if version else None
        return deploy(client, scaler, made.serving, asked)

    def deliver():
        """Delivers what the two rules pass on of what has been told until now; what the function did with each."""
        found, told = [], aws.home.events[made.seen :]
        made.seen += len(told)
        for detail in (event["detail"] for event in told):
            if detail.get("ModelApprovalStatus") == "Approved":
                found.append(deploy(client, scaler, made.serving, detail["ModelPackageArn"]))
            elif detail.get("ModelApprovalStatus") == "Rejected" or detail.get("EndpointStatus") in {
                "IN_SERVICE",
                "FAILED",
            }:
                found.append(run())
        return found

    def approve(version):
        decide(version)
        return deliver()

    def settle():
        """Waits for the endpoint's change, delivers what it told, and again until nothing changes."""
        found = []
        while True:
            settled(aws)
            told = deliver()
            if not told:
                return found
            found += told

    made.__dict__.update(add=add, decide=decide, run=run, deliver=deliver, approve=approve, settle=settle)
    made.answers = lambda: ask(aws)[0]["weights"]
    made.instances = lambda: settled(aws)["ProductionVariants"][0]["CurrentInstanceCount"]
    made.targets = lambda: scaler.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    made.aws = aws
    yield made
    scaling.close()


def archive(weights):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("weights")
        info.size = len(weights)
        file.addfile(info, io.BytesIO(weights.encode()))
    return buffer.getvalue()


def test_the_first_approval_makes_an_endpoint_that_scales(world):
    world.add("one")
    assert world.approve(1) == ["created"]
    assert world.targets() == []  # SageMaker scales what serves, not what comes up
    assert world.settle() == ["unchanged"]
    assert world.answers() == "one"
    [target] = world.targets()
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == (TARGET, 1, 2)
    [policy] = world.scaler.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 60
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    [variant] = world.sagemaker.describe_endpoint_config(EndpointConfigName="e-1")["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.xlarge", 1)
    assert world.run(1) == world.run() == "unchanged"  # the events again


def test_a_later_approval_takes_over_on_as_many_instances_as_scaling_has_set(world):
    world.add("one")
    world.add("two")
    world.approve(1)
    world.settle()
    two = [{"VariantName": "main", "DesiredInstanceCount": 2}]
    world.sagemaker.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=two)
    assert world.settle() == ["unchanged"]  # a change of capacity is told as any other
    assert world.approve(2) == ["updated"]
    assert world.settle() == ["unchanged"]
    assert (world.answers(), world.instances()) == ("two", 2)
    assert world.run(1) == "unchanged"  # the old approval, late
    assert world.answers() == "two"
    world.decide(1)  # going back is approving again
    assert world.deliver() == ["updated"]
    world.settle()
    assert world.answers() == "one"


def test_an_approval_while_the_endpoint_changes_follows_by_itself(world):
    for weights in ("one", "two", "three"):
        world.add(weights)
    world.approve(1)
    assert world.approve(2) == ["waiting"]
    assert world.approve(3) == ["waiting"]
    assert world.settle() == ["updated", "unchanged"]  # version 2 was passed over: 3 was approved after it
    assert world.answers() == "three"


@pytest.mark.parametrize("first", [True, False])
def test_two_approvals_at_once_end_with_the_later_one(world, first):
    for weights in ("one", "two", "three"):
        world.add(weights)
    if not first:
        world.approve(1)
        world.settle()
    world.decide(2)
    world.decide(3)
    world.seen = len(world.aws.home.events)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(world.run, (2, 3)))
    assert sorted(done) == ["created" if first else "updated", "waiting"]
    world.settle()
    assert world.answers() == "three"


def test_a_model_that_does_not_come_up_leaves_the_old_one_and_is_told(world):
    world.add("one")
    world.add(b"no archive")
    world.add("three")
    world.approve(1)
    world.settle()
    assert world.approve(2) == ["updated"]
    with pytest.raises(
        DeploymentError, match=r"(?s)Version 2 is approved, .* \(InService\) does not serve it: .*2\.tar\.gz"
    ):
        world.settle()
    assert world.answers() == "one"
    with pytest.raises(DeploymentError):  # it is not tried again by itself, for ever
        world.run()
    assert world.sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    assert len(world.targets()) == 1

    world.aws.put("models/2.tar.gz", archive("mended"))
    world.decide(2)
    assert world.deliver() == ["updated"]
    world.settle()
    assert world.answers() == "mended"


def test_a_rejected_model_is_forgotten(world):
    world.add("one")
    world.add(b"no archive")
    world.approve(1)
    world.settle()
    world.approve(2)
    with pytest.raises(DeploymentError):
        world.settle()
    world.decide(2, "Rejected")
    assert world.run() == world.run(2) == "unchanged"
    assert world.answers() == "one"


def test_a_model_that_is_rejected_while_it_serves_gives_way_at_once_to_the_one_before(world):
    world.add("one")
    world.add("two")
    for version in (1, 2):
        world.approve(version)
        world.settle()
    assert world.answers() == "two"
    world.decide(2, "Rejected")
    assert world.deliver() == ["updated"]
    assert world.settle() == ["unchanged"]
    assert world.answers() == "one"
    world.decide(1, "Rejected")
    assert world.deliver() == ["not approved"]
    assert world.answers() == "one", "there is no other, and what clients need is theirs to end"


def test_an_endpoint_that_never_came_up_is_made_anew_by_the_next_approval(world):
    world.add("broken")  # the server ends at once
    world.add("two")
    assert world.approve(1) == ["created"]
    with pytest.raises(DeploymentError, match=r"\(Failed\) does not serve it: .*exit code 5"):
        world.settle()
    assert world.approve(2) == ["created"]
    assert world.settle() == ["unchanged"]
    assert world.answers() == "two"


def test_an_approval_that_was_taken_back_makes_nothing(world):
    world.add("one")
    world.decide(1)
    world.decide(1, "Rejected")
    assert world.deliver() == ["not approved", "not approved"]
    assert world.sagemaker.list_models()["Models"] == []


def test_an_endpoint_that_was_deleted_stays_so(world):
    world.add("one")
    world.approve(1)
    world.settle()
    world.sagemaker.delete_endpoint(EndpointName="e")
    world.aws.wait(lambda: not world.sagemaker.list_endpoints()["Endpoints"])
    assert world.run() == "unchanged"  # an event of the endpoint, late
    assert world.sagemaker.list_endpoints()["Endpoints"] == []
    assert world.run(1) == "created"


def test_another_type_of_instance_is_taken_off_scaling_for_the_update(world):
    """SageMaker refuses the update otherwise."""
    world.add("one")
    world.add("two")
    world.approve(1)
    world.settle()
    world.serving = Serving.model_validate(
        json.loads(world.serving.model_dump_json()) | {"INSTANCE_TYPE": "ml.c5.2xlarge", "NETWORK": "{}"}
    )
    assert world.approve(2) == ["updated"]
    assert world.targets() == []
    assert world.settle() == ["unchanged"]
    assert [target["ResourceId"] for target in world.targets()] == [TARGET]


def test_where_least_is_most_nothing_scales(world):
    world.add("one")
    world.add("two")
    world.approve(1)
    world.settle()
    assert len(world.targets()) == 1
    world.serving = Serving.model_validate(
        json.loads(world.serving.model_dump_json()) | {"INSTANCES": 2, "INSTANCES_MAX": 2, "NETWORK": "{}"}
    )
    assert world.approve(2) == ["updated"]
    assert world.settle() == ["unchanged"]
    assert world.targets() == []
    assert world.instances() == 2  # the configuration's own


def test_the_function_takes_the_events_of_both_rules(world):
    """As AWS documents them, in the members that count here."""
    world.add("one")
    world.decide(1)
    given = SERVING | {"ROLE_ARN": world.aws.role, "AWS_DEFAULT_REGION": "eu-west-1"}
    clients = {"sagemaker": world.sagemaker, "application-autoscaling": world.scaler}
    with (
        mock.patch.dict(os.environ, {name: str(value) for name, value in given.items()}),
        mock.patch("sextant.aws.client", side_effect=clients.__getitem__),
    ):
        sys.modules.pop("lambdas.slides.deploy", None)
        function = importlib.import_module("lambdas.slides.deploy")
    approved = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Package State Change",
        "detail": {
            "ModelPackageGroupName": GROUP,
            "ModelPackageVersion": 1,
            "ModelPackageArn": world.arns[0],
            "ModelApprovalStatus": "Approved",
        },
    }
    serves = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Endpoint State Change",
        "detail": {"EndpointName": "e", "EndpointStatus": "IN_SERVICE", "EndpointConfigName": "e-1"},
    }
    assert function.handler(approved, CONTEXT) == {"endpoint": "e", "done": "created"}
    settled(world.aws)
    assert function.handler(serves, CONTEXT) == {"endpoint": "e", "done": "unchanged"}
    assert [target["ResourceId"] for target in world.targets()] == [TARGET]
    world.add("two")
    world.decide(2)
    world.sagemaker.delete_endpoint(EndpointName="e")
    world.aws.wait(lambda: not world.sagemaker.list_endpoints()["Endpoints"])
    rejected = approved | {"detail": approved["detail"] | {"ModelApprovalStatus": "Rejected"}}
    assert function.handler(rejected, CONTEXT) == {"endpoint": "e", "done": "unchanged"}, (
        "a rejection makes no endpoint"
    )


def test_a_refusal_is_no_success():
    """A model whose archive is not there, and a scaler that may not scale: the event is tried again and then lost."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client, scaler = boto3.client("sagemaker", **keys), boto3.client("application-autoscaling", **keys)
    arn = "arn:aws:sagemaker:us-east-1:111111111111:model-package/dev-slides/7"
    package = {
        "ModelPackageName": GROUP,
        "ModelPackageArn": arn,
        "CreationTime": 0,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
    }
    summary = {name: package[name] for name in package if name != "ModelPackageStatusDetails"}
    serving = Serving.model_validate(SERVING | {"ROLE_ARN": "arn:aws:iam::111111111111:role/jobs"})
    with Stubber(client) as stub:
        stub.add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")
        stub.add_response(
            "list_model_packages",
            {"ModelPackageSummaryList": [summary]},
            {"ModelPackageGroupName": GROUP, "ModelApprovalStatus": "Approved"},
        )
        stub.add_response("describe_model_package", package, {"ModelPackageName": arn})
        stub.add_client_error("create_model", "ValidationException", "Could not access model data")
        with pytest.raises(ClientError, match="Could not access model data"):
            deploy(client, scaler, serving, arn)
        stub.add_client_error("describe_endpoint", "ThrottlingException", "Rate exceeded")
        with pytest.raises(ClientError, match="Rate exceeded"):
            deploy(client, scaler, serving, arn)
