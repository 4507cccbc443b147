"""Risk numbers against formulas written out with numpy and scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlwb.backtest import risk
from mlwb.core.arrays import Int1D
from tests.strategies import START

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


def test_standard_error_is_los() -> None:
    """sqrt((1 + SR^2 / 2) / n) per day, annualised (Lo 2002)."""
    net = np.random.default_rng(1).normal(1e-3, 1e-2, 60)
    daily = net.mean() / net.std(ddof=1)
    expected = math.sqrt((1 + daily**2 / 2) / 60) * math.sqrt(365)
    assert risk(net, stamps(60)).sharpe_se == pytest.approx(expected)


def test_psr_is_bailey_and_lopez_de_prados() -> None:
    """Phi(SR sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)) with raw moments."""
    net = np.random.default_rng(2).standard_t(4, size=90) * 1e-2 + 1e-3
    centred = (net - net.mean()) / net.std()
    g3, g4, sr = (centred**3).mean(), (centred**4).mean(), net.mean() / net.std(ddof=1)
    expected = stats.norm.cdf(sr * math.sqrt(89) / math.sqrt(1 - g3 * sr + (g4 - 1) / 4 * sr**2))
    assert risk(net, stamps(90)).psr == pytest.approx(expected)


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


@pytest.mark.parametrize("net", [[0.0, 1e-308], [0.01, np.nextafter(0.01, 1.0)], [1.0, 1 + 1e-14]])
def test_days_that_differ_by_rounding_are_equal(net: list[float]) -> None:
    """No ratio of 1e15, no division by zero, no warning."""
    assert math.isnan(risk(np.array(net), stamps(2)).sharpe)


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
