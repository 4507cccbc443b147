"""How much a synthetic market moves, minute by minute: what time of day it is, and its memory."""

from __future__ import annotations

import math

import numpy as np

from mlwb.core.arrays import Float1D, Int1D

__all__ = ["log_volatility", "recursed", "reverting"]

_DAY_MIN = 1440

# Log of the move size by hour of day, UTC, mean of BTC and ETH spot, May to August 2025, with
# what the two bumps below add taken out.
_BY_HOUR = (
    *(0.13, 0.05, -0.06, -0.21, -0.40, -0.32, -0.27, -0.20, -0.18, -0.22, -0.23, -0.27),
    *(-0.22, 0.00, 0.03, 0.05, 0.12, 0.09, 0.07, 0.06, 0.05, 0.08, 0.06, 0.02),
)  # fmt: skip
_BUMPS = ((12 * 60 + 30, 1.00, 3.0), (13 * 60 + 30, 0.68, 75.0))
"""Minute of day, height and half-life in minutes: US figures and the US opening, by summer time."""
_QUARTER_HOUR = 0.11
_WEEKEND = -0.35
_MOOD, _AFTERNOON, _BURST = (2000.0, 0.26), (70.0, 0.35), (3.0, 0.30)
"""Half-life in minutes and sd of the log. One time scale alone forgets too fast or too slowly."""
_LEVERAGE = 0.15
"""Correlation of the afternoon's innovations with the return before: falls stir more than rises."""


def log_volatility(rng: np.random.Generator, minutes: Int1D, shocks: Float1D) -> Float1D:
    """Log of a minute's volatility, relative to a usual weekday minute.

    Parameters
    ----------
    rng : numpy.random.Generator
    minutes : ndarray of shape (n,), int64
        Minutes since 1970 UTC, consecutive.
    shocks : ndarray of shape (n,), float64
        Standardised shocks of the returns; a minute is moved by earlier ones only.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    mood, afternoon, burst = (rng.standard_normal(len(minutes)) for _ in range(3))
    afternoon *= math.sqrt(1.0 - _LEVERAGE * _LEVERAGE)
    afternoon[1:] -= _LEVERAGE * shocks[:-1]
    level = _calendar(minutes)
    for noise, (half_life_min, sd) in ((mood, _MOOD), (afternoon, _AFTERNOON), (burst, _BURST)):
        level += reverting(noise, half_life_min, sd)
    return level


def _calendar(minutes: Int1D) -> Float1D:
    """What the clock says: hour, quarter hour, US figures and opening, weekend."""
    minute = np.arange(_DAY_MIN)
    hours = np.arange(24) * 60.0 + 30.0
    shape = np.interp(minute, hours, _BY_HOUR, period=_DAY_MIN)
    shape += np.where(minute % 15 == 0, _QUARTER_HOUR, 0.0)
    bumps = np.zeros(_DAY_MIN)
    for begin, height, half_life_min in _BUMPS:
        bumps += height * 0.5 ** ((minute - begin) % _DAY_MIN / half_life_min)
    by_minute = np.stack([shape + bumps, shape + _WEEKEND])
    is_weekend = (minutes // _DAY_MIN + 3) % 7 >= 5
    return np.asarray(by_minute[is_weekend.astype(np.int64), minutes % _DAY_MIN])


def reverting(shocks: Float1D, half_life_min: float, sd: float) -> Float1D:
    """A stationary AR(1) of a given half-life and standard deviation.

    Examples
    --------
    >>> reverting(np.array([1.0, 0.0, 0.0]), half_life_min=1.0, sd=2.0).tolist()
    [2.0, 1.0, 0.5]
    """
    keep = 0.5 ** (1.0 / half_life_min)
    scaled = shocks * (sd * math.sqrt(1.0 - keep * keep))
    scaled[0] = shocks[0] * sd
    return recursed(scaled, keep)


def recursed(values: Float1D, keep: float) -> Float1D:
    """``y_t = keep * y_{t-1} + values_t``."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -keep], values))
