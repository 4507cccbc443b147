"""Health in detail: what is shown is so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.host_clock import HostClock
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve import _detail as detail
from mlwb.serve._endpoints import Permission
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import call

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()


def _detailed(app: App) -> dict[str, Any]:
    reply = call(app, "/ml/health/detailed")
    assert reply.status == 200
    found: dict[str, Any] = reply.json()
    return found


def test_a_good_server(models: Path) -> None:
    """Ready, warm, nothing degraded; the process is this one."""
    found = _detailed(create_app(ServeSettings(models)))
    assert (found["ready"], found["reasons"], found["degraded"]) == (True, [], [])
    assert (found["mode"], found["killed"], found["draining"]) == ("inference", False, False)
    champion = found["champion"]
    assert (champion["version"], champion["is_warm"]) == ("v1.0.0", True)
    assert 0.0 < champion["row_ms"] < 1_000.0
    assert (found["candidate"], found["kept"]) == (None, ["v1.0.0"])
    process = found["process"]
    assert process["pid"] == os.getpid()
    assert process["memory_bytes"] is None or process["memory_bytes"] > 10_000_000
    assert process["open_files"] is None or process["open_files"] > 2
    assert 0 < found["disk"]["free_bytes"] < found["disk"]["total_bytes"]


def test_it_is_for_operators(app: App) -> None:
    """Paths and sizes are not for everybody."""
    (endpoint,) = (item for item in app.endpoints if item.path == "/ml/health/detailed")
    assert endpoint.permission is Permission.OPS


def test_uptime(models: Path) -> None:
    """Counted from the start of the application, by the clock that nobody sets."""
    clock = ManualClock()
    app = create_app(ServeSettings(models), clock=clock)
    clock.advance(12.5)
    process = _detailed(app)["process"]
    assert (process["started_at"][:19], process["uptime_s"]) == ("2026-01-01T00:00:00", 12.5)


def test_the_last_reload(models: Path) -> None:
    """What came of it, when, and which version answers since."""
    clock = ManualClock()
    app = create_app(ServeSettings(models), clock=clock)
    assert _detailed(app)["last_reload"]["result"] == "loaded"
    write_version(models, "v2.0.0")
    (models / "v2.0.0" / "model.onnx").write_bytes(b"broken")
    point(models, "latest", "v2.0.0")
    clock.advance(60.0)
    app.state.refresh()
    found = _detailed(app)
    assert found["last_reload"] == {
        "at": "2026-01-01T00:01:00Z",
        "link": "latest",
        "result": "rejected",
        "version": "v1.0.0",
        "problem": "artifact.digest_mismatch",
    }
    assert found["degraded"] == ["latest:artifact.digest_mismatch"]
    assert found["ready"] is True


def test_files(models: Path) -> None:
    """Those that are set: there or not, how large, how old, whether they can be written."""
    log = models.parent / "predictions.jsonl"
    log.write_bytes(b"x" * 123)
    os.utime(log, (1_000.0, 1_000.0))
    clock = ManualClock()
    settings = ServeSettings(models, prediction_log=log, kill_file=models.parent / "kill")
    files = {item["name"]: item for item in _detailed(create_app(settings, clock=clock))["files"]}
    assert set(files) == {"models", "promotions_log", "prediction_log", "kill"}
    shown = files["prediction_log"]
    assert (shown["exists"], shown["bytes"], shown["is_writable"]) == (True, 123, True)
    assert shown["age_s"] == pytest.approx(clock.now().timestamp() - 1_000.0)
    assert (files["kill"]["exists"], files["kill"]["bytes"]) == (False, None)
    assert files["kill"]["is_writable"] is True


def test_queues(models: Path) -> None:
    """A row waits for its log until the thread behind the answers has written it."""
    app = create_app(ServeSettings(models, prediction_log=models.parent / "p.jsonl"))
    call(app, "/ml/predict", BODY)
    queues = {item["name"]: item for item in _detailed(app)["queues"]}
    assert queues["prediction_log"]["waiting"] == 1
    assert queues["prediction_log"]["capacity"] > 1_000
    assert {item["lost"] for item in queues.values()} == {0}


def test_the_clock(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel says; null where it says nothing."""
    clock = HostClock(is_synchronised=True, offset_ms=-0.25, max_error_ms=12.0)
    monkeypatch.setattr(detail, "host_clock", lambda: clock)
    found = _detailed(create_app(ServeSettings(models)))["clock"]
    assert found == {"is_synchronised": True, "offset_ms": -0.25, "max_error_ms": 12.0}
    monkeypatch.setattr(detail, "host_clock", lambda: None)
    assert _detailed(create_app(ServeSettings(models)))["clock"] is None


def test_without_anything(tmp_path: Path) -> None:
    """No model, no disk to read: answered, with what is wrong."""
    found = _detailed(create_app(ServeSettings(tmp_path / "gone" / "models")))
    assert (found["ready"], found["champion"], found["reasons"]) == (False, None, ["no_model"])
    assert found["disk"] == {"free_bytes": None, "total_bytes": None}
