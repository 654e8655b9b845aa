"""Single annotations: a list that is complete page by page, and one with all that is known of its frame."""

import base64
import json

import pytest

from sextant.labeling.dashboards.annotations import (
    Annotation,
    CursorError,
    Listed,
    Shape,
    UnknownAnnotationError,
    _chain,
    _corners,
    _counterpart,
    annotation,
    annotations,
)
from sextant.labeling.dashboards.athena import Lake, QueryError
from sextant.labeling.dashboards.model import Filters
from tests.handlers.insight import ANNOTATIONS, AUDIT, FIRST, HARBOUR
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth
from tests.handlers.serving import event, load_handler

LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)


@pytest.fixture(scope="module")
def athena():
    client = LakeAthena(truth())
    yield client
    client.close()


@pytest.fixture(scope="module")
def find(athena):
    def found(**chosen):
        return annotations(athena, LAKE, Listed(filters=Filters(**chosen), limit=200))

    return found


def ids(page):
    return {each.annotation_id for each in page.annotations}


def test_the_pages_of_a_list_hold_every_annotation_once_in_order(athena):
    seen, cursor, pages = [], None, 0
    while True:
        page = annotations(athena, LAKE, Listed(limit=3, cursor=cursor))
        seen += page.annotations
        pages += 1
        if page.next is None:
            break
        cursor = page.next
    expected = sorted(
        ANNOTATIONS, key=lambda row: tuple(row[k] for k in ("job_name", "object_id", "frame_no", "annotation_id"))
    )
    assert [each.annotation_id for each in seen] == [row["annotation_id"] for row in expected]
    assert pages == 5, "13 annotations; the last page is not empty"


def test_a_page_may_end_where_the_list_does(athena):
    assert annotations(athena, LAKE, Listed(limit=len(ANNOTATIONS))).next is None


def test_an_annotation_has_its_box_its_attributes_and_its_people(find):
    first = find(job=(AUDIT,), frame_no=(1,)).annotations[0]
    assert (first.annotation_id, first.level, first.verdict, first.workers) == ("a2-1-0", "second", "fail", ("grace",))
    assert (first.left_px, first.top_px, first.width_px, first.height_px) == (10, 20, 100, 50)
    assert first.attributes == {"moving": "yes", "audit": "fail"}
    assert first.created_at == "2026-03-02T12:00:00.000Z"
    (polygon,) = find(job=(HARBOUR,)).annotations
    assert polygon.geometry["vertices"][1] == {"x": 640.5, "y": 4}
    assert (polygon.left_px, polygon.attributes, polygon.workers) == (None, {}, ("ada",))
    assert find(job=(FIRST,), object_id=("0",)).annotations[0].workers == ("ada", "katherine")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"batch": ("harbour",)}, {"h3-0-0"}),
        ({"level": ("second",), "label_attribute": {"audit": ("fail",)}}, {"a2-1-0"}),
        ({"job": (FIRST,), "instance_id": ("id-2",), "frame_no": (0, 2)}, {"f1-0-1", "f1-2-1"}),
        # grace audited the object that ada and katherine labeled: a label has a worker and an auditor.
        ({"worker": ("katherine",), "auditor": ("grace",), "frame_no": (2,)}, {"f1-2-0", "f1-2-1", "a2-2-0", "a2-2-1"}),
        ({"worker": ("nobody",)}, set()),
        ({"change": ("moved",)}, {"a2-1-1"}),
        ({"issue": ("jump",)}, {"f1-1-0", "f1-2-1"}),
        ({"issue": ("gap",)}, {"f1-1-0", "f1-2-0"}),
        ({"finding": ("outside_image",)}, {"f1-1-0", "f1-1-1"}),
        ({"finding": ("missing_answer",), "frame_no": (0,)}, {"f1-0-0", "f1-0-1"}),
        ({"frame_attribute": {"quality_of_the_frame": ("bad",)}, "job": (FIRST,)}, {"f1-0-0", "f1-0-1"}),
        ({"since": "2026-03-03"}, set()),
        ({"until": "2026-03-01"}, set()),
        ({"since": "2026-03-02", "until": "2026-03-02", "batch": ("harbour",)}, {"h3-0-0"}),
    ],
)
def test_filters_of_single_annotations(find, chosen, expected):
    page = find(**chosen)
    assert ids(page) == expected
    assert page.not_applied == ()


def test_every_filter_there_is_applies_to_single_annotations(find):
    every = dict.fromkeys(("batch", "modality", "level", "label", "worker", "auditor", "change", "issue"), ("x",))
    assert find(**every, finding=("x",), until="2026-03-01", instance_id=("x",)).not_applied == ()


def test_one_annotation_with_all_that_is_known_of_its_frame(athena):
    found = annotation(athena, LAKE, "a2-1-1")
    assert found.annotation.annotation_id == "a2-1-1"
    assert [each.annotation_id for each in found.shapes] == ["a2-1-0", "a2-1-1"]
    # The audit's own frame has no size; that of the level before is told.
    assert (found.frame.width_px, found.frame.height_px, found.frame.told) == (1920, 1080, True)
    assert found.frame.attributes == {"quality_of_the_frame": "good"}
    assert [(each.job, each.level, each.counterpart) for each in found.levels] == [
        (FIRST, "first", "f1-1-1"),
        (AUDIT, "second", "a2-1-1"),
    ]
    assert [(each.answer_id, each.worker, each.level, len(each.shapes)) for each in found.answers] == [
        ("answer-1", "ada", "first", 2),
        ("answer-2", "katherine", "first", 1),
        ("answer-3", "grace", "second", 1),
    ]
    assert [each.position for each in found.answers[0].shapes] == [0, 1]
    assert found.answers[0].shapes[1].left_px == 12
    assert [(each.issue, each.instance_id) for each in found.issues] == [("gap", "id-1"), ("jump", "id-1")]
    (change,) = found.adjustments
    assert (change.change, change.base_annotation_id, change.iou, change.worker) == ("moved", "f1-1-1", 0.9, "ada")


def test_the_level_before_shows_the_same_thing_from_its_side(athena):
    found = annotation(athena, LAKE, "f1-1-0")
    assert [each.counterpart for each in found.levels] == ["f1-1-0", "a2-1-0"], "the same tracked object"
    assert len(found.answers) == 3


def drawn(name, left=0.0, shape="box", geometry=None, **more):
    width = 100.0 if shape == "box" else None
    found = dict.fromkeys(Annotation.model_fields) | {
        "annotation_id": name, "job": "j", "object_id": "0", "frame_no": 0, "shape": shape, "workers": (),
        "attributes": {}, "left_px": left, "top_px": 0.0, "width_px": width, "height_px": width, "geometry": geometry,
    }  # fmt: skip
    return Annotation(**found | more)


@pytest.mark.parametrize(
    ("this", "there", "expected"),
    [
        (drawn("a"), [drawn("far", 60.0), drawn("near", 20.0), drawn("line", shape="polyline")], "near"),
        (drawn("a"), [drawn("far", 60.0)], None),
        (drawn("a"), [drawn("negative", -10.0)], "negative"),
        (drawn("a", shape="span", geometry={"start": 3}), [drawn("b", shape="span", geometry={"start": 4})], None),
        (drawn("a", shape="span", geometry={"start": 3}), [drawn("b", shape="span", geometry={"start": 3})], "b"),
        (drawn("a", shape="class"), [drawn("b", shape="class"), drawn("c", shape="verdict")], "b"),
        (drawn("a", shape="class"), [drawn("b", shape="class"), drawn("c", shape="class")], None),
        (drawn("a", instance_id="x"), [drawn("b", instance_id="y"), drawn("c", 500.0, instance_id="x")], "c"),
    ],
)
def test_the_same_thing_at_another_level_is_what_is_most_like_it(this, there, expected):
    assert _counterpart(this, there, ()) == expected


def test_a_frame_of_unknown_size_is_as_large_as_its_shapes(athena):
    found = annotation(athena, LAKE, "h3-0-0")
    assert (found.frame.width_px, found.frame.height_px, found.frame.told) == (640.5, 480, False)
    assert [each.job for each in found.levels] == [HARBOUR]
    assert [each.worker for each in found.answers] == ["ada"]
    assert found.answers[0].shapes == ()


def test_a_chain_of_jobs_has_every_level_once_the_first_one_first():
    bases = {"a": None, "b": "a", "c": "b", "b2": "a", "other": None, "x": "y", "y": "x", "lost": "gone"}
    jobs = {name: {"base_job": base} for name, base in bases.items()}
    assert [_chain(each, jobs) for each in ("a", "b", "c", "other")] == [
        ["a", "b", "b2", "c"],
        ["a", "b", "b2", "c"],
        ["a", "b", "b2", "c"],
        ["other"],
    ]
    assert sorted(_chain("x", jobs)) == ["x", "y"], "jobs that name each other end nowhere"
    assert _chain("lost", jobs) == ["gone", "lost"]


def test_findings_that_span_frames_are_shown_on_each_of_them(athena):
    assert [each.issue for each in annotation(athena, LAKE, "f1-2-0").issues] == ["gap", "jump"]


@pytest.mark.parametrize("wanted", ["nope", "' OR 1 = 1 --"])
def test_an_unknown_annotation(athena, wanted):
    with pytest.raises(UnknownAnnotationError, match="no annotation"):
        annotation(athena, LAKE, wanted)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "*",
        "e30=",
        encoded(["j", "o", "1", "a"]),
        encoded(["j", "o", 1]),
        encoded(["j", "o", True, "a"]),
        encoded([1] * 4),
    ],
)
def test_a_cursor_that_no_list_gave(athena, cursor):
    with pytest.raises(CursorError, match="none that a list gave"):
        annotations(athena, LAKE, Listed(cursor=cursor))


def test_text_of_a_cursor_is_bound_not_written(athena):
    hostile = encoded(["' OR 1 = 1 --", "'", 0, "'"])
    assert annotations(athena, LAKE, Listed(cursor=hostile)).annotations
    sql = [each["QueryString"] for each in athena.requests if "ORDER BY job_name" in each["QueryString"]]
    assert "OR 1 = 1" not in "".join(sql)


def test_a_failed_query_fails_the_request(athena):
    athena.fail = {"FROM answer_annotation": "TABLE_NOT_FOUND: answer_annotation"}
    try:
        with pytest.raises(QueryError, match="TABLE_NOT_FOUND"):
            annotation(athena, LAKE, "a2-1-1")
    finally:
        athena.fail = {}


def test_over_http(athena):
    handler = load_handler(athena)

    def call(method, path, body=None):
        answer = handler(event(method, path, body and json.dumps(body)))
        return int(answer["statusCode"]), json.loads(answer["body"])

    status, page = call("POST", "/api/annotations", {"filters": {"job": [AUDIT]}, "limit": 2})
    assert (status, len(page["annotations"]), page["next"] is None) == (200, 2, False)
    status, detail = call("GET", "/api/annotations/a2-1-1")
    assert (status, detail["annotation"]["annotation_id"], len(detail["levels"])) == (200, "a2-1-1", 2)
    status, told = call("GET", "/api/annotations/nope")
    assert (status, told["error"]["code"]) == (404, "UnknownAnnotation")
    status, told = call("POST", "/api/annotations", {"cursor": "x"})
    assert (status, told["error"]["remedy"]) == (422, "Ask for the first page, without it.")
    status, _ = call("POST", "/api/annotations", {"limit": 201})
    assert status == 422


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        ('{"vertices":[{"x":1,"y":2},{"x":3,"y":1.5}]}', [(1, 2), (3, 1.5)]),
        ('[{"a":{"x":1,"y":2}}]', [(1, 2)]),
        ('{"startOffset":3,"endOffset":9}', []),
        ("null", []),
    ],
)
def test_points_of_any_geometry(geometry, expected):
    blank = dict.fromkeys(Shape.model_fields) | {"attributes": {}, "geometry": json.loads(geometry)}
    assert _corners(Shape(**blank)) == expected
