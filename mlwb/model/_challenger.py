"""Whether a new model is better than the one in service, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model._auc import auc, auc_influence
from mlwb.stats import BlockMeans, block_length, block_means, p_against

__all__ = ["Comparison", "compare_models"]


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion.

    Parameters
    ----------
    champion, challenger : float
        AUC of each, mean over folds.
    improvement : float
        ``challenger / champion - 1``, a fraction; the requirements' gain of the gate metric.
    low, high : float
        95 % interval of the improvement, paired circular block bootstrap.
    p_against : float
        Share of resampled improvements at or below zero.
    drawn : BlockMeans
        The resamples of the improvement.
    """

    champion: float
    challenger: float
    improvement: float
    low: float
    high: float
    p_against: float
    drawn: BlockMeans

    def is_improvement(self, *, least: float, level: float) -> bool:
        """Whether the gain is above ``least`` and its p at most ``level``; limits of the policy."""
        return self.improvement > least and self.p_against <= level


def compare_models(
    y: Float1D,
    champion: Float1D,
    challenger: Float1D,
    *,
    least_block: int,
    n_resamples: int,
    seed: int,
    fold: Int1D | None = None,
) -> Comparison:
    """Compare two models' scores of the same rows by the gate's metric.

    The AUC is not a mean over rows, but close to one: each row has an influence on it, and a
    resample moves it by the mean of the drawn influences. Drawing the rows of both models together
    lets what they share cancel.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), float64
        0 or 1, in time order, rows neither model was fitted on.
    champion, challenger : ndarray of shape (n_rows,), float64
        Finite scores; only their order matters.
    least_block : int
        Shortest block, rows: the overlap of labels.
    n_resamples, seed : int
        Of the bootstrap.
    fold : ndarray of shape (n_rows,), int64, optional
        Fold of each row, where folds were scored by different models; one fold without it.

    Returns
    -------
    Comparison

    Raises
    ------
    DegenerateModelError
        A class is missing in a fold, or a score is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = (rng.random(3_000) < 0.5).astype(float)
    >>> weak, strong = (edge * y + rng.normal(size=3_000) for edge in (0.3, 0.8))
    >>> found = compare_models(y, weak, strong, least_block=1, n_resamples=999, seed=0)
    >>> found.is_improvement(least=0.05, level=0.10), found.low > 0.0
    (True, True)
    """
    folds = np.zeros(len(y), dtype=np.int64) if fold is None else fold
    old, old_rows = _fold_mean(y, champion, folds)
    new, new_rows = _fold_mean(y, challenger, folds)
    gain = new / old - 1.0
    # the linear part of new / old, whose mean is zero, around the gain itself
    moved = gain + (new_rows - new / old * old_rows) / old
    block = block_length(moved, least=least_block)
    rng = np.random.default_rng(seed)
    drawn = block_means(moved, block=block, n_resamples=n_resamples, rng=rng)
    low, high = drawn.interval(0.95)
    return Comparison(old, new, gain, low, high, p_against(drawn), drawn)


def _fold_mean(y: Float1D, score: Float1D, folds: Int1D) -> tuple[float, Float1D]:
    """Mean AUC over folds, and what each row moves it by, times the number of rows."""
    numbers = np.unique(folds)
    values, influence = [], np.empty(len(y))
    for number in numbers:
        rows = folds == number
        values.append(auc(y[rows], score[rows]))
        influence[rows] = auc_influence(y[rows], score[rows])
    value = float(np.mean(values)) if values else float("nan")
    if not np.isfinite(value) or value == 0.0:
        raise DegenerateModelError("nothing to compare", expected="both classes in every fold")
    return value, influence * (len(y) / len(numbers))
