"""What a photograph costs: CPU and memory end to end, items per second of a core beside the service's, and training;
what 1,000 items cost with each backend; and whether confidences and the false-reject budget hold on unseen photographs.

Every measurement of a photograph is a process of its own with one thread, from the bytes to the answer's JSON, so
its memory is what a Lambda function or a Raspberry Pi needs. `python -m benchmarks.inspection` prints the records.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from samples.inspection import bracket, cloth
from samples.inspection.sample import Size, write_sample
from sextant.inspection import archive, evaluation, saving, training
from sextant.inspection.cost import costs, price_table
from sextant.inspection.examples import Example
from sextant.inspection.settings import DetectorSettings

ROOT = Path(__file__).resolve().parents[1]
PEER_NAME = "Lookout for Vision: about 5 requests per second and inference unit, as the original post says"
PEER_PER_SECOND = 5.0
WIDTH, HEIGHT = 2000, 1334
ROUNDS = 40
BANKS = (500, 2000, 8000)
TRAININGS = ((10, 0), (20, 20), (60, 30))
RATES = (1.0, 5.0)
"""Items per second of the original post."""
SERVICE = "lookoutvision"
UNSEEN = Size(
    train={bracket.NAME: (32, 16), cloth.NAME: (1, 0)},
    test={bracket.NAME: (100, 50), cloth.NAME: (1, 0)},
    items=1,
    defective=0,
    dims_from=2,
)
"""Of the sample's bracket, as `sextant demo` trains it, with more photographs to test on."""

DETECT = """
import json, sys, time
started = time.perf_counter(), time.process_time()
from pathlib import Path
from sextant.inspection import archive, detector, photograph
made = archive.load(Path(sys.argv[1]))
bodies = [each.read_bytes() for each in sorted(Path(sys.argv[2]).iterdir())]
json.dumps(detector.response(detector.detect(made, photograph.read(bodies[0]))))
cold = time.perf_counter() - started[0], time.process_time() - started[1]
times = []
for number in range(int(sys.argv[3])):
    before = time.process_time()
    json.dumps(detector.response(detector.detect(made, photograph.read(bodies[number % len(bodies)]))))
    times.append(time.process_time() - before)
status = Path("/proc/self/status").read_text()
peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10
print(json.dumps({"times": times, "peak": peak, "cold": cold, "bytes": sum(map(len, bodies)) / len(bodies)}))
"""
TRAIN = """
import json, sys, time
from pathlib import Path
from sextant.inspection import training
from sextant.inspection.examples import Example
from sextant.inspection.settings import DetectorSettings
found = [Example(each.name, "anomaly" if each.name.startswith("a") else "normal", each.read_bytes())
         for each in sorted(Path(sys.argv[1]).iterdir())]
normal = [each for each in found if each.label == "normal"][: int(sys.argv[2])]
anomalous = [each for each in found if each.label == "anomaly"][: int(sys.argv[3])]
before = time.process_time()
training.train([*normal, *anomalous], DetectorSettings())
print(json.dumps({"cpu": time.process_time() - before}))
"""


def run() -> list[dict[str, Any]]:
    """The records of `sextant bench inspection`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as name:
        folder = Path(name)
        photographs = folder / "photographs"
        _photographs(photographs, *(max(each[at] for each in TRAININGS) for at in (0, 1)))
        some = folder / "some"
        some.mkdir()
        for path in [*sorted(photographs.glob("n*"))[:4], *sorted(photographs.glob("a*"))[:4]]:
            (some / path.name).hardlink_to(path)
        told = {}
        for patches in BANKS:
            target = folder / f"bank-{patches}"
            _trained(photographs, target, patches)
            told[patches] = _process(DETECT, str(target), str(some), str(ROUNDS), environment=environment)
        usual = told[DetectorSettings().bank_patches]
        size = len(archive.pack(folder / f"bank-{DetectorSettings().bank_patches}"))
        seconds = statistics.median(usual["times"])
        return [
            _record(
                f"one photograph of {WIDTH} x {HEIGHT} px ({usual['bytes'] / 1e3:.0f} kB JPEG) at 320 px, end to end",
                "CPU-ms",
                seconds * 1e3,
                most=60,
                spread=(max(usual["times"]) - min(usual["times"])) * 1e3,
            ),
            _record("memory of the process", "MiB", usual["peak"] / 2**20, most=200),
            _record("items per second of a core", "1/s", 1 / seconds, peer=PEER_PER_SECOND),
            _record("cold start: process, imports, archive, first answer", "CPU-s", usual["cold"][1]),
            _record("model.tar.gz", "MB", size / 1e6),
            *(
                _record(
                    f"one photograph, bank of {patches:,} patches", "CPU-ms", statistics.median(each["times"]) * 1e3
                )
                for patches, each in told.items()
            ),
            *(
                _record(
                    f"training on {normals} normal and {anomalies} anomalous photographs",
                    "CPU-s",
                    _process(TRAIN, str(photographs), str(normals), str(anomalies), environment=environment)["cpu"],
                    most=120 if (normals, anomalies) == TRAININGS[0] else None,
                )
                for normals, anomalies in TRAININGS
            ),
            *_costs(seconds),
            *_held(folder / "sample", UNSEEN),
        ]


def _costs(seconds: float) -> list[dict[str, Any]]:
    """1,000 items with each backend, beside what the service took; `seconds` of CPU time is a photograph."""
    days = sorted(each.of for each in price_table().values())
    found = []
    for rate in RATES:
        by_backend = {each.backend: each.usd_per_thousand for each in costs(rate, seconds=seconds)}
        service = by_backend.pop(SERVICE)
        found += [
            _record(f"1,000 items at {rate:g}/s, {name}, prices of {days[0]} to {days[-1]}", "USD", usd)
            | {"peer": service, "peer_name": "Lookout for Vision, as it was", "ratio": service / usd}
            for name, usd in by_backend.items()
        ]
    return found


def _held(folder: Path, size: Size) -> list[dict[str, Any]]:
    """Calibration error and false rejects of a detector on photographs of the sample that it never saw."""
    truth = write_sample(folder, size=size)
    given = {
        part: [
            Example(each.file, each.label, (folder / each.file).read_bytes()) for each in truth.of(part, bracket.NAME)
        ]
        for part in ("train", "test")
    }
    told = evaluation.evaluate(training.train(given["train"], DetectorSettings()).detector, given["test"])
    if told.ece is None or told.false_reject_rate is None:
        raise RuntimeError("the sample's test photographs are of one kind only")
    low, high = told.false_reject_interval
    unseen = f"{told.normals} + {told.anomalies} unseen photographs of the sample's bracket"
    return [
        _record(f"expected calibration error, {unseen}", "", told.ece),
        _record(
            f"normal items called anomalous, {told.false_rejects} of {told.normals} ({low:.1%} to {high:.1%}), of "
            f"which {told.rejected_normals} rejected without a person",
            "%",
            100 * told.false_reject_rate,
        )
        | {"floor": f"≤ {told.budget:.0%} within the 95 % interval", "ok": told.keeps_budget},
    ]


def _photographs(folder: Path, normals: int, anomalies: int) -> None:
    """Plates with holes on a belt; the anomalous ones have a scratch."""
    folder.mkdir()
    for number in range(normals + anomalies):
        rng = np.random.default_rng(number)
        image = Image.new("RGB", (WIDTH, HEIGHT), (40, 70, 60))
        draw = ImageDraw.Draw(image)
        left, top = int(rng.integers(300, 500)), int(rng.integers(250, 350))
        draw.rectangle((left, top, left + 1100, top + 640), fill=(170, 170, 175))
        for x in range(100, 1100, 180):
            for y in (140, 500):
                draw.ellipse((left + x - 50, top + y - 50, left + x + 50, top + y + 50), fill=(60, 60, 60))
        if number >= normals:
            x, y = left + int(rng.integers(200, 700)), top + int(rng.integers(250, 400))
            draw.line((x, y, x + 260, y + 40), fill=(230, 230, 230), width=12)
        noisy = np.asarray(image, np.int16) + rng.integers(-6, 7, (HEIGHT, WIDTH, 1), np.int16)
        stream = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
        kind = "n" if number < normals else "a"
        (folder / f"{kind}{number:03}.jpg").write_bytes(stream.getvalue())


def _trained(photographs: Path, target: Path, patches: int) -> None:
    """An archive of 20 normal and 8 anomalous photographs with masks, so that answers hold a mask too."""
    mask = np.zeros((64, 96), np.uint8)
    mask[24:40, 20:76] = 1
    given = [Example(path.name, "normal", path.read_bytes()) for path in sorted(photographs.glob("n*"))[:20]]
    given += [
        Example(path.name, "anomaly", path.read_bytes(), mask, {1: ("scratch", "#23A436")})
        for path in sorted(photographs.glob("a*"))[:8]
    ]
    saving.save(training.train(given, DetectorSettings(bank_patches=patches)), target)


def _process(program: str, *arguments: str, environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the benchmark's process failed:\n{done.stderr[-3000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _record(
    name: str,
    unit: str,
    ours: float,
    *,
    peer: float | None = None,
    most: float | None = None,
    spread: float | None = None,
) -> dict[str, Any]:
    """A record of the benchmark contract; here more per second is better, and `most` is of the value itself."""
    return {
        "system": "inspection",
        "name": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "peer_name": PEER_NAME if peer else None,
        "ratio": ours / peer if peer else None,
        "spread": spread,
        "floor": f"≤ {most:g} {unit}" if most is not None else None,
        "ok": most is None or ours <= most,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2, ensure_ascii=False))
