"""How good workers are and what their answers come to, in single-choice jobs: without gold labels and against them.

Without gold: Dawid and Skene's model. Every data object has a right class, every worker a confusion matrix, and both
are found together by expectation maximisation from nothing but who said what. Two answers to an object tell that
somebody erred but never who, so nothing is published of jobs and workers with fewer than three: see `withheld`.

Sources: A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm,
Applied Statistics 28 (1979); T. A. Louis, Finding the Observed Information Matrix when Using the EM Algorithm, JRSS B
44 (1982), for the intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from sextant.labeling.insight.analysis import seed
from sextant.labeling.insight.bootstrap import interval, resampling
from sextant.labeling.insight.columns import JOB, coded, distinct
from sextant.labeling.insight.intervals import wilson
from sextant.labeling.insight.overlap import across_groups
from sextant.labeling.interval_sql import Z95

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Estimate = tuple[Floats, Floats, Floats]
    """Value, lower and upper bound, shape (n,) each."""
    Cells = tuple[Integers, Integers, Integers, Floats]
    """Worker, right class, given class and number of answers, shape (n,) each."""

Row = dict[str, Any]
SMOOTHING = 0.5
"""Answers added to every cell of every confusion matrix (Jeffreys), so that a worker who never erred may err."""
ENTRIES = 2_000_000
"""Up to so many answers times classes every class may be right for every object; in larger jobs only one that somebody
gave the object, or work and memory would grow with the number of classes."""
MOVED = 1e-6
"""The model has converged when no posterior probability moves by more in one step."""
STEPS = 500
FEWEST_ANSWERS = 10
"""A worker of fewer answers tells too little to be correlated."""
NEGLIGIBLE = 1e-3
"""A class this much less probable than an object's best one makes no cell of a confusion matrix."""
IDENTIFYING = 3
"""Answers to an object from which on they tell who erred."""
FEW_ANSWERS = "fewer than three answers to most data objects"
SELDOM_AGREED = "most data objects have no class that most answers gave"
WORKERS_AT_ONCE = 1000
"""Workers whose uncertainty is shared out among them at once: the memory is its square, the time its cube."""


@dataclass(frozen=True)
class Answers:
    """Answers as numbers from 0 on, shape (n,) each: data object, worker, class given."""

    object: Integers
    worker: Integers
    label: Integers
    objects: int
    workers: int
    labels: int

    def where(self, kept: NDArray[np.bool_]) -> Answers:
        """Some of the answers, with the same numbers."""
        return replace(self, object=self.object[kept], worker=self.worker[kept], label=self.label[kept])

    @cached_property
    def votes(self) -> tuple[Integers, Integers, Integers]:
        """Object, class and number of answers for every class that an object was given, in that order."""
        first, number = distinct(self.object, self.label)
        return self.object[first], self.label[first], np.bincount(number, minlength=first.size)

    @cached_property
    def leading(self) -> NDArray[np.bool_]:
        """Which of `votes` are for a class that no other of the object has more answers than: several in a tie."""
        unit, _, count = self.votes
        most = np.zeros(self.objects, np.int64)
        np.maximum.at(most, unit, count)
        found: NDArray[np.bool_] = count == most[unit]
        return found

    @cached_property
    def majority(self) -> Integers:
        """The class most answers gave each object, the first of several; -1 without answers."""
        found = np.full(self.objects, -1)
        unit, label, _ = self.votes
        first = np.flatnonzero(self.leading)
        first = first[np.unique(unit[first], return_index=True)[1]]
        found[unit[first]] = label[first]
        return found


@dataclass(frozen=True)
class Model:
    """What Dawid-Skene finds. Cases are (object, class that may be right), sorted by both.

    `posterior` is the probability of each case, shape (cases,), and `correct` that each answer is right, shape
    (answers,). `trace` is the log posterior density at every step: it never falls.
    """

    object: Integers
    label: Integers
    posterior: Floats
    correct: Floats
    trace: list[float]

    def best(self, objects: int) -> tuple[Integers, Floats]:
        """The most probable class of each object (the first of several) and its probability; -1 and NaN without."""
        label, probability = np.full(objects, -1), np.full(objects, np.nan)
        order = np.lexsort((self.label, -self.posterior, self.object))
        first = order[np.unique(self.object[order], return_index=True)[1]]
        label[self.object[first]], probability[self.object[first]] = self.label[first], self.posterior[first]
        return label, probability


def dawid_skene(answers: Answers) -> Model:
    """Fits the model by EM, from the majority on (a tie is shared), until it moves no more.

    Each step maximises likelihood times SMOOTHING answers in every cell: the mode under a Dirichlet prior of
    1 + SMOOTHING. At most STEPS steps.
    """
    # The prior of a class that leads nowhere is 0 from the start, and stays so.
    voted, chosen, _ = answers.votes
    units, classes = np.unique(answers.object), np.unique(chosen[answers.leading])
    if answers.label.size * classes.size <= ENTRIES:
        unit, label = np.repeat(units, classes.size), np.tile(classes, units.size)
    else:
        unit, label = voted, chosen
    # An entry is an answer beside a case of its object; a cell is a worker's answers by right and given class.
    answer, case = across_groups(answers.object, unit)
    worker, right, given = answers.worker[answer], label[case], answers.label[answer]
    firsts, cell = distinct(worker, right, given)
    row_first, row_of_cell = distinct(worker[firsts], right[firsts])
    # Cells of a row in which nothing was expected hold the smoothing alone; they count in the prior.
    unseen = answers.labels - np.bincount(row_of_cell, minlength=row_first.size)
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    sizes = np.diff(np.append(starts, unit.size))
    lead = unit * answers.labels + label
    posterior = np.isin(lead, (voted * answers.labels + chosen)[answers.leading]).astype(float)
    posterior /= np.repeat(np.add.reduceat(posterior, starts), sizes)
    trace: list[float] = []
    for _ in range(STEPS):
        expected = np.bincount(cell, posterior[case], firsts.size)
        total = np.bincount(row_of_cell, expected, row_first.size) + SMOOTHING * answers.labels
        log_cell = np.log(expected + SMOOTHING) - np.log(total)[row_of_cell]
        prior = np.bincount(label, posterior, answers.labels) / starts.size
        with np.errstate(divide="ignore"):
            log_case = np.log(prior)[label] + np.bincount(case, log_cell[cell], unit.size)
        highest = np.maximum.reduceat(log_case, starts)
        likely = np.exp(log_case - np.repeat(highest, sizes))
        evidence = np.add.reduceat(likely, starts)
        moved = likely / np.repeat(evidence, sizes)
        smooth = log_cell.sum() + (unseen * (np.log(SMOOTHING) - np.log(total))).sum()
        trace.append(float((highest + np.log(evidence)).sum() + SMOOTHING * smooth))
        change = float(np.abs(moved - posterior).max())
        posterior = moved
        if change < MOVED:
            break
    own = given == right
    correct = np.zeros(answers.label.size)
    correct[answer[own]] = np.minimum(posterior[case[own]], 1)
    return Model(unit, label, posterior, correct, trace)


def withheld(answers: Answers) -> list[str | None]:
    """Why the model tells nothing of a worker, in words; None where it does.

    Dawid and Skene's parameters are identified from three answers to an object on (Allman, Matias and Rhodes,
    Identifiability of parameters in latent structure models, Annals of Statistics 37, 2009, corollary 5): of two,
    accuracies of .95 and .70 look like twice .80. They are so up to a change of names, which only answers that agree
    settle. So at least half of the objects, and of those of the worker, must have three answers, and at least half a
    class that two answers or more gave and no other class as many.

    Args:
        answers: those the model is to use, at least one.

    Returns:
        One entry per worker.
    """
    counts = np.bincount(answers.object, minlength=answers.objects)
    unit, _, votes = answers.votes
    alone = answers.leading & (np.bincount(unit[answers.leading], minlength=answers.objects)[unit] == 1)
    objects = np.count_nonzero(counts)
    if 2 * np.count_nonzero(counts >= IDENTIFYING) < objects:
        return [FEW_ANSWERS] * answers.workers
    if 2 * np.count_nonzero(alone & (votes > 1)) < objects:
        return [SELDOM_AGREED] * answers.workers
    telling = np.bincount(answers.worker, counts[answers.object] >= IDENTIFYING, answers.workers)
    few = 2 * telling < np.bincount(answers.worker, minlength=answers.workers)
    return [FEW_ANSWERS if each else None for each in few.tolist()]


def predicted_accuracy(answers: Answers, correct: Floats) -> tuple[Floats, Floats, Floats]:
    """How often each worker is right, without gold, with a 95 % interval for the long run.

    The value is the mean probability of the worker's answers. Its variance is that of one accuracy per worker by Louis'
    formula: the information is what it would be if the right classes were known, less what is missing because they are
    not, and what is missing is shared by the workers of one object. With p the accuracies and B = diag(p (1 - p)) it is
    B^-1 (diag(n p (1 - p)) - C) B^-1, where C is the posterior covariance of the workers' numbers of right answers.
    Wilson's interval is then taken of the number of answers that would have this variance. Where nothing is missing it
    is Wilson's of all answers. What the model itself assumes, above all that the errors of several workers about one
    object are independent, is not in the interval.

    Of more than WORKERS_AT_ONCE workers each is seen beside so many others only, which leaves some of it out.

    Args:
        answers: the answers, shape (n,), at most one of a worker to an object.
        correct: probability that each is right, shape (n,).

    Returns:
        Accuracy, lower and upper bound, shape (workers,); NaN for a worker without answers.
    """
    count = np.bincount(answers.worker, minlength=answers.workers).astype(float)
    right = np.minimum(np.bincount(answers.worker, correct, answers.workers), count)
    accuracy = np.divide(right, count, out=np.full(count.shape, np.nan), where=count > 0)
    # One answer more, half right, as in every cell of the matrices: nobody's variance is 0.
    single = (right + SMOOTHING) / (count + 2 * SMOOTHING)
    single *= 1 - single
    known = np.zeros(count.shape)
    working = np.flatnonzero(count)
    for some in np.array_split(working, max(1, -(-working.size // WORKERS_AT_ONCE))):
        missing = _covariance(answers, correct, some)
        root = np.sqrt(count[some] * single[some])
        # At a maximum of the likelihood no more is missing than there is: rounding, or a saddle, must not make it so.
        lost, among = np.linalg.eigh(missing / root / root[:, np.newaxis])
        left = (among * np.maximum(1 - lost, 0)) @ among.T * root * root[:, np.newaxis]
        variance = np.diag(np.linalg.inv(left + np.diag(2 * SMOOTHING * single[some])))
        known[some] = np.minimum(1 / (single[some] * variance), count[some])
    lower, upper = wilson(np.where(count > 0, np.clip(accuracy, 0, 1), 0) * known, known)
    return accuracy, lower, upper


def _covariance(answers: Answers, correct: Floats, workers: Integers) -> Floats:
    """Posterior covariance of how many answers of some workers are right, shape (workers, workers).

    About one object, two answers of one class are right together with their probability q, two of different ones never:
    the covariance is q - q q' or -q q'.
    """
    place = np.full(answers.workers, -1)
    place[workers] = np.arange(workers.size)
    kept = place[answers.worker] >= 0
    some, probability, column = answers.where(kept), correct[kept], place[answers.worker[kept]]
    first, cell = distinct(some.object, some.label)
    by_object = csr_array((probability, (some.object, column)), shape=(answers.objects, workers.size))
    by_class = csr_array((np.sqrt(probability), (cell, column)), shape=(first.size, workers.size))
    found: Floats = (by_class.T @ by_class - by_object.T @ by_object).toarray()
    return found


def agreement_with_others(answers: Answers) -> Floats:
    """For every answer the share of the classes most of the *other* answers gave that it is: 1, 0, or 1/2 in a tie of
    two, shape (n,); NaN for the only answer to an object.
    """
    unit, label, count = answers.votes
    answer, vote = across_groups(answers.object, unit)
    others = count[vote] - (label[vote] == answers.label[answer])
    highest = np.zeros(answers.label.size, np.int64)
    np.maximum.at(highest, answer, others)
    top = (others == highest[answer]) & (highest[answer] > 0)
    tied = np.bincount(answer[top], minlength=answers.label.size)
    own = np.bincount(answer[top & (label[vote] == answers.label[answer])], minlength=answers.label.size)
    found: Floats = np.divide(own, tied, out=np.full(tied.shape, np.nan), where=tied > 0)
    return found


@dataclass(frozen=True)
class _Job:
    """The answers of one job, and by object the codes of its gold label and of Ground Truth's output (-1: none)."""

    head: Row
    answers: Answers
    objects: list[str]
    refs: list[str | None]
    workers: list[str]
    usernames: list[str | None]
    labels: list[str]
    gold: Integers
    output: Integers


def _read(rows: pa.Table) -> _Job:
    unit, objects = coded(rows.column("object_id"))
    worker, workers = coded(rows.column("worker_id"))
    label, labels = coded(rows.column("label"))
    given = len(labels)
    of_object, of_worker = (np.unique(each, return_index=True)[1] for each in (unit, worker))
    told = {}
    for name in ("gold_label", "output_label"):
        told[name] = rows.column(name).take(of_object).to_pylist()
        # Classes that nobody gave come after the others: the model does not know them.
        labels += sorted({each for each in told[name] if each is not None} - set(labels))
    code = {each: number for number, each in enumerate(labels)}
    gold, output = (np.array([code.get(each, -1) for each in named], np.int64) for named in told.values())
    return _Job(
        {name: rows.column(name)[0].as_py() for name in JOB},
        Answers(unit, worker, label, len(objects), len(workers), given),
        objects,
        rows.column("source_ref").take(of_object).to_pylist(),
        workers,
        rows.column("username").take(of_worker).to_pylist(),
        labels,
        gold,
        output,
    )


def quality(rows: pa.Table) -> dict[str, list[Row]]:
    """Everything of one single-choice job.

    Args:
        rows: one row per answer, at most one of a worker to an object: columns of JOB, object_id, source_ref,
            worker_id, username, label, gold_label, output_label.

    Returns:
        Rows of worker_quality, confusion, consensus and job_quality. The model and the consensus with others use
        objects of two answers or more: one answer alone tells nothing about who gave it. Where the model is `withheld`
        the worker's row tells why instead of an accuracy, and an object's label is the majority's, of no probability.
    """
    job = _read(rows)
    answers = job.answers
    several = answers.where(np.bincount(answers.object, minlength=answers.objects)[answers.object] > 1)
    best, probability = np.full(answers.objects, -1), np.full(answers.objects, np.nan)
    predicted = (np.full(answers.workers, np.nan),) * 3
    of_workers: list[Row] = []
    cells: list[Row] = []
    if several.label.size:
        reasons = withheld(several)
        told = np.array([each is None for each in reasons])
        if told.any():
            model = dawid_skene(several)
            best, probability = model.best(answers.objects)
            value, lower, upper = (np.where(told, each, np.nan) for each in predicted_accuracy(several, model.correct))
            predicted = value, lower, upper
            expected = _sharpened(model, several)
            kept = told[expected[0]]
            cells += _cells(
                job, "dawid-skene", (expected[0][kept], expected[1][kept], expected[2][kept], expected[3][kept])
            )
        of_workers += _workers(job, several, "dawid-skene", predicted, reasons)
        of_workers += _shares(job, several, "consensus", agreement_with_others(several))
    measures: list[Row] = []
    if (job.gold >= 0).any():
        golden = answers.where(job.gold[answers.object] >= 0)
        right = job.gold[golden.object]
        of_workers += _shares(job, golden, "gold", (golden.label == right).astype(float))
        first, number = distinct(golden.worker, right, golden.label)
        counts = np.bincount(number, minlength=first.size).astype(float)
        cells += _cells(job, "gold", (golden.worker[first], right[first], golden.label[first], counts))
        measures += _measures(job, golden, best, predicted[0])
    return {
        "worker_quality": of_workers,
        "confusion": cells,
        "consensus": _consensus(job, np.where(best >= 0, best, answers.majority), probability),
        "job_quality": measures,
    }


def _workers(
    job: _Job, answers: Answers, method: str, estimate: Estimate, reasons: list[str | None] | None = None
) -> list[Row]:
    accuracy, lower, upper = estimate
    counts = np.bincount(answers.worker, minlength=answers.workers)
    return [
        {
            **job.head,
            "worker_id": job.workers[each],
            "username": job.usernames[each],
            "method": method,
            "accuracy": float(accuracy[each]),
            "lower": float(lower[each]),
            "upper": float(upper[each]),
            "answer_count": int(counts[each]),
            "withheld": reasons[each] if reasons else None,
        }
        for each in np.flatnonzero(counts)
    ]


def _shares(job: _Job, answers: Answers, method: str, right: Floats) -> list[Row]:
    """Share of right answers by worker, with Wilson's interval."""
    count = np.bincount(answers.worker, minlength=answers.workers)
    sums = np.minimum(np.bincount(answers.worker, right, answers.workers), count)
    share = np.divide(sums, count, out=np.full(count.shape, np.nan), where=count > 0)
    return _workers(job, answers, method, (share, *wilson(sums, count)))


def _sharpened(model: Model, answers: Answers) -> Cells:
    """Expected cells of the confusion matrices, without the dust of NEGLIGIBLE probabilities: they still add up."""
    best = np.zeros(answers.objects)
    np.maximum.at(best, model.object, model.posterior)
    kept = np.flatnonzero(model.posterior >= NEGLIGIBLE * best[model.object])
    unit, label, posterior = model.object[kept], model.label[kept], model.posterior[kept]
    posterior /= np.bincount(unit, posterior)[unit]
    answer, case = across_groups(answers.object, unit)
    worker, right, given = answers.worker[answer], label[case], answers.label[answer]
    first, number = distinct(worker, right, given)
    counts = np.bincount(number, posterior[case], first.size).astype(np.float64)
    return worker[first], right[first], given[first], counts


def _cells(job: _Job, method: str, cells: Cells) -> list[Row]:
    return [
        {
            **job.head,
            "worker_id": job.workers[who],
            "username": job.usernames[who],
            "method": method,
            "right_label": job.labels[truth],
            "given_label": job.labels[said],
            "answer_count": float(number),
        }
        for who, truth, said, number in zip(*(each.tolist() for each in cells), strict=True)
    ]


def _consensus(job: _Job, best: Integers, probability: Floats) -> list[Row]:
    answers = job.answers
    majority = answers.majority
    counts = np.bincount(answers.object, minlength=answers.objects)
    agreeing = np.bincount(answers.object, answers.label == majority[answers.object], answers.objects)
    names = [*job.labels, None]  # -1 is none
    return [
        {
            **job.head,
            "object_id": each,
            "source_ref": job.refs[number],
            "label": names[best[number]],
            "probability": float(probability[number]),
            "majority_label": names[majority[number]],
            "output_label": names[job.output[number]],
            "gold_label": names[job.gold[number]],
            "answer_count": int(counts[number]),
            "agreeing_count": int(agreeing[number]),
        }
        for number, each in enumerate(job.objects)
    ]


def _measures(job: _Job, golden: Answers, best: Integers, predicted: Floats) -> list[Row]:
    """The whole job against gold: every way to consolidate over the same data objects, those that all of them tell of.

    Intervals: Wilson's over data objects; of single answers, of which an object has several, the bootstrap over
    objects; of the correlation Fisher's.
    """
    right = (golden.label == job.gold[golden.object]).astype(float)
    ways = {"majority_accuracy": job.answers.majority, "output_accuracy": job.output, "dawid_skene_accuracy": best}
    ways = {measure: label for measure, label in ways.items() if ((job.gold >= 0) & (label >= 0)).any()}
    common = (job.gold >= 0) & np.all([label >= 0 for label in ways.values()], axis=0)
    made: list[Row] = []
    if common.any():
        of_common = common[golden.object]
        units, number = np.unique(golden.object[of_common], return_inverse=True)
        sample = resampling(units.size, np.random.default_rng(seed("quality", job.head["job_name"])))
        of, every = np.zeros(number.size, np.int64), np.ones(number.size)
        hits = sample.sums(number, of, right[of_common], 1)
        share = interval(hits / sample.sums(number, of, every, 1), np.array([units.size]))
        made.append(_measure(job, "single_answer_accuracy", share, number.size))
        count = int(common.sum())
        for measure, label in ways.items():
            same = int((common & (label == job.gold)).sum())
            made.append(_measure(job, measure, (np.array(same / count), *wilson(same, count)), count))
    counts = np.bincount(golden.worker, minlength=golden.workers)
    true = np.bincount(golden.worker, right, golden.workers) / np.maximum(counts, 1)
    many = (counts >= FEWEST_ANSWERS) & ~np.isnan(predicted)
    related = correlation(predicted[many], true[many])
    if not np.isnan(related[0]):
        made.append(_measure(job, "worker_correlation", related, int(many.sum())))
    return made


def _measure(job: _Job, measure: str, estimate: Estimate, cases: int) -> Row:
    value, lower, upper = (float(each.item()) for each in estimate)
    return {**job.head, "measure": measure, "value": value, "lower": lower, "upper": upper, "case_count": cases}


def correlation(first: Floats, second: Floats) -> Estimate:
    """Pearson's r of two arrays of shape (n,), with the 95 % interval by Fisher's transformation.

    NaN where it is undefined: r below 3 pairs or where one of both does not vary, bounds below 4 pairs or at r = ±1.
    """
    unknown = np.array(np.nan)
    if first.size < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return unknown, unknown, unknown
    r = np.clip(np.corrcoef(first, second)[:1, 1], -1, 1)
    if first.size < 4 or abs(r) == 1:
        return r, unknown, unknown
    half = Z95 / np.sqrt(first.size - 3)
    return r, np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
