"""The canonical frame and the bar array."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.core.bars import ASK, BAR_FIELDS, BID, CLOSE, MID, TS, VOLUME
from mlwb.data import Market, Quality, simulate_market, to_bars
from mlwb.data._market import FRAME_COLUMNS


def test_frame_keeps_its_contract(market: Market) -> None:
    """Columns, dtypes and order are the canonical ones, one row a minute."""
    frame = market.frame
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert str(frame["ts"].dtype) == "datetime64[ns, UTC]"
    assert all(frame[name].dtype == np.float64 for name in FRAME_COLUMNS[1:-1])
    assert frame["quality"].dtype == np.int64
    assert frame["ts"].is_monotonic_increasing
    assert frame["ts"].is_unique


def test_bars_hold_the_frame(market: Market) -> None:
    """Every field stands in its column, in seconds and float64, ready for compiled code."""
    bars = to_bars(market)
    assert bars.shape == (2880, len(BAR_FIELDS))
    assert bars.dtype == np.float64
    assert bars.flags["C_CONTIGUOUS"]
    assert bars[0, TS] == market.frame["ts"].iloc[0].timestamp()
    assert set(np.diff(bars[:, TS])) == {60.0}
    for column, name in ((MID, "mid"), (CLOSE, "close"), (VOLUME, "volume"), (ASK, "ask")):
        np.testing.assert_array_equal(bars[:, column], market.frame[name].to_numpy())


def test_mid_is_between_the_quotes(market: Market) -> None:
    """With quotes mid is their mean, not the last trade."""
    frame = market.frame
    np.testing.assert_array_equal(frame["mid"], (frame["bid"] + frame["ask"]) / 2)


def test_without_quotes_mid_is_close() -> None:
    """Without quotes bid and ask are NaN and mid is the close."""
    plain = simulate_market(days=1, quotes=False)
    assert not plain.has_quotes
    assert np.isnan(to_bars(plain)[:, BID]).all()
    np.testing.assert_array_equal(plain.frame["mid"], plain.frame["close"])


@pytest.mark.parametrize("flag", [Quality.CROSSED, Quality.LOCKED, Quality.DUPLICATED])
def test_a_remark_does_not_make_a_bar_unusable(flag: Quality) -> None:
    """Crossed, locked and identically repeated minutes still count as complete."""
    assert not Quality.unusable() & flag
