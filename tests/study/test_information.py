"""Information coefficients with their intervals, and what many looks cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from mlwb.core.arrays import Float1D
from mlwb.stats import holm
from mlwb.study import Information, adjusted, information
from tests.strategies import ar1


def told(values: Float1D, target: Float1D, *, horizon_rows: int = 1, seed: int = 0) -> Information:
    """Information at a horizon of some rows."""
    return information(
        "x",
        values,
        target,
        horizon_s=60 * horizon_rows,
        horizon_rows=horizon_rows,
        n_resamples=500,
        seed=seed,
    )


def test_information_is_spearmans_and_pearsons() -> None:
    """Scipy's two correlations over the rows where both sides have a value, ties included."""
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(size=400), 1), np.round(rng.normal(size=400), 1)
    x[::7], y[::11] = np.nan, np.inf
    both = np.isfinite(x) & np.isfinite(y)
    found = told(x, y)
    assert found.rank_ic == pytest.approx(spearmanr(x[both], y[both]).statistic)
    assert found.ic == pytest.approx(pearsonr(x[both], y[both]).statistic)
    assert found.ic_low < found.ic < found.ic_high
    assert found.n_obs == both.sum()
    assert found.low < found.rank_ic < found.high


@pytest.mark.slow
def test_planted_information_is_recovered() -> None:
    """A Gaussian correlation of 0.10 is inside its 95 % interval in at least 85 % of 60 draws."""
    truth = 6.0 / math.pi * math.asin(0.10 / 2.0)  # Spearman of a Gaussian pair (Pearson 1907)
    rng, inside, above = np.random.default_rng(1), [], []
    for seed in range(60):
        x = rng.normal(size=5_000)
        y = 0.10 * x + math.sqrt(1.0 - 0.01) * rng.normal(size=5_000)
        found = told(x, y, seed=seed)
        inside.append(found.low <= truth <= found.high)
        above.append(found.low > 0.0)
    assert np.mean(inside) >= 0.85
    assert np.mean(above) >= 0.95


def test_overlap_widens_the_interval() -> None:
    """A persistent feature against overlapping sums of noise: zero is inside at least 80 % of 40.

    With blocks of one row the interval would be far too short; the test says so too.
    """
    rng, covered, naive = np.random.default_rng(2), [], []
    for seed in range(40):
        noise = rng.normal(size=3_000)
        target = np.convolve(noise, np.ones(15), mode="valid")
        x = ar1(len(target), 0.95, rng)
        found = told(x, target, horizon_rows=15, seed=seed)
        assert found.block >= 15
        covered.append(found.low <= 0.0 <= found.high)
        naive.append(abs(found.rank_ic) <= 1.96 / math.sqrt(len(x)))
    assert np.mean(covered) >= 0.8
    assert np.mean(naive) < 0.6


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("dull", [np.ones(50), np.full(50, np.nan), np.empty(0)])
def test_no_information_is_nan_not_zero(side: int, dull: Float1D) -> None:
    """A constant, missing or empty side has no correlation."""
    other = np.random.default_rng(0).normal(size=len(dull))
    found = told(*((dull, other) if side else (other, dull)))
    assert math.isnan(found.rank_ic)
    assert math.isnan(found.low)
    assert math.isnan(found.ic)
    assert math.isnan(found.p)


def test_an_interval_ends_where_a_correlation_does() -> None:
    """Few and long blocks do not carry it beyond 1."""
    line = np.arange(120.0)
    found = told(line, line + np.sin(line), horizon_rows=40)
    assert found.rank_ic > 0.99
    assert (found.high, found.ic_high) == (1.0, 1.0)


def test_same_seed_same_interval() -> None:
    """The seed fixes the interval."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=300), rng.normal(size=300)
    assert told(x, y, seed=5) == told(x, y, seed=5)
    assert told(x, y, seed=5).low != told(x, y, seed=6).low


@pytest.mark.slow
def test_p_value_is_honest_for_noise() -> None:
    """Of 100 pairs of a persistent feature and overlapping noise at most 12 fall below 0.05.

    The p value for independent rows would fall below it far more often; the test says so too.
    """
    rng, found, naive = np.random.default_rng(6), [], []
    for seed in range(100):
        target = np.convolve(rng.normal(size=2_000), np.ones(10), mode="valid")
        x = ar1(len(target), 0.9, rng)
        found.append(told(x, target, horizon_rows=10, seed=seed).p)
        naive.append(spearmanr(x, target).pvalue)
    assert np.mean(np.asarray(found) < 0.05) <= 0.12
    assert np.mean(np.asarray(naive) < 0.05) > 0.3


def test_adjustment_is_holms_over_all_looks() -> None:
    """Every feature at every horizon is one look; what has no p value is none."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=2_000)
    looks = [told(rng.normal(size=2_000) + 0.02 * k * y, y, seed=k) for k in range(6)]
    flat = told(np.ones(2_000), y)
    found = adjusted([*looks[:3], flat, *looks[3:]])
    known = [*found[:3], *found[4:]]
    expected = holm(np.asarray([item.p for item in looks]))
    np.testing.assert_array_equal([item.p_holm for item in known], expected)
    assert math.isnan(found[3].p_holm)
    assert adjusted([flat]) == (flat,) or math.isnan(adjusted([flat])[0].p_holm)


@pytest.mark.parametrize(
    ("p", "said"), [(0.0005, "***"), (0.005, "**"), (0.05, ""), (0.049, "*"), (math.nan, "")]
)
def test_stars_read_the_adjusted_p(p: float, said: str) -> None:
    """Three levels, each strictly below; nothing without a p value."""
    nan = math.nan
    item = Information("x", 60, 0.1, 0.0, 0.2, 99, 1, 0.1, 0.0, 0.2, p=0.0, p_holm=p)
    assert item.stars == said
    assert Information("x", 60, nan, nan, nan, 0, 1).stars == ""
