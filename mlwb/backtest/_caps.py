"""Caps: what a book may hold, trade and lose, and what was cut from its orders."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from mlwb.backtest._account import Ledger
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import DAY_S

__all__ = ["SLACK", "UNCAPPED", "Caps", "Clip", "Guard", "cap_breaches", "trailing_day"]

TOLERANCE = 1e-9
"""Running sums forget by subtraction; a budget missed by less than this is met."""
SLACK = 1e-6
"""The same for differences of long cumulative sums, which are rounder."""


@dataclass(frozen=True)
class Caps:
    """Limits a book keeps by itself, before an order is filled.

    Parameters
    ----------
    position : float
        Largest absolute position, in units of equity.
    exposure : float
        Largest mean absolute position over 24 hours, a bar counting one minute.
    turnover : float
        Largest sum of position changes over 24 hours, one way, in units of equity. Only what
        opens or adds is held back; what reduces is filled, and counts.
    daily_loss : float
        After a net loss of this share of equity on a UTC day the book is flat until the next.
    """

    position: float
    exposure: float
    turnover: float
    daily_loss: float

    @property
    def can_bind_exposure(self) -> bool:
        """Whether the mean position has a cap that the position itself does not keep."""
        return self.exposure < self.position


UNCAPPED = Caps(math.inf, math.inf, math.inf, math.inf)
"""No limits."""


@dataclass(frozen=True)
class Clip:
    """An order that a cap changed.

    Parameters
    ----------
    ts : int
        Bar of the fill, seconds since 1970.
    wanted, allowed : float
        Position asked for and position filled, in units of equity.
    reason : str
        ``position``, ``exposure``, ``turnover`` or ``daily_loss``: the cap that bound last.
    """

    ts: int
    wanted: float
    allowed: float
    reason: str


class Guard:
    """The caps at work: what is left of each budget, in constant time a bar.

    Parameters
    ----------
    caps : Caps
        What may not be exceeded.
    """

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._turnover = _Trailing()
        self._exposure = _Trailing() if caps.can_bind_exposure else None
        self._day = -1
        self._day_net = 0.0

    def allow(self, ts: int, wanted: float, held: float) -> tuple[float, str]:
        """The position that may be filled, and the cap that changed it.

        Parameters
        ----------
        ts : int
            Bar of the fill, seconds since 1970.
        wanted, held : float
            Position asked for and position before.

        Returns
        -------
        tuple of float and str
            ``wanted`` itself and an empty string where no cap binds.
        """
        caps, reason, allowed = self._caps, "", wanted
        if ts // DAY_S == self._day and self._day_net <= -caps.daily_loss:
            return 0.0, "daily_loss" if wanted else ""
        if abs(allowed) > caps.position:
            allowed, reason = math.copysign(caps.position, wanted), "position"
        if self._exposure is not None:
            room = (caps.exposure * DAY_S - self._exposure.sum(ts)) / INTERVAL_S
            if abs(allowed) > room + TOLERANCE:
                allowed, reason = math.copysign(max(room, 0.0), wanted), "exposure"
        kept = held if held * allowed > 0.0 else 0.0
        opening = abs(allowed) - abs(kept)
        left = caps.turnover - self._turnover.sum(ts) - abs(held - kept)
        if opening > 0.0 and opening > left + TOLERANCE:
            size = abs(kept) + max(left, 0.0)
            allowed, reason = math.copysign(size, allowed) if size else 0.0, "turnover"
        return allowed, reason

    def filled(self, ts: int, traded: float) -> None:
        """Count an order, in units of equity."""
        if traded:
            self._turnover.add(ts, traded)

    def booked(self, ts: int, position: float, net: float) -> None:
        """Count a finished step by the bar it began with."""
        if self._exposure is not None:
            self._exposure.add(ts, abs(position) * INTERVAL_S)
        day = ts // DAY_S
        if day != self._day:
            self._day, self._day_net = day, 0.0
        self._day_net += net


class _Trailing:
    """Sum over the last 24 hours, ``(ts - 24 h, ts]``."""

    def __init__(self) -> None:
        self._items: deque[tuple[int, float]] = deque()
        self._sum = 0.0

    def add(self, ts: int, amount: float) -> None:
        self._items.append((ts, amount))
        self._sum += amount

    def sum(self, ts: int) -> float:
        items = self._items
        while items and items[0][0] <= ts - DAY_S:
            self._sum -= items.popleft()[1]
        if not items:
            self._sum = 0.0
        return self._sum


def cap_breaches(ledger: Ledger, ts: Int1D, caps: Caps) -> int:
    """Steps that are beyond a cap, counted from what was held and not by who held it.

    Parameters
    ----------
    ledger : Ledger
        Step by step.
    ts : ndarray of shape (n_steps,), int64
        Bar of each step, seconds since 1970, increasing.
    caps : Caps
        What may not be exceeded.

    Returns
    -------
    int
        0 for the ledger of a broker that was always given a price; where bars have none, a
        position over the exposure cap or in a stopped day cannot be closed until the next price.
    """
    size = np.abs(ledger.position)
    before = np.concatenate([[0.0], ledger.position[:-1]])
    adds = (size > np.abs(before)) | (ledger.position * before < 0.0)
    over = size > caps.position + TOLERANCE
    over |= trailing_day(size * INTERVAL_S, ts) > caps.exposure * DAY_S + SLACK
    over |= adds & (trailing_day(ledger.traded, ts) > caps.turnover + SLACK)
    day = ts // DAY_S
    first = np.searchsorted(day, day)
    total = np.concatenate([[0.0], np.cumsum(ledger.net)])
    lost = total[:-1] - total[first] <= -caps.daily_loss - TOLERANCE
    was_lost = _any_before(lost, first)
    over |= was_lost & (size > 0.0)
    return int(over.sum())


def trailing_day(amount: Float1D, ts: Int1D) -> Float1D:
    """Sum over ``(ts - 24 h, ts]`` of every row, itself included."""
    total = np.concatenate([[0.0], np.cumsum(amount)])
    begin = np.searchsorted(ts, ts - DAY_S, side="right")
    return np.asarray(total[1:] - total[begin], dtype=np.float64)


def _any_before(flag: Bool1D, first: Int1D) -> Bool1D:
    """Whether the flag was up at a row or earlier, since the row ``first``."""
    ups = np.concatenate([[0], np.cumsum(flag)])
    return np.asarray(ups[1:] - ups[first] > 0)
