"""What servers share of their rate limits, in Redis; the only module that imports it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from mlwb.core.errors import ParamsError
from mlwb.serve._count_store import CountStore, StoreAwayError, StoreForgotError, Told

__all__ = ["open_redis"]

_ANSWER_S = 0.25
_REMEMBERED_S = 60
"""Longer than a batch is told again and again."""
_ROUNDING_S = 1e-3
_PREFIX = "mlwb:limit:"
# By the clock of the store, so clocks of servers need not agree. A name is kept as long as it owes.
_TELL = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local number, counted = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('SET', KEYS[1], number, 'EX', ARGV[2])
if counted == 0 and number > 1 then return nil end
local owed = {}
for i = 1, #KEYS - 1 do
  local key, at = KEYS[i + 1], 5 * i - 2
  local cost, n, age, least, most = unpack(ARGV, at, at + 4)
  if number <= counted then n = 0 end
  local paid = math.max(tonumber(redis.call('GET', key) or 0), now - age) + n * cost
  paid = math.min(math.max(paid, now + least), now + most)
  if paid > now then
    redis.call('SET', key, string.format('%.6f', paid), 'PX', math.ceil((paid - now) * 1000))
  end
  owed[i] = string.format('%.6f', paid - now)
end
return owed
"""


def open_redis(url: str) -> CountStore:
    """The store that a URL names; nothing is sent yet.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user, password and number of the
        database where there are.

    Raises
    ------
    ParamsError
        It names none, or redis-py is not installed.
    """
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ModuleNotFoundError as error:
        raise ParamsError(
            "MLWB_LIMITS_URL needs redis-py", todo="pip install 'mlwb[redis]'"
        ) from error
    try:
        client = Redis.from_url(
            url,
            socket_connect_timeout=_ANSWER_S,
            socket_timeout=_ANSWER_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            protocol=2,
        )
        # Takes every option of the URL, and says nothing to anybody.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError) as error:  # what it says would show a password
        raise ParamsError(
            "MLWB_LIMITS_URL names no store", expected="such as redis://127.0.0.1:6379/0"
        ) from error
    return _Redis(client)


class _Redis:
    """As :class:`mlwb.serve._count_store.CountStore` says."""

    def __init__(self, client: Any) -> None:
        self._client, self._tell = client, client.register_script(_TELL)
        self._batches = f"{_PREFIX}batch:{os.urandom(8).hex()}"

    async def tell(self, number: int, told: Sequence[Told]) -> list[float]:
        from redis.exceptions import RedisError

        keys = [self._batches, *(_PREFIX + one.key for one in told)]
        numbers = [repr(value) for one in told for value in one[1:]]
        arguments = [number, _REMEMBERED_S, *numbers]
        try:
            owed = await self._tell(keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            raise StoreAwayError(f"{type(error).__name__}: {error}") from error
        if owed is None:
            raise StoreForgotError
        return _checked(owed, told)

    async def close(self) -> None:
        await self._client.aclose()


def _checked(owed: Any, told: Sequence[Told]) -> list[float]:
    """Seconds owed, one of each name; whatever else speaks on the port of a store is none."""
    try:
        found = [float(text) for text in owed]
    except (TypeError, ValueError):
        found = []
    if len(found) != len(told) or not all(
        -math.inf < owed_s <= one.most_s + _ROUNDING_S
        for owed_s, one in zip(found, told, strict=True)
    ):
        raise StoreAwayError("an answer that is none of the store's")
    return found
