"""``mlwb smoke``: what is sent, what is recorded, what it is held against."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.canonical import digest_file
from mlwb.core.clock import ManualClock
from mlwb.core.errors import ServeError
from mlwb.evidence import lint
from mlwb.params import ReplayParams, load_policy
from mlwb.stages import canary_analysis, replay, smoke
from mlwb.stages.common import judge_gates, store_of
from mlwb.stages.market import prepare
from mlwb.stages.smoke import Target
from tests.client.scripted_kit import answer, problem, scripted
from tests.inference.version_kit import sidecar_for
from tests.stages.conftest import PARAMS, small
from tests.stages.test_series import text

N, WARM_UP = 100, 50
POLICY = load_policy(PARAMS / "policy.demo.yml")


def _server(*, wrong: int = 0, broken: int = 0, more: str = "") -> Callable[[bytes], bytes]:
    """A server whose first answers are wrong or fail, after those that warm up."""
    asked = [0]

    def scene(request: bytes) -> bytes:
        if request.startswith(b"GET /ml/metrics "):
            return answer(200, text(success=asked[0], within=(asked[0],) * 3, more=more).encode())
        asked[0] += 1
        place = asked[0] - WARM_UP
        if 0 < place <= broken:
            return problem(503, "killed")
        row = json.loads(request.partition(b"\r\n\r\n")[2])["features"]
        score = row[0] + (0.25 if 0 < place <= wrong else 0.0)
        said = {"request_id": "r", "model_version": "v1.8.1", "score": score}
        return answer(200, json.dumps(said).encode())

    return scene


def _params(home: Path) -> ReplayParams:
    changes = {"run.model_version": "v1.8.1", "traffic.smoke_requests": N, "data.days": 3}
    found: ReplayParams = small("replay", home, **changes)
    return found


def _inputs(params: ReplayParams) -> replay.Inputs:
    rows = np.array([[0.25], [0.5]])
    scores = rows[:, 0]
    market = prepare(params.data, ("bias",), params.window)
    sidecar = sidecar_for("v1.8.1", ("bias",))
    return replay.Inputs(params, "v1.8.0", "v1.8.1", rows, scores, scores, market, sidecar)


def _run(home: Path, scene: Callable[[bytes], bytes], **target: Any) -> tuple[smoke.Result, Any]:
    params = _params(home)
    with scripted(*[scene] * 400) as script:
        how = {"api_key": "", "is_cold": False, "is_own": True, **target}
        result = smoke.measure(_inputs(params), Target(script.url, **how), POLICY, ManualClock())
    return result, script


def test_what_is_sent_and_counted(tmp_path: Path) -> None:
    """Requests that warm up are not counted; the metrics are read before and after."""
    result, script = _run(tmp_path, _server(), api_key="the-key")
    assert (result.found.n_requests, result.found.n_errors, result.score_mismatches) == (N, 0, 0)
    assert result.versions == ("v1.8.1",)
    lines = [request.partition(b" HTTP")[0] for request in script.requests]
    assert lines == [b"GET /ml/metrics"] + [b"POST /ml/predict"] * (N + WARM_UP) + [
        b"GET /ml/metrics"
    ]
    assert all(b"X-API-Key: the-key\r\n" in request for request in script.requests)
    assert "the-key" not in repr(result)


def test_cold_is_a_connection_a_request(tmp_path: Path) -> None:
    """And nothing is warmed up."""
    result, script = _run(tmp_path, _server(), is_cold=True)
    assert result.found.n_requests == N
    assert script.connections == N + 1  # the metrics have one of their own


def test_wrong_answers_and_errors_are_told_apart(tmp_path: Path) -> None:
    """A score that is not the offline one is a mismatch, no answer is an error."""
    assert _run(tmp_path, _server(wrong=3))[0].score_mismatches == 3
    result, _ = _run(tmp_path, _server(broken=4))
    assert (result.found.n_errors, result.score_mismatches) == (4, 0)


def test_the_record_is_the_one_of_the_loop(tmp_path: Path) -> None:
    """The same metrics and details as stage 04 writes; the gate reads it; the log stands behind."""
    result, _ = _run(tmp_path, _server())
    params = _params(tmp_path)
    test, baseline = smoke.record(result, params, ManualClock())
    assert [metric.name for metric in test.metrics] == [
        metric.name for metric in canary_analysis.smoke_metrics(result.found, 0)
    ]
    assert (test.kind, test.model_version, test.origin) == ("smoke", "v1.8.1", "simulated")
    assert (test.details["smoke_answered_by"], test.details["cold"]) == (["v1.8.1"], False)
    log = tmp_path / "artifacts" / test.inputs[0].uri
    assert digest_file(log) == test.inputs[0].sha256
    assert (tmp_path / "evidence" / "ml" / "smoke_1k.json").is_file()
    assert (tmp_path / "evidence" / "ml" / "metrics_baseline.json").is_file()
    assert not lint(test)
    assert not lint(baseline)
    assert not store_of(params.run).verify()
    (verdict,) = judge_gates(["perf"], [test], POLICY, ManualClock())
    assert {check.metric for check in verdict.checks} >= {"p95_ms", "error_rate"}


def test_the_baseline_holds_what_the_test_did(tmp_path: Path) -> None:
    """Every series, and what it grew by, the warming up included."""
    result, _ = _run(tmp_path, _server())
    _, baseline = smoke.record(result, _params(tmp_path), ManualClock())
    success = 'ml_predict_requests_total{model_version="v1",status="success"}'
    assert baseline.details["volatile"]["values"][success] == N + WARM_UP
    assert success in baseline.details["series"]
    assert baseline.value("series") == len(baseline.details["series"])


def test_like_is_compared_with_like(tmp_path: Path) -> None:
    """A cold test is held against the cold one before, whatever was between."""
    params, clock = _params(tmp_path), ManualClock()
    warm = Target("http://x", "", is_cold=False, is_own=True)
    cold = Target("http://x", "", is_cold=True, is_own=True)
    assert smoke.baseline_before(params, warm) is None
    first, _ = _run(tmp_path, _server())
    (_, kept) = smoke.record(first, params, clock)
    clock.advance(60)
    assert smoke.baseline_before(params, cold) is None
    other, _ = _run(tmp_path, _server(), is_cold=True)
    smoke.record(other, params, clock)
    found = smoke.baseline_before(params, warm)
    assert found is not None
    assert found.run_id == kept.run_id
    again, _ = _run(tmp_path, _server())
    assert smoke.changes(found, again, tolerance=0.01) == []
    changed, _ = _run(tmp_path, _server(more="# TYPE ml_x gauge\nml_x 1\n"))
    assert smoke.changes(found, changed, tolerance=0.01) == ["ml_x is new"]


def test_a_server_without_metrics_is_no_test(tmp_path: Path) -> None:
    """Said before a thousand requests are sent."""
    with pytest.raises(ServeError, match="no"):
        _run(tmp_path, lambda _: problem(403, "forbidden"))
