"""Versions change under load: failures, wrong answers, time of a swap, time of a rollback.

    python -m benchmarks.serve_flips [--requests 100000] [--flips 1000] [--rollbacks 50]

A real server process under a closed loop of keep-alive connections. First `latest` is flipped
between two versions as fast as the server takes them up; then it is rolled back by route through a
registry with its log. Every answer is computed again from the weights of the version it names, by
numpy. ``swap`` is the event loop's time for one change of version, as the server reports it;
``rollback`` is from sending the request to an answer of the version gone back to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
import uvloop

from mlwb.registry import Registry
from tests.inference.version_kit import WEIGHTS, logistic, point, write_version
from tests.serve.registry_kit import OTHER, begin, promote, publish

CONNECTIONS = 16
VERSIONS = {"v1.0.0": WEIGHTS, "v2.0.0": OTHER}
ROWS = np.column_stack([np.ones(64), np.random.default_rng(7).uniform(0.0, 0.5, (64, 3))])
EXPECTED = {version: logistic(ROWS, weights) for version, weights in VERSIONS.items()}

SERVER = """
import sys
from pathlib import Path
from mlwb.serve import ServeSettings, run_server
settings = ServeSettings.from_env({}, models_dir=Path(sys.argv[1]), port=0, reload_s=0.01)
run_server(settings, on_ready=lambda ready: print(ready.port, flush=True))
"""


class Tally:
    """What the connections saw."""

    def __init__(self) -> None:
        self.n = self.failed = self.wrong = self.changes = 0
        self.version = ""
        self.times: list[float] = []

    def add(self, row: int, status: bytes, body: bytes, taken_s: float) -> None:
        """Check one answer."""
        self.n += 1
        self.times.append(taken_s)
        if status != b"200":
            self.failed += 1
            return
        said = json.loads(body)
        expected = EXPECTED[said["model_version"]][row]
        self.wrong += abs(said["score"] - expected) > 1e-12
        self.changes += said["model_version"] != self.version
        self.version = said["model_version"]

    def judge(self) -> None:
        """Print the counts, and end when one is not as it must be."""
        print(f"{self.n:,} requests: {self.failed} failed, {self.wrong} wrong")
        if self.failed or self.wrong:
            raise SystemExit(1)


class Connection(asyncio.Protocol):
    """One connection of a closed loop; the connection is never to be closed on it."""

    def __init__(self, tally: Tally, first: int) -> None:
        self._tally, self._row = tally, first
        self._got, self._start, self.is_open = b"", 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport, self.is_open = cast("asyncio.Transport", transport), True
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """A request is lost unless the load had ended."""
        self._tally.failed += self.is_open

    def data_received(self, data: bytes) -> None:
        """Check a whole answer and ask again."""
        self._got += data
        head, blank, body = self._got.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if blank and length and len(body) >= int(length[1]):
            taken_s = time.perf_counter() - self._start
            self._tally.add(self._row, head[9:12], body, taken_s)
            self._got, self._row = b"", (self._row + 1) % len(ROWS)
            self._ask()

    def close(self) -> None:
        """Stop asking."""
        self.is_open = False
        self._transport.abort()

    def _ask(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(REQUESTS[self._row])


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


REQUESTS = [_request("POST", "/ml/predict", json.dumps({"features": row}).encode())
            for row in ROWS.tolist()]  # fmt: skip


@contextlib.asynccontextmanager
async def load(port: int, connections: int = CONNECTIONS) -> AsyncIterator[Tally]:
    """The closed loop while the block runs."""
    tally, loop = Tally(), asyncio.get_running_loop()
    opened = [
        await loop.create_connection(partial(Connection, tally, first), "127.0.0.1", port)
        for first in range(connections)
    ]
    try:
        yield tally
    finally:
        for _, connection in opened:
            connection.close()


async def ask(port: int, message: bytes) -> bytes:
    """One request on a connection of its own; the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head)
    body = await reader.readexactly(int(found[1]) if found else 0)
    writer.close()
    if head[9:12] != b"200":
        raise SystemExit(f"refused: {body.decode()}")
    return body


async def _swap_ms(port: int, loaded: int) -> float:
    """Wait until so many versions were taken up; what the last one took of the event loop."""
    while True:
        text = (await ask(port, _request("GET", "/ml/metrics"))).decode()
        count = re.search(r'ml_model_reload_total\{result="loaded"\} (\d+)', text)
        swap = re.search(r"^ml_model_swap_ms (\S+)$", text, re.MULTILINE)
        if count and swap and int(count[1]) >= loaded:
            return float(swap[1])
        await asyncio.sleep(0.002)


async def flips(port: int, models: Path, *, n_flips: int, n_requests: int) -> None:
    """Flip `latest` under load, each flip when the one before was taken up."""
    swaps: list[float] = []
    async with load(port) as tally:
        start = time.perf_counter()
        while len(swaps) < n_flips or tally.n < n_requests:
            point(models, "latest", ("v2.0.0", "v1.0.0")[len(swaps) % 2])
            swaps.append(await _swap_ms(port, len(swaps) + 2))
        taken = time.perf_counter() - start
    print(f"{len(swaps):,} flips in {taken:.0f} s, {tally.changes:,} changes of version seen")
    tally.judge()
    _say("swap, event loop", swaps)
    _say("request under flips", [item * 1e3 for item in tally.times])


async def rollbacks(port: int, *, n: int, connections: int) -> None:
    """Roll back by route to and fro, with so many connections asking."""
    served: list[float] = []
    registry_ms: list[float] = []
    async with load(port, connections) as tally:
        for turn in range(n):
            target = ("v1.0.0", "v2.0.0")[turn % 2]
            body = json.dumps({"reason": "benchmark", "target": target}).encode()
            start = time.perf_counter()
            said = json.loads(await ask(port, _request("POST", "/ml/rollback", body)))
            answer = json.loads(await ask(port, REQUESTS[0]))
            served.append((time.perf_counter() - start) * 1e3)
            registry_ms.append(said["registry_ms"])
            if answer["model_version"] != target:
                raise SystemExit(f"{target} is not served")
    print(f"{n} rollbacks by route, {connections} connections ask")
    tally.judge()
    _say("rollback until served", served)
    _say("of which the registry", registry_ms)


def _say(what: str, taken_ms: Sequence[float]) -> None:
    p50, p99 = np.percentile(taken_ms, [50, 99])
    print(f"{what:<24} p50 {p50:8.3f} ms   p99 {p99:8.3f} ms   most {max(taken_ms):8.3f} ms")


@contextmanager
def server(models: Path) -> Iterator[int]:
    """Port of a server process that runs until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(models)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield int(cast("IO[str]", process.stdout).readline())
        finally:
            process.terminate()


def main() -> None:
    """Print what was found; exit 1 when a request failed or an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--flips", type=int, default=1_000)
    parser.add_argument("--rollbacks", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain" / "models"
        for version, weights in VERSIONS.items():
            write_version(plain, version, weights=weights)
        point(plain, "latest", "v1.0.0")
        with server(plain) as port:
            uvloop.run(flips(port, plain, n_flips=options.flips, n_requests=options.requests))
        registry: Registry = begin(Path(folder) / "audited" / "models")
        publish(registry, "v2.0.0", OTHER)
        promote(registry, "v2.0.0")
        with server(registry.models_dir) as port:
            for connections in (0, CONNECTIONS):
                uvloop.run(rollbacks(port, n=options.rollbacks, connections=connections))


if __name__ == "__main__":
    main()
