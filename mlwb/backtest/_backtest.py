"""The paper broker's book of a whole recording, without stepping where no budget binds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise

import numpy as np

from mlwb.backtest._account import Ledger, account, settle
from mlwb.backtest._broker import PaperBroker
from mlwb.backtest._caps import SLACK, Caps, Clip, trailing_day
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import DAY_S
from mlwb.core.errors import EmptyWindowError, ParamsError

__all__ = ["Book", "Tape", "backtest"]


@dataclass(frozen=True)
class Tape:
    """The stream a book is kept on.

    Parameters
    ----------
    ts : ndarray of shape (n_bars,), int64
        Bars, seconds since 1970, increasing.
    mid : ndarray of shape (n_bars,), float64
        At each close; NaN where a bar has none.
    one_way_cost : ndarray of shape (n_bars,), float64
        Half spread, fee and slippage as a fraction of the traded amount, finite, >= 0.
    """

    ts: Int1D
    mid: Float1D
    one_way_cost: Float1D

    def __post_init__(self) -> None:
        if len(self.ts) < 2 or not (np.diff(self.ts) > 0).all():
            raise EmptyWindowError("a book needs two bars in order", got=f"{len(self.ts)} bars")
        if not self.is_priced[0]:
            raise EmptyWindowError("the first bar has no price", got=str(self.mid[0]))
        if not np.isfinite(self.one_way_cost).all() or (self.one_way_cost < 0.0).any():
            raise EmptyWindowError("a cost is not known at every bar", expected="finite, >= 0")

    @cached_property
    def is_priced(self) -> Bool1D:
        """Bars at whose close an order can be filled."""
        return np.asarray(np.isfinite(self.mid) & (self.mid > 0.0))

    @cached_property
    def step_return(self) -> Float1D:
        """Simple return from each bar to the next; 0 into a bar without a price."""
        rows = np.arange(len(self.mid))
        mid = self.mid[np.maximum.accumulate(np.where(self.is_priced, rows, 0))]
        return np.asarray(mid[1:] / mid[:-1] - 1.0)

    def at_cost(self, factor: float) -> Tape:
        """The same bars with every cost times a factor."""
        return replace(self, one_way_cost=self.one_way_cost * factor)


@dataclass(frozen=True)
class Book:
    """What a rule did on a tape.

    Parameters
    ----------
    ts : ndarray of shape (n_steps,), int64
        Bar each step began with; one step fewer than bars.
    ledger : Ledger
        Step by step.
    clips : tuple of Clip
        Orders the caps changed; one that lasts is named once.
    """

    ts: Int1D
    ledger: Ledger
    clips: tuple[Clip, ...]


def backtest(target: Float1D, tape: Tape, caps: Caps, *, latency_bars: int) -> Book:
    """Trade targets as :class:`mlwb.backtest.PaperBroker` would.

    Position cap and daily stop are worked out on whole arrays; where the 24-hour budgets could
    bind, the broker itself is stepped over the tape.

    Parameters
    ----------
    target : ndarray of shape (n_bars,), float64
        Position wanted from each bar's close on, in units of equity; known at that close. The
        last one is never filled.
    tape : Tape
        Prices and costs.
    caps : Caps
        Kept before every fill.
    latency_bars : int
        Bars from decision to fill.

    Returns
    -------
    Book
        The same bits as the broker gives.

    Raises
    ------
    EmptyWindowError
        A target is not finite, or there is not one for every bar.
    ParamsError
        A negative latency.

    Examples
    --------
    >>> from mlwb.backtest import UNCAPPED
    >>> tape = Tape(60 * np.arange(3), np.array([100.0, 100.0, 102.0]), np.full(3, 0.001))
    >>> book = backtest(np.array([1.0, 0.0, 0.0]), tape, UNCAPPED, latency_bars=1)
    >>> book.ledger.position.tolist(), [round(x, 6) for x in book.ledger.net.tolist()]
    ([0.0, 1.0], [0.0, 0.018])
    """
    if len(target) != len(tape.ts) or not np.isfinite(target).all():
        raise EmptyWindowError(
            "a target for every bar is needed",
            expected=f"{len(tape.ts)} finite values",
            got=f"{len(target)}, {int(np.isfinite(target).sum())} of them finite",
        )
    if latency_bars < 0:
        raise ParamsError("no order is filled before it is decided", got=str(latency_bars))
    wanted = np.concatenate([np.zeros(latency_bars), target])[: len(tape.ts) - 1]
    position, reason = _cap_position(wanted, caps)
    position = _hold_unpriced(position, tape)
    closing = float(tape.one_way_cost[-1])
    position, reason = _stop_days(position, reason, tape, caps)
    if _may_exceed_budget(position, tape, caps):
        return _stepped(target, tape, caps, latency_bars=latency_bars)
    ledger = account(position, tape.step_return, tape.one_way_cost[:-1], closing_cost=closing)
    return Book(tape.ts[:-1], ledger, _clips(wanted, position, reason, tape))


def _stepped(target: Float1D, tape: Tape, caps: Caps, *, latency_bars: int) -> Book:
    """The broker itself, bar after bar."""
    broker = PaperBroker(caps, latency_bars=latency_bars)
    bars = zip(
        tape.ts.tolist(), tape.mid.tolist(), tape.one_way_cost.tolist(), target.tolist(),
        strict=True,
    )  # fmt: skip
    *some, last = bars
    steps = [step for bar in some if (step := broker.step(*bar)) is not None]
    steps.append(broker.close(*last[:3]))
    rows = np.fromiter(chain.from_iterable(steps), dtype=np.float64).reshape(len(steps), -1)
    _, position, gross, cost, net = np.ascontiguousarray(rows.T)
    return Book(tape.ts[:-1], Ledger(gross, cost, net, position), tuple(broker.clips))


def _cap_position(wanted: Float1D, caps: Caps) -> tuple[Float1D, Int1D]:
    """Clip to the position cap; 1 where it bound."""
    over = np.abs(wanted) > caps.position
    return np.where(over, np.copysign(caps.position, wanted), wanted), over.astype(np.int64)


def _hold_unpriced(position: Float1D, tape: Tape) -> Float1D:
    """At a bar without a price nothing is filled: what is held stays."""
    rows = np.arange(len(position))
    return position[np.maximum.accumulate(np.where(tape.is_priced[:-1], rows, 0))]


def _stop_days(position: Float1D, reason: Int1D, tape: Tape, caps: Caps) -> tuple[Float1D, Int1D]:
    """Flat for the rest of each UTC day whose running net fell to the daily loss; 2 there.

    Days are taken in order, because a stopped day ends flat and the next one pays to enter.
    """
    if caps.daily_loss == np.inf:
        return position, reason
    position, reason = position.copy(), reason.copy()
    step_return, cost, priced = tape.step_return, tape.one_way_cost, tape.is_priced
    day = tape.ts[:-1] // DAY_S
    edges = np.flatnonzero(np.diff(day, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(edges):
        held = position[start - 1] if start else 0.0
        if start and not priced[start]:
            later = np.flatnonzero(priced[start:stop])
            position[start : start + int(later[0]) if len(later) else stop] = held
        before = np.concatenate([[held], position[start : stop - 1]])
        here = slice(start, stop)
        gross, paid = settle(position[here], before, step_return[here], cost[here])
        running = np.cumsum(gross - paid)
        hit = np.flatnonzero((running[:-1] <= -caps.daily_loss) & priced[start + 1 : stop])
        if len(hit):
            first = start + 1 + int(hit[0])
            position[first:stop], reason[first:stop] = 0.0, 2
    return position, reason


def _may_exceed_budget(position: Float1D, tape: Tape, caps: Caps) -> bool:
    """Whether a 24-hour budget is reached anywhere; when in doubt, yes."""
    ts = tape.ts[:-1]
    traded = trailing_day(np.abs(np.diff(position, prepend=0.0)), ts)
    if float(traded.max()) > caps.turnover - SLACK:
        return True
    if not caps.can_bind_exposure:
        return False
    held = trailing_day(np.abs(position) * INTERVAL_S, ts)
    return float(held.max()) > caps.exposure * DAY_S - SLACK


def _clips(wanted: Float1D, position: Float1D, reason: Int1D, tape: Tape) -> tuple[Clip, ...]:
    """Every change of what was cut, at bars where an order could be filled."""
    rows = np.flatnonzero(tape.is_priced[:-1])
    names = ("", "position", "daily_loss")
    found: list[Clip] = []
    cut: tuple[float, float, str] | None = None
    reasons = np.where((reason[rows] == 2) & (wanted[rows] == 0.0), 0, reason[rows])
    bound = np.flatnonzero((reasons > 0) | (np.diff(reasons, prepend=0) != 0))
    for row, why in zip(rows[bound].tolist(), reasons[bound].tolist(), strict=True):
        now = (float(wanted[row]), float(position[row]), names[why]) if why else None
        if now is not None and now != cut:
            found.append(Clip(int(tape.ts[row]), *now))
        cut = now
    return tuple(found)
