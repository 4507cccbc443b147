"""Answers lost between a real client and a real server: the client repeats, the server says 412."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mlwb.core.clock import SystemClock
from mlwb.registry import RemoteRegistry, open_store
from tests.registry.places import publish, yes


class Lossy(ThreadingHTTPServer):
    """Passes requests on to a server and, of some keys, loses the first answer to a write."""

    daemon_threads = True

    def __init__(self, behind: str, losing: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.losing = urlsplit(behind).netloc, losing
        self.lost: set[str] = set()
        self.writes: list[tuple[str, int]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Lossy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self.server.behind, timeout=10)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if self.command == "PUT":
            self.server.writes.append((self.path, answer.status))
            if self.server.losing in self.path and self.path not in self.server.lost:
                self.server.lost.add(self.path)
                self.close_connection = True
                return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of http.server
        """Say nothing."""


@contextmanager
def lossy(behind: str, losing: str) -> Iterator[Lossy]:
    """Such a server, running."""
    with Lossy(behind, losing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.server
@pytest.mark.parametrize("losing", ["/log/", "/"])
def test_a_lost_answer_is_found_to_be_ours(
    losing: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every first answer about the log, or about anything, is lost: all is done, once."""
    with lossy(os.environ["AWS_ENDPOINT_URL"], losing) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        store = open_store(s3_url, os.environ)
        registry = RemoteRegistry(store, tmp_path, clock=SystemClock())
        publish(registry, "v1")
        registry.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
        publish(registry, "v2")
        registry.promote("v2", decision=yes(registry, "v2"), expect_current="v1", reason="better")
        assert registry.state().history == ("v1", "v2")
        assert registry.state().seq == 4
        assert registry.doctor() == ()
    answers = {status for path, status in server.writes if path in server.lost}
    assert answers == {200, 412}, "the client repeats, and its own write refuses the repetition"
