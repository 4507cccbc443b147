"""A request that is there as a whole is answered at once: the same bytes, without ASGI."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from mlwb.core.errors import DegenerateModelError
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._connection import GuardedProtocol
from tests.inference.version_kit import point, write_version

ROW = b'{"features": [1, 0.1, 2, 0.5], "request_id": "r1"}'


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.said, self.is_closed, self.writes = b"", False, 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.said += data
        self.writes += 1

    def close(self) -> None:
        """Remember."""
        self.is_closed = True

    def abort(self) -> None:
        """Remember."""
        self.is_aborted = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.is_closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Both ends."""
        ends = {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 4010)}
        return ends.get(name, default)

    def resume_reading(self) -> None:
        """Nothing was paused."""

    pause_reading = resume_reading


def connection(app: App, wire: Wire, *, is_direct: bool = True) -> GuardedProtocol:
    """A connection that has just been made."""
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None)
    config.load()
    protocol = GuardedProtocol(
        config=config, server_state=ServerState(), app_state={},
        settings=app.state.settings, metrics=app.state.metrics,
        direct=app.direct if is_direct else {},
    )  # fmt: skip
    protocol.connection_made(wire)  # type: ignore[arg-type]
    return protocol


def talk(app: App, *pieces: bytes, is_direct: bool = True) -> Wire:
    """Bytes on one connection, with a moment between the pieces."""

    async def connected() -> Wire:
        wire = Wire()
        protocol = connection(app, wire, is_direct=is_direct)
        for piece in pieces:
            protocol.data_received(piece)
            for _ in range(20):
                await asyncio.sleep(0)
        await asyncio.sleep(0.008)  # what is left to be done after the answers
        return wire

    return asyncio.run(connected())


def test_a_client_that_takes_no_answer_is_cut_off(app: App) -> None:
    """Closing waits for what was written to be taken; nobody holds a place that way."""
    read_s, idle_s = app.state.settings.read_s, app.state.settings.idle_s

    async def held() -> list[bool]:
        wire = Wire()
        protocol = connection(app, wire)
        protocol.data_received(post())
        now_s = asyncio.get_running_loop().time() + idle_s + 1.0
        found = []
        for later_s in (0.0, 1.0, 1.0 + read_s, 2.0 + read_s):
            protocol.look(now_s + later_s)
            found.append(wire.is_aborted)
        assert wire.is_closed
        return found

    assert asyncio.run(held()) == [False, False, False, True]


def test_a_lost_connection_is_told_to_the_request_it_answers(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """However many others were read behind it: nothing is written to nobody, nothing logged."""

    async def lost() -> int:
        wire = Wire()
        protocol = connection(app, wire)
        protocol.pause_writing()
        protocol.data_received(post() * 3)
        for _ in range(20):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        for _ in range(20):
            await asyncio.sleep(0)
        return wire.writes

    assert asyncio.run(lost()) == 0
    assert caplog.records == []


def post(body: bytes = ROW, path: str = "/ml/predict", **headers: str) -> bytes:
    """A request as a client writes it."""
    found = {
        "host": "127.0.0.1:4010",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in found.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def plain(said: bytes) -> bytes:
    """Without what differs from request to request."""
    said = re.sub(rb"[0-9a-f]{16}", b"ID", said)
    head, _, body = said.partition(b"\r\n\r\n")
    return b"\r\n".join(sorted(head.split(b"\r\n"))) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    """The same without a length."""
    head = post(b"", transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


REQUESTS = {
    "in a chunk": chunked(ROW),
    "too large a chunk": chunked(ROW + b" " * 70_000),
    "by array": post(),
    "by name": post(
        b'{"features": {"bias": 1, "mid_logret_1m": 0.1, "spread_bp": 2, "rsi14_z": 0.5}}'
    ),
    "a batch": post(b'{"rows": [[1, 0.1, 2, 0.5], [1, 0.2, 2, 0.5]]}'),
    "with an id": post(b'{"features": [1, 0.1, 2, 0.5]}', x_request_id="mine-7"),
    "shadowed": post(path="/ml/predict-with-shadow"),
    "nan": post(b'{"features": [1, NaN, 2, 0.5]}'),
    "out of range": post(b'{"features": [1, 0.1, 2e9, 0.5]}'),
    "no json": post(b"rubbish"),
    "empty": post(b""),
    "text": post(content_type="text/plain"),
    "too large": post(b" " * 70_000),
    "of another origin": post(origin="http://elsewhere.example"),
    "foreign host": post(host="elsewhere.example:4010"),
    "a percent sign": post(path="/ml/predic%74"),
    "with a query": post(path="/ml/predict?x=1"),
    "a get": b"GET /ml/predict HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    "asking to close": post(connection="close"),
    "version 1.0": post().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two hosts": post().replace(b"\r\n", b"\r\nhost: b\r\n", 1),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_same(name: str, models: Path) -> None:
    """Status, headers and body of every kind of request, good and bad, with and without ASGI."""
    write_version(models, "v1.0.1")
    point(models, "candidate", "v1.0.1")
    found = [
        talk(create_app(ServeSettings(models)), REQUESTS[name], is_direct=is_direct)
        for is_direct in (True, False)
    ]
    assert plain(found[0].said) == plain(found[1].said)
    assert found[0].said.startswith(b"HTTP/1.1 ")
    assert found[0].is_closed == found[1].is_closed


@pytest.mark.parametrize("name", REQUESTS)
def test_a_head_seen_before_gives_the_same_answer(name: str, models: Path) -> None:
    """Each kind of request three times on a connection, behind a good one: nothing is mistaken."""
    write_version(models, "v1.0.1")
    point(models, "candidate", "v1.0.1")
    asked = (post(), post(), *[REQUESTS[name]] * 3, post())
    found = [
        talk(create_app(ServeSettings(models)), *asked, is_direct=is_direct)
        for is_direct in (True, False)
    ]
    said = [re.sub(rb"[0-9a-f]{16}", b"ID", wire.said) for wire in found]
    answers = [[plain(b"HTTP/1.1" + part) for part in one.split(b"HTTP/1.1")] for one in said]
    assert answers[0] == answers[1]
    assert found[0].is_closed == found[1].is_closed


def test_one_piece_in_one_piece_out(app: App) -> None:
    """A whole request is answered before the loop turns, in one write."""
    assert talk(app, post()).writes == 1
    assert talk(app, post(), is_direct=False).writes == 2
    assert app.state.metrics.requests[("v1.0.0", "success")] == 2


@pytest.mark.parametrize("cut", [1, 30, 90, len(post()) - 20, len(post()) - 1])
def test_a_request_in_pieces_goes_the_long_way(cut: int, app: App) -> None:
    """Cut anywhere, the answer is the one of the whole."""
    whole = talk(app, post()).said
    assert plain(talk(app, post()[:cut], post()[cut:]).said) == plain(whole)


def test_requests_in_a_row_are_answered_in_their_order(app: App) -> None:
    """Pipelined, at once and by ASGI mixed: each answer stands where its request stood."""
    row = b'{"features": [1, 0.1, 2, 0.5]}'
    slow = post(row, path="/ml/predict?x=1", x_request_id="id-1")
    quick = [post(row, x_request_id=f"id-{n}") for n in (0, 2, 3)]
    said = talk(app, quick[0] + slow + quick[1] + quick[2]).said
    assert re.findall(rb"x-request-id: id-(.)", said) == [b"0", b"1", b"2", b"3"]


def test_a_failure_names_the_request(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the id in its body where it has one, on either way."""

    def fail(*_: object) -> list[float]:
        raise DegenerateModelError("no number")

    monkeypatch.setattr("mlwb.serve._models.Live.score", fail)
    for is_direct in (True, False):
        said = talk(app, post(x_request_id="h1"), is_direct=is_direct).said
        assert said.startswith(b"HTTP/1.1 503 ")
        assert (b"x-request-id: r1\r\n" in said, b'"instance":"r1"' in said) == (True, True)


def test_a_server_that_drains_closes(app: App) -> None:
    """The answer says so, the connection ends, and what stands behind it is not scored."""
    app.drain()
    wire = talk(app, post() + post())
    assert wire.said.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close\r\n" in wire.said
    assert wire.is_closed
    assert app.state.metrics.requests == {("v1.0.0", "success"): 1}


def test_what_breaks_off_inside_is_refused(app: App) -> None:
    """A body whose chunks are no chunks: 400 and closed, on either way, and nothing scored."""
    head = post(b"", transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
    for is_direct in (True, False):
        wire = talk(app, head + b"zz\r\nrubbish", is_direct=is_direct)
        assert wire.said.startswith(b"HTTP/1.1 400 ")
        assert wire.is_closed
    assert not app.state.metrics.requests


@pytest.mark.parametrize("setting", ["cors_origins", "access_log"])
def test_what_the_edge_must_see_goes_past_it(setting: str, models: Path, tmp_path: Path) -> None:
    """With pages of other origins, or an access log, every request goes through the edge."""
    values = {"cors_origins": ("http://a.example",), "access_log": tmp_path / "access.jsonl"}
    settings = ServeSettings(models, **{setting: values[setting]})  # type: ignore[arg-type]
    assert create_app(settings).direct == {}
    assert create_app(ServeSettings(models)).direct
