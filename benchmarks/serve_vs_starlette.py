"""The predict server, everything on, beside a bare Starlette endpoint and two floors, in one run.

    python -m benchmarks.serve_vs_starlette [--seconds 1] [--rounds 4] [--peers PYTHON]

One process each, the same model of seven features, one row over keep-alive on loopback, asked by
wrk. The arms take turns, forth and back (ABBA), so that a busy machine disturbs all alike. CPU is
that of the whole process tree, by the kernel's count. Only ratios travel to another machine: ``x``
is beside the bare endpoint, ``x model`` the CPU of a request beside one call of onnxruntime with
the same rows.

- ``noop``: an ASGI callable that answers a constant, on uvicorn with uvloop and httptools;
- ``starlette``: Starlette, ``json``, a session of the same graph; no checks, no metrics, no log;
- ``predict``: ours; key, limits, schema and range checks, request ids, metrics, prediction log,
  live drift, hot reload;
- ``shadow``: the same, and a candidate scores every row, is compared, counted and logged;
- ``2 workers``: ``shadow`` with two workers;
- ``fastapi``: the usual recipe, where ``--peers`` names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import compileall
import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

import mlwb
from benchmarks.kit.process import cpu_s, rss_mb
from benchmarks.kit.timing import best
from mlwb.inference import Predictor
from mlwb.serve import KeyFile
from tests.inference.version_kit import add_reference, logistic, point, sidecar_for, write_version

NAMES = ("bias", "r1", "spread_bp", "z", "bias_2", "r5", "vol")
WEIGHTS = (0.1, 1.5, -0.04, 0.8, 0.2, -0.7, 0.01)
ROW = (1.0, 0.01, 2.0, -0.5, 1.0, 0.03, 7.5)
SMALL, LARGE = 32, 1_000
"""Rows of the two batches."""

_HEAD = """
import json, sys
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
def score(rows):
    found = session.run(["probability"], {"features": np.asarray(rows, dtype=np.float64)})
    return found[0].tolist()
"""
_TAIL = """
import uvicorn
uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="error",
            access_log=False)
"""
NOOP = """
import sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"14")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"score":0.25}'})
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def predict(request):
    asked = await request.json()
    if "rows" in asked:
        return JSONResponse({"scores": score(asked["rows"])})
    return JSONResponse({"score": score([asked["features"]])[0]})
app = Starlette(routes=[Route("/ml/predict", predict, methods=["POST"])])
"""
FASTAPI = """
from fastapi import FastAPI
from pydantic import BaseModel
class Asked(BaseModel):
    features: list[float] | None = None
    rows: list[list[float]] | None = None
class Answer(BaseModel):
    score: float | None = None
    scores: list[float] | None = None
app = FastAPI()
@app.post("/ml/predict")
async def predict(asked: Asked) -> Answer:
    if asked.rows is not None:
        return Answer(scores=score(asked.rows))
    return Answer(score=score([asked.features])[0])
"""
OURS = [sys.executable, "-m", "mlwb", "serve"]
LOAD = """
wrk.method, wrk.path = "POST", "%s"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-API-Key"] = "%s"
wrk.body = '%s'
function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format("=%%d %%d %%d %%.1f %%.1f %%.1f", summary.requests, summary.duration, bad,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


class Run(NamedTuple):
    """What one turn of one server gave."""

    per_s: float
    cpu_us: float
    p50_us: float
    p95_us: float
    p99_us: float


@dataclass(frozen=True)
class Arm:
    """A server that answers."""

    pid: int
    port: int
    path: str
    start_s: float
    key: str = ""


def body(n_rows: int) -> str:
    """One row, or a batch."""
    return json.dumps({"features": ROW} if n_rows == 1 else {"rows": [ROW] * n_rows})


def ask(port: int, path: str, key: str = "", n_rows: int = 1) -> Any:
    """One answer, by the standard library."""
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(
        urllib.request.Request(url, body(n_rows).encode(), headers),
        timeout=5,
    ) as answer:
        return json.loads(answer.read())


@contextmanager
def server(
    command: Sequence[str], port: int, path: str, environ: Mapping[str, str], *, key: str = ""
) -> Iterator[Arm]:
    """A server that gave one good answer; how long that took from its start."""
    begun = time.perf_counter()
    # The report of onnxruntime to its maker, which our server switches off, costs nobody here.
    alike = {"ORT_DISABLE_TELEMETRY": "1", **os.environ, **environ}
    process = subprocess.Popen(command, env=alike, stdout=subprocess.DEVNULL)
    try:
        while True:
            with suppress(OSError):
                ask(port, path, key)
                break
            if process.poll() is not None:
                raise SystemExit(f"{command[:3]} ended with {process.returncode}")
            time.sleep(0.002)
        yield Arm(process.pid, port, path, time.perf_counter() - begun, key)
    finally:
        process.terminate()
        process.wait()


def turn(arm: Arm, wrk: str, script: Path, *, connections: int, seconds: float, n_rows: int) -> Run:
    """Load one server for a while and count what it used."""
    script.write_text(LOAD % (arm.path, arm.key, body(n_rows)), encoding="utf-8")
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    before = cpu_s(arm.pid)
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{arm.port}"], capture_output=True, text=True, check=True
    ).stdout
    used = cpu_s(arm.pid) - before
    n, taken_us, bad, *times = map(float, said.rpartition("=")[2].split())
    if bad or not n:
        raise SystemExit(f"{arm.path}: {bad:.0f} of {n:.0f} requests failed")
    return Run(n / taken_us * 1e6, used / n * 1e6, *times)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def publish(models: Path) -> None:
    """A champion and a candidate of the same seven features, with references of live drift."""
    for channel, version in (("latest", "v1"), ("candidate", "v2")):
        sidecar = sidecar_for(version, NAMES)
        folder = write_version(models, version, weights=WEIGHTS, sidecar=sidecar, onnx=b"")
        add_reference(folder, WEIGHTS)
        point(models, channel, version)


def ours(models: Path, home: Path, path: str, *, n_workers: int = 1) -> AbstractContextManager[Arm]:
    """Our server, everything on, as the command line starts it."""
    port = free_port()
    _, key = KeyFile(home / "keys.json").add(
        "load", ["service", "read"], now=datetime.now(UTC), days=1
    )
    environ = {
        "MLWB_MODELS_DIR": str(models),
        "MLWB_PREDICTION_LOG": str(home / "predictions.jsonl"),
        "MLWB_SHADOW_LOG": str(home / "shadow.jsonl"),
        "MLWB_DRIFT_DIR": str(home / "drift"),
        "MLWB_KEYS_FILE": str(home / "keys.json"),
        "MLWB_RATE_LIMIT": str(10**9),
        "MLWB_WORKERS": str(n_workers),
        "MLWB_PORT": str(port),
    }
    return server(OURS, port, path, environ, key=key)


def find_wrk() -> str:
    """The load generator."""
    tools = Path(sys.prefix) / "tools" / "usr" / "bin"
    wrk = shutil.which("wrk", path=f"{tools}{os.pathsep}{os.environ['PATH']}")
    if wrk is None:
        raise SystemExit("wrk is not installed; .ci/tools unpacks it beside the environment")
    return wrk


def start_arms(stack: ExitStack, folder: Path, peers: str) -> dict[str, Arm]:
    """All servers, each with one good answer."""
    models = folder / "artifacts" / "models"
    publish(models)
    onnx, arms = str(models / "v1" / "model.onnx"), dict[str, Arm]()

    def other(name: str, python: str, code: str, head: str = _HEAD) -> None:
        port, path = free_port(), "/ml/predict"
        command = [python, "-c", head + code + _TAIL, onnx, str(port)]
        arms[name] = stack.enter_context(server(command, port, path, {}))

    other("noop", sys.executable, NOOP, head="")
    other("starlette", sys.executable, STARLETTE)
    if peers:
        other("fastapi", peers, FASTAPI)
    shadowed = "/ml/predict-with-shadow"
    for name, path, n_workers in (
        ("predict", "/ml/predict", 1), ("shadow", shadowed, 1), ("2 workers", shadowed, 2)
    ):  # fmt: skip
        arms[name] = stack.enter_context(ours(models, folder / name, path, n_workers=n_workers))
    expected = float(logistic(np.array([ROW]), WEIGHTS)[0])
    for name, arm in arms.items():
        if name != "noop" and abs(ask(arm.port, arm.path, arm.key)["score"] - expected) > 1e-9:
            raise SystemExit(f"{name} gives another score")
    return arms


def floors(models: Path) -> dict[int, float]:
    """What the model alone costs in this process: microseconds a call, by rows."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(models / "v1" / "model.onnx"), options)
    predictor = Predictor.load(models / "v1")
    found = dict[int, float]()
    print("in this process, us a call:")
    for n_rows in (1, SMALL, LARGE):
        rows = np.array([ROW] * n_rows)
        run = partial(session.run, ["probability"], {"features": rows})
        found[n_rows] = best(run, calls=2_000, clock=time.process_time) * 1e6
        print(f"  session.run, {n_rows} rows  {found[n_rows]:7.2f}")
    row = best(partial(predictor.predict_row, ROW), calls=5_000, clock=time.process_time)
    print(f"  Predictor.predict_row  {row * 1e6:7.2f}")
    return found


def table(
    title: str, runs: Mapping[str, Sequence[Run]], n_rows: int = 1, floor_us: float = math.nan
) -> None:
    """Medians over the rounds, ratios to the bare endpoint, CPU as a multiple of the model's."""
    print(
        f"\n{title}\n              req/s  rows/s  cpu us   a row  p50 us  p95 us  p99 us"
        "  p99/p50  x req/s   x cpu   x p99  x model"
    )
    found = {
        name: Run(*(statistics.median(column) for column in zip(*rows, strict=True)))
        for name, rows in runs.items()
    }
    base = found["starlette"]
    for name, run in found.items():
        print(
            f"{name:10} {run.per_s:8.0f}{run.per_s * n_rows:8.0f}{run.cpu_us:8.1f}"
            f"{run.cpu_us / n_rows:8.2f}{run.p50_us:8.0f}{run.p95_us:8.0f}{run.p99_us:8.0f}"
            f"{run.p99_us / run.p50_us:9.2f}{run.per_s / base.per_s:9.2f}"
            f"{run.cpu_us / base.cpu_us:8.2f}{run.p99_us / base.p99_us:8.2f}"
            f"{run.cpu_us / floor_us:9.1f}"
        )
    plain, shadowed = found.get("predict"), found.get("shadow")
    if plain and shadowed:
        print(
            f"every row compared and logged: {shadowed.cpu_us / plain.cpu_us - 1:+.0%} CPU,"
            f" p50 {shadowed.p50_us / plain.p50_us - 1:+.0%},"
            f" p99 {shadowed.p99_us / plain.p99_us - 1:+.0%}"
        )


def lost(arm: Arm) -> int:
    """Log lines that a server of ours dropped."""
    url = f"http://127.0.0.1:{arm.port}/ml/metrics"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"X-API-Key": arm.key}),
        timeout=5,
    ) as answer:
        lines = answer.read().decode().splitlines()
    (found,) = (line for line in lines if line.startswith("ml_log_dropped_total "))
    return int(float(found.split()[1]))


def main() -> None:
    """Print a table for each kind of load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each server")
    parser.add_argument("--peers", default="", help="an interpreter that has fastapi")
    parser.add_argument("--only", default="", help="one load: c16, c1, 32 or 1000")
    options = parser.parse_args()
    wrk = find_wrk()
    # As pip leaves an installed package; else a checkout that keeps no bytecode is compiled.
    compileall.compile_dir(Path(mlwb.__file__).parent, quiet=2)
    loads = {"c16": (16, 1), "c1": (1, 1), str(SMALL): (16, SMALL), str(LARGE): (4, LARGE)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        arms = start_arms(stack, folder, options.peers)
        models = floors(folder / "artifacts" / "models")
        for name, (connections, n_rows) in loads.items():
            if options.only not in ("", name):
                continue
            some = {key: arm for key, arm in arms.items() if n_rows == 1 or key != "noop"}
            one = partial(
                turn, wrk=wrk, script=folder / "load.lua", connections=connections, n_rows=n_rows
            )
            runs: dict[str, list[Run]] = {key: [] for key in some}
            for arm in some.values():
                one(arm, seconds=1)
            for number in range(options.rounds):
                for key in list(some)[:: 1 if number % 2 == 0 else -1]:
                    runs[key].append(one(some[key], seconds=options.seconds))
            title = f"{n_rows} rows a request, {connections} connections"
            table(title, runs, n_rows, models[n_rows])
        print("\n            RSS MB  start s  log lines lost")
        for key, arm in arms.items():
            dropped = lost(arm) if arm.key else 0
            print(f"{key:10} {rss_mb(arm.pid):7.0f} {arm.start_s:8.2f} {dropped:15}")


if __name__ == "__main__":
    main()
