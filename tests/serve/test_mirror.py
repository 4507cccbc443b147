"""A server on a replica of a registry that is kept on an object store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlwb.core.clock import SystemClock
from mlwb.core.errors import StoreUnavailableError
from mlwb.registry import MemoryStore, Mirror, Registry, RemoteRegistry
from mlwb.serve import App, ServeSettings, create_app
from tests.registry.faulty_store import Faulty
from tests.serve.asgi_kit import call
from tests.serve.registry_kit import OTHER, begin, publish, yes

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


@pytest.fixture
def made(tmp_path: Path) -> Registry:
    """Where the versions are made."""
    found = begin(tmp_path / "made" / "models")
    publish(found, "v2.0.0", OTHER)
    return found


def answered(app: App) -> str:
    """The version that answers."""
    app.state.refresh()
    reply = call(app, "/ml/predict", BODY)
    assert reply.status == 200
    return str(reply.json()["model_version"])


def test_a_server_follows_the_remote_latest(made: Registry, tmp_path: Path) -> None:
    """Promotion and rollback there change what answers here; announced, so nothing is refused."""
    store = Faulty(MemoryStore())
    there = RemoteRegistry(store, tmp_path / "scratch", clock=SystemClock())
    for version in made.versions():
        there.push(made.resolve(version))
    there.promote("v1.0.0", decision=None, expect_current=None, reason="first", bootstrap=True)
    models = tmp_path / "replica" / "models"
    mirror = Mirror(store, models, clock=SystemClock())
    mirror.pull()
    settings = ServeSettings.from_env(
        {"MLWB_UNAUDITED": "refuse"}, models_dir=models, prediction_log=None
    )
    app = create_app(settings)
    assert answered(app) == "v1.0.0"
    there.promote("v2.0.0", decision=yes(made, "v2.0.0"), expect_current="v1.0.0", reason="better")
    mirror.pull()
    assert answered(app) == "v2.0.0"
    store.is_away = True
    with pytest.raises(StoreUnavailableError):
        mirror.pull()
    assert answered(app) == "v2.0.0"
    store.is_away = False
    there.rollback(reason="drift")
    mirror.pull()
    assert answered(app) == "v1.0.0"
    metrics = call(app, "/ml/metrics", method="GET").body.decode()
    assert "ml_registry_unaudited 0" in metrics
