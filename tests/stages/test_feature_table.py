"""The feature table: what it holds, what the file says, and that a probe looks at everything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from mlwb.core.errors import ParamsError
from mlwb.core.home import find_project
from mlwb.features import specs
from mlwb.params import load_params
from mlwb.stages import feature_table
from mlwb.stages.feature_table import FeatureTable

NAMES = ["bias", "mid_logret_1m", "realised_vol_60m"]


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    """Three days of the synthetic market."""
    overrides: dict[str, Any] = {
        "data.days": 4,
        "features.names": NAMES,
        "label.kind": "triple_barrier",
        "label.horizon_s": 900,
        "label.median_window_s": 3_600,
    }
    params = load_params("feature_study", find_project() / "params", overrides=overrides)
    return feature_table.build(params)


def test_the_file_says_what_it_holds(table: FeatureTable, tmp_path: Path) -> None:
    """Features and label as computed, and in the metadata the digest that a version has too."""
    path = tmp_path / "table.parquet"
    feature_table.write(table, path)
    read = pq.read_table(path)
    facts = json.loads(read.schema.metadata[b"mlwb"])
    assert facts["feature_spec_digest"] == table.digest
    assert facts["label"]["kind"] == "triple_barrier"
    assert list(facts["units"]) == NAMES
    frame = read.to_pandas()
    np.testing.assert_array_equal(frame[NAMES], table.prepared.X)
    np.testing.assert_array_equal(frame["label"], table.labels.y)
    assert frame["label_weight"].sum() == pytest.approx(table.labels.n_eff)
    assert (frame["label_t1"] > frame["label_t0"]).all()
    assert str(frame["ts"].dt.tz) == "UTC"


def test_another_ending_is_refused(table: FeatureTable, tmp_path: Path) -> None:
    """Parquet only, and nothing is written."""
    with pytest.raises(ParamsError, match=r"FILE\.parquet"):
        feature_table.write(table, tmp_path / "table.csv")
    assert not list(tmp_path.iterdir())


def test_everything_is_probed(table: FeatureTable) -> None:
    """Every feature, each part of the label, the scaler and the regimes; all clean."""
    found = feature_table.probe(table, n_points=4, n_bars=2_500, seed=1)
    told = [item.what for item in found.found]
    assert told[: len(NAMES)] == NAMES
    assert {"label", "label t1", "label weight", "scaler", "regime"} <= set(told)
    assert found.is_clean
    assert found.bars == 2_500


def test_a_short_look_back_is_not_clean(table: FeatureTable) -> None:
    """A feature that needs more history than its row says fails the probe as a whole."""
    (short,) = specs(["realised_vol_60m"])
    kept = table.prepared.specs[:2]
    prepared = replace(table.prepared, specs=(*kept, replace(short, lookback_s=300)))
    found = feature_table.probe(replace(table, prepared=prepared), n_points=2, n_bars=500, seed=1)
    assert all(item.is_clean for item in found.found)
    assert not found.is_clean


def test_a_sparse_market_is_probed_as_far_as_it_goes(table: FeatureTable) -> None:
    """Without a bar that has all features there is no scaler to probe; the rest is probed."""
    unknown = np.full_like(table.prepared.X, np.nan)
    sparse = replace(table, prepared=replace(table.prepared, X=unknown))
    found = feature_table.probe(sparse, n_points=2, n_bars=200, seed=1)
    told = {item.what: item.n_known for item in found.found}
    assert "scaler" not in told
    assert "regime" not in told
    assert told["mid_logret_1m"] > 0
    assert found.is_clean
