"""Stamps to UTC opens."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.errors import DataSchemaError, SourceUndecidableError
from mlwb.data import PROFILES, SourceProfile
from mlwb.data._clocks import to_utc_ns

ANY = PROFILES["mlwb"]
NOON_NS = 1_746_360_000 * 10**9


def on_clock(clock: str, *, stamp: str = "open", time_unit: str = "magnitude") -> SourceProfile:
    """The canonical profile on another clock."""
    return dataclasses.replace(ANY, clock=clock, stamp=stamp, time_unit=time_unit)


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_units_are_told_by_size(factor: int) -> None:
    """Seconds, ms, us and ns since 1970 are the same instant."""
    found = to_utc_ns(pd.Series([1_746_360_000 * factor]), ANY, file="f")
    assert found.tolist() == [NOON_NS]


def test_microseconds_of_the_nineties_are_no_milliseconds() -> None:
    """The border between the units lies before every market that is recorded by the minute."""
    stamp_ns = pd.Timestamp("1999-06-01T12:00Z").value
    found = to_utc_ns(pd.Series([stamp_ns // 1000]), ANY, file="f")
    assert found.tolist() == [stamp_ns]


def test_one_file_may_change_its_unit() -> None:
    """The archive went from ms to us at a year's end: each row is judged alone."""
    stamps = pd.Series([1_735_689_540_000, 1_735_689_600_000_000])
    assert np.diff(to_utc_ns(stamps, ANY, file="f")).tolist() == [60 * 10**9]


@given(
    st.datetimes(min_value=datetime(1995, 1, 1), max_value=datetime(2050, 1, 1)).map(  # noqa: DTZ001 - a zone is put on behind
        lambda at: at.replace(second=0, microsecond=0)
    )
)
def test_new_york_close_agrees_with_the_zone_database(server: datetime) -> None:
    """Server time is New York plus seven hours; the oracle is Python's own zoneinfo."""
    local = (server - timedelta(hours=7)).replace(tzinfo=ZoneInfo("America/New_York"))
    if (local + timedelta(hours=1)).astimezone(UTC) - local.astimezone(UTC) != timedelta(hours=1):
        return  # the hour that summer time repeats or skips has no single answer
    if local.astimezone(UTC).astimezone(local.tzinfo) != local:
        return
    text = pd.Series([server.isoformat(sep=" ")])
    found = to_utc_ns(text, on_clock("new-york-close"), file="f")
    assert found[0] == int(local.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("stamp", "offset_h"), [("2026-03-24 17:00:00", 3), ("2026-01-20 17:00:00", 2)]
)
def test_server_clock_has_new_yorks_summer_time(stamp: str, offset_h: int) -> None:
    """UTC+3 in summer, UTC+2 in winter."""
    found = to_utc_ns(pd.Series([stamp]), on_clock("new-york-close"), file="f")
    wanted = pd.Timestamp(stamp, tz="UTC") - pd.Timedelta(hours=offset_h)
    assert found[0] == wanted.value


def test_utc_minus_five_has_no_summer_time() -> None:
    """The clock of HistData and FXCM stays put all year."""
    stamps = pd.Series(["2026-01-05 10:00:00", "2026-07-06 10:00:00"])
    found = to_utc_ns(stamps, on_clock("utc-5"), file="f").astype("datetime64[ns]")
    assert found.astype("datetime64[h]").astype(str).tolist() == ["2026-01-05T15", "2026-07-06T15"]


def test_a_stamp_with_a_zone_beats_the_profiles_clock() -> None:
    """What the stamp says is believed before what the vendor usually does."""
    found = to_utc_ns(pd.Series(["2026-03-24T17:00:00+02:00"]), on_clock("utc-5"), file="f")
    assert found[0] == pd.Timestamp("2026-03-24T15:00Z").value


def test_close_stamps_become_opens() -> None:
    """A bar stamped by its end is known under its start."""
    shifted = to_utc_ns(pd.Series([1_746_360_000]), on_clock("utc", stamp="close"), file="f")
    assert shifted.tolist() == [NOON_NS - 60 * 10**9]


def test_server_seconds_are_server_time() -> None:
    """An epoch number on a server clock is not UTC either."""
    server = pd.Series([int(pd.Timestamp("2026-03-24 17:00", tz="UTC").timestamp())])
    found = to_utc_ns(server, on_clock("new-york-close", time_unit="s"), file="f")
    assert found[0] == pd.Timestamp("2026-03-24 14:00", tz="UTC").value


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["2026-01-01T00:00:00Z", "yesterday"], "data row 2: not a time"),
        (["2026-01-01T00:00:00Z", None], "data row 2: not a time"),
        ([1_746_360_000.0, np.nan], "data row 2: not a time"),
        ([1_746_360_000.0, np.inf], "data row 2: not a time"),
        (["1746360000", "oops", "1746360120"], "data row 2: not a time"),
        (["1926-01-01T00:00:00Z"], "data row 1: not a time of this age"),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:01:00"], "others do not"),
        ([True, False], "true and false"),
    ],
)
def test_what_is_no_time_is_named_with_its_row(cells: list[object], words: str) -> None:
    """A bad stamp is refused; the message says where it stands."""
    with pytest.raises(DataSchemaError, match=words):
        to_utc_ns(pd.Series(cells), ANY, file="f")


def test_a_size_that_fits_no_unit_is_not_guessed() -> None:
    """Row numbers are no stamps."""
    with pytest.raises(SourceUndecidableError, match="time_unit"):
        to_utc_ns(pd.Series([1, 2, 3]), ANY, file="f")


def test_a_wrong_unit_is_seen_by_the_year() -> None:
    """Milliseconds read as seconds lie in the year 57,000: refused, not wrapped around."""
    with pytest.raises(DataSchemaError, match="of this age"):
        to_utc_ns(pd.Series([1_746_360_000_000]), on_clock("utc", time_unit="s"), file="f")
