"""A real server under control: flips and rollbacks under load, killed, restarted, refused."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.chain import Chain
from mlwb.core.errors import ArtifactNotFoundError
from mlwb.registry import Registry
from mlwb.serve import ServeSettings, run_server, whole_audit_problems
from tests.inference.version_kit import WEIGHTS, logistic, point
from tests.serve.registry_kit import OTHER
from tests.serve.server_kit import Server, server, start, wait_ready

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
SCORES = {
    "v1.0.0": float(logistic(np.array(ROW), WEIGHTS)),
    "v2.0.0": float(logistic(np.array(ROW), OTHER)),
    "v3.0.0": float(logistic(np.array(ROW), WEIGHTS)),
}


def _send(
    connection: http.client.HTTPConnection, path: str, body: bytes = BODY, method: str = "POST"
) -> tuple[int, Any]:
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def _connect(running: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=10)


@contextlib.contextmanager
def _load(running: Server, seen: list[tuple[int, Any]]) -> Any:
    """Four keep-alive connections that ask all the time."""
    done = threading.Event()

    def ask() -> None:
        with contextlib.closing(_connect(running)) as connection:
            while not done.is_set():
                seen.append(_send(connection, "/ml/predict"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(10)


@pytest.mark.server
def test_flips_and_rollbacks_under_load(registry: Registry, tmp_path: Path) -> None:
    """By another process and by route: none fails, each score is of the version it names."""
    seen: list[tuple[int, Any]] = []
    with (
        server(registry.models_dir, tmp_path, MLWB_RELOAD_S="0.01") as running,
        contextlib.closing(_connect(running)) as connection,
        _load(running, seen),
    ):
        for turn in range(10):
            registry.rollback(("v1.0.0", "v2.0.0")[turn % 2], reason="a drill")
        for turn in range(10):
            target = ("v1.0.0", "v2.0.0")[turn % 2]
            body = json.dumps({"reason": "a drill", "target": target}).encode()
            status, said = _send(connection, "/ml/rollback", body)
            assert (status, said["serves"]) == (200, target)
            assert _send(connection, "/ml/predict")[1]["model_version"] == target
    assert {status for status, _ in seen} == {200}
    assert {said["model_version"] for _, said in seen} == {"v1.0.0", "v2.0.0"}
    assert all(abs(said["score"] - SCORES[said["model_version"]]) < 1e-12 for _, said in seen)
    assert registry.doctor() == ()


@pytest.mark.server
def test_a_kill_under_load_ends_with_its_answer(registry: Registry, tmp_path: Path) -> None:
    """Whatever is sent after the answer is refused, on every connection; lifted, answered again."""
    with (
        server(registry.models_dir, tmp_path) as running,
        contextlib.closing(_connect(running)) as admin,
    ):
        for on, expected in ((True, 503), (False, 200)) * 3:
            seen: list[tuple[int, Any]] = []
            body = json.dumps({"on": on, "reason": "a drill"}).encode()
            assert _send(admin, "/ml/kill", body)[0] == 200
            with _load(running, seen):
                time.sleep(0.05)
            assert {status for status, _ in seen} == {expected}


@pytest.mark.server
def test_killed_and_started_again(registry: Registry, tmp_path: Path) -> None:
    """After kill -9: the same version, the same mode, exactly the canary of before, a whole log.

    What a writer left half way is cleared away, and the log stands to its remembered end.
    """
    left = registry.models_dir.parent / ".serve.kill.0123456789ab.tmp"
    files: dict[str, str] = {"MLWB_RELOAD_S": "0.02"}
    ready = tmp_path / "ready.json"
    order = json.dumps({"mode": "live", "percent": 100, "reason": "a drill"}).encode()
    for turn in range(2):
        ready.unlink(missing_ok=True)
        left.write_bytes(b"half")
        os.utime(left, (1e9, 1e9))
        process = start(registry.models_dir, ready, files)
        try:
            running = Server(process, wait_ready(process, ready))
            assert not left.exists()
            with contextlib.closing(_connect(running)) as connection:
                if turn == 0:
                    assert _send(connection, "/ml/canary", order)[0] == 200
                _, canary = _send(connection, "/ml/canary", b"", "GET")
                assert (canary["mode"], canary["active"]) == ("live", True)
                assert _send(connection, "/ml/predict")[1]["model_version"] == "v3.0.0"
                time.sleep(0.3)  # the audit line is written behind the answer
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
        finally:
            process.kill()
            process.communicate()
    lines = Chain(registry.models_dir.parent / "audit.log").links()
    said = [(link.body["what"], link.body["outcome"]) for link in lines]
    assert said.count(("canary", "done")) == 1
    assert said.count(("canary", "resumed")) == 1
    assert ("audit", "found") not in said
    assert whole_audit_problems(registry.models_dir.parent / "audit.log") == ()


def _flip_byte(models: Path) -> None:
    model = models / "v2.0.0" / "model.onnx"
    model.chmod(0o644)
    data = bytearray(model.read_bytes())
    data[-20] ^= 1
    model.write_bytes(bytes(data))


def _move_by_hand(models: Path) -> None:
    point(models, "latest", "v1.0.0")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_flip_byte, r"digest_mismatch: .*model\.onnx.*registry doctor"),
        (_move_by_hand, r"unaudited_flip: latest points at v1\.0\.0.*registry doctor"),
    ],
)
def test_a_start_that_is_refused_says_why(
    registry: Registry, harm: Callable[[Path], None], words: str
) -> None:
    """Not only that there is no model: which file, which link, and what helps."""
    harm(registry.models_dir)
    settings = ServeSettings(registry.models_dir, port=0, unaudited="refuse")
    with pytest.raises(ArtifactNotFoundError, match=words):
        run_server(settings)
