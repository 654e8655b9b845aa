"""Who may talk to the emulator, and what the front door rewrites."""

import asyncio
import json
from http.client import HTTPConnection

import pytest

from localaws.front_door import front_door, guarded, sign_in

GATEWAY, CONSOLE = "http://127.0.0.1:4566", "http://127.0.0.1:4580"
DOMAIN = "dabc123.cloudfront.net"


class App:
    """Answers as told and notes what it was asked."""

    def __init__(self, body=b"{}", headers=()):
        self.body, self.headers, self.scopes, self.bodies = body, list(headers), [], []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        self.bodies.append((await receive()).get("body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[5:]})


def ask(app, path="/", *, host="127.0.0.1:4566", headers=(), query=b"", body=b""):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "headers": [(b"host", host.encode()), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4566", "localhost:4566", "d1.execute-api.localhost:4566", "b.s3.amazonaws.com"]
)
def test_loopback_and_aws_names_are_answered(host):
    assert ask(guarded(App(), frozenset()), host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4566", ""])
def test_a_host_name_that_somebody_pointed_here_is_not(host):
    app = App()

    assert ask(guarded(app, frozenset()), host=host)[0] == 403
    assert app.scopes == []


def test_a_page_of_another_site_is_not_answered_but_the_console_is():
    app = guarded(App(), frozenset({CONSOLE}))

    assert ask(app, headers=[(b"origin", CONSOLE.encode())])[0] == 200
    assert ask(app, headers=[(b"origin", b"https://evil.example")])[0] == 403
    assert ask(app, headers=[(b"origin", b"null")])[0] == 403


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_localstack/state/reset", "/_anything"])
def test_the_emulators_own_administration_is_closed(path):
    assert ask(guarded(App(), frozenset()), path=path)[0] == 403


def test_the_running_emulator_is_guarded(embedded):
    def status(method, path, headers):
        connection = HTTPConnection("127.0.0.1", embedded.emulator.port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    assert status("POST", "/_ministack/reset", {}) == 403
    assert status("GET", "/_ministack/health", {"Host": "evil.example"}) == 403
    assert status("GET", "/_ministack/health", {"Origin": "https://evil.example"}) == 403
    assert status("GET", "/_ministack/health", {}) == 200


def test_aws_names_become_loopback_in_the_configuration_only():
    document = {"cognito": {"endpoint": "https://x.auth.us-east-1.amazoncognito.com"}, "page": f"https://{DOMAIN}/a"}
    app = App(json.dumps(document).encode(), [(b"content-length", b"999"), (b"content-type", b"application/json")])
    door = front_door(app, lambda: DOMAIN, GATEWAY, CONSOLE)

    _, headers, body = ask(door, "/config.json")
    _, _, other = ask(door, "/index.html")

    assert json.loads(body) == {"cognito": {"endpoint": GATEWAY}, "page": f"{CONSOLE}/a"}
    assert headers[b"content-length"] == str(len(body)).encode()
    assert json.loads(other) == document


def test_the_policy_header_names_loopback_and_no_tls_is_remembered():
    policy = b"connect-src 'self' https://x.auth.us-east-1.amazoncognito.com"
    app = App(headers=[(b"Content-Security-Policy", policy), (b"Strict-Transport-Security", b"max-age=1")])

    _, headers, _ = ask(front_door(app, lambda: DOMAIN, GATEWAY, CONSOLE))

    assert headers[b"content-security-policy"] == f"connect-src 'self' {GATEWAY}".encode()
    assert b"strict-transport-security" not in headers


def test_a_viewer_counts_as_https_at_the_distributions_name():
    app = App()

    ask(front_door(app, lambda: DOMAIN, GATEWAY, CONSOLE), headers=[(b"x-forwarded-proto", b"http")])

    headers = dict(app.scopes[0]["headers"])
    assert (headers[b"host"], headers[b"x-forwarded-proto"]) == (DOMAIN.encode(), b"https")


def test_before_anything_is_deployed_the_door_says_so():
    status, _, body = ask(front_door(App(), lambda: None, GATEWAY, CONSOLE))

    assert status == 404
    assert b"sextant up" in body


def test_sign_in_sees_the_registered_url_and_returns_to_the_local_one():
    app = App(headers=[(b"location", f"https://{DOMAIN}/?code=1".encode())])
    query = b"redirect_uri=http%3A%2F%2F127.0.0.1%3A4580%2F&state=s"

    _, headers, _ = ask(sign_in(app, lambda: DOMAIN, CONSOLE), "/oauth2/authorize", query=query, body=query)

    registered = f"redirect_uri=https%3A%2F%2F{DOMAIN}%2F&state=s".encode()
    assert (app.scopes[0]["query_string"], app.bodies[0]) == (registered, registered)
    assert headers[b"location"] == f"{CONSOLE}/?code=1".encode()


FORM = b"""<html><head></head><form method="POST" action="/login"><input type="hidden" name="state" value="s">
<input type="text" id="username" name="username" required><input type="password" name="password" required></form>"""


def test_the_demo_user_is_filled_in_at_home():
    app = App(body=FORM, headers=[(b"Content-Type", b"text/html; charset=utf-8"), (b"content-length", b"1")])
    demo = ("demo@example.com", 'Pass"word')
    for path in ("/oauth2/authorize", "/login"):  # after a wrong password the page comes again
        _, headers, body = ask(sign_in(app, lambda: DOMAIN, CONSOLE, demo), path)
        assert b'name="username" value="demo@example.com"' in body
        assert b'name="password" value="Pass&quot;word"' in body
        assert b'name="state" value="s"' in body
        assert b"light-dark(" in body
        assert int(headers[b"content-length"]) == len(body)


def test_without_a_demo_user_or_its_form_nothing_is_filled_in():
    other = b'<html><head></head><form method="POST"><input type="password" name="new_password"></form>'
    for body, demo in ((FORM, None), (other, ("demo@example.com", "secret"))):
        app = App(body=body, headers=[(b"content-type", b"text/html")])
        _, _, told = ask(sign_in(app, lambda: DOMAIN, CONSOLE, demo), "/login")
        assert told.partition(b"</head>")[2] == body.partition(b"</head>")[2]


def test_an_answer_of_the_sign_in_that_is_no_page_stays_as_it_is():
    app = App(body=b'{"name="username"": 1}', headers=[(b"content-type", b"application/json")])
    _, headers, body = ask(sign_in(app, lambda: DOMAIN, CONSOLE, ("demo", "secret")), "/oauth2/token")
    assert (body, headers) == (app.body, {b"content-type": b"application/json"})


def test_sign_in_leaves_other_requests_as_they_came():
    app = App()

    ask(sign_in(app, lambda: DOMAIN, CONSOLE), "/bucket/key", query=b"u=http%3A%2F%2F127.0.0.1%3A4580")

    assert app.scopes[0]["query_string"] == b"u=http%3A%2F%2F127.0.0.1%3A4580"
