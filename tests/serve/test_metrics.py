"""Metrics: the promised names, exact edges, a bounded number of series."""

from __future__ import annotations

import json
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._metrics import LATENCY_EDGES_MS, DriftGauges, Histogram, Metrics
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import call

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
PROMISED = {
    "ml_predict_requests",
    "ml_predict_latency_ms",
    "ml_prediction_score",
    "ml_shadow_success",
    "ml_shadow_error",
    "ml_shadow_match",
    "ml_shadow_mismatch",
    "ml_shadow_abs_delta",
    "ml_shadow_latency_ms",
    "ml_shadow_match_rate",
    "ml_baseline_latency_ms",
    "ml_model_reload",
}


def _samples(text: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def _scrape(app: App) -> dict[tuple[str, str], float]:
    reply = call(app, "/ml/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return _samples(reply.body.decode())


def test_the_promised_names(app: App) -> None:
    """Oracle: prometheus_client's parser finds every name of the contract, with help and type."""
    families = {
        family.name: family
        for family in text_string_to_metric_families(call(app, "/ml/metrics").body.decode())
    }
    assert set(families) >= PROMISED
    assert all(family.documentation and family.type != "unknown" for family in families.values())


def test_every_limit_is_an_edge() -> None:
    """10, 20, 60, 80, 120 and 200 ms are counted exactly; 0.05 is an edge of the differences."""
    assert {10.0, 20.0, 60.0, 80.0, 120.0, 200.0} <= set(LATENCY_EDGES_MS)
    metrics = Metrics()
    assert 60.0 in metrics.shadow_ms.edges
    assert 0.05 in metrics.abs_delta.edges
    for histogram in (metrics.latency_ms, metrics.score, metrics.abs_delta, metrics.baseline_ms):
        assert list(histogram.edges) == sorted(set(histogram.edges))


def test_what_happened_is_what_is_shown(models: Path) -> None:
    """Answers, refusals, a comparison, scores."""
    write_version(models, "v2.0.0")
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    for path in ("/ml/predict", "/ml/predict", "/ml/predict-with-shadow"):
        call(app, path, BODY)
    call(app, "/ml/predict", b"{")
    found = _scrape(app)
    version = "model_version=v1.0.0"
    assert found["ml_predict_requests_total", f"{version},status=success"] == 3
    assert found["ml_predict_requests_total", f"{version},status=client_error"] == 1
    assert found["ml_predict_latency_ms_count", version] == 3
    assert found["ml_predict_latency_ms_bucket", f"le=+Inf,{version}"] == 3
    assert found["ml_prediction_score_sum", ""] == pytest.approx(3 * 0.2525609797798001)
    assert found["ml_shadow_success_total", ""] == found["ml_shadow_match_total", ""] == 1
    assert found["ml_shadow_match_rate", ""] == 1.0
    assert found["ml_ready", ""] == 1
    assert found["ml_killed", ""] == 0


def test_the_default_server_has_fewer_than_100_series(models: Path) -> None:
    """After every kind of answer, with a candidate and with as many features as are gated."""
    names = [f"feature_{number}" for number in range(7)]
    drift = DriftGauges(dict.fromkeys([*names, "prediction"], 0.1), 1440, 1.0, 0)
    write_version(models, "v2.0.0")
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    for path in ("/ml/predict", "/ml/predict-with-shadow"):
        call(app, path, BODY)
        call(app, path, b"{")
    app.state.metrics.count("v1.0.0", "server_error")
    shown = app.state.metrics.samples({}, drift)
    assert len(_scrape(app)) + len(shown["ml_psi_score"]) < 100


def test_nothing_a_client_sends_becomes_a_series(app: App) -> None:
    """A thousand ids, routes and bodies leave the number of series as it was."""
    call(app, "/ml/predict", BODY)
    call(app, "/ml/predict", b"{")
    before = set(_scrape(app))
    for index in range(200):
        call(app, f"/ml/predict{index}", BODY)
        call(app, "/ml/predict", BODY, headers=[(b"x-request-id", b"%d" % index)])
    assert set(_scrape(app)) == before


def test_versions_long_gone_are_forgotten(app: App, models: Path) -> None:
    """Many promotions do not grow the exposition; the latency is that of the served version."""
    for index in range(2, 9):
        call(app, "/ml/predict", BODY)
        write_version(models, f"v{index}")
        point(models, "latest", f"v{index}")
        app.state.refresh()
    call(app, "/ml/predict", BODY)
    found = _scrape(app)
    shown = [labels for name, labels in found if name == "ml_predict_requests_total"]
    assert len(shown) <= 3
    assert found["ml_predict_latency_ms_count", "model_version=v8"] == 1
    assert found["ml_model_info", "model_version=v8"] == 1


def test_no_comparison_no_match_rate(app: App) -> None:
    """Nothing measured is NaN, neither good nor bad."""
    rate = _scrape(app)["ml_shadow_match_rate", ""]
    assert rate != rate  # noqa: PLR0124 - NaN


@given(st.lists(st.floats(0, 1e4), max_size=60))
def test_buckets_are_cumulative_and_inclusive(values: list[float]) -> None:
    """Oracle: counting by hand. ``le`` includes its edge."""
    histogram = Histogram(LATENCY_EDGES_MS)
    for value in values:
        histogram.observe(value)
    found = _samples(
        "# TYPE x histogram\n" + "".join(f"{k} {v}\n" for k, v in histogram.samples("x").items())
    )
    for edge in LATENCY_EDGES_MS:
        below = sum(value <= edge for value in values)
        assert found["x_bucket", f"le={edge:g}"] == below
    assert found["x_count", ""] == found["x_bucket", "le=+Inf"] == len(values)
    assert found["x_sum", ""] == pytest.approx(sum(values))
    assert all(a < b for a, b in pairwise(LATENCY_EDGES_MS))


@given(st.lists(st.sampled_from([0.05, 0.1, 0.3, 0.5, 60.0, 500.0, 1e4]), max_size=120))
def test_counted_together_is_counted_one_by_one(values: list[float]) -> None:
    """Few or many, on an edge or beside it: the same cells."""
    one, many = Histogram(LATENCY_EDGES_MS), Histogram(LATENCY_EDGES_MS)
    for value in values:
        one.observe(value)
    many.observe_all(values)
    assert many.counts == one.counts
    assert many.total == pytest.approx(one.total)


def test_a_value_on_an_edge_is_below_it() -> None:
    """Exactly 80 ms meets a limit of 80 ms."""
    histogram = Histogram((10.0, 80.0))
    histogram.observe(80.0)
    assert histogram.counts == [0, 1, 0]
    assert bisect_left((10.0, 80.0), 80.0) == 1
