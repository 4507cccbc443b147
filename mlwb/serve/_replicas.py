"""One limit for many servers: each tells a store what it let through, and learns what is owed.

Nothing of that is on the way of a request. A request is judged by the limit of its own server, as
without a store; about a hundredth of a second later the store is told, and its answer raises what
the own limit knows to be owed. So a server never refuses what one server alone would have let
through, and lets through too much only what others let through since it last heard. What was too
much is owed like the rest. A store that does not answer leaves each server with its own limit.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from mlwb.core.clock import Clock
from mlwb.serve._count_store import CountStore, StoreAwayError, StoreForgotError, Told
from mlwb.serve._limits import Limits
from mlwb.serve._metrics import Samples
from mlwb.serve._rate import RateLimit
from mlwb.serve._redis import open_redis
from mlwb.serve._settings import ServeSettings

__all__ = ["Replicas", "join_replicas", "limit_samples"]

_LOG = logging.getLogger("mlwb.serve")
_PAUSE_S = 0.01
_QUIET_S = 1.0
"""A store that nothing has to be told is asked now and then whether it is there."""
_RETRY_S = (0.02, 0.5)
"""After the first failure, and at most after later ones, each twice the one before."""
_TIMEOUT_S = 0.5
_AWAY_S = 3.0
"""Requests let through are not added up any more once nothing was heard for so long: of a quiet
server, two seconds after the store went."""
_MOST_TOLD = 1_000
"""Names told at a time."""
_MOST_WINDOWS = 4
"""Servers that let whole windows through at once are not kept waiting longer for it."""


class _Batch(NamedTuple):
    """What the store is told at once, and again until it answers.

    Parameters
    ----------
    number : int
        By which the store knows a batch that it counted already.
    since_s : float
        Nothing of it was asked before.
    names : list of (limit, name, n)
        Requests by limit and name.
    """

    number: int
    since_s: float
    names: list[tuple[_ReplicatedRateLimit, str, int]]


class Replicas:
    """A server among those that share a store.

    Parameters
    ----------
    store : CountStore
        Shared.
    limits : Limits
        Of this server alone.
    clock : Clock
        Its monotonic seconds are those of the limits.
    capacity : int
        Names that may wait to be told.

    Attributes
    ----------
    limits : Limits
        For the guard: judged as those of this server, and remembered for the store.
    problem : str
        ``"unreachable"`` while the store gives no answer, else empty.
    failures : int
        Times it gave none.
    """

    def __init__(self, store: CountStore, limits: Limits, clock: Clock, *, capacity: int) -> None:
        self._store, self._clock, self._capacity = store, clock, capacity
        self._replicated: list[_ReplicatedRateLimit] = []
        self.limits = limits.map(self._replicate)
        self.problem, self.failures = "", 0
        self._batch = _Batch(0, 0.0, [])
        self._told_s = self._heard_s = clock.monotonic_s()
        self._is_sure = True

    def _replicate(self, own: RateLimit) -> RateLimit:
        self._replicated.append(_ReplicatedRateLimit(own))
        return self._replicated[-1]

    async def run(self) -> None:
        """Tell and learn, again and again."""
        due_s, retry_s = 0.0, _RETRY_S[0]
        try:
            while True:
                now_s, is_waiting = self._clock.monotonic_s(), self._is_waiting
                if not is_waiting:
                    self._told_s = now_s
                if now_s >= due_s or (is_waiting and not self.problem):
                    await self.exchange()
                    retry_s = min(2 * retry_s, _RETRY_S[1]) if self.problem else _RETRY_S[0]
                    due_s = self._clock.monotonic_s() + (retry_s if self.problem else _QUIET_S)
                await asyncio.sleep(_PAUSE_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._store.close()

    async def exchange(self) -> None:
        """Tell the store what was let through, and learn what is owed.

        Requests are counted once, however often it takes to tell them. A store that was away for
        long, or forgot everything, is told of none before, but what is owed here at least: what
        servers did without it is not added up.
        """
        now_s = self._clock.monotonic_s()
        if not self._batch.names:
            self._batch = self._next(now_s)
        number, since_s, names = self._batch
        told = [
            limit.told(name, n if self._is_sure else None, now_s, since_s=since_s)
            for limit, name, n in names
        ]
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                owed = await self._store.tell(number, told)
        except (StoreAwayError, TimeoutError) as error:
            self._missed(error, now_s)
            return
        except StoreForgotError:
            _LOG.warning("the store of the rate limits has forgotten what was counted")
            self._begin_anew()
            return
        if self.problem:
            _LOG.warning("the store of the rate limits answers again")
        self.problem, self._heard_s, self._is_sure = "", now_s, True
        self._batch = _Batch(number, now_s, [])
        for (limit, name, _), owed_s in zip(names, owed, strict=True):
            limit.learn(name, now_s + owed_s)

    @property
    def _is_waiting(self) -> bool:
        return any(limit.untold for limit in self._replicated)

    def _next(self, now_s: float) -> _Batch:
        every = [(limit, name) for limit in self._replicated for name in limit.untold]
        names = [(limit, name, limit.untold.pop(name)) for limit, name in every[:_MOST_TOLD]]
        batch = _Batch(self._batch.number + 1, self._told_s, names)
        if not self._is_waiting:
            self._told_s = now_s
        return batch

    def _missed(self, error: Exception, now_s: float) -> None:
        if not self.problem:
            why = str(error) or "no answer in time"
            _LOG.warning("the store of the rate limits is away, each server limits alone: %s", why)
        self.problem = "unreachable"
        self.failures += 1
        if now_s - self._heard_s >= _AWAY_S:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Add nothing of before up; remember only for whom something is owed."""
        self._is_sure = False
        for limit, name, _ in self._batch.names:
            limit.untold.setdefault(name, 0)
        for limit in self._replicated:
            kept = list(limit.untold)[-self._capacity :]
            limit.untold = dict.fromkeys(kept, 0)
        self._batch = self._batch._replace(names=[])


def join_replicas(settings: ServeSettings, limits: Limits, clock: Clock) -> Replicas | None:
    """The server among others; None where no store is named.

    Raises
    ------
    ParamsError
        The store cannot be one, or its library is not installed.
    """
    if not settings.limits_url:
        return None
    store = open_redis(settings.limits_url)
    return Replicas(store, limits, clock, capacity=settings.rate_names)


def limit_samples(replicas: Replicas | None) -> Samples:
    """For a scrape; nothing without a store."""
    names = ("ml_limit_store_up", "ml_limit_store_failures_total")
    if replicas is None:
        return {name: {} for name in names}
    found = int(not replicas.problem), replicas.failures
    return {name: {name: value} for name, value in zip(names, found, strict=True)}


class _ReplicatedRateLimit(RateLimit):
    """A limit of this server that remembers what the store was not told yet."""

    __slots__ = ("_own", "untold")

    def __init__(self, own: RateLimit) -> None:
        super().__init__(own.quota, own.window_s, name=own.name)
        self._own = own
        self.untold: dict[str, int] = {}

    def take(self, name: str, now_s: float) -> float:
        taken_s = self._own.take(name, now_s)
        if taken_s > 0.0:
            self.untold[name] = self.untold.get(name, 0) + 1
        return taken_s

    def paid_s(self, name: str) -> float:
        return self._own.paid_s(name)

    def owe(self, name: str, paid_s: float) -> None:
        self._own.owe(name, paid_s)

    def told(self, name: str, n: int | None, now_s: float, *, since_s: float) -> Told:
        """What the store is told of a name: requests, or for None what is owed here at least."""
        least_s = 0.0 if n is not None else max(0.0, self.paid_s(name) - now_s)
        return Told(
            key=f"{self.name}:{name}",
            cost_s=self.cost_s,
            n=n or 0,
            age_s=now_s - since_s,
            least_s=least_s,
            most_s=_MOST_WINDOWS * self.window_s,
        )

    def learn(self, name: str, paid_s: float) -> None:
        """What all servers owe, and what was let through here since it was asked."""
        self.owe(name, paid_s + self.untold.get(name, 0) * self.cost_s)
