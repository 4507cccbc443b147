"""Unaudited flips: what the log does not announce is seen, said and, if told, refused."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlwb.core import fsops
from mlwb.core.clock import ManualClock
from mlwb.core.signing import Signer
from mlwb.registry import Registry
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._announced import Announced
from mlwb.serve._state import State
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import call
from tests.serve.registry_kit import OTHER, promote

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()


@pytest.fixture(autouse=True)
def _no_waiting(unsynced: object) -> None:
    """These tests do not wait for the disk."""


def _app(registry: Registry, unaudited: str) -> App:
    return create_app(ServeSettings(registry.models_dir, unaudited=unaudited))


def _served(app: App) -> str:
    version: str = call(app, "/ml/predict", BODY).json()["model_version"]
    return version


def _gauge(app: App) -> int:
    text = call(app, "/ml/metrics").body.decode()
    return int(text.split("\nml_registry_unaudited ")[1].split("\n")[0])


def _audited(app: App) -> list[Mapping[str, Any]]:
    app.state.audit.start()
    app.state.audit.close()
    return [line for line in app.state.audit.recent() if line["who"] == "server"]


@pytest.mark.parametrize("unaudited", ["report", "refuse"])
def test_announced_moves_are_taken_and_told_apart(registry: Registry, unaudited: str) -> None:
    """A promotion and a rollback of the registry are no news to anybody but the counters."""
    app = _app(registry, unaudited)
    promote(registry, "v3.0.0")
    app.state.refresh()
    assert _served(app) == "v3.0.0"
    registry.rollback(reason="a test")
    app.state.refresh()
    assert _served(app) == "v2.0.0"
    assert call(app, "/ml/health").json()["status"] == "ok"
    flips = {name: n for name, n in app.state.metrics.flips.items() if n}
    assert (flips, _gauge(app)) == ({"promoted": 1, "rolled_back": 1}, 0)


def test_a_downgrade_by_hand_is_reported(registry: Registry) -> None:
    """The development default: served, degraded, counted, in the audit log; over when put right."""
    app = _app(registry, "report")
    point(registry.models_dir, "latest", "v1.0.0")
    app.state.refresh()
    health = call(app, "/ml/health")
    assert (health.status, health.json()["status"]) == (200, "degraded")
    assert health.json()["reasons"] == ["latest:unaudited_flip"]
    assert (_served(app), _gauge(app)) == ("v1.0.0", 1)
    registry.rollback("v2.0.0", reason="put right")
    app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v2.0.0", 0)
    assert call(app, "/ml/health").json()["reasons"] == []
    assert app.state.metrics.flips["unaudited"] == 1
    said = [(line["what"], line["outcome"], line["reason"]) for line in reversed(_audited(app))]
    assert said == [
        ("unaudited", "found", ""),
        ("flip", "done", "v2.0.0 -> v1.0.0: unaudited"),
        ("unaudited", "ended", ""),
        ("flip", "done", "v1.0.0 -> v2.0.0: rolled_back"),
    ]


def test_a_downgrade_by_hand_is_refused(registry: Registry) -> None:
    """For production: the last good version goes on, once said why; a rollback puts it right."""
    app = _app(registry, "refuse")
    point(registry.models_dir, "latest", "v1.0.0")
    for _ in range(3):
        app.state.refresh()
    assert _served(app) == "v2.0.0"
    assert call(app, "/ml/health").json()["reasons"] == ["latest:unaudited_flip"]
    assert (_gauge(app), app.state.metrics.flips["unaudited"]) == (1, 1)
    refused = [line for line in _audited(app) if line["outcome"] == "refused"]
    assert [(line["what"], line["reason"]) for line in refused] == [("flip", "unaudited_flip")]
    registry.rollback("v2.0.0", reason="put right")
    app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v2.0.0", 0)
    assert call(app, "/ml/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("profile", "unaudited", "served"),
    [
        ("development", "", "v1.0.0"),
        ("production", "", "v2.0.0"),
        ("production", "report", "v1.0.0"),
        ("development", "refuse", "v2.0.0"),
    ],
)
def test_production_refuses_unless_told_otherwise(
    registry: Registry, profile: str, unaudited: str, served: str
) -> None:
    """The setting wins over the profile."""
    settings = ServeSettings(registry.models_dir, profile=profile, unaudited=unaudited)
    state = State(settings, ManualClock())
    point(registry.models_dir, "latest", "v1.0.0")
    state.refresh()
    live = state.champion.live
    assert live is not None
    assert live.version == served


def test_what_is_announced_later_is_taken_then(registry: Registry) -> None:
    """The link need not move again: the log is looked at too."""
    log = registry.models_dir.parent / "promotions.log"
    promote(registry, "v3.0.0")
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    app = _app(registry, "refuse")
    assert call(app, "/ml/predict", BODY).json()["code"] == "no_model"
    assert app.state.champion.problem == "unaudited_flip"
    log.write_bytes(whole)
    app.state.refresh()
    assert _served(app) == "v3.0.0"


@pytest.mark.parametrize("harm", ["edited", "gone"])
def test_a_log_that_says_nothing_any_more(registry: Registry, harm: str) -> None:
    """Edited or removed under a running server: found at the next look, though no link moved."""
    app = _app(registry, "report")
    log = registry.models_dir.parent / "promotions.log"
    if harm == "gone":
        log.unlink()
    else:
        log.write_bytes(log.read_bytes().replace(b'"a test"', b'"a TEST"'))
    app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v2.0.0", 1)
    assert call(app, "/ml/health").json()["reasons"] == ["latest:unaudited_flip"]


def test_a_plain_directory_has_nobody_to_ask(models: Path) -> None:
    """Without a log nothing is reported; where every flip must be announced, nothing is served."""
    app = create_app(ServeSettings(models))
    write_version(models, "v2.0.0", weights=OTHER)
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v2.0.0", 0)
    assert not any(app.state.metrics.flips.values())
    strict = create_app(ServeSettings(models, unaudited="refuse"))
    assert call(strict, "/ml/health").json()["reasons"] == ["no_model", "latest:unaudited_flip"]


def test_a_version_named_in_the_settings_is_nobodys_flip(registry: Registry) -> None:
    """A pinned champion follows no link, so there is no flip to hold against the log."""
    app = create_app(ServeSettings(registry.models_dir, unaudited="refuse", champion="v1.0.0"))
    point(registry.models_dir, "latest", "v1.0.0")
    app.state.refresh()
    assert (_served(app), call(app, "/ml/health").json()["reasons"]) == ("v1.0.0", [])


def test_the_log_is_read_again_only_when_something_changed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look without news costs a stat and a readlink, however long the log is."""
    asked: list[bool] = []
    original = Registry.is_audited

    def counted(self: Registry, channel: str = "latest") -> bool:
        asked.append(True)
        return original(self, channel)

    monkeypatch.setattr(Registry, "is_audited", counted)
    announced = Announced(registry.models_dir, clock=ManualClock(), signer=Signer(), refuse=True)
    assert [announced.look() for _ in range(5)] == [False] * 5
    assert len(asked) == 1
    point(registry.models_dir, "latest", "v1.0.0")
    assert [announced.look() for _ in range(5)] == [True] * 5
    assert len(asked) == 2


def test_a_log_the_disk_does_not_give_is_asked_for_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not announced as far as anybody knows, and taken up as soon as somebody does."""
    app = _app(registry, "refuse")
    promote(registry, "v3.0.0")
    with monkeypatch.context() as broken:
        broken.setattr(fsops, "read_bytes", _no_more_files)
        app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v2.0.0", 1)
    app.state.refresh()
    assert (_served(app), _gauge(app)) == ("v3.0.0", 0)


def _no_more_files(_path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_log_that_is_ahead_for_a_moment(registry: Registry) -> None:
    """A mirror writes the log first and moves the link then: no alarm in between."""
    models, log = registry.models_dir, registry.models_dir.parent / "promotions.log"
    registry.rollback(reason="elsewhere")
    point(models, "latest", "v2.0.0")
    announced = Announced(models, clock=ManualClock(), signer=Signer(), refuse=True)
    late = threading.Timer(0.01, point, (models, "latest", "v1.0.0"))
    late.start()
    assert log.exists()
    assert announced.look() is False
    late.join()


def test_a_flip_while_the_log_is_read_is_no_unaudited_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Link read before the flip, log read after it: asked again before anything is said."""
    announced = Announced(registry.models_dir, clock=ManualClock(), signer=Signer(), refuse=True)
    original, answers = Registry.is_audited, [False]

    def torn(self: Registry, channel: str = "latest") -> bool:
        if answers:
            registry.rollback(reason="while somebody reads")
            return answers.pop()
        return original(self, channel)

    monkeypatch.setattr(Registry, "is_audited", torn)
    assert announced.look() is False
