"""Trials side by side, and days of skill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlwb.core.errors import DegenerateModelError
from mlwb.model import (
    PurgedKFold,
    Trial,
    TrialResult,
    WalkForward,
    cross_validate,
    daily_skill,
    rank_contributions,
    search,
    trial_contributions,
)
from mlwb.stats import dsr, overfitting, sharpe_ratio, superior
from tests.model.model_kit import TRIALS, dataset

STRENGTHS = tuple(Trial("logistic", c, 0) for c in (1e-4, 0.01, 1.0))


def results_of(edge: float) -> tuple[list[TrialResult], np.ndarray, np.ndarray]:
    """Three trials on four days of rows; their targets and times."""
    data = dataset(5_760, edge=edge)
    found = search(data, STRENGTHS, PurgedKFold(data.t0, data.t1))
    return found, data.target, data.t0


def test_columns_are_the_trials_contributions() -> None:
    """One column a trial, in the order tried; its mean is the trial's rank IC."""
    results, target, _ = results_of(0.5)
    matrix = trial_contributions(results, target)
    assert matrix.shape == (5_760, 3)
    for column, result in zip(matrix.T, results, strict=True):
        out = result.out_of_fold
        own = rank_contributions(out.probability, target[out.index], out.fold)
        np.testing.assert_array_equal(column, own)


def test_choice_is_judged_end_to_end() -> None:
    """With an edge the best is better than nothing and deflation leaves it; without, neither."""
    results, target, t0 = results_of(0.5)
    matrix = trial_contributions(results, target)
    found = superior(matrix, block=10, n_resamples=499, seed=0)
    assert found.p_value <= 0.01
    assert len(found.winners) == 3
    assert overfitting(matrix, n_blocks=8).loss_share == 0.0
    days = [sharpe_ratio(column) for column in daily_skill(matrix, t0).T]
    ratios = np.array([day.ratio for day in days])
    best = days[int(ratios.argmax())]
    kept = dsr(best.ratio, best.n_obs, skew=0.0, kurtosis=3.0, trial_ratios=ratios)
    results, target, _ = results_of(0.0)
    luck = superior(trial_contributions(results, target), block=10, n_resamples=499, seed=0)
    assert luck.p_value > 0.10
    assert kept > 0.9


def test_days_are_those_the_bars_opened_on() -> None:
    """Mean by UTC day, uneven days alike; the decision at midnight belongs to the day before."""
    t0 = np.array([60, 120, 86_400, 86_460, 90_000, 172_860], dtype=np.int64)
    rows = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 9.0])
    found = daily_skill(np.column_stack([rows, -rows]), t0)
    np.testing.assert_array_equal(found, [[2.0, -2.0], [4.0, -4.0], [9.0, -9.0]])


def test_trials_on_other_rows_are_refused() -> None:
    """Another splitter predicts other rows; no trials predict none."""
    data = dataset(900)
    folds = cross_validate(data, TRIALS["logistic"], PurgedKFold(data.t0, data.t1))
    walked = cross_validate(data, TRIALS["logistic"], WalkForward(data.t0, data.t1))
    both = [TrialResult(TRIALS["logistic"], out) for out in (folds, walked)]
    refolded = [both[0], replace(both[0], out_of_fold=replace(folds, fold=folds.fold + 1))]
    for wrong in (both, refolded, []):
        with pytest.raises(DegenerateModelError, match="same rows only"):
            trial_contributions(wrong, data.target)
