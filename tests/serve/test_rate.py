"""The rate limit: exact, fair, in constant memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlwb.serve._rate import LocalRateLimit, Quota, RateLimit
from mlwb.serve._rate_shared import RateTable, SharedRateLimit

Make = Callable[[int, float], RateLimit]


def local(quota: int, window_s: float) -> RateLimit:
    """The limit of one process."""
    return LocalRateLimit(quota, window_s, name="key", capacity=100)


def shared(quota: int, window_s: float) -> RateLimit:
    """The limit of three workers, as the last of them asks it."""
    return SharedRateLimit(quota, window_s, name="key", table=RateTable(3, 100), slot=2)


@pytest.fixture(params=[local, shared])
def make(request: pytest.FixtureRequest) -> Make:
    """Either kind of limit."""
    found: Make = request.param
    return found


def test_a_window_is_worth_its_quota(make: Make) -> None:
    """All of it at once, then one for each share of the window."""
    limit = make(100, 60.0)
    found = [limit.take("a", 7.0) for _ in range(101)]
    assert [taken < 0 for taken in found] == [False] * 100 + [True]
    assert [limit.standing(taken).remaining for taken in found[:3]] == [99, 98, 97]
    assert limit.standing(found[99]) == Quota(0, 60)
    assert limit.standing(found[100]) == Quota(0, 1)
    assert limit.standing(limit.take("a", 7.6)) == Quota(0, 60)
    assert limit.take("a", 7.7) < 0
    assert limit.standing(limit.take("a", 1_000.0)) == Quota(99, 1)


@pytest.mark.parametrize("seed", range(5))
def test_no_window_holds_more_than_twice_the_quota(make: Make, seed: int) -> None:
    """Whatever the arrivals: at most the burst and the refill, so twice the quota a window."""
    draw = np.random.default_rng(seed)
    limit, now, admitted = make(20, 10.0), 0.0, []
    for _ in range(2_000):
        now += draw.exponential(0.1)
        if limit.take("a", now) > 0:
            admitted.append(now)
    for start in admitted:
        assert sum(start <= at < start + 10.0 for at in admitted) <= 40
    assert len(admitted) <= 20 + now / 10.0 * 20 + 1


def test_a_refused_request_costs_nothing(make: Make) -> None:
    """Hammering does not put the next admission off, and the time named is right."""
    limit = make(2, 10.0)
    refused = [limit.take("a", 0.0) for _ in range(1_000)][-1]
    assert limit.standing(refused) == Quota(0, 5)
    assert limit.take("a", 4.999) < 0
    assert limit.take("a", 5.0) > 0


def test_names_do_not_share(make: Make) -> None:
    """One that asks too often takes nothing from the others."""
    limit = make(1, 60.0)
    assert [limit.take(name, 0.0) > 0 for name in "aab"] == [True, False, True]


def test_memory_is_bounded() -> None:
    """A hundred thousand names leave the newest; one that keeps asking is kept."""
    limit = LocalRateLimit(2, 60.0, name="key", capacity=100)
    for index in range(100_000):
        limit.take(f"name-{index}", 0.0)
        if index % 50 == 0:
            limit.take("steady", 0.0)
    assert len(limit) == 100
    assert limit.take("steady", 0.0) < 0


def test_a_debt_learned_elsewhere_counts(make: Make) -> None:
    """What is owed is the later of what is known and what is told; an earlier end changes nothing.

    A request refused for it names the right time, and nothing is left where more is owed than a
    window can hold.
    """
    limit = make(10, 10.0)
    assert limit.take("a", 100.0) == 1.0
    limit.owe("a", 108.0)
    assert limit.paid_s("a") == 108.0
    limit.owe("a", 105.0)
    assert limit.take("a", 100.0) == 9.0
    limit.owe("a", 125.0)
    assert limit.standing(limit.take("a", 100.0)) == Quota(0, 16)
    assert limit.standing(25.0) == Quota(0, 25)
    assert limit.take("a", 116.0) == 10.0
