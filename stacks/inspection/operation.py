"""The function behind the console's routes of this system: trainings, quarantine, what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.config import EnvironmentConfig
    from stacks.inspection.api import Api
    from stacks.inspection.belt import Belt
    from stacks.inspection.execution import Execution


def operation_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    execution: Execution,
    api: Api,
    belt: Belt,
    alarms: sns.Topic,
    key: kms.Key,
) -> lambda_.Function:
    """A function that may train, stop a training, and have the state machine look at photographs again."""
    made = PythonFunction(
        scope,
        "Operation",
        environment=environment,
        handler="lambdas.inspection.operation.handler",
        description="Starts, stops and shows trainings, and photographs without a verdict",
        key=key,
        variables={**api.variables(), "MACHINE_ARN": belt.machine.state_machine_arn},
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    api.grant(made.role)
    belt.machine.grant_start_execution(made.role)
    execution.grant_stop(made.role)
    alarm(
        scope,
        "OperationErrors",
        topic=alarms,
        metric=made.function.metric_errors(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="The function behind the console's trainings and quarantine failed or ran out of time. Its log "
        "holds the error; a failed start names the variable that is missing.",
    )
    return made.function
