"""What a version costs on its way: published, promoted, rolled back, verified; the log read.

Run: ``python benchmarks/registry.py [--megabytes N] [--peers PYTHON]`` (a minute). Milliseconds
by the clock on the wall (median, 95th percentile, best) and of the processor (median). The
versions are real directories, every fsync is done; hashing the model is most of a move.
``--peers`` is an interpreter with mlflow: its registry points an alias at a version, without
hashing, copying, or waiting for the disk beyond what SQLite does.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlwb.core.canonical import canonical_bytes, digest
from mlwb.core.chain import GENESIS, Chain
from mlwb.core.clock import SystemClock
from mlwb.registry import REQUIRED_FILES, Registry

N_MOVES, N_LINES = 20, 20_000

PEER = """
import statistics, sys, tempfile, time
from pathlib import Path
from mlflow.tracking import MlflowClient
home = Path(tempfile.mkdtemp())
client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow.db")
client.create_registered_model("m")
for number in range(2):
    client.create_model_version("m", source=f"{home}/{number}")
taken = []
for number in range(int(sys.argv[1]) + 1):
    start = time.perf_counter()
    client.set_registered_model_alias("m", "champion", str(1 + number % 2))
    taken.append((time.perf_counter() - start) * 1e3)
print(statistics.median(taken[1:]))
"""


Taken = tuple[float, float]
"""Milliseconds by the clock on the wall, and of the processor."""


def publish(registry: Registry, version: str, model: bytes) -> Taken:
    """Time of registering a version; writing its files is not counted."""
    staging = registry.stage(version)
    for name in REQUIRED_FILES:
        (staging / name).write_bytes(model if name == "model.onnx" else b"content\n")
    return timed(lambda: registry.register(version, staging))


def timed(job: Callable[[], object]) -> Taken:
    """Time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    job()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3


def decided(registry: Registry, version: str) -> dict[str, object]:
    """A yes to a version."""
    details = {
        "promote": True,
        "model_version": version,
        "manifest_sha256": registry.show(version).sha256,
        "verdicts": [],
    }
    return {"kind": "decision", "run_id": version, "details": details}


def say(what: str, taken: list[Taken], goal_ms: float | None = None) -> None:
    """Print one line."""
    goal = f"   goal < {goal_ms:g}" if goal_ms else ""
    wall, processor = (np.array(column) for column in zip(*taken, strict=True))
    p50, p95 = np.percentile(wall, [50, 95])
    print(f"{what:<32}{p50:9.1f}{p95:9.1f}{wall.min():9.1f}{np.median(processor):11.1f}{goal}")


def moves(home: Path, model: bytes) -> None:
    """Time publishing, promoting, rolling back and verifying."""
    registry = Registry(home / "artifacts" / "models", clock=SystemClock())
    published = [publish(registry, "v0", model)]
    registry.promote("v0", decision=None, expect_current=None, reason="first", bootstrap=True)
    promoted, back, whole = [], [], []
    for number in range(1, N_MOVES + 1):
        version, before = f"v{number}", registry.latest()
        published.append(publish(registry, version, model))
        decision = decided(registry, version)
        whole.append(timed(lambda version=version: registry.verify(version)))  # type: ignore[misc]
        promoted.append(
            timed(
                lambda version=version, decision=decision, before=before: registry.promote(  # type: ignore[misc]
                    version, decision=decision, expect_current=before, reason="benchmark"
                )
            )
        )
        back.append(timed(lambda: registry.rollback(reason="benchmark")))
        registry.rollback(version, reason="benchmark")
        registry.collect()
    say("register, with a copy", published)
    say("promote", promoted, 150)
    say("rollback", back, 100)
    say("verify a version", whole)


def log(home: Path) -> None:
    """Time reading and checking a long log; writing it does not wait for the disk."""
    path, before, lines = home / "long.log", GENESIS, []
    for seq in range(1, N_LINES + 1):
        body = {"event": "commit", "reason": "of a usual length " * 15, "seq": seq, "prev": before}
        before = digest(body)
        lines.append(canonical_bytes({**body, "sha256": before}) + b"\n")
    path.write_bytes(b"".join(lines))
    if Chain(path).problems():
        raise RuntimeError("the log is not whole")
    say(
        f"verify {N_LINES:,} lines of the log",
        [timed(Chain(path).problems) for _ in range(5)],
        1000,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--peers", default="")
    options = parser.parse_args()
    model = np.random.default_rng(7).bytes(options.megabytes * 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        print(f"versions of {options.megabytes} MB, {N_MOVES} moves, milliseconds")
        print(f"{'':<32}{'p50':>9}{'p95':>9}{'best':>9}{'processor':>11}")
        moves(Path(folder), model)
        log(Path(folder))
    if options.peers:
        done = subprocess.run(
            [options.peers, "-c", PEER, str(N_MOVES)], capture_output=True, text=True, check=True
        )
        print(f"{'mlflow, alias to a version':<32}{float(done.stdout.split()[-1]):9.1f}")


if __name__ == "__main__":
    main()
