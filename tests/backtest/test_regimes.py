"""Money by regime adds up, and a losing regime is told from an unlucky one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.backtest import Ledger, RegimeMoney, account, by_regime, hourly, resample_hours
from mlwb.core.arrays import Float1D, Int1D
from mlwb.stats import holm
from tests.strategies import START

NAMES = ("ranging", "trending", "volatile")


def ledger_of(returns: Float1D) -> Ledger:
    """Long all the time, for a small cost."""
    n = len(returns)
    return account(np.ones(n), returns, np.full(n, 1e-5))


def split(ledger: Ledger, ts: Int1D, regime: Int1D) -> tuple[RegimeMoney, ...]:
    """By regime, every step decided."""
    return by_regime(
        ledger,
        ts,
        regime,
        names=NAMES,
        is_decision=np.ones(len(ts), dtype=np.bool_),
        n_resamples=199,
        seed=3,
    )


@given(st.integers(1, 400), st.integers(0, 99))
def test_regimes_add_up(n: int, seed: int) -> None:
    """Gross, cost, net, steps and decisions of all regimes are those of the book."""
    rng = np.random.default_rng(seed)
    ledger, ts = ledger_of(rng.normal(0.0, 1e-3, n)), START + 60 * np.arange(n)
    decided = rng.random(n) < 0.5
    found = by_regime(
        ledger, ts, rng.integers(-1, 3, n), names=NAMES, is_decision=decided, n_resamples=99, seed=1
    )
    for name in ("gross", "cost", "net"):
        total = sum(getattr(item, name) for item in found)
        assert total == pytest.approx(getattr(ledger, name).sum(), abs=1e-14)
    assert sum(item.n_steps for item in found) == n
    assert sum(item.n_decisions for item in found) == decided.sum()


def test_a_regime_that_loses_is_shown_and_the_others_are_not() -> None:
    """A fifth of a basis point a minute lost in one regime, over ten days of level noise."""
    n = 14_400
    regime = (np.arange(n) // 480) % 3
    noise = np.random.default_rng(1).normal(0.0, 1e-4, n)
    noise -= (np.bincount(regime, weights=noise) / 4_800)[regime]
    found = split(ledger_of(noise - 2e-5 * (regime == 2)), START + 60 * np.arange(n), regime)
    assert found[2].p_holm <= 0.05
    assert min(found[0].p_holm, found[1].p_holm) > 0.05
    adjusted = holm(np.array([item.p_negative for item in found]))
    assert [item.p_holm for item in found] == adjusted.tolist()
    assert found[2].p_holm > found[2].p_negative


def test_a_regime_that_never_was_has_nothing_against_it() -> None:
    """No steps, no money, a p of 1; `unknown` stands only where there are such steps."""
    ts = START + 60 * np.arange(100)
    found = split(ledger_of(np.full(100, 1e-4)), ts, np.zeros(100, dtype=np.int64))
    assert [item.name for item in found] == list(NAMES)
    assert (found[1].net, found[1].n_steps, found[1].p_negative) == (0.0, 0, 1.0)
    unknown = split(ledger_of(np.full(100, 1e-4)), ts, np.full(100, -1))
    assert [item.name for item in unknown] == [*NAMES, "unknown"]


def test_hours_hold_every_minute_of_theirs() -> None:
    """Sums by the UTC hour, an hour without a step is 0; the bootstrap's mean is theirs."""
    ts = START + np.array([0, 3_540, 3_600, 10_800])
    values = np.array([1.0, 2.0, 4.0, 8.0])
    assert hourly(values, ts).tolist() == [3.0, 4.0, 0.0, 8.0]
    drawn = resample_hours(values, ts, n_resamples=99, seed=0)
    assert (drawn.mean, drawn.n_obs) == (3.75, 4)
