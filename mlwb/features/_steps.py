"""The features, each written once: ``step(state, bar) -> value``.

A step takes the bar that has just closed and the state of the bars before it, changes the state
and returns the value at that bar; NaN says *not known yet* or *input missing*. The server runs
these functions as they stand, on lists of floats. :mod:`mlwb.features.batch` compiles the same
functions and folds them over arrays. Both do the same float64 operations in the same order, so
their values are equal bit for bit.

Rules for a step: plain arithmetic and :mod:`math` only; the state is flat float64, its first cells
hold the settings the spec put there; sums over a window never run on for ever (see
:mod:`mlwb.features._window`), so a value depends on the window alone and not on where the stream
began. Wilder's averages are the exception: they remember for ever, ever less, and a stream is
warm after 1,000 bars.
"""

from __future__ import annotations

import math

from mlwb.core.bars import (
    ASK,
    ASK_SIZE,
    BID,
    BID_SIZE,
    CLOSE,
    HIGH,
    INTERVAL_S,
    LOW,
    MID,
    TS,
    VOLUME,
)
from mlwb.features._window import Bar, State, window_cells, window_sums

__all__ = [
    "bias",
    "book_imbalance",
    "last_return",
    "log_ratio",
    "log_volume",
    "mid_logret",
    "mid_logret_1m",
    "minute_of",
    "minute_of_day",
    "realised_vol",
    "rsi14_z",
    "spread_bp",
    "spread_estimate",
    "vol_ratio",
    "zscore_mid",
]

COVERAGE = 0.95
"""Share of a window's minutes that must hold a value (the requirements ask 95 % of 24 h)."""
VOL_COVERAGE = 0.75
"""Share of the hour's returns a root mean square needs: its error grows only as 1/sqrt(n)."""
VOL_LEAST = 3
"""Of the last five returns."""
RSI_GAP_S = 300.0
"""A longer gap restarts Wilder's averages (the requirements' gap limit of 5 minutes)."""
RSI_N = 14
"""Wilder's period (Wilder 1978)."""
RSI_KEEP = (RSI_N - 1) / RSI_N
"""What an average keeps of itself from bar to bar."""
RMS_FLOOR_BP = 0.01
"""Least root mean square return under a logarithm: a tenth of the smallest tick measured."""


def minute_of(bar: Bar) -> int:
    """Minute of the bar's open since 1970-01-01 UTC."""
    return int(bar[TS]) // INTERVAL_S


def log_ratio(later: float, earlier: float) -> float:
    """``ln(later / earlier)``, NaN unless both are positive."""
    if later > 0.0 and earlier > 0.0:
        return math.log(later / earlier)
    return math.nan


def bias(state: State, bar: Bar) -> float:  # noqa: ARG001 - every step has this signature
    """Constant 1, the intercept's column."""
    return 1.0


def last_return(state: State, at: int, bar: Bar) -> float:
    """1-minute log return of mid; NaN when that bar is missing. Two cells from ``at`` on."""
    minute = float(minute_of(bar))
    r = math.nan
    if state[at] == minute - 1.0:
        r = log_ratio(bar[MID], state[at + 1])
    state[at] = minute
    state[at + 1] = bar[MID]
    return r


def mid_logret_1m(state: State, bar: Bar) -> float:
    """``ln(mid_t / mid at exactly t - 1 minute)``; NaN when that bar is missing.

    State: last minute, last mid.
    """
    return last_return(state, 0, bar)


def after(at: int, size: int) -> int:
    """Next place in a ring."""
    at += 1
    if at == size:
        return 0
    return at


def mid_logret(state: State, bar: Bar) -> float:
    """``ln(mid_t / mid at exactly t - lag)``; NaN when that bar is missing.

    State: lag in minutes, last minute, place of the last mid, ring of ``lag + 1`` mids.
    """
    size = int(state[0]) + 1
    minute = minute_of(bar)
    at = int(state[2])
    for _ in range(min(minute - int(state[1]), size) - 1):
        at = after(at, size)
        state[3 + at] = math.nan
    at = after(at, size)
    state[1] = float(minute)
    state[2] = float(at)
    state[3 + at] = bar[MID]
    return log_ratio(bar[MID], state[3 + after(at, size)])


def spread_bp(state: State, bar: Bar) -> float:  # noqa: ARG001 - every step has this signature
    """Quoted spread ``1e4 (ask - bid) / mid`` in bp; NaN for a crossed book."""
    if bar[BID] <= bar[ASK] and bar[MID] > 0.0:
        return 1e4 * (bar[ASK] - bar[BID]) / bar[MID]
    return math.nan


def beyond_range(price: float, bar: Bar) -> float:
    """``2 (ln price - ln mid-range)``, from ratios near 1 so that no digits are lost."""
    if price > 0.0 and bar[LOW] > 0.0 and bar[HIGH] > 0.0:
        return math.log(price / bar[HIGH] * (price / bar[LOW]))
    return math.nan


def spread_estimate(state: State, bar: Bar) -> float:
    """Spread in bp of mid where there are no quotes: Abdi and Ranaldo (2017), on minutes.

    Root of the 60-minute mean of ``4 (c' - eta')(c' - eta)``, c the log close, eta the log
    mid-range, ' the minute before. State: that minute, its close and ``2 (c' - eta')``,
    window(60, 10).
    """
    minute = minute_of(bar)
    term = math.nan
    if state[0] == float(minute - 1):
        term = state[2] * beyond_range(state[1], bar)
    state[0] = float(minute)
    state[1] = bar[CLOSE]
    state[2] = beyond_range(bar[CLOSE], bar)
    n, total, _, _ = window_sums(state, 3, 60, 10, minute, term)
    if n < COVERAGE * 60.0:
        return math.nan
    return 1e4 * math.sqrt(max(total / n, 0.0))


def book_imbalance(state: State, bar: Bar) -> float:  # noqa: ARG001 - every step has this signature
    """``(bid size - ask size) / (bid size + ask size)`` at the touch, in [-1, 1]; empty is NaN."""
    bid, ask = bar[BID_SIZE], bar[ASK_SIZE]
    if bid >= 0.0 and ask >= 0.0 and bid + ask > 0.0:
        return (bid - ask) / (bid + ask)
    return math.nan


def log_volume(state: State, bar: Bar) -> float:  # noqa: ARG001 - every step has this signature
    """``log1p(volume)`` of the bar, in the source's volume unit."""
    if bar[VOLUME] >= 0.0:
        return math.log1p(bar[VOLUME])
    return math.nan


def rsi14_z(state: State, bar: Bar) -> float:
    """``(Wilder RSI(14) - 50) / 30`` of mid; flat is 0, restarts after a gap over 5 minutes.

    State: last ts, last mid, number of changes seen, average gain, average loss.
    """
    mid, ts = bar[MID], bar[TS]
    if not mid > 0.0:
        return math.nan
    if ts - state[0] > RSI_GAP_S or state[2] < 0.0:
        state[2], state[3], state[4] = 0.0, 0.0, 0.0
    else:
        gain, loss = max(mid - state[1], 0.0), max(state[1] - mid, 0.0)
        seen = state[2] + 1.0
        if seen <= RSI_N:
            state[3] += gain / RSI_N
            state[4] += loss / RSI_N
        else:
            state[3] = RSI_KEEP * state[3] + gain / RSI_N
            state[4] = RSI_KEEP * state[4] + loss / RSI_N
        state[2] = seen
    state[0] = ts
    state[1] = mid
    if state[2] < RSI_N:
        return math.nan
    total = state[3] + state[4]
    if total == 0.0:
        return 0.0
    return (100.0 * state[3] / total - 50.0) / 30.0


def zscore_mid(state: State, bar: Bar) -> float:
    """``(mid - mean) / sd`` over ``(t - 24 h, t]``, ddof 0; sd 0 gives 0.

    State: centred window(1440, 60).
    """
    n, s1, s2, pivot = window_sums(state, 0, 1440, 60, minute_of(bar), bar[MID])
    if n < COVERAGE * 1440.0 or not bar[MID] > 0.0:
        return math.nan
    squares = n * s2 - s1 * s1
    if squares <= 0.0:
        return 0.0
    return (n * (bar[MID] - pivot) - s1) / math.sqrt(squares)


def rms_bp(state: State, bar: Bar, window: int, block: int) -> float:
    """Root mean square 1-minute log return of mid over ``window`` minutes, bp, floored.

    State: last minute, last mid, window.
    """
    r = last_return(state, 0, bar)
    n, _, squares, _ = window_sums(state, 2, window, block, minute_of(bar), r)
    if n < VOL_COVERAGE * window:
        return math.nan
    return max(1e4 * math.sqrt(squares / n), RMS_FLOOR_BP)


def realised_vol(state: State, bar: Bar) -> float:
    """``ln`` of the root mean square 1-minute return over 60 minutes, in ln bp.

    State: as :func:`rms_bp` with window(60, 10).
    """
    rms = rms_bp(state, bar, 60, 10)
    if not math.isnan(rms):
        return math.log(rms)
    return math.nan


def vol_ratio(state: State, bar: Bar) -> float:
    """``ln`` of the 5-minute over the 60-minute root mean square return.

    State: the 60-minute pair of :func:`realised_vol`, then last minute, last mid, the
    returns of the last 5 minutes.
    """
    long = rms_bp(state, bar, 60, 10)
    at = 2 + window_cells(60, 10)
    minute = minute_of(bar)
    r = math.nan
    passed = min(minute - int(state[at]), 5)
    if passed == 1:
        r = log_ratio(bar[MID], state[at + 1])
    state[at] = float(minute)
    state[at + 1] = bar[MID]
    for _ in range(passed):
        for k in range(4):
            state[at + 2 + k] = state[at + 3 + k]
        state[at + 6] = math.nan
    state[at + 6] = r
    seen, total = 0.0, 0.0
    for k in range(5):
        r = state[at + 2 + k]
        if not math.isnan(r):
            seen += 1.0
            total += r * r
    if seen < VOL_LEAST or math.isnan(long):
        return math.nan
    return math.log(max(1e4 * math.sqrt(total / seen), RMS_FLOOR_BP) / long)


def minute_of_day(state: State, bar: Bar) -> float:
    """Sine (state 0) or cosine (state 1) of the time of day, one turn in 24 h UTC."""
    angle = 2.0 * math.pi * float(minute_of(bar) % 1440) / 1440.0
    if state[0] == 0.0:
        return math.sin(angle)
    return math.cos(angle)
