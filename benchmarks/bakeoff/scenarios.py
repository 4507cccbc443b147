"""Series of a bake-off of drift detectors: what is quiet, what changes, what is broken.

A scenario draws minutes of many independent series: reference days, then days to watch. What
changes, changes when the watch begins. Units are standard deviations, or basis points for the
stochastic-volatility market, whose volatility has components of minutes, hours and days, the last
persistent from day to day, and a profile over the day, as recorded markets do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.signal import lfilter

from mlwb.core.arrays import Float1D, Float2D

__all__ = ["DAY", "SCENARIOS", "Scenario"]

DAY = 1_440
_HOUR = 60
_DAY_SD, _DAY_LAG = 0.3, 0.45
"""Log volatility of a day: sd and lag-1 correlation of recorded crypto markets."""
Draw = Callable[[np.random.Generator, tuple[int, int]], Float2D]
Change = Callable[[np.random.Generator, Float2D], Float2D]


def _same(_: np.random.Generator, rows: Float2D) -> Float2D:
    return rows


def _plain(rows: Float2D) -> Float2D:
    return rows


@dataclass(frozen=True)
class Scenario:
    """One market of the bake-off.

    Parameters
    ----------
    name : str
        Column of the tables.
    truth : str
        ``"quiet"`` (nothing changes), ``"drift"``, ``"fault"``, or ``"no null"`` (a level without
        a distribution: every answer but "cannot be judged" is wrong).
    draw : callable
        Generator and shape (n_series, n_minutes) to the recorded minutes.
    change : callable
        Generator and the watched minutes to the changed ones.
    feature : callable
        Minutes to the values that are judged; NaN on the first day at most.
    """

    name: str
    truth: str
    draw: Draw
    change: Change = _same
    feature: Callable[[Float2D], Float2D] = _plain

    def series(
        self, rng: np.random.Generator, n_series: int, n_reference: int, n_watched: int
    ) -> Float2D:
        """Values of shape (n_series, (n_reference + n_watched) * 1440)."""
        minutes = (1 + n_reference + n_watched) * DAY
        rows = self.draw(rng, (n_series, minutes))
        cut = (1 + n_reference) * DAY
        rows[:, cut:] = self.change(rng, rows[:, cut:].copy())
        return self.feature(rows)[:, DAY:]


def _ar1(phi: float, rng: np.random.Generator, shape: tuple[int, int]) -> Float2D:
    """Stationary, unit variance."""
    noise = rng.normal(size=shape)
    noise[:, 1:] *= np.sqrt(1.0 - phi * phi)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=1), dtype=np.float64)


def _profile(n_minutes: int) -> Float1D:
    """Log volatility over the day, highest at 14 h, from low to high a factor of 2."""
    hour = np.arange(n_minutes) % DAY / _HOUR
    return np.asarray(0.35 * np.cos(2.0 * np.pi * (hour - 14.0) / 24.0), dtype=np.float64)


def _market(rng: np.random.Generator, shape: tuple[int, int]) -> Float2D:
    """Returns of minutes in basis points with stochastic volatility."""
    n_series, n_minutes = shape
    days = _DAY_SD * _ar1(_DAY_LAG, rng, (n_series, -(-n_minutes // DAY)))
    log_volatility = np.repeat(days, DAY, axis=1)[:, :n_minutes] + _profile(n_minutes)
    for phi, sd in ((0.9, 0.35), (0.99, 0.25)):
        log_volatility += sd * _ar1(phi, rng, shape)
    return np.asarray(4.5 * np.exp(log_volatility) * rng.normal(size=shape), dtype=np.float64)


def _hour_volatility(returns: Float2D) -> Float2D:
    """Log of the root mean square of the last sixty minutes."""
    total = np.cumsum(returns * returns, axis=1)
    window = total[:, _HOUR:] - total[:, :-_HOUR]
    out = np.full(returns.shape, np.nan)
    out[:, _HOUR:] = 0.5 * np.log(window / _HOUR)
    return out


def _seasonal(rng: np.random.Generator, shape: tuple[int, int]) -> Float2D:
    wave = 1.5 * np.sin(2.0 * np.pi * np.arange(shape[1]) / DAY)
    return np.asarray(wave + _ar1(0.9, rng, shape), dtype=np.float64)


def _walk(rng: np.random.Generator, shape: tuple[int, int]) -> Float2D:
    return np.asarray(np.cumsum(rng.normal(size=shape), axis=1), dtype=np.float64)


def _moved(by: float, _: np.random.Generator, rows: Float2D) -> Float2D:
    return rows + by


def _scaled(by: float, _: np.random.Generator, rows: Float2D) -> Float2D:
    return rows * by


def _heavy(rng: np.random.Generator, rows: Float2D) -> Float2D:
    """Student's t with three degrees and unit variance."""
    return np.asarray(rng.standard_t(3, rows.shape) / np.sqrt(3.0), dtype=np.float64)


def _missing(rng: np.random.Generator, rows: Float2D) -> Float2D:
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


def _stuck(_: np.random.Generator, rows: Float2D) -> Float2D:
    """From noon to six in the evening the value of noon."""
    days = rows.reshape(len(rows), -1, DAY)
    days[:, :, 12 * _HOUR : 18 * _HOUR] = days[:, :, 12 * _HOUR, None]
    return rows


def _hidden(_: np.random.Generator, rows: Float2D) -> Float2D:
    """Five deviations up, and one wrong tick of a million a day."""
    rows += 5.0
    rows[:, ::DAY] = 1e6
    return rows


def _ar(phi: float, shift: float = 0.0) -> Scenario:
    draw = partial(_ar1, phi)
    name = f"AR {phi:g}"
    if shift:
        return Scenario(f"{name} +{shift:g}", "drift", draw, partial(_moved, shift))
    return Scenario(name, "quiet", draw)


SCENARIOS = (
    _ar(0.0),
    _ar(0.9),
    _ar(0.97),
    _ar(0.99),
    Scenario("returns", "quiet", _market),
    Scenario("vol 60m", "quiet", _market, feature=_hour_volatility),
    Scenario("seasonal", "quiet", _seasonal),
    Scenario("walk", "no null", _walk),
    _ar(0.0, 0.1),
    _ar(0.0, 0.2),
    _ar(0.9, 0.5),
    _ar(0.97, 0.5),
    _ar(0.99, 1.0),
    Scenario("scale x1.5", "drift", _market, partial(_scaled, 1.5)),
    Scenario("tails", "drift", partial(_ar1, 0.0), _heavy),
    Scenario("vol x2", "drift", _market, partial(_scaled, 2.0), _hour_volatility),
    Scenario("20% NaN", "fault", _market, _missing),
    Scenario("stuck 6h", "fault", partial(_ar1, 0.9), _stuck),
    Scenario("x1000", "fault", _market, partial(_scaled, 1e3)),
    Scenario("+5, a tick", "fault", partial(_ar1, 0.0), _hidden),
)
"""Columns of the tables, in order."""
