"""A book that does not add up is an error, not a number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.backtest import (
    Identity,
    Ledger,
    RegimeMoney,
    Trips,
    account,
    by_regime,
    check_book,
    round_trips,
)
from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import AccountingError
from tests.strategies import START


def make(seed: int, n: int = 500) -> tuple[Ledger, Int1D, Float1D]:
    """A book, its times and its costs, the liquidation's last."""
    rng = np.random.default_rng(seed)
    position = np.repeat(rng.choice([-1.0, -0.5, 0.0, 0.7], n), rng.choice([1, 20]))[:n]
    cost = rng.uniform(0.0, 3e-4, n + 1)
    ledger = account(position, rng.normal(0.0, 1e-3, n), cost[:-1], closing_cost=float(cost[-1]))
    return ledger, START + 600 * np.arange(n), cost


def regimes_of(ledger: Ledger, ts: Int1D) -> tuple[RegimeMoney, ...]:
    """Two regimes by turns."""
    regime = np.arange(len(ts)) % 2
    known = np.ones(len(ts), dtype=np.bool_)
    return by_regime(ledger, ts, regime, names=("a", "b"), is_decision=known, n_resamples=9, seed=1)


def check(
    ledger: Ledger, ts: Int1D, cost: Float1D, *, trips: Trips | None = None, lost: float = 0.0
) -> tuple[Identity, ...]:
    """Check a book, with other trips or with money lost between its regimes."""
    regimes = regimes_of(ledger, ts)
    regimes = (replace(regimes[0], net=regimes[0].net + lost), *regimes[1:])
    return check_book(ledger, ts, cost, trips=trips or round_trips(ledger), regimes=regimes)


@given(st.integers(0, 10_000))
def test_every_book_adds_up(seed: int) -> None:
    """Over trades, days and regimes, gross less cost, and twice the cost, to rounding."""
    ledger, ts, cost = make(seed)
    found = check(ledger, ts, cost)
    assert len(found) == 5
    assert all(item.error <= 1e-11 for item in found)


def test_an_empty_book_adds_up() -> None:
    """Nothing held: every side is zero."""
    ledger = account(np.zeros(10), np.zeros(10), np.full(10, 1e-4))
    found = check(ledger, START + 600 * np.arange(10), np.full(11, 1e-4))
    assert {(item.value, item.other) for item in found} == {(0.0, 0.0)}


def test_a_book_that_does_not_add_up_is_refused() -> None:
    """A lost trip, a lost regime, money from nowhere, a cost charged twice: each by name."""
    ledger, ts, cost = make(1)
    trips = round_trips(ledger)
    short = Trips(trips.net[:-1], trips.first[:-1], trips.last[:-1], trips.is_closed[:-1])
    with pytest.raises(AccountingError, match="net over trades"):
        check(ledger, ts, cost, trips=short)
    with pytest.raises(AccountingError, match="net over regimes"):
        check(ledger, ts, cost, lost=1e-9)
    gift = replace(ledger, gross=ledger.gross + 1e-9)
    with pytest.raises(AccountingError, match="gross less cost"):
        check(gift, ts, cost)
    with pytest.raises(AccountingError, match="twice the cost"):
        check(ledger, ts, 1.0001 * cost)
