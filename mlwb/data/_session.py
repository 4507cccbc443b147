"""Opening hours a user writes in a YAML profile, as a calendar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pandas.tseries.holiday import Holiday

from mlwb.core.errors import ParamsError, UnknownParameterError
from mlwb.data._calendars import Calendar

__all__ = ["parse_session", "session_values"]

_DAY_MIN = 1440
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MAX_QUIET_MIN = 7 * _DAY_MIN


def parse_session(values: Mapping[str, Any], *, file: str) -> Calendar:
    """The calendar of a ``session:`` mapping.

    Parameters
    ----------
    values : mapping
        ``zone``, ``opens`` and ``closes`` (``HH:MM`` on the zone's clock; hours that run past
        midnight belong to the day they close on), and optionally ``days`` (``[mon, ..]``),
        ``holidays`` and ``early`` (dates), ``early_closes`` (``HH:MM``), ``every_minute``
        (false where a bar needs a trade), ``quiet_min`` (longest ordinary gap).
    file : str
        What messages call the YAML file.

    Returns
    -------
    Calendar
        Named ``session``.

    Raises
    ------
    ParamsError
        A key is missing or unknown, or a value is not of its form.

    Examples
    --------
    >>> hours = {"zone": "Europe/London", "opens": "08:00", "closes": "16:30"}
    >>> parse_session(hours, file="lse.yml").about
    '08:00 to 16:30 Europe/London, mon tue wed thu fri, 0 holidays'
    """
    missing = sorted({"zone", "opens", "closes"} - set(values))
    unknown = sorted(set(values) - set(_READ))
    if missing:
        raise ParamsError(f"{file}: session has no {missing[0]}", expected=f"{missing[0]}: ...")
    if unknown:
        raise UnknownParameterError(
            f"{file}: unknown key session.{unknown[0]}", expected=", ".join(sorted(_READ))
        )
    read = dict(_DEFAULTS)
    for key, value in values.items():
        read[key] = _read(key, value, file)
    if read["early"] and "early_closes" not in values:
        raise ParamsError(f"{file}: session has early days and no early_closes", expected=_CLOCK)
    return _calendar(read, f"{values['opens']} to {values['closes']} {values['zone']}")


def session_values(calendar: Calendar) -> dict[str, Any]:
    """The mapping that :func:`parse_session` makes a session's calendar of.

    Parameters
    ----------
    calendar : Calendar
        From :func:`parse_session`.

    Returns
    -------
    dict
        Plain values, ready for YAML or JSON.
    """
    found: dict[str, Any] = {
        "zone": calendar.zone,
        "opens": _text(calendar.session[0] - calendar.shift_min),
        "closes": _text(calendar.session[1] - calendar.shift_min),
        "days": [_DAYS[day] for day in calendar.weekdays],
        "holidays": [day.name for day in calendar.closed],
        "every_minute": calendar.is_every_minute,
        "quiet_min": calendar.quiet_s // 60,
    }
    if calendar.early:
        found["early"] = [day.name for day in calendar.early]
        found["early_closes"] = _text(calendar.early_close - calendar.shift_min)
    return found


def _text(minute: int) -> str:
    return f"{minute % _DAY_MIN // 60:02d}:{minute % 60:02d}"


def _calendar(read: Mapping[str, Any], hours: str) -> Calendar:
    opens, closes = read["opens"], read["closes"] or _DAY_MIN
    shift = 0 if opens < closes else _DAY_MIN - opens
    length = (closes - opens) % _DAY_MIN or _DAY_MIN
    begin = (opens + shift) % _DAY_MIN
    days = " ".join(_DAYS[day] for day in read["days"])
    return Calendar(
        "session",
        f"{hours}, {days}, {len(read['holidays'])} holidays",
        zone=read["zone"],
        shift_min=shift,
        weekdays=read["days"],
        session=(begin, begin + length),
        closed=read["holidays"],
        early=read["early"],
        early_close=(read["early_closes"] + shift) % _DAY_MIN or _DAY_MIN,
        is_every_minute=read["every_minute"],
        quiet_s=60 * read["quiet_min"],
    )


def _read(key: str, value: Any, file: str) -> Any:
    read, expected = _READ[key]
    try:
        return read(value)
    except (TypeError, ValueError, AttributeError, ZoneInfoNotFoundError, OSError) as error:
        raise ParamsError(
            f"{file}: session.{key} cannot be read", expected=expected, got=repr(value)
        ) from error


def _minute(value: Any) -> int:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)|24:00", value)
    if found is None:
        raise ValueError(value)
    return 60 * int(found[1]) + int(found[2]) if found[1] else 0


def _zone(value: Any) -> str:
    return ZoneInfo(value).key


def _weekdays(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError(value)
    return tuple(sorted({_DAYS.index(day) for day in value}))


def _dates(value: Any) -> tuple[Holiday, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    days = [date.fromisoformat(day) for day in value]
    return tuple(
        Holiday(day.isoformat(), year=day.year, month=day.month, day=day.day) for day in days
    )


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _quiet(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _MAX_QUIET_MIN:
        raise ValueError(value)
    return value


_CLOCK = 'a quoted time such as "09:30"'
_DATES = "a list of dates such as 2026-12-25"
_READ: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "zone": (_zone, "a time zone such as Europe/London"),
    "opens": (_minute, _CLOCK),
    "closes": (_minute, _CLOCK),
    "days": (_weekdays, f"a list of {', '.join(_DAYS)}"),
    "holidays": (_dates, _DATES),
    "early": (_dates, _DATES),
    "early_closes": (_minute, _CLOCK),
    "every_minute": (_flag, "true or false"),
    "quiet_min": (_quiet, f"minutes, 1 to {_MAX_QUIET_MIN}"),
}
_DEFAULTS: Mapping[str, Any] = {
    "days": (0, 1, 2, 3, 4),
    "holidays": (),
    "early": (),
    "early_closes": 0,
    "every_minute": True,
    "quiet_min": 5,
}
