"""Bounds of the population PSI from what chance gives."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import optimize, stats

from mlwb.drift._null import BlockNull

__all__ = ["Bounds", "bounds"]

_SPREADLESS, _FAR = 1e-4, 1e-9
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


def bounds(value: float, null: BlockNull, *, level: float = 0.95) -> Bounds:
    """Bounds of the population PSI by inverting a moment-matched noncentral chi-square.

    The null scores are matched by ``g * chi2_h``; the bounds are ``g * lambda`` with lambda the
    noncentrality at which the observed value sits at the level's quantile. A value unusually
    small for its null would give an upper bound of 0; the bound is never below the value.
    A null without spread (the time of day: every day is the same) leaves no uncertainty; the
    bounds are then the value less the null's mean, and the value.

    Parameters
    ----------
    value : float
        Observed PSI, nats.
    null : BlockNull
        Its null for a window of the same length.
    level : float, default=0.95
        One-sided coverage of each bound.

    Returns
    -------
    Bounds
    """
    mean, variance = float(null.scores.mean()), float(null.scores.var(ddof=1))
    scale = variance / (2.0 * mean) if mean > 0.0 else 0.0
    if scale <= max(_SPREADLESS * mean, _FAR * value):
        return Bounds(lower=max(value - mean, 0.0), upper=value, level=level)
    x, degrees = value / scale, mean / scale
    return Bounds(
        lower=scale * _noncentrality(x, degrees, level),
        upper=max(scale * _noncentrality(x, degrees, 1.0 - level), value),
        level=level,
    )


def _noncentrality(x: float, degrees: float, probability: float) -> float:
    """Lambda at which ``P(X <= x) = probability``; 0 where even no shift is less likely."""
    if x <= 0.0 or float(stats.chi2.cdf(x, degrees)) <= probability:
        return 0.0

    def excess(noncentrality: float) -> float:
        return float(stats.ncx2.cdf(x, degrees, noncentrality)) - probability

    top = max(1.0, x)
    while excess(top) > 0.0:
        top *= 2.0
    return float(optimize.brentq(excess, 0.0, top, xtol=1e-9 * top))
