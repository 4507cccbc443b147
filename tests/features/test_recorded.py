"""On recorded markets with real gaps: batch is online, whatever is cut, saved or started late."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.arrays import Float2D
from mlwb.core.bars import ASK, ASK_SIZE, BAR_FIELDS, BID, BID_SIZE, MID, TS
from mlwb.data import load_market, to_bars
from mlwb.features import FeatureSpec, FeatureStream, feature_names, specs
from mlwb.features.batch import compute
from mlwb.features.labels import LABEL_KINDS, make_labels
from mlwb.features.probe import probe_features, probe_labels
from tests.strategies import same_bits

pytestmark = pytest.mark.realdata

MARKETS = {
    "outage": ("messy/BTCUSDT_1m_binance_outage_20230316_20230501.json.gz", 9_000),
    "sparse": ("messy/BTCUSDC_kraken_1m_sparse_20230101_20230331.csv.gz", 20_000),
    "weekend": ("fx_bidask_1m/EURUSD_oanda_quote_1m_20140501_20140515.csv.gz", 200),
    "sessions": ("mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz", 1_000),
    "book": ("lob/BTCUSD_coinbase_lob15_1m_20210417_crash.csv.gz", 0),
}
"""File, and the first row taken: an outage, more gaps than bars, closed markets, a book."""
ROWS = 5_000
anywhere = st.floats(0.0, 1.0, exclude_max=True)


def book(path: Path) -> Float2D:
    """Snapshots of an order book, one a minute, as bars: the touch and what stands there."""
    rows = pd.read_csv(path)
    out = np.full((len(rows), len(BAR_FIELDS)), np.nan)
    since = pd.to_datetime(rows["system_time"], utc=True) - pd.Timestamp("1970", tz="UTC")
    out[:, TS] = since // pd.Timedelta("1min") * 60.0
    out[:, MID] = rows["midpoint"]
    out[:, BID] = rows["midpoint"] - rows["spread"] / 2.0
    out[:, ASK] = rows["midpoint"] + rows["spread"] / 2.0
    out[:, BID_SIZE] = rows["bids_notional_0"]
    out[:, ASK_SIZE] = rows["asks_notional_0"]
    return out


@cache
def market(folder: Path, name: str) -> tuple[Float2D, tuple[FeatureSpec, ...], Float2D]:
    """Bars of a recording, the features it has inputs for, and their values in batch."""
    file, first = MARKETS[name]
    rows = book(folder / file) if name == "book" else to_bars(load_market([str(folder / file)]))
    bars = np.ascontiguousarray(rows[first : first + ROWS])
    empty = {BAR_FIELDS[i] for i in np.flatnonzero(np.isnan(bars).all(axis=0))}
    wanted = specs(feature_names(), quoted="bid" not in empty)
    chosen = tuple(spec for spec in wanted if not empty & set(spec.inputs))
    return bars, chosen, compute(chosen, bars)


@pytest.mark.parametrize("name", MARKETS)
def test_recordings_have_what_they_are_here_for(real_data: Path, name: str) -> None:
    """Gaps in all, sizes in the book, and every feature known somewhere."""
    bars, chosen, values = market(real_data, name)
    names = [spec.name for spec in chosen]
    assert (np.diff(bars[:, TS]) > 60).any()
    assert ("book_imbalance" in names) == (name == "book")
    needs_a_day = len(bars) < 1_440 or name == "sparse"
    known = np.isfinite(values).any(axis=0) | np.array([needs_a_day] * len(names))
    assert known.all()


@pytest.mark.parametrize("name", MARKETS)
def test_batch_is_online(real_data: Path, name: str) -> None:
    """Every feature, every bar: the same bits."""
    bars, chosen, values = market(real_data, name)
    stream = FeatureStream(chosen)
    assert same_bits(values, np.array([stream.step(bar) for bar in bars.tolist()]))


@pytest.mark.parametrize("name", MARKETS)
@given(where=anywhere)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_is_put_away_at_any_bar(real_data: Path, name: str, where: float) -> None:
    """Saved as JSON text after any bar and taken up again: the next hours are the same bits."""
    bars, chosen, values = market(real_data, name)
    at = int(where * len(bars))
    stream = FeatureStream(chosen)
    for bar in bars[: at + 1].tolist():
        stream.step(bar)
    taken_up = FeatureStream.load(chosen, json.loads(json.dumps(stream.dump(), allow_nan=False)))
    after = slice(at + 1, at + 301)
    online = [taken_up.step(bar) for bar in bars[after].tolist()]
    assert same_bits(values[after], np.array(online).reshape(-1, len(chosen)))


@pytest.mark.parametrize("name", MARKETS)
@given(where=anywhere)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_start_is_forgotten_after_the_look_back(
    real_data: Path, name: str, where: float
) -> None:
    """Begun at any bar, a feature is the same bits once its look-back has passed."""
    bars, chosen, values = market(real_data, name)
    start = int(where * len(bars))
    later = compute(chosen, bars[start:])
    for column, spec in enumerate(chosen):
        warm = bars[start:, TS] >= bars[start, TS] + spec.lookback_s
        assert same_bits(values[start:, column][warm], later[warm, column]), spec.name


@pytest.mark.parametrize("name", MARKETS)
def test_nothing_reads_the_future(real_data: Path, name: str) -> None:
    """Features and labels, with the points at the recording's own gaps."""
    bars, chosen, _ = market(real_data, name)
    found = list(probe_features(chosen, bars, n_points=12))
    for kind in LABEL_KINDS:
        short = bars[-1_000:]
        found += probe_labels(
            lambda rows, kind=kind: make_labels(  # type: ignore[misc]
                rows, kind=kind, horizon_s=300, median_window_s=3_600
            ),
            short,
            n_points=8,
        )
    assert [probe for probe in found if not probe.is_clean] == []
