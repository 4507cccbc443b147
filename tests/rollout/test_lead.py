"""A canary on a running server: it ends well, or for the right reason, and never goes on alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlwb.cli._app import app
from mlwb.core.clock import SystemClock
from mlwb.core.errors import PromotionRefusedError
from mlwb.core.predictionlog import read_predictions
from mlwb.gates import EvidenceView
from mlwb.params import load_policy
from mlwb.rollout import CanaryServer, RolloutEnd, RolloutFiles, RolloutOptions, rollout_run
from mlwb.stages import canary_preflight
from tests.rollout.rollout_kit import PARAMS, QUICK, Place, place, serving
from tests.serve.registry_kit import OTHER

POLICY = load_policy(PARAMS / "policy.yml")

run = CliRunner().invoke

pytestmark = [pytest.mark.server, pytest.mark.slow]


def _run(at: Place, url: str, mode: Any = "observe_only", **overrides: Any) -> RolloutEnd:
    with CanaryServer(url) as server:
        return rollout_run(
            at.home,
            at.params(**overrides),
            RolloutOptions(mode, confirmation="somebody" if mode == "live" else ""),
            policy=POLICY,
            clock=SystemClock(),
            server=server,
        )


def _canary(url: str) -> Any:
    with CanaryServer(url) as server:
        return server.show()


def test_two_equal_versions_pass(tmp_path: Path) -> None:
    """Nothing is wrong, so it goes through all phases, shows it, and ends at 0 %."""
    at = place(tmp_path)
    with serving(at) as started:
        with CanaryServer(started.url) as server:
            view = EvidenceView(model_version="v2.0.0", records=())
            seen = canary_preflight.measure(
                server.seen(), view, at.params(), policy=POLICY, clock=SystemClock()
            )
        assert seen.missing(live=False) == ()
        assert [check.split(":")[0] for check in seen.missing(live=True)] == ["shadow", "psi"]
        end = _run(at, started.url, **{"rollout.phases": [5.0, 10.0, 25.0, 50.0, 100.0]})
        shown = _canary(started.url)
    assert end.aborted == ""
    assert (shown.mode, shown.percent) == ("off", 0.0)
    assert end.record.value("phases_completed") == 1.0
    assert end.record.value("questions_shown") == 1.0
    assert end.record.value("match_rate", "100%") == 1.0
    assert (end.record.origin, end.record.details["mode"]) == ("live", "observe_only")
    assert end.verdict.is_pass, end.verdict.reason


def test_drifted_scores_end_it(tmp_path: Path) -> None:
    """A candidate whose scores are far off is stopped for its mismatches; nobody got one."""
    at = place(tmp_path, OTHER)
    with serving(at) as started:
        end = _run(at, started.url)
    assert "mismatch" in end.aborted
    assert end.back_ms is not None
    assert end.back_ms < 1000.0


def test_a_live_split_answers_and_ends_at_nothing(tmp_path: Path) -> None:
    """The candidate answers its share; what agreement is, nobody can tell, and the gate says so."""
    at = place(tmp_path)
    with serving(at) as started:
        end = _run(at, started.url, "live", **{"rollout.most_s": 4.0})
        shown = _canary(started.url)
    assert (end.aborted, shown.mode) == ("", "off")
    lines = list(read_predictions(tmp_path / "artifacts" / "predictions.jsonl"))
    answered = sum(line.model_version == "v2.0.0" for line in lines)
    assert answered >= (end.record.value("observed", "50%") or 0) >= 60
    assert end.record.value("match_rate", "100%") is None
    assert not end.verdict.is_pass


def test_a_killed_runner_goes_on_only_when_told(tmp_path: Path, monkeypatch: Any) -> None:
    """After kill -9 `status` says so, a new one is refused, `--resume` counts all requests."""
    at = place(tmp_path)
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    said = {**QUICK, "rollout.observed_per_phase": 1_000_000}
    given = [part for name, value in said.items() for part in ("-p", f"{name}={value}")]
    with serving(at) as started:
        command = ["canary", "run", "--observe-only", "--url", started.url, *given]
        process = subprocess.Popen([sys.executable, "-m", "mlwb", *command])
        _until(lambda: (found := RolloutFiles(at.home).read()) is not None and found.observed > 50)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = run(app, ["canary", "status", "--url", started.url])
        assert left.exit_code == 1
        assert "--resume" in left.output
        with pytest.raises(PromotionRefusedError, match="left at 50%"):
            _run(at, started.url)
        with CanaryServer(started.url) as server:
            end = rollout_run(
                at.home,
                at.params(),
                RolloutOptions("observe_only", is_resumed=True),
                policy=POLICY,
                clock=SystemClock(),
                server=server,
            )
        assert run(app, ["canary", "status", "--url", started.url]).exit_code == 0
    assert end.aborted == ""
    assert (end.record.value("observed", "50%") or 0) > 50


def test_abort_from_another_terminal(tmp_path: Path, monkeypatch: Any) -> None:
    """Back to 0 within a second, and the runner writes down why."""
    at = place(tmp_path)
    monkeypatch.setenv("MLWB_HOME", str(tmp_path))
    said = {**QUICK, "rollout.observed_per_phase": 1_000_000}
    given = [part for name, value in said.items() for part in ("-p", f"{name}={value}")]
    with serving(at) as started:
        command = ["canary", "run", "--observe-only", "--url", started.url, "--json", *given]
        runner = subprocess.Popen(
            [sys.executable, "-m", "mlwb", *command], stdout=subprocess.PIPE, text=True
        )
        _until(lambda: _canary(started.url).mode == "observe")
        asked = ["canary", "abort", "--reason", "bad prices", "--url", started.url, "--json"]
        done = run(app, asked)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["back_ms"] < 1000.0
        assert _canary(started.url).mode == "off"
        told, _ = runner.communicate(timeout=20)
    assert runner.returncode == 1
    assert "bad prices" in json.loads(told)["aborted"]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
