"""Each feature against a definition written another way."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.bars import ASK, BID, CLOSE, HIGH, LOW, MID, TS, VOLUME
from mlwb.features import FeatureStream, specs
from mlwb.features.batch import compute
from tests.strategies import walk_bars

# The worked example of the RSI on StockCharts' ChartSchool: closes and the 14-period RSI.
CLOSES = """44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931
46.0328 45.6140 46.2820 46.2820 46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137
46.4515 45.7835 45.3548 44.0288 44.1783 44.2181 44.5672 43.4205 42.6628 43.1314"""
RSI = """70.53 66.32 66.55 69.41 66.36 57.97 62.93 63.26 56.06 62.38 54.71 50.42 39.99 41.46 41.87
45.46 37.30 33.08 37.77"""
# The first smoothed values of Wilder's own example (New Concepts in Technical Trading Systems,
# 1978); after these his hand rounding shows.
WILDER_CLOSES = """54.80 56.80 57.85 59.85 60.57 61.10 62.17 60.60 62.35 62.15 62.35 61.45 62.80
61.37 62.50 62.57 60.80 59.37 60.35 62.35 62.17 62.55"""
WILDER_RSI = "74.21 74.34 65.87 59.93 62.43 66.96 66.18 67.05"


def one(name: str, bars: Float2D, *, quoted: bool = True) -> Float1D:
    """One feature over all bars."""
    return np.asarray(compute(specs([name], quoted=quoted), bars)[:, 0])


def priced(mids: object) -> Float2D:
    """Consecutive minutes with the given mids and nothing else of interest."""
    values = np.asarray(mids, dtype=np.float64)
    bars = walk_bars(len(values))
    for column in (MID, CLOSE, HIGH, LOW):
        bars[:, column] = values
    return bars


def drop(bars: Float2D, *rows: int) -> Float2D:
    """The bars without some rows."""
    return np.asarray(np.delete(bars, rows, axis=0))


def numbers(text: str) -> Float1D:
    """Numbers of a text."""
    return np.array([float(word) for word in text.split()])


def test_bias_is_one() -> None:
    """The intercept's column is constant."""
    assert set(one("bias", walk_bars(50))) == {1.0}


@pytest.mark.parametrize(("name", "lag"), [("mid_logret_1m", 1), ("mid_logret_5m", 5)])
def test_log_return_is_numpys(name: str, lag: int) -> None:
    """ln(mid_t / mid_{t-lag}) within one unit in the last place of numpy's logarithm."""
    bars = walk_bars(400)
    expected = np.log(bars[lag:, MID] / bars[:-lag, MID])
    found = one(name, bars)
    assert np.isnan(found[:lag]).all()
    np.testing.assert_array_max_ulp(found[lag:], expected, maxulp=1)


@pytest.mark.parametrize("gap", [1, 2, 4, 5, 6, 7, 12, 100])
@pytest.mark.parametrize(("name", "lag"), [("mid_logret_1m", 1), ("mid_logret_5m", 5)])
def test_log_return_needs_that_very_bar(name: str, lag: int, gap: int) -> None:
    """NaN exactly where the minute ``lag`` before is missing; never an older mid in its place."""
    bars = drop(walk_bars(200), *range(40, 40 + gap))
    minutes = (bars[:, TS] // 60).tolist()
    missing = [minute - lag not in minutes for minute in minutes]
    assert sum(missing) == lag + min(lag, gap)
    assert np.isnan(one(name, bars)).tolist() == missing


@pytest.mark.parametrize("mid", [0.0, -1.0, math.nan])
def test_prices_that_are_none_give_no_return(mid: float) -> None:
    """Zero, negative and missing prices make the returns they touch NaN, and those only."""
    bars = walk_bars(10)
    bars[5, MID] = mid
    assert set(np.flatnonzero(np.isnan(one("mid_logret_1m", bars)))) == {0, 5, 6}


def test_quoted_spread_is_the_definition() -> None:
    """1e4 (ask - bid) / mid; a locked book is 0, a crossed or one-sided one is NaN."""
    bars = walk_bars(6)
    bars[1, ASK] = bars[1, BID]
    bars[2, ASK] = bars[2, BID] - 0.01
    bars[3, ASK] = math.nan
    bars[4, MID] = 0.0
    found = one("spread_bp", bars)
    assert found[0] == 1e4 * (bars[0, ASK] - bars[0, BID]) / bars[0, MID]
    assert found[1] == 0.0
    assert np.isnan(found[2:5]).all()
    assert found[5] > 0.0


def test_estimated_spread_is_abdi_and_ranaldo() -> None:
    """Without quotes: the root of the 60-minute mean of 4 (c' - eta')(c' - eta), by pandas."""
    bars = walk_bars(300)
    c, eta = np.log(bars[:, CLOSE]), np.log(bars[:, HIGH] * bars[:, LOW]) / 2.0
    terms = pd.Series(4.0 * (c - eta) * (c - np.roll(eta, -1))).shift(1)
    mean = terms.rolling(60, min_periods=57).mean().clip(lower=0.0)
    expected = 1e4 * np.sqrt(mean.to_numpy())
    found = one("spread_bp", bars, quoted=False)
    assert (found[60:] > 0).any()
    np.testing.assert_allclose(found**2, expected**2, rtol=1e-9, atol=1e-5)


def test_estimated_spread_recovers_a_bounce() -> None:
    """Closes thrown between bid and ask around a slow walk: the estimate is near their spread."""
    rng = np.random.default_rng(4)
    n, ticks = 3_000, 40
    path = 1e3 * np.exp(np.cumsum(rng.normal(0.0, 2e-5, n * ticks)))
    trades = (path * (1.0 + rng.choice([-5e-4, 5e-4], n * ticks))).reshape(n, ticks)
    bars = priced(path.reshape(n, ticks)[:, -1])
    bars[:, CLOSE], bars[:, HIGH], bars[:, LOW] = trades[:, -1], trades.max(1), trades.min(1)
    assert np.nanmedian(one("spread_bp", bars, quoted=False)) == pytest.approx(10.0, rel=0.15)


def test_log_volume() -> None:
    """log1p of the volume; nothing traded is 0, a negative or missing volume is NaN."""
    bars = walk_bars(4)
    bars[:, VOLUME] = [0.0, 10.5, -1.0, math.nan]
    found = one("vol1m_log", bars)
    assert found[:2].tolist() == [0.0, math.log1p(10.5)]
    assert np.isnan(found[2:]).all()


@pytest.mark.parametrize(
    ("closes", "expected"), [(CLOSES, RSI), (WILDER_CLOSES, WILDER_RSI)], ids=["chart", "book"]
)
def test_rsi_is_the_published_example(closes: str, expected: str) -> None:
    """Published worked examples, to their last printed digit; the first value is the 15th."""
    found = 50.0 + 30.0 * one("rsi14_z", priced(numbers(closes)))
    assert np.isnan(found[:14]).all()
    np.testing.assert_allclose(found[14:], numbers(expected), atol=0.011)


def test_rsi_is_wilders_recipe() -> None:
    """100 - 100 / (1 + RS) with averages smoothed as Wilder (1978) writes, on 2,000 bars."""
    mids = [float(x) for x in walk_bars(2_000)[:, MID]]
    ups = [max(b - a, 0.0) for a, b in pairwise(mids)]
    downs = [max(a - b, 0.0) for a, b in pairwise(mids)]
    up, down = sum(ups[:14]) / 14, sum(downs[:14]) / 14
    expected = [100.0 - 100.0 / (1.0 + up / down)]
    for gain, loss in zip(ups[14:], downs[14:], strict=True):
        up, down = (up * 13 + gain) / 14, (down * 13 + loss) / 14
        expected.append(100.0 - 100.0 / (1.0 + up / down))
    found = 50.0 + 30.0 * one("rsi14_z", priced(mids))
    np.testing.assert_allclose(found[14:], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("mids", "value"),
    [([5.0] * 20, 0.0), (range(1, 21), 50 / 30), (range(30, 10, -1), -50 / 30)],
    ids=["flat", "only gains", "only losses"],
)
def test_rsi_at_its_ends(mids: object, value: float) -> None:
    """Flat is 50, only gains 100, only losses 0 (scaled)."""
    assert one("rsi14_z", priced(mids))[-1] == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(("missing", "restarts"), [(4, False), (5, True)])
def test_rsi_restarts_after_more_than_five_minutes(missing: int, *, restarts: bool) -> None:
    """300 s between two bars goes on; 360 s starts again, as a stream that begins there."""
    bars = drop(walk_bars(80), *range(40, 40 + missing))
    found, fresh = one("rsi14_z", bars), one("rsi14_z", bars[40:])
    assert np.isnan(found[40]) == restarts
    assert np.array_equal(found[40:], fresh, equal_nan=True) == restarts


def test_rsi_leaves_a_missing_price_out() -> None:
    """A bar without a price has no value and changes nothing: the rest is as without that bar."""
    bars = walk_bars(60)
    bars[30, MID] = math.nan
    found = one("rsi14_z", bars)
    assert np.isnan(found[30])
    assert np.array_equal(drop(found[:, None], 30)[:, 0], one("rsi14_z", drop(bars, 30)), True)


def exact_z(window: Float1D) -> float:
    """The z-score of the last value by exact rational arithmetic."""
    values = [Fraction(float(x)) for x in window]
    mean = sum(values) / len(values)
    variance = sum((x - mean) ** 2 for x in values) / len(values)
    return float(values[-1] - mean) / math.sqrt(variance)


@pytest.mark.parametrize("level", [0.0, 1e6])
def test_zscore_is_exact(level: float) -> None:
    """Within 1e-9 of rational arithmetic, also where sums of squares would cancel 12 digits."""
    bars = walk_bars(1_700)
    bars[:, MID] += level
    found = one("zscore_mid_24h", bars)
    for row in (1_439, 1_440, 1_501, 1_699):
        expected = exact_z(bars[row - 1_439 : row + 1, MID])
        assert found[row] == pytest.approx(expected, rel=1e-9)


def test_zscore_is_pandas_by_the_clock() -> None:
    """Every row equals a pandas time window with gaps: (t - 24 h, t], ddof 0, 95 % of minutes."""
    rng = np.random.default_rng(5)
    keep = rng.random(3_200) > 0.02
    keep[2_000:2_060] = False
    bars = walk_bars(3_200, seed=5, keep=keep)
    mid = pd.Series(bars[:, MID], index=pd.to_datetime(bars[:, TS], unit="s"))
    window = mid.rolling("1D", min_periods=1_368)
    expected = ((mid - window.mean()) / window.std(ddof=0)).to_numpy()
    found = one("zscore_mid_24h", bars)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.isfinite(found).any()
    assert np.isnan(found[-1_000:]).any()
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(("missing", "known"), [(72, True), (73, False)])
def test_zscore_needs_95_percent(missing: int, *, known: bool) -> None:
    """1,368 of 1,440 minutes are enough, 1,367 are not."""
    rows = np.random.default_rng(0).choice(np.arange(1, 1_438), size=missing, replace=False)
    assert np.isfinite(one("zscore_mid_24h", drop(walk_bars(1_440), *rows))[-1]) == known


def test_zscore_of_a_flat_day_is_zero() -> None:
    """No spread, no distance: 0, not a division by zero."""
    assert one("zscore_mid_24h", priced([7.3] * 1_500))[-1] == 0.0


def test_zscore_is_scale_free() -> None:
    """A token priced at a billionth has the very same z-score."""
    bars = walk_bars(1_500)
    small = bars.copy()
    small[:, MID] *= 2.0**-30
    found = one("zscore_mid_24h", bars)
    assert np.array_equal(found, one("zscore_mid_24h", small), equal_nan=True)


def gappy() -> tuple[Float2D, pd.Series, pd.Series]:
    """Bars with gaps, squared 1-minute returns by row, and their clock-hour means, by pandas."""
    keep = np.random.default_rng(9).random(900) > 0.1
    keep[400:410] = False
    bars = walk_bars(900, keep=keep)
    logs = pd.Series(np.log(bars[:, MID]), index=pd.to_datetime(bars[:, TS], unit="s"))
    squares = logs.diff().where(logs.index.to_series().diff() == pd.Timedelta("60s")) ** 2
    return bars, squares, squares.rolling("60min", min_periods=45).mean()


def test_realised_volatility_is_pandas_by_the_clock() -> None:
    """Log of the root mean square 1-minute return over an hour, bp; 75 % of the returns needed."""
    bars, _, hour = gappy()
    found = one("realised_vol_60m", bars)
    assert np.isnan(found[60:]).any()
    np.testing.assert_allclose(found, np.log(1e4 * np.sqrt(hour)), rtol=1e-9)


def test_volatility_ratio_is_pandas() -> None:
    """Log of the root mean square over five minutes, three returns needed, over the hour's."""
    bars, squares, hour = gappy()
    five = squares.rolling("5min", min_periods=3).mean()
    found = one("vol_ratio", bars)
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found, np.log(np.sqrt(five / hour)), rtol=1e-7, atol=1e-9)


def test_flat_market_has_the_least_volatility_not_minus_infinity() -> None:
    """Without a move the volatility is its floor of 0.01 bp, and the ratio of two floors is 0."""
    flat = priced([100.0] * 90)
    assert one("realised_vol_60m", flat)[-1] == math.log(0.01)
    assert one("vol_ratio", flat)[-1] == 0.0


def test_time_of_day_goes_round_the_circle() -> None:
    """Midnight is (0, 1), six o'clock (1, 0); a day later is the same point; the radius is 1."""
    bars = walk_bars(2_880)
    sine, cosine = one("minute_sin", bars), one("minute_cos", bars)
    assert (sine[0], cosine[0], sine[360]) == (0.0, 1.0, 1.0)
    assert cosine[360] == pytest.approx(0.0, abs=1e-15)
    np.testing.assert_allclose(sine**2 + cosine**2, 1.0, rtol=1e-15)
    assert np.array_equal(sine[:1_440], sine[1_440:])


def test_absurd_tick_leaves_no_trace() -> None:
    """A price of 1e300 spoils the windows it is in and nothing after them."""
    bars = walk_bars(400)
    spoiled = bars.copy()
    spoiled[100, MID] = 1e300
    chosen = specs(["mid_logret_1m", "realised_vol_60m", "vol_ratio"])
    online = FeatureStream(chosen)
    found = np.array([online.step(row) for row in spoiled.tolist()])
    assert np.array_equal(found[180:], compute(chosen, bars)[180:])
