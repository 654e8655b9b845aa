"""The inspection pages over their real functions, on a loopback port, over the project of `inspection_world`."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

from tests.handlers.inspection_world import PROJECT, load
from tests.handlers.serving import event
from web.site import files, security_headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A page that is left behind stops reading."""


def serve(world, role="admin"):
    """Gives the site with `url`, `role` (a test may change it), `broken` (path's beginning → status), `asked` (method
    and path); `close()` ends it. After each change the functions run that nobody waits for.
    """
    pages = files()
    handlers = (
        (("/api/systems/", "/api/runs/", "/api/quarantine/"), load(world, "operation")),
        (("/api/inspection/",), load(world)),
    )
    site = SimpleNamespace(role=role, broken={}, asked=[])
    lock = threading.Lock()  # an instance of a Lambda function answers one request at a time

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urlsplit(self.path).path.lstrip("/") or "index.html"
            if path.startswith("api/"):
                self._api(b"")
            elif path == "config.json":
                told = {"apiBase": "", "systems": ["inspection"]}
                self._answer(200, {"content-type": "application/json"}, json.dumps(told).encode())
            elif path in pages:
                file, kind = pages[path]
                self._answer(200, {"content-type": kind}, file.read_bytes())
            else:
                self._answer(404, {"content-type": "text/plain"}, b"not found")

        def do_POST(self):
            self._api(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _api(self, body):
            site.asked.append(f"{self.command} {self.path}")
            status = next((code for begin, code in site.broken.items() if self.path.startswith(begin)), None)
            if status:
                self._answer(status, {"content-type": "application/json"}, b'{"message":"of the gateway"}')
                return
            handler = next(found for begins, found in handlers if self.path.startswith(begins))
            groups = f"[{site.role}]"
            with lock:
                answer = handler(event(self.command, self.path, body.decode() or None, dict(self.headers), groups))
                if self.command == "POST":
                    world.work()
            told = answer["body"]
            content = base64.b64decode(told) if answer.get("isBase64Encoded") else told.encode()
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


def opened(open_page, site, path, query="", **options):
    """A page about the project, once everything on it is drawn."""
    page = open_page(f"{site.url}/#/inspection/{path}?project={PROJECT}{query}", reduced_motion="reduce", **options)
    page.wait_for_function(
        """() => document.querySelector('main h1') && !document.querySelector('main .loading')
              && [...document.querySelectorAll('.plot')].every((each) => 'drawn' in each.dataset)"""
    )
    return page


def pressed(page, keys):
    """Presses keys as somebody does who looks at each photograph first: at least a third of a second."""
    for key in keys:
        page.wait_for_function("() => document.activeElement.querySelector('.picture')?.dataset.state === 'there'")
        page.wait_for_timeout(400)
        page.keyboard.press(key)


def pictured(page):
    """Waits until every picture that is in sight has come."""
    page.wait_for_function(
        """() => [...document.querySelectorAll('.picture')].every((each) => each.dataset.state === 'there'
              || each.getBoundingClientRect().top > innerHeight)"""
    )
