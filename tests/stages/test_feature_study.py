"""The study measures the training window only, and writes what it measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlwb.core.bars import MID
from mlwb.core.clock import ManualClock
from mlwb.evidence import metrics_digest
from mlwb.stages import data_check, feature_study
from tests.stages.conftest import small


def test_heldout_bars_change_nothing(tmp_path: Path) -> None:
    """Prices after the cut may be anything: distribution, tests and information stay the same."""
    from dataclasses import replace

    params = small("feature_study", tmp_path)
    inputs = feature_study.load(params)
    before = feature_study.measure(inputs)
    after_cut = inputs.prepared.ts >= inputs.prepared.windows.train_end
    values = inputs.prepared.X.copy()
    values[after_cut] = 1e6
    changed = replace(inputs, prepared=replace(inputs.prepared, X=values))
    after = feature_study.measure(changed)
    assert before.distributions == after.distributions
    assert before.n_effective == after.n_effective
    assert [i.rank_ic for i in before.information] == [i.rank_ic for i in after.information]


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
