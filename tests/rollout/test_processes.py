"""Runner and server as processes that are killed, stopped and started anew under traffic."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlwb.core.clock import SystemClock, format_utc, parse_utc
from mlwb.core.predictionlog import read_predictions
from mlwb.params import load_policy
from mlwb.rollout import CanaryServer, RolloutFiles, RolloutOptions, RolloutState, rollout_run
from tests.rollout.rollout_kit import PARAMS, Asking, Place, place
from tests.serve.server_kit import start, wait_ready

pytestmark = [pytest.mark.server, pytest.mark.slow]

LEASE_S = 1.0
LASTING: dict[str, Any] = {
    "rollout.observed_per_phase": 1_000_000,
    "rollout.most_s": 600.0,
    "rollout.patience_s": 20.0,
}
_LEAD = """
import json, signal, sys
from pathlib import Path
from mlwb.core.clock import SystemClock
from mlwb.params import load_policy
from mlwb.rollout import (CanaryServer, RolloutOptions, rollout_run)
from tests.rollout.rollout_kit import Place
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
root, url, policy, mode, given = sys.argv[1:]
at = Place(Path(root), None)
with CanaryServer(url) as server:
    rollout_run(
        at.home, at.params(**json.loads(given)), RolloutOptions(mode, "somebody"),
        policy=load_policy(Path(policy)), clock=SystemClock(), server=server,
    )
"""


class _Site:
    """A home whose policy has a short lease, and its processes."""

    def __init__(self, root: Path) -> None:
        self.at: Place = place(root)
        text = (PARAMS / "policy.yml").read_text(encoding="utf-8")
        self.policy = root / "policy.yml"
        short = text.replace('{lease_s: "5"}', f'{{lease_s: "{LEASE_S:g}"}}')
        assert short != text
        self.policy.write_text(short, encoding="utf-8")
        self.url, self._processes = "", list[subprocess.Popen[Any]]()

    def serve(self, port: str = "0", workers: int = 1) -> subprocess.Popen[str]:
        """Start the server, at the same address where it is not the first."""
        artifacts, ready = self.at.home.artifacts, self.at.root / f"ready-{time.monotonic_ns()}"
        settings = {
            "MLWB_HOME": str(self.at.root),
            "MLWB_POLICY": str(self.policy),
            "MLWB_PREDICTION_LOG": str(artifacts / "predictions.jsonl"),
            "MLWB_SHADOW_LOG": str(artifacts / "shadow" / "predictions.jsonl"),
            "MLWB_CANARY_FILE": str(artifacts / "canary.json"),
            "MLWB_AUDIT_LOG": str(artifacts / "audit.log"),
            "MLWB_PORT": port,
            "MLWB_WORKERS": f"{workers}",
        }
        process = start(artifacts / "models", ready, settings)
        self._processes.append(process)
        self.url = f"http://127.0.0.1:{wait_ready(process, ready)['port']}"
        return process

    def lead(self, mode: str) -> subprocess.Popen[bytes]:
        """Start a runner, and wait until it has seen something."""
        given = [str(self.at.root), self.url, str(self.policy), mode, json.dumps(LASTING)]
        process = subprocess.Popen([sys.executable, "-c", _LEAD, *given])
        self._processes.append(process)
        until(lambda: self.state is not None and self.state.observed > 50)
        return process

    @property
    def state(self) -> RolloutState | None:
        """What the runner wrote last."""
        return RolloutFiles(self.at.home).read()

    @property
    def mode(self) -> str:
        """What the server says it does."""
        with CanaryServer(self.url) as server:
            return server.show().mode

    def resume(self) -> Any:
        """Go on with what was left, to its end."""
        with CanaryServer(self.url) as server:
            return rollout_run(
                self.at.home,
                self.at.params(**{"rollout.most_s": 3.0}),
                RolloutOptions("live", is_resumed=True),
                policy=load_policy(self.policy),
                clock=SystemClock(),
                server=server,
            )

    def close(self) -> None:
        """Nothing is left behind."""
        for process in self._processes:
            process.terminate()  # so that a server takes its workers along
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            process.kill()
            process.communicate()


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[_Site]:
    """Asked as fast as two clients can; the parameter is the number of workers, else one."""
    found = _Site(tmp_path)
    with contextlib.closing(found):
        found.serve(workers=getattr(request, "param", 1))
        with Asking(found.url), Asking(found.url):
            yield found


def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("site", [2], indirect=True)
def test_after_the_runner_was_killed_the_candidate_answers_nobody(site: _Site) -> None:
    """A lease later the share is 0 in each worker; `--resume` counts what was before."""
    site.lead("live").kill()
    killed = SystemClock().now()
    until(lambda: site.mode == "off", LEASE_S + 1.0)
    time.sleep(0.3)
    before = site.state
    assert before is not None
    lines = list(read_predictions(site.at.home.artifacts / "predictions.jsonl"))
    answered = [line.ts for line in lines if line.model_version == "v2.0.0"]
    assert (max(answered) - killed).total_seconds() <= LEASE_S
    assert max(line.ts for line in lines) > max(answered)
    audit = (site.at.home.artifacts / "audit.log").read_text(encoding="utf-8")
    assert "lease_expired; was live 50 % of v2.0.0 over v1.0.0" in audit

    end = site.resume()
    assert end.aborted == ""
    assert (end.record.value("observed", "50%") or 0) >= before.observed
    ((since, _),) = end.record.details["gaps"]
    assert (parse_utc(since) - killed).total_seconds() <= LEASE_S + 0.3
    assert site.mode == "off"


def test_a_server_killed_and_a_runner_stopped_on_the_way(site: _Site) -> None:
    """Each time the share is 0 until the runner says so again; both gaps are known."""
    runner, artifacts = site.lead("live"), site.at.home.artifacts
    first = site.state
    assert first is not None
    site._processes[0].kill()
    site._processes[0].wait()
    site.serve(site.url.rpartition(":")[2])
    until(lambda: site.state is not None and len(site.state.gaps) == 1)
    until(lambda: site.mode == "live")

    os.kill(runner.pid, signal.SIGSTOP)
    until(lambda: site.mode == "off", LEASE_S + 1.0)
    stopped = format_utc(SystemClock().now())
    time.sleep(0.5)
    going_on = format_utc(SystemClock().now())
    os.kill(runner.pid, signal.SIGCONT)
    until(lambda: site.state is not None and len(site.state.gaps) == 2)
    until(lambda: site.mode == "live")
    now = site.state
    assert now is not None
    assert (now.begun, now.holder, now.finished) == (first.begun, first.holder, "")
    assert now.observed >= first.observed
    assert now.gaps[1][0] < stopped
    asked = [
        line.ts
        for line in read_predictions(artifacts / "predictions.jsonl")
        if line.model_version == "v2.0.0"
    ]
    assert not [ts for ts in asked if parse_utc(stopped) < ts < parse_utc(going_on)]
    runner.send_signal(signal.SIGINT)
    runner.wait(timeout=10)
    until(lambda: site.mode == "off", 1.0)
