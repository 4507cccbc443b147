"""A synthetic market that behaves as recorded ones do, seeded and fast.

The log volatility is a sum of three mean-reverting factors (minutes, an hour, a day), a day
profile and a weekend level; returns have Student-t shocks; volume follows volatility and the
size of the move; spreads are whole ticks that widen at the rollover. :mod:`mlwb.data._facts`
measures how like recorded markets the outcome is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.errors import ParamsError
from mlwb.data._assemble import assemble
from mlwb.data._defects import DefectPlan, inject_defects
from mlwb.data._market import VALUE_FIELDS, Market, RawBars, SourceInfo
from mlwb.data._volatility import log_volatility, recursed, reverting

__all__ = ["Regime", "simulate_market"]

_DAY_MIN = 1440
_START = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_DAYS = 3650

_MAX_IC = 0.9

# Fitted to BTC and ETH spot, May to August 2025: see docs/data.md.
_SIGMA = 3.6e-4
_SHOCK_DF = 7.0
_ZERO_SHARE = 0.02
_PRICE, _TICK = 60_000.0, 0.2
_SPREAD = 0.5e-4
_WEEKEND_VOLUME = -0.14
_SPIKES = 0.002
"""Share of minutes in which the quotes step back for a moment."""
_ROLLOVER_MIN, _ROLLOVER_WIDTH_MIN = 21 * 60 + 30, 45


@dataclass(frozen=True)
class Regime:
    """From a day on, until the next regime, another market.

    Parameters
    ----------
    day : float
        Days after the start, >= 0.
    volatility, volume, spread : float, default=1.0
        Factors of what the market would have, > 0. Volume follows volatility by itself; its
        factor comes on top.
    """

    day: float
    volatility: float = 1.0
    volume: float = 1.0
    spread: float = 1.0


@dataclass(frozen=True)
class _Path:
    """What one draw of the market is made of."""

    minutes: Int1D
    log_sigma: Float1D
    shocks: Float1D
    close: Float1D
    mid_half_ticks: Int1D
    spread_factor: Float1D
    volume_factor: Float1D


def simulate_market(
    *,
    days: int = 90,
    seed: int = 7,
    symbol: str = "SYNTH",
    start: datetime = _START,
    volatility_edge: bool | float = True,
    direction_ic: float = 0.0,
    regimes: Sequence[Regime] = (),
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
        that a direction model could find. Within [-0.9, 0.9].
    regimes : sequence of Regime, default=()
        Days from which volatility, volume or spreads are other than usual, in order.
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
    _check_regimes(regimes, days)
    # A stream for each part: a change to one leaves the others as they were.
    of_faults, of_path, of_range, of_volume, of_quotes = np.random.default_rng(seed).spawn(5)
    minutes = int(start.timestamp()) // INTERVAL_S + np.arange(days * _DAY_MIN)
    path = _draw_path(
        of_path, minutes, edge=float(volatility_edge), direction_ic=direction_ic, regimes=regimes
    )
    values = _draw_bars(of_range, path)
    values[:, 4] = _draw_volume(of_volume, path)
    if quotes:
        values[:, 5:9] = _draw_quotes(of_quotes, path)
    raw = RawBars(ts_ns=minutes * (INTERVAL_S * 10**9), cells=values)
    decisions: tuple[str, ...] = (f"simulated: {days} days, seed {seed}",)
    if defects is not None:
        injected = inject_defects(raw, defects, of_faults)
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
    if not abs(direction_ic) <= _MAX_IC:
        raise ParamsError(
            "direction_ic out of range", expected=f"-{_MAX_IC} to {_MAX_IC}", got=str(direction_ic)
        )
    if not 0 <= edge <= 2:
        raise ParamsError("volatility_edge out of range", expected="0 to 2", got=str(edge))
    if start.tzinfo is None or start.timestamp() % INTERVAL_S:
        raise ParamsError(
            "start is no minute of UTC", expected="a timezone and no seconds", got=str(start)
        )


def _check_regimes(regimes: Sequence[Regime], days: int) -> None:
    begins = [regime.day for regime in regimes]
    if begins != sorted(begins) or not all(0 <= day < days for day in begins):
        raise ParamsError(
            "regimes out of range", expected=f"days from 0 to {days}, in order", got=str(begins)
        )
    for regime in regimes:
        factors = (regime.volatility, regime.volume, regime.spread)
        if not all(0 < factor < math.inf for factor in factors):
            raise ParamsError("a regime's factor out of range", expected="> 0", got=str(regime))


def _factors(regimes: Sequence[Regime], name: str, n: int) -> Float1D:
    """A regime's factor for every minute; 1 before the first one."""
    factors = np.ones(n)
    for regime in regimes:
        factors[round(regime.day * _DAY_MIN) :] = getattr(regime, name)
    return factors


def _draw_path(
    rng: np.random.Generator,
    minutes: Int1D,
    *,
    edge: float,
    direction_ic: float,
    regimes: Sequence[Regime],
) -> _Path:
    n = len(minutes)
    shocks = rng.standard_t(_SHOCK_DF, n)
    shocks *= math.sqrt((_SHOCK_DF - 2.0) / _SHOCK_DF)
    log_sigma = edge * log_volatility(rng, minutes, shocks)
    log_sigma += np.log(_factors(regimes, "volatility", n))
    if direction_ic:
        # A minute that does not move hides a share of the correlation.
        keep = direction_ic / (1.0 - _ZERO_SHARE)
        shocks = recursed(shocks * math.sqrt(1.0 - keep * keep), keep)
    moves = np.exp(log_sigma) * shocks * _SIGMA
    moves[rng.random(n) < _ZERO_SHARE] = 0.0
    close = _PRICE * np.exp(np.cumsum(moves))
    return _Path(
        minutes=minutes,
        log_sigma=log_sigma,
        shocks=shocks,
        close=close,
        mid_half_ticks=np.rint(close * (2.0 / _TICK)).astype(np.int64),
        spread_factor=_factors(regimes, "spread", n),
        volume_factor=_factors(regimes, "volume", n),
    )


def _draw_bars(rng: np.random.Generator, path: _Path) -> Float2D:
    """Open, high, low and close; what is not drawn here is NaN."""
    n = len(path.close)
    values = np.full((n, len(VALUE_FIELDS)), np.nan)
    last = path.mid_half_ticks // 2
    first = np.concatenate([last[:1], last[:-1]])
    reach = np.exp(path.log_sigma) * path.close * (_SIGMA * 0.4 / _TICK)
    up, down = (np.abs(rng.standard_normal(n)) * reach for _ in range(2))
    values[:, 0] = first * _TICK
    values[:, 1] = (np.maximum(first, last) + np.floor(up)) * _TICK
    values[:, 2] = (np.minimum(first, last) - np.floor(down)) * _TICK
    values[:, 3] = last * _TICK
    return values


def _draw_quotes(rng: np.random.Generator, path: _Path) -> Float2D:
    """Bid, ask and their sizes."""
    n = len(path.close)
    spread = _draw_spread(rng, path)
    spread += (path.mid_half_ticks - spread) % 2  # so that the mid stays where it is
    bid = (path.mid_half_ticks - spread) // 2
    sizes = np.round(np.exp(0.5 + 0.9 * rng.standard_normal((n, 2))), 3)
    return np.column_stack([bid * _TICK, (bid + spread) * _TICK, sizes])


def _draw_volume(rng: np.random.Generator, path: _Path) -> Float1D:
    n = len(path.shocks)
    log_volume = 2.3 + 1.1 * path.log_sigma
    log_volume += 0.36 * (np.minimum(np.abs(path.shocks), 4.0) - 0.75)
    log_volume += reverting(rng.standard_normal(n), 30.0, 0.45)
    log_volume += 0.35 * rng.standard_normal(n)
    log_volume[(path.minutes // _DAY_MIN + 3) % 7 >= 5] += _WEEKEND_VOLUME
    volume = np.exp(log_volume) * path.volume_factor
    return np.asarray(np.maximum(np.round(volume, 3), 0.001))


def _draw_spread(rng: np.random.Generator, path: _Path) -> Int1D:
    """Whole ticks; several times as wide around the rollover, more on some days than on others."""
    n = len(path.close)
    off_min = np.abs(path.minutes % _DAY_MIN - _ROLLOVER_MIN)
    day = path.minutes // _DAY_MIN - path.minutes[0] // _DAY_MIN
    strength = np.clip(1.4 + 0.7 * rng.standard_normal(int(day[-1]) + 1), 0.2, 3.0)[day]
    rollover = strength * np.clip(1.0 - off_min / _ROLLOVER_WIDTH_MIN, 0.0, None)
    mood = reverting(rng.standard_normal(n), 25.0, 0.12) + 0.07 * rng.standard_normal(n)
    spikes = rng.choice(n, size=int(_SPIKES * n), replace=False)
    mood[spikes] += np.abs(0.9 * rng.standard_normal(len(spikes)))
    width = np.exp(rollover + mood) * path.close * path.spread_factor
    ticks = np.rint(width * (_SPREAD / _TICK)).astype(np.int64)
    return np.asarray(np.maximum(ticks, 1))
