"""What a rate limit costs a request: of one process, shared by workers, told to other servers.

    python -m benchmarks.rate_limits [--calls 5000] [--repeats 60]

The clock is read in each call, as the guard does. Counted are microseconds of the processor, the
least of the repeats, so that a busy machine disturbs them little. Where a redis-server is found
(``.ci/tools`` unpacks one) also what an exchange with it takes of the processor, and from call to
answer, beside the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kit.timing import best
from mlwb.core.clock import SystemClock
from mlwb.serve._limits import Limits
from mlwb.serve._rate import LocalRateLimit, RateLimit
from mlwb.serve._rate_shared import RateTable, SharedRateLimit
from mlwb.serve._redis import open_redis
from mlwb.serve._replicas import Replicas

QUOTA, WINDOW_S, NAMES = 1_000_000_000, 60.0, 10_000
EXCHANGES = 500


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=60)
    asked = parser.parse_args()
    limits = {
        "one process": _local(),
        **{f"{n} workers": _shared(n) for n in (2, 4, 8, 16)},
        "one process, told to others": _joined("redis://127.0.0.1:1")[1],
    }
    now_s, base_s = SystemClock().monotonic_s, 0.0
    for name, limit in limits.items():
        taken_s = best(
            lambda limit=limit: limit.take("bot", now_s()),  # type: ignore[misc]
            asked.repeats,
            calls=asked.calls,
            clock=time.process_time,
        )
        base_s = base_s or taken_s
        print(f"{name:<28} {taken_s * 1e6:6.2f} us  x{taken_s / base_s:.2f}")
    with _redis() as url:
        if url is not None:
            asyncio.run(_exchanges(url))


def _local() -> RateLimit:
    return LocalRateLimit(QUOTA, WINDOW_S, name="key", capacity=NAMES)


def _shared(n_workers: int) -> RateLimit:
    table = RateTable(n_workers, NAMES)
    return SharedRateLimit(QUOTA, WINDOW_S, name="key", table=table, slot=0)


def _joined(url: str) -> tuple[Replicas, RateLimit]:
    """A server with a store, and the limit it asks."""
    own = _local()
    replicas = Replicas(open_redis(url), Limits(own, None), SystemClock(), capacity=NAMES)
    return replicas, replicas.limits.by_key or own


async def _exchanges(url: str) -> None:
    replicas, limit = _joined(url)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(EXCHANGES):
        limit.take("bot", time.monotonic())
        await replicas.exchange()
    took_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    print(f"{'an exchange with Redis':<28} {took_s / EXCHANGES * 1e6:6.0f} us", end="")
    print(f", of the processor {cpu_s / EXCHANGES * 1e6:.0f} us; failed {replicas.failures}")
    await replicas.close()


@contextlib.contextmanager
def _redis() -> Iterator[str | None]:
    """The address of a server in memory; None where there is no program."""
    program = shutil.which("redis-server", path=Path(sys.prefix) / "tools" / "usr" / "bin")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
            time.sleep(0.5)
            try:
                yield f"redis://127.0.0.1:{port}"
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
