"""Rows of the base tables of single labels and of the analytics: few enough to add up by hand.

Two batches. In `street`, ada, grace and katherine label vehicles and grace audits two of three data objects; in
`harbour` no level follows. Numbers are chosen, not computed: the tests say what the dashboards must make of them.
"""

import datetime as dt

FIRST, AUDIT, HARBOUR = "street-first-vehicles", "street-second-audit", '=harbour, "north"'
TRACKING, AUDITS = "VideoObjectTracking", "VideoObjectTrackingAudit"
KIND = "video-object-tracking"
MARCH = dt.date(2026, 3, 2)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
BASE_JOBS = {AUDIT: FIRST}


def of(job, **columns):
    return {"job_name": job, "modality": AUDITS if job == AUDIT else TRACKING, "task_type": KIND, **columns}


def box(job, frame_no, position, instance, left, **columns):
    document = {FIRST: "f1", AUDIT: "a2", HARBOUR: "h3"}[job]
    return of(
        job,
        annotation_id=f"{document}-{frame_no}-{position}",
        object_id="0" if job != AUDIT else "7",
        source_ref=f"s3://batch/{'harbour' if job == HARBOUR else 'street'}-0.json",
        frame_no=frame_no,
        frame=f"frame_{frame_no:04d}.jpeg",
        instance_id=f"id-{instance}",
        instance_name=f"Vehicle:{instance}",
        label="vehicle",
        shape="box",
        left_px=left,
        top_px=20.0,
        width_px=100.0,
        height_px=50.0,
        created_at=NOON,
        **columns,
    )


ANNOTATIONS = [
    *(
        box(FIRST, frame, place, place + 1, 10.0 * frame, attributes=[("moving", "yes" if place else "no")])
        for frame in range(3)
        for place in range(2)
    ),
    *(
        box(
            AUDIT,
            frame,
            place,
            place + 1,
            10.0 * frame + 5 * place,
            attributes=[("moving", "yes"), ("audit", "fail" if (frame, place) == (1, 0) else "pass")],
        )
        for frame in range(3)
        for place in range(2)
    ),
    {
        **box(HARBOUR, 0, 0, 9, None, attributes=[]),
        "shape": "polygon",
        "top_px": None,
        "width_px": None,
        "height_px": None,
        "geometry": '{"vertices":[{"x":3,"y":4},{"x":640.5,"y":4},{"x":3,"y":480}]}',
        "instance_id": None,
        "instance_name": None,
    },
]
FRAMES = [
    of(
        job,
        object_id=object_id,
        frame_no=frame,
        frame=f"frame_{frame:04d}.jpeg",
        label_count=2,
        attributes=[("quality_of_the_frame", "good" if frame else "bad")],
        width_px=width,
        height_px=height,
    )
    for job, object_id, width, height in ((FIRST, "0", 1920.0, 1080.0), (AUDIT, "7", None, None))
    for frame in range(3)
]
ANSWERS = [
    of(job, answer_id=answer, object_id=found, worker_id=f"id-{who}", username=who, submitted_at=NOON, seconds=seconds)
    for job, answer, found, who, seconds in (
        (FIRST, "answer-1", "0", "ada", 60.0),
        (FIRST, "answer-2", "0", "katherine", None),
        (AUDIT, "answer-3", "7", "grace", 30.0),
        (HARBOUR, "answer-4", "0", "ada", 10.0),
    )
]
ANSWER_ANNOTATIONS = [
    of(
        job,
        answer_id=answer,
        object_id=found,
        frame_no=frame_no,
        frame=frame,
        position=place,
        instance_id=f"own-{place}",
        instance_name=f"Vehicle:{place + 1}",
        label="vehicle",
        shape="box",
        left_px=left,
        top_px=20.0,
        width_px=100.0,
        height_px=50.0,
        attributes=[("moving", "no")],
    )
    for job, answer, found, frame_no, frame, place, left in (
        (FIRST, "answer-1", "0", 1, "frame_0001.jpeg", 1, 12.0),
        (FIRST, "answer-1", "0", None, "frame_0001.jpeg", 0, 11.0),
        (FIRST, "answer-2", "0", 1, None, 0, 1900.0),
        (AUDIT, "answer-3", "7", 1, "frame_0001.jpeg", 0, 10.0),
    )
]
CHANGED = of(
    AUDIT,
    base_job=FIRST,
    object_id="7",
    frame_no=1,
    frame="frame_0001.jpeg",
    annotation_id="a2-1-1",
    base_annotation_id="f1-1-1",
    label="vehicle",
    base_label="vehicle",
    change="moved",
    iou=0.9,
    worker="ada",
    auditor="grace",
    created_on=MARCH,
)
ISSUES = [
    of(
        FIRST,
        object_id="0",
        instance_id=f"id-{instance}",
        instance_name=f"Vehicle:{instance}",
        label="vehicle",
        worker="ada",
        issue=issue,
        frame_no=first,
        last_frame_no=last,
        value=value,
        detail=detail,
    )
    for instance, issue, first, last, value, detail in (
        (1, "jump", 1, None, 0.05, "IoU 0.05 with the frame before"),
        (1, "gap", 1, 4, 3.0, "3 frames missing"),
        (2, "jump", 2, None, 0.1, "IoU 0.10 with the frame before"),
    )
]


def _agreement(scope, value, objects, pairs, metric="alpha", **more):
    return of(
        FIRST,
        metric=metric,
        scope=scope,
        value=value,
        lower=value - 0.1,
        upper=value + 0.1,
        object_count=objects,
        pair_count=pairs,
        **more,
    )


INSIGHTS = {
    "annotation": ANNOTATIONS,
    "frame": FRAMES,
    "answer": ANSWERS,
    "answer_annotation": ANSWER_ANNOTATIONS,
    "adjustment": [CHANGED],
    "track_issue": ISSUES,
    "agreement": [
        _agreement("job", 0.8, 40, 60),
        _agreement("job", 0.7, 40, 60, metric="iou_f1"),
        {**_agreement("job", 0.2, 10, 20), "job_name": HARBOUR},
        _agreement("job", 0.95, 40, 40, metric="level_hota"),
        _agreement("pair", 0.95, 40, 40, metric="level_hota", worker="ada", other_worker="grace"),
        _agreement("label", 0.6, 30, 40, label="vehicle"),
        _agreement("pair", 0.9, 20, 30, worker="ada", other_worker="grace"),
        {**_agreement("pair", 0.3, 10, 10, worker="ada", other_worker="grace"), "job_name": HARBOUR},
        _agreement("pair", 0.5, 20, 20, worker="ada", other_worker="katherine"),
        _agreement("day", 0.75, 40, 60, day=MARCH),
    ],
    "worker_quality": [
        of(
            FIRST,
            worker_id=f"id-{who}",
            username=who,
            method=method,
            accuracy=accuracy,
            lower=accuracy - 0.05,
            upper=min(1.0, accuracy + 0.05),
            answer_count=n,
        )
        for who, method, accuracy, n in (
            ("ada", "gold", 0.9, 50),
            ("ada", "dawid-skene", 0.92, 80),
            ("grace", "dawid-skene", 0.7, 60),
        )
    ],
    "confusion": [
        of(
            FIRST,
            worker_id="id-ada",
            username="ada",
            method=method,
            right_label=right,
            given_label=given,
            answer_count=n,
        )
        for method, right, given, n in (
            ("dawid-skene", "car", "car", 40.5),
            ("dawid-skene", "car", "van", 3.5),
            ("dawid-skene", "van", "van", 36.0),
            ("gold", "car", "car", 20.0),
        )
    ],
    "consensus": [
        of(
            FIRST,
            object_id=found,
            source_ref=f"s3://batch/{found}.jpg",
            label="car",
            probability=probability,
            majority_label="car",
            output_label="van",
            answer_count=5,
            agreeing_count=agreeing,
        )
        for found, probability, agreeing in (("0", 0.99, 5), ("1", 0.55, 3))
    ],
    "job_quality": [of(FIRST, measure="majority_accuracy", value=0.9, lower=0.85, upper=0.94, case_count=302)],
    "audit_count": [
        of(
            AUDIT,
            audited_job=FIRST,
            worker=worker,
            auditor="grace",
            label="vehicle",
            attribute=attribute,
            value=value,
            created_on=MARCH + dt.timedelta(days=day),
            audited_count=audited,
            passed_count=passed,
            self_audited_count=own,
        )
        for worker, attribute, value, day, audited, passed, own in (
            ("ada", "", "", 0, 80, 76, 0),
            ("ada", "", "", 1, 20, 10, 0),
            ("grace", "", "", 0, 10, 10, 10),
            ("ada", "moving", "yes", 0, 60, 60, 0),
            ("ada", "moving", "no", 0, 20, 16, 0),
        )
    ],
    "first_pass": [
        of(
            FIRST,
            audit_job=AUDIT,
            worker=worker,
            label="vehicle",
            created_on=MARCH,
            label_count=seen,
            accepted_count=accepted,
        )
        for worker, seen, accepted in (("ada", 100, 80), ("katherine", 50, 50))
    ],
    "auditor_quality": [
        {
            "auditor": "grace",
            "modality": modality,
            "audited_count": audited,
            "passed_count": passed,
            "compared_count": compared,
            "compared_passed_count": compared_passed,
            "expected_share": expected,
            "deviation": deviation,
            "double_count": 20,
            "double_agreed_count": 18,
            "self_audited_count": 5,
        }
        for modality, audited, passed, compared, compared_passed, expected, deviation in (
            (AUDITS, 100, 90, 60, 57, 0.8, 2.5),
            (TRACKING, 50, 40, 0, 0, None, None),
        )
    ],
    "adjustment_count": [
        of(
            AUDIT,
            base_job=FIRST,
            worker="ada",
            auditor="grace",
            label="vehicle",
            change=change,
            iou_from=iou,
            created_on=MARCH,
            label_count=n,
        )
        for change, iou, n in (
            ("unchanged", 0.9, 70),
            ("moved", 0.9, 6),
            ("moved", 0.3, 4),
            ("removed", None, 3),
            ("relabelled", 0.3, 2),
        )
    ],
    "adjustment_task": [
        of(
            AUDIT,
            base_job=FIRST,
            object_id=found,
            source_ref=f"s3://batch/street-{found}.json",
            worker="ada",
            auditor="grace",
            added_count=0,
            removed_count=removed,
            moved_count=moved,
            relabelled_count=0,
            attribute_count=0,
            unchanged_count=35,
            mean_iou=iou,
            seconds=seconds,
            created_on=MARCH,
        )
        for found, removed, moved, iou, seconds in (("0", 0, 0, 1.0, 40.0), ("1", 3, 10, 0.8, 100.0))
    ],
    "track": [
        of(
            FIRST,
            object_id="0",
            source_ref="s3://batch/street-0.json",
            instance_id=f"id-{n}",
            instance_name=f"Vehicle:{n}",
            label="vehicle",
            worker="ada",
            first_frame_no=0,
            last_frame_no=2,
            frame_count=frames,
            step_count=frames - 1,
            mean_iou=iou,
            minimum_iou=least,
            jump_count=jumps,
            size_change_count=0,
            gap_count=gaps,
            frozen_count=0,
            identity_swap_count=0,
            missing_attribute_count=0,
        )
        for n, frames, iou, least, jumps, gaps in (
            (1, 30, 0.9, 0.05, 1, 1),
            (2, 10, 0.7, 0.1, 1, 0),
            (3, 1, None, None, 0, 0),
        )
    ],
    "directed_audit": [
        of(
            FIRST,
            object_id="0",
            first_frame_no=first,
            last_frame_no=first + 9,
            frame_count=10,
            sequence_frame_count=300,
            issue_count=issues,
            issues="jump",
            manifest="audits/street-first-vehicles.manifest",
        )
        for first, issues in ((0, 2), (100, 1))
    ],
    "answer_flag": [
        of(
            FIRST,
            answer_id=answer,
            object_id="0",
            worker_id=f"id-{who}",
            username=who,
            submitted_at=NOON,
            flag=flag,
            value=1.5,
            reference=4.0,
        )
        for answer, who, flag in (
            ("answer-1", "ada", "rush"),
            ("answer-1", "ada", "straight_lining"),
            ("answer-2", "katherine", "idle"),
        )
    ],
    "pace": [
        of(
            FIRST,
            worker_id=f"id-{who}",
            username=who,
            answer_count=n,
            seconds_per_label=seconds,
            lower=seconds - 1,
            upper=seconds + 1,
            quality=quality,
            quality_lower=quality - 0.1,
            quality_upper=quality + 0.05,
            quality_count=n * 2,
            quality_method="audit",
            efficient=efficient,
        )
        for who, n, seconds, quality, efficient in (("ada", 20, 12.0, 0.86, True), ("katherine", 30, 15.0, 0.8, False))
    ],
    "drift": [
        {
            "task_type": KIND,
            "subject": "label",
            "scope": "worker",
            "item": who,
            "psi": psi,
            "js": psi / 2,
            "threshold": 0.2,
            "drifted": psi > 0.2,
            "case_count": 100,
            "reference_count": 300,
            "largest": "car 10 % → 40 %",
        }
        for who, psi in (("ada", 0.05), ("grace", 0.45))
    ],
    "progress": [
        of(
            FIRST,
            hour=NOON + dt.timedelta(hours=hour),
            answer_count=answers,
            label_count=labels,
            task_count=1,
            worker_count=workers,
            seconds=600.0,
        )
        for hour, answers, labels, workers in ((0, 4, 40, 2), (1, 6, 90, 3))
    ],
    "forecast": [
        of(
            FIRST,
            level="first",
            batch="street",
            task_count=10,
            labeled_count=10,
            in_progress_count=0,
            open_count=0,
            tasks_per_hour=2.0,
            as_of=NOON,
            expires_at=NOON + dt.timedelta(days=30),
            expiry_risk=0.0,
        ),
        of(
            AUDIT,
            level="second",
            batch="street",
            task_count=10,
            labeled_count=2,
            in_progress_count=3,
            open_count=5,
            tasks_per_hour=1.0,
            as_of=NOON,
            eta=NOON + dt.timedelta(hours=8),
            eta_lower=NOON + dt.timedelta(hours=6),
            eta_upper=NOON + dt.timedelta(hours=30),
            expires_at=NOON + dt.timedelta(days=30),
            expiry_risk=0.01,
        ),
        of(
            HARBOUR,
            level="",
            batch="harbour",
            task_count=100,
            labeled_count=10,
            in_progress_count=0,
            open_count=90,
            tasks_per_hour=4.0,
            as_of=NOON,
            eta=NOON + dt.timedelta(hours=9),
            eta_lower=NOON + dt.timedelta(hours=7),
            expires_at=NOON + dt.timedelta(days=30),
            expiry_risk=0.0,
        ),
    ],
    "batch_forecast": [
        {
            "batch": batch,
            "unfinished_count": 1,
            "last_eta": NOON + dt.timedelta(hours=eta),
            "last_eta_lower": NOON + dt.timedelta(hours=lower),
            "last_eta_upper": None if upper is None else NOON + dt.timedelta(hours=upper),
            "all_unfinished_count": 2,
            # Later than both: the last of two is done only when both are.
            "all_eta": NOON + dt.timedelta(hours=11),
            "all_eta_lower": NOON + dt.timedelta(hours=8),
        }
        for batch, eta, lower, upper in (("street", 8, 6, 30), ("harbour", 9, 7, None))
    ],
    "cost": [
        of(
            job,
            batch="street",
            username=who,
            spent_on=MARCH,
            kind=kind,
            rework=rework,
            amount_usd=usd,
            unit_count=units,
            unit_price_usd=price,
            prices_of=dt.date(2026, 10, 1),
        )
        for job, who, kind, rework, usd, units, price in (
            (FIRST, "ada", "labor", False, 30.0, 2.0, 15.0),
            (FIRST, None, "service", False, 8.0, 100.0, 0.08),
            (AUDIT, "grace", "labor", True, 12.0, 0.8, 15.0),
        )
    ],
    "accepted_cost": [
        {
            "batch": batch,
            "amount_usd": usd,
            "rework_usd": rework,
            "label_count": labels,
            "accepted_count": accepted,
            "usd_per_accepted": usd / accepted,
            "budget_usd": budget,
            "burn_usd_per_day": 25.0,
            "exhausted_on": ends,
        }
        for batch, usd, rework, labels, accepted, budget, ends in (
            ("street", 50.0, 12.0, 150, 100, 200.0, dt.date(2026, 3, 8)),
            ("harbour", 10.0, 0.0, 100, 100, None, None),
        )
    ],
    "finding": [
        of(
            FIRST,
            object_id="0",
            frame_no=frame,
            finding=finding,
            severity=severity,
            detail=detail,
            source="s3://batch/output.manifest#0",
        )
        for frame, finding, severity, detail in (
            (1, "outside_image", "error", "box ends at 2000 of 1920 px"),
            (None, "missing_answer", "warning", "no answer of 3"),
        )
    ],
}
