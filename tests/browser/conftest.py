"""The console in a real Chromium. `console` serves web/ and the very Lambda handler on a loopback port.

The tests know only `console.url`, `console.athena` (for faults) and `console.truth`.
"""

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from tests.handlers.lake import LakeAthena, truth
from tests.handlers.serving import event, load_handler
from web.site import files, security_headers

CHROMIUM = "/usr/bin/chromium"


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def workflow_run(begun, ended=None, error=None):
    """A run of the Glue workflow as the Glue API tells it: under way without `ended`, failed with `error`."""
    job = {"JobRunState": "FAILED", "ErrorMessage": error} if error else {"JobRunState": "SUCCEEDED"}
    return {
        "WorkflowRunId": f"wr_{begun:%Y%m%d%H%M%S}",
        "StartedOn": begun,
        "Status": "COMPLETED" if ended else "RUNNING",
        **({"CompletedOn": ended} if ended else {}),
        "Statistics": {"FailedActions": int(bool(error)), "SucceededActions": int(not error)},
        "Graph": {"Nodes": [{"Type": "JOB", "Name": "label-reports", "JobDetails": {"JobRuns": [job]}}]},
    }


class Workflow:
    """What the handler asks Glue: the runs of the workflow, from a list that a test may change."""

    def __init__(self):
        now = dt.datetime.now(dt.UTC)
        self.runs = [workflow_run(now - dt.timedelta(minutes=21), now - dt.timedelta(minutes=20))]

    def get_workflow_runs(self, **_request):
        return {"Runs": self.runs}

    def get_workflow_run(self, **request):
        return {"Run": next(each for each in self.runs if each["WorkflowRunId"] == request["RunId"])}


def serve(athena, connect=(), config=None, glue=None):
    """The site and the API behind one origin, as CloudFront serves them. Returns (server, URL)."""
    handler, pages = load_handler(athena, glue or Workflow()), files()
    instance = threading.Lock()  # an instance of a Lambda function answers one request at a time

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urlsplit(self.path).path.lstrip("/") or "index.html"
            if path == "config.json":
                self._answer(
                    200,
                    "application/json",
                    json.dumps({"systems": ["labeling"], **(config or {"apiBase": ""})}).encode(),
                )
            elif path.startswith("api/"):
                self._api(b"")
            elif path in pages:
                file, kind = pages[path]
                self._answer(200, kind, file.read_bytes())
            else:
                self._answer(404, "text/plain", b"not found")

        def do_POST(self):
            self._api(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _api(self, body):
            if config and "cognito" in config and not self.headers.get("authorization", "").startswith("Bearer ey"):
                self._answer(401, "application/json", b'{"message":"Unauthorized"}')
                return
            with instance:
                answer = handler(event(self.command, self.path, body.decode() or None, dict(self.headers)))
            self._answer(int(answer["statusCode"]), answer["headers"]["Content-Type"], answer["body"].encode())

        def _answer(self, status, kind, body):
            self.send_response(status)
            for name, value in security_headers(connect).items():
                self.send_header(name, value)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    server = _Server(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs the browser environment: make test EXTRAS=browser"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def console():
    facts = truth()
    athena = LakeAthena(facts)
    server, url = serve(athena)
    yield SimpleNamespace(url=url, athena=athena, truth=facts)
    server.shutdown()
    server.server_close()
    athena.close()


@pytest.fixture
def lake_of():
    """The console over other facts (none: an empty lake); gives its URL."""
    running = []

    def served(facts=None, **options):
        athena = LakeAthena(facts)
        server, url = serve(athena, **options)
        running.append((server, athena))
        return url

    yield served
    for server, athena in running:
        server.shutdown()
        server.server_close()
        athena.close()


@pytest.fixture
def console_url(console):
    return console.url


@pytest.fixture
def open_page(chromium):
    """Opens a URL in a fresh browser context; any console error or page error fails the test at its end."""
    contexts, pages, errors = [], [], []

    def opened(url, width=1280, height=900, scheme="light", wait="main h1", **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(45_000)  # a busy machine is slow, not wrong
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                errors.append(f"{message.text} ({message.location.get('url')})")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.expected_errors = []
        pages.append(page)
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield opened
    expected = [text for page in pages for text in page.expected_errors]
    for context in contexts:
        context.close()
    unexpected = [error for error in errors if not any(piece in error for piece in expected)]
    assert not unexpected, unexpected
