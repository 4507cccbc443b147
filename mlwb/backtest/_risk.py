"""Risk numbers of a book; :data:`mlwb.backtest.DEFINITIONS` says what each one is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mlwb.backtest._account import Ledger, Trips
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError
from mlwb.stats import DAYS_A_YEAR, SharpeRatio, min_track_record, near_one, psr, sharpe_ratio

__all__ = [
    "MINUTES_A_YEAR",
    "Activity",
    "DailyTrips",
    "Risk",
    "activity",
    "daily_returns",
    "daily_trips",
    "losing_streak",
    "risk",
]

MINUTES_A_YEAR = 525_600.0
"""Minute bars of a market that never closes."""


@dataclass(frozen=True)
class Risk:
    """What a net return series amounts to; NaN where a number does not exist.

    Parameters
    ----------
    net_return : float
        Sum of net returns.
    sharpe : float
        Mean over sd (ddof 1) of UTC days times sqrt(365); NaN below two days and when all days
        are equal.
    sharpe_se : float
        Its standard error, annualised alike; see :func:`mlwb.stats.ratio_error`.
    sharpe_bars : float
        Mean over sd (ddof 1) of steps times the root of the bars of a year.
    sharpe_lo : float
        Daily ratio times Lo's eta(365) in place of sqrt(365), for autocorrelated days.
    psr : float
        Probability that the true daily ratio exceeds 0.
    min_track_record : float
        Days after which a ratio of this size is shown to exceed 0 at 95 %; infinite when it is
        not above 0.
    max_drawdown : float
        Largest fall from a peak of compounded equity that starts at 1, positive fraction.
    calmar : float
        Compounded growth a year over ``max_drawdown``; NaN without a drawdown.
    n_days : int
        UTC days from the first step to the last, those without a bar included.
    """

    net_return: float
    sharpe: float
    sharpe_se: float
    sharpe_bars: float
    sharpe_lo: float
    psr: float
    min_track_record: float
    max_drawdown: float
    calmar: float
    n_days: int

    def sharpe_bound(self, level: float) -> float:
        """One-sided confidence bound of ``sharpe``; a level below one half is a lower bound."""
        return self.sharpe + NormalDist().inv_cdf(level) * self.sharpe_se


@dataclass(frozen=True)
class Activity:
    """How much a book held and traded.

    Parameters
    ----------
    turnover : float
        Sum of position changes over UTC days, one way, times equity a day; the liquidation counts.
    exposure_mean, exposure_max : float
        Of the absolute position over steps, in units of equity.
    """

    turnover: float
    exposure_mean: float
    exposure_max: float


@dataclass(frozen=True)
class DailyTrips:
    """Closed round trips of each UTC day that has one.

    Parameters
    ----------
    day : ndarray of shape (n_days,), int64
        Days since 1970, of the closing fill.
    wins, trips : ndarray of shape (n_days,), int64
        How many earned more than they paid, of how many.
    """

    day: Int1D
    wins: Int1D
    trips: Int1D


def risk(net: Float1D, ts: Int1D, *, bars_per_year: float = MINUTES_A_YEAR) -> Risk:
    """Risk numbers of per-step net returns.

    Parameters
    ----------
    net : ndarray of shape (n_steps,), float64
        Simple returns.
    ts : ndarray of shape (n_steps,), int64
        Time of each step, seconds since 1970, increasing.
    bars_per_year : float, default=525600
        Steps a year of the market's calendar, for ``sharpe_bars``.

    Returns
    -------
    Risk
    """
    daily = daily_returns(net, ts)
    equity = np.concatenate([[1.0], np.cumprod(1.0 + net)])
    drawdown = min(float(np.max(1.0 - equity / np.maximum.accumulate(equity))), 1.0)
    scale = math.sqrt(DAYS_A_YEAR)
    shown = dict.fromkeys(("sharpe", "sharpe_se", "sharpe_lo", "psr", "min_track_record"), math.nan)
    found = _ratio(daily)
    if found is not None:
        moments = {"skew": found.skew, "kurtosis": found.kurtosis}
        shown = {
            "sharpe": scale * found.ratio,
            "sharpe_se": scale * found.error,
            "sharpe_lo": _lo_scale(daily) * found.ratio,
            "psr": psr(found.ratio, found.n_obs, **moments),
            "min_track_record": min_track_record(found.ratio, **moments),
        }
    bars = _ratio(net)
    return Risk(
        net_return=float(net.sum()),
        sharpe_bars=math.nan if bars is None else math.sqrt(bars_per_year) * bars.ratio,
        max_drawdown=drawdown,
        calmar=_calmar(float(equity[-1]), drawdown, len(daily)),
        n_days=len(daily),
        **shown,
    )


def daily_returns(net: Float1D, ts: Int1D) -> Float1D:
    """Net return of every UTC day from the first step to the last; 0 on a day without one.

    Parameters
    ----------
    net : ndarray of shape (n_steps,), float64
        Simple returns.
    ts : ndarray of shape (n_steps,), int64
        Seconds since 1970, increasing.

    Returns
    -------
    ndarray of shape (n_days,), float64
    """
    if not len(ts):
        return np.empty(0)
    day = ts // DAY_S
    return np.bincount(day - day[0], weights=net).astype(np.float64)


def activity(ledger: Ledger, ts: Int1D) -> Activity:
    """Turnover and exposure of a book.

    Parameters
    ----------
    ledger : Ledger
        At least one step.
    ts : ndarray of shape (n_steps,), int64
        Time of each step, seconds since 1970.

    Returns
    -------
    Activity
    """
    size = np.abs(ledger.position)
    n_days = int(ts[-1] // DAY_S - ts[0] // DAY_S) + 1
    turnover = float(ledger.traded.sum() + size[-1]) / n_days
    return Activity(turnover, float(size.mean()), float(size.max()))


def daily_trips(trips: Trips, ts: Int1D) -> DailyTrips:
    """Count closed round trips and wins a UTC day, by the fill that closed each.

    Parameters
    ----------
    trips : Trips
        Of a ledger.
    ts : ndarray of shape (n_steps,), int64
        Time of its steps, seconds since 1970.

    Returns
    -------
    DailyTrips
    """
    closed = trips.is_closed
    day = ts[trips.last[closed] + 1] // DAY_S
    days, index = np.unique(day, return_inverse=True)
    won = np.bincount(index[trips.net[closed] > 0.0], minlength=len(days))
    return DailyTrips(days, won, np.bincount(index, minlength=len(days)))


def losing_streak(daily: DailyTrips, *, win_rate: float, min_trips: int) -> int:
    """Most UTC days in a row that each have enough trips and too few wins.

    Parameters
    ----------
    daily : DailyTrips
        Closed trips of each day.
    win_rate : float
        A day below it loses.
    min_trips : int
        A day with fewer trips shows nothing and ends a streak.

    Returns
    -------
    int
        Days. The requirements roll back at three in a row below 52 % with 30 trips each.

    Examples
    --------
    >>> daily = DailyTrips(np.array([1, 2, 3, 5]), np.array([9, 9, 9, 9]), np.array([30] * 4))
    >>> losing_streak(daily, win_rate=0.52, min_trips=30)
    3
    """
    loses = (daily.trips >= min_trips) & (daily.wins < win_rate * daily.trips)
    longest = streak = 0
    before = None
    for day, lost in zip(daily.day.tolist(), loses.tolist(), strict=True):
        follows = before is not None and day == before + 1
        streak = (streak + 1 if follows else 1) if lost else 0
        longest, before = max(longest, streak), day
    return longest


def _ratio(returns: Float1D) -> SharpeRatio | None:
    try:
        return sharpe_ratio(returns)
    except EmptyWindowError:
        return None


def _lo_scale(daily: Float1D) -> float:
    """Lo (2002): ``q / sqrt(q + 2 sum_k (q - k) rho_k)``, lags by the rule of Newey and West."""
    q, n = DAYS_A_YEAR, len(daily)
    daily = near_one(daily)
    centred = daily - daily.mean()
    lags = range(1, min(int(4.0 * (n / 100.0) ** (2.0 / 9.0)), n - 1) + 1)
    rho = [float(centred[k:] @ centred[:-k]) / float(centred @ centred) for k in lags]
    spread = q + 2.0 * sum((q - k) * r for k, r in zip(lags, rho, strict=True))
    return q / math.sqrt(spread) if spread > 0.0 else math.nan


def _calmar(equity: float, drawdown: float, n_days: int) -> float:
    if drawdown == 0.0 or n_days == 0:
        return math.nan
    try:
        growth = equity ** (DAYS_A_YEAR / n_days) - 1.0 if equity > 0.0 else -1.0
    except OverflowError:  # eight times the money in a day is more than a float a year
        growth = math.inf
    return growth / drawdown
