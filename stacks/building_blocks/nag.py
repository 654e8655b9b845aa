"""Findings of cdk-nag that stand, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

if TYPE_CHECKING:
    from constructs import IConstruct


def acknowledge(scope: IConstruct, reason: str, *ids: str) -> None:
    """Lets findings stand under `scope`.

    Args:
        scope: the construct, with all below it.
        reason: why each of them is right here.
        ids: `AwsSolutions-S1`, `AwsSolutions-IAM5[Resource::*]`, `HIPAA.Security-LambdaDLQ`, or `Annotation::…`.
    """
    for finding in ids:
        pack = "HIPAA.Security" if finding.startswith("HIPAA.Security-") else "AwsSolutions"
        qualified = finding if finding.startswith("Annotation::") else f"{pack}::{finding}"
        cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=qualified, reason=reason))
