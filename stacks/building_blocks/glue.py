"""What every Glue job and crawler needs: a role that writes its own logs, and encryption of what Glue itself writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_glue as glue
import aws_cdk.aws_iam as iam

from stacks.building_blocks.grants import as_finding, grant_key
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.network import network

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    from constructs import Construct

    from stacks.config import EnvironmentConfig


def glue_encryption(scope: Construct, key: kms.Key) -> glue.CfnSecurityConfiguration:
    """Logs, bookmarks and output of jobs and crawlers, encrypted with the system's key."""
    return glue.CfnSecurityConfiguration(
        scope,
        "Encryption",
        name=f"{cdk.Stack.of(scope).stack_name}-Glue",  # CloudFormation generates none for this type
        encryption_configuration=glue.CfnSecurityConfiguration.EncryptionConfigurationProperty(
            cloud_watch_encryption=glue.CfnSecurityConfiguration.CloudWatchEncryptionProperty(
                cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=key.key_arn
            ),
            job_bookmarks_encryption=glue.CfnSecurityConfiguration.JobBookmarksEncryptionProperty(
                job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=key.key_arn
            ),
            s3_encryptions=[
                glue.CfnSecurityConfiguration.S3EncryptionProperty(
                    s3_encryption_mode="SSE-KMS", kms_key_arn=key.key_arn
                )
            ],
        ),
    )


def glue_role(scope: Construct, construct_id: str, key: kms.Key) -> iam.Role:
    """A role for Glue that may write its own logs, encrypted, and nothing else yet."""
    # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    groups = cdk.Stack.of(scope).format_arn(
        service="logs",
        resource="log-group",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        resource_name="/aws-glue/*",
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:AssociateKmsKey"],
            resources=[groups],
        )
    )
    acknowledge(
        role,
        "Glue names its log groups itself, after role and security configuration, under this prefix.",
        f"AwsSolutions-IAM5[Resource::{as_finding(role, groups)}]",
    )
    grant_key(role, key, write=True)
    return role


def glue_connection(scope: Construct, environment: EnvironmentConfig, role: iam.Role) -> glue.CfnConnection | None:
    """Places a job in the environment's network, and lets its role do so; None where there is no network."""
    place = network(scope, environment)
    if place is None:
        return None
    stack = cdk.Stack.of(scope)
    connection = glue.CfnConnection(
        scope,
        "Connection",
        catalog_id=cdk.Aws.ACCOUNT_ID,
        connection_input=glue.CfnConnection.ConnectionInputProperty(
            connection_type="NETWORK",
            physical_connection_requirements=glue.CfnConnection.PhysicalConnectionRequirementsProperty(
                subnet_id=place.subnet_ids[0],
                security_group_id_list=[place.security_group.security_group_id],
            ),
        ),
    )
    connections = stack.format_arn(service="glue", resource="connection/*")
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["glue:GetConnection"],
            resources=[stack.format_arn(service="glue", resource="catalog"), connections],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:CreateTags",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeVpcEndpoints",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeRouteTables",
            ],
            resources=["*"],
        )
    )
    acknowledge(
        role,
        "EC2's Describe actions have no resource, and interfaces and the connection's name are made by the services.",
        "AwsSolutions-IAM5[Resource::*]",
        f"AwsSolutions-IAM5[Resource::{as_finding(role, connections)}]",
    )
    return connection
