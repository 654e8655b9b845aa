"""What the jobs run in and as: one image, one role; a fine-tuning runs in SageMaker's own container of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_ecr_assets as ecr_assets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_s3_assets as assets
from aws_cdk.region_info import FactName
from constructs import Construct

from stacks.building_blocks.grants import grant_read, grant_read_write
from stacks.building_blocks.jobs import grant_interfaces, grant_telling, vpc_config
from stacks.building_blocks.network import network
from stacks.building_blocks.python_code import ROOT, archive, image_context
from stacks.slides.steps import Jobs
from stacks.slides.training import Torch

if TYPE_CHECKING:
    import aws_cdk.aws_s3 as s3

    from stacks.config import EnvironmentConfig
    from stacks.slides.config import SlidesConfig


_REPOSITORY = "pytorch"
_GPU, _CPU = "2.13-cu133-amzn2023-sagemaker", "2.13-cpu-amzn2023-sagemaker"
"""SageMaker's images of the current line of PyTorch, as its SDK 3.27 names them for training."""
_WITH_GPUS = ("ml.g", "ml.p")


class Execution(Construct):
    """`jobs` is what every job shares; `role` is theirs; `torch` is what a fine-tuning runs in, where there is one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        slides: s3.IBucket,
        runs: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(
                image_context(ROOT / "processing" / "slides" / "Dockerfile", "sextant", "processing/slides", "training")
            ),
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        grant_read(self.role, slides)
        grant_read_write(self.role, runs)
        image.repository.grant_pull(self.role)
        grant_telling(self.role)
        place = network(self, environment)
        if place:
            grant_interfaces(self.role)
        self._grant_encoder(environment.slides.encoder)
        self.torch = self._torch(environment.slides) if environment.slides.training == "finetune" else None
        self.jobs = Jobs(
            image=image.image_uri,
            role=self.role.role_arn,
            network=vpc_config(place) if place else None,
        )

    def _grant_encoder(self, encoder: str) -> None:
        """Reading the encoder's graph, where it lies in S3."""
        kind, _, uri = encoder.partition(":")
        if kind != "onnx":
            return
        place = uri.removeprefix("s3://")
        arn = cdk.Stack.of(self).format_arn(service="s3", region="", account="", resource=place)
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[arn]))

    def _torch(self, settings: SlidesConfig) -> Torch:
        """SageMaker's container of PyTorch in this region, for the kind of instance, and the code as an object."""
        stack = cdk.Stack.of(self)
        account = stack.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT)
        registry = f"{account}.dkr.ecr.{stack.region}.{stack.url_suffix}"
        gpus = settings.training_instance_type.startswith(_WITH_GPUS)
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=[
                    stack.format_arn(service="ecr", account=account, resource="repository", resource_name=_REPOSITORY)
                ],
            )
        )
        code = assets.Asset(self, "Code", path=str(archive("sextant", "training")))
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[code.bucket.arn_for_objects(code.s3_object_key)])
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[code.bucket.bucket_arn])
        )
        return Torch(image=f"{registry}/{_REPOSITORY}:{_GPU if gpus else _CPU}", code=code.s3_object_url)
