"""Admission: each route asks for its permission, and a refusal tells nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.serve import ROLES, App, KeyFile, ServeSettings, create_app
from mlwb.serve._audit_check import audit_problems
from mlwb.serve._endpoints import Endpoint, Permission
from mlwb.serve._guard import client_address
from tests.serve.asgi_kit import JSON, Reply, call, request, running
from tests.serve.key_kit import bearer, shown, write_keys

BODY = b'{"features":[1.0,0.01,2.0,-0.5]}'


@pytest.fixture
def keys(models: Path) -> dict[str, str]:
    """A key of each role, beside the models."""
    return write_keys(models.parent / "keys.json", ManualClock().now())


@pytest.fixture
def guarded(models: Path, keys: dict[str, str]) -> App:
    """A server that asks for them, with a clock that stands still."""
    assert keys
    return _app(models)


def _app(models: Path, **changes: object) -> App:
    settings = ServeSettings(models, keys_file=models.parent / "keys.json", **changes)  # type: ignore[arg-type]
    return create_app(settings, clock=ManualClock())


def _ask(app: App, endpoint: Endpoint, headers: list[tuple[bytes, bytes]]) -> Reply:
    path = endpoint.path.replace("{", "").replace("}", "")
    body = BODY if endpoint.method == "POST" else None
    return call(app, path, body, method=endpoint.method, headers=headers)


def test_every_route_asks_for_its_permission(guarded: App, keys: dict[str, str]) -> None:
    """The whole table, from the routes themselves: for each role and for no key."""
    for endpoint in guarded.endpoints:
        is_open = endpoint.permission is Permission.OPEN
        assert (_ask(guarded, endpoint, [JSON]).status != 401) is is_open, endpoint.path
        for role, key in keys.items():
            permitted = is_open or endpoint.permission in ROLES[role]
            reply = _ask(guarded, endpoint, shown(key))
            assert reply.status != 401, (endpoint.path, role)
            assert (reply.status != 403) is permitted, (endpoint.path, role)
            if not permitted:
                assert f"needs the role {endpoint.permission.value}".encode() in reply.body


def test_every_permission_has_a_role() -> None:
    """No route can ask for what no key can have, and only the administrator has everything."""
    granted = frozenset().union(*(ROLES[role] for role in ROLES if role != "admin"))
    assert granted | {Permission.OPEN, Permission.ADMIN} == set(Permission)
    assert [role for role in ROLES if Permission.ADMIN in ROLES[role]] == ["admin"]


def test_both_headers_show_a_key(guarded: App, keys: dict[str, str]) -> None:
    """`X-API-Key` and `Authorization: Bearer`."""
    for headers in (shown(keys["predict"]), bearer(keys["predict"])):
        assert call(guarded, "/ml/predict", BODY, headers=headers).status == 200


def test_a_refusal_tells_nothing_about_a_key(models: Path, keys: dict[str, str]) -> None:
    """No key, a made-up one, an expired and a revoked one get the same bytes and headers."""
    file = KeyFile(models.parent / "keys.json")
    now = ManualClock().now()
    _, revoked = file.add("gone", ["predict"], now=now, days=1)
    file.revoke("gone", now=now)
    _, expired = file.add("old", ["predict"], now=now.replace(year=2025), days=1)
    app = _app(models)
    tried = ["", "mlwb_" + "A" * 43, expired, revoked, keys["predict"] + "x", keys["predict"][:-1]]
    pinned = (b"x-request-id", b"one")
    replies = {
        (reply.status, reply.body, tuple(sorted(reply.headers.items())))
        for key in tried
        for reply in [call(app, "/ml/predict", BODY, headers=[*shown(key), pinned])]
    }
    assert len(replies) == 1
    ((status, body, headers),) = replies
    assert (status, dict(headers)["www-authenticate"]) == (401, 'Bearer realm="mlwb"')
    assert b"unauthorized" in body
    assert app.state.metrics.refused["key"] == 6


def test_nothing_is_read_of_a_body_without_a_key(guarded: App) -> None:
    """The refusal comes before the first byte of the body."""

    async def no_body() -> Reply:
        return await request(guarded, "/ml/predict", None, method="POST", headers=[JSON])

    assert asyncio.run(no_body()).status == 401


def test_without_a_key_file_a_server_is_open(app: App) -> None:
    """On loopback in development; the profile sees to that."""
    assert call(app, "/ml/predict", BODY).status == 200
    assert call(app, "/ml/model/info").status == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:4010", "", 200),
        ("localhost:4010", "http://localhost:4010", 200),
        ("[::1]:4010", "", 200),
        ("localhost", "", 200),
        ("", "", 200),
        ("127.0.0.1:4010", "https://evil.example", 403),
        ("127.0.0.1:4010", "http://127.0.0.1:8888", 403),
        ("127.0.0.1:4010", "null", 403),
        ("evil.example:4010", "http://evil.example:4010", 403),
        ("evil.example", "", 403),
        ("127.0.0.1.evil.example:4010", "", 403),
        ("127.0.0.1:4010", "https://desk.example", 200),
    ],
)
def test_an_open_server_answers_no_foreign_page(
    models: Path, host: str, origin: str, status: int
) -> None:
    """Neither one that posts to loopback nor one whose name resolves to it."""
    app = create_app(ServeSettings(models, cors_origins=("https://desk.example",)))
    headers = [JSON, *((n.encode(), v.encode()) for n, v in (("host", host), ("origin", origin)))]
    given = [header for header in headers if header[1]]
    assert call(app, "/ml/predict", BODY, headers=given).status == status
    assert call(app, "/ml/health/live", headers=given).status == 200


def test_a_key_that_expires_is_refused(models: Path, keys: dict[str, str]) -> None:
    """At the second it ends, without any reload."""
    clock = ManualClock()
    app = create_app(ServeSettings(models, keys_file=models.parent / "keys.json"), clock=clock)
    clock.advance(86_399)
    assert call(app, "/ml/predict", BODY, headers=shown(keys["predict"])).status == 200
    clock.advance(1)
    assert call(app, "/ml/predict", BODY, headers=shown(keys["predict"])).status == 401


def test_changed_keys_are_taken_up_without_a_restart(models: Path, keys: dict[str, str]) -> None:
    """A new key works, a revoked one does not, a broken file changes nothing and shows."""
    file = KeyFile(models.parent / "keys.json")
    app = _app(models, reload_s=0.01)
    now = ManualClock().now()

    async def status(key: str) -> int:
        return (await request(app, "/ml/predict", BODY, headers=shown(key))).status

    async def until(key: str, wanted: int) -> None:
        async with asyncio.timeout(5):
            while await status(key) != wanted:
                await asyncio.sleep(0.005)

    async def play() -> None:
        async with running(app):
            _, new = file.add("new", ["predict"], now=now, days=1)
            await until(new, 200)
            file.revoke("predict", now=now)
            await until(keys["predict"], 401)
            file.path.write_bytes(b"{}")
            async with asyncio.timeout(5):
                while not app.state.keys.problem:
                    await asyncio.sleep(0.005)
            assert await status(new) == 200
            health = (await request(app, "/ml/health", headers=[])).json()
            assert (health["status"], health["reasons"]) == ("degraded", ["keys:malformed"])

    asyncio.run(play())


def test_a_key_has_its_quota(models: Path, keys: dict[str, str]) -> None:
    """429 for one too many; other keys go on."""
    app = _app(models, rate_limit=2)
    asked = [call(app, "/ml/predict", BODY, headers=shown(keys["predict"])) for _ in range(3)]
    assert [reply.status for reply in asked] == [200, 200, 429]
    assert asked[2].json()["code"] == "rate_limited"
    assert call(app, "/ml/predict", BODY, headers=shown(keys["service"])).status == 200
    assert app.state.metrics.refused["rate"] == 1


def test_guessing_is_limited_by_address(models: Path, keys: dict[str, str]) -> None:
    """However many keys are tried; who has a key is not slowed by a neighbour who guesses."""
    app = _app(models, rate_limit_address=3)
    tried = [call(app, "/ml/predict", BODY, headers=shown(f"guess-{n}")) for n in range(5)]
    assert [reply.status for reply in tried] == [401, 401, 401, 429, 429]
    assert call(app, "/ml/predict", BODY, headers=shown(keys["predict"])).status == 200


def test_health_is_never_limited(models: Path, keys: dict[str, str]) -> None:
    """Who watches a server under attack sees it."""
    assert keys
    app = _app(models, rate_limit=1, rate_limit_address=1)
    for _ in range(5):
        assert call(app, "/ml/health/live", headers=shown("guess")).status == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", [b"203.0.113.9"], "192.0.2.1"),
        ("10.0.0.7", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", [b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", [b"198.51.100.1, 203.0.113.9, 10.0.0.8"], "203.0.113.9"),
        ("10.0.0.7", [b"198.51.100.1", b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", [b"spoof\x00, \xff"], "unknown"),
        ("10.0.0.7", [], "10.0.0.7"),
        ("2001:db8::1:2:3:4", [], "2001:db8::/64"),
        ("2001:db8::ffff:2:3:4", [], "2001:db8::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
    ],
)
def test_the_address_of_a_client(peer: str, forwarded: list[bytes], found: str) -> None:
    """Only a trusted proxy is believed, and only about the hop it saw itself."""
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", hop) for hop in forwarded]}
    assert client_address(scope, frozenset(("10.0.0.7", "10.0.0.8"))) == found


def test_whoever_may_not_fills_no_log(models: Path, keys: dict[str, str]) -> None:
    """Any number of calls beyond a role and a limit are a line for each reason."""
    app = _app(models, audit_log=models.parent / "audit.log", rate_limit=10)

    async def play() -> None:
        async with running(app):
            for _ in range(200):
                await request(app, "/ml/kill", headers=shown(keys["predict"]))

    asyncio.run(play())
    lines = [line for line in app.state.audit.recent(1_000) if line["what"] == "call"]
    assert {(line["reason"], line["n"]) for line in lines} == {
        ("forbidden", 10),
        ("rate_limited", 190),
    }
    assert {line["route"] for line in lines} == {"GET /ml/kill"}


def test_a_new_route_of_an_operator_is_audited(models: Path, keys: dict[str, str]) -> None:
    """Done and refused calls, by key; attempts of nobody as one line."""
    path = models.parent / "audit.log"
    app = _app(models, audit_log=path)
    audited = [
        endpoint
        for endpoint in app.endpoints
        if endpoint.permission in (Permission.OPS, Permission.ADMIN)
    ]

    async def play() -> None:
        async with running(app):
            for endpoint in audited:
                for key in (keys["read"], "guess"):
                    await request(
                        app,
                        endpoint.path.replace("{", "").replace("}", ""),
                        BODY if endpoint.method == "POST" else None,
                        method=endpoint.method,
                        headers=shown(key),
                    )

    asyncio.run(play())
    lines = [line for line in app.state.audit.recent(1_000) if line["what"] == "call"]
    assert {(line["route"], line["outcome"], line["reason"]) for line in lines} == {
        (f"{endpoint.method} {endpoint.path}", "refused", "forbidden") for endpoint in audited
    }
    assert all(str(line["who"]).startswith("read-") for line in lines)
    assert audit_problems(path) == ()
