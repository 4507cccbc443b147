"""Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from mlwb.stats import holm


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_adjustment_is_statsmodels(p_values: list[float]) -> None:
    """Statsmodels' Holm to 1e-14, ties included, never below the p value nor above 1."""
    given_p = np.array(p_values)
    found = holm(given_p)
    np.testing.assert_allclose(found, multipletests(given_p, method="holm")[1], atol=1e-14)
    assert (found >= given_p).all()
    assert (found <= 1.0).all()


def test_one_test_and_none() -> None:
    """A single p value stays as it is; no tests give no p values; the input is not changed."""
    one = np.array([0.2])
    assert holm(one).tolist() == [0.2]
    assert holm(np.empty(0)).tolist() == []
    assert one.tolist() == [0.2]


def test_family_wise_error_is_kept() -> None:
    """Eight true nulls: any false rejection at 0.05 in at most 6.5 % of 4,000 families."""
    p_values = np.random.default_rng(0).random((4_000, 8))
    assert np.mean([holm(row).min() <= 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)
