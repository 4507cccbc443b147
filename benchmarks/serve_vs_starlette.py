"""The predict server, everything on, beside a bare Starlette endpoint with the same model.

    python -m benchmarks.serve_vs_starlette [--seconds 2] [--rounds 3]

Three servers, one process each, take turns under the same closed loop of 16 keep-alive
connections, so that a busy machine disturbs all alike. CPU is that of the server process, by the
kernel's count. Only the ratios travel to another machine.

- ``starlette``: Starlette and uvicorn (uvloop, httptools), ``json``, a session of the same graph;
  no checks, no metrics, no log.
- ``predict``: range and schema checks, request ids, metrics, prediction log, hot reload.
- ``shadow``: the same, and a candidate scores every row.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import uvloop

from tests.inference.version_kit import point, write_version

CONNECTIONS = 16
BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
TICKS = os.sysconf("SC_CLK_TCK")

BARE = """
import json, socket, sys
import numpy as np, onnxruntime as ort, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
async def predict(request):
    row = (await request.json())["features"]
    score = session.run(["probability"], {"features": np.asarray([row], dtype=np.float64)})[0]
    return JSONResponse({"score": float(score[0])})
app = Starlette(routes=[Route("/ml/predict", predict, methods=["POST"])])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="error", access_log=False)
uvicorn.Server(config).run([listener])
"""
OURS = """
import sys
from pathlib import Path
from mlwb.serve import ServeSettings, run_server
settings = ServeSettings.from_env({}, models_dir=Path(sys.argv[1]), port=0)
run_server(settings, on_ready=lambda ready: print(ready.port, flush=True))
"""


class Run(NamedTuple):
    """What one turn of one server gave."""

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


class _Asker(asyncio.Protocol):
    """One connection of a closed loop."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self._request, self._times = request, times
        self._got = b""
        self._start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, blank, body = self._got.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if blank and length and len(body) >= int(length[1]):
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"refused: {self._got.decode()}")
            self._times.append(time.perf_counter() - self._start)
            self._got = b""
            self._ask()

    def _ask(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(self._request)


async def _load(port: int, path: str, seconds: float) -> list[float]:
    loop, times = asyncio.get_running_loop(), list[float]()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    opened = [
        await loop.create_connection(lambda: _Asker(request, times), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for transport, _ in opened:
        transport.abort()
    return times


def _cpu_s(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / TICKS


@contextmanager
def server(code: str, argument: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of a server that runs this code until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(argument)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.pid, int(cast("IO[str]", process.stdout).readline())
        finally:
            process.terminate()


def turn(pid: int, port: int, path: str, seconds: float) -> Run:
    """Load one server for a while and count what it used."""
    before, start = _cpu_s(pid), time.perf_counter()
    times = sorted(uvloop.run(_load(port, path, seconds)))
    taken, n = time.perf_counter() - start, len(times)
    cpu_us = (_cpu_s(pid) - before) / n * 1e6
    return Run(n / taken, cpu_us, times[n // 2] * 1e3, times[n * 99 // 100] * 1e3)


def main() -> None:
    """Print one row a server, ratios to the bare endpoint last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        models = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "models"
        for channel, version in (("latest", "v1"), ("candidate", "v2")):
            write_version(models, version)
            point(models, channel, version)
        bare = stack.enter_context(server(BARE, models / "v1" / "model.onnx"))
        ours = stack.enter_context(server(OURS, models))
        arms = {
            "starlette": (*bare, "/ml/predict"),
            "predict": (*ours, "/ml/predict"),
            "shadow": (*ours, "/ml/predict-with-shadow"),
        }
        for arm in arms.values():
            turn(*arm, 0.3)
        runs: dict[str, list[Run]] = {name: [] for name in arms}
        for _ in range(options.rounds):
            for name, arm in arms.items():
                runs[name].append(turn(*arm, options.seconds))
    found = {
        name: Run(*(statistics.median(column) for column in zip(*rows, strict=True)))
        for name, rows in runs.items()
    }
    base = found["starlette"]
    print("              req/s  cpu us  p50 ms  p99 ms  x req/s  x cpu")
    for name, run in found.items():
        print(
            f"{name:10} {run.per_s:8.0f} {run.cpu_us:7.1f} {run.p50_ms:7.2f} {run.p99_ms:7.2f}"
            f" {run.per_s / base.per_s:8.2f} {run.cpu_us / base.cpu_us:6.2f}"
        )


if __name__ == "__main__":
    main()
