"""What trainings and endpoints run in and as: one image, one role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_ecr_assets as ecr_assets
import aws_cdk.aws_iam as iam
from constructs import Construct

from stacks.building_blocks.grants import as_finding
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.network import network
from stacks.building_blocks.python_code import ROOT, image_context

if TYPE_CHECKING:
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
        self._grant_telling()
        place = network(self, environment)
        self.network = (
            {"SecurityGroupIds": [place.security_group.security_group_id], "Subnets": list(place.subnet_ids)}
            if place
            else {}
        )
        if place:
            self._grant_network()

    def arns(self, kind: str) -> str:
        """The ARN pattern of SageMaker's resources of a kind (`training-job`, `endpoint` …) that this system makes."""
        return cdk.Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=f"{self.prefix}-*")

    def grant_use(self, role: iam.Role) -> None:
        """Trainings, and with the backends that need them endpoints: those whose names begin with the prefix."""
        backend, _, config = self._backend.partition(":")
        kinds: dict[str, tuple[str, ...]] = {"training-job": ("CreateTrainingJob", "DescribeTrainingJob", "AddTags")}
        if backend in {"sagemaker", "marketplace"}:
            kinds["endpoint"] = ("CreateEndpoint", "DeleteEndpoint", "DescribeEndpoint", "InvokeEndpoint", "AddTags")
            kinds["endpoint-config"] = ("CreateEndpoint", "CreateEndpointConfig", "DeleteEndpointConfig", "AddTags")
            kinds["model"] = ("CreateModel", "DeleteModel", "AddTags")
        for kind, actions in kinds.items():
            allowed = [f"sagemaker:{action}" for action in actions]
            resources = [self.arns(kind)]
            if kind == "endpoint-config" and config:
                named = cdk.Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=config)
                resources.append(named)
            role.add_to_principal_policy(iam.PolicyStatement(actions=allowed, resources=resources))
        if backend == "lookoutvision":
            actions = ("StartModel", "StopModel", "DescribeModel", "DetectAnomalies")
            models = cdk.Stack.of(self).format_arn(service="lookoutvision", resource="model", resource_name="*")
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=[f"lookoutvision:{each}" for each in actions], resources=[models])
            )
            acknowledge(
                role,
                "Models of the service in this account: their projects are not known beforehand.",
                f"AwsSolutions-IAM5[Resource::{as_finding(role, models)}]",
            )
        self._grant_pass(role)
        acknowledge(
            role,
            "Jobs and endpoints are named after project and version, which are not known beforehand.",
            *(f"AwsSolutions-IAM5[Resource::{as_finding(role, self.arns(kind))}]" for kind in kinds),
        )

    def _grant_pass(self, role: iam.Role) -> None:
        """Lets a role hand the execution role to SageMaker."""
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )

    def _grant_telling(self) -> None:
        """Logs and metrics of jobs: SageMaker names the groups, and metrics have no resources at all."""
        groups = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                resources=[groups],
            )
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
            )
        )
        acknowledge(
            self.role,
            "Metrics have no resource (their namespace is bound); a registry's token is the account's; SageMaker names "
            "the log groups of its jobs.",
            "AwsSolutions-IAM5[Resource::*]",
            f"AwsSolutions-IAM5[Resource::{as_finding(self.role, groups)}]",
        )

    def _grant_network(self) -> None:
        """SageMaker makes the jobs' network interfaces in the role's name."""
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "ec2:CreateNetworkInterface",
                    "ec2:CreateNetworkInterfacePermission",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteNetworkInterfacePermission",
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ],
                resources=["*"],  # an interface has no name before it exists
            )
        )
