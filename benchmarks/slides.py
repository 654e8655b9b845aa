"""Tiling against the original's approach, the records' size and speed, features, and what a cohort costs.

CPU-seconds are those of whole processes, from the interpreter's start to the last byte: a process of ours tiles several
slides one after the other, as a host does, and the peer one, for it is slow. The job is what the tile step does: the
tiles, and the console's view of the slide, which the original has none of; the tiles alone are told beside it.
`python -m benchmarks.slides` prints the records.
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
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from samples.slides.gigapixel import write_gigapixel
from sextant.slides import tfrecord
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.encoder import load
from sextant.slides.features import of_records
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
import time
from pathlib import Path

from sextant.slides.settings import TileSettings
from sextant.slides.tiling import tile_slide
from sextant.slides.view import write_view

path, folder, count, told = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
settings = TileSettings.model_validate_json(told)
views = 0.0
for number in range(count):
    target = folder / "tiles.tfrecord"
    target.unlink(missing_ok=True)  # a host has the tiles of the slide in work on its disk, and no others
    tiled = tile_slide(path, slide=f"S-{number}", patient="P", label=0, label_name="LUAD", settings=settings,
                       target=target)
    began = time.process_time()
    write_view(path, slide=f"S-{number}", uri="s3://slides/s.svs", etag="e", tiles=tiled.grid, folder=folder)
    views += time.process_time() - began
made = tiled.summary
status = Path("/proc/self/status").read_text()
peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10
print(json.dumps({"engine": made.engine, "kept": made.kept, "tiles": made.tiles, "bytes": made.bytes, "peak": peak,
                  "view": views / count}))
"""
"""A process that tiles a slide several times, with its view; its own peak of memory, for `ru_maxrss` is inherited from
its parent."""

RUNS = 3
COPIED, DECODED = 32, 2
"""Slides of a process of ours, so that its start counts nearly as little as it does for a host: one of sixteen has 135
of the 2,167. Where tiles are decoded it counts little anyway."""
ENCODED = 64
"""Tiles of the encoder's measurement."""
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
        records = folder / "records"
        records.mkdir()
        copied = [_ours(s20, folder, environment, COPIED) for _ in range(RUNS)]
        single = [_ours(s20, folder, environment, DECODED, encoding="jpeg") for _ in range(RUNS)]
        scaled = [_ours(s40, folder, environment, DECODED) for _ in range(RUNS)]
        _job(_command(s20, records, 1, TileSettings()), environment)
        return [
            *_tiled("0.5 gigapixels at 20x, JPEG tiles copied", copied, peer20, floor=80),
            *_tiled("0.5 gigapixels at 20x, one JPEG per tile", single, peer20),
            *_tiled("1.3 gigapixels at 40x, decoded at half scale", scaled, peer40, floor=15),
            *_memory(copied, scaled),
            *_bytes(copied, single),
            *_streams(records / "tiles.tfrecord"),
            _features(records / "tiles.tfrecord"),
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
    slide: Path,
    folder: Path,
    environment: dict[str, str],
    slides: int,
    *,
    encoding: Literal["native", "jpeg"] = "native",
) -> tuple[Job, dict[str, Any]]:
    """CPU-seconds per slide of a process that tiles several, and what the last of them was."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        done = _job(_command(slide, Path(work), slides, TileSettings(encoding=encoding)), environment)
    return Job(done.cpu / slides, done.printed), json.loads(done.printed)


def _command(slide: Path, folder: Path, slides: int, settings: TileSettings) -> list[str]:
    return [sys.executable, "-c", OURS, str(slide), str(folder), str(slides), settings.model_dump_json()]


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
) -> list[dict[str, Any]]:
    """The whole job, which the floor is of, and its tiles alone."""
    engine = ours[0][1]["engine"]
    whole = [job.cpu for job, _ in ours]
    alone = [job.cpu - told["view"] for job, told in ours]
    return [
        _record(each, "CPU-s", statistics.median(cpu), peer=peer, floor=least, spread=max(cpu) - min(cpu))
        for each, cpu, least in (
            (f"{name} ({engine}), tiles and view", whole, floor),
            (f"{name} ({engine}), tiles alone", alone, None),
        )
    ]


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


def _features(path: Path) -> dict[str, Any]:
    """Tiles that the default encoder turns into features by CPU-second on one thread, their decoding included."""
    with path.open("rb") as stream:
        payloads = list(islice(tfrecord.read(stream, path.name), ENCODED))
    encoder = load()
    list(of_records(payloads[:8], encoder))  # what the runtime sets up is paid once per host
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        made = sum(1 for _ in of_records(payloads, encoder))
        times.append((time.process_time() - started) / made)
    return _record(f"features of {encoder.name}", "tiles/CPU-s", 1 / statistics.median(times))


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
        run_folder = folder / f"runs-{processes}" / "bench"  # tiles lie beside the runs, where other runs take them
        run_folder.mkdir(parents=True)
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
