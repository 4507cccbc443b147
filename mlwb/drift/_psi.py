"""Population stability index of counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import AnyArray, Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import BinnedReference, bin_counts

__all__ = ["PsiResult", "psi", "psi_of_counts"]

SMOOTHING = 0.5
"""Added to every count on both sides (Krichevsky and Trofimov 1981)."""


@dataclass(frozen=True)
class PsiResult:
    """PSI of one feature with what is needed to judge it.

    Parameters
    ----------
    name : str
        Feature name.
    value : float
        In nats, >= 0, with smoothing; infinite where smoothing is 0 and a used cell is empty on
        one side.
    raw : float
        The same without smoothing; NaN where a used cell is empty on one side.
    per_bin : ndarray of shape (n_cells,), float64
        Contribution of each cell, summing to ``value``.
    noise_floor : float
        Mean of the statistic without drift if rows were independent.
    n_ref, n_obs : int
        Rows of reference and current.
    """

    name: str
    value: float
    raw: float
    per_bin: Float1D
    noise_floor: float
    n_ref: int
    n_obs: int


def psi(reference: BinnedReference, current: Float1D, *, smoothing: float = SMOOTHING) -> PsiResult:
    """Population stability index of one feature against frozen reference bins.

    ``sum_i (q_i - p_i) * ln(q_i / p_i)``, p the reference and q the current share.

    Parameters
    ----------
    reference : BinnedReference
        Fitted once on the training window, never refitted here.
    current : ndarray of shape (n_obs,), float64
        Values in the unit of the edges. NaN and infinities have cells of their own.
    smoothing : float, default=0.5
        Added to every count on both sides, dimensionless, >= 0.

    Returns
    -------
    PsiResult

    Raises
    ------
    EmptyWindowError
        ``current`` is empty.

    Notes
    -----
    Without drift the mean is about ``(n_cells - 1) * (1 / n_ref + 1 / n_obs)`` for independent
    rows [1]_; market features are not independent, see :mod:`mlwb.drift.calibration`.

    References
    ----------
    .. [1] Yurdakul, B. (2018). Statistical properties of population stability index.
    """
    counts = bin_counts(reference.edges, current)
    return psi_of_counts(reference.name, reference.counts, counts, smoothing=smoothing)


def psi_of_counts(
    name: str, reference: Int1D, current: Int1D, *, smoothing: float = SMOOTHING
) -> PsiResult:
    """PSI from the counts of both sides; see :func:`psi`.

    Parameters
    ----------
    name : str
        Feature name.
    reference, current : ndarray of shape (n_cells,), int64
        Cells empty on both sides are left out.
    smoothing : float, default=0.5
        Added to every used cell.

    Returns
    -------
    PsiResult

    Raises
    ------
    EmptyWindowError
        One side holds no rows.

    Examples
    --------
    >>> ref = np.full(10, 100)
    >>> cur = np.array([60, 80, 90, 100, 100, 100, 110, 110, 120, 130])
    >>> round(psi_of_counts("e1", ref, cur, smoothing=0.0).value, 12)
    0.039373063799
    """
    n_ref, n_obs = int(reference.sum()), int(current.sum())
    if n_ref == 0 or n_obs == 0:
        raise EmptyWindowError(f"no rows to compare for {name}", got=f"{n_ref} and {n_obs} rows")
    used = (reference + current) > 0
    per_bin = np.zeros(len(reference))
    per_bin[used] = _terms(_shares(reference[used] + smoothing), _shares(current[used] + smoothing))
    both = (reference[used] > 0) & (current[used] > 0)
    raw = float("nan")
    if both.all():
        raw = float(_terms(_shares(reference[used]), _shares(current[used])).sum())
    floor = (int(used.sum()) - 1) * (1.0 / n_ref + 1.0 / n_obs)
    return PsiResult(name, float(per_bin.sum()), raw, per_bin, floor, n_ref, n_obs)


def _shares(counts: AnyArray) -> Float1D:
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _terms(p: Float1D, q: Float1D) -> Float1D:
    with np.errstate(divide="ignore"):  # an empty cell without smoothing is infinitely far
        return np.asarray((q - p) * np.log(q / p), dtype=np.float64)
