"""Which minutes a market is open, so that a weekend is no gap and an outage is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from pandas.tseries.holiday import (
    AbstractHolidayCalendar,
    GoodFriday,
    Holiday,
    USLaborDay,
    USMartinLutherKingJr,
    USMemorialDay,
    USPresidentsDay,
    USThanksgivingDay,
    nearest_workday,
    sunday_to_monday,
)

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.errors import ParamsError

__all__ = ["CALENDARS", "Calendar", "calendar_for", "open_minutes"]

_DAY_MIN = 1440
_NEW_YORK = "America/New_York"
_FROM_17H = 7 * 60
"""New York's 17:00 becomes midnight, so that a trading day is a calendar day."""
_WORKDAYS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Calendar:
    """When bars are expected.

    Parameters
    ----------
    name : str
    about : str
        Sentence for people.
    zone : str
        IANA time zone of what follows; empty is open at all times.
    shift_min : int
        Added to the zone's clock so that a trading day lies within one calendar day, which
        names it.
    weekdays : tuple of int
        Trading days of the week, 0 is Monday.
    session : tuple of int
        Minutes of the trading day between which bars are expected.
    closed : tuple of Holiday
        Trading days without bars.
    early : tuple of Holiday
        Trading days that end early.
    early_close : int
        Minute of the trading day at which those end.
    is_every_minute : bool
        False where a bar exists only for minutes with a trade.
    quiet_s : int
        Longest time from one bar's open to the next, inside the calendar, that is ordinary for
        such sources; a longer one is named as a finding.
    """

    name: str
    about: str
    zone: str = ""
    shift_min: int = 0
    weekdays: tuple[int, ...] = _WORKDAYS
    session: tuple[int, int] = (0, _DAY_MIN)
    closed: tuple[Holiday, ...] = ()
    early: tuple[Holiday, ...] = ()
    early_close: int = _DAY_MIN
    is_every_minute: bool = True
    quiet_s: int = 300


_NEW_YEAR = Holiday("New Year", month=1, day=1)
_CHRISTMAS = Holiday("Christmas", month=12, day=25)
_THANKSGIVING_FRIDAY = Holiday(
    "Day after Thanksgiving",
    month=11,
    day=1,
    offset=[pd.offsets.WeekOfMonth(week=3, weekday=3), pd.offsets.Day(1)],
)
_CHRISTMAS_EVE = Holiday("Christmas Eve", month=12, day=24)
_US_EARLY = (
    USMartinLutherKingJr,
    USPresidentsDay,
    USMemorialDay,
    Holiday("Juneteenth", month=6, day=19, start_date="2021-06-18"),
    Holiday("Independence Day", month=7, day=4),
    USLaborDay,
    USThanksgivingDay,
    _THANKSGIVING_FRIDAY,
    _CHRISTMAS_EVE,
    Holiday("New Year's Eve", month=12, day=31),
)

_US_CLOSED = (
    Holiday("New Year", month=1, day=1, observance=sunday_to_monday),
    USMartinLutherKingJr,
    USPresidentsDay,
    GoodFriday,
    USMemorialDay,
    Holiday("Juneteenth", month=6, day=19, start_date="2022-01-01", observance=nearest_workday),
    Holiday("Independence Day", month=7, day=4, observance=nearest_workday),
    USLaborDay,
    USThanksgivingDay,
    Holiday("Christmas", month=12, day=25, observance=nearest_workday),
)

_ALL = (
    Calendar("24/7", "every minute of every day"),
    Calendar(
        "fx",
        "Sunday 17:00 to Friday 17:00 New York (21 or 22 h UTC), without Christmas and New Year; "
        "quiet minutes may carry no quote",
        zone=_NEW_YORK,
        shift_min=_FROM_17H,
        closed=(_NEW_YEAR, _CHRISTMAS),
        quiet_s=600,
    ),
    Calendar(
        "metals",
        "18:00 to 16:57 New York, Sunday to Friday, without Good Friday, Christmas and New Year; "
        "US holidays end at 13:00",
        zone=_NEW_YORK,
        shift_min=_FROM_17H,
        session=(60, _DAY_MIN - 3),
        closed=(_NEW_YEAR, _CHRISTMAS, GoodFriday),
        early=_US_EARLY,
        early_close=20 * 60,
    ),
    Calendar(
        "globex",
        "18:00 to 17:00 New York, Sunday to Friday, holidays as metals; a bar exists only where "
        "somebody traded",
        zone=_NEW_YORK,
        shift_min=_FROM_17H,
        session=(60, _DAY_MIN),
        closed=(_NEW_YEAR, _CHRISTMAS, GoodFriday),
        early=_US_EARLY,
        early_close=20 * 60,
        is_every_minute=False,
        quiet_s=3600,
    ),
    Calendar(
        "us-equities",
        "09:30 to 16:00 New York, Monday to Friday, without the exchange's holidays; 13:00 before "
        "Independence Day and Christmas and after Thanksgiving",
        zone=_NEW_YORK,
        session=(9 * 60 + 30, 16 * 60),
        closed=_US_CLOSED,
        early=(
            Holiday("Before Independence Day", month=7, day=3),
            _THANKSGIVING_FRIDAY,
            _CHRISTMAS_EVE,
        ),
        early_close=13 * 60,
    ),
    Calendar(
        "trade-only",
        "every minute of every day, but a bar exists only where somebody traded",
        is_every_minute=False,
        quiet_s=6 * 3600,
    ),
)

CALENDARS: Mapping[str, Calendar] = MappingProxyType({item.name: item for item in _ALL})
"""Name to calendar."""


def calendar_for(name: str, session: Calendar | None = None) -> Calendar:
    """The calendar of a name.

    Parameters
    ----------
    name : str
        In :data:`CALENDARS`, or ``session``.
    session : Calendar, optional
        What ``session`` stands for.

    Returns
    -------
    Calendar

    Raises
    ------
    ParamsError
        No such calendar, or ``session`` without its hours.
    """
    found = session if name == "session" else CALENDARS.get(name)
    if found is None:
        raise ParamsError("no such calendar", expected=", ".join(CALENDARS), got=repr(name))
    return found


def open_minutes(calendar: Calendar, minutes: Int1D) -> Bool1D:
    """Which minutes the calendar expects a bar for.

    Parameters
    ----------
    calendar : Calendar
    minutes : ndarray of shape (n_minutes,), int64
        Minutes since 1970 UTC, ascending.

    Returns
    -------
    ndarray of shape (n_minutes,), bool

    Examples
    --------
    Friday 2012-02-03 21:59 UTC is New York's last FX minute of the week.

    >>> friday = np.datetime64("2012-02-03T21:59").astype(np.int64)
    >>> open_minutes(CALENDARS["fx"], np.array([friday, friday + 1]))
    array([ True, False])
    """
    if not calendar.zone:
        return np.ones(len(minutes), dtype=bool)
    day, minute = _trading_time(minutes, calendar)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    is_open = np.isin(weekday, calendar.weekdays)
    is_open &= (minute >= calendar.session[0]) & (minute < calendar.session[1])
    is_open &= ~np.isin(day, _days(calendar.closed, day))
    is_early = np.isin(day, _days(calendar.early, day))
    return np.asarray(is_open & ~(is_early & (minute >= calendar.early_close)))


def _trading_time(minutes: Int1D, calendar: Calendar) -> tuple[Int1D, Int1D]:
    stamps = pd.DatetimeIndex(minutes.astype("datetime64[m]").astype("datetime64[s]"), tz="UTC")
    local = stamps.tz_convert(calendar.zone).tz_localize(None)
    shifted = local.to_numpy().astype("datetime64[m]").astype(np.int64) + calendar.shift_min
    return shifted // _DAY_MIN, shifted % _DAY_MIN


def _days(holidays: tuple[Holiday, ...], day: Int1D) -> Int1D:
    if not holidays or not len(day):
        return np.empty(0, dtype=np.int64)
    rules = AbstractHolidayCalendar(name="session", rules=list(holidays))
    first, last = (pd.Timestamp(int(day[i]), unit="D") for i in (0, -1))
    found = rules.holidays(first, last)
    return np.asarray(found.to_numpy().astype("datetime64[D]").astype(np.int64))
