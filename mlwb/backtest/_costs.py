"""What costs and delay leave of a rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.backtest._account import Ledger
from mlwb.backtest._backtest import Tape
from mlwb.backtest._risk import activity, risk
from mlwb.core.arrays import Float1D

__all__ = ["CostCell", "break_even_bp", "cost_curve", "half_spread_cost", "paid_bp"]


@dataclass(frozen=True)
class CostCell:
    """A rule at one cost and one latency.

    Parameters
    ----------
    factor : float
        Times the observed costs.
    latency_bars : int
        From decision to fill. 0 fills at the very price of the decision: an upper bound.
    net_return : float
        Sum of net returns.
    sharpe : float
        UTC-daily, times sqrt(365); NaN where it does not exist.
    turnover : float
        Times equity a UTC day.
    """

    factor: float
    latency_bars: int
    net_return: float
    sharpe: float
    turnover: float


def half_spread_cost(spread_bp: Float1D, *, fee_bp: float, slippage_bp: float) -> Float1D:
    """One-way cost: half of the observed spread, fee and slippage.

    Parameters
    ----------
    spread_bp : ndarray of shape (n_bars,), float64
        Full spread, bp of mid; NaN where it is not observed, which takes the last one that was
        (before the first: the first).
    fee_bp, slippage_bp : float
        One way, bp of the traded amount.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        Fraction of the traded amount. A crossed book is no discount: half a spread is never
        below 0.

    Examples
    --------
    >>> half_spread_cost(np.array([np.nan, 2.0, np.nan]), fee_bp=1.0, slippage_bp=0.5).tolist()
    [0.00025, 0.00025, 0.00025]
    """
    rows = np.flatnonzero(np.isfinite(spread_bp))
    if not len(rows):
        return np.full(len(spread_bp), (fee_bp + slippage_bp) / 1e4)
    last = np.searchsorted(rows, np.arange(len(spread_bp)), side="right") - 1
    half = np.maximum(spread_bp[rows[np.maximum(last, 0)]], 0.0) / 2.0
    return np.asarray((half + fee_bp + slippage_bp) / 1e4, dtype=np.float64)


def cost_curve(
    run: Callable[[Tape, int], Ledger],
    tape: Tape,
    *,
    factors: Sequence[float] = (0.0, 1.0, 2.0),
    latencies: Sequence[int] = (0, 1, 2),
) -> tuple[CostCell, ...]:
    """A rule at every cost and latency.

    Parameters
    ----------
    run : callable
        Trades a tape at a latency in bars and gives its ledger.
    tape : Tape
        With the observed costs.
    factors : sequence of float
        Times the costs.
    latencies : sequence of int
        Bars from decision to fill.

    Returns
    -------
    tuple of CostCell
        Latency by latency, each at all costs.
    """
    ts = tape.ts[:-1]
    cells = []
    for latency in latencies:
        for factor in factors:
            ledger = run(tape.at_cost(factor), latency)
            found = risk(ledger.net, ts)
            turnover = activity(ledger, ts).turnover
            cells.append(CostCell(factor, latency, found.net_return, found.sharpe, turnover))
    return tuple(cells)


def break_even_bp(ledger: Ledger) -> float:
    """One-way cost at which a book would have earned nothing, bp of the traded amount.

    ``1e4 * sum(gross) / sum(traded)``: below 0 where it lost before costs, NaN without trades.

    Parameters
    ----------
    ledger : Ledger
        At least one step.

    Returns
    -------
    float

    Examples
    --------
    >>> flat = np.zeros(2)
    >>> break_even_bp(Ledger(np.array([0.001, 0.0]), flat, flat, np.array([1.0, 0.0])))
    5.0
    """
    return _per_trade(float(ledger.gross.sum()), ledger)


def paid_bp(ledger: Ledger) -> float:
    """One-way cost a book paid on average, bp of the traded amount; NaN without trades."""
    return _per_trade(float(ledger.cost.sum()), ledger)


def _per_trade(amount: float, ledger: Ledger) -> float:
    traded = float(ledger.traded.sum() + abs(ledger.position[-1]))
    return 1e4 * amount / traded if traded else math.nan
