"""Labels with their ends: what is predicted, and when it is known.

A label at bar t is decided at ``t0`` (the bar's close) and known at ``t1 = t0 + horizon``.
Validation purges by these spans, never by row counts. Offline only: a label looks ahead by
definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlwb.core.arrays import Bool1D, Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S, MID, TS
from mlwb.core.errors import ParamsError

__all__ = ["LABEL_KINDS", "Labels", "forward_return", "make_labels"]

LABEL_KINDS = ("volatility", "direction")
_MIN_HISTORY = 0.5
"""Share of the trailing window that must hold returns before its median is used."""


@dataclass(frozen=True)
class Labels:
    """One label a bar, aligned with the bars.

    Parameters
    ----------
    kind : str
        ``"volatility"`` or ``"direction"``.
    horizon_s : int
        Seconds from decision to resolution.
    y : ndarray of shape (n_bars,), float64
        1 or 0; NaN where ``valid`` is False.
    t0, t1 : ndarray of shape (n_bars,), int64
        Decision and resolution, seconds since 1970. The label's span is ``(t0, t1]``.
    forward : ndarray of shape (n_bars,), float64
        Log return of mid over the horizon; NaN where the later bar is missing.
    target : ndarray of shape (n_bars,), float64
        The quantity ``y`` is the sign of, which a good score orders: the return itself, or its
        size relative to the trailing median, minus one.
    valid : ndarray of shape (n_bars,), bool
        Rows that may be trained and scored on.
    """

    kind: str
    horizon_s: int
    y: Float1D
    t0: Int1D
    t1: Int1D
    forward: Float1D
    target: Float1D
    valid: Bool1D


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
) -> Labels:
    """Label every bar.

    ``volatility``: 1 when ``|r|`` over the next horizon exceeds the median of the ``|r|`` that were
    already resolved at t within the trailing window. ``direction``: 1 when ``r > theta``, 0 when
    ``r < -theta``; ``|r| <= theta`` is dropped.

    Parameters
    ----------
    bars : ndarray of shape (n_bars, n_fields), float64
        Columns as in ``mlwb.core.bars.BAR_FIELDS``.
    kind : {"volatility", "direction"}
        What is predicted.
    horizon_s : int
        Seconds, a positive multiple of the bar interval.
    theta : float, default=0.0
        Dead zone of ``direction``, log return, >= 0.
    median_window_s : int, default=86400
        Trailing window of ``volatility``, seconds.

    Returns
    -------
    Labels

    Raises
    ------
    ParamsError
        Unknown kind, or a horizon off the bar grid.
    """
    if kind not in LABEL_KINDS or horizon_s <= 0 or horizon_s % INTERVAL_S:
        raise ParamsError(
            "no such label",
            expected=f"kind of {', '.join(LABEL_KINDS)}, horizon a multiple of {INTERVAL_S} s",
            got=f"{kind}, {horizon_s} s",
        )
    forward = forward_return(bars, horizon_s)
    size = np.abs(forward)
    if kind == "direction":
        y = np.where(forward > 0, 1.0, 0.0)
        target = forward
        valid = np.isfinite(forward) & (size > theta)
    else:
        threshold = _resolved_median(bars, size, horizon_s, window_s=median_window_s)
        y = np.where(size > threshold, 1.0, 0.0)
        target = size / np.maximum(threshold, np.finfo(np.float64).tiny) - 1.0
        valid = np.isfinite(forward) & np.isfinite(threshold)
    y[~valid] = np.nan
    t0 = bars[:, TS].astype(np.int64) + INTERVAL_S
    return Labels(
        kind=kind,
        horizon_s=horizon_s,
        y=y,
        t0=t0,
        t1=t0 + horizon_s,
        forward=forward,
        target=target,
        valid=valid,
    )


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
