"""The console's CloudFront distribution on a loopback port: what DNS and TLS do on AWS.

A viewer's request gets the distribution's host name, so CloudFront's own behaviours decide what answers. In the page's
config.json, AWS host names (Cognito's sign-in domain, the distribution) become loopback URLs; nothing else is touched.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.home import Document


def front_door(app: Any, domain: Callable[[], str | None], gateway: str, console: str) -> Callable[..., Any]:
    """An ASGI app before the emulator's `app`.

    Args:
        app: the emulator.
        domain: gives the distribution's host name, None while nothing is deployed.
        gateway: URL of the emulator, for AWS APIs.
        console: URL of this very door.
    """

    async def serve(scope: Document, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        host = domain()
        if host is None:
            await _plain(send, 404, "No CloudFront distribution is deployed here yet: run `sextant up`.")
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        viewer = {**scope, "headers": [*headers, (b"host", host.encode())]}
        if scope["path"] == "/config.json":
            send = _localized(send, gateway, console)
        await app(viewer, receive, send)

    return serve


def _localized(send: Any, gateway: str, console: str) -> Any:
    """Collects a JSON body and replaces AWS host names in its string values."""
    start: Document = {}
    chunks: list[bytes] = []

    def local(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: local(item) for key, item in value.items()}
        host = urlsplit(value).hostname if isinstance(value, str) and value.startswith("https://") else None
        if host and host.endswith((".amazoncognito.com", ".amazonaws.com")):
            return gateway + urlsplit(value).path
        if host and host.endswith(".cloudfront.net"):
            return console + urlsplit(value).path
        return value

    async def collect(message: Document) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        chunks.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = b"".join(chunks)
        if start["status"] == 200:
            body = json.dumps(local(json.loads(body))).encode()
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return collect


async def _plain(send: Any, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
