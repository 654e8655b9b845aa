"""The exact rows of every report, counted from the simulated world and not from anything that was written.

Rows are lists of values in the order of the view's columns; days and timestamps are ISO text.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from samples.labeling.questions import Question, questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from samples.labeling.world import Annotation, Answer, Job, Task, World

Rows = list[list[Any]]


@dataclass(frozen=True)
class Truth:
    """What a right pipeline finds.

    `tables` is the number of rows of each table, `reports` the rows of each view (sorted), `queries` the number of rows
    and a sum for the three statements of the original post, `workers` each worker's true skill, `questions` what the
    analytics are asked.
    """

    tables: dict[str, int]
    reports: dict[str, Rows]
    queries: dict[str, dict[str, int]]
    workers: dict[str, float]
    questions: list[Question]

    def as_json(self) -> str:
        """The truth file's text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def expected(world: World, damaged: list[tuple[str, int]]) -> Truth:
    """Counts the world. `damaged` are the unreadable objects among those written, as (key, bytes)."""
    labels, pairs, frames = _label_counts(world), _pair_counts(world), _frame_counts(world)
    answers = [(job, answer) for job, task in _tasks(world) for answer in task.answers]
    reports = _label_reports(labels, pairs) | _frame_reports(frames) | _work_reports(answers)
    reports["report_tasks"] = [_task_row(job) for job in world.jobs]
    reports["report_rejected"] = _rejected(damaged)
    listed = {name: sorted(rows, key=lambda row: [str(each) for each in row]) for name, rows in reports.items()}
    return Truth(
        _table_sizes(world, answers, labels, pairs, frames) | {"rejected": len(damaged)},
        listed,
        _queries(world, answers),
        _skills(world),
        questions(world),
    )


def _tasks(world: World) -> Iterator[tuple[Job, Task]]:
    for job in world.jobs:
        for task in job.tasks:
            yield job, task


def _head(job: Job) -> tuple[str, str, str]:
    return job.folder, job.modality, job.task_type


def _pairs(attributes: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in attributes.items()))


class _Tally:
    """Annotations, frames and objects under one key."""

    def __init__(self) -> None:
        self.annotations = 0
        self.frames: set[tuple[str, str, int]] = set()
        self.instances: set[Any] = set()

    @property
    def counts(self) -> list[int]:
        return [self.annotations, len(self.frames), len(self.instances)]


def _tally(world: World, keys: Callable[[Annotation], list[Any]]) -> dict[Any, _Tally]:
    tallies: dict[Any, _Tally] = defaultdict(_Tally)
    for job, task in _tasks(world):
        for frame in task.frames:
            for position, annotation in enumerate(frame.annotations):
                instance = annotation.instance[0] if annotation.instance else (frame.number, position)
                for key in keys(annotation):
                    tally = tallies[_head(job), annotation.label, key, str(task.created.date())]
                    tally.annotations += 1
                    tally.frames.add((job.folder, task.object_id, frame.number))
                    tally.instances.add((task.object_id, instance))
    return tallies


def _label_counts(world: World) -> dict[Any, _Tally]:
    return _tally(world, lambda annotation: [_pairs(annotation.attributes)])


def _pair_counts(world: World) -> dict[Any, _Tally]:
    return _tally(world, lambda annotation: [("", ""), *_pairs(annotation.attributes)])


def _frame_counts(world: World) -> Counter[Any]:
    return Counter(
        (_head(job), len(frame.annotations), _pairs(frame.attributes), str(task.created.date()))
        for job, task in _tasks(world)
        for frame in task.frames
    )


def _label_reports(labels: dict[Any, _Tally], pairs: dict[Any, _Tally]) -> dict[str, Rows]:
    reports: dict[str, Rows] = defaultdict(list)
    verdicts: Counter[Any] = Counter()
    for (head, label, (attribute, value), day), tally in pairs.items():
        if not attribute:
            reports["report_annotations_per_day"].append([*head, label, day, *tally.counts])
            if head[2] == "label-verification":
                verdicts[(*head, "", label, day)] += tally.annotations
            continue
        reports["report_label_attribute"].append([*head, label, attribute, value, day, *tally.counts])
        if attribute in ("vehicle_type", "moving", "audit"):
            reports[f"report_{attribute}"].append([*head, label, value, day, *tally.counts])
        if attribute == "audit":
            verdicts[(*head, label, value, day)] += tally.annotations
    reports["report_audit_by_label"] = [[*key, count] for key, count in verdicts.items()]
    for (head, label, attributes, day), tally in labels.items():
        named = [dict(attributes).get(name) for name in ("vehicle_type", "moving", "audit")]
        reports["report_label_cube"].append([*head, label, day, *named, tally.annotations])
    return dict(reports)


def _frame_reports(frames: Counter[Any]) -> dict[str, Rows]:
    reports: dict[str, Rows] = defaultdict(list)
    by_value: Counter[Any] = Counter()
    histogram: Counter[Any] = Counter()
    by_job: dict[Any, Counter[int]] = defaultdict(Counter)
    for (head, labels, attributes, day), count in frames.items():
        named = [dict(attributes).get(name) for name in ("quality_of_the_frame", "number_of_vehicles")]
        reports["report_frame_cube"].append([*head, labels, day, *named, count])
        histogram[(*head, labels, day)] += count
        by_job[head][labels] += count
        for attribute, value in attributes:
            by_value[(*head, attribute, value, day)] += count
    for (*head, attribute, value, day), count in by_value.items():
        reports["report_frame_attribute"].append([*head, attribute, value, day, count])
        if attribute in ("quality_of_the_frame", "number_of_vehicles"):
            reports[f"report_{attribute}"].append([*head, value, day, count])
    reports["report_labels_per_frame"] = [[*key, count] for key, count in histogram.items()]
    for head, counts in by_job.items():
        mean = sum(labels * count for labels, count in counts.items()) / counts.total()
        reports["report_maximum_labels_per_frame"].append([*head, max(counts), mean, counts.total()])
    return dict(reports)


def _times(answers: list[Answer]) -> list[float | None]:
    """Total, minimum, mean and maximum seconds; None where no answer tells its time."""
    seconds = [each.seconds for each in answers if each.timed]
    if not seconds:
        return [None, None, None, None]
    return [sum(seconds), min(seconds), sum(seconds) / len(seconds), max(seconds)]


def _labels(answers: list[Answer]) -> int | None:
    counted = [each.labels for each in answers if each.labels is not None]
    return sum(counted) if counted else None


def _labels_per_hour(answers: list[Answer]) -> float | None:
    """What was labeled on the clock, by the hours on the clock: old public jobs have no clock."""
    hours, labeled = 0.0, 0
    for each in answers:
        if each.timed:
            hours += each.seconds / 3600
            labeled += each.labels or 0
    return labeled / hours if hours else None


def _frames(answers: list[Answer]) -> int:
    return sum(len(each.frames) or 1 for each in answers)


def _work_reports(answers: list[tuple[Job, Answer]]) -> dict[str, Rows]:
    def grouped(key: Callable[[Job, Answer], Any]) -> dict[Any, list[Answer]]:
        groups: dict[Any, list[Answer]] = defaultdict(list)
        for job, answer in answers:
            groups[key(job, answer)].append(answer)
        return groups

    reports: dict[str, Rows] = {}
    per_job = grouped(lambda job, answer: (answer.worker.worker_id, answer.worker.shown, *_head(job)))
    reports["report_time_per_worker_and_job"] = [
        [*key, len(each), _labels(each), _frames(each), *_times(each)] for key, each in per_job.items()
    ]
    per_worker = grouped(lambda _, answer: (answer.worker.worker_id, answer.worker.shown))
    reports["report_labels_per_worker"] = [
        [*key, len(each), _labels(each), _frames(each), *_times(each)] for key, each in per_worker.items()
    ]
    jobs: Counter[str] = Counter(worker_id for worker_id, *_ in per_job)
    workers: Rows = []
    for (worker_id, shown), each in per_worker.items():
        worker = each[0].worker
        first = min(answer.accepted if answer.timed else _whole(answer.submitted) for answer in each)
        last = max(answer.submitted if answer.timed else _whole(answer.submitted) for answer in each)
        email = f"{worker.username}@example.com" if worker.listed else None
        row = [worker_id, shown, email, worker.provider, jobs[worker_id], len(each), _labels(each), _times(each)[0]]
        workers.append([*row, _instant(first), _instant(last)])
    reports["report_jobs_per_worker"] = workers
    modalities = grouped(lambda job, _: job.modality)
    reports["report_time_by_modality"] = [
        [key, len({answer.worker.worker_id for answer in each}), len(each), _labels(each), *_times(each)]
        for key, each in modalities.items()
    ]
    everything = [answer for _, answer in answers]
    seconds, _, mean, _ = _times(everything)
    labels = _labels(everything)
    reports["report_team"] = [
        [
            len(per_worker),
            len({job.folder for job, _ in answers}),
            len({answer.submitted.date() for answer in everything}),
            len(everything),
            labels,
            seconds,
            mean,
            _labels_per_hour(everything),
        ]
    ]
    daily = grouped(
        lambda job, answer: (answer.worker.worker_id, answer.worker.shown, *_head(job), str(answer.submitted.date()))
    )
    cube: Rows = []
    for key, each in daily.items():
        total, least, _, most = _times(each)
        timed = sum(answer.timed for answer in each)
        cube.append([*key, len(each), timed, _labels(each), _frames(each), total, least, most])
    reports["report_work_cube"] = cube
    return reports


def _whole(moment: datetime) -> datetime:
    """Old public jobs write submission times in whole seconds."""
    return moment.replace(microsecond=0)


def _instant(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def _task_row(job: Job) -> list[Any]:
    answers = [each for task in job.tasks for each in task.answers]
    starts = [each.accepted if each.timed else _whole(each.submitted) for each in answers]
    ends = [each.submitted if each.timed else _whole(each.submitted) for each in answers]
    ends += [each.created for each in job.tasks if each.consolidated]
    audit = job.modality.endswith("Audit") or job.task_type == "label-verification"
    labeled = [each for each in job.tasks if each.consolidated and not each.failure]
    failed = sum(bool(each.failure) for each in job.tasks)
    return [
        *_head(job),
        job.level,
        _instant(min(starts)),
        _instant(max(ends)),
        len(job.tasks),
        len(labeled),
        failed,
        len(labeled) if audit else 0,
        sum(each.adjusted is True for each in job.tasks),
        len(answers),
        sum(len(frame.annotations) for task in job.tasks for frame in task.frames),
        sum(len(task.frames) for task in job.tasks),
        len({each.worker.worker_id for each in answers}),
        _times(answers)[0],
    ]


def _rejected(damaged: list[tuple[str, int]]) -> Rows:
    rows = []
    for reason, chosen in (
        ("empty object", [each for each in damaged if not each[1]]),
        ("not JSON", [each for each in damaged if each[1]]),
    ):
        keys = [key.removeprefix("batch_manifests/") for key, _ in chosen]
        rows.append([reason, len(chosen), sum(size for _, size in chosen), min(keys)])
    return rows


def _table_sizes(
    world: World,
    answers: list[tuple[Job, Answer]],
    labels: dict[Any, _Tally],
    pairs: dict[Any, _Tally],
    frames: Counter[Any],
) -> dict[str, int]:
    return {
        "answer": len(answers),
        "annotation": sum(each.annotations for each in labels.values()),
        "frame": frames.total(),
        "task": sum(len(job.tasks) for job in world.jobs),
        "job": len(world.jobs),
        "worker": len({answer.worker.worker_id for _, answer in answers}),
        "label_count": len(labels),
        "attribute_count": len(pairs),
        "frame_count": len(frames),
    }


def _queries(world: World, answers: list[tuple[Job, Answer]]) -> dict[str, dict[str, int]]:
    """The post's statements: every answer; every box or cuboid of a sequence; every frame that has one."""
    tracked = [
        frame
        for job, task in _tasks(world)
        if job.task_type in ("video-object-tracking", "point_cloud_object_tracking")
        for frame in task.frames
        if frame.annotations and frame.annotations[0].shape != "polyline"
    ]
    tasks = sum(
        len(answer.frames)
        for job, answer in answers
        if job.task_type in ("video-object-tracking", "point_cloud_object_tracking")
    )
    return {
        "worker_metrics": {"rows": len(answers), "tasks": tasks},
        "label_level": {"rows": sum(len(each.annotations) for each in tracked)},
        "frame_level": {"rows": len(tracked), "num_labels": sum(len(each.annotations) for each in tracked)},
    }


def _skills(world: World) -> dict[str, float]:
    return {each.shown: each.skill for each in world.workers}
