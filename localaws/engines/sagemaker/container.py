"""A container: one process group with a root of its own, its log, its end.

`<root>/opt/ml` is what a program finds at /opt/ml: always by the variable OPT_ML, and on Linux, where the kernel allows
a private mount namespace, at the path itself.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from localaws.engines.sagemaker.images import Image

HERE = Path(__file__).parent
KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SYSTEMROOT")
FLUSH_SECONDS = 0.3
LINES_AT_ONCE = 500


@dataclass(frozen=True)
class Root:
    """The file system of one container, as far as it is its own."""

    folder: Path

    @property
    def ml(self) -> Path:
        return self.folder / "opt" / "ml"

    def at(self, path: str) -> Path:
        """The file here for a path inside the container.

        Raises:
            ValueError: the path is not below /opt/ml.
        """
        parts = Path(os.path.normpath(path)).parts
        if parts[:3] != ("/", "opt", "ml"):
            raise ValueError(f"{path} is not below /opt/ml")
        return self.ml.joinpath(*parts[3:])

    def make(self) -> None:
        for name in ("input/config", "input/data", "model", "output/data", "config", "code", "checkpoints"):
            (self.ml / name).mkdir(parents=True, exist_ok=True)
        for name in ("tmp", "home", "stage"):
            (self.folder / name).mkdir(exist_ok=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def isolation() -> tuple[str, ...] | None:
    """The command that gives a process a mount namespace of its own; None where the system has none to give."""
    if not sys.platform.startswith("linux") or not Path("/opt").is_dir():
        return None
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return None
    for prefix in (("unshare", "--mount"), ("unshare", "--map-root-user", "--mount")):
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError, subprocess.SubprocessError):
            script = f"mount -t tmpfs container '{folder}' && mount --rbind '{folder}' /opt"
            subprocess.run([*prefix, "sh", "-c", script], check=True, capture_output=True, timeout=20)
            return prefix
    return None


class Container:
    """A started container.

    Args:
        image: what runs.
        argv: the command.
        root: its files; made if need be.
        variables: environment of the service, the job and the image, on top of a bare one.
        hosts: names of all hosts of the job, which resolve to this machine inside (Linux).
        output: takes lines of stdout and stderr while it runs.
        cwd: where it starts; the image's folder when left out.
    """

    def __init__(
        self,
        image: Image,
        argv: Sequence[str],
        *,
        root: Root,
        variables: Mapping[str, str],
        output: Callable[[list[str]], None],
        hosts: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> None:
        root.make()
        self.root = root
        # A socket's path has 108 bytes at most: the files' own folder lies too deep for those of multiprocessing.
        self._temporary = Path(tempfile.gettempdir(), f"sm{uuid.uuid4().hex[:8]}")
        self._temporary.symlink_to(root.folder / "tmp")
        variables = {"TMPDIR": str(self._temporary), **variables}
        prefix = isolation()
        specification: dict[str, object] = {
            "command": [_placed(part, root, isolated=prefix is not None) for part in argv],
            "cwd": str(cwd or image.folder),
            "environment": environment(image, root, variables),
        }
        if prefix is not None:
            names = root.folder / "hosts"
            known = Path("/etc/hosts").read_text() if Path("/etc/hosts").is_file() else ""
            names.write_text(f"{known}\n127.0.0.1 {' '.join(hosts)}\n" if hosts else known)
            specification["mount"] = {"opt": str(root.ml), "stage": str(root.folder / "stage"), "hosts": str(names)}
        file = root.folder / "container.json"
        file.write_text(json.dumps(specification))
        self._process = subprocess.Popen(
            [*(prefix or ()), sys.executable, "-I", "-S", str(HERE / "launch.py"), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stream = self._process.stdout
        assert stream is not None
        self._reader = threading.Thread(target=_forward, args=(stream, output), daemon=True, name="container-log")
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + n after signal n."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def terminate(self) -> None:
        """SIGTERM to the container's first process, as `docker stop` sends it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the container and all it started: the closed lifeline makes its first process see to it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Makes sure that it has ended and that its log is complete."""
        self.kill()
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._temporary.unlink(missing_ok=True)


def sweep(scratch: Path) -> None:
    """Removes the short names of temporary folders that containers of a killed emulator left behind."""
    for link in Path(tempfile.gettempdir()).glob("sm????????"):
        if link.is_symlink() and link.readlink().is_relative_to(scratch):
            link.unlink(missing_ok=True)


def _placed(part: str, root: Root, *, isolated: bool) -> str:
    """Without a mount namespace, paths below /opt/ml in an argument become those of the files themselves."""
    return part if isolated else re.sub(r"(?<![\w./-])/opt/ml(?=/|$)", lambda _: str(root.ml), part)


def environment(image: Image, root: Root, variables: Mapping[str, str]) -> dict[str, str]:
    """A container's whole environment: nothing of this process's own but the locale."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    own = {**image.variables, **variables}
    path = [str(image.folder), *filter(None, own.pop("PYTHONPATH", "").split(":")), str(HERE / "container_site")]
    return {
        **kept,
        "PATH": f"{Path(image.python).parent}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(root.folder / "home"),
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **own,
        "PYTHONPATH": ":".join(path),
        "OPT_ML": str(root.ml),
    }


def _forward(stream: IO[bytes], output: Callable[[list[str]], None]) -> None:
    """Hands lines on in groups: a log call per line would cost more than the work it tells of."""
    pending, lines = b"", list[str]()
    flushed = time.monotonic()
    readable = selectors.DefaultSelector()
    readable.register(stream, selectors.EVENT_READ)
    while True:
        chunk = os.read(stream.fileno(), 65_536) if readable.select(FLUSH_SECONDS) else None
        if chunk:
            *whole, pending = (pending + chunk).split(b"\n")
            lines += [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        if chunk == b"" and pending:
            lines.append(pending.decode("utf-8", "replace"))
        if lines and (not chunk or len(lines) >= LINES_AT_ONCE or time.monotonic() - flushed >= FLUSH_SECONDS):
            with contextlib.suppress(Exception):  # a log that cannot be written must not stop the job's pipe
                output(lines)
            lines, flushed = list[str](), time.monotonic()
        if chunk == b"":
            readable.close()
            return
