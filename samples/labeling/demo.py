"""The labeling demo: a simulated batch (or your own Ground Truth output) through the deployed pipeline, then the proof.

Every report view is read back through Athena and compared, row by row, with the truth that was counted from the
simulated world; then the analytics are asked what only that world knows. With your own data nobody knows the truth;
what can be counted by hand (answers, workers, frames, shapes) is counted by a few lines that share no code with the
pipeline. The project's real data has published gold labels, and numbers that were measured on it by other programs.
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from samples.check import Check
from samples.console import ensure_user
from samples.labeling import generate
from samples.labeling.questions import Question
from sextant import pipeline
from sextant.labeling import client
from sextant.labeling.client import Deployed
from sextant.labeling.dashboards.athena import Lake
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.insight.tables import INSIGHT_TABLES
from sextant.labeling.report.collect import sections
from sextant.labeling.report.document import html
from sextant.labeling.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import boto3

    from sextant.pipeline import Report

STACK = "local-Labeling"
CATEGORIES = "label_category_input/"
"""Where the batch workflow keeps label category files, in the sample and in the bucket."""
_TOTALS = (
    ("answers of workers", "answer", "SELECT count(*) FROM answer"),
    ("annotations", "annotation", "SELECT count(*) FROM annotation"),
    ("labeled frames", "frame", "SELECT count(*) FROM frame"),
    ("workers", "worker", "SELECT count(*) FROM worker"),
    ("unreadable inputs, quarantined", "rejected", "SELECT count(*) FROM rejected"),
)
Item = TypeVar("Item")
QUERIES = 4
"""Asked at once."""
# Seconds are summed in another order by an engine: relative differences of this size are no errors.
RELATIVE = 1e-9


def demo(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    folder: Path,
    report: Report,
    *,
    data: Path | None = None,
) -> list[Check]:
    """Runs the whole pipeline and compares.

    Args:
        session: the account with the local stage.
        outputs: of its stacks, by stack name.
        folder: an empty folder to generate the sample in.
        report: told about progress.
        data: a folder shaped as the project's real data, or any Ground Truth output; the sample without it.

    Raises:
        PipelineError: a step failed.
    """
    deployed = Deployed.of(outputs[STACK])
    if data is not None:
        source = data / "groundtruth" if (data / "groundtruth").is_dir() else data
        _run(session, deployed, [source], report)
        return _hand_counts(session, deployed, source)
    report("sample", 0, 1)
    pool = outputs[STACK].get("WorkforceUserPoolId", "")
    subs = _workforce(session, pool, folder, report) if pool else {}
    issuer = f"https://cognito-idp.{session.region_name}.amazonaws.com/{pool}" if pool else ""
    truth = generate(folder / "sample", subs=subs, issuer=issuer)
    s3 = session.client("s3")
    pipeline.clear(s3, deployed.batch_bucket, CATEGORIES)
    pipeline.upload(s3, folder / "sample" / CATEGORIES, deployed.batch_bucket, CATEGORIES, report)
    _run(session, deployed, [folder / "sample" / "batch_manifests"], report)
    athena = session.client("athena")

    def total(told: tuple[str, str, str]) -> Check:
        what, table, sql = told
        return Check(what, _count(athena, deployed, sql), truth.tables[table])

    def compared(view: str) -> Check:
        return _compare(athena, deployed, view, truth.reports[view])

    def asked(question: Question) -> Check:
        return _asked(athena, deployed, question)

    return [
        *_told("count", total, _TOTALS, report),
        *_told("compare", compared, sorted(truth.reports), report),
        *_told("ask", asked, truth.questions, report),
    ]


def _told(step: str, check: Callable[[Item], Check], items: Sequence[Item], report: Report) -> Iterator[Check]:
    """The check of every item, in their order, a few at a time."""
    with ThreadPoolExecutor(QUERIES) as pool:
        for done, found in enumerate(pool.map(check, items), start=1):
            report(step, done, len(items))
            yield found


def run_on(
    session: boto3.session.Session,
    outputs: Mapping[str, Mapping[str, str]],
    inputs: Sequence[Path],
    folder: Path,
    report: Report,
) -> tuple[list[Path], dict[str, int]]:
    """Your own Ground Truth output through the deployed pipeline; all reports and analyses as CSV files in `folder`.

    Returns:
        The files, and what the run read, in words.
    """
    deployed = Deployed.of(outputs[STACK])
    _run(session, deployed, inputs, report)
    athena = session.client("athena")
    names = [view.name for view in VIEWS] + [table.name for table in INSIGHT_TABLES]
    written = client.export_reports(athena, deployed, names, folder, report)
    return written, {what: _count(athena, deployed, sql) for what, _, sql in _TOTALS}


def report_page(session: boto3.session.Session, outputs: Mapping[str, Mapping[str, str]], report: Report) -> str:
    """Every report of the dashboards as one HTML page to mail."""
    deployed = Deployed.of(outputs[STACK])
    lake = Lake(DATABASE=deployed.database, WORKGROUP=deployed.workgroup)
    found = sections(session.client("athena"), lake, SPECIFICATION, report)
    return html(SPECIFICATION, found, title="Labeling report", made=datetime.now(UTC))


def quarantine(session: boto3.session.Session, outputs: Mapping[str, str]) -> list[dict[str, str]]:
    """Input objects that the last run could not read, each with its reason."""
    deployed = Deployed.of(outputs)
    sql = "SELECT source, reason, detail FROM rejected ORDER BY source, reason"
    rows = client.query(session.client("athena"), deployed, sql)
    return [{name: value or "" for name, value in row.items()} for row in rows]


def _run(session: boto3.session.Session, deployed: Deployed, sources: Sequence[Path], report: Report) -> None:
    """Replaces the input of the local stage by the sources, then runs the workflow."""
    for source in sources:
        pipeline.files_below(source)  # a source that cannot be read must not cost the input that is there
    s3 = session.client("s3")
    pipeline.clear(s3, deployed.batch_bucket, deployed.input_prefix)
    for number, source in enumerate(sources, start=1):
        # Several inputs stay apart, each in a folder of its own; two may have the same name.
        below = deployed.input_prefix + (f"{number:02d}-{source.resolve().name}/" if len(sources) > 1 else "")
        pipeline.upload(s3, source, deployed.batch_bucket, below, report)
    client.run_workflow(session.client("glue"), deployed.workflow, report)


def _workforce(session: boto3.session.Session, pool: str, folder: Path, report: Report) -> dict[str, str]:
    """The sample's workers as users of the private workforce: the pool chooses the subs that the sample then uses."""
    generate(folder / "names")
    users = json.loads((folder / "names" / "users.json").read_text(encoding="utf-8"))
    cognito = session.client("cognito-idp")
    subs = {}
    for done, user in enumerate(users, start=1):
        attributes = {"email": user["email"], "email_verified": "true"}
        subs[user["username"]] = ensure_user(cognito, pool, user["username"], attributes)
        report("workforce", done, len(users))
    return subs


def _compare(athena: Any, deployed: Deployed, view: str, expected: list[list[Any]]) -> Check:
    """Measured is the number of rows equal to the truth; expected, how many there should be and no other."""
    rows = client.query(athena, deployed, f'SELECT * FROM "{view}"')  # noqa: S608 - our own names
    return Check(f"{view}, equal rows", _equal_rows(rows, expected), len(expected))


def _asked(athena: Any, deployed: Deployed, question: Question) -> Check:
    """A single number is shown as it is; of several rows, how many are right and no other."""
    rows = client.query(athena, deployed, question.sql)
    if len(question.rows) == len(question.rows[0]) == 1 and isinstance(question.rows[0][0], int | float):
        cell = next(iter(rows[0].values())) if len(rows) == 1 else None
        measured = (int(cell) if cell.isdecimal() else float(cell)) if cell else f"{len(rows)} rows"
        return Check(question.name, measured, question.rows[0][0], question.tolerance)
    return Check(question.name, _equal_rows(rows, question.rows), len(question.rows))


def _equal_rows(rows: Sequence[Mapping[str, str | None]], expected: Sequence[Sequence[Any]]) -> int:
    """How many rows are as expected, less those that should not be there: a surplus is as wrong as a gap."""
    left = sorted((list(row.values()) for row in rows), key=lambda row: [str(cell) for cell in row])
    equal = 0
    for row in expected:
        wanted = [_text(cell) for cell in row]
        match = next((other for other in left if _same(wanted, other)), None)
        if match is not None:
            left.remove(match)
            equal += 1
    return equal - len(left)


def _count(athena: Any, deployed: Deployed, sql: str) -> int:
    return int(next(iter(client.query(athena, deployed, sql)[0].values())) or 0)


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)


def _same(expected: Sequence[str | None], measured: Sequence[str | None]) -> bool:
    return len(expected) == len(measured) and all(map(_equal, expected, measured))


def _equal(expected: str | None, measured: str | None) -> bool:
    if expected == measured:
        return True
    try:
        return math.isclose(float(expected or "x"), float(measured or "x"), rel_tol=RELATIVE)
    except ValueError:
        return False


_QUALITY = "SELECT value FROM job_quality WHERE job_name = 'image-classification-birds' AND measure = '{}'"
_ISSUES = "SELECT count(*) FROM track_issue WHERE job_name = 'video-tracking-mot17-13' AND issue = '{}'"
_KNOWN = {
    "image-classification-birds": (
        Question(
            "birds: accuracy of a single answer",
            _QUALITY.format("single_answer_accuracy"),
            [[0.859]],
            0.0005,
        ),
        Question("birds: accuracy of the majority", _QUALITY.format("majority_accuracy"), [[0.9007]], 0.0005),
        Question("birds: accuracy of Ground Truth's output", _QUALITY.format("output_accuracy"), [[0.9007]], 0.0005),
        Question("birds: accuracy of Dawid-Skene", _QUALITY.format("dawid_skene_accuracy"), [[0.8907]], 0.002),
        Question(
            "birds: r of predicted and true accuracy",
            _QUALITY.format("worker_correlation"),
            [[1.0]],
            0.25,
        ),
        Question(
            "birds: agreement of 97 workers (alpha)",
            "SELECT value FROM agreement "
            "WHERE job_name = 'image-classification-birds' AND metric = 'alpha' AND scope = 'job'",
            [[0.821496]],
            1e-6,
        ),
    ),
    "video-tracking-mot17-13": (
        Question("track: jumps", _ISSUES.format("jump"), [[2]]),
        Question("track: size changes", _ISSUES.format("size_change"), [[6]]),
        Question("track: gaps", _ISSUES.format("gap"), [[1]]),
    ),
}
"""What is known of the project's real data, by folder: measured before this pipeline was written, with other programs.

Accuracies from the published gold labels, r to be at least 0.75; alpha by the package krippendorff; defects by looking
at the boxes.
"""

_UNREADABLE = "SELECT count(DISTINCT source) FROM rejected WHERE reason IN ('not JSON', 'empty object')"


def _hand_counts(session: boto3.session.Session, deployed: Deployed, source: Path) -> list[Check]:
    """Counts the files themselves, with nothing of the pipeline."""
    answers, frames, shapes, unreadable = 0, 0, 0, 0
    workers, seen = set[str](), set[bytes]()
    for path in sorted(source.rglob("*.json")):
        body = path.read_bytes()
        if body in seen:
            continue  # a copy of a response says nothing new
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            unreadable += 1
            continue
        if not isinstance(document, dict):
            continue
        if "worker-response" in path.parts and isinstance(document.get("answers"), list):
            seen.add(body)
            answers += len(document["answers"])
            workers |= {str(answer.get("workerId")) for answer in document["answers"] if isinstance(answer, dict)}
        elif path.name == "SeqLabel.json":
            entries = document.get("tracking-annotations") or document.get("detection-annotations") or []
            frames += len(entries)
            shapes += sum(len(entry.get("annotations", [])) for entry in entries if isinstance(entry, dict))
    athena = session.client("athena")

    def count(sql: str) -> int:
        return _count(athena, deployed, sql)

    return [
        Check("answers of workers", count("SELECT count(*) FROM answer"), answers),
        Check("workers", count("SELECT count(*) FROM worker"), len(workers)),
        Check("video frames", count("SELECT count(*) FROM frame WHERE task_type LIKE 'video%'"), frames),
        Check("boxes in video", count("SELECT count(*) FROM annotation WHERE task_type LIKE 'video%'"), shapes),
        Check("tracked objects", count("SELECT count(DISTINCT instance_id) FROM annotation")),
        Check("labeled data objects", count("SELECT count(*) FROM task WHERE status = 'labeled'")),
        Check("unreadable documents", count(_UNREADABLE), unreadable),
        *(
            _asked(athena, deployed, question)
            for folder, known in _KNOWN.items()
            if (source / folder).is_dir()
            for question in known
        ),
    ]
