"""Bounds of the population PSI from what chance gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special, stats

from mlwb.drift._null import BlockNull

__all__ = ["Bounds", "bounds"]

_SPREADLESS, _FAR = 1e-4, 1e-6
"""Scales below these shares of the null's mean and of the value move a bound by 3 % at most, and
are beyond what the noncentral chi-square can be computed for."""


@dataclass(frozen=True)
class Bounds:
    """One-sided bounds of the population PSI.

    Parameters
    ----------
    lower, upper : float
        Nats, each at its own level.
    level : float
        Coverage of each bound.
    """

    lower: float
    upper: float
    level: float


def bounds(
    value: float, null: BlockNull, *, level: float = 0.95, root_error: float = 0.0
) -> Bounds:
    """Bounds of the population PSI: the wider of two.

    The first inverts the null as a noncentral chi-square: the bounds are ``g * lambda`` with g the
    null's scale and lambda the noncentrality at which the observed value sits at the level's
    quantile. It takes every direction to be as uncertain as their average. The second knows the
    direction of the change that was found: the root of PSI, less what chance adds in the other
    directions, give or take Student's quantile times its standard error. A value unusually small
    for its null would give an upper bound of 0; the bound is never below the value. A null without
    spread (the time of day: every day is the same) leaves no uncertainty; the bounds are then the
    value less the null's mean, and the value.

    Parameters
    ----------
    value : float
        Observed PSI, nats.
    null : BlockNull
        Its null for a window of the same length.
    level : float, default=0.95
        One-sided coverage of each bound.
    root_error : float, default=0.0
        Standard error of the root of PSI along the change found, in root nats; with 0 the first
        bounds alone answer.

    Returns
    -------
    Bounds
    """
    lower, upper = _every_direction(value, null, level)
    if root_error > 0.0:
        elsewhere = max(null.mean - root_error**2, 0.0)
        centre = math.sqrt(max(value - elsewhere, 0.0))
        reach = root_error * float(stats.t.ppf(level, null.n_blocks - 1))
        lower = min(lower, max(centre - reach, 0.0) ** 2)
        upper = max(upper, (centre + reach) ** 2)
    return Bounds(lower=lower, upper=upper, level=level)


def _every_direction(value: float, null: BlockNull, level: float) -> tuple[float, float]:
    if null.scale <= max(_SPREADLESS * null.mean, _FAR * value):
        return max(value - null.mean, 0.0), value
    x, degrees = value / null.scale, null.degrees
    lower = null.scale * _noncentrality(x, degrees, level)
    return lower, max(null.scale * _noncentrality(x, degrees, 1.0 - level), value)


def _noncentrality(x: float, degrees: float, probability: float) -> float:
    """Lambda at which ``P(X <= x) = probability``; 0 where even no shift is less likely."""
    if x <= 0.0 or special.chdtr(degrees, x) <= probability:
        return 0.0
    return float(special.chndtrinc(x, degrees, probability))
