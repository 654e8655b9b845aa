"""Where the system keeps what it knows: one table, one bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk.aws_dynamodb as dynamodb
import aws_cdk.aws_iam as iam
import aws_cdk.aws_s3 as s3
from constructs import Construct

from stacks.building_blocks.data_lake import private_bucket, removal
from stacks.building_blocks.grants import as_finding, grant_key, grant_read, grant_read_write
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms

    from stacks.config import EnvironmentConfig

_READ = ("dynamodb:GetItem", "dynamodb:Query")
_WRITE = ("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
_TO_EVENT_BRIDGE = s3.CfnBucket.NotificationConfigurationProperty(
    event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
)


class Storage(Construct):
    """`table` holds the state of API and loop; `data` photographs, manifests, archives, masks and lines of verdicts."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        access_logs: s3.IBucket,
        key: kms.Key,
    ) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self._settings = environment.inspection
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires",
            deletion_protection=environment.termination_protection,
            removal_policy=removal(environment),
        )
        acknowledge(
            self.table,
            "Point-in-time recovery is on; a backup plan is the account's own decision.",
            "HIPAA.Security-DynamoDBInBackupPlan",
        )
        self.data = private_bucket(self, "Data", environment=environment, access_logs=access_logs, key=key)
        # The bucket's own property: the CDK's way is a function that sets it.
        cast("s3.CfnBucket", self.data.node.default_child).notification_configuration = _TO_EVENT_BRIDGE
        self._outputs = [
            s3.Bucket.from_bucket_name(self, f"Output{index}", name)
            for index, name in enumerate(self._settings.output_buckets)
        ]
        self._sources = [
            s3.Bucket.from_bucket_name(self, f"Source{index}", name)
            for index, name in enumerate(self._settings.source_buckets)
        ]

    def grant_table(self, role: iam.Role) -> None:
        """Lets a role read and write the table's items."""
        role.add_to_principal_policy(iam.PolicyStatement(actions=[*_READ, *_WRITE], resources=[self.table.table_arn]))
        grant_key(role, self._key, write=True)

    def grant_data(self, role: iam.Role, *, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> None:
        """Lets a role read, or read and write, the objects below some prefixes of the bucket (`""`: all)."""
        for prefix in reads:
            grant_read(role, self.data, prefix)
        for prefix in writes:
            grant_read_write(role, self.data, prefix)

    def grant_outputs(self, role: iam.Role) -> None:
        """Lets a role put objects, such as evaluations and packages, wherever a request may ask for them."""
        arns = [bucket.arn_for_objects("*") for bucket in (self.data, *self._outputs)]
        role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=arns))
        acknowledge(
            role,
            "Whoever asks for an evaluation or a package names its place in these buckets.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(role, arn)}]" for arn in arns),
        )

    def grant_versions(self, role: iam.Role, *prefixes: str) -> None:
        """Lets a role read old versions of photographs: of the very content that an event tells of."""
        arns = [self.data.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObjectVersion"], resources=arns))
        acknowledge(
            role,
            "All photographs of these prefixes: their names are not known beforehand.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(role, arn)}]" for arn in arns),
        )

    def grant_source_versions(self, role: iam.Role) -> None:
        """Lets a role read old versions of manifests, for a request may name one, wherever they lie."""
        arns = [bucket.arn_for_objects("*") for bucket in (self.data, *self._sources)]
        role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObjectVersion"], resources=arns))
        acknowledge(
            role,
            "Whoever makes a dataset names the manifest and its version in these buckets.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(role, arn)}]" for arn in arns),
        )

    def grant_sources(self, role: iam.Role) -> None:
        """Lets a role read photographs and manifests wherever the environment says that they lie."""
        grant_read(role, self.data)
        for bucket in self._sources:
            grant_read(role, bucket)
        if self._settings.source_key_arns:
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=["kms:Decrypt"], resources=[*self._settings.source_key_arns])
            )
