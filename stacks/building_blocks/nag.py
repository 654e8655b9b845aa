"""Findings of cdk-nag that stand, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

if TYPE_CHECKING:
    from constructs import IConstruct


def acknowledge(scope: IConstruct, reason: str, *ids: str) -> None:
    """Lets findings stand under `scope`, such as `AwsSolutions-S1` or `AwsSolutions-IAM5[Resource::*]`."""
    for finding in ids:
        pack = "HIPAA.Security" if finding.startswith("HIPAA.Security-") else "AwsSolutions"
        cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=f"{pack}::{finding}", reason=reason))
