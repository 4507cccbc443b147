"""The client: an answer within the deadline, or the fallback."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlwb.client import Breaker, PredictClient, RetryPolicy
from mlwb.core.clock import ManualClock, SystemClock
from mlwb.core.errors import ParamsError, ServeError
from tests.client.scripted_kit import Scene, answer, free_port, scripted
from tests.inference.version_kit import NAMES, WEIGHTS, logistic, point, write_version
from tests.serve.server_kit import server

ROW = [1.0, 0.01, 2.0, -0.5]
GOOD = answer(200, b'{"request_id":"r","model_version":"v1","score":0.25}')


def _problem(status: int, code: str, *headers: str) -> bytes:
    return answer(status, json.dumps({"code": code, "detail": "no"}).encode(), *headers)


def _client(url: str, **options: Any) -> tuple[PredictClient, list[float]]:
    waits: list[float] = []
    rng = random.Random(1)  # noqa: S311 - jitter
    options = {"sleep": waits.append, "rng": rng, "timeout_s": 2.0, **options}
    return PredictClient(url, **options), waits


@pytest.mark.parametrize(
    "row", [ROW, tuple(ROW), np.array(ROW), dict(zip(NAMES, ROW, strict=True))]
)
def test_a_score(row: Any) -> None:
    """List, tuple, array or names; the answer carries its source, version and time."""
    with scripted(GOOD) as script, _client(script.url)[0] as client:
        found = client.predict(row, request_id="my-id")
        assert (found.score, found.source, found.reason) == (0.25, "model", "")
        assert (found.model_version, found.request_id) == ("v1", "my-id")
        assert found.latency_ms > 0
    head, _, body = script.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /ml/predict HTTP/1.1\r\n")
    assert b"X-Request-Id: my-id" in head
    sent = json.loads(body)["features"]
    assert (list(sent.values()) if isinstance(sent, dict) else sent) == ROW


def test_one_connection_for_many_calls() -> None:
    """Kept open; a cold client connects anew for each."""
    for keep_alive, connections in ((True, 1), (False, 5)):
        with scripted(*[GOOD] * 5) as script:
            with _client(script.url, keep_alive=keep_alive)[0] as client:
                for _ in range(5):
                    client.predict(ROW)
            assert script.connections == connections


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_not_worked_on_is_asked_again(status: int) -> None:
    """Once more, with the same request id."""
    again = _problem(status, "busy")
    with scripted(again, GOOD) as script, _client(script.url)[0] as client:
        assert client.predict(ROW).score == 0.25
    ids = {line for r in script.requests for line in r.split(b"\r\n") if b"X-Request-Id" in line}
    assert (len(script.requests), len(ids)) == (2, 1)


def test_a_wait_is_what_the_server_asked_for_plus_jitter() -> None:
    """Never earlier, and not in step with other clients."""
    again = _problem(503, "killed", "Retry-After: 1")
    with scripted(again, again, GOOD) as script:
        client, waits = _client(script.url, timeout_s=30.0)
        with client:
            assert client.predict(ROW).source == "model"
    assert len(waits) == 2
    assert 1.0 <= waits[0] <= 1.02
    assert 1.0 <= waits[1] <= 1.04


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    """A server that asks for a minute gets none of the caller's time."""
    with scripted(_problem(503, "killed", "Retry-After: 60")) as script:
        client, waits = _client(script.url, fallback=0.5)
        with client:
            found = client.predict(ROW)
    assert (found.source, found.reason, waits) == ("fallback", "killed", [])


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 502, 504])
def test_what_may_have_been_worked_on_is_not_asked_again(status: int) -> None:
    """One request only; the server's code is the reason."""
    with scripted(_problem(status, "some_code"), GOOD) as script, _client(script.url)[0] as client:
        with pytest.raises(ServeError) as caught:
            client.predict(ROW)
        assert (caught.value.status, caught.value.problem) == (status, "some_code")
    assert len(script.requests) == 1


def test_no_server() -> None:
    """Tried three times with growing jitter, then the fallback; without one, an error."""
    client, waits = _client(f"http://127.0.0.1:{free_port()}", fallback=lambda row: row[1])
    found = client.predict(ROW)
    assert (found.score, found.source, found.reason) == (0.01, "fallback", "unreachable")
    assert len(waits) == 2
    assert 0 <= waits[0] <= 0.02
    assert 0 <= waits[1] <= 0.04
    bare, _ = _client(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServeError, match="cannot be reached"):
        bare.predict(ROW)


def test_a_silent_server_costs_the_deadline_and_no_more() -> None:
    """A timeout is not asked again."""
    with scripted("silence") as script:
        client, waits = _client(script.url, timeout_s=0.1, fallback=0.5)
        with client:
            start = time.perf_counter()
            found = client.predict(ROW)
            taken = time.perf_counter() - start
    assert (found.reason, waits) == ("timeout", [])
    assert 0.09 < taken < 1.0


def test_a_kept_connection_the_server_closed() -> None:
    """Opened again without a word; that is no fault of the request."""
    with scripted(GOOD, "hang up", GOOD) as script:
        client, waits = _client(script.url)
        with client:
            assert client.predict(ROW).source == "model"
            assert client.predict(ROW).source == "model"
    assert (script.connections, waits) == (2, [])


def test_a_fresh_connection_that_breaks_is_lost() -> None:
    """The request may have been worked on: it is not sent twice."""
    with scripted("hang up", GOOD) as script, _client(script.url, fallback=0.5)[0] as client:
        assert client.predict(ROW).reason == "lost"
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"\xff",
        b'{"request_id":"r","model_version":"v1","score":null}',
        b'{"request_id":"r","model_version":"v1","score":"0.5"}',
        b'{"request_id":"r","model_version":"v1","score":1.5}',
        b'{"request_id":"r","model_version":"v1","score":-0.1}',
        b'{"request_id":"r","model_version":"v1","score":NaN}',
        b'{"request_id":"r","model_version":"v1","score":1e999}',
    ],
)
def test_an_answer_that_is_none(body: bytes) -> None:
    """Another server's page or a poisoned score never becomes a score to trade on."""
    with scripted(answer(200, body)) as script, _client(script.url, fallback=0.5)[0] as client:
        assert client.predict(ROW).reason == "bad_answer"


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (b"garbage\r\n\r\n", "lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "timeout"),
    ],
)
def test_broken_http(scene: Scene, reason: str) -> None:
    """Neither a hang nor another exception."""
    with scripted(scene) as script:
        client, _ = _client(script.url, fallback=0.5, timeout_s=0.2)
        with client:
            assert client.predict(ROW).reason == reason


def test_an_improper_request_id_is_replaced() -> None:
    """Nothing can be put into the head of a request."""
    with scripted(GOOD) as script, _client(script.url)[0] as client:
        assert len(client.predict(ROW, request_id="a\r\nX-Evil: 1").request_id) == 16
    assert b"Evil" not in script.requests[0]


def test_the_breaker_spares_a_dead_server() -> None:
    """After five failed calls no more are made until it is time to try one."""
    clock = ManualClock()
    refusal = [_problem(500, "internal")] * 5
    with scripted(*refusal, GOOD) as script:
        client, _ = _client(script.url, clock=clock, fallback=0.5)
        with client:
            reasons = [client.predict(ROW).reason for _ in range(8)]
            assert reasons == ["internal"] * 5 + ["circuit_open"] * 3
            clock.advance(10.0)
            assert client.predict(ROW).source == "model"
    assert len(script.requests) == 6


def test_a_client_error_does_not_open_the_breaker() -> None:
    """The server is well; the row was not."""
    with scripted(*[_problem(422, "invalid_input")] * 8) as script:
        client, _ = _client(script.url, fallback=0.5)
        with client:
            assert {client.predict(ROW).reason for _ in range(8)} == {"invalid_input"}


def test_retries_are_at_most_a_tenth_of_the_calls() -> None:
    """A brown-out is not made worse: once the saved retries are spent, each call asks once."""
    calls = 40
    with scripted(*[_problem(503, "killed")] * 200) as script:
        clock = SystemClock()
        rng = random.Random(1)  # noqa: S311 - jitter
        never = Breaker(clock, rng, consecutive=10**6, sample=10**6)
        client, waits = _client(script.url, fallback=0.5, breaker=never, clock=clock)
        with client:
            for _ in range(calls):
                client.predict(ROW)
    assert len(waits) <= 10 + calls * 0.1
    assert len(script.requests) == calls + len(waits)


def test_no_retries_when_told_so() -> None:
    """The policy is the caller's."""
    with scripted(_problem(503, "killed"), GOOD) as script:
        client, _ = _client(script.url, fallback=0.5, policy=RetryPolicy(retries=0))
        with client:
            assert client.predict(ROW).reason == "killed"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4010", "ftp://host", "http://", "http://host:port", "file:///etc/passwd"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """At once, not at the first call."""
    with pytest.raises(ParamsError, match="http://host:port"):
        PredictClient(url)


def test_a_path_in_front() -> None:
    """A server behind a reverse proxy."""
    with scripted(GOOD) as script, _client(script.url + "/scores/")[0] as client:
        client.predict(ROW)
    assert script.requests[0].startswith(b"POST /scores/ml/predict ")


def test_the_raw_way_adds_nothing() -> None:
    """Status, bytes and time, whatever the status; one request."""
    with scripted(_problem(503, "killed"), GOOD) as script, _client(script.url)[0] as client:
        status, body, latency_ms = client.post_raw("/ml/predict", b"anything")
        assert (status, json.loads(body)["code"]) == (503, "killed")
        assert latency_ms > 0
    assert len(script.requests) == 1
    assert script.requests[0].endswith(b"\r\n\r\nanything")


@pytest.mark.server
def test_against_the_server(tmp_path: Path) -> None:
    """The real thing: score, shadow, health, metrics, description; then the server is gone."""
    models = tmp_path / "models"
    for channel, version in (("latest", "v1.0.0"), ("candidate", "v2.0.0")):
        write_version(models, version)
        point(models, channel, version)
    expected = float(logistic(np.array(ROW), WEIGHTS))
    with server(models, tmp_path) as running, PredictClient(running.url, fallback=0.5) as client:
        named = dict(zip(NAMES, ROW, strict=True))
        for found in (client.predict(ROW), client.predict(named), client.predict_with_shadow(ROW)):
            assert found.score == pytest.approx(expected)
            assert (found.source, found.model_version) == ("model", "v1.0.0")
            assert found.shadow is None
        waited = client.predict_with_shadow(ROW, wait=True)
        assert waited.shadow is not None
        assert (waited.shadow.version, waited.shadow.match) == ("v2.0.0", True)
        assert client.predict([1.0, float("nan"), 2.0, -0.5]).reason == "invalid_input"
        assert client.predict([1.0, float("inf"), 2.0, -0.5]).reason == "invalid_input"
        assert client.health()["candidate_version"] == "v2.0.0"
        assert client.model_info()["model_version"] == "v1.0.0"
        assert 'ml_predict_requests_total{model_version="v1.0.0",status="success"} 4' in (
            client.metrics()
        )
        running.process.terminate()
        running.process.wait(10)
        assert client.predict(ROW).source == "fallback"
