"""Skill row by row, beyond a baseline, and how often luck passes for it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import spearmanr

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model import (
    RULES,
    OutOfFold,
    PurgedKFold,
    Skill,
    cross_validate,
    p_against_folds,
    rank_contributions,
    rule_scores,
    skill,
    skill_beyond,
)
from tests.model.model_kit import TRIALS, dataset
from tests.model.null_markets import DESIGNS, contributions, skills


def beyond(baseline: Float1D | None, probability: Float1D, target: Float1D) -> Skill:
    """Skill of scores of two folds beyond a baseline."""
    n = len(target)
    out = OutOfFold(np.arange(n), np.arange(n) * 2 // n, probability, (0.5, 0.5), ())
    return skill_beyond(out, target, baseline, least_block=1, n_resamples=499, seed=0)


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


def test_beyond_nothing_is_the_skill_itself() -> None:
    """Without a baseline the difference is the model's own contribution, same seed, same draws."""
    rng = np.random.default_rng(3)
    target = rng.normal(size=1_000)
    score = 0.2 * target + rng.normal(size=1_000)
    found = beyond(None, score, target)
    fold = np.arange(1_000) * 2 // 1_000
    own = skill(rank_contributions(score, target, fold), least_block=1, n_resamples=499, seed=0)
    assert found.rank_ic == own.rank_ic
    np.testing.assert_array_equal(found.drawn.draws, own.drawn.draws)


def test_nothing_is_gained_beyond_oneself() -> None:
    """The same order of rows gains exactly nothing: p is 1, whatever the scale of the scores."""
    rng = np.random.default_rng(4)
    target = rng.normal(size=600)
    score = 0.5 * target + rng.normal(size=600)
    found = beyond(np.exp(score), score, target)
    assert found.rank_ic == 0.0
    assert found.p_against == 1.0


def test_what_the_baseline_knows_does_not_count() -> None:
    """A copy of a good rule plus noise has skill, but none beyond the rule; new knowledge has."""
    rng = np.random.default_rng(5)
    rule, fresh = rng.normal(size=(2, 3_000))
    target = rule + 0.3 * fresh + rng.normal(size=3_000)
    copy = rule + 0.1 * rng.normal(size=3_000)
    assert beyond(None, copy, target).p_against <= 0.01
    assert beyond(rule, copy, target).p_against > 0.5
    found = beyond(rule, rule + 0.3 * fresh, target)
    assert found.p_against <= 0.01
    assert 0.0 < found.rank_ic < beyond(None, rule + 0.3 * fresh, target).rank_ic


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """The spread of the paired difference is far below that of either skill."""
    rng = np.random.default_rng(6)
    rule = rng.normal(size=2_000)
    target = 0.3 * rule + rng.normal(size=2_000)
    better = rule + 0.1 * target
    paired = beyond(rule, better, target).drawn.draws.std()
    assert paired < 0.3 * beyond(None, better, target).drawn.draws.std()


def test_rule_of_a_label_is_its_feature() -> None:
    """Volatility is ranked by the last hour's; other labels and other feature sets have no rule."""
    data = dataset(300)
    np.testing.assert_array_equal(rule_scores(data, "volatility"), data.X[:, 4])
    assert rule_scores(data, "direction") is None
    assert rule_scores(data.without(list(RULES.values())), "volatility") is None


def test_model_that_only_has_the_rule_gains_nothing_beyond_it() -> None:
    """End to end: the data set in which one feature knows all, against that feature."""
    data = dataset(edge=0.8)
    out = cross_validate(data, TRIALS["logistic"], PurgedKFold(data.t0, data.t1))
    rule = rule_scores(data, "volatility")
    found = skill_beyond(out, data.target, rule, least_block=5, n_resamples=499, seed=0)
    alone = skill_beyond(out, data.target, None, least_block=5, n_resamples=499, seed=0)
    assert alone.p_against <= 0.01
    assert found.rank_ic < 0.01
    assert found.p_against > 0.10


def test_baseline_without_a_score_is_refused() -> None:
    """A missing score is not a score of zero."""
    target = np.random.default_rng(7).normal(size=50)
    with pytest.raises(DegenerateModelError, match="finite score for every row"):
        beyond(np.where(np.arange(50) == 7, np.nan, target), target, target)


def test_folds_are_drawn_as_the_requirements_say() -> None:
    """Close to the exact share over all 27 draws of three fold means; zero when all agree."""
    fold = np.repeat([3, 1, 2], 40)
    rows = np.select([fold == 1, fold == 2], [0.3, -0.2], 0.05)
    exact = np.mean([sum(drawn) <= 0.0 for drawn in product([0.3, -0.2, 0.05], repeat=3)])
    found = p_against_folds(rows, fold, n_resamples=20_000, seed=0)
    assert found == pytest.approx(exact, abs=0.015)
    assert p_against_folds(np.abs(rows), fold, n_resamples=999, seed=0) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_luck_passes_as_often_as_it_may(name: str) -> None:
    """No skill, dependent rows: p_against <= 0.10 in 5 to 15 % of 400 markets of 1,500 minutes."""
    design = DESIGNS[name]
    rows = contributions(*design.draw(np.random.default_rng(11), (400, 1_500)))
    passed = [found.p_against <= 0.10 for found in skills(rows, design.overlap, n_resamples=199)]
    assert 0.05 <= np.mean(passed) <= 0.15


def test_independent_errors_would_let_luck_pass() -> None:
    """Why blocks: with overlapping labels the plain t-test passes over 25 % of the same markets."""
    design = DESIGNS["overlapping labels"]
    rows = contributions(*design.draw(np.random.default_rng(11), (400, 1_500)))
    t = rows.mean(axis=1) / rows.std(axis=1) * np.sqrt(rows.shape[1])
    assert np.mean(t >= 1.2816) > 0.25


def test_small_skill_is_seen_in_a_fortnight() -> None:
    """A correlation of 0.05 over 20,160 minutes passes in at least 19 of 20 markets."""
    rng = np.random.default_rng(12)
    target = rng.standard_t(4, (20, 20_160))
    score = rng.standard_normal(target.shape) + 0.05 * target / target.std()
    found = list(skills(contributions(score, target), 1, n_resamples=999))
    assert sum(each.p_against <= 0.10 for each in found) >= 19


def test_luck_beyond_a_baseline_passes_as_often_as_it_may() -> None:
    """Two scores that know the same with noise of their own: 5 to 15 % of 300 markets pass."""
    rng = np.random.default_rng(13)
    known = np.cumsum(rng.normal(size=(300, 1_500)), axis=1) * 0.1
    target = known + rng.normal(size=known.shape)
    one, other = (known + rng.normal(size=known.shape) for _ in range(2))
    rows = contributions(one, target) - contributions(other, target)
    passed = [found.p_against <= 0.10 for found in skills(rows, 1, n_resamples=199)]
    assert 0.05 <= np.mean(passed) <= 0.15
