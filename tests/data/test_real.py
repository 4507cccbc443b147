"""Recorded markets: clean ones pass, broken ones show exactly what is broken in them.

The expected numbers come from the data set's own description, which was written from the vendors'
files without this package.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.errors import DataSchemaError
from mlwb.data import (
    Count,
    DefectPlan,
    Market,
    QualityReport,
    RawBars,
    inject_defects,
    quality,
    read_market,
)
from mlwb.data._assemble import assemble

pytestmark = pytest.mark.realdata

CLEAN = {
    "crypto_perp_1m/BTCUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_139),
    "crypto_perp_1m/BNBUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_139),
    "crypto_perp_1m/ETHUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_140),
    "crypto_perp_1m/LTCUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_140),
    "crypto_perp_1m/SOLUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_141),
    "crypto_perp_1m/XRPUSDT-PERP_1m_20250504_20250624.csv.gz": ("binance_ohlcv", 73_138),
    "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz": ("binance_ohlcv", 130_708),
    "crypto_spot_1m/ETHUSDT_1m_20250520_20250818.csv.gz": ("binance_ohlcv", 130_708),
    "fx_bidask_1m/GBPUSD_fxcm_m1_bid_201202.csv.gz": ("fxcm_pair", 30_117),
    "fx_bidask_1m/EURUSD_fxcm_quote_1m_20140501_20140515.csv.gz": ("lean_quote", 15_857),
    "fx_bidask_1m/EURUSD_oanda_quote_1m_20140501_20140515.csv.gz": ("lean_quote", 15_366),
    "fx_bidask_1m/XAUUSD_oanda_quote_1m_20140501_20140515.csv.gz": ("lean_quote", 15_222),
    "mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz": ("mt5_xauusd", 63_230),
}


@cache
def market_at(path: Path) -> Market:
    """One file, read once for all tests; none of them changes it."""
    return read_market([path])


def report_of(folder: Path, name: str) -> QualityReport:
    """The quality report of one file."""
    return quality(market_at(folder / name))


def checks(report: QualityReport) -> dict[str, int]:
    """Serious findings and their counts."""
    return {item.check: item.count for item in report.serious}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_files_raise_no_serious_finding(real_data: Path, name: str) -> None:
    """Read without help, all rows kept, dense on their calendar."""
    profile, n_bars = CLEAN[name]
    market = market_at(real_data / name)
    report = quality(market)
    assert market.source.profile == profile
    assert report.bars == report.rows_read == n_bars
    assert report.serious == ()
    assert report.shape == "dense"


@pytest.mark.parametrize("name", [name for name in CLEAN if name.startswith("crypto")])
def test_exchange_files_have_every_minute(real_data: Path, name: str) -> None:
    """Gap-free: coverage n of n, no note either."""
    report = report_of(real_data, name)
    assert report.coverage == Count(report.bars, report.bars)
    assert report.findings == ()


def test_values_are_those_of_the_file(real_data: Path) -> None:
    """Bit for bit; the oracle is Python's own csv split and float."""
    import gzip

    path = real_data / "crypto_perp_1m/ETHUSDT-PERP_1m_20250504_20250624.csv.gz"
    frame = market_at(path).frame
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    for column, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert frame[name].tolist() == [float(line.split(",")[column]) for line in lines]
    assert frame["ts"].iloc[-1] == pd.Timestamp(lines[-1].split(",")[0])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1), frozen=st.integers(5, 99), missing=st.integers(5, 99))
def test_faults_put_into_a_recorded_market_are_found(
    real_data: Path, seed: int, frozen: int, missing: int
) -> None:
    """In gap-free recorded bars each count is exact and no other check speaks up."""
    clean = market_at(real_data / "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz")
    start = int(np.random.default_rng(seed).integers(0, len(clean.frame) - 5000))
    some = RawBars(clean.raw.ts_ns[start : start + 5000], clean.raw.cells[start : start + 5000])
    plan = DefectPlan(
        frozen_bars=frozen,
        missing_bars=missing,
        duplicates=3,
        conflicting=4,
        spikes=5,
        non_finite=6,
        non_positive=7,
        ohlc_violations=8,
        swapped=9,
        off_grid=10,
    )
    spoiled = inject_defects(some, plan, np.random.default_rng(seed)).raw
    report = quality(assemble(spoiled, symbol="BTCUSDT", source=clean.source))
    assert checks(report) == {
        "stale": 1,
        "gaps": 1,
        "duplicates_identical": 3,
        "duplicates_conflicting": 4,
        "spikes": 5,
        "non_finite": 6,
        "non_positive": 7,
        "ohlc_violations": 8,
        "out_of_order": 9,
        "off_grid": 10,
    }
    assert (report.stale_longest_bars, report.longest_gap_bars) == (frozen, missing)


def test_fxcm_pair_is_crossed_and_locked_as_described(real_data: Path) -> None:
    """347 crossed, 306 locked, 107 small gaps between Friday and Sunday evenings."""
    folder = real_data / "fx_bidask_1m"
    pair = [folder / f"GBPUSD_fxcm_m1_{side}_201202.csv.gz" for side in ("bid", "ask")]
    report = quality(read_market(pair))
    assert report.crossed == Count(347, 30_117)
    assert report.locked == Count(306, 30_117)
    assert report.longest_gap_s == 300
    # Three more than described: minutes lost where a week begins or ends are gaps here.
    assert report.n_gaps == 107 + 3
    alone = read_market(pair[:1])
    pd.testing.assert_frame_equal(alone.frame, read_market(pair).frame)


def test_lean_files_are_on_one_clock(real_data: Path) -> None:
    """Minute returns of two vendors correlate at lag 0 and nowhere near at an hour's distance."""
    folder = real_data / "fx_bidask_1m"
    names = [f"EURUSD_{vendor}_quote_1m_20140501_20140515.csv.gz" for vendor in ("fxcm", "oanda")]
    mids = [market_at(folder / name).frame.set_index("ts")["mid"] for name in names]
    logs = pd.DataFrame({"fxcm": mids[0], "oanda": mids[1]}).map(np.log)
    both = logs.diff().dropna()
    assert both["fxcm"].corr(both["oanda"]) > 0.95
    assert abs(both["fxcm"].corr(both["oanda"].shift(60))) < 0.1


def test_lean_spreads_are_as_described(real_data: Path) -> None:
    """374 crossed and 1,080 locked at one vendor, none at the other; medians as measured."""
    folder = real_data / "fx_bidask_1m"
    found, medians = {}, []
    for name in ("EURUSD_fxcm", "EURUSD_oanda", "XAUUSD_oanda"):
        market = market_at(folder / f"{name}_quote_1m_20140501_20140515.csv.gz")
        frame, report = market.frame, quality(market)
        spread_bp = 1e4 * (frame["ask"] - frame["bid"]) / frame["mid"]
        found[name] = (report.crossed.k, report.locked.k)
        medians.append(float(spread_bp.median()))
    assert found == {"EURUSD_fxcm": (374, 1080), "EURUSD_oanda": (0, 0), "XAUUSD_oanda": (0, 0)}
    assert medians == pytest.approx([0.145, 0.794, 2.016], abs=0.001)


def test_mt5_clock_breaks_and_spread(real_data: Path) -> None:
    """The server is UTC+3; breaks and Easter are no gaps; eight spreads, one in 78 % of bars."""
    market = market_at(real_data / "mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz")
    frame, report = market.frame, quality(market)
    assert frame["ts"].iloc[0] == pd.Timestamp("2026-03-24T14:00Z")
    assert report.longest_gap_s <= 300
    minutes = frame["ts"].diff().dt.total_seconds() / 60
    breaks = minutes[minutes > 1].value_counts().to_dict()
    assert breaks == {63: 35, 66: 1, 2944: 8, 4383: 1, 211: 1}
    points = ((frame["ask"] - frame["bid"]) / 0.01).round()
    assert points.nunique() == 8
    assert points.value_counts(normalize=True).iloc[0] == pytest.approx(0.78, abs=0.005)
    np.testing.assert_allclose(frame["mid"], frame["close"] + points * 0.01 / 2, rtol=1e-12)


@dataclass(frozen=True)
class Broken:
    """What the data set's description says of a file, and the words of its worst places."""

    profile: str
    shape: str
    n_rows: int
    n_bars: int
    coverage: float
    serious: dict[str, int]
    facts: dict[str, object]
    places: tuple[str, ...] = ()


OUTAGE = Broken(
    profile="binance_api",
    shape="dense",
    n_rows=66_087,
    n_bars=66_087,
    coverage=99.9,
    serious={"stale": 1, "gaps": 1},
    facts={"stale_longest_bars": 72, "stale": Count(72, 66_087), "longest_gap_bars": 80},
    places=("72 bars from 2023-03-24T11:28Z", "80 bars from 2023-03-24T12:40Z"),
)
PAGED = Broken(
    profile="bybit",
    shape="broken",
    n_rows=105_076,
    n_bars=105_076,
    coverage=20.0,
    serious={"coverage": 524 * 801, "paging": 524, "gaps": 524},
    facts={"page_bars": 200, "n_pages": 524, "longest_gap_bars": 801, "n_gaps": 524},
)
BROKEN = {
    "BTCUSDT_1m_binance_outage_20230316_20230501.json.gz": OUTAGE,
    "ETHUSDT_1m_binance_outage_20230316_20230501.json.gz": OUTAGE,
    "BTCRUB_1m_duplicated_pages_201912.json.gz": Broken(
        profile="binance_api",
        shape="dense",
        n_rows=43_200,
        n_bars=16_344,
        coverage=100.0,
        serious={"duplicates_identical": 43_200 - 16_344, "no_trades": 39_253, "stale": 620},
        facts={
            "most_repeats": 55,
            "duplicates_conflicting": Count(0, 43_200),
            "out_of_order": Count(0, 43_200),
            "n_gaps": 0,
        },
        places=("stands 55 times", "39253 of 43200 rows are minutes without a trade"),
    ),
    "BRDBTC_1m_illiquid_dups_gaps_202002.json.gz": Broken(
        profile="binance_api",
        shape="dense",
        n_rows=43_200,
        n_bars=43_200 - 542,
        coverage=98.7,
        serious={"duplicates_identical": 542, "no_trades": 30_092, "gaps": 3, "stale": 1860},
        facts={"n_gaps": 3, "longest_gap_s": 355 * 60, "most_repeats": 2},
        places=("354 bars from 2020-02-19T11:36Z",),
    ),
    "BNBUSDT_bybit_1m_paging_bug_20240908_20250907.csv.gz": PAGED,
    "BTCUSDT_bybit_1m_paging_bug_20240908_20250907.csv.gz": replace(
        PAGED, serious={**PAGED.serious, "stale": 164, "spikes": 20}
    ),
    "BTCUSDC_kraken_1m_sparse_20230101_20230331.csv.gz": Broken(
        profile="kraken",
        shape="sparse",
        n_rows=56_717,
        n_bars=56_717,
        coverage=43.8,
        serious={},  # correct data that only looks broken
        facts={
            "coverage": Count(56_717, 90 * 1440),
            "n_gaps": 26_746,
            "longest_gap_s": 88 * 60,
        },
    ),
}
"""The folder of messy recordings, whole; the description does not count stale runs and spikes."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_messy_file_shows_what_is_wrong_with_it(real_data: Path, name: str) -> None:
    """Exactly the defects its description lists, with their counts and places."""
    wanted = BROKEN[name]
    market = market_at(real_data / "messy" / name)
    report = quality(market)
    assert (market.source.profile, report.shape) == (wanted.profile, wanted.shape)
    assert (report.rows_read, report.bars) == (wanted.n_rows, wanted.n_bars)
    assert round(100 * report.coverage.share, 1) == wanted.coverage
    assert checks(report) == wanted.serious
    assert {fact: getattr(report, fact) for fact in wanted.facts} == wanted.facts
    said = " ".join(item.detail for item in report.findings)
    assert all(place in said for place in wanted.places)


def test_every_messy_file_is_in_the_table(real_data: Path) -> None:
    """A recording that is added is described here."""
    assert {path.name for path in (real_data / "messy").iterdir()} == set(BROKEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BROKEN if name.endswith(".json.gz")])
def test_stale_runs_are_those_of_a_plain_count(real_data: Path, name: str) -> None:
    """Minutes in a row at one price without a trade, five or more; counted with Python alone."""
    import gzip
    import json

    path = real_data / "messy" / name
    rows = {row[0]: row[1:] for row in json.loads(gzip.decompress(path.read_bytes()))}
    runs, length, before = [], 0, (0, 0.0)
    for stamp, (*prices, volume) in sorted(rows.items()):
        is_frozen = volume == 0 and set(prices) == {before[1]} and stamp - before[0] == 60_000
        if length and not is_frozen:
            runs.append(length)
        length = length + 1 if is_frozen else 0
        before = (stamp, prices[-1])
    long = [run for run in [*runs, length] if run >= 5]
    report = quality(market_at(path))
    assert (report.stale_runs, report.stale.k) == (len(long), sum(long))
    assert report.stale_longest_bars == max(long)


def test_three_outages_of_an_illiquid_pair(real_data: Path) -> None:
    """61, 355 and 129 minutes from bar to bar, found from the stamps alone."""
    market = market_at(real_data / "messy/BRDBTC_1m_illiquid_dups_gaps_202002.json.gz")
    steps = market.frame["ts"].diff().dt.total_seconds() / 60
    assert sorted(steps[steps > 1]) == [61, 129, 355]


def test_prices_of_a_test_network_show_themselves(real_data: Path) -> None:
    """Jumps that come back at once and frozen hours: no real market of this size has them."""
    names = [
        f"messy/{s}_bybit_1m_paging_bug_20240908_20250907.csv.gz" for s in ("BTCUSDT", "BNBUSDT")
    ]
    fake, real = (report_of(real_data, name) for name in names)
    assert fake.spikes.k > 10
    assert fake.stale_runs > 100
    assert (real.spikes.k, real.stale_runs) == (0, 0)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("lob/BTCUSD_coinbase_lob15_1m_20210417_crash.csv.gz", "order book snapshots"),
        ("crypto_perp_1m/funding_8h.csv.gz", "funding rates"),
    ],
)
def test_files_that_are_no_bars_are_named(real_data: Path, name: str, what: str) -> None:
    """The refusal says what the file is."""
    with pytest.raises(DataSchemaError, match=what):
        market_at(real_data / name)


FEEDS = {"20240808": 41_249, "20240809": 58_325}
"""Messages in each recorded feed."""


def feed_path(folder: Path, day: str) -> Path:
    """A recorded feed."""
    return folder / f"lob/BTCUSDT_binance_spot_feed_{day}.jsonl.gz"


@pytest.mark.parametrize("day", FEEDS)
def test_a_receiver_behind_the_exchange_is_found(real_data: Path, day: str) -> None:
    """The clock is 1,272 to 1,274 ms behind, and nothing else is serious."""
    market = market_at(feed_path(real_data, day))
    report = quality(market)
    assert (market.source.profile, market.symbol) == ("binance_feed", "BTCUSDT")
    assert report.clock_skew_median_ms == pytest.approx(-1273, abs=1.5)
    assert checks(report) == {"clock_skew": 1}
    assert any("shifted by +127" in line for line in market.source.decisions)


@pytest.mark.parametrize("day", FEEDS)
def test_minutes_of_a_feed_end_with_the_last_quote(real_data: Path, day: str) -> None:
    """Each minute's bid and ask are those of the last bookTicker before the exchange's minute."""
    import gzip
    import json

    path = feed_path(real_data, day)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert len(lines) == FEEDS[day]
    market = market_at(path)
    assert market.raw.skew_ms is not None
    skew_ns = int(float(np.median(market.raw.skew_ms)) * 1e6)
    last: dict[int, tuple[float, float]] = {}
    for line in lines:
        received_ns, message = line.split(" ", 1)
        body = json.loads(message)
        if str(body.get("stream", "")).endswith("@bookTicker"):
            minute = (int(received_ns) - skew_ns) // 60_000_000_000
            last[minute] = (float(body["data"]["b"]), float(body["data"]["a"]))
    minutes = [int(stamp.timestamp()) // 60 for stamp in market.frame["ts"]]
    assert minutes == list(last)
    found = list(zip(market.frame["bid"], market.frame["ask"], strict=True))
    assert found == list(last.values())
    spread = ((market.frame["ask"] - market.frame["bid"]) / 0.01).round()
    assert spread.median() == 1


@pytest.mark.slow
def test_two_feeds_are_one_market(real_data: Path) -> None:
    """Consecutive recordings are joined at midnight of the exchange's clock."""
    paths = [feed_path(real_data, day) for day in FEEDS]
    both = read_market(paths[::-1])
    frames = [market_at(path).frame for path in paths]
    meeting = frames[0]["ts"].iloc[-1]
    assert meeting == frames[1]["ts"].iloc[0] == pd.Timestamp("2024-08-09T00:00Z")
    assert len(both.frame) == len(frames[0]) + len(frames[1]) - 1
    at = both.frame["ts"] == meeting
    assert both.frame.loc[at, "bid"].tolist() == [frames[1]["bid"].iloc[0]]
    assert both.frame.loc[at, "open"].tolist() == [frames[0]["open"].iloc[-1]]


@pytest.mark.parametrize(
    ("name", "profile"),
    [("EURUSD_fxcm", "lean_fxcm"), ("EURUSD_oanda", "lean_oanda"), ("XAUUSD_oanda", "lean_oanda")],
)
def test_lean_days_are_the_joined_file(
    real_data: Path, tmp_path: Path, name: str, profile: str
) -> None:
    """The vendor's own daily zips, rebuilt from its columns, give the joined file's market."""
    path = real_data / f"fx_bidask_1m/{name}_quote_1m_20140501_20140515.csv.gz"
    table = pd.read_csv(path, dtype=str).drop(columns="timestamp_utc")
    paths = []
    for day, rows in table.groupby("yyyymmdd"):
        paths.append(tmp_path / f"{day}_quote.zip")
        member = f"{day}_{name[:6].lower()}_minute_quote.csv"
        text = rows.drop(columns="yyyymmdd").to_csv(index=False, header=False)
        with zipfile.ZipFile(paths[-1], "w") as archive:
            archive.writestr(member, text)
    found, joined = read_market(paths, profile=profile), market_at(path)
    assert (found.symbol, found.source.calendar) == (name[:6], joined.source.calendar)
    pd.testing.assert_frame_equal(found.frame, joined.frame)
