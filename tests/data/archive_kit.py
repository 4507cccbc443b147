"""A loopback server that lays bars out, answers and fails as the public archive does."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

FUTURES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore\n"
)


def kline_csv(first: date, n_bars: int, *, unit: str = "ms", header: bool = False) -> bytes:
    """Bars as the archive writes them; the price walks with the minute, so files differ."""
    per_s = {"ms": 10**3, "us": 10**6}[unit]
    start_s = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
    opens = start_s + 60 * np.arange(n_bars)
    price = 100.0 + 0.01 * (opens // 60 % 977)
    lines = [
        f"{at * per_s},{p:.8f},{p + 0.5:.8f},{p - 0.5:.8f},{p + 0.25:.8f},3.50000000,"
        f"{(at + 60) * per_s - 1},350.00000000,7,1.50000000,150.00000000,0\n"
        for at, p in zip(opens.tolist(), price.tolist(), strict=True)
    ]
    return ((FUTURES_HEADER if header else "") + "".join(lines)).encode()


def zipped(name: str, *contents: bytes) -> bytes:
    """A zip of one csv, or of several."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            member = zipfile.ZipInfo(name.replace(".zip", f"{number or ''}.csv"))
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int = -1
    delay_s: float = 0.0


@dataclass
class FakeArchive:
    """Files by path, faults to come by path, and every request so far."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def publish(self, path: str, zip_bytes: bytes, *, checksum: str | None = "right") -> str:
        """Put a zip and its checksum in place; the zip's hash."""
        name = path.rpartition("/")[2]
        self.files[path] = zip_bytes
        right = hashlib.sha256(zip_bytes).hexdigest()
        if checksum is not None:
            said = right if checksum == "right" else checksum
            self.files[f"{path}.CHECKSUM"] = f"{said}  {name}\n".encode()
        return right

    def names(self, *, zips_only: bool = True) -> list[str]:
        """File names asked for with GET, in the order they came in."""
        found = [path.rpartition("/")[2] for method, path, _ in self.asked if method == "GET"]
        return [name for name in found if name.endswith(".zip") or not zips_only]


class _Server(ThreadingHTTPServer):
    """Knows the archive it answers for."""

    daemon_threads = True

    def __init__(self, archive: FakeArchive) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = archive
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    """One answer, with its fault if there is one."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of http.server
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Status and headers."""
        self._answer()

    def do_GET(self) -> None:
        """The whole file, or the rest of it."""
        self._answer()

    def _answer(self) -> None:
        archive, path = self.server.archive, self.path.lstrip("/")
        with self.server.lock:
            archive.asked.append((self.command, path, self.headers.get("Range", "")))
            archive.at_once += 1
            archive.most_at_once = max(archive.most_at_once, archive.at_once)
            queue = archive.faults[path]
            fault = queue.pop(0) if queue else Fault()
        time.sleep(fault.delay_s)
        with self.server.lock:  # before the last byte: the client may ask again at once
            archive.at_once -= 1
        self._send(fault, archive.files.get(path))

    def _send(self, fault: Fault, body: bytes | None) -> None:
        status, begin, extra = _status_of(body, self.headers.get("Range", ""))
        sent = (body or b"")[begin:] if not fault.status and status < 300 else b""
        self.send_response(fault.status or status)
        for key, value in (("Content-Length", str(len(sent))), *extra, *fault.headers):
            self.send_header(key, value)
        self.end_headers()
        self.close_connection = fault.cut_after >= 0
        if self.command == "GET":
            self.wfile.write(sent[: fault.cut_after] if self.close_connection else sent)


def _status_of(body: bytes | None, wanted: str) -> tuple[int, int, list[tuple[str, str]]]:
    """Status, first byte and headers for a range."""
    if body is None:
        return 404, 0, []
    if not wanted:
        return 200, 0, []
    begin = int(wanted.removeprefix("bytes=").rstrip("-"))
    if begin >= len(body):
        return 416, begin, [("Content-Range", f"bytes */{len(body)}")]
    return 206, begin, [("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")]


@contextmanager
def serving(archive: FakeArchive) -> Iterator[FakeArchive]:
    """Answer on a port of loopback until the block ends."""
    server = _Server(archive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    archive.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
