"""What servers that share a rate limit ask of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["CountStore", "StoreAwayError", "StoreForgotError", "Told"]


class StoreAwayError(Exception):
    """The store gives no answer, or none that can be used."""


class StoreForgotError(Exception):
    """The store does not know of the batches before, and did not count this one."""


class Told(NamedTuple):
    """What the store is told of one name.

    Parameters
    ----------
    key : str
        Limit and name.
    cost_s : float
        What a request costs.
    n : int
        Requests let through since the last time.
    age_s : float
        Seconds since then: before that nothing was asked, so what came in was paid for from then.
    least_s : float
        Seconds that are owed at least, for a store that may have missed something; 0 for nothing.
    most_s : float
        Seconds that can be owed; more would come of a clock that went back, and is forgotten.
    """

    key: str
    cost_s: float
    n: int
    age_s: float
    least_s: float
    most_s: float


class CountStore(Protocol):
    """Adds up what all servers let through."""

    async def tell(self, number: int, told: Sequence[Told]) -> list[float]:
        """Seconds owed of each name, all requests of all servers included; below 0 for nothing.

        Parameters
        ----------
        number : int
            Of this server's batches; the requests of one are counted once, however often told.
        told : sequence of Told
            The batch.

        Raises
        ------
        StoreAwayError
            No answer; the store may have counted all the same.
        StoreForgotError
            It began anew since this server's last batch.
        """

    async def close(self) -> None:
        """Hang up."""
