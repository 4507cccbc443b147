"""Counters over several workers: summed, never going back, gauges by their rule."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mlwb.core.clock import ManualClock
from mlwb.serve import App, ServeSettings, create_app
from mlwb.serve._board import Board
from mlwb.serve._exposition import GAUGES_OF_ALL, merge
from mlwb.serve._limits import local_limits
from mlwb.serve._metrics import HELP, Samples
from mlwb.serve._tally import Tally
from mlwb.serve._worker import Worker
from tests.inference.version_kit import point, write_version
from tests.serve.asgi_kit import call

BODY = json.dumps({"features": [1.0, 0.01, 2.0, -0.5]}).encode()
V1 = "model_version=v1.0.0"


def _worker(models: Path, board: Board, slot: int, clock: ManualClock) -> App:
    settings = ServeSettings(models)
    worker = Worker(Tally(board, slot, clock), local_limits(settings))
    return create_app(settings, clock=clock, worker=worker)


def _scrape(app: App) -> dict[tuple[str, str], float]:
    text = call(app, "/ml/metrics").body.decode()
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _backwards(
    before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]
) -> list[tuple[str, str]]:
    kinds = {name: about.partition(" ")[0] for name, about in HELP.items()}
    summed = [
        key
        for key in before
        if kinds.get(key[0], "histogram") in ("counter", "histogram") and key in after
    ]
    assert summed
    return [key for key in summed if after[key] < before[key]]


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=300)), max_size=30))
def test_a_slot_holds_what_was_written_last(writes: list[tuple[int, bytes]]) -> None:
    """Oracle: a plain dictionary. Slots do not touch each other."""
    board, expected = Board(3), dict.fromkeys(range(3), b"")
    for slot, data in writes:
        board.write(slot, data)
        expected[slot] = data
    assert {slot: board.read(slot) for slot in range(3)} == expected


def test_a_slot_takes_no_more_than_it_holds() -> None:
    """The largest fits whole; one byte more changes nothing."""
    board = Board(1)
    board.write(0, b"x" * board.capacity)
    with pytest.raises(ValueError, match="65529 bytes in a slot of 65528"):
        board.write(0, b"y" * (board.capacity + 1))
    assert board.read(0) == b"x" * board.capacity


def test_a_writer_killed_at_any_moment_leaves_a_whole_slot() -> None:
    """A child writes as fast as it can and is killed; readers saw whole pages all the time."""
    board = Board(1)
    pages = [bytes([number]) * size for number, size in ((1, 60_000), (2, 30_000))]
    for _ in range(5):
        child = os.fork()
        if child == 0:
            while True:
                for page in pages:
                    board.write(0, page)
        while not board.read(0):
            pass
        seen = {board.read(0) for _ in range(300)}
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert seen <= {b"", *pages}  # empty: the writer was faster than every look
        assert board.read(0) in pages


def test_counts_of_all_workers_are_shown_by_each(models: Path, clock: ManualClock) -> None:
    """Counters and histogram cells add up, whichever worker is asked."""
    write_version(models, "v2.0.0")
    point(models, "candidate", "v2.0.0")
    board = Board(2)
    first, second = (_worker(models, board, slot, clock) for slot in range(2))
    for app, times in ((first, 3), (second, 2)):
        for _ in range(times):
            call(app, "/ml/predict-with-shadow", BODY)
    call(second, "/ml/predict", b"{")
    _scrape(second)
    found = _scrape(first)
    assert found == pytest.approx(_scrape(second), nan_ok=True)
    assert found["ml_predict_requests_total", f"{V1},status=success"] == 5
    assert found["ml_predict_requests_total", f"{V1},status=client_error"] == 1
    assert found["ml_predict_latency_ms_count", V1] == 5
    assert found["ml_prediction_score_bucket", "le=0.3"] == 5
    assert found["ml_prediction_score_sum", ""] == pytest.approx(5 * 0.2525609797798001)
    assert found["ml_shadow_match_rate", ""] == 1.0
    assert found["ml_model_reload_total", "result=loaded"] == 2
    assert found["ml_workers", ""] == 2


def test_counters_never_go_back_when_workers_die(models: Path, clock: ManualClock) -> None:
    """A worker is lost and another takes its slot, again and again, across a promotion."""
    write_version(models, "v2.0.0")
    board = Board(2)
    apps = [_worker(models, board, slot, clock) for slot in range(2)]
    before = _scrape(apps[0])
    for turn in range(6):
        for app in apps:
            call(app, "/ml/predict", BODY)
            app.state.write_tally()
        if turn == 2:
            point(models, "latest", "v2.0.0")
            apps[0].state.refresh()  # the other has not looked yet
        after = _scrape(apps[turn % 2])
        assert _backwards(before, after) == []
        before = after
        apps[turn % 2] = _worker(models, board, turn % 2, clock)
    assert before["ml_predict_requests_total", f"{V1},status=success"] + before[
        "ml_predict_requests_total", "model_version=v2.0.0,status=success"
    ] == pytest.approx(12)


@pytest.mark.slow
def test_versions_long_gone_take_no_room(models: Path, clock: ManualClock) -> None:
    """Restarts and promotions without end leave a bounded page and a bounded exposition."""
    board, sizes = Board(1), []
    for index in range(2, 40):
        app = _worker(models, board, 0, clock)
        call(app, "/ml/predict", BODY)
        write_version(models, f"v{index}")
        point(models, "latest", f"v{index}")
        app.state.refresh()
        call(app, "/ml/predict", BODY)
        shown = _scrape(app)
        sizes.append((len(board.read(0)), len(shown)))
    assert shown["ml_predict_requests_total", "model_version=v38,status=success"] == 2
    assert len([key for key in shown if key[0] == "ml_predict_requests_total"]) == 2
    assert max(size for size, _ in sizes[10:]) <= 1.1 * sizes[10][0] < board.capacity
    assert max(lines for _, lines in sizes) < 100


def test_gauges_of_several_workers(models: Path, clock: ManualClock) -> None:
    """Ready when all living are, killed when one is; one that stopped writing does not count."""
    board = Board(2)
    first, second = (_worker(models, board, slot, clock) for slot in range(2))
    second.state.switches.kill(reason="a test", by="ada")
    second.state.write_tally()
    found = _scrape(first)
    assert (found["ml_ready", ""], found["ml_killed", ""], found["ml_workers", ""]) == (0, 1, 2)
    assert found["ml_model_info", V1] == 1
    clock.advance(4)
    found = _scrape(first)
    assert (found["ml_ready", ""], found["ml_killed", ""], found["ml_workers", ""]) == (1, 0, 1)
    assert set(GAUGES_OF_ALL) <= {name for name, about in HELP.items() if about[:5] == "gauge"}


def test_the_shadow_is_as_bad_as_at_its_worst_worker() -> None:
    """Rolling numbers are the lowest that a worker knows, the breaker is that of the worst."""
    names = ("ml_shadow_match_rate", "ml_shadow_rank_corr", "ml_shadow_breaker_state")
    workers: list[Samples] = [
        {name: {name: value} for name, value in zip(names, values, strict=True)}
        for values in ((0.99, math.nan, 0), (0.90, 0.97, 2), (math.nan, 0.98, 0))
    ]
    merged = merge(workers[0], workers, workers)
    assert [merged[name][name] for name in names] == [0.90, 0.97, 2]


def test_numbers_that_are_none_travel(models: Path, clock: ManualClock) -> None:
    """NaN stays NaN on the way through the board: not zero, not an error."""
    board = Board(2)
    apps = [_worker(models, board, slot, clock) for slot in range(2)]
    for app in apps:
        assert math.isnan(_scrape(app)["ml_shadow_match_rate", ""])
        assert math.isnan(_scrape(app)["ml_drift_evalue", ""])
