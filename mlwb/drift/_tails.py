"""Upper tails of the chi-square and Kolmogorov distributions, without scipy."""

from __future__ import annotations

import math

__all__ = ["chi_square_tail", "kolmogorov_tail"]

_SERIES_FROM = 1.18
"""Below, the theta series converges faster, above the alternating one; both give 15 digits."""


def chi_square_tail(x: float, degrees: int) -> float:
    """Probability that a chi-square variable of whole degrees of freedom exceeds ``x``.

    Exact finite sum: ``Q(a + 1, t) = Q(a, t) + t^a e^-t / Gamma(a + 1)`` from ``Q(1/2, t) =
    erfc(sqrt(t))`` or ``Q(0, t) = 0``, with ``t = x / 2`` (Abramowitz and Stegun 26.4.4-5).

    Parameters
    ----------
    x : float
        Statistic, >= 0; infinity gives 0.
    degrees : int
        Degrees of freedom, >= 0; with none there is nothing to exceed and the answer is 1.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(chi_square_tail(19.686531899746203, 9), 12)
    0.01994860293
    """
    if degrees == 0 or x <= 0.0:
        return 1.0
    if math.isinf(x):
        return 0.0
    t, a = x / 2.0, 0.5 * (degrees % 2)
    found = math.erfc(math.sqrt(t)) if a else 0.0
    while a < degrees / 2.0:
        found += math.exp(a * math.log(t) - t - math.lgamma(a + 1.0))
        a += 1.0
    return min(1.0, found)


def kolmogorov_tail(x: float) -> float:
    """Probability that the limit of ``sqrt(n) * D`` exceeds ``x`` (Kolmogorov 1933).

    Parameters
    ----------
    x : float
        Scaled distance, >= 0.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(kolmogorov_tail(1.3581), 4)
    0.05
    """
    if x <= 0.0:
        return 1.0
    if x < _SERIES_FROM:
        y = math.exp(-(math.pi**2) / (8.0 * x * x))
        return 1.0 - math.sqrt(2.0 * math.pi) / x * (y + y**9 + y**25 + y**49)
    y = math.exp(-2.0 * x * x)
    return 2.0 * (y - y**4 + y**9 - y**16)
