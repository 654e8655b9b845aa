"""The shell's pages over the real functions on a loopback port: what tests of the console itself open.

`serve` takes the place of CloudFront, the authorizer and API Gateway; behind it are the handlers of the console, of the
labeling operation and of the dashboards, the real Athena engine, and a Glue workflow and a bucket that tests move on.
"""

import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

from tests.handlers.operating import Bucket, Workflow, load_console, load_operation
from tests.handlers.serving import event, load_handler
from web.site import files, security_headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A page that is left behind stops reading; anything else is a fault of the test's server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(athena, *runs, role="admin", settings=None, config=None, connect=()):
    """Gives the site with `url`, `glue`, `s3`, `role` (a test may change it), `broken` and `loaded`; `close()` ends it.

    `broken` maps a path's beginning to the status that the gateway answers with instead of the function (0: no answer
    at all), `polls` counts answers by status, `loaded` has the path and gzipped size of every file that was asked for.
    """
    glue, s3 = Workflow(*runs), Bucket()
    pages = files()
    handlers = (
        (("/api/systems/", "/api/runs/", "/api/quarantine/"), load_operation(glue, athena, s3)),
        (("/api/systems", "/api/settings"), load_console(settings)),
        (("/api/dashboards", "/api/annotations", "/api/state"), load_handler(athena, glue)),
    )
    site = SimpleNamespace(glue=glue, s3=s3, role=role, broken={}, polls={}, loaded=[])
    lock = threading.Lock()  # an instance of a Lambda function answers one request at a time

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urlsplit(self.path).path.lstrip("/") or "index.html"
            if path.startswith("api/"):
                self._api(b"")
            elif path == "config.json":
                told = config or {"apiBase": "", "systems": (settings or {}).get("systems", ["labeling"])}
                self._answer(200, {"content-type": "application/json"}, json.dumps(told).encode())
            elif path in pages:
                file, kind = pages[path]
                site.loaded.append((path, len(gzip.compress(file.read_bytes()))))
                self._answer(200, {"content-type": kind}, file.read_bytes())
            else:
                self._answer(404, {"content-type": "text/plain"}, b"not found")

        def do_POST(self):
            self._api(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _api(self, body):
            status = next((code for begin, code in site.broken.items() if self.path.startswith(begin)), None)
            if status == 0:
                self.close_connection = True
                return
            if status:
                self._answer(status, {"content-type": "application/json"}, b'{"message":"of the gateway"}')
                return
            handler = next(found for begins, found in handlers if self.path.startswith(begins))
            request = event(self.command, self.path, body.decode() or None, dict(self.headers), groups=f"[{site.role}]")
            with lock:
                answer = handler(request)
            site.polls[answer["statusCode"]] = site.polls.get(answer["statusCode"], 0) + 1
            headers = {name: value for name, value in answer["headers"].items() if name.lower() != "cache-control"}
            self._answer(int(answer["statusCode"]), headers, answer["body"].encode())

        def _answer(self, status, headers, body):
            self.send_response(status)
            for name, value in {**security_headers(connect), **headers}.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
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
