"""What every answer carries, how many there are at once, what is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.serve import App, ServeSettings, create_app
from tests.serve.asgi_kit import JSON, Reply, call, request, running
from tests.serve.key_kit import shown, write_keys

BODY = b'{"features":[1.0,0.01,2.0,-0.5]}'
DESK = b"https://desk.example"


def test_no_answer_is_sniffed_or_kept(app: App) -> None:
    """Answers, refusals, pages: each exactly once."""
    for path, body in (
        ("/ml/predict", BODY),
        ("/ml/predict", b"{"),
        ("/ml/health", None),
        ("/ml/metrics", None),
        ("/docs", None),
        ("/nothing", None),
    ):
        reply = call(app, path, body)
        assert reply.headers["x-content-type-options"] == "nosniff", path
        if body is None:
            assert "no-store" in reply.headers["cache-control"], path
    assert "frame-ancestors 'none'" in call(app, "/docs").headers["content-security-policy"]


def _raw(app: App, path: str, body: bytes) -> list[str]:
    """Names of the headers as they leave, duplicates included."""
    sent: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [JSON],
        "client": ("127.0.0.1", 1),
    }  # fmt: skip

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return [name.decode() for name, _ in sent[0]["headers"]]


def test_no_header_stands_twice(app: App) -> None:
    """On the hot routes."""
    for body in (BODY, b"{"):
        names = _raw(app, "/ml/predict", body)
        assert len(names) == len(set(names))
        assert "server" not in names


def test_the_headers_of_the_limit(models: Path) -> None:
    """Policy and standing on every answer, when to come back on a refusal."""
    file = models.parent / "keys.json"
    keys = write_keys(file, ManualClock().now())
    settings = ServeSettings(models, keys_file=file, rate_limit=2, rate_window_s=10.0)
    app = create_app(settings, clock=ManualClock())
    asked = [call(app, "/ml/predict", BODY, headers=shown(keys["predict"])) for _ in range(3)]
    assert [reply.headers["ratelimit-policy"] for reply in asked] == ['"key";q=2;w=10'] * 3
    assert [reply.headers["ratelimit"] for reply in asked] == [
        '"key";r=1;t=5',
        '"key";r=0;t=10',
        '"key";r=0;t=5',
    ]
    assert [reply.headers.get("retry-after") for reply in asked] == [None, None, "5"]
    assert "ratelimit" not in call(app, "/ml/health").headers


@pytest.fixture
def shared(models: Path) -> App:
    """A server that one web page may ask."""
    return create_app(ServeSettings(models, cors_origins=(DESK.decode(),)))


def _from(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [JSON, (b"origin", origin)]


def test_only_a_named_origin_is_let_in(shared: App) -> None:
    """Exactly; the answer names it, never any, and never with credentials."""
    reply = call(shared, "/ml/predict", BODY, headers=_from(DESK))
    assert reply.headers["access-control-allow-origin"] == DESK.decode()
    assert reply.headers["vary"] == "origin"
    for other in (b"https://desk.example.evil", b"http://desk.example", b"null", DESK + b":8443"):
        reply = call(shared, "/ml/predict", BODY, headers=_from(other))
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in reply.headers


def _preflight(app: App, origin: bytes) -> Reply:
    headers = [(b"origin", origin), (b"access-control-request-method", b"POST")]
    return call(app, "/ml/predict", None, method="OPTIONS", headers=headers)


def test_a_preflight_is_answered_for_a_named_origin(shared: App, app: App) -> None:
    """And for no other, and on no server that lets nobody in."""
    reply = _preflight(shared, DESK)
    assert (reply.status, reply.body) == (204, b"")
    assert "x-api-key" in reply.headers["access-control-allow-headers"]
    assert reply.headers["access-control-allow-methods"] == "GET, POST"
    assert _preflight(shared, b"https://evil.example").status == 405
    assert _preflight(app, DESK).status == 405


def test_one_request_too_many_at_once(models: Path) -> None:
    """503 with Retry-After, while health is still seen; afterwards all is well."""
    app = create_app(ServeSettings(models, max_in_flight=2))

    async def play() -> None:
        held = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            await held.wait()
            return {"type": "http.disconnect"}

        async def send(_message: MutableMapping[str, Any]) -> None:
            pytest.fail("nobody is there to be answered")

        scope = {
            "type": "http", "method": "POST", "path": "/ml/predict", "query_string": b"",
            "headers": [JSON], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        waiting = [asyncio.create_task(app(dict(scope), receive, send)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await request(app, "/ml/predict", BODY)
        assert (refused.status, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await request(app, "/ml/health/live")).status == 200
        held.set()
        await asyncio.gather(*waiting)
        assert (await request(app, "/ml/predict", BODY)).status == 200

    asyncio.run(play())
    assert app.state.metrics.refused["load"] == 1


def _logged(models: Path, sample: float, n: int) -> tuple[list[dict[str, Any]], str]:
    path, file = models.parent / "access.jsonl", models.parent / "keys.json"
    keys = write_keys(file)
    settings = ServeSettings(models, keys_file=file, access_log=path, access_sample=sample)
    app = create_app(settings)

    async def play() -> None:
        async with running(app):
            for _ in range(n):
                secret = [*shown(keys["predict"]), (b"x-secret", b"swordfish")]
                await request(app, "/ml/predict", BODY, headers=secret, query=b"token=swordfish")
            await request(app, "/ml/model/info", headers=shown(keys["read"]))
            await request(app, "/ml/predict", BODY, headers=shown("swordfish"))
            await request(app, "/swordfish/x", headers=[])

    asyncio.run(play())
    text = path.read_text()
    assert not [key for key in keys.values() if key in text]
    return [json.loads(line) for line in text.splitlines()], text


def test_a_line_of_the_access_log(models: Path) -> None:
    """Who (by key id), what (by pattern), how it ended; nothing that a caller wrote."""
    lines, text = _logged(models, 1.0, 1)
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/ml/predict", 200),
        ("/ml/model/info", 200),
        ("/ml/predict", 401),
        ("-", 404),
    ]
    assert lines[0].keys() == {"ts", "request_id", "key", "method", "route", "status", "ms"}
    assert lines[0]["key"].startswith("predict-")
    assert [bool(line["key"]) for line in lines] == [True, True, False, False]
    assert all(line["request_id"] for line in lines)
    assert "swordfish" not in text


def test_a_share_of_the_good_and_all_of_the_bad(models: Path) -> None:
    """Every tenth success is written, and every refusal."""
    lines, _ = _logged(models, 0.1, 99)
    assert sum(line["status"] == 200 for line in lines) == 10
    assert sum(line["status"] != 200 for line in lines) == 2


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 12_000, b'{"reason":' + b"[" * 60_000])
def test_no_route_follows_deep_json(app: App, body: bytes) -> None:
    """Every route that takes a body refuses it, without a fault and without recursion."""
    for endpoint in app.endpoints:
        if endpoint.body is not None:
            path = endpoint.path.replace("{name}", "mlwb").replace("{version}", "v1.0.0")
            reply = call(app, path, body)
            assert reply.status in (400, 422), (endpoint.path, reply)
