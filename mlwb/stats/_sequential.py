"""Evidence about rates and quantiles that may be looked at after every observation.

All are averages of likelihood ratios over fixed grids of alternatives. Where the hypothesis holds,
given the past, at every observation, such an average ever reaches ``1 / level`` with probability
``level`` at most (Ville), whatever the observations remember and whenever one stops.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from mlwb.core.arrays import Float1D, FloatArray
from mlwb.core.errors import DataSchemaError

__all__ = ["log_mean", "quantile_shift", "rate_evidence", "rates_above"]

_STEPS = 24
_FAR = 0.6
"""Largest part of the way from a limit to 1 that an alternative lies above it."""
_NEAR = 0.05
"""Smallest part of the way from a limit to 0 that an alternative lies below it."""


def rate_evidence(k: FloatArray, n: FloatArray, limit: float) -> tuple[FloatArray, FloatArray]:
    """Log evidence that a rate is above, and below, a limit.

    ``log mean_j (p_j / p)^k ((1 - p_j) / (1 - p))^(n - k)`` with the p_j on one side of the limit
    p. The evidence above grows with k, the evidence below falls with it.

    Parameters
    ----------
    k, n : ndarray of one shape
        Events, and observations, ``0 <= k <= n``.
    limit : float
        In (0, 1).

    Returns
    -------
    above, below : ndarray of the same shape
        Natural logarithms of e-values: against "the rate is at most the limit", and against "it
        is at least the limit".

    Raises
    ------
    DataSchemaError
        The limit is not inside (0, 1), or counts do not fit.

    References
    ----------
    .. [1] Robbins (1970). Statistical methods related to the law of the iterated logarithm.
       Annals of Mathematical Statistics 41.

    Examples
    --------
    >>> above, below = rate_evidence(np.array([5.0]), np.array([30.0]), 0.02)
    >>> bool(above[0] > np.log(20)), bool(below[0] < 0)
    (True, True)
    """
    events, seen = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not 0.0 < limit < 1.0:
        raise DataSchemaError("no limit of a rate", expected="inside (0, 1)", got=str(limit))
    if events.shape != seen.shape or not bool(((events >= 0) & (events <= seen)).all()):
        raise DataSchemaError("counts of events do not fit", expected="0 <= k <= n")
    over = rates_above(limit)
    # The farthest is next to 0 and not 0: one event must not be proof beyond doubt.
    under = limit * (1.0 - np.geomspace(_NEAR, 1.0 - 1e-6, _STEPS))
    return _mixture(events, seen, limit, over), _mixture(events, seen, limit, under)


def rates_above(limit: float) -> Float1D:
    """The alternatives above a limit, shape (24,)."""
    return np.asarray(limit + (1.0 - limit) * np.geomspace(limit / 4.0, _FAR, _STEPS))


def log_mean(log_values: FloatArray) -> FloatArray:
    """Logarithm of the mean over the last axis."""
    return np.asarray(np.logaddexp.reduce(log_values, axis=-1) - math.log(log_values.shape[-1]))


def _mixture(k: FloatArray, n: FloatArray, limit: float, other: Float1D) -> FloatArray:
    gain, loss = np.log(other / limit), np.log((1.0 - other) / (1.0 - limit))
    terms = k[..., None] * gain + (n - k)[..., None] * loss
    return log_mean(terms)


def quantile_shift(
    baseline: Float1D, candidate: Float1D, *, quantile: float = 0.95, tolerance: float = 0.1
) -> float:
    """Log evidence that a quantile of the candidate is above a multiple of the baseline's.

    For each q, "more than 1 - quantile of the candidate lie above q" is held against the
    candidate's values, and "fewer of the baseline lie above q / (1 + tolerance)" against the
    baseline's; at the true quantile the product of both is an e-value, so the smallest product over
    all q is one too.

    Parameters
    ----------
    baseline, candidate : ndarray of shape (n,), float64
        Values so far of the two arms, > 0, such as latencies in ms. Either may be empty.
    quantile : float, default=0.95
        In (0, 1).
    tolerance : float, default=0.1
        Relative increase that is accepted, >= 0.

    Returns
    -------
    float
        Natural logarithm of the e-value; 0 or less without evidence.

    Raises
    ------
    DataSchemaError
        A value is not finite and positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> usual, slow = rng.lognormal(0, 0.3, 600), 2 * rng.lognormal(0, 0.3, 600)
    >>> [quantile_shift(usual, other) > math.log(20) for other in (usual, slow)]
    [False, True]
    """
    for values in (baseline, candidate):
        if not bool((np.isfinite(values) & (values > 0.0)).all()):
            raise DataSchemaError("values cannot be compared", expected="finite and above 0")
    base, new = np.sort(baseline) * (1.0 + tolerance), np.sort(candidate)
    if not len(base) or not len(new):
        return 0.0
    # Counts change at the values only: just below each, and just above.
    at, rate = np.unique(np.concatenate([base, new])), 1.0 - quantile
    products = []
    for side in _SIDES:
        slower = rate_evidence(*_beyond(new, at, side), rate)[0]
        faster = rate_evidence(*_beyond(base, at, side), rate)[1]
        products.append(slower + faster)
    return float(np.min(products))


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def _beyond(
    values: Float1D, at: Float1D, side: Literal["left", "right"]
) -> tuple[Float1D, Float1D]:
    """How many of the sorted values lie beyond each point, of how many."""
    n = np.full(len(at), float(len(values)))
    return n - np.searchsorted(values, at, side=side), n
