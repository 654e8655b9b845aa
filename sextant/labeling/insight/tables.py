"""The tables of the analytics, as data: what the Glue job writes after the typed tables of `sextant.labeling.tables`.

They are small: aggregates, or one row per case that somebody should look at. Columns named `…_count`, `seconds` and
`amount_usd` add up over any rows unless their doc says otherwise, so that a dashboard can filter and sum them and only
then form shares and Wilson intervals. Statistics that do not add up carry `lower` and `upper`, the bounds of a 95 %
interval, and the number of cases they rest on.
"""

from __future__ import annotations

from sextant.labeling.tables import Column, Table

_JOB = (
    Column("job_name", "string", "As in table answer."),
    Column("modality", "string", "As in table answer."),
    Column("task_type", "string", "As in table answer."),
)
_OBJECT = (
    Column("object_id", "string", "As in table task."),
    Column("source_ref", "string", "As in table task."),
)
_WORKER_ID = Column("worker_id", "string", "Ground Truth's worker id.")
_USERNAME = Column("username", "string", "As in table worker.")
_WORKER = Column(
    "worker",
    "string",
    "User name of the first-level worker whose label it is, or of the middle level's who changed it; null when nobody "
    "knows.",
)
_AUDITOR = Column("auditor", "string", "User name of the worker who audited or adjusted it.")
_CREATED_ON = Column("created_on", "date", "UTC day of the consolidated label.")
_LOWER = Column("lower", "double", "Lower bound of the 95 % interval; null when there are too few cases.")
_UPPER = Column("upper", "double", "Upper bound of the 95 % interval.")

AGREEMENT = Table(
    "agreement",
    "How far workers who labeled the same data objects agree.",
    (
        *_JOB,
        Column(
            "metric",
            "string",
            "alpha (Krippendorff, of classes), iou_alpha and iou_f1 (boxes), span_f1 (same offsets) and "
            "span_overlap_f1 (a shared character), hota, mota, idf1 (tracks); level_hota, level_mota, "
            "level_idf1: tracks on a level and on the one it adjusts.",
        ),
        Column("scope", "string", "job, label, pair or day: which of the next columns is filled."),
        Column("label", "string", "Class, for scope label."),
        Column("worker", "string", "User name, for scope pair."),
        Column("other_worker", "string", "For scope pair; after `worker` by name."),
        Column("day", "date", "UTC day of the object's last answer, for scope day."),
        Column("value", "double", "The statistic; alpha may be below 0, null when it is undefined."),
        _LOWER,
        _UPPER,
        Column(
            "object_count", "bigint", "Data objects with two answers or more; for scope label those with the class."
        ),
        Column("pair_count", "bigint", "Pairs of answers compared to these objects."),
    ),
    key=("job_name", "metric", "scope", "label", "worker", "other_worker", "day"),
)

WORKER_QUALITY = Table(
    "worker_quality",
    "How often a worker is right, in one job.",
    (
        *_JOB,
        _WORKER_ID,
        _USERNAME,
        Column("method", "string", "dawid-skene (no gold needed), gold (against gold labels), consensus (majority)."),
        Column("accuracy", "double", "0 to 1; null where the answers cannot tell it: see withheld."),
        _LOWER,
        _UPPER,
        Column("answer_count", "bigint", "Answers it rests on."),
        Column(
            "withheld",
            "string",
            "Why there is no accuracy by dawid-skene, in words: fewer than three answers to most data objects, or "
            "answers that seldom agree. Null where there is one.",
        ),
    ),
    key=("job_name", "worker_id", "method"),
)

CONFUSION = Table(
    "confusion",
    "What a worker says when something else is right, in one job.",
    (
        *_JOB,
        _WORKER_ID,
        _USERNAME,
        Column("method", "string", "dawid-skene: right is the posterior; gold: right is the gold label."),
        Column("right_label", "string", "The right class."),
        Column("given_label", "string", "The class the worker gave."),
        Column("answer_count", "double", "Answers; expected number where right is a posterior. Adds up."),
    ),
    key=("job_name", "worker_id", "method", "right_label", "given_label"),
)

CONSENSUS = Table(
    "consensus",
    "One data object of a single-choice job: what its answers come to.",
    (
        *_JOB,
        *_OBJECT,
        Column("label", "string", "The most probable class by Dawid-Skene; the majority's without a probability."),
        Column("probability", "double", "Its posterior probability; null where the model is withheld."),
        Column("majority_label", "string", "The class most answers gave; the first by name of several."),
        Column("output_label", "string", "Ground Truth's own consolidated class; null when there is none."),
        Column("gold_label", "string", "The gold label; null when there is none."),
        Column("answer_count", "bigint", "Answers."),
        Column("agreeing_count", "bigint", "Answers that gave the majority's class."),
    ),
    key=("job_name", "object_id"),
)

JOB_QUALITY = Table(
    "job_quality",
    "What a whole job is worth against gold labels, by the way its answers are consolidated; all accuracies over the "
    "same data objects: those with a gold label that every way tells of.",
    (
        *_JOB,
        Column(
            "measure",
            "string",
            "single_answer_accuracy, majority_accuracy, output_accuracy (Ground Truth's own), dawid_skene_accuracy, "
            "worker_correlation (Pearson r of predicted and true accuracy over workers with at least 10 answers).",
        ),
        Column("value", "double", "0 to 1; r from -1 to 1."),
        _LOWER,
        _UPPER,
        Column("case_count", "bigint", "Answers, data objects or workers it rests on."),
    ),
    key=("job_name", "measure"),
)

AUDIT_COUNT = Table(
    "audit_count",
    "Verdicts on labels, by who made and who audited them. Everything adds up within one attribute.",
    (
        *_JOB,
        Column("audited_job", "string", "The job whose labels were audited; null when nobody knows."),
        _WORKER,
        _AUDITOR,
        Column("label", "string", "Class name; empty for a verdict on a whole data object of several classes."),
        Column("attribute", "string", "Label attribute; empty: every verdict once."),
        Column("value", "string", "Its value; empty with an empty attribute."),
        _CREATED_ON,
        Column(
            "audited_count", "bigint", "Verdicts: one for each label and auditor, of a verification each data object."
        ),
        Column("passed_count", "bigint", "Of those, passed."),
        Column("self_audited_count", "bigint", "Of those, on labels that the auditor made himself."),
        Column("double_count", "bigint", "Of those, on labels that another auditor judged too."),
        Column("double_agreed_count", "bigint", "Of those, shared by most of the other auditors."),
    ),
    key=("job_name", "audited_job", "worker", "auditor", "label", "attribute", "value", "created_on"),
)

FIRST_PASS = Table(
    "first_pass",
    "Labels of the first level that were audited, and those accepted as they were: passed and not changed.",
    (
        *_JOB,
        Column(
            "audit_job",
            "string",
            "The job of the next level that verified, audited or adjusted them; of several the first by name.",
        ),
        _WORKER,
        Column("label", "string", "Class name."),
        _CREATED_ON,
        Column("label_count", "bigint", "Labels that the next level saw."),
        Column(
            "accepted_count", "bigint", "Of those, passed (where there are verdicts) and unchanged by all who saw them."
        ),
    ),
    key=("job_name", "audit_job", "worker", "label", "created_on"),
)

AUDITOR_QUALITY = Table(
    "auditor_quality",
    "How far an auditor can be relied on.",
    (
        _AUDITOR,
        Column("modality", "string", "As in table answer."),
        Column("audited_count", "bigint", "Verdicts, as in table audit_count."),
        Column("passed_count", "bigint", "Of those, passed."),
        Column("pass_share", "double", "Passed by audited."),
        _LOWER,
        _UPPER,
        Column(
            "compared_count",
            "bigint",
            "Of the verdicts, those on labels of known workers and of classes that other auditors judged of them, too.",
        ),
        Column("compared_passed_count", "bigint", "Of those, passed."),
        Column(
            "expected_share",
            "double",
            "What the others pass of the compared labels' workers and classes; null without others.",
        ),
        Column(
            "deviation",
            "double",
            "Standard errors between the shares of the compared labels; beyond ±3 somebody should look.",
        ),
        Column("double_count", "bigint", "Labels another auditor judged too."),
        Column("double_agreed_count", "bigint", "Of those, judged alike."),
        Column("self_audited_count", "bigint", "Own labels audited: should be 0."),
    ),
    key=("auditor", "modality"),
)

ADJUSTMENT = Table(
    "adjustment",
    "One label that the next level added, removed or changed, with what it was before.",
    (
        *_JOB,
        Column("base_job", "string", "The job before: level N-1."),
        *_OBJECT,
        Column("frame_no", "int", "As in table annotation."),
        Column("frame", "string", "As in table annotation."),
        Column("annotation_id", "string", "Of the new label; null when it was removed."),
        Column("base_annotation_id", "string", "Of the label before; null when it was added."),
        Column("instance_name", "string", "Of the tracked object."),
        Column("label", "string", "New class; the old one of a removed label."),
        Column("base_label", "string", "Old class; null when it was added."),
        Column("change", "string", "added, removed, moved, relabelled or attribute: a label with two changes has two."),
        Column("attribute", "string", "For a changed attribute: its name."),
        Column("base_value", "string", "Its old value."),
        Column("value", "string", "Its new value."),
        Column("iou", "double", "Overlap of both boxes, 0 to 1; null where there are no two boxes."),
        _WORKER,
        _AUDITOR,
        _CREATED_ON,
    ),
    key=("job_name", "base_job", "object_id", "frame_no", "annotation_id", "base_annotation_id", "change", "attribute"),
)

ADJUSTMENT_COUNT = Table(
    "adjustment_count",
    "Labels of two levels compared, by change and overlap.",
    (
        *_JOB,
        Column("base_job", "string", "The job before."),
        _WORKER,
        _AUDITOR,
        Column("label", "string", "Class name, as in table adjustment."),
        Column("change", "string", "As in table adjustment, or unchanged."),
        Column("iou_from", "double", "Lower bound of the overlap's bin of 0.1 (0.9 with 1.0); null without boxes."),
        _CREATED_ON,
        Column("label_count", "bigint", "Labels."),
    ),
    key=("job_name", "base_job", "worker", "auditor", "label", "change", "iou_from", "created_on"),
)

ADJUSTMENT_TASK = Table(
    "adjustment_task",
    "One data object of two levels compared.",
    (
        *_JOB,
        Column("base_job", "string", "The job before."),
        *_OBJECT,
        _WORKER,
        _AUDITOR,
        Column("added_count", "bigint", "Labels."),
        Column("removed_count", "bigint", "Labels."),
        Column("moved_count", "bigint", "Labels."),
        Column("relabelled_count", "bigint", "Labels."),
        Column("attribute_count", "bigint", "Labels with another value of an attribute both levels have."),
        Column("unchanged_count", "bigint", "Labels."),
        Column("mean_iou", "double", "Over the pairs of boxes; does not add up."),
        Column("seconds", "double", "Time of the next level's answers: rework if anything changed."),
        _CREATED_ON,
    ),
    key=("job_name", "base_job", "object_id"),
)

TRACK = Table(
    "track",
    "One tracked object of one job.",
    (
        *_JOB,
        *_OBJECT,
        Column("instance_id", "string", "As in table annotation."),
        Column("instance_name", "string", "As in table annotation."),
        Column("label", "string", "Class name."),
        _WORKER,
        Column("first_frame_no", "int", "First frame."),
        Column("last_frame_no", "int", "Last frame."),
        Column("frame_count", "bigint", "Frames it is in."),
        Column("step_count", "bigint", "Pairs of consecutive frames with a box of it that can be compared."),
        Column("mean_iou", "double", "Mean overlap of its boxes over these steps; null without any."),
        Column("minimum_iou", "double", "Least of those."),
        Column("jump_count", "bigint", "Findings, as in table track_issue."),
        Column("size_change_count", "bigint", "Findings."),
        Column("gap_count", "bigint", "Findings."),
        Column("frozen_count", "bigint", "Findings."),
        Column("identity_swap_count", "bigint", "Findings."),
        Column("missing_attribute_count", "bigint", "Boxes without an attribute that others of the class have."),
    ),
    key=("job_name", "object_id", "instance_id"),
)

TRACK_ISSUE = Table(
    "track_issue",
    "One place in a track that somebody should look at.",
    (
        *_JOB,
        *_OBJECT,
        Column("instance_id", "string", "As in table annotation."),
        Column("instance_name", "string", "As in table annotation."),
        Column("label", "string", "Class name."),
        _WORKER,
        Column(
            "issue",
            "string",
            "jump, size_change, gap, frozen, identity_swap (listed once, at the first of both tracks by name) or "
            "missing_attribute.",
        ),
        Column("frame_no", "int", "Frame of the finding; the first of several."),
        Column("last_frame_no", "int", "Last frame of the finding."),
        Column("frame", "string", "File name of frame_no."),
        Column("value", "double", "IoU, ratio of areas, missing frames, frozen steps: what was measured."),
        Column("detail", "string", "The finding in words."),
    ),
    key=("job_name", "object_id", "instance_id", "issue", "frame_no", "detail"),
)

DIRECTED_AUDIT = Table(
    "directed_audit",
    "A run of frames that an audit should see, instead of all or random ones. The manifests lie below `audits/`.",
    (
        *_JOB,
        *_OBJECT,
        Column("first_frame_no", "int", "First frame of the window."),
        Column("last_frame_no", "int", "Last frame."),
        Column("frame_count", "bigint", "Frames in the window."),
        Column("sequence_frame_count", "bigint", "Frames of the whole sequence; of windows of one object the same."),
        Column("issue_count", "bigint", "Findings in the window."),
        Column("issues", "string", "Their kinds, by name."),
        Column(
            "manifest",
            "string",
            "Input manifest of a labeling job that holds the window, below the output path; null where none can be "
            "made: of point clouds, or without the sequence's source.",
        ),
    ),
    key=("job_name", "object_id", "first_frame_no"),
)

ANSWER_FLAG = Table(
    "answer_flag",
    "One answer that stands out.",
    (
        *_JOB,
        Column("answer_id", "string", "As in table answer."),
        Column("object_id", "string", "As in table answer."),
        _WORKER_ID,
        _USERNAME,
        Column("submitted_at", "timestamp", "UTC."),
        Column("flag", "string", "rush, idle or straight_lining."),
        Column("value", "double", "Seconds per label, or the length of the run of equal answers."),
        Column("reference", "double", "The limit it passed: p1 or the upper fence of the peers, or the run's limit."),
    ),
    key=("answer_id", "flag"),
)

PACE = Table(
    "pace",
    "Time against quality of one worker in one job.",
    (
        *_JOB,
        _WORKER_ID,
        _USERNAME,
        Column("answer_count", "bigint", "Answers that tell their time."),
        Column("seconds_per_label", "double", "Median over those answers; does not add up."),
        _LOWER,
        _UPPER,
        Column("quality", "double", "Audit pass share, else predicted accuracy; null when neither is known."),
        Column("quality_lower", "double", "Lower bound of its 95 % interval."),
        Column("quality_upper", "double", "Upper bound."),
        Column("quality_count", "bigint", "Labels or answers it rests on."),
        Column("quality_method", "string", "audit, gold or dawid-skene."),
        Column("efficient", "boolean", "No colleague in this job is both faster and better."),
    ),
    key=("job_name", "worker_id"),
)

DRIFT = Table(
    "drift",
    "How far the labels of one day, worker or batch differ from all others of jobs with common classes.",
    (
        Column("task_type", "string", "As in table answer."),
        Column("classes", "string", "The classes of the jobs compared, by name: each shares one with another."),
        Column("subject", "string", "What is distributed: label, box_size, or attribute.<name>."),
        Column("scope", "string", "day, worker or batch."),
        Column("item", "string", "The day (ISO), user name or batch."),
        Column("psi", "double", "Population stability index, natural logarithm."),
        Column("js", "double", "Jensen-Shannon distance, base 2: 0 to 1."),
        Column("threshold", "double", "What psi exceeds by chance once in 100 if there is no drift, at these counts."),
        Column("drifted", "boolean", "psi is above the threshold and above 0.1."),
        Column("case_count", "bigint", "Labels of the item."),
        Column("reference_count", "bigint", "Labels of the others, without those that drifted themselves."),
        Column("largest", "string", "The value that moved most, with both shares."),
    ),
    key=("task_type", "classes", "subject", "scope", "item"),
)

PROGRESS = Table(
    "progress",
    "Work submitted, by hour. Everything adds up but worker_count.",
    (
        *_JOB,
        Column("hour", "timestamp", "UTC, start of the hour of submission."),
        Column("answer_count", "bigint", "Answers."),
        Column("label_count", "bigint", "Labels in them."),
        Column("task_count", "bigint", "Data objects that got their first answer in this hour."),
        Column("worker_count", "bigint", "Workers at work in this hour."),
        Column("seconds", "double", "Time spent."),
    ),
    key=("job_name", "hour"),
)

FORECAST = Table(
    "forecast",
    "How far a job is, and when it will be done.",
    (
        *_JOB,
        Column("level", "string", "As in table job."),
        Column("batch", "string", "As in table job."),
        Column("task_count", "bigint", "Data objects of the job: of its input where that is known."),
        Column("labeled_count", "bigint", "Done: labeled or failed."),
        Column("in_progress_count", "bigint", "Work in progress: answered, not consolidated."),
        Column("open_count", "bigint", "Not begun; null where the size of the input is not known."),
        Column("tasks_per_hour", "double", "Over the hours somebody worked, latest first; null without answers."),
        Column("as_of", "timestamp", "UTC: newest answer or label of all jobs; forecasts start here."),
        Column(
            "eta",
            "timestamp",
            "When half of the simulated futures are done; null for a finished job, and beyond 90 days.",
        ),
        Column("eta_lower", "timestamp", "When 2.5 % of them are."),
        Column("eta_upper", "timestamp", "When 97.5 % of them are; null beyond 90 days."),
        Column(
            "expires_at",
            "timestamp",
            "The latest time at which the job ends by itself. Ground Truth ends it 30 days after its creation, which "
            "no output tells: these are 30 days after the first acceptance.",
        ),
        Column(
            "expiry_risk",
            "double",
            "Share of the simulated futures that are not done by then, so the least risk; 0 when finished.",
        ),
    ),
    key=("job_name",),
)

_LAST = "when the last unfinished job is done, in the same future of each"
BATCH_FORECAST = Table(
    "batch_forecast",
    "A batch with unfinished jobs: when the last of them, and the last of all batches, will be done. Of the jobs' own "
    "times in table forecast the largest is too early.",
    (
        Column("batch", "string", "As in table job."),
        Column("unfinished_count", "bigint", "Its jobs that are not done."),
        Column(
            "last_eta",
            "timestamp",
            f"Median over the simulated futures of {_LAST}; null beyond 90 days, or when nothing can be told of a job.",
        ),
        Column("last_eta_lower", "timestamp", "Their 2.5 % quantile."),
        Column("last_eta_upper", "timestamp", "Their 97.5 % quantile."),
        Column("all_unfinished_count", "bigint", "Of all batches: the same in every row."),
        Column("all_eta", "timestamp", "As last_eta, of all batches: the same in every row."),
        Column("all_eta_lower", "timestamp", "Likewise."),
        Column("all_eta_upper", "timestamp", "Likewise."),
    ),
    key=("batch",),
)

COST = Table(
    "cost",
    "What labeling cost, by the dated price table and the environment's hourly wage.",
    (
        *_JOB,
        Column("batch", "string", "As in table job."),
        Column("username", "string", "As in table worker; null for kind service."),
        Column("spent_on", "date", "UTC day of submission; of the label, for kind service."),
        Column("kind", "string", "service (Ground Truth per object), labor (time by wage), public (price per answer)."),
        Column("rework", "boolean", "Spent on a second or third level."),
        Column("amount_usd", "double", "US dollars."),
        Column("unit_count", "double", "Objects, hours or answers paid for."),
        Column("unit_price_usd", "double", "US dollars per unit; does not add up."),
        Column("prices_of", "date", "Day of the price table."),
    ),
    key=("job_name", "username", "spent_on", "kind"),
)

ACCEPTED_COST = Table(
    "accepted_cost",
    "Cost per accepted label of a batch, and how its budget burns.",
    (
        Column("batch", "string", "As in table job."),
        Column("amount_usd", "double", "Everything spent on the batch."),
        Column("rework_usd", "double", "Of that, on second and third levels."),
        Column("label_count", "bigint", "First-level labels."),
        Column("accepted_count", "bigint", "Labels that hold: not failed, after every level."),
        Column("usd_per_accepted", "double", "Does not add up."),
        Column("budget_usd", "double", "Of the environment; null when it names none."),
        Column("burn_usd_per_day", "double", "Over the days somebody worked; does not add up."),
        Column("exhausted_on", "date", "When the budget ends at this rate; null when it does not."),
    ),
    key=("batch",),
)

FINDING = Table(
    "finding",
    "A defect of the output itself.",
    (
        *_JOB,
        Column("object_id", "string", "As in table task; null when the defect is of the job."),
        Column("frame_no", "int", "Where it is in one frame."),
        Column(
            "finding",
            "string",
            "missing_label, missing_answer, missing_frame, duplicate_label, contradiction, unknown_label, "
            "unknown_attribute, unknown_value, outside_image, empty_shape, time_order.",
        ),
        Column("severity", "string", "error or warning."),
        Column("detail", "string", "What exactly was found."),
        Column("source", "string", "As in table annotation."),
    ),
    key=("job_name", "object_id", "frame_no", "finding", "detail", "source"),
)


def _part(name: str, table: Table) -> Table:
    return Table(
        name, f"Cells of {table.name} by some data objects: several with one key, which add up.", table.columns, ()
    )


AUDIT_PART = _part("audit_part", AUDIT_COUNT)
FIRST_PASS_PART = _part("first_pass_part", FIRST_PASS)
ADJUSTMENT_PART = _part("adjustment_part", ADJUSTMENT_COUNT)

OBJECT_AGREEMENT = Table(
    "object_agreement",
    "Two answers to one data object compared, by metric and class: sums that agreement is formed of.",
    (
        *_JOB,
        Column("object_id", "string", "As in table task; null in a chance set."),
        Column("chance_set", "string", "Answers to different objects compared, to learn what chance does; else null."),
        Column("metric", "string", "As in table agreement."),
        Column("threshold", "double", "IoU, of metrics hota and level_hota: a row for each."),
        Column("label", "string", "Class; null where neither answer has a shape."),
        Column("worker", "string", "User name; null in a chance set, or when nobody knows."),
        Column("other_worker", "string", "User name; after `worker` by name."),
        Column("day", "date", "UTC day of the object's last answer."),
        Column("answer_count", "bigint", "Answers to the object that were compared."),
        Column("pair_count", "bigint", "Pairs of answers in this row: 1, or those of a chance set."),
        Column("agreed", "double", "Of `total`, what both answers share, as the metric measures it."),
        Column("total", "double", "Shapes of both answers."),
        Column("association", "double", "Association score of HOTA's matches."),
    ),
    key=("job_name", "object_id", "chance_set", "metric", "threshold", "label", "worker", "other_worker"),
)

FUTURE = Table(
    "future",
    "When an unfinished job is done in one of its simulated futures.",
    (
        Column("job_name", "string", "As in table job."),
        Column("batch", "string", "As in table job."),
        Column("future_no", "int", "0 to 999: one number is one future of all jobs."),
        Column("done_at", "timestamp", "Null beyond 90 days, or when nothing can be told."),
    ),
    key=("job_name", "future_no"),
)

PARTS = (OBJECT_AGREEMENT, FUTURE, AUDIT_PART, FIRST_PASS_PART, ADJUSTMENT_PART)
"""What analyses make for the SQL of the insight tables: staged like these, read by their SQL, never published."""

INSIGHT_TABLES = (
    AGREEMENT,
    WORKER_QUALITY,
    CONFUSION,
    CONSENSUS,
    JOB_QUALITY,
    AUDIT_COUNT,
    FIRST_PASS,
    AUDITOR_QUALITY,
    ADJUSTMENT,
    ADJUSTMENT_COUNT,
    ADJUSTMENT_TASK,
    TRACK,
    TRACK_ISSUE,
    DIRECTED_AUDIT,
    ANSWER_FLAG,
    PACE,
    DRIFT,
    PROGRESS,
    FORECAST,
    BATCH_FORECAST,
    COST,
    ACCEPTED_COST,
    FINDING,
)
"""Every table of the analytics, published below `{OUTPUT_PATH}labels/{table}/` after the typed tables."""
