"""Which of two price levels a path reaches first, for every starting bar at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D

__all__ = ["Touch", "first_touch"]

_CHUNK = 65_536
"""Starting bars looked at together, so that memory does not grow with the market."""


@dataclass(frozen=True)
class Touch:
    """Where paths end.

    Parameters
    ----------
    row : ndarray of shape (n_bars,), int64
        Bar of the first touch, or of the horizon where neither level was reached; -1 where a
        missing minute comes before either.
    side : ndarray of shape (n_bars,), int64
        1 the upper level, -1 the lower one, 0 neither.
    """

    row: Int1D
    side: Int1D


def first_touch(
    minutes: Int1D, mid: Float1D, levels: tuple[Float1D, Float1D], horizon: int
) -> Touch:
    """First bar within ``horizon`` minutes whose mid is at or beyond a level.

    Highest and lowest mids of the next 1, 2, 4, ... bars are tabled; each path then takes the
    longest leap that touches nothing, half of it, and so on. O(n log horizon), no loop over bars.

    Parameters
    ----------
    minutes : ndarray of shape (n_bars,), int64
        Minute of each bar, increasing.
    mid : ndarray of shape (n_bars,), float64
        NaN where unknown, which ends a path as a missing minute does.
    levels : tuple of two ndarrays of shape (n_bars,), float64
        Lower and upper level of the path that starts at each bar; NaN is never touched.
    horizon : int
        Minutes, positive.

    Returns
    -------
    Touch
    """
    n = len(mid)
    row, side = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    runs_to = _runs_to(minutes, mid)
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        path = mid[start : min(stop + horizon, n)]
        rows = np.arange(stop - start)
        lower, upper = (level[start:stop] for level in levels)
        reached = _untouched(path, lower, upper, horizon) + 1
        limit = np.minimum(rows + horizon, runs_to[start:stop] - start)
        is_touch = reached <= limit
        is_end = ~is_touch & (limit == rows + horizon)
        end = np.where(is_touch, reached, np.where(is_end, limit, -1))
        known = (end >= 0) & np.isfinite(path[rows])
        row[start:stop][known] = end[known] + start
        up = path[end] >= upper
        side[start:stop][known & is_touch] = np.where(up, 1, -1)[known & is_touch]
    return Touch(row, side)


def _runs_to(minutes: Int1D, mid: Float1D) -> Int1D:
    """Last bar that can be reached from each bar over known mids, minute by minute."""
    n = len(mid)
    ends = np.ones(n, dtype=np.bool_)
    ends[:-1] = (np.diff(minutes) != 1) | ~np.isfinite(mid[1:])
    at = np.where(ends, np.arange(n), n)
    return np.asarray(np.minimum.accumulate(at[::-1])[::-1], dtype=np.int64)


def _untouched(path: Float1D, lower: Float1D, upper: Float1D, horizon: int) -> Int1D:
    """Last bar of each path, at most ``horizon`` ahead, up to which no level is reached."""
    highest = [np.append(np.where(np.isnan(path), -np.inf, path)[1:], -np.inf)]
    lowest = [np.append(np.where(np.isnan(path), np.inf, path)[1:], np.inf)]
    while 2 ** len(highest) <= horizon:
        leap = 2 ** (len(highest) - 1)
        highest.append(_both(np.maximum, highest[-1], leap))
        lowest.append(_both(np.minimum, lowest[-1], leap))
    at = np.arange(len(lower))
    last = len(path) - 1
    for level in range(len(highest) - 1, -1, -1):
        here = np.minimum(at, last)
        touches = (highest[level][here] >= upper) | (lowest[level][here] <= lower)
        at = np.where(touches, at, at + 2**level)
    return at


def _both(extreme: np.ufunc, table: Float1D, leap: int) -> Float1D:
    out = table.copy()
    out[:-leap] = extreme(table[:-leap], table[leap:])
    return out
