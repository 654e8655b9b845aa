"""Partition projection: partitions computed from a table's parameters instead of read from the catalog.

Format: "Partition projection with Amazon Athena" in the user guide (`projection.<column>.type` and friends).
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from localaws.engines.athena.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 1_000_000
_JAVA = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def enabled(parameters: Mapping[str, str]) -> bool:
    return parameters.get("projection.enabled", "").lower() == "true"


def partitions(
    keys: list[str],
    parameters: Mapping[str, str],
    location: str,
    wanted: Mapping[str, set[str]],
    now: datetime | None = None,
) -> list[tuple[tuple[str, ...], str]]:
    """Values and location of every projected partition that the query's equality conditions leave.

    Args:
        keys: partition columns in order.
        parameters: the table's parameters.
        location: the table's location, for tables without `storage.location.template`.
        wanted: per column the only values the query can need.
        now: what NOW means in a date range; the present by default.

    Raises:
        SqlError: INVALID_TABLE_PROPERTY names the parameter that is missing or wrong; CONSTRAINT_VIOLATION an injected
            column the query does not fix.
    """
    settings = {name.lower(): value for name, value in parameters.items()}
    choices = [_values(key, settings, wanted.get(key), now or datetime.now(UTC)) for key in keys]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > MOST:
        raise SqlError(
            "INVALID_TABLE_PROPERTY", f"Projection would give {total} partitions, more than {MOST}: narrow the query"
        )
    template = parameters.get("storage.location.template")
    if template is None:
        template = location.rstrip("/") + "".join(f"/{key}=${{{key}}}" for key in keys) + "/"
    missing = [key for key in keys if f"${{{key}}}" not in template]
    if missing:
        raise SqlError(
            "INVALID_TABLE_PROPERTY", f"storage.location.template does not use the partition columns {missing}"
        )
    made = []
    for values in itertools.product(*choices):
        place = template
        for key, value in zip(keys, values, strict=True):
            place = place.replace(f"${{{key}}}", value)
        made.append((values, place))
    return made


def _values(key: str, settings: Mapping[str, str], wanted: set[str] | None, now: datetime) -> list[str]:
    def setting(name: str, default: str | None = None) -> str:
        value = settings.get(f"projection.{key}.{name}", default)
        if value is None:
            raise SqlError("INVALID_TABLE_PROPERTY", f"Table property projection.{key}.{name} is missing")
        return value

    kind = setting("type").lower()
    if kind == "injected":
        if not wanted:
            raise SqlError(
                "CONSTRAINT_VIOLATION",
                f"For the injected projected partition column {key}, the WHERE clause must contain only static "
                "equality conditions, and at least one such condition must be present",
            )
        return sorted(wanted)
    if kind == "enum":
        found: Iterable[str] = [value.strip() for value in setting("values").split(",")]
    elif kind == "integer":
        found = _integers(setting("range"), int(setting("interval", "1")), int(setting("digits", "0")))
    elif kind == "date":
        found = _dates(setting, now)
    else:
        raise SqlError(
            "INVALID_TABLE_PROPERTY", f"projection.{key}.type = {kind}: expected enum, integer, date or injected"
        )
    numbers = kind == "integer" and wanted is not None
    if numbers:
        digits = int(setting("digits", "0"))
        wanted = {value.zfill(digits) for value in wanted or ()}
    return [value for value in found if wanted is None or value in wanted]


def _integers(text: str, step: int, digits: int) -> list[str]:
    low, _, high = text.partition(",")
    return [str(number).zfill(digits) for number in range(int(low), int(high) + 1, step)]


def _dates(setting: object, now: datetime) -> list[str]:
    assert callable(setting)
    java = setting("format")
    pattern = re.sub("yyyy|MM|dd|HH|mm|ss|'[^']*'", lambda m: _JAVA.get(m[0], m[0].strip("'")), java)
    units = {
        "YEARS": 365 * 86400,
        "MONTHS": 0,
        "WEEKS": 604800,
        "DAYS": 86400,
        "HOURS": 3600,
        "MINUTES": 60,
        "SECONDS": 1,
    }
    fine = "HOURS" if "HH" in java else "DAYS" if "dd" in java else "MONTHS" if "MM" in java else "YEARS"
    unit = setting("interval.unit", fine).upper()
    step = int(setting("interval", "1"))
    if unit not in units:
        raise SqlError("INVALID_TABLE_PROPERTY", f"Unknown projection interval unit {unit}")
    low, _, high = setting("range").partition(",")
    start, end = (_moment(text.strip(), pattern, now) for text in (low, high))
    made: list[str] = []
    while start <= end and len(made) <= MOST:
        made.append(start.strftime(pattern))
        if unit in ("MONTHS", "YEARS"):
            months = start.year * 12 + start.month - 1 + step * (12 if unit == "YEARS" else 1)
            start = start.replace(year=months // 12, month=months % 12 + 1)
        else:
            start += timedelta(seconds=step * units[unit])
    return made


def _moment(text: str, pattern: str, now: datetime) -> datetime:
    """`NOW`, `NOW-3YEARS` or a date in the column's own format."""
    relative = re.fullmatch(r"NOW\s*(?:([+-])\s*(\d+)\s*([A-Z]+?)S?)?", text.upper())
    if not relative:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError as error:
            raise SqlError("INVALID_TABLE_PROPERTY", f"Projection range: {error}") from error
    if not relative[1]:
        return now
    amount = int(relative[2]) * (1 if relative[1] == "+" else -1)
    if relative[3] in ("YEAR", "MONTH"):
        months = now.year * 12 + now.month - 1 + amount * (12 if relative[3] == "YEAR" else 1)
        return now.replace(year=months // 12, month=months % 12 + 1, day=min(now.day, 28))
    seconds = {"WEEK": 604800, "DAY": 86400, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}
    if relative[3] not in seconds:
        raise SqlError("INVALID_TABLE_PROPERTY", f"Unknown unit in projection range {text!r}")
    return now + timedelta(seconds=amount * seconds[relative[3]])
