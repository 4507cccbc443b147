"""Ask again or not, and whether to ask at all: the same decisions for both clients."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from mlwb.client._breaker import Breaker
from mlwb.client._exchange import Exchanger
from mlwb.client._retry import RetryBudget, RetryPolicy
from mlwb.client._wire import Reply, Step, Steps
from mlwb.core.clock import Clock
from mlwb.core.errors import ServeError

__all__ = ["Asker"]

_T = TypeVar("_T")
_ASK_AGAIN = (429, 503)
"""Statuses that say the request was not worked on."""
_SECONDS = re.compile(r"[0-9]{1,9}\Z")
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\Z")


class Asker:
    """Calls to one server; any number of threads may share it.

    Parameters
    ----------
    exchanger : Exchanger
        Sends and reads.
    policy : RetryPolicy
        When to ask again.
    breaker : Breaker
        When not to ask.
    clock : Clock
        Time.
    rng : random.Random
        Jitter.
    """

    def __init__(
        self,
        exchanger: Exchanger,
        policy: RetryPolicy,
        breaker: Breaker,
        *,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._exchanger, self._policy, self._breaker = exchanger, policy, breaker
        self._clock, self._rng = clock, rng
        self._budget = RetryBudget(policy.budget)
        self._lock = threading.Lock()

    def ask(
        self,
        path: str,
        body: bytes,
        read: Callable[[Reply], _T],
        *,
        deadline_s: float,
        request_id: str,
    ) -> Steps[_T]:
        """Ask until there is an answer, or no more tries, time or budget for one.

        Raises
        ------
        ServeError
            ``circuit_open`` nobody was asked; what ``read`` raises; or as in ``_exchange``.
        """
        self._begin()
        tries = 0
        while True:
            tries += 1
            reply = Reply(0, b"")
            try:
                reply = yield from self._exchanger.exchange(
                    "POST", path, body, deadline_s=deadline_s, request_id=request_id
                )
                answer = read(reply)
            except ServeError as error:
                wait_s = self._wait_s(error, reply, tries, deadline_s)
                if wait_s is None:
                    self._end(succeeded=error.status < 500)
                    raise
            else:
                self._end(succeeded=True)
                return answer
            yield Step("sleep", wait_s)

    def _begin(self) -> None:
        with self._lock:
            if not self._breaker.allows():
                raise ServeError("the breaker is open", status=503, problem="circuit_open")
            self._budget.earn()

    def _end(self, *, succeeded: bool) -> None:
        with self._lock:
            self._breaker.record(succeeded=succeeded)

    def _wait_s(
        self, error: ServeError, reply: Reply, tries: int, deadline_s: float
    ) -> float | None:
        """How long to wait for another try; None when there is none."""
        is_safe = error.problem == "unreachable" or reply.status in _ASK_AGAIN
        if tries > self._policy.retries or not is_safe:
            return None
        with self._lock:
            asked_s = self._asked_s(reply.retry_after)
            wait_s = self._policy.wait_s(tries, at_least_s=asked_s, rng=self._rng)
            if self._clock.monotonic_s() + wait_s >= deadline_s or not self._budget.spend():
                return None
        return wait_s

    def _asked_s(self, retry_after: str) -> float:
        """``Retry-After`` in seconds, from either of its two forms; 0 where it is neither."""
        if _SECONDS.match(retry_after):
            return float(retry_after)
        if _DATE.match(retry_after) is None:
            return 0.0
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        return max(0.0, (moment - self._clock.now()).total_seconds())
