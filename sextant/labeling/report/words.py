"""Numbers, durations and names as the console prints them (web/app/format.js)."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sextant.labeling.dashboards.model import Unit

NOTHING = "–"  # noqa: RUF001  an en dash, as the console prints it
_MINUTE, _HOUR = 60, 3600


def text(found: Any, unit: Unit) -> str:
    """A value of a measure with its unit; a dash where there is none."""
    if found is None:
        return NOTHING
    if not isinstance(found, (int, float)):
        return moment(found) if unit == "timestamp" else str(found)
    match unit:
        case "seconds":
            return duration(found)
        case "share":
            return f"{100 * found:.1f} %"
        case "rate":
            return f"{found:,.1f}"
        case "number":
            return f"{found:,.3f}"
        case "usd":
            return f"${found:,.2f}"
        case _:
            return f"{found:,.0f}"


def moment(instant: str) -> str:
    """`02 Mar 2026, 20:00 UTC`, of an answer's ISO 8601."""
    return f"{dt.datetime.fromisoformat(instant):%d %b %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """`12.3 s`, `4 min 5 s`, `3 h 20 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    total = round(seconds)
    hours, minutes, rest = total // _HOUR, total % _HOUR // _MINUTE, total % _MINUTE
    if hours:
        return f"{hours:,} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def group(found: Any) -> str:
    """What a group is called: a missing value and an empty one are things a reader may see."""
    if found is None:
        return "not recorded"
    return "(empty)" if found == "" else str(found)


def natural(found: Any) -> tuple[bool, list[tuple[int, int, str]]]:
    """Sorts `2` before `10`, and what is not recorded last."""
    parts = re.split(r"(\d+)", group(found))
    return found is None, [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def alias(reference: str) -> str:
    """The column of a dimension or attribute in an answer: `label_attribute.moving` is `moving`."""
    return reference.rpartition(".")[2]
