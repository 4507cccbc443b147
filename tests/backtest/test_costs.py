"""Costs are observed, linear, and shown with delay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.backtest import (
    UNCAPPED,
    Caps,
    Tape,
    account,
    backtest,
    break_even_bp,
    cost_curve,
    half_spread_cost,
    paid_bp,
)
from tests.strategies import START


def make_tape(n: int = 400, seed: int = 0) -> Tape:
    """Minutes of a random walk with costs of a few bp."""
    rng = np.random.default_rng(seed)
    mid = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n)))
    return Tape(START + 60 * np.arange(n), mid, rng.uniform(1e-4, 3e-4, n))


def test_half_of_the_last_observed_spread_is_paid() -> None:
    """Held while it is not observed, the first one before that, never below zero."""
    spread = np.array([np.nan, 4.0, np.nan, -1.0, 6.0])
    found = half_spread_cost(spread, fee_bp=1.0, slippage_bp=0.5)
    np.testing.assert_allclose(1e4 * found, [3.5, 3.5, 3.5, 1.5, 4.5])
    never = half_spread_cost(np.full(2, np.nan), fee_bp=1.0, slippage_bp=0.5)
    np.testing.assert_allclose(1e4 * never, [1.5, 1.5])


def test_a_curve_is_the_backtest_at_each_cost_and_delay() -> None:
    """Nine cells, each what a backtest of its own gives; only delay 0 is a bound."""
    tape = make_tape()
    target = np.sign(np.random.default_rng(1).normal(size=400))

    def run(tape: Tape, lag: int) -> object:
        return backtest(target, tape, UNCAPPED, latency_bars=lag).ledger

    cells = cost_curve(run, tape)  # type: ignore[arg-type]
    assert [(c.latency_bars, c.factor) for c in cells] == [
        (lag, factor) for lag in (0, 1, 2) for factor in (0.0, 1.0, 2.0)
    ]
    for cell in cells:
        costly = Tape(tape.ts, tape.mid, cell.factor * tape.one_way_cost)
        ledger = backtest(target, costly, UNCAPPED, latency_bars=cell.latency_bars).ledger
        assert cell.net_return == pytest.approx(ledger.net.sum(), abs=1e-15)
    for lag in (0, 1, 2):
        none, once, twice = (c.net_return for c in cells if c.latency_bars == lag)
        assert none - twice == pytest.approx(2.0 * (none - once))


def test_nothing_is_left_at_the_break_even_cost() -> None:
    """A book charged its own break-even cost nets zero; one that paid less kept something."""
    rng = np.random.default_rng(3)
    position, returns = np.sign(rng.normal(size=300)), rng.normal(1e-4, 1e-3, 300)
    free = account(position, returns, np.zeros(300))
    bp = break_even_bp(free)
    charged = account(position, returns, np.full(300, bp / 1e4))
    assert charged.net.sum() == pytest.approx(0.0, abs=1e-12)
    assert paid_bp(charged) == pytest.approx(bp)


def test_without_trades_there_is_no_break_even() -> None:
    """Nothing traded: not zero, but no number."""
    flat = account(np.zeros(3), np.ones(3), np.ones(3))
    assert math.isnan(break_even_bp(flat))
    assert math.isnan(paid_bp(flat))


def test_a_same_bar_fill_sees_the_future_of_a_decision() -> None:
    """Why delay 0 is only a bound: a rule that follows the last return earns on it."""
    tape = make_tape(2_000)
    follows = np.sign(np.concatenate([[0.0], np.diff(np.log(tape.mid))]))
    ahead = np.append(follows[1:], 0.0)  # knows the next bar: worth something at delay 0 only
    caps = Caps(1.0, 1.0, math.inf, math.inf)
    net = [backtest(ahead, tape, caps, latency_bars=lag).ledger.gross.sum() for lag in (0, 1)]
    assert net[0] > 1.0 > abs(net[1])
