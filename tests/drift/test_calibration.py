"""Counts of blocks and the Kolmogorov-Smirnov distance at frozen edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlwb.core.errors import EmptyWindowError
from mlwb.drift import bin_counts, fit_reference
from mlwb.drift.calibration import block_counts, ks_of_counts


def test_block_counts_are_counts_of_each_block() -> None:
    """One count a block, in order, adding up to the whole; block numbers may have holes."""
    values, blocks = np.arange(10.0), np.array([3, 3, 3, 5, 5, 9, 9, 9, 9, 9])
    edges = np.array([2.5, 6.5])
    found = block_counts(edges, values, blocks)
    assert [c.tolist()[:3] for c in found] == [[3, 0, 0], [0, 2, 0], [0, 2, 3]]
    assert sum(found).tolist() == bin_counts(edges, values).tolist()  # type: ignore[union-attr]


def test_ks_of_counts_is_scipys_on_binned_values() -> None:
    """Scipy's statistic and asymptotic p value on values rounded up to their bin's edge."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=3_000), rng.normal(0.1, 1.0, size=2_000)
    edges = fit_reference("x", a).edges
    ends = np.append(edges, np.inf)
    binned = [ends[np.searchsorted(edges, side)] for side in (a, b)]
    first, second = (np.minimum(side, 9.0) for side in binned)
    expected = stats.ks_2samp(first, second, method="asymp")
    statistic, p = ks_of_counts(bin_counts(edges, a), bin_counts(edges, b))
    assert statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert p == pytest.approx(expected.pvalue, rel=0.1)
    assert statistic <= stats.ks_2samp(a, b).statistic + 1e-12


def test_ks_of_counts_sees_a_shift_and_none() -> None:
    """The same counts are at distance 0; missing values are left out of it."""
    same = np.array([50, 50, 0, 7, 0, 0])
    assert ks_of_counts(same, 3 * same) == (0.0, 1.0)
    moved = np.array([0, 50, 50, 0, 0, 0])
    statistic, p = ks_of_counts(same, moved)
    assert statistic == 0.5
    assert p < 1e-6


@pytest.mark.parametrize("side", [0, 1])
def test_ks_of_nothing_is_an_error(side: int) -> None:
    """An empty side, or one of missing values only, is not a distance of 0."""
    sides = [np.array([5, 5, 0, 0, 0]), np.array([0, 0, 9, 0, 0])]
    with pytest.raises(EmptyWindowError):
        ks_of_counts(sides[side], sides[1 - side])
