"""Distribution and redundancy of features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.outliers_influence import (  # type: ignore[import-untyped]
    variance_inflation_factor,
)

from mlwb.core.errors import EmptyWindowError
from mlwb.study import describe, redundancy


def test_description_counts_what_is_there() -> None:
    """Moments, quantiles and mode of the finite values; NaN and infinities count as missing."""
    found = describe("x", np.array([1.0, 1.0, 2.0, 4.0, np.nan, np.inf, -np.inf, np.nan]))
    assert (found.name, found.n_obs, found.missing_share) == ("x", 4, 0.5)
    assert (found.mean, found.sd) == (2.0, math.sqrt(1.5))
    assert found.quantiles[1:4] == (1.0, 1.5, 2.5)
    assert found.mode_share == 0.5


def test_constant_feature_is_all_mode() -> None:
    """The bias has no spread and one value."""
    found = describe("bias", np.ones(10))
    assert (found.sd, found.mode_share, set(found.quantiles)) == (0.0, 1.0, {1.0})


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_nothing_to_describe_is_an_error(values: list[float]) -> None:
    """A feature without a value names itself."""
    with pytest.raises(EmptyWindowError, match="rsi14_z has no value"):
        describe("rsi14_z", np.array(values))


def test_inflation_is_statsmodels() -> None:
    """Statsmodels' variance inflation factors of a design with an intercept, to 1e-9."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 100.0
    found = redundancy(x, ("a", "b", "c", "d"))
    design = np.column_stack([x, np.ones(500)])
    expected = [variance_inflation_factor(design, i) for i in range(4)]
    np.testing.assert_allclose(found.vif, expected, rtol=1e-9)
    np.testing.assert_allclose(found.correlation, np.corrcoef(x.T), rtol=1e-12)


def test_independent_features_inflate_nothing() -> None:
    """Near 1 for unrelated columns, and never below it."""
    found = redundancy(np.random.default_rng(1).normal(size=(5_000, 3)), ("a", "b", "c"))
    assert (found.vif >= 1.0).all()
    assert found.vif.max() < 1.01


def test_combination_of_others_is_infinite() -> None:
    """A column that is a sum of two others, and these two, are infinite; a fourth is not."""
    x = np.random.default_rng(2).normal(size=(300, 4))
    x[:, 2] = x[:, 0] + x[:, 1]
    assert np.isinf(redundancy(x, ("a", "b", "c", "d")).vif).tolist() == [True, True, True, False]


def test_constant_columns_are_left_out() -> None:
    """The bias has no correlation; one column alone inflates nothing; none at all is no error."""
    x = np.column_stack([np.ones(9), np.arange(9.0)])
    found = redundancy(x, ("bias", "x"))
    assert (found.names, found.vif.tolist()) == (("x",), [1.0])
    assert redundancy(np.ones((9, 2)), ("a", "b")).names == ()
