"""Times as text and clocks that can be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock, SystemClock, format_utc, parse_utc
from mlwb.core.errors import EvidenceSchemaError

ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - bounds without a zone are what hypothesis takes


@given(MOMENTS)
def test_time_survives_its_text(moment: datetime) -> None:
    """Any zone in, UTC out, the same moment; the text ends in Z and sorts by time."""
    text = format_utc(moment)
    assert text.endswith("Z")
    assert parse_utc(text) == moment
    assert parse_utc(text).tzinfo is UTC
    assert format_utc(parse_utc(text)) == text


def test_other_zones_are_read() -> None:
    """An offset is turned into UTC."""
    assert format_utc(parse_utc("2025-10-22T16:30:00+02:00")) == "2025-10-22T14:30:00Z"


@pytest.mark.parametrize(
    "text",
    ["", "noon", "2025-10-22T14:30:00", "2025-10-22", "2025-13-01T00:00:00Z", "1761143400", "Z"],
)
def test_text_that_is_no_moment_is_refused(text: str) -> None:
    """No zone, no date, no time: an evidence error; a local guess would differ by machine."""
    with pytest.raises(EvidenceSchemaError, match="time"):
        parse_utc(text)


def test_manual_clock_moves_when_told() -> None:
    """Wall time and monotonic time advance together, and only by hand."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    before = clock.now()
    assert clock.now() == before
    clock.advance(1.5)
    assert clock.now() - before == timedelta(seconds=1.5)
    assert clock.monotonic_s() == 1.5


def test_system_clock_goes_on() -> None:
    """Aware UTC, and a monotonic reading that never falls."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic_s() <= clock.monotonic_s()
    assert clock.now() > datetime(2025, 1, 1, tzinfo=UTC)
