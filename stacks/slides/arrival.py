"""What starts a run: a cohort's slides.csv has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction, lost_events

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns
    import aws_cdk.aws_stepfunctions as sfn
    from constructs import Construct

    from stacks.config import EnvironmentConfig


def start_on_arrival(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    machine: sfn.StateMachine,
    slides: s3.IBucket,
    runs: s3.IBucket,
    key: kms.Key,
    alarms: sns.Topic,
) -> None:
    """An object called slides.csv → function → an execution of its name."""
    lost = lost_events(scope, "LostStarts", key)
    made = PythonFunction(
        scope,
        "Start",
        environment=environment,
        handler="lambdas.slides.start.handler",
        description="Starts a run over the cohort whose slides.csv has arrived",
        key=key,
        variables={"MACHINE_ARN": machine.state_machine_arn, "RUNS": f"s3://{runs.bucket_name}/runs"},
        timeout_seconds=30,
        lost_events=lost,
    )
    machine.grant_start_execution(made.role)
    events.Rule(
        scope,
        "TableArrived",
        description="A cohort's slides.csv has arrived",
        event_pattern=events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [slides.bucket_name]},
                "object": {"key": [{"suffix": "/slides.csv"}, "slides.csv"]},
            },
        ),
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        targets=[
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets.LambdaFunction(made.function)
        ],
    )
    alarm(
        scope,
        "StartsLost",
        topic=alarms,
        metric=lost.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="A slides.csv arrived and no run was started: the event lies in the queue of lost starts. The "
        "function's log has the reason; put slides.csv again to start the run.",
    )
