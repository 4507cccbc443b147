"""The rate limit: exact, fair, in constant memory."""

from __future__ import annotations

import numpy as np
import pytest

from mlwb.serve._rate import Quota, RateLimit


def test_a_window_is_worth_its_quota() -> None:
    """All of it at once, then one for each share of the window."""
    limit = RateLimit(100, 60.0, name="key", capacity=10)
    found = [limit.take("a", 7.0) for _ in range(101)]
    assert [taken < 0 for taken in found] == [False] * 100 + [True]
    assert [limit.standing(taken).remaining for taken in found[:3]] == [99, 98, 97]
    assert limit.standing(found[99]) == Quota(0, 60)
    assert limit.standing(found[100]) == Quota(0, 1)
    assert limit.standing(limit.take("a", 7.6)) == Quota(0, 60)
    assert limit.take("a", 7.7) < 0
    assert limit.standing(limit.take("a", 1_000.0)) == Quota(99, 1)


@pytest.mark.parametrize("seed", range(5))
def test_no_window_holds_more_than_twice_the_quota(seed: int) -> None:
    """Whatever the arrivals: at most the burst and the refill, so twice the quota a window."""
    draw = np.random.default_rng(seed)
    limit, now, admitted = RateLimit(20, 10.0, name="key", capacity=10), 0.0, []
    for _ in range(2_000):
        now += draw.exponential(0.1)
        if limit.take("a", now) > 0:
            admitted.append(now)
    for start in admitted:
        assert sum(start <= at < start + 10.0 for at in admitted) <= 40
    assert len(admitted) <= 20 + now / 10.0 * 20 + 1


def test_a_refused_request_costs_nothing() -> None:
    """Hammering does not put the next admission off, and the time named is right."""
    limit = RateLimit(2, 10.0, name="key", capacity=10)
    refused = [limit.take("a", 0.0) for _ in range(1_000)][-1]
    assert limit.standing(refused) == Quota(0, 5)
    assert limit.take("a", 4.999) < 0
    assert limit.take("a", 5.0) > 0


def test_names_do_not_share() -> None:
    """One that asks too often takes nothing from the others."""
    limit = RateLimit(1, 60.0, name="key", capacity=10)
    assert [limit.take(name, 0.0) > 0 for name in "aab"] == [True, False, True]


def test_memory_is_bounded() -> None:
    """A hundred thousand names leave the newest; one that keeps asking is kept."""
    limit = RateLimit(2, 60.0, name="key", capacity=100)
    for index in range(100_000):
        limit.take(f"name-{index}", 0.0)
        if index % 50 == 0:
            limit.take("steady", 0.0)
    assert len(limit) == 100
    assert limit.take("steady", 0.0) < 0
