"""Shadow: the candidate is compared and counted, and can never touch the answer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.predictionlog import read_predictions
from mlwb.serve import App, ServeSettings, create_app
from tests.inference.version_kit import (
    WEIGHTS,
    logistic,
    logistic_onnx,
    point,
    sidecar_for,
    write_version,
)
from tests.serve.asgi_kit import JSON, Reply, call, request, running

ROW = [1.0, 0.01, 2.0, -0.5]
BODY = json.dumps({"features": ROW}).encode()
NEAR = (0.11, 1.5, -0.4, 0.8)
FAR = (0.9, -1.0, 0.2, 0.1)
PATH = "/ml/predict-with-shadow"
HEADERS = (JSON, (b"x-request-id", b"same"))


class _Acting:
    """A candidate's predictor that does something before it scores."""

    def __init__(self, predictor: Any, act: Callable[[], None]) -> None:
        self.sidecar, self._predictor, self._act = predictor.sidecar, predictor, act

    def predict_row(self, values: Any) -> float:
        self._act()
        score: float = self._predictor.predict_row(values)
        return score

    def predict(self, rows: Any) -> Any:
        self._act()
        return self._predictor.predict(rows)


def _fail() -> None:
    raise RuntimeError("candidate bug")


def _wait(event: threading.Event) -> None:
    assert event.wait(10)


def _app(
    models: Path, weights: Any = NEAR, clock: ManualClock | None = None, **settings: Any
) -> App:
    write_version(models, "v2.0.0", weights=weights)
    point(models, "candidate", "v2.0.0")
    return create_app(ServeSettings(models, **settings), clock=clock)


def _acting(app: App, act: Callable[[], None], cost_ms: float = 0.01) -> App:
    live = app.state.candidate.live
    assert live is not None
    predictor: Any = _Acting(live.predictor, act)
    app.state.candidate.live = dataclasses.replace(live, predictor=predictor, cost_ms=cost_ms)
    return app


def _shadow(app: App, body: bytes = BODY) -> Any:
    return call(app, PATH, body, query=b"wait=1").json()["shadow"]


def test_waited_for(models: Path) -> None:
    """The candidate's side beside the champion's; both are numpy's numbers."""
    found = _shadow(_app(models))
    champion, candidate = (float(logistic(np.array(ROW), w)) for w in (WEIGHTS, NEAR))
    assert set(found) == {"version", "score", "delta", "match", "latency_ms", "error"}
    assert (found["version"], found["match"], found["error"]) == ("v2.0.0", True, "")
    assert found["score"] == pytest.approx(candidate, abs=1e-12)
    assert found["delta"] == pytest.approx(candidate - champion, abs=1e-12)
    assert found["latency_ms"] > 0


def test_a_batch_is_compared_row_by_row(models: Path) -> None:
    """As many outcomes as rows, in their order."""
    rows = [ROW, [1.0, 0.4, 0.0, 2.0]]
    found = _shadow(_app(models, FAR), json.dumps({"rows": rows}).encode())
    deltas = logistic(np.array(rows), FAR) - logistic(np.array(rows), WEIGHTS)
    assert [outcome["delta"] for outcome in found] == pytest.approx(deltas.tolist(), abs=1e-12)
    assert [outcome["match"] for outcome in found] == [abs(d) <= 0.05 for d in deltas]


def test_waiting_adds_a_key_and_changes_nothing_else(models: Path) -> None:
    """The answer with the candidate's side begins with the bytes of the answer without."""
    app = _app(models)
    plain = call(app, PATH, BODY, headers=HEADERS).body
    waited = call(app, PATH, BODY, headers=HEADERS, query=b"wait=1").body
    assert waited.startswith(plain[:-1] + b',"shadow":{')


def test_the_answer_leaves_first(models: Path) -> None:
    """The candidate is not called before the last byte was handed over."""
    order: list[str] = []
    app = _acting(_app(models), lambda: order.append("candidate"))

    async def talk() -> Reply:
        reply = await request(app, PATH, BODY)
        order.append("answered")
        await asyncio.sleep(0)
        app.state.settle()
        return reply

    assert asyncio.run(talk()).status == 200
    assert order == ["answered", "candidate"]


def test_a_slow_candidate_does_not_hold_up_others(models: Path) -> None:
    """It runs on a thread of its own: others are answered while it sleeps."""
    app = _acting(_app(models), lambda: time.sleep(0.3), cost_ms=300.0)

    async def talk() -> float:
        async with running(app):
            await request(app, PATH, BODY)
            start = time.perf_counter()
            for _ in range(20):
                assert (await request(app, "/ml/predict", BODY)).status == 200
            return time.perf_counter() - start

    assert asyncio.run(talk()) < 0.25


@pytest.mark.parametrize("cost_ms", [0.01, 30.0])
def test_a_candidate_over_its_budget_is_an_error(models: Path, cost_ms: float) -> None:
    """On the loop or on its thread: too late is no score."""
    app = _app(models, shadow_budget_ms=5.0)
    outcome = _shadow(_acting(app, lambda: time.sleep(0.03), cost_ms=cost_ms))
    assert (outcome["error"], outcome["score"]) == ("budget", None)
    assert app.state.metrics.errors == 1


def test_a_failing_candidate_is_an_error(models: Path) -> None:
    """Its exception becomes a word; the answer stands."""
    app = _acting(_app(models), _fail)
    reply = call(app, PATH, BODY, query=b"wait=1")
    assert reply.status == 200
    assert reply.json()["shadow"]["error"] == "model"
    assert b"candidate bug" not in reply.body


def test_no_candidate(app: App) -> None:
    """Said when waited for; not an error of anybody."""
    assert _shadow(app)["error"] == "no_candidate"
    assert (app.state.metrics.errors, app.state.metrics.success) == (0, 0)


def test_another_schema_cannot_be_compared(models: Path) -> None:
    """A candidate with other features is an error, not a guess."""
    names = ("bias", "mid_logret_1m", "spread_bp", "vol1m_log")
    write_version(models, "v2.0.0", sidecar=sidecar_for("v2.0.0", names))
    point(models, "candidate", "v2.0.0")
    assert _shadow(create_app(ServeSettings(models)))["error"] == "schema"


def test_a_row_the_candidate_would_refuse(models: Path) -> None:
    """Outside the candidate's own range it has no score; rows inside still have."""
    narrow = sidecar_for("v2.0.0")
    fields = tuple(
        dataclasses.replace(f, high=1.5) if f.name == "rsi14_z" else f for f in narrow.features
    )
    write_version(models, "v2.0.0", sidecar=dataclasses.replace(narrow, features=fields))
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    rows = [ROW, [1.0, 0.0, 0.0, 1.9], ROW]
    found = _shadow(app, json.dumps({"rows": rows}).encode())
    assert [outcome["error"] for outcome in found] == ["", "range", ""]
    assert found[0]["score"] == pytest.approx(found[2]["score"])
    assert _shadow(app, json.dumps({"features": rows[1]}).encode())["error"] == "range"


def test_a_candidate_that_keeps_failing_is_left_alone_and_tried_again(models: Path) -> None:
    """Health, gauges and the word on the wire say so; after good probes it is asked as before."""
    clock = ManualClock()
    app = _app(models, shadow_least=4, shadow_pause_s=30.0, shadow_probes=2, clock=clock)
    good = app.state.candidate.live
    _acting(app, _fail)

    def seen() -> tuple[str, list[str], str]:
        health = call(app, "/ml/health").json()
        report = call(app, "/ml/monitoring/shadow").json()
        return report["breaker"]["state"], health["reasons"], health["status"]

    assert [_shadow(app)["error"] for _ in range(6)] == ["model"] * 4 + ["breaker"] * 2
    assert seen() == ("open", ["candidate:breaker_open"], "degraded")
    app.state.candidate.live = good
    clock.advance(30.0)
    assert [_shadow(app)["error"] for _ in range(3)] == [""] * 3
    assert seen() == ("closed", [], "ok")
    text = call(app, "/ml/metrics").body.decode()
    for sample in ("skipped_total 2", "error_total 4", "breaker_opened_total 1", "breaker_state 0"):
        assert f"\nml_shadow_{sample}\n" in text


def test_a_candidate_that_became_slow_leaves_the_loop(models: Path) -> None:
    """Cheap when it was loaded, slow since: after a request it runs on its thread."""
    threads = list[str]()

    def drag() -> None:
        threads.append(threading.current_thread().name)
        time.sleep(0.015)

    app = _acting(_app(models, shadow_budget_ms=10_000.0), drag)

    async def talk() -> None:
        for _ in range(3):
            await request(app, PATH, BODY, query=b"wait=1")

    asyncio.run(talk())
    assert threads[0] == threading.main_thread().name
    assert threads[1:] == ["mlwb-shadow"] * 2


@pytest.mark.parametrize("how", ["together", "one by one"])
def test_requests_of_one_moment_leave_the_loop_too(models: Path, how: str) -> None:
    """After the one they share, and at most one more that shows how slow it became."""
    threads = list[str]()

    def drag() -> None:
        threads.append(threading.current_thread().name)
        time.sleep(0.015)

    app = _acting(_app(models, shadow_budget_ms=10.0), drag)
    live = app.state.candidate.live
    assert live is not None
    app.state.candidate.live = dataclasses.replace(live, is_row_exact=how == "together")

    async def talk() -> None:
        for _ in range(20):
            await request(app, PATH, BODY)
        app.state.settle()

    asyncio.run(talk())
    assert threads.count(threading.main_thread().name) <= 2


def test_many_cheap_requests_do_not_make_a_dear_one(models: Path) -> None:
    """What a request costs decides about the thread, not how many came in the same moment."""
    threads = list[str]()
    app = _acting(
        _app(models, shadow_budget_ms=10_000.0),
        lambda: threads.append(threading.current_thread().name),
        cost_ms=0.1,
    )

    async def talk() -> None:
        for _ in range(30):
            await request(app, PATH, BODY)
        app.state.settle()

    asyncio.run(talk())
    assert set(threads) == {threading.main_thread().name}
    assert app.state.metrics.success == 30


def test_a_candidate_that_never_returns_costs_a_thread_and_nothing_else(models: Path) -> None:
    """The first waits for the budget, others are refused; the next candidate is asked."""
    app = _app(models, shadow_queue=1, shadow_budget_ms=300.0, shadow_least=1000)
    never, asked = threading.Event(), threading.Event()
    _acting(app, lambda: _wait(never), cost_ms=50.0)
    write_version(models, "v3.0.0")
    other = create_app(ServeSettings(models, candidate="v3.0.0"))
    _acting(other, asked.set, cost_ms=50.0)

    async def talk() -> list[str]:
        async with running(app):
            replies = [await request(app, PATH, BODY, query=b"wait=1") for _ in range(3)]
            app.state.candidate.live = other.state.candidate.live
            await request(app, PATH, BODY, query=b"wait=1")
        return [reply.json()["shadow"]["error"] for reply in replies]

    assert asyncio.run(talk()) == ["budget", "dropped", "dropped"]
    assert asked.wait(10)
    never.set()


def test_too_many_waiting_are_dropped_and_counted(models: Path) -> None:
    """The queue is bounded; what does not fit is dropped, never waited for."""
    release = threading.Event()
    app = _acting(_app(models, shadow_queue=5), lambda: _wait(release), cost_ms=50.0)

    async def talk() -> None:
        async with running(app):
            for _ in range(12):
                assert (await request(app, PATH, BODY)).status == 200
            app.state.settle()
            for _ in range(20):
                await asyncio.sleep(0)
            assert app.state.metrics.dropped == 7
            release.set()
            await asyncio.gather(*app._shadow._tasks)

    asyncio.run(talk())
    assert app.state.metrics.requests[("v1.0.0", "success")] == 12
    assert app.state.metrics.errors + app.state.metrics.success == 5


@pytest.mark.parametrize(("weights", "matches"), [(NEAR, 1), (FAR, 0)])
def test_counted(models: Path, weights: Any, matches: int) -> None:
    """Success, match, difference and both latencies, once a request."""
    app = _app(models, weights)
    call(app, PATH, BODY)
    metrics = app.state.metrics
    assert (metrics.success, metrics.errors, metrics.match) == (1, 0, matches)
    assert metrics.match + metrics.mismatch == 1
    for histogram in (metrics.abs_delta, metrics.shadow_ms, metrics.baseline_ms):
        assert sum(histogram.counts) == 1


def test_plain_predictions_are_not_shadowed(models: Path) -> None:
    """`/ml/predict` never calls the candidate."""
    app = _acting(_app(models), _fail)
    call(app, "/ml/predict", BODY)
    assert app.state.metrics.errors == 0


def test_comparisons_are_logged(models: Path) -> None:
    """Champion and candidate on one line of the shadow log."""
    log = models.parent / "shadow" / "predictions.jsonl"
    app = _app(models, FAR, shadow_log=log)

    async def talk() -> None:
        async with running(app):
            await request(app, PATH, BODY, headers=HEADERS)
            await asyncio.sleep(0)

    asyncio.run(talk())
    (line,) = read_predictions(log)
    assert line.request_id == "same"
    assert line.model_version == "v1.0.0"
    assert line.shadow is not None
    assert (line.shadow.version, line.shadow.match) == ("v2.0.0", False)
    assert line.shadow.delta == pytest.approx(line.shadow.score - line.score)  # type: ignore[operator]


def test_a_candidate_without_probabilities_never_becomes_one(models: Path) -> None:
    """A candidate that scores NaN is refused at load; health names it, answers go on."""
    write_version(models, "v2.0.0", onnx=logistic_onnx(NEAR, scale=float("nan")))
    point(models, "candidate", "v2.0.0")
    app = create_app(ServeSettings(models))
    assert call(app, PATH, BODY).status == 200
    assert call(app, "/ml/health").json()["reasons"] == ["candidate:model.degenerate"]
