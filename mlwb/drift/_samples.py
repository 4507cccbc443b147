"""Distances between two samples of raw values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._tails import kolmogorov_tail

__all__ = ["KsResult", "ks_test", "wasserstein"]


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
    Not robust: one corrupt tick of 1e6 among a thousand rows moves it by a
    thousand standard deviations.

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


def _finite(values: Float1D) -> Float1D:
    kept = np.sort(values[np.isfinite(values)])
    if len(kept) == 0:
        raise EmptyWindowError("no rows to compare", expected="finite values on both sides")
    return kept
