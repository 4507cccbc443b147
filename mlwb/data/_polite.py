"""Requests that wait when a server says so, try again when a line breaks, and know when to stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx

from mlwb.core.clock import Clock, SystemClock
from mlwb.core.errors import DataFetchError

__all__ = ["Line", "StoppedError"]

_T = TypeVar("_T")
_AGAIN = frozenset({408, 418, 425, 429, 500, 502, 503, 504})


class StoppedError(Exception):
    """The whole fetch was asked to end; what is on disk can be resumed."""


@dataclass
class Line:
    """One client of one server, shared by all workers.

    Parameters
    ----------
    client : httpx.Client
    stop : threading.Event
        Set it and every worker ends at its next step.
    clock : Clock
    sleep : callable, optional
        Takes seconds; by default a wait that ``stop`` ends.
    rng : random.Random
        Jitter.
    tries : int, default=6
        Of one request, as long as nothing new arrives.
    base_s, cap_s : float
        Upper end of the first wait, and of any wait nobody asked for.
    patience_s : float, default=600
        The longest ``Retry-After`` that is waited for.
    """

    client: httpx.Client
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], object] | None = None
    rng: random.Random = field(default_factory=random.Random)
    tries: int = 6
    base_s: float = 0.5
    cap_s: float = 30.0
    patience_s: float = 600.0
    _not_before_s: float = 0.0

    def ask(
        self,
        method: str,
        path: str,
        *,
        read: Callable[[httpx.Response], _T],
        have: Callable[[], int] = lambda: 0,
    ) -> _T:
        """Send a request until it is answered, and read the answer.

        Parameters
        ----------
        method, path : str
        read : callable
            Given the open answer of any status that is not temporary; what it returns is
            returned. A line that breaks in it is tried again.
        have : callable
            Bytes that are there already; the rest is asked for. Each time there are more than ever
            before, the count of tries begins again.

        Raises
        ------
        DataFetchError
            No answer after ``tries``, or a longer pause is asked for than ``patience_s``.
        StoppedError
            ``stop`` was set.
        """
        tried, most = 0, have()
        while True:
            tried += 1
            self._wait_for_turn()
            rest = {"Range": f"bytes={size}-"} if (size := have()) else {}
            try:
                with self.client.stream(method, path, headers=rest) as answer:
                    if answer.status_code not in _AGAIN:
                        return read(answer)
                    problem, pause_s = f"HTTP {answer.status_code}", self._asked_pause_s(answer)
            except httpx.RequestError as error:
                problem, pause_s = f"{type(error).__name__}: {error}", 0.0
            if have() > most:
                tried, most = 0, have()
            if tried >= self.tries:
                raise DataFetchError(
                    f"{self._address(path)} does not answer: {problem}",
                    got=f"{tried} tries",
                    todo="run the same command again: what has arrived is kept",
                )
            if not pause_s:  # with a pause everybody waits, at the next turn
                most_s = min(self.cap_s, self.base_s * 2 ** max(tried - 1, 0))
                self._sleep(self.rng.uniform(0.5, 1.0) * most_s)

    def check_stop(self) -> None:
        """Raise :class:`StoppedError` once ``stop`` is set."""
        if self.stop.is_set():
            raise StoppedError

    def _wait_for_turn(self) -> None:
        while (left_s := self._not_before_s - self.clock.monotonic_s()) > 0:
            self._sleep(left_s)
        self.check_stop()

    def _sleep(self, seconds: float) -> None:
        (self.sleep or self.stop.wait)(seconds)
        self.check_stop()

    def _asked_pause_s(self, answer: httpx.Response) -> float:
        """Seconds of ``Retry-After``, which from now on hold for every worker; 0 without one."""
        pause_s = self._retry_after_s(answer.headers.get("retry-after", ""))
        if pause_s > self.patience_s:
            raise DataFetchError(
                f"{self._address(str(answer.url))} asks for a pause (HTTP {answer.status_code})",
                expected=f"at most {self.patience_s:.0f} s",
                got=f"{pause_s:.0f} s",
                todo="run the same command again then: what has arrived is kept",
            )
        self._not_before_s = max(self._not_before_s, self.clock.monotonic_s() + pause_s)
        return pause_s

    def _retry_after_s(self, text: str) -> float:
        if text.isascii() and text.strip().isdigit():
            return float(text)
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        if moment.tzinfo is None:  # how Python reads -0000: UTC, and the place unknown
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - self.clock.now()).total_seconds())

    def _address(self, path: str) -> str:
        return str(self.client.base_url.join(path))
