"""What labels and regimes know of the past: steps of the same form as features, with a window.

These are no model inputs and stand in no registry. They go through the same fold, so they are
causal and independent of the start for the same reasons.
"""

from __future__ import annotations

import math

from mlwb.features._spec import FeatureSpec
from mlwb.features._steps import last_return, minute_of
from mlwb.features._window import Bar, State, window_cells, window_start, window_sums

__all__ = ["efficiency_spec", "trailing_vol_spec"]

_BLOCKS = range(60, 0, -1)
"""Lengths a window may be cut into, minutes; the longest that divides it is taken."""


def trailing_vol(state: State, bar: Bar) -> float:
    """Root mean square 1-minute log return of mid over a window, bp.

    State: window and block in minutes, share of the returns needed, last minute and mid, window.
    """
    window, block = int(state[0]), int(state[1])
    r = last_return(state, 3, bar)
    n, _, squares, _ = window_sums(state, 5, window, block, minute_of(bar), r)
    if n < state[2] * window:
        return math.nan
    return 1e4 * math.sqrt(squares / n)


def efficiency(state: State, bar: Bar) -> float:
    """Efficiency ratio ``|sum r| / sum |r|`` over a window, in [0, 1]; 0 without a move.

    State: as :func:`trailing_vol`, then the window of ``|r|``.
    """
    window, block = int(state[0]), int(state[1])
    r = last_return(state, 3, bar)
    minute = minute_of(bar)
    n, net, _, _ = window_sums(state, 5, window, block, minute, r)
    at = 5 + window_cells(window, block)
    _, path, _, _ = window_sums(state, at, window, block, minute, abs(r))
    if n < state[2] * window:
        return math.nan
    if path == 0.0:
        return 0.0
    return min(abs(net) / path, 1.0)


def trailing_vol_spec(window: int, coverage: float) -> FeatureSpec:
    """Trailing volatility over ``window`` minutes, bp; ``coverage`` of its returns is needed."""
    start = _start(window, coverage, 1)
    return FeatureSpec(
        f"vol_{window}m", "bp", trailing_vol, start, 60 * (window + 1), ("mid",), "see regimes"
    )


def efficiency_spec(window: int, coverage: float) -> FeatureSpec:
    """Efficiency ratio over ``window`` minutes; ``coverage`` of its returns is needed."""
    start = _start(window, coverage, 2)
    return FeatureSpec(
        f"efficiency_{window}m",
        "1",
        efficiency,
        start,
        60 * (window + 1),
        ("mid",),
        "Kaufman 1995, on log returns",
    )


def _start(window: int, coverage: float, n_windows: int) -> tuple[float, ...]:
    block = next(length for length in _BLOCKS if window % length == 0)
    cells = window_start(window, block) * n_windows
    return (float(window), float(block), coverage, -2.0, math.nan, *cells)
