"""What timing the exposure did, against holding the same exposure all the time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.backtest._account import Ledger, account
from mlwb.backtest._backtest import Book, Tape, backtest
from mlwb.backtest._caps import Caps
from mlwb.backtest._regimes import hourly
from mlwb.backtest._risk import risk
from mlwb.core.arrays import Float1D, Int1D
from mlwb.stats import block_length, block_means

__all__ = ["TimingEffect", "Versus", "against_constant", "timing_effect"]

_TAIL = 0.01


@dataclass(frozen=True)
class Versus:
    """Two books of the same mean exposure, and their difference.

    Parameters
    ----------
    ts : ndarray of shape (n_steps,), int64
        Bar of each step, seconds since 1970.
    timed, constant : Ledger
        The rule, and holding its mean exposure.
    overlay : Ledger
        The difference of their positions, traded as a book of its own: long while the rule holds
        more than its mean, short while it holds less. A market that drifts pays neither.
    """

    ts: Int1D
    timed: Ledger
    constant: Ledger
    overlay: Ledger


@dataclass(frozen=True)
class TimingEffect:
    """What the timing of exposure is for: risk per unit of exposure; NaN where it has none.

    Parameters
    ----------
    exposure : float
        Mean of both books, in units of equity.
    variance_ratio : float
        Realised variance (sum of squared net returns) of the timed over the constant book.
    variance_low, variance_high : float
        Its 90 % interval, so that each end is a one-sided bound at 95 %, by paired circular block
        bootstrap over hours.
    tail_ratio : float
        Mean of the worst 1 % of hours, timed over constant.
    drawdown_timed, drawdown_constant : float
        Largest drawdown of each, positive fraction.
    n_hours : int
        Hours compared.
    """

    exposure: float
    variance_ratio: float
    variance_low: float
    variance_high: float
    tail_ratio: float
    drawdown_timed: float
    drawdown_constant: float
    n_hours: int


def against_constant(timed: Book, tape: Tape, caps: Caps, *, latency_bars: int) -> Versus:
    """Hold the mean exposure of a timed book under the same caps, costs and latency.

    Parameters
    ----------
    timed : Book
        Of a rule that is never short.
    tape : Tape
        What it was traded on.
    caps : Caps
        What it was traded under.
    latency_bars : int
        From decision to fill.

    Returns
    -------
    Versus

    Notes
    -----
    The constant is the mean of the window itself, known only at its end; it sets the yardstick,
    not the trades.
    """
    mean = float(timed.ledger.position.mean())
    held = backtest(np.full(len(tape.ts), mean), tape, caps, latency_bars=latency_bars)
    position = held.ledger.position
    kept = float(position.mean())
    if kept > 0.0:
        position = position * (mean / kept)
    money = tape.step_return, tape.one_way_cost[:-1]
    closing = float(tape.one_way_cost[-1])
    constant = account(position, *money, closing_cost=closing)
    overlay = account(timed.ledger.position - position, *money, closing_cost=closing)
    return Versus(timed.ts, timed.ledger, constant, overlay)


def timing_effect(versus: Versus, *, n_resamples: int, seed: int) -> TimingEffect:
    """Variance, tail and drawdown of the timed book against the constant one.

    Parameters
    ----------
    versus : Versus
        Both books.
    n_resamples, seed : int
        Of the block bootstrap.

    Returns
    -------
    TimingEffect
    """
    pair = (versus.timed.net, versus.constant.net)
    squares = [hourly(net * net, versus.ts) for net in pair]
    ratio = low = high = math.nan
    if squares[1].any():
        block = block_length(squares[1])
        means = [
            block_means(x, block=block, n_resamples=n_resamples, rng=np.random.default_rng(seed))
            for x in squares
        ]  # the same seed draws the same hours for both
        ratio = means[0].mean / means[1].mean
        drawn = means[0].draws / np.maximum(means[1].draws, np.finfo(np.float64).tiny)
        low, high = (float(x) for x in np.quantile(drawn, [0.05, 0.95]))
    tails = [_tail(hourly(net, versus.ts)) for net in pair]
    drawdowns = [risk(net, versus.ts).max_drawdown for net in pair]
    return TimingEffect(
        exposure=float(versus.timed.position.mean()),
        variance_ratio=ratio,
        variance_low=low,
        variance_high=high,
        tail_ratio=tails[0] / tails[1] if tails[1] < 0.0 else math.nan,
        drawdown_timed=drawdowns[0],
        drawdown_constant=drawdowns[1],
        n_hours=len(squares[0]),
    )


def _tail(hours: Float1D) -> float:
    """Mean of the worst hundredth."""
    n = max(int(_TAIL * len(hours)), 1)
    return float(np.partition(hours, n - 1)[:n].mean())
