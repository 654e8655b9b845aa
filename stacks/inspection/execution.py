"""What trainings and endpoints run in and as: one image, one role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_ecr_assets as ecr_assets
import aws_cdk.aws_iam as iam
from constructs import Construct

from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.jobs import grant_interfaces, grant_telling, vpc_config
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.network import network
from stacks.building_blocks.python_code import ROOT, image_context
from stacks.building_blocks.scaling import grant_scaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stacks.config import EnvironmentConfig
    from stacks.inspection.storage import Storage


class Execution(Construct):
    """`image` is its URI, `role` what SageMaker assumes, `network` SageMaker's VpcConfig or empty.

    Names of jobs, models and endpoints begin with `prefix`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: EnvironmentConfig, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        self._backend = environment.inspection.backend
        image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(
                image_context(ROOT / "training" / "inspection" / "Dockerfile", "sextant", "training/inspection")
            ),
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
        self.image = image.image_uri
        self.prefix = f"{environment.name}-inspection"
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        storage.grant_sources(self.role)
        storage.grant_data(self.role, writes=("projects/",))
        image.repository.grant_pull(self.role)
        grant_telling(self.role)
        place = network(self, environment)
        self.network = vpc_config(place) if place else {}
        if place:
            grant_interfaces(self.role)

    def grant_manage(self, role: iam.Role) -> None:
        """Trainings, and with the backends that need them endpoints: made, asked about, deleted."""
        self._grant(role, "training-job", "CreateTrainingJob", "AddTags")
        self._grant_pass(role)
        self.grant_host(role)

    def grant_host(self, role: iam.Role) -> None:
        """Starts and stops the hosting of models, and asks how far it has come; no trainings."""
        backend, _, config = self._backend.partition(":")
        named = [self._arn("endpoint-config", config)] if config else []
        if backend in {"sagemaker", "marketplace"}:
            self._grant(role, "endpoint", "CreateEndpoint", "DeleteEndpoint", "AddTags")
            config_actions = ("CreateEndpoint", "CreateEndpointConfig", "DeleteEndpointConfig", "AddTags")
            self._grant(role, "endpoint-config", *config_actions, more=named)
            self._grant(role, "model", "CreateModel", "DeleteModel", "AddTags")
            self._grant_pass(role)
            grant_scaling(role, f"{self.prefix}-*", "*")
        if backend == "lookoutvision":
            self._grant_service(role, "StartModel", "StopModel")
        self.grant_ask(role)

    def _grant_pass(self, role: iam.Role) -> None:
        """Hands SageMaker the role of trainings and endpoints."""
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )

    def grant_stop(self, role: iam.Role) -> None:
        """Ends a training before its time."""
        self._grant(role, "training-job", "StopTrainingJob")

    def grant_ask(self, role: iam.Role) -> None:
        """How far trainings and hostings have come, and what a hosted model says of a photograph."""
        backend, _, _ = self._backend.partition(":")
        self._grant(role, "training-job", "DescribeTrainingJob")
        if backend in {"sagemaker", "marketplace"}:
            self._grant(role, "endpoint", "DescribeEndpoint", "InvokeEndpoint")
        if backend == "lookoutvision":
            self._grant_service(role, "DescribeModel", "DetectAnomalies")

    def arns(self, kind: str) -> str:
        """The ARN pattern of SageMaker's resources of a kind (`training-job`, `endpoint` …) that this system makes."""
        return self._arn(kind, f"{self.prefix}-*")

    def _arn(self, kind: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=name)

    def _grant(self, role: iam.Role, kind: str, *actions: str, more: Sequence[str] = ()) -> None:
        """Actions on SageMaker's resources of a kind whose names begin with the prefix, and on some more."""
        mine = self.arns(kind)
        allowed = [f"sagemaker:{action}" for action in actions]
        role.add_to_principal_policy(iam.PolicyStatement(actions=allowed, resources=[mine, *more]))
        acknowledge(
            role,
            "Jobs and endpoints are named after project and version, which are not known beforehand.",
            f"AwsSolutions-IAM5[Resource::{as_finding(role, mine)}]",
        )

    def _grant_service(self, role: iam.Role, *actions: str) -> None:
        """Actions of Lookout for Vision itself."""
        models = cdk.Stack.of(self).format_arn(service="lookoutvision", resource="model", resource_name="*")
        allowed = [f"lookoutvision:{action}" for action in actions]
        role.add_to_principal_policy(iam.PolicyStatement(actions=allowed, resources=[models]))
        acknowledge(
            role,
            "Models of the service in this account: their projects are not known beforehand.",
            f"AwsSolutions-IAM5[Resource::{as_finding(role, models)}]",
        )
