"""Risk numbers of a return series, each with its definition."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import kurtosis, norm, skew

from mlwb.core.arrays import Float1D, Int1D

__all__ = ["Risk", "risk"]

_YEAR_DAYS = 365.0
_DAY_S = 86_400
_ROUNDING = 1e-12
"""A spread below this share of the largest day is rounding: equal days can have an sd of 1e-18."""


@dataclass(frozen=True)
class Risk:
    """What a net return series amounts to.

    Parameters
    ----------
    net_return : float
        Sum of net returns.
    sharpe : float
        Mean over sd (ddof 1) of UTC-daily returns times sqrt(365); NaN below two days and when
        all days are equal.
    sharpe_se : float
        Its standard error by Lo (2002) for independent days.
    psr : float
        Probability that the true Sharpe exceeds 0 (Bailey and Lopez de Prado 2012).
    max_drawdown : float
        Largest fall from a peak of compounded equity that starts at 1, positive fraction.
    n_days : int
        UTC days with a return.
    """

    net_return: float
    sharpe: float
    sharpe_se: float
    psr: float
    max_drawdown: float
    n_days: int


def risk(net: Float1D, ts: Int1D) -> Risk:
    """Risk numbers of per-step net returns.

    Parameters
    ----------
    net : ndarray of shape (n_steps,), float64
        Simple returns.
    ts : ndarray of shape (n_steps,), int64
        Time of each step, seconds since 1970.

    Returns
    -------
    Risk
    """
    days, index = np.unique(ts // _DAY_S, return_inverse=True)
    daily = np.bincount(index, weights=net).astype(np.float64)
    equity = np.concatenate([[1.0], np.cumprod(1.0 + net)])
    drawdown = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))
    sharpe, error, psr = _sharpe(daily)
    return Risk(float(net.sum()), sharpe, error, psr, min(drawdown, 1.0), len(days))


def _sharpe(daily: Float1D) -> tuple[float, float, float]:
    n = len(daily)
    spread = float(daily.std(ddof=1)) if n > 1 else 0.0
    if n < 2 or spread <= _ROUNDING * float(np.abs(daily).max()):
        return math.nan, math.nan, math.nan
    ratio = float(daily.mean()) / spread
    scale = math.sqrt(_YEAR_DAYS)
    error = math.sqrt((1.0 + 0.5 * ratio * ratio) / n)
    shape = (
        1.0 - float(skew(daily)) * ratio + (float(kurtosis(daily, fisher=False)) - 1) / 4 * ratio**2
    )
    psr = float(norm.cdf(ratio * math.sqrt(n - 1) / math.sqrt(shape))) if shape > 0 else math.nan
    return scale * ratio, scale * error, psr
