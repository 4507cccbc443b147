"""Tails without scipy are scipy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, f, kstwobign

from mlwb.drift._tails import chi_square_tail, f_quantile, f_tail, kolmogorov_tail


@given(st.floats(1e-6, 1e3), st.integers(1, 60))
def test_chi_square_is_scipys(x: float, degrees: int) -> None:
    """Whole degrees of freedom, from the middle far into the tail."""
    expected = float(chi2.sf(x, degrees))
    assert chi_square_tail(x, degrees) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@given(st.floats(0.05, 15.0))
def test_kolmogorov_is_scipys(x: float) -> None:
    """Both series, and where they meet."""
    assert kolmogorov_tail(x) == pytest.approx(float(kstwobign.sf(x)), rel=1e-12, abs=1e-300)


@given(st.floats(1e-4, 1e2), st.floats(0.5, 1e4), st.floats(0.5, 1e6))
def test_f_is_scipys(x: float, upper: float, lower: float) -> None:
    """Any degrees of freedom, both sides of the mean."""
    expected = float(f.sf(x, upper, lower))
    assert f_tail(x, upper, lower) == pytest.approx(expected, rel=1e-6, abs=1e-10)


@given(st.sampled_from([0.5, 0.95, 0.99]), st.floats(1.0, 1e3), st.floats(5.0, 1e5))
def test_quantiles_of_f_are_scipys(probability: float, upper: float, lower: float) -> None:
    """What is stayed below with that probability."""
    expected = float(f.ppf(probability, upper, lower))
    assert f_quantile(probability, upper, lower) == pytest.approx(expected, rel=1e-7)


def test_ends() -> None:
    """Nothing observed excludes nothing; an infinite statistic leaves no chance."""
    assert (chi_square_tail(0.0, 3), chi_square_tail(5.0, 0), kolmogorov_tail(0.0)) == (1, 1, 1)
    assert (chi_square_tail(math.inf, 3), chi_square_tail(1e6, 3), kolmogorov_tail(1e3)) == (
        0,
        0,
        0,
    )
