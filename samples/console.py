"""The demo's own user of the console, in every group of its user pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

STACK = "local-Console"
USER = "demo@example.com"
# Printed by `sextant demo`: at home nobody else can reach the console.
PASSWORD = "Sextant-demo-2026"  # noqa: S105


def demo_user(session: boto3.session.Session, outputs: Mapping[str, Mapping[str, str]]) -> bool:
    """Makes the user, or gives it the known password again. False where no console is deployed."""
    pool = outputs.get(STACK, {}).get("UserPoolId")
    if not pool:
        return False
    cognito = session.client("cognito-idp")
    ensure_user(cognito, pool, USER, {"email": USER, "email_verified": "true"})
    cognito.admin_set_user_password(UserPoolId=pool, Username=USER, Password=PASSWORD, Permanent=True)
    for group in cognito.list_groups(UserPoolId=pool)["Groups"]:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=USER, GroupName=group["GroupName"])
    return True


def ensure_user(cognito: Any, pool: str, username: str, attributes: Mapping[str, str]) -> str:
    """The user's sub; creates the user where the pool has none of this name."""
    try:
        user = cognito.admin_get_user(UserPoolId=pool, Username=username)["UserAttributes"]
    except cognito.exceptions.UserNotFoundException:
        listed = [{"Name": name, "Value": value} for name, value in attributes.items()]
        user = cognito.admin_create_user(
            UserPoolId=pool,
            Username=username,
            UserAttributes=listed,
            TemporaryPassword=PASSWORD,
            MessageAction="SUPPRESS",
        )["User"]["Attributes"]
    return str(next(attribute["Value"] for attribute in user if attribute["Name"] == "sub"))
