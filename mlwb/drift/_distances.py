"""Statistics of the counts of frozen cells, of one window or of many at once.

They share one form, ``(reference counts, current counts) -> float``, so that whatever scores
windows of a reference for the PSI scores them for any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from mlwb.core.arrays import AnyArray, Float1D, Int1D, Int2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL
from mlwb.drift._psi import check_counts, psi_of_rows
from mlwb.drift._tails import chi_square_tail

__all__ = [
    "STATISTICS",
    "ChiSquareResult",
    "CountStatistic",
    "bins_moved",
    "chi_square_test",
    "hellinger",
    "jensen_shannon",
    "ks_at_edges",
    "score_windows",
]

CountStatistic: TypeAlias = Callable[[Int1D, Int1D], float]
"""Statistic of reference and current counts, each of shape (n_cells,)."""


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
    return float(_ks(reference, current))


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
    return float(_moved(reference, current))


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
    return float(_jensen_shannon(reference, current))


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
    return float(_hellinger(reference, current))


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
    statistic = float(_chi_square(reference, current))
    degrees = int(((reference + current) > 0).sum()) - 1
    return ChiSquareResult(statistic, degrees, chi_square_tail(statistic, degrees))


def score_windows(name: str, reference: Int2D, current: Int2D) -> Float1D:
    """Score many windows at once by a statistic of :data:`STATISTICS`.

    Parameters
    ----------
    name : str
        Key of the statistic.
    reference, current : ndarray of shape (n_windows, n_cells), int64
        Counts of both sides, window by window.

    Returns
    -------
    ndarray of shape (n_windows,), float64
        What the statistic gives for each row.

    Raises
    ------
    EmptyWindowError
        A row of one side is empty.

    Examples
    --------
    >>> days = np.array([[4, 1, 0, 0, 0], [1, 4, 0, 0, 0]])
    >>> score_windows("ks", days.sum(axis=0) - days, days).round(3).tolist()
    [0.6, 0.6]
    """
    return np.asarray(_BY_ROW[name](reference, current), dtype=np.float64)


def _psi(reference: AnyArray, current: AnyArray) -> AnyArray:
    _shares(reference, current)  # raises where a side is empty
    found = psi_of_rows(np.atleast_2d(reference), np.atleast_2d(current))
    return found if np.ndim(current) > 1 else np.asarray(found[0])


def _ks(reference: AnyArray, current: AnyArray) -> AnyArray:
    return np.asarray(np.abs(_gaps(reference, current)).max(axis=-1))


def _moved(reference: AnyArray, current: AnyArray) -> AnyArray:
    return np.asarray(np.abs(_gaps(reference, current)).sum(axis=-1))


def _jensen_shannon(reference: AnyArray, current: AnyArray) -> AnyArray:
    p, q = _shares(reference, current)
    middle = (p + q) / 2.0
    divergence = sum((side * _log_ratio(side, middle)).sum(axis=-1) for side in (p, q)) / 2.0
    return np.asarray(np.sqrt(np.maximum(divergence / np.log(2.0), 0.0)))


def _hellinger(reference: AnyArray, current: AnyArray) -> AnyArray:
    p, q = _shares(reference, current)
    return np.asarray(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=-1) / 2.0))


def _chi_square(reference: AnyArray, current: AnyArray) -> AnyArray:
    p, q = _shares(reference, current)
    n, m = reference.sum(axis=-1), current.sum(axis=-1)
    both = np.maximum(reference + current, 1)
    share = (p - q) ** 2 / both
    return np.asarray(share.sum(axis=-1) * n * m)


_BY_ROW: Mapping[str, Callable[[AnyArray, AnyArray], AnyArray]] = MappingProxyType(
    {
        "psi": _psi,
        "ks": _ks,
        "wasserstein_bins": _moved,
        "jensen_shannon": _jensen_shannon,
        "hellinger": _hellinger,
        "chi_square": _chi_square,
    }
)


def _of_one(by_row: Callable[[AnyArray, AnyArray], AnyArray]) -> CountStatistic:
    return lambda reference, current: float(by_row(reference, current))


STATISTICS: Mapping[str, CountStatistic] = MappingProxyType(
    {name: _of_one(by_row) for name, by_row in _BY_ROW.items()}
)
"""Every statistic of counts by name: one construction of a null serves them all."""


def _gaps(reference: AnyArray, current: AnyArray) -> AnyArray:
    p, q = _shares(reference[..., :-N_SPECIAL], current[..., :-N_SPECIAL])
    return np.asarray(np.cumsum(p, axis=-1) - np.cumsum(q, axis=-1))


def _shares(reference: AnyArray, current: AnyArray) -> tuple[AnyArray, AnyArray]:
    check_counts("", reference, current)
    n, m = (side.sum(axis=-1, keepdims=True) for side in (reference, current))
    if not (n.all() and m.all()):
        raise EmptyWindowError("no rows to compare", got=f"{n.min()} and {m.min()}")
    return reference / n, current / m


def _log_ratio(p: AnyArray, q: AnyArray) -> AnyArray:
    """``ln(p / q)``; 0 where p holds nothing, which adds nothing."""
    return np.asarray(np.log(np.divide(p, q, out=np.ones_like(p), where=p > 0.0)))
