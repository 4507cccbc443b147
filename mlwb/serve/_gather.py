"""What requests leave to be done once they are answered: together, a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Gathered"]

_T = TypeVar("_T")
_MOMENT_S = 0.004
_MANY = 32
"""Things that need not wait for more: from here on each costs the same, and all of them together
would hold up the next request for longer."""


class Gathered(Generic[_T]):
    """Things of one kind that wait for each other.

    Counting, logging and comparing cost a request more in calls, and in what the processor's
    caches have forgotten meanwhile, than in work; a few dozen at once cost less.

    Parameters
    ----------
    work : callable
        Gets all that wait, in their order; on the event loop.
    """

    __slots__ = ("_timer", "_waiting", "_work")

    def __init__(self, work: Callable[[list[_T]], None]) -> None:
        self._work = work
        self._waiting: list[_T] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: _T) -> None:
        """Let it wait for others, at most four milliseconds; on the event loop."""
        waiting = self._waiting
        waiting.append(item)
        if len(waiting) == 1:
            self._timer = asyncio.get_running_loop().call_later(_MOMENT_S, self.settle)
        elif len(waiting) == _MANY:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self) -> None:
        """Work on what waits, now."""
        if self._timer is not None:
            self._timer.cancel()  # it would cut the next ones short
            self._timer = None
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._work(waiting)
