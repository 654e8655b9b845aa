"""Conditional requests: a poll that finds nothing new costs a status line."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def conditional(event: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A Lambda proxy answer with an ETag, or 304 without a body where the caller has that very answer (RFC 9110 §13).

    Only successful GETs take part.
    """
    if event["requestContext"]["http"]["method"] != "GET" or answer["statusCode"] != 200:
        return answer
    tag = f'"{hashlib.sha256(str(answer["body"]).encode()).hexdigest()[:32]}"'
    headers = {**answer.get("headers", {}), "ETag": tag, "Cache-Control": "private, no-cache"}
    # API Gateway gives header names in lower case. A proxy on the way may weaken the tag it passes on.
    known = [each.strip().removeprefix("W/") for each in event.get("headers", {}).get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        kept = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        return {**answer, "statusCode": 304, "headers": kept, "body": ""}
    return {**answer, "headers": headers}
