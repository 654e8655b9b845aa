"""One environment as a CDK stage: the only place where stacks are made and joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.building_blocks.nag import acknowledge
from stacks.console.stack import ConsoleStack
from stacks.inspection.stack import InspectionStack
from stacks.labeling.quicksight import QuickSightStack
from stacks.labeling.stack import LabelingStack
from stacks.slides.stack import SlidesStack

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig


class SystemsStage(cdk.Stage):
    """The systems an environment asks for, one stack each, and the console over those that are there."""

    def __init__(self, scope: Construct, environment: EnvironmentConfig) -> None:
        super().__init__(
            scope,
            environment.name,
            env=cdk.Environment(account=environment.account, region=environment.region),
            permissions_boundary=_boundary(environment.permissions_boundary),
        )
        labeling = LabelingStack(self, "Labeling", environment) if "labeling" in environment.systems else None
        if labeling and environment.quicksight:
            QuickSightStack(self, "LabelingQuickSight", environment, settings=environment.quicksight, labeling=labeling)
        slides = SlidesStack(self, "Slides", environment) if "slides" in environment.systems else None
        inspection = InspectionStack(self, "Inspection", environment) if "inspection" in environment.systems else None
        if environment.console:
            ConsoleStack(
                self,
                "Console",
                environment,
                console=environment.console,
                dashboards=labeling.dashboards if labeling else None,
                slides=slides.pages if slides else None,
                inspection=inspection.pages if inspection else None,
                operations={
                    **({"labeling": labeling.operation} if labeling else {}),
                    **({"slides": slides.operation} if slides else {}),
                    **({"inspection": inspection.operation} if inspection else {}),
                },
            )
        for stack in self.node.children:
            own = {"sextant:environment": environment.name, "sextant:system": stack.node.id.lower()}
            for key, value in (own | environment.tags).items():
                cdk.Tags.of(stack).add(key, value)
            acknowledge(
                stack,
                "Each policy belongs to one role and is deleted with it: none is shared.",
                "HIPAA.Security-IAMNoInlinePolicy",
            )


def _boundary(policy: str | None) -> cdk.PermissionsBoundary | None:
    if policy is None:
        return None
    return (
        cdk.PermissionsBoundary.from_arn(policy)
        if policy.startswith("arn:")
        else cdk.PermissionsBoundary.from_name(policy)
    )
