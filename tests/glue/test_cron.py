import calendar
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.engines.glue.cron import parse
from localaws.home import ServiceError

UTC = dt.UTC


def after(expression, *moment):
    found = parse(expression).after(dt.datetime(*moment, tzinfo=UTC))
    return found and found.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("cron(0 * * * ? *)", (2026, 11, 21, 8, 0), "2026-11-21 09:00"),
        ("cron(15 12 * * ? *)", (2026, 11, 21, 12, 15), "2026-11-22 12:15"),
        ("cron(0/15 8-9 ? * MON-FRI *)", (2026, 11, 20, 9, 50), "2026-11-23 08:00"),  # Friday evening to Monday
        ("cron(0 0 29 2 ? *)", (2026, 1, 1, 0, 0), "2028-02-29 00:00"),
        ("cron(0 18 L * ? *)", (2026, 2, 1, 0, 0), "2026-02-28 18:00"),
        ("cron(0 0 LW * ? *)", (2026, 5, 1, 0, 0), "2026-05-29 00:00"),  # the 31st is a Sunday
        ("cron(0 0 15W * ? *)", (2026, 8, 1, 0, 0), "2026-08-14 00:00"),  # the 15th is a Saturday
        ("cron(0 0 1W * ? *)", (2026, 8, 1, 0, 0), "2026-08-03 00:00"),  # does not leave the month
        ("cron(0 0 ? * 6L *)", (2026, 11, 1, 0, 0), "2026-11-27 00:00"),  # last Friday
        ("cron(0 0 ? * MON#2 *)", (2026, 11, 1, 0, 0), "2026-11-09 00:00"),
        ("cron(0 0 ? * 1 *)", (2026, 11, 21, 0, 0), "2026-11-22 00:00"),  # 1 is Sunday
        ("cron(0 0 1 1 ? 2024)", (2026, 1, 1, 0, 0), None),
    ],
)
def test_next_firing(expression, moment, expected):
    assert after(expression, *moment) == expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("rate(5 minutes)", "rate"),
        ("cron(0 * * * ?)", "5 fields"),
        ("cron(0 * * * * *)", "must be ?"),
        ("cron(0 * ? * ? *)", "must be ?"),
        ("cron(60 * * * ? *)", "minutes"),
        ("cron(0 24 * * ? *)", "hours"),
        ("cron(0 0 32 * ? *)", "day-of-month"),
        ("cron(0 0 ? * FOO *)", "day-of-week"),
        ("cron(*/1 * * * ? *)", "five minutes"),
        ("cron(0,58 * * * ? *)", "five minutes"),
        ("cron(0 0 ? * 2#6 *)", "day-of-week"),
        ("cron(0 0 40W * ? *)", "day-of-month"),
        ("cron(10-5 0 * * ? *)", "minutes"),
    ],
)
def test_refused_with_the_field_named(expression, reason):
    with pytest.raises(ServiceError, match=reason.replace("?", r"\?")) as error:
        parse(expression)
    assert error.value.code == "InvalidInputException"


minutes = st.integers(0, 59)
hours = st.integers(0, 23)
moments = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(minutes, hours, st.integers(1, 31), moments)
def test_firing_is_the_first_moment_that_matches(minute, hour, day, moment):
    found = parse(f"cron({minute} {hour} {day} * ? *)").after(moment)
    assert found > moment
    assert (found.minute, found.hour, found.day) == (minute, hour, day)
    # Nothing between: every earlier month has no such day, or its moment is not after.
    year, month = moment.year, moment.month
    while (year, month) < (found.year, found.month):
        if day <= calendar.monthrange(year, month)[1]:
            assert dt.datetime(year, month, day, hour, minute, tzinfo=UTC) <= moment
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


@given(
    st.sets(hours, min_size=1),
    st.sets(st.sampled_from(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]), min_size=1),
    moments,
)
def test_agrees_with_stepping_through_the_hours(at, weekdays, moment):
    found = parse(f"cron(0 {','.join(map(str, sorted(at)))} ? * {','.join(sorted(weekdays))} *)").after(moment)
    step = moment.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    while not (step.hour in at and step.strftime("%a").upper() in weekdays):
        step += dt.timedelta(hours=1)
    assert found == step
