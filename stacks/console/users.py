"""Who may use the console: a user pool with sign-in by code and PKCE, and groups that name roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_cognito as cognito
from constructs import Construct

from stacks.building_blocks.user_pool import closed_user_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stacks.config import ConsoleConfig, EnvironmentConfig

GROUPS = {"admin": "May change everything", "analyst": "May read reports and dashboards"}


class Users(Construct):
    """`pool`, and `sign_in_origin`: where its sign-in pages are. Administrators add the users."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: EnvironmentConfig, console: ConsoleConfig
    ) -> None:
        super().__init__(scope, construct_id)
        self.pool = closed_user_pool(
            self, "Pool", environment=environment, mfa=console.mfa, sign_in=cognito.SignInAliases(email=True)
        )
        for name, description in GROUPS.items():
            cognito.CfnUserPoolGroup(
                self, name.title(), group_name=name, description=description, user_pool_id=self.pool.user_pool_id
            )
        prefix = f"sextant-{environment.name}-{environment.account}"  # unique in the region, as Cognito demands
        self.pool.add_domain("Domain", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=prefix))
        self.sign_in_origin = f"https://{prefix}.auth.{environment.region}.amazoncognito.com"

    def client(self, return_to: Sequence[str]) -> cognito.UserPoolClient:
        """The console as a public client: code grant with PKCE, no secret; returns to the given URLs only."""
        return self.pool.add_client(
            "Console",
            generate_secret=False,
            # Administrators, with AWS credentials, may sign a user in for a test; browsers take the code grant.
            auth_flows=cognito.AuthFlow(admin_user_password=True),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
                callback_urls=list(return_to),
                logout_urls=list(return_to),
            ),
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=cdk.Duration.hours(1),
            id_token_validity=cdk.Duration.hours(1),
            refresh_token_validity=cdk.Duration.hours(12),
        )
