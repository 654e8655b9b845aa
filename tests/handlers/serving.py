"""HTTP requests as API Gateway gives them to Lambda (payload format 2.0), and the handler with an Athena client."""

import importlib
import os
import sys
from types import SimpleNamespace
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from tests.handlers.lake import DATABASE, WORKGROUP

CONTEXT = SimpleNamespace(
    function_name="dashboards",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:dashboards",
    aws_request_id="8f2c",
    get_remaining_time_in_millis=lambda: 300_000,
)
ENVIRONMENT = {
    "DATABASE": DATABASE,
    "WORKGROUP": WORKGROUP,
    "WORKFLOW": "SMGT-Glue-Workflow",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "POWERTOOLS_METRICS_NAMESPACE": "Sextant/test",
}


def event(method, url, body=None, headers=None, groups="[analyst]"):
    """As an HTTP API with a JWT authorizer sends it: header names in lower case, the body and every claim as text."""
    parts = urlsplit(url)
    query = {name: ",".join(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(parts.path),
        "rawQueryString": parts.query,
        **({"queryStringParameters": query} if query else {}),
        "headers": {
            "content-type": "application/json",
            **{name.lower(): value for name, value in (headers or {}).items()},
        },
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "a1b2c3d4e5",
            "authorizer": {
                "jwt": {
                    "claims": {
                        "client_id": "3n4b5urk1ft4fl3mg5e62d9ado",
                        "cognito:groups": groups,
                        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a1B2c3D4e",
                        "sub": "c2d3e4f5-1111-2222-3333-444455556666",
                        "token_use": "access",
                    },
                    "scopes": None,
                }
            },
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "http": {
                "method": method,
                "path": parts.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "test",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "20/Mar/2026:09:30:00 +0000",
            "timeEpoch": 1773999000000,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def load_handler(athena, glue=None, **environment):
    """A cold start of the function, whose boto3 client factory returns `athena` and `glue`."""
    with (
        mock.patch.dict(os.environ, {**ENVIRONMENT, **environment}),
        mock.patch("sextant.aws.client", side_effect={"athena": athena, "glue": glue}.__getitem__),
    ):
        # Not reload: that would hand the new client to handlers loaded before.
        sys.modules.pop("lambdas.labeling.dashboards", None)
        module = importlib.import_module("lambdas.labeling.dashboards")
    return lambda request: module.handler(request, CONTEXT)
