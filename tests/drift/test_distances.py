"""Distances equal scipy's, from values with ties and from counts with empty cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import DataSchemaError, EmptyWindowError
from mlwb.drift import (
    STATISTICS,
    bin_counts,
    bins_moved,
    chi_square_test,
    fit_reference,
    hellinger,
    jensen_shannon,
    ks_at_edges,
    ks_test,
    psi_of_counts,
    score_windows,
    wasserstein,
)

TIED = st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=40).map(np.array)
SIDES = st.integers(4, 12).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 300), min_size=size, max_size=size)] * 2)
)


def sides(pair: tuple[list[int], list[int]]) -> tuple[Int1D, Int1D]:
    """Counts of both sides, with at least one row each."""
    a, b = (np.array(side, dtype=np.int64) for side in pair)
    assume(a.any() and b.any())
    return a, b


@settings(max_examples=40)
@given(TIED, TIED)
def test_ks_is_scipys_with_ties(first: Float1D, second: Float1D) -> None:
    """The same statistic; p is Kolmogorov's limit."""
    found = ks_test(first, second)
    expected = stats.ks_2samp(first, second, method="asymp")
    assert found.statistic == pytest.approx(float(expected.statistic), abs=1e-15)
    n, m = len(first), len(second)
    scaled = found.statistic * math.sqrt(n * m / (n + m))
    assert found.p_value == pytest.approx(float(stats.kstwobign.sf(scaled)), rel=1e-12)
    assert (found.n_ref, found.n_obs) == (n, m)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(("n", "m"), [(30, 30), (50, 60), (200, 100)])
def test_p_of_ks_is_near_the_exact_one(n: int, m: int, shift: float) -> None:
    """Within 0.1 of the permutation value, and never below it by more than 0.01."""
    rng = np.random.default_rng(n + m)
    first, second = rng.normal(size=n), rng.normal(shift, size=m)
    excess = ks_test(first, second).p_value - stats.ks_2samp(first, second, method="exact").pvalue
    assert -0.01 < excess < 0.1


@given(TIED, TIED)
def test_wasserstein_is_scipys(first: Float1D, second: Float1D) -> None:
    """Over the reference's standard deviation; a constant reference is left or it is not."""
    found, moved = wasserstein(first, second), stats.wasserstein_distance(first, second)
    if first.std() > 0.0:
        assert found == pytest.approx(moved / first.std(), abs=1e-12)
    else:
        assert found == (math.inf if moved else 0.0)


@given(SIDES)
def test_distances_of_counts_are_scipys(pair: tuple[list[int], list[int]]) -> None:
    """Jensen-Shannon, chi-square and its p, Hellinger by its other formula; all symmetric."""
    a, b = sides(pair)
    expected = float(jensenshannon(a, b, base=2))
    assert jensen_shannon(a, b) == pytest.approx(expected, abs=2e-8)
    overlap = np.sqrt(a / a.sum() * (b / b.sum())).sum()
    assert hellinger(a, b) ** 2 == pytest.approx(1.0 - overlap, abs=1e-12)
    used = (a + b) > 0
    found = chi_square_test(a, b)
    if used.sum() > 1:
        known = stats.chi2_contingency(np.array([a[used], b[used]]), correction=False)
        assert found.statistic == pytest.approx(float(known.statistic), rel=1e-9, abs=1e-9)
        assert found.degrees == known.dof
        assert found.p_value == pytest.approx(float(known.pvalue), rel=1e-8, abs=1e-12)
    for statistic in STATISTICS.values():
        if a[:-3].any() and b[:-3].any():
            assert statistic(a, b) == pytest.approx(statistic(b, a), rel=1e-9, abs=1e-12)
            assert statistic(a, a) == pytest.approx(0.0, abs=1e-7)


@given(SIDES)
def test_distances_of_ordered_bins(pair: tuple[list[int], list[int]]) -> None:
    """KS at the edges and bins moved are scipy's on bin numbers; special cells have no order."""
    a, b = sides(pair)
    assume(min(a[:-3].sum(), b[:-3].sum()) > 1)  # scipy divides by a rounded mean of both
    cells = np.arange(len(a) - 3)
    first, second = np.repeat(cells, a[:-3]), np.repeat(cells, b[:-3])
    gap = float(stats.ks_2samp(first, second, method="asymp").statistic)
    assert ks_at_edges(a, b) == pytest.approx(gap, abs=1e-12)
    moved = float(stats.wasserstein_distance(first, second))
    assert bins_moved(a, b) == pytest.approx(moved, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_binned_ks_is_at_most_the_raw_one(shift: float) -> None:
    """Edges are some of the points at which the raw statistic looks."""
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=2_000), rng.normal(shift, size=700)
    reference = fit_reference("x", first)
    binned = ks_at_edges(reference.counts, bin_counts(reference.edges, second))
    assert 0.0 < binned <= ks_test(first, second).statistic


def test_what_is_not_finite_is_left_out() -> None:
    """NaN and infinities have cells of their own elsewhere; here they would be no distance."""
    first, second = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 5.0])
    holey = np.array([np.nan, *second, np.inf, -np.inf])
    assert ks_test(first, holey) == ks_test(first, second)
    assert wasserstein(first, holey) == wasserstein(first, second)


def test_scores_of_any_statistic_come_by_name() -> None:
    """One construction of a null serves them all; PSI among them is the PSI."""
    a, b = np.array([100, 100, 100, 5, 0, 0]), np.array([20, 40, 60, 0, 0, 0])
    assert STATISTICS["psi"](a, b) == pytest.approx(psi_of_counts("x", a, b).value, rel=1e-13)
    assert all(score(a, b) > 0.0 for score in STATISTICS.values())


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_many_windows_at_once_are_each_alone(name: str) -> None:
    """Row by row the same number, with cells that only some windows use."""
    rng = np.random.default_rng(6)
    days = rng.integers(0, 40, size=(30, 9)) * (rng.random((30, 9)) < 0.6)
    days[:, 0] += 1
    rest = days.sum(axis=0) - days
    alone = [STATISTICS[name](old, new) for old, new in zip(rest, days, strict=True)]
    np.testing.assert_allclose(score_windows(name, rest, days), alone, rtol=1e-13)
    days[3] = 0
    with pytest.raises(EmptyWindowError):
        score_windows(name, rest, days)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_an_empty_side_is_an_error(name: str) -> None:
    """Nothing to compare is not a distance of 0."""
    with pytest.raises(EmptyWindowError):
        STATISTICS[name](np.array([1, 2, 0, 0, 0]), np.zeros(5, dtype=np.int64))


@pytest.mark.parametrize("side", [np.empty(0), np.array([np.nan, np.inf])])
def test_no_finite_value_is_an_error(side: Float1D) -> None:
    """The same for raw values."""
    with pytest.raises(EmptyWindowError):
        ks_test(np.array([1.0]), side)
    with pytest.raises(EmptyWindowError):
        wasserstein(side, np.array([1.0]))


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("current", [[5, 5, 0, 0], [-5, 9, 4, 0, 0]], ids=["cells", "negative"])
def test_what_is_no_count_of_the_same_cells_is_refused(name: str, current: list[int]) -> None:
    """Counts of other bins would pass for a distance, and those below zero for one beyond 1."""
    with pytest.raises(DataSchemaError, match="not two counts of the same cells"):
        STATISTICS[name](np.array([5, 5, 0, 0, 0]), np.array(current))
