"""The layout of one bar, shared by data (which fills it), features and the server.

A bar is a row of float64. ``ts`` is the bar's **open** in seconds since 1970-01-01 UTC; the
bar is known at ``ts + interval``. A field the source does not have is NaN.
"""

from __future__ import annotations

__all__ = [
    "ASK",
    "ASK_SIZE",
    "BAR_FIELDS",
    "BID",
    "BID_SIZE",
    "CLOSE",
    "HIGH",
    "INTERVAL_S",
    "LOW",
    "MID",
    "OPEN",
    "TS",
    "VOLUME",
]

BAR_FIELDS = (
    "ts",
    "mid",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "bid",
    "ask",
    "bid_size",
    "ask_size",
)
TS, MID, OPEN, HIGH, LOW, CLOSE, VOLUME, BID, ASK, BID_SIZE, ASK_SIZE = range(len(BAR_FIELDS))
INTERVAL_S = 60
"""Seconds from one bar open to the next; every source profile is 1-minute."""
