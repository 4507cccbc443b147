"""The shadow's breaker: opens above the limit, tries one at a time, closes when all is well."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.core.clock import ManualClock
from mlwb.serve import ServeSettings
from mlwb.serve._shadow_breaker import ShadowBreaker

PAUSE_S = 30.0


def _breaker(clock: ManualClock | None = None, **changes: float) -> ShadowBreaker:
    settings = ServeSettings(
        Path("models"),
        shadow_window=int(changes.get("window", 200)),
        shadow_error_limit=changes.get("limit", 0.02),
        shadow_least=int(changes.get("least", 100)),
        shadow_pause_s=PAUSE_S,
        shadow_probes=3,
    )
    return ShadowBreaker(settings, clock or ManualClock())


def _ask(breaker: ShadowBreaker, *failed: bool) -> None:
    for outcome in failed:
        assert breaker.allows()
        breaker.record(failed=outcome)


def _opened(clock: ManualClock) -> ShadowBreaker:
    breaker = _breaker(clock)
    _ask(breaker, *[False] * 97, *[True] * 3)
    assert breaker.state == "open"
    return breaker


def test_the_limit_itself_is_kept() -> None:
    """2 of 100 are not more than 2 %; the next failure is."""
    breaker = _breaker()
    _ask(breaker, True, True, *[False] * 98)
    assert (breaker.state, breaker.failed, breaker.requests) == ("closed", 2, 100)
    _ask(breaker, True)
    assert (breaker.state, breaker.opened) == ("open", 1)


def test_a_few_requests_are_no_share() -> None:
    """Nothing but failures does not open it before the least number is there."""
    breaker = _breaker()
    _ask(breaker, *[True] * 99)
    assert (breaker.state, breaker.failed) == ("closed", 99)
    _ask(breaker, True)
    assert (breaker.state, breaker.failed) == ("open", 100)


@given(st.lists(st.booleans(), max_size=60), st.integers(10, 20))
def test_the_window_rolls(outcomes: list[bool], window: int) -> None:
    """What is counted is the newest outcomes and nothing older."""
    breaker = _breaker(window=window, limit=1.0, least=1)
    _ask(breaker, *outcomes)
    newest = outcomes[-window:]
    assert (breaker.requests, breaker.failed) == (len(newest), sum(newest))


@given(st.lists(st.booleans() | st.integers(1, 9), max_size=40), st.integers(10, 20))
def test_good_ones_together_are_good_ones(outcomes: list[bool | int], window: int) -> None:
    """A number stands for so many good requests, told at once or one by one: the same state."""
    one, many = (_breaker(window=window, limit=0.3, least=5) for _ in range(2))
    for outcome in outcomes:
        if isinstance(outcome, bool):
            one.record(failed=outcome)
            many.record(failed=outcome)
        else:
            many.record_good(outcome)
            for _ in range(outcome):
                one.record(failed=False)
        assert (many.state, many.failed, many.requests) == (one.state, one.failed, one.requests)


def test_open_until_the_pause_is_over() -> None:
    """Nobody asks; then one does, and no second one beside it."""
    clock = ManualClock()
    breaker = _opened(clock)
    clock.advance(PAUSE_S - 0.01)
    assert not breaker.allows()
    assert breaker.pause_left_s == pytest.approx(0.01)
    clock.advance(0.01)
    assert breaker.allows()
    assert (breaker.state, breaker.pause_left_s) == ("half_open", 0.0)
    assert not breaker.allows()


def test_good_probes_close_it() -> None:
    """After as many in a row as set, it begins with an empty window."""
    clock = ManualClock()
    breaker = _opened(clock)
    clock.advance(PAUSE_S)
    _ask(breaker, False, False)
    assert breaker.state == "half_open"
    _ask(breaker, False)
    assert (breaker.state, breaker.requests, breaker.failed) == ("closed", 0, 0)


def test_a_bad_probe_opens_it_again() -> None:
    """For another whole pause; the good ones before it do not count later."""
    clock = ManualClock()
    breaker = _opened(clock)
    clock.advance(PAUSE_S)
    _ask(breaker, False, False, True)
    assert (breaker.state, breaker.opened, breaker.allows()) == ("open", 2, False)
    clock.advance(PAUSE_S)
    _ask(breaker, False, False)
    assert breaker.state == "half_open"


def test_a_probe_nobody_reports_about() -> None:
    """Is given up after a pause; one that was given back, at once."""
    clock = ManualClock()
    breaker = _opened(clock)
    clock.advance(PAUSE_S)
    assert breaker.allows()
    assert not breaker.allows()
    clock.advance(PAUSE_S)
    assert breaker.allows()
    breaker.give_back()
    assert breaker.allows()


def test_what_comes_back_late_changes_nothing() -> None:
    """Requests asked before it opened report after it: it stays open."""
    breaker = _opened(ManualClock())
    for failed in (False, False, False, True):
        breaker.record(failed=failed)
    assert (breaker.state, breaker.opened) == ("open", 1)


def test_opening_and_closing_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line each, with the numbers."""
    clock = ManualClock()
    with caplog.at_level(logging.WARNING, "mlwb.serve"):
        breaker = _opened(clock)
        clock.advance(PAUSE_S)
        _ask(breaker, False, False, False)
    opened, closed = (record.getMessage() for record in caplog.records)
    assert opened.startswith("shadow breaker opened: the candidate failed on 3 of 100 requests; ")
    assert opened.endswith("asked again in 30 s")
    assert closed == "shadow breaker closed: 3 probes were good"
