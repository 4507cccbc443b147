"""A synthetic market that behaves as recorded ones do, seeded and fast.

The log volatility is a sum of three mean-reverting factors (minutes, hours, a day), a day
profile and a weekend level; returns have Student-t shocks; volume follows volatility and the
size of the move; spreads are whole ticks that widen at the rollover. ``docs/data.md`` shows the
measured facts beside those of recorded markets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.errors import ParamsError
from mlwb.data._assemble import assemble
from mlwb.data._defects import DefectPlan, inject_defects
from mlwb.data._market import VALUE_FIELDS, Market, RawBars, SourceInfo

__all__ = ["simulate_market"]

_DAY_MIN = 1440
_START = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_DAYS = 3650

# Fitted by hand to BTC and ETH spot, May to August 2025: see docs/data.md.
_SIGMA = 3.7e-4
_FACTORS = ((3.0, 0.30), (60.0, 0.34), (400.0, 0.24))  # half-life in minutes, sd of log sigma
_WEEKEND = -0.30
_QUARTER_HOUR = 0.10
_SHOCK_DF = 7.0
_ZERO_SHARE = 0.02
_PRICE, _TICK = 60_000.0, 0.2
_SPREAD = 0.5e-4


@dataclass(frozen=True)
class _Path:
    """What one draw of the market is made of."""

    log_sigma: Float1D
    shocks: Float1D
    close: Float1D
    mid_half_ticks: Int1D


def simulate_market(
    *,
    days: int = 90,
    seed: int = 7,
    symbol: str = "SYNTH",
    start: datetime = _START,
    volatility_edge: bool | float = True,
    direction_ic: float = 0.0,
    defects: DefectPlan | None = None,
    quotes: bool = True,
) -> Market:
    """Simulate a round-the-clock market of 1-minute bars.

    Parameters
    ----------
    days : int, default=90
    seed : int, default=7
        Same seed, same market, bit for bit on one platform and library version.
    symbol : str, default="SYNTH"
    start : datetime, default=2026-01-01 UTC
        Timezone-aware, on a minute.
    volatility_edge : bool or float, default=True
        How predictable the size of moves is: 1 (True) as in recorded crypto markets, 0 (False)
        constant volatility, so that no model can rank the size of moves.
    direction_ic : float, default=0.0
        Correlation of one minute's standardised return with the next one's; 0 leaves nothing
        that a direction model could find. Within (-1, 1).
    defects : DefectPlan, optional
        Faults to inject; see :class:`DefectPlan`.
    quotes : bool, default=True
        Whether the market has bid and ask.

    Returns
    -------
    Market
        ``source.origin`` is ``"simulated"``.

    Raises
    ------
    ParamsError
        A parameter is out of range.

    Examples
    --------
    >>> market = simulate_market(days=1, seed=3)
    >>> len(market.frame), market.has_quotes
    (1440, True)
    """
    _check(days=days, direction_ic=direction_ic, edge=float(volatility_edge), start=start)
    rng = np.random.default_rng(seed)
    minutes = int(start.timestamp()) // INTERVAL_S + np.arange(days * _DAY_MIN)
    path = _draw_path(rng, minutes, edge=float(volatility_edge), direction_ic=direction_ic)
    values = _draw_bars(rng, minutes, path, quotes=quotes)
    raw = RawBars(ts_ns=minutes * (INTERVAL_S * 10**9), cells=values)
    decisions: tuple[str, ...] = (f"simulated: {days} days, seed {seed}",)
    if defects is not None:
        injected = inject_defects(raw, defects, rng)
        raw, decisions = injected.raw, (*decisions, *injected.decisions)
    source = SourceInfo(
        profile="synthetic",
        inputs=(),
        decisions=decisions,
        clock="utc",
        calendar="24/7",
        origin="simulated",
        volume_unit="base",
    )
    return assemble(raw, symbol=symbol, source=source)


def _check(*, days: int, direction_ic: float, edge: float, start: datetime) -> None:
    if not 1 <= days <= _MAX_DAYS:
        raise ParamsError("days out of range", expected=f"1 to {_MAX_DAYS}", got=str(days))
    if not abs(direction_ic) < 1:
        raise ParamsError(
            "direction_ic out of range", expected="-1 < direction_ic < 1", got=str(direction_ic)
        )
    if not 0 <= edge <= 2:
        raise ParamsError("volatility_edge out of range", expected="0 to 2", got=str(edge))
    if start.tzinfo is None or start.timestamp() % INTERVAL_S:
        raise ParamsError(
            "start is no minute of UTC", expected="a timezone and no seconds", got=str(start)
        )


def _reverting(shocks: Float1D, half_life_min: float, sd: float) -> Float1D:
    """A stationary AR(1) of a given half-life and standard deviation."""
    keep = 0.5 ** (1.0 / half_life_min)
    scaled = shocks * (sd * math.sqrt(1.0 - keep * keep))
    scaled[0] = shocks[0] * sd
    return _recursed(scaled, keep)


def _recursed(values: Float1D, keep: float) -> Float1D:
    """``y_t = keep * y_{t-1} + values_t``."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -keep], values))


def _day_profile(minutes: Int1D) -> Float1D:
    """Log of the usual volatility: low at 4 h, peak at 14 h UTC, quarter hours, weekends."""
    minute = np.arange(_DAY_MIN)
    hour = minute / 60.0
    shape = 0.30 * np.cos((hour - 15.5) * np.pi / 12) + 0.08 * np.cos((hour - 14.0) * np.pi / 6)
    shape += np.where(minute % 15 == 0, _QUARTER_HOUR, 0.0)
    weekday = (minutes // _DAY_MIN + 3) % 7
    return np.asarray(shape[minutes % _DAY_MIN] + np.where(weekday >= 5, _WEEKEND, 0.0))


def _draw_path(
    rng: np.random.Generator, minutes: Int1D, *, edge: float, direction_ic: float
) -> _Path:
    n = len(minutes)
    log_sigma = _day_profile(minutes)
    for half_life_min, sd in _FACTORS:
        log_sigma += _reverting(rng.standard_normal(n), half_life_min, sd)
    log_sigma *= edge
    shocks = rng.standard_t(_SHOCK_DF, n) * math.sqrt((_SHOCK_DF - 2.0) / _SHOCK_DF)
    if direction_ic:
        fresh = shocks * math.sqrt(1.0 - direction_ic * direction_ic)
        shocks = _recursed(fresh, direction_ic)
    moves = np.exp(log_sigma) * shocks * _SIGMA
    moves[rng.random(n) < _ZERO_SHARE] = 0.0
    close = _PRICE * np.exp(np.cumsum(moves))
    return _Path(log_sigma, shocks, close, np.rint(close * (2.0 / _TICK)).astype(np.int64))


def _draw_bars(rng: np.random.Generator, minutes: Int1D, path: _Path, *, quotes: bool) -> Float2D:
    n = len(minutes)
    values = np.full((n, len(VALUE_FIELDS)), np.nan)
    last = path.mid_half_ticks // 2
    first = np.concatenate([last[:1], last[:-1]])
    reach = np.exp(path.log_sigma) * path.close * (_SIGMA * 0.4 / _TICK)
    up, down = (np.abs(rng.standard_normal(n)) * reach for _ in range(2))
    values[:, 0] = first * _TICK
    values[:, 1] = (np.maximum(first, last) + np.floor(up)) * _TICK
    values[:, 2] = (np.minimum(first, last) - np.floor(down)) * _TICK
    values[:, 3] = last * _TICK
    values[:, 4] = _draw_volume(rng, path)
    if quotes:
        spread = _draw_spread(rng, minutes, path.close)
        spread += (path.mid_half_ticks - spread) % 2  # so that the mid stays where it is
        bid = (path.mid_half_ticks - spread) // 2
        values[:, 5] = bid * _TICK
        values[:, 6] = (bid + spread) * _TICK
        for column in (7, 8):
            values[:, column] = np.round(np.exp(0.5 + 0.9 * rng.standard_normal(n)), 3)
    return values


def _draw_volume(rng: np.random.Generator, path: _Path) -> Float1D:
    n = len(path.shocks)
    mood = _reverting(rng.standard_normal(n), 30.0, 0.45)
    size = np.minimum(np.abs(path.shocks), 4.0) - 0.75
    noise = 0.35 * rng.standard_normal(n)
    volume = np.exp(2.3 + 1.1 * path.log_sigma + 0.38 * size + mood + noise)
    return np.asarray(np.maximum(np.round(volume, 3), 0.001))


def _draw_spread(rng: np.random.Generator, minutes: Int1D, close: Float1D) -> Int1D:
    """Whole ticks; up to six times as wide around the rollover at 21:30 UTC."""
    n = len(minutes)
    hours_off = np.abs((minutes % _DAY_MIN) / 60.0 - 21.5)
    rollover = math.log(6.0) * np.clip(1.0 - hours_off / 0.75, 0.0, None)
    mood = _reverting(rng.standard_normal(n), 20.0, 0.18) + 0.08 * rng.standard_t(4.0, n)
    ticks = np.rint(np.exp(rollover + mood) * close * (_SPREAD / _TICK)).astype(np.int64)
    return np.maximum(ticks, 1)
