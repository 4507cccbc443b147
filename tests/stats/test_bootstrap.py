"""The circular block bootstrap: its arithmetic, its block length, its error rates."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, optimal_block_length
from scipy.stats import ks_2samp

from mlwb.core.errors import EmptyWindowError
from mlwb.stats import BlockMeans, block_length, block_means, p_against
from mlwb.stats import _bootstrap as bootstrap
from tests.strategies import ar1


@pytest.mark.parametrize("n", [12, 30, 250, 3_000])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.9, 0.99])
def test_block_length_is_archs(phi: float, n: int) -> None:
    """Arch's circular block length, rounded up, whatever the memory and the length."""
    for seed in range(3):
        series = ar1(n, phi, np.random.default_rng(seed))
        theirs = float(optimal_block_length(series)["circular"].iloc[0])
        assert block_length(series) == max(1, math.ceil(theirs))


def test_longer_memory_needs_longer_blocks() -> None:
    """The length rises with persistence."""
    lengths = [block_length(ar1(5_000, phi, np.random.default_rng(1))) for phi in (0.0, 0.5, 0.9)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 0.3 * lengths[-1]


def test_block_length_keeps_its_bounds() -> None:
    """Never below the overlap of labels, never above a third; short and constant series as well."""
    noise = np.random.default_rng(0).normal(size=300)
    assert block_length(noise, least=60) == 60
    assert block_length(np.cumsum(noise)) <= 100
    assert block_length(np.ones(300), least=5) == 5
    assert block_length(noise[:4]) == block_length(noise[:9]) == 1
    assert block_length(noise[:12], least=50) == 4


@pytest.mark.parametrize(("n", "block"), [(12, 5), (12, 4), (7, 7), (7, 1), (5, 50)])
def test_draws_are_means_of_circular_blocks(n: int, block: int) -> None:
    """Every draw is the mean of n values made of whole wrapped blocks and one cut block."""
    series = np.array([2.0**i for i in range(n)])
    drawn = block_means(series, block=block, n_resamples=40, rng=np.random.default_rng(0))
    size = min(block, n)
    wrapped = np.concatenate([series, series])
    full = [wrapped[s : s + size].sum() for s in range(n)]
    rest = [wrapped[s : s + n % size].sum() for s in range(n)] if n % size else [0.0]
    sums = {0.0}
    for _ in range(n // size):
        sums = {a + b for a in sums for b in full}
    possible = {a + b for a in sums for b in rest} if len(sums) < 50_000 else set()
    if possible:
        assert all(min(abs(d * n - p) for p in possible) < 1e-6 for d in drawn.draws)
    assert (drawn.block, drawn.n_obs, drawn.mean) == (size, n, series.mean())


def test_draws_have_the_moments_of_archs_bootstrap() -> None:
    """Mean and standard deviation of 4,000 draws within 5 % of arch's circular bootstrap."""
    series = ar1(600, 0.7, np.random.default_rng(2)) + 0.3
    ours = block_means(series, block=25, n_resamples=4_000, rng=np.random.default_rng(0)).draws
    theirs = CircularBlockBootstrap(25, series, seed=1).apply(np.mean, 1_000)[:, 0]
    assert ours.mean() == pytest.approx(series.mean(), abs=4 * ours.std() / math.sqrt(4_000))
    assert ours.std() == pytest.approx(theirs.std(), rel=0.08)


def test_variance_of_draws_is_the_exact_one() -> None:
    """With whole blocks: the variance of the n block means over the number of blocks."""
    series = ar1(240, 0.5, np.random.default_rng(4))
    wrapped = np.concatenate([series, series])
    means = np.array([wrapped[s : s + 12].mean() for s in range(240)])
    drawn = block_means(series, block=12, n_resamples=40_000, rng=np.random.default_rng(5))
    assert drawn.draws.var() == pytest.approx(means.var() / 20, rel=0.03)


def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws are a function of the seed alone, not of how many resamples are made at once."""
    series = ar1(500, 0.3, np.random.default_rng(6))

    def draws() -> list[float]:
        rng = np.random.default_rng(1)
        found: list[float] = block_means(series, block=9, n_resamples=333, rng=rng).draws.tolist()
        return found

    whole = draws()
    monkeypatch.setattr(bootstrap, "_SLICE", 500)
    assert draws() == whole


@pytest.mark.parametrize("block", [1, 7])
@pytest.mark.parametrize("tail", [3.0, 30.0])
def test_law_of_the_mean_is_that_of_picking(
    monkeypatch: pytest.MonkeyPatch, block: int, tail: float
) -> None:
    """Drawing totals from their law gives what picking blocks gives (two-sample test at 1 %)."""
    series = np.random.default_rng(7).standard_t(tail, size=500) + 0.1
    rng = np.random.default_rng(8)
    picked = block_means(series, block=block, n_resamples=20_000, rng=rng)
    monkeypatch.setattr(bootstrap, "_MAX_GATHERED", 0)
    lawful = block_means(series, block=block, n_resamples=20_000, rng=rng)
    assert ks_2samp(picked.draws, lawful.draws).pvalue > 0.01
    assert (lawful.mean, lawful.block, lawful.n_obs) == (picked.mean, block, 500)


def test_long_series_with_short_blocks_uses_the_law() -> None:
    """200 million picks are not made: the draws still have the exact mean and spread."""
    series = np.random.default_rng(9).normal(size=20_160)
    drawn = block_means(series, block=1, n_resamples=10_000, rng=np.random.default_rng(0))
    exact = series.std() / math.sqrt(20_160)
    assert drawn.draws.std() == pytest.approx(exact, rel=0.03)
    assert drawn.draws.mean() == pytest.approx(series.mean(), abs=4 * exact / 100)


def test_constant_series_has_constant_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """By law as by picking; no skill at all speaks against as loudly as it can."""
    monkeypatch.setattr(bootstrap, "_MAX_GATHERED", 0)
    drawn = block_means(np.zeros(50), block=3, n_resamples=99, rng=np.random.default_rng(0))
    assert set(drawn.draws.tolist()) == {0.0}
    assert p_against(drawn) == 1.0


def test_same_generator_same_draws() -> None:
    """A seed fixes every draw; another seed gives others."""
    series = np.random.default_rng(0).normal(size=100)

    def draws(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        found: list[float] = block_means(series, block=7, n_resamples=20, rng=rng).draws.tolist()
        return found

    assert draws(1) == draws(1) != draws(2)


@pytest.mark.parametrize("series", [[], [1.0, np.nan], [np.inf, 1.0]])
def test_what_cannot_be_resampled_is_refused(series: list[float]) -> None:
    """An empty series or one that is not finite is an error, not a NaN that spreads."""
    with pytest.raises(EmptyWindowError, match="nothing to resample"):
        block_means(np.array(series), block=2, n_resamples=9, rng=np.random.default_rng(0))


def test_interval_is_the_percentile_interval() -> None:
    """Quantiles of the draws, wider for more coverage."""
    drawn = BlockMeans(0.0, np.arange(101.0), 1, 101)
    assert drawn.interval(0.9) == pytest.approx((5.0, 95.0))
    assert drawn.interval() == pytest.approx((2.5, 97.5))


def test_p_against_counts_with_one_added() -> None:
    """(1 + draws at or below zero) / (B + 1): never 0, and a tie speaks against."""
    assert p_against(BlockMeans(1.0, np.ones(99), 1, 9)) == 1 / 100
    assert p_against(BlockMeans(1.0, np.array([0.0, 1.0, -1.0]), 1, 9)) == 3 / 4
    assert p_against(BlockMeans(-1.0, -np.ones(99), 1, 9)) == 1.0


@pytest.mark.parametrize(("n", "block"), [(6, 2), (7, 3), (5, 1)])
def test_p_against_is_the_enumerated_one(n: int, block: int) -> None:
    """On a tiny series: the share over every possible resample, to Monte Carlo error."""
    series = np.random.default_rng(n).normal(size=n).round(1)
    wrapped = np.concatenate([series, series])
    full, rest = divmod(n, block)
    lengths = [block] * full + [rest] * (rest > 0)
    totals = [
        sum(wrapped[s : s + length].sum() for s, length in zip(starts, lengths, strict=True))
        for starts in product(range(n), repeat=len(lengths))
    ]
    exact = float((np.array(totals) <= 1e-12).mean())
    drawn = block_means(series, block=block, n_resamples=40_000, rng=np.random.default_rng(1))
    assert 0.02 < exact < 0.98
    assert p_against(drawn) == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 40_000))


def rejections(mean: float, phi: float, n: int = 300) -> float:
    """Share of AR(1) series of 1,500 rows with p_against at or below 0.10."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(n):
        series = ar1(1_500, phi, rng) + mean
        drawn = block_means(series, block=block_length(series), n_resamples=299, rng=rng)
        found.append(p_against(drawn) <= 0.10)
    return float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_p_against_is_calibrated(phi: float) -> None:
    """Without skill, p <= 0.10 in 5 to 15 % of 300 series, also where rows depend on each other."""
    assert 0.05 <= rejections(0.0, phi) <= 0.15


def test_p_against_finds_skill() -> None:
    """A mean of four standard errors is found in at least 95 % of the series."""
    phi = 0.8
    error = 1.0 / (1.0 - phi) / math.sqrt(1_500)
    assert rejections(4.0 * error, phi, n=60) >= 0.95


def test_independent_resampling_would_not_be_calibrated() -> None:
    """Why blocks: with blocks of one row, dependent noise passes twice as often as it may."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(150):
        drawn = block_means(ar1(1_500, 0.8, rng), block=1, n_resamples=299, rng=rng)
        found.append(p_against(drawn) <= 0.10)
    assert np.mean(found) > 0.2


@pytest.mark.parametrize("power", [-1_000, 1_000])
def test_a_block_has_no_unit(power: int) -> None:
    """Squares of the smallest and the largest values neither vanish nor burst."""
    series = np.cumsum(np.random.default_rng(0).normal(size=400))
    assert block_length(np.ldexp(series, power)) == block_length(series) > 1
    with pytest.raises(EmptyWindowError):
        block_length(np.append(series, np.nan))
