"""What labeling cost: objects, hours and answers times the prices of `sextant/labeling/prices.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

Rows: TypeAlias = "list[dict[str, Any]]"


class PriceTableError(ValueError):
    """The price table cannot be used. The message names the entry and the reason."""


@dataclass(frozen=True)
class Prices:
    """US dollars. `service` has the tiers (up to how many objects of a month, price), the last without an end."""

    of: date
    service: tuple[tuple[float, float], ...]
    public: Mapping[str, float]


@cache
def price_table() -> Prices:
    """The price table of this package.

    Raises:
        PriceTableError: see `read_prices`.
    """
    return read_prices(files("sextant.labeling").joinpath("prices.toml").read_text(encoding="utf-8"))


def read_prices(text: str) -> Prices:
    """A price table from TOML: `of`, `[[service]]` with `up_to` and `usd`, `[public]` by task type.

    Raises:
        PriceTableError: it is no TOML, lacks an entry, a price is no number from 0 on, or the tiers do not rise.
    """
    try:
        table = tomllib.loads(text)
        tiers = tuple((float(each.get("up_to", "inf")), _price(each["usd"], "service")) for each in table["service"])
        public = {name: _price(each, f"public.{name}") for name, each in table["public"].items()}
        of = table["of"]
    except tomllib.TOMLDecodeError as error:
        raise PriceTableError(f"prices.toml is no TOML: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise PriceTableError(f"prices.toml lacks {error}: it has of, [[service]] with usd, and [public]") from error
    if not isinstance(of, date):
        raise PriceTableError(f"prices.toml: of is {of!r}, and should be the day of the prices, such as 2026-11-21")
    bounds = [0.0, *(up_to for up_to, _ in tiers)]
    if not all(low < high for low, high in pairwise(bounds)) or bounds[-1] != float("inf"):
        raise PriceTableError("prices.toml: the tiers of [[service]] rise, and only the last has no up_to")
    return Prices(of, tiers, public)


def _price(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise PriceTableError(f"prices.toml: {name} is {value!r}, and should be US dollars, 0 or more")
    return float(value)


def service_usd(count: float, before: float, prices: Prices) -> float:
    """What the service takes for so many objects when `before` have been labeled in the same month."""
    amount, low = 0.0, 0.0
    for up_to, usd in prices.service:
        amount += usd * max(min(before + count, up_to) - max(before, low), 0.0)
        low = up_to
    return amount


def compute(job: pa.Table) -> dict[str, Rows]:
    """What one job cost; nothing of a kind whose price nobody knows, such as labor without a wage.

    Args:
        job: rows of `cost.sql`.

    Returns:
        Rows of table cost.
    """
    prices = price_table()
    rows: Rows = []
    for row in job.to_pylist():
        count, before, wage = row["unit_count"], row.pop("units_before"), row.pop("wage_usd_per_hour")
        match row["kind"]:
            case "service":
                amount: float | None = service_usd(count, before, prices)
            case "public":
                price = prices.public.get(row["task_type"])
                amount = None if price is None else price * count
            case _:
                amount = None if wage is None else wage * count
        if amount is not None:
            rows.append({**row, "amount_usd": amount, "unit_price_usd": amount / count, "prices_of": prices.of})
    return {"cost": rows}
