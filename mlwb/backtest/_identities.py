"""What must be equal in any book; where it is not, there is no number to report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.backtest._account import Ledger, Trips, account
from mlwb.backtest._regimes import RegimeMoney
from mlwb.backtest._risk import daily_returns
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import AccountingError

__all__ = ["Identity", "check_book"]

_ROUNDING = 1e-10
"""Of the sum of absolute amounts: what adding in another order may change."""


@dataclass(frozen=True)
class Identity:
    """Two ways to the same number, found equal.

    Parameters
    ----------
    name : str
        What was added up.
    value, other : float
        The number, and the number found the other way.
    error : float
        Their difference, absolute.
    """

    name: str
    value: float
    other: float
    error: float


def check_book(
    ledger: Ledger,
    ts: Int1D,
    one_way_cost: Float1D,
    *,
    trips: Trips,
    regimes: Sequence[RegimeMoney],
) -> tuple[Identity, ...]:
    """Assert that a book adds up over trades, days and regimes, and that costs are linear.

    Parameters
    ----------
    ledger : Ledger
        Step by step.
    ts : ndarray of shape (n_steps,), int64
        Time of its steps, seconds since 1970.
    one_way_cost : ndarray of shape (n_steps + 1,), float64
        What it was charged, the liquidation's last.
    trips : Trips
        Its round trips.
    regimes : sequence of RegimeMoney
        Its regimes.

    Returns
    -------
    tuple of Identity

    Raises
    ------
    AccountingError
        Two numbers that must be equal are not.
    """
    net, size = float(ledger.net.sum()), float(np.abs(ledger.net).sum())
    zero = np.zeros(len(ts))
    twice = account(
        ledger.position, zero, 2.0 * one_way_cost[:-1], closing_cost=2.0 * float(one_way_cost[-1])
    )
    paid, moved = float(ledger.cost.sum()), float(np.abs(ledger.gross).sum())
    return (
        _equal("net over trades", net, float(trips.net.sum()), size),
        _equal("net over days", net, float(daily_returns(ledger.net, ts).sum()), size),
        _equal("net over regimes", net, sum(item.net for item in regimes), size),
        _equal("gross less cost", net, float(ledger.gross.sum()) - paid, moved + paid),
        _equal("twice the cost", 2.0 * paid, float(twice.cost.sum()), 2.0 * paid),
    )


def _equal(name: str, value: float, other: float, size: float) -> Identity:
    error = abs(value - other)
    if not error <= _ROUNDING * max(size, _ROUNDING):
        raise AccountingError(f"{name} does not add up", expected=f"{value!r}", got=f"{other!r}")
    return Identity(name, value, other, error)
