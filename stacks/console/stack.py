"""The console: its pages, who may sign in, and the API over the systems that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.building_blocks.alarms import alarm_topic
from stacks.building_blocks.data_lake import data_key
from stacks.building_blocks.http_api import HttpApi
from stacks.building_blocks.static_site import StaticSite
from stacks.console.alarms import watch
from stacks.console.api import (
    DASHBOARD_ROUTES,
    INSPECTION_ROUTES,
    ROUTES,
    SLIDE_ROUTES,
    console_function,
    operation_routes,
)
from stacks.console.users import Users
from web import site

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aws_cdk.aws_lambda as lambda_
    from constructs import Construct

    from stacks.config import ConsoleConfig, EnvironmentConfig


class ConsoleStack(cdk.Stack):
    """CloudFront → pages in a bucket; `/api/*` → HTTP API (Cognito token) → the functions of console and systems."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        environment: EnvironmentConfig,
        *,
        console: ConsoleConfig,
        dashboards: lambda_.Function | None,
        slides: lambda_.Function | None,
        inspection: lambda_.Function | None,
        operations: Mapping[str, lambda_.Function],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Sextant: the web console",
            termination_protection=environment.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.bootstrap_qualifier),
        )
        key = data_key(self, environment)
        users = Users(self, "Users", environment=environment, console=console)
        api = HttpApi(self, "Api", environment=environment, key=key)
        pages = StaticSite(
            self,
            "Site",
            environment=environment,
            headers=site.security_headers(connect=[users.sign_in_origin]),
            api_domain=api.domain,
            key=key,
        )
        client = users.client(return_to=[pages.url, *console.callback_urls])
        api.authorize_with(users.pool, client)
        own = console_function(self, environment=environment, key=key).function
        api.route(ROUTES, own)
        for name, function in operations.items():
            api.route(operation_routes(name), function)
        if dashboards:
            api.route(DASHBOARD_ROUTES, dashboards)
        if slides:
            api.route(SLIDE_ROUTES, slides)
        if inspection:
            api.route(INSPECTION_ROUTES, inspection)
        pages.publish(
            {name: path for name, (path, _) in site.files().items()},
            {
                "apiBase": "",  # the page's own origin
                "systems": [*environment.systems],
                "cognito": {
                    "endpoint": users.sign_in_origin,
                    "clientId": client.user_pool_client_id,
                    "scopes": ["openid", "email"],
                },
            },
        )
        watch(self, topic=alarm_topic(self, environment, key), api=api.api, site=pages.distribution, function=own)

        cdk.CfnOutput(self, "ConsoleUrl", value=pages.url)
        cdk.CfnOutput(self, "DistributionId", value=pages.distribution.distribution_id)
        cdk.CfnOutput(self, "ApiUrl", value=api.api.api_endpoint)
        cdk.CfnOutput(self, "UserPoolId", value=users.pool.user_pool_id)
        cdk.CfnOutput(self, "UserPoolClientId", value=client.user_pool_client_id)
        cdk.CfnOutput(self, "SignInUrl", value=users.sign_in_origin)
