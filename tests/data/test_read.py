"""Each vendor's way of writing the same bars gives the same bars."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlwb.core.errors import (
    DataNotFoundError,
    DataSchemaError,
    SourceUndecidableError,
)
from mlwb.data import Market, load_market, quality, read_market
from tests.data.vendors import PRICES, epoch, iso, kline, refusal

Writer = Callable[[str, str], Path]
VALUES = [*PRICES, "volume"]


def assert_same_bars(found: Market, rows: pd.DataFrame, columns: list[str] = VALUES) -> None:
    """Stamps and values are equal, bit for bit."""
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    for name in columns:
        np.testing.assert_array_equal(found.frame[name], rows[name])


def test_canonical_csv_round_trip(market: Market, write: Writer) -> None:
    """The frame written as csv is read back whole, quotes and sizes included."""
    text = iso(market.frame).to_csv(index=False)
    found = read_market([write("SYNTH_1m.csv", text)])
    assert found.source.profile == "mlwb"
    assert found.symbol == "SYNTH"
    assert found.has_quotes
    pd.testing.assert_frame_equal(found.frame, market.frame)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_canonical_columnar_round_trip(market: Market, tmp_path: Path, kind: str) -> None:
    """So do parquet and feather."""
    path = tmp_path / f"SYNTH.{kind}"
    getattr(market.frame, f"to_{kind}")(path)
    pd.testing.assert_frame_equal(read_market([path]).frame, market.frame)


def test_an_index_is_a_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Stores that keep the stamp in the index are read as well."""
    path = tmp_path / "SYNTH.parquet"
    rows.set_index("ts").to_parquet(path)
    assert_same_bars(read_market([path]), rows)


def test_exchange_csv(rows: pd.DataFrame, write: Writer) -> None:
    """A `date` column with zone is decided, and the reason is kept."""
    found = read_market([write("BTCUSDT_1m.csv", iso(rows, "date").to_csv(index=False))])
    assert found.source.profile == "binance_ohlcv"
    assert any("the only one that fits" in line for line in found.source.decisions)
    assert any("every stamp says its zone" in line for line in found.source.decisions)
    assert_same_bars(found, rows)


@pytest.mark.parametrize("factor", [10**3, 10**6])
def test_archive_klines_without_header(rows: pd.DataFrame, write: Writer, factor: int) -> None:
    """Milliseconds and microseconds give the same bars."""
    found = read_market([write("BTCUSDT-1m-2026-01.csv", kline(rows, factor))])
    assert found.source.profile == "binance_kline"
    assert found.symbol == "BTCUSDT"
    assert_same_bars(found, rows)


def test_archive_klines_with_header(rows: pd.DataFrame, write: Writer) -> None:
    """Futures files have a header, spot files do not."""
    names = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    found = read_market([write("BTCUSDT-1m.csv", names + kline(rows, 1000))])
    assert found.source.profile == "binance_kline"
    assert_same_bars(found, rows)


def test_archive_months_are_stacked(rows: pd.DataFrame, write: Writer) -> None:
    """Several files of one kind are one market, also across the change of unit."""
    paths = [
        write("BTCUSDT-1m-2024-12.csv", kline(rows.head(60), 1000)),
        write("BTCUSDT-1m-2025-01.csv", kline(rows.tail(60), 10**6)),
    ]
    found = read_market(paths)
    assert_same_bars(found, rows)
    assert [item.rows for item in found.source.inputs] == [60, 60]


@pytest.mark.parametrize("is_right", [True, False])
def test_published_checksum_is_compared(
    rows: pd.DataFrame, tmp_path: Path, *, is_right: bool
) -> None:
    """A file that is not the published one is read, and its report says so with both hashes."""
    path = tmp_path / "BTCUSDT-1m-2025-01.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1m-2025-01.csv", kline(rows, 10**6))
    published = hashlib.sha256(path.read_bytes() if is_right else b"other").hexdigest()
    path.with_name(path.name + ".CHECKSUM").write_text(f"{published}  {path.name}\n")
    report = quality(read_market([path]))
    assert (report.checksum_mismatches.k, report.checksum_mismatches.n) == (int(not is_right), 1)
    details = [item.detail for item in report.serious if item.check == "checksum"]
    assert details == [] if is_right else published in details[0]


@pytest.mark.parametrize("rest", [[], [0, "0", 5, "0", "0", "0"]])
@pytest.mark.parametrize("as_text", [True, False])
def test_api_answers(
    rows: pd.DataFrame, tmp_path: Path, *, as_text: bool, rest: list[object]
) -> None:
    """Six or all twelve fields, prices as numbers or, as the exchange sends them, as text."""
    answer = [
        [stamp, *(repr(v) if as_text else v for v in values), *rest]
        for stamp, *values in epoch(rows, 1000).itertuples(index=False)
    ]
    path = tmp_path / "BTCUSDT_1m.json.gz"
    path.write_bytes(gzip.compress(json.dumps(answer).encode()))
    found = read_market([path])
    assert found.source.profile == "binance_api"
    assert_same_bars(found, rows)


def test_bybit_and_kraken(rows: pd.DataFrame, write: Writer) -> None:
    """One is known by its turnover column, the other by its shape."""
    bybit = iso(rows).assign(turnover=1.0).to_csv(index=False)
    found = read_market([write("BTCUSDT_a.csv", bybit)])
    assert found.source.profile == "bybit"
    assert_same_bars(found, rows)
    kraken = epoch(rows, 1).assign(trades=3).to_csv(index=False, header=False)
    found = read_market([write("XBTUSD_1.csv", kraken)])
    assert (found.source.profile, found.source.calendar) == ("kraken", "trade-only")
    assert_same_bars(found, rows)


def test_histdata(rows: pd.DataFrame, write: Writer) -> None:
    """Semicolons, no header, five hours behind UTC all year."""
    local = (rows["ts"] - pd.Timedelta(hours=5)).dt.strftime("%Y%m%d %H%M%S")
    text = rows.assign(ts=local, volume=0).to_csv(index=False, header=False, sep=";")
    found = read_market([write("DAT_ASCII_EURUSD_M1_2026.csv", text)], symbol="EURUSD")
    assert found.source.profile == "histdata"
    assert_same_bars(found, rows, PRICES)


def sides(market: Market, names: list[str]) -> dict[str, pd.DataFrame]:
    """Bid and ask bars around a market, 0.5 below and above."""
    frame = market.frame.head(100)
    return {
        side: pd.DataFrame({"ts": frame["ts"], **{n: frame[n] + shift for n in names}})
        for side, shift in (("bid", -0.5), ("ask", 0.5))
    }


def write_pair(market: Market, write: Writer) -> tuple[Path, Path]:
    """A bid and an ask file."""
    both = sides(market, PRICES)
    bid, ask = (
        write(f"GBPUSD_m1_{side}_2026.csv", iso(both[side], "timestamp").to_csv(index=False))
        for side in ("bid", "ask")
    )
    return bid, ask


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0,), (1,)])
def test_pair_in_any_order_or_alone(market: Market, write: Writer, order: tuple[int, ...]) -> None:
    """Both files in either order, or one that finds the other beside it and says so."""
    paths = write_pair(market, write)
    found = read_market([paths[i] for i in order])
    frame = found.frame
    assert (frame["ask"] - frame["bid"]).to_numpy() == pytest.approx(1.0)
    np.testing.assert_allclose(frame["mid"], market.frame["close"].head(100), rtol=1e-15)
    assert {item.role for item in found.source.inputs} == {"bid", "ask"}
    assert any("found beside" in line for line in found.source.decisions) is (len(order) == 1)


def test_pair_counts_rows_without_counterpart(market: Market, write: Writer) -> None:
    """Rows that one side lacks are left out and counted."""
    bid, ask = write_pair(market, write)
    lines = ask.read_text().splitlines()
    ask.write_text("\n".join([*lines[:11], *lines[14:]]))
    found = read_market([bid, ask])
    assert len(found.frame) == 97
    assert quality(found).unpaired == 3


def test_a_side_without_its_other_is_undecidable(market: Market, write: Writer) -> None:
    """The message names the file that is missing."""
    bid, ask = write_pair(market, write)
    ask.unlink()
    with pytest.raises(SourceUndecidableError, match="GBPUSD_m1_ask_2026"):
        read_market([bid])


def test_two_files_of_one_side_are_undecidable(market: Market, write: Writer) -> None:
    """Names that do not say their side cannot be paired."""
    bid, ask = write_pair(market, write)
    other = ask.rename(ask.with_name("GBPUSD_2026.csv"))
    with pytest.raises(SourceUndecidableError, match="_bid_ in one"):
        read_market([bid, other])


def test_lean_quotes(market: Market, write: Writer) -> None:
    """Two-sided bars in one row; sizes of 0 were not recorded; gold gets its own calendar."""
    both = sides(market, PRICES)
    frame = iso(both["bid"][["ts"]], "timestamp_utc").assign(yyyymmdd=1, ms_since_midnight=0)
    for side in ("bid", "ask"):
        for name in PRICES:
            frame[f"{side}_{name}"] = both[side][name]
        frame[f"{side}_size"] = 0
    found = read_market([write("XAUUSD_oanda.csv", frame.to_csv(index=False))])
    assert (found.source.profile, found.source.calendar) == ("lean_quote", "metals")
    assert found.frame["bid_size"].isna().all()
    np.testing.assert_array_equal(found.frame["ask"], both["ask"]["close"])


def mt5(rows: pd.DataFrame) -> str:
    """A terminal's export on its server clock, winter: UTC+2."""
    server = (rows["ts"] + pd.Timedelta(hours=2)).dt.strftime("%Y-%m-%d %H:%M:%S")
    frame = rows.assign(ts=server, spread=12, real_volume=0)
    return frame.rename(columns={"ts": "time", "volume": "tick_volume"}).to_csv(index=False)


def test_mt5_gold(rows: pd.DataFrame, write: Writer) -> None:
    """Mid is the bid close plus half the spread of 12 points of 0.01."""
    found = read_market([write("XAUUSD_M1.csv", mt5(rows))])
    assert found.source.profile == "mt5_xauusd"
    assert (found.source.clock, found.source.volume_unit) == ("new-york-close", "quote changes")
    assert_same_bars(found, rows)
    np.testing.assert_allclose(found.frame["mid"], rows["close"] + 12 * 0.01 / 2, rtol=1e-15)


def test_mt5_of_another_symbol_needs_its_point(rows: pd.DataFrame, write: Writer) -> None:
    """The price of a spread point is not guessed."""
    with pytest.raises(SourceUndecidableError, match="extends mt5"):
        read_market([write("EURUSD_M1.csv", mt5(rows))])


def test_stamps_without_zone_are_undecidable_unless_named(
    rows: pd.DataFrame, write: Writer
) -> None:
    """Sniffing refuses to guess a clock; naming the profile decides it."""
    naive = rows.assign(ts=rows["ts"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    path = write("BTCUSDT.csv", naive.rename(columns={"ts": "date"}).to_csv(index=False))
    with pytest.raises(SourceUndecidableError, match="name profile=binance_ohlcv"):
        read_market([path])
    assert_same_bars(read_market([path], profile="binance_ohlcv"), rows)


def test_columns_nobody_writes_are_undecidable(rows: pd.DataFrame, write: Writer) -> None:
    """The message lists the profiles and shows what was seen."""
    text = iso(rows, "when").to_csv(index=False)
    with pytest.raises(
        SourceUndecidableError, match="no source profile fits; expected one of mlwb"
    ):
        read_market([write("X.csv", text)])


def test_a_named_profile_that_does_not_fit_is_a_schema_error(
    rows: pd.DataFrame, write: Writer
) -> None:
    """The missing column is named."""
    path = write("X.csv", iso(rows).to_csv(index=False))
    with pytest.raises(DataSchemaError, match="a column date"):
        read_market([path], profile="binance_ohlcv")
    with pytest.raises(SourceUndecidableError, match="no such source profile"):
        read_market([path], profile="reuters")


def test_files_of_different_kinds_are_not_stacked(rows: pd.DataFrame, write: Writer) -> None:
    """Rows of two vendors are two markets."""
    one = write("A_1.csv", iso(rows).to_csv(index=False))
    two = write("A_2.csv", iso(rows, "date").to_csv(index=False))
    with pytest.raises(SourceUndecidableError, match="different kinds"):
        read_market([one, two])


def test_other_intervals_are_refused(market: Market, write: Writer) -> None:
    """Five-minute bars are not one-minute bars with gaps."""
    text = iso(market.frame.iloc[::5]).to_csv(index=False)
    with pytest.raises(DataSchemaError, match="every 300 s"):
        read_market([write("X.csv", text)])


def test_stamps_off_the_minute_are_refused(rows: pd.DataFrame, write: Writer) -> None:
    """Snapshots at 17 s past are no bars."""
    shifted = rows.assign(ts=rows["ts"] + pd.Timedelta(seconds=17))
    with pytest.raises(DataSchemaError, match="no full minute"):
        read_market([write("X.csv", iso(shifted).to_csv(index=False))])


def test_a_stray_stamp_far_away_is_refused(rows: pd.DataFrame, write: Writer) -> None:
    """One wrong year does not make a calendar of a century."""
    lines = iso(rows).to_csv(index=False).replace("2026-01-01T00:05", "2090-01-01T00:05")
    with pytest.raises(DataSchemaError, match="1 of 120 stamps lie far from the others"):
        read_market([write("X.csv", lines)])


def test_bad_cells_are_named_with_their_row(rows: pd.DataFrame, write: Writer) -> None:
    """Text among prices stops the read, with row and column."""
    frame = iso(rows).astype({"close": "str"})
    frame.loc[41, "close"] = "n/v"
    with pytest.raises(DataSchemaError, match="data row 42: column close holds text"):
        read_market([write("X.csv", frame.to_csv(index=False))])


def test_inputs_hold_no_path(rows: pd.DataFrame, write: Writer) -> None:
    """Evidence made from a source travels without the folders of one machine."""
    path = write("X_1m.csv", iso(rows).to_csv(index=False))
    source = read_market([path]).source
    assert source.inputs[0].uri == "X_1m.csv"
    assert source.origin == "live"
    assert not any(str(path.parent) in line for line in source.decisions)


def test_load_market_names_its_sources(rows: pd.DataFrame, write: Writer) -> None:
    """Synthetic by name, files by path, nothing by nothing."""
    assert load_market(("synthetic",), days=1).source.origin == "simulated"
    path = write("X_1m.csv", iso(rows).to_csv(index=False))
    assert load_market(str(path), symbol="Y").symbol == "Y"
    with pytest.raises(DataNotFoundError, match="no file was named"):
        load_market(())


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(data=b'"0\n\x01\n",\x01')
@example(data=b'"0\n\x01"')
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.text(alphabet='0123456789,.;-:TZ\n[]"eNa', max_size=300).map(str.encode),
    )
)
def test_garbage_is_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    """Whatever the bytes, the error is one of ours and one line long."""
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    assert "\n" not in refusal(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 9000), flip=st.integers(0, 9000), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(
    rows: pd.DataFrame, tmp_path: Path, *, cut: int, flip: int, byte: int
) -> None:
    """A cut and a flipped byte anywhere never raise an error of another library."""
    text = bytearray(iso(rows).to_csv(index=False).encode())
    text[flip % len(text)] = byte
    path = tmp_path / "X.csv"
    path.write_bytes(text[: max(1, cut % len(text))])
    assert "\n" not in refusal(path)
