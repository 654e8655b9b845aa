"""AWS cron expressions: `cron(minutes hours day-of-month month day-of-week year)`, in UTC.

Format: AWS Glue developer guide, "Time-based schedules for jobs and crawlers". `rate(…)` is not valid in Glue and two
firings must be at least five minutes apart.
"""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
import re
from dataclasses import dataclass

from localaws.home import ServiceError

MONTHS = {name.upper(): at for at, name in enumerate(calendar.month_abbr) if name}
# AWS counts Sunday as 1.
WEEKDAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minutes", 0, 59, {}),
    ("hours", 0, 23, {}),
    ("day-of-month", 1, 31, {}),
    ("month", 1, 12, MONTHS),
    ("day-of-week", 1, 7, WEEKDAYS),
    ("year", 1970, 2199, {}),
)
MINIMUM_GAP = 5


@dataclass(frozen=True)
class Cron:
    """A parsed expression. `month_day` and `week_day` are the special forms (`L`, `15W`, `6L`, `2#1`) or empty."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]
    month_day: str = ""
    week_day: str = ""

    def on(self, day: dt.date) -> bool:
        """Whether it fires at some time of the day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.month_day:
            return day.day == _special_month_day(self.month_day, day)
        if self.week_day:
            return _special_week_day(self.week_day, day)
        return day.day in self.days and _weekday(day) in self.weekdays

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The first firing strictly after a moment (UTC), or None when there is none up to 2199."""
        moment = moment.astimezone(dt.UTC)
        start = moment.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        for year in range(start.year, 2200):
            if year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for number in range(1, calendar.monthrange(year, month)[1] + 1):
                    day = dt.date(year, month, number)
                    if day < start.date() or not self.on(day):
                        continue
                    found = self._first_time(day, start)
                    if found is not None:
                        return found
        return None

    def _first_time(self, day: dt.date, start: dt.datetime) -> dt.datetime | None:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                moment = dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=dt.UTC)
                if moment >= start:
                    return moment
        return None


def _weekday(day: dt.date) -> int:
    return day.isoweekday() % 7 + 1


def _special_month_day(form: str, day: dt.date) -> int:
    last = calendar.monthrange(day.year, day.month)[1]
    if form == "L":
        return last
    target = dt.date(day.year, day.month, last if form == "LW" else min(int(form[:-1]), last))
    if form != "LW" and int(form[:-1]) > last:
        return 0
    # The nearest working day without leaving the month.
    if target.isoweekday() == 6:
        return target.day - 1 if target.day > 1 else target.day + 2
    if target.isoweekday() == 7:
        return target.day + 1 if target.day < last else target.day - 2
    return target.day


def _special_week_day(form: str, day: dt.date) -> bool:
    if form.endswith("L"):
        last = calendar.monthrange(day.year, day.month)[1]
        return _weekday(day) == int(form[:-1]) and day.day > last - 7
    weekday, _, nth = form.partition("#")
    return _weekday(day) == int(weekday) and (day.day - 1) // 7 + 1 == int(nth)


def _invalid(expression: str, reason: str) -> ServiceError:
    return ServiceError("InvalidInputException", f"The schedule {expression!r} is not valid: {reason}")


def _numbers(expression: str, text: str, field: tuple[str, int, int, dict[str, int]]) -> frozenset[int]:
    name, low, high, names = field
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
        if match is None:
            raise _invalid(expression, f"{name} {part!r} is no number, range or step")
        first, last, step = match.groups()
        try:
            start = low if first == "*" else names[first] if first in names else int(first)
            end = (names[last] if last in names else int(last)) if last else high if first == "*" or step else start
        except ValueError:
            raise _invalid(expression, f"{name} {part!r} is no number, range or step") from None
        if first == "*" and last:
            raise _invalid(expression, f"{name} {part!r} is no range")
        if not low <= start <= end <= high or (step is not None and int(step) == 0):
            raise _invalid(expression, f"{name} {part!r} is outside {low} to {high}")
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def parse(expression: str) -> Cron:
    """Reads `cron(…)`.

    Raises:
        ServiceError: InvalidInputException naming the field that is wrong.
    """
    match = re.fullmatch(r"\s*cron\((.*)\)\s*", expression, re.DOTALL)
    if match is None:
        raise _invalid(
            expression, "Glue takes cron(minutes hours day-of-month month day-of-week year), rate() does not exist"
        )
    parts = match.group(1).upper().split()
    if len(parts) != 6:
        raise _invalid(expression, f"it has {len(parts)} fields instead of 6")
    month_day, week_day = parts[2], parts[4]
    if (month_day == "?") == (week_day == "?"):
        raise _invalid(expression, "exactly one of day-of-month and day-of-week must be ?")
    special_month = month_day if re.fullmatch(r"L|LW|\d{1,2}W", month_day) else ""
    if special_month not in ("", "L", "LW") and not 1 <= int(special_month[:-1]) <= 31:
        raise _invalid(expression, f"day-of-month {month_day!r} is outside 1 to 31")
    for name, number in WEEKDAYS.items():
        week_day = re.sub(rf"\b{name}(?=L$|#)", str(number), week_day)
    special_week = week_day if re.fullmatch(r"[1-7]L|[1-7]#[1-5]", week_day) else ""
    if week_day == "L":
        week_day = "7"
    texts = [
        parts[0],
        parts[1],
        "*" if month_day == "?" or special_month else month_day,
        parts[3],
        "*" if week_day == "?" or special_week else week_day,
        parts[5],
    ]
    minutes, hours, days, months, weekdays, years = (
        _numbers(expression, text, field) for text, field in zip(texts, FIELDS, strict=True)
    )
    ordered = sorted(minutes)
    gaps = [b - a for a, b in itertools.pairwise(ordered)]
    if len(hours) > 1:
        gaps.append(ordered[0] + 60 - ordered[-1])
    if any(gap < MINIMUM_GAP for gap in gaps):
        raise _invalid(expression, "it would fire more often than every five minutes")
    return Cron(minutes, hours, days, months, weekdays, years, special_month, special_week)
