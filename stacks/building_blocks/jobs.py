"""What SageMaker's jobs and endpoints need of their role and of the network, whatever they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    from stacks.building_blocks.network import Network


def vpc_config(network: Network) -> dict[str, list[str]]:
    """SageMaker's VpcConfig."""
    return {
        "SecurityGroupIds": [network.security_group.security_group_id],
        "Subnets": list(network.subnet_ids),
    }


def grant_telling(role: iam.Role) -> None:
    """Logs and metrics of jobs: SageMaker names the groups, and metrics have no resources at all."""
    groups = cdk.Stack.of(role).format_arn(
        service="logs",
        resource="log-group",
        resource_name="/aws/sagemaker/*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            resources=[groups],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )
    )
    acknowledge(
        role,
        "Metrics have no resource (their namespace is bound); a registry's token is the account's; SageMaker names "
        "the log groups of its jobs.",
        "AwsSolutions-IAM5[Resource::*]",
        f"AwsSolutions-IAM5[Resource::{as_finding(role, groups)}]",
    )


def grant_interfaces(role: iam.Role) -> None:
    """SageMaker makes the jobs' network interfaces in the role's name."""
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],  # an interface has no name before it exists
        )
    )
