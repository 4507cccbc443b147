"""What trials did row by row and day by day, so that their choice can be judged as a choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.core.clock import DAY_S
from mlwb.core.errors import DegenerateModelError
from mlwb.model._significance import rank_contributions
from mlwb.model._validate import TrialResult

__all__ = ["daily_skill", "trial_contributions"]


def trial_contributions(results: Sequence[TrialResult], target: Float1D) -> Float2D:
    """Rank contribution of every trial on every row, side by side.

    What :func:`mlwb.stats.overfitting` takes, and, less a baseline's column,
    :func:`mlwb.stats.superior`.

    Parameters
    ----------
    results : sequence of TrialResult
        **All** trials, scored on the same rows in the same folds, as :func:`search` returns them.
    target : ndarray of shape (n_data_rows,), float64
        What scores should order, for every row of the data set.

    Returns
    -------
    ndarray of shape (n_rows, n_trials), float64
        Rows in the order they were predicted.

    Raises
    ------
    DegenerateModelError
        No trials, or trials scored on different rows.
    """
    outs = [result.out_of_fold for result in results]
    if not outs or any(
        not np.array_equal(outs[0].index, out.index) or not np.array_equal(outs[0].fold, out.fold)
        for out in outs
    ):
        raise DegenerateModelError("trials can be compared on the same rows only")
    columns = [rank_contributions(out.probability, target[out.index], out.fold) for out in outs]
    return np.column_stack(columns)


def daily_skill(contributions: Float2D, t0: Int1D) -> Float2D:
    """Mean contribution of each UTC day with a row, trial by trial.

    For scores that nobody can trade (a volatility label) the Sharpe ratio of these days is what
    trials are deflated by; it needs no annual unit.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows, n_trials), float64
        As :func:`trial_contributions` gives them.
    t0 : ndarray of shape (n_rows,), int64
        Decision times, seconds since 1970: a bar belongs to the day it opened on.

    Returns
    -------
    ndarray of shape (n_days, n_trials), float64
        Days in order.
    """
    _, day = np.unique((t0 - INTERVAL_S) // DAY_S, return_inverse=True)
    sums = np.zeros((int(day.max(initial=-1)) + 1, contributions.shape[1]))
    np.add.at(sums, day, contributions)
    return sums / np.bincount(day)[:, None]
