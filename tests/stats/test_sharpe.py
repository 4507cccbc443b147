"""How sure a Sharpe ratio is: published numbers, a peer library, simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError, ParamsError
from mlwb.stats import (
    deflated_benchmark,
    dsr,
    min_track_record,
    psr,
    ratio_error,
    sharpe_ratio,
)

NORMAL = {"skew": 0.0, "kurtosis": 3.0}
Oracle = Callable[[str], Any]


def spread_of(n: int, variance: float) -> Float1D:
    """So many trials whose ratios have exactly this variance."""
    x = np.linspace(-1.0, 1.0, n)
    return np.asarray(x * math.sqrt(variance / x.var(ddof=1)), dtype=np.float64)


def unbiased(x: Float1D) -> dict[str, float]:
    """Moments corrected for bias, as purgedcv takes them."""
    kurtosis = stats.kurtosis(x, fisher=False, bias=False)
    return {"skew": float(stats.skew(x, bias=False)), "kurtosis": float(kurtosis)}


def test_moments_are_scipys() -> None:
    """Plain moments, ddof 1 in the ratio, scale and units of the returns without effect."""
    x = stats.t(5).rvs(400, random_state=np.random.default_rng(0)) * 0.01 + 0.002
    found = sharpe_ratio(x)
    assert found.ratio == pytest.approx(x.mean() / x.std(ddof=1), rel=1e-12)
    assert found.skew == pytest.approx(stats.skew(x), rel=1e-12)
    assert found.kurtosis == pytest.approx(stats.kurtosis(x, fisher=False), rel=1e-12)
    assert sharpe_ratio(x * 1e-9).ratio == pytest.approx(found.ratio, rel=1e-12)
    assert found.error == ratio_error(found.ratio, 400, skew=found.skew, kurtosis=found.kurtosis)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1] * 30, [0.0] * 9, [0.1, np.nan], [np.inf, 0]])
def test_series_without_a_ratio_is_refused(returns: list[float]) -> None:
    """Too short, constant up to rounding, or not finite: an error, not an infinite ratio."""
    with pytest.raises(EmptyWindowError, match="no Sharpe ratio"):
        sharpe_ratio(np.array(returns))


def test_psr_of_the_published_fund() -> None:
    """Bailey and Lopez de Prado 2012: 24 months, 0.458 a month; 0.982 if normal, 0.913 as it is."""
    assert psr(0.458, 24, **NORMAL) == pytest.approx(0.982, abs=5e-4)
    assert psr(0.458, 24, skew=-2.448, kurtosis=10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(
    ("per_year", "skew", "kurtosis", "years"),
    [(252, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_published_track_records(per_year: int, skew: float, kurtosis: float, years: float) -> None:
    """The same paper: years until an annual ratio of 2 is shown to be above 1 at 95 %."""
    scale = math.sqrt(per_year)
    found = min_track_record(2 / scale, skew=skew, kurtosis=kurtosis, benchmark=1 / scale)
    assert found / per_year == pytest.approx(years, abs=0.006)


@pytest.mark.parametrize(
    ("n_trials", "moments", "expected"),
    [(100, (-3, 10), 0.9004), (46, (-3, 10), 0.9505), (88, (0, 3), 0.9505)],
)
def test_published_deflated_ratios(
    n_trials: int, moments: tuple[float, float], expected: float
) -> None:
    """Bailey and Lopez de Prado 2014: 2.5 a year over 1,250 days, deflated by N trials."""
    benchmark = deflated_benchmark(spread_of(n_trials, 0.5 / 250))
    skew, kurtosis = moments
    ratio = 2.5 / math.sqrt(250)
    found = psr(ratio, 1_250, skew=skew, kurtosis=kurtosis, benchmark=benchmark)
    assert found == pytest.approx(expected, abs=5e-5)


def test_published_benchmark_of_a_hundred_trials() -> None:
    """The same paper: 100 trials of variance 1/2 a year reach 0.1132 a day by luck."""
    assert deflated_benchmark(spread_of(100, 0.5 / 250)) == pytest.approx(0.1132, abs=5e-5)


def test_psr_is_purgedcvs_but_for_its_moments(oracle: Oracle) -> None:
    """Equal to 1e-12 on purgedcv's moments; plain moments move the fourth digit, no more.

    purgedcv corrects skewness and kurtosis for bias and takes ddof 0 in the ratio; the paper's
    error formula is for the plain moments, so those are ours.
    """
    purgedcv = oracle("purgedcv")
    x = stats.t(5).rvs(120, random_state=np.random.default_rng(3)) * 0.01 + 0.001
    theirs = purgedcv.probabilistic_sharpe_ratio(x, 0.05)
    same = psr(float(x.mean() / x.std()), 120, benchmark=0.05, **unbiased(x))
    assert same == pytest.approx(theirs, abs=1e-12)
    ours = sharpe_ratio(x)
    plain = psr(ours.ratio, 120, skew=ours.skew, kurtosis=ours.kurtosis, benchmark=0.05)
    assert 0 < abs(plain - theirs) < 2e-3


def test_deflated_ratio_and_track_record_are_purgedcvs(oracle: Oracle) -> None:
    """On its moments: equal to 1e-12; its track record is rounded up to whole periods."""
    purgedcv = oracle("purgedcv")
    x = np.random.default_rng(5).normal(0.001, 0.01, 400)
    moments, ratio = unbiased(x), float(x.mean() / x.std())
    trials = spread_of(40, 0.002)
    theirs = purgedcv.deflated_sharpe_ratio(x, 40, 0.002)
    assert dsr(ratio, 400, trial_ratios=trials, **moments) == pytest.approx(theirs, abs=1e-12)
    length = purgedcv.min_track_record_length(ratio, 0.01, 0.05, **moments)
    assert math.ceil(min_track_record(ratio, benchmark=0.01, **moments)) == length


def test_best_of_lucky_trials_reaches_the_benchmark() -> None:
    """Without skill, the best of 50 trials averages the deflated benchmark, to 5 %."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(0.0, 0.1, (4_000, 50))
    benchmarks = [deflated_benchmark(row) for row in drawn]
    assert drawn.max(axis=1).mean() == pytest.approx(np.mean(benchmarks), rel=0.05)


def test_deflation_sees_through_the_best_of_many() -> None:
    """A year of days, 50 strategies without skill, the best taken: PSR is fooled, DSR is not."""
    rng = np.random.default_rng(3)
    fooled, deflated = 0, 0
    for _ in range(100):
        found = [sharpe_ratio(days) for days in rng.normal(0.0, 0.01, (50, 365))]
        trials = np.array([each.ratio for each in found])
        best = found[int(trials.argmax())]
        moments = {"skew": best.skew, "kurtosis": best.kurtosis}
        fooled += psr(best.ratio, 365, **moments) >= 0.95
        deflated += dsr(best.ratio, 365, trial_ratios=trials, **moments) >= 0.95
    assert fooled >= 80
    assert deflated <= 10


def test_error_is_the_spread_of_ratios() -> None:
    """Over 4,000 skewed samples the ratios scatter as the error says, normal theory does not."""
    rng = np.random.default_rng(2)
    x = 0.5 - rng.exponential(size=(4_000, 250)) + 1.0
    ratios = x.mean(axis=1) / x.std(axis=1, ddof=1)
    said = ratio_error(0.5, 250, skew=-2.0, kurtosis=9.0)
    assert ratios.std() == pytest.approx(said, rel=0.06)
    assert ratio_error(0.5, 250, **NORMAL) < 0.75 * ratios.std()


@given(st.floats(0.001, 2.0), st.floats(-3.0, 3.0), st.floats(0.01, 20.0), st.floats(0.6, 0.999))
def test_track_record_turns_psr_round(
    ratio: float, skew: float, beyond: float, level: float
) -> None:
    """At the length it names, the probability is the level."""
    moments = {"skew": skew, "kurtosis": 1.0 + skew * skew + beyond}
    length = min_track_record(ratio, level=level, benchmark=-0.1, **moments)
    assert psr(ratio, length, benchmark=-0.1, **moments) == pytest.approx(level, abs=1e-6)


def test_no_length_shows_what_is_not_there() -> None:
    """A ratio at or below the benchmark is never shown to be above it."""
    assert min_track_record(0.0, **NORMAL) == math.inf
    assert min_track_record(0.1, benchmark=0.2, **NORMAL) == math.inf


def test_excess_kurtosis_is_refused() -> None:
    """No distribution has a raw kurtosis below 1 + skew^2, so the wrong unit is caught."""
    for skew, excess in ((0.0, 0.0), (-2.0, 4.5)):
        with pytest.raises(ParamsError, match="not the excess"):
            psr(0.1, 100, skew=skew, kurtosis=excess)
    assert psr(0.1, 100, skew=0.0, kurtosis=1.0) > 0.5


def test_annualised_ratio_among_daily_trials_is_refused() -> None:
    """A ratio above every trial is a missing trial or a mixed unit."""
    daily = np.array([0.02, 0.08, -0.03])
    with pytest.raises(ParamsError, match="above that of every trial"):
        dsr(0.08 * math.sqrt(365), 100, trial_ratios=daily, **NORMAL)
    assert dsr(0.08, 100, trial_ratios=daily, **NORMAL) < psr(0.08, 100, **NORMAL)


def test_one_trial_has_nothing_to_deflate() -> None:
    """Then the deflated ratio is the probabilistic one."""
    one = np.array([0.1])
    assert deflated_benchmark(one) == 0.0
    assert dsr(0.1, 60, trial_ratios=one, **NORMAL) == psr(0.1, 60, **NORMAL)


@pytest.mark.parametrize("trials", [[], [0.1, np.nan]])
def test_trials_that_are_not_there_are_refused(trials: list[float]) -> None:
    """No trial, or one without a ratio: it may not be left out in silence."""
    with pytest.raises(EmptyWindowError, match="no trials"):
        deflated_benchmark(np.array(trials))


@pytest.mark.parametrize(("ratio", "n"), [(math.nan, 10), (0.1, 1), (0.1, 0), (math.inf, 10)])
def test_impossible_input_is_refused(ratio: float, n: int) -> None:
    """Nothing finite, or too few periods."""
    with pytest.raises(ParamsError, match="no Sharpe ratio"):
        psr(ratio, n, **NORMAL)
    with pytest.raises(ParamsError, match="no such confidence"):
        min_track_record(0.1, level=0.4, **NORMAL)


def test_two_point_returns_without_error_are_decided() -> None:
    """Where the error vanishes the probability is 0, 1/2 or 1, without a division by zero."""
    two_point = {"skew": 1.0, "kurtosis": 2.0}
    assert ratio_error(2.0, 50, **two_point) == 0.0
    found = [psr(2.0, 50, benchmark=b, **two_point) for b in (1.9, 2.0, 2.1)]
    assert found == [1.0, 0.5, 0.0]


@pytest.mark.parametrize("power", [-1_060, -530, 0, 530, 1_020])
def test_a_ratio_has_no_unit(power: int) -> None:
    """Returns near the smallest or the largest float give the same ratio and the same error."""
    returns = np.round(np.random.default_rng(0).normal(0.1, 1.0, 200) * 128)
    found = sharpe_ratio(np.ldexp(returns, power - 10))
    assert found == sharpe_ratio(returns)
    assert found.error > 0.0


def test_a_ratio_of_next_to_nothing_needs_a_record_without_end() -> None:
    """Infinite, not an overflow."""
    assert min_track_record(1e-300, **NORMAL) == math.inf
