"""Several tests at once."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["benjamini_hochberg", "e_benjamini_hochberg", "holm"]


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


def e_benjamini_hochberg(e_values: Float1D) -> Float1D:
    """The e-BH procedure of Wang and Ramdas (2022) as adjusted levels, under any dependence.

    :func:`benjamini_hochberg` of ``1 / e``. Those adjusted to at most q hold, on average, at most
    a share q of true nulls, however the e-values depend on each other.

    Parameters
    ----------
    e_values : ndarray of shape (n_tests,), float64
        >= 0, with a mean of at most 1 under their null; infinite is allowed. Wealth at the time of
        the look, never the highest it has been.

    Returns
    -------
    ndarray of shape (n_tests,), float64
        Adjusted levels in [0, 1], in the order given.

    Examples
    --------
    >>> e_benjamini_hochberg(np.array([100.0, 1.0, 50.0])).tolist()
    [0.03, 1.0, 0.03]
    """
    with np.errstate(divide="ignore"):  # no evidence at all is an infinite level
        return benjamini_hochberg(1.0 / e_values)
