"""Population stability index of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import AnyArray, Float1D, Int1D
from mlwb.core.canonical import digest
from mlwb.core.errors import DataSchemaError, EmptyWindowError
from mlwb.drift._bins import N_SPECIAL, BinnedReference, bin_counts
from mlwb.drift._tails import chi_square_tail

__all__ = [
    "SMOOTHING",
    "MissingSplit",
    "PsiResult",
    "check_counts",
    "psi",
    "psi_of_counts",
    "psi_spec",
    "spec_digest",
    "split_missing",
]

SMOOTHING = 0.5
"""Added to every count on both sides (Krichevsky and Trofimov 1981)."""
_TOO_MANY = 2.0**62


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
    n_cells : int
        Cells with a row on either side, special cells included; 0 for a mean over features.
    """

    name: str
    value: float
    raw: float
    per_bin: Float1D
    noise_floor: float
    n_ref: int
    n_obs: int
    n_cells: int = 0

    @property
    def p_independent(self) -> float:
        """Probability of a value at least this large without drift, **for independent rows**.

        Upper tail of ``chi2(n_cells - 1)`` at ``value / (1 / n_ref + 1 / n_obs)``. Minutes of a
        market are not independent: there it is far too small, and
        :mod:`mlwb.drift.calibration` has the p value to use. NaN for a mean over features.
        """
        if self.n_cells == 0:
            return float("nan")
        return chi_square_tail(self.value / (1.0 / self.n_ref + 1.0 / self.n_obs), self.n_cells - 1)


@dataclass(frozen=True)
class MissingSplit:
    """A PSI in two exact parts: what is missing, and what the finite values say.

    ``value = missing + share_ref * kl_ref + share_obs * kl_obs``

    Parameters
    ----------
    missing : float
        PSI of the classes finite, NaN, +inf, -inf alone, nats.
    kl_ref, kl_obs : float
        Divergence of the reference's finite values from the current ones, and back, nats.
    share_ref, share_obs : float
        Smoothed shares of finite rows on both sides, in [0, 1].
    """

    missing: float
    kl_ref: float
    kl_obs: float
    share_ref: float
    share_obs: float

    @property
    def finite(self) -> float:
        """Part of the finite values, nats."""
        return self.share_ref * self.kl_ref + self.share_obs * self.kl_obs


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
    DataSchemaError
        ``reference`` is not frozen: values, not bins.

    Notes
    -----
    Without drift the mean is about ``(n_cells - 1) * (1 / n_ref + 1 / n_obs)`` for independent
    rows [1]_; market features are not independent, see :mod:`mlwb.drift.calibration`.

    References
    ----------
    .. [1] Yurdakul, B. (2018). Statistical properties of population stability index.
    """
    _check_frozen(reference)
    counts = bin_counts(reference.edges, current)
    return psi_of_counts(reference.name, reference.counts, counts, smoothing=smoothing)


def _check_frozen(reference: object) -> None:
    if not isinstance(reference, BinnedReference):
        raise DataSchemaError(
            "psi compares with a frozen reference",
            expected="BinnedReference",
            got=type(reference).__name__,
            todo="psi(fit_reference(name, values), current), or detect_drift(values, current)",
        )


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
    DataSchemaError
        The two are not counts of the same cells.

    Examples
    --------
    >>> ref = np.full(10, 100)
    >>> cur = np.array([60, 80, 90, 100, 100, 100, 110, 110, 120, 130])
    >>> round(psi_of_counts("e1", ref, cur, smoothing=0.0).value, 12)
    0.039373063799
    """
    check_counts(f" of {name}", reference, current)
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
    n_cells = int(used.sum())
    floor = (n_cells - 1) * (1.0 / n_ref + 1.0 / n_obs)
    return PsiResult(name, float(per_bin.sum()), raw, per_bin, floor, n_ref, n_obs, n_cells)


def psi_of_rows(reference: AnyArray, current: AnyArray) -> Float1D:
    """:func:`psi_of_counts` of many windows at once, each with the cells that it uses.

    Parameters
    ----------
    reference, current : ndarray of shape (n_windows, n_cells), int64
        Counts of both sides, no row empty.

    Returns
    -------
    ndarray of shape (n_windows,), float64
    """
    used = (reference + current) > 0
    ever = used.any(axis=0)
    p, q = ((side[:, ever] + SMOOTHING) * used[:, ever] for side in (reference, current))
    p, q = (side / side.sum(axis=1, keepdims=True) for side in (p, q))
    ratio = np.divide(q, p, out=np.ones_like(p), where=used[:, ever])
    return np.asarray(((q - p) * np.log(ratio)).sum(axis=1), dtype=np.float64)


def split_missing(
    reference: Int1D, current: Int1D, *, smoothing: float = SMOOTHING
) -> MissingSplit:
    """Split a PSI exactly into missing rows and the shape of the finite ones.

    Dropping what is missing hides a loss of completeness; leaving it in one sum lets it drown
    the shape. The two parts add up to :func:`psi_of_counts` of the same counts.

    Parameters
    ----------
    reference, current : ndarray of shape (n_bins + 3,), int64
        Counts as :func:`mlwb.drift.bin_counts` gives them.
    smoothing : float, default=0.5
        As for the PSI, > 0.

    Returns
    -------
    MissingSplit

    Raises
    ------
    EmptyWindowError
        One side holds no rows.

    Examples
    --------
    >>> split = split_missing(np.array([50, 50, 0, 0, 0]), np.array([40, 40, 20, 0, 0]))
    >>> round(split.missing, 4), split.finite
    (0.7752, 0.0)
    """
    if not reference.any() or not current.any():
        raise EmptyWindowError("no rows to compare")
    used = (reference + current) > 0
    special = used & (np.arange(len(used)) >= len(used) - N_SPECIAL)
    p, q = (np.where(used, side + smoothing, 0.0) for side in (reference, current))
    p, q = p / p.sum(), q / q.sum()
    inner = used & ~special
    share_ref, share_obs = float(p[inner].sum()), float(q[inner].sum())
    missing = float(_terms(p[special], q[special]).sum())
    if not inner.any():
        return MissingSplit(missing, 0.0, 0.0, share_ref, share_obs)
    missing += (share_obs - share_ref) * float(np.log(share_obs / share_ref))
    log_ratio = np.log((p[inner] / share_ref) / (q[inner] / share_obs))
    kl_ref = float((p[inner] / share_ref * log_ratio).sum())
    kl_obs = float((q[inner] / share_obs * -log_ratio).sum())
    return MissingSplit(missing, kl_ref, kl_obs, share_ref, share_obs)


def psi_spec(edges: Float1D | Sequence[float], *, smoothing: float = SMOOTHING) -> dict[str, Any]:
    """By which definition a published PSI was made, in plain JSON values.

    With it and the counts of both sides anyone recomputes the number; two numbers of different
    specs must not be compared.

    Parameters
    ----------
    edges : sequence of float
        Frozen inner edges.
    smoothing : float, default=0.5
        Added to every used cell on both sides.
    """
    return {
        "formula": "sum over used cells of (q - p) * ln(q / p)",
        "shares": "(count + smoothing) / sum over used cells of (count + smoothing)",
        "used": "cells with a row on either side",
        "log": "natural",
        "smoothing": float(smoothing),
        "edges": [float(edge) for edge in edges],
        "closed": "right",
        "ends": "open",
        "special": ["nan", "+inf", "-inf"],
    }


def spec_digest(edges: Float1D | Sequence[float], *, smoothing: float = SMOOTHING) -> str:
    """sha256 of :func:`psi_spec`: equal digests, comparable numbers."""
    return digest(psi_spec(edges, smoothing=smoothing))


def check_counts(of: str, reference: AnyArray, current: AnyArray) -> None:
    """Whether both are counts of the same cells whose sum is a whole number; else an error."""
    n_cells = reference.shape[-1], current.shape[-1]
    least = min(reference.min(initial=0), current.min(initial=0))
    most = max(reference.sum(dtype=np.float64), current.sum(dtype=np.float64))
    if n_cells[0] != n_cells[1] or least < 0 or not most < _TOO_MANY:
        raise DataSchemaError(
            f"not two counts of the same cells{of}",
            expected="as many cells on both sides, none negative",
            got=f"{n_cells[0]} and {n_cells[1]} cells, from {least} on, {most:g} rows",
        )


def _shares(counts: AnyArray) -> Float1D:
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _terms(p: Float1D, q: Float1D) -> Float1D:
    with np.errstate(divide="ignore"):  # an empty cell without smoothing is infinitely far
        return np.asarray((q - p) * np.log(q / p), dtype=np.float64)
