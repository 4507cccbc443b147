"""A head that was read before is not read again, and says nothing it did not say then."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from httptools import HttpRequestParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlwb.core.clock import SystemClock
from mlwb.serve import App, KeyFile, ServeSettings, create_app
from mlwb.serve._heads import HEAD, Heads
from tests.inference.version_kit import point, write_version
from tests.serve.test_direct import REQUESTS, Wire, chunked, connection, plain, post, talk

HEAD_END = b"\r\n\r\n"
PLAIN = b'{"features": [1, 0.1, 2, 0.5]}'


def _scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"method": "POST", "path": "/p", "query_string": b"", "headers": headers, HEAD: "read"}


def _kept(data: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> Heads:
    heads = Heads()
    heads.keep(data, b"/p", body, _scope(*headers))
    return heads


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> App:
    """A server with a champion and a candidate."""
    models = tmp_path_factory.mktemp("models")
    for channel, version in (("latest", "v1.0.0"), ("candidate", "v1.0.1")):
        write_version(models, version)
        point(models, channel, version)
    return create_app(ServeSettings(models))


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


_KINDS = ("by array", "by name", "a batch", "with an id", "shadowed", "nan", "with a query")


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=8), st.data())
def test_cut_and_joined_in_any_way_the_answers_are_those_of_asgi(
    served: App, kinds: list[str], data: st.DataObject
) -> None:
    """Whatever the wire makes of requests with known heads: as many answers, in their order."""
    sent = b"".join(REQUESTS[kind] for kind in kinds)
    ends = list(accumulate(len(REQUESTS[kind]) for kind in kinds))
    cuts = data.draw(st.sets(st.sampled_from(ends) | st.integers(1, len(sent) - 1), max_size=6))
    bounds = [0, *sorted(cuts), len(sent)]
    pieces = [sent[start:end] for start, end in pairwise(bounds) if end > start]
    said = [talk(served, *pieces, is_direct=is_direct).said for is_direct in (True, False)]
    answers = [
        [
            plain(b"HTTP/1.1" + part)
            for part in re.sub(rb"[0-9a-f]{16}", b"ID", one).split(b"HTTP/1.1")
        ]
        for one in said
    ]
    assert len(answers[0]) == len(kinds) + 1
    assert answers[0] == answers[1]
