"""What 100,000 requests that mean harm leave behind in the server, and what protection costs.

    python -m benchmarks.serve_hostile [--requests 100000] [--cost]

A real server with keys, limits, access and audit log answers a mix of good requests, poisoned
ones, guesses of keys, floods, truncated bodies and bytes that are no HTTP. Printed: resident memory
and open files as it goes, and the growth from the second tenth on (the first one warms up).

With ``--cost`` the processor time of a good request is measured instead, by the kernel's count of
the server process: open, with a key, and with a key, a limit and the access log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.inference.version_kit import point, write_version
from tests.serve.key_kit import write_keys
from tests.serve.server_kit import start, wait_ready

CONNECTIONS = 8
SCRATCH = "<scratch>"
BODY = b'{"features":[1.0,0.01,2.0,-0.5]}'
TICKS = os.sysconf("SC_CLK_TCK")


def _post(key: str, body: bytes = BODY, more: str = "") -> bytes:
    shown = f"X-API-Key: {key}\r\n" if key else ""
    return (
        "POST /ml/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{shown}{more}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _mix(key: str, n: int) -> Iterator[bytes]:
    """``n`` requests, the same in every run; every guess of a key and every address is new."""
    get = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for index in range(n):
        kinds = (
            _post(key),
            _post(key, b'{"features":[1,1e400,2,0]}'),
            _post(f"guess-{index}"),
            _post("", more=f"X-Forwarded-For: 10.{index >> 16 & 255}.{index >> 8 & 255}.1\r\n"),
            _post(key, b"[" * 2_000),
            get.format(f"/{index}/%2e%2e/ml/model/info").encode(),
            get.format("/ml/health").encode(),
            _post(key, more=f"X-Request-Id: {index}\r\n"),
            get.format("/ml/health")[:-2].encode() + b"x: y\r\n" * 100 + b"\r\n",
            b"\x16\x03\x01garbage %d\r\n\r\n" % index,
        )
        # Every fiftieth closes its connection; new connections are a part of the mix.
        yield kinds[index % 8] if index % 50 else kinds[8 + index // 50 % 2]


async def _ask(port: int, requests: list[bytes], statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        statuses[int(head[9:12])] += 1
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def _drive(port: int, requests: list[bytes], statuses: Counter[int]) -> None:
    parts = [requests[start::CONNECTIONS] for start in range(CONNECTIONS)]
    await asyncio.gather(*(_ask(port, part, statuses) for part in parts))


def _rss_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _serving(settings: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """A server process: its pid, its port and a key for predictions."""
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "artifacts" / "models"
        write_version(models, "v1.0.0")
        point(models, "latest", "v1.0.0")
        key = write_keys(models.parent / "keys.json")["predict"]
        ready_file = Path(name) / "ready.json"
        given = {variable: text.replace(SCRATCH, name) for variable, text in settings.items()}
        process: subprocess.Popen[str] = start(models, ready_file, given)
        try:
            yield process.pid, wait_ready(process, ready_file)["port"], key
        finally:
            process.terminate()
            process.communicate(timeout=10)


def memory(n: int) -> None:
    """Print memory and files over ``n`` requests of the mix."""
    settings = {
        "MLWB_RATE_LIMIT": "1000000",
        "MLWB_RATE_LIMIT_ADDRESS": "1000000",
        "MLWB_TRUSTED_PROXIES": "127.0.0.1",
        "MLWB_ACCESS_LOG": f"{SCRATCH}/access.jsonl",
    }
    with _serving(settings) as (pid, port, key):
        statuses: Counter[int] = Counter()
        requests, seen = list(_mix(key, n)), []
        for tenth in range(10):
            asyncio.run(_drive(port, requests[tenth * n // 10 : (tenth + 1) * n // 10], statuses))
            time.sleep(0.3)
            files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            seen.append(_rss_kb(pid))
            print(f"{(tenth + 1) * n // 10:>9,} requests  {seen[-1] / 1024:7.2f} MB  {files} files")
        grown = (seen[-1] - seen[0]) / 1024
        print(f"statuses {dict(sorted(statuses.items()))}")
        print(f"growth after the first tenth: {grown:+.2f} MB ({grown / seen[0] * 102_400:+.1f} %)")


def cost(n: int) -> None:
    """Print the processor time of a good request, in turns."""
    kinds = {
        "open": {"MLWB_KEYS_FILE": "off"},
        "key": {"MLWB_RATE_LIMIT": "0"},
        "key, limit": {"MLWB_RATE_LIMIT": "1000000000"},
        "key, limit, access log": {
            "MLWB_RATE_LIMIT": "1000000000",
            "MLWB_ACCESS_LOG": f"{SCRATCH}/access.jsonl",
        },
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(3):
        for kind, settings in kinds.items():
            with _serving(settings) as (pid, port, key):
                request = _post(key)
                asyncio.run(_drive(port, [request] * 2_000, Counter()))
                before = _cpu_s(pid)
                asyncio.run(_drive(port, [request] * n, Counter()))
                found[kind].append((_cpu_s(pid) - before) / n * 1e6)
    base = min(found["open"])
    for kind, times in found.items():
        print(f"{kind:24} {min(times):6.1f} us of CPU a request  {min(times) / base:.2f} x open")


def main() -> None:
    """Read the options and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--cost", action="store_true")
    chosen = options.parse_args()
    (cost if chosen.cost else memory)(chosen.requests)


if __name__ == "__main__":
    main()
