"""Rates from counters: blocks of different requests, starts seen, nothing made of a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import pytest

from mlwb.core.errors import DataSchemaError, EvidenceSchemaError
from mlwb.monitor import Measurement, Scrape, Traffic, parse_scrape
from mlwb.serve import App
from tests.monitor.monitor_kit import NOW, RULES, page
from tests.serve.asgi_kit import JSON, call


def _look(pages: Iterable[Scrape | None]) -> list[dict[str, Measurement]]:
    """One look a minute, the state carried through JSON each time."""
    traffic, found = Traffic.start(RULES), []
    for turn, seen in enumerate(pages):
        at = NOW + timedelta(minutes=turn)
        traffic, readings = traffic.look(seen, RULES, at, why="away")
        stored = json.loads(json.dumps(traffic.to_json()))
        again = Traffic.from_json(stored)
        assert again.to_json() == traffic.to_json()
        traffic = again
        found.append({item.name: item for item in readings})
    return found


def test_a_rate_is_of_the_requests_since_the_block_began() -> None:
    """The first page begins; a block of 100 requests ends; the next is of others."""
    found = _look([page(1000, 500), page(1060, 500), page(1095, 505), page(1195, 505)])
    rates = [item["error_rate"].value for item in found]
    assert rates == [None, None, 0.05, 0.0]
    assert found[2]["error_rate"].n == 100
    assert found[1]["error_rate"].source == "60 of 100 requests"


def test_a_server_that_only_fails_is_measured() -> None:
    """Failed requests make a rate of errors, and no latency."""
    found = _look([page(0), page(0, 100)])[-1]
    assert (found["error_rate"].value, found["p95_ms"].value) == (1.0, None)


def test_the_latency_is_an_edge_that_95_percent_kept() -> None:
    """At exactly 95 % the limit holds, one answer fewer and it does not."""
    held = _look([page(0), page(1000, quick=950)])[-1]["p95_ms"]
    missed = _look([page(0), page(1000, quick=949)])[-1]["p95_ms"]
    assert (held.value, missed.value) == (10.0, 500.0)


def test_a_clock_set_back_makes_no_crash_loop_and_no_negative_time() -> None:
    """Starts and an absence stamped hours ahead: neither fires, neither is below 0."""
    traffic, ahead = Traffic.start(RULES), NOW + timedelta(hours=6)
    for turn in range(8):
        seen = None if turn % 2 else page(100)
        traffic, found = traffic.look(seen, RULES, ahead + timedelta(minutes=turn), why="away")
    assert found[-2].value == 3
    _, found = traffic.look(None, RULES, NOW, why="away")
    assert [item.value for item in found[-2:]] == [0, 0]


def test_counters_that_fell_are_a_start_and_no_negative_rate() -> None:
    """What came before is forgotten; the block begins anew."""
    found = _look([page(5000), page(5200), page(30, 3), page(130, 3)])
    assert [item["restarts"].value for item in found] == [0, 0, 1, 1]
    assert [item["error_rate"].value for item in found] == [None, 0, None, 0]


def test_another_version_is_no_restart() -> None:
    """Its counters begin where they begin; its errors are its own."""
    bad = page(1000, 400)
    found = _look([page(1000), bad, page(0, version="v3.0.0", loads=2),
                   page(200, version="v3.0.0", loads=2)])  # fmt: skip
    assert found[-1]["restarts"].value == 0
    assert found[-1]["error_rate"].value == 0
    assert found[1]["error_alarm"].value > 1e5  # type: ignore[operator]
    assert found[-1]["error_alarm"].value < 1  # type: ignore[operator]


def test_refusals_are_nobodys_errors() -> None:
    """While the kill switch is on, and on the first page after it, nothing is measured."""
    off = {"is_answering": False}
    found = _look([page(100), page(100, 5000, **off), page(100, 9000), page(300, 9000)])
    assert [item["error_rate"].value for item in found] == [None, None, None, 0]
    assert found[1]["error_rate"].source == "the server refuses predictions"


def test_away_and_back_is_a_start_and_away_is_counted() -> None:
    """A crash loop shows as starts; they are forgotten after the window."""
    loop = [page(10), None, page(10), None, page(10), None, page(10)]
    found = _look([*loop, *[page(10)] * 12])
    assert [item["restarts"].value for item in found[:7]] == [0, 0, 1, 1, 2, 2, 3]
    assert found[-1]["restarts"].value == 0
    away = _look([page(10), None, None, None])
    assert [item["down_s"].value for item in away] == [0, 0, 60, 120]
    assert away[-1]["error_rate"].source == "away"


def test_the_alarm_hears_gross_failure_before_a_block_is_full() -> None:
    """Thirty requests of which all fail are enough; none fail, and it stays silent."""
    found = _look([page(0), page(0, 30)])[-1]
    assert (found["error_rate"].value, found["error_alarm"].value > 1e5) == (None, True)  # type: ignore[operator]


@pytest.mark.slow
def test_the_alarm_is_silent_at_the_limit() -> None:
    """At exactly 5 % errors, 4,000 looks of 20 requests, twice: no alarm."""
    rng = np.random.default_rng(5)
    for _ in range(2):
        errors = rng.binomial(20, 0.05, 4000).cumsum()
        traffic, highest = Traffic.start(RULES), 0.0
        for turn, failed in enumerate(errors.tolist()):
            seen = page(20 * (turn + 1) - failed, failed)
            traffic, readings = traffic.look(seen, RULES, NOW)
            value = next(item.value for item in readings if item.name == "error_alarm")
            highest = max(highest, value or 0.0)
        assert highest < 1e5


@pytest.mark.parametrize("change", [{"alarm": None}, {"starts": ["noon"]}, {"version": None}])
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    """It is never half taken."""
    stored = Traffic.start(RULES).to_json()
    broken = {**stored, **change} if change != {"version": None} else {"alarm": stored["alarm"]}
    with pytest.raises(EvidenceSchemaError):
        Traffic.from_json(broken)


def test_the_page_of_a_server_is_read(app: App) -> None:
    """What our own server shows, counted and timed."""
    row = json.dumps({"features": [1.0, 0.1, 2.0, 0.5]}).encode()
    for _ in range(3):
        assert call(app, "/ml/predict", row, headers=[JSON]).status == 200
    found = parse_scrape(call(app, "/ml/metrics").body.decode())
    assert (found.version, found.is_answering) == ("v1.0.0", True)
    assert (found.successes, found.errors, found.scored) == (3, 0, 3)
    assert {20.0, 200.0} <= {edge for edge, _ in found.buckets}
    assert (found.rank_corr, found.prediction_psi, found.loads) == (None, None, 1)


@pytest.mark.parametrize("text", ["", "<html>", "ml_ready one\n", "up 1\n", "\x00" * 100])
def test_garbage_is_no_page(text: str) -> None:
    """It is refused as a whole."""
    with pytest.raises(DataSchemaError):
        parse_scrape(text)
