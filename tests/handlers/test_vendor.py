"""Fetching the console's libraries: pinned by sha512, from whatever registry npm is set up for."""

import base64
import hashlib
import io
import json
import tarfile
import threading
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
def lock(tmp_path, monkeypatch):
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

    monkeypatch.setattr(vendor, "LOCK", tmp_path / "vendor.lock.json")
    monkeypatch.setattr(vendor, "VENDOR", tmp_path / "vendor")
    return locked


def test_only_the_listed_files_are_kept_and_nothing_is_fetched_twice(npm, lock):
    folder = lock()
    assert vendor.fetch() == ["h 1.2.3"]
    kept = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert kept == {"h/dist/h.mjs", "h/LICENSE", "vendor.lock.json"}
    assert (folder / "h/dist/h.mjs").read_bytes() == LIBRARY
    asked = len(npm.asked)
    assert vendor.fetch() == []
    assert len(npm.asked) == asked


def test_an_archive_that_is_not_the_locked_one_is_refused(npm, lock):
    folder = lock()
    npm.archive = archive(**{"dist/h.mjs": b"stolen()", "LICENSE": LICENCE})
    with pytest.raises(vendor.VendorError, match=r"h 1\.2\.3: the registry serves sha512-.*Do not use it"):
        vendor.fetch()
    assert not folder.exists()


def test_update_writes_the_new_hash(npm, lock):
    lock(sha512="")
    vendor.fetch(update=True)
    written = json.loads(vendor.LOCK.read_text())["packages"][0]["sha512"]
    assert written == "sha512-" + base64.b64encode(hashlib.sha512(npm.archive).digest()).decode()


@pytest.mark.usefixtures("npm")
def test_a_changed_lock_is_fetched_anew_and_old_files_go(lock):
    folder = lock()
    vendor.fetch()
    lock(files=["LICENSE"])
    assert vendor.fetch() == ["h 1.2.3"]
    assert not (folder / "h/dist").exists()


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize(
    ("changed", "reason"), [({"files": ["gone.js"]}, "no file gone.js"), ({"version": "9"}, "cannot fetch .*h/9")]
)
def test_what_cannot_be_had_is_named(lock, changed, reason):
    lock(**changed)
    with pytest.raises(vendor.VendorError, match=reason):
        vendor.fetch()


def test_without_npm_the_remedy_is_told(monkeypatch):
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(vendor.shutil, "which", lambda _name: None)
    monkeypatch.setattr(vendor, "find_spec", lambda _name: None)
    with pytest.raises(vendor.VendorError, match="set npm_config_registry"):
        vendor.registry()
