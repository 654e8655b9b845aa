"""The function behind the console's routes of this system: runs of the state machine, quarantine, approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.grants import as_finding, grant_read
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.config import EnvironmentConfig
    from stacks.slides.pipeline import Pipeline
    from stacks.slides.registry import Registry


def operation_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    pipeline: Pipeline,
    registry: Registry,
    slides: s3.IBucket,
    runs: s3.IBucket,
    alarms: sns.Topic,
    key: kms.Key,
) -> lambda_.Function:
    """A function that may run one state machine, read its runs, and list what waits for approval."""
    stack, machine = cdk.Stack.of(scope), pipeline.machine
    made = PythonFunction(
        scope,
        "Operation",
        environment=environment,
        handler="lambdas.slides.operation.handler",
        description="Starts, stops and shows runs over cohorts of slides, and their quarantine",
        key=key,
        variables={
            "MACHINE_ARN": machine.state_machine_arn,
            "RUNS_BUCKET": runs.bucket_name,
            "MODEL_PACKAGE_GROUP": registry.group_name,
        },
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    executions = stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{machine.state_machine_name}:*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    made.role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["states:ListExecutions", "states:StartExecution"], resources=[machine.state_machine_arn]
        )
    )
    made.role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[
                "states:DescribeExecution",
                "states:GetExecutionHistory",
                "states:RedriveExecution",
                "states:StopExecution",
            ],
            resources=[executions],
        )
    )
    # Listing the versions of a group is asked of the group, or of everything: by AWS's own table of actions, of none.
    made.role.add_to_principal_policy(iam.PolicyStatement(actions=["sagemaker:ListModelPackages"], resources=["*"]))
    acknowledge(
        made.role,
        "Executions of this one machine; SageMaker lists model packages for everybody or nobody.",
        f"AwsSolutions-IAM5[Resource::{as_finding(made.role, executions)}]",
        "AwsSolutions-IAM5[Resource::*]",
    )
    grant_read(made.role, runs, "runs/")
    grant_read(made.role, slides)
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
