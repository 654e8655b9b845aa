"""What IAM asks of who has an endpoint scaled."""

from __future__ import annotations

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.nag import acknowledge

SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"


def grant_scaling(role: iam.Role, endpoint: str, variant: str) -> None:
    """Lets a function register a variant of an endpoint for scaling, and the service do what follows from it.

    Both names may end in `*`.

    Application Auto Scaling checks that its caller may do what it will do in its own, service-linked role: change
    the endpoint's capacity, and make, look at and delete its alarms.
    """
    stack = cdk.Stack.of(role)
    endpoint_arn = stack.format_arn(service="sagemaker", resource="endpoint", resource_name=endpoint)
    targets_of_scaling = stack.format_arn(
        service="application-autoscaling", resource="scalable-target", resource_name="*"
    )
    alarm_names = f"TargetTracking-endpoint/{endpoint}/variant/{variant}-*"
    alarms, any_alarm = (
        stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        for name in (alarm_names, "*")
    )
    linked = stack.format_arn(
        service="iam",
        region="",
        resource="role",
        resource_name=f"aws-service-role/{SCALING_SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    )
    of_variants = {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    grants: tuple[tuple[list[str], str, dict[str, str]], ...] = (
        (
            [
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:RegisterScalableTarget",
            ],
            targets_of_scaling,
            of_variants,
        ),
        (["sagemaker:UpdateEndpointWeightsAndCapacities"], endpoint_arn, {}),
        (["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"], alarms, {}),
        (["cloudwatch:DescribeAlarms"], any_alarm, {}),
        (["iam:CreateServiceLinkedRole"], linked, {"iam:AWSServiceName": SCALING_SERVICE}),
    )
    for actions, resource, condition in grants:
        conditions = {"StringEquals": condition} if condition else {}
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions))
    acknowledge(
        role,
        "Scalable targets have numbers and alarms have endings that are not known beforehand; a condition keeps to "
        "instances of endpoints. Alarms are described by no narrower resource than all of them.",
        *(f"AwsSolutions-IAM5[Resource::{as_finding(role, arn)}]" for arn in (targets_of_scaling, alarms, any_alarm)),
    )
