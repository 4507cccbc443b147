"""A paper broker, bar by bar: decision, delay, caps, fill, cost."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from mlwb.backtest._account import settle
from mlwb.backtest._caps import Caps, Clip, Guard
from mlwb.core.errors import EmptyWindowError, ParamsError

__all__ = ["PaperBroker", "Step", "is_price"]


class Step(NamedTuple):
    """A finished step of the book.

    Parameters
    ----------
    ts : int
        Bar the step began with, seconds since 1970.
    position : float
        Held, in units of equity.
    gross, cost, net : float
        Simple returns on equity.
    """

    ts: int
    position: float
    gross: float
    cost: float
    net: float


def is_price(mid: float) -> bool:
    """Whether an order can be filled at it: finite and above zero."""
    return 0.0 < mid < math.inf


class PaperBroker:
    """Keeps a book on a stream of bars, in constant time and memory a bar.

    A decision made at a bar's close is filled ``latency_bars`` bars later, at that bar's mid and
    cost, after the caps. A bar without a price fills nothing: the position is held and the next
    bar shows what it earned.

    Parameters
    ----------
    caps : Caps
        Kept before every fill.
    latency_bars : int
        Bars from decision to fill, >= 0; with 0 an order is filled at the very price it was
        decided on, which only bounds what can be earned.

    Raises
    ------
    ParamsError
        A negative latency.

    Notes
    -----
    :func:`mlwb.backtest.backtest` gives the same ledger and the same clips, bit for bit, from
    the same stream.

    Examples
    --------
    >>> from mlwb.backtest import UNCAPPED
    >>> broker = PaperBroker(UNCAPPED, latency_bars=1)
    >>> broker.step(0, 100.0, 0.001, target=1.0)
    >>> broker.step(60, 100.0, 0.001, target=0.0)
    Step(ts=0, position=0.0, gross=0.0, cost=0.0, net=0.0)
    >>> broker.close(120, 102.0, 0.001)
    Step(ts=60, position=1.0, gross=0.020000000000000018, cost=0.002, net=0.018000000000000016)
    """

    def __init__(self, caps: Caps, *, latency_bars: int) -> None:
        if latency_bars < 0:
            raise ParamsError("no order is filled before it is decided", got=str(latency_bars))
        self.clips: list[Clip] = []
        self._guard = Guard(caps)
        self._orders = deque([0.0] * latency_bars)
        self._ts = -1
        self._mid = math.nan
        self._position = 0.0
        self._cost = 0.0
        self._cut: tuple[float, float, str] | None = None

    def step(self, ts: int, mid: float, one_way_cost: float, target: float) -> Step | None:
        """Take a bar and the decision made at its close.

        Parameters
        ----------
        ts : int
            Bar, seconds since 1970, later than the last one.
        mid : float
            At the close; NaN where the bar has none.
        one_way_cost : float
            Fraction of the traded amount, as of this bar.
        target : float
            Position wanted from here on, in units of equity.

        Returns
        -------
        Step or None
            The step this bar finished; None for the first bar.

        Raises
        ------
        EmptyWindowError
            The first bar has no price, or bars are out of order.
        """
        done = self._finish(ts, mid)
        self._orders.append(target)
        wanted = self._orders.popleft()
        held = self._position
        if is_price(mid):
            self._mid = mid
            self._position = self._clip(ts, wanted, held)
        _, self._cost = settle(self._position, held, 0.0, one_way_cost)
        self._guard.filled(ts, abs(self._position - held))
        self._ts = ts
        return done

    def close(self, ts: int, mid: float, one_way_cost: float) -> Step:
        """Take the last bar: sell what is held, at its price and cost.

        Parameters
        ----------
        ts, mid, one_way_cost
            See :meth:`step`.

        Returns
        -------
        Step
            The last step, with the liquidation in its cost.

        Raises
        ------
        EmptyWindowError
            There was no bar before.
        """
        self._cost += settle(0.0, self._position, 0.0, one_way_cost)[1]
        done = self._finish(ts, mid)
        if done is None:
            raise EmptyWindowError("a book needs two bars", got="one")
        self._position = 0.0
        return done

    def _finish(self, ts: int, mid: float) -> Step | None:
        """Book the step from the last bar to this one."""
        if self._ts < 0:
            if not is_price(mid):
                raise EmptyWindowError("the first bar has no price", got=str(mid))
            return None
        if ts <= self._ts:
            raise EmptyWindowError("bars go back in time", got=f"{ts} after {self._ts}")
        step_return = mid / self._mid - 1.0 if is_price(mid) else 0.0
        gross, _ = settle(self._position, self._position, step_return, 0.0)
        done = Step(self._ts, self._position, gross, self._cost, gross - self._cost)
        self._guard.booked(done.ts, done.position, done.net)
        return done

    def _clip(self, ts: int, wanted: float, held: float) -> float:
        """The position allowed; a cut is written down once, not at every bar it lasts."""
        allowed, reason = self._guard.allow(ts, wanted, held)
        cut = (wanted, allowed, reason) if reason else None
        if cut is not None and cut != self._cut:
            self.clips.append(Clip(ts, *cut))
        self._cut = cut
        return allowed
