"""Which features a PSI gate can judge, on series whose nature is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlwb.core.arrays import Float1D
from mlwb.study import Eligibility, eligibility
from tests.strategies import ar1

ROWS = 200
"""Rows a day: enough to see the effect, few enough to be quick."""


def judged(values: Float1D, *, has_unit_root: bool = False, limit: float = 0.3) -> Eligibility:
    """Eligibility of a series of whole days."""
    days = np.arange(len(values)) // ROWS
    return eligibility("x", values, days, n_bins=10, limit=limit, has_unit_root=has_unit_root)


def test_independent_rows_are_eligible_in_a_day_and_worth_themselves() -> None:
    """White noise needs one day, and its windows are worth about their rows."""
    found = judged(np.random.default_rng(0).normal(size=60 * ROWS))
    assert (found.is_eligible, found.reason, found.window_days) == (True, "quiet", 1)
    for null in found.nulls:
        if null.n_disjoint >= 10:
            assert null.n_eff == pytest.approx(null.days * ROWS, rel=0.25)


def test_memory_costs_days() -> None:
    """The longer a series remembers, the longer its window and the fewer rows a day is worth."""
    rng = np.random.default_rng(1)
    quick, slow = (judged(ar1(80 * ROWS, phi, rng)) for phi in (0.5, 0.97))
    assert quick.window_days is not None
    assert slow.window_days is None or slow.window_days > quick.window_days
    assert slow.nulls[0].n_eff < 0.3 * quick.nulls[0].n_eff


def test_windows_before_the_smallest_are_noisy_and_after_it_quiet() -> None:
    """From the smallest eligible window on every longer one tried is below the limit."""
    rng = np.random.default_rng(2)
    found = judged(ar1(80 * ROWS, 0.9, rng))
    assert found.window_days is not None
    assert found.window_days > 1
    for null in found.nulls:
        if null.days >= found.window_days:
            assert null.limit95 < 0.3
    assert any(null.limit95 >= 0.3 for null in found.nulls)


def test_random_walk_is_refused_by_its_own_past() -> None:
    """A price is too noisy in every window; told of its unit root, the reason is that."""
    walk = np.random.default_rng(3).normal(size=40 * ROWS).cumsum()
    found = judged(walk)
    assert (found.is_eligible, found.reason) == (False, "noisy")
    assert found.needed_days > found.nulls[-1].days
    named = judged(walk, has_unit_root=True)
    assert (named.reason, named.window_days) == ("unit root", None)
    assert math.isnan(named.needed_days)
    quiet = np.random.default_rng(4).normal(size=40 * ROWS)
    assert not judged(quiet, has_unit_root=True).is_eligible


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones(30 * ROWS), "constant"),
        (np.full(30 * ROWS, np.nan), "too short"),
        (np.random.default_rng(5).normal(size=4 * ROWS), "too short"),
        (np.random.default_rng(5).integers(0, 2, 30 * ROWS).astype(float), "few values"),
    ],
)
def test_what_has_no_null_says_why(values: Float1D, reason: str) -> None:
    """A constant cannot drift, two values show little, a few days know nothing of their spread."""
    found = judged(values)
    assert (found.is_eligible, found.reason, found.nulls) == (False, reason, ())


def test_a_stricter_gate_needs_a_longer_window() -> None:
    """The limit is the gate's; a lower one is reached later or never."""
    series = ar1(80 * ROWS, 0.8, np.random.default_rng(6))
    loose, strict = judged(series, limit=0.3), judged(series, limit=0.1)
    assert loose.window_days is not None
    assert strict.needed_days > loose.window_days


def test_part_of_a_day_is_no_day() -> None:
    """A clock repeats every day exactly; the rest of a first day does not make it noisy."""
    clock = np.sin(2.0 * np.pi * np.arange(20 * ROWS) / ROWS)
    days = np.arange(20 * ROWS) // ROWS
    late = slice(ROWS - 10, None)
    found = eligibility("x", clock[late], days[late], n_bins=10, limit=0.3)
    assert found.window_days == 1
    assert found.nulls[0].n_disjoint == 19
    assert found.nulls[0].limit95 < 0.01
