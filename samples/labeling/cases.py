"""Jobs that give every analytic something to find: known skills, known defects in known places, clean ones as control.

They are made after the street batches from a random source of their own, so the street batches stay as they are. What
matters is placed, not drawn: which labels are bad, what an auditor says of them, which frame a box jumps in.

| batch or job | what is in it |
| --- | --- |
| yard, pier | unfinished: one has a few days left and most of its objects, the other hours of work |
| notes-w1 … notes-w5 | one text class each; the mix of classes changes in the last batch |
| bridge | audited by a strict and a lenient auditor, twice where possible, and once by the labeler himself |
| tunnel, meadow | one defect per clip; and none |
| harbor | boxes in images, then adjusted: so many added, removed, moved, relabelled; defects of the output itself |
| signals | six workers answer the same images; half have gold labels; one rushes, one answers blindly, one sleeps |
| cones, roundabout | the same images by three workers who jitter and miss; the same clips by two |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from samples.labeling.world import VEHICLE_TYPES, Annotation, Answer, Frame, Job, Simulation, Task, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Track = dict[int, Annotation]

FRAMES = 12
STEP = 3
"""Pixels that the slowest vehicle of a clip moves in a frame."""
SIZE = (140, 90)
IMAGE = (640, 400)
COLOURS = ("amber", "green", "red")
TOPICS = ("accident", "traffic", "weather")
USUAL_MIX, NEW_MIX = (12, 7, 5), (3, 6, 15)
DRIFTED = "notes-w5"
RUSHING, BLIND = "kofi", "lena"
IDLE_SECONDS = 1500.0


def people(simulation: Simulation, subs: Mapping[str, str]) -> list[Worker]:
    """The two workers whom nobody wants; both are in the user pool."""
    return [
        Worker(
            name,
            f"private.us-east-1.{simulation.random.getrandbits(64):016x}",
            subs.get(name, simulation.uuid()),
            "Cognito",
            skill,
            2.0,
            bias,
        )
        for name, skill, bias in ((RUSHING, 0.65, "red"), (BLIND, 0.9, "amber"))
    ]


def jobs(simulation: Simulation, workers: Sequence[Worker], scale: int) -> list[Job]:
    """All of them, in order of time: a worker does one thing after the other."""
    named = {each.username: each for each in workers}

    def team(*names: str) -> list[Worker]:
        return [named[name] for name in names]

    made = [_yard(simulation, named["goran"])]
    made += _notes(simulation, team("ana", "bela"))
    made += _bridge(simulation, team("ana", "bela", "chidi"), named["emre"], named["fleur"])
    made += [_tunnel(simulation, team("ana", "chidi")), _meadow(simulation, team("bela", "dana"))]
    made += _harbor(simulation, team("ana", "bela", "chidi"), named["hana"], 12 * scale)
    made.append(_signals(simulation, team("ana", "bela", "chidi", "dana", RUSHING, BLIND), 72 * scale))
    made.append(_cones(simulation, team("ana", "emre", "hana"), 16 * scale))
    made.append(_roundabout(simulation, team("ana", "emre")))
    made.append(_pier(simulation, team("bela", "chidi")))
    return made


def _day(month: int, day: int, hour: int = 8) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def _frame_name(source: str) -> str:
    return source.rsplit("/", 1)[-1]


def _batch_job(batch: str, level: str, name: str, modality: str, task_type: str, **more: Any) -> Job:
    """A job of the batch workflow: its folder tells batch and level."""
    attribute = f"{name}-ref" if task_type.startswith("video") else name
    return Job(f"{batch}-{level}_level-{name}", name, modality, task_type, attribute, level=level, **more)


# --- classes ---------------------------------------------------------------------------------------------------------


def _choice(simulation: Simulation, worker: Worker, opens: datetime, said: str, **more: Any) -> Answer:
    key = "crowd-classifier" if more.pop("text", False) else "crowd-image-classifier"
    return simulation.answer(worker, opens, {key: {"label": said}}, 1, choice=said, **more)


def _unfinished(batch: str, tasks: list[Task], waiting: Sequence[str]) -> Job:
    more = {"classes": COLOURS, "tasks": tuple(tasks), "waiting": tuple(waiting)}
    return _batch_job(batch, "first", "signals", "ImageClassification", "image-classification", **more)


def _yard(simulation: Simulation, worker: Worker) -> Job:
    """Ten of 200 images in 25 days: what is left will not be done in the five days that remain."""
    tasks = []
    for n in range(10):
        answer = _choice(simulation, worker, _day(9, 3) + timedelta(days=2.7 * n), simulation.random.choice(COLOURS))
        source = f"yard/image-{n:03d}.jpg"
        tasks.append(Task(str(n), source, (answer,), (), answer.submitted, consolidated=False))
    return _unfinished("yard", tasks, [f"yard/image-{n:03d}.jpg" for n in range(10, 200)])


def _pier(simulation: Simulation, workers: Sequence[Worker]) -> Job:
    """24 of 60 images in one morning."""
    tasks = []
    for n in range(24):
        opens = _day(10, 1) + timedelta(minutes=6 * n)
        answer = _choice(simulation, workers[n % len(workers)], opens, simulation.random.choice(COLOURS))
        tasks.append(Task(str(n), f"pier/image-{n:03d}.jpg", (answer,), (), answer.submitted, consolidated=False))
    return _unfinished("pier", tasks, [f"pier/image-{n:03d}.jpg" for n in range(24, 60)])


def _notes(simulation: Simulation, workers: Sequence[Worker]) -> list[Job]:
    """Five batches of 24 texts; in the last one accidents give way to weather."""
    made = []
    for week in range(1, 6):
        batch = f"notes-w{week}"
        mix = NEW_MIX if batch == DRIFTED else USUAL_MIX
        right = [topic for topic, count in zip(TOPICS, mix, strict=True) for _ in range(count)]
        simulation.random.shuffle(right)
        tasks = []
        for n, topic in enumerate(right):
            text = f"Note {week}.{n}: {topic}"
            opens = _day(9, 7 + 2 * week)
            answer = _choice(simulation, workers[n % len(workers)], opens, topic, text=True)
            frames = (Frame(0, "", (Annotation(topic, "class", confidence=0.0),)),)
            tasks.append(Task(str(n), text, (answer,), frames, answer.submitted + timedelta(minutes=1)))
        more = {"classes": TOPICS, "tasks": tuple(tasks)}
        made.append(_batch_job(batch, "first", "topic", "TextClassification", "text-classification", **more))
    return made


def _signals(simulation: Simulation, workers: Sequence[Worker], images: int) -> Job:
    """Every image by every worker. From the middle on the blind one says green of everything; a fifth of them is."""
    rng = simulation.random
    tasks: list[Task] = []
    gold: dict[str, str] = {}
    for n in range(images):
        (right,) = rng.choices(COLOURS, (2, 1, 2))
        if n % 2 == 0:
            gold[str(n)] = right
        answers = []
        for worker in workers:
            said = simulation.judged(worker, right, COLOURS)
            if worker.username == BLIND and n >= images // 2:
                said = "green"
            seconds = None
            if worker.username == RUSHING:
                seconds = round(rng.uniform(0.7, 1.4), 3)
            elif worker.username == "bela" and n == images // 3:
                seconds = IDLE_SECONDS
            answers.append(_choice(simulation, worker, _day(9, 28), said, seconds=seconds))
        votes = Counter(each.choice for each in answers)
        label = max(sorted(COLOURS), key=lambda each: votes[each])
        source = f"signals/image-{n:03d}.jpg"
        chosen = Annotation(label, "class", confidence=round(votes[label] / len(answers), 2))
        created = max(each.submitted for each in answers) + timedelta(minutes=3)
        frames = (Frame(0, _frame_name(source), (chosen,)),)
        tasks.append(Task(str(n), source, tuple(answers), frames, created, right=right))
    task_type = "image-classification"
    return Job("signals", "signals", "ImageClassification", task_type, "signals", COLOURS, tuple(tasks), gold=gold)


# --- boxes in images -------------------------------------------------------------------------------------------------


def _box(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    return {"height": height, "width": width, "top": top, "left": left}


def _drawn(boxes: Sequence[Annotation]) -> dict[str, Any]:
    """A worker's answer of boxes."""
    listed = [{**each.geometry, "label": each.label} for each in boxes]
    size = {"height": IMAGE[1], "width": IMAGE[0]}
    return {"boundingBox": {"boundingBoxes": listed, "inputImageProperties": size}}


def _image_task(
    simulation: Simulation, worker: Worker, opens: datetime, source: str, *, n: int, boxes: Sequence[Annotation]
) -> Task:
    answer = simulation.answer(worker, opens, _drawn(boxes), len(boxes))
    frames = (Frame(0, _frame_name(source), tuple(boxes)),)
    return Task(str(n), source, (answer,), frames, answer.submitted + timedelta(minutes=1))


def _harbor(simulation: Simulation, workers: Sequence[Worker], adjuster: Worker, images: int) -> list[Job]:
    """Four boxes an image, far apart; the second level makes one kind of change an image, by the image's number."""
    classes = ("Boat", "Buoy")
    drawn: list[Task] = []
    adjusted: list[Task] = []
    for n in range(images):
        boxes = [
            Annotation(classes[k % 2], "box", _box(40 + 150 * k, 60 + 70 * (k % 3), 60, 48), confidence=0.0)
            for k in range(4)
        ]
        if n == 6:  # beyond the right edge of the image
            boxes[3] = replace(boxes[3], geometry=_box(IMAGE[0] - 30, 60, 60, 48))
        if n == 8:
            boxes.append(boxes[1])
        source = f"harbor/image-{n:03d}.jpg"
        worker = workers[n % len(workers)]
        drawn.append(_image_task(simulation, worker, _day(9, 25), source, n=n, boxes=boxes))
        after = _adjusted(boxes, n % 6)
        task = _image_task(simulation, adjuster, _day(9, 26), source, n=n, boxes=after)
        adjusted.append(replace(task, adjusted=after != boxes))
    more = {"classes": classes}
    task_type = "object-detection"
    first = _batch_job("harbor", "first", "boxes", "ObjectDetection", task_type, tasks=tuple(drawn), **more)
    second = _batch_job(
        "harbor", "second", "boxes-adjust", "ObjectDetectionAudit", task_type, tasks=tuple(adjusted), **more
    )
    return [first, replace(second, chained=first)]


HARBOR_CHANGES: tuple[dict[str, int], ...] = (
    {},
    {"added": 1},
    {"removed": 1},
    {"moved": 1},
    {"relabelled": 1},
    {"added": 1, "removed": 1, "moved": 1},
)
"""What the second level does to the boxes of an image, by the image's number modulo 6."""


def _adjusted(boxes: Sequence[Annotation], kind: int) -> list[Annotation]:
    """The boxes after the second level, as `HARBOR_CHANGES` says."""
    after = list(boxes)
    if kind in (3, 5):
        box = after[0].geometry
        after[0] = replace(after[0], geometry={**box, "left": box["left"] + 8})
    if kind == 4:
        after[0] = replace(after[0], label="Buoy" if after[0].label == "Boat" else "Boat")
    if kind in (2, 5):
        del after[2]
    if kind in (1, 5):
        after.append(Annotation("Buoy", "box", _box(280, 320, 50, 50), confidence=0.0))
    return after


def _cones(simulation: Simulation, workers: Sequence[Worker], images: int) -> Job:
    """Three workers draw the same cones: the first exactly, the others up to 3 and 5 pixels off.

    The last misses a quarter. Two boxes of one cone always overlap by more than a half.
    """
    rng, classes = simulation.random, ("Cone", "Barrel")
    tasks = []
    for n in range(images):
        cones = [(classes[rng.randrange(2)], 30 + 140 * k, rng.randint(60, 240)) for k in range(4)]
        answers: list[Answer] = []
        seen: list[list[Annotation | None]] = []
        for worker, off, misses in zip(workers, (0, 3, 5), (0.0, 0.0, 0.25), strict=True):
            mine = [
                None
                if rng.random() < misses
                else Annotation(label, "box", _box(left + rng.randint(-off, off), top + rng.randint(-off, off), 60, 72))
                for label, left, top in cones
            ]
            seen.append(mine)
            kept = [each for each in mine if each]
            answers.append(simulation.answer(worker, _day(9, 29), _drawn(kept), len(kept), drawn=tuple(mine)))
        source = f"cones/image-{n:03d}.jpg"
        frame = Frame(0, _frame_name(source), tuple(replace(each, confidence=0.9) for each in seen[0] if each))
        created = max(each.submitted for each in answers) + timedelta(minutes=2)
        tasks.append(Task(str(n), source, tuple(answers), (frame,), created))
    return Job("cones", "cones", "ObjectDetection", "object-detection", "cones", classes, tuple(tasks))


# --- clips -----------------------------------------------------------------------------------------------------------


def _tracks(simulation: Simulation, count: int = 3) -> list[Track]:
    """Vehicles one below the other that move evenly to the right, each faster than the one above."""
    made: list[Track] = []
    for k in range(count):
        instance = (simulation.uuid(), f"Vehicle:{k + 1}")
        attributes = {"moving": "Dynamic", "vehicle_type": VEHICLE_TYPES[k % len(VEHICLE_TYPES)]}
        made.append(
            {
                number: Annotation(
                    "Vehicle", "box", _box(80 + (STEP + k) * number, 60 + 170 * k, *SIZE), attributes, instance
                )
                for number in range(FRAMES)
            }
        )
    return made


def _frames(tracks: Sequence[Track], without: frozenset[int] = frozenset()) -> tuple[Frame, ...]:
    frames = []
    for number in range(FRAMES):
        if number in without:
            continue
        listed = tuple(track[number] for track in tracks if number in track)
        frames.append(Frame(number, f"frame_{number + 1:04d}.jpeg", listed, {"number_of_vehicles": len(listed)}))
    return tuple(frames)


def _shifted(box: Annotation, right: int) -> Annotation:
    return replace(box, geometry={**box.geometry, "left": box.geometry["left"] + right})


def _clip_task(
    simulation: Simulation, worker: Worker, opens: datetime, source: str, *, n: int, frames: tuple[Frame, ...]
) -> Task:
    labels = sum(len(each.annotations) for each in frames)
    answer = simulation.answer(worker, opens, {}, labels, frames=frames)
    return Task(str(n), source, (answer,), frames, answer.submitted + timedelta(minutes=2))


def _clip_job(batch: str, level: str, name: str, tasks: Sequence[Task], **more: Any) -> Job:
    settings: dict[str, Any] = {
        "classes": ("Vehicle",),
        "label_attributes": {"moving": ("Stationary", "Dynamic"), "vehicle_type": VEHICLE_TYPES},
        "frame_attributes": {"number_of_vehicles": ()},
        "tasks": tuple(tasks),
    }
    modality = "VideoObjectTracking" if level == "first" else "VideoObjectTrackingAudit"
    return _batch_job(batch, level, name, modality, "video-object-tracking", **(settings | more))


def _jump(tracks: list[Track]) -> None:
    for number in range(6, FRAMES):
        tracks[0][number] = _shifted(tracks[0][number], 300)


def _growth(tracks: list[Track]) -> None:
    for number in range(8, FRAMES):
        box = tracks[1][number]
        tracks[1][number] = replace(box, geometry={**box.geometry, "width": SIZE[0] * 3 // 2})


def _gap(tracks: list[Track]) -> None:
    for number in (5, 6, 7):
        del tracks[2][number]


def _frozen(tracks: list[Track]) -> None:
    """The box of frame 4 stays to frame 8 while the vehicle drives on."""
    for number in range(5, 9):
        tracks[0][number] = replace(tracks[0][number], geometry=tracks[0][4].geometry)


def _swap(tracks: list[Track]) -> None:
    """From frame 7 on the upper two vehicles carry each other's identity."""
    upper, lower = tracks[0], tracks[1]
    for number in range(7, FRAMES):
        one, other = upper[number], lower[number]
        upper[number], lower[number] = (
            replace(other, instance=one.instance),
            replace(one, instance=other.instance),
        )


def _attribute_missing(tracks: list[Track]) -> None:
    for number in range(3, 8):
        box = tracks[1][number]
        tracks[1][number] = replace(box, attributes={"moving": box.attributes["moving"]})


def _foreign_value(tracks: list[Track]) -> None:
    """A vehicle type that the label category configuration does not know."""
    box = tracks[0][2]
    tracks[0][2] = replace(box, attributes={**box.attributes, "vehicle_type": "Truck"})


DEFECTS: tuple[Callable[[list[Track]], None], ...] = (
    _jump,
    _growth,
    _gap,
    _frozen,
    _swap,
    _attribute_missing,
    _foreign_value,
)


PLACED_DEFECTS: tuple[tuple[int, int, str, int], ...] = (
    (0, 1, "jump", 6),
    (1, 2, "size_change", 8),
    (2, 3, "gap", 5),
    (3, 1, "frozen", 5),
    (4, 1, "identity_swap", 7),
    (5, 2, "missing_attribute", 3),
)
"""What of it a look at the tracks alone must find: clip, vehicle (of two that swap the first), kind and frame."""


def _tunnel(simulation: Simulation, workers: Sequence[Worker]) -> Job:
    """One clip per defect; the last clip also lacks a frame."""
    tasks = []
    for n, defect in enumerate(DEFECTS):
        tracks = _tracks(simulation)
        defect(tracks)
        frames = _frames(tracks, frozenset({10}) if defect is _foreign_value else frozenset())
        source = f"tunnel/clip-{n:02d}.json"
        tasks.append(_clip_task(simulation, workers[n % len(workers)], _day(9, 24), source, n=n, frames=frames))
    return _clip_job("tunnel", "first", "vehicle", tasks)


def _meadow(simulation: Simulation, workers: Sequence[Worker]) -> Job:
    """Two clips with nothing wrong."""
    tasks = [
        _clip_task(
            simulation, worker, _day(9, 24), f"meadow/clip-{n:02d}.json", n=n, frames=_frames(_tracks(simulation))
        )
        for n, worker in enumerate(workers)
    ]
    return _clip_job("meadow", "first", "vehicle", tasks)


def _roundabout(simulation: Simulation, workers: Sequence[Worker]) -> Job:
    """Three clips by two workers, equal to the pixel but for what the second leaves out.

    That is one vehicle of the first clip, nothing of the second, four frames of a vehicle in the third.
    """
    tasks = []
    for n in range(3):
        tracks = _tracks(simulation)
        theirs: list[Track] = []
        for k, track in enumerate(tracks):
            if n == 0 and k == 2:
                continue
            instance = (simulation.uuid(), f"Vehicle:{k + 1}")
            last = FRAMES - 4 if n == 2 and k == 1 else FRAMES
            theirs.append({number: replace(box, instance=instance) for number, box in track.items() if number < last})
        answers = []
        for worker, seen in zip(workers, (tracks, theirs), strict=True):
            frames, labels = _frames(seen), sum(map(len, seen))
            answers.append(simulation.answer(worker, _day(9, 29, 13), {}, labels, frames=frames))
        created = max(each.submitted for each in answers) + timedelta(minutes=2)
        tasks.append(Task(str(n), f"roundabout/clip-{n:02d}.json", tuple(answers), _frames(tracks), created))
    return _clip_job("roundabout", "first", "vehicle", tasks)


def _is_slack(track: int, number: int) -> bool:
    """Whether the labeler of a bridge clip set this box down 8 pixels too far right."""
    return (track == 0 and 2 <= number < 6) or (track == 1 and 7 <= number < 11)


def _audit(
    tracks: Sequence[Track], fails: Callable[[int, int], bool], *, touch: Callable[[int, int, Annotation], Annotation]
) -> tuple[Frame, ...]:
    """The tracks with a verdict on every box. `touch` is what the auditor makes of a box besides."""
    audited = [
        {
            number: touch(k, number, replace(box, attributes={**box.attributes, "audit": verdict}))
            for number, box in track.items()
            for verdict in ("Fail" if fails(k, number) else "Pass",)
        }
        for k, track in enumerate(tracks)
    ]
    return tuple(
        replace(frame, attributes={**frame.attributes, "quality_of_the_frame": "Good"}) for frame in _frames(audited)
    )


def _lenient(track: int, number: int) -> bool:
    return _is_slack(track, number) and number % 2 == 0


def _strict(track: int, number: int) -> bool:
    return _is_slack(track, number) or (track == 2 and number % 5 == 0)


def _lenient_touch(track: int, number: int, box: Annotation) -> Annotation:
    """Puts back what failed. Two boxes that pass are moved all the same: they were not accepted as they were."""
    if _lenient(track, number):
        return _shifted(box, -8)
    return _shifted(box, 5) if track == 1 and number < 2 else box


def _strict_touch(track: int, number: int, box: Annotation) -> Annotation:
    """Puts back what failed, and in two frames of the last vehicle says what it is."""
    if track == 2 and number in (5, 10):
        return replace(box, attributes={**box.attributes, "vehicle_type": "SUV"})
    return _shifted(box, -8) if _strict(track, number) else box


def _bridge(simulation: Simulation, workers: Sequence[Worker], lenient: Worker, strict: Worker) -> list[Job]:
    """Four clips, the last labeled by the lenient auditor himself.

    The third level judges the first three again, each by the other auditor, and changes nothing.
    """
    clips: list[list[Track]] = []
    first_tasks: list[Task] = []
    for n, worker in enumerate([*workers, lenient]):
        tracks = _tracks(simulation)
        for k, track in enumerate(tracks):
            for number, box in track.items():
                if _is_slack(k, number):
                    track[number] = _shifted(box, 8)
        clips.append(tracks)
        first_tasks.append(
            _clip_task(simulation, worker, _day(9, 21), f"bridge/clip-{n:02d}.json", n=n, frames=_frames(tracks))
        )
    auditors = (lenient, strict, strict, lenient)
    manners = {lenient.username: (_lenient, _lenient_touch), strict.username: (_strict, _strict_touch)}
    second_tasks = []
    for n, auditor in enumerate(auditors):
        fails, touch = manners[auditor.username]
        frames = _audit(clips[n], fails, touch=touch)
        task = _clip_task(simulation, auditor, _day(9, 22), first_tasks[n].source, n=n, frames=frames)
        second_tasks.append(replace(task, adjusted=True))
    third_tasks = []
    for n, auditor in enumerate((strict, lenient, lenient)):
        fails = manners[auditor.username][0]
        again = [
            {frame.number: box for frame in second_tasks[n].frames for box in frame.annotations if box.instance == name}
            for name in dict.fromkeys(box.instance for frame in second_tasks[n].frames for box in frame.annotations)
        ]
        frames = _audit(again, fails, touch=lambda _, __, box: box)
        task = _clip_task(simulation, auditor, _day(9, 23), first_tasks[n].source, n=n, frames=frames)
        third_tasks.append(replace(task, adjusted=False))
    audited: dict[str, Any] = {
        "label_attributes": {
            "moving": ("Stationary", "Dynamic"),
            "vehicle_type": VEHICLE_TYPES,
            "audit": ("Pass", "Fail"),
        },
        "frame_attributes": {"number_of_vehicles": (), "quality_of_the_frame": ("Good", "Bad")},
    }
    first = _clip_job("bridge", "first", "vehicle", first_tasks)
    second = _clip_job("bridge", "second", "vehicle-audit", second_tasks, chained=first, **audited)
    third = _clip_job("bridge", "third", "vehicle-review", third_tasks, chained=second, **audited)
    return [first, second, third]
