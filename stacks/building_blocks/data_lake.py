"""Keys, buckets and log groups: private, encrypted, TLS-only, logged, with a life cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import aws_cdk.aws_iam as iam
import aws_cdk.aws_kms as kms
import aws_cdk.aws_logs as logs
import aws_cdk.aws_s3 as s3

from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig


def removal(environment: EnvironmentConfig) -> cdk.RemovalPolicy:
    return cdk.RemovalPolicy.DESTROY if environment.removal == "destroy" else cdk.RemovalPolicy.RETAIN


def data_key(scope: Construct, environment: EnvironmentConfig) -> kms.Key:
    """One key for everything a system stores; CloudWatch Logs of this account may use it."""
    key = kms.Key(
        scope,
        "DataKey",
        description=f"Data of {cdk.Stack.of(scope).stack_name}",
        enable_key_rotation=True,
        removal_policy=removal(environment),
    )
    groups = cdk.Stack.of(scope).format_arn(
        service="logs", resource="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME, resource_name="*"
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LogGroupsOfThisAccount",
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            principals=[iam.ServicePrincipal(f"logs.{environment.region}.amazonaws.com")],
            actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            resources=["*"],  # a key policy speaks of its own key only
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
    return key


def access_log_bucket(scope: Construct, environment: EnvironmentConfig, *, acls: bool = False) -> s3.Bucket:
    """Where the other buckets of a stack log who read them. `acls` lets CloudFront deliver there as well."""
    bucket = s3.Bucket(
        scope,
        "AccessLogs",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED
        if acls
        else s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=removal(environment),
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=cdk.Duration.days(environment.log_retention_days),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
            )
        ],
    )
    acknowledge(
        bucket,
        "Holds the access logs: logging its own reads would never end.",
        "AwsSolutions-S1",
        "HIPAA.Security-S3BucketLoggingEnabled",
    )
    acknowledge(
        bucket,
        "S3 delivers access logs only to buckets encrypted with its own keys.",
        "HIPAA.Security-S3DefaultEncryptionKMS",
    )
    acknowledge(
        bucket,
        "Logs are written once and expire with the environment's log retention.",
        "HIPAA.Security-S3BucketVersioningEnabled",
        "HIPAA.Security-S3BucketReplicationEnabled",
    )
    return bucket


def private_bucket(
    scope: Construct,
    construct_id: str,
    *,
    environment: EnvironmentConfig,
    access_logs: s3.IBucket,
    key: kms.Key | None = None,
    unversioned_because: str | None = None,
    expire_after_days: int | None = None,
) -> s3.Bucket:
    """A bucket for data, without a public way in.

    Args:
        scope: where it belongs.
        construct_id: names it in the template.
        environment: gives the removal policy.
        access_logs: receives its access log.
        key: encrypts it; without one S3's own keys do, for which the caller gives the reason.
        unversioned_because: why old versions need not be kept; versioned without it.
        expire_after_days: objects older than this are deleted.
    """
    bucket = s3.Bucket(
        scope,
        construct_id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        encryption_key=key,
        bucket_key_enabled=True if key else None,
        enforce_ssl=True,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=unversioned_because is None,
        server_access_logs_bucket=access_logs,
        server_access_logs_prefix=f"{construct_id}/",
        removal_policy=removal(environment),
        lifecycle_rules=[
            s3.LifecycleRule(
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                expiration=cdk.Duration.days(expire_after_days) if expire_after_days else None,
                noncurrent_version_expiration=None if unversioned_because else cdk.Duration.days(30),
            )
        ],
    )
    if unversioned_because:
        acknowledge(bucket, unversioned_because, "HIPAA.Security-S3BucketVersioningEnabled")
    acknowledge(
        bucket,
        "Replication needs a second region and its own decision; the environment names one region.",
        "HIPAA.Security-S3BucketReplicationEnabled",
    )
    return bucket


def log_group(scope: Construct, construct_id: str, *, environment: EnvironmentConfig, key: kms.Key) -> logs.LogGroup:
    """A log group with the environment's retention."""
    group = logs.LogGroup(scope, construct_id, encryption_key=key, removal_policy=removal(environment))
    cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = environment.log_retention_days
    return group
