"""Several tests at once."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["benjamini_hochberg", "holm"]


def benjamini_hochberg(p_values: Float1D) -> Float1D:
    """Benjamini and Hochberg (1995) adjusted p values, controlling the false discovery rate.

    Among the tests adjusted to at most q, the expected share of true nulls is at most q. For
    screening many features; a gate that one false rejection would close needs :func:`holm`.

    Parameters
    ----------
    p_values : ndarray of shape (n_tests,), float64
        In [0, 1], independent or positively dependent.

    Returns
    -------
    ndarray of shape (n_tests,), float64
        Adjusted, in the order given.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.02])).tolist()
    [0.03, 0.04, 0.03]
    """
    order = np.argsort(p_values, kind="stable")[::-1]
    factors = len(p_values) / np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.minimum.accumulate(p_values[order] * factors), 1.0)
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out


def holm(p_values: Float1D) -> Float1D:
    """Holm (1979) adjusted p values, controlling the family-wise error under any dependence.

    Parameters
    ----------
    p_values : ndarray of shape (n_tests,), float64
        In [0, 1].

    Returns
    -------
    ndarray of shape (n_tests,), float64
        Adjusted, in the order given.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out
