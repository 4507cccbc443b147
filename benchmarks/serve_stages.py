"""What a request costs the predict server, stage by stage, without sockets and without a client.

    python -m benchmarks.serve_stages [--requests 2000] [--repeats 5]

Whole requests are handed to connections of a server with everything on (key, limit, ranges,
request ids, metrics, prediction log, live drift, a candidate), sixteen at a time. Counted are
microseconds of the processor, so that a busy machine disturbs them little; the least of several
repeats is shown:

- ``answer``: from the bytes of a request to the bytes of its answer;
- ``settle``: what is left to be done afterwards (counts, log lines, drift, the candidate);
- ``write``: what the thread of the logs does;
- ``longest``: the longest settling of the repeat with the shortest one: what a request that comes
  at the wrong moment waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import uvicorn
from uvicorn.server import ServerState

from benchmarks.serve_vs_starlette import LARGE, SMALL, body, publish
from mlwb.serve import App, KeyFile, ServeSettings, create_app
from mlwb.serve._connection import GuardedProtocol

CONNECTIONS = 16
ROUNDS = 3
"""Of sixteen requests of one row between two settlings, some two milliseconds of load; of batches
one round is more than that."""


class Wire:
    """A transport that keeps what was written last."""

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.said = data

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Both ends."""
        ends = {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 4010)}
        return ends.get(name, default)


class Cost(NamedTuple):
    """Microseconds a request."""

    answer: float
    settle: float
    write: float
    longest: float


def timed(job: Callable[[], object]) -> float:
    """Seconds of this thread's processor time."""
    start = time.thread_time()
    job()
    return time.thread_time() - start


def request(path: str, key: str, n_rows: int) -> bytes:
    """As wrk writes it."""
    content = body(n_rows)
    return (
        f"POST {path} HTTP/1.1\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Host: 127.0.0.1:4010\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    ).encode()


def connections(app: App) -> list[GuardedProtocol]:
    """Open ones."""
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None)
    config.load()
    state, found = ServerState(), []
    for _ in range(CONNECTIONS):
        protocol = GuardedProtocol(
            config=config, server_state=state, app_state={}, settings=app.state.settings,
            metrics=app.state.metrics, direct=app.direct,
        )  # fmt: skip
        protocol.connection_made(Wire())  # type: ignore[arg-type]
        found.append(protocol)
    return found


def one_repeat(app: App, asked: bytes, n_requests: int, rounds: int) -> Cost:
    """Answer, settle, write."""
    lines, logs = connections(app), app.state.logs

    def answer() -> None:
        for _ in range(rounds):
            for line in lines:
                line.data_received(asked)

    def write() -> None:
        for log in logs:
            log.write()

    answers, settles, writes = [], [], []
    for _ in range(max(2, n_requests // (CONNECTIONS * rounds))):
        answers.append(timed(answer))
        settles.append(timed(app.state.settle))
        writes.append(timed(write))
    wire: Wire = lines[0].transport  # type: ignore[assignment]
    n_dropped = sum(log.dropped for log in logs)
    if n_dropped or not wire.said.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"{n_dropped} lines were dropped; answered {wire.said[:200]!r}")
    scale = 1e6 / (len(answers) * CONNECTIONS * rounds)
    answer_us, settle_us, write_us = (scale * sum(part) for part in (answers, settles, writes))
    return Cost(answer_us, settle_us, write_us, max(settles) * 1e6)


async def measure(app: App, key: str, *, n_requests: int, repeats: int) -> None:
    """Print a line for each kind of request."""
    print("us of the processor a request    answer  settle   write     all  a row   longest settle")
    for path in ("/ml/predict", "/ml/predict-with-shadow"):
        for n_rows in (1, SMALL, LARGE):
            asked = request(path, key, n_rows)
            n_asked = n_requests if n_rows == 1 else max(100, n_requests // n_rows)
            rounds = ROUNDS if n_rows == 1 else 1
            found = [one_repeat(app, asked, n_asked, rounds) for _ in range(repeats)]
            cost = Cost(*map(min, zip(*found, strict=True)))
            all_us = cost.answer + cost.settle + cost.write
            print(
                f"{path:24} {n_rows:5}  {cost.answer:8.1f}{cost.settle:8.1f}{cost.write:8.1f}"
                f"{all_us:8.1f}{all_us / n_rows:7.2f}{cost.longest:10.0f}"
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=2_000, help="of one row, a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        models = home / "artifacts" / "models"
        publish(models)
        keys = KeyFile(home / "keys.json")
        _, key = keys.add("load", ["service"], now=datetime.now(UTC), days=1)
        settings = ServeSettings(
            models,
            prediction_log=home / "predictions.jsonl",
            shadow_log=home / "shadow.jsonl",
            drift_dir=home / "drift",
            keys_file=keys.path,
            rate_limit=10**9,
        )
        app = create_app(settings)
        gc.collect()
        gc.freeze()
        asyncio.run(measure(app, key, n_requests=options.requests, repeats=options.repeats))


if __name__ == "__main__":
    main()
