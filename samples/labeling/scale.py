"""Ground Truth output of any size, for measurements: many small answers, many annotations, one long manifest.

Documents repeat: a few are written and the others are links to them, so that ten million annotations cost a few
megabytes of disk. What a reader sees is the same.
"""

from __future__ import annotations

import json
import random
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 300
BOXES = 10
TEMPLATES = 64
SEQUENCES_PER_JOB = 100
ROOT = "batch_manifests/VideoObjectTracking"


def write_answers(out: Path, count: int, seed: int = 7) -> None:
    """`count` worker responses of one answer each, about 1.9 KB, one file per data object, in 20 jobs."""
    rng = random.Random(seed)
    for n in range(count):
        folder = out / _responses(n % 20) / str(n // 20)
        folder.mkdir(parents=True)
        document = json.dumps({"answers": [_answer(n, rng)]}, separators=(",", ":"))
        # Ground Truth writes colons here, which Hadoop cannot list in a local folder: the peer would not start.
        (folder / f"2026-09-{1 + n % 28:02d}_{_clock(n).replace(':', '-')}.json").write_text(document)


def write_records(out: Path, lines: Path, count: int, files: int = 40, seed: int = 7) -> None:
    """`count` answers in `files` worker responses below `out`; the same answers one response a line in `lines`."""
    rng = random.Random(seed)
    lines.mkdir(parents=True)
    for number in range(files):
        answers = [_answer(n, rng) for n in range(number, count, files)]
        folder = out / _responses(number % 20) / str(number)
        folder.mkdir(parents=True)
        (folder / "2026-09-01_00-00-00.json").write_text(json.dumps({"answers": answers}, separators=(",", ":")))
        with (lines / f"{number:02d}.json").open("w") as file:
            file.writelines(json.dumps({"answers": [each]}, separators=(",", ":")) + "\n" for each in answers)


def _responses(job: int) -> str:
    return f"{ROOT}/load-first_level-job{job:02d}/output/job{job:02d}/annotations/worker-response/iteration-1"


def _clock(n: int) -> str:
    return f"{n % 86_400 // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}"


def _answer(n: int, rng: random.Random) -> dict[str, Any]:
    worker, day = rng.randrange(40), f"2026-09-{1 + n % 28:02d}"
    data = {
        "entries": [f"frame_{each:04d}.jpeg.json" for each in range(30)],
        "s3Prefix": f"s3://load/{_responses(n % 20)}/{n // 20}/{n:08x}/",
    }
    identity = {
        "identityProviderType": "Cognito",
        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_load",
        "sub": f"00000000-0000-4000-8000-{worker:012x}",
    }
    return {
        "acceptanceTime": f"{day}T{_clock(n)}.000Z",
        "answerContent": {"trackingAnnotations": {"frameData": data}},
        "submissionTime": f"{day}T{_clock(n)}.{n % 1000:03d}Z",
        "timeSpentInSeconds": round(rng.uniform(5, 200), 3),
        "workerId": f"private.us-east-1.{worker:016x}",
        "workerMetadata": {"identityData": identity},
    }


def write_annotations(out: Path, count: int, seed: int = 7) -> int:
    """Sequences of 300 frames with ten vehicles each until there are `count` boxes; returns how many there are."""
    rng = random.Random(seed)
    templates = []
    for n in range(TEMPLATES):
        path = out / f"template-{n}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_sequence(rng), separators=(",", ":")))
        templates.append(path)
    sequences = -(-count // (FRAMES * BOXES))
    for first in range(0, sequences, SEQUENCES_PER_JOB):
        name = f"job{first // SEQUENCES_PER_JOB:03d}"
        job = out / ROOT / f"load-first_level-{name}" / "output" / name
        lines = []
        for number in range(min(SEQUENCES_PER_JOB, sequences - first)):
            key = f"annotations/consolidated-annotation/output/{number}/SeqLabel.json"
            (job / key).parent.mkdir(parents=True)
            (job / key).hardlink_to(templates[(first + number) % TEMPLATES])
            metadata = {
                "class-map": {"0": "Vehicle"},
                "type": "groundtruth/video-object-tracking",
                "job-name": f"labeling-job/{name}",
                "human-annotated": "yes",
                "creation-date": f"2026-09-{1 + first // SEQUENCES_PER_JOB % 28:02d}T12:00:00.000000",
            }
            uri = f"s3://load/{ROOT}/load-first_level-{name}/output/{name}/{key}"
            lines.append({"source-ref": f"s3://load/{number}.json", "boxes-ref": uri, "boxes-ref-metadata": metadata})
        manifest = job / "manifests/output/output.manifest"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in lines))
    for path in templates:
        path.unlink()
    return sequences * FRAMES * BOXES


def _sequence(rng: random.Random) -> dict[str, Any]:
    """Vehicles that drive on, one of them out of place in the middle: what a sequence of real work looks like."""
    objects = [
        (
            str(rng.getrandbits(96)),
            f"Vehicle:{n}",
            rng.choice(("Car", "Van", "Bus", "SUV")),
            rng.choice(("Pass", "Fail")),
            (rng.randint(0, 1000), rng.randint(0, 600), rng.randint(80, 300), rng.randint(60, 200)),
            (rng.choice((-1, 1)) * rng.uniform(2, 4), rng.uniform(-1, 1)),
        )
        for n in range(BOXES)
    ]
    lost = objects[0][0]
    frames = []
    for number in range(FRAMES):
        annotations = [
            {
                "height": height,
                "width": width,
                "top": round(top + down * number),
                "left": round(left + along * number) + (400 if identity == lost and number == FRAMES // 2 else 0),
                "class-id": "0",
                "label-category-attributes": {
                    "moving": rng.choice(("Stationary", "Dynamic")),
                    "vehicle_type": kind,
                    "audit": audit,
                },
                "object-id": identity,
                "object-name": name,
            }
            for identity, name, kind, audit, (left, top, width, height), (along, down) in objects
        ]
        attributes = {"number_of_vehicles": BOXES, "quality_of_the_frame": rng.choice(("Good", "Good", "Bad"))}
        frame = f"frame_{number:06d}.jpeg"
        frames.append(
            {"annotations": annotations, "frame-no": str(number), "frame": frame, "frame-attributes": attributes}
        )
    return {"tracking-annotations": frames}


def write_manifest(path: Path, size: int) -> int:
    """An image classification manifest of at least `size` bytes; returns its number of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "confidence": 0.95,
        "job-name": f"labeling-job/{path.parent.name}",
        "class-name": "Canary",
        "human-annotated": "yes",
        "creation-date": "2026-09-18T16:40:59.217995",
        "type": "groundtruth/image-classification",
    }
    tail = f'","bird":9,"bird-metadata":{json.dumps(metadata, separators=(",", ":"))}}}\n'
    lines = 0
    with path.open("w") as file:
        while file.tell() < size:
            written = islice(repeat(tail), 10_000)
            file.writelines(f'{{"source-ref":"s3://load/{lines + n:012d}.jpg{each}' for n, each in enumerate(written))
            lines += 10_000
    return lines
