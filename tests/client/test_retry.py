"""Retries: full jitter, and a budget."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mlwb.client import RetryPolicy
from mlwb.client._retry import RetryBudget


@given(st.integers(1, 60), st.floats(0, 100), st.integers())
def test_a_wait_is_within_its_bounds(tries: int, asked_s: float, seed: int) -> None:
    """Never below what the server asked for, never more than the cap above it."""
    rng = random.Random(seed)  # noqa: S311 - jitter
    wait = RetryPolicy().wait_s(tries, at_least_s=asked_s, rng=rng)
    assert asked_s <= wait <= asked_s + min(1.0, 0.02 * 2 ** (tries - 1)) + 1e-9


def test_waits_spread_over_the_whole_range() -> None:
    """Full jitter: the mean is half the upper end."""
    rng = random.Random(11)  # noqa: S311 - jitter
    waits = [RetryPolicy().wait_s(5, at_least_s=0.0, rng=rng) for _ in range(4_000)]
    assert abs(sum(waits) / len(waits) - 0.16) < 0.01


@given(st.lists(st.booleans(), max_size=400))
def test_the_budget_is_kept(steps: list[bool]) -> None:
    """Retries never exceed ten saved ones plus a tenth of the calls."""
    budget, calls, retries = RetryBudget(0.1), 0, 0
    for is_call in steps:
        if is_call:
            budget.earn()
            calls += 1
        else:
            retries += budget.spend()
        assert retries <= 10 + 0.1 * calls + 1e-9
