"""What somebody asks of the analytics, with the right answers, counted from the simulated world.

The definitions are those of the tables' documentation; nothing here shares code with the analyses. Where an analysis
estimates what is known here (a worker's accuracy), the question is how often the truth lies in the stated interval.
"""
# ruff: noqa: S608  what stands in the statements are the sample's own names

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations, pairwise, permutations
from statistics import median
from typing import TYPE_CHECKING, Any

from samples.labeling import cases

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from samples.labeling.world import Annotation, Answer, Job, Task, World

Rows = list[list[Any]]
Box = dict[str, Any]

WAGE_USD = 18.50
"""An hour of a private worker, as `environments/local.toml` says."""


@dataclass(frozen=True)
class Question:
    """A question in a user's words, the Athena statement that asks it, and the right rows.

    Rows are in no order. A single row of one number is shown as that number, and `tolerance` is how far off it may be.
    """

    name: str
    sql: str
    rows: Rows
    tolerance: float = 0.0


def questions(world: World) -> list[Question]:
    """Every question, in the order in which the demo shows them."""
    return [
        *_agreement(world),
        *_quality(world),
        *_audits(world),
        *_adjustments(world),
        *_tracks(world),
        *_answers(world),
        *_drift(),
        *_operations(world),
        *_findings(world),
    ]


def _job(world: World, folder: str) -> Job:
    return next(each for each in world.jobs if each.folder == folder)


def _counted(groups: Counter[Any]) -> Rows:
    """Groups with their number, as rows."""
    return [[*key, count] for key, count in groups.items()]


# --- agreement -------------------------------------------------------------------------------------------------------


def _agreement(world: World) -> list[Question]:
    signals = _job(world, "signals")
    alpha = krippendorff([[each.choice or "" for each in task.answers] for task in signals.tasks])
    made = [
        Question(
            "agreement of six workers (alpha)",
            "SELECT value FROM agreement WHERE job_name = 'signals' AND metric = 'alpha' AND scope = 'job'",
            [[alpha]],
            1e-9,
        )
    ]
    cones = _job(world, "cones")
    by_pair: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for task in cones.tasks:
        for one, other in combinations(task.answers, 2):
            both = sum(bool(mine and theirs) for mine, theirs in zip(one.drawn, other.drawn, strict=True))
            drawn = sum(each is not None for each in (*one.drawn, *other.drawn))
            pair = by_pair[min(_names(one, other)), max(_names(one, other))]
            pair[0], pair[1] = pair[0] + 2 * both, pair[1] + drawn
    made.append(
        Question(
            "boxes two workers agree on (F1), by pair",
            "SELECT worker, other_worker, value FROM agreement "
            "WHERE job_name = 'cones' AND metric = 'iou_f1' AND scope = 'pair'",
            [[*pair, matched / drawn] for pair, (matched, drawn) in by_pair.items()],
        )
    )
    spans = [_span_sets(task) for task in _job(world, "entities").tasks]
    same = sum(2 * len(one & other) for one, other in spans)
    made.append(
        Question(
            "entities two workers agree on (F1)",
            "SELECT value FROM agreement WHERE job_name = 'entities' AND metric = 'span_f1' AND scope = 'job'",
            [[same / sum(len(one) + len(other) for one, other in spans)]],
            1e-9,
        )
    )
    return made + _track_agreement(world)


def _names(*answers: Answer) -> list[str]:
    return [each.worker.shown for each in answers]


def _span_sets(task: Task) -> list[set[tuple[Any, ...]]]:
    listed = [each.content["crowd-entity-annotation"]["entities"] for each in task.answers]
    return [{(each["label"], each["startOffset"], each["endOffset"]) for each in entities} for entities in listed]


def krippendorff(units: Sequence[Sequence[str]]) -> float:
    """Nominal alpha: one less the observed by the expected disagreement of pairs (Krippendorff 2011)."""
    coincidences: dict[tuple[str, str], float] = defaultdict(float)
    for unit in units:
        for one, other in permutations(unit, 2):
            coincidences[one, other] += 1 / (len(unit) - 1)
    totals: dict[str, float] = defaultdict(float)
    for (value, _), weight in coincidences.items():
        totals[value] += weight
    n = sum(totals.values())
    observed = sum(weight for (one, other), weight in coincidences.items() if one != other) / n
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2)) / (n * (n - 1))
    return 1 - observed / expected


def _track_agreement(world: World) -> list[Question]:
    """Boxes of one vehicle are equal, others never overlap, so every metric can be told from numbers of boxes."""
    first = second = both = 0
    association = 0.0
    for task in _job(world, "roundabout-first_level-vehicle").tasks:
        mine, theirs = (_boxes_by_place(answer) for answer in task.answers)
        first, second = first + len(mine), second + len(theirs)
        shared = mine.keys() & theirs.keys()
        both += len(shared)
        # What one vehicle's two tracks share, by all that either has of it (HOTA's association).
        shares = Counter(lane for _, lane in shared)
        either = Counter(lane for _, lane in mine.keys() | theirs.keys())
        association += sum(count * count / either[lane] for lane, count in shares.items())
    detection = both / (first + second - both)
    expected = {
        "hota": (detection * association / both) ** 0.5,
        "idf1": 2 * both / (first + second),
    }
    return [
        Question(
            f"tracks of two workers alike ({metric.upper()})",
            "SELECT value FROM agreement WHERE job_name = 'roundabout-first_level-vehicle' "
            f"AND metric = '{metric}' AND scope = 'job'",
            [[value]],
            1e-9,
        )
        for metric, value in expected.items()
    ]


def _boxes_by_place(answer: Answer) -> dict[tuple[int, int], Box]:
    """Boxes by frame and lane: in these clips one vehicle has its lane for itself."""
    return {(frame.number, box.geometry["top"]): box.geometry for frame in answer.frames for box in frame.annotations}


# --- quality of workers and jobs -------------------------------------------------------------------------------------


def _quality(world: World) -> list[Question]:
    signals = _job(world, "signals")
    right: Counter[str] = Counter()
    right_of_gold: Counter[str] = Counter()
    for task in signals.tasks:
        for answer in task.answers:
            right[answer.worker.shown] += answer.choice == task.right
            right_of_gold[answer.worker.shown] += answer.choice == signals.gold.get(task.object_id)
    truth = ", ".join(f"('{name}', {count / len(signals.tasks)})" for name, count in sorted(right.items()))
    gold = [task for task in signals.tasks if task.object_id in signals.gold]
    majority = {task.object_id: _majority(task) for task in signals.tasks}
    single = sum(right_of_gold.values())
    agreed = sum(majority[task.object_id] == task.right for task in gold)
    output = sum(task.frames[0].annotations[0].label == task.right for task in gold)
    return [
        Question(
            "true accuracy in predicted interval, workers",
            f"SELECT count(*) FROM worker_quality q JOIN (VALUES {truth}) AS truth (worker, accuracy) "
            "ON q.username = truth.worker WHERE q.job_name = 'signals' AND q.method = 'dawid-skene' "
            "AND truth.accuracy BETWEEN q.lower AND q.upper",
            [[len(right)]],
            1.0,  # a 95 % interval may miss one of six
        ),
        Question(
            "farthest predicted from true accuracy, workers",
            f"SELECT max(abs(q.accuracy - truth.accuracy)) FROM worker_quality q JOIN (VALUES {truth}) "
            "AS truth (worker, accuracy) ON q.username = truth.worker "
            "WHERE q.job_name = 'signals' AND q.method = 'dawid-skene'",
            [[0.0]],
            0.02,
        ),
        Question(
            "images labeled right by Dawid-Skene",
            "SELECT count(*) FROM consensus c JOIN (VALUES "
            + ", ".join(f"('{task.object_id}', '{task.right}')" for task in signals.tasks)
            + ") AS truth (object_id, label) ON c.object_id = truth.object_id AND c.label = truth.label "
            "WHERE c.job_name = 'signals'",
            [[len(signals.tasks)]],
            0.05 * len(signals.tasks),
        ),
        Question(
            "accuracy by gold labels, by worker",
            "SELECT username, accuracy, answer_count FROM worker_quality "
            "WHERE job_name = 'signals' AND method = 'gold'",
            [[name, count / len(gold), len(gold)] for name, count in right_of_gold.items()],
        ),
        Question(
            "confusions by gold labels, by worker",
            "SELECT username, right_label, given_label, answer_count FROM confusion "
            "WHERE job_name = 'signals' AND method = 'gold' AND right_label <> given_label AND answer_count > 0",
            _counted(
                Counter(
                    (answer.worker.shown, task.right, answer.choice)
                    for task in gold
                    for answer in task.answers
                    if answer.choice != task.right
                )
            ),
        ),
        Question(
            "accuracy of answers, majority, output",
            "SELECT measure, value, case_count FROM job_quality WHERE job_name = 'signals' "
            "AND measure IN ('single_answer_accuracy', 'majority_accuracy', 'output_accuracy')",
            [
                ["single_answer_accuracy", single / (len(gold) * len(right)), len(gold) * len(right)],
                ["majority_accuracy", agreed / len(gold), len(gold)],
                ["output_accuracy", output / len(gold), len(gold)],
            ],
        ),
        Question(
            "majority and gold label, by image",
            "SELECT object_id, majority_label, output_label, gold_label, answer_count, agreeing_count "
            "FROM consensus WHERE job_name = 'signals'",
            [
                [
                    task.object_id,
                    majority[task.object_id],
                    task.frames[0].annotations[0].label,
                    signals.gold.get(task.object_id),
                    len(task.answers),
                    sum(each.choice == majority[task.object_id] for each in task.answers),
                ]
                for task in signals.tasks
            ],
        ),
    ]


def _majority(task: Task) -> str:
    votes = Counter(each.choice or "" for each in task.answers)
    return min(votes, key=lambda label: (-votes[label], label))


# --- audits and adjustments ------------------------------------------------------------------------------------------


def _labels(world: World) -> Iterator[tuple[Job, Task, int, Annotation]]:
    for job in world.jobs:
        for task in job.tasks:
            for frame in task.frames:
                for annotation in frame.annotations:
                    yield job, task, frame.number, annotation


def _before(job: Job, task: Task) -> Task | None:
    """The data object in the job before."""
    earlier = job.chained.tasks if job.chained else ()
    return next((each for each in earlier if each.object_id == task.object_id), None)


def _labeler(job: Job, task: Task) -> str | None:
    """Who labeled the data object on the first level; None where several did."""
    before = _before(job, task)
    while job.chained and before:
        job, task = job.chained, before
        before = _before(job, task)
    return task.answers[0].worker.shown if len(task.answers) == 1 else None


def _maker(job: Job, task: Task, place: tuple[int, str]) -> str:
    """Who made a label of a clip as it is: the worker of the first level, or of the level that changed it last."""
    before = _before(job, task)
    if job.chained and before and not _changes(_placed(before)[place], _placed(task)[place]):
        return _maker(job.chained, before, place)
    return task.answers[0].worker.shown


def _tracked_audits(world: World) -> list[tuple[Job, Job]]:
    """Every audit of clips with the job before it."""
    return [(each, each.chained) for each in world.jobs if each.chained and "audit" in each.label_attributes]


def _audits(world: World) -> list[Question]:
    audited: Counter[Any] = Counter()
    passed: Counter[Any] = Counter()
    own: Counter[Any] = Counter()
    seen: Counter[Any] = Counter()
    accepted: Counter[Any] = Counter()
    for job, earlier in _tracked_audits(world):
        for task in job.tasks:
            judged, auditor = _before(job, task), task.answers[0].worker.shown
            before = _placed(judged)
            for place, annotation in _placed(task).items():
                labeler = _maker(earlier, judged, place) if judged else None
                key = (job.folder, labeler, auditor)
                verdict = annotation.attributes["audit"]
                audited[key] += 1
                passed[key] += verdict == "Pass"
                own[key] += labeler == auditor
                if job.level == "second":
                    unchanged = not _changes(before[place], annotation)
                    seen[earlier.folder, labeler] += 1
                    accepted[earlier.folder, labeler] += verdict == "Pass" and unchanged
    jobs = ", ".join(f"'{each.folder}'" for each, _ in _tracked_audits(world))
    by_auditor = _summed(passed, 2)
    firsts = ", ".join(f"'{name}'" for name in sorted({folder for folder, _ in seen}))
    return [
        Question(
            "audit passes, by worker and auditor",
            "SELECT job_name, worker, auditor, sum(audited_count), sum(passed_count), sum(self_audited_count) "
            f"FROM audit_count WHERE attribute = '' AND job_name IN ({jobs}) GROUP BY job_name, worker, auditor",
            [[*key, audited[key], passed[key], own[key]] for key in audited],
        ),
        Question(
            "first-pass yield, accepted labels by worker",
            "SELECT job_name, worker, sum(label_count), sum(accepted_count) FROM first_pass "
            f"WHERE job_name IN ({firsts}) GROUP BY job_name, worker",
            [[*key, seen[key], accepted[key]] for key in seen],
        ),
        Question(
            "pass share, by auditor",
            "SELECT auditor, audited_count, passed_count, pass_share FROM auditor_quality "
            "WHERE modality = 'VideoObjectTrackingAudit'",
            [
                [auditor, count, by_auditor[auditor], by_auditor[auditor] / count]
                for auditor, count in _summed(audited, 2).items()
            ],
        ),
        Question(
            "self-audits, by auditor",
            "SELECT auditor, sum(self_audited_count) FROM auditor_quality "
            "WHERE self_audited_count > 0 GROUP BY auditor",
            _counted(Counter({(auditor,): n for auditor, n in _summed(own, 2).items() if n})),
        ),
        Question(
            "double audits and those judged alike",
            "SELECT auditor, sum(double_count), sum(double_agreed_count) FROM auditor_quality "
            "WHERE double_count > 0 GROUP BY auditor",
            _doubles(world),
        ),
    ]


def _summed(counts: Counter[Any], place: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, count in counts.items():
        total[key[place]] += count
    return total


def _placed(task: Task | None) -> dict[tuple[int, str], Annotation]:
    """Labels of tracked objects by frame and instance."""
    return {
        (frame.number, annotation.instance[0]): annotation
        for frame in (task.frames if task else ())
        for annotation in frame.annotations
        if annotation.instance
    }


def _doubles(world: World) -> Rows:
    """The third level of the bridge judges what the second judged, but for what the second changed: another box."""
    audit = _job(world, "bridge-second_level-vehicle-audit")
    judged: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    for task in _job(world, "bridge-third_level-vehicle-review").tasks:
        second = next(each for each in audit.tasks if each.object_id == task.object_id)
        before = _placed(second)
        labeled = _placed(_before(audit, second))
        for place, annotation in _placed(task).items():
            if _changes(labeled[place], before[place]):
                continue
            for auditor in (task.answers[0].worker.shown, second.answers[0].worker.shown):
                judged[auditor] += 1
                alike[auditor] += annotation.attributes["audit"] == before[place].attributes["audit"]
    return [[auditor, count, alike[auditor]] for auditor, count in judged.items()]


def _changes(before: Annotation, after: Annotation) -> set[str]:
    """What the next level did to a label. The verdict is new and no change."""
    common = before.attributes.keys() & after.attributes.keys() - {"audit"}
    return {
        name
        for name, changed in (
            ("moved", before.geometry != after.geometry),
            ("relabelled", before.label != after.label),
            ("attribute", any(before.attributes[each] != after.attributes[each] for each in common)),
        )
        if changed
    }


def _adjustments(world: World) -> list[Question]:
    """Counted by what the second level of the harbor does with each image, and by instance in the audits of clips."""
    rows: Rows = []
    columns = ("added", "removed", "moved", "relabelled", "attribute", "unchanged")
    for job, _ in _tracked_audits(world):
        for task in job.tasks:
            before, after = _placed(_before(job, task)), _placed(task)
            found = Counter(change for place in before for change in _changes(before[place], after[place]))
            found["unchanged"] = sum(not _changes(before[place], after[place]) for place in before)
            rows.append(_adjusted_row(job, task, [found[each] for each in columns]))
    harbor = _job(world, "harbor-second_level-boxes-adjust")
    for n, task in enumerate(harbor.tasks):
        found = Counter(cases.HARBOR_CHANGES[n % 6])
        there = len(task.frames[0].annotations) - found["added"] + found["removed"]
        found["unchanged"] = there - found["removed"] - found["moved"] - found["relabelled"]
        rows.append(_adjusted_row(harbor, task, [found[each] for each in columns]))
    jobs = ", ".join(f"'{name}'" for name in sorted({row[0] for row in rows}))
    counts = ", ".join(f"{each}_count" for each in columns)
    return [
        Question(
            "changes and rework time, by data object",
            f"SELECT job_name, object_id, worker, auditor, {counts}, seconds FROM adjustment_task "
            f"WHERE job_name IN ({jobs})",
            rows,
        ),
        Question(
            "changed labels, by kind of change",
            f"SELECT change, sum(label_count) FROM adjustment_count WHERE job_name IN ({jobs}) GROUP BY change",
            [
                [name, total]
                for place, name in enumerate(columns, start=4)
                if (total := sum(row[place] for row in rows))
            ],
        ),
        Question(
            "changed boxes, by image",
            "SELECT object_id, change, count(*) FROM adjustment "
            f"WHERE job_name = '{harbor.folder}' GROUP BY object_id, change",
            [
                [task.object_id, change, count]
                for n, task in enumerate(harbor.tasks)
                for change, count in cases.HARBOR_CHANGES[n % 6].items()
            ],
        ),
    ]


def _adjusted_row(job: Job, task: Task, counts: list[int]) -> list[Any]:
    answer = task.answers[0]
    return [job.folder, task.object_id, _labeler(job, task), answer.worker.shown, *counts, answer.seconds]


# --- tracks ----------------------------------------------------------------------------------------------------------


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one["left"] + one["width"], other["left"] + other["width"]) - max(one["left"], other["left"])
    down = min(one["top"] + one["height"], other["top"] + other["height"]) - max(one["top"], other["top"])
    shared = max(across, 0) * max(down, 0)
    return float(shared / (one["width"] * one["height"] + other["width"] * other["height"] - shared))


def _tracks(world: World) -> list[Question]:
    placed = _placed_defects()
    jumps: Counter[Any] = Counter()
    for job in world.jobs:
        if not job.folder.startswith("street"):
            continue
        for task in job.tasks:
            by_instance: dict[str, list[tuple[int, Box]]] = defaultdict(list)
            for (number, instance), annotation in sorted(_placed(task).items()):
                if annotation.shape == "box":
                    by_instance[instance].append((number, annotation.geometry))
            for boxes in by_instance.values():
                for (number, one), (after, other) in pairwise(boxes):
                    jumps[(job.folder,)] += after == number + 1 and _overlap(one, other) < 0.5
    tracked: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for job in world.jobs:
        for task in job.tasks if job.task_type == "video-object-tracking" else ():
            places = [place for place, annotation in _placed(task).items() if annotation.shape == "box"]
            if places:
                tracks = tracked[job.folder, task.object_id]
                tracks[0] += len({instance for _, instance in places})
                tracks[1] += len(places)
    kept = ", ".join(f"('{clip}', {frame})" for clip, _, _, frame in placed)
    return [
        Question(
            "tracks and their frames, by clip",
            "SELECT job_name, object_id, count(*), sum(frame_count) FROM track "
            "WHERE task_type = 'video-object-tracking' AND label = 'Vehicle' GROUP BY job_name, object_id",
            [[*key, *counts] for key, counts in tracked.items()],
        ),
        Question(
            "injected defects the directed audit will see",
            f"SELECT count(*) FROM (VALUES {kept}) AS defect (object_id, frame_no) JOIN directed_audit d "
            "ON d.job_name = 'tunnel-first_level-vehicle' AND d.object_id = defect.object_id "
            "AND defect.frame_no BETWEEN d.first_frame_no AND d.last_frame_no",
            [[len(placed)]],
        ),
        Question(
            "injected track defects found, and no others",
            "SELECT object_id, instance_name, issue, frame_no FROM track_issue "
            "WHERE job_name = 'tunnel-first_level-vehicle'",
            placed,
        ),
        Question(
            "track defects found in clean clips",
            "SELECT count(*) FROM track_issue WHERE job_name = 'meadow-first_level-vehicle'",
            [[0]],
        ),
        Question(
            "jumps of the street batches, by job",
            "SELECT job_name, count(*) FROM track_issue WHERE issue = 'jump' AND job_name LIKE 'street%' "
            "GROUP BY job_name",
            _counted(Counter({key: count for key, count in jumps.items() if count})),
        ),
    ]


def _placed_defects() -> Rows:
    """What `cases.DEFECTS` put where: clip, vehicle, kind, first frame."""
    return [[str(clip), f"Vehicle:{vehicle}", *rest] for clip, vehicle, *rest in cases.PLACED_DEFECTS]


# --- answers ---------------------------------------------------------------------------------------------------------


def _answers(world: World) -> list[Question]:
    signals = _job(world, "signals")
    blind = [each.choice for task in signals.tasks for each in task.answers if each.worker.username == cases.BLIND]
    # The run of the same answer goes back to before he stopped looking, if he happened to say it then.
    run = next((n for n, said in enumerate(reversed(blind)) if said != blind[-1]), len(blind))
    by_name = {each.worker.username: each.worker.shown for each in signals.tasks[0].answers}
    select = "SELECT username, count(*) FROM answer_flag WHERE job_name = 'signals'"
    times: dict[str, list[float]] = defaultdict(list)
    for task in signals.tasks:
        for answer in task.answers:
            times[answer.worker.shown].append(answer.seconds)
    return [
        Question(
            "median seconds per label, by worker",
            "SELECT username, answer_count, seconds_per_label FROM pace WHERE job_name = 'signals'",
            [[name, len(seconds), median(seconds)] for name, seconds in times.items()],
        ),
        Question(
            "rushing worker found, all answers",
            f"{select} AND flag = 'rush' GROUP BY username",
            [[by_name[cases.RUSHING], len(signals.tasks)]],
        ),
        Question("idle answer found", f"{select} AND flag = 'idle' GROUP BY username", [[by_name["bela"], 1]]),
        Question(
            "straight-lining worker found, whole run",
            f"{select} AND flag = 'straight_lining' GROUP BY username",
            [[by_name[cases.BLIND], run]],
        ),
    ]


def _drift() -> list[Question]:
    return [
        Question(
            "batch whose classes drifted",
            "SELECT item FROM drift WHERE task_type = 'text-classification' AND subject = 'label' "
            "AND scope = 'batch' AND drifted",
            [[cases.DRIFTED]],
        )
    ]


# --- operations ------------------------------------------------------------------------------------------------------


def _operations(world: World) -> list[Question]:
    hours: Counter[Any] = Counter()
    seconds: dict[Any, float] = defaultdict(float)
    for job in world.jobs:
        for task in job.tasks:
            for answer in task.answers:
                key = (job.folder, answer.submitted.strftime("%Y-%m-%d %H:00:00.000"))
                hours[key] += 1
                seconds[key] += answer.seconds if answer.timed else 0.0
    unfinished = [job for job in world.jobs if job.unfinished]
    return [
        Question(
            "answers and seconds, by job and hour",
            "SELECT job_name, hour, sum(answer_count), coalesce(sum(seconds), 0) FROM progress GROUP BY job_name, hour",
            [[*key, hours[key], seconds[key]] for key in hours],
        ),
        Question(
            "unfinished jobs, objects begun and open",
            "SELECT job_name, task_count, in_progress_count, open_count FROM forecast WHERE eta IS NOT NULL "
            "OR in_progress_count > 0",
            [[job.folder, len(job.tasks) + len(job.waiting), len(job.tasks), len(job.waiting)] for job in unfinished],
        ),
        Question(
            "unfinished jobs, by batch and in all",
            "SELECT batch, unfinished_count, all_unfinished_count FROM batch_forecast",
            [[job.folder.partition("-")[0], 1, len(unfinished)] for job in unfinished],
        ),
        Question(
            "job that will expire unfinished",
            "SELECT job_name FROM forecast WHERE expiry_risk > 0.5",
            [["yard-first_level-signals"]],
        ),
        *_costs(world),
    ]


def _costs(world: World) -> list[Question]:
    """Frames are the objects that Ground Truth bills; the sample stays within the first tier of its price."""
    units: Counter[str] = Counter()
    dollars: dict[str, float] = defaultdict(float)
    prices = tomllib.loads(files("sextant.labeling").joinpath("prices.toml").read_text("utf-8"))
    hours: dict[bool, float] = defaultdict(float)
    for job in world.jobs:
        for task in job.tasks:
            units["service"] += len(task.frames)
            for answer in task.answers:
                if answer.worker.provider == "public":
                    units["public"] += 1
                    dollars["public"] += prices["public"][job.task_type]
                else:
                    hours[bool(job.chained)] += answer.seconds / 3600
    dollars["service"] = units["service"] * prices["service"][0]["usd"]
    worked = sum(hours.values())
    return [
        Question(
            "cost in US dollars and units, by kind",
            "SELECT kind, sum(unit_count), sum(amount_usd) FROM cost GROUP BY kind",
            [
                ["labor", worked, worked * WAGE_USD],
                *([kind, units[kind], dollars[kind]] for kind in ("public", "service")),
            ],
        ),
        Question(
            "hours of rework on later levels",
            "SELECT sum(unit_count) FROM cost WHERE rework AND kind = 'labor'",
            [[hours[True]]],
            1e-6,
        ),
        Question(
            "labels that hold after all levels, by batch",
            "SELECT batch, label_count, accepted_count FROM accepted_cost "
            "WHERE batch IN ('bridge', 'harbor', 'meadow', 'street-a', 'street-b')",
            [[batch, *_held(world, batch)] for batch in ("bridge", "harbor", "meadow", "street-a", "street-b")],
        ),
    ]


def _held(world: World, batch: str) -> tuple[int, int]:
    """Labels of the first level, and those of each data object's last level that nobody failed there."""
    last: dict[tuple[str, str], Task] = {}
    first = 0
    for job in world.jobs:  # a level comes after the one before it
        if job.folder.startswith(f"{batch}-"):
            root = job
            while root.chained:
                root = root.chained
            for task in job.tasks:
                last[root.folder, task.object_id] = task
                first += 0 if job.chained else sum(len(frame.annotations) for frame in task.frames)
    held = [
        annotation.attributes.get("audit", "Pass") == "Pass"
        for task in last.values()
        for frame in task.frames
        for annotation in frame.annotations
    ]
    return first, sum(held)


# --- the output itself -----------------------------------------------------------------------------------------------


def _findings(world: World) -> list[Question]:
    found: Counter[Any] = Counter()
    for job in world.jobs:
        if job.folder.startswith("harbor"):
            for task in job.tasks:
                boxes = [each.geometry for each in task.frames[0].annotations]
                for n, box in enumerate(boxes):
                    outside = box["left"] + box["width"] > cases.IMAGE[0]
                    found[job.folder, "outside_image"] += outside
                    found[job.folder, "duplicate_label"] += box in boxes[:n]
        for task in job.tasks if job.folder.startswith("tunnel") else ():
            numbers = [each.number for each in task.frames]
            found[job.folder, "missing_frame"] += numbers[-1] - numbers[0] + 1 - len(numbers)
    for job, _, _, annotation in _labels(world):
        kind = annotation.attributes.get("vehicle_type")
        if kind and kind not in job.label_attributes.get("vehicle_type", (kind,)):
            found[job.folder, "unknown_value"] += 1
    batches = ("harbor", "tunnel", "meadow", "bridge", "notes")
    chosen = " OR ".join(f"job_name LIKE '{each}-%'" for each in batches)
    return [
        Question(
            "defects of the output found, and no others",
            f"SELECT job_name, finding, count(*) FROM finding WHERE {chosen} GROUP BY job_name, finding",
            _counted(Counter({key: count for key, count in found.items() if count})),
        )
    ]
