"""Sums over the last minutes in O(1) a bar, without ever subtracting an old value.

The window is cut at multiples of a block of minutes. It is the union of a suffix of its oldest
block, the full blocks after that, and the newest block up to now. Sums of full blocks and of the
suffixes are made once a block, from the values themselves; a bar then costs one addition to the
newest block and the union of three. Rounding does not accumulate, and the result is a function of
the window's values and the clock: not of where the stream began.

Where centred, sums are taken about a *pivot*, a value of the window itself. For any value p of n
numbers ``(p - mean)**2 <= n var``, so ``n s2 - s1**2`` loses at most the digits of n, however far
the prices are from zero; and differences of prices within a factor of two are exact (Sterbenz).
"""

# ruff: noqa: PLR0917 - numba compiles positional calls only

from __future__ import annotations

import math
from collections.abc import MutableSequence, Sequence
from typing import TypeAlias

__all__ = ["Bar", "State", "window_cells", "window_start", "window_sums"]

State: TypeAlias = MutableSequence[float]
Bar: TypeAlias = Sequence[float]

# cells from ``base`` on: last minute, 1 where centred, pivot, last known value, then triples
# (n, s1, s2) of the full blocks between oldest and newest, of the newest, and of each suffix; four
# cells a block (a triple and the pivot it is about); the values, minute by minute
CENTRED = 1
PIVOT = 2
KNOWN = 3
MIDDLE = 4
NEWEST = 7
SUFFIX = 10


def window_cells(window: int, block: int) -> int:
    """Cells that :func:`window_sums` needs.

    Parameters
    ----------
    window, block : int
        Minutes; ``block`` divides ``window``.

    Examples
    --------
    >>> window_cells(60, 10)
    138
    """
    return SUFFIX + 3 * block + 4 * (window // block + 1) + window + block


def window_start(window: int, block: int, *, centred: bool = False) -> tuple[float, ...]:
    """Cells of a window that has seen nothing, for the start state of a spec.

    Parameters
    ----------
    window, block : int
        Minutes; ``block`` divides ``window``.
    centred : bool, default=False
        Take the sums about a value of the window, for a variance of numbers far from zero.

    Examples
    --------
    >>> len(window_start(60, 10)) == window_cells(60, 10)
    True
    """
    return (-1.0, float(centred)) + (0.0,) * (window_cells(window, block) - 2)


def forget(state: State, base: int, window: int, block: int) -> None:
    """Empty the window."""
    ring_at = base + SUFFIX + 3 * block + 4 * (window // block + 1)
    for i in range(base + PIVOT, ring_at):
        state[i] = 0.0
    for i in range(ring_at, ring_at + window + block):
        state[i] = math.nan
    state[base + KNOWN] = math.nan
    if state[base + CENTRED] == 1.0:
        state[base + PIVOT] = math.nan


def close_block(state: State, base: int, window: int, block: int, number: int) -> None:
    """Sums of a full block, about its own first value where centred."""
    blocks = window // block + 1
    cell = base + SUFFIX + 3 * block + 4 * (number % blocks)
    first = base + SUFFIX + 3 * block + 4 * blocks + (number % blocks) * block
    n, s1, s2, pivot = 0.0, 0.0, 0.0, 0.0
    for i in range(first, first + block):
        x = state[i]
        if not math.isnan(x):
            if n == 0.0 and state[base + CENTRED] == 1.0:
                pivot = x
            n += 1.0
            s1 += x - pivot
            s2 += (x - pivot) * (x - pivot)
    state[cell] = n
    state[cell + 1] = s1
    state[cell + 2] = s2
    state[cell + 3] = pivot


def open_block(state: State, base: int, window: int, block: int, number: int) -> None:
    """Start a block: pivot, suffixes of the oldest block and union of the full ones."""
    blocks = window // block + 1
    if state[base + CENTRED] == 1.0:
        state[base + PIVOT] = state[base + KNOWN]
    pivot = state[base + PIVOT]
    n, s1, s2 = 0.0, 0.0, 0.0
    first = base + SUFFIX + 3 * block + 4 * blocks + (number % blocks + 1) % blocks * block
    for k in range(block - 1, -1, -1):
        cell = base + SUFFIX + 3 * k
        state[cell] = n
        state[cell + 1] = s1
        state[cell + 2] = s2
        d = state[first + k] - pivot
        if not math.isnan(d):
            n += 1.0
            s1 += d
            s2 += d * d
    n, s1, s2 = 0.0, 0.0, 0.0
    for b in range(number - blocks + 2, number):
        cell = base + SUFFIX + 3 * block + 4 * (b % blocks)
        n_b = state[cell]
        if n_b > 0.0:
            d = state[cell + 3] - pivot
            n += n_b
            s1 += state[cell + 1] + n_b * d
            s2 += state[cell + 2] + d * (2.0 * state[cell + 1] + n_b * d)
    state[base + MIDDLE] = n
    state[base + MIDDLE + 1] = s1
    state[base + MIDDLE + 2] = s2
    for i in range(base + NEWEST, base + NEWEST + 3):
        state[i] = 0.0


def advance(state: State, base: int, window: int, block: int, minute: int) -> None:
    """Move on to ``minute``: missing minutes hold NaN, blocks are closed and opened on the way."""
    ring = window + block
    ring_at = base + SUFFIX + 3 * block + 4 * (ring // block)
    first = int(state[base]) + 1
    if first == 0 or minute - first >= ring:
        forget(state, base, window, block)
        first = minute
    else:
        for k in range(first, minute + 1):
            if k % block == 0:
                close_block(state, base, window, block, k // block - 1)
                open_block(state, base, window, block, k // block)
            state[ring_at + k % ring] = math.nan


def window_sums(
    state: State, base: int, window: int, block: int, minute: int, x: float
) -> tuple[float, float, float, float]:
    """Take a value in; count, sum and sum of squares of the last ``window`` minutes.

    Parameters
    ----------
    state : sequence of float64
        ``window_start(window, block)`` from ``base`` on.
    base : int
        Where those cells begin.
    window, block : int
        Minutes; ``block`` divides ``window``. Written as numbers in the step they are free.
    minute : int
        Minute of the bar since 1970, larger than the one before.
    x : float
        Value at the bar; NaN counts as missing.

    Returns
    -------
    tuple of float
        n, ``sum (x - pivot)``, ``sum (x - pivot)**2`` and the pivot, which is 0 unless centred.
        NaN pivot and zero sums where a centred window holds nothing. With n at most ``block`` the
        pivot may be a value that has left the window, or depend on where the stream began: ask
        for more values than that before using them.
    """
    if minute % block == 0 or state[base] != float(minute - 1):
        advance(state, base, window, block, minute)
    state[base] = float(minute)
    ring_at = base + SUFFIX + 3 * block + 4 * (window // block + 1)
    newest = base + NEWEST
    if not math.isnan(x):
        state[ring_at + minute % (window + block)] = x
        if math.isnan(state[base + PIVOT]):
            state[base + PIVOT] = x
        state[base + KNOWN] = x
        d = x - state[base + PIVOT]
        state[newest] += 1.0
        state[newest + 1] += d
        state[newest + 2] += d * d
    else:
        state[ring_at + minute % (window + block)] = math.nan
    cell, middle = base + SUFFIX + 3 * (minute % block), base + MIDDLE
    n = state[cell] + state[middle] + state[newest]
    s1 = state[cell + 1] + state[middle + 1] + state[newest + 1]
    s2 = state[cell + 2] + state[middle + 2] + state[newest + 2]
    return n, s1, s2, state[base + PIVOT]
