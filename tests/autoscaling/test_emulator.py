"""boto3 and IAM: the engine on a running emulator, with the policies that the stack gives its function."""

import pytest
from botocore.exceptions import ClientError

from localaws import emulator
from tests.sagemaker.test_emulator import aws, grant, model_archive, role, settled

__all__ = ["aws"]

ACCOUNT, REGION = emulator.ACCOUNT, emulator.REGION
SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{SERVICE}/"
LINKED += "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
ENDPOINT = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/scaled"
NAMED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def allow(actions, resource, **condition):
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return {**statement, "Condition": {"StringEquals": condition}} if condition else statement


def grants(namespace="sagemaker", linked=SERVICE):
    conditions = {
        "application-autoscaling:service-namespace": namespace,
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling = [f"application-autoscaling:{name}ScalableTarget" for name in ("Register", "Deregister")]
    scaling.append("application-autoscaling:PutScalingPolicy")
    described = ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig"]
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
    return [
        allow(scaling, f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*", **conditions),
        allow([*described, "sagemaker:UpdateEndpointWeightsAndCapacities"], [ENDPOINT, "*:endpoint-config/scaled"]),
        allow(
            ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"], f"{alarm}:TargetTracking-{NAMED['ResourceId']}-*"
        ),
        allow("cloudwatch:DescribeAlarms", f"{alarm}:*"),
        allow("iam:CreateServiceLinkedRole", LINKED, **{"iam:AWSServiceName": linked}),
    ]


@pytest.fixture
def scaling(aws):
    """An endpoint, and a client of application-autoscaling in a role whose policy the test sets."""
    sagemaker = aws.client("sagemaker")
    container = {"Image": aws.image, "ModelDataUrl": model_archive(aws)}
    sagemaker.create_model(ModelName="scaled", ExecutionRoleArn=aws.role, PrimaryContainer=container)
    variant = {"VariantName": "main", "ModelName": "scaled", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="scaled", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName="scaled")
    settled(lambda: sagemaker.describe_endpoint(EndpointName="scaled"), "EndpointStatus", {"Creating"})
    arn = role(aws.client, "scaler", "lambda.amazonaws.com")
    keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    return aws.client(
        "application-autoscaling",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_a_role_registers_what_its_policy_lets_it(aws, scaling):
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    for given, missing in (
        ([], "application-autoscaling:RegisterScalableTarget"),
        (grants(namespace="ecs"), "application-autoscaling:RegisterScalableTarget"),
        (grants()[:1], "sagemaker:DescribeEndpoint"),
        (grants(linked="ecs.application-autoscaling.amazonaws.com"), "iam:CreateServiceLinkedRole"),
    ):
        if given:
            grant(aws.client, "scaler", *given)
        with pytest.raises(ClientError, match=f"is not authorized to perform: {missing}"):
            scaling.register_scalable_target(**NAMED, **bounds)

    grant(aws.client, "scaler", *grants()[:2], grants()[4])
    assert scaling.register_scalable_target(**NAMED, **bounds)["ScalableTargetARN"].startswith(
        f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/"
    )
    policy = {
        "PolicyName": "invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 60.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    }
    with pytest.raises(ClientError, match="is not authorized to perform: cloudwatch:PutMetricAlarm"):
        scaling.put_scaling_policy(**NAMED, **policy)
    grant(aws.client, "scaler", *grants()[:4])
    assert "policyName/invocations" in scaling.put_scaling_policy(**NAMED, **policy)["PolicyARN"]
    with pytest.raises(ClientError, match="application-autoscaling:DescribeScalableTargets"):
        scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
    root = aws.client("application-autoscaling")
    [target] = (
        root.get_paginator("describe_scalable_targets")
        .paginate(ServiceNamespace="sagemaker")
        .build_full_result()["ScalableTargets"]
    )
    assert (target["RoleARN"], target["MaxCapacity"]) == (LINKED, 2)
    scaling.deregister_scalable_target(**NAMED)
    with pytest.raises(root.exceptions.ObjectNotFoundException):
        root.put_scaling_policy(**NAMED, **policy)
    with pytest.raises(ClientError, match="PutScheduledAction is not part of this embedded AWS"):
        root.put_scheduled_action(**NAMED, ScheduledActionName="nightly", Schedule="rate(1 day)")
