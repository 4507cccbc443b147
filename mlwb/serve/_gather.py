"""What requests leave to be done once they are answered: together, a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Gathered"]

_T = TypeVar("_T")
_MOMENT_S = 0.004
_A_REQUEST, _MANY = 31, 1_024
"""What costs as much as a request beside its rows, in rows; and rows that need not wait for more:
from here on each costs the same, and all of them together would hold up the next request for
longer. That is 32 requests of one row, or a batch of 1,000."""


class Gathered(Generic[_T]):
    """Things of one kind that wait for each other.

    Counting, logging and comparing cost a request more in calls, and in what the processor's
    caches have forgotten meanwhile, than in work; a few dozen at once cost less.

    Parameters
    ----------
    work : callable
        Gets all that wait, in their order; on the event loop.
    """

    __slots__ = ("_n_rows", "_timer", "_waiting", "_work")

    def __init__(self, work: Callable[[list[_T]], None]) -> None:
        self._work = work
        self._waiting: list[_T] = []
        self._n_rows = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: _T, n_rows: int = 1) -> None:
        """Let it wait for others, at most four milliseconds; on the event loop.

        Parameters
        ----------
        item : object
            Of a request.
        n_rows : int
            Rows of it.
        """
        before = self._n_rows
        self._n_rows = before + _A_REQUEST + n_rows
        self._waiting.append(item)
        if not before:
            self._timer = asyncio.get_running_loop().call_later(_MOMENT_S, self.settle)
        if before < _MANY <= self._n_rows:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self) -> None:
        """Work on what waits, now."""
        if self._timer is not None:
            self._timer.cancel()  # it would cut the next ones short
            self._timer = None
        if self._waiting:
            waiting, self._waiting, self._n_rows = self._waiting, [], 0
            self._work(waiting)
