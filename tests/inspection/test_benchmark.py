"""The parts of the benchmark that reckon: what items cost, and whether the promises hold on unseen photographs."""

import datetime as dt
import re

import pytest

from benchmarks import inspection
from samples.inspection.sample import Size


def test_a_thousand_items_cost_what_the_table_says_beside_the_service():
    told = {each["name"]: each for each in inspection._costs(0.05)}
    assert len(told) == 2 * 4
    (name,) = (each for each in told if each.startswith("1,000 items at 5/s, lambda, prices of "))
    assert told[name]["unit"] == "USD"
    assert told[name]["ours"] == pytest.approx(2.6396e-3, rel=1e-4)  # as test_cost reckons it by hand
    assert told[name]["peer"] == pytest.approx(0.2)
    assert told[name]["ratio"] == pytest.approx(0.2 / 2.6396e-3, rel=1e-4)
    first, last = (dt.date.fromisoformat(day) for day in re.findall(r"\d{4}-\d\d-\d\d", name))
    assert first < last


def test_calibration_and_false_rejects_are_of_unseen_photographs(tmp_path):
    few = Size({"bracket": (12, 6), "cloth": (1, 0)}, {"bracket": (6, 4), "cloth": (1, 0)}, 1, 0, 2)
    error, rejects = inspection._held(tmp_path, few)
    assert error["name"] == "expected calibration error, 6 + 4 unseen photographs of the sample's bracket"
    assert 0 <= error["ours"] <= 1
    count, of = map(int, re.search(r"anomalous, (\d+) of (\d+) ", rejects["name"]).groups())
    assert of == 6
    assert rejects["ours"] == pytest.approx(100 * count / of)
    assert rejects["floor"] == "≤ 5% within the 95 % interval"
    assert isinstance(rejects["ok"], bool)
