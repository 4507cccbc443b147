"""The block null and the bounds keep their promised rates on data that remembers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlwb.core.arrays import Float2D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift import bin_counts, fit_reference, psi_of_counts
from mlwb.drift.calibration import (
    BlockNull,
    Bounds,
    block_counts,
    block_null,
    bounds,
    ks_of_counts,
)

DAY = 288


def paths(phi: float, *, n_days: int, n_paths: int, seed: int) -> Float2D:
    """Stationary AR(1) paths side by side, shape (n_days * DAY, n_paths), unit variance."""
    rng = np.random.default_rng(seed)
    out = np.empty((n_days * DAY, n_paths))
    out[0] = rng.normal(size=n_paths)
    scale = math.sqrt(1.0 - phi * phi)
    for i in range(1, len(out)):
        out[i] = phi * out[i - 1] + scale * rng.normal(size=n_paths)
    return out


def judged(
    phi: float, *, shift: float = 0.0, n_paths: int = 150, seed: int = 0
) -> list[tuple[float, BlockNull]]:
    """PSI of a day after 39 reference days, and the reference's own null, path by path."""
    days = np.arange(39 * DAY) // DAY
    found = []
    for path in paths(phi, n_days=40, n_paths=n_paths, seed=seed).T:
        reference = fit_reference("x", path[: 39 * DAY])
        null = block_null(
            "x", block_counts(reference.edges, path[: 39 * DAY], days), window_blocks=1
        )
        current = bin_counts(reference.edges, path[39 * DAY :] + shift)
        rest = reference.counts * 38 // 39  # the length a null score is compared with
        found.append((psi_of_counts("x", rest, current).value, null))
    return found


def test_block_counts_are_counts_of_each_block() -> None:
    """One count a block, in order, adding up to the whole; block numbers may have holes."""
    values, blocks = np.arange(10.0), np.array([3, 3, 3, 5, 5, 9, 9, 9, 9, 9])
    edges = np.array([2.5, 6.5])
    found = block_counts(edges, values, blocks)
    assert [c.tolist()[:3] for c in found] == [[3, 0, 0], [0, 2, 0], [0, 2, 3]]
    assert sum(found).tolist() == bin_counts(edges, values).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("window", [1, 3])
def test_block_null_scores_each_window_against_the_rest(window: int) -> None:
    """Every run of blocks against all other blocks, computed here from the rows themselves."""
    rng = np.random.default_rng(5)
    values, blocks = rng.normal(size=900), np.repeat(np.arange(9), 100)
    edges = fit_reference("x", values).edges
    null = block_null("x", block_counts(edges, values, blocks), window_blocks=window)
    expected = []
    for first in range(9 - window + 1):
        inside = (blocks >= first) & (blocks < first + window)
        rest, current = bin_counts(edges, values[~inside]), bin_counts(edges, values[inside])
        expected.append(psi_of_counts("x", rest, current).value)
    np.testing.assert_allclose(null.scores, expected, rtol=1e-14)
    assert null.window_blocks == window
    assert null.limit95 == pytest.approx(np.quantile(expected, 0.95))


@pytest.mark.parametrize(("blocks", "window"), [(4, 1), (5, 2), (11, 6), (0, 1)])
def test_too_short_a_reference_has_no_null(blocks: int, window: int) -> None:
    """Fewer than five windows, or no remainder as long as a window, is an error, not a guess."""
    with pytest.raises(EmptyWindowError, match="too short"):
        block_null("x", [np.array([1, 1])] * blocks, window_blocks=window)


def test_p_value_is_the_rank_among_the_scores() -> None:
    """(1 + #{score >= value}) / (n + 1) where a score is as large; ties speak against a change."""
    null = BlockNull(np.arange(1.0, 20.0), 1)
    assert null.p_value(19.0) == 2 / 20
    assert null.p_value(18.5) == 2 / 20
    assert null.p_value(0.0) == 1.0


def test_p_value_beyond_every_score_is_the_fitted_tail() -> None:
    """Beyond the scores: scipy's tail of the chi-square with their moments, at most the rank."""
    scores = np.random.default_rng(1).chisquare(6, 400) * 0.02
    null = BlockNull(scores, 1)
    scale = scores.var(ddof=1) / (2.0 * scores.mean())
    degrees = scores.mean() / scale
    assert null.fitted() == pytest.approx((scale, degrees))
    for value in (scores.max() * 1.01, 1.0, 2.0):
        tail = stats.chi2.sf(value / scale, degrees)
        assert null.p_value(value) == pytest.approx(min(tail, 1 / 401))
    values = np.linspace(0.0, 1.0, 200)
    assert (np.diff([null.p_value(value) for value in values]) <= 0.0).all()


def test_overlapping_windows_count_once() -> None:
    """Twenty windows of five blocks each share them: they are worth four."""
    assert BlockNull(np.ones(20), 5).n_disjoint == 4
    assert BlockNull(np.ones(20), 1).n_disjoint == 20
    assert BlockNull(np.ones(21), 5).n_disjoint == 5


@pytest.mark.parametrize("phi", [0.0, 0.9, 0.97])
def test_false_alarms_without_drift_are_about_nominal(phi: float) -> None:
    """AR(1) without drift, 150 paths, nominal 0.05: the block null alarms in at most 12 %."""
    found = judged(phi)
    alarms = np.mean([null.p_value(value) <= 0.05 for value, null in found])
    assert 0.0 <= alarms <= 0.12


def test_independent_rows_formula_would_alarm_always() -> None:
    """Why the null is needed: the chi-square of independent rows alarms in most paths."""
    found = judged(0.97, n_paths=60)
    scale = 1 / (38 * DAY) + 1 / DAY
    naive = np.mean([stats.chi2.sf(value / scale, 9) <= 0.05 for value, _ in found])
    assert naive > 0.8


def test_p_values_without_drift_are_uniform() -> None:
    """AR(1) without drift: a Kolmogorov-Smirnov distance of at most 0.15 to the uniform."""
    p_values = [null.p_value(value) for value, null in judged(0.9, seed=1)]
    assert stats.kstest(p_values, "uniform").statistic < 0.15


def test_real_shift_is_found() -> None:
    """A shift of one sd in persistent data is beyond its null in most paths."""
    found = judged(0.9, shift=1.0, n_paths=60)
    assert np.mean([null.p_value(value) <= 0.05 for value, null in found]) > 0.8


def test_bounds_cover_the_population_value() -> None:
    """Each one-sided 95 % bound holds in at least 87 % of 150 AR(1) paths, drift or none."""
    for shift, truth in ((0.0, 0.0), (0.5, 0.2377)):  # population PSI of N(0.5, 1) on deciles
        found = [bounds(value, null) for value, null in judged(0.9, shift=shift, seed=2)]
        assert np.mean([b.upper >= truth for b in found]) >= 0.87
        assert np.mean([b.lower <= truth for b in found]) >= 0.87


def test_bounds_of_independent_counts_are_the_published_ones() -> None:
    """E1: with the exact chi-square null the bounds are 0.003067 and 0.055079."""
    exact = stats.chi2.ppf((np.arange(4_000) + 0.5) / 4_000, 9) * 2 / 1_000
    found = bounds(0.03937306379949241, BlockNull(exact, 1))
    assert found.lower == pytest.approx(0.003067, abs=2e-4)
    assert found.upper == pytest.approx(0.055079, abs=2e-4)
    assert found.level == 0.95


def test_bounds_are_in_order_and_rise_with_the_value() -> None:
    """Lower <= value <= upper, both never fall when the value grows, from 0 to far away."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1)
    found = [bounds(value, null) for value in np.concatenate([[0.0], np.geomspace(1e-9, 50, 80)])]
    values = [0.0, *np.geomspace(1e-9, 50, 80)]
    assert all(b.lower <= v <= b.upper for b, v in zip(found, values, strict=True))
    assert all(np.diff([b.lower for b in found]) >= 0)
    assert all(np.diff([b.upper for b in found]) >= 0)
    assert found[-1].lower > 40.0


def test_higher_level_is_wider() -> None:
    """More coverage costs width on both sides."""
    null = BlockNull(np.random.default_rng(0).chisquare(9, 40) * 0.01, 1)
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
    assert bounds(value, BlockNull(np.array(scores), 1)) == expected


@pytest.mark.parametrize("spread", [1e-12, 1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("value", [1e-9, 0.01, 1.0, 1e3])
def test_bounds_survive_any_scale(spread: float, value: float) -> None:
    """Nulls of almost no spread and values far outside give finite bounds in order."""
    scores = 1e-4 + spread * np.arange(20.0)
    found = bounds(value, BlockNull(scores, 1))
    assert 0.0 <= found.lower <= value <= found.upper < 2.0 * value + 1.0


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
