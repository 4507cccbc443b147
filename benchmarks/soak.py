"""Mixed traffic for minutes: every answer computed again offline, memory and files watched.

    python -m benchmarks.soak [--minutes 10]

One server process, its logs and live drift on. At a time: single rows by name and in order,
batches, shadowed rows, ``/v2`` inference, raw bars to ``/ml/observe``, broken and poisoned
requests, scrapes; meanwhile `latest` flips between two versions and `candidate` between one that
is well and one that refuses most rows; logs are set aside every few MB.
An answer is right when it is what numpy says of the version that it names, when its features are
the bits of the batch computation, or when it is the refusal that was asked for.
Ends with 1 when an answer was wrong, a counter went back, or files or threads were left open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.kit.process import n_files, n_threads, rss_mb
from mlwb.core.arrays import Float2D
from mlwb.features import spec_digest, specs
from mlwb.features.batch import compute
from mlwb.inference import FeatureField, schema_crc32
from tests.inference.version_kit import add_reference, logistic, point, sidecar_for, write_version
from tests.serve.observe_kit import FEATURES, body, market

WEIGHTS = {
    "v1": (0.1, 1.5, -0.04, 0.2, 0.8),
    "v2": (-0.3, 0.7, 0.06, -0.1, 0.4),
    "v3": (0.1, 1.4, -0.04, 0.2, 0.7),
    "v4": (0.1, 1.4, -0.04, 0.2, 0.7),
}
WIDE, NARROW = 50.0, 0.5
"""A row is drawn from the wide range; the last version takes the narrow one only."""
N_BARS = 40_000
BARS_A_SECOND = 40
FLIP_S, CANDIDATE_FLIP_S, SCRAPE_S = 0.3, 1.7, 0.5


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes


@dataclass
class Found:
    """What came of it."""

    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    flips: int = 0
    samples: list[tuple[float, float, int, int]] = field(default_factory=list)

    def check(self, kind: str, *, is_right: bool, what: object) -> None:
        """Count an answer, and keep what was wrong with it."""
        self.asked[kind] += 1
        if not is_right:
            self.wrong.append(f"{kind}: {what!r:.300}")


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, data: bytes = b"", kind: str = "application/json") -> Reply:
        """POST a body, or GET without one."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        kinds = f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write((head + kinds).encode() + data)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
        answer = await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            self.close()
        return Reply(int(lines[0].split()[1]), answer)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def publish(models: Path) -> None:
    """Four versions of the same five features: two champions, two candidates."""
    chosen = specs(FEATURES, quoted=True)
    for version, weights in WEIGHTS.items():
        reach = NARROW if version == "v4" else WIDE
        fields = tuple(
            FeatureField(spec.name, spec.unit, "float64", -reach, reach) for spec in chosen
        )
        sidecar = replace(
            sidecar_for(version, FEATURES),
            features=fields,
            schema_crc32=schema_crc32(fields),
            feature_spec_digest=spec_digest(chosen),
            spread="quoted",
        )
        add_reference(write_version(models, version, weights=weights, sidecar=sidecar), weights)
    point(models, "latest", "v1")
    point(models, "candidate", "v3")


def right(scores: list[float], rows: Float2D, version: str) -> bool:
    """Whether numpy says the same of these rows."""
    return bool(np.allclose(scores, logistic(rows, WEIGHTS[version]), rtol=0, atol=1e-12))


class Traffic:
    """What is sent, and what must come back.

    Parameters
    ----------
    port : int
        Of the server.
    found : Found
        Written to.
    seed : int
        Of the rows.
    """

    def __init__(self, port: int, found: Found, seed: int) -> None:
        self._connection, self._found = Connection(port), found
        self._rng = np.random.default_rng(seed)

    async def rows(self) -> None:
        """One of the scoring requests."""
        kind = ("one", "named", "batch", "shadow", "waited", "infer")[self._rng.integers(6)]
        n_rows = int(self._rng.integers(2, 65)) if kind in ("batch", "infer") else 1
        rows = self._rng.uniform(-2.0, 2.0, (n_rows, len(FEATURES)))
        path = "/ml/predict"
        if kind == "infer":
            await self._infer(rows)
            return
        asked: dict[str, Any] = {"features": rows[0].tolist()}
        if kind == "named":
            asked = {"features": dict(zip(FEATURES, rows[0].tolist(), strict=True))}
        elif kind == "batch":
            asked = {"rows": rows.tolist()}
        elif kind in ("shadow", "waited"):
            path = "/ml/predict-with-shadow" + ("?wait=1" if kind == "waited" else "")
        reply = await self._connection.ask(path, json.dumps(asked).encode())
        said = json.loads(reply.body)
        scores = said.get("scores", [said.get("score")])
        is_right = reply.status == 200 and right(scores, rows, said["model_version"])
        self._found.versions[said.get("model_version", "")] += 1
        self._found.check(kind, is_right=is_right, what=said)

    async def _infer(self, rows: Float2D) -> None:
        tensor = {"name": "features", "shape": rows.shape, "datatype": "FP64"}
        asked = {"inputs": [{**tensor, "data": rows.ravel().tolist()}]}
        reply = await self._connection.ask("/v2/models/mlwb/infer", json.dumps(asked).encode())
        said = json.loads(reply.body)
        is_right = reply.status == 200 and right(
            said["outputs"][0]["data"], rows, said["model_version"]
        )
        self._found.check("infer", is_right=is_right, what=said)

    async def bad(self) -> None:
        """One of the requests that must be refused."""
        data, kind, status = BAD[self._rng.integers(len(BAD))]
        reply = await self._connection.ask("/ml/predict", data, kind)
        problem = json.loads(reply.body)
        is_right = reply.status == status == problem["status"]
        self._found.check("refused", is_right=is_right, what=(data[:60], problem))

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


_JSON = "application/json"
BAD: tuple[tuple[bytes, str, int], ...] = (
    (b"{", _JSON, 400),
    (b'{"features": [1e400, 0, 0, 0, 0]}', _JSON, 422),
    (b'{"features": [NaN, 0, 0, 0, 0]}', _JSON, 400),
    (b'{"features": [true, 0, 0, 0, 0]}', _JSON, 422),
    (b'{"features": ["1", 0, 0, 0, 0]}', _JSON, 422),
    (b'{"features": [0, 0, 0, 0]}', _JSON, 422),
    (b'{"features": [0, 0, 0, 0, 51]}', _JSON, 422),
    (b'{"features": [0, 0, 0, 0, 0], "x": 1}', _JSON, 422),
    (b'{"features": [0, 0, 0, 0, 0], "features": [1, 0, 0, 0, 0]}', _JSON, 422),
    (b'{"features": [0, 0, 0, 0, 0], "schema_crc32": "00000000"}', _JSON, 422),
    (b'{"rows": []}', _JSON, 422),
    (b"[" * 20_000, _JSON, 422),
    (b'{"features": [0, 0, 0, 0, 0]}', "text/plain", 415),
    (b" " * 70_000, _JSON, 413),
)


async def observe(port: int, found: Found, until_s: float) -> None:
    """One market, bar after bar; features are those of batch, bit for bit."""
    bars = market(N_BARS)
    expected = compute(specs(FEATURES, quoted=True), bars)
    connection, start = Connection(port), 1_500
    for first in range(0, start, 100):
        await connection.ask("/ml/observe", body(bars[first : first + 100]))
    for number in range(start, N_BARS):
        if time.monotonic() > until_s:
            break
        said = json.loads(
            (await connection.ask("/ml/observe", body(bars[number : number + 1]))).body
        )
        values = np.array([list((said.get("features") or {"": np.nan}).values())], dtype=float)
        is_same = np.array_equal(values[0], expected[number], equal_nan=True)
        is_right = (
            is_same and said["ready"] and right([said["score"]], values, said["model_version"])
        )
        found.check("observe", is_right=is_right, what=said)
        await asyncio.sleep(1 / BARS_A_SECOND)
    connection.close()


async def flip(models: Path, found: Found, until_s: float) -> None:
    """Promotions and rollbacks without end, of both channels."""
    begun = time.monotonic()
    while time.monotonic() < until_s:
        found.flips += 1
        point(models, "latest", ("v1", "v2")[found.flips % 2])
        turn = int((time.monotonic() - begun) / CANDIDATE_FLIP_S)
        point(models, "candidate", ("v3", "v4")[turn % 2])
        await asyncio.sleep(FLIP_S)


async def scrape(port: int, pid: int, found: Found, until_s: float) -> None:
    """Metrics twice a second, no counter going back; what the process holds meanwhile."""
    connection, before, begun = Connection(port), dict[str, float](), time.monotonic()
    while time.monotonic() < until_s:
        text = (await connection.ask("/ml/metrics")).body.decode()
        after = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in text.splitlines())
            if name[:1] != "#" and re.search("_(total|bucket|count|sum)", name)
        }
        back = [name for name, value in before.items() if after.get(name, value) < value]
        found.check("scrape", is_right=not back, what=back)
        before = after
        found.samples.append((time.monotonic() - begun, rss_mb(pid), n_files(pid), n_threads(pid)))
        await asyncio.sleep(SCRAPE_S)
    connection.close()


async def keep(work: Callable[[], Awaitable[None]], until_s: float, pause_s: float = 0.0) -> None:
    """Again and again."""
    while time.monotonic() < until_s:
        await work()
        await asyncio.sleep(pause_s)


async def soak(port: int, pid: int, models: Path, seconds: float) -> Found:
    """All of it at once."""
    found, until_s = Found(), time.monotonic() + seconds
    senders = [Traffic(port, found, seed) for seed in range(8)]
    async with asyncio.TaskGroup() as group:
        for sender in senders[:6]:
            group.create_task(keep(sender.rows, until_s))
        for sender in senders[6:]:
            group.create_task(keep(sender.bad, until_s, 0.005))
        group.create_task(observe(port, found, until_s))
        group.create_task(flip(models, found, until_s))
        group.create_task(scrape(port, pid, found, until_s))
    for sender in senders:
        sender.close()
    return found


def verdict(found: Found) -> list[str]:
    """What was not as it should be; memory is for the reader to judge."""
    after = found.samples[len(found.samples) // 4 :]
    troubles = found.wrong[:5]
    # The loop's own pool of threads fills as it is needed, and never beyond its size.
    pool = min(32, (os.cpu_count() or 1) + 4)
    for place, name, more in ((2, "open files", 0), (3, "threads", pool)):
        first, last = (
            int(np.median([sample[place] for sample in part])) for part in (after[:5], after[-5:])
        )
        if last > first + more:
            troubles.append(f"{name}: {first} became {last}")
    if min(found.versions["v1"], found.versions["v2"]) < 100:
        troubles.append(f"too few answers of a version: {dict(found.versions)}")
    return troubles


def show(found: Found, folder: Path) -> None:
    """The table."""
    for kind, n in sorted(found.asked.items()):
        print(f"{kind:10} {n:10,}")
    print(f"{'answers':10} {sum(found.asked.values()):10,}  wrong {len(found.wrong)}")
    print(
        f"{'flips':10} {found.flips:10,}  answers of v1, v2: {dict(sorted(found.versions.items()))}"
    )
    times, rss, files, threads = map(np.array, zip(*found.samples, strict=True))
    print("\n  minute  RSS MB  files  threads")
    for share in np.linspace(0, 1, 11):
        at = int(share * (len(times) - 1))
        print(f"{times[at] / 60:8.1f} {rss[at]:7.1f} {files[at]:6} {threads[at]:8}")
    late = times >= times[-1] / 2
    slope = np.polyfit(times[late] / 60, rss[late], 1)[0]
    print(f"second half: RSS {slope:+.2f} MB a minute")
    print(f"logs: {sum(path.stat().st_size for path in folder.rglob('*.jsonl*')) / 1e6:.0f} MB")


def main() -> None:
    """Print the table; exit 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models, ready = folder / "artifacts" / "models", folder / "ready.json"
        publish(models)
        environ = {
            "MLWB_MODELS_DIR": str(models),
            "MLWB_PORT": "0",
            "MLWB_OBSERVE_MAX_AGE_S": "0",
            "MLWB_RELOAD_S": "0.05",
            "MLWB_LOG_LIMIT": str(4 << 20),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "mlwb", "serve", "--ready-file", str(ready)],
            env={**os.environ, **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not ready.exists():
                time.sleep(0.02)
            port = json.loads(ready.read_bytes())["port"]
            found = asyncio.run(soak(port, process.pid, models, options.minutes * 60))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        show(found, folder)
    troubles = verdict(found)
    for trouble in troubles:
        print("WRONG", trouble)
    if troubles or process.returncode:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
