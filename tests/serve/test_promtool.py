"""Metrics as others read them: promtool's conventions, a real Prometheus, a bounded page."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlwb.serve import ServeSettings, create_app
from mlwb.serve._metrics import HELP
from tests.inference.version_kit import add_reference, point, sidecar_for, write_version
from tests.ops.prometheus_kit import prometheus
from tests.serve.asgi_kit import JSON, call
from tests.serve.server_kit import server

NAMES = ("bias", "r1", "spread_bp", "z", "bias_2", "r5", "vol")
WEIGHTS = (0.1, 1.5, -0.04, 0.8, 0.2, -0.7, 0.01)
ROW = [1.0, 0.01, 2.0, -0.5, 1.0, 0.03, 7.5]
BODY = json.dumps({"features": ROW}).encode()

IN_MILLISECONDS = {
    "ml_predict_latency_ms",
    "ml_shadow_latency_ms",
    "ml_baseline_latency_ms",
    "ml_model_swap_ms",
}
"""Prometheus wants seconds. The first three names are promised to dashboards and gates, whose
limits are in milliseconds; a fourth unit beside them would be worse than one more exception."""


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """A champion of seven features and a candidate, with references of live drift."""
    models = tmp_path / "artifacts" / "models"
    for channel, version in (("latest", "v1"), ("candidate", "v2")):
        folder = write_version(
            models, version, weights=WEIGHTS, sidecar=sidecar_for(version, NAMES)
        )
        add_reference(folder, WEIGHTS)
        point(models, channel, version)
    return models


def _busy_page(models: Path) -> str:
    """After three versions with every kind of answer."""
    app = create_app(ServeSettings.from_env({}, models_dir=models))
    for version in ("v0", "v2", "v1"):
        app.state.metrics.follow(version)
        for status in ("success", "client_error", "server_error"):
            app.state.metrics.count(version, status)
    call(app, "/ml/predict-with-shadow", BODY, headers=[JSON])
    return call(app, "/ml/metrics").body.decode()


def test_promtool_names_the_known_exceptions_and_no_other(
    seven: Path, tool: Callable[[str], str]
) -> None:
    """Names, kinds, help, units, suffixes: what promtool says is what the page lists."""
    said = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=_busy_page(seven),
        capture_output=True,
        text=True,
        check=False,
    )
    expected = {
        f"{name} metric names should not contain abbreviated units" for name in IN_MILLISECONDS
    }
    assert set((said.stdout + said.stderr).splitlines()) == expected


def test_the_page_lists_the_exceptions() -> None:
    """Each of them, and nothing but names that exist."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "serve-operations.md").read_text("utf-8")
    (line,) = [line for line in page.splitlines() if "promtool" in line]
    assert {name for name in HELP if f"`{name}`" in line} == IN_MILLISECONDS


def test_the_busiest_default_server_has_fewer_than_100_series(seven: Path) -> None:
    """Seven features, a candidate, promotions behind it, every kind of answer.

    One more family has to take the place of another: the histograms of the shadow have the
    least readers, and latency below 1 ms the least use.
    """
    page = _busy_page(seven)
    n_lines = len([line for line in page.splitlines() if not line.startswith("#")])
    families = list(text_string_to_metric_families(page))
    assert n_lines == sum(len(family.samples) for family in families) < 100


@pytest.mark.slow
@pytest.mark.server
def test_prometheus_reads_the_sums_of_two_workers(
    seven: Path, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """Counts, a histogram and readiness as it stores them, whichever worker it asks."""
    with server(seven, tmp_path, MLWB_WORKERS="2") as running:
        for _ in range(20):  # a new connection each, so that both are asked
            with contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=5)
            ) as connection:
                connection.request("POST", "/ml/predict", BODY, dict([_header(JSON)]))
                assert connection.getresponse().status == 200
        with prometheus(tool("prometheus"), tmp_path, running.url) as found:
            deadline = time.monotonic() + 10
            while found.values("sum(ml_predict_requests_total)") != [20.0]:
                assert time.monotonic() < deadline, found.values("ml_predict_requests_total")
                time.sleep(0.1)
            assert found.values("sum(ml_predict_latency_ms_count)") == [20.0]
            assert found.values('sum(ml_predict_latency_ms_bucket{le="+Inf"})') == [20.0]
            assert found.values("ml_ready") == [1.0]
            assert found.values("ml_workers") == [2.0]
            assert found.values("up") == [1.0]


def _header(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    return pair[0].decode(), pair[1].decode()
