"""Fetching the console's libraries: pinned by sha512, from whatever registry npm is set up for."""

import base64
import hashlib
import io
import json
import tarfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from web import vendor

LIBRARY, LICENCE = b"export const h = 1;\n", b"MIT\n"


def archive(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, body in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


GOOD = archive(**{"dist/h.mjs": LIBRARY, "LICENSE": LICENCE, "README.md": b"not kept"})


@pytest.fixture
def npm(monkeypatch):
    """A registry on a loopback port with one package; `npm.archive` is what it serves."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            body = server.archive if self.path.endswith(".tgz") else json.dumps({"dist": {"tarball": f"{url}/h.tgz"}})
            self.send_response(200 if self.path in ("/h/1.2.3", "/h.tgz") else 404)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else body.encode())

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.archive, server.asked = GOOD, []
    url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"{url}/")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def lock(tmp_path):
    def locked(**changed):
        sha512 = "sha512-" + base64.b64encode(hashlib.sha512(GOOD).digest()).decode()
        package = {
            "name": "h",
            "version": "1.2.3",
            "licence": "MIT",
            "sha512": sha512,
            "files": ["dist/h.mjs", "LICENSE"],
        }
        (tmp_path / "vendor.lock.json").write_text(json.dumps({"packages": [package | changed]}))
        return tmp_path / "vendor"

    return locked


@pytest.fixture
def fetch(tmp_path):
    """`vendor.fetch` of this test's lock file and folder."""
    return partial(vendor.fetch, tmp_path / "vendor.lock.json", tmp_path / "vendor")


def test_only_the_listed_files_are_kept_and_nothing_is_fetched_twice(npm, lock, fetch):
    folder = lock()
    assert fetch() == ["h 1.2.3"]
    kept = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert kept == {"h/dist/h.mjs", "h/LICENSE", "vendor.lock.json"}
    assert (folder / "h/dist/h.mjs").read_bytes() == LIBRARY
    asked = len(npm.asked)
    assert fetch() == []
    assert len(npm.asked) == asked


def test_an_archive_that_is_not_the_locked_one_is_refused(npm, lock, fetch):
    folder = lock()
    npm.archive = archive(**{"dist/h.mjs": b"stolen()", "LICENSE": LICENCE})
    with pytest.raises(vendor.VendorError, match=r"h 1\.2\.3: the registry serves sha512-.*Do not use it"):
        fetch()
    assert not folder.exists()


def test_update_writes_the_new_hash(npm, lock, fetch, tmp_path):
    lock(sha512="")
    fetch(update=True)
    written = json.loads((tmp_path / "vendor.lock.json").read_text())["packages"][0]["sha512"]
    assert written == "sha512-" + base64.b64encode(hashlib.sha512(npm.archive).digest()).decode()


@pytest.mark.usefixtures("npm")
def test_a_changed_lock_is_fetched_anew_and_old_files_go(lock, fetch):
    folder = lock()
    fetch()
    lock(files=["LICENSE"])
    assert fetch() == ["h 1.2.3"]
    assert not (folder / "h/dist").exists()


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize(
    ("changed", "reason"), [({"files": ["gone.js"]}, "no file gone.js"), ({"version": "9"}, "cannot fetch .*h/9")]
)
def test_what_cannot_be_had_is_named(lock, fetch, changed, reason):
    lock(**changed)
    with pytest.raises(vendor.VendorError, match=reason):
        fetch()


def test_without_npm_the_remedy_is_told(monkeypatch):
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(vendor.shutil, "which", lambda _name: None)
    monkeypatch.setattr(vendor, "find_spec", lambda _name: None)
    with pytest.raises(vendor.VendorError, match="set npm_config_registry"):
        vendor.registry()
