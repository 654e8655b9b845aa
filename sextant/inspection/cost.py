"""What one inspected item costs, by what answers: prices of `sextant/inspection/prices.toml` times what an item needs.

It is the price of answering and, where photographs come through the belt, of bringing and keeping the verdict. Cameras,
network and people are not in it, nor is the training, which is paid once for a model and not for an item. Of logs only
the state machine's is: it writes every transition; the functions' few lines are a tenth of it.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HOURS = 730.0
"""Of an average month."""
PHOTOGRAPH_SECONDS = 0.06
"""CPU time of one photograph at 320 px: what this product promises at most; `sextant bench inspection` measures it."""
LAMBDA_GB = 1769 / 1024
"""The functions' memory: the amount with which Lambda gives one whole vCPU."""
RECORD_SECONDS, RECORD_GB = 0.03, 0.25
"""Of the function that writes the verdict down."""
UNIT_RATE = 5.0
"""Items per second of an inference unit of the service, by the original post."""
INSTANCE_VCPUS = 4
"""Of the instance in the table. Two vCPUs are one core, so it computes two photographs at a time."""
UPLOADED = 0.1
"""The share of items whose photographs an edge device uploads: what goes to review, and a random sample."""
_EXPRESS_GB = 64 / 1024
_EXPRESS_STEP = 0.1
_WRITTEN = 3
"""Items of the table that an accepted photograph's transaction writes: the verdict, where the photograph's verdict is,
and its absence from the quarantine. A deletion of nothing is paid, too; what waits for a person or is told is one more.
"""
_LOGGED_GB = 16 * 400e-9
"""Of the state machine's log: entered, scheduled, started, succeeded and left for both functions, two for each of the
other two states, begun and ended; about 400 bytes each by AWS's format of them, without the photograph's data."""


class PriceTableError(ValueError):
    """The price table cannot be used. The message names the entry and the reason."""


@dataclass(frozen=True)
class Price:
    """US dollars, the day they are of, and where they are from."""

    usd: float
    of: date
    source: str


@dataclass(frozen=True)
class Cost:
    """Of one backend. `parts` are US dollars per item; `units` is how many run at once, 0 where nothing is rented.

    `words` tells what was assumed.
    """

    backend: str
    parts: Mapping[str, float]
    units: int
    items_per_month: float
    words: str

    @property
    def usd_per_item(self) -> float:
        """All parts."""
        return sum(self.parts.values())

    @property
    def usd_per_thousand(self) -> float:
        """Of 1,000 items."""
        return 1000 * self.usd_per_item

    @property
    def usd_per_month(self) -> float:
        """Of all items of a month."""
        return self.usd_per_item * self.items_per_month


@cache
def price_table() -> Mapping[str, Price]:
    """The price table of this package, by name.

    Raises:
        PriceTableError: see `read_prices`.
    """
    return read_prices(files("sextant.inspection").joinpath("prices.toml").read_text(encoding="utf-8"))


def read_prices(text: str) -> Mapping[str, Price]:
    """A price table from TOML: per name `usd`, `of` (a day) and `source`.

    Raises:
        PriceTableError: it is no TOML, or an entry lacks something or has a price that is no number from 0 on.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceTableError(f"prices.toml is no TOML: {error}") from error
    return {name: _price(name, given) for name, given in table.items()}


def _price(name: str, given: Any) -> Price:
    if not isinstance(given, dict) or given.keys() != {"usd", "of", "source"}:
        raise PriceTableError(f"prices.toml: [{name}] has usd, of and source, and nothing else")
    usd, of, source = given["usd"], given["of"], given["source"]
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd < float("inf"):
        raise PriceTableError(f"prices.toml: {name} is {usd!r}, and should be US dollars, 0 or more")
    if not isinstance(of, date) or not isinstance(source, str) or not source:
        raise PriceTableError(f"prices.toml: [{name}] needs the day of its price, such as 2026-11-21, and its source")
    return Price(float(usd), of, source)


def costs(rate: float, hours: float = HOURS, seconds: float = PHOTOGRAPH_SECONDS) -> list[Cost]:
    """The cost of an item with each backend.

    Args:
        rate: items per second, while the belt runs.
        hours: of a month in which the belt runs, and with it what is rented by the hour.
        seconds: CPU time of one photograph.

    Raises:
        ValueError: one of them is not above 0, or a month has not so many hours.
    """
    if not (0 < rate < math.inf and 0 < hours <= 744 and 0 < seconds < math.inf):
        raise ValueError(
            f"rate {rate:g} items/s, {hours:g} hours a month, {seconds:g} s a photograph: all are above 0, and a month "
            "has at most 744 hours"
        )
    prices = {name: price.usd for name, price in price_table().items()}
    items = rate * 3600 * hours
    units = math.ceil(rate / UNIT_RATE)
    instances = math.ceil(rate * seconds / (INSTANCE_VCPUS / 2))
    api = {"API Gateway": prices["api_request"]}
    compute = {"Lambda": prices["lambda_request"] + seconds * LAMBDA_GB * prices["lambda_gb_second"]}
    belt = {**compute, **_belt(prices, seconds)}
    waiting = {"Lambda": prices["lambda_request"] + 2 * seconds * LAMBDA_GB * prices["lambda_gb_second"]}
    return [
        Cost(
            "lookoutvision",
            {"inference units": _rented(prices["lookout_for_vision"], units, rate)},
            units,
            items,
            f"Amazon Lookout for Vision, as it was: {UNIT_RATE:g} items/s per inference unit",
        ),
        Cost(
            "lambda",
            {**api, **compute},
            0,
            items,
            f"DetectAnomalies on Lambda: {seconds:g} s at {LAMBDA_GB:.2f} GB; a photograph up to 512 KB",
        ),
        Cost(
            "lambda, belt",
            belt,
            0,
            items,
            "the same for photographs put into the bucket: event, state machine, verdict kept",
        ),
        Cost(
            "sagemaker",
            {**api, **waiting, "instances": _rented(prices["sagemaker_hour"], instances, rate)},
            instances,
            items,
            f"DetectAnomalies by an endpoint on ml.m5.xlarge: {INSTANCE_VCPUS / 2 / seconds:.0f} items/s per instance",
        ),
        Cost(
            "edge",
            {name: UPLOADED * usd for name, usd in belt.items()},
            0,
            items,
            f"a device in the line decides; {UPLOADED:.0%} of the photographs go through the bucket, as above; the "
            "device is yours",
        ),
    ]


def _rented(usd_per_hour: float, units: int, rate: float) -> float:
    return usd_per_hour * units / (3600 * rate)


def _belt(prices: Mapping[str, float], seconds: float) -> dict[str, float]:
    """What the way through the bucket adds. Events of AWS's own services are free on EventBridge."""
    record = prices["lambda_request"] + RECORD_SECONDS * RECORD_GB * prices["lambda_gb_second"]
    duration = math.ceil((seconds + RECORD_SECONDS) / _EXPRESS_STEP) * _EXPRESS_STEP
    return {
        "S3": prices["s3_put"] + prices["s3_get"],
        "Step Functions": prices["express_request"] + duration * _EXPRESS_GB * prices["express_gb_second"],
        "recording": record,
        "DynamoDB": 2 * _WRITTEN * prices["dynamodb_write"],  # a transaction writes each twice
        "log": _LOGGED_GB * prices["log_gb"],
    }
