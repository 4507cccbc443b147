"""What a call costs the caller: both clients beside http.client and httpx2, in one run.

    python -m benchmarks.client [--calls 2000] [--rounds 5]

One real server process, one row over one kept connection. The arms take turns, and of each the
least seconds of the caller's processor a call count, so that a busy machine disturbs all alike.
The clients build and check everything they promise (deadline, breaker, budget, request id, answer
checks); the others send a body that is ready and parse the answer, no more.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2

from mlwb.client import AsyncPredictClient, PredictClient
from tests.inference.version_kit import point, write_version
from tests.serve.server_kit import server

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
JSON = {"Content-Type": "application/json"}


def _waiting(url: str, stack: ExitStack) -> dict[str, Callable[[int], None]]:
    """Clients of a thread; each makes so many calls."""
    client = stack.enter_context(PredictClient(url))
    plain = http.client.HTTPConnection(url.removeprefix("http://"))
    stack.callback(plain.close)
    loose = stack.enter_context(httpx2.Client(base_url=url))

    def by_client(n: int) -> None:
        for _ in range(n):
            client.predict(ROW)

    def by_http(n: int) -> None:
        for _ in range(n):
            plain.request("POST", "/ml/predict", BODY, JSON)
            json.loads(plain.getresponse().read())

    def by_httpx(n: int) -> None:
        for _ in range(n):
            loose.post("/ml/predict", content=BODY, headers=JSON).json()

    return {"http.client": by_http, "PredictClient": by_client, "httpx2.Client": by_httpx}


def _awaiting(url: str, stack: ExitStack) -> dict[str, Callable[[int], None]]:
    """Clients of an event loop."""
    runner = stack.enter_context(asyncio.Runner())
    client, loose = AsyncPredictClient(url), httpx2.AsyncClient(base_url=url)
    stack.callback(lambda: runner.run(client.close()))
    stack.callback(lambda: runner.run(loose.aclose()))

    async def by_client(n: int) -> None:
        for _ in range(n):
            await client.predict(ROW)

    async def by_httpx(n: int) -> None:
        for _ in range(n):
            (await loose.post("/ml/predict", content=BODY, headers=JSON)).json()

    return {
        "AsyncPredictClient": lambda n: runner.run(by_client(n)),
        "httpx2.AsyncClient": lambda n: runner.run(by_httpx(n)),
    }


def main() -> None:
    """Print microseconds of the processor a call, and ratios to http.client."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        models = Path(scratch) / "models"
        write_version(models, "v1.0.0")
        point(models, "latest", "v1.0.0")
        running = stack.enter_context(
            server(models, Path(scratch), MLWB_PREDICTION_LOG="off", MLWB_DRIFT_DIR="off")
        )
        arms = {**_waiting(running.url, stack), **_awaiting(running.url, stack)}
        cpu_us = dict.fromkeys(arms, float("inf"))
        wall_us = dict.fromkeys(arms, float("inf"))
        for _ in range(options.rounds):
            for name, call in arms.items():
                call(100)
                begun, start = time.process_time(), time.perf_counter()
                call(options.calls)
                used, taken = time.process_time() - begun, time.perf_counter() - start
                cpu_us[name] = min(cpu_us[name], used / options.calls * 1e6)
                wall_us[name] = min(wall_us[name], taken / options.calls * 1e6)
    print(f"{'one call':<20} {'CPU us':>8} {'x http.client':>14} {'wall us':>9}")
    for name, used_us in cpu_us.items():
        ratio = used_us / cpu_us["http.client"]
        print(f"{name:<20} {used_us:8.0f} {ratio:13.2f}x {wall_us[name]:9.0f}")


if __name__ == "__main__":
    main()
