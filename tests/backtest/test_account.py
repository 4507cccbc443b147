"""Accounting identities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.backtest import Ledger, account, round_trips
from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError

POSITIONS = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60)


def book(positions: list[float], seed: int = 0, cost: float = 1.0) -> Ledger:
    """A ledger over random returns and costs."""
    rng = np.random.default_rng(seed)
    n = len(positions)
    return account(np.array(positions), rng.normal(0.0, 1e-3, n), cost * rng.uniform(1e-5, 3e-4, n))


def by_hand(position: list[float], returns: Float1D, costs: Float1D) -> list[float]:
    """The same book kept step by step, as a broker would."""
    held, net = 0.0, []
    for wanted, earned, price in zip(position, returns.tolist(), costs.tolist(), strict=True):
        net.append(wanted * earned - price * abs(wanted - held))
        held = wanted
    net[-1] -= costs.tolist()[-1] * abs(held)
    return net


@given(POSITIONS, st.integers(0, 99))
def test_net_is_what_a_broker_would_book(positions: list[float], seed: int) -> None:
    """Net = gross - cost at every step, equal to a book kept by hand; nothing is mutated."""
    rng = np.random.default_rng(seed)
    n = len(positions)
    returns, costs = rng.normal(0.0, 1e-3, n), rng.uniform(0.0, 3e-4, n)
    before = costs.copy()
    found = account(np.array(positions), returns, costs)
    np.testing.assert_array_equal(found.net, found.gross - found.cost)
    np.testing.assert_allclose(found.net, by_hand(positions, returns, costs), atol=1e-15)
    np.testing.assert_array_equal(costs, before)


@given(POSITIONS)
def test_doubled_costs_are_paid_twice(positions: list[float]) -> None:
    """Gross does not move, cost doubles."""
    once, twice = book(positions), book(positions, cost=2.0)
    np.testing.assert_array_equal(once.gross, twice.gross)
    np.testing.assert_allclose(2.0 * once.cost, twice.cost, rtol=1e-15)


SIZES = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.5, 1.0]), min_size=1, max_size=60)


@given(SIZES, st.integers(0, 99))
def test_round_trips_add_up(positions: list[float], seed: int) -> None:
    """Net of all round trips is the net of the book, and each trip is one stay on a side."""
    found = book(positions, seed)
    trips = round_trips(found)
    sides = np.sign([0.0, *positions])
    assert len(trips) == sum(b not in (a, 0.0) for a, b in pairwise(sides.tolist()))
    assert trips.net.sum() == pytest.approx(found.net.sum(), abs=1e-15)
    assert trips.n_closed == len(trips) - (positions[-1] != 0.0)


@given(SIZES, st.integers(0, 99))
def test_a_trip_pays_for_its_own_trades(positions: list[float], seed: int) -> None:
    """Each trip's net is that of a book that holds this trip and nothing else."""
    rng, n = np.random.default_rng(seed), len(positions)
    returns, costs = rng.normal(0.0, 1e-3, n + 1), rng.uniform(1e-5, 3e-4, n + 1)
    held = np.array([*positions, 0.0])
    trips = round_trips(account(held, returns, costs))
    for net, first, last in zip(trips.net, trips.first, trips.last, strict=True):
        alone = np.zeros(n + 1)
        alone[first : last + 1] = held[first : last + 1]
        assert net == pytest.approx(account(alone, returns, costs).net.sum(), abs=1e-15)


def test_a_trip_open_at_the_end_is_not_closed() -> None:
    """The end of the book closes it, not the rule: it counts as money, not as a win."""
    found = account(np.array([1.0, 0.0, -1.0]), np.array([0.01, 0.0, -0.01]), np.zeros(3))
    trips = round_trips(found)
    assert (trips.n_closed, trips.wins) == (1, 1)
    assert trips.net.tolist() == [0.01, 0.01]


def test_adding_and_reducing_stay_inside_a_trip() -> None:
    """One trip from flat to flat, however often its size changes."""
    found = account(np.array([0.5, 1.0, 0.25, 0.0]), np.zeros(4), np.full(4, 0.001))
    trips = round_trips(found)
    assert (trips.first.tolist(), trips.last.tolist()) == ([0], [2])
    np.testing.assert_allclose(trips.net, [-0.002])


def test_flip_is_two_trades() -> None:
    """From long to short costs two units, one to the trip it closes, one to the trip it opens."""
    costs = np.array([0.001, 0.002, 0.004])
    found = account(np.array([1.0, -1.0, -1.0]), np.zeros(3), costs)
    np.testing.assert_allclose(found.cost, [0.001, 0.004, 0.004])
    np.testing.assert_allclose(round_trips(found).net, [-0.003, -0.006])


def test_last_position_is_liquidated() -> None:
    """What is open at the end is closed and pays; a flat end pays nothing."""
    costs = np.full(2, 0.001)
    assert account(np.array([0.0, 1.0]), np.zeros(2), costs).cost.tolist() == [0.0, 0.002]
    assert account(np.array([1.0, 0.0]), np.zeros(2), costs).cost.tolist() == [0.001, 0.001]


def test_no_position_no_money() -> None:
    """Nothing held earns nothing, pays nothing and makes no trips."""
    found = book([0.0] * 9)
    assert found.net.tolist() == [0.0] * 9
    assert len(round_trips(found)) == 0


@pytest.mark.parametrize("row", range(3))
def test_values_that_are_not_finite_are_refused(row: int) -> None:
    """A NaN in position, return or cost is an error, never a NaN in the account."""
    columns = [np.ones(4), np.zeros(4), np.zeros(4)]
    columns[row][2] = np.nan
    with pytest.raises(EmptyWindowError, match="4 steps"):
        account(*columns)


def test_no_steps_are_refused() -> None:
    """An empty book has no last step."""
    with pytest.raises(EmptyWindowError):
        account(np.empty(0), np.empty(0), np.empty(0))
