"""Load, promote and roll back by route: through the registry, audited, served with the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mlwb.core import fsops
from mlwb.core.clock import SystemClock, format_utc
from mlwb.evidence import Context, EvidenceStore, new_record, rate
from mlwb.registry import Registry, _journal
from mlwb.serve import App, ServeSettings, _releases, create_app
from tests.inference.version_kit import point, write_version
from tests.records import DETAILS
from tests.registry.test_faults import FullDisk
from tests.serve.asgi_kit import Reply, call, request, running

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
PARAMS = Path(__file__).resolve().parents[2] / "params"
Decide = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def app(registry: Registry) -> App:
    """A server over it that knows where evidence and policy are."""
    settings = ServeSettings.from_env({}, models_dir=registry.models_dir, prediction_log=None)
    return create_app(settings)


@pytest.fixture
def decide(registry: Registry) -> Decide:
    """Write a decision about a version as the gates would; its run id."""

    def write(version: str, **changes: Any) -> str:
        store = EvidenceStore(registry.models_dir.parents[1] / "evidence" / "ml")
        details = {
            **DETAILS["decision"],
            "promote": True,
            "reasons": [],
            "now": format_utc(SystemClock().now()),
            "model_version": version,
            "manifest_sha256": registry.show(version).sha256,
            "verdicts": [],
            **changes,
        }
        metric = rate("gates_passed", 1, 1, definition="gates whose outcome is PASS")
        context = Context(clock=SystemClock(), model_version=version)
        record = new_record("decision", [metric], context, details=details)
        store.write(record)
        return record.run_id

    return write


def _post(app: App, path: str, **body: Any) -> Reply:
    return call(app, path, json.dumps(body).encode())


def _served(app: App) -> str:
    version: str = call(app, "/ml/predict", BODY).json()["model_version"]
    return version


def _refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.json()["code"]


def _said(app: App, what: str) -> list[tuple[object, ...]]:
    app.state.audit.start()
    app.state.audit.close()
    lines = app.state.audit.recent()
    return [
        (line["outcome"], line["who"], line["reason"]) for line in lines if line["what"] == what
    ]


def test_a_promotion_is_served_with_its_answer(
    app: App, registry: Registry, decide: Decide
) -> None:
    """On a decision about these bytes; no look in between; the log says who, by which route."""
    decide("v3.0.0")
    reply = _post(app, "/ml/models/v3.0.0/promote", reason="a retrain", expect_current="v2.0.0")
    assert reply.status == 200
    said = reply.json()
    assert (said["latest"], said["previous"], said["serves"]) == ("v3.0.0", "v2.0.0", "v3.0.0")
    assert said["taken_ms"] >= said["registry_ms"] >= 0
    assert (_served(app), registry.latest()) == ("v3.0.0", "v3.0.0")
    lines = (registry.models_dir.parent / "promotions.log").read_text().splitlines()
    assert json.loads(lines[-2])["actor"] == "serve:anonymous"
    assert json.loads(lines[-2])["reason"] == "a retrain"
    assert _said(app, "promote") == [("done", "anonymous", "latest -> v3.0.0: a retrain")]
    assert _said(app, "flip") == [("done", "server", "v2.0.0 -> v3.0.0: promoted")]


@pytest.mark.parametrize(
    "change",
    [
        {"promote": False, "reasons": ["psi FAIL"]},
        {"now": "2020-01-01T00:00:00Z"},
        {"manifest_sha256": "sha256:" + "0" * 64},
        None,
    ],
)
def test_a_route_passes_no_gate_by(
    app: App, registry: Registry, decide: Decide, change: dict[str, Any] | None
) -> None:
    """A no, an old yes, a yes to other bytes, no decision: what the command refuses."""
    if change is not None:
        decide("v3.0.0", **change)
    reply = _post(app, "/ml/models/v3.0.0/promote", reason="r", expect_current="v2.0.0")
    assert _refused(reply) == (409, "promotion_refused")
    assert (_served(app), registry.latest()) == ("v2.0.0", "v2.0.0")
    assert _said(app, "promote") == [("refused", "anonymous", "r [promotion_refused]")]


def test_edited_evidence_promotes_nothing(app: App, registry: Registry, decide: Decide) -> None:
    """A decision that was changed after it was written counts as none."""
    run_id = decide("v3.0.0", promote=False, reasons=["psi FAIL"])
    path = registry.models_dir.parents[1] / "evidence" / "ml" / f"{run_id}.json"
    path.write_bytes(path.read_bytes().replace(b'"promote":false', b'"promote":true'))
    reply = _post(app, "/ml/models/v3.0.0/promote", reason="r", expect_current="v2.0.0")
    assert _refused(reply) == (409, "promotion_refused")
    assert str(registry.models_dir.parents[1]) not in reply.body.decode()
    assert registry.latest() == "v2.0.0"


def test_the_confirmation_meant_is_the_one_that_counts(
    app: App, registry: Registry, decide: Decide
) -> None:
    """A caller may name the confirmation; a decision that rests on another is refused."""
    verdict = {
        **DETAILS["decision"]["verdicts"][0],
        "gate": "confirmation",
        "evidence": [{"run_id": "mlwb_v3_confirm", "sha256": "sha256:" + "0" * 64}],
    }
    decide("v3.0.0", verdicts=[verdict])
    asked = {"reason": "r", "expect_current": "v2.0.0"}
    path = "/ml/models/v3.0.0/promote"
    assert _refused(_post(app, path, **asked, confirmation="another")) == (
        409, "promotion_refused",
    )  # fmt: skip
    assert _post(app, path, **asked, confirmation="mlwb_v3_confirm").status == 200
    assert registry.latest() == "v3.0.0"


@pytest.mark.parametrize("path", ["/ml/models/v3.0.0/promote", "/ml/rollback"])
def test_another_latest_than_expected_is_a_conflict(
    app: App, registry: Registry, decide: Decide, path: str
) -> None:
    """Two people at once: the second is told what is there, and nothing moves."""
    decide("v3.0.0")
    reply = _post(app, path, reason="r", expect_current="v1.0.0")
    assert _refused(reply) == (409, "stale_state")
    assert "expected v1.0.0, got v2.0.0" in reply.json()["detail"]
    assert registry.latest() == "v2.0.0"


def test_a_rollback_is_served_with_its_answer(app: App, registry: Registry) -> None:
    """To the version before, or to one that is named; each needs a reason."""
    reply = _post(app, "/ml/rollback", reason="shadow drift")
    assert (reply.status, reply.json()["serves"]) == (200, "v1.0.0")
    assert _served(app) == "v1.0.0"
    reply = _post(app, "/ml/rollback", reason="it was fine", target="v2.0.0")
    assert (reply.json()["latest"], _served(app)) == ("v2.0.0", "v2.0.0")
    assert app.state.metrics.flips["rolled_back"] == 2
    assert registry.doctor() == ()


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({}, (422, "invalid_input")),
        ({"reason": ""}, (422, "invalid_input")),
        ({"reason": "  "}, (422, "invalid_input")),
        ({"reason": "r", "targte": "v1.0.0"}, (422, "invalid_input")),
        ({"reason": "r", "target": "../x"}, (409, "promotion_refused")),
        ({"reason": "r", "target": "v9"}, (409, "promotion_refused")),
        ({"reason": "r", "target": "v3.0.0"}, (409, "promotion_refused")),
        ({"reason": "r", "target": "v2.0.0"}, (409, "promotion_refused")),
    ],
)
def test_a_rollback_that_is_refused(
    app: App, body: dict[str, Any], outcome: tuple[int, str]
) -> None:
    """No reason, a key that is none, a version that never was latest, or is."""
    assert _refused(_post(app, "/ml/rollback", **body)) == outcome
    assert _served(app) == "v2.0.0"


def test_a_damaged_target_is_refused(app: App, registry: Registry) -> None:
    """Though it is kept in memory as it was: what is on disk would not survive a restart."""
    model = registry.models_dir / "v1.0.0" / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    assert _refused(_post(app, "/ml/rollback", reason="r")) == (409, "version_not_intact")
    assert _served(app) == "v2.0.0"


def test_a_rollback_on_a_full_disk(
    app: App, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry keeps room for it; audit and live counts that find none stop nothing."""
    monkeypatch.setattr(fsops, "_do", FullDisk())
    reply = _post(app, "/ml/rollback", reason="r")
    assert (reply.status, _served(app), registry.latest()) == (200, "v1.0.0", "v1.0.0")


def test_a_rollback_without_a_network(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of another machine."""

    def cut(*_: Any, **__: Any) -> None:
        raise OSError("the network is away")

    async def roll_back() -> Reply:
        monkeypatch.setattr(socket, "socket", cut)
        monkeypatch.setattr(socket, "create_connection", cut)
        return await request(app, "/ml/rollback", b'{"reason":"r"}')

    assert asyncio.run(roll_back()).json()["serves"] == "v1.0.0"


def test_a_registry_in_use_says_when_to_come_back(
    app: App, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """409 and Retry-After; nothing moved."""
    monkeypatch.setattr(_journal, "_PATIENCE_S", 0.01)
    with FileLock(registry.models_dir.parent / ".registry.lock"):
        reply = _post(app, "/ml/rollback", reason="r")
    assert _refused(reply) == (409, "registry_busy")
    assert reply.headers["retry-after"] == "1"


def test_whoever_waits_holds_no_thread(
    app: App, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty rollbacks wait for one that is stuck: the kill switch is thrown at once."""
    go = threading.Event()
    original = Registry.rollback

    def stuck(self: Registry, *arguments: Any, **named: Any) -> Any:
        assert go.wait(10)
        return original(self, *arguments, **named)

    monkeypatch.setattr(Registry, "rollback", stuck)

    async def crowd() -> tuple[int, list[int]]:
        waiting = [
            asyncio.create_task(request(app, "/ml/rollback", b'{"reason":"r"}')) for _ in range(40)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            killed = await request(app, "/ml/kill", b'{"on":true,"reason":"r"}')
        go.set()
        return killed.status, [reply.status for reply in await asyncio.gather(*waiting)]

    killed, found = asyncio.run(crowd())
    assert killed == 200
    assert sorted(set(found)) == [200, 409]
    assert registry.doctor() == ()


def test_one_change_at_a_time_in_this_process(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited too long is told when to come back."""
    monkeypatch.setattr(_releases, "_PATIENCE_S", 0.01)
    go = threading.Event()
    monkeypatch.setattr(Registry, "rollback", lambda *_, **__: go.wait(10) and Registry.state)

    async def two() -> Reply:
        first = asyncio.create_task(request(app, "/ml/rollback", b'{"reason":"r"}'))
        await asyncio.sleep(0)
        second = await request(app, "/ml/rollback", b'{"reason":"r"}')
        go.set()
        with contextlib.suppress(Exception):
            await first
        return second

    reply = asyncio.run(two())
    assert _refused(reply) == (409, "registry_busy")
    assert reply.headers["retry-after"] == "1"


def test_loading_beside_changes_no_answer(app: App, registry: Registry) -> None:
    """Verified and kept: the promotion that follows loads nothing."""
    reply = _post(app, "/ml/models/v3.0.0/load")
    said = reply.json()
    assert (reply.status, said["version"], said["serves"]) == (200, "v3.0.0", "v2.0.0")
    assert said["sha256"] == registry.show("v3.0.0").sha256
    assert {"v2.0.0", "v3.0.0"} <= set(said["kept"])
    assert _served(app) == "v2.0.0"
    again = _post(app, "/ml/models/v3.0.0/load").json()
    assert (again["was_kept"], again["load_ms"]) == (True, 0.0)


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("v9", (404, "version_not_found")),
        ("latest", (422, "invalid_input")),
        ("..", (422, "invalid_input")),
        (".staging", (422, "invalid_input")),
        ("v%00", (422, "invalid_input")),
    ],
)
@pytest.mark.parametrize("act", ["load", "promote"])
def test_a_version_that_is_none(app: App, act: str, version: str, outcome: tuple[int, str]) -> None:
    """Not there, a channel, a name that leads elsewhere."""
    reply = _post(app, f"/ml/models/{version}/{act}", reason="r", expect_current="v2.0.0")
    assert _refused(reply) == outcome


def test_a_version_copied_in_by_hand_is_not_loaded(app: App, registry: Registry) -> None:
    """In a registry with a log every version is registered; in a plain directory none is."""
    write_version(registry.models_dir, "v8.0.0")
    assert _refused(_post(app, "/ml/models/v8.0.0/load")) == (409, "version_not_intact")
    plain = registry.models_dir.parents[1] / "plain" / "models"
    write_version(plain, "v8.0.0")
    point(plain, "latest", "v8.0.0")
    other = create_app(ServeSettings(plain))
    assert _post(other, "/ml/models/v8.0.0/load").status == 200


@pytest.mark.parametrize("path", ["/ml/models/v3.0.0/promote", "/ml/rollback"])
def test_a_replica_says_where_to_change_it(app: App, registry: Registry, path: str) -> None:
    """What follows a registry elsewhere is changed there; nothing of the machine is told."""
    (registry.models_dir.parent / "mirror.json").write_text('{"of":"s3://models"}')
    reply = _post(app, path, reason="r", expect_current="v2.0.0")
    assert _refused(reply) == (409, "promotion_refused")
    assert "mlwb registry --at" in reply.json()["detail"]
    assert str(registry.models_dir.parent) not in reply.body.decode()


def test_without_evidence_or_policy_nothing_is_promoted(registry: Registry, decide: Decide) -> None:
    """A server that was not told where they are says so."""
    decide("v3.0.0")
    settings = ServeSettings.from_env({}, models_dir=registry.models_dir)
    for told in (replace(settings, policy=None), replace(settings, evidence_dir=None)):
        app = create_app(told)
        reply = _post(app, "/ml/models/v3.0.0/promote", reason="r", expect_current="v2.0.0")
        assert _refused(reply) == (409, "promotion_refused")
        assert "MLWB_POLICY" in reply.json()["detail"]


def test_a_rollback_while_the_server_looks_and_answers(registry: Registry) -> None:
    """Route, watcher and requests at once: the version named is the version that answered."""
    app = create_app(ServeSettings(registry.models_dir, reload_s=0.01))

    async def storm() -> list[tuple[str, str]]:
        seen = []
        async with running(app):
            for turn in range(20):
                target = ("v1.0.0", "v2.0.0")[turn % 2]
                body = json.dumps({"reason": "r", "target": target}).encode()
                reply = await request(app, "/ml/rollback", body)
                answer = await request(app, "/ml/predict", BODY)
                seen.append((reply.json()["serves"], answer.json()["model_version"]))
        return seen

    assert asyncio.run(storm()) == [(v, v) for v in ("v1.0.0", "v2.0.0") * 10]
