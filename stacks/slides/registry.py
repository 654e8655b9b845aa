"""The model registry: what a run adds, and what happens when a person approves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_sagemaker as sagemaker
from constructs import Construct

from sextant.slides.deploy import VARIANT
from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction, lost_events
from stacks.building_blocks.grants import as_finding, grant_read
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.scaling import grant_scaling

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns

    from stacks.config import EnvironmentConfig
    from stacks.slides.execution import Execution


class Registry(Construct):
    """A group of model packages; `register` adds one, and an approved one gets the endpoint of the group's name."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        execution: Execution,
        runs: s3.IBucket,
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.group_name = f"{environment.name}-slides"
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=self.group_name,  # the endpoint has it, too: people and programs call it
            model_package_group_description="Slide classifiers, one version per run",
        )
        group.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        stack = cdk.Stack.of(self)
        packages = stack.format_arn(service="sagemaker", resource="model-package", resource_name=f"{self.group_name}/*")
        adding = PythonFunction(
            self,
            "Register",
            environment=environment,
            handler="lambdas.slides.register.handler",
            description="Adds a run's model to the registry, to be approved",
            key=key,
            variables={"MODEL_PACKAGE_GROUP": group.ref, "IMAGE": execution.jobs.image},
            timeout_seconds=60,
        )
        self.register = adding.function
        grant_read(adding.role, runs)
        adding.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["sagemaker:CreateModelPackage", "sagemaker:AddTags"],
                resources=[packages, group.attr_model_package_group_arn],
            )
        )
        acknowledge(
            adding.role,
            "Versions of this one group: their numbers are not known beforehand.",
            f"AwsSolutions-IAM5[Resource::{as_finding(adding.role, packages)}]",
        )
        self._deployment(environment, execution, packages=packages, key=key, alarms=alarms)

    def _deployment(
        self, environment: EnvironmentConfig, execution: Execution, *, packages: str, key: kms.Key, alarms: sns.Topic
    ) -> None:
        """A package was approved or rejected, or the endpoint has changed → function → model, endpoint."""
        stack, settings = cdk.Stack.of(self), environment.slides
        lost = lost_events(self, "LostApprovals", key)
        made = PythonFunction(
            self,
            "Deploy",
            environment=environment,
            handler="lambdas.slides.deploy.handler",
            description="Brings an approved model to its endpoint",
            key=key,
            variables={
                "ENDPOINT": self.group_name,
                "MODEL_PACKAGE_GROUP": self.group_name,
                "ROLE_ARN": execution.role.role_arn,
                "INSTANCE_TYPE": settings.serving_instance_type,
                "INSTANCES": str(settings.serving_instances),
                "INSTANCES_MAX": str(settings.serving_instances_max),
                "INVOCATIONS_PER_MINUTE": str(settings.serving_invocations_per_minute),
                "NETWORK": stack.to_json_string(execution.jobs.network or {}),
            },
            timeout_seconds=180,  # a failed endpoint's deletion is waited for
            lost_events=lost,
        )

        def arns(kind: str) -> str:
            return stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{self.group_name}*")

        made_here = [arns(kind) for kind in ("model", "endpoint-config", "endpoint")]
        made.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "sagemaker:AddTags",
                    "sagemaker:CreateEndpoint",
                    "sagemaker:CreateEndpointConfig",
                    "sagemaker:CreateModel",
                    "sagemaker:DeleteEndpoint",
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:DescribeEndpointConfig",
                    "sagemaker:ListTags",
                    "sagemaker:UpdateEndpoint",
                ],
                resources=made_here,
            )
        )
        made.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["sagemaker:DescribeModelPackage"], resources=[packages])
        )
        made.role.add_to_principal_policy(iam.PolicyStatement(actions=["sagemaker:ListModelPackages"], resources=["*"]))
        made.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[execution.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
        acknowledge(
            made.role,
            "Models and configurations are named after the group and a version that is not known beforehand. Listing "
            "packages has no resource to be limited to.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(made.role, arn)}]" for arn in (*made_here, packages)),
            "AwsSolutions-IAM5[Resource::*]",
        )
        grant_scaling(made.role, self.group_name, VARIANT)
        mine = {"ModelPackageGroupName": [self.group_name], "ModelApprovalStatus": ["Approved", "Rejected"]}
        settled = {"EndpointName": [self.group_name], "EndpointStatus": ["IN_SERVICE", "FAILED"]}
        for rule_id, kind, detail, description in (
            ("Approved", "Model Package", mine, "A person approved or rejected a model package"),
            ("Settled", "Endpoint", settled, "The endpoint's change is over: it serves, or has failed"),
        ):
            events.Rule(
                self,
                rule_id,
                description=description,
                event_pattern=events.EventPattern(
                    source=["aws.sagemaker"], detail_type=[f"SageMaker {kind} State Change"], detail=detail
                ),
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                targets=[
                    # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                    targets.LambdaFunction(made.function)
                ],
            )
        alarm(
            self,
            "ApprovalsLost",
            topic=alarms,
            metric=lost.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="A model was approved and the endpoint does not serve it: the event lies in the queue of lost "
            "approvals, the reason in the function's log. Reject the package, or mend the reason and approve it again.",
        )
