"""What waits until requests are answered: done soon, in order, and before anything is shown."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlwb.core.predictionlog import PredictionLine, read_predictions
from mlwb.serve import App, KeyFile, ServeSettings, create_app
from mlwb.serve._gather import Gathered
from mlwb.serve._key_watch import KeyRing
from tests.inference.version_kit import logistic_onnx, point, write_version
from tests.serve.asgi_kit import call, request, running

PATH = "/ml/predict-with-shadow"
FAR = (0.9, -1.0, 0.2, 0.1)
ROWS = [[1.0, step / 50, step / 3.0, step / 20 - 1.0] for step in range(24)]


def test_things_wait_for_each_other_but_not_long() -> None:
    """All in one call, in their order, without anybody asking; the next ones in another."""
    done: list[list[int]] = []

    async def work() -> None:
        gathered = Gathered(done.append)
        for item in range(3):
            gathered.add(item)
        assert done == []
        await asyncio.sleep(0.03)
        gathered.add(3)
        await asyncio.sleep(0.03)

    asyncio.run(work())
    assert done == [[0, 1, 2], [3]]


def test_many_things_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen are worked on as soon as the loop turns, each once, and none before."""
    monkeypatch.setattr("mlwb.serve._gather._MOMENT_S", 600.0)
    done: list[list[int]] = []

    async def work() -> None:
        gathered = Gathered(done.append)
        for item in range(40):
            gathered.add(item)
        assert done == []
        await asyncio.sleep(0)
        gathered.add(40)
        await asyncio.sleep(0)

    asyncio.run(work())
    assert done == [list(range(40))]


def test_a_large_batch_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has much to be done is done before more comes; small ones beside it go along."""
    monkeypatch.setattr("mlwb.serve._gather._MOMENT_S", 600.0)
    done: list[list[int]] = []

    async def work() -> None:
        gathered = Gathered(done.append)
        for item, n_rows in enumerate((1, 32, 1_000, 1, 32)):
            gathered.add(item, n_rows)
            await asyncio.sleep(0)

    asyncio.run(work())
    assert done == [[0, 1, 2]]


def test_settling_does_it_now_and_once() -> None:
    """Whoever shows numbers need not wait for the timer, and the timer finds nothing left."""
    done: list[list[int]] = []

    async def work() -> None:
        gathered = Gathered(done.append)
        gathered.add(1)
        gathered.settle()
        gathered.settle()
        await asyncio.sleep(0.03)

    asyncio.run(work())
    assert done == [[1]]


def test_a_scrape_shows_every_answer_before_it(app: App) -> None:
    """Nothing that was answered is missing, however soon the scrape comes."""

    async def talk() -> str:
        for row in ROWS:
            await request(app, "/ml/predict", _body(row))
        return (await request(app, "/ml/metrics")).body.decode()

    assert "\nml_prediction_score_count 24\n" in asyncio.run(talk())


@pytest.fixture
def _inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine keeps a call waiting, the candidate stays on the loop."""
    monkeypatch.setattr("mlwb.serve._shadow._INLINE_MS", 1e9)


def _body(row: list[float]) -> bytes:
    return json.dumps({"features": row, "request_id": f"r{row[1]}"}).encode()


def _app(models: Path, log: Path) -> App:
    write_version(models, "v2.0.0", weights=FAR)
    point(models, "candidate", "v2.0.0")
    return create_app(ServeSettings(models, shadow_log=log))


def _one_by_one(app: App) -> None:
    for row in ROWS:
        call(app, PATH, _body(row))


def _at_once(app: App) -> None:
    async def talk() -> None:
        await asyncio.gather(*(request(app, PATH, _body(row)) for row in ROWS))

    asyncio.run(talk())


def _compared(app: App, log: Path) -> list[PredictionLine]:
    async def close() -> None:
        async with running(app):
            pass

    app.state.settle()
    asyncio.run(close())
    lines = sorted(read_predictions(log), key=lambda line: line.request_id)
    return [_timeless(line) for line in lines]


def _timeless(line: PredictionLine) -> PredictionLine:
    """Without what a clock said."""
    assert line.shadow is not None
    shadow = msgspec.structs.replace(line.shadow, latency_ms=None)
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    return msgspec.structs.replace(line, ts=stamp, latency_ms=0.0, shadow=shadow)


@pytest.mark.usefixtures("_inline")
def test_compared_together_is_compared_one_by_one(models: Path, tmp_path: Path) -> None:
    """The same scores, differences, matches and counts for each request of a crowd."""
    logs = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    first = _app(models, logs[0])
    second = create_app(ServeSettings(models, shadow_log=logs[1]))
    _one_by_one(first)
    _at_once(second)
    assert _compared(first, logs[0]) == _compared(second, logs[1])
    for name in ("success", "errors", "match", "mismatch"):
        assert getattr(first.state.metrics, name) == getattr(second.state.metrics, name)
    assert first.state.metrics.abs_delta.counts == second.state.metrics.abs_delta.counts


@pytest.mark.usefixtures("_inline")
def test_one_bad_row_of_a_crowd_is_nobody_elses_error(models: Path, tmp_path: Path) -> None:
    """A candidate that fails on a row fails on that request; the others are compared."""
    app = _app(models, tmp_path / "s.jsonl")
    live = app.state.candidate.live
    assert live is not None
    predictor: Any = _Picky(live.predictor, ROWS[7])
    app.state.candidate.live = dataclasses.replace(live, predictor=predictor)
    _at_once(app)
    lines = _compared(app, tmp_path / "s.jsonl")
    failed = [line.request_id for line in lines if line.shadow and line.shadow.error]
    assert failed == [f"r{ROWS[7][1]}"]
    assert (app.state.metrics.success, app.state.metrics.errors) == (23, 1)


@pytest.mark.usefixtures("_inline")
def test_rows_that_know_of_each_other_are_compared_one_by_one(models: Path, tmp_path: Path) -> None:
    """A candidate whose rows have other bits in a batch gets each request alone."""
    logs = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    write_version(models, "v2.0.0", weights=FAR, onnx=logistic_onnx(FAR, leak=1e-15))
    point(models, "candidate", "v2.0.0")
    first, second = (create_app(ServeSettings(models, shadow_log=log)) for log in logs)
    assert second.state.candidate.live is not None
    assert not second.state.candidate.live.is_row_exact
    _one_by_one(first)
    _at_once(second)
    assert _compared(first, logs[0]) == _compared(second, logs[1])


class _Picky:
    """Refuses one row, alone and among others."""

    def __init__(self, predictor: Any, bad: list[float]) -> None:
        self.sidecar, self._predictor, self._bad = predictor.sidecar, predictor, tuple(bad)

    def predict_row(self, values: Any) -> Any:
        if tuple(values) == self._bad:
            raise RuntimeError("this row")
        return self._predictor.predict_row(values)

    def predict(self, rows: Any) -> Any:
        if self._bad in [tuple(row) for row in rows.tolist()]:
            raise RuntimeError("one of these rows")
        return self._predictor.predict(rows)


def test_a_key_that_was_honoured_still_expires(tmp_path: Path) -> None:
    """That a key is known already says nothing about its time, and nothing about others."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys = KeyFile(tmp_path / "keys.json")
    record, key = keys.add("bot", ["predict"], now=now, days=1)
    ring = KeyRing(keys.records())
    for _ in range(3):
        caller = ring.holder(key.encode(), now)
        assert caller is not None
        assert caller.name == record.id
        assert ring.holder(key.encode() + b"x", now) is None
    assert ring.holder(key.encode(), now + timedelta(days=1)) is None


@pytest.mark.parametrize("n_rows", [2, 300])
def test_batches_join_without_holding_up_the_loop(
    models: Path, tmp_path: Path, n_rows: int
) -> None:
    """Requests of many rows are compared too, each with its own scores."""
    app = _app(models, tmp_path / "s.jsonl")
    body = json.dumps({"rows": [ROWS[3]] * n_rows}).encode()

    async def talk() -> None:
        await asyncio.gather(*(request(app, PATH, body) for _ in range(5)))
        await asyncio.sleep(0.05)

    asyncio.run(talk())
    assert app.state.metrics.success == 5 * n_rows
