"""Batch equals online bit for bit, reads no future and forgets where it began."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from mlwb.core.arrays import Float2D
from mlwb.core.bars import BAR_FIELDS, CLOSE, MID, TS
from mlwb.core.errors import DataSchemaError
from mlwb.features import FeatureSpec, FeatureStream, feature_names, specs
from mlwb.features.batch import compute
from tests.strategies import START, bars, same_bits, walk_bars

QUOTED, ESTIMATED = specs(feature_names()), specs(feature_names(), quoted=False)
EVERY = (*QUOTED, *(spec for spec in ESTIMATED if spec.name == "spread_bp"))
Compute = Callable[[Sequence[FeatureSpec], Float2D], Float2D]


def online(chosen: Sequence[FeatureSpec], rows: Float2D) -> Float2D:
    """The stream's values for all bars."""
    stream = FeatureStream(chosen)
    return np.array([stream.step(row) for row in rows.tolist()])


def gappy(n: int = 2_400, seed: int = 1) -> Float2D:
    """Bars with single gaps, a 5, a 6 and a 45 minute gap, holes in volume and quotes."""
    keep = np.random.default_rng(seed).random(n) > 0.01
    for at, length in ((1_600, 4), (1_700, 5), (1_800, 45)):
        keep[at : at + length] = False
    return walk_bars(n, seed=seed, keep=keep, holes=0.03)


def recorded(path: Path, rows: int | None = None) -> Float2D:
    """Bars of a recorded file, read with pandas alone; high, low and volume as they stand."""
    frame = pd.read_csv(path, nrows=rows)
    out = np.full((len(frame), len(BAR_FIELDS)), np.nan)
    out[:, TS] = (pd.to_datetime(frame["date"]) - pd.Timestamp("1970", tz="UTC")) // pd.Timedelta(
        "1s"
    )
    for name in ("open", "high", "low", "close", "volume"):
        out[:, BAR_FIELDS.index(name)] = frame[name]
    out[:, MID] = out[:, CLOSE]
    return out


def future_matters(function: Compute, spec: FeatureSpec, rows: Float2D, at: int) -> bool:
    """True where the value at a bar changes when the bars after it are cut off or spoiled."""
    whole = function([spec], rows)[: at + 1]
    spoiled = rows.copy()
    spoiled[at + 1 :, 1:] *= 3.7
    spoiled[at + 2 :: 3, 1:] = np.nan
    cut, other = function([spec], rows[: at + 1]), function([spec], spoiled)[: at + 1]
    return not (same_bits(whole, cut) and same_bits(whole, other))


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.name}-{int(spec.start[0])}")
def test_every_feature_is_the_same_in_batch_and_online(spec: FeatureSpec) -> None:
    """One definition: compiled over an array or interpreted bar by bar, the same bits."""
    rows = gappy()
    found = compute([spec], rows)
    assert np.isfinite(found).any()
    assert same_bits(found, online([spec], rows))


@pytest.mark.parametrize(
    "names", [("mid_logret_5m", "spread_bp", "rsi14_z", "zscore_mid_24h"), ("bias",)], ids=len
)
def test_one_loop_for_all_features_is_the_loops_of_each(
    monkeypatch: pytest.MonkeyPatch, names: Sequence[str]
) -> None:
    """From 50,000 bars on all features share a loop, below each has its own: the same bits."""
    chosen, rows = specs(names), gappy()
    apart = compute(chosen, rows)
    monkeypatch.setattr("mlwb.features.batch._MANY", 0)
    together = compute(chosen, rows)
    assert same_bits(together, apart)
    assert same_bits(together, online(chosen, rows))
    with pytest.raises(DataSchemaError, match="increase"):
        compute(chosen, rows[::-1])


@given(bars())
@settings(max_examples=12, deadline=None)
def test_batch_is_online_on_any_bars(rows: Float2D) -> None:
    """Gaps of any length, missing fields, flat stretches, any start minute: the same bits."""
    assert same_bits(compute(EVERY, rows), online(EVERY, rows))


@pytest.mark.realdata
def test_batch_is_online_on_recorded_bars(real_data: Path) -> None:
    """Three weeks of recorded BTC spot with minutes cut out at random: the same bits."""
    rows = recorded(real_data / "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz", 30_000)
    keep = np.random.default_rng(2).random(len(rows)) > 0.005
    keep[9_000:9_004] = keep[20_000:20_600] = False
    found = compute(ESTIMATED, rows[keep])
    assert np.isfinite(found).mean() > 0.9
    assert same_bits(found, online(ESTIMATED, rows[keep]))


@pytest.mark.slow
@pytest.mark.realdata
def test_batch_is_online_on_the_whole_recording(real_data: Path) -> None:
    """Ninety days of recorded BTC spot, every feature, the same bits."""
    rows = recorded(real_data / "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz")
    assert same_bits(compute(ESTIMATED, rows), online(ESTIMATED, rows))


def test_state_survives_json_at_any_bar() -> None:
    """Put away as JSON text at random bars and taken up again, the stream goes on bit for bit."""
    rows = gappy()
    stops = np.random.default_rng(3).integers(1, len(rows), size=12)
    stream, found = FeatureStream(EVERY), []
    for at, row in enumerate(rows.tolist()):
        if at in stops:
            text = json.dumps(stream.dump(), allow_nan=False)
            stream = FeatureStream.load(EVERY, json.loads(text))
        found.append(stream.step(row))
    assert same_bits(np.array(found), compute(EVERY, rows))


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.name}-{int(spec.start[0])}")
def test_start_is_forgotten_after_the_lookback(spec: FeatureSpec) -> None:
    """Streams that began at different bars agree bit for bit once the look-back has passed."""
    rows = gappy(3_600, seed=8)
    whole = compute([spec], rows)
    for start in (1, 7, 61, 719, 1_441, 1_650):
        later = compute([spec], rows[start:])
        warm = rows[start:, TS] >= rows[start, TS] + spec.lookback_s
        assert warm.any()
        assert same_bits(whole[start:][warm], later[warm])


def test_start_is_remembered_before_the_lookback() -> None:
    """Wilder's averages do need their look-back: after 50 bars the start still shows."""
    rows = walk_bars(400)
    spec = specs(["rsi14_z"])
    assert not same_bits(compute(spec, rows)[60:110], compute(spec, rows[10:])[50:100])


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.name}-{int(spec.start[0])}")
def test_no_feature_reads_the_future(spec: FeatureSpec) -> None:
    """Cutting off or spoiling everything after a bar leaves the value at that bar as it was."""
    rows = gappy()
    for at in (0, 1, 400, 1_500, 1_597, 2_000, len(rows) - 2):
        assert not future_matters(compute, spec, rows, at)


def test_probe_sees_a_feature_that_reads_the_future() -> None:
    """The probe itself works: a centred mean, and scaling by the whole sample, are caught."""

    def centred(chosen: Sequence[FeatureSpec], rows: Float2D) -> Float2D:
        del chosen
        mids = pd.DataFrame(rows[:, [MID]]).ffill()
        return mids.rolling(5, center=True, min_periods=1).mean().to_numpy()

    def whole_sample(chosen: Sequence[FeatureSpec], rows: Float2D) -> Float2D:
        found = compute(chosen, rows)
        return np.asarray(found / np.nanstd(found, axis=0))

    rows, spec = gappy(), QUOTED[1]
    assert future_matters(centred, spec, rows, 1_000)
    assert future_matters(whole_sample, spec, rows, 1_000)


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.name}-{int(spec.start[0])}")
def test_features_read_their_declared_inputs_only(spec: FeatureSpec) -> None:
    """Fields the spec does not name can be missing altogether; fields it names do matter."""
    rows = gappy()
    whole = compute([spec], rows)
    other = [i for i, name in enumerate(BAR_FIELDS) if name not in spec.inputs and name != "ts"]
    without = rows.copy()
    without[:, other] = np.nan
    assert same_bits(whole, compute([spec], without))
    named = [i for i, name in enumerate(BAR_FIELDS) if name in spec.inputs and name != "ts"]
    without[:, named] = np.nan
    assert not named or np.isnan(compute([spec], without)).all()


@pytest.mark.parametrize(
    "shape", [(5,), (5, 3), (0, 3), (5, len(BAR_FIELDS) + 1)], ids=["1d", "few", "none", "many"]
)
def test_arrays_that_are_no_bars_are_refused(shape: tuple[int, ...]) -> None:
    """A wrong number of columns is an error of the data, said as such."""
    with pytest.raises(DataSchemaError, match="not an array of bars"):
        compute(QUOTED, np.zeros(shape))


@pytest.mark.parametrize(
    "ts",
    [(0, 0), (60, 0), (0, 61), (0.5, 60), (0, np.nan), (0, np.inf)],
    ids=["twice", "back", "off grid", "half second", "nan", "inf"],
)
def test_times_must_rise_on_the_minute(ts: tuple[float, float]) -> None:
    """The same times the stream refuses are refused in batch."""
    rows = walk_bars(2)
    rows[:, TS] = START + np.array(ts)
    with np.errstate(invalid="ignore"), pytest.raises(DataSchemaError, match="minute grid"):
        compute(QUOTED, rows)


def test_no_bars_give_no_rows() -> None:
    """An empty market has features of shape (0, n), and any memory layout is taken as it is."""
    rows = walk_bars(100)
    assert compute(QUOTED, rows[:0]).shape == (0, len(QUOTED))
    assert same_bits(compute(QUOTED, np.asfortranarray(rows)), compute(QUOTED, rows))


def test_computing_leaves_the_bars_alone() -> None:
    """Neither the bars nor a spec's start state are changed."""
    rows = gappy()
    before, starts = rows.copy(), [spec.start for spec in QUOTED]
    first = compute(QUOTED, rows)
    assert same_bits(before, rows)
    assert starts == [spec.start for spec in QUOTED]
    assert same_bits(first, compute(QUOTED, rows))
