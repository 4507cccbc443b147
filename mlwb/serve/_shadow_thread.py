"""One thread for what is too slow to run between two requests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["ShadowThread"]

_T = TypeVar("_T")
_Job: TypeAlias = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class ShadowThread:
    """Runs calls in turn; a call that never returns costs one thread, and nothing else.

    The thread is a daemon: a pool of :mod:`concurrent.futures` would be waited for when the
    process ends.

    Parameters
    ----------
    limit : int
        Calls that may wait or run; more are refused.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._inside: set[asyncio.Future[Any]] = set()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[[], _T]) -> asyncio.Future[_T] | None:
        """Hand over a call that raises nothing; called from the event loop.

        Returns
        -------
        Future or None
            Of the running loop; None when too many calls are inside.
        """
        if len(self._inside) >= self._limit:
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mlwb-shadow", daemon=True)
            self._thread.start()
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._inside.add(future)
        self._queue.put((call, future))
        return future

    def close(self) -> None:
        """Let the thread end after what it runs."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread = None

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            call, future = job
            found = call()
            self._inside.discard(future)
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who asked
                future.get_loop().call_soon_threadsafe(_settle, future, found)


def _settle(future: asyncio.Future[_T], found: _T) -> None:
    if not future.done():
        future.set_result(found)
