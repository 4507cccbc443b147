"""How long a series remembers: autocorrelation on the clock, half-life, rows of real news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S

__all__ = ["LAGS_S", "Memory", "memory", "on_grid"]

LAGS_S = (60, 300, 900, 3_600, 14_400, 86_400)
"""Lags shown: 1, 5 and 15 minutes, 1 and 4 hours, a day."""


@dataclass(frozen=True)
class Memory:
    """Autocorrelation of one feature.

    Parameters
    ----------
    name : str
        Feature name.
    lags_s : tuple of int
        Seconds.
    autocorrelation : tuple of float
        At those lags, in [-1, 1]; NaN where no two values stand that far apart or the series is
        constant.
    half_life_s : float
        First lag at which at most half is left, interpolated; infinite where it never is, NaN
        for a constant.
    n_effective : float
        Independent rows the feature is worth, for its mean.
    n_obs : int
        Finite values.
    """

    name: str
    lags_s: tuple[int, ...]
    autocorrelation: tuple[float, ...]
    half_life_s: float
    n_effective: float
    n_obs: int


def on_grid(ts: Int1D, *columns: Float1D) -> tuple[Float1D, ...]:
    """Spread rows over every minute from the first to the last, so that a shift is a time.

    Parameters
    ----------
    ts : ndarray of shape (n_rows,), int64
        Seconds since 1970, increasing on the minute; at least one row.
    *columns : ndarray of shape (n_rows,), float64
        Values of those rows.

    Returns
    -------
    tuple of ndarray of shape (n_minutes,), float64
        NaN where there is no row.

    Examples
    --------
    >>> on_grid(np.array([0, 60, 180]), np.array([1.0, 2.0, 4.0]))[0].tolist()
    [1.0, 2.0, nan, 4.0]
    """
    place = (ts - ts[0]) // INTERVAL_S
    spread = []
    for column in columns:
        out = np.full(int(place[-1]) + 1, np.nan)
        out[place] = column
        spread.append(out)
    return tuple(spread)


def memory(name: str, values: Float1D, *, lags_s: Sequence[int] = LAGS_S) -> Memory:
    """Measure how a feature depends on its own past.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_minutes,), float64
        One value a minute, see :func:`on_grid`; pairs with a NaN are left out.
    lags_s : sequence of int
        Seconds, multiples of the bar interval.

    Returns
    -------
    Memory
    """
    rho, n_obs = _autocorrelation(values)
    rows = [lag // INTERVAL_S for lag in lags_s]
    shown = tuple(float(rho[k]) if k < len(rho) else float("nan") for k in rows)
    half = _first_half(rho) * INTERVAL_S if n_obs and np.isfinite(rho[0]) else float("nan")
    return Memory(name, tuple(lags_s), shown, half, _effective(rho, n_obs), n_obs)


def _autocorrelation(values: Float1D) -> tuple[Float1D, int]:
    """Correlation of the pairs at every lag, over the variance of all; NaN without variance."""
    known = np.isfinite(values)
    n = int(known.sum())
    if n < 3 or np.ptp(values[known]) == 0.0:
        return np.full(1, np.nan), n
    x = np.where(known, values, 0.0)
    x = np.where(known, x - x.sum() / n, 0.0)
    size = 1 << int(np.ceil(np.log2(2 * len(x))))
    products = np.fft.irfft(np.abs(np.fft.rfft(x, size)) ** 2, size)[: len(x)]
    if n == len(x):  # without holes the shrinking number of pairs is left in, as Geyer's sum needs
        return np.asarray(products / products[0], dtype=np.float64), n
    pairs = np.fft.irfft(np.abs(np.fft.rfft(known.astype(np.float64), size)) ** 2, size)[: len(x)]
    share = np.rint(pairs) / (n * (1.0 - np.arange(len(x)) / len(x)))
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = products / products[0] / share
    return np.where(np.rint(pairs) > 0, rho, np.nan), n


def _first_half(rho: Float1D) -> float:
    below = np.flatnonzero(rho <= 0.5)
    if len(below) == 0:
        return float("inf")
    k = int(below[0])
    return float(k - 1 + (rho[k - 1] - 0.5) / (rho[k - 1] - rho[k]))


def _effective(rho: Float1D, n: int) -> float:
    if not np.isfinite(rho[0]):
        return float(n)
    ends = np.flatnonzero(~(rho > 0.0))
    last = int(ends[0]) if len(ends) else len(rho)
    return float(min(max(n / (1.0 + 2.0 * float(rho[1:last].sum())), 1.0), n))
