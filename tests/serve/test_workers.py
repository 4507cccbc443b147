"""Several workers: one port, one stop, nobody left behind, counts and logs that add up."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlwb.core.errors import ArtifactNotFoundError, ServerStartError
from mlwb.core.predictionlog import read_predictions
from mlwb.serve._workers import Crew, Word
from tests.inference.version_kit import add_reference, point, write_version
from tests.serve.key_kit import write_keys
from tests.serve.server_kit import Server, server, start, wait_ready

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
HEADERS = {"Content-Type": "application/json"}


def _wait(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        return state.split()[0] != "Z"
    return False


def _get(running: Server, path: str) -> tuple[int, str]:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
    ) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def _ask(running: Server, times: int) -> None:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
    ) as connection:
        for _ in range(times):
            connection.request("POST", "/ml/predict-with-shadow", BODY, HEADERS)
            response = connection.getresponse()
            response.read()
            assert response.status == 200


def _sums(running: Server) -> dict[str, float]:
    """Sums of the samples of each name, over labels."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(_get(running, "/ml/metrics")[1]):
        for sample in family.samples:
            if family.type in ("counter", "histogram") or sample.name == "ml_workers":
                found[sample.name] += sample.value  # type: ignore[assignment]
    return dict(found)


@pytest.mark.server
def test_two_workers_count_and_log_as_one(models: Path, tmp_path: Path) -> None:
    """Every request of many connections is once in each counter, each log and the drift counts."""
    for version in ("v1.0.0", "v2.0.0"):
        folder = models / version
        add_reference(folder if folder.exists() else write_version(models, version))
    point(models, "candidate", "v2.0.0")
    logs = tmp_path / "p.jsonl", tmp_path / "s.jsonl"
    environ = {"MLWB_PREDICTION_LOG": str(logs[0]), "MLWB_SHADOW_LOG": str(logs[1])}
    with server(models, tmp_path, MLWB_WORKERS="2", **environ) as running:
        assert running.ready["pid"] == running.process.pid
        assert len(_children(running.process.pid)) == 2
        threads = [threading.Thread(target=_ask, args=(running, 100)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _wait(lambda: _sums(running)["ml_predict_requests_total"] == 1200, 3)
        found = _sums(running)
        assert found["ml_predict_latency_ms_count"] == found["ml_prediction_score_count"] == 1200
        assert found["ml_shadow_success_total"] == found["ml_shadow_match_total"] == 1200
        assert found["ml_workers"] == 2
    for log in logs:
        lines = list(read_predictions(log))
        assert len(lines) == len({line.request_id for line in lines}) == 1200
    counts = sorted((models.parent / "drift" / "v1.0.0").glob("*.jsonl"))
    assert len(counts) == 2
    assert sum(map(_rows, counts)) == 1200


def _rows(path: Path) -> int:
    """Rows in a file of counts: the newest line of each hour, any column."""
    hours = {
        line["hour"]: line["counts"] for line in map(json.loads, path.read_bytes().splitlines())
    }
    return sum(sum(columns[0]) for columns in hours.values())


@pytest.mark.server
def test_a_dead_worker_is_replaced_and_no_counter_goes_back(models: Path, tmp_path: Path) -> None:
    """Killed between two requests; the others answer meanwhile, the new one goes on counting."""
    process = start(models, tmp_path / "ready.json", {"MLWB_WORKERS": "2"})
    try:
        running = Server(process, wait_ready(process, tmp_path / "ready.json"))
        before = _children(process.pid)
        _ask(running, 40)
        time.sleep(0.6)  # a worker shows its counts twice a second
        counts = _sums(running)
        os.kill(before[0], signal.SIGKILL)
        for _ in range(10):
            _ask(running, 5)
        _wait(lambda: len(set(_children(process.pid)) - {before[0]}) == 2)
        found = _sums(running)
        assert [name for name in counts if found[name] < counts[name]] == []
        _wait(lambda: _sums(running)["ml_predict_requests_total"] == 90)
        process.terminate()
        assert "worker 0 ended with signal 9" in process.communicate(timeout=10)[1]
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.server
def test_a_key_has_one_quota_for_all_workers(models: Path, tmp_path: Path) -> None:
    """Over any number of connections: as many answers as with one worker, and one more at most.

    A worker that takes the place of a killed one gives nothing back.
    """
    headers = {**HEADERS, "X-API-Key": write_keys(models.parent / "keys.json")["predict"]}
    limit = {"MLWB_RATE_LIMIT": "300", "MLWB_RATE_WINDOW_S": "86400"}
    statuses: list[int] = []

    def ask(running: Server) -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
        ) as connection:
            for _ in range(50):
                connection.request("POST", "/ml/predict", BODY, headers)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)

    process = start(models, tmp_path / "ready.json", {"MLWB_WORKERS": "2", **limit})
    try:
        running = Server(process, wait_ready(process, tmp_path / "ready.json"))
        threads = [threading.Thread(target=ask, args=(running,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 429}
        assert 300 <= statuses.count(200) <= 301
        before = set(_children(process.pid))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        _wait(lambda: len(set(_children(process.pid)) - before) == 2)
        statuses.clear()
        _wait(lambda: _get(running, "/ml/health/ready")[0] == 200)
        ask(running)
        assert set(statuses) == {429}
    finally:
        process.kill()
        process.communicate()


@pytest.mark.server
def test_no_worker_outlives_a_parent_that_was_killed(models: Path, tmp_path: Path) -> None:
    """Kill -9 of the parent ends all of them within a second or so."""
    process = start(models, tmp_path / "ready.json", {"MLWB_WORKERS": "2"})
    wait_ready(process, tmp_path / "ready.json")
    workers = _children(process.pid)
    process.kill()
    process.communicate()
    _wait(lambda: not any(map(_is_alive, workers)), 5)


@pytest.mark.server
def test_a_stop_under_load_fails_no_request_of_any_worker(models: Path, tmp_path: Path) -> None:
    """A Ctrl-C or SIGTERM to the parent drains all; its exit code is 0."""
    statuses: list[int] = []

    def ask(running: Server) -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
        ) as connection:
            for _ in range(100_000):
                connection.request("POST", "/ml/predict", BODY, HEADERS)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
                if response.getheader("Connection") == "close":
                    return

    with server(models, tmp_path, MLWB_WORKERS="2", MLWB_DRAIN_S="0.4") as running:
        threads = [threading.Thread(target=ask, args=(running,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        running.process.send_signal(signal.SIGINT)
        for thread in threads:
            thread.join(5)
        assert running.process.wait(10) == 0
    assert set(statuses) == {200}


@pytest.mark.server
def test_workers_without_a_model_say_so_once(tmp_path: Path) -> None:
    """The reason of a worker is that of the server, with its exit code and no traceback."""
    process = start(tmp_path / "models", tmp_path / "ready.json", {"MLWB_WORKERS": "3"})
    _, errors = process.communicate(timeout=15)
    assert process.returncode == ArtifactNotFoundError.exit_code
    assert errors.count("there is no model to serve") == 1
    assert "Traceback" not in errors


@pytest.fixture
def forked() -> Callable[[Callable[[], None]], tuple[int, float]]:
    """Run in a child: its exit code and how long it took."""

    def run(action: Callable[[], None]) -> tuple[int, float]:
        start_s = time.monotonic()
        child = os.fork()
        if child == 0:
            code = 9
            try:
                action()
                code = 0
            except ServerStartError as error:
                code = 3 if "died 5 times in a row" in str(error) else 4
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        return os.waitstatus_to_exitcode(status), time.monotonic() - start_s

    return run


@pytest.mark.server
def test_a_crash_loop_is_given_up(
    forked: Callable[[Callable[[], None]], tuple[int, float]],
) -> None:
    """Longer and longer pauses, then a clear error; the worker that was well is stopped too."""

    def work(slot: int, _is_substitute: bool, say: Callable[[Word], None]) -> None:
        if slot == 1:
            os._exit(13)
        say(Word(slot, "v1"))
        signal.pause()

    code, taken_s = forked(lambda: Crew(2, work, lambda _: None, drain_s=1).run())
    assert code == 3
    assert 0.1 + 0.2 + 0.4 + 0.8 < taken_s < 5


@pytest.mark.server
def test_a_worker_that_does_not_stop_is_killed(
    forked: Callable[[Callable[[], None]], tuple[int, float]],
) -> None:
    """A hung worker cannot keep the server from ending."""

    def work(slot: int, _is_substitute: bool, say: Callable[[Word], None]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(Word(slot, "v1"))
        while True:
            signal.pause()

    def run() -> None:
        Crew(2, work, lambda _: os.kill(os.getpid(), signal.SIGTERM), drain_s=0.2).run()

    code, taken_s = forked(run)
    assert code == 0
    assert taken_s < 5
