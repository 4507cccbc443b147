"""How long days remember each other, and what that costs a window of several days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int2D

__all__ = ["DayMemory", "day_memory"]

_LAGS = 4
"""Days apart: fewer cannot tell a slow decay from a quick one, more are noise in a reference of
forty days and would meet the week."""
_DECAYS = np.linspace(0.0, 0.95, 39)
_SHARES = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True)
class DayMemory:
    """Correlation ``share * decay ** k`` of days that are ``k`` apart.

    A day is a level that fades, plus what belongs to that day alone.

    Parameters
    ----------
    share : float
        Part of a day's variance that is the level, in [0, 1].
    decay : float
        Of the level from one day to the next, in [0, 1).
    """

    share: float
    decay: float

    def variance(self, n_days: int) -> float:
        """Variance of a mean over days in a row, as a multiple of independent days'; >= 1."""
        return float(_variance(np.array([self.share]), np.array([self.decay]), n_days)[0])

    def inflation(self, window: int, n_days: int) -> float:
        """By how much PSI of a window exceeds that of days drawn at random from the reference.

        Both means, the window's and the reference's, vary more than those of independent days;
        and the days of a reference that share a level differ less from each other than from the
        days to come.

        Parameters
        ----------
        window, n_days : int
            Days of the window and of the reference.

        Returns
        -------
        float
            >= 1.
        """
        own, all_days = self.variance(window), self.variance(n_days)
        means = (own / window + all_days / n_days) / (1.0 / window + 1.0 / n_days)
        return means / (1.0 - (all_days - 1.0) / (n_days - 1.0))


def day_memory(days: Int2D) -> DayMemory:
    """Fit the memory of days to their correlogram, one to four days apart.

    Each direction in which the shares of the cells move is weighted by its own variance: a level
    of volatility that wanders from day to day moves few directions far, and it is those that make
    large PSIs. Correlations within a short sample are too low on average; they are compared with
    what a sample of this length would show.

    Parameters
    ----------
    days : ndarray of shape (n_days, n_cells), int64
        Counts of each day, in time order, no day empty.

    Returns
    -------
    DayMemory

    Examples
    --------
    >>> level = np.repeat([[80, 20], [20, 80]], 20, axis=0)
    >>> day_memory(level).decay > 0.9
    True
    """
    found = _correlogram(days)
    if not len(found):
        return DayMemory(0.0, 0.0)
    share, decay = (grid.ravel() for grid in np.meshgrid(_SHARES, _DECAYS, indexing="ij"))
    lost = _variance(share, decay, len(days)) / len(days)
    lags = np.arange(1, len(found) + 1)
    expected = (share[:, None] * decay[:, None] ** lags - lost[:, None]) / (1.0 - lost[:, None])
    best = int(((expected - found) ** 2).sum(axis=1).argmin())
    return DayMemory(float(share[best]), float(decay[best]))


def _correlogram(days: Int2D) -> Float1D:
    """Correlation of days, one value a lag; empty where days do not differ."""
    shares = days / days.sum(axis=1, keepdims=True)
    mean = shares.mean(axis=0)
    used = mean > 0.0
    moves = (shares[:, used] - mean[used]) / np.sqrt(mean[used])
    weight = moves.T @ moves / len(days)
    total = float((weight * weight).sum())
    if total <= 0.0:
        return np.empty(0)
    lags = range(1, min(_LAGS, len(days) - 1) + 1)
    products = [moves[:-lag].T @ moves[lag:] / (len(days) - lag) for lag in lags]
    return np.array([float((product * weight).sum()) / total for product in products])


def _variance(share: Float1D, decay: Float1D, n_days: int) -> Float1D:
    lags = np.arange(1, n_days)
    faded = (1.0 - lags / n_days) * decay[:, None] ** lags
    return np.asarray(1.0 + 2.0 * share * faded.sum(axis=1), dtype=np.float64)
