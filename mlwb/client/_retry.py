"""When to ask again, and how long to wait first."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["RetryBudget", "RetryPolicy"]


@dataclass(frozen=True)
class RetryPolicy:
    """Waits between tries: full jitter, so that clients do not come back in step.

    Parameters
    ----------
    retries : int, default=2
        Further tries after the first.
    base_s : float, default=0.02
        Upper end of the first wait; doubled for each further one.
    cap_s : float, default=1.0
        Upper end no wait goes beyond.
    budget : float, default=0.1
        Retries allowed per call in the long run, so that a brown-out is not made worse.
    """

    retries: int = 2
    base_s: float = 0.02
    cap_s: float = 1.0
    budget: float = 0.1

    def wait_s(self, tries: int, *, at_least_s: float, rng: random.Random) -> float:
        """Seconds to wait after the ``tries``-th try, ``at_least_s`` when the server said so.

        Examples
        --------
        >>> RetryPolicy().wait_s(1, at_least_s=3.0, rng=random.Random(1)) >= 3.0
        True
        """
        jitter: float = rng.uniform(0.0, min(self.cap_s, self.base_s * 2 ** (tries - 1)))
        return at_least_s + jitter


class RetryBudget:
    """A bucket of retries: each call adds a share of one, each retry takes one.

    Parameters
    ----------
    rate : float
        Retries earned per call.
    size : float, default=10.0
        Retries that can be saved up; it starts full.
    """

    def __init__(self, rate: float, size: float = 10.0) -> None:
        self._rate, self._size, self._left = rate, size, size

    def earn(self) -> None:
        """Count one call."""
        self._left = min(self._size, self._left + self._rate)

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
