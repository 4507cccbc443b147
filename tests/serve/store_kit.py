"""A store of shared counts in memory, that can be away, and a real one as a process."""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mlwb.core.clock import ManualClock
from mlwb.serve._count_store import CountStore, StoreAwayError, StoreForgotError, Told

__all__ = ["MemoryStore", "RedisProcess", "redis_process"]


class MemoryStore:
    """Counts as the script in Redis does, by a clock of its own."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.paid, self.counted = clock, dict[str, float](), dict[str, int]()
        self.is_away = self.is_deaf = False
        self.closed = 0
        self.told: list[list[Told]] = []

    def of(self, server: str) -> CountStore:
        """The store as one server asks it."""
        return _View(self, server)

    def forget(self) -> None:
        """Begin anew."""
        self.paid.clear()
        self.counted.clear()

    def tell(self, server: str, number: int, told: Sequence[Told]) -> list[float]:
        """Away it counts nothing; deaf it counts, and its answer is lost."""
        if self.is_away:
            raise StoreAwayError("gone")
        self.told.append(list(told))
        now_s = self.clock.monotonic_s()
        counted = self.counted.get(server, 0)
        self.counted[server] = number
        if counted == 0 and number > 1:
            raise StoreForgotError
        for one in told:
            n = one.n if number > counted else 0
            paid = max(self.paid.get(one.key, -math.inf), now_s - one.age_s) + n * one.cost_s
            self.paid[one.key] = min(max(paid, now_s + one.least_s), now_s + one.most_s)
        if self.is_deaf:
            raise StoreAwayError("lost")
        return [self.paid[one.key] - now_s for one in told]


class _View(NamedTuple):
    store: MemoryStore
    server: str

    async def tell(self, number: int, told: Sequence[Told]) -> list[float]:
        return self.store.tell(self.server, number, told)

    async def close(self) -> None:
        """Remembered."""
        self.store.closed += 1


class RedisProcess(NamedTuple):
    """A started redis-server."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """For ``MLWB_LIMITS_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"


@contextlib.contextmanager
def redis_process(
    tool: Callable[[str], str], folder: Path, port: int = 0
) -> Iterator[RedisProcess]:
    """A server in memory that answers; killed in the end, also when it was stopped."""
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
    quiet = ["--save", "", "--appendonly", "no", "--dir", str(folder), "--logfile", "redis.log"]
    command = [tool("redis-server"), "--bind", "127.0.0.1", "--port", str(port), *quiet]
    process = subprocess.Popen(command, cwd=folder)
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)
        yield RedisProcess(process, port)
    finally:
        process.kill()
        process.wait()
