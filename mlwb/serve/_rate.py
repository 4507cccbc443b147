"""How many requests somebody may make: the generic cell rate algorithm, in constant memory."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

__all__ = ["LocalRateLimit", "Quota", "RateLimit"]

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


class RateLimit(ABC):
    """``quota`` requests a window, evenly refilled, all of them at once if need be.

    Each name has one number: when its requests so far will have been paid for. A request costs
    ``window_s / quota`` seconds; one that would be paid for later than a window from now is
    refused, and a refused one costs nothing. Who remembers that number is a class of its own.

    Parameters
    ----------
    quota : int
        Requests a window, at least 1.
    window_s : float
        Seconds.
    name : str
        Of the policy, for the headers.

    Attributes
    ----------
    quota, window_s, name
        As given.
    cost_s : float
        What a request costs.
    policy : bytes
        ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers.
    named : bytes
        ``RateLimit`` of the same, with places for a :class:`Quota`.
    """

    __slots__ = ("_most_s", "cost_s", "name", "named", "policy", "quota", "window_s")

    def __init__(self, quota: int, window_s: float, *, name: str) -> None:
        self.quota, self.window_s, self.name = quota, window_s, name
        self.cost_s = window_s / quota
        self._most_s = window_s + _SLACK * self.cost_s
        self.policy = f'"{name}";q={quota};w={math.ceil(window_s)}'.encode()
        self.named = f'"{name}";r=%d;t=%d'.encode()

    @abstractmethod
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

    @abstractmethod
    def paid_s(self, name: str) -> float:
        """When everything asked so far is paid for, monotonic seconds; in the past for nothing."""

    @abstractmethod
    def owe(self, name: str, paid_s: float) -> None:
        """Learn that a name's requests will not be paid for before ``paid_s``."""

    def standing(self, taken_s: float) -> Quota:
        """What :meth:`take` gave, in the words of the headers."""
        if taken_s < 0:
            return Quota(0, math.ceil(-taken_s - _SLACK * self.cost_s))
        # More than a window is owed where others let requests through at the same time.
        left = max(0, int((self._most_s - taken_s) / self.cost_s))
        return Quota(left, math.ceil(taken_s - _SLACK * self.cost_s))


class LocalRateLimit(RateLimit):
    """The limit of one process.

    Parameters
    ----------
    quota, window_s, name
        As :class:`RateLimit`.
    capacity : int
        Names remembered; beyond it the one that asked longest ago is forgotten.

    Examples
    --------
    >>> limit = LocalRateLimit(2, 60.0, name="key", capacity=10)
    >>> [limit.take("bot", now_s=0.0) for _ in range(3)]
    [30.0, 60.0, -30.0]
    >>> limit.standing(60.0)
    Quota(remaining=0, reset_s=60)
    """

    __slots__ = ("_capacity", "_paid")

    def __init__(self, quota: int, window_s: float, *, name: str, capacity: int) -> None:
        super().__init__(quota, window_s, name=name)
        self._capacity = capacity
        self._paid: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._paid)

    def take(self, name: str, now_s: float) -> float:
        """Count one request; see :meth:`RateLimit.take`."""
        before = self._paid.pop(name, 0.0)
        owed_s = self.cost_s if before < now_s else before - now_s + self.cost_s
        if owed_s > self._most_s:
            self._paid[name] = before
            return self.window_s - owed_s
        self._paid[name] = now_s + owed_s
        if len(self._paid) > self._capacity:
            del self._paid[next(iter(self._paid))]
        return owed_s

    def paid_s(self, name: str) -> float:
        """See :meth:`RateLimit.paid_s`."""
        return self._paid.get(name, 0.0)

    def owe(self, name: str, paid_s: float) -> None:
        """See :meth:`RateLimit.owe`; a name that was forgotten stays so."""
        if self._paid.get(name, math.inf) < paid_s:
            self._paid[name] = paid_s
