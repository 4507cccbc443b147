"""A written market reads back as the market it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlwb.core.errors import ParamsError
from mlwb.data import DefectPlan, Market, quality, read_market, simulate_market, write_market

KINDS = ["bars.parquet", "bars.csv", "bars.csv.gz"]
VALUES = ["mid", "open", "high", "low", "close", "volume", "bid", "ask", "bid_size", "ask_size"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("quotes", [True, False])
def test_every_value_comes_back_bit_for_bit(tmp_path: Path, name: str, *, quotes: bool) -> None:
    """With and without quotes, in every kind of file."""
    market = simulate_market(days=1, seed=4, quotes=quotes)
    assert write_market(market, tmp_path / name) == (tmp_path / name,)
    again = read_market([tmp_path / name])
    assert again.frame["ts"].tolist() == market.frame["ts"].tolist()
    np.testing.assert_array_equal(again.frame[VALUES], market.frame[VALUES])
    assert again.has_quotes is quotes
    assert again.source.profile == "mlwb"


@pytest.mark.parametrize("name", KINDS)
def test_rows_as_read_keep_their_faults(tmp_path: Path, name: str) -> None:
    """Order, repeats and impossible values survive, and the report finds the same."""
    plan = DefectPlan(duplicates=3, conflicting=2, swapped=4, crossed=5, non_positive=1)
    market = simulate_market(days=2, seed=4, defects=plan)
    write_market(market, tmp_path / name, as_read=True)
    again = read_market([tmp_path / name])
    np.testing.assert_array_equal(again.raw.ts_ns, market.raw.ts_ns)
    np.testing.assert_array_equal(again.raw.cells, market.raw.cells)
    assert quality(again).findings == quality(market).findings


def test_same_market_same_bytes(tmp_path: Path, market: Market) -> None:
    """So that a digest names a market."""
    for name in KINDS:
        first, second = (tmp_path / f"{side}{name}" for side in "ab")
        for path in (first, second):
            write_market(market, path)
        assert first.read_bytes() == second.read_bytes()


def test_a_week_that_closes_needs_its_profile(tmp_path: Path) -> None:
    """The calendar travels in a profile beside the file, and reading with it finds no gap."""
    stamps = pd.date_range("2025-03-07 19:00", "2025-03-09 23:00", freq="min", tz="UTC")
    closes, opens = (
        pd.Timestamp(text, tz="UTC") for text in ("2025-03-07 22:00", "2025-03-09 21:00")
    )
    is_open = (stamps < closes) | (stamps >= opens)
    rows = pd.DataFrame({"ts": stamps[is_open], "o": 1.1, "h": 1.2, "l": 1.0, "c": 1.1})
    rows.to_csv(tmp_path / "in.csv", index=False)
    (tmp_path / "fx.yml").write_text(
        "columns: {ts: ts, open: o, high: h, low: l, close: c}\ncalendar: fx\n"
    )
    market = read_market([tmp_path / "in.csv"], profile=str(tmp_path / "fx.yml"))
    written = write_market(market, tmp_path / "EURUSD.parquet")
    assert [path.name for path in written] == ["EURUSD.parquet", "EURUSD.profile.yml"]
    again = read_market([written[0]], profile=str(written[1]))
    assert again.source.calendar == "fx"
    assert quality(again).coverage == quality(market).coverage
    assert quality(again).n_long_gaps == 0


@pytest.mark.parametrize("name", ["bars.feather", "bars", "bars.parquet.tmp"])
def test_other_endings_are_refused(tmp_path: Path, market: Market, name: str) -> None:
    """Nothing is written under a name that says something else."""
    with pytest.raises(ParamsError, match="no kind of file"):
        write_market(market, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
