"""Adjustments for several tests at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from mlwb.core.arrays import Float1D
from mlwb.stats import benjamini_hochberg, e_benjamini_hochberg, holm


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30),
    st.sampled_from([(holm, "holm"), (benjamini_hochberg, "fdr_bh")]),
)
def test_adjustment_is_statsmodels(
    p_values: list[float], pair: tuple[Callable[[Float1D], Float1D], str]
) -> None:
    """Statsmodels' to 1e-14, ties included, never below the p value nor above 1."""
    adjust, method = pair
    given_p = np.array(p_values)
    found = adjust(given_p)
    np.testing.assert_allclose(found, multipletests(given_p, method=method)[1], atol=1e-14)
    assert (found >= given_p).all()
    assert (found <= 1.0).all()


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_one_test_and_none(adjust: Callable[[Float1D], Float1D]) -> None:
    """A single p value stays as it is; no tests give no p values; the input is not changed."""
    one = np.array([0.2])
    assert adjust(one).tolist() == [0.2]
    assert adjust(np.empty(0)).tolist() == []
    assert one.tolist() == [0.2]


def test_family_wise_error_is_kept() -> None:
    """Eight true nulls: any false rejection at 0.05 in at most 6.5 % of 4,000 families."""
    p_values = np.random.default_rng(0).random((4_000, 8))
    assert np.mean([holm(row).min() <= 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)


def test_false_discovery_rate_is_kept() -> None:
    """Of 20 tests 15 are null: among those accepted at 0.10, at most a tenth are, on average."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(1_000):
        z = rng.normal(size=20) + 3.0 * (np.arange(20) >= 15)
        found = np.flatnonzero(benjamini_hochberg(norm.sf(z)) <= 0.10)
        shares.append(float((found < 15).mean()) if len(found) else 0.0)
    assert 0.05 <= np.mean(shares) <= 0.10


def test_e_values_keep_the_false_discovery_rate_however_dependent() -> None:
    """Fifteen true nulls that share one coin, five real effects: at most a tenth false at 0.10."""
    rng = np.random.default_rng(2)
    shares, found_real = [], 0
    for _ in range(2_000):
        e_values = np.full(20, 40.0)
        e_values[:15] = np.where(rng.random() < 1.0 / 30.0, 30.0, 0.0)
        found = np.flatnonzero(e_benjamini_hochberg(e_values) <= 0.10)
        shares.append(float((found < 15).mean()) if len(found) else 0.0)
        found_real += int((found >= 15).sum())
    assert np.mean(shares) <= 0.10
    assert found_real == 5 * 2_000


def test_e_values_without_and_beyond_measure() -> None:
    """An e-value of 0 is never found, an infinite one always."""
    assert e_benjamini_hochberg(np.array([0.0, np.inf])).tolist() == [1.0, 0.0]
