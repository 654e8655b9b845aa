"""The user names behind the subjects of a user pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from sextant import aws

if TYPE_CHECKING:
    from collections.abc import Iterable

USERS_SCHEMA = "sub string, username string, email string"


def pool_users(user_pool_id: str) -> list[tuple[str, str, str | None]]:
    """(sub, username, email) of every user of the pool, by all pages of `ListUsers`; none for an empty id.

    The pool's region is in its id: a job may run in another one.
    """
    if not user_pool_id:
        return []
    region = user_pool_id.partition("_")[0]
    cognito = boto3.client("cognito-idp", region_name=region, config=aws.CONFIG)  # the factory knows one region only
    pages = cognito.get_paginator("list_users").paginate(UserPoolId=user_pool_id)
    return sorted(users_of(user for page in pages for user in page["Users"]))


def users_of(users: Iterable[Any]) -> set[tuple[str, str, str | None]]:
    """The rows of users as `ListUsers` gives them. A user without a subject is no worker."""
    found = set()
    for user in users:
        attributes = {each["Name"]: each.get("Value") for each in user.get("Attributes", [])}
        if attributes.get("sub"):
            found.add((attributes["sub"], user["Username"], attributes.get("email")))
    return found
