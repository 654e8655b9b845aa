"""The console's CloudFront distribution on a loopback port: what DNS and TLS do on AWS.

A viewer's request gets the distribution's host name and counts as HTTPS, so CloudFront's own behaviours decide what
answers. AWS host names that a browser here could not reach (Cognito's sign-in domain, the distribution) become loopback
URLs in two places: the page's config.json and the Content-Security-Policy header. Nothing else is touched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.home import Document

_SIGN_IN = re.compile(rb"https://[a-z0-9.-]+\.(?:amazoncognito|amazonaws)\.com")
_DISTRIBUTION = re.compile(rb"https://[a-z0-9]+\.cloudfront\.net")
_CONFIGURATION = "/config.json"


def front_door(app: Any, domain: Callable[[], str | None], gateway: str, console: str) -> Callable[..., Any]:
    """An ASGI app before the emulator's `app`.

    Args:
        app: the emulator.
        domain: gives the distribution's host name, None while nothing is deployed.
        gateway: URL of the emulator, for AWS APIs.
        console: URL of this very door.
    """

    def local(text: bytes) -> bytes:
        return _DISTRIBUTION.sub(console.encode(), _SIGN_IN.sub(gateway.encode(), text))

    async def serve(scope: Document, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        host = domain()
        if host is None:
            await _plain(send, 404, "No CloudFront distribution is deployed here yet: run `sextant up`.")
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in {b"host", b"x-forwarded-proto"}]
        viewer = {**scope, "headers": [*kept, (b"host", host.encode()), (b"x-forwarded-proto", b"https")]}
        await app(viewer, receive, _localized(send, local, body=scope["path"] == _CONFIGURATION))

    return serve


def _localized(send: Any, local: Callable[[bytes], bytes], *, body: bool) -> Any:
    """Passes a response on with its policy header made local, and its body too where asked."""
    start: Document = {}
    chunks: list[bytes] = []

    async def passing(message: Document) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.lower(), value) for name, value in message["headers"]]
            start.update(
                message,
                headers=[
                    (name, local(value) if name == b"content-security-policy" else value)
                    for name, value in headers
                    # A browser must not remember that 127.0.0.1 speaks TLS.
                    if name != b"strict-transport-security"
                ],
            )
            if not body:
                await send(start)
            return
        if not body:
            await send(message)
            return
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            content = local(b"".join(chunks))
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(content)).encode())]})
            await send({"type": "http.response.body", "body": content})

    return passing


async def _plain(send: Any, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
