"""Both clients: an answer within the deadline, or the fallback."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest

from mlwb.client import AsyncPredictClient, Breaker, PredictClient, RetryPolicy
from mlwb.core.clock import ManualClock, SystemClock, format_utc
from mlwb.core.errors import ParamsError, ServeError
from tests.client.conftest import Connect
from tests.client.scripted_kit import GOOD, answer, free_port, problem, scored, scripted
from tests.inference.version_kit import NAMES

ROW = [1.0, 0.01, 2.0, -0.5]


def _body(request: bytes) -> Any:
    return json.loads(request.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    "row", [ROW, tuple(ROW), np.array(ROW), dict(zip(NAMES, ROW, strict=True))]
)
def test_a_score(connect: Connect, row: Any) -> None:
    """List, tuple, array or names; the answer carries its source, version and time."""
    with scripted(GOOD) as script:
        found = connect(script.url).predict(row, request_id="my-id")
        assert (found.score, found.source, found.reason) == (0.25, "model", "")
        assert (found.model_version, found.request_id) == ("v1", "my-id")
        assert found.latency_ms > 0
        assert found.may_trade
    assert script.requests[0].startswith(b"POST /ml/predict HTTP/1.1\r\n")
    assert script.request_ids == {"my-id"}
    sent = _body(script.requests[0])["features"]
    assert (list(sent.values()) if isinstance(sent, dict) else sent) == ROW


def test_several_rows(connect: Connect) -> None:
    """One request, one prediction a row, in order; an array is rows."""
    with scripted(GOOD) as script:
        found = connect(script.url).call("predict_many", np.array([ROW, ROW, ROW]))
    assert [item.score for item in found] == [0.25, 0.375, 0.5]
    assert len({item.request_id for item in found}) == 1
    assert _body(script.requests[0])["rows"] == [ROW] * 3


def test_several_rows_fall_back_together(connect: Connect) -> None:
    """No mixture of the model's scores and made-up ones; a function is asked for each row."""
    with scripted(scored(scores=[0.5])) as script:
        found = connect(script.url, fallback=lambda row: row[1]).call("predict_many", [ROW, ROW])
    assert [(item.score, item.reason) for item in found] == [(0.01, "bad_answer")] * 2
    assert not any(item.may_trade for item in found)


def test_a_dry_run_asks_and_never_trades(connect: Connect) -> None:
    """Everything is real but the permission."""
    with scripted(GOOD) as script:
        found = connect(script.url, dry_run=True).predict(ROW)
    assert (found.score, found.source, found.is_dry_run) == (0.25, "model", True)
    assert not found.may_trade


def test_one_connection_for_many_calls(connect: Connect) -> None:
    """Kept open; a cold client connects anew for each."""
    for keep_alive, connections in ((True, 1), (False, 5)):
        with scripted(*[GOOD] * 5) as script:
            client = connect(script.url, keep_alive=keep_alive)
            for _ in range(5):
                client.predict(ROW)
        assert script.connections == connections
        assert (b"Connection: close" in script.requests[0]) is not keep_alive


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_not_worked_on_is_asked_again(connect: Connect, status: int) -> None:
    """Once more, with the same request id."""
    with scripted(problem(status, "busy"), GOOD) as script:
        assert connect(script.url).predict(ROW).score == 0.25
    assert (len(script.requests), len(script.request_ids)) == (2, 1)


@pytest.mark.parametrize("form", ["1", "date"])
def test_a_wait_is_what_the_server_asked_for_plus_jitter(connect: Connect, form: str) -> None:
    """Never earlier, and not in step with other clients; in seconds or as a date."""
    clock = ManualClock()
    assert format_utc(clock.now()) == "2026-01-01T00:00:00Z"
    when = "1" if form == "1" else "Thu, 01 Jan 2026 00:00:01 GMT"
    again = problem(503, "killed", f"Retry-After: {when}")
    with scripted(again, again, GOOD) as script:
        client = connect(script.url, timeout_s=30.0, clock=clock)
        assert client.predict(ROW).source == "model"
    assert len(client.waits) == 2
    assert 1.0 <= client.waits[0] <= 1.02
    assert 1.0 <= client.waits[1] <= 1.04


@pytest.mark.parametrize(
    "said",
    [
        "-1",
        "1e9",
        "soon",
        "99999999999999999999",
        "Thu, 01 Jan 2026",
        "Xxx, 99 Xxx 9999 99:99:99 GMT",
    ],
)
def test_a_wait_that_is_none_is_not_believed(connect: Connect, said: str) -> None:
    """Nonsense in Retry-After is as if it were not there."""
    with scripted(problem(503, "killed", f"Retry-After: {said}"), GOOD) as script:
        client = connect(script.url)
        assert client.predict(ROW).source == "model"
    assert client.waits[0] <= 0.02


def test_a_wait_beyond_the_deadline_is_not_begun(connect: Connect) -> None:
    """A server that asks for a minute gets none of the caller's time."""
    with scripted(problem(503, "killed", "Retry-After: 60")) as script:
        client = connect(script.url, fallback=0.5)
        found = client.predict(ROW)
    assert (found.source, found.reason, client.waits) == ("fallback", "killed", [])


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 422, 500, 502, 504])
def test_what_may_have_been_worked_on_is_not_asked_again(connect: Connect, status: int) -> None:
    """One request only, no redirection followed; the server's code is the reason."""
    with scripted(problem(status, "some_code", "Location: http://127.0.0.1:1/"), GOOD) as script:
        with pytest.raises(ServeError) as caught:
            connect(script.url).predict(ROW)
        assert (caught.value.status, caught.value.problem) == (status, "some_code")
    assert len(script.requests) == 1


def test_no_server(connect: Connect) -> None:
    """Tried three times with growing jitter, then the fallback; without one, an error."""
    client = connect(f"http://127.0.0.1:{free_port()}", fallback=lambda row: row[1])
    found = client.predict(ROW)
    assert (found.score, found.source, found.reason) == (0.01, "fallback", "unreachable")
    assert len(client.waits) == 2
    assert 0 <= client.waits[0] <= 0.02
    assert 0 <= client.waits[1] <= 0.04
    with pytest.raises(ServeError, match=r"cannot be reached at 127\.0\.0\.1:"):
        connect(f"http://127.0.0.1:{free_port()}").predict(ROW)


def test_a_silent_server_costs_the_deadline_and_no_more(connect: Connect) -> None:
    """A timeout is not asked again; the deadline may be the call's own."""
    with scripted("silence") as script:
        client = connect(script.url, timeout_s=60.0, fallback=0.5)
        start = time.perf_counter()
        found = client.predict(ROW, timeout_s=0.1)
        taken = time.perf_counter() - start
    assert (found.reason, client.waits) == ("timeout", [])
    assert 0.09 < taken < 5.0


def test_a_kept_connection_the_server_closed(connect: Connect) -> None:
    """Opened again without a word; that is no fault of the request."""
    with scripted(GOOD, "hang up", GOOD) as script:
        client = connect(script.url)
        assert client.predict(ROW).source == "model"
        assert client.predict(ROW).source == "model"
    assert (script.connections, client.waits) == (2, [])


def test_a_connection_closed_between_calls_is_not_used(connect: Connect) -> None:
    """Seen before anything is sent, so that also what may not be sent twice gets through."""
    with scripted("answer, close", answer(200, b"x")) as script:
        client = connect(script.url)
        client.predict(ROW)
        assert script.ended.wait(10)
        client.idle(0.05)
        assert client.call("post_raw", "/ml/predict", b"anything")[:2] == (200, b"x")
    assert script.connections == 2


def test_any_page_can_be_read_as_it_is(connect: Connect) -> None:
    """A refusal too: status and body, unread."""
    with scripted(answer(403, b"no")) as script:
        assert connect(script.url).call("get_raw", "/ml/canary") == (403, b"no")


@pytest.mark.parametrize("scene", ["hang up", "slam"])
def test_a_fresh_connection_that_breaks_is_lost(connect: Connect, scene: Any) -> None:
    """The request may have been worked on: it is not sent twice."""
    with scripted(scene, GOOD) as script:
        assert connect(script.url, fallback=0.5).predict(ROW).reason == "lost"
    assert len(script.requests) == 1


def test_a_measurement_sees_the_break(connect: Connect) -> None:
    """The raw way does not send again, on whatever connection."""
    with scripted(GOOD, "hang up", GOOD) as script:
        client = connect(script.url)
        client.predict(ROW)
        with pytest.raises(ServeError, match="the connection broke"):
            client.call("post_raw", "/ml/predict", b"{}")
    assert len(script.requests) == 2


def test_an_improper_request_id_is_replaced(connect: Connect) -> None:
    """Nothing can be put into the head of a request."""
    with scripted(GOOD) as script:
        found = connect(script.url).predict(ROW, request_id="a\r\nX-Evil: 1")
    assert len(found.request_id) == 16
    assert b"Evil" not in script.requests[0]


@pytest.mark.parametrize(
    "row",
    [
        None,
        7,
        ["a"],
        ["0.5"],
        [b"0.5"],
        [True],
        [None],
        [10**400],
        [float("nan")],
        np.array([1.0, np.inf]),
        {"bias": object()},
    ],
)
def test_a_row_that_is_none_is_not_sent(connect: Connect, row: Any) -> None:
    """Not an exception in the caller's loop either."""
    found = connect(f"http://127.0.0.1:{free_port()}", fallback=0.5).predict(row)
    assert (found.score, found.reason) == (0.5, "invalid_input")


def test_a_host_by_name(connect: Connect) -> None:
    """Looked up, and asked like any other."""
    with scripted(GOOD) as script:
        url = script.url.replace("127.0.0.1", "localhost")
        assert connect(url, connect_timeout_s=1.0).predict(ROW).source == "model"


def test_a_look_up_that_hangs_costs_no_more_than_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name server that does not answer is a server that cannot be reached."""
    answered, known = threading.Event(), socket.getaddrinfo

    def slow(host: str, *more: Any, **options: Any) -> Any:
        if options.get("flags"):
            return known(host, *more, **options)
        answered.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    policy = RetryPolicy(retries=0)
    with PredictClient(
        "http://some.name:1", connect_timeout_s=0.05, fallback=0.5, policy=policy
    ) as client:
        start = time.perf_counter()
        reason = client.predict(ROW, timeout_s=60.0).reason
        taken = time.perf_counter() - start
    answered.set()
    assert (reason, taken < 5.0) == ("unreachable", True)


def test_the_breaker_spares_a_dead_server(connect: Connect) -> None:
    """After five failed calls no more are made until it is time to try one."""
    clock = ManualClock()
    with scripted(*[problem(500, "internal")] * 5, GOOD) as script:
        client = connect(script.url, clock=clock, fallback=0.5)
        reasons = [client.predict(ROW).reason for _ in range(8)]
        assert reasons == ["internal"] * 5 + ["circuit_open"] * 3
        known = client.client.is_available
        clock.advance(10.0)
        assert client.predict(ROW).source == "model"
        assert (known, client.client.is_available) == (False, True)
    assert len(script.requests) == 6


def test_rubbish_opens_the_breaker(connect: Connect) -> None:
    """A server that answers 200 with a page is not well."""
    with scripted(*[answer(200, b"<html>")] * 5) as script:
        client = connect(script.url, fallback=0.5)
        reasons = [client.predict(ROW).reason for _ in range(7)]
    assert reasons == ["bad_answer"] * 5 + ["circuit_open"] * 2


def test_a_client_error_does_not_open_the_breaker(connect: Connect) -> None:
    """The server is well; the row was not."""
    with scripted(*[problem(422, "invalid_input")] * 8) as script:
        client = connect(script.url, fallback=0.5)
        assert {client.predict(ROW).reason for _ in range(8)} == {"invalid_input"}


def test_retries_are_at_most_a_tenth_of_the_calls(connect: Connect) -> None:
    """A brown-out is not made worse: once the saved retries are spent, each call asks once."""
    calls = 40
    with scripted(*[problem(503, "killed")] * 200) as script:
        clock = SystemClock()
        rng = random.Random(1)  # noqa: S311 - jitter
        never = Breaker(clock, rng, consecutive=10**6, sample=10**6)
        client = connect(script.url, fallback=0.5, breaker=never, clock=clock)
        for _ in range(calls):
            client.predict(ROW)
    assert len(client.waits) <= 10 + calls * 0.1
    assert len(script.requests) == calls + len(client.waits)


def test_no_retries_when_told_so(connect: Connect) -> None:
    """The policy is the caller's."""
    with scripted(problem(503, "killed"), GOOD) as script:
        client = connect(script.url, fallback=0.5, policy=RetryPolicy(retries=0))
        assert client.predict(ROW).reason == "killed"


def test_only_versions_the_caller_knows(connect: Connect) -> None:
    """A score of a version the bot was not tested with is none; the server is not to blame."""
    with scripted(*[GOOD] * 7) as script:
        assert connect(script.url, versions=["v1"]).predict(ROW).source == "model"
        other = connect(script.url, versions=["v2"], fallback=0.5)
        assert {other.predict(ROW).reason for _ in range(6)} == {"wrong_version"}


def test_the_schema_the_caller_was_built_for(connect: Connect) -> None:
    """Sent with every row."""
    with scripted(GOOD, GOOD) as script:
        client = connect(script.url, schema_crc32="0badcafe")
        client.predict(ROW)
        client.call("predict_many", [ROW])
    assert [_body(request)["schema_crc32"] for request in script.requests] == ["0badcafe"] * 2


@pytest.mark.parametrize("client", [PredictClient, AsyncPredictClient])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4010",
        "ftp://host",
        "http://",
        "http://host:port",
        "file:///etc/passwd",
        "http://host/a b",
        "http://host/?q=1",
        "http://host/#x",
        "http://ho\u0448t",
        "http://h\\ost",
    ],
)
def test_what_is_no_address_is_refused(client: Any, url: str) -> None:
    """At once, not at the first call."""
    with pytest.raises(ParamsError, match="http://host:port"):
        client(url)


def test_a_path_in_front(connect: Connect) -> None:
    """A server behind a reverse proxy."""
    with scripted(GOOD) as script:
        connect(script.url + "/scores/").predict(ROW)
    assert script.requests[0].startswith(b"POST /scores/ml/predict ")


def test_the_raw_way_adds_nothing(connect: Connect) -> None:
    """Status, bytes and time, whatever the status; one request."""
    with scripted(problem(503, "killed"), GOOD) as script:
        status, body, latency_ms = connect(script.url).call("post_raw", "/ml/predict", b"anything")
        assert (status, json.loads(body)["code"]) == (503, "killed")
        assert latency_ms > 0
    assert len(script.requests) == 1
    assert script.requests[0].endswith(b"\r\n\r\nanything")


def test_health_info_and_metrics(connect: Connect) -> None:
    """Read as they are; health also while it is not well."""
    pages = (answer(503, b'{"status":"down"}'), answer(200, b'{"model_version":"v1"}'))
    with scripted(*pages, answer(200, b"ml_ready 1\n"), problem(404, "not_found")) as script:
        client = connect(script.url)
        assert client.call("health") == {"status": "down"}
        assert client.call("model_info") == {"model_version": "v1"}
        assert client.call("metrics") == "ml_ready 1\n"
        with pytest.raises(ServeError, match="no"):
            client.call("metrics")
