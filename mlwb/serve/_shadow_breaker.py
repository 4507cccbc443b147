"""Stops asking a candidate that fails too often, and finds out when it has recovered."""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice
from typing import Literal, TypeAlias

from mlwb.core.clock import Clock
from mlwb.serve._settings import ServeSettings

__all__ = ["STATES", "BreakerState", "ShadowBreaker"]

_LOG = logging.getLogger("mlwb.serve")

BreakerState: TypeAlias = Literal["closed", "half_open", "open"]
STATES: tuple[BreakerState, ...] = ("closed", "half_open", "open")
"""In the order of the gauge: 0, 1, 2."""


class ShadowBreaker:
    """Closed: the candidate is asked. Open: it is left alone. Half open: it is tried.

    It opens when more than the limit of the last requests failed, is left alone for a pause, then
    asked one request at a time until enough of them in a row were good.

    Parameters
    ----------
    settings : ServeSettings
        Window, limit, least number of requests, pause and probes.
    clock : Clock
        Measures the pause.
    """

    __slots__ = (
        "_clock",
        "_failed",
        "_good",
        "_least",
        "_outcomes",
        "_probing",
        "_settings",
        "_since_s",
        "opened",
        "state",
    )

    def __init__(self, settings: ServeSettings, clock: Clock) -> None:
        self.state: BreakerState = "closed"
        self.opened = 0
        self._settings, self._clock = settings, clock
        self._least = min(settings.shadow_least, settings.shadow_window)
        self._outcomes: deque[bool] = deque(maxlen=settings.shadow_window)
        self._since_s = 0.0
        self._failed = self._good = 0
        self._probing = False

    @property
    def requests(self) -> int:
        """Requests in the window."""
        return len(self._outcomes)

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return self._failed

    @property
    def pause_left_s(self) -> float:
        """Seconds until the candidate is tried again; 0 unless the breaker is open."""
        if self.state != "open":
            return 0.0
        passed_s = self._clock.monotonic_s() - self._since_s
        return max(0.0, self._settings.shadow_pause_s - passed_s)

    def allows(self) -> bool:
        """Whether the candidate may be asked now; a yes is followed by :meth:`record`."""
        if self.state == "closed":
            return True
        now_s = self._clock.monotonic_s()
        # A probe that nobody reports about, since its request was cut off, is given up in time.
        must_wait = self._probing or self.state == "open"
        if must_wait and now_s - self._since_s < self._settings.shadow_pause_s:
            return False
        self.state, self._probing, self._since_s = "half_open", True, now_s
        return True

    def give_back(self) -> None:
        """Take an allowed request back: the candidate was not asked after all."""
        self._probing = False

    def record(self, *, failed: bool) -> None:
        """Take up what became of a request."""
        if self.state == "closed":
            self._count(failed=failed)
        elif self.state == "half_open":
            self._probing = False
            self._good += 1
            if failed:
                self._open("a probe failed")
            elif self._good >= self._settings.shadow_probes:
                _LOG.warning("shadow breaker closed: %d probes were good", self._good)
                self.reset()

    def record_good(self, n: int) -> None:
        """Take up that so many requests went well."""
        if self.state != "closed":
            for _ in range(n):
                self.record(failed=False)
            return
        outcomes = self._outcomes
        if self._failed:
            n_gone = len(outcomes) + n - self._settings.shadow_window
            self._failed -= sum(islice(outcomes, max(0, n_gone)))
        outcomes.extend([False] * n)

    def reset(self) -> None:
        """Begin anew, as with another candidate."""
        self.state = "closed"
        self._outcomes.clear()
        self._failed = self._good = 0
        self._probing = False

    def _count(self, *, failed: bool) -> None:
        outcomes = self._outcomes
        if len(outcomes) == outcomes.maxlen:
            self._failed -= outcomes[0]
        outcomes.append(failed)
        self._failed += failed
        n = len(outcomes)
        if failed and n >= self._least and self._failed > self._settings.shadow_error_limit * n:
            self._open(f"the candidate failed on {self._failed} of {n} requests")

    def _open(self, why: str) -> None:
        self.state, self._since_s = "open", self._clock.monotonic_s()
        self._good, self._probing = 0, False
        self.opened += 1
        pause_s = self._settings.shadow_pause_s
        _LOG.warning("shadow breaker opened: %s; it is asked again in %g s", why, pause_s)
