"""What every Glue job and crawler needs: a role that writes its own logs, and encryption of what Glue itself writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_glue as glue
import aws_cdk.aws_iam as iam

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    from constructs import Construct


def glue_encryption(scope: Construct, key: kms.IKey) -> glue.CfnSecurityConfiguration:
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


def glue_role(scope: Construct, construct_id: str, key: kms.IKey) -> iam.Role:
    """A role for Glue that may write its own logs, encrypted, and nothing else yet."""
    stack = cdk.Stack.of(scope)
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:AssociateKmsKey"],
            resources=[
                stack.format_arn(
                    service="logs",
                    resource="log-group",
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                    resource_name="/aws-glue/*",
                )
            ],
        )
    )
    key.grant_encrypt_decrypt(role)
    return role
