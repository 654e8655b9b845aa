"""The `sextant` command. Commands parse, call and print; the work is done elsewhere.

Exit codes: 0 done, 1 failed, 2 wrong use. Progress is shown on a terminal only; `--json` writes what a script needs.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from localaws import assembly, deploy, emulator
from localaws.emulator import Emulator, EmulatorError
from samples import console
from sextant.pipeline import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from samples.check import Check

ROOT = assembly.ROOT
SYSTEMS = ("labeling", "slides", "inspection")
ENVIRONMENT = "local"
_SHOWN = 20
_INTERRUPTED = 130  # typer's exit code for Ctrl-C

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
env = typer.Typer(help="Settings for AWS clients, and environment files.")
app.add_typer(env, name="env")
out = Console()
err = Console(stderr=True)

State = Annotated[Path, typer.Option("--state", envvar="SEXTANT_STATE_DIR", help="Folder that keeps the embedded AWS.")]
DEFAULT_STATE = ROOT / ".sextant"
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the AWS APIs; 4566 or a free one.")]
ConsolePort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the console; 4580 or a free one.")]


@app.command()
def up(
    state: State = DEFAULT_STATE,
    port: Port = None,
    console_port: ConsolePort = None,
    environment: Annotated[str, typer.Option(help="Environment file to deploy.")] = ENVIRONMENT,
) -> None:
    """Start the embedded AWS and deploy onto it. Started already: brings it up to date."""
    running, outputs = _up(state, port, console_port, environment)
    if console.demo_user(_session(running), outputs):
        _print_console(running)
    out.print(f"Embedded AWS at {running.endpoint}", highlight=False)
    out.print('Use it with any AWS client: eval "$(sextant env)"', highlight=False)


@app.command()
def down(
    state: State = DEFAULT_STATE,
    delete: Annotated[bool, typer.Option("--delete", help="Remove everything it kept, too.")] = False,
) -> None:
    """Stop the embedded AWS; its state stays for the next `sextant up`."""
    stopped = emulator.stop(state)
    if delete:
        emulator.delete(state)
    out.print("Stopped." if stopped else "Was not running.", "State removed." if delete else "", highlight=False)


@app.command()
def status(
    state: State = DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What runs, what is deployed, and what input was quarantined and why."""
    running = emulator.running(state)
    if running is None:
        if as_json:
            out.print_json(data={"running": False})
        else:
            out.print("The embedded AWS is not running. Start it: sextant up", highlight=False)
        raise typer.Exit(1)
    with _failing():
        stacks = _stacks(running)
        quarantine = _quarantine(running, stacks)
    if as_json:
        summary = [{"name": stack["StackName"], "status": stack["StackStatus"]} for stack in stacks]
        out.print_json(
            data={
                "running": True,
                "endpoint": running.endpoint,
                "console": running.console,
                "stacks": summary,
                "quarantine": quarantine,
            }
        )
        return
    place = f"Embedded AWS at {running.endpoint} (pid {running.pid}), console at {running.console}"
    _line(place)
    for stack in stacks:
        _line(f"{stack['StackName']}  {stack['StackStatus']}")
        for each in stack.get("Outputs", []):
            if each["OutputKey"].endswith("Bucket"):
                _line(f"    {each['OutputKey']} s3://{each['OutputValue']}")
    if quarantine:
        objects = len({entry["source"] for entry in quarantine})
        _line(
            f"Quarantined input: {objects} {'object' if objects == 1 else 'objects'} could not be read, or not wholly"
        )
        for entry in quarantine[:_SHOWN]:
            _line(f"    {entry['source']}\n        {entry['reason']}: {entry['detail']}")
        if len(quarantine) > _SHOWN:
            out.print(f"… and {len(quarantine) - _SHOWN} more findings: sextant status --json", highlight=False)
        out.print(
            "Replace what cannot be read: inspection looks at it at once, labeling and slides with their next run.",
            highlight=False,
        )
    else:
        out.print("No quarantined input.")


@app.command()
def logs(
    group: Annotated[str, typer.Argument(help="Part of a log group's name; the emulator's own log without it.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    state: State = DEFAULT_STATE,
) -> None:
    """The last lines of the emulator's log, or of every log group whose name contains GROUP."""
    if not group:
        path = state / "emulator.log"
        if not path.is_file():
            _fail(f"There is no log in {state}: the embedded AWS was never started. Start it: sextant up")
        with path.open(errors="replace") as file:
            for line in deque(file, maxlen=lines):
                sys.stdout.write(line)
        return
    client = _session(_running(state)).client("logs")
    pages = client.get_paginator("describe_log_groups").paginate()
    names = [found["logGroupName"] for page in pages for found in page["logGroups"]]
    matching = [name for name in names if group.lower() in name.lower()]
    if not matching:
        _fail(f"No log group's name contains {group!r}. There are: {', '.join(sorted(names)) or 'none'}")
    for name in matching:
        out.print(f"== {name}", highlight=False)
        events = client.filter_log_events(logGroupName=name)["events"]
        for event in events[-lines:]:
            sys.stdout.write(event["message"].rstrip("\n") + "\n")


@env.callback(invoke_without_command=True)
def env_exports(context: typer.Context, state: State = DEFAULT_STATE) -> None:
    """Print `export NAME=value` lines: eval "$(sextant env)" points any AWS client at the embedded AWS."""
    if context.invoked_subcommand:
        return
    for name, value in _running(state).environment().items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


@env.command("new")
def env_new(
    name: Annotated[str, typer.Argument(help="Stage name, such as dev.")],
    account: Annotated[str, typer.Option(help="12-digit AWS account.")],
    region: Annotated[str, typer.Option(help="AWS region, such as eu-central-1.")],
) -> None:
    """Write environments/NAME.toml for an account of yours."""
    from stacks.environments import EnvironmentFileError, new_environment  # noqa: PLC0415 - CDK side, rarely used

    path = ROOT / "environments" / f"{name}.toml"
    if path.exists():
        _fail(f"{path} exists already. Edit it, or choose another name.")
    try:
        text = new_environment(name, account=account, region=region)
    except (EnvironmentFileError, ValueError) as error:
        _fail(str(error), code=2)
    path.write_text(text)
    out.print(f"Wrote {path}. Deploy it: npx aws-cdk@2.1148.1 deploy '{name}/*'", highlight=False)


@app.command()
def demo(
    systems: Annotated[list[str] | None, typer.Argument(help="Systems to run; all without it.")] = None,
    data: Annotated[Path | None, typer.Option(help="Your own files instead of the samples.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
    serve: Annotated[bool, typer.Option(help="Keep the console up until Ctrl-C.")] = True,
    state: State = DEFAULT_STATE,
    port: Port = None,
    console_port: ConsolePort = None,
) -> None:
    """Deploy, put samples in, run the pipelines and compare every number with the known truth."""
    chosen = _known(systems)
    if as_json:
        _writable(as_json)
    running, outputs = _up(state, port, console_port, ENVIRONMENT)
    signed_in = console.demo_user(_session(running), outputs)
    results = [_demo(system, running, outputs, data) for system in chosen]
    _print_results(results)
    if as_json:
        as_json.write_text(json.dumps({"systems": [result.document() for result in results]}, indent=2) + "\n")
    if signed_in:
        _print_console(running)
    if not all(result.ok for result in results):
        raise typer.Exit(1)
    if not serve:
        out.print("It goes on running; `sextant down` stops it.", highlight=False)
    if serve and sys.stdout.isatty():
        out.print("Ctrl-C stops the embedded AWS; `sextant up` brings it back with everything in it.", highlight=False)
        _wait_for_interrupt()
        emulator.stop(state)


@app.command()
def run(
    system: Annotated[str, typer.Argument(help="The system to run.")],
    inputs: Annotated[list[Path], typer.Argument(help="Folders of Ground Truth output, of slides, or of photographs.")],
    folder: Annotated[Path, typer.Option("--out", help="Where the result files go.")] = Path("sextant-results"),
    page: Annotated[Path | None, typer.Option("--report", help="Write all reports as one HTML file to mail.")] = None,
    state: State = DEFAULT_STATE,
) -> None:
    """The real job on your own input; result files out."""
    _known([system])
    if page:
        _writable(page)
    running, outputs = _up(state, None, None, ENVIRONMENT)
    module = importlib.import_module(f"samples.{system}.demo")
    with _failing(), _progress() as report:
        written, totals = module.run_on(_session(running), outputs, inputs, folder, _of(system, report))
        if page:
            page.write_text(module.report_page(_session(running), outputs, report), encoding="utf-8")
            written.append(page)
    for path in written:
        _line(str(path))
    _line("; ".join(f"{count:,} {what}" for what, count in totals.items()))
    out.print("`sextant status` says what was not used and why; `sextant down` stops it all.", highlight=False)


@app.command()
def bench(
    systems: Annotated[list[str] | None, typer.Argument(help="Benchmarks to run; all without it.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Speed beside a peer, in one run. A ratio above 1 is ahead of the peer; `ok` says whether the floor is kept."""
    known = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
    for name in systems or []:
        if name not in known:
            _fail(f"There is no benchmark {name!r}. There are: {', '.join(known)}", code=2)
    records: list[dict[str, Any]] = []
    for name in systems or known:
        records += importlib.import_module(f"benchmarks.{name}").run()
    for record in records:
        _line(_measured(record))
    if as_json:
        machine = {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
        as_json.write_text(json.dumps({"machine": machine, "benchmarks": records}, indent=2) + "\n")
    if not all(record["ok"] for record in records):
        raise typer.Exit(1)


def main() -> None:
    """The entry point: interrupted is not a fault of the program."""
    try:
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            err.print("\nInterrupted. What runs goes on; stop the embedded AWS with: sextant down", highlight=False)
        raise


# --- What the commands share ------------------------------------------------------------------------------------------


def _line(text: str) -> None:
    """As it is: in a table's column an address would be broken, and could not be copied; names are anybody's."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_console(running: Emulator) -> None:
    _line(f"Console: {running.console}, sign in as {console.USER} with {console.PASSWORD}")


def _writable(path: Path) -> None:
    """Better told now than after minutes of work."""
    try:
        path.touch()
    except OSError as error:
        _fail(f"Cannot write {path}: {error.strerror}.", code=2)


def _known(systems: list[str] | None) -> list[str]:
    for name in systems or []:
        if name not in SYSTEMS:
            _fail(f"There is no system {name!r}. There are: {', '.join(SYSTEMS)}", code=2)
    return systems or list(SYSTEMS)


def _up(
    state: Path, port: int | None, console_port: int | None, environment: str
) -> tuple[Emulator, dict[str, dict[str, str]]]:
    """The running embedded AWS with the environment deployed, and the outputs of its stacks."""
    with _failing(), _progress() as report:
        report("embedded AWS", 0, 1)
        emulator.claim(state, environment)
        running = emulator.start(state, port=port, console_port=console_port)
        if (port or running.port, console_port or running.console_port) != (running.port, running.console_port):
            err.print(f"It runs already, on {running.endpoint} and {running.console}; ports stay.", highlight=False)
        report("templates", 0, 1)
        folder = assembly.synthesize(environment, state / "assembly")

        def show(progress: deploy.Progress) -> None:
            report(f"deploy {progress.stack}", progress.done, progress.total)

        outputs = deploy.deploy(folder, _session(running), show)
    return running, outputs


@dataclass(frozen=True)
class DemoResult:
    """What one system's demo measured; `document` is the stable form of `sextant demo --json`."""

    system: str
    seconds: float
    checks: tuple[Check, ...]
    url: str

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.system,
            "ok": self.ok,
            "seconds": round(self.seconds, 2),
            "checks": [{**asdict(check), "ok": check.ok} for check in self.checks],
            "url": self.url,
        }


def _demo(system: str, running: Emulator, outputs: dict[str, dict[str, str]], data: Path | None) -> DemoResult:
    module = importlib.import_module(f"samples.{system}.demo")
    started = time.monotonic()
    with _failing(), _progress() as report, tempfile.TemporaryDirectory(prefix="sextant-demo-") as folder:
        # Systems name their steps alike: put, train, deploy.
        checks = module.demo(_session(running), outputs, Path(folder), _of(system, report), data=data)
    return DemoResult(system, time.monotonic() - started, tuple(checks), f"{running.console}#/{system}")


def _session(running: Emulator) -> boto3.session.Session:
    """A session on the embedded AWS only: the caller's own profile, keys and endpoints have no say."""
    settings = running.environment()
    os.environ.update(settings)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    return boto3.session.Session(
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_REGION"],
    )


def _running(state: Path) -> Emulator:
    running = emulator.running(state)
    if running is None:
        _fail("The embedded AWS is not running. Start it: sextant up")
    return running


def _stacks(running: Emulator) -> list[dict[str, Any]]:
    pages = _session(running).client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks: dict[str, dict[str, Any]] = {stack["StackName"]: {**stack} for page in pages for stack in page["Stacks"]}
    return [stacks[name] for name in sorted(stacks)]


def _quarantine(running: Emulator, stacks: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Rejected input of every deployed system that keeps such a list."""
    found: list[dict[str, str]] = []
    for stack in stacks:
        system = stack["StackName"].partition("-")[2].lower()
        if system in SYSTEMS:
            outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
            found += importlib.import_module(f"samples.{system}.demo").quarantine(_session(running), outputs)
    return found


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A reporter of (what, done, total): bars on a terminal, one plain line per step elsewhere."""
    if not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("NO_COLOR"):
        last = ""

        def plain(what: str, _done: int, _total: int) -> None:
            nonlocal last
            if what != last:
                err.print(what, highlight=False)
                last = what

        yield plain
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def bar(what: str, done: int, total: int) -> None:
            for name, task in tasks.items():
                if name != what:
                    bars.update(task, completed=bars.tasks[task].total)
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield bar


def _of(system: str, report: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """The reporter with the system before each step."""
    return lambda what, done, total: report(f"{system}: {what}", done, total)


@contextmanager
def _failing() -> Iterator[None]:
    """Turns the errors that a user can mend into a plain message and exit code 1."""
    try:
        yield
    except (EmulatorError, assembly.SynthesisError, deploy.DeployError, PipelineError) as error:
        _fail(str(error))
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and _is_refused(error):
            told = error.response["Error"]
            _fail(
                f"{error.operation_name} was refused ({told['Code']}): {told.get('Message', '')}\n"
                "Mend what this names, and run the command again. Nothing is wrong with the embedded AWS itself."
            )
        _fail(
            f"The embedded AWS did not answer as it should: {error}\nIts log: sextant logs. Start it again: sextant up"
        )
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        free = shutil.disk_usage(ROOT).free // 2**20
        _fail(f"{error.strerror or error}{place} ({free} MB free on the disk).")


def _is_refused(error: ClientError) -> bool:
    """Whether a service has answered that the request itself cannot be done, not that it failed at it."""
    return 400 <= error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500


def _fail(message: str, code: int = 1) -> NoReturn:
    err.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _print_results(results: list[DemoResult]) -> None:
    for result in results:
        table = Table(box=None, title=f"{result.system}, {result.seconds:.1f} s", title_justify="left")
        table.add_column("Check")  # a long name takes a second line: the numbers never give way
        for heading in ("Measured", "Truth", ""):
            table.add_column(heading, justify="right", no_wrap=True)
        for check in result.checks:
            mark = "[green]ok[/green]" if check.ok else "[red]wrong[/red]"
            truth = "unknown" if check.expected is None else _number(check.expected)
            # A smaller one only allows for rounding.
            tolerance = f" ± {check.tolerance:g}" if check.tolerance >= 1e-6 else ""
            table.add_row(check.name, _number(check.measured), truth + tolerance, mark)
        out.print(table)


def _measured(record: dict[str, Any]) -> str:
    """A benchmark in two lines: its names are sentences, which the columns of a table would break into words."""
    unit = record["unit"]
    told = [f"{record['ours']:.3g} {unit}"]
    if record["peer"] is not None:
        told.append(f"peer {record['peer']:.3g} {unit} ({record['peer_name']})")
    if record["ratio"] is not None:
        # No spread of what was measured once.
        spread = "" if record["spread"] is None else f" ± {record['spread']:.2f}"
        told.append(f"ratio {record['ratio']:.2f}{spread}")
    if record["floor"] is not None:
        told.append(f"floor {record['floor']}, {'kept' if record['ok'] else 'NOT KEPT'}")
    return f"{record['system']}: {record['name']}\n    {'; '.join(told)}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{round(value, 6):,}"


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        out.print()


if __name__ == "__main__":
    main()
