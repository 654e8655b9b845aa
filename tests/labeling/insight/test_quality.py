"""Worker quality against simulated workers whose skill is known, cases counted by hand, and the full model."""

import numpy as np
import pyarrow as pa
import pytest

from sextant.labeling.insight import quality as module
from sextant.labeling.insight.quality import (
    Answers,
    agreement_with_others,
    correlation,
    dawid_skene,
    predicted_accuracy,
    quality,
)
from sextant.labeling.insight.tables import CONFUSION, CONSENSUS, JOB_QUALITY, WORKER_QUALITY
from sextant.labeling.tables import arrow_schema


def answers_of(rows, objects=None, labels=None):
    """Answers (object, worker, label) given as numbers."""
    unit, worker, label = (np.array(each, np.int64) for each in zip(*rows, strict=True))
    return Answers(unit, worker, label, objects or unit.max() + 1, worker.max() + 1, labels or label.max() + 1)


def simulated(random, matrices, objects=200, each=5):
    """Workers of known confusion matrices answer; objects' classes are uniform. The answers, and the right classes."""
    workers, labels, _ = matrices.shape
    right = random.integers(0, labels, objects)
    worker = np.concatenate([random.choice(workers, each, replace=False) for _ in range(objects)])
    unit = np.repeat(np.arange(objects), each)
    chance = matrices[worker, right[unit]].cumsum(axis=1)
    label = (random.random((unit.size, 1)) > chance).sum(axis=1)
    return Answers(unit, worker, label, objects, workers, labels), right


def confusion(random, workers, labels, low=0.5, high=0.95):
    """Confusion matrices of workers whose accuracy differs from class to class."""
    matrices = random.dirichlet(np.ones(labels), (workers, labels))
    accuracy = random.uniform(low, high, (workers, labels))
    own = np.arange(labels)
    matrices[:, own, own] = 0
    matrices *= ((1 - accuracy) / matrices.sum(axis=2))[:, :, np.newaxis]
    matrices[:, own, own] = accuracy
    return matrices


def dense(answers, steps=module.STEPS):
    """Dawid-Skene as in the article, with whole matrices: posterior (objects, labels)."""
    objects, labels = answers.objects, answers.labels
    votes = np.zeros((objects, labels))
    np.add.at(votes, (answers.object, answers.label), 1)
    posterior = (votes == votes.max(axis=1, keepdims=True)).astype(float)
    posterior /= posterior.sum(axis=1, keepdims=True)
    for _ in range(steps):
        cells = np.full((answers.workers, labels, labels), module.SMOOTHING)
        np.add.at(cells, (answers.worker, slice(None), answers.label), posterior[answers.object])
        cells /= cells.sum(axis=2, keepdims=True)
        with np.errstate(divide="ignore"):
            score = np.tile(np.log(posterior.mean(axis=0)), (objects, 1))
        np.add.at(score, answers.object, np.log(cells[answers.worker, :, answers.label]))
        moved = np.exp(score - score.max(axis=1, keepdims=True))
        moved /= moved.sum(axis=1, keepdims=True)
        change, posterior = np.abs(moved - posterior).max(), moved
        if change < module.MOVED:
            break
    return posterior


def test_the_model_is_that_of_the_article():
    answers, _ = simulated(np.random.default_rng(1), confusion(np.random.default_rng(2), 12, 4))
    model = dawid_skene(answers)
    wanted = dense(answers)
    assert np.abs(model.posterior - wanted[model.object, model.label]).max() < 1e-9
    assert model.object.size == answers.objects * answers.labels
    assert np.abs(model.correct - wanted[answers.object, answers.label]).max() < 1e-9


@pytest.mark.parametrize("entries", [module.ENTRIES, 0])
@pytest.mark.parametrize("seed", range(5))
def test_no_step_makes_the_answers_less_probable(seed, entries, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", entries)
    random = np.random.default_rng(seed)
    answers, _ = simulated(random, confusion(random, 15, 5, low=0.2), objects=80, each=3)
    trace = np.array(dawid_skene(answers).trace)
    assert trace.size > 5
    assert np.diff(trace).min() > -1e-8 * np.abs(trace).max()


def test_it_converges():
    random = np.random.default_rng(3)
    answers, _ = simulated(random, confusion(random, 10, 4))
    assert len(dawid_skene(answers).trace) < module.STEPS


def test_large_jobs_leave_out_only_what_nobody_gave(monkeypatch):
    random = np.random.default_rng(4)
    answers, right = simulated(random, confusion(random, 20, 6, low=0.6), objects=400)
    whole, _ = dawid_skene(answers).best(answers.objects)
    monkeypatch.setattr(module, "ENTRIES", 0)
    model = dawid_skene(answers)
    assert model.object.size == answers.votes[0].size < 400 * 6
    some, _ = model.best(answers.objects)
    assert (some == whole).mean() > 0.97
    assert (some == right).mean() > 0.9


def test_it_beats_the_majority_where_workers_err_together():
    """Three careless workers say 1 for 0 most of the time; two careful ones are always right."""
    random = np.random.default_rng(5)
    matrices = np.array([[[0.35, 0.65], [0.05, 0.95]]] * 3 + [[[0.97, 0.03], [0.03, 0.97]]] * 2)
    answers, right = simulated(random, matrices, objects=600)
    found, probability = dawid_skene(answers).best(answers.objects)
    assert (answers.majority == right).mean() < 0.9
    assert (found == right).mean() > 0.95
    assert ((probability >= 0.5) & (probability <= 1 + 1e-12)).all()


def test_confusion_matrices_are_found_again():
    random = np.random.default_rng(6)
    matrices = confusion(random, 8, 3, low=0.6)
    answers, _ = simulated(random, matrices, objects=3000)
    cells = module._sharpened(dawid_skene(answers), answers)
    found = np.zeros((8, 3, 3))
    found[cells[0], cells[1], cells[2]] = cells[3]
    assert found.sum() == pytest.approx(answers.label.size)
    assert np.abs(found / found.sum(axis=2, keepdims=True) - matrices).max() < 0.06


def alike(accuracies, labels):
    """Confusion matrices of workers of these accuracies, who err evenly."""
    accuracy = np.array(accuracies)[:, np.newaxis, np.newaxis]
    return np.where(np.eye(labels, dtype=bool), accuracy, (1 - accuracy) / (labels - 1))


@pytest.mark.parametrize(
    ("made", "objects", "each"),
    [
        (lambda random: confusion(random, 15, 4, low=0.6), 240, 5),
        (lambda random: confusion(random, 40, 10, low=0.6), 200, 5),
        (lambda _: alike([0.97, 0.9, 0.8, 0.7, 0.5], 4), 300, 5),
        (lambda _: alike([0.9, 0.8, 0.6], 2), 200, 3),
        (lambda _: alike([0.95, 0.9, 0.6, 0.5, 0.85], 3), 400, 3),
        (lambda random: confusion(random, 10, 4, low=0.6), 200, 3),
        (lambda random: confusion(random, 20, 2, low=0.6), 100, 3),
    ],
)
def test_predicted_accuracy_holds_the_truth_19_times_of_20(made, objects, each):
    """The long-run accuracy of simulated workers, over classes as they occurred, is in the interval about as often as
    it promises. Workers of one job are not independent, so many small jobs are made."""
    random = np.random.default_rng(7)
    covered, width = [], []
    while len(covered) < 450:
        matrices = made(random)
        answers, right = simulated(random, matrices, objects=objects, each=each)
        assert module.withheld(answers) == [None] * answers.workers
        accuracy, lower, upper = predicted_accuracy(answers, dawid_skene(answers).correct)
        own = np.arange(answers.labels)
        true = (matrices[:, own, own] * np.bincount(right, minlength=answers.labels)).sum(axis=1) / right.size
        covered += ((lower <= true) & (true <= upper)).tolist()
        width += (upper - lower).tolist()
        assert ((lower <= accuracy) & (accuracy <= upper)).all()
    assert 0.92 <= np.mean(covered) <= 0.985, np.mean(covered)
    # No wider, on average, than from a quarter of the answers if it were known which are right.
    count = objects * each / answers.workers
    assert np.mean(width) < 2 * 1.96 * np.sqrt(0.25 / count) * 2


def test_two_answers_to_an_object_tell_of_nobody():
    """Of .95 and .70 the model made two times .80, with intervals that held the truth in no job of thirty."""
    answers, _ = simulated(np.random.default_rng(11), alike([0.95, 0.7], 2), objects=100, each=2)
    made = quality(table([(f"o{o}", f"w{w}", "ab"[k], None, None) for o, w, k in triples(answers)]))
    predicted = [each for each in made["worker_quality"] if each["method"] == "dawid-skene"]
    assert {each["withheld"] for each in predicted} == {module.FEW_ANSWERS}
    assert all(np.isnan(each[name]) for each in predicted for name in ("accuracy", "lower", "upper"))
    assert [each["answer_count"] for each in predicted] == [100, 100]
    assert all(np.isnan(each["probability"]) for each in made["consensus"])
    assert all(each["label"] == each["majority_label"] for each in made["consensus"])
    assert not made["confusion"]
    others = [each for each in made["worker_quality"] if each["method"] == "consensus"]
    assert [each["withheld"] for each in others] == [None, None]
    assert others[0]["accuracy"] == others[1]["accuracy"] > 0.5


def triples(answers):
    return zip(answers.object.tolist(), answers.worker.tolist(), answers.label.tolist(), strict=True)


def test_workers_who_never_agree_tell_nothing():
    made = quality(table([(f"o{o}", f"w{w}", "abc"[(o + w) % 3], None, None) for o in range(30) for w in range(3)]))
    predicted = [each for each in made["worker_quality"] if each["method"] == "dawid-skene"]
    assert {each["withheld"] for each in predicted} == {module.SELDOM_AGREED}
    assert all(np.isnan(each["accuracy"]) for each in predicted)
    assert all(np.isnan(each["probability"]) for each in made["consensus"])


@pytest.mark.parametrize(("ties", "reason"), [(5, None), (6, module.SELDOM_AGREED)])
def test_a_tie_is_no_agreement(ties, reason):
    rows = [(o, w, int(w > 1 if o < ties else w == 0)) for o in range(10) for w in range(4)]
    assert module.withheld(answers_of(rows)) == [reason] * 4


def test_of_a_worker_whose_objects_have_two_answers_nothing_is_told():
    """Three workers answer ten objects; the fourth shares two objects with the first, and one with all."""
    rows = [(o, w, o % 2) for o in range(10) for w in range(3)]
    rows += [(o, w, o % 2) for o in (10, 11) for w in (0, 3)]
    assert module.withheld(answers_of([*rows, (0, 3, 0)])) == [None, None, None, module.FEW_ANSWERS]
    assert module.withheld(answers_of([*rows, (0, 3, 0), (1, 3, 1)])) == [None] * 4
    names = [(f"o{o:02}", f"w{w}", "ab"[k], "ab"[k], None) for o, w, k in [*rows, (0, 3, 0)]]
    made = quality(table(names))
    told = {each["worker_id"]: each for each in made["worker_quality"] if each["method"] == "dawid-skene"}
    assert np.isnan(told["w3"]["accuracy"])
    assert told["w0"]["accuracy"] == pytest.approx(1, abs=0.01)
    assert {each["worker_id"] for each in made["confusion"] if each["method"] == "dawid-skene"} == {"w0", "w1", "w2"}
    assert not np.isnan(made["consensus"][11]["probability"])  # the model knows its first worker


def test_the_interval_is_that_of_the_curvature_of_the_likelihood():
    """One accuracy per worker, two classes as likely: second differences of the log likelihood at its maximum."""
    random = np.random.default_rng(12)
    objects, true = 4000, np.array([0.9, 0.8, 0.65])
    right = random.integers(0, 2, objects)
    given = np.where(random.random((objects, 3)) < true, right[:, np.newaxis], 1 - right[:, np.newaxis])

    def by_class(p):
        return np.stack([np.where(given == k, p, 1 - p).prod(axis=1) for k in (0, 1)], axis=1)

    def likelihood(p):
        return np.log(by_class(p).sum(axis=1)).sum()

    p = true
    for _ in range(600):
        posterior = by_class(p) / by_class(p).sum(axis=1, keepdims=True)
        correct = np.take_along_axis(posterior, given, axis=1)
        p = correct.mean(axis=0)
    step = 1e-4 * np.eye(3)
    curvature = np.array(
        [
            [
                sum(a * b * likelihood(p + a * one + b * other) for a in (1, -1) for b in (1, -1)) / 4e-8
                for other in step
            ]
            for one in step
        ]
    )
    error = np.sqrt(np.diag(np.linalg.inv(-curvature)))
    answers = answers_of([(o, w, given[o, w]) for o in range(objects) for w in range(3)])
    _, lower, upper = predicted_accuracy(answers, correct.reshape(-1))
    assert (upper - lower) / 2 / 1.959964 == pytest.approx(error, rel=0.01)
    assert (error > 1.2 * np.sqrt(p * (1 - p) / objects)).all()  # much more than if the classes were known


def test_more_workers_than_at_once(monkeypatch):
    answers, _ = simulated(np.random.default_rng(13), confusion(np.random.default_rng(14), 12, 3), objects=200)
    correct = dawid_skene(answers).correct
    whole = predicted_accuracy(answers, correct)
    monkeypatch.setattr(module, "WORKERS_AT_ONCE", 5)
    parts = predicted_accuracy(answers, correct)
    assert (parts[0] == whole[0]).all()
    assert (parts[2] - parts[1]) == pytest.approx(whole[2] - whole[1], rel=0.1)


def test_the_names_of_classes_decide_nothing():
    """Four workers, two against two in every third object: by name the first class won each tie."""
    random = np.random.default_rng(15)
    answers, _ = simulated(random, alike([0.9, 0.8, 0.7, 0.6], 2), objects=60, each=4)
    swapped = module.replace(answers, label=1 - answers.label)
    one, other = dawid_skene(answers), dawid_skene(swapped)
    assert one.correct == pytest.approx(other.correct, abs=1e-9)


def test_unsure_answers_widen_the_interval():
    answers = answers_of([(each, 0, 0) for each in range(40)])
    sure = predicted_accuracy(answers, np.array([1.0] * 30 + [0.0] * 10))
    unsure = predicted_accuracy(answers, np.full(40, 0.75))
    assert sure[0] == unsure[0] == 0.75
    assert unsure[1][0] < sure[1][0]
    assert unsure[2][0] > sure[2][0]
    # Of half the answers something is known: the others, 3/4 right as well, add nothing.
    half = predicted_accuracy(answers, np.array([1.0] * 15 + [0.0] * 5 + [0.75] * 20))
    assert [each[0] for each in half] == pytest.approx(
        [0.75, *(float(each) for each in module.wilson(15, 20))], abs=0.01
    )
    assert unsure[2][0] - unsure[1][0] > 0.7  # nothing is known


def test_agreement_with_others_leaves_oneself_out():
    answers = answers_of([(0, 0, 1), (0, 1, 1), (0, 2, 2), (1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 0, 1)], labels=4)
    found = agreement_with_others(answers)
    # Object 0: the others of worker 0 say 1 and 2, a tie; of worker 2 twice 1. Object 1: three different.
    assert found.tolist()[:6] == [0.5, 0.5, 0, 0, 0, 0]
    assert np.isnan(found[6])


def test_the_majority_is_the_first_of_several():
    answers = answers_of([(0, 0, 2), (0, 1, 1), (2, 0, 1), (2, 1, 0), (2, 2, 0)])
    assert answers.majority.tolist() == [1, -1, 0]


def table(rows, **columns):
    """Answers (object, worker, label, gold, output) as the analysis gets them."""
    head = {"job_name": "job", "modality": "Image", "task_type": "image-classification"} | columns
    names = ("object_id", "worker_id", "label", "gold_label", "output_label")
    found = [{**head, **dict(zip(names, row, strict=True))} for row in rows]
    found = [{**row, "username": f"name {row['worker_id']}", "source_ref": f"s3://{row['object_id']}"} for row in found]
    return pa.table({name: pa.array([row[name] for row in found], pa.string()) for name in found[0]})


GOLDEN = [
    ("o1", "w1", "a", "a", "a"),
    ("o1", "w2", "a", "a", "a"),
    ("o1", "w3", "b", "a", "a"),
    ("o2", "w1", "b", "b", "a"),
    ("o2", "w2", "a", "b", "a"),
    ("o3", "w1", "c", "d", None),
]


def found_measure(made, measure):
    (row,) = [each for each in made["job_quality"] if each["measure"] == measure]
    return row


def test_gold_counted_by_hand():
    made = quality(table(GOLDEN))
    accuracy = {
        each["worker_id"]: (each["accuracy"], each["answer_count"], each["username"])
        for each in made["worker_quality"]
        if each["method"] == "gold"
    }
    assert accuracy == {"w1": (2 / 3, 3, "name w1"), "w2": (0.5, 2, "name w2"), "w3": (0.0, 1, "name w3")}
    cells = {
        (each["worker_id"], each["right_label"], each["given_label"]): each["answer_count"]
        for each in made["confusion"]
        if each["method"] == "gold"
    }
    assert cells == {
        ("w1", "a", "a"): 1, ("w1", "b", "b"): 1, ("w1", "d", "c"): 1,
        ("w2", "a", "a"): 1, ("w2", "b", "a"): 1, ("w3", "a", "b"): 1,
    }  # fmt: skip
    assert np.isnan(found_measure(made, "single_answer_accuracy")["lower"])  # three objects are too few to be drawn
    measures = {each["measure"]: (each["value"], each["case_count"]) for each in made["job_quality"]}
    # All of the same objects: o3 has no output, and its one answer is no consensus.
    assert measures["single_answer_accuracy"] == (pytest.approx(3 / 5), 5)
    assert measures["majority_accuracy"] == (pytest.approx(1 / 2), 2)  # of o2 "a" is the first of two
    assert measures["output_accuracy"] == (pytest.approx(1 / 2), 2)
    assert measures["dawid_skene_accuracy"][1] == 2
    assert "worker_correlation" not in measures


def test_consensus_of_objects():
    made = {each["object_id"]: each for each in quality(table(GOLDEN))["consensus"]}
    assert {name: made["o1"][name] for name in ("label", "majority_label", "answer_count", "agreeing_count")} == {
        "label": "a",
        "majority_label": "a",
        "answer_count": 3,
        "agreeing_count": 2,
    }
    assert made["o1"]["source_ref"] == "s3://o1"
    assert made["o2"]["output_label"] == "a"
    assert made["o3"]["gold_label"] == "d"
    assert made["o3"]["output_label"] is None
    assert np.isnan(made["o3"]["probability"])
    assert made["o3"]["label"] == "c"


def test_without_gold_there_is_no_accuracy_of_the_job():
    made = quality(table([(*row[:3], None, row[4]) for row in GOLDEN[:5]]))
    assert not made["job_quality"]
    assert {each["method"] for each in made["worker_quality"]} == {"dawid-skene", "consensus"}
    assert {each["method"] for each in made["confusion"]} == {"dawid-skene"}


def test_single_answers_tell_of_nobody_without_gold():
    made = quality(table([(f"o{each}", "w1", "a", "a" if each else "b", None) for each in range(5)]))
    assert {each["method"] for each in made["worker_quality"]} == {"gold"}
    assert {each["measure"] for each in made["job_quality"]} == {"single_answer_accuracy", "majority_accuracy"}


def test_one_class_and_one_worker():
    made = quality(table([(f"o{each}", worker, "a", None, None) for each in range(3) for worker in ("w1", "w2", "w3")]))
    predicted = [each for each in made["worker_quality"] if each["method"] == "dawid-skene"]
    assert all(each["accuracy"] == each["upper"] == 1 and each["lower"] < 1 for each in predicted)


def test_rows_fit_the_tables():
    made = quality(table(GOLDEN))
    for each in (WORKER_QUALITY, CONFUSION, CONSENSUS, JOB_QUALITY):
        rows = made[each.name]
        assert rows
        assert all(set(row) <= set(arrow_schema(each).names) for row in rows)
        keys = [tuple(row[name] for name in each.key) for row in rows]
        assert len(set(keys)) == len(keys)


def test_correlation_with_its_interval():
    """r = 0.5 of 28 pairs: Fisher's interval is tanh(0.5493 -+ 1.96 / 5)."""
    random = np.random.default_rng(9)
    first = random.normal(size=28)
    first -= first.mean()
    noise = random.normal(size=28)
    noise -= noise.mean() + first * (first @ noise) / (first @ first)
    second = first / np.linalg.norm(first) + noise / np.linalg.norm(noise) * np.sqrt(3)
    value, lower, upper = (each.item() for each in correlation(first, second))
    assert value == pytest.approx(0.5)
    assert (lower, upper) == pytest.approx((np.tanh(0.54930614 - 0.39199), np.tanh(0.54930614 + 0.39199)), abs=1e-4)
    assert np.isnan(correlation(np.ones(9), first[:9])[0])
    assert np.isnan(correlation(first[:2], first[:2])[0])
    assert [np.isnan(each.item()) for each in correlation(first, first)] == [False, True, True]


def test_many_classes_are_bearable():
    """Ten thousand classes and fifty thousand answers, which no whole confusion matrices could hold."""
    random = np.random.default_rng(10)
    objects, labels = 10_000, 10_000
    right = random.integers(0, labels, objects)
    unit = np.repeat(np.arange(objects), 5)
    worker = np.concatenate([random.choice(50, 5, replace=False) for _ in range(objects)])
    label = np.where(random.random(unit.size) < 0.7, right[unit], random.integers(0, labels, unit.size))
    answers = Answers(unit, worker, label, objects, 50, labels)
    found, _ = dawid_skene(answers).best(objects)
    assert (found == right).mean() > 0.95


def test_workers_of_nine_answers_are_not_correlated():
    """Three workers answer thirty objects, a fourth ten and a fifth nine of them, each with some errors."""
    wrong = {0: 7, 1: 5, 2: 3, 3: 4, 4: 4}
    shown = {0: 30, 1: 30, 2: 30, 3: 10, 4: 9}
    rows = [
        (f"o{o:02}", f"w{w}", "ab"[(o + (o % wrong[w] == wrong[w] - 1)) % 2], "ab"[o % 2], None)
        for w, count in shown.items()
        for o in range(count)
    ]
    assert found_measure(quality(table(rows)), "worker_correlation")["case_count"] == 4
