"""One rate limit for all workers of a server, in memory that they share.

What a name owes is not one number that workers would overwrite for each other. Each worker has two
cells for a name that no other worker writes: how many requests it let through, and since when, at
the earliest, there was no debt. The sum of the former and the latest of the latter are the number,
so no request is ever lost and nobody waits for a lock. What a worker does not see yet is what the
others decide in the same instant: at most one request each is let through too many, and that one
is owed like any other.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from mlwb.serve._rate import RateLimit

__all__ = ["RateTable", "SharedRateLimit"]

_CELL: Final = 8
_WAYS: Final = 16
"""Places a name may have. At twice the places that names are asked for, one in 250 finds all of
its sixteen taken when the table is full, and one in 500,000 when it is half full."""


class RateTable:
    """Places for names; made before workers are forked.

    Parameters
    ----------
    n_workers : int
        Processes.
    capacity : int
        Names at a time.
    """

    def __init__(self, n_workers: int, capacity: int) -> None:
        self.n_workers, self.capacity = n_workers, capacity
        # A place: the digest of the name, then counts and beginnings of each worker.
        self.place = struct.Struct(f"Q{2 * n_workers}d")
        self._n_groups = -(-2 * capacity // _WAYS)
        self.memory = mmap.mmap(-1, self._n_groups * _WAYS * self.place.size)
        self._lock = _nameless_file()
        weakref.finalize(self, os.close, self._lock)
        self._salt = os.urandom(16)

    def find(self, name: str, cost_s: float) -> tuple[int, int]:
        """Where a name stands and its digest; given a place where it has none.

        That is the place where least is owed. Where nothing is, it is as good as new. Where all
        places owe, the newcomer takes a debt over: whoever comes under ever new names has no
        more than the table.
        """
        drawn = int.from_bytes(blake2b(name.encode(), digest_size=8, key=self._salt).digest())
        first = drawn % self._n_groups * _WAYS * self.place.size
        digest = max(drawn, 1)  # 0 stands where nobody ever was
        places = range(first, first + _WAYS * self.place.size, self.place.size)
        with self._claimed():
            found = [self.place.unpack_from(self.memory, place) for place in places]
            for place, cells in zip(places, found, strict=True):
                if cells[0] == digest:
                    return place, digest
            owed = [self.paid_s(cells, cost_s) for cells in found]
            place = places[owed.index(min(owed))]
            struct.pack_into("Q", self.memory, place, digest)
        return place, digest

    def paid_s(self, cells: tuple[float, ...], cost_s: float) -> float:
        """When what stands in a place is paid for."""
        middle = self.n_workers + 1
        return max(cells[middle:]) + sum(cells[1:middle]) * cost_s

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Nobody else gives places away; the system ends that with the process, however it ends."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


class SharedRateLimit(RateLimit):
    """The limit of all workers, as one of them asks it.

    Parameters
    ----------
    quota, window_s, name
        As :class:`RateLimit`.
    table : RateTable
        Shared by the workers.
    slot : int
        Of this worker; no other living one has it.

    Examples
    --------
    >>> table = RateTable(2, capacity=10)
    >>> one, other = (SharedRateLimit(2, 60.0, name="key", table=table, slot=n) for n in (0, 1))
    >>> [limit.take("bot", now_s=100.0) for limit in (one, other, one)]
    [30.0, 60.0, -30.0]
    """

    __slots__ = ("_cells", "_known", "_memory", "_middle", "_read", "_slot", "_table")

    def __init__(
        self, quota: int, window_s: float, *, name: str, table: RateTable, slot: int
    ) -> None:
        super().__init__(quota, window_s, name=name)
        self._table, self._slot, self._middle = table, slot, table.n_workers + 1
        self._memory, self._read = table.memory, table.place.unpack_from
        self._cells = memoryview(table.memory).cast("d")
        self._known: dict[str, tuple[int, int]] = {}

    def take(self, name: str, now_s: float) -> float:
        """Count one request; see :meth:`RateLimit.take`."""
        place, cells = self._look(name)
        middle, cost_s, own = self._middle, self.cost_s, self._slot + 1
        counted_s = sum(cells[1:middle]) * cost_s
        owed_s = max(cells[middle:]) + counted_s - now_s
        if owed_s < 0.0:
            self._cells[place // _CELL + middle + self._slot] = now_s - counted_s
            owed_s = 0.0
        owed_s += cost_s
        if owed_s > self._most_s:
            return self.window_s - owed_s
        self._cells[place // _CELL + own] = cells[own] + 1.0
        return owed_s

    def paid_s(self, name: str) -> float:
        """See :meth:`RateLimit.paid_s`."""
        return self._table.paid_s(self._look(name)[1], self.cost_s)

    def owe(self, name: str, paid_s: float) -> None:
        """See :meth:`RateLimit.owe`."""
        place, cells = self._look(name)
        since_s = paid_s - sum(cells[1 : self._middle]) * self.cost_s
        if since_s > max(cells[self._middle :]):
            self._cells[place // _CELL + self._middle + self._slot] = since_s

    def _look(self, name: str) -> tuple[int, tuple[float, ...]]:
        """Where a name stands, and what stands there."""
        known = self._known.get(name)
        if known is not None:
            place, digest = known
            cells = self._read(self._memory, place)
            if cells[0] == digest:
                return place, cells
        if len(self._known) >= self._table.capacity:
            self._known.clear()
        place, _ = self._known[name] = self._table.find(name, self.cost_s)
        return place, self._read(self._memory, place)


def _nameless_file() -> int:
    """Something to lock: in memory where the system can, else a file that is removed already."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mlwb-limits")
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    return descriptor
