"""The breaker: closed, open, half open."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlwb.client import Breaker
from mlwb.core.clock import ManualClock


def _breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock, random.Random(3))  # noqa: S311 - jitter


def _fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.record(succeeded=False)


def test_five_in_a_row_open_it(clock: ManualClock) -> None:
    """Four do not."""
    breaker = _breaker(clock)
    _fail(breaker, 4)
    assert breaker.allows()
    _fail(breaker, 1)
    assert not breaker.allows()
    assert breaker.is_open


def test_a_success_starts_the_count_anew(clock: ManualClock) -> None:
    """In a row means in a row."""
    breaker = _breaker(clock)
    for _ in range(3):
        _fail(breaker, 4)
        breaker.record(succeeded=True)
    assert breaker.allows()


def test_more_than_half_of_twenty_open_it(clock: ManualClock) -> None:
    """Half does not."""
    breaker = _breaker(clock)
    for _ in range(10):
        _fail(breaker, 1)
        breaker.record(succeeded=True)
    assert breaker.allows()
    _fail(breaker, 1)
    assert breaker.allows()  # the oldest of the twenty, a failure, has left: still half
    _fail(breaker, 1)
    assert not breaker.allows()


@pytest.mark.parametrize(("age_s", "allowed"), [(9.0, False), (11.0, True)])
def test_old_calls_do_not_count(clock: ManualClock, age_s: float, *, allowed: bool) -> None:
    """Twenty calls, most of them failed: open, unless nineteen are older than ten seconds."""
    breaker = _breaker(clock)
    for index in range(19):
        breaker.record(succeeded=index % 3 == 2)
    clock.advance(age_s)
    _fail(breaker, 1)
    assert breaker.allows() is allowed


def test_it_lets_one_through_and_that_one_decides(clock: ManualClock) -> None:
    """Open for five to ten seconds; the probe closes it or opens it again."""
    breaker = _breaker(clock)
    _fail(breaker, 5)
    clock.advance(4.99)
    assert not breaker.allows()
    clock.advance(5.02)
    assert breaker.allows()
    assert not breaker.allows()
    breaker.record(succeeded=False)
    clock.advance(4.99)
    assert not breaker.allows()
    clock.advance(5.02)
    assert breaker.allows()
    breaker.record(succeeded=True)
    assert not breaker.is_open
    _fail(breaker, 4)
    assert breaker.allows()


def test_a_probe_nobody_reported_on(clock: ManualClock) -> None:
    """A caller that died during its probe does not keep the breaker open for ever."""
    breaker = _breaker(clock)
    _fail(breaker, 5)
    clock.advance(10.0)
    assert breaker.allows()
    clock.advance(10.0)
    assert breaker.allows()


def test_clients_do_not_come_back_in_step() -> None:
    """Two breakers that opened together do not probe together."""
    clock = ManualClock()
    breakers = [Breaker(clock, random.Random(seed)) for seed in range(20)]  # noqa: S311 - jitter
    for breaker in breakers:
        _fail(breaker, 5)
    clock.advance(7.5)
    allowed = sum(breaker.allows() for breaker in breakers)
    assert 0 < allowed < 20


@given(st.lists(st.one_of(st.booleans(), st.floats(0.0, 30.0)), max_size=80))
def test_it_never_stays_open_without_failures(steps: list[bool | float]) -> None:
    """Whatever happened before: after ten seconds a call is let through."""
    clock = ManualClock()
    breaker = _breaker(clock)
    for step in steps:
        if isinstance(step, bool):
            breaker.record(succeeded=step)
        else:
            clock.advance(step)
    clock.advance(10.0)
    assert breaker.allows()
