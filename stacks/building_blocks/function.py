"""A Lambda function of this repository: own log group and role, encrypted settings, the environment's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import aws_cdk as cdk
import aws_cdk.aws_ecr_assets as ecr_assets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_lambda as lambda_
import aws_cdk.aws_sqs as sqs
from constructs import Construct

from stacks.building_blocks.data_lake import log_group
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.network import network
from stacks.building_blocks.python_code import ARCHITECTURE, RUNTIME, handlers, powertools_layer, sextant_layer

if TYPE_CHECKING:
    from pathlib import Path

    import aws_cdk.aws_kms as kms

    from stacks.config import EnvironmentConfig

Code: TypeAlias = dict[str, Any]
"""What a function runs: the properties of `lambda_.Function` that say so."""


class PythonFunction(Construct):
    """`function` runs `lambdas.{system}.{file}.handler` with Powertools and the package sextant; `role` is its own.

    A function that events start, and nobody waits for, needs a queue for `lost_events`: those that failed each time.
    `image` is the build context of an image that holds all of that and more, for a function whose libraries are too
    large for a zip; its entry point takes the handler as its command.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        handler: str,
        description: str,
        key: kms.Key,
        variables: dict[str, str],
        timeout_seconds: int,
        memory_mb: int = 512,
        lost_events: sqs.Queue | None = None,
        image: Path | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        _, system, _, _ = handler.split(".")
        log = log_group(self, "Log", environment=environment, key=key)
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(self.role)
        key.grant(self.role, "kms:Decrypt")  # its environment variables
        place = network(self, environment)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            **(_of_image(image, handler) if image else self._of_layers(system, handler)),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            role=self.role,
            memory_size=memory_mb,
            timeout=cdk.Duration.seconds(timeout_seconds),
            log_group=log,
            environment={
                "POWERTOOLS_SERVICE_NAME": system,
                "POWERTOOLS_METRICS_NAMESPACE": environment.metrics_namespace,
                "POWERTOOLS_LOG_LEVEL": "INFO",  # who started and stopped what must be in the log everywhere
                **variables,
            },
            environment_encryption=key,
            dead_letter_queue=lost_events,
            vpc=place.vpc if place else None,
            vpc_subnets=place.subnets if place else None,
            security_groups=[place.security_group] if place else None,
        )
        if lost_events is None:
            acknowledge(
                self,
                "Called and waited for by API Gateway or CloudFormation: nothing is queued, so nothing is left over.",
                "HIPAA.Security-LambdaDLQ",
            )
        acknowledge(
            self,
            "The API's throttling or the job's single run bounds it; reserving concurrency would take it from others.",
            "HIPAA.Security-LambdaConcurrency",
        )
        if place:
            acknowledge(
                self,
                "AWS's own policy for functions in a network: interfaces have no names beforehand.",
                "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]",
            )
        else:
            acknowledge(
                self,
                "It speaks to AWS APIs only, by TLS; environments with vpc_id place it in their network.",
                "HIPAA.Security-LambdaInsideVPC",
            )

    def _of_layers(self, system: str, handler: str) -> Code:
        return {
            "runtime": RUNTIME,
            "architecture": ARCHITECTURE,
            "code": handlers(system),
            "handler": handler,
            "layers": [powertools_layer(self), sextant_layer(self)],
        }


def _of_image(context: Path, handler: str) -> Code:
    # Of the architecture that most machines build for; an ARM image would need an emulator there.
    platform = ecr_assets.Platform.LINUX_AMD64
    return {
        "runtime": lambda_.Runtime.FROM_IMAGE,
        "architecture": lambda_.Architecture.X86_64,
        "code": lambda_.Code.from_asset_image(str(context), cmd=[handler], platform=platform),
        "handler": lambda_.Handler.FROM_IMAGE,
    }


def lost_events(scope: Construct, construct_id: str, key: kms.Key) -> sqs.Queue:
    """A queue for the events that a function failed on each time; they wait two weeks for a person."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(14),
    )
