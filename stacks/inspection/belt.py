"""From a photograph in the bucket to its verdict: event → state machine → detect → record → tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_sns as sns
import aws_cdk.aws_stepfunctions as sfn
from constructs import Construct

from sextant.inspection.loop.arrival import INCOMING, NEW_DATA
from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.data_lake import log_group
from stacks.building_blocks.function import PythonFunction, lost_events
from stacks.building_blocks.grants import grant_read
from stacks.building_blocks.nag import acknowledge
from stacks.inspection.looking import MEMORY_MB, looking_image
from stacks.inspection.steps import chain

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_

    from stacks.config import EnvironmentConfig
    from stacks.inspection.api import Api
    from stacks.inspection.execution import Execution
    from stacks.inspection.storage import Storage


class Belt(Construct):
    """`machine` looks at one photograph; `rejects` is the topic that hears of each reject once.

    An express machine, because a belt brings millions of photographs: a standard one costs more than everything else
    together. Express keeps no history and may run twice: each step is idempotent, and what a run that died has left
    undone, the sweep finds.
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
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment, self._storage, self._api, self._key = environment, storage, api, key
        self._execution = execution
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        self.rejects = sns.Topic(self, "Rejects", master_key=key, enforce_ssl=True)
        detect, record = self._detect(), self._record()
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_type=sfn.StateMachineType.EXPRESS,
            definition_body=sfn.DefinitionBody.from_chainable(chain(self, detect, record, self.rejects)),
            query_language=sfn.QueryLanguage.JSONATA,
            logs=sfn.LogOptions(
                destination=log_group(self, "Log", environment=environment, key=key), level=sfn.LogLevel.ALL
            ),
            timeout=cdk.Duration.minutes(5),
        )
        self._grant_machine(detect, record)
        self._arrival()
        self._watch(alarms)

    def _detect(self) -> lambda_.Function:
        made = PythonFunction(
            self,
            "Detect",
            environment=self._environment,
            handler="lambdas.inspection.detect.handler",
            description="Looks at one photograph",
            key=self._key,
            variables=self._api.variables(starts=False),
            timeout_seconds=60,
            memory_mb=MEMORY_MB,
            image=looking_image(),
        )
        self._storage.grant_table(made.role)
        self._storage.grant_data(made.role, reads=(INCOMING, NEW_DATA, "projects/"), writes=("masks/",))
        self._storage.grant_versions(made.role, INCOMING, NEW_DATA)
        self._execution.grant_ask(made.role)
        return made.function

    def _record(self) -> lambda_.Function:
        made = PythonFunction(
            self,
            "Record",
            environment=self._environment,
            handler="lambdas.inspection.record.handler",
            description="Writes a verdict into the journal, once",
            key=self._key,
            variables={
                name: value for name, value in self._api.variables(starts=False).items() if name in {"TABLE", "METRICS"}
            },
            timeout_seconds=30,
        )
        self._storage.grant_table(made.role)
        grant_read(made.role, self._storage.data, INCOMING)  # a link to a picture has the rights of who signed it
        self._storage.grant_versions(made.role, INCOMING)
        return made.function

    def _grant_machine(self, *functions: lambda_.Function) -> None:
        self.machine.add_to_role_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[each.function_arn for each in functions])
        )
        self.machine.add_to_role_policy(
            iam.PolicyStatement(actions=["sns:Publish"], resources=[self.rejects.topic_arn])
        )
        self._key.grant(self.machine.role, "kms:Decrypt", "kms:GenerateDataKey")  # of the topic
        acknowledge(self.machine, "Its log has every transition; tracing each item costs more.", "AwsSolutions-SF2")
        acknowledge(
            self.machine,
            "Delivery of state machines' logs is granted by AWS on all resources only.",
            "AwsSolutions-IAM5[Resource::*]",
        )

    def _arrival(self) -> None:
        """A photograph below `incoming/` or `new-data/` → the machine; what cannot be delivered waits in a queue."""
        self.lost = lost_events(self, "LostPhotographs", self._key)
        acknowledge(self.lost, "It is the rule's dead-letter queue, which this rule cannot see.", "AwsSolutions-SQS3")
        prefixes = [{"prefix": prefix} for prefix in (INCOMING, NEW_DATA)]
        events.Rule(
            self,
            "Arrived",
            description="A photograph has arrived",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [self._storage.data.bucket_name]}, "object": {"key": prefixes}},
            ),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets=[targets.SfnStateMachine(self.machine, dead_letter_queue=self.lost)],
        )

    def _watch(self, alarms: sns.Topic) -> None:
        minutes = cdk.Duration.minutes(5)
        alarm(
            self,
            "PhotographsFailed",
            topic=alarms,
            metric=self.machine.metric_failed(period=minutes),
            threshold=1,
            description="A photograph got no verdict, though it was tried again: the state machine's log names the "
            "step and the reason. Mend it; the sweep tries the photograph again within six hours, or at once when its "
            "function Sweep is invoked.",
        )
        alarm(
            self,
            "PhotographsTimedOut",
            topic=alarms,
            metric=self.machine.metric_timed_out(period=minutes),
            threshold=1,
            description="A photograph got no verdict within five minutes: the state machine's log names the step that "
            "waited, most often a model that does not answer in time. The sweep tries the photograph again within six "
            "hours, or at once when its function Sweep is invoked.",
        )
        alarm(
            self,
            "PhotographsLost",
            topic=alarms,
            metric=self.lost.metric_approximate_number_of_messages_visible(period=minutes),
            threshold=1,
            description="EventBridge could not hand a photograph to the state machine: the event lies in the queue "
            "LostPhotographs. The sweep finds the photograph within six hours, or at once when its function Sweep is "
            "invoked.",
        )
