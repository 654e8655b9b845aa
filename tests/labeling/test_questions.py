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
    "agreement of six workers (alpha)",
    "boxes two workers agree on (F1), by pair",
    "entities two workers agree on (F1)",
    "tracks of two workers alike (HOTA)",
    "tracks of two workers alike (IDF1)",
    "true accuracy in predicted interval, workers",
    "farthest predicted from true accuracy, workers",
    "images labeled right by Dawid-Skene",
    "accuracy by gold labels, by worker",
    "confusions by gold labels, by worker",
    "accuracy of answers, majority, output",
    "majority and gold label, by image",
    "audit passes, by worker and auditor",
    "first-pass yield, accepted labels by worker",
    "pass share, by auditor",
    "self-audits, by auditor",
    "double audits and those judged alike",
    "changes and rework time, by data object",
    "changed labels, by kind of change",
    "changed boxes, by image",
    "tracks and their frames, by clip",
    "injected defects the directed audit will see",
    "injected track defects found, and no others",
    "track defects found in clean clips",
    "jumps of the street batches, by job",
    "median seconds per label, by worker",
    "rushing worker found, all answers",
    "idle answer found",
    "straight-lining worker found, whole run",
    "batch whose classes drifted",
    "answers and seconds, by job and hour",
    "unfinished jobs, objects begun and open",
    "unfinished jobs, by batch and in all",
    "job that will expire unfinished",
    "cost in US dollars and units, by kind",
    "hours of rework on later levels",
    "labels that hold after all levels, by batch",
    "defects of the output found, and no others",
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
