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
)

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.errors import ParamsError

__all__ = ["CALENDARS", "Calendar", "calendar_for", "open_minutes"]

_DAY_MIN = 1440
_CLOSE_SHIFT_H = 7
"""New York's 17:00 becomes midnight, so that a trading day is a calendar day."""
_EARLY_CLOSE_MIN = 20 * 60
"""13:00 New York on the shifted clock: US metals and rates stop then on a holiday."""


@dataclass(frozen=True)
class Calendar:
    """When bars are expected.

    Parameters
    ----------
    name : str
    about : str
        Sentence for people.
    weekly : bool
        Closed from Friday 17:00 to Sunday 17:00 New York.
    session : tuple of int
        Minutes of the trading day (0 = 17:00 New York) between which bars are expected.
    closed : tuple of Holiday
        Trading days without bars.
    early : tuple of Holiday
        Trading days that end at 13:00 New York.
    is_every_minute : bool
        False where a bar exists only for minutes with a trade.
    quiet_s : int
        Longest time from one bar's open to the next, inside the calendar, that is ordinary for
        such sources; a longer one is named as a finding.
    """

    name: str
    about: str
    weekly: bool = False
    session: tuple[int, int] = (0, _DAY_MIN)
    closed: tuple[Holiday, ...] = ()
    early: tuple[Holiday, ...] = ()
    is_every_minute: bool = True
    quiet_s: int = 300


_NEW_YEAR = Holiday("New Year", month=1, day=1)
_CHRISTMAS = Holiday("Christmas", month=12, day=25)
_US_EARLY = (
    USMartinLutherKingJr,
    USPresidentsDay,
    USMemorialDay,
    Holiday("Juneteenth", month=6, day=19, start_date="2021-06-18"),
    Holiday("Independence Day", month=7, day=4),
    USLaborDay,
    USThanksgivingDay,
    Holiday(
        "Day after Thanksgiving",
        month=11,
        day=1,
        offset=[pd.offsets.WeekOfMonth(week=3, weekday=3), pd.offsets.Day(1)],
    ),
    Holiday("Christmas Eve", month=12, day=24),
    Holiday("New Year's Eve", month=12, day=31),
)

CALENDARS: Mapping[str, Calendar] = MappingProxyType(
    {
        "24/7": Calendar("24/7", "every minute of every day"),
        "fx": Calendar(
            "fx",
            "Sunday 17:00 to Friday 17:00 New York (21 or 22 h UTC), without Christmas and "
            "New Year; quiet minutes may carry no quote",
            weekly=True,
            closed=(_NEW_YEAR, _CHRISTMAS),
            quiet_s=600,
        ),
        "metals": Calendar(
            "metals",
            "18:00 to 16:57 New York, Sunday to Friday, without Good Friday, Christmas and New "
            "Year; US holidays end at 13:00",
            weekly=True,
            session=(60, _DAY_MIN - 3),
            closed=(_NEW_YEAR, _CHRISTMAS, GoodFriday),
            early=_US_EARLY,
        ),
        "trade-only": Calendar(
            "trade-only",
            "every minute of every day, but a bar exists only where somebody traded",
            is_every_minute=False,
            quiet_s=6 * 3600,
        ),
    }
)
"""Name to calendar."""


def calendar_for(name: str) -> Calendar:
    """The calendar of a name.

    Raises
    ------
    ParamsError
        No such calendar.
    """
    try:
        return CALENDARS[name]
    except KeyError as error:
        raise ParamsError(
            "no such calendar", expected=", ".join(CALENDARS), got=repr(name)
        ) from error


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
    if not calendar.weekly:
        return np.ones(len(minutes), dtype=bool)
    day, minute = _trading_time(minutes)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    is_open = (weekday < 5) & (minute >= calendar.session[0]) & (minute < calendar.session[1])
    is_open &= ~np.isin(day, _days(calendar.closed, day))
    is_early = np.isin(day, _days(calendar.early, day))
    return np.asarray(is_open & ~(is_early & (minute >= _EARLY_CLOSE_MIN)))


def _trading_time(minutes: Int1D) -> tuple[Int1D, Int1D]:
    stamps = pd.DatetimeIndex(minutes.astype("datetime64[m]").astype("datetime64[s]"), tz="UTC")
    local = stamps.tz_convert("America/New_York").tz_localize(None)
    shifted = local.to_numpy().astype("datetime64[m]").astype(np.int64) + _CLOSE_SHIFT_H * 60
    return shifted // _DAY_MIN, shifted % _DAY_MIN


def _days(holidays: tuple[Holiday, ...], day: Int1D) -> Int1D:
    if not holidays or not len(day):
        return np.empty(0, dtype=np.int64)
    rules = AbstractHolidayCalendar(name="session", rules=list(holidays))
    first, last = (pd.Timestamp(int(day[i]), unit="D") for i in (0, -1))
    found = rules.holidays(first, last)
    return np.asarray(found.to_numpy().astype("datetime64[D]").astype(np.int64))
