"""Rank information with its interval, and what dependent rows are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwb.core.arrays import Float1D
from mlwb.study import Information, effective_n, information
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


def test_information_is_spearmans() -> None:
    """Scipy's rank correlation over the rows where both sides have a value, ties included."""
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(size=400), 1), np.round(rng.normal(size=400), 1)
    x[::7], y[::11] = np.nan, np.inf
    both = np.isfinite(x) & np.isfinite(y)
    found = told(x, y)
    assert found.rank_ic == pytest.approx(spearmanr(x[both], y[both]).statistic)
    assert found.n_obs == both.sum()
    assert found.low < found.rank_ic < found.high


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


def test_same_seed_same_interval() -> None:
    """The seed fixes the interval."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=300), rng.normal(size=300)
    assert told(x, y, seed=5) == told(x, y, seed=5)
    assert told(x, y, seed=5).low != told(x, y, seed=6).low


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_effective_rows_of_ar1_are_theorys(phi: float) -> None:
    """N (1 - phi) / (1 + phi), on average over 20 series within 15 %."""
    rng = np.random.default_rng(4)
    found = [effective_n(ar1(20_000, phi, rng)) for _ in range(20)]
    assert np.mean(found) == pytest.approx(20_000 * (1 - phi) / (1 + phi), rel=0.15)


def test_effective_rows_stay_between_one_and_all() -> None:
    """A trend is worth hardly a row, alternation no more than all; NaN is left out."""
    trend = np.arange(1_000.0)
    assert 1.0 <= effective_n(trend) < 10.0
    assert effective_n(np.tile([1.0, -1.0], 100)) == 200.0
    assert effective_n(np.ones(30)) == 30.0
    assert effective_n(np.array([1.0, np.nan])) == 1.0
