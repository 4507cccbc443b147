"""Stylised facts of a market: what minutes of traded prices have in common, as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.data._market import Market

__all__ = ["FACTS", "Fact", "market_facts"]

_DAY_MIN = 1440
_LAGS = (1, 5, 15, 60, 240, 1440)
_LEAST_DAYS = 5
_NAN = math.nan


@dataclass(frozen=True)
class Fact:
    """One number and where recorded markets have it.

    Parameters
    ----------
    name : str
    about : str
        What is measured, one line.
    low, high : float
        Range in recorded markets, both ends included; NaN where a fact is shown only.
    digits : int, default=2
        Decimals worth printing.
    """

    name: str
    about: str
    low: float = _NAN
    high: float = _NAN
    digits: int = 2

    def holds(self, value: float) -> bool | None:
        """Whether a value lies in the range; None without a range or a value."""
        if math.isnan(value) or math.isnan(self.low):
            return None
        return self.low <= round(value, self.digits) <= self.high


FACTS = (
    Fact("sd_bp", "sd of a minute's log return, bp"),
    Fact("kurtosis_1m", "excess kurtosis of 1-minute returns", 8, 60, 1),
    Fact("kurtosis_5m", "of 5-minute returns", 6, 20, 1),
    Fact("kurtosis_60m", "of 60-minute returns", 4, 9, 1),
    Fact("hill", "Hill tail index, largest 1 % of moves", 2.6, 4.2),
    Fact("beyond_5sd", "moves beyond 5 sd, per 10,000", 19, 46, 0),
    Fact("size_acf_1", "autocorrelation of move sizes, a minute", 0.24, 0.30),
    Fact("size_acf_5", "of move sizes, 5 minutes", 0.17, 0.25),
    Fact("size_acf_15", "of move sizes, 15 minutes"),
    Fact("size_acf_60", "of move sizes, 60 minutes", 0.10, 0.17),
    Fact("size_acf_240", "of move sizes, 4 hours"),
    Fact("size_acf_1440", "of move sizes, a day", 0.05, 0.10),
    Fact("return_acf_1", "autocorrelation of returns, a minute", -0.06, 0.04, 3),
    Fact("variance_ratio_5", "variance ratio of 5-minute returns", 0.89, 1.04),
    Fact("leverage", "correlation of return and the next hour's move sizes", -0.05, 0.0),
    Fact("hour_ratio", "move size by hour of day, largest / smallest", 1.3, 2.4),
    Fact("peak_hour", "hour of the largest moves, UTC", 13, 15, 0),
    Fact("low_hour", "hour of the smallest moves, UTC", 4, 5, 0),
    Fact("quarter_hours", "move size, quarter hours / other minutes", 1.09, 1.15),
    Fact("us_minute", "move size, largest minute of 12:30-13:50 UTC / mean", 1.7, 2.6),
    Fact("daily_log_sd", "sd of the log of daily volatility", 0.28, 0.36),
    Fact("daily_log_acf_1", "autocorrelation of it, a day", 0.25, 0.66),
    Fact("weekend_size", "move size on weekends / weekdays", 0.62, 0.74),
    Fact("weekend_volume", "volume on weekends / weekdays", 0.54, 0.57),
    Fact("volume_hour_ratio", "volume by hour of day, largest / smallest", 1.6, 8.0),
    Fact("zero_share", "share of minutes that do not move", 0.003, 0.064, 3),
    Fact("volume_acf_1", "autocorrelation of log volume, a minute", 0.60, 0.89),
    Fact("volume_size_corr", "correlation of log volume with move size", 0.40, 0.55),
    Fact("spread_median_bp", "median spread, bp"),
    Fact("spread_values", "distinct spreads in ticks", 8, 383, 0),
    Fact("spread_mode", "share of the commonest spread", 0.13, 0.99),
    Fact("spread_acf_1", "autocorrelation of spreads, a minute", 0.70, 0.96),
    Fact("spread_acf_1440", "of spreads, a day", 0.20, 0.60),
    Fact("spread_max", "widest spread / median", 10, 120, 0),
    Fact("spread_rollover", "spread by hour of day, largest / smallest", 2.0, 11.0, 1),
    Fact("spread_size_corr", "correlation of spread with move size", -0.06, 0.06),
)
"""Ranges of recorded 1-minute bars, 2012 to 2026: crypto for moves and volume, quoted currencies
and gold for spreads."""


@dataclass(frozen=True)
class _Grid:
    """A market on every minute of its days; NaN where there is no bar."""

    minute: Int1D
    log_mid: Float1D
    moves: Float1D
    volume: Float1D
    spread: Float1D


def market_facts(market: Market) -> Mapping[str, float]:
    """Measure every fact of :data:`FACTS` on a market.

    Returns are taken between neighbouring minutes only, so no gap and no weekend is in them;
    longer returns are sums of whole blocks by the clock.

    Parameters
    ----------
    market : Market
        At least five days.

    Returns
    -------
    mapping of str to float
        In the order of :data:`FACTS`; NaN where the market has nothing to measure (volume,
        quotes, weekends).

    Raises
    ------
    EmptyWindowError
        Less than five days, or a price that never moves.
    """
    grid = _grid(market)
    n_known = int(np.isfinite(grid.moves).sum())
    if len(grid.minute) < _LEAST_DAYS * _DAY_MIN or n_known < _DAY_MIN:
        raise EmptyWindowError(
            f"{market.symbol} is too short for its facts",
            expected=f"{_LEAST_DAYS} days",
            got=f"{len(grid.minute) / _DAY_MIN:.1f} days with {n_known} returns",
        )
    if not np.nanstd(grid.moves) > 0:
        raise EmptyWindowError(f"{market.symbol} never moves")
    found = {
        **_tails(grid),
        **_memory(grid),
        **_day_profile(grid),
        **_days(grid),
        **_volume(grid),
        **_spread(grid, _tick(market)),
    }
    return {fact.name: found[fact.name] for fact in FACTS}


def _grid(market: Market) -> _Grid:
    frame = market.frame
    minute = frame["ts"].to_numpy(dtype="datetime64[m]").astype(np.int64)
    first = int(minute[0])
    at = minute - first
    n = int(at[-1]) + 1

    def laid_out(values: Float1D) -> Float1D:
        cells = np.full(n, _NAN)
        cells[at] = values
        return cells

    log_mid = laid_out(np.log(frame["mid"].to_numpy(dtype=np.float64)))
    spread = frame["ask"].to_numpy(np.float64) - frame["bid"].to_numpy(np.float64)
    return _Grid(
        minute=first + np.arange(n),
        log_mid=log_mid,
        moves=np.diff(log_mid, prepend=_NAN),
        volume=laid_out(frame["volume"].to_numpy(dtype=np.float64)),
        spread=laid_out(spread),
    )


def _tick(market: Market) -> float:
    """The step of the quotes: the smallest difference between two spreads that is no rounding."""
    spread = (market.frame["ask"] - market.frame["bid"]).dropna().to_numpy(np.float64)
    if not len(spread):
        return _NAN
    level = float(np.nanmedian(market.frame["mid"].to_numpy(np.float64)))
    steps = np.diff(np.unique(spread))
    steps = steps[steps > level * 1e-9]
    return float(steps.min()) if len(steps) else float(np.abs(spread).max())


def _mean(values: Float1D) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else _NAN


def _ratio(above: float, below: float) -> float:
    """NaN where there is nothing to divide by."""
    return float(above / below) if below > 0 else _NAN


def _corr(x: Float1D, y: Float1D) -> float:
    """Correlation over the rows where both are known; NaN of fewer than ten or of a constant."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 10 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _NAN
    return float(np.corrcoef(x, y)[0, 1])


def _acf(values: Float1D, lag: int) -> float:
    return _corr(values[lag:], values[:-lag])


def _kurtosis(values: Float1D) -> float:
    known = values[np.isfinite(values)]
    if len(known) < 10:
        return _NAN
    centred = known - known.mean()
    return _ratio(float((centred**4).mean()), float((centred**2).mean() ** 2)) - 3.0


def _blocks(grid: _Grid, minutes: int) -> Float1D:
    """Returns over whole blocks by the clock; NaN where a minute is missing."""
    skip = int(-grid.minute[0] % minutes)
    moves = grid.moves[skip:]
    n = len(moves) // minutes
    return np.asarray(moves[: n * minutes].reshape(n, minutes).sum(axis=1))


def _tails(grid: _Grid) -> dict[str, float]:
    moves = grid.moves[np.isfinite(grid.moves)]
    sd, size = float(moves.std()), np.sort(np.abs(moves))
    n_tail = max(10, len(size) // 100)
    tail, edge = size[-n_tail:], size[-n_tail - 1]
    return {
        "sd_bp": 1e4 * sd,
        "kurtosis_1m": _kurtosis(moves),
        "kurtosis_5m": _kurtosis(_blocks(grid, 5)),
        "kurtosis_60m": _kurtosis(_blocks(grid, 60)),
        "hill": 1.0 / float(np.log(tail / edge).mean()) if edge > 0 else _NAN,
        "beyond_5sd": 1e4 * float((size > 5 * sd).mean()),
        "zero_share": float((moves == 0).mean()),
    }


def _memory(grid: _Grid) -> dict[str, float]:
    size = np.abs(grid.moves)
    known, total = np.isfinite(size), np.cumsum(np.nan_to_num(size))
    hour = np.full(len(size), _NAN)
    hour[:-60] = total[60:] - total[:-60]
    n_known = np.cumsum(known)
    hour[:-60][n_known[60:] - n_known[:-60] < 60] = _NAN
    fives = _blocks(grid, 5)
    known_fives = fives[np.isfinite(fives)]
    ratio = float(known_fives.var() / (5.0 * np.nanvar(grid.moves))) if len(known_fives) else _NAN
    return {
        **{f"size_acf_{lag}": _acf(size, lag) for lag in _LAGS},
        "return_acf_1": _acf(grid.moves, 1),
        "variance_ratio_5": ratio,
        "leverage": _corr(grid.moves, hour),
    }


def _by(keys: Int1D, values: Float1D, n: int) -> Float1D:
    """Mean of the known values by key; NaN of none."""
    known = np.isfinite(values)
    count = np.bincount(keys[known], minlength=n)
    total = np.bincount(keys[known], weights=values[known], minlength=n)
    return np.asarray(np.divide(total, count, out=np.full(n, _NAN), where=count > 0))


def _largest_to_smallest(by_hour: Float1D) -> float:
    known = by_hour[np.isfinite(by_hour)]
    return _ratio(float(known.max()), float(known.min())) if len(known) else _NAN


def _day_profile(grid: _Grid) -> dict[str, float]:
    size, of_day = np.abs(grid.moves), grid.minute % _DAY_MIN
    by_hour = _by(of_day // 60, size, 24)
    by_minute = _by(of_day, size, _DAY_MIN)
    is_quarter = of_day % 15 == 0
    us = by_minute[12 * 60 + 30 : 13 * 60 + 51]
    return {
        "hour_ratio": _largest_to_smallest(by_hour),
        "peak_hour": float(np.nanargmax(by_hour)),
        "low_hour": float(np.nanargmin(by_hour)),
        "quarter_hours": _ratio(_mean(size[is_quarter]), _mean(size[~is_quarter])),
        "us_minute": _ratio(float(np.nanmax(us)), _mean(size)) if np.isfinite(us).any() else _NAN,
    }


def _days(grid: _Grid) -> dict[str, float]:
    day = grid.minute // _DAY_MIN
    keys = day - day[0]
    squares = _by(keys, grid.moves**2, int(keys[-1]) + 1)
    is_known = np.bincount(keys[np.isfinite(grid.moves)], minlength=len(squares)) > _DAY_MIN // 2
    log_daily = np.full(len(squares), _NAN)
    usable = is_known & (squares > 0)
    log_daily[usable] = 0.5 * np.log(squares[usable])
    is_weekend = (day + 3) % 7 >= 5
    size = np.abs(grid.moves)
    return {
        "daily_log_sd": float(np.nanstd(log_daily)) if usable.any() else _NAN,
        "daily_log_acf_1": _acf(log_daily, 1),
        "weekend_size": _ratio(_mean(size[is_weekend]), _mean(size[~is_weekend])),
        "weekend_volume": _ratio(_mean(grid.volume[is_weekend]), _mean(grid.volume[~is_weekend])),
    }


def _volume(grid: _Grid) -> dict[str, float]:
    log_volume = np.log(np.where(grid.volume > 0, grid.volume, _NAN))
    return {
        "volume_hour_ratio": _largest_to_smallest(
            _by(grid.minute % _DAY_MIN // 60, grid.volume, 24)
        ),
        "volume_acf_1": _acf(log_volume, 1),
        "volume_size_corr": _corr(log_volume, np.abs(grid.moves)),
    }


def _spread(grid: _Grid, tick: float) -> dict[str, float]:
    names = ("median_bp", "values", "mode", "acf_1", "acf_1440", "max", "rollover", "size_corr")
    known = np.isfinite(grid.spread)
    if not known.any():
        return {f"spread_{name}": _NAN for name in names}
    counts = np.unique(np.rint(grid.spread[known] / tick), return_counts=True)[1]
    median = float(np.median(grid.spread[known]))
    by_hour = _by(grid.minute % _DAY_MIN // 60, grid.spread, 24)
    mid = np.exp(grid.log_mid[known])
    found = (
        float(np.median(1e4 * grid.spread[known] / mid)),
        float(len(counts)),
        float(counts.max() / counts.sum()),
        _acf(grid.spread, 1),
        _acf(grid.spread, _DAY_MIN),
        _ratio(float(grid.spread[known].max()), median),
        _largest_to_smallest(by_hour),
        _corr(grid.spread, np.abs(grid.moves)),
    )
    return {f"spread_{name}": value for name, value in zip(names, found, strict=True)}
