"""Other distances between two samples: from raw values, and from the counts of frozen cells.

Statistics of counts share one form, ``(reference counts, current counts) -> float``, so that
whatever scores windows of a reference for the PSI scores them for any of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from mlwb.core.arrays import AnyArray, Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL
from mlwb.drift._psi import psi_of_counts
from mlwb.drift._tails import chi_square_tail, kolmogorov_tail

__all__ = [
    "STATISTICS",
    "ChiSquareResult",
    "CountStatistic",
    "KsResult",
    "bins_moved",
    "chi_square_test",
    "hellinger",
    "jensen_shannon",
    "ks_at_edges",
    "ks_test",
    "wasserstein",
]

CountStatistic: TypeAlias = Callable[[Int1D, Int1D], float]
"""Statistic of reference and current counts, each of shape (n_cells,)."""


@dataclass(frozen=True)
class KsResult:
    """Two-sample Kolmogorov-Smirnov statistic of raw values.

    Parameters
    ----------
    statistic : float
        Largest difference of the two distribution functions, in [0, 1].
    p_value : float
        By Kolmogorov's limit, **for independent rows**; far too small for minutes of a market.
    n_ref, n_obs : int
        Finite rows of both sides.
    """

    statistic: float
    p_value: float
    n_ref: int
    n_obs: int


@dataclass(frozen=True)
class ChiSquareResult:
    """Two-sample chi-square of counts.

    Parameters
    ----------
    statistic : float
        Pearson's, >= 0.
    degrees : int
        Used cells less one.
    p_value : float
        Upper tail, **for independent rows**.
    """

    statistic: float
    degrees: int
    p_value: float


def ks_test(reference: Float1D, current: Float1D) -> KsResult:
    """Two-sample Kolmogorov-Smirnov test of raw values, ties counted on both sides at once.

    Parameters
    ----------
    reference, current : ndarray of shape (n_obs,), float64
        In any order. What is not finite is left out; it has cells of its own in the PSI.

    Returns
    -------
    KsResult

    Raises
    ------
    EmptyWindowError
        One side has no finite value.

    Notes
    -----
    The p value assumes independent rows. For a series, take the statistic's own null from
    windows of the reference (:mod:`mlwb.drift.calibration`). From about 30 rows a side it is
    within 0.05 of the exact permutation value, and above it.

    Examples
    --------
    >>> ks_test(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])).statistic
    0.5
    """
    first, second = _finite(reference), _finite(current)
    points = np.concatenate([first, second])
    n, m = len(first), len(second)
    below_first = np.searchsorted(first, points, side="right") / n
    below_second = np.searchsorted(second, points, side="right") / m
    gap = float(np.abs(below_first - below_second).max())
    return KsResult(gap, kolmogorov_tail(gap * math.sqrt(n * m / (n + m))), n, m)


def wasserstein(reference: Float1D, current: Float1D) -> float:
    """Mean distance by which rows must move, in standard deviations of the reference.

    ``W1 = integral |F(x) - G(x)| dx``, over the reference's standard deviation (ddof 0).

    Parameters
    ----------
    reference, current : ndarray of shape (n_obs,), float64
        In any order; what is not finite is left out.

    Returns
    -------
    float
        >= 0, without unit; infinite where a constant reference was left, 0 where it was not.

    Raises
    ------
    EmptyWindowError
        One side has no finite value.

    Notes
    -----
    Not robust: one corrupt tick of 1e6 among a thousand rows moves it by a thousand.

    Examples
    --------
    >>> wasserstein(np.array([-1.0, 1.0]), np.array([0.0, 2.0]))
    1.0
    """
    first, second = _finite(reference), _finite(current)
    points = np.sort(np.concatenate([first, second]))
    below_first = np.searchsorted(first, points[:-1], side="right") / len(first)
    below_second = np.searchsorted(second, points[:-1], side="right") / len(second)
    moved = float((np.abs(below_first - below_second) * np.diff(points)).sum())
    if first[0] == first[-1]:
        return math.inf if moved else 0.0
    return moved / float(first.std())


def ks_at_edges(reference: Int1D, current: Int1D) -> float:
    """Largest difference of the two distribution functions over the frozen edges.

    Parameters
    ----------
    reference, current : ndarray of shape (n_bins + 3,), int64
        Counts as :func:`mlwb.drift.bin_counts` gives them; the special cells are left out.

    Returns
    -------
    float
        In [0, 1], at most the statistic of the raw values.

    Raises
    ------
    EmptyWindowError
        One side has no finite value.
    """
    return float(np.abs(_gaps(reference, current)).max())


def bins_moved(reference: Int1D, current: Int1D) -> float:
    """Mean number of bins by which rows must move: Wasserstein distance in bins.

    With reference-quantile bins a distance of 1 is one ``n_bins``-th of the reference's rows,
    so that no outlier weighs more than the end bin it lies in.

    Parameters
    ----------
    reference, current : ndarray of shape (n_bins + 3,), int64
        Counts as :func:`mlwb.drift.bin_counts` gives them; the special cells are left out.

    Returns
    -------
    float
        In [0, n_bins - 1].

    Raises
    ------
    EmptyWindowError
        One side has no finite value.

    Examples
    --------
    >>> bins_moved(np.array([5, 5, 0, 0, 0, 0]), np.array([0, 5, 5, 0, 0, 0]))
    1.0
    """
    return float(np.abs(_gaps(reference, current)).sum())


def jensen_shannon(reference: Int1D, current: Int1D) -> float:
    """Jensen-Shannon distance: root of the divergence from the mean of both, in bits.

    Parameters
    ----------
    reference, current : ndarray of shape (n_cells,), int64
        Counts of the same cells; no smoothing.

    Returns
    -------
    float
        In [0, 1]; 1 where no cell is shared.

    Raises
    ------
    EmptyWindowError
        One side holds no rows.
    """
    p, q = _shares(reference, current)
    middle = (p + q) / 2.0
    divergence = (_entropy(p, middle) + _entropy(q, middle)) / 2.0
    return math.sqrt(max(0.0, divergence / math.log(2.0)))


def hellinger(reference: Int1D, current: Int1D) -> float:
    """Hellinger distance, ``sqrt(sum (sqrt(p) - sqrt(q))^2 / 2)``.

    Parameters
    ----------
    reference, current : ndarray of shape (n_cells,), int64
        Counts of the same cells; no smoothing.

    Returns
    -------
    float
        In [0, 1]; 1 where no cell is shared.

    Raises
    ------
    EmptyWindowError
        One side holds no rows.
    """
    p, q = _shares(reference, current)
    return math.sqrt(float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum()) / 2.0)


def chi_square_test(reference: Int1D, current: Int1D) -> ChiSquareResult:
    """Pearson's chi-square that both sides were drawn from one distribution.

    Parameters
    ----------
    reference, current : ndarray of shape (n_cells,), int64
        Counts of the same cells; cells empty on both sides are left out.

    Returns
    -------
    ChiSquareResult

    Raises
    ------
    EmptyWindowError
        One side holds no rows.

    Examples
    --------
    >>> chi_square_test(np.array([10, 10]), np.array([5, 15])).degrees
    1
    """
    p, q = _shares(reference, current)
    n, m = float(reference.sum()), float(current.sum())
    used = (p + q) > 0.0
    pooled = (n * p[used] + m * q[used]) / (n + m)
    statistic = float(((p[used] - q[used]) ** 2 / pooled).sum()) * n * m / (n + m)
    degrees = int(used.sum()) - 1
    return ChiSquareResult(statistic, degrees, chi_square_tail(statistic, degrees))


def _chi_square(reference: Int1D, current: Int1D) -> float:
    return chi_square_test(reference, current).statistic


def _psi(reference: Int1D, current: Int1D) -> float:
    return psi_of_counts("", reference, current).value


STATISTICS: Mapping[str, CountStatistic] = MappingProxyType(
    {
        "psi": _psi,
        "ks": ks_at_edges,
        "wasserstein_bins": bins_moved,
        "jensen_shannon": jensen_shannon,
        "hellinger": hellinger,
        "chi_square": _chi_square,
    }
)
"""Every statistic of counts by name: one null construction serves them all."""


def _finite(values: Float1D) -> Float1D:
    kept = np.sort(values[np.isfinite(values)])
    if len(kept) == 0:
        raise EmptyWindowError("no rows to compare", expected="finite values on both sides")
    return kept


def _gaps(reference: Int1D, current: Int1D) -> Float1D:
    first, second = reference[:-N_SPECIAL], current[:-N_SPECIAL]
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        raise EmptyWindowError("no finite rows to compare", got=f"{n} and {m}")
    return np.asarray(np.cumsum(first) / n - np.cumsum(second) / m, dtype=np.float64)


def _shares(reference: AnyArray, current: AnyArray) -> tuple[Float1D, Float1D]:
    n, m = int(reference.sum()), int(current.sum())
    if n == 0 or m == 0:
        raise EmptyWindowError("no rows to compare", got=f"{n} and {m}")
    return np.asarray(reference / n), np.asarray(current / m)


def _entropy(p: Float1D, q: Float1D) -> float:
    """Relative entropy of p to q in nats; what p does not hold adds nothing."""
    held = p > 0.0
    return float((p[held] * np.log(p[held] / q[held])).sum())
