"""A web site: files in a private bucket behind CloudFront, which serves an API under the same origin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_cloudfront as cloudfront
import aws_cdk.aws_cloudfront_origins as origins
import aws_cdk.aws_iam as iam
import aws_cdk.aws_s3_assets as assets
from constructs import Construct

from stacks.building_blocks.data_lake import access_log_bucket, private_bucket
from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.grants import grant_read_write
from stacks.building_blocks.nag import acknowledge
from stacks.building_blocks.python_code import archive_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aws_cdk.aws_kms as kms

    from stacks.config import EnvironmentConfig


_PUBLISHING_SECONDS = 120


class StaticSite(Construct):
    """`distribution` serves the site, and `/api/*` from an API, so that pages and API share one origin.

    Args:
        environment: removal policy, retention, network.
        headers: the security headers of every answer.
        api_domain: host name of the API behind `/api/*`.
        key: encrypts the publishing function's log and settings.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        headers: Mapping[str, str],
        api_domain: str,
        key: kms.Key,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment, self._key = environment, key
        access_logs = access_log_bucket(self, environment, acls=True)
        self.bucket = private_bucket(
            self,
            "Files",
            environment=environment,
            access_logs=access_logs,
            unversioned_because="Holds a copy of the repository's files; every deployment writes them anew.",
        )
        acknowledge(
            self.bucket,
            "The files are public by purpose; CloudFront reads S3's own encryption without a grant on a key.",
            "HIPAA.Security-S3DefaultEncryptionKMS",
        )
        policy = _headers_policy(self, headers)
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{cdk.Stack.of(self).stack_name} console",
            default_root_object="index.html",
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            log_bucket=access_logs,
            log_file_prefix="cloudfront/",
            # CloudFront keeps errors for 10 s whatever the origin says, and one reader's fault is not another's answer.
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0))
                for status in (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
            ],
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=policy,
            ),
            additional_behaviors={
                "/api/*": cloudfront.BehaviorOptions(
                    origin=origins.HttpOrigin(api_domain, protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY),
                    viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                    allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                    cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                    origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                    response_headers_policy=policy,
                )
            },
        )
        _acknowledge_distribution(self.distribution)

    @property
    def url(self) -> str:
        return f"https://{self.distribution.distribution_domain_name}/"

    def publish(self, files: Mapping[str, Path], config: Mapping[str, object]) -> None:
        """Uploads files by their paths, and `config` as `config.json`, whenever one of them changes."""
        source = assets.Asset(self, "Source", path=str(archive_of(files)))
        publisher = PythonFunction(
            self,
            "Publisher",
            environment=self._environment,
            handler="lambdas.console.publish.handler",
            description="Uploads the console's files at deployment",
            key=self._key,
            variables={},
            timeout_seconds=_PUBLISHING_SECONDS,
        )
        grant_read_write(publisher.role, self.bucket)
        publisher.role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[source.bucket.arn_for_objects(source.s3_object_key)]
            )
        )
        cdk.CustomResource(
            self,
            "Publication",
            resource_type="Custom::Site",
            service_token=publisher.function.function_arn,
            # Else a publisher that dies without an answer keeps CloudFormation waiting for an hour.
            service_timeout=cdk.Duration.seconds(_PUBLISHING_SECONDS + 60),
            properties={
                "SourceBucket": source.s3_bucket_name,
                "SourceKey": source.s3_object_key,
                "TargetBucket": self.bucket.bucket_name,
                "Config": cdk.Stack.of(self).to_json_string(config),
            },
        ).node.add_dependency(publisher.role)


def _headers_policy(scope: Construct, headers: Mapping[str, str]) -> cloudfront.ResponseHeadersPolicy:
    """The headers as a policy. CloudFront has fields of its own for some and refuses those as custom headers."""
    own = dict(headers)
    csp, hsts = own.pop("Content-Security-Policy"), own.pop("Strict-Transport-Security")
    frame, referrer = own.pop("X-Frame-Options"), own.pop("Referrer-Policy")
    own.pop("X-Content-Type-Options")  # has one value
    max_age = re.search(r"max-age=(\d+)", hsts)
    if max_age is None:
        raise ValueError(f"Strict-Transport-Security: {hsts!r} has no max-age")
    return cloudfront.ResponseHeadersPolicy(
        scope,
        "SecurityHeaders",
        custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
            custom_headers=[
                cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                for name, value in sorted(own.items())
            ]
        ),
        security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=csp, override=True
            ),
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            frame_options=cloudfront.ResponseHeadersFrameOptions(
                frame_option=cloudfront.HeadersFrameOption[frame], override=True
            ),
            referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                referrer_policy=cloudfront.HeadersReferrerPolicy[referrer.upper().replace("-", "_")], override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=cdk.Duration.seconds(int(max_age[1])),
                include_subdomains="includeSubDomains" in hsts,
                override=True,
            ),
        ),
    )


def _acknowledge_distribution(distribution: cloudfront.Distribution) -> None:
    acknowledge(distribution, "Whoever may sign in may do so from anywhere; pages hold no data.", "AwsSolutions-CFR1")
    acknowledge(
        distribution,
        "Pages are static and the API takes only signed-in, throttled calls; a web ACL costs by the month.",
        "AwsSolutions-CFR2",
    )
    acknowledge(
        distribution,
        "CloudFront fixes the protocols of its own certificate; an environment's own domain name would lift it.",
        "AwsSolutions-CFR4",
    )
