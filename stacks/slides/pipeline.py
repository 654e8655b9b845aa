"""The state machine from a cohort's slides.csv to a registered model, and what starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam
import aws_cdk.aws_stepfunctions as sfn
from constructs import Construct

from sextant.slides.evaluation import METRIC_DEFINITIONS
from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.data_lake import log_group
from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.nag import acknowledge
from stacks.slides import steps, training
from stacks.slides.arrival import start_on_arrival
from stacks.slides.steps import Cluster

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns

    from stacks.config import EnvironmentConfig
    from stacks.slides.config import SlidesConfig
    from stacks.slides.execution import Execution


class Pipeline(Construct):
    """slides.csv → start → plan → tile → pack → features → train → score → evaluate → register.

    A network that is fine-tuned learns from the tiles themselves: then there is no step for features.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        execution: Execution,
        register: lambda_.Function,
        slides: s3.IBucket,
        runs: s3.IBucket,
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        log = log_group(self, "Log", environment=environment, key=key)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._chain(environment, execution, register)),
            query_language=sfn.QueryLanguage.JSONATA,
            logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL),
            timeout=cdk.Duration.days(7),
        )
        acknowledge(self.machine, "Its log has every transition; the jobs' own logs the rest.", "AwsSolutions-SF2")
        acknowledge(
            self.machine,
            "Delivery of state machines' logs is granted by AWS on all resources only.",
            "AwsSolutions-IAM5[Resource::*]",
        )
        self._grant_jobs(execution)
        self.machine.add_to_role_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[register.function_arn])
        )
        start_on_arrival(
            self, environment=environment, machine=self.machine, slides=slides, runs=runs, key=key, alarms=alarms
        )
        alarm(
            self,
            "RunsFailed",
            topic=alarms,
            metric=self.machine.metric_failed(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="A run over a cohort of slides failed. The execution names the step and SageMaker's reason; "
            "the job's log has the rest. Mend the cause, then go on with the run within 14 days (on its page in the "
            "console, or `aws stepfunctions redrive-execution`): it begins with the step that failed. After a change "
            "of slides, table or environment put slides.csv again: that is a new run.",
        )

    def _chain(
        self, environment: EnvironmentConfig, execution: Execution, register: lambda_.Function
    ) -> sfn.IChainable:
        settings, jobs = environment.slides, execution.jobs
        tiling = Cluster(settings.tiling_instance_type, settings.tiling_instances, settings.tiling_volume_gb)
        power = settings.unknown_magnification
        slides, model = steps.expression(steps.SLIDES), steps.expression(steps.MODEL)
        plan = [
            *("--table", steps.expression(steps.TABLE), "--slides", slides),
            *("--hosts", str(tiling.instances), "--salt", settings.salt),
            *("--size", str(settings.tile_px), "--magnification", f"{settings.magnification:g}"),
            *("--background", f"{settings.background:g}", "--encoding", settings.encoding),
            *(("--unknown-magnification", f"{power:g}") if power else ()),
        ]
        states = {
            "Plan": steps.processing("plan", plan, jobs, Cluster("ml.m5.2xlarge", volume_gb=200)),
            "Tile": steps.processing("tile", ["--slides", slides], jobs, tiling),
            **(_finetuned(settings, execution) if settings.training == "finetune" else _headed(settings, execution)),
            "Model": steps.model(jobs),
            "Score": steps.transform(Cluster(settings.serving_instance_type)),
            "Evaluate": steps.processing("evaluate", ["--model", model], jobs, Cluster("ml.m5.2xlarge")),
            "Register": steps.called(register.function_arn),
        }
        chain: sfn.Chain | None = None
        for name, state in states.items():
            step = sfn.CustomState(self, name, state_json=state)
            chain = chain.next(step) if chain else sfn.Chain.start(step)
        assert chain is not None
        return chain

    def _grant_jobs(self, execution: Execution) -> None:
        """Making, watching and ending jobs: their names begin with a run's; handing them the execution role."""
        stack = cdk.Stack.of(self)

        def arns(kind: str) -> str:
            return stack.format_arn(service="sagemaker", resource=kind, resource_name="*")

        for kind in ("Processing", "Training", "Transform"):
            self.machine.add_to_role_policy(
                iam.PolicyStatement(
                    actions=[f"sagemaker:{verb}{kind}Job" for verb in ("Create", "Describe", "Stop")]
                    + ["sagemaker:AddTags", "sagemaker:ListTags"],
                    resources=[arns(f"{kind.lower()}-job")],
                )
            )
        self.machine.add_to_role_policy(
            iam.PolicyStatement(actions=["sagemaker:CreateModel", "sagemaker:AddTags"], resources=[arns("model")])
        )
        self.machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[execution.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
        rules = [
            stack.format_arn(
                service="events", resource="rule", resource_name=f"StepFunctionsGetEventsForSageMaker{kind}JobsRule"
            )
            for kind in ("Processing", "Training", "Transform")
        ]
        self.machine.add_to_role_policy(
            iam.PolicyStatement(actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"], resources=rules)
        )
        jobs = [arns(f"{kind}-job") for kind in ("processing", "training", "transform")]
        acknowledge(
            self.machine,
            "Jobs and models are named after their run, whose name is not known beforehand.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(execution.role, arn)}]" for arn in (*jobs, arns("model"))),
        )


_PACKING = Cluster("ml.m5.2xlarge", volume_gb=200)
_MOST_GPUS = 8
"""Of an instance; every number of them that instances have divides it."""


def _headed(settings: SlidesConfig, execution: Execution) -> dict[str, steps.State]:
    """The steps from tiles to a head on the features of a frozen encoder."""
    jobs = execution.jobs
    features = Cluster(settings.feature_instance_type, settings.feature_instances)
    hyperparameters = {
        "encoder": settings.encoder,
        "head": "attention" if settings.aggregation == "attention" else "linear",
        "aggregation": settings.aggregation,
    }
    return {
        "Pack": steps.processing("pack", [], jobs, _PACKING),
        "Features": steps.processing("features", ["--encoder", settings.encoder], jobs, features),
        "Train": training.head(jobs, Cluster(settings.training_instance_type), hyperparameters, METRIC_DEFINITIONS),
    }


def _finetuned(settings: SlidesConfig, execution: Execution) -> dict[str, steps.State]:
    """The steps from tiles to a network that was trained on them, in shards that any number of GPUs shares equally."""
    jobs, torch = execution.jobs, execution.torch
    assert torch is not None
    hyperparameters = {
        "mode": "finetune",
        "epochs": str(settings.training_epochs),
        "aggregation": settings.aggregation,
    }
    cluster = Cluster(settings.training_instance_type, settings.training_instances)
    ranks = str(settings.training_instances * _MOST_GPUS)
    return {
        "Pack": steps.processing("pack", ["--world-size", ranks], jobs, _PACKING),
        "Train": training.finetuning(jobs, torch, cluster, hyperparameters, METRIC_DEFINITIONS),
    }
