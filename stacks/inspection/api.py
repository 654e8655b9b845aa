"""The API of Lookout for Vision: HTTP API with IAM, its function, and the functions that finish what it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_apigatewayv2 as apigw
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets
import aws_cdk.aws_iam as iam
from constructs import Construct

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction, lost_events
from stacks.building_blocks.http_api import HttpApi
from stacks.inspection.looking import MEMORY_MB, looking_image

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_sns as sns

    from stacks.config import EnvironmentConfig
    from stacks.inspection.execution import Execution
    from stacks.inspection.storage import Storage

ROUTE = "/2020-11-20/{proxy+}"
_BACKENDS = {"lookoutvision": "legacy"}
"""The environment's words for a backend, where the API has another."""
_NONE = "none"
"""For the functions that never start another: CloudFormation lets none name itself."""


class Api(Construct):
    """`url` is what clients call; `variables` and `grant` are for functions that work with the API's state, too."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        storage: Storage,
        execution: Execution,
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment, self._storage, self._execution = environment, storage, execution
        self._key, self._alarms = key, alarms
        self.lost = lost_events(self, "LostEvents", key)
        self._ingest = self._later("Ingest", "ingest", "Reads a dataset's manifest, writes or deletes its entries", 900)
        storage.grant_source_versions(self._ingest.role)
        self._packaging = self._later("Packaging", "packaging", "Packs a trained model for edge devices", 300)
        self._trained()
        made = PythonFunction(
            self,
            "Function",
            environment=environment,
            handler="lambdas.inspection.api.handler",
            description="Answers the API of Lookout for Vision",
            key=key,
            variables=self.variables(),
            timeout_seconds=29,  # API Gateway gives up after 30
            memory_mb=MEMORY_MB,
            image=looking_image(),
        )
        self.grant(made.role)
        api = HttpApi(self, "Http", environment=environment, key=key)
        api.authorize_with_iam()
        api.route({ROUTE: [apigw.HttpMethod.ANY]}, made.function)
        self.url = api.api.api_endpoint
        self.function = made.function
        for name, metric, told in (
            ("ServerErrors", api.api.metric_server_error(period=cdk.Duration.minutes(5)), "answered with a 5xx"),
            ("Throttles", made.function.metric_throttles(period=cdk.Duration.minutes(5)), "was refused by Lambda"),
        ):
            alarm(
                self,
                name,
                topic=alarms,
                metric=metric,
                threshold=1,
                description=f"The API of Lookout for Vision {told}. Its function's log has the reason at level ERROR, "
                "by the request's id; refused means that the account's concurrency is used up.",
            )
        alarm(
            self,
            "EventsLost",
            topic=alarms,
            metric=self.lost.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="A dataset's change, a packaging job or the end of a training failed each time: its event lies "
            "in the queue LostEvents, the reason in the log of Ingest, Packaging or Trained. Mend it; the change "
            "counts as failed after two hours and can be asked for again, a training is settled by DescribeModel.",
        )

    def variables(self, *, starts: bool = True) -> dict[str, str]:
        """The environment of `sextant.inspection.api.services.Place`; `starts` for functions that start the others."""
        settings, execution = self._environment.inspection, self._execution
        backend, _, config = settings.backend.partition(":")
        return {
            "TABLE": self._storage.table.table_name,
            "BUCKET": self._storage.data.bucket_name,
            "ACCOUNT_ID": cdk.Aws.ACCOUNT_ID,
            "INGEST_FUNCTION": self._ingest.function.function_name if starts else _NONE,
            "PACKAGING_FUNCTION": self._packaging.function.function_name if starts else _NONE,
            "PREFIX": execution.prefix,
            "IMAGE": execution.image,
            "ROLE_ARN": execution.role.role_arn,
            "TRAINING_INSTANCE_TYPE": settings.training_instance_type,
            "NETWORK": cdk.Stack.of(self).to_json_string(execution.network),
            "BACKEND": _BACKENDS.get(backend, backend),
            "HOSTING_INSTANCE_TYPE": settings.hosting_instance_type,
            "ENDPOINT_CONFIG": config,
            "METRICS": f"{self._environment.metrics_namespace}/LookoutVision",
        }

    def grant(self, role: iam.Role) -> None:
        """All that the API's operations need: table, bucket, trainings, hosting, and starting what runs later."""
        self._storage.grant_table(role)
        self._storage.grant_sources(role)
        self._storage.grant_data(role, writes=("projects/",))
        self._storage.grant_outputs(role)
        for made in (self._ingest, self._packaging):
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[made.function.function_arn])
            )
        self._execution.grant_manage(role)

    def _later(self, construct_id: str, file: str, description: str, seconds: int) -> PythonFunction:
        made = PythonFunction(
            self,
            construct_id,
            environment=self._environment,
            handler=f"lambdas.inspection.{file}.handler",
            description=description,
            key=self._key,
            variables=self.variables(starts=False),
            timeout_seconds=seconds,
            lost_events=self.lost,
        )
        self._storage.grant_table(made.role)
        self._storage.grant_sources(made.role)
        self._storage.grant_data(made.role, writes=("projects/",))
        self._storage.grant_outputs(made.role)
        return made

    def _trained(self) -> None:
        """A training job has come to an end → function → its version has, too."""
        made = self._later("Trained", "trained", "Settles a model version whose training has ended", 60)
        self._execution.grant_ask(made.role)
        events.Rule(
            self,
            "TrainingEnded",
            description="A training job of this system has come to an end",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Training Job State Change"],
                detail={
                    "TrainingJobName": [{"prefix": f"{self._execution.prefix}-"}],
                    "TrainingJobStatus": ["Completed", "Failed", "Stopped"],
                },
            ),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets=[
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                targets.LambdaFunction(made.function)
            ],
        )
