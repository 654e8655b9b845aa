"""Where people and dashboards ask: the Athena workgroup and its saved queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_athena as athena
import aws_cdk.aws_iam as iam
from constructs import Construct

from stacks.building_blocks.data_lake import private_bucket
from stacks.building_blocks.nag import acknowledge
from stacks.labeling.queries import saved_queries

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from stacks.config import EnvironmentConfig


class Reports(Construct):
    """The workgroup enforces where results go, their encryption and the most a query may read."""

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
        labeling = environment.labeling
        self.results = private_bucket(
            self,
            "Results",
            environment=environment,
            access_logs=access_logs,
            key=key,
            unversioned_because="A query result is made again by running its query.",
            expire_after_days=30,
        )
        self.workgroup = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=labeling.workgroup_name,
            description="Reports over Ground Truth output",
            recursive_delete_option=environment.removal == "destroy",  # else a workgroup with a history stays
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=labeling.bytes_scanned_cutoff,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self.results.bucket_name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=key.key_arn
                    ),
                ),
            ),
        )
        for query in saved_queries(labeling):
            saved = athena.CfnNamedQuery(
                self,
                query.construct_id,
                name=query.name,
                description=query.description,
                database=labeling.database_name,
                query_string=query.sql,
                work_group=labeling.workgroup_name,
            )
            saved.add_resource_dependency(self.workgroup)

    def grant_query(self, role: iam.Role) -> None:
        """Lets a role run queries in this workgroup and read their results."""
        workgroup = cdk.Stack.of(self).format_arn(
            service="athena", resource="workgroup", resource_name=self.workgroup.name
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                    "athena:GetQueryExecution",
                    "athena:GetQueryResults",
                ],
                resources=[workgroup],
            )
        )

    def grant_browse(self, role: iam.Role) -> None:
        """Lets a role query and do what QuickSight does beside (as the managed policy AWSQuicksightAthenaAccess)."""
        self.grant_query(role)
        stack = cdk.Stack.of(self)
        for actions, resource in (
            (("GetWorkGroup", "BatchGetQueryExecution", "GetQueryResultsStream"), f"workgroup/{self.workgroup.name}"),
            (
                ("GetDataCatalog", "ListDatabases", "GetDatabase", "ListTableMetadata", "GetTableMetadata"),
                "datacatalog/AwsDataCatalog",
            ),
        ):
            arn = stack.format_arn(service="athena", resource=resource)
            allowed = [f"athena:{action}" for action in actions]
            role.add_to_principal_policy(iam.PolicyStatement(actions=allowed, resources=[arn]))
        # Neither knows a resource of its own.
        listing = ["athena:ListDataCatalogs", "athena:ListWorkGroups"]
        role.add_to_principal_policy(iam.PolicyStatement(actions=listing, resources=["*"]))
        acknowledge(role, "Athena lists catalogs and workgroups for *.", "AwsSolutions-IAM5[Resource::*]")
