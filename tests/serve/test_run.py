"""A real server process: start, serve, stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlwb.core.errors import ArtifactNotFoundError, ServerStartError
from mlwb.core.predictionlog import read_predictions
from mlwb.serve import ServeSettings, run_server
from tests.inference.version_kit import point, write_version
from tests.serve.key_kit import write_keys
from tests.serve.server_kit import Server, server, start, wait_ready

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
HEADERS = {"Content-Type": "application/json"}


def _connect(running: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)


def _post(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    connection.request("POST", "/ml/predict", body, HEADERS)
    response = connection.getresponse()
    return response.status, response.read()


def test_no_model_is_a_clear_error(tmp_path: Path) -> None:
    """Without a model the server does not start; the message says what to do."""
    with pytest.raises(ArtifactNotFoundError, match="--wait-for-model"):
        run_server(ServeSettings(tmp_path, port=0))


def test_a_port_in_use_is_a_clear_error(models: Path) -> None:
    """One message, no traceback of a socket."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerStartError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            run_server(ServeSettings(models, port=port))


def test_an_address_of_another_machine_is_a_clear_error(models: Path) -> None:
    """An address that is not here (one kept for documentation)."""
    file = models.parent / "keys.json"
    write_keys(file)
    with pytest.raises(ServerStartError, match=r"cannot listen on 192\.0\.2\.1"):
        run_server(ServeSettings(models, host="192.0.2.1", port=0, keys_file=file))


@pytest.mark.server
def test_the_life_of_a_server(models: Path, tmp_path: Path) -> None:
    """Ready file, answers over one connection, an 8 MiB body, reload, clean stop, whole log."""
    write_version(models, "v2.0.0", weights=(0.9, -1.0, 0.2, 0.1))
    log = tmp_path / "predictions.jsonl"
    with server(models, tmp_path, MLWB_PREDICTION_LOG=str(log), MLWB_RELOAD_S="0.02") as running:
        assert running.ready["pid"] == running.process.pid
        assert running.ready["version"] == "v1.0.0"
        connection = _connect(running)
        for _ in range(20):
            assert _post(connection, BODY)[0] == 200
        status, answer = _post(connection, b"x" * (8 << 20))
        assert (status, json.loads(answer)["code"]) == (413, "body_too_large")
        assert _post(connection, BODY)[0] == 200
        point(models, "latest", "v2.0.0")
        deadline = time.monotonic() + 5
        while json.loads(_post(connection, BODY)[1])["model_version"] != "v2.0.0":
            assert time.monotonic() < deadline
        connection.close()
    found = list(read_predictions(log))
    assert {line.model_version for line in found} == {"v1.0.0", "v2.0.0"}
    assert len(found) >= 22


@pytest.mark.server
def test_a_stop_under_load_fails_no_request(models: Path, tmp_path: Path) -> None:
    """Readiness goes off, clients are told to leave, and every request they sent is answered."""
    statuses: list[int] = []
    told: list[bool] = []

    def ask(running: Server) -> None:
        with contextlib.closing(_connect(running)) as connection:
            for _ in range(100_000):
                connection.request("POST", "/ml/predict", BODY, HEADERS)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
                if response.getheader("Connection") == "close":
                    told.append(True)
                    return

    with server(models, tmp_path, MLWB_DRAIN_S="0.4") as running:
        threads = [threading.Thread(target=ask, args=(running,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(5)
        with contextlib.closing(_connect(running)) as connection:
            connection.request("GET", "/ml/health/ready")
            assert connection.getresponse().status == 503
        assert running.process.wait(10) == 0
    assert told == [True] * 4
    assert set(statuses) == {200}


@pytest.mark.server
def test_a_server_waits_for_its_first_model(tmp_path: Path) -> None:
    """Told to wait, it starts unready and says it is ready once a model is promoted."""
    ready_file, models = tmp_path / "ready.json", tmp_path / "models"
    process = start(models, ready_file, {"MLWB_RELOAD_S": "0.02"}, wait=True)
    try:
        time.sleep(0.5)
        assert process.poll() is None
        assert not ready_file.exists()
        write_version(models, "v1.0.0")
        point(models, "latest", "v1.0.0")
        assert wait_ready(process, ready_file)["version"] == "v1.0.0"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.server
def test_a_ready_file_that_cannot_be_written(models: Path, tmp_path: Path) -> None:
    """Whoever waits for the file is not left waiting: the server stops and says why."""
    (tmp_path / "file").touch()
    process = start(models, tmp_path / "file" / "ready.json", {})
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 7
    assert "cannot say when it is ready" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_server_ends_with_the_process_that_started_it(models: Path, tmp_path: Path) -> None:
    """A run that is killed leaves no server behind."""
    ready_file = tmp_path / "ready.json"
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-m', 'mlwb', 'serve', '--with-parent', '--port', '0', "
        f"'--ready-file', {str(ready_file)!r}]); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "MLWB_MODELS_DIR": str(models)},
        text=True,
    )
    try:
        pid = wait_ready(parent, ready_file)["pid"]
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)
        pytest.fail("the server outlived its parent")
