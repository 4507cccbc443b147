"""Upper tails of the chi-square, Kolmogorov and F distributions, without scipy."""

from __future__ import annotations

import math

__all__ = ["chi_square_tail", "f_quantile", "f_tail", "kolmogorov_tail"]

_MOST_TERMS, _ENOUGH = 100_000, 1e-15
"""Terms of a continued fraction; about the root of the degrees of freedom are needed."""
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


def f_tail(x: float, upper: float, lower: float) -> float:
    """Probability that an F variable exceeds ``x``.

    ``I_y(lower / 2, upper / 2)`` at ``y = lower / (lower + upper * x)``, the incomplete beta
    function by its continued fraction (Numerical Recipes 6.4).

    Parameters
    ----------
    x : float
        Statistic, >= 0.
    upper, lower : float
        Degrees of freedom of numerator and denominator, > 0.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(f_tail(3.3258345, 5.0, 10.0), 6)
    0.05
    """
    if x <= 0.0:
        return 1.0
    a, b, y = lower / 2.0, upper / 2.0, lower / (lower + upper * x)
    if y < (a + 1.0) / (a + b + 2.0):
        return _beta_part(a, b, y)
    return 1.0 - _beta_part(b, a, upper * x / (lower + upper * x))


def f_quantile(probability: float, upper: float, lower: float) -> float:
    """What an F variable stays below with this probability.

    Parameters
    ----------
    probability : float
        In (0, 1).
    upper, lower : float
        As in :func:`f_tail`.

    Examples
    --------
    >>> round(f_quantile(0.95, 5.0, 10.0), 6)
    3.325835
    """
    low, high = 0.0, 1.0
    while f_tail(high, upper, lower) > 1.0 - probability:
        low, high = high, 2.0 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2.0
        if f_tail(middle, upper, lower) > 1.0 - probability:
            low = middle
        else:
            high = middle
        if middle in (low, high) and high - low <= math.ulp(high):
            break
    return high


def _beta_part(a: float, b: float, y: float) -> float:
    """Regularised incomplete beta function where its continued fraction converges fast."""
    if y <= 0.0:
        return 0.0
    front = a * math.log(y) + b * math.log1p(-y)
    front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    c, d = 1.0, 1.0 / _held(1.0 - (a + b) * y / (a + 1.0))
    found = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * y / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * y / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d, c = 1.0 / _held(1.0 + term * d), _held(1.0 + term / c)
            step = c * d
            found *= step
        if abs(step - 1.0) < _ENOUGH:
            break
    return math.exp(front) * found / a


def _held(value: float) -> float:
    """Away from zero, as Lentz's method needs it."""
    return value if abs(value) > 1e-300 else 1e-300
