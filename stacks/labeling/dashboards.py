"""The function behind the dashboards: it turns a question of the page into an Athena query over the report views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.grants import grant_read, grant_read_write

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3
    from constructs import Construct

    from stacks.config import EnvironmentConfig
    from stacks.labeling.catalog import Catalog
    from stacks.labeling.reports import Reports


def dashboards_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    catalog: Catalog,
    reports: Reports,
    processed: s3.IBucket,
    key: kms.Key,
) -> PythonFunction:
    """A function that may query one workgroup, read one database's definitions and the tables' objects, and see how the
    runs of the workflow went.
    """
    made = PythonFunction(
        scope,
        "Dashboards",
        environment=environment,
        handler="lambdas.labeling.dashboards.handler",
        description="Answers dashboard questions from Athena",
        key=key,
        variables={
            "DATABASE": catalog.name,
            "WORKGROUP": environment.labeling.workgroup_name,
            "WORKFLOW": environment.labeling.workflow_name,
        },
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    workflow = cdk.Stack.of(scope).format_arn(
        service="glue", resource="workflow", resource_name=environment.labeling.workflow_name
    )
    made.role.add_to_policy(
        iam.PolicyStatement(actions=["glue:GetWorkflowRun", "glue:GetWorkflowRuns"], resources=[workflow])
    )
    reports.grant_query(made.role)
    catalog.grant_read(made.role)
    grant_read(made.role, processed, "labels/")
    grant_read_write(made.role, reports.results)
    return made
