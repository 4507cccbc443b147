"""Every vendor's file, in the form its documentation gives it, is read as what it means."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.errors import (
    DataNotFoundError,
    DataSchemaError,
    SourceUndecidableError,
)
from mlwb.data import PROFILES, Market, quality, read_market
from tests.data.vendors import PRICES, epoch, iso, kline, refusal, ticks

Writer = Callable[[str, str], Path]
UNDEFINED = 9223372036854775807


def minutes_of(updates: pd.DataFrame) -> pd.DataFrame:
    """The minute bars of updates; pandas is the oracle."""
    mid = (updates["bid"] + updates["ask"]) / 2
    stamps = pd.DatetimeIndex(updates["ns"].astype("datetime64[ns]"), tz="UTC")
    by_minute = updates.assign(mid=mid.to_numpy()).set_index(stamps).groupby(pd.Grouper(freq="min"))
    bars = by_minute["mid"].agg(["first", "max", "min", "last"]).set_axis(PRICES, axis=1)
    return bars.join(by_minute[["bid", "ask", "bid_size", "ask_size"]].last()).dropna(how="all")


def assert_minutes(found: Market, updates: pd.DataFrame) -> None:
    """Stamps and values equal pandas' own, bit for bit."""
    wanted = minutes_of(updates)
    assert found.frame["ts"].tolist() == wanted.index.tolist()
    for name in wanted.columns:
        np.testing.assert_array_equal(found.frame[name], wanted[name])
    np.testing.assert_array_equal(found.frame["mid"], wanted["close"])
    assert found.has_quotes
    assert found.frame["volume"].isna().all()


def zipped(folder: Path, name: str, member: str, text: str) -> Path:
    """A zip with one file inside."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, text)
    return path


@pytest.mark.parametrize("contract_usd", [10.0, 100.0])
def test_coin_margined_volume_is_in_coins(
    rows: pd.DataFrame, tmp_path: Path, contract_usd: float
) -> None:
    """The archive counts contracts there; the base volume stands in quote_volume."""
    text = kline(rows, 1000, contract_usd=contract_usd)
    path = zipped(tmp_path, "BTCUSD_PERP-1m-2025-01.zip", "BTCUSD_PERP-1m-2025-01.csv", text)
    found = read_market([path])
    assert (found.source.profile, found.symbol) == ("binance_kline_cm", "BTCUSD_PERP")
    np.testing.assert_array_equal(found.frame["volume"], rows["volume"])
    assert any("counts contracts" in line for line in found.source.decisions)


def test_the_rows_say_what_the_volume_counts(rows: pd.DataFrame, write: Writer) -> None:
    """A file that was renamed is told by its numbers, and a profile against them is refused."""
    coin = write("BTCUSD.csv", kline(rows, 1000, contract_usd=100.0))
    linear = write("BTCUSD_PERP-1m.csv", kline(rows, 1000))
    assert read_market([coin]).source.profile == "binance_kline_cm"
    assert read_market([linear]).source.profile == "binance_kline"
    with pytest.raises(DataSchemaError, match="volume counts contracts; expected profile binan"):
        read_market([coin], profile="binance_kline")
    with pytest.raises(DataSchemaError, match="volume counts coins; expected profile binance_kl"):
        read_market([linear], profile="binance_kline_cm")


@pytest.mark.parametrize(("symbol", "suffix"), [("BTCUSD_250328", "_cm"), ("BTCUSDT_250328", "")])
def test_without_trades_the_name_says_what_the_volume_counts(
    rows: pd.DataFrame, write: Writer, symbol: str, suffix: str
) -> None:
    """A delivery contract in USD is coin-margined, one in USDT is not."""
    text = kline(rows.assign(volume=0.0), 1000)
    found = read_market([write(f"{symbol}-1m-2025-01.csv", text)])
    assert (found.source.profile, found.symbol) == (f"binance_kline{suffix}", symbol)


def test_units_change_within_a_range_of_files(rows: pd.DataFrame, tmp_path: Path) -> None:
    """Spot months before 2025 are in ms, later ones in us; headers come and go; one market."""
    header = ",".join(PROFILES["binance_kline"].names) + "\n"
    paths = [
        zipped(tmp_path, "BTCUSDT-1m-2024-12.zip", "a.csv", kline(rows.head(50), 10**3)),
        zipped(tmp_path, "BTCUSDT-1m-2025-01.zip", "b.csv", kline(rows[50:80], 10**6)),
        zipped(tmp_path, "BTCUSDT-1m-2025-02.zip", "c.csv", header + kline(rows[80:], 10**6)),
    ]
    found = read_market(paths)
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_array_equal(found.frame["volume"], rows["volume"])


def test_freqtrade_feather(rows: pd.DataFrame, tmp_path: Path) -> None:
    """`date` as a zoned datetime column."""
    path = tmp_path / "BTC_USDT-1m.feather"
    rows.rename(columns={"ts": "date"}).to_feather(path)
    found = read_market([path])
    assert (found.source.profile, found.symbol) == ("binance_ohlcv", "BTC")
    np.testing.assert_array_equal(found.frame["close"], rows["close"])


def lean_zip(rows: pd.DataFrame, folder: Path, *, hours: int) -> Path:
    """One day as Lean stores it, on a clock so many hours from UTC."""
    local = (rows["ts"] + pd.Timedelta(hours=hours)).dt.tz_localize(None)
    day = local.dt.normalize().iloc[0]
    assert (local.dt.normalize() == day).all()
    table = pd.DataFrame({"ms": ((local - day) / pd.Timedelta(milliseconds=1)).astype("int64")})
    for side, shift in (("bid", -0.5), ("ask", 0.5)):
        for name in PRICES:
            table[f"{side}_{name}"] = rows[name] + shift
        table[f"{side}_size"] = 0
    member = f"{day:%Y%m%d}_eurusd_minute_quote.csv"
    text = table.to_csv(index=False, header=False)
    return zipped(folder, f"{day:%Y%m%d}_quote.zip", member, text)


@pytest.mark.parametrize(("profile", "hours"), [("lean_fxcm", -5), ("lean_oanda", 0)])
def test_lean_day_on_its_vendors_clock(
    rows: pd.DataFrame, tmp_path: Path, profile: str, hours: int
) -> None:
    """The date is in the name, the milliseconds count from its midnight on the vendor's clock."""
    bars = rows.assign(ts=rows["ts"] + pd.Timedelta(hours=8))
    found = read_market([lean_zip(bars, tmp_path, hours=hours)], profile=profile)
    assert found.frame["ts"].tolist() == bars["ts"].tolist()
    assert found.symbol == "EURUSD"
    np.testing.assert_array_equal(found.frame["ask"] - found.frame["bid"], 1.0)
    assert found.frame["bid_size"].isna().all()


def test_lean_day_without_clock_is_undecidable(rows: pd.DataFrame, tmp_path: Path) -> None:
    """The message says what to set; a YAML profile that sets it decides."""
    path = lean_zip(rows, tmp_path, hours=0)
    with pytest.raises(SourceUndecidableError, match=r"lean_fxcm .* lean_oanda .* set clock in a"):
        read_market([path])
    mine = tmp_path / "mine.yml"
    mine.write_text("extends: lean_minute\nclock: utc\n")
    found = read_market([path], profile=str(mine))
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    unnamed = path.rename(tmp_path / "quote.zip")
    with pytest.raises(SourceUndecidableError, match="a file name with its date"):
        read_market([unnamed], profile="lean_oanda")


def mt5_terminal(rows: pd.DataFrame) -> str:
    """The terminal's own export: tab, angle brackets, dots in the date, winter UTC+2."""
    server = rows["ts"] + pd.Timedelta(hours=2)
    table = pd.DataFrame(
        {"<DATE>": server.dt.strftime("%Y.%m.%d"), "<TIME>": server.dt.strftime("%H:%M:%S")}
    )
    for name in PRICES:
        table[f"<{name.upper()}>"] = rows[name]
    table = table.assign(**{"<TICKVOL>": 611, "<VOL>": 0, "<SPREAD>": 12})
    return table.to_csv(index=False, sep="\t")


def test_mt5_terminal_export(rows: pd.DataFrame, write: Writer) -> None:
    """Gold knows its point; another symbol is asked for it."""
    found = read_market([write("XAUUSD_M1_202601.csv", mt5_terminal(rows))])
    assert (found.source.profile, found.source.calendar) == ("mt5_terminal_xauusd", "metals")
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_allclose(found.frame["mid"], rows["close"] + 0.06, rtol=1e-15)
    with pytest.raises(SourceUndecidableError, match="extends mt5_terminal"):
        read_market([write("EURUSD_M1_202601.csv", mt5_terminal(rows))])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_mt5_scripts_write_utf_16(rows: pd.DataFrame, tmp_path: Path, encoding: str) -> None:
    """With a mark at the beginning; the bars are the same."""
    path = tmp_path / "XAUUSD_M1.csv"
    mark = "\ufeff" if encoding.endswith("e") else ""
    path.write_bytes((mark + mt5_terminal(rows)).encode(encoding))
    found = read_market([path])
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_array_equal(found.frame["close"], rows["close"])


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_stamps_in_a_unit_that_is_not_the_vendors_are_refused(
    rows: pd.DataFrame, write: Writer, factor: int
) -> None:
    """A profile with one unit reads that one; the refusal of the others says what to set."""
    text = epoch(rows, factor).assign(trades=1).to_csv(index=False, header=False)
    path = write("XBTUSD_1.csv", text)
    if factor == 1:
        assert read_market([path]).frame["ts"].tolist() == rows["ts"].tolist()
        return
    with pytest.raises(SourceUndecidableError, match="no source profile fits"):
        read_market([path])
    with pytest.raises(DataSchemaError, match=r"not a time of this age.* set time_unit"):
        read_market([path], profile="kraken")
    unit = {10**3: "ms", 10**6: "us", 10**9: "ns"}[factor]
    mine = write("mine.yml", f"extends: kraken\ntime_unit: {unit}\n")
    assert read_market([path], profile=str(mine)).frame["ts"].tolist() == rows["ts"].tolist()


def test_mt5_epoch_is_server_time(rows: pd.DataFrame, write: Writer) -> None:
    """Python's copy_rates gives seconds since 1970 on the server's clock, not UTC."""
    server = rows.assign(ts=rows["ts"] + pd.Timedelta(hours=2))
    frame = epoch(server, 1).rename(columns={"ts": "time", "volume": "tick_volume"})
    text = frame.assign(spread=12, real_volume=0).to_csv(index=False)
    found = read_market([write("XAUUSD.csv", text)])
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    assert any(line.startswith("clock new-york-close") for line in found.source.decisions)


def metatrader(rows: pd.DataFrame, *, hours: int) -> str:
    """Date and time in two columns, no header, on a clock so many hours from UTC."""
    local = rows["ts"] + pd.Timedelta(hours=hours)
    table = rows[[*PRICES]].assign(volume=8)
    table.insert(0, "time", local.dt.strftime("%H:%M"))
    table.insert(0, "date", local.dt.strftime("%Y.%m.%d"))
    return table.to_csv(index=False, header=False)


def test_histdata_metatrader_form(rows: pd.DataFrame, write: Writer) -> None:
    """Five hours behind UTC all year; its volume is none."""
    found = read_market([write("DAT_MT_EURUSD_M1_2026.csv", metatrader(rows, hours=-5))])
    assert (found.source.profile, found.symbol) == ("histdata_mt", "EURUSD")
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    np.testing.assert_array_equal(found.frame["close"], rows["close"])
    assert found.frame["volume"].isna().all()


def test_one_form_on_several_clocks_is_decided_by_name(rows: pd.DataFrame, write: Writer) -> None:
    """MetaTrader 4 writes HistData's lines on its server's clock; nothing in them says which."""
    path = write("EURUSD1.csv", metatrader(rows, hours=2))
    with pytest.raises(SourceUndecidableError, match=r"one clock; .*DAT_MT_.*clock is utc-5"):
        read_market([path])
    found = read_market([path], profile="mt4")
    assert found.frame["ts"].tolist() == rows["ts"].tolist()
    assert (found.frame["volume"] == 8).all()
    local = rows["ts"].dt.strftime("%Y%m%d %H%M%S")
    text = rows.assign(ts=local).to_csv(index=False, header=False, sep=";")
    with pytest.raises(SourceUndecidableError, match=r"more than one clock; .*DAT_ASCII_"):
        read_market([write("EURUSD.Last.txt", text)])


def test_histdata_ticks(write: Writer) -> None:
    """Milliseconds without a point, bid before ask."""
    updates = ticks().assign(ns=lambda t: t["ns"] // 10**6 * 10**6)
    local = pd.Series(updates["ns"].astype("datetime64[ns]")) - pd.Timedelta(hours=5)
    stamps = local.dt.strftime("%Y%m%d %H%M%S%f").str[:-3]
    table = pd.DataFrame({"t": stamps, "b": updates["bid"], "a": updates["ask"], "v": 0})
    text = table.to_csv(index=False, header=False)
    found = read_market([write("DAT_ASCII_EURUSD_T_202412.csv", text)])
    assert (found.source.profile, found.symbol) == ("histdata_ticks", "EURUSD")
    assert_minutes(found, updates.assign(bid_size=np.nan, ask_size=np.nan))


def tardis(updates: pd.DataFrame, symbol: str = "BTCUSDT") -> pd.DataFrame:
    """Microseconds, ask before bid, exchange and local clock."""
    return pd.DataFrame(
        {
            "exchange": "binance-futures",
            "symbol": symbol,
            "timestamp": updates["ns"] // 1000,
            "local_timestamp": updates["received"] // 1000,
            "ask_amount": updates["ask_size"],
            "ask_price": updates["ask"],
            "bid_price": updates["bid"],
            "bid_amount": updates["bid_size"],
        }
    )


def test_tardis_quotes(tmp_path: Path) -> None:
    """Last quote of each minute, clock skew from both clocks, the symbol from the rows."""
    updates = ticks()
    path = tmp_path / "binance-futures_quotes_2024-12-31_BTCUSDT.csv.gz"
    tardis(updates).to_csv(path, index=False)
    found = read_market([path])
    assert (found.source.profile, found.symbol) == ("tardis_quotes", "BTCUSDT")
    assert_minutes(found, updates)
    report = quality(found)
    skew = (updates["received"] - updates["ns"]) / 1e6
    assert report.clock_skew_median_ms == pytest.approx(skew.median())
    assert report.clock_skew_p99_ms == pytest.approx(skew.quantile(0.99))
    assert report.rows_read == len(updates)
    assert report.serious == ()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_days_that_meet_within_a_minute_are_one(write: Writer, order: tuple[int, int]) -> None:
    """Two files of quotes cut in mid-minute give the minutes of one, in either order."""
    updates = ticks()
    halves = updates.iloc[:2017], updates.iloc[2017:]
    meeting = [int(halves[0]["ns"].iloc[-1]), int(halves[1]["ns"].iloc[0])]
    assert meeting[0] // 60_000_000_000 == meeting[1] // 60_000_000_000
    paths = [
        write(f"day{i}.csv", tardis(half).to_csv(index=False)) for i, half in enumerate(halves)
    ]
    found = read_market([paths[i] for i in order])
    assert_minutes(found, updates)
    assert quality(found).rows_read == len(updates)


def test_updates_that_arrive_out_of_order_are_sorted_and_counted(write: Writer) -> None:
    """The file is ordered by arrival, which the exchange's stamps need not follow."""
    updates = ticks()
    overtaken = updates.copy()
    overtaken.loc[[70, 71]] = updates.loc[[71, 70]].to_numpy()
    overtaken["received"] = updates["received"]
    found = read_market([write("a.csv", tardis(overtaken).to_csv(index=False))])
    assert_minutes(found, updates)
    assert quality(found).out_of_order.k == 0
    backwards = tardis(updates.assign(received=updates["ns"]))
    backwards.iloc[[70, 71]] = backwards.iloc[[71, 70]].to_numpy()
    report = quality(read_market([write("b.csv", backwards.to_csv(index=False))]))
    assert (report.out_of_order.k, report.out_of_order.n) == (1, len(updates))


def test_tardis_book_snapshots(write: Writer) -> None:
    """Brackets in the column names; the top level is read."""
    updates = ticks(500)
    quotes = tardis(updates)
    table = quotes[["exchange", "symbol", "timestamp", "local_timestamp"]].copy()
    for level in range(5):
        for side in ("ask", "bid"):
            step = level if side == "ask" else -level
            table[f"{side}s[{level}].price"] = updates[side] + step
            table[f"{side}s[{level}].amount"] = updates[f"{side}_size"]
    found = read_market([write("x.csv", table.to_csv(index=False))])
    assert found.source.profile == "tardis_book"
    assert_minutes(found, updates)


def test_binance_book_ticker(write: Writer) -> None:
    """The futures archive's top of book, one row an update."""
    updates = ticks().assign(ns=lambda t: t["ns"] // 10**6 * 10**6)
    table = pd.DataFrame(
        {
            "update_id": np.arange(len(updates)),
            "best_bid_price": updates["bid"],
            "best_bid_qty": updates["bid_size"],
            "best_ask_price": updates["ask"],
            "best_ask_qty": updates["ask_size"],
            "transaction_time": updates["ns"] // 10**6,
            "event_time": updates["ns"] // 10**6 + 4,
        }
    )
    found = read_market([write("BTCUSDT-bookTicker-2024-12-31.csv", table.to_csv(index=False))])
    assert found.source.profile == "binance_book_ticker"
    assert_minutes(found, updates)
    assert quality(found).clock_skew_median_ms is None


def kaiko(updates: pd.DataFrame) -> pd.DataFrame:
    """One side a row: the first update has both, later ones alternate."""
    parts = []
    for number, update in enumerate(updates.to_dict("records")):
        sides = ("b", "a") if number == 0 else (("b", "a")[number % 2],)
        parts += [
            {
                "ts_exchange": update["ns"],
                "ts_collection": update["received"],
                "exchange": "bw",
                "class": "spot",
                "symbol": "btc-usdt",
                "type": side,
                "price": update["bid" if side == "b" else "ask"],
                "size": update["bid_size" if side == "b" else "ask_size"],
            }
            for side in sides
        ]
    return pd.DataFrame(parts).astype({"ts_exchange": "int64", "ts_collection": "int64"})


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_kaiko_carries_the_other_side_forward(write: Writer, delimiter: str) -> None:
    """A row holds one side; the other stands as it stood."""
    updates = ticks(600)
    text = kaiko(updates).to_csv(index=False, sep=delimiter)
    found = read_market([write("bw_btcusdt_2024-12-31.csv", text)])
    assert (found.source.profile, found.symbol) == ("kaiko_top_of_book", "btc-usdt")
    book = {"bid": 0.0, "ask": 0.0, "bid_size": 0.0, "ask_size": 0.0}
    standing = []
    for number, update in enumerate(updates.to_dict("records")):
        for side in ("bid", "ask"):
            if number == 0 or side == ("bid", "ask")[number % 2]:
                book[side], book[f"{side}_size"] = update[side], update[f"{side}_size"]
        standing.append({"ns": update["ns"], **book})
    assert_minutes(found, pd.DataFrame(standing).astype({"ns": "int64"}))


def test_kaiko_with_another_side_is_refused(write: Writer) -> None:
    """The row is named."""
    table = kaiko(ticks(50)).assign(type="trade")
    with pytest.raises(DataSchemaError, match="data row 1: no side of a book"):
        read_market([write("x.csv", table.to_csv(index=False))])


def ohlcv_1m(rows: pd.DataFrame, *, pretty: bool, symbol: str = "ESH4", number: int = 1) -> str:
    """Databento bars stamped by the interval's start, as integers or pretty."""
    table = databento(rows["ts"], pretty=pretty, rtype=33, number=number, stamp="ts_event")
    for name in PRICES:
        table[name] = nine(rows[name], pretty=pretty)
    table["volume"] = (rows["volume"] * 100).round().astype(int)
    return table.assign(symbol=symbol).to_csv(index=False)


def databento(
    stamps: pd.Series, *, pretty: bool, rtype: int, number: int, stamp: str
) -> pd.DataFrame:
    """The columns every Databento record begins with."""
    ns = stamps.dt.tz_localize(None).astype("datetime64[ns]").astype("int64")
    text = stamps.dt.strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
    return pd.DataFrame(
        {stamp: text if pretty else ns, "rtype": rtype, "publisher_id": 1, "instrument_id": number}
    )


def nine(prices: pd.Series, *, pretty: bool) -> pd.Series:
    """Prices in units of 1e-9, or as decimals with nine digits."""
    if pretty:
        return prices.map("{:.9f}".format)
    return (prices * 10**9).round().astype("int64")


@pytest.mark.parametrize("pretty", [True, False])
def test_databento_bars(rows: pd.DataFrame, write: Writer, *, pretty: bool) -> None:
    """Raw integers and pretty decimals are the same bars, stamped by their start."""
    cents = rows.assign(**{name: rows[name].round(2) for name in PRICES})
    found = read_market([write("glbx.csv", ohlcv_1m(cents, pretty=pretty))])
    assert (found.source.profile, found.symbol) == ("databento_ohlcv", "ESH4")
    assert found.source.calendar == "globex"
    assert found.frame["ts"].tolist() == cents["ts"].tolist()
    for name in PRICES:
        np.testing.assert_array_equal(found.frame[name], cents[name])


def bbo_1m(market: Market, *, pretty: bool, undefined: int = -1) -> str:
    """Quotes stamped by the interval's END; one of them without a bid."""
    frame = market.frame.head(120)
    ends = frame["ts"] + pd.Timedelta(minutes=1)
    table = databento(ends, pretty=pretty, rtype=196, number=1, stamp="ts_recv")
    table.insert(1, "ts_event", table["ts_recv"])
    table = table.assign(side="N", price=0, size=0, flags=168, sequence=7)
    for side in ("bid", "ask"):
        table[f"{side}_px_00"] = nine(frame[side].round(2), pretty=pretty)
    if undefined >= 0:
        table.loc[undefined, "bid_px_00"] = "" if pretty else UNDEFINED
    table = table.assign(bid_sz_00=3, ask_sz_00=4, bid_ct_00=1, ask_ct_00=1, symbol="ESH4")
    return table.to_csv(index=False)


@pytest.mark.parametrize("pretty", [True, False])
def test_databento_quotes_open_a_minute_before_their_stamp(
    market: Market, write: Writer, *, pretty: bool
) -> None:
    """A quote stamped 09:55 closes the bar of 09:54: joined on the stamp it would be the future."""
    found = read_market([write("glbx.csv", bbo_1m(market, pretty=pretty, undefined=7))])
    wanted = market.frame.head(120)
    assert found.source.profile == "databento_bbo"
    assert found.frame["ts"].tolist() == wanted["ts"].tolist()
    assert np.isnan(found.frame["bid"][7])
    assert np.isnan(found.frame["mid"][7])
    known = np.arange(120) != 7
    np.testing.assert_array_equal(found.frame["bid"][known], wanted["bid"].round(2)[known])
    np.testing.assert_array_equal(found.frame["ask"], wanted["ask"].round(2))
    assert found.frame["high"].isna().all()
    assert any("end of its minute" in line for line in found.source.decisions)


def test_databento_instruments_are_told_apart(rows: pd.DataFrame, write: Writer) -> None:
    """Interleaved instruments are refused with their names; one is picked by name or number."""
    one = pd.read_csv(io.StringIO(ohlcv_1m(rows, pretty=False)))
    two = pd.read_csv(io.StringIO(ohlcv_1m(rows, pretty=False, symbol="ESM4", number=2)))
    two[PRICES] += 10**9
    mixed = pd.concat([one, two]).sort_values("ts_event", kind="stable")
    path = write("glbx.csv", mixed.to_csv(index=False))
    with pytest.raises(SourceUndecidableError, match="expected symbol, one of ESH4, ESM4"):
        read_market([path])
    with pytest.raises(SourceUndecidableError, match="got 'CLZ4'"):
        read_market([path], symbol="CLZ4")
    first = read_market([path], symbol="ESH4").frame
    np.testing.assert_allclose(
        read_market([path], symbol="ESM4").frame["close"], first["close"] + 1
    )
    np.testing.assert_allclose(read_market([path], symbol="2").frame["close"], first["close"] + 1)


def test_one_instrument_on_several_venues_is_refused(rows: pd.DataFrame, write: Writer) -> None:
    """Bars of two venues in one file are no duplicates of each other."""
    table = pd.read_csv(io.StringIO(ohlcv_1m(rows, pretty=True)))
    table.loc[::2, "publisher_id"] = 2
    with pytest.raises(DataSchemaError, match="several values of publisher_id"):
        read_market([write("x.csv", table.to_csv(index=False))])


def test_files_of_two_instruments_are_no_one_market(rows: pd.DataFrame, write: Writer) -> None:
    """Also when each file holds only one."""
    paths = [
        write(f"{name}.csv", ohlcv_1m(rows, pretty=True, symbol=name)) for name in ("ESH4", "ESM4")
    ]
    with pytest.raises(SourceUndecidableError, match="different instruments"):
        read_market(paths)


def test_zstd_is_unpacked(rows: pd.DataFrame, tmp_path: Path) -> None:
    """As Databento ships; a stream that ends early is said to be cut."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(ohlcv_1m(rows, pretty=False).encode())
    packed = sink.getvalue().to_pybytes()
    path = tmp_path / "glbx.ohlcv-1m.csv.zst"
    path.write_bytes(packed)
    assert len(read_market([path]).frame) == len(rows)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataSchemaError, match="cut zstd stream"):
        read_market([path])


def feed(updates: pd.DataFrame, *, skew_ns: int, has_event: bool) -> str:
    """A recorded websocket: quotes, and trades that carry the exchange's time."""
    lines = []
    for number, row in enumerate(updates.to_dict("records")):
        ns = int(row["ns"])
        quote = {"u": number, "s": "BTCUSDT", "b": str(row["bid"]), "B": str(row["bid_size"])}
        quote |= {"a": str(row["ask"]), "A": str(row["ask_size"])}
        if has_event:
            quote |= {"e": "bookTicker", "E": ns // 10**6}
        trade = {"e": "trade", "E": ns // 10**6, "s": "BTCUSDT", "p": "1", "q": "1"}
        for stream, body in (("bookTicker", quote), ("trade", trade)):
            message = json.dumps({"stream": f"btcusdt@{stream}", "data": body})
            lines.append(f"{ns + skew_ns} {message}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("has_event", [True, False])
@pytest.mark.parametrize("skew_ms", [-1273, 40])
def test_a_recorded_feed_is_on_the_exchanges_clock(
    write: Writer, *, has_event: bool, skew_ms: int
) -> None:
    """Whatever the receiver's clock said; the report says by how much it was off."""
    updates = ticks(1500).assign(ns=lambda t: t["ns"] // 10**6 * 10**6)
    text = feed(updates, skew_ns=skew_ms * 10**6, has_event=has_event)
    found = read_market([write("feed.jsonl", text)])
    assert (found.source.profile, found.symbol) == ("binance_feed", "BTCUSDT")
    assert_minutes(found, updates)
    report = quality(found)
    assert report.clock_skew_median_ms == skew_ms
    assert [item.check for item in report.serious] == ["clock_skew"] * (skew_ms < 0)


def test_the_cut_last_line_of_a_feed_is_left_out(write: Writer) -> None:
    """A recorder that is stopped leaves half a message; the rest of the day is not lost."""
    updates = ticks(200)
    whole = feed(updates, skew_ns=0, has_event=True)
    found = read_market([write("feed.jsonl", whole + whole.splitlines()[0][:50])])
    assert found.raw.n_updates == len(updates)
    assert any("line 401, the last, is cut" in line for line in found.source.decisions)


def test_a_feed_without_any_exchange_time_says_so(write: Writer) -> None:
    """Minutes are the receiver's then, and no skew is claimed."""
    updates = ticks(300)
    text = feed(updates, skew_ns=0, has_event=False)
    quotes = "".join(line + "\n" for line in text.splitlines() if "bookTicker" in line)
    found = read_market([write("feed.jsonl", quotes)])
    assert_minutes(found, updates)
    assert any("minutes are the receiver's" in line for line in found.source.decisions)
    assert quality(found).clock_skew_median_ms is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("half a mess", "line 3: not a message"),
        ('1723161253937085768 {"stream":"x@bookTicker","data":{"B":"1"}}', "line 3"),
        ('1723161253937085768 {"s":"X","b":"1","B":"x","a":"1","A":"1"}', "line 3"),
    ],
)
def test_a_broken_line_of_a_feed_is_named(write: Writer, line: str, words: str) -> None:
    """By its number."""
    text = feed(ticks(1), skew_ns=0, has_event=True) + line + "\n"
    with pytest.raises(DataSchemaError, match=words):
        read_market([write("feed.jsonl", text)])


def lobster(updates: pd.DataFrame, write: Writer) -> tuple[Path, Path]:
    """A day of two levels and its messages; New York's summer midnight is 04:00 UTC."""
    midnight = np.datetime64("2012-06-21T04:00", "ns").astype(np.int64)
    seconds = (updates["ns"] - int(midnight)) / 1e9
    name = "AAPL_2012-06-21_34200000_57600000"
    book = pd.DataFrame(
        {
            "ask": (updates["ask"] * 10_000).round().astype("int64"),
            "ask_size": (updates["ask_size"] * 10).round().astype("int64"),
            "bid": (updates["bid"] * 10_000).round().astype("int64"),
            "bid_size": (updates["bid_size"] * 10).round().astype("int64"),
        }
    ).assign(ask2=9_999_999_999, ask_size2=0, bid2=-9_999_999_999, bid_size2=0)
    texts = seconds.map("{:.9f}".format)
    messages = pd.DataFrame({"t": texts, "type": 1, "id": 7, "size": 5, "price": 1, "side": 1})
    return (
        write(f"{name}_orderbook_2.csv", book.to_csv(index=False, header=False)),
        write(f"{name}_message_2.csv", messages.to_csv(index=False, header=False)),
    )


@pytest.mark.parametrize("named", [(0,), (1,), (0, 1), (1, 0)])
def test_lobster_books_are_timed_by_their_messages(write: Writer, named: tuple[int, ...]) -> None:
    """Row k of the book is the state after message k; either file, or both, may be named."""
    updates = ticks(3000)
    opening = int(np.datetime64("2012-06-21T13:30", "ns").astype(np.int64))
    shifted = updates.assign(ns=updates["ns"] - int(updates["ns"].iloc[0]) + opening)
    paths = lobster(shifted, write)
    found = read_market([paths[i] for i in named])
    assert (found.source.profile, found.symbol) == ("lobster", "AAPL")
    sizes = {name: shifted[name] * 10 for name in ("bid_size", "ask_size")}
    assert_minutes(found, shifted.assign(**sizes))
    assert [item.role for item in found.source.inputs] == ["quotes", "messages"]
    report = quality(found)
    assert (report.calendar, report.outside_calendar) == ("us-equities", 0)
    assert report.serious == ()


def test_a_lobster_book_without_a_side_has_no_mid(write: Writer) -> None:
    """9999999999 stands for an empty level, not for a price of a million."""
    updates = ticks(1000)
    opening = int(np.datetime64("2012-06-21T13:30", "ns").astype(np.int64))
    shifted = updates.assign(ns=updates["ns"] - int(updates["ns"].iloc[0]) + opening)
    paths = lobster(shifted, write)
    lines = paths[0].read_text().splitlines()
    lines[-1] = "9999999999,0," + lines[-1].split(",", 2)[2]
    paths[0].write_text("\n".join(lines))
    frame = read_market(paths[:1]).frame
    assert frame["mid"].isna().tolist() == [False] * (len(frame) - 1) + [True]
    assert frame["high"].max() < 2000


def test_a_lobster_book_of_another_length_is_refused(write: Writer) -> None:
    """Times are matched by row, so that every row needs one; and the messages must be there."""
    book, messages = lobster(ticks(100), write)
    messages.write_text("".join(messages.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataSchemaError, match="expected 100 messages, got 99"):
        read_market([book])
    messages.unlink()
    with pytest.raises(DataNotFoundError, match="_message_2"):
        read_market([book])
    write(messages.name, "1,2\n")
    with pytest.raises(DataSchemaError, match="not of its form"):
        read_market([book])


def test_bars_of_the_canonical_file_have_no_updates(rows: pd.DataFrame, write: Writer) -> None:
    """A source of bars reports its rows, a source of quotes its updates."""
    found = read_market([write("X_1m.csv", iso(rows).to_csv(index=False))])
    assert found.raw.n_updates == 0
    assert quality(found).rows_read == len(rows)


FORMS = (
    "BTCUSD_PERP-1m.csv",
    "quotes.csv",
    "kaiko.csv",
    "XAUUSD.csv",
    "DAT_MT_EURUSD_M1_2026.csv",
    "raw.csv",
    "pretty.csv",
    "feed.jsonl",
)


@pytest.fixture(scope="session")
def texts(rows: pd.DataFrame) -> dict[str, bytes]:
    """A small file of each form."""
    bars, updates = rows.head(40), ticks(60)
    written = (
        kline(bars, 1000, contract_usd=100.0),
        tardis(updates).to_csv(index=False),
        kaiko(updates).to_csv(index=False),
        mt5_terminal(bars),
        metatrader(bars, hours=-5),
        ohlcv_1m(bars, pretty=False),
        ohlcv_1m(bars, pretty=True),
        feed(updates, skew_ns=0, has_event=False),
    )
    return {name: text.encode() for name, text in zip(FORMS, written, strict=True)}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(FORMS),
    at=st.integers(0, 10**6),
    gone=st.integers(0, 60),
    new=st.one_of(st.binary(max_size=3), st.sampled_from([b"0", b"-", b",", b"\n", b'"', b"e9"])),
)
def test_a_damaged_file_of_any_vendor_is_read_or_refused(
    texts: dict[str, bytes], tmp_path: Path, *, name: str, at: int, gone: int, new: bytes
) -> None:
    """Bytes lost or replaced anywhere never raise an error of another library, or of two lines."""
    text = texts[name]
    at %= len(text)
    path = tmp_path / name
    path.write_bytes(text[:at] + new + text[at + gone :])
    assert "\n" not in refusal(path)
