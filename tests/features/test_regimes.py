"""Regimes: the definition, its edges, and what is known when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.api.typing import Rolling

from mlwb.core.arrays import Float2D
from mlwb.core.bars import MID, TS
from mlwb.core.errors import EmptyWindowError
from mlwb.features.regimes import (
    REGIMES,
    RegimeCuts,
    RegimeInputs,
    fit_regimes,
    regime_inputs,
    regime_of,
)
from tests.strategies import same_bits, walk_bars

RANGING, TRENDING, VOLATILE = (REGIMES.index(n) for n in ("ranging", "trending", "volatile"))


def gappy(n: int = 2_000) -> Float2D:
    """Bars with single gaps and one of six hours."""
    keep = np.random.default_rng(5).random(n) > 0.03
    keep[900:1_260] = False
    return walk_bars(n, seed=5, keep=keep)


def test_inputs_are_pandas_by_the_clock() -> None:
    """Root mean square and efficiency of the 1-minute returns in the last 240 minutes."""
    bars = gappy()
    logs = pd.Series(np.log(bars[:, MID]), index=pd.to_datetime(bars[:, TS], unit="s"))
    r = logs.diff().where(logs.index.to_series().diff() == pd.Timedelta("60s"))

    def last(values: pd.Series[float]) -> Rolling[pd.Series[float]]:
        return values.rolling("240min", min_periods=180)

    found = regime_inputs(bars)
    assert np.isfinite(found.realised_vol).any()
    assert np.isnan(found.realised_vol[200:]).any()
    rms = 1e4 * np.sqrt(last(r**2).mean())
    ratio = last(r).sum().abs() / last(r.abs()).sum()
    np.testing.assert_allclose(found.realised_vol, rms, rtol=1e-9)
    np.testing.assert_allclose(found.efficiency, ratio, rtol=1e-8, atol=1e-12)


def test_a_straight_path_is_efficient_and_a_flat_one_is_not() -> None:
    """All steps one way: 1. Up and down by turns: 0. No step at all: 0, volatility 0."""
    bars = walk_bars(300)
    for mids, expected in (
        (np.exp(1e-4 * np.arange(300)), 1.0),
        (np.where(np.arange(300) % 2, 1.0, 1.0001), 0.0),
        (np.ones(300), 0.0),
    ):
        bars[:, MID] = mids
        assert regime_inputs(bars).efficiency[-1] == pytest.approx(expected, abs=1e-9)
    assert regime_inputs(bars).realised_vol[-1] == 0.0


def test_cuts_are_the_quantiles() -> None:
    """80 % of volatility, then 70 % of efficiency among the calm: 20 % volatile, 24 % trending."""
    rng = np.random.default_rng(1)
    inputs = RegimeInputs(rng.gamma(2.0, 1.0, 10_001), rng.random(10_001))
    cuts = fit_regimes(inputs, np.arange(10_001))
    calm = inputs.realised_vol <= cuts.volatile
    assert cuts.volatile == np.quantile(inputs.realised_vol, 0.8)
    assert cuts.trending == np.quantile(inputs.efficiency[calm], 0.7)
    shares = np.bincount(regime_of(inputs, cuts), minlength=3) / 10_001
    np.testing.assert_allclose(shares, [0.56, 0.24, 0.20], atol=0.001)


def test_volatile_wins_over_trending() -> None:
    """A bar above both cuts is volatile; on a cut it is not above it; unknown is -1."""
    inputs = RegimeInputs(
        np.array([9.0, 5.0, 5.0, np.nan, 1.0]), np.array([0.9, 0.9, 0.5, np.nan, np.nan])
    )
    found = regime_of(inputs, RegimeCuts(5.0, 0.5))
    assert found.tolist() == [VOLATILE, TRENDING, RANGING, -1, -1]


def test_cuts_know_the_training_rows_only() -> None:
    """Whatever stands in other rows leaves the cuts bit for bit; mask and positions are equal."""
    inputs = regime_inputs(gappy())
    rows = np.arange(len(inputs.efficiency)) < 900
    spoiled = RegimeInputs(inputs.realised_vol.copy(), inputs.efficiency.copy())
    spoiled.realised_vol[~rows] *= 50.0
    spoiled.efficiency[~rows] = 0.999
    cuts = fit_regimes(inputs, rows)
    assert cuts == fit_regimes(spoiled, rows) == fit_regimes(inputs, np.flatnonzero(rows))
    assert cuts != fit_regimes(spoiled, np.ones_like(rows))


def test_unknown_rows_alone_are_an_error() -> None:
    """The first hours have no regime, so nothing can be fitted on them."""
    with pytest.raises(EmptyWindowError, match="all unknown"):
        fit_regimes(regime_inputs(walk_bars(100)), np.arange(100))


def test_no_input_reads_the_future() -> None:
    """Cutting off what comes after a bar leaves its inputs bit for bit."""
    bars = gappy()
    whole = regime_inputs(bars)
    for at in (250, 700, 1_100, 1_500):
        cut = regime_inputs(bars[: at + 1])
        assert same_bits(whole.realised_vol[: at + 1], cut.realised_vol)
        assert same_bits(whole.efficiency[: at + 1], cut.efficiency)


@pytest.mark.slow
@pytest.mark.realdata
def test_recorded_markets_know_all_regimes(real_data: Path) -> None:
    """Cuts from the first half of BTC spot name each regime in the second half."""
    frame = pd.read_csv(real_data / "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz")
    bars = walk_bars(len(frame))
    bars[:, MID] = frame["close"]
    inputs = regime_inputs(bars)
    half = len(bars) // 2
    found = regime_of(inputs, fit_regimes(inputs, np.arange(half)))[half:]
    assert (found >= 0).all()
    shares = np.bincount(found, minlength=3) / len(found)
    assert (shares > 0.05).all()
