"""How many requests somebody may make: the generic cell rate algorithm, in constant memory."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Quota", "RateLimit"]

_SLACK = 1e-6  # of a request: the sum of n costs is a window only up to rounding


class Quota(NamedTuple):
    """Where somebody stands after a request.

    Parameters
    ----------
    remaining : int
        Requests that may follow at once.
    reset_s : int
        Whole seconds until all of them may again; after a refused request, until it may be made.
    """

    remaining: int
    reset_s: int


class RateLimit:
    """``quota`` requests a window, evenly refilled, all of them at once if need be.

    Each name has one number: when its requests so far will have been paid for. A request costs
    ``window_s / quota`` seconds; one that would be paid for later than a window from now is
    refused, and a refused one costs nothing.

    Parameters
    ----------
    quota : int
        Requests a window, at least 1.
    window_s : float
        Seconds.
    name : str
        Of the policy, for the headers.
    capacity : int
        Names remembered; beyond it the one that asked longest ago is forgotten.

    Examples
    --------
    >>> limit = RateLimit(2, 60.0, name="key", capacity=10)
    >>> [limit.take("bot", now_s=0.0) for _ in range(3)]
    [30.0, 60.0, -30.0]
    >>> limit.standing(60.0)
    Quota(remaining=0, reset_s=60)

    Attributes
    ----------
    policy : bytes
        ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers.
    named : bytes
        ``RateLimit`` of the same, with places for a :class:`Quota`.
    """

    __slots__ = ("_capacity", "_cost_s", "_most_s", "_paid", "_window_s", "named", "policy")

    def __init__(self, quota: int, window_s: float, *, name: str, capacity: int) -> None:
        self._window_s, self._capacity, self._cost_s = window_s, capacity, window_s / quota
        self._most_s = window_s + _SLACK * self._cost_s
        self._paid: dict[str, float] = {}
        self.policy = f'"{name}";q={quota};w={math.ceil(window_s)}'.encode()
        self.named = f'"{name}";r=%d;t=%d'.encode()

    def __len__(self) -> int:
        return len(self._paid)

    def take(self, name: str, now_s: float) -> float:
        """Count one request.

        Parameters
        ----------
        name : str
            Who asks.
        now_s : float
            Monotonic seconds.

        Returns
        -------
        float
            Seconds until everything asked so far is paid for, > 0; for a refused request minus
            the seconds until it may be made.
        """
        before = self._paid.pop(name, 0.0)
        owed_s = self._cost_s if before < now_s else before - now_s + self._cost_s
        if owed_s > self._most_s:
            self._paid[name] = before
            return self._window_s - owed_s
        self._paid[name] = now_s + owed_s
        if len(self._paid) > self._capacity:
            del self._paid[next(iter(self._paid))]
        return owed_s

    def standing(self, taken_s: float) -> Quota:
        """What :meth:`take` gave, in the words of the headers."""
        if taken_s < 0:
            return Quota(0, math.ceil(-taken_s - _SLACK * self._cost_s))
        left_s = self._most_s - taken_s
        return Quota(int(left_s / self._cost_s), math.ceil(taken_s - _SLACK * self._cost_s))
