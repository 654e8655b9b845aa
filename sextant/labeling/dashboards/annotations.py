"""Single annotations: the pages of a list under a reader's filters, and one with everything known of its frame.

Rows come from the base tables, which are written object by object: conditions on `job_name` and `object_id` let Athena
skip nearly all of them. A list is paged by key (`cursor` is the last row's), never by number of rows.
"""

import base64
import binascii
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from sextant.labeling.dashboards.athena import Answer, Cell, Lake, QueryError, run, run_all
from sextant.labeling.dashboards.model import Filters, Frozen, Value
from sextant.labeling.dashboards.query import Condition, Query, conditions, literal
from sextant.labeling.dashboards.spec import ANNOTATION_FILTERS
from sextant.labeling.dashboards.spec.common import JOB_FILTERS
from sextant.labeling.views import AUDIT_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

_MOST_ROWS = 5000
"""Of a frame, over all levels and workers: more are not drawn."""


class UnknownAnnotationError(LookupError):
    """No annotation has that id."""


class CursorError(ValueError):
    """The cursor is none that a list gave."""


class Listed(Frozen):
    """Which page of which list. `cursor` is `next` of the page before."""

    filters: Filters = Filters()
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=4000)] | None = None


class Shape(Frozen):
    """What was drawn or said. Boxes have pixels from the image's left upper corner, other shapes a `geometry`."""

    label: str | None
    shape: str | None
    instance_id: str | None
    instance_name: str | None
    left_px: float | None
    top_px: float | None
    width_px: float | None
    height_px: float | None
    geometry: Any
    attributes: dict[str, str | None]


class Annotation(Shape):
    """One consolidated label. `workers` answered its data object in this job; `verdict` is its audit's, if any."""

    annotation_id: str
    job: str
    modality: str | None
    task_type: str | None
    level: str | None
    object_id: str
    source_ref: str | None
    frame_no: int
    frame: str | None
    verdict: str | None
    confidence: float | None
    created_at: str | None
    workers: tuple[str, ...] = ()


class AnnotationPage(Frozen):
    """`next` is the cursor of the next page, None on the last one; `not_applied` as in an answer."""

    annotations: tuple[Annotation, ...]
    next: str | None
    not_applied: tuple[str, ...]
    as_of: dt.datetime
    cached: bool


class Outline(Frozen):
    """Size of a frame in pixels. `told`: by the output itself; otherwise it is just large enough for every shape."""

    width_px: float | None
    height_px: float | None
    told: bool
    attributes: dict[str, str | None]


class Level(Frozen):
    """What one job of a chain of jobs made of the frame. `counterpart` is the id of the same thing's label there."""

    job: str
    level: str | None
    base_job: str | None
    annotations: tuple[Annotation, ...]
    counterpart: str | None


class GivenShape(Shape):
    position: int | None


class GivenAnswer(Frozen):
    """One worker's answer to the data object: what of it lies in this frame."""

    answer_id: str
    job: str
    level: str | None
    worker: str | None
    submitted_at: str | None
    seconds: float | None
    shapes: tuple[GivenShape, ...]


class TrackIssue(Frozen):
    job: str
    issue: str
    frame_no: int
    last_frame_no: int | None
    instance_id: str | None
    instance_name: str | None
    value: float | None
    detail: str | None


class Adjustment(Frozen):
    job: str
    base_job: str | None
    annotation_id: str | None
    base_annotation_id: str | None
    change: str
    attribute: str | None
    base_value: str | None
    value: str | None
    label: str | None
    base_label: str | None
    iou: float | None
    worker: str | None
    auditor: str | None


class AnnotationDetail(Frozen):
    """One annotation and all that is known of its frame: other shapes, other levels, answers, findings, changes."""

    annotation: Annotation
    frame: Outline
    shapes: tuple[Annotation, ...]
    levels: tuple[Level, ...]
    answers: tuple[GivenAnswer, ...]
    issues: tuple[TrackIssue, ...]
    adjustments: tuple[Adjustment, ...]
    as_of: dt.datetime
    cached: bool


_MAP = "json_format(CAST(attributes AS json)) AS attributes"
_SHAPE = f"""label, shape, instance_id, instance_name, left_px, top_px, width_px, height_px, geometry,
  {_MAP}"""
_ANNOTATION = f"""annotation_id, job_name AS job, modality, task_type, object_id, source_ref, frame_no, frame,
  {_SHAPE},
  CASE WHEN task_type = 'label-verification' THEN label ELSE element_at(attributes, '{AUDIT_ATTRIBUTE}') END AS verdict,
  confidence, created_at"""
_Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
_CURSOR = TypeAdapter(tuple[_Text, _Text, Annotated[int, Field(strict=True)], _Text])
_NEXT_JOBS = 8
_SAME = 0.5
_KEY = ("job_name", "object_id", "frame_no", "annotation_id")


def annotations(athena: "AthenaClient", lake: Lake, listed: Listed) -> AnnotationPage:
    """One page of the annotations under these filters, ordered by job, data object, frame and id.

    Raises:
        CursorError: the cursor is not one of a page before.
        QueryError: as `athena.run`.
    """
    after = None if listed.cursor is None else _decoded(listed.cursor)
    applied, not_applied = conditions(ANNOTATION_FILTERS, listed.filters)
    jobs = run(athena, lake, _jobs(conditions(JOB_FILTERS, listed.filters)[0]))
    levels = {row["job"]: row["level"] for row in _rows(jobs)}
    read = [jobs]
    rows: list[dict[str, Any]] = []
    for part in _parts(sorted(levels), after):
        wanted = [*applied, *part]
        where = f"\nWHERE {' AND '.join(each.sql for each in wanted)}" if wanted else ""
        # Attributes become JSON outside: of the rows of the page, not of every row that is sorted.
        page = f"SELECT * FROM annotation{where}\nORDER BY {', '.join(_KEY)}\nLIMIT {listed.limit + 1}"  # noqa: S608
        sql = f"SELECT {_ANNOTATION}\nFROM ({page}) AS page\nORDER BY {', '.join(_KEY)}"
        parameters = tuple(value for each in wanted for value in each.parameters)
        read.append(run(athena, lake, Query(sql, parameters, (), listed.limit + 1)))
        rows += _rows(read[-1])
        if len(rows) > listed.limit:
            break
    more, rows = len(rows) > listed.limit, rows[: listed.limit]
    workers = _workers(athena, lake, {(row["job"], row["object_id"]) for row in rows})
    found = tuple(_annotation(row, levels, workers) for row in rows)
    return AnnotationPage(
        annotations=found,
        next=_cursor(found[-1]) if more else None,
        not_applied=not_applied,
        as_of=min(each.as_of for each in read),
        cached=any(each.cached for each in read),
    )


def _jobs(wanted: Sequence[Condition] = ()) -> Query:
    where = f"\nWHERE {' AND '.join(each.sql for each in wanted)}" if wanted else ""
    parameters = tuple(value for each in wanted for value in each.parameters)
    return Query(f"SELECT job_name AS job, level, base_job\nFROM job{where}", parameters, (), _MOST_ROWS)


def _parts(jobs: Sequence[str], after: tuple[str, str, int, str] | None) -> Iterator[tuple[Condition, ...]]:
    """Conditions that divide what comes after a key into parts, by job: the first one, the next few, all others.

    A page is nearly always full after the first: that reads one job's part of the table, not all of it.
    """
    if after:
        job, object_id, frame_no, annotation_id = (literal(each) for each in after)
        yield (
            Condition("job_name = ?", (job,)),
            Condition("object_id >= ?", (object_id,)),
            Condition(
                "(object_id > ? OR frame_no > ? OR (frame_no = ? AND annotation_id > ?))",
                (object_id, frame_no, frame_no, annotation_id),
            ),
        )
        jobs = [each for each in jobs if each > after[0]]
    for first, last in ((0, 1), (1, 1 + _NEXT_JOBS)):
        if jobs[first:last]:
            names = tuple(map(literal, jobs[first:last]))
            yield (Condition(f"job_name IN ({_marks(names)})", names),)
    if jobs[1 + _NEXT_JOBS :]:
        yield (Condition("job_name > ?", (literal(jobs[_NEXT_JOBS]),)),)


def _cursor(last: Annotation) -> str:
    key = [last.job, last.object_id, last.frame_no, last.annotation_id]
    return base64.urlsafe_b64encode(json.dumps(key, ensure_ascii=False).encode()).decode()


def _decoded(cursor: str) -> tuple[str, str, int, str]:
    try:
        return _CURSOR.validate_json(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, ValueError):
        raise CursorError("cursor: it is none that a list gave") from None


def annotation(athena: "AthenaClient", lake: Lake, annotation_id: Value) -> AnnotationDetail:
    """One annotation with its frame, every level's labels there and every worker's answer.

    Levels are the jobs that this one audits or adjusts (`base_job`) and those that audit or adjust it, as far as they
    saw the same data object.

    Raises:
        UnknownAnnotationError: there is none of that id.
        QueryError: as `athena.run`.
    """
    by_id = Query(
        f"SELECT {_ANNOTATION}\nFROM annotation\nWHERE annotation_id = ?", (literal(annotation_id),), (), 1
    )  # fmt: skip
    found, known_jobs = _good(run_all(athena, lake, [by_id, _jobs()]))
    if not found.rows:
        raise UnknownAnnotationError(f"no annotation {annotation_id!r}")
    (row,) = _rows(found)
    jobs = {each["job"]: each for each in _rows(known_jobs)}
    chain = _chain(row["job"], jobs)
    pairs = _same_object(athena, lake, row, chain)

    here = _at_frame(row, pairs)
    queries = [
        _over("annotation", _ANNOTATION, here),
        _over("frame", f"job_name AS job, object_id, width_px, height_px, {_MAP}", here),
        _over("answer_annotation", f"answer_id, job_name AS job, object_id, position, {_SHAPE}", here),
        _over(
            "answer",
            "answer_id, job_name AS job, object_id, username AS worker, submitted_at, seconds",
            _of_objects(pairs),
        ),
        _over(
            "track_issue",
            "job_name AS job, object_id, issue, frame_no, last_frame_no, instance_id, instance_name, value, detail",
            _also(
                _of_objects(pairs), "frame_no <= ? AND ? <= coalesce(last_frame_no, frame_no)", *[row["frame_no"]] * 2
            ),
        ),
        _over(
            "adjustment",
            "job_name AS job, object_id, base_job, annotation_id, base_annotation_id, change, attribute, base_value,"
            " value, label, base_label, iou, worker, auditor",
            here,
        ),
    ]
    answers = _good(run_all(athena, lake, queries))
    shapes, frames, given_shapes, given, issues, adjusted = (
        [each for each in _rows(answer) if (each["job"], each["object_id"]) in pairs] for answer in answers
    )
    levels = {name: each["level"] for name, each in jobs.items()}
    workers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in given:
        if each["worker"] is not None and each["worker"] not in workers[each["job"], each["object_id"]]:
            workers[each["job"], each["object_id"]].append(each["worker"])
    # Ids end in the place in the frame: shorter ones first, as numbers go.
    shapes = sorted(shapes, key=lambda each: (each["job"], len(each["annotation_id"]), each["annotation_id"]))
    labels = [_annotation(each, levels, workers) for each in shapes]
    this = next(each for each in labels if each.annotation_id == annotation_id)
    changes = tuple(Adjustment.model_validate(_without(each, "object_id")) for each in _ordered(adjusted))
    return AnnotationDetail(
        annotation=this,
        frame=_outline(this, frames, [*labels, *map(_shape, given_shapes)]),
        shapes=tuple(each for each in labels if each.job == this.job and each.object_id == this.object_id),
        levels=tuple(
            Level(
                job=name,
                level=levels.get(name),
                base_job=jobs[name]["base_job"] if name in jobs else None,
                annotations=(there := tuple(each for each in labels if each.job == name)),
                counterpart=_counterpart(this, there, changes),
            )
            for name in chain
            if any(job == name for job, _ in pairs)
        ),
        answers=tuple(
            GivenAnswer(
                **_without(each, "object_id"),
                level=levels.get(each["job"]),
                shapes=tuple(
                    GivenShape(**_parsed(_without(shape, "answer_id", "job", "object_id")))
                    for shape in sorted(given_shapes, key=lambda shape: shape["position"] or 0)
                    if shape["answer_id"] == each["answer_id"]
                ),
            )
            for each in sorted(given, key=lambda each: (chain.index(each["job"]), str(each["submitted_at"])))
        ),
        issues=tuple(TrackIssue.model_validate(_without(each, "object_id")) for each in _ordered(issues)),
        adjustments=changes,
        as_of=min(each.as_of for each in (found, *answers)),
        cached=any(each.cached for each in (found, *answers)),
    )


def _also(where: Condition, sql: str, *values: str | int) -> Condition:
    return Condition(f"{where.sql} AND {sql}", (*where.parameters, *map(literal, values)))


def _of_objects(pairs: Iterable[tuple[str, str]]) -> Condition:
    """Objects of jobs; a few too many where one number stands for several objects, which the caller sorts out."""
    jobs = sorted({job for job, _ in pairs})
    objects = sorted({found for _, found in pairs})
    sql = f"job_name IN ({_marks(jobs)}) AND object_id IN ({_marks(objects)})"
    return Condition(sql, tuple(map(literal, (*jobs, *objects))))


def _at_frame(row: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> Condition:
    """The same frame in every job: by its file name, for a job may have been given every tenth frame; by its number
    where a name is missing.
    """
    where = _of_objects(pairs)
    if row["frame"] is None:
        return _also(where, "coalesce(frame_no, 0) = ?", row["frame_no"])
    return _also(where, "(frame = ? OR frame IS NULL AND coalesce(frame_no, 0) = ?)", row["frame"], row["frame_no"])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _over(table: str, columns: str, where: Condition) -> Query:
    return Query(f"SELECT {columns}\nFROM {table}\nWHERE {where.sql}", where.parameters, (), _MOST_ROWS)


def _chain(job: str, jobs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The job with all it stands on and all that stands on it, first level first."""
    below = [job]
    while (base := jobs.get(below[-1], {}).get("base_job")) and base not in below:
        below.append(base)
    found = below[-1:]
    for name in found:  # grows meanwhile: every level's next ones
        found += sorted(each for each, told in jobs.items() if told["base_job"] == name and each not in found)
    return found


def _same_object(
    athena: "AthenaClient", lake: Lake, row: Mapping[str, Any], chain: Sequence[str]
) -> set[tuple[str, str]]:
    """The data object in each job of the chain, as (job, object_id): a job may number its objects differently."""
    own = {(row["job"], row["object_id"])}
    if len(chain) == 1 or row["source_ref"] is None:
        return own
    sql = f"SELECT job_name AS job, object_id\nFROM task\nWHERE source_ref = ? AND job_name IN ({_marks(chain)})"
    parameters = tuple(map(literal, (row["source_ref"], *chain)))
    found = run(athena, lake, Query(sql, parameters, (), _MOST_ROWS))
    return own | {(each["job"], each["object_id"]) for each in _rows(found)}


def _workers(
    athena: "AthenaClient", lake: Lake, pairs: set[tuple[str, str]]
) -> Mapping[tuple[str, str], Sequence[str]]:
    if not pairs:
        return {}
    where = _of_objects(pairs)
    sql = (
        "SELECT job_name AS job, object_id, json_format(CAST(array_agg(DISTINCT username) AS json)) AS workers\n"
        f"FROM answer\nWHERE username IS NOT NULL AND {where.sql}\nGROUP BY job_name, object_id"
    )
    answer = run(athena, lake, Query(sql, where.parameters, (), _MOST_ROWS))
    return {(each["job"], each["object_id"]): sorted(json.loads(each["workers"])) for each in _rows(answer)}


def _good(results: Sequence[Answer | QueryError]) -> list[Answer]:
    """The answers of all queries; the first failure among them is raised."""
    for each in results:
        if isinstance(each, QueryError):
            raise each
    return [each for each in results if isinstance(each, Answer)]


def _rows(answer: Answer) -> list[dict[str, Any]]:
    names = [each.name for each in answer.columns]
    return [dict(zip(names, row, strict=True)) for row in answer.rows]


def _ordered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """In one order whatever the order of Athena's files."""
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row.values()])


def _without(row: Mapping[str, Cell], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    """With attributes and geometry as data. A geometry that is no JSON stays the text it is."""
    geometry = row["geometry"]
    if geometry is not None:
        with suppress(ValueError):
            geometry = json.loads(geometry)
    return {**row, "geometry": geometry, "attributes": json.loads(row["attributes"] or "{}") or {}}


def _shape(row: Mapping[str, Any]) -> Shape:
    return Shape(**{name: value for name, value in _parsed(row).items() if name in Shape.model_fields})


def _annotation(
    row: Mapping[str, Any], levels: Mapping[str, str | None], workers: Mapping[tuple[str, str], Sequence[str]]
) -> Annotation:
    by = tuple(workers.get((row["job"], row["object_id"]), ()))
    return Annotation(**_parsed(row), level=levels.get(row["job"]), workers=by)


def _counterpart(this: Annotation, there: Sequence[Annotation], changes: Sequence[Adjustment]) -> str | None:
    """The label of the same thing at another level: by a recorded change, by the tracked object, else by what is most
    like it: the same geometry, the box that overlaps it most (by half at least), the only class or verdict.
    """
    ids = {each.annotation_id for each in there}
    if this.annotation_id in ids:
        return this.annotation_id
    for each in changes:
        if each.annotation_id == this.annotation_id and each.base_annotation_id in ids:
            return each.base_annotation_id
        if each.base_annotation_id == this.annotation_id and each.annotation_id in ids:
            return each.annotation_id
    if this.instance_id is not None:
        return next((each.annotation_id for each in there if each.instance_id == this.instance_id), None)
    alike = [each for each in there if each.shape == this.shape]
    if this.width_px is not None:
        best = max(alike, key=lambda each: _overlap(this, each), default=None)
        return best.annotation_id if best and _overlap(this, best) >= _SAME else None
    if this.geometry is not None:
        return next((each.annotation_id for each in alike if each.geometry == this.geometry), None)
    return alike[0].annotation_id if len(alike) == 1 else None


def _overlap(one: Shape, other: Shape) -> float:
    """Intersection over union of two boxes; 0 where one of them is none."""
    left, top, width, height = (each or 0.0 for each in (one.left_px, one.top_px, one.width_px, one.height_px))
    left2, top2, width2, height2 = (
        each or 0.0 for each in (other.left_px, other.top_px, other.width_px, other.height_px)
    )
    common = _common(left, width, left2, width2) * _common(top, height, top2, height2)
    union = width * height + width2 * height2 - common
    return common / union if union > 0 else 0.0


def _common(start: float, length: float, other_start: float, other_length: float) -> float:
    return max(0.0, min(start + length, other_start + other_length) - max(start, other_start))


def _outline(this: Annotation, frames: Sequence[Mapping[str, Any]], shapes: Sequence[Shape]) -> Outline:
    own = next((each for each in frames if (each["job"], each["object_id"]) == (this.job, this.object_id)), None)
    attributes = json.loads(own["attributes"] or "{}") or {} if own else {}
    told = next((each for each in frames if each["width_px"] and each["height_px"]), None)
    if told:
        return Outline(width_px=told["width_px"], height_px=told["height_px"], told=True, attributes=attributes)
    corners = [corner for each in shapes for corner in _corners(each)]
    return Outline(
        width_px=max((x for x, _ in corners), default=None),
        height_px=max((y for _, y in corners), default=None),
        told=False,
        attributes=attributes,
    )


def _corners(shape: Shape) -> list[tuple[float, float]]:
    """Points that a frame must hold for the shape to lie in it."""
    if shape.width_px is not None and shape.height_px is not None:
        return [((shape.left_px or 0.0) + shape.width_px, (shape.top_px or 0.0) + shape.height_px)]
    return list(_points(shape.geometry))


def _points(found: Any) -> Iterable[tuple[float, float]]:
    if isinstance(found, dict):
        x, y = found.get("x"), found.get("y")
        if isinstance(x, int | float) and isinstance(y, int | float):
            yield float(x), float(y)
        else:
            yield from (point for each in found.values() for point in _points(each))
    elif isinstance(found, list):
        yield from (point for each in found for point in _points(each))
