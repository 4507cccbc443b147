"""One limit for all workers: exact in turns, one request a worker beyond it at once."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest

from mlwb.serve._rate import LocalRateLimit
from mlwb.serve._rate_shared import RateTable, SharedRateLimit

NOW_S = 1_000.0


def limits(table: RateTable, quota: int, window_s: float = 60.0) -> list[SharedRateLimit]:
    """The limit as each worker asks it."""
    slots = range(table.n_workers)
    return [SharedRateLimit(quota, window_s, name="key", table=table, slot=n) for n in slots]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_workers", [2, 5])
def test_in_turns_it_is_the_limit_of_one_process(n_workers: int, seed: int) -> None:
    """Whoever is asked next, for whomever, whenever: the same answer."""
    draw = np.random.default_rng(seed)
    workers = limits(RateTable(n_workers, 100), 20, 10.0)
    alone = LocalRateLimit(20, 10.0, name="key", capacity=100)
    now = NOW_S
    for _ in range(600):
        now += draw.exponential(draw.choice([0.01, 0.1, 3.0]))
        name = str(draw.choice(["bot", "desk", "night"]))
        expected = alone.take(name, now)
        assert workers[draw.integers(n_workers)].take(name, now) == pytest.approx(expected)


def test_a_substitute_goes_on_where_the_dead_worker_was() -> None:
    """What was let through is not forgiven because a process ended."""
    table = RateTable(2, 100)
    first, second = limits(table, 3)
    assert [limit.take("bot", NOW_S) > 0 for limit in (first, second)] == [True, True]
    substitute, _ = limits(table, 3)
    assert [substitute.take("bot", NOW_S) > 0 for _ in range(2)] == [True, False]


def test_a_place_that_owes_nothing_is_as_good_as_new() -> None:
    """However many names came before, a new one has its whole quota; the workers agree where."""
    one, other = limits(RateTable(2, 16), 2, 1.0)
    for index in range(500):
        name, now = f"name-{index}", NOW_S + 2.0 * index
        answers = [limit.take(name, now) for limit in (one, other, one)]
        assert [answer > 0 for answer in answers] == [True, True, False]


def test_ever_new_names_share_what_there_is() -> None:
    """Names beyond the places take debts over: together no more than the table holds.

    One that was there before and asks again finds a debt no smaller than its own.
    """
    (limit,) = limits(RateTable(1, 16), 1)
    assert limit.take("first", NOW_S) > 0
    admitted = sum(limit.take(f"name-{index}", NOW_S) > 0 for index in range(400))
    assert admitted == 31  # of two groups of 16 places
    assert limit.take("first", NOW_S) < 0


def _forked(action: Callable[[], int]) -> tuple[int, int]:
    """A child that sends the number an action gives: its pid and where to read it."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(far, struct.pack("q", action()))
        finally:
            os._exit(0)
    os.close(far)
    return child, near


def _sent(child: int, near: int) -> int:
    data = os.read(near, 8)
    os.close(near)
    os.waitpid(child, 0)
    return int(struct.unpack("q", data)[0])


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [2, 4])
def test_at_once_it_is_beyond_by_less_than_a_request_a_worker(n_workers: int) -> None:
    """Processes that ask as fast as they can let the quota through and at most n - 1 more.

    The clock stands still, so nothing comes back; and all that was let through is owed.
    """
    quota = 20_000
    table = RateTable(n_workers, 100)
    workers = limits(table, quota)
    gate, opened = os.pipe()

    def ask(limit: SharedRateLimit) -> int:
        os.close(opened)
        os.read(gate, 1)  # until all are there
        return sum(limit.take("bot", NOW_S) > 0 for _ in range(quota))

    children = [_forked(lambda limit=limit: ask(limit)) for limit in workers]  # type: ignore[misc]
    os.close(opened)
    os.close(gate)
    admitted = sum(_sent(*child) for child in children)
    assert quota <= admitted <= quota + n_workers - 1
    assert workers[0].paid_s("bot") == pytest.approx(NOW_S + admitted * 60.0 / quota)


@pytest.mark.slow
def test_a_worker_that_is_killed_holds_nobody_up() -> None:
    """Killed while it asks for ever new names: the others get places, and counts stay whole."""
    table = RateTable(2, 100)
    one, other = limits(table, 1_000_000)

    def ask() -> int:
        for index in range(10**9):
            one.take(f"name-{index % 5_000}", NOW_S)
        return 0

    for _ in range(20):
        child, near = _forked(ask)
        time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(near)
        assert other.take(f"new-{child}", NOW_S) > 0
