"""Opening hours of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.errors import ParamsError
from mlwb.data import quality, read_market, simulate_market, write_market
from mlwb.data._calendars import CALENDARS, calendar_for, open_minutes
from mlwb.data._session import parse_session, session_values
from mlwb.data._yaml_profile import read_profile
from tests.data.vendors import iso

Writer = Callable[[str, str], Path]
LONDON = {"zone": "Europe/London", "opens": "08:00", "closes": "16:30"}


def opens_at(hours: dict[str, Any], stamp: str) -> bool:
    """Whether one UTC minute is open."""
    minute = np.datetime64(stamp, "m").astype(np.int64)
    return bool(open_minutes(parse_session(hours, file="x.yml"), np.array([minute]))[0])


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-07T08:00", True),
        ("2026-01-07T07:59", False),
        ("2026-01-07T16:29", True),
        ("2026-01-07T16:30", False),
        ("2026-07-08T07:00", True),  # summer time
        ("2026-07-08T15:30", False),
        ("2026-01-10T12:00", False),  # a Saturday
        ("2026-12-25T12:00", False),
        ("2026-12-24T12:29", True),
        ("2026-12-24T12:30", False),
    ],
)
def test_hours_of_a_day(stamp: str, *, expected: bool) -> None:
    """On the zone's clock, with its summer time, holidays and early days."""
    hours = LONDON | {
        "holidays": ["2026-12-25"],
        "early": ["2026-12-24"],
        "early_closes": "12:30",
    }
    assert opens_at(hours, stamp) is expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-05T00:30", True),  # Sunday evening in Chicago is Monday's session
        ("2026-01-04T22:59", False),
        ("2026-01-04T23:00", True),
        ("2026-01-09T21:59", True),
        ("2026-01-09T22:00", False),
        ("2026-01-09T23:30", False),  # Friday evening belongs to Saturday
        ("2026-01-06T22:30", False),  # the daily break
        ("2026-01-19T15:00", False),  # a holiday named by the day it closes on
        ("2026-01-18T23:30", False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_they_close_on(stamp: str, *, expected: bool) -> None:
    """17:00 to 16:00, as a futures exchange in Chicago has them."""
    hours = {
        "zone": "America/Chicago",
        "opens": "17:00",
        "closes": "16:00",
        "holidays": ["2026-01-19"],
    }
    assert opens_at(hours, stamp) is expected


@settings(max_examples=60)
@given(
    opens=st.integers(0, 1439),
    closes=st.integers(1, 1440),
    days=st.sets(st.integers(0, 6), min_size=1),
)
def test_every_minute_of_a_week_is_as_said(opens: int, closes: int, days: set[int]) -> None:
    """Whatever the hours, the oracle is the sentence in the docstring, minute by minute."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    hours = {
        "zone": "UTC",
        "opens": f"{opens // 60:02d}:{opens % 60:02d}",
        "closes": f"{closes // 60:02d}:{closes % 60:02d}",
        "days": [names[day] for day in days],
    }
    start = np.datetime64("2026-03-02", "m").astype(np.int64)
    found = open_minutes(parse_session(hours, file="x.yml"), np.arange(start, start + 7 * 1440))
    day, minute = np.divmod(np.arange(7 * 1440), 1440)
    today, tomorrow = np.isin(day, list(days)), np.isin((day + 1) % 7, list(days))
    if opens < closes:
        wanted = today & (minute >= opens) & (minute < closes)
    else:
        wanted = (tomorrow & (minute >= opens)) | (today & (minute < closes))
    np.testing.assert_array_equal(found, wanted)
    again = parse_session(session_values(parse_session(hours, file="x.yml")), file="y.yml")
    minutes = np.arange(start, start + 7 * 1440)
    np.testing.assert_array_equal(open_minutes(again, minutes), wanted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zone": "Europe/Atlantis"}, "session.zone cannot be read"),
        ({"zone": "../etc"}, "session.zone cannot be read"),
        ({"zone": 3}, "session.zone cannot be read"),
        ({"opens": "8"}, 'session.opens cannot be read; expected a quoted time such as "09:30"'),
        ({"opens": 480}, "session.opens cannot be read"),
        ({"closes": "24:30"}, "session.closes cannot be read"),
        ({"days": ["monday"]}, "session.days cannot be read"),
        ({"days": []}, "session.days cannot be read"),
        ({"holidays": ["25.12.2026"]}, "session.holidays cannot be read"),
        ({"holidays": "2026-12-25"}, "session.holidays cannot be read"),
        ({"early": ["2026-12-24"]}, "no early_closes"),
        ({"every_minute": "no"}, "session.every_minute cannot be read"),
        ({"quiet_min": 0}, "session.quiet_min cannot be read"),
        ({"quiet_min": True}, "session.quiet_min cannot be read"),
        ({"lunch": "12:00"}, "unknown key session.lunch"),
    ],
)
def test_wrong_hours_are_refused(change: dict[str, Any], words: str) -> None:
    """By key, before any data is read."""
    with pytest.raises(ParamsError, match=words):
        parse_session(LONDON | change, file="x.yml")


def test_hours_need_a_zone() -> None:
    """A time without its zone is no time."""
    with pytest.raises(ParamsError, match="session has no zone"):
        parse_session({"opens": "08:00", "closes": "16:30"}, file="x.yml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: mlwb\ncalendar: session", "the calendar session has no hours"),
        ("extends: mlwb\nsession: nine to five", "the calendar session has no hours"),
        (
            "extends: mlwb\ncalendar: fx\nsession: {zone: UTC, opens: '08:00', closes: '09:00'}",
            "fx",
        ),
        ("extends: mlwb\nkind: trades", "kind is not known; expected bars, quotes"),
        ("kind: quotes\ncolumns: {ts: t, open: o, high: h, low: l, close: c}", "make no quote"),
        ("kind: quotes\ncolumns: {ts: t, bid: b, ask: a, volume: v}", "quotes have no volume"),
        ("kind: quotes\nstamp: close\ncolumns: {ts: t, bid: b, ask: a}", "no stamp close"),
        ("columns: {ts: t, bid: b, ask: a, received: r}", "bars have no received"),
    ],
)
def test_a_profile_with_wrong_hours_or_kind_is_refused(
    write: Writer, text: str, words: str
) -> None:
    """Hours and calendar go together, columns and kind too."""
    with pytest.raises(ParamsError, match=words):
        read_profile(write("p.yml", text))


def test_a_market_is_judged_by_its_own_hours(write: Writer) -> None:
    """Bars of the session alone are whole; an hour lost inside is a gap of sixty."""
    frame = simulate_market(days=7, quotes=False, start=pd.Timestamp("2026-03-02", tz="UTC")).frame
    profile = write(
        "lse.yml",
        "extends: mlwb\nsession: {zone: Europe/London, opens: '08:00', closes: '16:30'}\n",
    )
    of_day = frame["ts"].dt.hour * 60 + frame["ts"].dt.minute
    hours = (of_day >= 480) & (of_day < 990) & (frame["ts"].dt.day_of_week < 5)
    lost = (frame["ts"].dt.day == 4) & (frame["ts"].dt.hour == 12)
    columns = ["ts", "open", "high", "low", "close", "volume"]
    whole = write("VOD.csv", iso(frame.loc[hours, columns]).to_csv(index=False))
    market = read_market([whole], profile=str(profile))
    assert market.source.calendar == "session"
    assert any("08:00 to 16:30 Europe/London" in line for line in market.source.decisions)
    report = quality(market)
    assert (report.coverage.k, report.coverage.n, report.findings) == (5 * 510, 5 * 510, ())
    torn = write("VOD2.csv", iso(frame.loc[hours & ~lost, columns]).to_csv(index=False))
    report = quality(read_market([torn], profile=str(profile)))
    assert (report.n_gaps, report.longest_gap_bars) == (1, 60)
    assert [item.check for item in report.serious] == ["gaps"]


def test_the_calendar_session_without_hours_is_refused() -> None:
    """A name alone opens nothing."""
    with pytest.raises(ParamsError, match="no such calendar"):
        calendar_for("session")
    assert calendar_for("24/7") is CALENDARS["24/7"]


def test_hours_travel_with_an_import(write: Writer, tmp_path: Path) -> None:
    """The profile written beside a canonical file opens the same minutes, early days included."""
    frame = simulate_market(days=3, start=pd.Timestamp("2026-12-23", tz="UTC")).frame
    profile = write(
        "lse.yml",
        "extends: mlwb\nsession: {zone: Europe/London, opens: '08:00', closes: '16:30', "
        "holidays: [2026-12-25], early: [2026-12-24], early_closes: '12:30', quiet_min: 7}\n",
    )
    data = write("VOD.csv", iso(frame).to_csv(index=False))
    first = read_market([data], profile=str(profile))
    bars, beside = write_market(first, tmp_path / "out.parquet")
    again = read_market([bars], profile=str(beside), symbol="VOD")
    assert quality(again) == quality(first)
    assert quality(first).coverage.n == 510 + 270
    assert again.source.session is not None
    assert again.source.session.quiet_s == 420
