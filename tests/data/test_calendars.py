"""When markets are open."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.errors import ParamsError
from mlwb.data import CALENDARS
from mlwb.data._calendars import calendar_for, open_minutes


def is_open(calendar: str, stamp: str) -> bool:
    """Whether one UTC minute is open."""
    minute = np.datetime64(stamp, "m").astype(np.int64)
    return bool(open_minutes(CALENDARS[calendar], np.array([minute]))[0])


@pytest.mark.parametrize(
    ("last_open", "first_closed"),
    [("2012-02-03T21:59", "2012-02-03T22:00"), ("2014-05-09T20:59", "2014-05-09T21:00")],
)
def test_fx_week_ends_at_five_in_new_york(last_open: str, first_closed: str) -> None:
    """22 h UTC in winter, 21 h in summer."""
    assert is_open("fx", last_open)
    assert not is_open("fx", first_closed)


@pytest.mark.parametrize(
    ("last_closed", "first_open"),
    [("2012-02-05T21:59", "2012-02-05T22:00"), ("2014-05-11T20:59", "2014-05-11T21:00")],
)
def test_fx_week_starts_on_sunday(last_closed: str, first_open: str) -> None:
    """The week begins with Sunday evening in New York."""
    assert not is_open("fx", last_closed)
    assert is_open("fx", first_open)


def test_fx_has_no_daily_break() -> None:
    """FX trades through the rollover."""
    assert is_open("fx", "2014-05-07T21:30")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-03-25T20:56", True),
        ("2026-03-25T20:57", False),
        ("2026-03-25T21:59", False),
        ("2026-03-25T22:00", True),
        ("2026-04-03T12:00", False),  # Good Friday
        ("2026-05-25T16:59", True),  # Memorial Day, New York 12:59
        ("2026-05-25T17:00", False),
        ("2026-05-25T22:00", True),
        ("2026-12-25T12:00", False),
        ("2026-11-27T17:59", True),  # the day after Thanksgiving, New York 12:59
        ("2026-11-27T18:00", False),
    ],
)
def test_metals_have_a_daily_break_and_holidays(stamp: str, *, expected: bool) -> None:
    """Dates from the exchange's published 2026 holiday calendar."""
    assert is_open("metals", stamp) is expected


@pytest.mark.parametrize("name", ["24/7", "trade-only"])
def test_round_the_clock_is_round_the_clock(name: str) -> None:
    """Christmas included."""
    assert is_open(name, "2026-12-25T03:00")


def test_an_fx_week_has_7200_minutes() -> None:
    """Five days of 24 hours, whatever the week's summer time does."""
    start = np.datetime64("2026-03-01", "m").astype(np.int64)
    minutes = start + np.arange(21 * 1440)
    assert open_minutes(CALENDARS["fx"], minutes).sum() == pytest.approx(3 * 7200, abs=60)


def test_an_unknown_calendar_is_refused() -> None:
    """The message lists the known ones."""
    with pytest.raises(ParamsError, match="trade-only"):
        calendar_for("nyse")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-07T14:30", True),
        ("2026-01-07T14:29", False),
        ("2026-01-07T20:59", True),
        ("2026-01-07T21:00", False),
        ("2026-07-08T13:30", True),  # summer time
        ("2026-01-19T15:00", False),  # Martin Luther King
        ("2026-04-03T15:00", False),  # Good Friday
        ("2026-06-19T15:00", False),  # Juneteenth
        ("2026-07-03T15:00", False),  # Independence Day falls on a Saturday
        ("2023-01-02T15:00", False),  # New Year on a Sunday
        ("2021-12-31T15:00", True),  # New Year on a Saturday is not made up for
        ("2025-07-03T16:59", True),
        ("2025-07-03T17:00", False),
        ("2026-11-27T17:59", True),
        ("2026-11-27T18:00", False),
        ("2026-12-24T18:00", False),
        ("2026-10-12T15:00", True),  # Columbus Day is a trading day
    ],
)
def test_us_equities_keep_the_exchanges_hours(stamp: str, *, expected: bool) -> None:
    """Dates as the New York Stock Exchange publishes them."""
    assert is_open("us-equities", stamp) is expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-05T21:59", True),
        ("2026-01-05T22:30", False),
        ("2026-01-05T23:00", True),
        ("2026-01-09T22:00", False),
        ("2026-01-11T23:00", True),
    ],
)
def test_globex_has_an_hours_break(stamp: str, *, expected: bool) -> None:
    """17:00 to 18:00 New York, and a weekend; a bar needs a trade."""
    assert is_open("globex", stamp) is expected
    assert not CALENDARS["globex"].is_every_minute
