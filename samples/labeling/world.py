"""The simulated world of the sample: workers, jobs, answers and consolidated labels, before anything is written.

Nothing here knows Ground Truth's file formats. A job holds tasks (data objects); a task holds the answers of its
workers and the consolidated labels as frames of annotations. `ground_truth` writes them, `truth` counts them.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VEHICLE_TYPES = ("Car", "Van", "Bus", "SUV")
FRAMES_PER_CLIP = 24
CLIPS_PER_BATCH = 3
WIDTH, HEIGHT = 1280, 720
POOL_SIZE = 72  # more users than one page of ListUsers (60)
DEFAULT_ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_street"


@dataclass(frozen=True)
class Worker:
    """A worker: `skill` is the chance to judge rightly, `pace` seconds per label, `bias` the favourite mistake."""

    username: str
    worker_id: str
    sub: str | None
    provider: str
    skill: float
    pace: float
    bias: str = "Car"
    listed: bool = True

    @property
    def shown(self) -> str:
        """The name a report shows: the sub for anyone the user pool does not list, the worker id without identity."""
        return self.username if self.listed else self.sub or self.worker_id


@dataclass(frozen=True)
class Annotation:
    """One shape, span, class or verdict. `geometry` holds what its kind needs, in Ground Truth's member names."""

    label: str
    shape: str
    geometry: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    instance: tuple[str, str] | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Frame:
    """One labeled frame. Values of frame attributes may be numbers, as a number attribute's are."""

    number: int
    name: str
    annotations: tuple[Annotation, ...]
    attributes: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One worker's submission. `labels` is None where a custom task leaves it undefined.

    `drawn` are the boxes by what is really there, with None for what the worker missed.
    """

    worker: Worker
    accepted: datetime
    submitted: datetime
    seconds: float
    timed: bool
    content: dict[str, Any]
    labels: int | None
    frames: tuple[Frame, ...] = ()
    choice: str | None = None
    drawn: tuple[Annotation | None, ...] = ()


@dataclass(frozen=True)
class Task:
    """One data object with its answers and its consolidated label (`frames` is empty if it failed).

    Where the job is still at work, `consolidated` is False. `right` is the class that is really there, if known.
    """

    object_id: str
    source: str
    answers: tuple[Answer, ...]
    frames: tuple[Frame, ...]
    created: datetime
    human: bool = True
    adjusted: bool | None = None
    failure: str = ""
    frames_shuffled: bool = False
    consolidated: bool = True
    right: str | None = None


@dataclass(frozen=True)
class Job:
    """One labeling job. `folder` is its name in reports, `name` Ground Truth's, `chained` the job it starts from.

    `waiting` are data objects that nobody has begun, `gold` the right classes that are told, by object id.
    """

    folder: str
    name: str
    modality: str
    task_type: str
    label_attribute: str
    classes: tuple[str, ...]
    tasks: tuple[Task, ...]
    level: str = ""
    label_attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frame_attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    chained: Job | None = None
    waiting: tuple[str, ...] = ()
    gold: dict[str, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Whether there is no output manifest yet."""
        return any(not each.consolidated for each in self.tasks)


@dataclass(frozen=True)
class World:
    """Everything of the sample."""

    workers: tuple[Worker, ...]
    pool: tuple[dict[str, str], ...]
    issuer: str
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Vehicle:
    """What really drives through a clip: enters and leaves at a frame, moves `speed` pixels a frame."""

    instance: tuple[str, str]
    kind: str
    moving: str
    enters: int
    leaves: int
    left: float
    top: float
    speed: float
    size: tuple[int, int]


class Simulation:
    """The random source and the working hours of every worker."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.free_at: dict[str, datetime] = {}

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def answer(
        self,
        worker: Worker,
        opens: datetime,
        content: dict[str, Any],
        labels: int | None,
        *,
        timed: bool = True,
        seconds: float | None = None,
        **more: Any,
    ) -> Answer:
        """The worker takes the task when he is free, between 8 and 17 UTC, and is as fast as he is unless told."""
        start = max(opens, self.free_at.get(worker.worker_id, opens)) + timedelta(seconds=self.random.randint(5, 90))
        if start.hour >= 17:
            start = (start + timedelta(days=1)).replace(hour=8, minute=self.random.randint(0, 20))
        elif start.hour < 8:
            start = start.replace(hour=8, minute=self.random.randint(0, 20))
        usual = round(6 + worker.pace * (labels or 1) * self.random.uniform(0.7, 1.4), 3)
        seconds = usual if seconds is None else seconds
        submitted = start + timedelta(seconds=seconds)
        self.free_at[worker.worker_id] = submitted
        return Answer(worker, start, submitted, seconds, timed, content, labels, **more)

    def judged(self, worker: Worker, right: str, choices: Sequence[str]) -> str:
        """What the worker says: right with the chance of his skill, else his bias or any other choice."""
        if self.random.random() < worker.skill:
            return right
        wrong = [each for each in choices if each != right]
        return worker.bias if worker.bias in wrong and self.random.random() < 0.6 else self.random.choice(wrong)


def simulate(seed: int, scale: int, *, subs: Mapping[str, str], issuer: str) -> World:
    """Two batches of street clips in two levels, one small job of every other task type, and `cases`' jobs."""
    from samples.labeling import cases  # noqa: PLC0415  it is made of what this module defines

    simulation = Simulation(seed)
    workers, pool = _people(simulation, subs)
    private = [each for each in workers if each.provider != "public"]
    public = [each for each in workers if each.provider == "public"]
    jobs: list[Job] = []
    for batch, start in (
        ("street-a", datetime(2026, 9, 7, 8, tzinfo=UTC)),
        ("street-b", datetime(2026, 9, 17, 8, tzinfo=UTC)),
    ):
        jobs += _street_batch(simulation, batch, start, private, CLIPS_PER_BATCH * scale)
    jobs += _other_jobs(simulation, datetime(2026, 9, 10, 9, tzinfo=UTC), private, public, scale)
    placed = Simulation(seed + 1_000_003)
    newcomers = cases.people(placed, subs)
    workers += newcomers
    pool += [_listed(each) for each in newcomers]
    jobs += cases.jobs(placed, workers, scale)
    return World(tuple(workers), tuple(pool), issuer or DEFAULT_ISSUER, tuple(jobs))


def _listed(worker: Worker) -> dict[str, str]:
    """The worker as a user of the pool."""
    return {"sub": worker.sub or "", "username": worker.username, "email": f"{worker.username}@example.com"}


def _people(simulation: Simulation, subs: Mapping[str, str]) -> tuple[list[Worker], list[dict[str, str]]]:
    """Eight known workers, one deleted from the pool, one of an OIDC workforce, five public ones; and the user pool."""
    described = (
        ("ana", 0.97, 3.1, "Car"),
        ("bela", 0.92, 2.0, "Car"),
        ("chidi", 0.88, 1.6, "Van"),
        ("dana", 0.80, 1.1, "SUV"),
        ("emre", 0.95, 2.6, "Bus"),
        ("fleur", 0.99, 3.9, "Car"),
        ("goran", 0.85, 1.9, "Van"),
        ("hana", 0.93, 2.3, "SUV"),
    )
    new_sub = simulation.uuid

    def new_id() -> str:
        return f"private.us-east-1.{simulation.random.getrandbits(64):016x}"

    workers = [
        Worker(name, new_id(), subs.get(name, new_sub()), "Cognito", skill, pace, bias)
        for name, skill, pace, bias in described
    ]
    workers.append(Worker("ivo", new_id(), new_sub(), "Cognito", 0.9, 2.2, "Car", listed=False))
    workers.append(
        Worker("jun", new_id(), f"auth0|{simulation.random.getrandbits(48):012x}", "Oidc", 0.94, 2.4, listed=False)
    )
    workers += [
        Worker(
            "", f"public.us-east-1.{simulation.random.getrandbits(64):016X}", None, "public", skill, 4.0, listed=False
        )
        for skill in (0.95, 0.9, 0.85, 0.8, 0.6)
    ]
    pool = [_listed(each) for each in workers[:8]]
    for n in range(POOL_SIZE - len(pool)):
        name = f"trainee-{n:02d}"
        pool.append({"sub": subs.get(name, new_sub()), "username": name, "email": f"{name}@example.com"})
    simulation.random.shuffle(pool)
    return workers, pool


def _vehicles(simulation: Simulation) -> list[Vehicle]:
    rng = simulation.random
    vehicles = []
    for n in range(1, rng.randint(4, 7)):
        moving = rng.choice(("Stationary", "Dynamic", "Dynamic"))
        enters = 0 if moving == "Stationary" else rng.randint(0, FRAMES_PER_CLIP // 2)
        vehicles.append(
            Vehicle(
                (simulation.uuid(), f"Vehicle:{n}"),
                rng.choices(VEHICLE_TYPES, (5, 2, 1, 2))[0],
                moving,
                enters,
                FRAMES_PER_CLIP if moving == "Stationary" else rng.randint(enters + 6, FRAMES_PER_CLIP),
                rng.uniform(40, WIDTH - 400),
                rng.uniform(200, HEIGHT - 160),
                0.0 if moving == "Stationary" else rng.uniform(2, 9),
                (rng.randint(60, 180), rng.randint(50, 120)),
            )
        )
    return vehicles


def _tracked(
    simulation: Simulation, worker: Worker, vehicles: Sequence[Vehicle], drift: set[tuple[str, int]]
) -> tuple[Frame, ...]:
    """One worker's labels of a clip. `drift` collects the boxes that he set down badly, by object and frame."""
    rng = simulation.random
    said = {each.instance[0]: simulation.judged(worker, each.kind, VEHICLE_TYPES) for each in vehicles}
    frames = []
    for number in range(FRAMES_PER_CLIP):
        annotations = []
        for vehicle in vehicles:
            if not vehicle.enters <= number < vehicle.leaves:
                continue
            slip = 0
            if rng.random() > worker.skill:
                slip = rng.randint(30, 60)
                drift.add((vehicle.instance[0], number))
            box = {
                "height": vehicle.size[1],
                "width": vehicle.size[0],
                "top": round(vehicle.top) + slip // 2,
                "left": round(vehicle.left + vehicle.speed * (number - vehicle.enters)) + slip,
            }
            attributes = {"moving": vehicle.moving, "vehicle_type": said[vehicle.instance[0]]}
            annotations.append(Annotation("Vehicle", "box", box, attributes, vehicle.instance))
        count: dict[str, str | int] = {"number_of_vehicles": len(annotations)}
        frames.append(Frame(number, f"frame_{number + 1:04d}.jpeg", tuple(annotations), count))
    return tuple(frames)


def _lanes(simulation: Simulation) -> tuple[Frame, ...]:
    rng = simulation.random
    lanes = [(simulation.uuid(), f"Lane:{n}", rng.choice(("Solid", "Dashed")), rng.randint(100, 1100)) for n in (1, 2)]
    frames = []
    for number in range(FRAMES_PER_CLIP):
        drawn = tuple(
            Annotation(
                "Lane",
                "polyline",
                {"vertices": [{"x": x + number + step * 20, "y": HEIGHT - step * 120} for step in range(4)]},
                {"lane_type": kind},
                (identity, name),
            )
            for identity, name, kind, x in lanes
        )
        frames.append(Frame(number, f"frame_{number + 1:04d}.jpeg", drawn))
    return tuple(frames)


def _audited(
    simulation: Simulation, auditor: Worker, frames: Iterable[Frame], wrong: set[tuple[str, int]]
) -> tuple[tuple[Frame, ...], bool]:
    """The frames with the auditor's verdicts; failed boxes are moved by him. Second: whether he changed any."""
    rng, changed = simulation.random, False
    result: list[Frame] = []
    for frame in frames:
        annotations = []
        for annotation in frame.annotations:
            identity = annotation.instance[0] if annotation.instance else ""
            verdict = simulation.judged(
                auditor, "Fail" if (identity, frame.number) in wrong else "Pass", ("Pass", "Fail")
            )
            geometry = dict(annotation.geometry)
            if verdict == "Fail":
                changed = True
                if annotation.shape == "box":
                    geometry["left"] -= 30
            annotations.append(
                replace(annotation, geometry=geometry, attributes={**annotation.attributes, "audit": verdict})
            )
        quality = "Bad" if rng.random() < 0.15 else "Good"
        result.append(
            replace(
                frame, annotations=tuple(annotations), attributes={**frame.attributes, "quality_of_the_frame": quality}
            )
        )
    return tuple(result), changed


def _street_batch(simulation: Simulation, batch: str, start: datetime, workers: list[Worker], clips: int) -> list[Job]:
    """Vehicles and lanes in parallel on the first level, their audits by other workers on the second."""
    labelers, auditors = workers[:4] + workers[8:10], workers[4:8]
    vehicle_tasks: list[Task] = []
    lane_tasks: list[Task] = []
    wrong: dict[tuple[int, bool], set[tuple[str, int]]] = {}
    for clip in range(clips):
        source = f"{batch}/clip-{clip:02d}.json"
        for tasks, lanes in ((vehicle_tasks, False), (lane_tasks, True)):
            labeler = simulation.random.choice(labelers)
            drift: set[tuple[str, int]] = set()
            frames = _lanes(simulation) if lanes else _tracked(simulation, labeler, _vehicles(simulation), drift)
            wrong[clip, lanes] = drift
            tasks.append(
                _tracking_task(simulation, str(clip), source, labeler, start, frames=frames, shuffled=clip == 1)
            )
    audit_opens = max(each.created for each in vehicle_tasks + lane_tasks) + timedelta(hours=20)
    jobs: list[Job] = []
    for name, tasks, lanes in (("vehicle", vehicle_tasks, False), ("lane", lane_tasks, True)):
        audits = []
        for clip, task in enumerate(tasks):
            auditor = simulation.random.choice(auditors)
            frames, changed = _audited(simulation, auditor, task.frames, wrong[clip, lanes])
            audit = _tracking_task(simulation, task.object_id, task.source, auditor, audit_opens, frames=frames)
            audits.append(replace(audit, adjusted=changed))
        label_attributes: dict[str, tuple[str, ...]] = {"lane_type": ("Solid", "Dashed")}
        if not lanes:
            label_attributes = {"moving": ("Stationary", "Dynamic"), "vehicle_type": VEHICLE_TYPES}
        first = Job(
            f"{batch}-first_level-{name}",
            name,
            "VideoObjectTracking",
            "video-object-tracking",
            f"{name}-ref",
            (name.capitalize(),),
            tuple(tasks),
            "first",
            label_attributes,
            {} if lanes else {"number_of_vehicles": ()},
        )
        second = replace(
            first,
            folder=f"{batch}-second_level-{name}-audit",
            name=f"{name}-audit",
            modality="VideoObjectTrackingAudit",
            label_attribute=f"{name}-audit-ref",
            tasks=tuple(audits),
            level="second",
            label_attributes={**label_attributes, "audit": ("Pass", "Fail")},
            frame_attributes={**first.frame_attributes, "quality_of_the_frame": ("Good", "Bad")},
            chained=first,
        )
        jobs += [first, second]
    return jobs


def _tracking_task(
    simulation: Simulation,
    object_id: str,
    source: str,
    worker: Worker,
    opens: datetime,
    *,
    frames: tuple[Frame, ...],
    shuffled: bool = False,
) -> Task:
    labels = sum(len(each.annotations) for each in frames)
    answer = simulation.answer(worker, opens, {}, labels, frames=frames)
    created = answer.submitted + timedelta(minutes=2)
    return Task(object_id, source, (answer,), frames, created, frames_shuffled=shuffled)


def _single(source: str, annotations: Sequence[Annotation]) -> tuple[Frame, ...]:
    """A data object that is one image, text or point cloud, as a sequence of one frame."""
    return (Frame(0, source.rsplit("/", 1)[-1] if "/" in source else "", tuple(annotations)),)


def _other_jobs(
    simulation: Simulation, opens: datetime, private: list[Worker], public: list[Worker], scale: int
) -> list[Job]:
    rng = simulation.random
    two = lambda: rng.sample(private, 2)  # noqa: E731  drawn anew for every task
    jobs = [_weather(simulation, opens, public, 12 * scale)]
    jobs.append(
        _multilabel(
            simulation,
            opens,
            "scene",
            "image-classification-multilabel",
            ("road", "night", "rain"),
            count=8 * scale,
            pick=two,
        )
    )
    jobs.append(_topic(simulation, opens, 8 * scale, lambda: rng.sample(private, 3)))
    jobs.append(
        _multilabel(
            simulation,
            opens,
            "tags",
            "text-classification-multilabel",
            ("delay", "roadworks"),
            count=6 * scale,
            pick=two,
        )
    )
    signs = _signs(simulation, opens, 8 * scale, two)
    jobs += [signs, _signs_adjusted(simulation, opens, signs, two), _signs_verified(simulation, opens, signs, two)]
    jobs.append(_road(simulation, opens, 4 * scale, two))
    jobs.append(_entities(simulation, opens, 6 * scale, two))
    jobs += [
        _pedestrians(simulation, opens, two),
        _cuboids(simulation, opens, two),
        _cuboid_tracks(simulation, opens, two),
    ]
    jobs += [_points(simulation, opens, two), _custom(simulation, opens, two)]
    return jobs


def _camel(task_type: str) -> str:
    """The modality as the batch workflow names it: `video-object-tracking` is `VideoObjectTracking`."""
    task_type = task_type.replace("single_frame_", "")
    return "".join(part[:1].upper() + part[1:] for part in task_type.replace("_", "-").split("-"))


def _job(name: str, task_type: str, classes: tuple[str, ...], tasks: list[Task], **more: Any) -> Job:
    attribute = more.pop("label_attribute", name)
    return Job(name, name, _camel(task_type), task_type, attribute, classes, tuple(tasks), **more)


def _weather(simulation: Simulation, opens: datetime, public: list[Worker], images: int) -> Job:
    """Five public workers per image, no times; one image labeled by the model, one that failed."""
    classes = ("clear", "rain", "snow")
    tasks: list[Task] = []
    for n in range(images):
        source = f"images/weather-{n:03d}.jpg"
        right = simulation.random.choice(classes)
        answers = []
        for worker in public:
            said = simulation.judged(worker, right, classes)
            content = {"crowd-image-classifier": {"label": said}}
            answers.append(simulation.answer(worker, opens, content, 1, timed=False, choice=said))
        votes = Counter(each.choice for each in answers)
        label = max(sorted(classes), key=lambda each: votes[each])
        created = max(each.submitted for each in answers) + timedelta(minutes=4)
        chosen = _single(source, [Annotation(label, "class", confidence=round(votes[label] / 5, 2))])
        tasks.append(Task(str(n), source, tuple(answers), chosen, created))
    tasks[-1] = replace(
        tasks[-1], frames=(), failure="ClientError: the image could not be read: images/weather-last.jpg"
    )
    model = _single(tasks[-2].source, [Annotation("clear", "class", confidence=0.93)])
    tasks[-2] = replace(tasks[-2], answers=(), frames=model, human=False)
    return _job("weather", "image-classification", classes, tasks)


def _topic(simulation: Simulation, opens: datetime, texts: int, pick: Any) -> Job:
    classes = ("accident", "traffic", "weather")
    tasks: list[Task] = []
    for n in range(texts):
        right = simulation.random.choice(classes)
        answers = []
        for worker in pick():
            said = simulation.judged(worker, right, classes)
            answers.append(simulation.answer(worker, opens, {"crowd-classifier": {"label": said}}, 1, choice=said))
        votes = Counter(each.choice for each in answers)
        label = max(sorted(classes), key=lambda each: votes[each])
        text = f"Report {n}: {right} on the ring road"
        chosen = _single(text, [Annotation(label, "class", confidence=round(votes[label] / 3, 2))])
        tasks.append(Task(str(n), text, tuple(answers), chosen, max(each.submitted for each in answers)))
    return _job("topic", "text-classification", classes, tasks)


def _multilabel(
    simulation: Simulation,
    opens: datetime,
    name: str,
    task_type: str,
    classes: tuple[str, ...],
    *,
    count: int,
    pick: Any,
) -> Job:
    tasks = []
    image = task_type.startswith("image")
    for n in range(count):
        source = f"images/{name}-{n:03d}.jpg" if image else f"Note {n}: expect a longer way"
        answers = []
        for worker in pick():
            said = [each for each in classes if simulation.random.random() < 0.6]
            key = "crowd-image-classifier-multi-select" if image else "crowd-classifier-multi-select"
            answers.append(simulation.answer(worker, opens, {key: {"labels": said}}, len(said)))
        key = next(iter(answers[0].content))
        agreed = [each for each in classes if each in answers[0].content[key]["labels"]]
        chosen = _single(source, [Annotation(each, "class", confidence=0.95) for each in agreed])
        tasks.append(Task(str(n), source, tuple(answers), chosen, max(each.submitted for each in answers)))
    return _job(name, task_type, classes, tasks)


def _signs(simulation: Simulation, opens: datetime, images: int, pick: Any) -> Job:
    """Boxes of two workers each; the consolidated box is their mean, so it is no whole number of pixels."""
    rng, classes = simulation.random, ("Stop", "Speed")
    tasks: list[Task] = []
    for n in range(images):
        boxes = [
            (rng.choice(classes), {"left": rng.randint(0, 500), "top": rng.randint(0, 300), "width": 40, "height": 42})
            for _ in range(rng.randint(0, 4))
        ]
        answers: list[Answer] = []
        drawn: list[list[dict[str, Any]]] = []
        for worker in pick():
            mine = [
                {
                    "height": box["height"],
                    "label": label,
                    "left": box["left"] + rng.randint(-2, 2),
                    "top": box["top"],
                    "width": box["width"],
                }
                for label, box in boxes
            ]
            drawn.append(mine)
            content = {"boundingBox": {"boundingBoxes": mine, "inputImageProperties": {"height": 400, "width": 640}}}
            answers.append(simulation.answer(worker, opens, content, len(mine)))
        source = f"images/sign-{n:03d}.png"
        consolidated = [
            Annotation(
                label, "box", {**box, "left": (drawn[0][i]["left"] + drawn[1][i]["left"]) * 0.41 + 0.1}, confidence=0.7
            )
            for i, (label, box) in enumerate(boxes)
        ]
        tasks.append(
            Task(str(n), source, tuple(answers), _single(source, consolidated), max(each.submitted for each in answers))
        )
    return _job("signs", "object-detection", classes, tasks)


def _signs_adjusted(simulation: Simulation, opens: datetime, signs: Job, pick: Any) -> Job:
    tasks = []
    for n, task in enumerate(signs.tasks):
        boxes = task.frames[0].annotations
        adjusted = n % 2 == 0 and bool(boxes)
        if adjusted:
            boxes = tuple(replace(each, geometry={**each.geometry, "width": 44}, confidence=0.0) for each in boxes)
        content = {
            "annotations": {"boundingBoxes": [{"label": each.label, **each.geometry} for each in boxes]},
        }
        answer = simulation.answer(pick()[0], opens + timedelta(days=2), content, len(boxes))
        frames = (replace(task.frames[0], annotations=boxes),)
        tasks.append(Task(task.object_id, task.source, (answer,), frames, answer.submitted, adjusted=adjusted))
    return _job(
        "signs-adjusted", "object-detection", signs.classes, tasks, label_attribute="adjusted-signs", chained=signs
    )


def _signs_verified(simulation: Simulation, opens: datetime, signs: Job, pick: Any) -> Job:
    tasks = []
    for task in signs.tasks:
        verdict = simulation.random.choice(("good", "good", "bad"))
        content = {"crowd-image-classifier": {"label": verdict}}
        answer = simulation.answer(pick()[0], opens + timedelta(days=3), content, 1, choice=verdict)
        frames = _single(task.source, [Annotation(verdict, "verdict", confidence=0.0)])
        tasks.append(Task(task.object_id, task.source, (answer,), frames, answer.submitted))
    return _job(
        "signs-verified", "label-verification", ("good", "bad"), tasks, label_attribute="verify-signs", chained=signs
    )


def _road(simulation: Simulation, opens: datetime, images: int, pick: Any) -> Job:
    classes = ("Road", "Sky")
    tasks: list[Task] = []
    for n in range(images):
        source = f"images/road-{n:03d}.png"
        answer = simulation.answer(pick()[0], opens, {"crowd-semantic-segmentation": {}}, len(classes))
        frames = _single(source, [Annotation(each, "mask", confidence=0.0) for each in classes])
        tasks.append(Task(str(n), source, (answer,), frames, answer.submitted))
    return _job("road", "semantic-segmentation", classes, tasks, label_attribute="road-ref")


def _entities(simulation: Simulation, opens: datetime, texts: int, pick: Any) -> Job:
    classes = ("Place", "Time")
    tasks: list[Task] = []
    for n in range(texts):
        text = f"Bridge {n} is closed from {8 + n % 4} to noon"
        spans = [{"endOffset": 8, "label": "Place", "startOffset": 0}]
        if simulation.random.random() < 0.7:
            spans.append({"endOffset": len(text), "label": "Time", "startOffset": len(text) - 4})
        answers = []
        for worker in pick():
            mine = [each for each in spans if simulation.random.random() < worker.skill]
            answers.append(simulation.answer(worker, opens, {"crowd-entity-annotation": {"entities": mine}}, len(mine)))
        found = [
            Annotation(each["label"], "span", {k: each[k] for k in ("startOffset", "endOffset")}, confidence=0.9)  # type: ignore[arg-type]
            for each in spans
        ]
        tasks.append(Task(str(n), text, tuple(answers), _single(text, found), max(each.submitted for each in answers)))
    return _job("entities", "text-span", classes, tasks)


def _pedestrians(simulation: Simulation, opens: datetime, pick: Any) -> Job:
    """Detection in a clip: boxes without identity, so the manifest's class map is all that names them."""
    rng = simulation.random
    frames: list[Frame] = []
    for number in range(10):
        boxes = tuple(
            Annotation(
                rng.choice(("Adult", "Child")),
                "box",
                {"height": 60, "width": 24, "top": rng.randint(0, 500), "left": rng.randint(0, 900)},
                {"occluded": rng.choice(("yes", "no"))},
            )
            for _ in range(rng.randint(0, 3))
        )
        frames.append(Frame(number, f"frame_{number + 1:04d}.png", boxes))
    task = _tracking_task(simulation, "0", "clips/crossing.json", pick()[0], opens, frames=tuple(frames))
    return _job("pedestrians", "video-object-detection", ("Adult", "Child"), [task], label_attribute="pedestrians-ref")


def _cuboid(simulation: Simulation, label: str, instance: tuple[str, str] | None, shift: float = 0.0) -> Annotation:
    rng = simulation.random
    geometry = {"center-x": rng.uniform(-20, 20) + shift, "center-y": rng.uniform(-20, 20), "center-z": 0.5}
    geometry |= {"length": 4.2, "width": 1.8, "height": 1.5, "roll": 0.0, "pitch": 0.0, "yaw": rng.uniform(-3, 3)}
    return Annotation(label, "cuboid", geometry, {"occlusion": rng.choice(("none", "partial"))}, instance)


def _cuboids(simulation: Simulation, opens: datetime, pick: Any) -> Job:
    tasks = []
    for n in range(4):
        source = f"clouds/scan-{n:02d}.bin"
        shapes = [_cuboid(simulation, "Truck", (simulation.uuid(), f"Truck:{i + 1}")) for i in range(n)]
        frames = _single(source, shapes)
        answer = simulation.answer(pick()[0], opens, {}, len(shapes), frames=frames)
        tasks.append(Task(str(n), source, (answer,), frames, answer.submitted))
    return _job("cuboids", "point_cloud_object_detection", ("Truck",), tasks, label_attribute="3d-bounding-box")


def _cuboid_tracks(simulation: Simulation, opens: datetime, pick: Any) -> Job:
    identity = (simulation.uuid(), "Truck:1")
    frames = tuple(
        Frame(n, f"{n}.bin", (_cuboid(simulation, "Truck", identity, n),), {"visibility": "clear" if n < 4 else "fog"})
        for n in range(6)
    )
    task = _tracking_task(simulation, "0", "clouds/drive.json", pick()[0], opens, frames=frames)
    return _job("cuboid-tracks", "point_cloud_object_tracking", ("Truck",), [task], label_attribute="cuboid-tracks-ref")


def _points(simulation: Simulation, opens: datetime, pick: Any) -> Job:
    tasks = []
    for n in range(2):
        source = f"clouds/scan-{n:02d}.bin"
        frames = _single(source, [Annotation(each, "mask") for each in ("Ground", "Tree")])
        answer = simulation.answer(pick()[0], opens, {}, None)
        tasks.append(Task(str(n), source, (answer,), frames, answer.submitted))
    task_type = "point_cloud_single_frame_semantic_segmentation"
    return _job("points", task_type, ("Ground", "Tree"), tasks, label_attribute="points-ref")


def _custom(simulation: Simulation, opens: datetime, pick: Any) -> Job:
    """A task of the customer's own: nobody but him knows what its answer means."""
    tasks = []
    for n in range(2):
        source = f"images/form-{n}.png"
        answer = simulation.answer(pick()[0], opens, {"plate": f"AB-{n}", "legible": {"on": True}}, None)
        frames = _single(source, [Annotation("", "custom", {"plate": f"AB-{n}"})])
        tasks.append(Task(str(n), source, (answer,), frames, answer.submitted))
    return _job("plates", "custom", (), tasks)
