"""An HTTP API whose every route knows its caller, by a Cognito token or by IAM; throttled and logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import aws_cdk.aws_apigatewayv2 as apigw
import aws_cdk.aws_apigatewayv2_authorizers as authorizers
import aws_cdk.aws_apigatewayv2_integrations as integrations
from constructs import Construct

from stacks.building_blocks.data_lake import log_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import aws_cdk.aws_cognito as cognito
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_

    from stacks.config import EnvironmentConfig

_LOGGED = (
    "requestId",
    "requestTimeEpoch",
    "identity.sourceIp",
    "httpMethod",
    "path",
    "status",
    "responseLatency",
    "integrationErrorMessage",
    "authorizer.error",
)


class HttpApi(Construct):
    """API Gateway v2 with one default stage; `authorize_with` or `authorize_with_iam` says who may call."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        key: kms.Key,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = apigw.HttpApi(self, "Api", create_default_stage=False)
        self._authorizer: apigw.IHttpRouteAuthorizer | None = None
        self.stage = apigw.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigw.ThrottleSettings(rate_limit=50, burst_limit=100),
        )
        cast(
            "apigw.CfnStage", self.stage.node.default_child
        ).access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group(self, "AccessLog", environment=environment, key=key).log_group_arn,
            format=json.dumps({name: f"$context.{name}" for name in _LOGGED}),
        )

    @property
    def domain(self) -> str:
        """Host name of the API, without scheme and path."""
        return f"{self.api.api_id}.execute-api.{cdk.Stack.of(self).region}.{cdk.Aws.URL_SUFFIX}"

    def authorize_with(self, pool: cognito.UserPool, client: cognito.UserPoolClient) -> None:
        """Routes added from now on take tokens of this pool's client."""
        self._authorizer = authorizers.HttpUserPoolAuthorizer("Users", pool, user_pool_clients=[client])

    def authorize_with_iam(self) -> None:
        """Routes added from now on take requests signed by whom IAM allows `execute-api:Invoke`."""
        self._authorizer = authorizers.HttpIamAuthorizer()

    def route(self, methods: Mapping[str, Sequence[apigw.HttpMethod]], function: lambda_.Function) -> None:
        """Sends requests to a function, by path and its methods; the caller must be known.

        Raises:
            ValueError: nothing says yet who may call: such a route would be public.
        """
        if self._authorizer is None:
            raise ValueError(
                f"routes {list(methods)}: say first who may call (authorize_with), or they would be public"
            )
        integration = integrations.HttpLambdaIntegration(
            "Function",
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            function,
            scope_permission_to_route=False,
        )
        for path, allowed in methods.items():
            self.api.add_routes(path=path, methods=allowed, integration=integration, authorizer=self._authorizer)
