"""Risk numbers against formulas written out with numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlwb.backtest import (
    DailyTrips,
    account,
    activity,
    daily_trips,
    losing_streak,
    risk,
    round_trips,
)
from mlwb.core.arrays import Int1D
from mlwb.stats import psr
from tests.strategies import START, same_bits

DAY = 86_400


def stamps(days: int, per_day: int = 1) -> Int1D:
    """Times of equally spaced steps."""
    return (START + np.arange(days * per_day) * (DAY // per_day)).astype(np.int64)


def test_sharpe_is_that_of_utc_days() -> None:
    """Mean over sd (ddof 1) of pandas' daily sums times the root of 365."""
    net, ts = np.random.default_rng(0).normal(2e-5, 1e-3, 240), stamps(10, 24)
    daily = pd.Series(net, index=pd.to_datetime(ts, unit="s", utc=True)).resample("1D").sum()
    found = risk(net, ts)
    assert found.sharpe == pytest.approx(daily.mean() / daily.std() * math.sqrt(365))
    assert found.net_return == pytest.approx(net.sum())
    assert found.n_days == 10


def test_standard_error_is_that_of_skewed_and_fat_days() -> None:
    """sqrt((1 - g3 SR + (g4 - 1)/4 SR^2) / (n - 1)) a day, annualised; PSR rests on the same."""
    net = np.random.default_rng(2).standard_t(4, size=90) * 1e-2 + 1e-3
    g3, g4 = stats.skew(net), stats.kurtosis(net, fisher=False)
    sr = net.mean() / net.std(ddof=1)
    error = math.sqrt((1 - g3 * sr + (g4 - 1) / 4 * sr**2) / 89)
    found = risk(net, stamps(90))
    assert found.sharpe_se == pytest.approx(error * math.sqrt(365))
    assert found.psr == pytest.approx(stats.norm.cdf(sr / error))
    assert found.sharpe_bound(0.95) == pytest.approx(found.sharpe + 1.6448536 * found.sharpe_se)
    assert found.sharpe_bound(0.05) == pytest.approx(found.sharpe - 1.6448536 * found.sharpe_se)


def test_a_track_record_that_long_shows_it() -> None:
    """After that many days of the same moments the probability is 95 %; never if SR <= 0."""
    net = np.random.default_rng(4).normal(3e-3, 1e-2, 40)
    found = risk(net, stamps(40))
    daily = found.sharpe / math.sqrt(365)
    moments = {"skew": float(stats.skew(net)), "kurtosis": float(stats.kurtosis(net, fisher=False))}
    assert psr(daily, found.min_track_record, **moments) == pytest.approx(0.95)
    assert risk(-net, stamps(40)).min_track_record == math.inf


def test_sharpe_of_steps_counts_flat_ones() -> None:
    """Mean over sd (ddof 1) of all steps times the root of the calendar's steps a year."""
    net = np.random.default_rng(0).normal(2e-5, 1e-3, 240)
    net[::3] = 0.0
    expected = net.mean() / net.std(ddof=1)
    assert risk(net, stamps(10, 24)).sharpe_bars == pytest.approx(expected * math.sqrt(525_600))
    found = risk(net, stamps(10, 24), bars_per_year=100.0)
    assert found.sharpe_bars == pytest.approx(expected * 10.0)


def test_lo_scales_by_autocorrelation() -> None:
    """Independent days give sqrt(365); momentum gives less, reversal more (Lo 2002, eq. 20)."""
    rng = np.random.default_rng(5)
    quiet = rng.normal(1e-3, 1e-2, 2_000)
    found = risk(quiet, stamps(2_000))
    assert found.sharpe_lo == pytest.approx(found.sharpe, rel=0.2)
    trend = quiet[1:] + 0.6 * quiet[:-1]
    turns = quiet[1:] - 0.3 * quiet[:-1]
    for net, wants_less in ((trend, True), (turns, False)):
        found = risk(net, stamps(len(net)))
        assert (found.sharpe_lo < 0.9 * found.sharpe) is wants_less
        assert (found.sharpe_lo > 1.1 * found.sharpe) is not wants_less


def test_lo_is_the_formula() -> None:
    """eta(365) with its two lags written out, on 20 days."""
    net = np.random.default_rng(6).normal(1e-3, 1e-2, 20)
    x = net - net.mean()
    rho = [(x[1:] * x[:-1]).sum() / (x * x).sum(), (x[2:] * x[:-2]).sum() / (x * x).sum()]
    eta = 365 / math.sqrt(365 + 2 * (364 * rho[0] + 363 * rho[1]))
    assert risk(net, stamps(20)).sharpe_lo == pytest.approx(eta * net.mean() / net.std(ddof=1))


def test_days_without_a_bar_are_days() -> None:
    """A weekend earns nothing on two days that a year of 365 counts."""
    ts = START + DAY * np.array([0, 1, 4])
    net = np.array([0.01, -0.02, 0.03])
    daily = np.array([0.01, -0.02, 0.0, 0.0, 0.03])
    found = risk(net, ts)
    assert found.n_days == 5
    assert found.sharpe == pytest.approx(daily.mean() / daily.std(ddof=1) * math.sqrt(365))


def test_calmar_is_growth_a_year_over_the_drawdown() -> None:
    """Compounded to 365 days; null without a drawdown, -1 over it after ruin."""
    net = np.array([0.02, -0.01, 0.03])
    growth = (1.02 * 0.99 * 1.03) ** (365 / 3) - 1
    assert risk(net, stamps(3)).calmar == pytest.approx(growth / 0.01)
    assert math.isnan(risk(np.array([0.01, 0.02]), stamps(2)).calmar)
    assert risk(np.array([0.1, -1.5]), stamps(2)).calmar == -1.0


def test_turnover_is_position_changes_a_day() -> None:
    """One way, the liquidation too, over UTC days; exposure is the absolute position."""
    ledger = account(np.array([1.0, -0.5, -0.5, 0.25]), np.zeros(4), np.zeros(4))
    found = activity(ledger, START + np.array([0, 60, DAY, DAY + 60]))
    assert found.turnover == pytest.approx((1.0 + 1.5 + 0.75 + 0.25) / 2)
    assert found.exposure_mean == 2.25 / 4
    assert found.exposure_max == 1.0


def test_a_trip_belongs_to_the_day_that_closed_it() -> None:
    """A trip over midnight counts on the second day; one open at the end on none."""
    ts = START + np.array([0, DAY - 60, DAY, DAY + 60, 2 * DAY])
    position = np.array([1.0, 1.0, -1.0, 0.0, 1.0])
    returns = np.array([0.01, 0.01, 0.01, 0.0, 0.01])
    daily = daily_trips(round_trips(account(position, returns, np.zeros(5))), ts)
    assert daily.day.tolist() == [START // DAY + 1]
    assert (daily.wins.tolist(), daily.trips.tolist()) == ([1], [2])


@pytest.mark.parametrize(
    ("rows", "streak"),
    [
        ([(1, 15, 30), (2, 15, 30), (3, 15, 30)], 3),
        ([(1, 15, 30), (2, 16, 30), (3, 15, 30)], 1),
        ([(1, 15, 30), (2, 0, 29), (3, 15, 30)], 1),
        ([(1, 15, 30), (3, 15, 30), (4, 15, 30)], 2),
        ([(1, 52, 100)], 0),
        ([(1, 51, 100)], 1),
        ([], 0),
    ],
    ids=["three", "a-good-day", "a-thin-day", "a-gap", "at-the-limit", "below-it", "none"],
)
def test_losing_days_count_in_a_row(rows: list[tuple[int, int, int]], streak: int) -> None:
    """Consecutive UTC days, each with enough trips and too few wins."""
    columns = np.asarray(rows, dtype=np.int64).reshape(-1, 3).T
    assert losing_streak(DailyTrips(*columns), win_rate=0.52, min_trips=30) == streak


def test_the_oracle_agrees_where_it_means_the_same(oracle: Callable[[str], Any]) -> None:
    """empyrical: Sharpe on days with its year of 252 set to 365, drawdown and Calmar.

    empyrical annualises by 252 unless told; its drawdown is negative and starts at 1 too; its
    Calmar compounds over 252 days a year, ours over 365.
    """
    empyrical = oracle("empyrical")
    net = np.random.default_rng(8).normal(1e-3, 1e-2, 120)
    net[0] = -0.05
    found = risk(net, stamps(120))
    assert found.sharpe == pytest.approx(empyrical.sharpe_ratio(net, annualization=365))
    default = empyrical.sharpe_ratio(net)
    assert found.sharpe == pytest.approx(default * math.sqrt(365 / 252))
    assert found.max_drawdown == pytest.approx(-empyrical.max_drawdown(net))
    assert found.calmar == pytest.approx(empyrical.calmar_ratio(net, annualization=365))


def test_psr_of_nothing_is_a_coin() -> None:
    """Symmetric days around zero: one half."""
    assert risk(np.array([0.01, -0.01] * 10), stamps(20)).psr == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("net", "drawdown"),
    [
        ([-0.1, 0.05], 0.1),
        ([0.1, -0.1, -0.1, 0.5], 1 - 0.9**2),
        ([0.01, 0.02], 0.0),
        ([-0.5, -0.5, 9.0, -0.1], 0.75),
        ([0.2, -1.5, 0.1], 1.0),
    ],
    ids=["first", "second", "none", "early", "ruin"],
)
def test_drawdown_is_the_fall_from_a_peak_that_starts_at_one(
    net: list[float], drawdown: float
) -> None:
    """A loss in the first step counts, later peaks count, and it is never more than all."""
    found = risk(np.array(net), stamps(len(net)))
    assert found.max_drawdown == pytest.approx(drawdown)


@given(st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=40))
def test_drawdown_is_the_worst_pair(net: list[float]) -> None:
    """The largest 1 - later / earlier over all ordered pairs of equity values."""
    equity = np.concatenate([[1.0], np.cumprod(1.0 + np.array(net))])
    worst = max(1.0 - b / a for i, a in enumerate(equity) for b in equity[i:])
    assert risk(np.array(net), stamps(len(net))).max_drawdown == pytest.approx(worst, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -0.007, 1 / 3])
@pytest.mark.parametrize("n", [2, 3, 7, 30])
def test_constant_days_have_no_sharpe(value: float, n: int) -> None:
    """Without spread the ratio does not exist, also where rounding leaves an sd of 1e-18."""
    found = risk(np.full(n, value), stamps(n))
    assert math.isnan(found.sharpe)
    assert math.isnan(found.sharpe_se)
    assert math.isnan(found.psr)


@pytest.mark.parametrize("net", [[0.01, np.nextafter(0.01, 1.0)], [1.0, 1 + 1e-14]])
def test_days_that_differ_by_rounding_are_equal(net: list[float]) -> None:
    """No ratio of 1e15, no division by zero, no warning."""
    assert math.isnan(risk(np.array(net), stamps(2)).sharpe)


@given(st.integers(-990, 0), st.integers(0, 99))
def test_ratios_do_not_depend_on_size(power: int, seed: int) -> None:
    """Returns of 1e-300 have the ratios of returns of 1 %, bit for bit."""
    net = np.random.default_rng(seed).normal(1e-3, 1e-2, 12)
    found, scaled = risk(net, stamps(12)), risk(np.ldexp(net, power), stamps(12))
    for name in ("sharpe", "sharpe_se", "sharpe_bars", "sharpe_lo", "psr", "min_track_record"):
        assert same_bits(np.array(getattr(scaled, name)), np.array(getattr(found, name))), name


def test_one_day_has_no_sharpe() -> None:
    """Many steps on one UTC day are one observation."""
    found = risk(np.random.default_rng(0).normal(size=24) * 1e-3, stamps(1, 24))
    assert found.n_days == 1
    assert math.isnan(found.sharpe)


def test_no_steps_are_no_risk() -> None:
    """An empty series: nothing earned, nothing lost, no ratio."""
    found = risk(np.empty(0), np.empty(0, dtype=np.int64))
    assert (found.net_return, found.max_drawdown, found.n_days) == (0.0, 0.0, 0)
    assert math.isnan(found.sharpe)


def test_day_starts_at_midnight_utc() -> None:
    """One second makes the difference between one day and two."""
    net = np.array([0.01, 0.02])
    assert risk(net, np.array([START, START + DAY - 1])).n_days == 1
    assert risk(net, np.array([START, START + DAY])).n_days == 2


def test_a_year_of_impossible_days_is_infinite() -> None:
    """Who knows the future multiplies money; compounded over a year no float is left."""
    net = np.full(100, 0.05)
    net[50] = -0.01
    assert risk(net, np.arange(100, dtype=np.int64) * 60).calmar == math.inf
