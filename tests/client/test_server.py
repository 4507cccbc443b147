"""The clients and a real server process, which is killed and comes back."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mlwb.client import Breaker
from mlwb.core.clock import ManualClock
from tests.client.conftest import Connect
from tests.inference.version_kit import NAMES, WEIGHTS, logistic, point, write_version
from tests.serve.server_kit import server, start, wait_ready

pytestmark = pytest.mark.server
ROW = [1.0, 0.01, 2.0, -0.5]
SCORE = float(logistic(np.array(ROW), WEIGHTS))


def test_against_the_server(connect: Connect, tmp_path: Path) -> None:
    """The real thing: score, batch, shadow, health, metrics, description."""
    models = tmp_path / "models"
    for channel, version in (("latest", "v1.0.0"), ("candidate", "v2.0.0")):
        write_version(models, version)
        point(models, channel, version)
    with server(models, tmp_path) as running:
        client = connect(running.url, fallback=0.5)
        named = dict(zip(NAMES, ROW, strict=True))
        shadowed = client.call("predict_with_shadow", ROW)
        several = client.call("predict_many", [ROW, ROW])
        for found in (client.predict(ROW), client.predict(named), shadowed, *several):
            assert found.score == pytest.approx(SCORE)
            assert (found.source, found.model_version) == ("model", "v1.0.0")
            assert found.shadow is None
        waited = client.call("predict_with_shadow", ROW, wait=True)
        assert waited.shadow is not None
        assert (waited.shadow.version, waited.shadow.match) == ("v2.0.0", True)
        for poison in ("nan", "inf"):
            assert client.predict([1.0, float(poison), 2.0, -0.5]).reason == "invalid_input"
        assert client.call("health")["candidate_version"] == "v2.0.0"
        info = client.call("model_info")
        assert info["model_version"] == "v1.0.0"
        right = connect(running.url, schema_crc32=info["sidecar"]["schema_crc32"], fallback=0.5)
        wrong = connect(running.url, schema_crc32="00000000", fallback=0.5)
        assert (right.predict(ROW).reason, wrong.predict(ROW).reason) == ("", "schema_mismatch")
        assert 'ml_predict_requests_total{model_version="v1.0.0",status="success"} 6' in (
            client.call("metrics")
        )


def test_a_server_killed_and_started_again(connect: Connect, tmp_path: Path) -> None:
    """SIGKILL between two calls: fallback, then no more asking, then the model again."""
    models, clock = tmp_path / "models", ManualClock()
    write_version(models, "v1.0.0")
    point(models, "latest", "v1.0.0")
    first = start(models, tmp_path / "first.json", {})
    second = None
    try:
        ready = wait_ready(first, tmp_path / "first.json")
        client = connect(
            f"http://127.0.0.1:{ready['port']}",
            fallback=0.5,
            clock=clock,
            breaker=Breaker(clock, random.Random(1), consecutive=3),  # noqa: S311 - jitter
        )
        assert client.predict(ROW).source == "model"
        first.kill()
        first.communicate()
        reasons = [client.predict(ROW).reason for _ in range(4)]
        assert reasons == ["unreachable"] * 3 + ["circuit_open"]
        again = {"MLWB_PORT": str(ready["port"])}
        second = start(models, tmp_path / "second.json", again)
        wait_ready(second, tmp_path / "second.json")
        assert client.predict(ROW).reason == "circuit_open"
        clock.advance(10.0)
        found = client.predict(ROW)
        assert (found.source, found.score) == ("model", pytest.approx(SCORE))
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.communicate()
