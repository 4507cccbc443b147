"""Information day by day, and as a value ages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from mlwb.study import Daily, daily, decay
from tests.strategies import ar1


def test_days_add_up_to_the_rank_ic() -> None:
    """Weighted by their rows the days give scipy's rank correlation; short days have no value."""
    rng = np.random.default_rng(0)
    sizes = [500, 119, 300, 400]
    days = np.repeat([100, 101, 102, 103], sizes)
    x, y = rng.normal(size=len(days)), rng.normal(size=len(days))
    y += 0.3 * x
    found = daily("x", x, y, days)
    assert found.days.tolist() == [100, 102, 103]
    short = days == 101
    ranks = [(r - r.mean()) / r.std() for r in (rankdata(x), rankdata(y))]
    rest = (ranks[0] * ranks[1])[short].sum()
    whole = (found.rank_ic * [500, 300, 400]).sum() + rest
    assert whole / len(days) == pytest.approx(spearmanr(x, y).statistic)
    assert found.icir == pytest.approx(found.rank_ic.mean() / found.rank_ic.std(ddof=1))
    assert found.same_sign_share == 1.0
    holey = np.where(np.arange(len(x)) % 9 == 0, np.nan, x)
    assert daily("x", holey, y, days).n_days == 3


def test_memory_longer_than_a_day_is_no_knowledge() -> None:
    """A level that remembers returns knows nothing of the next: its days have no common sign.

    Correlations within the days have one; the test says so too.
    """
    rng = np.random.default_rng(8)
    shocks = rng.normal(size=150 * 200)
    level = np.empty(len(shocks))
    level[0] = shocks[0]
    for i in range(1, len(shocks)):
        level[i] = 0.999 * level[i - 1] + shocks[i]
    days = np.arange(len(level)) // 200
    x, y = level[:-1], shocks[1:]
    found = daily("x", x, y, days[:-1])
    assert found.low < 0.0 < found.high
    within = [spearmanr(x[days[:-1] == day], y[days[:-1] == day]).statistic for day in range(150)]
    assert np.mean(within) / np.std(within) * np.sqrt(150) < -4.0


def _drawn(n_days: int, rng: np.random.Generator) -> Daily:
    """Days whose true correlation is drawn from a normal law of their own."""
    days = np.repeat(np.arange(n_days), 120)
    truth = np.repeat(np.clip(rng.normal(0.1, 0.2, n_days), -0.9, 0.9), 120)
    x = rng.normal(size=len(days))
    y = truth * x + np.sqrt(1.0 - truth**2) * rng.normal(size=len(days))
    return daily("x", x, y, days)


@pytest.mark.slow
def test_ratio_s_interval_holds_the_truth() -> None:
    """For 100 draws of 60 independent days the interval holds the ratio of 4,000 days, 88 to 99."""
    rng = np.random.default_rng(1)
    truth = _drawn(4_000, rng).icir
    inside = [found.low <= truth <= found.high for found in (_drawn(60, rng) for _ in range(100))]
    assert 88 <= sum(inside) <= 99


def test_too_few_days_have_no_ratio() -> None:
    """Two days have a mean and no spread; none have nothing."""
    rng = np.random.default_rng(3)
    two = daily("x", rng.normal(size=400), rng.normal(size=400), np.repeat([1, 2], 200))
    assert two.n_days == 2
    assert math.isfinite(two.mean)
    assert math.isnan(two.icir)
    assert two.same_sign_share in (0.5, 1.0)
    none = daily("x", np.ones(10), np.ones(10), np.ones(10, dtype=np.int64))
    assert none.n_days == 0
    assert math.isnan(none.same_sign_share)


def test_fresh_value_is_spearman() -> None:
    """Age 0 is the plain rank correlation; a later age that of the shifted ranks."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=3_000)
    y = 0.5 * x + rng.normal(size=3_000)
    x[5], y[40] = np.nan, np.nan
    found = decay("x", x, y, ages_s=(0, 120))
    fresh, later = found.rank_ic
    x_rank, y_rank = (rankdata(values, nan_policy="omit") for values in (x, y))
    both = np.isfinite(x_rank[:-2]) & np.isfinite(y_rank[2:])
    assert later == pytest.approx(np.corrcoef(x_rank[:-2][both], y_rank[2:][both])[0, 1])
    assert fresh == pytest.approx(spearmanr(x, y, nan_policy="omit").statistic, abs=1e-4)


def test_half_life_of_knowledge_is_the_signal_s() -> None:
    """A feature that is an AR(1) signal, a target that is the signal and noise: its half-life."""
    rng, phi = np.random.default_rng(5), 0.99
    signal = ar1(60_000, phi, rng)
    target = signal / signal.std() + 3.0 * rng.normal(size=len(signal))
    found = decay("x", signal, target)
    expected = 60 * math.log(2.0) / -math.log(phi)
    assert found.half_life_s == pytest.approx(expected, rel=0.25)
    assert all(low < ic < high for low, ic, high in zip(
        found.low, found.rank_ic, found.high, strict=True
    ))  # fmt: skip


def test_nothing_fades_where_nothing_is_known() -> None:
    """Noise has no half-life; a signal that outlives the last age has an infinite one."""
    rng = np.random.default_rng(6)
    noise = decay("x", rng.normal(size=5_000), rng.normal(size=5_000))
    assert math.isnan(noise.half_life_s)
    slow = np.sin(np.arange(9_000.0) / 5_000.0)
    assert decay("x", slow, slow, ages_s=(0, 60, 300)).half_life_s == math.inf
    assert all(math.isnan(ic) for ic in decay("x", np.ones(500), np.ones(500)).rank_ic)


@pytest.mark.slow
def test_interval_covers_zero_for_noise() -> None:
    """Day blocks keep their level where features persist and targets do not: 85 % of 60 draws."""
    rng, covered = np.random.default_rng(7), []
    for _ in range(60):
        x = ar1(30 * 1_440, 0.98, rng)
        found = decay("x", x[::4], rng.normal(size=len(x))[::4], ages_s=(0,))
        covered.append(found.low[0] <= 0.0 <= found.high[0])
    assert np.mean(covered) >= 0.85
