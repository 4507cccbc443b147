"""The circular block bootstrap: its arithmetic, its block length, its error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, optimal_block_length

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError
from mlwb.stats import BlockMeans, block_length, block_means, p_against
from tests.strategies import ar1


def politis_white(series: Float1D) -> float:
    """The circular block length as the paper writes it, by plain sums (equations 9 and 10)."""
    n = len(series)
    x = series - series.mean()
    k_n, bound = max(5, int(math.sqrt(math.log10(n)))), 2.0 * math.sqrt(math.log10(n) / n)
    acov = [float((x[lag:] * x[: n - lag]).sum()) / n for lag in range(n // 2)]
    rho = [abs(a / acov[0]) for a in acov]
    m_hat = next(m for m in range(n) if all(r < bound for r in rho[m + 1 : m + 1 + k_n]))
    big = 2 * max(m_hat, 1)
    flat = [1.0 if k / big <= 0.5 else 2.0 * (1.0 - k / big) for k in range(big + 1)]
    g = 2.0 * sum(flat[k] * k * acov[k] for k in range(1, big + 1))
    spectrum = acov[0] + 2.0 * sum(flat[k] * acov[k] for k in range(1, big + 1))
    return float((2.0 * g * g / (4.0 / 3.0 * spectrum**2)) ** (1 / 3) * n ** (1 / 3))


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_block_length_is_politis_and_white(phi: float, seed: int) -> None:
    """The paper's formula written out with plain sums, rounded up."""
    series = ar1(3_000, phi, np.random.default_rng(seed))
    assert block_length(series) == max(1, math.ceil(politis_white(series)))


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.9])
def test_block_length_is_near_archs(phi: float) -> None:
    """Arch counts one lag more as significant; over ten series the lengths stay within a third."""
    rng = np.random.default_rng(3)
    ours, theirs = [], []
    for _ in range(10):
        series = ar1(4_000, phi, rng)
        ours.append(block_length(series))
        theirs.append(float(optimal_block_length(series)["circular"].iloc[0]))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=1 / 3)


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
    assert block_length(noise[:4]) == 1
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


def rejections(mean: float, phi: float, n: int = 300) -> float:
    """Share of AR(1) series of 1,500 rows with p_against at or below 0.10."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(n):
        series = ar1(1_500, phi, rng) + mean
        drawn = block_means(series, block=block_length(series), n_resamples=299, rng=rng)
        found.append(p_against(drawn) <= 0.10)
    return float(np.mean(found))


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
