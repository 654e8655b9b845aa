"""The first process of a container: `python launch.py SPECIFICATION.json`. Standard library only.

It stands where a container runtime stands: it puts the container's own /opt/ml in place (Linux, when it was started in
a mount namespace), starts the container's command, hands SIGTERM to it as `docker stop` does, ends everything the
command left running, and ends all of it when the engine's end of stdin closes: no container outlives the emulator.

The specification: `command` (list), `cwd`, `environment` (the whole of it), and, only inside a mount namespace of its
own, `mount` (`{"opt": folder to appear as /opt/ml, "stage": empty folder, "hosts": file to appear as /etc/hosts}`).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
NOT_EXECUTABLE = 126
NOT_FOUND = 127
# Jobs take every core they get; the emulator that serves them and the console must still answer.
POLITENESS = 5


def mount(places: dict[str, str]) -> None:
    """Makes /opt/ml of this namespace the container's own. The real /opt is not written to.

    /opt itself becomes a memory file system in which everything that is there appears again, and `ml` beside it.
    """
    stage = Path(places["stage"])
    _mount("-t", "tmpfs", "-o", "size=1m", "container", str(stage))
    real = Path("/opt")
    for entry in real.iterdir() if real.is_dir() else ():
        target = stage / entry.name
        if entry.is_symlink():
            target.symlink_to(entry.readlink())
        elif entry.name != "ml":
            if entry.is_dir():
                target.mkdir()
            else:
                target.touch()
            _mount("--rbind", str(entry), str(target))
    (stage / "ml").mkdir()
    _mount("--bind", places["opt"], str(stage / "ml"))
    _mount("--rbind", str(stage), "/opt")
    with contextlib.suppress(subprocess.CalledProcessError):  # names of the other hosts: a convenience
        _mount("--bind", places["hosts"], "/etc/hosts")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def adopt_orphans() -> None:
    """What the command's children leave behind becomes this process's child (Linux), so that it can be ended."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> list[int]:
    """The living processes below this one; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    found, pending = list[int](), [os.getpid()]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def end_all() -> None:
    """Kills every process of the container but this one, also those in sessions of their own (torchrun's workers)."""
    for _ in range(100):
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def end_with_parent() -> None:
    """Ends the container when the engine's end of stdin closes."""
    lifeline = os.dup(0)
    os.set_inheritable(lifeline, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        end_all()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def main(specification: dict[str, Any]) -> int:
    end_with_parent()
    adopt_orphans()
    os.nice(POLITENESS)
    if "mount" in specification:
        mount(specification["mount"])
    command, environment = specification["command"], specification["environment"]
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        sys.stderr.write(f"exec: {command[0]}: not found in the container's PATH\n")
        return NOT_FOUND
    try:
        child = subprocess.Popen([program, *command[1:]], cwd=specification["cwd"], env=environment)
    except OSError as error:
        sys.stderr.write(f"exec: {command[0]}: {error.strerror}\n")
        return NOT_EXECUTABLE
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = child.wait()
    end_all()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
