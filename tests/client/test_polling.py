"""Readiness asked for in the background."""

from __future__ import annotations

import time

from tests.client.caller_kit import Caller
from tests.client.conftest import Connect
from tests.client.scripted_kit import Scene, answer, problem, scripted


def _until(client: Caller, wanted: list[bool], seen: list[bool]) -> None:
    give_up = time.monotonic() + 10
    while seen != wanted and time.monotonic() < give_up:
        client.idle(0.005)
        time.sleep(0.005)
    assert seen == wanted


def test_availability_follows_the_server(connect: Connect) -> None:
    """Not known to be there, there, gone, there again; each change is told once."""
    ready, killed = answer(200, b"{}"), problem(503, "killed")
    gone: list[Scene] = [killed, killed, b"garbage", "hang up"]
    seen: list[bool] = []
    with scripted(ready, ready, *gone, *[ready] * 500) as script:
        client = connect(script.url)
        known = [client.client.is_available]
        client.call("start_polling", 0.01, seen.append)
        _until(client, [True, False, True], seen)
        known.append(client.client.is_available)
        client.call("close")
        assert [*known, client.client.is_available] == [True, True, False]
    assert script.requests[0].startswith(b"GET /ml/health/ready HTTP/1.1\r\n")


def test_not_before_it_is_known(connect: Connect) -> None:
    """A server that does not answer the poll is not available."""
    with scripted("silence") as script:
        client = connect(script.url, timeout_s=0.3)
        client.call("start_polling", 60.0)
        assert not client.client.is_available
        client.call("close")
