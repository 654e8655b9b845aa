"""How far workers agree who labeled the same data objects.

`choices` takes all answers of one classification job. Shapes are compared object by object (module comparisons), and
`summary` adds the sums of one job up. Every statistic is a function of sums over data objects, so the bootstrap draws
objects and adds, and compares nothing twice.

One alpha serves all: Krippendorff's alpha = 1 - observed / expected disagreement, where two answers disagree by the
number of labels only one of them has, |A| + |B| - 2 |A and B|. For single choices that is his nominal alpha; for
several classes it counts class by class; for boxes |A and B| is the sum of the IoU of matched boxes of one class.

Sources: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011); A. Braylan, O. Alonso and M. Lease,
Measuring Annotator Agreement Generally across Complex Structured, Multi-object, and Free-text Annotation Tasks, WWW
2022 (alpha by a distance, expected disagreement from answers to different objects).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sextant.labeling.insight.analysis import seed
from sextant.labeling.insight.bootstrap import FEWEST_OBJECTS, Resampling, interval, resampling
from sextant.labeling.insight.columns import JOB, coded, distinct, floats
from sextant.labeling.insight.overlap import across_groups, same_group
from sextant.labeling.insight.tracking_metrics import THRESHOLDS, hota_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Statistic = Callable[[Resampling, Integers, Integers, int], Floats]

Row = dict[str, Any]
ITEMS_AT_ONCE = 1024
COLUMNS_AT_ONCE = 2048


# --- one scope after the other --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scope:
    """What statistics are formed of: entries, of which it tells the data object and the item (-1: of none).

    `keys` are the columns that tell the items apart, `pairs` the pairs of answers in each.
    """

    name: str
    unit: Integers
    item: Integers
    keys: Sequence[Mapping[str, Any]]
    pairs: Integers


def _estimated(base: Row, metric: str, scope: Scope, statistic: Statistic, sample: Resampling) -> list[Row]:
    """Rows of table agreement: one for each item of the scope.

    `statistic(sample, entries, item, items)` gives (draws, items) of the entries at those positions.
    """
    items = len(scope.keys)
    if not items:
        return []
    first, _ = distinct(scope.item, scope.unit)
    objects = np.bincount(scope.item[first][scope.item[first] >= 0], minlength=items)
    value, lower, upper = (np.full(items, np.nan) for _ in range(3))
    # Items of too few objects for an interval are many (pairs of workers): they need no draws.
    once = Resampling(sample.block, sample.weights[:1])
    order = np.argsort(scope.item, kind="stable")
    bounds = np.searchsorted(scope.item[order], np.arange(items + 1))
    for drawn, some in ((once, objects < FEWEST_OBJECTS), (sample, objects >= FEWEST_OBJECTS)):
        chosen = np.flatnonzero(some)
        for start in range(0, chosen.size, ITEMS_AT_ONCE):
            part = chosen[start : start + ITEMS_AT_ONCE]
            sizes = bounds[part + 1] - bounds[part]
            entries = order[np.concatenate([np.arange(bounds[each], bounds[each + 1]) for each in part])]
            found = statistic(drawn, entries, np.repeat(np.arange(part.size), sizes), part.size)
            value[part], lower[part], upper[part] = interval(found, objects[part])
    return [
        {
            **base,
            "metric": metric,
            "scope": scope.name,
            **key,
            "value": None if np.isnan(value[each]) else float(value[each]),
            "lower": None if np.isnan(lower[each]) else float(lower[each]),
            "upper": None if np.isnan(upper[each]) else float(upper[each]),
            "object_count": int(objects[each]),
            "pair_count": int(scope.pairs[each]),
        }
        for each, key in enumerate(scope.keys)
        if objects[each]
    ]


# --- choices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """How often labels were given: entry by entry the object, the label, how many of the object's `answers` gave it.

    An entry with label -1 stands for the object: without it nobody knew of objects that got no label at all.
    """

    unit: Integers
    label: Integers
    given: Integers
    answers: Integers

    def answered(self, sample: Resampling, entries: Integers, item: Integers, items: int) -> Floats:
        """Answers to the objects among the entries, by draw and item."""
        whole = self.label[entries] < 0
        of = entries[whole]
        return sample.sums(self.unit[of], item[whole], self.answers[of].astype(float), items)

    def alpha(self, answered: Statistic) -> Statistic:
        """Krippendorff's alpha of each item; `answered` gives the answers of each draw and item.

        With n_ul of the m_u answers to object u giving label l, n_l = sum of n_ul and n = sum of m_u:
        observed = sum of 2 n_ul (m_u - n_ul) / (m_u - 1), expected = sum of 2 n_l (n - n_l) / (n - 1). NaN where only
        one label was ever given, for then nobody knows what chance would do.
        """

        def statistic(sample: Resampling, entries: Integers, item: Integers, items: int) -> Floats:
            unit, label = self.unit[entries], self.label[entries]
            given, answers = self.given[entries].astype(float), self.answers[entries].astype(float)
            observed = sample.sums(unit, item, 2 * given * (answers - given) / (answers - 1), items)
            total = answered(sample, entries, item, items)
            first, column = distinct(item, label)
            expected = np.zeros_like(total)
            for start in range(0, first.size, COLUMNS_AT_ONCE):
                stop = min(start + COLUMNS_AT_ONCE, first.size)
                of = item[first[start:stop]]
                here = (column >= start) & (column < stop)
                counts = sample.sums(unit[here], column[here] - start, given[here], stop - start)
                starts = np.flatnonzero(np.diff(of, prepend=-1))
                expected[:, of[starts]] += np.add.reduceat(2 * counts * (total[:, of] - counts), starts, axis=1)
            expected = np.divide(expected, total - 1, out=np.zeros_like(expected), where=total > 1)
            return 1 - np.divide(observed, expected, out=np.full_like(observed, np.nan), where=expected > 0)

        return statistic


def choices(rows: pa.Table) -> dict[str, list[Row]]:
    """Agreement on the classes of one job's data objects, of single or multiple choice.

    Args:
        rows: one row per answer and label in it (label null: an answer of no label): columns of JOB, object_id,
            worker, day (date of the object's last answer) and label. Objects have two answers or more, one per worker.

    Returns:
        Rows of table agreement, metric alpha: of the job, each class against all others, each pair of workers, each
        day.
    """
    base = {name: rows.column(name)[0].as_py() for name in JOB}
    unit, objects = coded(rows.column("object_id"))
    worker, workers = coded(rows.column("worker"))
    label, labels = coded(rows.column("label"))
    day, days = coded(rows.column("day"))
    first, answer = distinct(unit, worker)
    answers = np.bincount(unit[first], minlength=len(objects))
    chosen = np.flatnonzero(label >= 0)
    chosen = chosen[distinct(answer[chosen], label[chosen])[0]]
    answer, label = answer[chosen], label[chosen]

    firsts, number = distinct(unit[first][answer], label)
    told = _given(
        unit[first][answer[firsts]], label[firsts], np.bincount(number, minlength=firsts.size), answers, len(objects)
    )
    pairs = answers * (answers - 1) // 2
    unit_day = np.full(len(objects), -1)
    np.maximum.at(unit_day, unit, day)
    scopes = [
        _by_item("job", told, np.zeros(len(objects), np.int64), [{}], pairs),
        _by_label(told, labels, pairs),
        _by_item("day", told, unit_day, [{"day": each} for each in days], pairs),
        _by_pair((unit[first], worker[first]), workers, (answer, label)),
    ]
    sample = resampling(len(objects), _generator(base["job_name"], "choices"))
    return {"agreement": [row for each in scopes for row in _estimated(base, "alpha", *each, sample)]}


def _given(unit: Integers, label: Integers, given: Integers, answers: Integers, units: int) -> _Given:
    """Entries of labels given, with those of the objects themselves: label -1, given by nobody."""
    whole = np.arange(units)
    return _Given(
        np.concatenate([unit, whole]),
        np.concatenate([label, np.full(units, -1)]),
        np.concatenate([given, np.zeros(units, np.int64)]),
        np.concatenate([answers[unit], answers]),
    )


def _by_item(
    name: str, told: _Given, item_of: Integers, keys: list[dict[str, Any]], pairs: Integers
) -> tuple[Scope, Statistic]:
    """Every object belongs to one item (-1: to none)."""
    some = item_of >= 0
    counted = np.bincount(item_of[some], pairs[some], len(keys)).astype(np.int64)
    return Scope(name, told.unit, item_of[told.unit], keys, counted), told.alpha(told.answered)


def _by_label(told: _Given, labels: list[Any], pairs: Integers) -> tuple[Scope, Statistic]:
    """A class against all others: all answers of the job count, the objects are those where it was given."""
    whole = np.flatnonzero(told.label < 0)

    def answered(sample: Resampling, _entries: Integers, _item: Integers, items: int) -> Floats:
        total = sample.sums(told.unit[whole], np.zeros(whole.size, np.int64), told.answers[whole].astype(float), 1)
        return np.repeat(total, items, axis=1)

    named = told.label >= 0
    counted = np.bincount(told.label[named], pairs[told.unit[named]], len(labels)).astype(np.int64)
    return Scope("label", told.unit, told.label, [{"label": each} for each in labels], counted), told.alpha(answered)


def _by_pair(
    answers: tuple[Integers, Integers], workers: list[str], chosen: tuple[Integers, Integers]
) -> tuple[Scope, Statistic]:
    """Two workers alone: the objects that both answered are units of two answers.

    Args:
        answers: object and worker of each answer.
        workers: their names.
        chosen: answer and label of each label given.
    """
    unit, worker = answers
    one, other = same_group(unit)
    swapped = worker[one] > worker[other]
    both = np.where(swapped, other, one), np.where(swapped, one, other)
    sides = [across_groups(side, chosen[0]) for side in both]
    met, label = (np.concatenate(each) for each in ([s[0] for s in sides], [chosen[1][s[1]] for s in sides]))
    firsts, number = distinct(met, label)
    given = np.bincount(number, minlength=firsts.size)
    told = _given(met[firsts], label[firsts], given, np.full(one.size, 2), one.size)
    who, item = distinct(worker[both[0]], worker[both[1]])
    keys = [
        {"worker": workers[a], "other_worker": workers[b]}
        for a, b in zip(worker[both[0]][who].tolist(), worker[both[1]][who].tolist(), strict=True)
    ]
    meeting = told.unit
    told = _Given(unit[one[meeting]], told.label, told.given, told.answers)
    return (
        Scope("pair", told.unit, item[meeting], keys, np.bincount(item, minlength=len(keys))),
        told.alpha(told.answered),
    )


# --- shapes of a whole job ------------------------------------------------------------------------------------------


def summary(rows: pa.Table) -> dict[str, list[Row]]:
    """Adds up what was compared in one job.

    Args:
        rows: rows of table object_agreement of one job.

    Returns:
        Rows of table agreement. F1, MOTA and IDF1 are ratios of sums over objects, HOTA is `hota_value` of sums.
    """
    base = {name: rows.column(name)[0].as_py() for name in JOB}
    metric, metrics = coded(rows.column("metric"))
    chance = rows.column("chance_set").is_valid().to_numpy()
    unit, objects = coded(rows.column("object_id"))
    sample = resampling(len(objects), _generator(base["job_name"], "objects"))
    made: list[Row] = []
    for number, name in enumerate(metrics):
        of = np.flatnonzero((metric == number) & ~chance)
        part, by_chance = rows.take(of), rows.take(np.flatnonzero((metric == number) & chance))
        for scope in _scopes(part, unit[of]):
            if name == "iou_alpha":
                statistic = _chance_corrected(part, by_chance, scope, base["job_name"])
            else:
                statistic = _hota(part, scope.unit) if name.endswith("hota") else _ratio(part, scope.unit)
            made += _estimated(base, name, scope, statistic, sample)
    return {"agreement": made}


def _scopes(rows: pa.Table, unit: Integers) -> Iterator[Scope]:
    """The whole job, its classes, pairs of workers and days; the rows are the entries. Who worked on both levels of a
    sequence is no pair.
    """
    worker, workers = coded(rows.column("worker"))
    other, others = coded(rows.column("other_worker"))
    label, labels = coded(rows.column("label"))
    day, days = coded(rows.column("day"))
    names, other_names = (np.array([*values, ""]) for values in (workers, others))
    known = np.flatnonzero((worker >= 0) & (other >= 0) & (names[worker] != other_names[other]))
    who, number = distinct(worker[known], other[known])
    pair = np.full(unit.size, -1)
    pair[known] = number
    keys = [{"worker": workers[worker[known[each]]], "other_worker": others[other[known[each]]]} for each in who]
    whole: list[dict[str, Any]] = [{}]
    for name, item, found in (
        ("job", np.zeros(unit.size, np.int64), whole),
        ("label", label, [{"label": each} for each in labels]),
        ("pair", pair, keys),
        ("day", day, [{"day": each} for each in days]),
    ):
        first = item[distinct(item, unit, worker, other)[0]]
        yield Scope(name, unit, item, found, np.bincount(first[first >= 0], minlength=len(found)))


def _ratio(rows: pa.Table, unit: Integers) -> Statistic:
    """Sum of what agrees by sum of all."""
    agreed, total = floats(rows.column("agreed")), floats(rows.column("total"))

    def statistic(sample: Resampling, entries: Integers, item: Integers, items: int) -> Floats:
        return _share(
            sample.sums(unit[entries], item, agreed[entries], items),
            sample.sums(unit[entries], item, total[entries], items),
        )

    return statistic


def _hota(rows: pa.Table, unit: Integers) -> Statistic:
    """HOTA: every threshold has its own row."""
    threshold = np.searchsorted(THRESHOLDS - 0.01, floats(rows.column("threshold"))) - 1
    agreed, association, total = (
        np.nan_to_num(floats(rows.column(name))) for name in ("agreed", "association", "total")
    )

    def statistic(sample: Resampling, entries: Integers, item: Integers, items: int) -> Floats:
        column, columns = item * THRESHOLDS.size + threshold[entries], items * THRESHOLDS.size
        matched, associated, boxes = (
            sample.sums(unit[entries], column, values[entries], columns).reshape(-1, items, THRESHOLDS.size)
            for values in (agreed / 2, association, total)
        )
        return hota_value(matched, associated, boxes[:, :, 0])

    return statistic


def _chance_corrected(rows: pa.Table, by_chance: pa.Table, scope: Scope, job: str) -> Statistic:
    """Alpha of boxes: (A - C) / (1 - C), where A is the share of boxes that agree and C that of a job's chance sets.

    It is 1 - observed / expected disagreement with the observed number of boxes: observed is n (1 - A), expected
    n (1 - C). As in Krippendorff's alpha an answer weighs 1 / (answers to the object - 1) in each of its pairs. A class
    that the chance sets lack takes the job's C. Undefined without chance sets: with answers to one object only.
    """
    weight = 1 / (floats(rows.column("answer_count")) - 1)
    agreed, total = weight * floats(rows.column("agreed")), weight * floats(rows.column("total"))
    label, labels = coded(rows.column("label"))
    sets, names = coded(by_chance.column("chance_set"))
    drawn = resampling(len(names), _generator(job, "chance"))
    # Columns: the classes of the job, and last the whole job.
    number = {each: column for column, each in enumerate(labels)}
    named = np.array([number.get(each, -1) for each in by_chance.column("label").to_pylist()], np.int64)
    known = np.flatnonzero(named >= 0)
    of = np.concatenate([known, np.arange(sets.size)])
    column = np.concatenate([named[known], np.full(sets.size, len(labels))])
    by_class = _share(
        *(
            drawn.sums(sets[of], column, floats(by_chance.column(name))[of], len(labels) + 1)
            for name in ("agreed", "total")
        )
    )
    by_class = np.where(np.isnan(by_class), by_class[:, -1:], by_class)

    def statistic(sample: Resampling, entries: Integers, item: Integers, items: int) -> Floats:
        found = _share(
            sample.sums(scope.unit[entries], item, agreed[entries], items),
            sample.sums(scope.unit[entries], item, total[entries], items),
        )
        one_of_each = entries[np.unique(item, return_index=True)[1]]
        chance = by_class[: found.shape[0], label[one_of_each] if scope.name == "label" else [-1] * items]
        return _share(found - chance, 1 - chance)

    return statistic


def _share(part: Floats, whole: Floats) -> Floats:
    """Part by whole; NaN where there is no whole."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _generator(job: str, step: str) -> np.random.Generator:
    return np.random.default_rng(seed("agreement", step, job))
