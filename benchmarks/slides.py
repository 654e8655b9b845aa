"""Tiling against the original's approach, the records' size and speed, and what a cohort costs.

CPU-seconds are those of whole processes, from the interpreter's start to the last byte: a process of ours tiles several
slides one after the other, as a host does, and the peer one, for it is slow. `python -m benchmarks.slides` prints the
records.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.slides.gigapixel import write_gigapixel
from sextant.slides import tfrecord
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.records import from_record
from sextant.slides.settings import TileSettings

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / "benchmarks" / "peers" / "original_tiling.py"
PRICES = ROOT / "benchmarks" / "prices.toml"
PEER_NAME = "the original's approach: OpenSlide's deep zoom, Pillow, float32 records"

OURS = """
import json
import sys
from pathlib import Path

from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide

slide, folder, count, settings = sys.argv[1:]
for number in range(int(count)):
    made = tile_slide(Path(slide), slide=f"S-{number}", patient="P", label=0, label_name="LUAD",
                      settings=TileSettings.model_validate_json(settings), target=Path(folder) / f"{number}.tfrecord")
status = Path("/proc/self/status").read_text()
peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10
print(json.dumps({"engine": made.engine, "kept": made.kept, "tiles": made.tiles, "bytes": made.bytes, "peak": peak}))
"""
"""A process that tiles a slide several times; its own peak of memory, for `ru_maxrss` is inherited from its parent."""

RUNS = 3
COPIED, DECODED = 16, 2
"""Slides of a process of ours, so that its start counts as little as it does for a host: one of sixteen has 135 of the
2,167. Where tiles are decoded it counts little anyway."""
COHORT_BYTES = 412e9
COHORT_SLIDES = 2_167
COHORT_HOSTS = 16
COHORT_INSTANCE = "ml.m5.4xlarge"
FLOAT32_BYTES = 512 * 512 * 3 * 4


@dataclass(frozen=True)
class Job:
    """CPU-seconds of a process with its children, by the system's account of it, and what it printed."""

    cpu: float
    printed: str


def run() -> list[dict[str, Any]]:
    """The records of `sextant bench slides`."""
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as name:
        folder = Path(name)
        environment = _compiled(folder)
        s20, s40 = folder / "s20.svs", folder / "s40.svs"
        write_gigapixel(s20, 24_576, 20_480, 20)
        write_gigapixel(s40, 40_960, 32_768, 40)
        peer20, peer40 = _peer(s20, folder, environment), _peer(s40, folder, environment)
        copied = [_ours(s20, folder, environment, COPIED) for _ in range(RUNS)]
        single = [_ours(s20, folder, environment, DECODED, encoding="jpeg") for _ in range(RUNS)]
        scaled = [_ours(s40, folder, environment, DECODED) for _ in range(RUNS)]
        return [
            _tiled("0.5 gigapixels at 20x, JPEG tiles copied", copied, peer20, floor=80),
            _tiled("0.5 gigapixels at 20x, one JPEG per tile", single, peer20),
            _tiled("1.3 gigapixels at 40x, decoded at half scale", scaled, peer40, floor=15),
            *_memory(copied, scaled),
            *_bytes(copied, single),
            *_streams(folder / "0.tfrecord"),
            _scaling(folder, s40),
            *_cohort(statistics.median(each.cpu for each, _ in scaled), peer40, s40),
        ]


def _compiled(folder: Path) -> dict[str, str]:
    """An environment whose modules are compiled once and for all, as an image's are: compiling is not tiling."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    _job([sys.executable, "-c", "import sextant.slides.tiling, openslide.deepzoom"], environment)
    return environment


def _ours(
    slide: Path, folder: Path, environment: dict[str, str], slides: int, *, encoding: str = "native"
) -> tuple[Job, dict[str, Any]]:
    """CPU-seconds per slide of a process that tiles several, and what the last of them was."""
    settings = json.dumps({"encoding": encoding})
    done = _job([sys.executable, "-c", OURS, str(slide), str(folder), str(slides), settings], environment)
    return Job(done.cpu / slides, done.printed), json.loads(done.printed)


def _peer(slide: Path, folder: Path, environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as work:  # 2 GB of records
        return _job([sys.executable, str(PEER), str(slide), f"{work}/peer"], environment).cpu


def _job(command: list[str], environment: dict[str, str]) -> Job:
    """Runs a command to its end.

    Raises:
        RuntimeError: it failed; with the end of what it printed.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{command[1]} failed:\n{printed[-3000:]}")
    return Job(usage.ru_utime + usage.ru_stime, printed)


def _tiled(
    name: str, ours: list[tuple[Job, dict[str, Any]]], peer: float, *, floor: float | None = None
) -> dict[str, Any]:
    cpu = [each.cpu for each, _ in ours]
    engine = ours[0][1]["engine"]
    spread = max(cpu) - min(cpu)
    return _record(f"{name} ({engine})", "CPU-s", statistics.median(cpu), peer=peer, floor=floor, spread=spread)


def _memory(copied: list[tuple[Job, dict[str, Any]]], scaled: list[tuple[Job, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        _record(f"memory, {name}", "MiB", max(told["peak"] for _, told in ours) / 2**20, most=200)
        for name, ours in (("0.5 gigapixels copied", copied), ("1.3 gigapixels decoded", scaled))
    ]


def _bytes(copied: list[tuple[Job, dict[str, Any]]], single: list[tuple[Job, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        _record(f"bytes of a record, {name}", "B", ours[0][1]["bytes"] / ours[0][1]["kept"], peer=FLOAT32_BYTES)
        for name, ours in (("copied JPEG tiles", copied), ("one JPEG per tile", single))
    ]


def _streams(path: Path) -> list[dict[str, Any]]:
    """Speed of the framing on a file's own records, by CPU-second: written, read with both CRCs checked, and parsed."""
    with path.open("rb") as stream:
        payloads = list(tfrecord.read(stream, path.name))
    megabytes = sum(map(len, payloads)) / 1e6
    written, read, parsed = [], [], []
    for _ in range(RUNS):
        started = time.process_time()
        with path.with_suffix(".copy").open("wb") as stream:
            tfrecord.write(stream, payloads)
        written.append(time.process_time() - started)
        for step, times in ((lambda payload: payload, read), (from_record, parsed)):
            started = time.process_time()
            with path.open("rb") as stream:
                for payload in tfrecord.read(stream, path.name):
                    step(payload)
            times.append(time.process_time() - started)
    return [
        _record(f"TFRecords {name}", "MB/CPU-s", megabytes / statistics.median(times))
        for name, times in (("written", written), ("read, CRCs checked", read), ("read and parsed to tiles", parsed))
    ]


def _scaling(folder: Path, slide: Path) -> dict[str, Any]:
    """How much sooner a host's tile step is done with two processes, on the clock: only an idle machine shows it."""
    slides = folder / "slides"
    slides.mkdir()
    for number in range(4):
        (slides / f"S-{number}.svs").hardlink_to(slide)
    size = slide.stat().st_size
    plan = Plan(
        classes=("LUAD",),
        salt="bench",
        hosts=1,
        tiles=TileSettings(),
        slides=tuple(
            PlannedSlide(
                slide=f"S-{n}",
                key=f"S-{n}.svs",
                patient=f"P-{n}",
                label="LUAD",
                label_index=0,
                split="train",
                host=0,
                bytes=size,
            )
            for n in range(4)
        ),
        quarantined=(),
    )
    seconds = {}
    for processes in (1, 2):
        run_folder = folder / f"run-{processes}"
        run_folder.mkdir()
        started = time.perf_counter()
        made = tile_host(
            str(run_folder),
            str(slides),
            plan,
            host=0,
            processes=processes,
            stopping=threading.Event(),
            tell=lambda _line: None,
        )
        seconds[processes] = time.perf_counter() - started
        if len(made.tiled) != len(plan.slides):
            raise RuntimeError(f"the tile step left slides out: {made}")
    return _record("speed-up of the tile step, 1 to 2 processes", "x", seconds[1] / seconds[2])


def _cohort(ours: float, peer: float, slide: Path) -> list[dict[str, Any]]:
    """The original's cohort by the CPU-seconds per byte of the 40x slide: an estimate, for it has other formats too."""
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    instance = prices["instance"][COHORT_INSTANCE]
    cpu_seconds = [each * COHORT_BYTES / slide.stat().st_size for each in (ours, peer)]
    hours = [each / 3600 / instance["vcpus"] for each in cpu_seconds]
    place = f"{COHORT_SLIDES:,} slides (412 GB) on {COHORT_HOSTS} {COHORT_INSTANCE}"
    cost = [each * instance["usd_per_hour"] for each in hours]
    minutes = [each * 60 / COHORT_HOSTS for each in hours]
    return [
        _record(f"tiling {place}, estimated", "min", minutes[0], peer=minutes[1]),
        _record(f"tiling {place}, prices of {prices['of']}, estimated", "USD", cost[0], peer=cost[1]),
    ]


def _record(
    name: str,
    unit: str,
    ours: float,
    *,
    peer: float | None = None,
    floor: float | None = None,
    most: float | None = None,
    spread: float | None = None,
) -> dict[str, Any]:
    """A record of the benchmark contract: `floor` is of the ratio to the peer, `most` of the value itself."""
    ratio = peer / ours if peer else None
    limit = f"≥ {floor:g}x" if floor is not None else f"≤ {most:g} {unit}" if most is not None else None
    return {
        "system": "slides",
        "name": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "peer_name": PEER_NAME if peer else None,
        "ratio": ratio,
        "spread": spread,
        "floor": limit,
        "ok": (floor is None or (ratio is not None and ratio >= floor)) and (most is None or ours <= most),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2, ensure_ascii=False))
