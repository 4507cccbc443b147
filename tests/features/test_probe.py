"""The probe: what is honest passes, every planted leak is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import MID, TS
from mlwb.core.errors import EmptyWindowError
from mlwb.features import feature_names, specs
from mlwb.features.labels import LABEL_KINDS, Barriers, Labels, make_labels
from mlwb.features.probe import (
    Probe,
    probe_features,
    probe_fitted,
    probe_labels,
    probe_regimes,
    probe_values,
    start_sensitivity,
)
from mlwb.features.regimes import RegimeCuts, RegimeInputs, fit_regimes
from mlwb.model import WinsorScaler
from tests.strategies import walk_bars

LAGS, SEEDS = st.integers(1, 60), st.integers(0, 2**32 - 1)
HOUR = 3_600


def gappy(n: int = 900, seed: int = 1) -> Float2D:
    """Bars with single gaps, one of 45 minutes, holes in volume and quotes."""
    keep = np.random.default_rng(seed).random(n) > 0.02
    keep[n // 2 : n // 2 + 45] = False
    return walk_bars(n, seed=seed, keep=keep, holes=0.02)


def scaled(rows: Float2D, train: Int1D) -> Float2D:
    """The scaler of the models, fitted on the rows it is given."""
    return WinsorScaler().fit(rows[train]).transform(rows)


@pytest.mark.parametrize("quoted", [True, False])
def test_no_feature_reads_the_future(*, quoted: bool) -> None:
    """Every feature of the package, quoted or estimated, on a market with gaps and holes."""
    found = probe_features(specs(feature_names(), quoted=quoted), gappy(2_400))
    assert [probe.what for probe in found] == list(feature_names())
    assert all(probe.is_clean and probe.n_known >= 16 for probe in found)


@pytest.mark.parametrize("kind", LABEL_KINDS)
@pytest.mark.parametrize("horizon_s", [60, 900])
def test_no_label_reads_past_its_end(kind: str, horizon_s: int) -> None:
    """Value, target, validity and end up to t1, weight up to one horizon more."""
    make = partial(make_labels, kind=kind, horizon_s=horizon_s, median_window_s=HOUR)
    found = probe_labels(make, gappy())
    assert [probe.what for probe in found] == [
        "label",
        "label target",
        "label valid",
        "label t1",
        "label weight",
    ]
    assert all(probe.is_clean for probe in found)


def test_no_regime_reads_past_its_training_rows() -> None:
    """Inputs are known at their bar, cuts at the end of training."""
    assert all(probe.is_clean for probe in probe_regimes(gappy(), 500))


def test_the_scaler_knows_its_training_rows_only() -> None:
    """Bounds, mean and scale do not move with what comes after."""
    rows = np.random.default_rng(0).normal(size=(400, 3))
    assert probe_fitted("scaler", scaled, rows, 250).is_clean


def moved(values: Float1D, lag: int) -> Float1D:
    """The value of the bar ``lag`` rows later."""
    return np.append(values[lag:], np.full(min(lag, len(values)), np.nan))[: len(values)]


def centred(values: Float1D, lag: int) -> Float1D:
    """Mean over ``lag`` rows before and after."""
    window = pd.Series(values).rolling(2 * lag + 1, center=True, min_periods=1)
    return np.asarray(window.mean(), dtype=np.float64)


def filled(values: Float1D, lag: int) -> Float1D:
    """Missing values taken from the next bars."""
    return np.asarray(pd.Series(values).bfill(limit=lag), dtype=np.float64)


@pytest.mark.parametrize("leak", [moved, centred, filled])
@given(lag=LAGS, seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_feature_that_peeks_is_caught(
    leak: Callable[[Float1D, int], Float1D], lag: int, seed: int
) -> None:
    """A later bar, a centred window, a backward fill: caught every time, and the reach is told."""
    bars = gappy(400, seed % 1_000)
    bars[::10, MID] = np.nan
    (probe,) = probe_values(["leak"], lambda rows: leak(rows[:, MID], lag), bars, seed=seed)
    assert probe.violation is not None
    assert 1 <= probe.violation.reach <= lag


@pytest.mark.slow
@given(lag=LAGS, seed=SEEDS, kind=st.sampled_from(LABEL_KINDS))
@settings(max_examples=15, deadline=None)
def test_a_label_past_its_end_is_caught(lag: int, seed: int, kind: str) -> None:
    """A label of a longer horizon that claims a shorter one: caught every time."""
    bars = walk_bars(500, seed=seed % 1_000)
    # wide barriers: the horizon is what ends the label
    wide = Barriers(500.0, 500.0, "bp")

    def make(rows: Float2D) -> Labels:
        long = make_labels(
            rows, kind=kind, horizon_s=300 + 60 * lag, median_window_s=HOUR, barriers=wide
        )
        return replace(long, t1=long.t0 + 300, horizon_s=300)

    found = {probe.what: probe for probe in probe_labels(make, bars, seed=seed)}
    violation = found["label target"].violation
    assert violation is not None
    assert violation.reach == lag
    assert found["label t1"].is_clean


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_scaler_of_the_whole_sample_is_caught(seed: int) -> None:
    """Fitted on rows outside training: caught every time."""
    rows = np.random.default_rng(seed).normal(size=(300, 2))
    probe = probe_fitted("leak", lambda x, _: scaled(x, np.arange(len(x))), rows, 200, seed=seed)
    assert probe.violation is not None
    assert probe.violation.reach >= 1


@pytest.mark.slow
@given(seed=SEEDS, extra=LAGS)
@settings(max_examples=5, deadline=None)
def test_regime_cuts_of_later_rows_are_caught(seed: int, extra: int) -> None:
    """Cuts fitted on the whole sample, or on a few rows too many: caught every time."""

    def whole(inputs: RegimeInputs, train: Int1D) -> RegimeCuts:
        del train
        return fit_regimes(inputs, np.arange(len(inputs.efficiency)))

    def more(inputs: RegimeInputs, train: Int1D) -> RegimeCuts:
        last = min(len(train) + extra, len(inputs.efficiency))
        return fit_regimes(inputs, np.arange(last))

    bars = walk_bars(600, seed=seed % 1_000)
    for fit in (whole, more):
        found = probe_regimes(bars, 400, fit=fit, n_points=2, seed=seed)
        assert [probe.is_clean for probe in found[:2]] == [True, True]
        assert not found[2].is_clean


def test_the_first_violation_is_told_in_full() -> None:
    """Row, kind of change, both values, and how many further bars it reads."""
    bars = walk_bars(100)
    (probe,) = probe_values(["leak"], lambda rows: moved(rows[:, MID], 3), bars, n_points=90)
    violation = probe.violation
    assert violation is not None
    assert (violation.change, violation.reach) == ("cut", 3)
    assert violation.value == bars[violation.row + 3, MID]
    assert np.isnan(violation.other)
    clean = Probe("x", 1, 1, None)
    assert clean.is_clean


def test_backward_fills_are_looked_for_at_gaps() -> None:
    """A leak at one missing value of hundreds is found, for that is where points are put."""
    bars = walk_bars(800)
    bars[400, MID] = np.nan
    (probe,) = probe_values(["leak"], lambda rows: filled(rows[:, MID], 1), bars, n_points=4)
    assert probe.violation is not None
    assert probe.violation.row == 400


def test_a_market_of_one_bar_cannot_be_probed() -> None:
    """Nothing has a future: an error, not a clean bill."""
    with pytest.raises(EmptyWindowError, match="no bar has a future"):
        probe_features(specs(["bias"]), walk_bars(1))


def test_history_that_is_needed_is_measured() -> None:
    """Wilder's averages need far more than 14 bars; a window needs exactly its length."""
    chosen = specs(["mid_logret_5m", "rsi14_z", "realised_vol_60m"])
    found = {s.name: s for s in start_sensitivity(chosen, walk_bars(6_000))}
    rsi = found["rsi14_z"]
    by_warm_up = dict(zip(rsi.warm_up_s, rsi.worst, strict=True))
    assert by_warm_up[900] > 1e-3
    assert 0.0 < by_warm_up[7_200] < 1e-3
    assert 0.0 < by_warm_up[21_600] < 1e-9
    assert by_warm_up[60_000] == 0.0
    assert rsi.needed_s in {43_200, 60_000}
    assert found["mid_logret_5m"].needed_s == 300
    assert found["realised_vol_60m"].needed_s == HOUR
    assert all(sensitivity.is_enough for sensitivity in found.values())


def test_a_look_back_that_is_too_short_shows() -> None:
    """Declared shorter than needed: not enough; never the same bits: nothing is needed enough."""
    (spec,) = specs(["rsi14_z"])
    (found,) = start_sensitivity([replace(spec, lookback_s=900)], walk_bars(3_000))
    assert not found.is_enough
    (short,) = start_sensitivity([spec], walk_bars(3_000), warm_ups_s=[300, 900])
    assert short.needed_s is None


def test_a_value_that_is_never_known_shows_nothing() -> None:
    """It cannot change with its future, and the report says that nothing was compared."""
    (probe,) = probe_features(specs(["zscore_mid_24h"]), walk_bars(300))
    assert (probe.is_clean, probe.n_known) == (True, 0)
    assert probe.n_points > 0


def test_times_of_the_market_are_kept() -> None:
    """Spoiling never changes when a bar was, so that steps which check time still run."""
    bars, seen = walk_bars(60), []

    def spy(rows: Float2D) -> Float1D:
        seen.append(rows[:, TS].copy())
        return rows[:, MID]

    probe_values(["mid"], spy, bars, n_points=3)
    assert all(np.array_equal(times, bars[: len(times), TS]) for times in seen[:-1])
    assert (seen[-1] - bars[:, TS] == 37 * 60).all(), "but for the other market"


@pytest.mark.parametrize("kind", ["closure", "cache"])
def test_values_that_do_not_come_from_the_bars_are_caught(kind: str) -> None:
    """A whole array in a closure, the answer of the first call: no change of bars moves them."""
    bars = gappy()
    kept = [np.append(bars[1:, MID], np.nan)] if kind == "closure" else []

    def leaking(rows: Float2D) -> Float1D:
        if not kept:
            kept.append(np.append(rows[1:, MID], np.nan))
        return kept[0][: len(rows)]

    (found,) = probe_values(["leak"], leaking, bars)
    assert found.violation is not None
    assert found.violation.change == "elsewhere"


def test_a_leak_in_few_rows_is_caught() -> None:
    """Once an hour an hour ahead: no probed bar need be the one that leaks."""
    bars = gappy()

    def leaking(rows: Float2D) -> Float1D:
        ahead = np.append(rows[60:, MID], np.full(min(60, len(rows)), np.nan))[: len(rows)]
        return np.where(rows[:, TS] % HOUR == 0, ahead, rows[:, MID])

    (found,) = probe_values(["leak"], leaking, bars, n_points=16)
    assert found.violation is not None
    assert bars[found.violation.row, TS] % HOUR == 0
