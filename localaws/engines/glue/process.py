"""A job run's child process: its files, its environment, its output, its end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from localaws.engines.glue.crawl import split_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.home import Call, Document, Home

HERE = Path(__file__).parent
# The repository's root is on the path of an editable install. On AWS a job sees only what its arguments bring, so
# here too.
CHECKOUT = HERE.parents[2]
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SYSTEMROOT")
GRACE = 3.0
POLL = 0.25
# Arguments that configure Glue itself; the script does not see them.
OWN_ARGUMENTS = {
    "--extra-py-files", "--additional-python-modules", "--extra-files", "--extra-jars", "--enable-metrics",
    "--enable-spark-ui",
    "--spark-event-logs-path", "--enable-continuous-cloudwatch-log", "--enable-continuous-log-filter",
    "--enable-observability-metrics",
    "--enable-job-insights", "--enable-auto-scaling", "--enable-glue-datacatalog", "--job-language", "--class",
    "--conf",
    "--continuous-log-logGroup", "--python-modules-installer-option", "--datalake-formats",
}  # fmt: skip


class JobFailed(Exception):  # noqa: N818 - it is the run's result
    """Why a run could not start."""


@dataclass(frozen=True)
class End:
    """How the process ended: `state` is the job run's, `error` its message."""

    state: str
    error: str = ""


@dataclass(frozen=True)
class SparkEngine:
    """What runs `glueetl`: "duckdb" (the PySpark subset beside this file) or "spark" (pyspark of another
    interpreter).
    """

    name: str = "duckdb"
    python: str = ""


def prepare(home: Home, run: Document, command: Document, call: Call, *, folder: Path, engine: SparkEngine) -> Document:
    """Fetches script and libraries into the run's folder, as the job's role.

    Returns:
        The launcher's specification.

    Raises:
        JobFailed: something is missing, with the remedy.
        ServiceError: the role may not read it, or it does not exist.
    """
    arguments: dict[str, str] = run["Arguments"]
    folder.mkdir(parents=True)
    script = _fetch(home, call, command["ScriptLocation"], folder / "script")
    libraries = folder / "libraries"
    libraries.mkdir()
    path = [str(HERE / "gluelib")]
    shell = command["Name"] == "pythonshell"
    if not shell and engine.name == "duckdb":
        path.insert(0, str(HERE / "sparkless"))
    path += [
        _library(_fetch(home, call, location, folder / "fetched"), libraries)
        for location in _listed(arguments.get("--extra-py-files"))
    ]
    for module in _listed(arguments.get("--additional-python-modules")):
        if module.startswith("s3://"):
            path.append(_library(_fetch(home, call, module, folder / "fetched"), libraries))
        else:
            _must_be_installed(module, engine.python if engine.name == "spark" and not shell else "")
    for location in _listed(arguments.get("--extra-files")):
        _fetch(home, call, location, folder / "files")
    path = [entry for at, entry in enumerate(path) if entry not in path[:at]]
    return {
        "script": str(script),
        "argv": script_arguments(run),
        "path": [str(script.parent), *path],
        "hide": [str(CHECKOUT), str(HERE)],
        "outcome": str(folder / "outcome.json"),
        **({"spark": str(folder / "stage")} if not shell and engine.name == "spark" else {}),
    }


def script_arguments(run: Document) -> list[str]:
    """What follows the script's name in `sys.argv`, as on Glue."""
    argv = ["--JOB_NAME", run["JobName"], "--JOB_RUN_ID", run["Id"]]
    for name, value in run["Arguments"].items():
        if name not in OWN_ARGUMENTS:
            argv += [name, value]
    workflow = run.get("Workflow")
    if workflow:
        argv += ["--WORKFLOW_NAME", workflow["Name"], "--WORKFLOW_RUN_ID", workflow["RunId"]]
    return argv


def _listed(value: str | None) -> list[str]:
    return [part.strip() for part in (value or "").split(",") if part.strip()]


def _fetch(home: Home, call: Call, location: str, folder: Path) -> Path:
    bucket, key = split_path(location)
    call.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / key.rpartition("/")[2]
    shutil.copyfile(home.objects(call.account).path(bucket, key), target)
    return target


def _library(file: Path, libraries: Path) -> str:
    """The path entry that makes a .py, .zip, .egg or .whl importable."""
    if file.suffix == ".py":
        shutil.copyfile(file, libraries / file.name)
        return str(libraries)
    if file.suffix not in (".zip", ".egg", ".whl"):
        raise JobFailed(f"{file.name}: only .py, .zip, .egg and .whl libraries can be added")
    target = libraries / file.stem
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(target)
    except zipfile.BadZipFile:
        raise JobFailed(f"{file.name} is no zip archive") from None
    return str(target)


def _must_be_installed(requirement: str, python: str) -> None:
    """Nothing is fetched from an index here: a module is there already, or comes as a wheel in S3."""
    name = re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]
    remedy = (
        f"put its wheel into S3 and list it in --additional-python-modules, or install {name} beside the embedded AWS"
    )
    try:
        if python:
            code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
            found = subprocess.run(
                [python, "-c", code, name], capture_output=True, text=True, check=True, timeout=60
            ).stdout.strip()
        else:
            found = importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, subprocess.SubprocessError, OSError):
        raise JobFailed(f"The module {requirement!r} is not installed and nothing is downloaded: {remedy}") from None
    pinned = re.fullmatch(r"[\w.\-]+(?:\[.*\])?==([\w.]+)", requirement.replace(" ", ""))
    if pinned and pinned.group(1) != found:
        raise JobFailed(f"The module {requirement!r} is installed as {found} and nothing is downloaded: {remedy}")


def environment(variables: dict[str, str], folder: Path) -> dict[str, str]:
    """The child's whole environment: the role's credentials and nothing of this process's own."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SPARKLESS_SCRATCH": str(folder / "spill"),
        **variables,
    }


def run_process(
    specification: Document,
    variables: dict[str, str],
    folder: Path,
    *,
    python: str,
    timeout: float,
    stop: threading.Event,
    output: Callable[[str, list[str]], None],
) -> End:
    """Runs the script to its end.

    Args:
        specification: of `prepare`.
        variables: the whole environment.
        folder: the run's, where it works.
        python: the interpreter; this process's own when empty.
        timeout: seconds.
        stop: set to end it.
        output: takes ("output" | "error", lines) while the script runs.
    """
    (folder / "specification.json").write_text(json.dumps(specification))
    process = subprocess.Popen(
        [python or sys.executable, str(HERE / "launch.py"), str(folder / "specification.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder / "tmp",
        env=variables,
        start_new_session=True,
    )
    lines: queue.Queue[tuple[str, str]] = queue.Queue(10_000)
    readers = [
        threading.Thread(target=_read, args=(stream, name, lines), daemon=True)
        for name, stream in (("output", process.stdout), ("error", process.stderr))
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + timeout
    ended = ""
    try:
        while process.poll() is None or any(reader.is_alive() for reader in readers):
            if process.poll() is None and not ended and (stop.is_set() or time.monotonic() > deadline):
                ended = "STOPPED" if stop.is_set() else "TIMEOUT"
                _end(process)
            if process.poll() is not None:
                # What the script left running holds the pipes open and must not outlive it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            _drain(lines, output, POLL)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    _drain(lines, output, 0)
    if ended:
        return End(ended, "Job run exceeded its timeout" if ended == "TIMEOUT" else "")
    if process.returncode == 0:
        return End("SUCCEEDED")
    with contextlib.suppress(OSError, ValueError):
        return End("FAILED", str(json.loads(Path(specification["outcome"]).read_text())["error"]))
    how = (
        f"was killed by signal {-process.returncode}"
        if process.returncode < 0
        else f"ended with exit code {process.returncode}"
    )
    return End("FAILED", f"The script's process {how}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the process group to end, then makes it."""
    for number, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
            return


def _read(stream: IO[bytes], name: str, lines: queue.Queue[tuple[str, str]]) -> None:
    while line := stream.readline(65_536):
        lines.put((name, line.decode("utf-8", "replace").rstrip("\n")))


def _drain(lines: queue.Queue[tuple[str, str]], output: Callable[[str, list[str]], None], wait: float) -> None:
    """Hands on what has been written, waiting a moment for the first line."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(queue.Empty):
        name, line = lines.get(timeout=wait) if wait else lines.get_nowait()
        found.setdefault(name, []).append(line)
        for _ in range(1_000):
            name, line = lines.get_nowait()
            found.setdefault(name, []).append(line)
    for name, texts in found.items():
        output(name, texts)
    if not wait and found:
        _drain(lines, output, 0)
