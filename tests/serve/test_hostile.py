"""A real server against bytes that mean harm: no fault, no hang, and a good answer afterwards."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.inference.version_kit import point, write_version
from tests.serve.key_kit import write_keys
from tests.serve.server_kit import server
from tests.serve.socket_kit import Wire, ask, head

pytestmark = pytest.mark.server

BODY = b'{"features":[1.0,0.01,2.0,-0.5]}'
JSON = "Content-Type: application/json"
READ_S, IDLE_S, CONNECTIONS = 0.4, 1.0, 24


class Target(NamedTuple):
    """A server and a key that permits everything but to administer."""

    port: int
    key: str

    def post(self, body: bytes, *headers: str, path: str = "/ml/predict") -> bytes:
        """A whole request with a body."""
        length = f"Content-Length: {len(body)}"
        return head(f"POST {path} HTTP/1.1", (JSON, length, *headers), key=self.key) + body

    def is_well(self) -> bool:
        """Whether a good request is answered within the timeout of the socket."""
        found = ask(self.port, self.post(BODY))
        return found is not None and found.status == 200


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One server for the whole corpus; at its end it must stop cleanly and have said nothing."""
    folder = tmp_path_factory.mktemp("hostile")
    models = folder / "artifacts" / "models"
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    key = write_keys(folder / "artifacts" / "keys.json")["service"]
    limits = {
        "MLWB_READ_S": str(READ_S),
        "MLWB_IDLE_S": str(IDLE_S),
        "MLWB_MAX_CONNECTIONS": str(CONNECTIONS),
        "MLWB_RATE_LIMIT": "0",
    }
    with server(models, folder, **limits) as running:
        yield Target(running.ready["port"], key)


@pytest.fixture(autouse=True)
def well(target: Target) -> Iterator[None]:
    """Whatever a test sends, the server answers a good request afterwards."""
    yield
    assert target.is_well()


_BODIES: dict[str, tuple[bytes, int]] = {
    "infinity by overflow": (b'{"features":[1.0,1e400,2.0,-0.5]}', 422),
    "a number of 60,000 digits": (b'{"features":[' + b"9" * 60_000 + b",0,2,0]}", 422),
    "an exponent of 60,000 digits": (b'{"features":[1e' + b"9" * 60_000 + b",0,2,0]}", 422),
    "NaN": (b'{"features":[NaN,0.01,2.0,-0.5]}', 400),
    "Infinity": (b'{"features":[Infinity,0.01,2.0,-0.5]}', 400),
    "true": (b'{"features":[true,0.01,2.0,-0.5]}', 422),
    "null": (b'{"features":[null,0.01,2.0,-0.5]}', 422),
    "text": (b'{"features":["1",0.01,2.0,-0.5]}', 422),
    "deep arrays": (b"[" * 60_000, 422),
    "deep arrays in place": (b'{"features":' + b"[" * 60_000, 422),
    "deep objects": (b'{"features":' * 4_000, 422),
    "deep unknown": (b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 422),
    "60,000 rows of nothing": (b'{"rows":[' + b"[]," * 20_000 + b"[]]}", 422),
    "no body": (b"", 400),
    "broken UTF-8": (b'{"features":"\xff\xfe"}', 422),
    "a NUL": (b'{"features":\x00}', 400),
    "a BOM": (b"\xef\xbb\xbf" + BODY, 400),
    "two documents": (BODY + BODY, 400),
    "too much": (b" " * 70_000 + BODY, 413),
}


@pytest.mark.parametrize("name", _BODIES)
def test_bodies(target: Target, name: str) -> None:
    """Refused with a problem, on a connection that goes on."""
    body, status = _BODIES[name]
    with Wire(target.port) as wire:
        wire.send(target.post(body))
        found = wire.answer()
        assert found is not None
        assert found.status in {status, 400 if status == 422 else status}
        assert found.headers["content-type"] == "application/problem+json"
        wire.send(target.post(BODY))
        after = wire.answer()
        assert after is not None
        assert after.status == 200


def _framing(target: Target) -> dict[str, tuple[bytes, set[int]]]:
    def post(*headers: str, body: bytes = b"") -> bytes:
        return head("POST /ml/predict HTTP/1.1", (JSON, *headers), key=target.key) + body

    chunked = "Transfer-Encoding: chunked"
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    trailers = b"".join(b"t%d: %b\r\n" % (n, b"v" * 500) for n in range(1_000))
    return {
        "chunked": (post(chunked, body=whole), {200}),
        "two lengths": (post("Content-Length: 32", "Content-Length: 3", body=BODY), {400}),
        "the same length twice": (post("Content-Length: 32", "Content-Length: 32"), {400}),
        "length and chunks": (post("Content-Length: 5", chunked, body=whole), {400}),
        "chunks and length": (post(chunked, "Content-Length: 5", body=whole), {400}),
        "chunked twice": (post(chunked, chunked, body=whole), {400, 200}),
        "chunked and more": (post("Transfer-Encoding: chunked, x", body=whole), {400}),
        "another coding": (post("Transfer-Encoding: gzip", body=BODY), {400}),
        "negative length": (post("Content-Length: -1"), {400}),
        "signed length": (post("Content-Length: +32", body=BODY), {400}),
        "length in hex": (post("Content-Length: 0x20", body=BODY), {400}),
        "length beyond numbers": (post(f"Content-Length: 1{'0' * 40}"), {400}),
        "length of a petabyte": (post("Content-Length: 1000000000000000"), {413}),
        "a chunk beyond numbers": (post(chunked, body=b"F" * 17 + b"\r\n"), {400}),
        "a chunk of words": (post(chunked, body=b"xyz\r\nabc\r\n"), {400}),
        "chunks without end": (post(chunked, body=b"1\r\n{\r\n" * 70_000), {413}),
        "extensions without end": (post(chunked, body=b"1;" + b"e" * 300_000), {400, 408, 431}),
        "trailers without end": (post(chunked, body=whole[:-2] + trailers), {200, 400, 431}),
        "wrong type": (
            head("POST /ml/predict HTTP/1.1", ("Content-Length: 32",), key=target.key) + BODY,
            {415},
        ),
        "encoded": (post("Content-Encoding: gzip", "Content-Length: 32", body=BODY), {415}),
    }


def _heads(target: Target) -> dict[str, tuple[bytes, set[int]]]:
    def get(line: str, *headers: str) -> bytes:
        return head(line, headers, key=target.key)

    flood = [f"x-{n}: y" for n in range(1_000)]
    plain = "GET /ml/health HTTP/1.1"
    return {
        "a thousand headers": (get(plain, *flood), {431}),
        "a header of 200 kB": (get(plain, "x: " + "y" * 200_000), {431}),
        "a target of 200 kB": (get(f"GET /{'y' * 200_000} HTTP/1.1"), {400, 431}),
        "a name of 200 kB": (get(plain, "x" * 200_000 + ": y"), {431}),
        "two hosts": (get(plain, "Host: other"), {400}),
        "no host": (b"GET /ml/health HTTP/1.1\r\n\r\n", {400}),
        "no host, but 1.0": (b"GET /ml/health HTTP/1.0\r\n\r\n", {200}),
        "0.9": (b"GET /ml/health\r\n\r\n", {400}),
        "3.0": (get("GET /ml/health HTTP/3.0"), {400}),
        "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, {400}),
        "noise": (bytes(range(256)) * 20, {400}),
        "no colon": (get(plain, "nonsense"), {400}),
        "a space in a name": (get(plain, "x y: z"), {400}),
        "a folded header": (get(plain, "x: y", " folded"), {400, 200}),
        "a NUL in a header": (get(plain, "x: a\x00b"), {400}),
        "a bare CR": (get(plain, "x: a\rX-API-Key: b"), {400}),
        "bare LFs": (b"GET /ml/health HTTP/1.1\nHost: a\n\n", {400, 200}),
        "a small get": (get("get /ml/health HTTP/1.1"), {400}),
        "an unknown method": (get("STEAL /ml/health HTTP/1.1"), {400}),
        "TRACE": (get("TRACE /ml/health HTTP/1.1"), {405}),
        "CONNECT": (get("CONNECT example.org:443 HTTP/1.1"), {400, 404, 405}),
        "PUT": (get("PUT /ml/predict HTTP/1.1", "Content-Length: 0"), {405}),
        "DELETE": (get("DELETE /ml/model/info HTTP/1.1"), {405}),
        "a method to override": (
            get("GET /ml/predict HTTP/1.1", "X-HTTP-Method-Override: POST"),
            {405},
        ),
        "OPTIONS of everything": (get("OPTIONS * HTTP/1.1"), {400, 404, 405}),
        "an upgrade": (get(plain, "Connection: Upgrade", "Upgrade: websocket"), {200, 400}),
        "an upgrade to h2c": (get(plain, "Connection: Upgrade", "Upgrade: h2c"), {200, 400}),
        "a range": (get(plain, "Range: bytes=0-0,-1"), {200}),
    }


def test_framing(target: Target) -> None:
    """Where a message ends is never a matter of opinion."""
    for name, (data, statuses) in _framing(target).items():
        found = ask(target.port, data)
        assert found is not None, name
        assert found.status in statuses, (name, found)


def test_heads(target: Target) -> None:
    """Floods, oddities, other protocols: a refusal at once, never a fault."""
    for name, (data, statuses) in _heads(target).items():
        found = ask(target.port, data)
        assert found is not None, name
        assert found.status in statuses, (name, found)


@pytest.mark.parametrize("path", ["/ml/model/info", "/ml/monitoring/drift"])
def test_no_path_leads_around_the_key(target: Target, path: str) -> None:
    """However a protected path is written, without a key it is 401 or nothing at all."""
    _, first, *rest = path.split("/")
    tail = "/".join(rest)
    tricks = [
        path, f"/{path}", f"{path}/", f"/{first}//{tail}", f"/./{first}/{tail}",
        f"/x/../{first}/{tail}", f"/%2e%2e/{first}/{tail}", f"/..%2f{first}/{tail}",
        f"{path}%00", f"{path}%2f", f"{path};x=1", f"{path}?key=x", f"{path}#x", f"{path}%3f",
        path.replace("m", "%6d"), path.replace("/", "%2f"), path.replace("/", "\\"),
        path.upper(), f"{path}%20", f"{path}.json", f"http://127.0.0.1{path}",
        f"http://evil.example{path}", f"http://127.0.0.1:1/ml/health/live?{path}",
        f"{path}\x00", f"{path}\xff", f"{path}%ff%fe", f"{path}%c0%af", "",
    ]  # fmt: skip
    for trick in tricks:
        for host in ("127.0.0.1", "a/ml/health?", "a@b", "[", ""):
            line = f"GET {trick} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
            found = ask(target.port, line)
            assert found is not None, trick
            live = "live?" in trick and found.status == 200
            assert live or 400 <= found.status < 500, (trick, host, found)


def test_a_slow_head_and_a_slow_body(target: Target) -> None:
    """Each is given the time for a whole request, then 408, and the connection ends."""
    whole = target.post(BODY)
    for part in (whole[:60], whole[:-5]):
        with Wire(target.port) as wire:
            began = time.monotonic()
            wire.send(part)
            found = wire.answer()
            assert found is not None
            assert (found.status, found.headers["connection"]) == (408, "close")
            assert json.loads(found.body)["code"] == "slow_request"
            assert wire.is_closed()
            assert time.monotonic() - began >= READ_S


def test_a_body_byte_by_byte(target: Target) -> None:
    """A client that always sends a little more gains no time."""
    with Wire(target.port) as wire:
        wire.send(target.post(BODY)[: -len(BODY)])
        began = time.monotonic()
        while time.monotonic() - began < READ_S + 0.4:
            wire.send(b" ")
            time.sleep(0.05)
        found = wire.answer()
        assert found is not None
        assert found.status == 408


def test_a_head_that_grows_in_pieces(target: Target) -> None:
    """One header that never ends is cut off by its size, long before its time."""
    data = head("GET /ml/health HTTP/1.1", ("x: " + "y" * 400_000,))
    found = ask(target.port, data, pieces=20, pause_s=0.002)
    assert found is not None
    assert found.status == 431


def test_a_truncated_body(target: Target) -> None:
    """A client that hangs up in the middle is answered by nobody and costs nothing."""
    for keep in (1, 20, len(BODY) - 1):
        with Wire(target.port) as wire:
            wire.send(target.post(BODY)[: keep - len(BODY)])
            wire.half_close()
            assert wire.is_closed()


def test_a_silent_connection_is_ended(target: Target) -> None:
    """Before the first request, and between two."""
    for first, limit_s in ((b"", READ_S), (target.post(BODY), IDLE_S)):
        with Wire(target.port) as wire:
            began = time.monotonic()
            wire.send(first)
            assert wire.is_closed()
            assert limit_s <= time.monotonic() - began


def test_requests_in_one_piece(target: Target) -> None:
    """Pipelined requests are answered in order; a bad one ends the line after its turn."""
    ids = [f"id-{n}" for n in range(40)]
    with Wire(target.port) as wire:
        wire.send(b"".join(target.post(BODY, f"X-Request-Id: {name}") for name in ids))
        answers = [wire.answer() for _ in ids]
    assert [found.headers["x-request-id"] for found in answers if found] == ids
    with Wire(target.port) as wire:
        wire.send(target.post(BODY) * 2 + b"\x00garbage\r\n\r\n")
        statuses = []
        while (found := wire.answer()) is not None:
            statuses.append(found.status)
    assert statuses in ([], [200], [200, 200], [200, 200, 400], [400])


def test_many_requests_in_one_piece(target: Target) -> None:
    """More than one read takes: what went before is no part of the head that was cut in two."""
    one = target.post(BODY)
    n_requests = 600_000 // len(one)
    with Wire(target.port) as wire:
        writer = threading.Thread(target=wire.send, args=(one * n_requests,))
        writer.start()
        for _ in range(n_requests):
            found = wire.answer()
            assert found is not None
            assert found.status == 200
        writer.join()


def test_too_many_connections(target: Target) -> None:
    """One more is told so and closed; the others go on, and there is room again afterwards."""
    held = [Wire(target.port) for _ in range(CONNECTIONS)]
    try:
        held[0].send(target.post(BODY))
        first = held[0].answer()
        assert first is not None
        assert first.status == 200
        with Wire(target.port) as one_more:
            found = one_more.answer()
            assert found is not None
            assert (found.status, found.headers["retry-after"]) == (503, "1")
            assert one_more.is_closed()
        held[1].send(target.post(BODY))
        second = held[1].answer()
        assert second is not None
        assert second.status == 200
    finally:
        for wire in held:
            wire.__exit__()
    time.sleep(0.2)


def test_a_client_that_says_it_will_continue(target: Target) -> None:
    """`Expect: 100-continue` is answered before the body is sent, and only to who may send it."""
    expecting = target.post(BODY, "Expect: 100-continue")
    with Wire(target.port) as wire:
        wire.send(expecting[: -len(BODY)])
        first = wire.answer()
        assert first is not None
        assert first.status == 100
        wire.send(BODY)
        second = wire.answer()
        assert second is not None
        assert second.status == 200
    found = ask(target.port, expecting[: -len(BODY)].replace(target.key.encode(), b"guess"))
    assert found is not None
    assert found.status == 401


def test_what_was_refused_is_counted(target: Target) -> None:
    """For whoever watches."""
    ask(target.port, b"\x00\r\n\r\n")
    ask(target.port, head("GET /ml/model/info HTTP/1.1"))
    found = ask(target.port, head("GET /ml/metrics HTTP/1.1"))
    assert found is not None
    counts = {
        line.split('"')[1]: int(line.split()[-1])
        for line in found.body.decode().splitlines()
        if line.startswith("ml_refused_total{")
    }
    assert counts["http"] >= 1
    assert counts["key"] >= 1
