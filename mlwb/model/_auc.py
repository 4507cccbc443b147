"""Area under the ROC curve: one sort, weights, ties, and an interval that knows about time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import DegenerateModelError
from mlwb.stats import block_length, block_means

__all__ = ["AucInterval", "auc", "auc_influence", "auc_interval"]


@dataclass(frozen=True)
class AucInterval:
    """An AUC with the interval that a circular block bootstrap gives it.

    Parameters
    ----------
    auc : float
        Mean over folds; of all rows where there are no folds.
    low, high : float
        Percentile interval at ``level``.
    se : float
        Standard deviation of the resampled values.
    level : float
        In (0, 1).
    block : int
        Rows a block, the longest over folds.
    n_obs, n_resamples : int
        Rows, and resamples.
    """

    auc: float
    low: float
    high: float
    se: float
    level: float
    block: int
    n_obs: int
    n_resamples: int


def auc(y: Float1D, probability: Float1D, weight: Float1D | None = None) -> float:
    """Mann-Whitney AUC, ties one half: the chance that a 1 scores above a 0.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), float64
        0 or 1.
    probability : ndarray of shape (n_rows,), float64
        Finite scores.
    weight : ndarray of shape (n_rows,), float64, optional
        Of each row, >= 0; equal weights without it.

    Returns
    -------
    float
        In [0, 1]; NaN where a class is missing, never one half.

    Raises
    ------
    DegenerateModelError
        A score is not finite.

    Examples
    --------
    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    if not np.isfinite(probability).all():
        raise DegenerateModelError("AUC needs finite scores")
    return _Sorted(y, probability).area(np.ones(len(y)) if weight is None else weight)


def auc_influence(y: Float1D, probability: Float1D) -> Float1D:
    """What each row adds to the AUC: a resample moves it by the sum over the rows drawn.

    Parameters
    ----------
    y, probability : ndarray of shape (n_rows,), float64
        Labels 0 or 1 and finite scores.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        Adds up to zero; zero throughout where a class is missing.
    """
    return _Sorted(y, probability).influence()


def auc_interval(
    y: Float1D,
    probability: Float1D,
    *,
    fold: Int1D | None = None,
    least_block: int,
    n_resamples: int,
    seed: int,
    level: float = 0.95,
) -> AucInterval:
    """Interval of the AUC from blocks of rows that stay together in time.

    Rows near in time are alike, so DeLong's interval, which takes them as independent, is too
    narrow. A resample moves the AUC by the sum of the influences of the rows drawn (its Hajek
    projection); blocks are as long as Politis and White ask for these influences. With folds,
    rows are resampled within their fold and the fold AUCs averaged, as the gate does.

    Parameters
    ----------
    y, probability : ndarray of shape (n_rows,), float64
        Labels 0 or 1 and finite scores, in time order within a fold.
    fold : ndarray of shape (n_rows,), int64, optional
        Fold of each row; one fold without it.
    least_block : int
        Shortest block, rows: the overlap of labels.
    n_resamples, seed : int
        Of the bootstrap.
    level : float, default=0.95
        Of the interval, in (0, 1).

    Returns
    -------
    AucInterval
        All NaN where a fold holds one class only.

    Raises
    ------
    DegenerateModelError
        No rows, or a score that is not finite.
    """
    if len(y) == 0 or not np.isfinite(probability).all():
        raise DegenerateModelError("AUC needs rows with finite scores")
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(y), dtype=np.int64) if fold is None else fold
    values, draws, block = [], [], 1
    for number in np.unique(folds):
        rows = _Sorted(y[folds == number], probability[folds == number])
        moved = len(rows.order) * rows.influence()
        drawn = block_means(
            moved, block=block_length(moved, least=least_block), n_resamples=n_resamples, rng=rng
        )
        values.append(rows.area(np.ones(len(moved))))
        draws.append(values[-1] + drawn.draws)
        block = max(block, drawn.block)
    mean, value = np.mean(draws, axis=0), float(np.mean(values))
    tail = (1.0 - level) / 2.0
    low, high = np.clip(np.quantile(mean, [tail, 1.0 - tail]), 0.0, 1.0)
    return AucInterval(
        value, float(low), float(high), float(mean.std(ddof=1)), level, block, len(y), n_resamples
    )


class _Sorted:
    """Rows in the order of their scores, ties in groups; an AUC is one pass over them."""

    def __init__(self, y: Float1D, score: Float1D) -> None:
        self.order = np.argsort(score)
        ordered = score[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self.positive = y[self.order]

    def area(self, weight: Float1D) -> float:
        """AUC under row weights; NaN without weight on either class."""
        if len(self.order) == 0:
            return float("nan")
        positive, negative, below = self._groups(weight)
        pairs = positive.sum() * negative.sum()
        return float((positive * below).sum() / pairs) if pairs > 0.0 else float("nan")

    def influence(self) -> Float1D:
        """What each row adds to the AUC, in the order the rows came in; mean zero."""
        positive, negative, below = self._groups(np.ones(len(self.order)))
        n_one, n_zero = positive.sum(), negative.sum()
        if n_one == 0.0 or n_zero == 0.0:
            return np.zeros(len(self.order))
        above = n_one - np.cumsum(positive) + 0.5 * positive
        size = np.diff(self.starts, append=len(self.order))
        is_one = self.positive == 1.0
        # a one's share of zeros below it, a zero's share of ones above it; both average to the AUC
        placed = np.where(is_one, np.repeat(below, size) / n_zero, np.repeat(above, size) / n_one)
        out = np.empty(len(self.order))
        out[self.order] = (placed - placed[is_one].mean()) / np.where(is_one, n_one, n_zero)
        return out

    def _groups(self, weight: Float1D) -> tuple[Float1D, Float1D, Float1D]:
        """Weight of ones and of zeros in each group of ties, and weight of zeros below it."""
        ordered = weight[self.order]
        ones = ordered * self.positive
        positive = np.add.reduceat(ones, self.starts)
        negative = np.add.reduceat(ordered - ones, self.starts)
        return positive, negative, np.cumsum(negative) - 0.5 * negative
