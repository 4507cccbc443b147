"""The information coefficient after costs is the net return it claims to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D
from mlwb.study import Costed, ic_after_costs
from tests.strategies import ar1


def costed(values: Float1D, forward: Float1D, cost: Float1D, rows: int) -> Costed:
    """A feature held over some rows."""
    return ic_after_costs("x", values, forward, cost, horizon_s=60 * rows, horizon_rows=rows)


def sleeves(values: Float1D, forward: Float1D, cost: Float1D, rows: int) -> float:
    """Mean net return over sd of the return, by trading every sleeve bar by bar."""
    held = np.isfinite(values) & np.isfinite(forward)
    mean, sd = values[held].mean(), values[held].std()
    sign = np.sign(np.corrcoef(values[held], forward[held])[0, 1])
    position, earned = [0.0] * rows, 0.0
    centred = forward - forward[held].mean()
    for t in range(len(values)):
        wanted = sign * (values[t] - mean) / sd if held[t] else 0.0
        earned -= cost[t] * abs(wanted - position[t % rows])
        position[t % rows] = wanted
        if held[t]:
            earned += wanted * centred[t]
    return float(earned / held.sum() / forward[held].std())


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 20),
    missing=st.floats(0.0, 0.4),
    dear=st.floats(0.0, 1e-2),
)
def test_net_is_the_net_return_of_the_sleeves(
    seed: int, rows: int, missing: float, dear: float
) -> None:
    """IC less hurdle equals net PnL over the sd of the return to 1e-12, gaps and all."""
    rng = np.random.default_rng(seed)
    x = ar1(200, 0.8, rng)
    r = 1e-3 * (0.1 * x + rng.normal(size=200))
    x[rng.random(200) < missing] = np.nan
    r[rng.random(200) < missing / 2] = np.nan
    cost = dear * rng.random(200)
    found = costed(x, r, cost, rows)
    assert found.net == pytest.approx(sleeves(x, r, cost, rows), abs=1e-12)
    assert found.net == pytest.approx(abs(found.ic) - found.hurdle, abs=1e-15)


def test_formula_of_the_definition() -> None:
    """Without gaps: mean of cost times the change of the score over h bars, over sd(r)."""
    rng = np.random.default_rng(0)
    x, r = ar1(5_000, 0.9, rng), 1e-3 * rng.normal(size=5_000)
    cost = 1e-4 * rng.random(5_000)
    z = (x - x.mean()) / x.std()
    before = np.concatenate([np.zeros(15), z[:-15]])
    found = costed(x, r, cost, 15)
    assert found.ic == pytest.approx(np.corrcoef(x, r)[0, 1])
    assert found.hurdle == pytest.approx((cost * np.abs(z - before)).mean() / r.std())


def test_break_even_cost_leaves_nothing() -> None:
    """Charged exactly the break-even cost on every trade, the net is zero."""
    rng = np.random.default_rng(1)
    x = ar1(3_000, 0.95, rng)
    r = 1e-3 * (0.2 * x + rng.normal(size=3_000))
    free = costed(x, r, np.zeros(3_000), 5)
    assert free.net == abs(free.ic)
    even = costed(x, r, np.full(3_000, free.break_even_bp / 1e4), 5)
    assert even.net == pytest.approx(0.0, abs=1e-12)
    assert even.cost_bp == pytest.approx(free.break_even_bp)


def test_direction_does_not_matter_and_dullness_has_no_value() -> None:
    """A feature of the wrong sign is held the other way round; a constant cannot be held."""
    rng = np.random.default_rng(2)
    x, r, cost = rng.normal(size=500), rng.normal(size=500), np.full(500, 1e-4)
    one, other = costed(x, r, cost, 3), costed(-x, r, cost, 3)
    assert one.ic == -other.ic
    assert one.net == other.net
    late = costed(x, r, cost, 600)  # held longer than the sample: only the entries are paid
    assert late.turnover == pytest.approx(np.abs((x - x.mean()) / x.std()).mean())
    for flat in (np.ones(500), np.full(500, np.nan)):
        assert math.isnan(costed(flat, r, cost, 3).net)
        assert math.isnan(costed(x, flat, cost, 3).hurdle)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_moves_beyond_squares_have_no_value(size: float) -> None:
    """A standard deviation of zero or infinity is no unit: null, not a division by zero."""
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        found = costed(rng.normal(size=300), rng.normal(size=300) * size, np.full(300, 1e-4), 5)
    assert math.isnan(found.ic)
