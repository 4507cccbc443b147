"""Bounds of the population PSI: published numbers, order, and both sources of doubt."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlwb.drift.calibration import BlockNull, Bounds, bounds


def test_bounds_of_independent_counts_are_the_published_ones() -> None:
    """E1: with the exact chi-square null the bounds are 0.003067 and 0.055079."""
    exact = stats.chi2.ppf((np.arange(4_000) + 0.5) / 4_000, 9) * 2 / 1_000
    found = bounds(0.03937306379949241, BlockNull(exact, 1, 10**6))
    assert found.lower == pytest.approx(0.003067, abs=2e-4)
    assert found.upper == pytest.approx(0.055079, abs=2e-4)
    assert found.level == 0.95


def test_bounds_are_in_order_and_rise_with_the_value() -> None:
    """Lower <= value <= upper, both never fall when the value grows, from 0 to far away."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1, 40)
    found = [bounds(value, null) for value in np.concatenate([[0.0], np.geomspace(1e-9, 50, 80)])]
    values = [0.0, *np.geomspace(1e-9, 50, 80)]
    assert all(b.lower <= v <= b.upper for b, v in zip(found, values, strict=True))
    assert all(np.diff([b.lower for b in found]) >= 0)
    assert all(np.diff([b.upper for b in found]) >= 0)
    assert found[-1].lower > 40.0


def test_higher_level_is_wider() -> None:
    """More coverage costs width on both sides."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1, 40)
    narrow, wide = bounds(0.3, null, level=0.8), bounds(0.3, null, level=0.99)
    assert wide.lower < narrow.lower < 0.3 < narrow.upper < wide.upper


@pytest.mark.parametrize(
    ("scores", "value", "expected"),
    [
        ([0.0] * 10, 0.0, Bounds(0.0, 0.0, 0.95)),
        ([0.0] * 10, 0.4, Bounds(0.4, 0.4, 0.95)),
        ([0.25] * 10, 0.75, Bounds(0.5, 0.75, 0.95)),
        ([0.25] * 10, 0.0, Bounds(0.0, 0.0, 0.95)),
    ],
)
def test_null_without_spread_leaves_no_doubt(
    scores: list[float], value: float, expected: Bounds
) -> None:
    """The time of day has the same counts every day: its bounds are the excess and the value."""
    assert bounds(value, BlockNull(np.array(scores), 1, 40)) == expected


@pytest.mark.parametrize("spread", [1e-12, 1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("value", [1e-9, 0.01, 1.0, 1e3])
def test_bounds_survive_any_scale(spread: float, value: float) -> None:
    """Nulls of almost no spread and values far outside give finite bounds in order."""
    scores = 1e-4 + spread * np.arange(20.0)
    found = bounds(value, BlockNull(scores, 1, 40))
    assert 0.0 <= found.lower <= value <= found.upper < 2.0 * value + 1.0


@pytest.mark.parametrize("error", [0.01, 0.1, 0.5])
def test_a_direction_less_sure_than_the_average_widens_both(error: float) -> None:
    """Never narrower than without it; where it rules, the root less chance, give or take t."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1, 40)
    plain, wide = bounds(0.4, null), bounds(0.4, null, root_error=error)
    assert wide.lower <= plain.lower
    assert plain.upper <= wide.upper
    root = math.sqrt(0.4 - max(null.mean - error**2, 0.0))
    reach = stats.t.ppf(0.95, 39) * error
    assert wide.upper == pytest.approx(max((root + reach) ** 2, plain.upper))
    assert wide.lower == pytest.approx(min(max(root - reach, 0.0) ** 2, plain.lower))


def test_the_direction_found_counts_as_much_as_it_is_uncertain() -> None:
    """A larger error never narrows a bound, and no error is the limit of a small one."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1, 40)
    found = [bounds(0.4, null, root_error=error) for error in np.geomspace(1e-6, 1.0, 40)]
    assert (np.diff([b.upper for b in found]) >= 0.0).all()
    assert (np.diff([b.lower for b in found]) <= 0.0).all()
    assert found[0] == bounds(0.4, null)
