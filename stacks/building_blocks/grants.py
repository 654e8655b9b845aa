"""What a role may do with a system's objects: whole action names, one prefix, nothing else.

The CDK's own `grant_read` and its kin give action patterns (`s3:GetObject*`, `s3:List*`) and so more than is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.nag import acknowledge

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

_READ = ("s3:GetObject",)
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


def grant_read(role: iam.Role, bucket: s3.IBucket, prefix: str = "") -> None:
    """Lets a role list a bucket and read the objects under a prefix."""
    _grant(role, bucket, prefix, _READ)


def grant_read_write(role: iam.Role, bucket: s3.IBucket, prefix: str = "") -> None:
    """Lets a role list a bucket and read, write and delete the objects under a prefix."""
    _grant(role, bucket, prefix, _READ + _WRITE)


def grant_key(role: iam.Role, key: kms.IKey | kms.Key, *, write: bool) -> None:
    """Lets a role decrypt with a key and, to write, make data keys."""
    key.grant(role, "kms:Decrypt", *(("kms:GenerateDataKey",) if write else ()))


def _grant(role: iam.Role, bucket: s3.IBucket, prefix: str, actions: tuple[str, ...]) -> None:
    objects = bucket.arn_for_objects(f"{prefix}*")
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["s3:ListBucket", "s3:GetBucketLocation"], resources=[bucket.bucket_arn])
    )
    role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=[objects]))
    if bucket.encryption_key:
        grant_key(role, bucket.encryption_key, write=len(actions) > 1)
    acknowledge(
        role,
        f"All objects under {prefix or 'the root'} of this one bucket: their names are not known beforehand.",
        f"AwsSolutions-IAM5[Resource::{as_finding(role, objects)}]",
    )


def as_finding(scope: iam.Role, arn: str) -> str:
    """An ARN as cdk-nag writes it in a finding's id: references as `<LogicalId.Attribute>`."""
    return _render(cdk.Stack.of(scope).resolve(arn))


def _render(value: Any) -> str:
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_render(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return str(value)
