"""Permutation importance, and whether folds agree about it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare

from mlwb.core.errors import EmptyWindowError
from mlwb.model import Dataset, Importance, PurgedKFold, importance, kendall_w, top_overlap
from tests.model.model_kit import TRIALS, dataset


def measured(data: Dataset, family: str = "logistic", **options: object) -> Importance:
    """Importance over five folds."""
    splitter = PurgedKFold(data.t0, data.t1)
    return importance(data, TRIALS[family], splitter, seed=0, **options)  # type: ignore[arg-type]


@given(st.integers(2, 6), st.integers(3, 9), st.integers(0, 2**32 - 1), st.booleans())
def test_agreement_is_friedmans(m: int, n: int, seed: int, tied: bool) -> None:
    """W = chi2 / (m (n - 1)) of scipy's Friedman test, ties corrected alike."""
    loss = np.random.default_rng(seed).normal(size=(m, n))
    loss = np.round(loss) if tied else loss
    if all(len(set(row)) == 1 for row in loss.tolist()):
        return
    found = kendall_w(loss)
    if m == 2 or n == 2:
        assert 0.0 <= found <= 1.0 + 1e-12
        return
    chi2 = friedmanchisquare(*loss.T).statistic
    assert found == pytest.approx(chi2 / (m * (n - 1)), abs=1e-12)


def test_agreement_at_its_ends() -> None:
    """1 when all rank alike, 0 when two contradict each other, unknown when nothing is ranked."""
    assert kendall_w(np.tile([3.0, 1.0, 2.0, 0.0], (5, 1))) == 1.0
    assert kendall_w(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])) == 0.0
    for nothing in (np.ones((3, 4)), np.ones((1, 4)), np.arange(3.0)[:, None]):
        assert math.isnan(kendall_w(nothing))
    assert not Importance(("a",), np.ones((1, 1)), math.nan, math.nan).is_stable(0.7)


def test_leading_features_overlap_by_jaccard() -> None:
    """Mean over pairs of folds of shared over joint leaders."""
    loss = np.array([[9.0, 8.0, 7.0, 1.0], [9.0, 8.0, 1.0, 7.0], [9.0, 8.0, 7.0, 1.0]])
    assert top_overlap(loss) == pytest.approx((2 / 4 + 1.0 + 2 / 4) / 3)
    assert top_overlap(loss, top=2) == 1.0
    assert math.isnan(top_overlap(loss[:1]))


@pytest.mark.parametrize("family", ["logistic", "boosting"])
def test_feature_that_knows_is_missed_in_every_fold(family: str) -> None:
    """Its AUC is lost when shuffled; noise costs next to nothing, the constant nothing at all."""
    found = measured(dataset(2_500), family, n_repeats=1)
    assert found.loss.shape == (5, len(found.names))
    knows = found.names.index("realised_vol_60m")
    assert (found.loss.argmax(axis=1) == knows).all()
    assert found.mean_loss[knows] > 0.15
    assert np.abs(np.delete(found.mean_loss, knows)).max() < 0.02
    assert not found.loss[:, found.names.index("bias")].any()


def test_several_features_that_know_are_stable() -> None:
    """Clear ranks, the same in all folds: W near 1, the leaders shared."""
    data = dataset(4_000, edge=0.0)
    weights = np.array([0.0, 0.4, 0.8, 1.6, 3.2])
    z = (data.X - data.X.mean(axis=0)) / np.maximum(data.X.std(axis=0), 1e-9)
    target = z @ weights + np.random.default_rng(1).normal(size=len(data))
    data = replace(data, target=target, y=(target > 0).astype(np.float64))
    found = measured(data)
    assert found.is_stable(0.7)
    assert found.agreement > 0.9
    assert found.top_overlap == 1.0


def test_noise_is_not_stable() -> None:
    """No feature knows anything: over ten markets folds seldom agree, and W stays near 1/5."""
    found = [measured(dataset(1_000, seed=seed, edge=0.0)) for seed in range(10)]
    assert np.mean([each.agreement for each in found]) == pytest.approx(0.2, abs=0.15)
    assert sum(each.is_stable(0.7) for each in found) == 0


def test_twins_are_missed_together_only() -> None:
    """Two copies of what is known share the weight; shuffled as a group they are missed in full."""
    data = dataset(2_500)
    X = data.X.copy()
    X[:, 3] = X[:, 4] + 1e-6 * np.random.default_rng(2).normal(size=len(X))
    twins = replace(data, X=X)
    alone = measured(twins).mean_loss
    both = measured(
        twins, groups={"twins": ("rsi14_z", "realised_vol_60m"), "other": ("spread_bp",)}
    )
    assert both.names == ("twins", "other")
    assert alone[3:5].max() < 0.75 * both.mean_loss[0]
    assert both.mean_loss[0] == pytest.approx(measured(data).mean_loss[4], abs=0.03)


def test_seed_repeats() -> None:
    """The same seed gives the same losses; data is left as it was."""
    data = dataset(800)
    before = data.X.copy()
    np.testing.assert_array_equal(measured(data).loss, measured(data).loss)
    np.testing.assert_array_equal(data.X, before)


def test_unknown_groups_are_refused() -> None:
    """Groups that name no feature of the data."""
    with pytest.raises(EmptyWindowError, match="no feature to shuffle"):
        measured(dataset(300), groups={"book": ("depth",)})
