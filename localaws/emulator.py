"""Starts, watches and stops the embedded AWS: one process on two loopback ports, its state in one folder.

The state folder holds `environment` (whose it is), `emulator.json` (who runs, on which ports), the object bodies, the
snapshots of ministack, the engines' records and the log. After a clean stop everything is there again; after kill -9
objects and engine records are whole and the rest is as of the last snapshot (a few seconds), which `sextant up` brings
back by deploying again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from sextant.inspection.api.wire import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_PORT = 4566
DEFAULT_CONSOLE_PORT = 4580
ACCOUNT = "000000000000"
REGION = "us-east-1"
_LOOPBACK = ("127.0.0.1", "localhost")
# Below this, objects and query results soon fail half-way; refusing at start is kinder.
MINIMUM_FREE_BYTES = 200 * 1024 * 1024
# The emulators this process started, by process id: they may outlive it, and a dead one is collected from here.
_started: dict[int, subprocess.Popen[bytes]] = {}


class EmulatorError(Exception):
    """The embedded AWS cannot start or answer. The message names the reason and the remedy."""


@dataclass(frozen=True)
class Emulator:
    """A running embedded AWS."""

    pid: int
    port: int
    console_port: int
    state: Path

    @property
    def endpoint(self) -> str:
        """The URL of every AWS API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def console(self) -> str:
        """The URL of the console."""
        return f"http://127.0.0.1:{self.console_port}/"

    def environment(self, account: str = ACCOUNT) -> dict[str, str]:
        """Variables under which any AWS client talks to this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            # boto3 has lost Lookout for Vision's model: it finds ours there, the AWS CLI too.
            "AWS_DATA_PATH": str(MODELS),
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **unproxied(),
            # Host prefixes (api.…) do not resolve on loopback; instance metadata is not there to wait for.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def unproxied() -> dict[str, str]:
    """NO_PROXY and no_proxy with loopback added, where a proxy of the environment has no part.

    What the caller excepts stays excepted. Both, for some clients read the one first and some the other; where one is
    not set it is as the other, or it would hide that from whoever reads it first.
    """
    found = {}
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        given = os.environ.get(name) or os.environ.get(other) or ""
        kept = [part for each in given.split(",") if (part := each.strip())]
        # An asterisk excepts everything, but only where it stands alone.
        found[name] = "*" if kept == ["*"] else ",".join(dict.fromkeys([*kept, *_LOOPBACK]))
    return found


def claim(state: Path, environment: str) -> None:
    """Notes which environment a state folder is for; one folder keeps one.

    Two environments on one state would both want the names that are fixed (the Glue workflow, the Athena workgroup),
    and the second deployment would fail half-way, on a clash that does not name its cause.

    Raises:
        EmulatorError: the folder belongs to another environment, or cannot be written.
    """
    noted = state / "environment"
    try:
        state.mkdir(parents=True, exist_ok=True)
        owner = noted.read_text().strip() if noted.exists() else ""
        if not owner:
            noted.write_text(f"{environment}\n")
    except OSError as error:
        raise EmulatorError(f"Cannot keep state in {state}: {error}. Choose another --state.") from error
    if owner and owner != environment:
        raise EmulatorError(
            f"{state} holds the environment {owner!r}, not {environment!r}. Choose another folder with --state, or "
            f"remove what is there: sextant down --delete --state {state}"
        )


def running(state: Path) -> Emulator | None:
    """The emulator of this state folder, if it answers."""
    try:
        document = json.loads((state / "emulator.json").read_text())
        emulator = Emulator(document["pid"], document["port"], document["console_port"], state)
    except (OSError, ValueError, KeyError):
        return None
    return emulator if _alive(emulator.pid) and _healthy(emulator) else None


def start(
    state: Path, *, port: int | None = None, console_port: int | None = None, auth: bool = True, timeout: float = 60
) -> Emulator:
    """The emulator of this state folder: the one that runs, or a new one.

    Args:
        state: the folder that keeps everything; made if missing.
        port: for the AWS APIs; None takes 4566, or a free port where that is taken.
        console_port: for the console; None takes 4580 or a free one.
        auth: whether IAM policies are enforced.
        timeout: seconds until a start counts as failed.

    Raises:
        EmulatorError: a chosen port is in use, the disk is full, or the process ended before it answered.
    """
    found = running(state)
    if found:
        return found
    state = state.resolve()
    _prepare(state)
    with _turn(state):
        return running(state) or _start(state, port, console_port, auth=auth, timeout=timeout)


@contextmanager
def _turn(state: Path) -> Iterator[None]:
    """One start or stop of a state folder at a time: the next one waits, and then sees what the first has left."""
    with (state / "turn").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(state: Path, port: int | None, console_port: int | None, *, auth: bool, timeout: float) -> Emulator:
    _end_hung(state)
    _reap(state)
    if port is not None and port == console_port:
        raise EmulatorError(f"Port {port} cannot serve both the AWS APIs and the console. Choose two ports.")
    emulator_port = _choose(port, DEFAULT_PORT)
    emulator_console = _choose(console_port, DEFAULT_CONSOLE_PORT, taken=emulator_port)
    environment = _process_environment(state, emulator_port, emulator_console, auth=auth)
    log = state / "emulator.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localaws.adapter"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=state,
            start_new_session=True,
        )
    _started[process.pid] = process
    emulator = Emulator(pid=process.pid, port=emulator_port, console_port=emulator_console, state=state)
    # Written before it answers: whoever interrupts this start must be able to find the process.
    (state / "emulator.json").write_text(json.dumps({**asdict(emulator), "state": str(state)}))
    try:
        _await_health(emulator, process, log, timeout)
    except BaseException:
        stop_process(process.pid)
        (state / "emulator.json").unlink(missing_ok=True)
        raise
    return emulator


def _await_health(emulator: Emulator, process: subprocess.Popen[bytes], log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not _healthy(emulator):
        if process.poll() is not None:
            raise EmulatorError(f"The embedded AWS ended while it started:\n{_tail(log)}\nThe whole log: {log}")
        if time.monotonic() > deadline:
            raise EmulatorError(
                f"The embedded AWS did not answer in {timeout:.0f} s:\n{_tail(log)}\nThe whole log: {log}"
            )
        time.sleep(0.05)


def stop(state: Path) -> bool:
    """Stops the emulator cleanly, its state saved. False when none ran."""
    if not state.is_dir():
        return False
    with _turn(state):
        return _stop(state)


def _stop(state: Path) -> bool:
    emulator = running(state)
    if emulator is None:
        hung = _end_hung(state)
        _reap(state)
        return hung
    stop_process(emulator.pid)
    (state / "emulator.json").unlink(missing_ok=True)
    return True


def hold_state(state: Path) -> IO[str]:
    """Takes the state folder for this process until the returned file is closed, or the process ends however it ends.

    Raises:
        SystemExit: another emulator holds it.
    """
    lock = (state / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        sys.exit(f"Another embedded AWS works on {state}. Stop it (sextant down) or choose another --state.")
    return lock


def _end_hung(state: Path) -> bool:
    """Ends an emulator that holds the folder but does not answer: two on one state would spoil it. False: none."""
    try:
        with (state / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    else:
        return False
    try:
        pid = json.loads((state / "emulator.json").read_text())["pid"]
    except (OSError, ValueError, KeyError):
        raise EmulatorError(
            f"Another embedded AWS is just starting on {state}. Wait, or choose another --state."
        ) from None
    stop_process(pid)
    (state / "emulator.json").unlink(missing_ok=True)
    return True


def stop_process(pid: int, grace: float = 15) -> None:
    """SIGTERM, and SIGKILL to the group when it has not ended within `grace` seconds."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    # The Lambda workers and job processes of a killed emulator are in its session.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if pid in _started:
        _started.pop(pid).wait(timeout=grace)


def delete(state: Path) -> None:
    """Stops the emulator and removes everything it kept."""
    stop(state)
    shutil.rmtree(state, ignore_errors=True)


def _prepare(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / ".writable"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise EmulatorError(f"Cannot keep state in {state}: {reason}. Free space or choose --state.") from error
    free = shutil.disk_usage(state).free
    if free < MINIMUM_FREE_BYTES:
        megabytes = free // 2**20
        raise EmulatorError(
            f"Only {megabytes} MB are free for {state}; 200 MB are needed. Free space or choose --state."
        )


def _reap(state: Path) -> None:
    """Ends what a killed emulator left running (workers and jobs in its session), known by its process id."""
    try:
        pid = json.loads((state / "emulator.json").read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return
    if not _alive(pid):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        (state / "emulator.json").unlink(missing_ok=True)


def _choose(wanted: int | None, default: int, taken: int = 0) -> int:
    if wanted is not None:
        if not _free(wanted):
            raise EmulatorError(
                f"Port {wanted} on 127.0.0.1 is in use by another program. Stop that program or choose another --port."
            )
        return wanted
    if default != taken and _free(default):
        return default
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port in TIME_WAIT after a restart is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _process_environment(state: Path, port: int, console_port: int, *, auth: bool) -> dict[str, str]:
    # The caller's own AWS settings must not reach the emulator: it would talk to a real account.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    temporary = state / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # what functions unpacked, where they were killed
    temporary.mkdir()
    return {
        **inherited,
        "AUTH": "true" if auth else "false",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        **unproxied(),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "objects"),
        "SEXTANT_CONSOLE_PORT": str(console_port),
        "SEXTANT_STATE": str(state),
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
    }


def _healthy(emulator: Emulator) -> bool:
    try:
        # A proxy of the environment has no part in loopback.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{emulator.endpoint}/_ministack/health", timeout=5) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


def _alive(pid: int) -> bool:
    if pid in _started:
        return _started[pid].poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(log: Path, lines: int = 12) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
