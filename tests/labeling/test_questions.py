"""The analytics over the sample, by the whole job on the local engine: every answer beside the world's truth."""

import json

import pytest
import sqlglot

from samples.labeling import generate, world
from samples.labeling.demo import CATEGORIES, _equal_rows
from samples.labeling.questions import WAGE_USD
from tests.labeling.pipeline import catalog, run_job, shown

SEEDS = (7, 11)


@pytest.fixture(scope="module", params=SEEDS)
def answered(request, tmp_path_factory):
    """The truth and the published tables. Without a user pool workers are known by their subs."""
    folder = tmp_path_factory.mktemp("questions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.Worker, "shown", property(lambda worker: worker.sub or worker.worker_id))
        truth = generate(folder / "sample", request.param)
    cost = json.dumps({"wage_usd_per_hour": WAGE_USD, "budget_usd": 50})
    settings = ["--COST", cost, "--CATEGORIES_PATH", f"{folder}/sample/{CATEGORIES}"]
    run_job(folder / "sample" / "batch_manifests", folder / "out", settings=settings)
    return {each.name: each for each in truth.questions}, catalog(folder / "out")


NAMES = [
    "agreement of six workers on signals (alpha)",
    "cones two workers both boxed (F1), by pair",
    "entities two workers both marked (F1)",
    "tracks of two workers alike (HOTA)",
    "tracks of two workers alike (IDF1)",
    "workers whose true accuracy is in the interval predicted without gold",
    "images that Dawid and Skene's model gets right",
    "accuracy by gold labels, by worker",
    "what workers say where gold says something else",
    "accuracy by gold labels, by way of consolidation",
    "majority and gold label of every image",
    "audited and passed labels, by worker and auditor",
    "first-pass yield: labels seen and accepted, by worker",
    "share of labels that each auditor of clips passes",
    "labels that an auditor audited of his own",
    "labels two auditors judged, and those judged alike",
    "labels added, removed, moved, relabelled and changed, and rework time, by data object",
    "changed labels, by kind of change",
    "every changed box of the harbor, with its image",
    "tracks of vehicles and their frames, by clip",
    "injected track defects that the directed audit will see",
    "injected track defects found where they are, and no other",
    "track defects found in clean clips",
    "jumps of the street batches, by job",
    "median seconds per label, by worker",
    "rushing worker found, with every answer",
    "idle answer found",
    "straight-lining worker found, with every answer of the run",
    "batch whose mix of classes changed",
    "answers and seconds, by job and hour",
    "unfinished jobs: objects in all, begun and not begun",
    "jobs that will expire before they are done",
    "cost in US dollars, with objects, answers and hours paid for",
    "hours of rework on second and third levels",
    "labels of a batch, and those that hold after its last level",
    "defects of the output found, and no other",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_worlds(answered, name):
    questions, connection = answered
    question = questions[name]
    (statement,) = sqlglot.transpile(question.sql, read="athena", write="duckdb")
    found = connection.execute(statement)
    columns = [f"{place}" for place in range(len(found.description))]
    rows = [
        dict(zip(columns, (None if each is None else str(shown(each)) for each in row), strict=True))
        for row in found.fetchall()
    ]
    if question.tolerance:
        assert len(rows) == 1
        assert float(rows[0]["0"]) == pytest.approx(question.rows[0][0], abs=question.tolerance)
    else:
        assert _equal_rows(rows, question.rows) == len(question.rows), rows[:20]


def test_every_question_is_asked(answered):
    assert sorted(answered[0]) == sorted(NAMES)
