"""Stop asking a server that does not answer, and find out gently when it does again."""

from __future__ import annotations

import random
from collections import deque

from mlwb.core.clock import Clock

__all__ = ["Breaker"]


class Breaker:
    """Closed, open, half open.

    Opens after ``consecutive`` failures, or when more than half of the last ``sample`` calls
    within ``window_s`` failed. Stays open for ``open_s`` to twice that, drawn anew each time so
    that many clients do not return at once; then lets one call through, which decides.

    Parameters
    ----------
    clock : Clock
        Monotonic time.
    rng : random.Random
        Draws the time it stays open.
    consecutive : int, default=5
        Failures in a row that open it.
    sample : int, default=20
        Calls the share of failures is taken over.
    window_s : float, default=10.0
        Age beyond which a call no longer counts.
    open_s : float, default=5.0
        Shortest time it stays open.

    Examples
    --------
    >>> from mlwb.core.clock import ManualClock
    >>> breaker = Breaker(ManualClock(), random.Random(1), consecutive=2)
    >>> for _ in range(2):
    ...     breaker.record(succeeded=False)
    >>> breaker.allows()
    False
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        consecutive: int = 5,
        sample: int = 20,
        window_s: float = 10.0,
        open_s: float = 5.0,
    ) -> None:
        self._clock, self._rng = clock, rng
        self._consecutive, self._sample = consecutive, sample
        self._window_s, self._open_s = window_s, open_s
        self._in_a_row = 0
        self._calls: deque[tuple[float, bool]] = deque(maxlen=sample)
        self._opens_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last verdict on the server was bad."""
        return self._opens_until is not None

    def allows(self) -> bool:
        """Whether a call may be made now; in the half open state, one may."""
        if self._opens_until is None:
            return True
        if self._clock.monotonic_s() < self._opens_until:
            return False
        self._open()  # the call let through decides; until it does, no other is
        return True

    def record(self, *, succeeded: bool) -> None:
        """Say how a call went."""
        now = self._clock.monotonic_s()
        self._calls.append((now, succeeded))
        if succeeded:
            self._in_a_row = 0
            if self._opens_until is not None:
                self._opens_until = None
                self._calls.clear()
            return
        self._in_a_row += 1
        if (
            self._opens_until is not None
            or self._in_a_row >= self._consecutive
            or self._is_bad(now)
        ):
            self._open()

    def _is_bad(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._window_s]
        return len(recent) >= self._sample and 2 * recent.count(False) > len(recent)

    def _open(self) -> None:
        delay = self._open_s * (1 + self._rng.random())
        self._opens_until = self._clock.monotonic_s() + delay
