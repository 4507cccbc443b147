"""Intervals of proportions."""

from __future__ import annotations

import math
from statistics import NormalDist

from mlwb.core.errors import EmptyWindowError

__all__ = ["wilson"]


def wilson(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson (1927) interval of a proportion, two-sided.

    Parameters
    ----------
    k, n : int
        Events and trials, ``0 <= k <= n``, ``n >= 1``.
    level : float, default=0.95
        Coverage, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper bound in [0, 1].

    Raises
    ------
    EmptyWindowError
        No trials, or more events than trials.

    Examples
    --------
    >>> [round(x, 4) for x in wilson(0, 50)]
    [0.0, 0.0713]
    """
    if not 0 <= k <= n or n < 1:
        raise EmptyWindowError(
            "not a proportion", expected="0 <= k <= n, n >= 1", got=f"{k} of {n}"
        )
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    p, z2n = k / n, z * z / n
    centre = (p + z2n / 2.0) / (1.0 + z2n)
    half = z / (1.0 + z2n) * math.sqrt(p * (1.0 - p) / n + z2n / (4.0 * n))
    low = 0.0 if k == 0 else max(0.0, centre - half)
    return low, 1.0 if k == n else min(1.0, centre + half)
