"""The slides pages over their real function, on a loopback port, with runs as Step Functions lists them."""

import base64
import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

from sextant.console.model import Run, RunDetail, Runs
from tests.handlers.serving import event
from tests.handlers.slide_run import load_pages
from web.site import files, security_headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A page that is left behind stops reading."""


def listed(run_id, state="succeeded"):
    begun = dt.datetime(2026, 11, 21, 17, tzinfo=dt.UTC)
    ended = None if state == "running" else begun + dt.timedelta(minutes=9)
    return Run(
        system="slides", id=run_id, state=state, started_at=begun, ended_at=ended, seconds=540 if ended else None,
        done=4 if state == "running" else 9, total=9,
    )  # fmt: skip


def serve(s3, *runs):
    """Gives the site with `url`, `broken` (path's beginning → status), `asked` (paths); `close()` ends it."""
    pages, handler = files(), load_pages(s3)
    site = SimpleNamespace(broken={}, asked=[], runs=list(runs))
    lock = threading.Lock()  # an instance of a Lambda function answers one request at a time

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urlsplit(self.path).path.lstrip("/") or "index.html"
            if path.startswith("api/"):
                self._api()
            elif path == "config.json":
                told = {"apiBase": "", "systems": ["slides"]}
                self._answer(200, {"content-type": "application/json"}, json.dumps(told).encode())
            elif path in pages:
                file, kind = pages[path]
                site.asked.append(path)
                self._answer(200, {"content-type": kind}, file.read_bytes())
            else:
                self._answer(404, {"content-type": "text/plain"}, b"not found")

        def do_POST(self):
            """Going on with a run, as its function answers: it runs again."""
            site.asked.append(self.path)
            if self.path in site.broken:
                self._answer(
                    site.broken[self.path], {"content-type": "application/json"}, b'{"message":"of the gateway"}'
                )
                return
            run = next(each for each in site.runs if self.path == f"/api/runs/slides/{each.id}/resume")
            site.runs[site.runs.index(run)] = run = listed(run.id, "running")
            told = RunDetail(**dict(run), steps=(), allowed=("stop",)).model_dump_json().encode()
            self._answer(200, {"content-type": "application/json"}, told)

        def _api(self):
            site.asked.append(self.path)
            status = next((code for begin, code in site.broken.items() if self.path.startswith(begin)), None)
            if status:
                self._answer(status, {"content-type": "application/json"}, b'{"message":"of the gateway"}')
                return
            if self.path.startswith("/api/runs/slides/"):
                run = next(each for each in site.runs if self.path.endswith(each.id))
                allowed = {"failed": ("resume",), "running": ("stop",)}.get(run.state, ())
                told = RunDetail(**dict(run), steps=(), allowed=allowed).model_dump_json().encode()
                self._answer(200, {"content-type": "application/json"}, told)
                return
            if self.path.startswith("/api/runs/slides"):
                told = Runs(runs=tuple(site.runs), allowed=("start",)).model_dump_json().encode()
                self._answer(200, {"content-type": "application/json"}, told)
                return
            with lock:
                answer = handler(event("GET", self.path, headers=dict(self.headers)))
            body = answer["body"]
            content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
            self._answer(int(answer["statusCode"]), answer["headers"], content)

        def _answer(self, status, headers, body):
            self.send_response(status)
            for name, value in {**security_headers(), **headers}.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    server = _Server(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"

    def close():
        server.shutdown()
        server.server_close()

    site.close = close
    return site
