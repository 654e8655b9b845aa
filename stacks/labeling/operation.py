"""The function behind the console's routes of this system: runs of the workflow, and what is in quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.grants import grant_read, grant_read_write

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.config import EnvironmentConfig
    from stacks.labeling.catalog import Catalog
    from stacks.labeling.pipeline import Pipeline
    from stacks.labeling.reports import Reports


def operation_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    pipeline: Pipeline,
    catalog: Catalog,
    reports: Reports,
    batch: s3.IBucket,
    processed: s3.IBucket,
    alarms: sns.Topic,
    key: kms.Key,
) -> lambda_.Function:
    """A function that may run one workflow, query its tables and read the input: quarantined objects lie among it."""
    labeling, stack = environment.labeling, cdk.Stack.of(scope)
    crawlers = pipeline.crawlers
    titles = {
        pipeline.job.ref: "Read all output, write the tables",
        crawlers.video_objects.ref: "Crawl tracking manifests",
        crawlers.audit.ref: "Crawl audit manifests",
        crawlers.worker_metrics.ref: "Crawl worker metrics",
        crawlers.annotations.ref: "Crawl annotations",
    }
    made = PythonFunction(
        scope,
        "Operation",
        environment=environment,
        handler="lambdas.labeling.operation.handler",
        description="Starts, stops and shows runs of the labeling reports, and their quarantine",
        key=key,
        variables={
            "BATCH_BUCKET": batch.bucket_name,
            "INPUT_PREFIX": labeling.input_prefix,
            "DATABASE": catalog.name,
            "WORKGROUP": labeling.workgroup_name,
            "WORKFLOW": labeling.workflow_name,
            "TITLES": stack.to_json_string(titles),
        },
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    workflow = stack.format_arn(service="glue", resource="workflow", resource_name=labeling.workflow_name)
    made.role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["glue:GetWorkflowRun", "glue:GetWorkflowRuns", "glue:StartWorkflowRun", "glue:StopWorkflowRun"],
            resources=[workflow],
        )
    )
    reports.grant_query(made.role)
    catalog.grant_read(made.role)
    grant_read(made.role, processed, "labels/")
    grant_read_write(made.role, reports.results)
    grant_read(made.role, batch, labeling.input_prefix)
    alarm(
        scope,
        "OperationErrors",
        topic=alarms,
        metric=made.function.metric_errors(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="The function behind the console's runs and quarantine failed or ran out of time. Its log holds "
        "the error; a failed start names the variable that is missing.",
    )
    return made.function
