"""The console's CloudFront distribution on a loopback port: what DNS and TLS do on AWS.

A viewer's request gets the distribution's host name and counts as HTTPS, so CloudFront's own behaviours decide what
answers. AWS host names that a browser here could not reach (Cognito's sign-in domain, the distribution) become loopback
URLs in the page's config.json and in the Content-Security-Policy header; on the way through Cognito's sign-in pages the
console's loopback URL stands for the distribution's, which is the one registered there. Nothing else is touched.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.home import Document

_SIGN_IN_PATHS = ("/oauth2/", "/login", "/logout")
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


def guarded(app: Any, origins: frozenset[str]) -> Callable[..., Any]:
    """Keeps web pages of other sites away from the emulator, which believes any credentials.

    A page can reach 127.0.0.1 by a host name of its own that it points there (DNS rebinding), or by a plain
    cross-origin request. Neither an unknown Host nor a foreign Origin gets an answer; of the emulator's own
    administration only the health check does.

    Args:
        app: the emulator.
        origins: of the pages that may call it.
    """

    async def serve(scope: Document, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin", b"").decode("latin-1")
        if not _HOSTS.fullmatch(host):
            await _plain(send, 403, f"This embedded AWS answers on 127.0.0.1 and localhost, not as {host!r}.")
        elif origin and origin not in origins:
            await _plain(send, 403, f"Pages of {origin} may not call this embedded AWS.")
        elif scope["path"].startswith("/_") and not scope["path"].startswith(_OPEN_PATHS):
            await _plain(send, 403, f"{scope['path']} is closed: it would change the emulator without credentials.")
        else:
            await app(scope, receive, send)

    return serve


# Loopback, and AWS's own names as the emulator's parts call each other: nobody else can point those elsewhere.
_HOSTS = re.compile(
    r"(?:127\.0\.0\.1|\[::1\]|(?:[a-z0-9.-]+\.)?localhost|[a-z0-9.-]+\.(?:amazonaws|amazoncognito)\.com)(?::\d+)?"
)
# The rest of what is open is guarded by a token of its own, or only reads what a function's author put there.
_OPEN_PATHS = ("/_ministack/health", "/_ministack/cfn-", "/_ministack/lambda-", "/_aws/")


def sign_in(
    app: Any, domain: Callable[[], str | None], console: str, demo: tuple[str, str] | None = None
) -> Callable[..., Any]:
    """Cognito's sign-in pages for a console at a loopback URL; everything else goes to `app` as it came.

    Args:
        app: the emulator.
        domain: gives the distribution's host name, None while nothing is deployed.
        console: URL of the console's door.
        demo: name and password that the form is filled with. At home nobody else can reach it, and both are printed
            by `sextant up`; on AWS Cognito's own page stands here and knows neither.
    """
    here = console.encode()

    async def serve(scope: Document, receive: Any, send: Any) -> None:
        host = domain() if scope["type"] == "http" and scope["path"].startswith(_SIGN_IN_PATHS) else None
        if host is None:
            await app(scope, receive, send)
            return
        registered = f"https://{host}".encode()
        swaps = ((here, registered), (quote(here, safe="").encode(), quote(registered, safe="").encode()))

        def outward(text: bytes) -> bytes:
            for local, remote in swaps:
                text = text.replace(local, remote)
            return text

        body = outward(await _body(receive))
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        length = (b"content-length", str(len(body)).encode())
        changed = {**scope, "headers": [*headers, length], "query_string": outward(scope["query_string"])}

        async def receive_body() -> Document:
            return {"type": "http.request", "body": body, "more_body": False}

        start: Document = {}
        chunks: list[bytes] = []

        async def returning(message: Document) -> None:
            if message["type"] == "http.response.start":
                back = [
                    (name, value.replace(registered, here) if name.lower() == b"location" else value)
                    for name, value in message["headers"]
                ]
                start.update(message, headers=back)
                return
            chunks.append(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = {name.lower(): value for name, value in start["headers"]}
            content = b"".join(chunks)
            if headers.get(b"content-type", b"").startswith(b"text/html"):
                content = _at_home(content, demo)
                start["headers"] = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
                start["headers"].append((b"content-length", str(len(content)).encode()))
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await app(changed, receive_body, returning)

    return serve


_STYLE = b"""<link rel="icon" href="data:,"><style>
:root{color-scheme:light dark}
body{background:light-dark(#f5f6f8,#12161c)!important;color:light-dark(#17202b,#e8ecf1)}
.card{background:light-dark(#fff,#1a2029)!important;border:1px solid light-dark(#d5dae1,#37414d)}
h1,label{color:inherit!important}
input[type=text],input[type=password]{background:light-dark(#fff,#12161c);color:inherit;border-color:#7d8a98!important}
button{background:light-dark(#00609c,#6dbdf2)!important;color:light-dark(#fff,#12161c)!important}
.note{margin-bottom:20px;font-size:14px;line-height:1.45;color:light-dark(#4d5966,#a9b4c0)}
.footer{color:light-dark(#4d5966,#a9b4c0)!important}
</style></head>"""
_NOTE = b'<p class="note">This is the embedded AWS: the demo user is filled in, just sign in.</p>'
_FIELDS = {b"username": 0, b"password": 1}


def _at_home(page: bytes, demo: tuple[str, str] | None) -> bytes:
    """The emulator's sign-in page in the console's colours, light or dark, with the demo user filled in.

    A page that has no such form, or a form of another step, keeps its content.
    """
    page = page.replace(b"</head>", _STYLE, 1)
    if demo is None or b'name="username"' not in page or b'name="password"' not in page:
        return page
    for name, which in _FIELDS.items():
        value = b' value="' + escape(demo[which]).encode() + b'"'
        page = page.replace(b'name="' + name + b'"', b'name="' + name + b'"' + value, 1)
    return page.replace(b'<form method="POST"', _NOTE + b'<form method="POST"', 1)


async def _body(receive: Any) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


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
