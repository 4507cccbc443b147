"""TLS: fully verified by default; what does not verify is not talked to."""

from __future__ import annotations

from pathlib import Path

from tests.client.conftest import Connect
from tests.client.scripted_kit import GOOD, certificate, scripted

ROW = [1.0]


def test_a_server_that_is_trusted(connect: Connect, tmp_path: Path) -> None:
    """With its authority given: asked over one kept connection."""
    server, trusting = certificate(tmp_path)
    with scripted(GOOD, GOOD, GOOD, tls=server) as script:
        client = connect(script.url, tls=trusting, connect_timeout_s=2.0)
        assert [client.predict(ROW).source for _ in range(3)] == ["model"] * 3
    assert script.connections == 1


def test_a_server_nobody_vouches_for(connect: Connect, tmp_path: Path) -> None:
    """Refused before a byte of the request, key included, is sent; not asked again."""
    server, _ = certificate(tmp_path)
    with scripted(GOOD, tls=server) as script:
        client = connect(script.url, api_key="secret", fallback=0.5, connect_timeout_s=2.0)
        found = client.predict(ROW)
        assert (found.reason, client.waits) == ("tls", [])
    assert script.requests == []


def test_a_server_with_another_name(connect: Connect, tmp_path: Path) -> None:
    """A valid certificate of somebody else is none."""
    server, trusting = certificate(tmp_path, host="example.com")
    with scripted(GOOD, tls=server) as script:
        client = connect(script.url, tls=trusting, fallback=0.5, connect_timeout_s=2.0)
        assert client.predict(ROW).reason == "tls"
    assert script.requests == []


def test_a_server_without_tls(connect: Connect) -> None:
    """Asked for TLS, it answers in the clear: refused, in time."""
    with scripted(b"HTTP/1.1 400 Bad\r\n\r\n" * 3) as script:
        url = script.url.replace("http", "https")
        found = connect(url, fallback=0.5, timeout_s=0.2).predict(ROW)
    assert found.reason in {"tls", "unreachable", "timeout"}


def test_a_server_with_tls_where_none_is_expected(connect: Connect, tmp_path: Path) -> None:
    """No hang and no exception."""
    server, _ = certificate(tmp_path)
    with scripted(GOOD, tls=server) as script:
        url = script.url.replace("https", "http")
        found = connect(url, fallback=0.5, timeout_s=0.5).predict(ROW)
    assert found.reason in {"lost", "bad_answer"}
