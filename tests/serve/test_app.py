"""The application: every route, every refusal."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from mlwb.core.errors import DegenerateModelError
from mlwb.core.predictionlog import read_predictions
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import NAMES, WEIGHTS, logistic, point, write_version
from tests.serve.asgi_kit import JSON, Reply, call, request, running

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
SCORE = float(logistic(np.array(ROW), WEIGHTS))
HOT = ("/ml/predict", "/ml/predict-with-shadow")


def _is_problem(reply: Reply, status: int, code: str) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    value = reply.json()
    assert set(value) - {"errors"} == {"type", "title", "status", "detail", "instance", "code"}
    assert (value["status"], value["code"]) == (status, code)
    assert value["type"] == f"urn:mlwb:problem:{code}"
    assert value["instance"] == reply.headers["x-request-id"]


@pytest.mark.parametrize("path", HOT)
@pytest.mark.parametrize("features", [ROW, dict(zip(NAMES, ROW, strict=True))])
def test_one_row(app: App, path: str, features: Any) -> None:
    """By array or by name; the score is numpy's logistic function."""
    reply = call(app, path, json.dumps({"features": features, "request_id": "r-1"}).encode())
    assert reply.status == 200
    assert set(reply.json()) == {"request_id", "model_version", "score"}
    assert (reply.json()["request_id"], reply.json()["model_version"]) == ("r-1", "v1.0.0")
    assert reply.json()["score"] == pytest.approx(SCORE, abs=1e-12)
    assert reply.headers["x-request-id"] == "r-1"
    assert int(reply.headers["content-length"]) == len(reply.body)


@pytest.mark.parametrize("path", HOT)
def test_a_batch_scores_as_its_rows_do(app: App, path: str) -> None:
    """Order kept; each score is that of the row alone."""
    rng = np.random.default_rng(5)
    rows = np.column_stack([np.ones(50), rng.uniform(0.0, 0.5, (50, 3))])
    reply = call(app, path, json.dumps({"rows": rows.tolist()}).encode())
    assert set(reply.json()) == {"request_id", "model_version", "scores"}
    np.testing.assert_allclose(reply.json()["scores"], logistic(rows, WEIGHTS), rtol=0, atol=1e-12)
    first = call(app, path, json.dumps({"features": rows[0].tolist()}).encode())
    assert first.json()["score"] == pytest.approx(reply.json()["scores"][0], abs=1e-15)


@pytest.mark.parametrize("path", HOT)
@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"features":[1,1e400,2,0]}', (422, "invalid_input")),
        (b'{"features":[1,NaN,2,0]}', (400, "bad_json")),
        (b'{"features":[1,null,2,0]}', (422, "invalid_input")),
        (b'{"features":[1,0.6,2,0]}', (422, "invalid_input")),
        (b'{"features":[1,0.01,2,0],"schema_crc32":"00000000"}', (422, "schema_mismatch")),
        (b'{"features":[1,0.01,2,0],"features":[1,0.01,2,0]}', (422, "repeated_key")),
        (b"", (400, "bad_json")),
        (b"x" * 65_537, (413, "body_too_large")),
    ],
)
def test_a_refusal_is_a_problem(app: App, path: str, body: bytes, outcome: tuple[int, str]) -> None:
    """RFC 9457 fields, the right status, and counted as the client's error."""
    _is_problem(call(app, path, body), *outcome)
    assert app.state.metrics.requests == {("v1.0.0", "client_error"): 1}


@pytest.mark.parametrize("path", HOT)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"])
def test_another_method_is_refused(app: App, path: str, method: str) -> None:
    """405, and which one would do."""
    reply = call(app, path, BODY, method=method)
    _is_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_another_method_elsewhere(app: App, method: str) -> None:
    """405 on the routes behind Starlette too."""
    reply = call(app, "/ml/health", b"", method=method)
    _is_problem(reply, 405, "method_not_allowed")
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/ml/observe", "/ml/canary"])
def test_every_method_of_a_path_is_named(app: App, path: str) -> None:
    """Also where one of them is a hot route, or each is a route of its own."""
    reply = call(app, path, b"", method="DELETE")
    _is_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "path",
    ["/", "/ml", "/ml/predict/", "/ml//predict", "/ML/predict", "/ml/predict%2f", "/../etc/passwd"],
)
def test_an_unknown_route_is_refused(app: App, path: str) -> None:
    """404; near misses are not redirected, nothing of the path comes back."""
    reply = call(app, path, BODY)
    _is_problem(reply, 404, "not_found")
    assert b"passwd" not in reply.body


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"application/jsonp")],
        [JSON, (b"content-encoding", b"gzip")],
    ],
)
def test_a_body_not_declared_as_json_is_refused(
    app: App, headers: list[tuple[bytes, bytes]]
) -> None:
    """415 before the body is read."""
    _is_problem(call(app, "/ml/predict", BODY, headers=headers), 415, "media_type")


@pytest.mark.parametrize("kind", [b"application/json; charset=utf-8", b"Application/JSON"])
def test_json_by_its_other_names(app: App, kind: bytes) -> None:
    """Parameters and case of the media type do not matter."""
    assert call(app, "/ml/predict", BODY, headers=[(b"content-type", kind)]).status == 200


@pytest.mark.parametrize("length", [b"65537", b"9" * 5_000])
def test_a_declared_length_is_enough_to_refuse(app: App, length: bytes) -> None:
    """413 without reading: the body here never arrives."""
    headers = [JSON, (b"content-length", length)]
    reply = call(app, "/ml/predict", None, method="POST", headers=headers)
    _is_problem(reply, 413, "body_too_large")


def test_a_body_without_a_length_is_counted(app: App) -> None:
    """A body that arrives in pieces is refused as soon as it is too large."""
    reply = call(app, "/ml/predict", [b" " * 30_000] * 3)
    _is_problem(reply, 413, "body_too_large")


def test_a_body_in_pieces_is_put_together(app: App) -> None:
    """However the network cuts it."""
    assert call(app, "/ml/predict", [BODY[:1], b"", BODY[1:9], BODY[9:]]).status == 200


def test_a_client_that_hangs_up_gets_nothing(app: App) -> None:
    """No answer, no count, no fault."""
    assert call(app, "/ml/predict", None, method="POST").status == 0
    assert app.state.metrics.requests == {}


@pytest.mark.parametrize("brought", [b"abc-1.2_3", b"a" * 64])
def test_a_request_id_is_echoed(app: App, brought: bytes) -> None:
    """In the header and in the body."""
    reply = call(app, "/ml/predict", BODY, headers=[JSON, (b"x-request-id", brought)])
    assert reply.headers["x-request-id"] == reply.json()["request_id"] == brought.decode()


@pytest.mark.parametrize("brought", [b"", b"a" * 65, b"a b", b"a\n", b"\xff", b'"'])
def test_an_improper_request_id_is_replaced(app: App, brought: bytes) -> None:
    """Never reflected, never a reason to refuse."""
    reply = call(app, "/ml/predict", BODY, headers=[JSON, (b"x-request-id", brought)])
    assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


def test_request_ids_differ(app: App) -> None:
    """Two requests without one get two."""
    first, second = call(app, "/ml/predict", BODY), call(app, "/ml/predict", BODY)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize("path", HOT)
def test_the_kill_switch(models: Path, path: str) -> None:
    """SERVE_KILL: predictions 503 with Retry-After, not ready, alive."""
    app = create_app(ServeSettings(models, killed=True))
    reply = call(app, path, BODY)
    _is_problem(reply, 503, "killed")
    assert int(reply.headers["retry-after"]) > 0
    assert call(app, "/ml/health/live").status == 200
    ready = call(app, "/ml/health/ready")
    assert (ready.status, ready.json()["reasons"]) == (503, ["killed"])


def test_the_kill_file(models: Path) -> None:
    """Created it switches off, removed it switches on, without a restart."""
    file = models.parent / "serve.kill"
    app = create_app(ServeSettings(models, kill_file=file))
    for killed in (False, True, False):
        if killed:
            file.touch()
        else:
            file.unlink(missing_ok=True)
        app.state.refresh()
        assert call(app, "/ml/predict", BODY).status == (503 if killed else 200)


def test_no_model(tmp_path: Path) -> None:
    """An empty registry is not ready: 503 everywhere but live and metrics."""
    app = create_app(ServeSettings(tmp_path))
    _is_problem(call(app, "/ml/predict", BODY), 503, "no_model")
    _is_problem(call(app, "/ml/model/info"), 503, "no_model")
    health = call(app, "/ml/health")
    assert health.status == 503
    assert health.json() == {
        "status": "unavailable",
        "ready": False,
        "reasons": ["no_model", "latest:artifact.not_found"],
        "model_version": None,
        "candidate_version": None,
    }
    assert call(app, "/ml/health/live").json() == {"status": "ok"}
    assert call(app, "/ml/metrics").status == 200


def test_health_of_a_good_server(app: App) -> None:
    """Ready, nothing to say."""
    assert call(app, "/ml/health/ready").json() == {"status": "ok", "ready": True, "reasons": []}
    assert call(app, "/ml/health").json()["model_version"] == "v1.0.0"


def test_draining(app: App) -> None:
    """A stopping server is not ready, still answers, and asks clients to leave."""
    app.state.is_draining = True
    assert call(app, "/ml/health/ready").status == 503
    reply = call(app, "/ml/predict", BODY)
    assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_model_info(app: App) -> None:
    """All a client needs to build a request."""
    value = call(app, "/ml/model/info").json()
    assert value["model_version"] == "v1.0.0"
    assert value["sha256"].startswith("sha256:")
    features = value["sidecar"]["features"]
    assert [field["name"] for field in features] == list(NAMES)
    body = {
        "features": [(field["low"] + field["high"]) / 2 for field in features],
        "schema_crc32": value["sidecar"]["schema_crc32"],
    }
    assert call(app, "/ml/predict", json.dumps(body).encode()).status == 200


class _Broken:
    """A predictor that fails as told."""

    def __init__(self, predictor: Any, error: Exception) -> None:
        self.sidecar, self._error = predictor.sidecar, error

    def predict_row(self, _values: object) -> float:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DegenerateModelError("secret"), 503, "model_failed"),
        (RuntimeError("secret"), 500, "internal"),
        (MemoryError("secret"), 500, "internal"),
    ],
)
def test_a_fault_is_a_problem_too(app: App, error: Exception, status: int, code: str) -> None:
    """Whatever breaks inside: a problem without internals, counted as ours."""
    live: Any = app.state.champion.live
    object.__setattr__(live, "predictor", _Broken(live.predictor, error))
    reply = call(app, "/ml/predict", BODY)
    _is_problem(reply, status, code)
    assert b"secret" not in reply.body
    assert app.state.metrics.requests == {("v1.0.0", "server_error"): 1}


def test_every_answered_row_is_logged(models: Path) -> None:
    """One line a row, with the score served; refusals leave none; no feature is written."""
    log = models.parent / "predictions.jsonl"
    app = create_app(ServeSettings(models, prediction_log=log))

    async def talk() -> None:
        async with running(app):
            await request(app, "/ml/predict", BODY, headers=[JSON, (b"x-request-id", b"one")])
            await request(app, "/ml/predict", b"{}")
            rows = json.dumps({"rows": [ROW, ROW], "request_id": "two"}).encode()
            await request(app, "/ml/predict-with-shadow", rows)

    asyncio.run(talk())
    lines = list(read_predictions(log))
    assert [(line.request_id, line.row, line.route) for line in lines] == [
        ("one", 0, "/ml/predict"),
        ("two", 0, "/ml/predict-with-shadow"),
        ("two", 1, "/ml/predict-with-shadow"),
    ]
    assert all(line.score == pytest.approx(SCORE) for line in lines)
    assert b"features" not in log.read_bytes()


def test_through_starlettes_client(models: Path) -> None:
    """Oracle: another ASGI client, with the lifespan."""
    app = create_app(ServeSettings(models, prediction_log=models.parent / "p.jsonl"))
    with TestClient(app, base_url="http://127.0.0.1:4010") as client:
        assert client.post("/ml/predict", json={"features": ROW}).json()["score"] == pytest.approx(
            SCORE
        )
        assert client.get("/ml/health").status_code == 200
        assert client.get("/nope").json()["code"] == "not_found"
    assert len(list(read_predictions(models.parent / "p.jsonl"))) == 1


def test_work_beside_the_requests_begins_again(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it did not foresee ends neither the work nor a clean stop, and stands in the log."""
    monkeypatch.setattr("mlwb.serve.app._PAUSE_S", 0.0)
    begun = asyncio.Event()

    async def run(times: list[int] = []) -> None:  # noqa: B006 - its memory
        times.append(1)
        if len(times) == 1:
            raise ValueError("a fault of ours")
        begun.set()

    monkeypatch.setattr(app.state.drift, "run", run)

    async def play() -> None:
        async with running(app):
            await begun.wait()

    asyncio.run(asyncio.wait_for(play(), 10))
    assert [record.message for record in caplog.records] == [
        "work beside the requests failed; it begins again"
    ]


def test_two_servers_do_not_disturb_each_other(models: Path, tmp_path: Path) -> None:
    """State belongs to an application, not to the module."""
    write_version(tmp_path / "other", "v2.0.0")
    point(tmp_path / "other", "latest", "v2.0.0")
    first, second = (create_app(ServeSettings(path)) for path in (models, tmp_path / "other"))
    assert call(first, "/ml/predict", BODY).json()["model_version"] == "v1.0.0"
    assert call(second, "/ml/predict", BODY).json()["model_version"] == "v2.0.0"
    assert first.state.metrics.latency_ms.counts != [0] * len(first.state.metrics.latency_ms.counts)
    assert second.state.metrics.requests == {("v2.0.0", "success"): 1}


def test_the_serving_path_is_light() -> None:
    """A fresh interpreter that imports the server has none of the research libraries."""
    heavy = {"pandas", "sklearn", "scipy", "numba", "matplotlib", "papermill", "nbformat", "onnx"}
    code = "import sys, mlwb.serve, mlwb.client; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert heavy & set(run.stdout.split()) == set()
    assert "mlwb.serve.app" in run.stdout
