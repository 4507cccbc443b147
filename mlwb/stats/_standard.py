"""One ruler for values of any unit."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["standardised"]


def standardised(values: Float1D) -> Float1D:
    """Values less their mean, over their standard deviation (ddof 0).

    The mean product of two such columns is their correlation; of ranks, Spearman's.

    Parameters
    ----------
    values : ndarray of shape (n_obs,), float64
        Finite, at least one.

    Returns
    -------
    ndarray of shape (n_obs,), float64
        Zeros where all values are equal: what does not vary orders nothing.

    Examples
    --------
    >>> standardised(np.array([1.0, 3.0])).tolist(), standardised(np.ones(2)).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """
    if np.ptp(values) == 0.0:
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float64)
