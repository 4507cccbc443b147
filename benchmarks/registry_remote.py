"""What a registry on an object store costs: time and requests of each operation.

Run: ``python benchmarks/registry_remote.py [--megabytes N] [--peers PYTHON]`` (a minute). The
store is moto's S3 server on loopback, a process of the interpreter ``--peers`` (``make test`` sets
one up): it answers a request in some milliseconds and holds nothing durably, so the count of
requests carries over to a real store, the milliseconds do not. Each operation is that of a new
process: it probes the store, and reads what came to the log since the last one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlwb.core.chain import Link, next_link
from mlwb.core.clock import SystemClock
from mlwb.core.signing import Signer
from mlwb.registry import REQUIRED_FILES, Mirror, ObjectStore, RemoteRegistry, open_store
from mlwb.registry._remote_log import RemoteLog, slot
from mlwb.registry._store import Stored, Tag
from tests.registry.s3_kit import s3_server

N_MOVES, N_LINES = 12, 1_000


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, behind: ObjectStore) -> None:
        self.behind, self.name = behind, behind.name
        self.pause_s, self.n_parallel = behind.pause_s, behind.n_parallel
        self.n_requests, self._lock = 0, threading.Lock()

    def _count(self) -> None:
        with self._lock:
            self.n_requests += 1

    def get(self, key: str) -> Stored | None:
        """As the store behind."""
        self._count()
        return self.behind.get(key)

    def put_if_absent(self, key: str, data: bytes) -> Tag | None:
        """As the store behind."""
        self._count()
        return self.behind.put_if_absent(key, data)

    def compare_and_swap(self, key: str, data: bytes, tag: Tag) -> Tag | None:
        """As the store behind."""
        self._count()
        return self.behind.compare_and_swap(key, data, tag)

    def list(self, prefix: str) -> tuple[str, ...]:
        """As the store behind."""
        self._count()
        return self.behind.list(prefix)

    def delete(self, key: str) -> None:
        """As the store behind."""
        self._count()
        self.behind.delete(key)


Taken = tuple[float, int]
"""Milliseconds by the clock on the wall, and requests."""


def timed(store: Counted, job: Callable[[], object]) -> Taken:
    """Time and requests of one call."""
    before, start = store.n_requests, time.perf_counter()
    job()
    return (time.perf_counter() - start) * 1e3, store.n_requests - before


def say(what: str, taken: list[Taken]) -> None:
    """Print one line."""
    wall, requests = (np.array(column) for column in zip(*taken, strict=True))
    p50, p95 = np.percentile(wall, [50, 95])
    print(f"{what:<44}{p50:9.1f}{p95:9.1f}{wall.min():9.1f}{np.median(requests):10.0f}")


def decided(registry: RemoteRegistry, version: str) -> dict[str, object]:
    """A yes to a version."""
    details = {
        "promote": True,
        "model_version": version,
        "manifest_sha256": registry.state().registered[version],
        "verdicts": [],
    }
    return {"kind": "decision", "run_id": version, "details": details}


def moves(store: Counted, folder: Path, model: bytes) -> None:
    """Time publishing, promoting, rolling back, looking and following."""

    def fresh() -> RemoteRegistry:
        return RemoteRegistry(
            store, folder / "scratch", clock=SystemClock(), memory=folder / "memory" / "log"
        )

    def publish(version: str) -> Taken:
        staging = fresh().stage(version)
        for name in REQUIRED_FILES:
            (staging / name).write_bytes(model if name == "model.onnx" else b"content\n")
        return timed(store, lambda: fresh().register(version, staging))

    mirror = Mirror(store, folder / "replica" / "models", clock=SystemClock())
    published, promoted, back, looked, idle, moved, gone = [publish("v0")], [], [], [], [], [], []
    fresh().promote("v0", decision=None, expect_current=None, reason="first", bootstrap=True)
    for number in range(1, N_MOVES + 1):
        version, before = f"v{number}", f"v{number - 1}"
        published.append(publish(version))
        mirror.pull()
        decision = decided(fresh(), version)

        def promote(version: str = version, before: str = before, said: object = decision) -> None:
            fresh().promote(version, decision=said, expect_current=before, reason="x")  # type: ignore[arg-type]

        promoted.append(timed(store, promote))
        moved.append(timed(store, mirror.pull))
        idle.append(timed(store, mirror.pull))
        looked.append(timed(store, lambda: fresh().latest()))
        back.append(timed(store, lambda: fresh().rollback(reason="x")))
        gone.append(timed(store, mirror.pull))
        fresh().rollback(version, reason="x")
    say("register", published)
    say("promote", promoted)
    say("rollback", back)
    say("read latest", looked)
    say("follow: nothing new", idle)
    say("follow: a promotion (candidate was here)", moved)
    say("follow: a rollback", gone)


def log(store: Counted) -> None:
    """Time reading a long log for the first time."""
    before: Link | None = None
    for number in range(N_LINES):
        body = {"event": "commit", "op": f"{number:032x}", "reason": "of a usual length " * 15}
        before = next_link(body, before)
        store.put_if_absent(slot(before.seq), before.line + b"\n")
    say(
        f"read {N_LINES:,} lines of the log",
        [timed(store, lambda: RemoteLog(store, Signer()).read_on()) for _ in range(3)],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument("--peers", default=str(Path(sys.prefix) / "peers" / "bin" / "python"))
    options = parser.parse_args()
    model = np.random.default_rng(7).bytes(round(options.megabytes * 1_000_000))
    with s3_server(options.peers) as (_, environ), tempfile.TemporaryDirectory() as folder:
        os.environ.update(environ)
        print(f"versions of {options.megabytes:g} MB, {N_MOVES} moves, milliseconds")
        print(f"{'':<44}{'p50':>9}{'p95':>9}{'best':>9}{'requests':>10}")
        moves(Counted(open_store("s3://models/moves", os.environ)), Path(folder), model)
        log(Counted(open_store("s3://models/log", os.environ)))


if __name__ == "__main__":
    main()
