"""A head that was read before is not read again, and says nothing it did not say then."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httptools import HttpRequestParser

from mlwb.core.clock import SystemClock
from mlwb.serve import KeyFile, ServeSettings, create_app
from mlwb.serve._heads import HEAD, Heads
from tests.serve.test_direct import Wire, chunked, connection, post, talk

HEAD_END = b"\r\n\r\n"
PLAIN = b'{"features": [1, 0.1, 2, 0.5]}'


def _scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"method": "POST", "path": "/p", "query_string": b"", "headers": headers, HEAD: "read"}


def _kept(data: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> Heads:
    heads = Heads()
    heads.keep(data, b"/p", body, _scope(*headers))
    return heads


def test_found_by_its_bytes_alone() -> None:
    """With any body of the length it names; with no other length, and no other byte."""
    heads = _kept(post(b"abc"), b"abc")
    known, body = heads.find(post(b"xyz")) or (None, b"")
    assert known is not None
    assert (known.url, known.scope["path"], body) == (b"/p", "/p", b"xyz")
    head = post(b"abc").partition(HEAD_END)[0] + HEAD_END
    assert heads.find(head + b"abcd") is None
    assert heads.find(head + b"ab") is None
    assert heads.find(post(b"abcd")) is None
    for at in range(0, len(head), 7):
        assert heads.find(head[:at] + b"~" + head[at + 1 :] + b"abc") is None
    assert heads.find(b"") is heads.find(HEAD_END) is None


@pytest.mark.parametrize(
    ("data", "body"),
    [
        pytest.param(chunked(b"abc"), b"abc", id="in chunks"),
        pytest.param(post(b"abc") + post(b"abc"), b"abc", id="another behind it"),
        pytest.param(post(b"abc") + b"\r\n", b"abc", id="a line behind it"),
        pytest.param(HEAD_END + post(b"abc"), b"abc", id="lines before it"),
        pytest.param(post(b"abc", x="y" * 3_000), b"abc", id="a long one"),
    ],
)
def test_only_a_whole_request_by_itself_is_kept(data: bytes, body: bytes) -> None:
    """Where its end is, was said by nothing but its length."""
    assert len(_kept(data, body)) == 0


def test_what_comes_once_or_was_refused_is_not_kept() -> None:
    """Neither a request with an id of its own nor one that nobody answered takes a place."""
    assert len(_kept(post(b"abc"), b"abc", (b"x-request-id", b"1"))) == 0
    heads = Heads()
    heads.keep(post(b"abc"), b"/p", b"abc", {"headers": ()})
    assert len(heads) == 0


def test_heads_are_bounded() -> None:
    """However many there are, memory does not grow with them."""
    heads = Heads(capacity=3)
    for number in range(10):
        heads.keep(post(b"abc", x=str(number)), b"/p", b"abc", _scope())
        assert len(heads) <= 3
        assert heads.find(post(b"abc", x=str(number))) is not None


def test_the_parser_does_not_see_it_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once read, answered without; each answer has an id of its own."""
    fed = 0

    class Parser:
        def __init__(self, protocol: object) -> None:
            self._parser = HttpRequestParser(protocol)

        def feed_data(self, data: bytes) -> None:
            nonlocal fed
            fed += 1
            self._parser.feed_data(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._parser, name)

    monkeypatch.setattr("httptools.HttpRequestParser", Parser)
    said = talk(create_app(ServeSettings(models)), *[post(PLAIN)] * 5).said
    assert said.count(b"HTTP/1.1 200 OK") == 5
    assert fed == 1
    assert len(set(re.findall(rb"x-request-id: (\w+)", said))) == 5


def test_a_key_taken_back_is_refused_on_a_head_seen_before(models: Path, tmp_path: Path) -> None:
    """The head is remembered; what it permits is asked again, and so are the switches."""
    file = KeyFile(tmp_path / "keys.json")
    now = SystemClock().now()
    record, key = file.add("bot", ["predict"], now=now, days=1)
    app = create_app(ServeSettings(models, keys_file=file.path, kill_file=tmp_path / "kill"))
    request = post(PLAIN, x_api_key=key)

    async def talked() -> list[bytes]:
        wire = Wire()
        protocol = connection(app, wire)

        def ask() -> bytes:
            wire.said = b""
            protocol.data_received(request)
            return wire.said[9:12]

        found = [ask(), ask()]
        (tmp_path / "kill").touch()
        found.append(ask())
        (tmp_path / "kill").unlink()
        found.append(ask())
        file.revoke(record.id, now=now + timedelta(seconds=1))
        app.state.keys.take(app.state.keys.look())
        found.append(ask())
        return found

    assert asyncio.run(talked()) == [b"200", b"200", b"503", b"200", b"401"]


def test_a_server_that_drains_forgets(models: Path) -> None:
    """The answer to a head seen before says that the connection ends."""
    app = create_app(ServeSettings(models))

    async def talked() -> bytes:
        wire = Wire()
        protocol = connection(app, wire)
        protocol.data_received(post(PLAIN))
        app.drain()
        protocol.data_received(post(PLAIN))
        for _ in range(20):
            await asyncio.sleep(0)
        return wire.said

    assert asyncio.run(talked()).count(b"connection: close") == 1
