"""Bars told to the server: features, readiness and score back, or the fallback."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mlwb.core.errors import ServeError
from tests.client.conftest import Connect
from tests.client.scripted_kit import GOOD, answer, problem, scripted

BAR: dict[str, Any] = {
    "ts": datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
    "open": 1.1,
    "high": 1.2,
    "low": 1.0,
    "close": 1.15,
    "volume": 7,
}


def _observed(**changes: Any) -> Callable[[bytes], bytes]:
    def scene(request: bytes) -> bytes:
        asked = json.loads(request.partition(b"\r\n\r\n")[2])
        said = {
            "request_id": asked["request_id"],
            "model_version": "v1",
            "schema_crc32": "0badcafe",
            "symbol": asked["symbol"],
            "ts": asked["bars"][-1]["ts"],
            "ready": True,
            "reason": "",
            "fields": [],
            "minutes_missing": 0,
            "features": {"bias": 1.0, "rsi14_z": None},
            "score": 0.75,
        }
        return answer(200, json.dumps(said | changes).encode())

    return scene


_WARMING = _observed(ready=False, reason="warming", minutes_missing=1439, score=None)


def test_a_bar(connect: Connect) -> None:
    """Sent as the server takes it; the answer is about it."""
    with scripted(_observed()) as script:
        found = connect(script.url, schema_crc32="0badcafe").call("observe", "EURUSD", BAR)
    assert (found.score, found.source, found.reason, found.may_trade) == (0.75, "model", "", True)
    assert (found.symbol, found.ts) == ("EURUSD", "2026-01-05T09:30:00Z")
    assert (found.features, found.minutes_missing) == ({"bias": 1.0, "rsi14_z": None}, 0)
    assert script.requests[0].startswith(b"POST /ml/observe HTTP/1.1\r\n")
    sent = json.loads(script.requests[0].partition(b"\r\n\r\n")[2])
    assert sent.pop("request_id") == found.request_id
    assert sent == {
        "symbol": "EURUSD",
        "bars": [{**BAR, "ts": "2026-01-05T09:30:00Z"}],
        "schema_crc32": "0badcafe",
    }


def test_several_bars(connect: Connect) -> None:
    """The answer is about the last; times may be text."""
    bars = [{**BAR, "ts": f"2026-01-05T09:3{minute}:00Z"} for minute in range(3)]
    with scripted(_observed()) as script:
        found = connect(script.url).call("observe", "EURUSD", bars)
    assert found.ts == "2026-01-05T09:32:00Z"


def test_a_symbol_that_is_not_ready(connect: Connect) -> None:
    """The server has answered: nothing is raised, and nothing is to be traded on."""
    with scripted(_WARMING, _WARMING) as script:
        bare = connect(script.url).call("observe", "EURUSD", BAR)
        found = connect(script.url, fallback=lambda bar: bar["close"]).call("observe", "X", BAR)
    assert math.isnan(bare.score)
    assert (bare.reason, bare.source, bare.minutes_missing) == ("warming", "fallback", 1439)
    assert (found.score, found.may_trade, found.model_version) == (1.15, False, "v1")


@pytest.mark.parametrize(
    "changes",
    [
        {"ts": "2026-01-05T09:29:00Z"},
        {"symbol": "GBPUSD"},
        {"request_id": "another"},
        {"ready": True, "score": None},
        {"ready": False, "reason": "", "score": None},
        {"ready": False, "reason": "Look here!", "score": None},
        {"ready": False, "reason": "warming", "score": 0.75},
        {"score": 1.5},
        {"features": [1.0]},
        {"model_version": ""},
    ],
)
def test_an_answer_about_something_else(connect: Connect, changes: dict[str, Any]) -> None:
    """An old bar, another symbol, a score without readiness: none of them is traded on."""
    with scripted(_observed(**changes)) as script:
        found = connect(script.url, fallback=0.5).call("observe", "EURUSD", BAR)
    assert (found.score, found.reason, found.features) == (0.5, "bad_answer", {})


def test_a_bar_may_be_told_again(connect: Connect) -> None:
    """The server gives the same answer twice, so a broken kept connection is no loss."""
    with scripted(GOOD, "hang up", problem(503, "killed"), _observed()) as script:
        client = connect(script.url)
        client.predict([1.0])
        assert client.call("observe", "EURUSD", BAR).score == 0.75
    assert len(client.waits) == 1


@pytest.mark.parametrize(
    "bars",
    [
        [],
        {},
        None,
        {**BAR, "ts": datetime(2026, 1, 5)},  # noqa: DTZ001 - what is to be refused
        {**BAR, "ts": 5},
        {**BAR, "close": "x"},
        [BAR, None],
    ],
)
def test_bars_that_are_none_are_not_sent(connect: Connect, bars: Any) -> None:
    """Neither sent nor an exception in the caller's loop."""
    with scripted() as script:
        found = connect(script.url, fallback=0.5).call("observe", "EURUSD", bars)
        assert (found.score, found.reason) == (0.5, "invalid_input")
        with pytest.raises(ServeError, match="expected bars"):
            connect(script.url).call("observe", "EURUSD", bars)
    assert script.requests == []
