"""`sextant-edge`: run, simulate, status, install-service.

Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import statistics
import sys
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.inspection.archive import ArchiveError
from sextant.inspection.edge import settings as configuration
from sextant.inspection.edge.devices import BoardError, CameraError
from sextant.inspection.edge.health import stored
from sextant.inspection.edge.records import StoreError
from sextant.inspection.edge.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sextant.inspection.edge.settings import Settings
    from sextant.inspection.edge.simulation import Sorted

UNIT = """\
[Unit]
Description=Sextant edge sorter
After=time-sync.target
Wants=time-sync.target

[Service]
Type=notify
ExecStart={python} -m sextant.inspection.edge run --config {config}
User={user}
Restart=always
RestartSec=1
# The pusher has to be in time beside whatever else runs here.
Nice=-10
# Not told for so long that it works, it is started again.
WatchdogSec=10
TimeoutStopSec=90
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={folder}
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


_SIMULATED = (
    "Sort photographs on a simulated belt, in real time. Its items are kept in a folder `simulated` beside the real "
    "store and counted there only; their photographs are sent to no bucket."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # where it found its keys is no news of the belt
    try:
        found = configuration.load(given.config)
        code: int = given.command(found, given)
    except (ConfigurationError, ArchiveError, StoreError, CameraError, BoardError) as error:
        sys.stderr.write(f"sextant-edge: {error}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    except ModuleNotFoundError as error:
        sys.stderr.write(f"sextant-edge: {error.name} is missing: pip install -r requirements.txt of the package\n")
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sextant-edge", description="Sorts items on a belt by their photographs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: object, told: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=told, description=told)
        made.add_argument("--config", type=Path, default=Path("sextant-edge.toml"), help="default: %(default)s")
        made.set_defaults(command=does)
        return made

    command("run", _run, "Sort until told to stop.")
    simulated = command("simulate", _simulate, _SIMULATED)
    simulated.add_argument(
        "--photographs", type=Path, required=True, help="folder; normal/ and anomaly/ tell the truth"
    )
    simulated.add_argument("--items", type=_positive, default=20, help="default: %(default)s")
    simulated.add_argument("--rate", type=_rate, default=1.0, help="items per second, default: %(default)s")
    status = command("status", _status, "What the store tells: counts, the latest items, what waits.")
    for each in (simulated, status):
        each.add_argument("--json", action="store_true", help="for scripts")
    command("install-service", _service, "Print a unit for systemd.")
    return parser


def _run(found: Settings, _: argparse.Namespace) -> int:
    from sextant.inspection.edge.running import EndedError, run  # noqa: PLC0415

    try:
        run(found)
    except EndedError as error:
        sys.stderr.write(f"sextant-edge: {error}\n")
        return 1
    return 0


def _simulate(found: Settings, given: argparse.Namespace) -> int:
    from sextant.inspection.edge.simulation import products, simulate  # noqa: PLC0415

    def shown(each: Sorted) -> None:
        if not given.json:
            _say(_line(each))

    def ready(port: int) -> None:
        sys.stderr.write(f"http://127.0.0.1:{port}\n")

    belt = list(islice(cycle(products(given.photographs)), given.items))
    done = simulate(found, belt, rate=given.rate, told=shown, ready=ready)
    told = summary(done)
    _say(json.dumps(told | {"items": [_row(each) for each in done]}) if given.json else _summed(told))
    return 0 if told["as_said"] == len(belt) else 1


def summary(done: Sequence[Sorted]) -> dict[str, Any]:
    """Counts of a simulation; lateness in ms.

    `as_said` passed with the verdict `accept`, or were pushed with another. `accepted_pushed` were pushed although
    they were accepted, and `accepted_pushed_why` counts the reasons.
    """
    late = [each.record.late_ms for each in done if each.record.late_ms is not None]
    known = [each for each in done if each.product.defective is not None]
    along = [each for each in done if each.pushed and each.record.verdict == "accept"]
    why = Counter(each.record.reason.rpartition("; pushed")[2].lstrip(": ") for each in along)
    return {
        "sorted": len(done),
        "as_said": sum(
            (each.pushed, each.record.state)
            == ((False, "passed") if each.record.verdict == "accept" else (True, "pushed"))
            for each in done
        ),
        "accepted_pushed": len(along),
        "accepted_pushed_why": dict(why),
        "defective": sum(bool(each.product.defective) for each in known),
        "defective_passed": sum(bool(each.product.defective) and not each.pushed for each in known),
        "normal_pushed": sum(not each.product.defective and each.pushed for each in known),
        "late_ms_median": round(statistics.median(late), 2) if late else 0.0,
        "late_ms_most": max(late, default=0.0),
    }


def _summed(told: dict[str, Any]) -> str:
    why = "; ".join(f"{reason}: {count}" for reason, count in told["accepted_pushed_why"].items())
    along = f" {told['accepted_pushed']} were pushed although accepted ({why})." if why else ""
    return (
        f"{told['sorted']} items, {told['as_said']} sorted as their verdict says.{along} "
        f"Of {told['defective']} defective ones {told['defective_passed']} passed; "
        f"{told['normal_pushed']} normal ones were pushed. "
        f"The pusher was late by {told['late_ms_median']} ms in the middle, {told['late_ms_most']} ms at most."
    )


def _row(each: Sorted) -> dict[str, object]:
    record = each.record
    return {
        "product": each.product.name,
        "defective": each.product.defective,
        "item": record.item,
        "number": record.number,
        "verdict": record.verdict,
        "confidence": record.confidence,
        "reason": record.reason,
        "state": record.state,
        "pushed": each.pushed,
        "late_ms": record.late_ms,
    }


def _line(each: Sorted) -> str:
    record = each.record
    truth = {True: "defective", False: "normal", None: ""}[each.product.defective]
    return (
        f"{record.number:>5}  {each.product.name:<28} {truth:<10} {record.verdict!s:<8} {record.state:<7} "
        f"{record.late_ms:>7.1f} ms  {record.reason}"
    )


def _status(found: Settings, given: argparse.Namespace) -> int:
    if not found.store.exists():
        raise ConfigurationError(f"{found.store} is not there: the sorter has not run yet with this configuration")
    told = stored(found, found.store)
    if given.json:
        _say(json.dumps(told))
        return 0
    counts = ", ".join(f"{name} {count}" for name, count in sorted(told["totals"].items())) or "no item yet"
    circuits = ", ".join(f"{name} {state.lower()}" for name, state in told["circuits"].items()) or "closed"
    if told["unfinished"]:
        counts += f". Not ended, on the belt or for lack of room: {told['unfinished']}"
    _say(f"{found.project}, {found.line}: {counts}. Waiting to be sent: {told['queue']}. Circuits: {circuits}.")
    for each in told["latest"]:
        _say(f"{each['number']:>6}  {each['at'][:19]}  {each['verdict']!s:<8} {each['state']:<12} {each['reason']}")
    return 0


def _service(found: Settings, given: argparse.Namespace) -> int:
    config = given.config.resolve()
    folder = found.store.resolve().parent
    # The colon: what looks like a variable in a path is none.
    python, quoted = _quoted(f":{sys.executable}"), _quoted(str(config))
    _say(UNIT.format(python=python, config=quoted, user=getpass.getuser(), folder=_quoted(str(folder))).rstrip())
    return 0


def _quoted(path: str) -> str:
    """A path as units take it (systemd.syntax(7), systemd.unit(5)): with spaces, quotes or percent signs, too."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _say(text: str) -> None:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as `head`, has seen enough
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _rate(text: str) -> float:
    if not 0 < (number := float(text)) <= 20:
        raise argparse.ArgumentTypeError("more than 0, at most 20 per second")
    return number


if __name__ == "__main__":
    sys.exit(main())
