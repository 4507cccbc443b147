"""`mlwb registry follow` as a process of its own, against a server that speaks S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlwb.core.clock import SystemClock
from mlwb.registry import Registry, RemoteRegistry, open_store
from tests.registry.places import publish, yes
from tests.registry.s3_kit import s3_server


@pytest.mark.server
def test_a_follower_is_seconds_behind_and_survives_the_store(
    peers_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promoted there, moved here; the store hangs: said once, latest stays; it is back: goes on."""
    with s3_server(peers_python) as (server, environ):
        for name, value in {**environ, "MLWB_REGISTRY_TIMEOUT_S": "0.5"}.items():
            monkeypatch.setenv(name, value)
        url = "s3://models/followed"
        there = RemoteRegistry(open_store(url, os.environ), tmp_path / "s", clock=SystemClock())
        publish(there, "v1")
        there.promote("v1", decision=None, expect_current=None, reason="first", bootstrap=True)
        publish(there, "v2")
        models = tmp_path / "replica" / "models"
        arguments = ["follow", "--every", "0.2", "--at", url, "--into", str(models), "--json"]
        with subprocess.Popen(
            [sys.executable, "-m", "mlwb", "registry", *arguments],
            stdout=subprocess.PIPE, text=True,
        ) as follower:  # fmt: skip
            assert follower.stdout is not None
            lines = (json.loads(line) for line in follower.stdout)
            replica = Registry(models, clock=SystemClock())
            try:
                assert next(lines)["latest"] == "v1"
                decision = yes(there, "v2")
                there.promote("v2", decision=decision, expect_current="v1", reason="better")
                assert next(lines)["latest"] == "v2"
                server.send_signal(signal.SIGSTOP)
                assert next(lines)["error"] == "artifact.storage.unavailable"
                assert replica.latest() == "v2"
                assert replica.doctor() == ()
                server.send_signal(signal.SIGCONT)
                assert next(lines)["is_news"] is False
                there.rollback(reason="drift")
                assert next(lines)["latest"] == "v1"
            finally:
                server.send_signal(signal.SIGCONT)
                follower.send_signal(signal.SIGTERM)
            assert follower.wait(timeout=10) == 0
        assert replica.latest() == "v1"
        assert replica.doctor() == ()
