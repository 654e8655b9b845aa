"""A Cognito user pool that only administrators add people to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import aws_cdk.aws_cognito as cognito

from stacks.building_blocks.data_lake import removal
from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig

Mfa = Literal["required", "optional"]


def closed_user_pool(
    scope: Construct,
    construct_id: str,
    *,
    environment: EnvironmentConfig,
    mfa: Mfa,
    sign_in: cognito.SignInAliases,
) -> cognito.UserPool:
    """No sign-up, long passwords, a second factor by app where `mfa` says so; recovery by e-mail only."""
    required = mfa == "required"
    pool = cognito.UserPool(
        scope,
        construct_id,
        sign_in_aliases=sign_in,
        self_sign_up_enabled=False,
        account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
        mfa=cognito.Mfa.REQUIRED if required else cognito.Mfa.OPTIONAL,
        mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
        password_policy=cognito.PasswordPolicy(
            min_length=14, require_lowercase=True, require_uppercase=True, require_digits=True, require_symbols=True
        ),
        deletion_protection=environment.termination_protection,
        removal_policy=removal(environment),
    )
    if not required:
        acknowledge(pool, 'This environment says mfa = "optional".', "AwsSolutions-COG2")
    acknowledge(
        pool,
        "Threat protection needs Cognito's Plus plan, paid per user; sign-up is closed and passwords are long.",
        "AwsSolutions-COG3",
        "AwsSolutions-COG8",
    )
    return pool
