"""The study measures the training window only, and writes what it measured."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mlwb.core.bars import ASK, BID, CLOSE, HIGH, LOW, MID
from mlwb.core.clock import ManualClock
from mlwb.evidence import lint, metrics_digest
from mlwb.features.regimes import REGIMES
from mlwb.stages import data_check, feature_study
from mlwb.stages.feature_study import Result
from tests.stages.conftest import small


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The study of the small market."""
    params = small("feature_study", tmp_path_factory.mktemp("study"))
    return feature_study.measure(feature_study.load(params))


def test_heldout_bars_change_nothing(measured: Result) -> None:
    """Prices and features after the cut may be anything: all but the data check stays the same."""
    prepared = measured.inputs.prepared
    after_cut = prepared.ts >= prepared.windows.train_end
    values, bars = prepared.X.copy(), prepared.bars.copy()
    values[after_cut] = 1e6
    for column in (MID, CLOSE, HIGH, LOW, BID, ASK):
        bars[after_cut, column] *= 7.0
    labels = replace(measured.inputs.labels, y=np.where(after_cut, 1.0, measured.inputs.labels.y))
    changed = replace(prepared, X=values, bars=bars)
    after = feature_study.measure(replace(measured.inputs, prepared=changed, labels=labels))
    for part in fields(Result):
        if part.name not in ("inputs", "quality"):
            same = repr(getattr(measured, part.name)) == repr(getattr(after, part.name))
            assert same, part.name


def test_bounds_and_cuts_are_fitted_before_what_they_are_held_against(measured: Result) -> None:
    """Changed features after champion_end change clip counts, never the bounds."""
    prepared = measured.inputs.prepared
    later = prepared.ts >= prepared.windows.champion_end
    values = prepared.X.copy()
    values[later] *= 3.0
    inputs = replace(measured.inputs, prepared=replace(prepared, X=values))
    after = feature_study.measure(inputs)
    for one, two in zip(measured.clipping, after.clipping, strict=True):
        assert (one.low, one.high) == (two.low, two.high)
    before = {item.name: item.rate for item in measured.clipping}
    assert next(i for i in after.clipping if i.name == "rsi14_z").rate > 3 * before["rsi14_z"]


def test_planted_knowledge_is_found(measured: Result) -> None:
    """The synthetic market's volatility is learnable: its features are proven.

    One return and the spread know nothing. RSI may: falls stir the next hour more than rises do.
    """
    proven = {item.name for item in measured.information if item.p_holm < 0.05}
    assert {"realised_vol_60m", "vol1m_log"} <= proven
    assert not proven & {"mid_logret_1m", "spread_bp"}
    n_looks = len(measured.inputs.params.horizons_s) * 10
    assert len(measured.information) == len(measured.costs) == n_looks


def test_regimes_and_labels_cover_the_later_rows(measured: Result) -> None:
    """Rows of all regimes are the rows between the two cuts, none before, none after."""
    prepared = measured.inputs.prepared
    ts, windows = prepared.ts, prepared.windows
    later = (ts >= windows.champion_end) & (ts < windows.train_end)
    assert sum(item.n_rows for item in measured.regimes) == later.sum()
    assert [item.name for item in measured.regimes] == list(REGIMES)


def test_evidence_names_every_number_and_every_gap(measured: Result, tmp_path: Path) -> None:
    """Segments are unique, intervals hold their value, what is null says why, and lint is content.

    A volatility label has no IC after costs: every one of them is null for that reason.
    """
    params = small("feature_study", tmp_path)
    study = feature_study.record(measured, params, ManualClock())[1]
    labels = [(metric.name, metric.segment) for metric in study.metrics]
    assert len(labels) == len(set(labels))
    for metric in study.metrics:
        assert (metric.value is None) == bool(metric.null_reason), metric
        assert metric.null_reason not in ("not finite", "not measured"), metric
        if metric.ci is not None and metric.value is not None:
            assert metric.ci.lo <= metric.value <= metric.ci.hi, metric
    found = {name for name, _ in labels}
    assert {
        "ic", "rank_ic", "rank_ic_p_holm", "icir", "ic_half_life_s", "ic_cost_hurdle", "clip_rate",
        "psi_window_days", "n_effective", "half_life_s", "autocorrelation", "adf_p_holm",
        "regime_base_rate", "regime_rank_ic",
    } <= found  # fmt: skip
    net = [metric for metric in study.metrics if metric.name == "ic_after_costs"]
    assert {metric.null_reason for metric in net} == {
        "a volatility forecast has no sign to be held by"
    }
    assert ("rank_ic", "vol_ratio@300s") in labels
    assert not lint(study)


@pytest.mark.slow
def test_direction_label_has_an_ic_after_costs(tmp_path: Path) -> None:
    """With a sign to hold, what is left of each IC is the size of it less the hurdle."""
    params = small("feature_study", tmp_path, **{"label.kind": "direction", "data.days": 16})
    result = feature_study.measure(feature_study.load(params))
    assert result.is_traded
    study = feature_study.record(result, params, ManualClock())[1]
    told = {(m.name, m.segment): m.value for m in study.metrics}
    for item in result.costs:
        segment = f"{item.name}@{item.horizon_s}s"
        net, hurdle = told["ic_after_costs", segment], told["ic_cost_hurdle", segment]
        assert (net, hurdle) == (abs(item.ic) - item.hurdle, item.hurdle)
    # What features are held against is the return itself: the IC of both sections is the same.
    by = {(item.name, item.horizon_s): item for item in result.information}
    first = result.costs[0]
    assert by[first.name, first.horizon_s].ic == pytest.approx(first.ic, abs=1e-12)


@pytest.mark.slow
def test_the_check_before_a_run_counts_what_the_study_counts(tmp_path: Path) -> None:
    """Data quality measured ahead of the kernels equals the record the notebook writes."""
    params = small("feature_study", tmp_path)
    (ahead,) = data_check.measure(data_check.load(params), params, ManualClock())
    result = feature_study.measure(feature_study.load(params))
    written = feature_study.record(result, params, ManualClock())[0]
    assert metrics_digest(ahead) == metrics_digest(written)


def test_a_feature_without_its_input_is_dropped_and_named(tmp_path: Path) -> None:
    """A source without volume has no volume feature, and the evidence says which is missing."""
    import pandas as pd

    rng = np.random.default_rng(1)
    n = 16 * 1440
    mid = 1.3 * np.exp(np.cumsum(rng.normal(0, 1e-4, n)))
    stamps = pd.date_range("2026-01-05", periods=n, freq="min", tz="UTC")
    for side, shift in (("bid", -1e-5), ("ask", 1e-5)):
        prices = dict.fromkeys(("open", "high", "low", "close"), mid + shift)
        frame = pd.DataFrame({"timestamp": stamps.strftime("%Y-%m-%d %H:%M:%S+00:00"), **prices})
        frame.to_csv(tmp_path / f"TEST_{side}.csv", index=False)
    params = small("feature_study", tmp_path, **{"data.source": [str(tmp_path / "TEST_bid.csv")]})
    prepared = feature_study.load(params).prepared
    assert prepared.dropped == ("vol1m_log",)
    assert np.isfinite(prepared.bars[:, MID]).all()
