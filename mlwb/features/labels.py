"""Labels with their ends: what is predicted, and when it is known.

A label at bar t is decided at ``t0`` (the bar's close) and known at ``t1``, at the latest one
horizon later. Validation purges by these spans, never by row counts. Offline only: a label looks
ahead by definition, up to its ``t1`` and not one bar further.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S, MID, TS
from mlwb.core.errors import ParamsError
from mlwb.features._barriers import first_touch
from mlwb.features._trailing import trailing_vol_spec
from mlwb.features.batch import compute

__all__ = [
    "BARRIER_UNITS",
    "LABEL_KINDS",
    "VERTICALS",
    "Barriers",
    "Labels",
    "forward_return",
    "make_labels",
    "uniqueness",
]

LABEL_KINDS = ("volatility", "direction", "triple_barrier")
BARRIER_UNITS = ("sigma", "bp")
VERTICALS = ("sign", "drop")
_MIN_HISTORY = 0.5
"""Share of the trailing window that must hold returns before its median or sigma is used."""


@dataclass(frozen=True)
class Labels:
    """One label a bar, aligned with the bars.

    Parameters
    ----------
    kind : str
        One of ``LABEL_KINDS``.
    horizon_s : int
        Seconds from decision to resolution, at the latest.
    y : ndarray of shape (n_bars,), float64
        1 or 0; NaN where ``valid`` is False.
    t0, t1 : ndarray of shape (n_bars,), int64
        Decision and resolution, seconds since 1970. The label's span is ``(t0, t1]``.
    forward : ndarray of shape (n_bars,), float64
        Log return of mid over the horizon; NaN where the later bar is missing.
    target : ndarray of shape (n_bars,), float64
        The quantity ``y`` is the sign of, which a good score orders: the return itself (log return
        over the horizon, simple return at the first touch), or its size relative to the trailing
        median, minus one.
    valid : ndarray of shape (n_bars,), bool
        Rows that may be trained and scored on.
    weight : ndarray of shape (n_bars,), float64
        Uniqueness of the label among the valid ones, in (0, 1]: see :func:`uniqueness`; 0 where
        ``valid`` is False.
    """

    kind: str
    horizon_s: int
    y: Float1D
    t0: Int1D
    t1: Int1D
    forward: Float1D
    target: Float1D
    valid: Bool1D
    weight: Float1D

    @property
    def n_eff(self) -> float:
        """Sum of the weights: how many labels that do not overlap these are worth."""
        return float(self.weight.sum())


@dataclass(frozen=True)
class Barriers:
    """Where a triple-barrier label ends before its horizon.

    Parameters
    ----------
    upper, lower : float
        Distance of each barrier from mid, simple return: multiples of the trailing volatility
        over the horizon (``unit="sigma"``), or bp (``unit="bp"``); > 0, each on its own.
    unit : {"sigma", "bp"}
        ``sigma`` is the root mean square 1-minute return of the trailing window known at t,
        times the square root of the horizon in minutes.
    vertical : {"sign", "drop"}
        A label that touches neither: takes the sign of its return at the horizon (no move is
        dropped), or is dropped.

    Raises
    ------
    ParamsError
        A setting is out of range.
    """

    upper: float = 1.0
    lower: float = 1.0
    unit: str = "sigma"
    vertical: str = "sign"

    def __post_init__(self) -> None:
        named = self.unit in BARRIER_UNITS and self.vertical in VERTICALS
        if not (named and 0.0 < self.upper < np.inf and 0.0 < self.lower < np.inf):
            raise ParamsError(
                "no such barriers",
                expected=f"distances > 0, unit of {', '.join(BARRIER_UNITS)}, vertical of "
                f"{', '.join(VERTICALS)}",
                got=f"{self.upper}, {self.lower}, {self.unit}, {self.vertical}",
            )


def forward_return(bars: Float2D, horizon_s: int) -> Float1D:
    """``ln(mid at exactly t + horizon / mid_t)``; NaN where either bar is missing.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, n_fields), float64
        As :func:`mlwb.features.batch.compute` takes them.
    horizon_s : int
        Seconds, a multiple of the bar interval.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Log return, dimensionless.
    """
    ts, mid = bars[:, TS], bars[:, MID]
    later = np.searchsorted(ts, ts + horizon_s)
    found = later < len(ts)
    found[found] = ts[later[found]] == ts[found] + horizon_s
    out = np.full(len(ts), np.nan)
    out[found] = np.log(mid[later[found]] / mid[found])
    return out


def make_labels(
    bars: Float2D,
    *,
    kind: str,
    horizon_s: int,
    theta: float = 0.0,
    median_window_s: int = 86_400,
    barriers: Barriers | None = None,
) -> Labels:
    """Label every bar.

    ``volatility``: 1 when ``|r|`` over the next horizon exceeds the median of the ``|r|`` that were
    already resolved at t within the trailing window. ``direction``: 1 when ``r > theta``, 0 when
    ``r < -theta``; ``|r| <= theta`` is dropped. ``triple_barrier``: 1 when mid reaches the upper
    barrier first, 0 when it reaches the lower one first; the label ends at the touch.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, n_fields), float64
        Columns as in ``mlwb.core.bars.BAR_FIELDS``.
    kind : {"volatility", "direction", "triple_barrier"}
        What is predicted.
    horizon_s : int
        Seconds, a positive multiple of the bar interval; the vertical barrier.
    theta : float, default=0.0
        Dead zone of ``direction``, log return, >= 0.
    median_window_s : int, default=86400
        Trailing window of the median and of sigma, seconds.
    barriers : Barriers, optional
        Of ``triple_barrier``; by default one sigma either way.

    Returns
    -------
    Labels

    Raises
    ------
    ParamsError
        Unknown kind, or a horizon off the bar grid.

    Notes
    -----
    A missing minute, or one without mid, before the first touch makes a triple-barrier label
    unknown; one after it does not, for the label is settled by then.

    References
    ----------
    Lopez de Prado, M. (2018). Advances in financial machine learning, ch. 3 and 4.
    """
    if kind not in LABEL_KINDS or horizon_s <= 0 or horizon_s % INTERVAL_S:
        raise ParamsError(
            "no such label",
            expected=f"kind of {', '.join(LABEL_KINDS)}, horizon a multiple of {INTERVAL_S} s",
            got=f"{kind}, {horizon_s} s",
        )
    forward = forward_return(bars, horizon_s)
    t0 = bars[:, TS].astype(np.int64) + INTERVAL_S
    t1 = t0 + horizon_s
    if kind == "direction":
        y, target, valid = _direction(forward, theta)
    elif kind == "volatility":
        y, target, valid = _volatility(bars, forward, horizon_s, window_s=median_window_s)
    else:
        span = (horizon_s, median_window_s)
        y, target, valid, t1 = _triple_barrier(bars, t1, span, barriers or Barriers())
    y[~valid] = np.nan
    weight = np.zeros(len(t0))
    weight[valid] = uniqueness(t0[valid], t1[valid], t0)
    return Labels(kind, horizon_s, y, t0, t1, forward, target, valid, weight)


def uniqueness(t0: Int1D, t1: Int1D, closes: Int1D) -> Float1D:
    """Average uniqueness of labels: the mean of 1 / concurrency over the bars each one covers.

    A label covers the bars that close in ``(t0, t1]``; the concurrency of a bar is the number of
    labels that cover it. O(n log n) from the searches, the sums are prefix sums.

    Parameters
    ----------
    t0, t1 : ndarray of shape (n_labels,), int64
        Spans, seconds.
    closes : ndarray of shape (n_bars,), int64
        Closes of all bars, seconds, increasing.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        In (0, 1]; exactly 1 for a label that meets no other, 1/h for the inner labels of a fixed
        horizon of h bars. A label that covers no bar meets none. The sum is the number of
        labels these are worth.

    References
    ----------
    Lopez de Prado, M. (2018). Advances in financial machine learning, ch. 4; his closed spans
    ``[t0, t1]`` would give 1 / (h + 1).

    Examples
    --------
    >>> minutes = np.arange(0, 600, 60)
    >>> uniqueness(np.array([0, 60, 300]), np.array([120, 180, 360]), minutes).tolist()
    [0.75, 0.75, 1.0]
    """
    first = np.searchsorted(closes, t0, side="right")
    last = np.searchsorted(closes, t1, side="right")
    change = np.zeros(len(closes) + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, last, -1)
    shared = 1.0 - 1.0 / np.maximum(np.cumsum(change[:-1]), 1)
    before = np.concatenate([[0.0], np.cumsum(shared)])
    # summing what is shared, not what is unique, keeps a label that meets no other at exactly 1
    return np.asarray(1.0 - (before[last] - before[first]) / np.maximum(last - first, 1))


def _direction(forward: Float1D, theta: float) -> tuple[Float1D, Float1D, Bool1D]:
    y = np.where(forward > 0, 1.0, 0.0)
    return y, forward, np.isfinite(forward) & (np.abs(forward) > theta)


def _volatility(
    bars: Float2D, forward: Float1D, horizon_s: int, *, window_s: int
) -> tuple[Float1D, Float1D, Bool1D]:
    size = np.abs(forward)
    threshold = _resolved_median(bars, size, horizon_s, window_s=window_s)
    y = np.where(size > threshold, 1.0, 0.0)
    target = size / np.maximum(threshold, np.finfo(np.float64).tiny) - 1.0
    return y, target, np.isfinite(forward) & np.isfinite(threshold)


def _triple_barrier(
    bars: Float2D, latest: Int1D, span: tuple[int, int], barriers: Barriers
) -> tuple[Float1D, Float1D, Bool1D, Int1D]:
    horizon_s, window_s = span
    scale = np.full(len(bars), 1e-4)
    if barriers.unit == "sigma":
        window = trailing_vol_spec(window_s // INTERVAL_S, _MIN_HISTORY)
        scale *= compute([window], bars)[:, 0] * np.sqrt(horizon_s / INTERVAL_S)
    mid = bars[:, MID]
    upper, lower = mid * (1.0 + barriers.upper * scale), mid * (1.0 - barriers.lower * scale)
    minutes = bars[:, TS].astype(np.int64) // INTERVAL_S
    touch = first_touch(minutes, mid, (lower, upper), horizon_s // INTERVAL_S)
    target = np.full(len(bars), np.nan)
    ended = touch.row >= 0
    target[ended] = mid[touch.row[ended]] / mid[ended] - 1.0
    # a barrier of width zero would be touched by standing still: no volatility, no label
    valid = ended & (scale > 0.0) & (target != 0.0)
    if barriers.vertical == "drop":
        valid &= touch.side != 0
    y = np.where(np.where(touch.side == 0, target, touch.side) > 0, 1.0, 0.0)
    t1 = latest.copy()
    t1[ended] = bars[touch.row[ended], TS].astype(np.int64) + INTERVAL_S
    return y, target, valid, t1


def _resolved_median(bars: Float2D, size: Float1D, horizon_s: int, *, window_s: int) -> Float1D:
    """Median of the sizes resolved at or before each bar, over the trailing window."""
    ts = bars[:, TS].astype(np.int64)
    seen = np.isfinite(size)
    resolved = np.full(len(ts), np.nan)
    resolved[np.searchsorted(ts, ts[seen] + horizon_s)] = size[seen]
    known = pd.Series(resolved, index=pd.to_datetime(ts, unit="s", utc=True))
    least = max(1, int(_MIN_HISTORY * window_s / INTERVAL_S))
    medians = known.rolling(pd.Timedelta(seconds=window_s), min_periods=least).median()
    return medians.to_numpy(dtype=np.float64)
