"""How steady information is from day to day, and how fast it ages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.stats import standardised

__all__ = ["AGES_S", "Daily", "Decay", "daily", "decay"]

AGES_S = (0, 60, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400)
"""Ages of a value when it is used: none, minutes, hours, a day."""
_LEAST_ROWS = 120
"""Rows a day must have for a correlation of its own: two hours of minutes."""
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Daily:
    """Rank IC of one feature, UTC day by UTC day.

    Parameters
    ----------
    name : str
        Feature name.
    days : ndarray of shape (n_days,), int64
        Day numbers since 1970.
    rank_ic : ndarray of shape (n_days,), float64
        What each day gives to the rank IC of the window: mean product of the standardised ranks.
    mean, sd : float
        Of the days, ``sd`` with ddof 1.
    icir : float
        ``mean / sd``, unannualised: steadiness per day. NaN with fewer than three days.
    low, high : float
        95 % interval of ``icir`` for independent days, standard error
        ``sqrt((1 + icir^2 / 2) / n_days)`` (Lo 2002).
    same_sign_share : float
        Share of days with the sign of the mean.
    """

    name: str
    days: Int1D
    rank_ic: Float1D
    mean: float
    sd: float
    icir: float
    low: float
    high: float
    same_sign_share: float

    @property
    def n_days(self) -> int:
        """Days with a value."""
        return len(self.days)


@dataclass(frozen=True)
class Decay:
    """Rank IC of a value that has been lying around.

    Parameters
    ----------
    name : str
        Feature name.
    ages_s : tuple of int
        Seconds between the value and the moment it is used; the target's length stays the same.
    rank_ic, low, high : tuple of float
        And its 95 % interval with a day as the block; NaN where nothing can be compared.
    half_life_s : float
        First age at which at most half of the fresh value's coefficient is left, interpolated;
        infinite where it never is, NaN where the fresh interval holds zero: then nothing fades.
    """

    name: str
    ages_s: tuple[int, ...]
    rank_ic: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    half_life_s: float


def daily(name: str, values: Float1D, target: Float1D, days: Int1D) -> Daily:
    """Rank IC day by day, and how steady it is.

    Ranks are those of the whole window, so the days, weighted by their rows, add up to the rank IC.
    A correlation within each day would not do: taking a day's mean from a feature that remembers
    longer than a day leaves it high before falls and low before rises, whatever it knows. On random
    walks a 24-hour z-score then has a negative correlation with the next return on most days.

    Parameters
    ----------
    name : str
        Feature name.
    values, target : ndarray of shape (n_rows,), float64
        In time order; rows where either is NaN are left out.
    days : ndarray of shape (n_rows,), int64
        UTC day of each row. Days with fewer than 120 rows have no value.

    Returns
    -------
    Daily

    References
    ----------
    .. [1] Kendall (1954) and Stambaugh (1999) for the bias of short, persistent samples.
    """
    rows = np.isfinite(values) & np.isfinite(target)
    x, y = values[rows], target[rows]
    if len(x) == 0 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return _summary(name, np.empty(0, dtype=np.int64), np.empty(0))
    product = standardised(rankdata(x)) * standardised(rankdata(y))
    numbers, place, sizes = np.unique(days[rows], return_inverse=True, return_counts=True)
    ic = np.bincount(place, weights=product) / sizes
    full = sizes >= _LEAST_ROWS
    return _summary(name, numbers[full], ic[full])


def _summary(name: str, days: Int1D, ic: Float1D) -> Daily:
    n, nan = len(ic), float("nan")
    mean = float(ic.mean()) if n else nan
    sd = float(ic.std(ddof=1)) if n > 2 else nan
    icir = mean / sd if sd > 0.0 else nan
    error = _Z95 * float(np.sqrt((1.0 + icir * icir / 2.0) / max(n, 1)))
    same = int((ic * mean > 0.0).sum()) if n else 0
    return Daily(
        name=name,
        days=days,
        rank_ic=ic,
        mean=mean,
        sd=sd,
        icir=icir,
        low=icir - error,
        high=icir + error,
        same_sign_share=same / n if n else nan,
    )


def decay(name: str, values: Float1D, target: Float1D, *, ages_s: Sequence[int] = AGES_S) -> Decay:
    """Rank IC of values of several ages against one target.

    A longer horizon is another target; here the target keeps its length and moves away, so what
    falls is knowledge and nothing else. It also says what a slow feed costs. Ranks are taken once,
    among all values there are, so that every age is measured with the same ruler.

    Parameters
    ----------
    name : str
        Feature name.
    values, target : ndarray of shape (n_minutes,), float64
        One a minute from midnight UTC or any other start, see :func:`on_grid`.
    ages_s : sequence of int
        Seconds, multiples of the bar interval, rising from 0.

    Returns
    -------
    Decay
    """
    x, y = _known_ranks(values), _known_ranks(target)
    shifts = [min(age // INTERVAL_S, len(x)) for age in ages_s]
    found = [_aged(x[: len(x) - rows], y[rows:]) for rows in shifts]
    ic, low, high = (tuple(column) for column in zip(*found, strict=True))
    return Decay(name, tuple(ages_s), ic, low, high, _half_life(ages_s, ic, low[0] * high[0]))


def _known_ranks(values: Float1D) -> Float1D:
    known = np.isfinite(values)
    out = np.full(len(values), np.nan)
    out[known] = rankdata(values[known])
    return out


def _aged(x: Float1D, y: Float1D) -> tuple[float, float, float]:
    both = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(both) < _LEAST_ROWS or np.ptp(x[both]) == 0.0 or np.ptp(y[both]) == 0.0:
        return float("nan"), float("nan"), float("nan")
    product = standardised(x[both]) * standardised(y[both])
    ic = float(product.mean())
    sums = np.bincount(both // (86_400 // INTERVAL_S), weights=product - ic)
    error = _Z95 * float(np.sqrt((sums**2).sum())) / len(both)
    return ic, ic - error, ic + error


def _half_life(ages_s: Sequence[int], ic: Sequence[float], fresh: float) -> float:
    if not fresh > 0.0:
        return float("nan")
    left = np.abs(np.asarray(ic)) / abs(ic[0])
    below = np.flatnonzero(left <= 0.5)
    if len(below) == 0:
        return float("inf")
    k = int(below[0])
    gone = (left[k - 1] - 0.5) / (left[k - 1] - left[k])
    return float(ages_s[k - 1] + gone * (ages_s[k] - ages_s[k - 1]))
