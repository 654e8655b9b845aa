"""What an item costs, against the original post's numbers and sums done by hand."""

import datetime as dt
import math
from pathlib import Path

import pytest

from sextant.inspection import cost
from sextant.inspection.cost import PriceTableError, costs, price_table, read_prices
from sextant.inspection.loop.journal import Journal, Record


def of(backend, rate, **given):
    return next(each for each in costs(rate, **given) if each.backend == backend)


@pytest.mark.parametrize(("rate", "usd"), [(1, 0.001), (5, 0.0002)])
def test_the_service_cost_what_the_original_post_says(rate, usd):
    assert of("lookoutvision", rate).usd_per_item == pytest.approx(usd, rel=1e-12)


def test_a_month_of_the_service_on_one_unit_costs_the_same_at_any_rate_it_manages():
    assert of("lookoutvision", 1).usd_per_month == pytest.approx(2628)
    assert of("lookoutvision", 5).usd_per_month == pytest.approx(2628)
    assert of("lookoutvision", 5.1).usd_per_month == pytest.approx(2 * 2628)
    assert [of("lookoutvision", rate).units for rate in (0.1, 5, 5.1, 11)] == [1, 1, 2, 3]


def test_lambda_costs_the_same_per_item_at_any_rate():
    # 0.05 s at 1,769 MB: 0.08638 GB-s, $1.43964e-6; a request of Lambda and one of the API.
    expected = 0.05 * 1769 / 1024 * 0.0000166667 + 0.0000002 + 0.000001
    assert of("lambda", 1, seconds=0.05).usd_per_item == pytest.approx(expected)
    assert of("lambda", 100, seconds=0.05).usd_per_item == pytest.approx(expected)
    assert expected == pytest.approx(2.6396e-6, rel=1e-4)


def test_the_belt_costs_what_each_of_its_services_takes():
    parts = of("lambda, belt", 1).parts
    assert parts["S3"] == pytest.approx(5.4e-6)
    assert parts["Step Functions"] == pytest.approx(1e-6 + 0.1 * 0.0625 * 0.00001667)
    assert parts["DynamoDB"] == pytest.approx(3.75e-6)  # three items, each twice, at $0.625 per million
    assert parts["log"] == pytest.approx(3.2e-6)  # 16 events of 400 bytes at $0.50 per GB
    assert "API Gateway" not in parts


def test_an_endpoint_is_paid_by_the_hour_and_grows_with_the_rate():
    # Two cores and 60 ms a photograph: 33 items a second.
    assert of("sagemaker", 1).parts["instances"] == pytest.approx(0.269 / 3600)
    assert of("sagemaker", 33).units == 1
    assert of("sagemaker", 34).units == 2
    assert of("sagemaker", 1).usd_per_item > of("lambda", 1).usd_per_item


def test_at_the_edge_only_what_is_uploaded_costs_and_goes_the_whole_way():
    assert of("edge", 3).usd_per_item == pytest.approx(0.1 * of("lambda, belt", 3).usd_per_item)


def test_fewer_hours_cost_fewer_dollars_and_the_same_per_item():
    day, shift = of("lookoutvision", 2), of("lookoutvision", 2, hours=160)
    assert shift.usd_per_month == pytest.approx(160 * 3.60)
    assert shift.usd_per_item == day.usd_per_item


@pytest.mark.parametrize(
    "given",
    [
        {"rate": 0},
        {"rate": math.inf},
        {"rate": math.nan},
        {"rate": 1, "hours": 745},
        {"rate": 1, "hours": 0},
        {"rate": 1, "seconds": 0},
    ],
)
def test_what_cannot_be_is_refused(given):
    with pytest.raises(ValueError, match="a month has at most 744 hours"):
        costs(**given)


def test_every_price_has_its_day_and_source_and_is_used():
    table = price_table()
    assert all(each.of >= dt.date(2022, 1, 1) and each.source for each in table.values())
    text = Path(cost.__file__).read_text(encoding="utf-8")
    assert [name for name in table if f'"{name}"' not in text] == []


GOOD = '[a]\nusd = 1\nof = 2026-11-21\nsource = "x"\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a", "no TOML"),
        ("a = 1", "usd, of and source"),
        (GOOD + "more = 1", "nothing else"),
        (GOOD.replace("1\n", "-1\n", 1), "0 or more"),
        (GOOD.replace("1\n", "true\n", 1), "0 or more"),
        (GOOD.replace("1\n", "nan\n", 1), "0 or more"),
        (GOOD.replace("2026-11-21", '"today"'), "the day"),
        (GOOD.replace('"x"', '""'), "its source"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text, reason):
    assert read_prices(GOOD)["a"].usd == 1
    with pytest.raises(PriceTableError, match=reason):
        read_prices(text)


def test_the_journal_writes_as_much_as_is_paid():
    """What a transaction of the journal holds for an accepted photograph in its own hour."""
    written = []

    class Counted:
        def commit(self, *actions):
            written.extend(actions)

    at = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)
    told = {"item": "i", "project": "p", "model_version": "1", "at": at.isoformat(), "arrived": at.isoformat()}
    seen = {"is_anomalous": False, "confidence": 0.9, "verdict": "accept", "brightness": 1, "sharpness": 1}
    record = Record(**told, **seen, crop_ok=True, source="s3://b/k", seconds=0.1)
    assert Journal(Counted()).record(record, at)
    assert len(written) == cost._WRITTEN
