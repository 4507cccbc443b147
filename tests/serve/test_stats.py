"""The newest scored rows: their statistics are numpy's, their baseline is what was taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.arrays import Float2D
from mlwb.core.clock import ManualClock
from mlwb.drift import fit_reference
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._endpoints import Permission
from mlwb.serve._window import ScoredWindow, shift_from_bins
from tests.inference.version_kit import (
    NAMES,
    WEIGHTS,
    add_reference,
    logistic,
    point,
    write_version,
)
from tests.serve.asgi_kit import Reply, call

WHY = {"reason": "a quiet week"}


def _rows(n: int, seed: int = 3) -> Float2D:
    rng = np.random.default_rng(seed)
    low, high = [1.0, -0.5, 0.0, -2.0], [1.0, 0.5, 50.0, 2.0]
    return np.column_stack([rng.uniform(a, b, n) for a, b in zip(low, high, strict=True)])


def _serve(app: App, rows: Float2D, *, one_by_one: bool = False) -> None:
    bodies = (
        [{"features": row} for row in rows.tolist()] if one_by_one else [{"rows": rows.tolist()}]
    )
    for body in bodies:
        assert call(app, "/ml/predict", json.dumps(body).encode()).status == 200


def _stats(app: App) -> dict[str, Any]:
    found: dict[str, Any] = call(app, "/ml/monitoring/stats").json()
    return found


def _take(app: App, **body: Any) -> Reply:
    return call(app, "/ml/monitoring/baseline", json.dumps({**WHY, **body}).encode())


@pytest.mark.parametrize("one_by_one", [True, False])
def test_statistics_are_numpys(models: Path, *, one_by_one: bool) -> None:
    """Of features, score and times, whether rows came alone or together."""
    clock = ManualClock()
    app, rows = create_app(ServeSettings(models), clock=clock), _rows(150)
    _serve(app, rows, one_by_one=one_by_one)
    found, scores = _stats(app), logistic(rows, WEIGHTS)
    assert (found["model_version"], found["rows"], found["capacity"]) == ("v1.0.0", 150, 1000)
    assert found["first_at"] == found["last_at"] == "2026-01-01T00:00:00Z"
    score = found["score"]
    assert score["mean"] == pytest.approx(scores.mean())
    assert score["sd"] == pytest.approx(scores.std())
    for name, share in (("p05", 5), ("p50", 50), ("p95", 95), ("p99", 99)):
        assert score[name] == pytest.approx(np.percentile(scores, share))
    assert [item["name"] for item in found["features"]] == list(NAMES)
    for item, values in zip(found["features"], rows.T, strict=True):
        shown = [item[key] for key in ("mean", "sd", "min", "max")]
        assert shown == pytest.approx([values.mean(), values.std(), values.min(), values.max()])
    assert found["latency_ms"]["p50"] >= 0.0


def test_only_the_newest_rows_count(models: Path) -> None:
    """The oldest leave as others come, in whatever portions; refused rows never come in."""
    app, rows = create_app(ServeSettings(models, stats_window=100)), _rows(260)
    for part in (rows[:40], rows[40:255]):
        _serve(app, part)
    _serve(app, rows[255:], one_by_one=True)
    call(app, "/ml/predict", b'{"features":[1,9,9,9]}')
    found = _stats(app)
    assert found["rows"] == 100
    assert found["features"][2]["mean"] == pytest.approx(rows[-100:, 2].mean())


def test_every_surface_comes_in(app: App) -> None:
    """Rows of the Open Inference Protocol and of the shadowed route too."""
    row = _rows(1)
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": row.tolist()}
    call(app, "/v2/models/mlwb/infer", json.dumps({"inputs": [tensor]}).encode())
    call(app, "/ml/predict-with-shadow", json.dumps({"rows": row.tolist()}).encode())
    assert _stats(app)["rows"] == 2


def test_before_the_first_row(app: App) -> None:
    """Nothing is known, and nothing fails."""
    found = _stats(app)
    assert (found["rows"], found["score"], found["features"], found["beyond"]) == (0, None, [], [])
    assert found["baseline"]["source"] == "none"


def test_another_version_starts_anew(models: Path) -> None:
    """Rows of two versions are not one sample."""
    app = create_app(ServeSettings(models))
    _serve(app, _rows(20))
    write_version(models, "v2.0.0")
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    _serve(app, _rows(5))
    found = _stats(app)
    assert (found["model_version"], found["rows"]) == ("v2.0.0", 5)


def test_the_reference_is_the_first_baseline(models: Path) -> None:
    """No change: means stay near; one feature at its end: it alone is named, and its score."""
    add_reference(models / "v1.0.0")
    app = create_app(ServeSettings(models, z_threshold=1.0))
    _serve(app, _rows(600))
    quiet = _stats(app)
    assert (quiet["baseline"]["source"], quiet["beyond"]) == ("reference", [])
    assert all(abs(item["z"]) < 0.2 for item in quiet["features"])
    assert abs(quiet["score_z"]) < 0.2
    moved = _rows(1000)
    moved[:, 3] = 1.9
    _serve(app, moved)
    found = _stats(app)
    assert "rsi14_z" in found["beyond"]
    assert not {"bias", "mid_logret_1m", "spread_bp"} & set(found["beyond"])
    (shown,) = (item for item in found["features"] if item["name"] == "rsi14_z")
    assert shown["is_beyond"] is True
    # Uniform on [-2, 2]: sd 1.15; the last of ten bins ends at 2 and has its middle at 1.8.
    assert shown["z"] == pytest.approx(1.8 / 1.15, rel=0.03)


def test_bins_see_no_shift_in_the_reference_itself() -> None:
    """Read at the middles of its own bins a sample has not moved, however skewed it is."""
    values = np.random.default_rng(1).lognormal(0.0, 1.5, 5_000)
    reference = fit_reference("x", values)
    assert shift_from_bins(values, reference) == pytest.approx(0.0, abs=1e-12)
    moved = shift_from_bins(values * 2.0, reference)
    assert moved is not None
    assert moved > 0.1
    constant = fit_reference("one", np.ones(10))
    assert shift_from_bins(np.ones(3), constant) == 0.0


def test_a_baseline_is_taken(models: Path) -> None:
    """From then on means are compared with that window's raw moments, after a restart too."""
    file = models.parent / "serve.baseline.json"
    clock = ManualClock()
    app = create_app(ServeSettings(models, baseline_file=file), clock=clock)
    base = _rows(400)
    _serve(app, base)
    reply = _take(app)
    assert reply.status == 200
    taken = reply.json()
    assert (taken["model_version"], taken["rows"], taken["by"]) == ("v1.0.0", 400, "anonymous")
    assert (taken["reason"], taken["taken_at"]) == ("a quiet week", "2026-01-01T00:00:00Z")
    assert taken["columns"]["spread_bp"]["mean"] == pytest.approx(base[:, 2].mean())
    again = create_app(ServeSettings(models, baseline_file=file), clock=clock)
    moved = _rows(1000, seed=9)
    moved[:, 2] = 49.0
    _serve(again, moved)
    found = _stats(again)
    assert found["baseline"] == {"source": "window", "taken_at": taken["taken_at"], "rows": 400}
    (shown,) = (item for item in found["features"] if item["name"] == "spread_bp")
    assert shown["z"] == pytest.approx((49.0 - base[:, 2].mean()) / base[:, 2].std())
    assert found["features"][0]["z"] == 0.0  # the bias varies nowhere
    scores = logistic(moved, WEIGHTS), logistic(base, WEIGHTS)
    assert found["score_z"] == pytest.approx(
        (scores[0].mean() - scores[1].mean()) / scores[1].std()
    )


def test_a_baseline_belongs_to_its_version(models: Path) -> None:
    """Another version is not compared with it; the version it was taken of is again."""
    app = create_app(ServeSettings(models))
    _serve(app, _rows(120))
    assert _take(app).status == 200
    assert _stats(app)["baseline"]["source"] == "window"
    write_version(models, "v2.0.0")
    point(models, "latest", "v2.0.0")
    app.state.refresh()
    _serve(app, _rows(5))
    assert _stats(app)["baseline"]["source"] == "none"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema":"mlwb.baseline/9"}'])
def test_a_baseline_that_cannot_be_read(models: Path, content: bytes) -> None:
    """Is none."""
    file = models.parent / "serve.baseline.json"
    file.write_bytes(content)
    app = create_app(ServeSettings(models, baseline_file=file))
    _serve(app, _rows(5))
    assert _stats(app)["baseline"]["source"] == "none"


def test_too_few_rows_are_no_baseline(app: App) -> None:
    """409 with how many there are; who wants fewer says so."""
    _serve(app, _rows(30))
    reply = _take(app)
    assert (reply.status, reply.json()["code"]) == (409, "too_few_rows")
    assert _stats(app)["baseline"]["source"] == "none"
    assert _take(app, least_rows=30).status == 200


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "least_rows": 1}, {"x": 1}])
def test_a_baseline_needs_a_reason(app: App, body: dict[str, Any]) -> None:
    """422 for anything else."""
    reply = call(app, "/ml/monitoring/baseline", json.dumps(body).encode())
    assert reply.status == 422


def test_a_baseline_is_an_administrators(app: App) -> None:
    """And is audited like any call of theirs."""
    by_path = {endpoint.path: endpoint for endpoint in app.endpoints}
    assert by_path["/ml/monitoring/stats"].permission is Permission.READ
    assert by_path["/ml/monitoring/baseline"].permission is Permission.ADMIN


def test_a_window_holds_no_more_than_its_size() -> None:
    """One batch larger than the ring leaves its last rows."""
    window = ScoredWindow(3)
    window.add("v", [(float(x),) for x in range(10)], [0.5] * 10, 1.0, ts=7.0)
    held = window.copy()
    assert held.rows.ravel().tolist() == [7.0, 8.0, 9.0]
    assert (held.first_ts, held.latency_ms.tolist()) == (7.0, [1.0])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=30), st.integers(1, 9))
def test_requests_of_any_size_leave_the_newest_rows(sizes: list[int], held: int) -> None:
    """Whichever way they come together: as many as the window holds, in their order."""
    window, rows = ScoredWindow(held), list[float]()
    for number, size in enumerate(sizes):
        new = [float(len(rows) + index) for index in range(size)]
        window.add("v", [(x,) for x in new], [x / 1e3 for x in new], 1.0, ts=float(number))
        rows += new
    found = window.copy()
    assert found.rows.ravel().tolist() == rows[-held:]
    assert found.scores.tolist() == [x / 1e3 for x in rows[-held:]]
    assert found.last_ts == len(sizes) - 1
