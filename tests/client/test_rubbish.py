"""Whatever a server does, a bot has its score or its fallback, in time, and never an exception."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.client.conftest import Connect
from tests.client.scripted_kit import GOOD, Drip, Scene, answer, problem, scored, scripted

ROW = [1.0, 0.01, 2.0, -0.5]
_SCORE = b'{"request_id":"my-id","model_version":"v1","score":0.25}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_SCORE)


def _asked(connect: Connect, *scenes: Scene, **options: Any) -> Any:
    """What a bot gets for its first call; a good answer would follow, if it asked again."""
    with scripted(*scenes, GOOD) as script:
        return connect(script.url, fallback=0.5, **options).predict(ROW, request_id="my-id")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'"' * 1000,
        b"[" * 100_000,
        b'{"request_id":"my-id","model_version":"v1","score":0.25',
        b'{"request_id":"my-id","model_version":"v1","score":NaN}',
        b'{"request_id":"my-id","model_version":"v1","score":-Infinity}',
        b'{"request_id":"my-id","model_version":"v1","score":1e999}',
        b'{"request_id":"my-id","model_version":"v1","scores":[0.25]}',
        b'{"request_id":"my-id","score":0.25}',
        b'{"model_version":"v1","score":0.25}',
    ],
)
def test_an_answer_that_is_none(connect: Connect, body: bytes) -> None:
    """Another server's page or a poisoned score never becomes a score to trade on."""
    assert _asked(connect, answer(200, body)).reason == "bad_answer"


@pytest.mark.parametrize(
    "change",
    [{"score": value} for value in (None, "0.5", True, 1.5, -0.1, 10**400, [0.25], {"score": 0.25})]
    + [{"request_id": value} for value in ("another", "", None, 7)]
    + [{"model_version": value} for value in ("", None, 1, "../v1", "v1\n", "v" * 65)],
)
def test_an_answer_to_something_else(connect: Connect, change: dict[str, Any]) -> None:
    """A score out of range, of another request, or of a version that can be none."""
    assert _asked(connect, scored(**change)).reason == "bad_answer"


@pytest.mark.parametrize(
    "scene",
    [
        b"garbage\r\n\r\n",
        b"garbage",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 5_000,
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100_000,
    ],
)
def test_broken_http(connect: Connect, scene: bytes) -> None:
    """Known at once for what it is, long before the deadline."""
    start = time.perf_counter()
    assert _asked(connect, scene, timeout_s=30.0).reason == "bad_answer"
    assert time.perf_counter() - start < 15.0


@pytest.mark.parametrize(
    "scene",
    [
        Drip((_HEAD, _SCORE)),
        Drip(tuple(bytes([byte]) for byte in _HEAD + _SCORE), pause_s=0.0),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + _HEAD + _SCORE,
        b"HTTP/1.1 200\r\ncontent-length:%d \r\n\r\n" % len(_SCORE) + _SCORE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
        + b"5;x=y\r\n%b\r\n%X\r\n%b\r\n0\r\nT: 1\r\n\r\n"
        % (_SCORE[:5], len(_SCORE) - 5, _SCORE[5:]),
    ],
)
def test_whole_answers_however_they_come(connect: Connect, scene: Scene) -> None:
    """In pieces, byte by byte, after interim answers, in chunks with extensions and trailers."""
    assert _asked(connect, scene).score == 0.25


@pytest.mark.parametrize(
    ("body", "reason"), [(_SCORE, ""), (_SCORE[:-1], "bad_answer"), (b"", "bad_answer")]
)
def test_an_answer_that_ends_with_its_connection(
    connect: Connect, body: bytes, reason: str
) -> None:
    """HTTP/1.0 without a length: what is cut short is no JSON."""
    drip = Drip((b"HTTP/1.0 200 OK\r\n\r\n" + body,), pause_s=0.0, ends=True)
    assert _asked(connect, drip).reason == reason


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTT",),
        (b"HTTP/1.1 200 OK\r\n",),
        (_HEAD,),
        (_HEAD, _SCORE[:-1]),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nab"),
    ],
)
def test_a_server_that_stops_halfway(connect: Connect, pieces: tuple[bytes, ...]) -> None:
    """In the head, after it, in the body: the deadline, and not asked again."""
    assert _asked(connect, Drip(pieces, pause_s=0.0), timeout_s=0.1).reason == "timeout"


@pytest.mark.parametrize(
    "drip",
    [
        Drip((b"HTTP/1.1 200 OK\r\nA: ", *[b"x"] * 1_000)),
        Drip((_HEAD, *[_SCORE[:1]] * 10, *[b" "] * 1_000)),
        Drip((b"HTTP/1.1 100 Continue\r\n\r\n",) * 1_000),
        Drip((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 1_000)),
    ],
)
def test_drips_do_not_stretch_the_deadline(connect: Connect, drip: Drip) -> None:
    """Each byte in time is not the answer in time."""
    start = time.perf_counter()
    reason = _asked(connect, drip, timeout_s=0.15).reason
    assert time.perf_counter() - start < 5.0  # the drips would take twenty
    assert reason in {"timeout", "bad_answer"}


@pytest.mark.parametrize("cut", [len(_HEAD) - 5, len(_HEAD), len(_HEAD) + 5])
def test_a_connection_that_ends_halfway(connect: Connect, cut: int) -> None:
    """Truncated: lost, and not asked again, for it may have been worked on."""
    drip = Drip(((_HEAD + _SCORE)[:cut],), pause_s=0.0, ends=True)
    with scripted(drip, GOOD) as script:
        assert connect(script.url, fallback=0.5).predict(ROW).reason == "lost"
        assert len(script.requests) == 1


def test_more_than_one_answer_spoils_the_connection(connect: Connect) -> None:
    """What nobody asked for is not taken for the answer to the next request."""
    with scripted(lambda request: GOOD(request) + problem(500, "old"), GOOD) as script:
        client = connect(script.url)
        assert [client.predict(ROW).score for _ in range(2)] == [0.25, 0.25]
    assert script.connections == 2


def test_a_late_second_answer_spoils_the_connection(connect: Connect) -> None:
    """Also when it arrives between two calls."""
    drip = Drip((_HEAD + _SCORE, problem(500, "old")))
    with scripted(drip, GOOD) as script:
        client = connect(script.url)
        client.predict(ROW, request_id="my-id")
        assert script.ended.wait(10)
        client.idle(0.05)
        assert client.predict(ROW).source == "model"
    assert script.connections == 2


@pytest.mark.parametrize("code", ["", "A B", "\x1b[31m", "x" * 100, 5, None, {"a": 1}])
def test_a_code_that_is_none(connect: Connect, code: Any) -> None:
    """The reason ends in logs and metrics: only a plain word is one."""
    body = json.dumps({"code": code, "detail": "no"}).encode()
    assert _asked(connect, answer(500, body)).reason == "unknown"


def test_a_detail_is_printable_and_short(connect: Connect) -> None:
    """Nothing a server says reaches a terminal as it is."""
    body = json.dumps({"code": "odd", "detail": "\x1b[2J" + "y" * 10_000}).encode()
    with scripted(answer(400, body)) as script, pytest.raises(Exception, match=r"\[2Jy+") as caught:
        connect(script.url).predict(ROW)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 250
