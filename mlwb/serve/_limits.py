"""The limits a server asks, by what a caller is known by, and who remembers what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mlwb.serve._rate import LocalRateLimit, RateLimit
from mlwb.serve._rate_shared import RateTable, SharedRateLimit
from mlwb.serve._settings import ServeSettings

__all__ = ["Limits", "limit_tables", "local_limits", "shared_limits"]


class Limits(NamedTuple):
    """Of one process.

    Parameters
    ----------
    by_key : RateLimit or None
        Of whoever shows a valid key; None for any number of requests.
    by_address : RateLimit or None
        Of whoever shows none.
    """

    by_key: RateLimit | None
    by_address: RateLimit | None

    def map(self, change: Callable[[RateLimit], RateLimit]) -> Limits:
        """The same limits, each replaced where there is one."""
        return Limits(*(None if limit is None else change(limit) for limit in self))


def local_limits(settings: ServeSettings) -> Limits:
    """Limits that one process keeps to itself."""
    window_s, names = settings.rate_window_s, settings.rate_names

    def make(name: str, quota: int) -> RateLimit:
        return LocalRateLimit(quota, window_s, name=name, capacity=names)

    return _limits(settings, make)


def limit_tables(settings: ServeSettings) -> Mapping[str, RateTable]:
    """What workers share; made before they are forked."""
    return {
        name: RateTable(settings.workers, settings.rate_names)
        for name, quota in _quotas(settings).items()
        if quota
    }


def shared_limits(settings: ServeSettings, tables: Mapping[str, RateTable], slot: int) -> Limits:
    """Limits of all workers, as the worker of one slot asks them."""

    def make(name: str, quota: int) -> RateLimit:
        window_s = settings.rate_window_s
        return SharedRateLimit(quota, window_s, name=name, table=tables[name], slot=slot)

    return _limits(settings, make)


def _quotas(settings: ServeSettings) -> dict[str, int]:
    return {"key": settings.rate_limit, "address": settings.rate_limit_address}


def _limits(settings: ServeSettings, make: Callable[[str, int], RateLimit]) -> Limits:
    return Limits(*(make(name, n) if n else None for name, n in _quotas(settings).items()))
