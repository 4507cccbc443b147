"""Answers that take blocking work: found on another thread, shown for a moment, once for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from mlwb.core.clock import Clock

__all__ = ["Fresh"]

_T = TypeVar("_T")
_FRESH_S = 1.0


class Fresh(Generic[_T]):
    """What blocking work found, at most a second old; many may ask, one works.

    Parameters
    ----------
    work : callable
        Runs on another thread.
    clock : Clock
        Says how old a finding is.
    """

    def __init__(self, work: Callable[[], _T], clock: Clock) -> None:
        self._work, self._clock = work, clock
        self._lock = asyncio.Lock()
        self._found: tuple[float, _T] | None = None

    async def get(self) -> _T:
        """The finding."""
        async with self._lock:
            found = self._found
            if found is None or self._clock.monotonic_s() - found[0] >= _FRESH_S:
                found = self._found = (
                    self._clock.monotonic_s(),
                    await asyncio.to_thread(self._work),
                )
        return found[1]
