"""How far the days of a reference swing along one change of the shares."""

from __future__ import annotations

import numpy as np

from mlwb.core.arrays import AnyArray, Float2D, Int2D
from mlwb.drift._psi import SMOOTHING

__all__ = ["day_swings"]

_LEFT = 0.25
"""Changes near the limits of a PSI leave more than this of every decile."""


def day_swings(reference: Int2D, windows: Int2D, days: Int2D) -> Float2D:
    """Departures of days from their mean, along the gradient of PSI in each window.

    Parameters
    ----------
    reference, windows : ndarray of shape (n_windows, n_cells), int64
        Both sides of each comparison.
    days : ndarray of shape (n_days, n_cells), int64
        Counts of each reference day, none empty.

    Returns
    -------
    ndarray of shape (n_windows, n_days), float64
        What such departures of the current shares would add to PSI, nats; rows have mean 0.

    Notes
    -----
    A cell varies as in the reference until it has lost three quarters of its share, and from there
    on as the root of what is left, as counts do: PSI is steepest in a cell that a large change has
    emptied, and an empty cell hardly varies.
    """
    used = (reference.sum(axis=0) + windows.sum(axis=0)) > 0
    p, q = (_shares(side[:, used] + SMOOTHING) for side in (reference, windows))
    gradient = (np.log(q / p) + 1.0 - p / q) * np.minimum(np.sqrt(q / (_LEFT * p)), 1.0)
    shares = days[:, used] / days.sum(axis=1, keepdims=True)
    return np.asarray(gradient @ (shares - shares.mean(axis=0)).T)


def _shares(counts: AnyArray) -> Float2D:
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float64)
