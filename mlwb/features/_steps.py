"""The features, each written once: ``step(state, bar) -> value``.

A step takes the bar that has just closed and the state of the bars before it, changes the state
and returns the value at that bar; NaN says *not known yet* or *input missing*. The server runs
these functions as they stand, on lists of floats. :mod:`mlwb.features.batch` compiles the same
functions and folds them over arrays. Both do the same float64 operations in the same order, so
their values are equal bit for bit.

Rules for a step: plain arithmetic and :mod:`math` only; the state is flat float64, its first cells
hold the settings the spec put there; sums over a window never run on for ever (see
:func:`window_moments`), so a value depends on the window alone and not on where the stream
began. Wilder's averages are the exception: they remember for ever, ever less, and a stream is
warm after 1,000 bars.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence, Sequence
from typing import TypeAlias

from mlwb.core.bars import ASK, BID, CLOSE, HIGH, INTERVAL_S, LOW, MID, TS, VOLUME

__all__ = [
    "bias",
    "log_volume",
    "mid_logret",
    "minute_of_day",
    "moments_size",
    "realised_vol",
    "rsi14_z",
    "spread_bp",
    "vol_ratio",
    "zscore_mid",
]

State: TypeAlias = MutableSequence[float]
Bar: TypeAlias = Sequence[float]

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
RMS_FLOOR_BP = 0.01
"""Least root mean square return under a logarithm: a tenth of the smallest tick measured."""
HEAD = 3
"""Cells of :func:`window_moments` before its sums: last minute, oldest block, newest block."""


def moments_size(window: int, block: int) -> int:
    """Cells that :func:`window_moments` needs for a window and block in minutes.

    Examples
    --------
    >>> moments_size(60, 10)
    127
    """
    ring = window + block
    blocks = ring // block
    return HEAD + 3 + ring + 3 * blocks + 3 * block


def push(state: State, at: int, x: float) -> None:
    """Welford update of the (n, mean, m2) triple at ``at``."""
    n = state[at] + 1.0
    delta = x - state[at + 1]
    mean = state[at + 1] + delta / n
    state[at] = n
    state[at + 1] = mean
    state[at + 2] += delta * (x - mean)


def merge(state: State, into: int, other: int) -> None:
    """Chan, Golub and LeVeque (1983): triple ``into`` becomes the union with triple ``other``."""
    n_b = state[other]
    if n_b == 0.0:
        return
    n_a = state[into]
    n = n_a + n_b
    delta = state[other + 1] - state[into + 1]
    state[into] = n
    state[into + 1] += delta * n_b / n
    state[into + 2] += state[other + 2] + delta * delta * n_a * n_b / n


def clear(state: State, start: int, stop: int, value: float) -> None:
    """Fill cells ``start <= i < stop``."""
    for i in range(start, stop):
        state[i] = value


def copy3(state: State, source: int, target: int) -> None:
    """Copy a triple."""
    state[target] = state[source]
    state[target + 1] = state[source + 1]
    state[target + 2] = state[source + 2]


def enter_minutes(state: State, base: int, window: int, block: int, minute: int, x: float) -> None:  # noqa: PLR0917 - numba compiles positional calls only
    """Move the ring on to ``minute``: missing minutes are NaN, new blocks start empty."""
    ring = window + block
    blocks = ring // block
    ring_at = base + HEAD + 3
    block_at = ring_at + ring
    first = int(state[base]) + 1
    if first == 0 or minute - first >= ring:
        clear(state, ring_at, block_at + 3 * blocks + 3 * block, 0.0)
        clear(state, ring_at, block_at, math.nan)
        state[base + 1] = -1.0
        state[base + 2] = -1.0
        first = minute
    for k in range(first, minute + 1):
        if k % block == 0:
            cell = block_at + 3 * ((k // block) % blocks)
            clear(state, cell, cell + 3, 0.0)
        state[ring_at + k % ring] = math.nan
    if not math.isnan(x):
        state[ring_at + minute % ring] = x
        push(state, block_at + 3 * ((minute // block) % blocks), x)
    state[base] = float(minute)


def rebuild(state: State, base: int, window: int, block: int, oldest: int, newest: int) -> None:  # noqa: PLR0917 - numba compiles positional calls only
    """Recompute what changes once a block: suffixes of the oldest, union of the full ones."""
    ring = window + block
    blocks = ring // block
    ring_at = base + HEAD + 3
    block_at = ring_at + ring
    suffix_at = block_at + 3 * blocks
    if float(oldest) != state[base + 1]:
        clear(state, suffix_at, suffix_at + 3 * block, 0.0)
        for j in range(block - 1, -1, -1):
            cell = suffix_at + 3 * j
            if j < block - 1:
                copy3(state, cell + 3, cell)
            x = state[ring_at + (oldest * block + j) % ring]
            if not math.isnan(x):
                push(state, cell, x)
    middle = base + HEAD
    clear(state, middle, middle + 3, 0.0)
    for b in range(oldest + 1, newest):
        merge(state, middle, block_at + 3 * (b % blocks))
    state[base + 1] = float(oldest)
    state[base + 2] = float(newest)


def window_moments(  # noqa: PLR0917 - numba compiles positional calls only
    state: State, base: int, window: int, block: int, minute: int, x: float
) -> tuple[float, float, float]:
    """Count, mean and sum of squared deviations of the last ``window`` minutes, O(1) a bar.

    The window is cut at multiples of ``block`` minutes of the clock. Each block keeps its own
    moments; the window is the union of a suffix of the oldest block, the full blocks and the
    newest one. Nothing is ever subtracted, so rounding does not accumulate, and the result is
    a function of the window's values and the clock alone.

    Parameters
    ----------
    state : sequence of float64
        ``moments_size(window, block)`` cells from ``base`` on; the first is -1 at the start.
    base : int
        Where those cells begin.
    window, block : int
        Minutes; ``block`` divides ``window`` and is smaller.
    minute : int
        Minute of the bar since 1970, larger than the one before.
    x : float
        Value at the bar; NaN counts as missing.

    Returns
    -------
    tuple of float
        n, mean (0 when n is 0), sum of squared deviations (>= 0).
    """
    enter_minutes(state, base, window, block, minute, x)
    start = minute - window + 1
    oldest, newest = start // block, minute // block
    if float(oldest) != state[base + 1] or float(newest) != state[base + 2]:
        rebuild(state, base, window, block, oldest, newest)
    ring = window + block
    block_at = base + HEAD + 3 + ring
    suffix = block_at + 3 * (ring // block) + 3 * (start % block)
    middle, last = base + HEAD, block_at + 3 * (newest % (ring // block))
    n, mean, m2 = state[suffix], state[suffix + 1], state[suffix + 2]
    for cell in (middle, last):
        n_b = state[cell]
        if n_b > 0.0:
            total = n + n_b
            delta = state[cell + 1] - mean
            mean = mean + delta * n_b / total
            m2 = m2 + state[cell + 2] + delta * delta * n * n_b / total
            n = total
    return n, mean, m2


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


def mid_logret(state: State, bar: Bar) -> float:
    """``ln(mid_t / mid at exactly t - lag)``; NaN when that bar is missing.

    State: lag in minutes, last minute, ring of ``lag + 1`` mids.
    """
    lag, minute = int(state[0]), minute_of(bar)
    size = lag + 1
    first = max(int(state[1]) + 1, minute - lag)
    for k in range(first, minute):
        state[2 + k % size] = math.nan
    state[2 + minute % size] = bar[MID]
    state[1] = float(minute)
    return log_ratio(bar[MID], state[2 + (minute - lag) % size])


def spread_bp(state: State, bar: Bar) -> float:
    """Quoted spread in bp of mid, or its Abdi-Ranaldo estimate where there are no quotes.

    Quoted: ``1e4 (ask - bid) / mid``, NaN for a crossed book. Estimated (Abdi and Ranaldo 2017,
    the two-day form on minutes): root of the 60-minute mean of
    ``4 (c' - eta')(c' - eta)``, c the log close, eta the log mid-range, ' the minute before.
    State: 1 quoted or 0 estimated, previous minute, previous c, previous eta, moments(60, 10).
    """
    if state[0] == 1.0:
        if bar[BID] <= bar[ASK] and bar[MID] > 0.0:
            return 1e4 * (bar[ASK] - bar[BID]) / bar[MID]
        return math.nan
    minute = minute_of(bar)
    close, eta = math.nan, math.nan
    if bar[CLOSE] > 0.0 and bar[LOW] > 0.0 and bar[HIGH] > 0.0:
        close = math.log(bar[CLOSE])
        eta = 0.5 * (math.log(bar[HIGH]) + math.log(bar[LOW]))
    term = math.nan
    if state[1] == float(minute - 1):
        term = 4.0 * (state[2] - state[3]) * (state[2] - eta)
    state[1] = float(minute)
    state[2] = close
    state[3] = eta
    n, mean, _ = window_moments(state, 4, 60, 10, minute, term)
    if n < COVERAGE * 60.0:
        return math.nan
    return 1e4 * math.sqrt(max(mean, 0.0))


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
        clear(state, 2, 5, 0.0)
    else:
        gain, loss = max(mid - state[1], 0.0), max(state[1] - mid, 0.0)
        seen = state[2] + 1.0
        if seen <= RSI_N:
            state[3] += gain / RSI_N
            state[4] += loss / RSI_N
        else:
            state[3] = ((RSI_N - 1) * state[3] + gain) / RSI_N
            state[4] = ((RSI_N - 1) * state[4] + loss) / RSI_N
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

    State: moments(1440, 60).
    """
    n, mean, m2 = window_moments(state, 0, 1440, 60, minute_of(bar), bar[MID])
    if n < COVERAGE * 1440.0 or not bar[MID] > 0.0:
        return math.nan
    if m2 <= 0.0:
        return 0.0
    return (bar[MID] - mean) / math.sqrt(m2 / n)


def rms_bp(state: State, bar: Bar, window: int, block: int) -> float:
    """Root mean square 1-minute log return of mid over ``window`` minutes, bp, floored.

    State from cell 2 on: moments. Cells 0 and 1: last minute and last mid.
    """
    minute = minute_of(bar)
    r = math.nan
    if state[0] == float(minute - 1):
        r = log_ratio(bar[MID], state[1])
    state[0] = float(minute)
    state[1] = bar[MID]
    n, mean, _ = window_moments(state, 2, window, block, minute, r * r)
    if n < VOL_COVERAGE * window:
        return math.nan
    return max(1e4 * math.sqrt(mean), RMS_FLOOR_BP)


def realised_vol(state: State, bar: Bar) -> float:
    """``ln`` of the root mean square 1-minute return over 60 minutes, in ln bp.

    State: as :func:`rms_bp` with moments(60, 10).
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
    at = 2 + moments_size(60, 10)
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
