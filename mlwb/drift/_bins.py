"""Frozen reference bins: reference quantiles, right-closed, open ends, atoms on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.canonical import digest
from mlwb.core.errors import ArtifactError, EmptyWindowError, ParamsError

__all__ = [
    "N_SPECIAL",
    "BinnedReference",
    "bin_counts",
    "cells_of",
    "fit_reference",
    "out_of_range",
]

_BULK = 500
"""Rows an edge from which comparing with every edge is faster than searching."""
_NARROW = 100
"""Edges up to which the bins of a comparison fit in a byte, and are worth it."""
N_SPECIAL = 3
"""Cells after the bins: NaN, +inf, -inf."""


@dataclass(frozen=True)
class BinnedReference:
    """Bins of one feature and what fell into them when the model was trained.

    Parameters
    ----------
    name : str
        Feature name.
    edges : ndarray of shape (n_bins - 1,), float64
        Right-closed inner edges in the feature's unit, increasing; the end bins are open.
    counts : ndarray of shape (n_bins + 3,), int64
        Rows in each bin, then NaN, +inf and -inf.
    low, high : float
        Least and greatest finite value, in the feature's unit: the open end bins do not show
        where the reference ended.
    """

    name: str
    edges: Float1D
    counts: Int1D
    low: float
    high: float

    @property
    def n_obs(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    @property
    def n_bins(self) -> int:
        """Bins for finite values; with fewer than 3 a PSI says little about a shape."""
        return len(self.edges) + 1

    @property
    def digest(self) -> str:
        """sha256 of name, edges, counts and range."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain form, as stored in ``reference_distributions.json``."""
        return {
            "name": self.name,
            "edges": self.edges.tolist(),
            "counts": self.counts.tolist(),
            "low": self.low,
            "high": self.high,
            "closed": "right",
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BinnedReference:
        """Inverse of :meth:`to_json`.

        Raises
        ------
        ArtifactError
            The stored form is not a reference.
        """
        try:
            edges = np.asarray(stored["edges"], dtype=np.float64)
            counts = np.asarray(stored["counts"], dtype=np.int64)
            low, high = float(stored["low"]), float(stored["high"])
            reference = cls(str(stored["name"]), edges, counts, low, high)
            fits = counts.shape == (len(edges) + 1 + N_SPECIAL,) and bool((counts >= 0).all())
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"not a binned reference: {error}") from error
        if not fits or not _in_order(edges, low, high):
            raise ArtifactError("not a binned reference", got=reference.name)
        return reference


def fit_reference(name: str, values: Float1D, *, n_bins: int = 10) -> BinnedReference:
    """Freeze bins at the quantiles of a sample.

    A value that holds more than one bin's share (a tick, a floor) becomes a bin of its own, so
    that a price moving across a quantile inside an atom is not read as drift.

    Parameters
    ----------
    name : str
        Feature name.
    values : ndarray of shape (n_obs,), float64
        NaN and infinities are counted in cells of their own.
    n_bins : int, default=10
        Bins wanted; equal quantiles are merged, so fewer may result.

    Returns
    -------
    BinnedReference

    Raises
    ------
    EmptyWindowError
        No finite value.
    ParamsError
        Fewer than one bin.

    Examples
    --------
    >>> fit_reference("x", np.arange(100.0), n_bins=4).counts.tolist()
    [25, 25, 25, 25, 0, 0, 0]
    """
    if n_bins < 1:
        raise ParamsError(f"no bins for {name}", expected="at least 1", got=f"{n_bins}")
    finite = np.sort(values[np.isfinite(values)])
    if len(finite) == 0:
        raise EmptyWindowError(f"no finite value of {name} to fit reference bins on")
    quantiles = np.quantile(finite, np.arange(1, n_bins) / n_bins)
    edges = np.unique(np.concatenate([quantiles, _atom_edges(finite, n_bins)]))
    edges = edges[(edges >= finite[0]) & (edges < finite[-1])]
    counts = bin_counts(edges, values)
    return BinnedReference(name, edges, counts, float(finite[0]), float(finite[-1]))


def _atom_edges(finite: Float1D, n_bins: int) -> Float1D:
    """Values that hold more than one bin's share of a sorted sample, and the values below them.

    A run longer than a share meets a multiple of it: those few places are all that is looked at.
    """
    share = len(finite) / n_bins
    met = np.unique(finite[:: max(int(share), 1)])
    first = np.searchsorted(finite, met, side="left")
    is_heavy = np.searchsorted(finite, met, side="right") - first > share
    heavy, before = met[is_heavy], first[is_heavy] - 1
    return np.concatenate([heavy, finite[before[before >= 0]]])


def out_of_range(reference: BinnedReference, values: Float1D) -> tuple[int, int]:
    """Rows below and above everything the reference held, which open end bins do not show.

    Parameters
    ----------
    reference : BinnedReference
        Frozen bins.
    values : ndarray of shape (n_obs,), float64
        Any float; NaN and infinities have cells of their own and are not counted here.

    Returns
    -------
    tuple of int
        Below and above.

    Examples
    --------
    >>> out_of_range(fit_reference("x", np.arange(9.0)), np.array([-1.0, 0.0, 8.0, 9.0, np.inf]))
    (1, 1)
    """
    below = int(((values < reference.low) & ~np.isneginf(values)).sum())
    above = int(((values > reference.high) & ~np.isposinf(values)).sum())
    return below, above


def bin_counts(edges: Float1D, values: Float1D) -> Int1D:
    """Count values into frozen bins.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Right-closed inner edges, increasing.
    values : ndarray of shape (n_obs,), float64
        Any float; NaN and infinities have cells of their own.

    Returns
    -------
    ndarray of shape (n_bins + 3,), int64
        Counts add: the counts of two windows together are their sum.

    Examples
    --------
    >>> bin_counts(np.array([0.0, 1.0]), np.array([-1.0, 0.0, 0.5, 2.0, np.nan])).tolist()
    [2, 1, 1, 1, 0, 0]
    """
    cells = np.bincount(cells_of(edges, values), minlength=len(edges) + 1 + N_SPECIAL)
    return np.asarray(cells, dtype=np.int64)


def cells_of(edges: Float1D, values: Float1D) -> Int1D:
    """Cell of each value: its bin, or the cell of NaN, +inf or -inf after the bins.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Right-closed inner edges, increasing.
    values : ndarray of shape (n_obs,), float64
        Any float.

    Returns
    -------
    ndarray of shape (n_obs,), int64
        In ``[0, n_bins + 3)``.

    Examples
    --------
    >>> cells_of(np.array([0.0]), np.array([-1.0, 0.0, 1.0, np.nan, np.inf, -np.inf])).tolist()
    [0, 0, 1, 2, 3, 4]
    """
    n_bins = len(edges) + 1
    cells = _bins_of(edges, values)
    if not np.isfinite(values).all():
        cells[np.isnan(values)] = n_bins
        cells[np.isposinf(values)] = n_bins + 1
        cells[np.isneginf(values)] = n_bins + 2
    return np.asarray(cells, dtype=np.int64)


def _bins_of(edges: Float1D, values: Float1D) -> Int1D:
    if len(values) < _BULK * len(edges) or len(edges) > _NARROW:
        return np.searchsorted(edges, values, side="left").astype(np.int64)
    bins = np.zeros(len(values), dtype=np.int8)
    for edge in edges:
        bins += values > edge
    return bins.astype(np.int64)


def _in_order(edges: Float1D, low: float, high: float) -> bool:
    """Whether ``low <= first edge < ... < last edge < high``, all finite."""
    if edges.ndim != 1:
        return False
    ends = np.array([*edges, high])
    rising = bool((ends[:-1] < ends[1:]).all()) and low <= float(ends.min())
    return rising and bool(np.isfinite([low, *ends]).all())
