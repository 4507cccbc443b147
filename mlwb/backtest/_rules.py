"""Rules: from a score to the position wanted, with what is known at the bar's close."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.errors import ParamsError

__all__ = ["ExposureTimer", "VolatilityTiming", "barrier_targets", "sign_targets", "timed_exposure"]


def sign_targets(probability: Float1D, *, size: float) -> Float1D:
    """Long above one half, short below, until the next bar; flat without a score.

    Parameters
    ----------
    probability : ndarray of shape (n_bars,), float64
        That the next move is up; NaN where there is no score.
    size : float
        Absolute position, in units of equity.

    Returns
    -------
    ndarray of shape (n_bars,), float64

    Examples
    --------
    >>> sign_targets(np.array([0.6, 0.4, 0.5, np.nan]), size=1.0).tolist()
    [1.0, -1.0, 0.0, 0.0]
    """
    return np.asarray(np.sign(np.nan_to_num(probability, nan=0.5) - 0.5) * size)


def barrier_targets(
    probability: Float1D, closes: Int1D, until: Int1D, *, size: float
) -> tuple[Float1D, Bool1D]:
    """Take the sign of a score, hold it until its barrier is touched, then decide anew.

    Scores that come while a position is held are not traded: a triple-barrier label asks which
    barrier **this** decision meets first. One that no barrier ended is closed at the horizon.

    Parameters
    ----------
    probability : ndarray of shape (n_bars,), float64
        That the upper barrier is met first; NaN where there is no score.
    closes : ndarray of shape (n_bars,), int64
        Close of each bar, seconds since 1970, increasing.
    until : ndarray of shape (n_bars,), int64
        When the barrier of a decision at each bar is first touched, at the latest the horizon.
        A barrier is watched on closes, so its touch is known when that bar closes.
    size : float
        Absolute position, in units of equity.

    Returns
    -------
    tuple of ndarray of shape (n_bars,)
        The position wanted, and the bars at which it was decided.

    Examples
    --------
    >>> closes = np.array([60, 120, 180, 240])
    >>> until = np.array([180, 180, 240, 300])
    >>> scores = np.array([0.6, 0.2, 0.4, np.nan])
    >>> target, decided = barrier_targets(scores, closes, until, size=1.0)
    >>> target.tolist(), decided.tolist()
    ([1.0, 1.0, -1.0, 0.0], [True, False, True, False])
    """
    side = sign_targets(probability, size=size)
    end = np.maximum(np.searchsorted(closes, until), np.arange(1, len(closes) + 1)).tolist()
    target, decided = np.zeros(len(closes)), np.zeros(len(closes), dtype=np.bool_)
    row = 0
    for decision in np.flatnonzero(side).tolist():
        if decision >= row:
            row = end[decision]
            target[decision:row], decided[decision] = side[decision], True
    return target, decided


@dataclass(frozen=True)
class VolatilityTiming:
    """Less exposure while a large move is likely.

    The score is smoothed with a half-life, and two levels keep the exposure from flickering: it
    falls when the smoothed score reaches ``enter`` and comes back when it has fallen to ``leave``.

    Parameters
    ----------
    half_life_bars : float
        Of the exponential smoothing, > 0.
    enter, leave : float
        Smoothed probability of a large move; ``leave <= enter``.
    calm, wild : float
        Exposure outside and inside a wild stretch, in units of equity, ``0 <= wild < calm``.

    Raises
    ------
    ParamsError
        A value is out of order.

    References
    ----------
    .. [1] Fleming, Kirby and Ostdiek (2001), The economic value of volatility timing, J. of
       Finance 56(1).
    .. [2] Moreira and Muir (2017), Volatility-managed portfolios, J. of Finance 72(4).
    """

    half_life_bars: float
    enter: float
    leave: float
    calm: float
    wild: float

    def __post_init__(self) -> None:
        if not (self.half_life_bars > 0.0 and self.leave <= self.enter):
            raise ParamsError(
                "no such hysteresis",
                expected="half life > 0, leave <= enter",
                got=f"{self.half_life_bars}, {self.leave}, {self.enter}",
            )
        if not 0.0 <= self.wild < self.calm:
            raise ParamsError(
                "no such exposures",
                expected=f"0 <= wild < {self.calm}, the calm one",
                got=str(self.wild),
            )


class ExposureTimer:
    """:class:`VolatilityTiming` bar by bar.

    Parameters
    ----------
    rule : VolatilityTiming
        What it follows.
    """

    def __init__(self, rule: VolatilityTiming) -> None:
        self._rule = rule
        self._keep = 0.5 ** (1.0 / rule.half_life_bars)
        self._level = math.nan
        self._is_wild = False

    def step(self, probability: float) -> float:
        """Exposure wanted after one more score; a NaN score changes nothing."""
        rule = self._rule
        if not math.isnan(probability):
            before = probability if math.isnan(self._level) else self._level
            self._level = before + (1.0 - self._keep) * (probability - before)
            still = self._is_wild and self._level > rule.leave
            self._is_wild = still or self._level >= rule.enter
        return rule.wild if self._is_wild else rule.calm


def timed_exposure(probability: Float1D, rule: VolatilityTiming) -> Float1D:
    """Exposure of every bar: :class:`ExposureTimer` stepped over all scores.

    Parameters
    ----------
    probability : ndarray of shape (n_bars,), float64
        Of a large move; NaN where there is no score, which holds the exposure.
    rule : VolatilityTiming
        What it follows.

    Returns
    -------
    ndarray of shape (n_bars,), float64
        ``rule.calm`` or ``rule.wild``.

    Examples
    --------
    >>> rule = VolatilityTiming(0.001, enter=0.6, leave=0.4, calm=1.0, wild=0.5)
    >>> timed_exposure(np.array([0.5, 0.7, 0.5, np.nan, 0.3]), rule).tolist()
    [1.0, 0.5, 0.5, 0.5, 1.0]
    """
    timer = ExposureTimer(rule)
    return np.asarray([timer.step(p) for p in probability.tolist()], dtype=np.float64)
