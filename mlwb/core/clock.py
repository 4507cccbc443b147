"""The only place that reads a clock; everything else is handed one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from mlwb.core.errors import EvidenceSchemaError

__all__ = ["DAY_S", "Clock", "ManualClock", "SystemClock", "format_utc", "parse_utc"]

DAY_S = 86_400
"""Seconds of a UTC day; ``ts // DAY_S`` is its number."""


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations."""

    def now(self) -> datetime:
        """Current time, timezone-aware UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start, never stepping back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Current time, timezone-aware UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start, never stepping back."""
        return time.perf_counter()


@dataclass
class ManualClock:
    """A clock that moves only when told to.

    Examples
    --------
    >>> clock = ManualClock()
    >>> clock.advance(90)
    >>> format_utc(clock.now())
    '2026-01-01T00:01:30Z'
    """

    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed_s: float = field(default=0.0)

    def now(self) -> datetime:
        """Start time plus what was advanced."""
        return self.start + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        """What was advanced, seconds."""
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.elapsed_s += seconds


def format_utc(moment: datetime) -> str:
    """RFC 3339 UTC with ``Z``, whole seconds, or microseconds where there are any.

    Examples
    --------
    >>> format_utc(datetime(2025, 10, 22, 14, 30, tzinfo=UTC))
    '2025-10-22T14:30:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """Inverse of :func:`format_utc`.

    Parameters
    ----------
    text : str
        RFC 3339 with a zone; without one the moment would depend on the machine.

    Returns
    -------
    datetime
        UTC.

    Raises
    ------
    EvidenceSchemaError
        The text is not a time, or names no zone.

    Examples
    --------
    >>> parse_utc("2025-10-22T14:30:00Z").hour
    14
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise EvidenceSchemaError("not a time", expected="RFC 3339", got=repr(text)) from error
    if moment.tzinfo is None:
        raise EvidenceSchemaError("a time without a zone", expected="... Z", got=repr(text))
    return moment.astimezone(UTC)
