"""What runs beside the belt: lines for Athena, the sweep, drift monitors, comparisons, shifts, and people's answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_scheduler as scheduler
from constructs import Construct

from sextant.inspection.loop.arrival import INCOMING, NEW_DATA
from sextant.inspection.loop.lines import PREFIX
from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction, lost_events
from stacks.building_blocks.grants import grant_key
from stacks.inspection.looking import MEMORY_MB, looking_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_sns as sns

    from stacks.config import EnvironmentConfig
    from stacks.inspection.api import Api
    from stacks.inspection.belt import Belt
    from stacks.inspection.execution import Execution
    from stacks.inspection.storage import Storage


class Upkeep(Construct):
    """Functions on a schedule or an event; a failure of each time lies in one queue.

    `review` is for whoever may call it; `scheduled` are those by name that may also be called at any time.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        storage: Storage,
        execution: Execution,
        api: Api,
        belt: Belt,
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment, self._storage, self._api, self._key = environment, storage, api, key
        self.lost = lost_events(self, "LostUpkeep", key)
        machine = {"MACHINE_ARN": belt.machine.state_machine_arn}
        upkeep = self._function("Upkeep", "upkeep", "Writes lines of verdicts, tidies up", machine, seconds=300)
        belt.machine.grant_start_execution(upkeep.role)
        storage.grant_data(upkeep.role, reads=("projects/",), writes=(PREFIX,))
        execution.grant_host(upkeep.role)
        self._every(upkeep, cdk.Duration.minutes(5))
        sweep = self._function("Sweep", "sweep", "Tries photographs without a verdict again", machine, seconds=900)
        belt.machine.grant_start_execution(sweep.role)
        storage.grant_data(sweep.role, reads=(INCOMING, NEW_DATA))
        self._every(sweep, cdk.Duration.hours(1), {"every": 6})  # in between it goes on with what is unfinished
        topic = {"ALARMS_TOPIC": alarms.topic_arn}
        drift = self._function("Drift", "drift", "Watches cameras and scores", topic, seconds=300)
        drift.role.add_to_principal_policy(iam.PolicyStatement(actions=["sns:Publish"], resources=[alarms.topic_arn]))
        storage.grant_data(drift.role, reads=("projects/",))
        self._every(drift, cdk.Duration.hours(1))
        self.scheduled = {"Upkeep": upkeep, "Sweep": sweep, "Drift": drift}
        self._compare()
        self._shifts()
        self.review = self._function("Review", "review", "Takes what people say of verdicts", {}, seconds=60)
        api.grant(self.review.role)
        alarm(
            self,
            "EventsLost",
            topic=alarms,
            metric=self.lost.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="A function beside the belt failed each time; its event lies in the queue LostUpkeep, "
            "the reason in the log of Upkeep, Sweep, Drift, Promote or Shift. Those on a schedule catch up with their "
            "next run; after a failed comparison or shift invoke the function again with the event.",
        )

    def _function(
        self, construct_id: str, file: str, description: str, variables: dict[str, str], *, seconds: int
    ) -> PythonFunction:
        """A function with the API's environment and table."""
        made = PythonFunction(
            self,
            construct_id,
            environment=self._environment,
            handler=f"lambdas.inspection.{file}.handler",
            description=description,
            key=self._key,
            variables={**self._api.variables(), **variables},
            timeout_seconds=seconds,
            lost_events=self.lost,
        )
        self._storage.grant_table(made.role)
        return made

    def _every(self, made: PythonFunction, period: cdk.Duration, event: Mapping[str, int] | None = None) -> None:
        events.Rule(
            made,
            "Schedule",
            schedule=events.Schedule.rate(period),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets=[
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                targets.LambdaFunction(made.function, event=events.RuleTargetInput.from_object(event or {}))
            ],
        )

    def _compare(self) -> None:
        """A version's archive is there → champion and challenger on the frozen test set."""
        made = PythonFunction(
            self,
            "Promote",
            environment=self._environment,
            handler="lambdas.inspection.promote.handler",
            description="Compares a new model with the one that answers",
            key=self._key,
            variables={**self._api.variables(), "PROMOTION": self._environment.inspection.promotion},
            timeout_seconds=900,
            memory_mb=MEMORY_MB,
            lost_events=self.lost,
            image=looking_image(),
        )
        self._api.grant(made.role)
        events.Rule(
            self,
            "ArchiveArrived",
            description="A model version has its archive",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [self._storage.data.bucket_name]},
                    "object": {"key": [{"suffix": "/model.tar.gz"}]},
                },
            ),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets=[
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                targets.LambdaFunction(made.function)
            ],
        )

    def _shifts(self) -> None:
        """A schedule for each begin and end of a shift, in its time zone."""
        made = self._function("Shift", "schedule", "Starts and stops a model with its shift", {}, seconds=60)
        self._api.grant(made.role)
        shifts = self._environment.inspection.shifts
        if not shifts:
            return
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        role = iam.Role(self, "ShiftRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[made.function.function_arn])
        )
        grant_key(role, self._key, write=True)
        for index, shift in enumerate(shifts):
            for action, cron in (("start", shift.start), ("stop", shift.stop)):
                told = {"project": shift.project, "action": action, "units": shift.units}
                scheduler.CfnSchedule(
                    self,
                    f"Shift{index}{action.title()}",
                    description=f"{action.title()}s the model of {shift.project}",
                    schedule_expression=cron,
                    schedule_expression_timezone=shift.timezone,
                    flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                    kms_key_arn=self._key.key_arn,
                    target=scheduler.CfnSchedule.TargetProperty(
                        arn=made.function.function_arn,
                        role_arn=role.role_arn,
                        input=json.dumps(told, sort_keys=True),
                    ),
                )
