"""Skill row by row, and groups of features that help or harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwb.features import feature_names
from mlwb.model import (
    FEATURE_GROUPS,
    Dataset,
    GroupEffect,
    PurgedKFold,
    ablate,
    cross_validate,
    rank_contributions,
    skill,
)
from tests.model.model_kit import TRIALS, dataset


def effects(data: Dataset) -> dict[str, GroupEffect]:
    """What dropping each group does, by group."""
    splitter = PurgedKFold(data.t0, data.t1, n_splits=5)
    trial = TRIALS["logistic"]
    full = cross_validate(data, trial, splitter)
    found = ablate(
        data, trial, full, splitter=splitter, target=data.target, n_resamples=499, seed=1
    )
    return {effect.group: effect for effect in found}


def test_contributions_average_to_the_rank_correlation_of_each_fold() -> None:
    """Scipy's Spearman per fold, ties included, whatever the order of folds."""
    rng = np.random.default_rng(0)
    fold = rng.permutation(np.repeat([0, 1, 7], 100))
    p, target = np.round(rng.random(300), 1), rng.normal(size=300)
    found = rank_contributions(p, target, fold)
    for number in (0, 1, 7):
        rows = fold == number
        expected = spearmanr(p[rows], target[rows]).statistic
        assert found[rows].mean() == pytest.approx(expected)


def test_ranks_are_taken_within_folds() -> None:
    """A model that is off by a constant in one fold loses nothing."""
    rng = np.random.default_rng(1)
    fold = np.repeat([0, 1], 200)
    target = rng.normal(size=400)
    shifted = target + 100.0 * fold
    assert rank_contributions(shifted, target, fold).mean() == pytest.approx(1.0)


def test_constant_scores_contribute_nothing() -> None:
    """Zero skill in a fold where one side does not vary, without a NaN."""
    fold = np.repeat([0, 1], 50)
    p = np.where(fold == 0, 0.5, np.random.default_rng(0).random(100))
    found = rank_contributions(p, np.arange(100.0), fold)
    assert set(found[fold == 0]) == {0.0}
    assert found[fold == 1].any()


def test_skill_is_found_and_luck_is_not() -> None:
    """A rank IC of 0.1 over 4,000 rows is significant; scores of noise seldom are."""
    rng = np.random.default_rng(2)
    fold = np.zeros(4_000, dtype=np.int64)
    target = rng.normal(size=4_000)
    good = rank_contributions(0.1 * target + rng.normal(size=4_000), target, fold)
    found = skill(good, least_block=5, n_resamples=499, seed=0)
    assert found.p_against < 0.01
    assert found.rank_ic == pytest.approx(good.mean())
    assert found.drawn.block >= 5
    noise = [
        skill(
            rank_contributions(rng.normal(size=4_000), target, fold),
            least_block=1,
            n_resamples=199,
            seed=i,
        ).p_against
        for i in range(60)
    ]
    assert np.mean(np.array(noise) <= 0.10) <= 0.2
    assert np.mean(noise) == pytest.approx(0.5, abs=0.15)


def test_group_that_knows_is_missed() -> None:
    """Without the informative group the rank IC falls; groups of noise change next to nothing."""
    found = effects(dataset())
    assert set(found) == {"returns", "book", "oscillator", "volatility"}
    assert found["volatility"].delta < -0.2
    assert found["volatility"].p_value > 0.99
    for group in ("returns", "book", "oscillator"):
        assert abs(found[group].delta) < 0.03


def test_group_that_harms_is_found() -> None:
    """A feature whose meaning turns round from fold to fold: dropping it helps, beyond chance."""
    data = dataset(edge=0.4)
    turned = np.where(np.arange(len(data)) // 600 % 2 == 0, 1.0, -1.0)
    X = data.X.copy()  # noqa: N806
    X[:, 3] = turned * data.target
    found = effects(replace(data, X=X))
    harm = found["oscillator"]
    assert harm.delta > 0.05
    assert harm.p_adjusted <= 0.10
    assert max(found.values(), key=lambda effect: effect.delta) is harm
    assert all(found[group].p_adjusted > 0.10 for group in ("returns", "book"))


def test_adjusted_p_values_are_holms() -> None:
    """Never below the single p value; the smallest times the number of groups."""
    found = effects(dataset(1_200)).values()
    assert all(e.p_adjusted >= e.p_value for e in found)
    least = min(found, key=lambda e: e.p_value)
    assert least.p_adjusted == pytest.approx(min(1.0, len(found) * least.p_value))


def test_groups_cover_every_feature_once() -> None:
    """Each registered feature but the bias is in exactly one group, and groups name no other."""
    members = [name for group in FEATURE_GROUPS.values() for name in group]
    assert sorted(members) == sorted(set(feature_names()) - {"bias"})
