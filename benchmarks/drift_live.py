"""What live drift costs: a row counted, a reference opened, a scrape, a request.

    python -m benchmarks.drift_live [--seconds 2] [--rounds 3]

Seven features and the score, a reference of 60 days. Counting and showing are timed in this
process; the two servers, one of a version with a reference and one of the same version without,
take turns under the closed loop of ``serve_vs_starlette``. Only ratios travel.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import serve_vs_starlette as load
from mlwb.core.clock import ManualClock
from mlwb.drift import LiveCounts, bin_counts
from mlwb.inference import load_reference
from mlwb.serve import ServeSettings, create_app
from tests.inference.version_kit import add_reference, point, sidecar_for, write_version
from tests.serve.asgi_kit import call

N_FEATURES, DAYS = len(load.NAMES), 60


def _publish(models: Path, *, with_reference: bool) -> Path:
    sidecar = sidecar_for("v1", load.NAMES)
    folder = write_version(models, "v1", weights=load.WEIGHTS, sidecar=sidecar)
    if with_reference:
        add_reference(folder, load.WEIGHTS, days=DAYS)
    point(models, "latest", "v1")
    return folder


def _us(action: Callable[[], object], times: int) -> float:
    """Best of five runs, microseconds a call."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, time.perf_counter() - start)
    return best / times * 1e6


def _row_of(folder: Path) -> list[float]:
    fields = json.loads((folder / "sidecar.json").read_bytes())["features"]
    return [(field["low"] + field["high"]) / 2 for field in fields]


def _in_process(models: Path, folder: Path) -> None:
    references = load_reference(folder).features
    counts = LiveCounts([item.bins.edges.tolist() for item in references.values()])
    row, rng = (*_row_of(folder), 0.5), np.random.default_rng(1)
    batch = np.tile(np.array(row), (1024, 1)) + rng.normal(size=(1024, N_FEATURES + 1))
    edges = [item.bins.edges for item in references.values()]
    columns = [np.array([value]) for value in row]
    pairs = list(zip(edges, columns, strict=True))
    one = _us(lambda: counts.add(row, 0.0), 20_000)
    by_numpy = _us(lambda: [bin_counts(edge, column) for edge, column in pairs], 200)
    many = _us(lambda: counts.add_rows(batch, 0.0), 20)
    print(f"count one row, {N_FEATURES} features and the score: {one:.2f} us")
    print(f"  the same by numpy: {by_numpy:.1f} us ({by_numpy / one:.0f} x)")
    print(f"count a batch of 1024: {many:.0f} us, {many / 1024:.2f} us a row")
    clock = ManualClock()
    app = create_app(ServeSettings(models), clock=clock)
    watch, live = app.state.drift, app.state.champion.live
    if watch.current is None or live is None:
        raise SystemExit("the version or its reference was not taken up")
    now_s = clock.now().timestamp()
    for hour in range(192):
        watch.current.counts.add_rows(batch[:64], now_s - 3_600 * hour)

    def stale() -> object:
        clock.advance(1.0)
        return watch.gauges

    print(f"open a reference of {DAYS} days: {_us(lambda: watch.open(live), 3) / 1e3:.1f} ms")
    print(f"work out the gauges: {_us(stale, 50) / 1e3:.2f} ms, at most once a second")
    print(f"show them again: {_us(lambda: watch.gauges, 50):.1f} us")
    print(f"GET /ml/monitoring/drift: {_us(watch.report, 20) / 1e3:.2f} ms")
    print(f"GET /ml/metrics: {_us(lambda: call(app, '/ml/metrics'), 20) / 1e3:.2f} ms")


def main() -> None:
    """Print the costs, then the two servers and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        homes = {"off": root / "off" / "models", "on": root / "on" / "models"}
        folder = root
        for arm, models in homes.items():
            folder = _publish(models, with_reference=arm == "on")
        _in_process(homes["on"], folder)
        servers = {
            arm: stack.enter_context(load.ours(models, root / arm, "/ml/predict"))
            for arm, models in homes.items()
        }
        one = partial(
            load.turn, wrk=load.find_wrk(), script=root / "load.lua", connections=16, n_rows=1
        )
        runs: dict[str, list[load.Run]] = {arm: [] for arm in servers}
        for _ in range(options.rounds):
            for arm, server in servers.items():
                runs[arm].append(one(server, seconds=options.seconds))
    found = {
        arm: load.Run(*(statistics.median(column) for column in zip(*rows, strict=True)))
        for arm, rows in runs.items()
    }
    print("drift       req/s  cpu us  p50 us  p99 us  x req/s  x cpu")
    for arm, run in found.items():
        per_s, cpu = run.per_s / found["off"].per_s, run.cpu_us / found["off"].cpu_us
        print(
            f"{arm:8} {run.per_s:8.0f} {run.cpu_us:7.1f} {run.p50_us:7.0f} {run.p99_us:7.0f}"
            f" {per_s:8.2f} {cpu:6.2f}"
        )


if __name__ == "__main__":
    main()
