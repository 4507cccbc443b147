"""The dashboard: written by its script, and every query of it answered by a real Prometheus."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mlwb.client import PredictClient
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.monitor import PANELS
from mlwb.params import load_policy
from mlwb.report._daily_panels import _PAINTS, _WHY
from mlwb.serve import ServeSettings, create_app
from tests.inference.version_kit import add_reference, point, write_version
from tests.ops.prometheus_kit import OPS, prometheus
from tests.serve.asgi_kit import call
from tests.serve.server_kit import server

POLICY = load_policy(OPS.parent / "params" / "policy.yml")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``ops/grafana/dashboard.py``."""
    spec = importlib.util.spec_from_file_location("dashboard", OPS / "grafana" / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_what_the_script_writes(script: ModuleType) -> None:
    """Nobody edits the JSON by hand: `python ops/grafana/dashboard.py` writes it."""
    stored = json.loads((OPS / "grafana" / "ml.json").read_text(encoding="utf-8"))
    assert stored == script.dashboard(POLICY)


def test_eleven_panels_look_back_an_hour_every_ten_seconds(script: ModuleType) -> None:
    """As the requirements list them; none lies on another, each has a query and a legend."""
    found = script.dashboard(POLICY)
    assert (len(found["panels"]), found["refresh"], found["time"]["from"]) == (11, "10s", "now-1h")
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found["panels"]}
    assert len(places) == 11
    for panel in found["panels"]:
        assert panel["targets"]
        assert all(target["legendFormat"] for target in panel["targets"])


def test_the_report_of_a_day_draws_the_same_panels(script: ModuleType) -> None:
    """One list names them for both: titles, kinds and units, in the same order."""
    found = [
        (panel["title"], panel["type"], panel["fieldConfig"]["defaults"]["unit"])
        for panel in script.dashboard(POLICY)["panels"]
    ]
    assert found == [(item.title, item.kind, item.unit) for item in PANELS.values()]
    assert set(_PAINTS) == set(_WHY) == set(PANELS)


def test_lines_are_the_policys_limits(script: ModuleType) -> None:
    """The line of a panel is the limit that the gate has."""
    steps = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in script.dashboard(POLICY)["panels"]
    }
    for title, limit in (
        ("Prediction latency", "canary.p95_ms"),
        ("Shadow match rate", "canary.match_rate"),
        ("Candidate and champion, p95", "canary.shadow_p95_ms"),
        ("PSI by feature, last 24 hours", "psi.plain_feature"),
    ):
        assert steps[title] == float(POLICY.limit(limit).value)


def _a_day_of_counts(models: Path, kept: Path) -> None:
    """What a server would have counted in the 24 hours until now."""
    clock = ManualClock(SystemClock().now() - timedelta(hours=23))
    app = create_app(ServeSettings(models, drift_dir=kept), clock=clock)
    rng = np.random.default_rng(1)
    for _ in range(24):
        rows = np.column_stack(
            [
                np.ones(30),
                rng.uniform(-0.5, 0.5, 30),
                rng.uniform(0, 50, 30),
                rng.uniform(-2, 2, 30),
            ]
        )
        assert call(app, "/ml/predict", json.dumps({"rows": rows.tolist()}).encode()).status == 200
        clock.advance(3_600)
    app.state.drift.close()


@pytest.mark.slow
@pytest.mark.server
def test_every_query_has_an_answer(
    tmp_path: Path, script: ModuleType, tool: Callable[[str], str]
) -> None:
    """Against a real server with a candidate, traffic and a day of counts: finite numbers only."""
    models, kept = tmp_path / "artifacts" / "models", tmp_path / "artifacts" / "drift"
    for link, version in (("latest", "v1.0.0"), ("candidate", "v1.0.1")):
        write_version(models, version)
        point(models, link, version)
    add_reference(models / "v1.0.0")
    _a_day_of_counts(models, kept)
    with (
        server(models, tmp_path, MLWB_DRIFT_DIR=str(kept)) as running,
        PredictClient(running.url) as client,
        prometheus(tool("prometheus"), tmp_path, running.url) as found,
    ):
        deadline = time.monotonic() + 30
        waiting = script.queries(script.dashboard(POLICY))
        while waiting:
            for _ in range(20):
                client.post_raw("/ml/predict-with-shadow", b'{"features": [1, 0.1, 2, 0.5]}')
            waiting = [
                (title, query)
                for title, query in waiting
                if not any(math.isfinite(value) for value in found.values(query))
            ]
            assert time.monotonic() < deadline, waiting
            time.sleep(0.3)
