"""The list of versions says what the registry says, and what this server holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.registry import Registry
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve import _catalogue as catalogue
from tests.inference.version_kit import point
from tests.serve.asgi_kit import call, request
from tests.serve.registry_kit import OTHER, begin, promote, publish


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """`v1.0.0` was bootstrapped, a day later `v2.0.0` promoted; `v3.0.0` waits."""
    clock = ManualClock()
    found = begin(tmp_path / "artifacts" / "models", clock)
    clock.advance(86_400)
    publish(found, "v2.0.0", OTHER)
    clock.advance(3_600)
    promote(found, "v2.0.0")
    publish(found, "v3.0.0")
    return found


def _models(app: App) -> dict[str, Any]:
    reply = call(app, "/ml/models")
    assert reply.status == 200
    found: dict[str, Any] = reply.json()
    return found


def test_versions_with_what_the_registry_knows(registry: Registry) -> None:
    """Digests, channels and times are those of the registry."""
    found = _models(create_app(ServeSettings(registry.models_dir)))
    assert (found["serves"], found["shadows"], found["log"]) == ("v2.0.0", "v3.0.0", "")
    assert found["channels"] == {"latest": "v2.0.0", "candidate": "v3.0.0", "previous": "v1.0.0"}
    first, second, third = found["versions"]
    assert [item["version"] for item in found["versions"]] == ["v1.0.0", "v2.0.0", "v3.0.0"]
    assert [item["channels"] for item in found["versions"]] == [
        ["previous"],
        ["latest"],
        ["candidate"],
    ]
    assert first["promoted_at"].startswith("2026-01-01T00:00:00")
    assert second["registered_at"].startswith("2026-01-02T00:00:00")
    assert second["promoted_at"].startswith("2026-01-02T01:00:00")
    assert third["promoted_at"] is None
    for item in found["versions"]:
        info = registry.show(item["version"])
        assert (item["sha256"], item["size_bytes"]) == (info.sha256, info.size)
        assert item["problem"] == ""


def test_what_is_loaded(registry: Registry) -> None:
    """Champion and candidate are; the version before only once it was kept ready."""
    app = create_app(ServeSettings(registry.models_dir))
    loaded = {item["version"]: item["is_loaded"] for item in _models(app)["versions"]}
    assert loaded == {"v1.0.0": False, "v2.0.0": True, "v3.0.0": True}
    app.state.versions.keep_previous()
    assert all(item["is_loaded"] for item in _models(app)["versions"])
    assert [item["is_answering"] for item in _models(app)["versions"]] == [False, True, False]


def test_a_plain_directory_of_versions(models: Path) -> None:
    """Without a registry's log there are no times, and nothing else is missing."""
    found = _models(create_app(ServeSettings(models)))
    (only,) = found["versions"]
    assert (found["log"], only["registered_at"], only["promoted_at"]) == ("", None, None)
    assert (only["channels"], only["is_answering"]) == (["latest"], True)


def test_what_cannot_be_read_is_said(registry: Registry) -> None:
    """A broken log and a broken manifest are words in the answer, not a failure."""
    log = registry.models_dir.parent / "promotions.log"
    log.write_bytes(log.read_bytes().replace(b"v2.0.0", b"v9.9.9", 1))
    (registry.models_dir / "v3.0.0" / "manifest.json").write_bytes(b"{}")
    found = _models(create_app(ServeSettings(registry.models_dir)))
    assert found["log"] == "evidence.broken_chain"
    assert found["versions"][2]["problem"] == "artifact.incomplete"
    assert found["versions"][2]["sha256"] is None


def test_an_empty_registry(tmp_path: Path) -> None:
    """No version, no failure."""
    found = _models(create_app(ServeSettings(tmp_path / "none")))
    assert (found["serves"], found["versions"]) == (None, [])


def test_the_disk_is_asked_once_a_second(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask: one look, and another when a second has gone by."""
    looks: list[str] = []
    look = catalogue._Catalogue._look

    def counted(routes: Any) -> Any:
        looks.append("look")
        return look(routes)

    monkeypatch.setattr(catalogue._Catalogue, "_look", counted)
    clock = ManualClock()
    app = create_app(ServeSettings(registry.models_dir), clock=clock)

    async def ask() -> None:
        for _ in range(2):
            await asyncio.gather(*(request(app, "/ml/models") for _ in range(8)))
            clock.advance(1.0)

    asyncio.run(ask())
    assert len(looks) == 2


def test_what_answers_is_never_old(registry: Registry) -> None:
    """Which version answers is read at once, also while the disk's part is a moment old."""
    app = create_app(ServeSettings(registry.models_dir))

    async def ask() -> list[Any]:
        before = (await request(app, "/ml/models")).json()["serves"]
        point(registry.models_dir, "latest", "v1.0.0")
        app.state.refresh()
        return [before, (await request(app, "/ml/models")).json()["serves"]]

    assert asyncio.run(ask()) == ["v2.0.0", "v1.0.0"]
