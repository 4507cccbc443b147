"""Stylised facts: each the number it says it is."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis
from statsmodels.tsa.stattools import acf  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.core.errors import EmptyWindowError
from mlwb.data import FACTS, Fact, Market, market_facts, read_market, simulate_market

N = 20 * 1440


def market_of(
    moves: Float1D,
    *,
    start: str = "2026-01-05",
    volume: Float1D | None = None,
    spread: Float1D | None = None,
) -> Market:
    """A market with given returns, from a Monday on."""
    mid = 100.0 * np.exp(np.cumsum(moves))
    stamps = pd.date_range(start, periods=len(moves), freq="min", tz="UTC", unit="ns")
    frame = pd.DataFrame({"ts": stamps, "mid": mid})
    frame["volume"] = 1.0 if volume is None else volume
    frame["bid"] = mid - spread / 2 if spread is not None else math.nan
    frame["ask"] = mid + spread / 2 if spread is not None else math.nan
    return dataclasses.replace(simulate_market(days=1), symbol="MADE", frame=frame)


@pytest.fixture(scope="module")
def simulated() -> Market:
    """Ten days of the synthetic market."""
    return simulate_market(days=10)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(5)


def test_every_fact_has_a_number_a_sentence_and_a_sane_range(simulated: Market) -> None:
    """In the order of the list; names and sentences are unique."""
    assert list(market_facts(simulated)) == [fact.name for fact in FACTS]
    assert len({fact.about for fact in FACTS}) == len(FACTS)
    assert all(fact.low < fact.high for fact in FACTS if not math.isnan(fact.low))


def test_moments_and_memory_are_those_of_scipy_and_statsmodels(simulated: Market) -> None:
    """Kurtosis equal, autocorrelations up to their edges, on a market without holes."""
    found = market_facts(simulated)
    moves = np.diff(np.log(simulated.frame["mid"].to_numpy()))
    size = np.abs(moves)
    assert found["sd_bp"] == pytest.approx(1e4 * moves.std(), rel=1e-12)
    assert found["kurtosis_1m"] == pytest.approx(kurtosis(moves), rel=1e-9)
    expected = acf(size, nlags=1440, fft=True)
    for lag in (1, 5, 15, 60, 240):
        assert found[f"size_acf_{lag}"] == pytest.approx(expected[lag], abs=0.02)
    assert found["return_acf_1"] == pytest.approx(acf(moves, nlags=1)[1], abs=1e-3)


def test_a_gaussian_walk_has_none_of_it(rng: np.random.Generator) -> None:
    """No tails, no memory, no profile: what the ranges must tell apart."""
    fact = {item.name: item for item in FACTS}
    found = market_facts(market_of(1e-4 * rng.standard_normal(N)))
    assert abs(found["kurtosis_1m"]) < 0.2
    assert found["beyond_5sd"] < 1
    assert found["variance_ratio_5"] == pytest.approx(1.0, abs=0.05)
    assert found["hour_ratio"] == pytest.approx(1.1, abs=0.05)
    for name in ("kurtosis_1m", "hill", "size_acf_1", "size_acf_60", "daily_log_sd", "us_minute"):
        assert fact[name].holds(found[name]) is False, name


@pytest.mark.parametrize("alpha", [2.5, 4.0])
def test_the_hill_index_is_the_tail_exponent(rng: np.random.Generator, alpha: float) -> None:
    """Recovered on Pareto moves within three standard errors (alpha / sqrt(k))."""
    moves = 1e-5 * (1 + rng.pareto(alpha, N)) * rng.choice([-1.0, 1.0], N)
    found = market_facts(market_of(moves))["hill"]
    assert found == pytest.approx(alpha, abs=3 * alpha / math.sqrt(N / 100))


def test_a_planted_correlation_is_found(rng: np.random.Generator) -> None:
    """Returns that carry on by a tenth: autocorrelation 0.1, variance ratio by its formula."""
    moves = 1e-4 * rng.standard_normal(N)
    for i in range(1, N):
        moves[i] += 0.1 * moves[i - 1]
    found = market_facts(market_of(moves))
    ratio = 1 + 2 * sum((1 - k / 5) * 0.1**k for k in range(1, 5))
    assert found["return_acf_1"] == pytest.approx(0.1, abs=0.02)
    assert found["variance_ratio_5"] == pytest.approx(ratio, abs=0.04)


def test_a_profile_is_read_from_the_clock(rng: np.random.Generator) -> None:
    """Twice the size at 14 h, half at 4 h, 1.2 x at quarter hours, 0.7 x on weekends."""
    minute = np.arange(N) % 1440
    factor = np.where(minute // 60 == 14, 2.0, np.where(minute // 60 == 4, 0.5, 1.0))
    factor = factor * np.where(minute % 15 == 0, 1.2, 1.0)
    weekend = np.arange(N) // 1440 % 7 >= 5
    moves = 1e-4 * rng.choice([-1.0, 1.0], N) * factor * np.where(weekend, 0.7, 1.0)
    found = market_facts(market_of(moves, volume=np.where(weekend, 2.0, 4.0)))
    assert (found["peak_hour"], found["low_hour"]) == (14, 4)
    assert found["hour_ratio"] == pytest.approx(4.0, rel=0.01)
    assert found["quarter_hours"] == pytest.approx(1.2, rel=0.01)
    assert found["weekend_size"] == pytest.approx(0.7, rel=0.01)
    assert found["weekend_volume"] == pytest.approx(0.5)


def test_a_spread_of_whole_ticks_is_counted_in_ticks(rng: np.random.Generator) -> None:
    """Three widths, the middle one four times as often; wider in one hour of the day."""
    step = np.tile([2.0, 3.0, 3.0, 3.0, 3.0, 4.0], N // 6)
    late = np.arange(N) % 1440 // 60 == 21
    spread = 0.01 * np.where(late, 30.0, step)
    found = market_facts(market_of(1e-6 * rng.standard_normal(N), spread=spread))
    assert found["spread_values"] == 4
    assert found["spread_mode"] == pytest.approx(4 / 6 * 23 / 24)
    assert found["spread_median_bp"] == pytest.approx(3.0, rel=1e-3)
    assert found["spread_max"] == pytest.approx(10.0)
    assert found["spread_rollover"] == pytest.approx(10.0)


def test_a_hole_is_no_return(simulated: Market) -> None:
    """A jump over missing bars is in no return, and the facts hardly move."""
    frame = simulated.frame.copy()
    frame.loc[7000:, ["mid", "bid", "ask"]] *= 1.5
    holed = dataclasses.replace(simulated, frame=frame.drop(index=range(6000, 7000)))
    found, whole = market_facts(holed), market_facts(simulated)
    for name in ("sd_bp", "hill", "size_acf_1", "daily_log_sd", "volume_acf_1"):
        assert found[name] == pytest.approx(whole[name], rel=0.15), name


def test_what_is_not_recorded_is_nan() -> None:
    """Without quotes and weekends there is nothing to say, and nothing is in or out of range."""
    market = simulate_market(days=5, quotes=False)  # Thursday to Monday
    weekdays = market.frame["ts"].dt.day_of_week < 5
    found = market_facts(dataclasses.replace(market, frame=market.frame[weekdays]))
    spreads = [name for name in found if name.startswith("spread")]
    assert len(spreads) == 8
    for name in (*spreads, "weekend_size", "weekend_volume"):
        assert math.isnan(found[name]), name
    assert {fact.holds(found[fact.name]) for fact in FACTS if fact.name in spreads} == {None}


@pytest.mark.parametrize(
    ("value", "holds"), [(0.24, True), (0.2351, True), (0.2349, False), (0.30, True), (0.31, False)]
)
def test_a_range_is_judged_at_the_printed_digits(value: float, *, holds: bool) -> None:
    """What reads 0.24 on the screen is 0.24; both ends are in."""
    assert Fact("size", "x", 0.24, 0.30).holds(value) is holds
    assert Fact("size", "x").holds(value) is None


def test_too_short_and_frozen_markets_are_refused() -> None:
    """Four days, or a price that never moves, have no facts."""
    with pytest.raises(EmptyWindowError, match=r"4\.0 days"):
        market_facts(simulate_market(days=4))
    with pytest.raises(EmptyWindowError, match="never moves"):
        market_facts(market_of(np.zeros(N)))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz",
            {"sd_bp": 4.56, "kurtosis_1m": 12.1, "kurtosis_5m": 19.7, "hill": 3.92}
            | {"beyond_5sd": 28, "size_acf_1": 0.30, "size_acf_60": 0.16, "daily_log_sd": 0.34},
        ),
        (
            "fx_bidask_1m/GBPUSD_fxcm_m1_bid_201202.csv.gz",
            {"sd_bp": 1.28, "kurtosis_1m": 19.7, "hill": 3.46, "return_acf_1": -0.033}
            | {"zero_share": 0.021, "spread_values": 121, "spread_mode": 0.13, "hour_ratio": 3.3},
        ),
        (
            "mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz",
            {"sd_bp": 4.43, "kurtosis_5m": 9.1, "spread_values": 8, "spread_mode": 0.78}
            | {"spread_rollover": 1.1, "volume_acf_1": 0.89, "volume_size_corr": 0.40},
        ),
    ],
    ids=["BTCUSDT", "GBPUSD", "XAUUSD"],
)
def test_recorded_markets_measure_as_others_measured_them(
    real_data: Path, file: str, expected: dict[str, float]
) -> None:
    """Against numbers taken from the same files by other code, to their printed digits."""
    found = market_facts(read_market([real_data / file]))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=0.025, abs=0.006), name
