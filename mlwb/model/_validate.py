"""Search and out-of-sample evaluation under purged validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model._auc import auc
from mlwb.model._fit import FittedModel, Trial, fit_model
from mlwb.model._split import PurgedKFold, Split, WalkForward

__all__ = [
    "Dataset",
    "OutOfFold",
    "TrialResult",
    "choose",
    "cross_validate",
    "refit",
    "search",
    "walk",
]


@dataclass(frozen=True)
class Dataset:
    """Rows that may be learned from, in time order.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        Raw features, finite.
    y : ndarray of shape (n_rows,), float64
        0 or 1.
    t0, t1 : ndarray of shape (n_rows,), int64
        Label spans, seconds.
    target : ndarray of shape (n_rows,), float64
        The quantity ``y`` is the sign of; a good score orders it.
    names : tuple of str
        Feature names, column order.
    """

    X: Float2D
    y: Float1D
    t0: Int1D
    t1: Int1D
    target: Float1D
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def between(self, start: float, end: float) -> Dataset:
        """Rows decided at or after ``start`` and resolved at or before ``end``, seconds."""
        keep = (self.t0 >= start) & (self.t1 <= end)
        return self.rows(np.flatnonzero(keep))

    def rows(self, index: Int1D) -> Dataset:
        """A selection of rows."""
        return Dataset(
            self.X[index],
            self.y[index],
            self.t0[index],
            self.t1[index],
            self.target[index],
            self.names,
        )

    def without(self, columns: Sequence[str]) -> Dataset:
        """The same rows without some features."""
        kept = [i for i, name in enumerate(self.names) if name not in columns]
        names = tuple(self.names[i] for i in kept)
        return Dataset(self.X[:, kept], self.y, self.t0, self.t1, self.target, names)


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows the model had not seen.

    Parameters
    ----------
    index : ndarray of int64
        Rows predicted, increasing.
    fold : ndarray of int64
        Fold of each.
    probability : ndarray of float64
        Prediction of each.
    fold_auc : tuple of float
        AUC of each fold.
    splits : tuple of Split
        What was trained on and tested.
    """

    index: Int1D
    fold: Int1D
    probability: Float1D
    fold_auc: tuple[float, ...]
    splits: tuple[Split, ...]

    @property
    def mean_auc(self) -> float:
        """Mean over folds."""
        return float(np.mean(self.fold_auc))


@dataclass(frozen=True)
class TrialResult:
    """A trial and what it scored."""

    trial: Trial
    out_of_fold: OutOfFold


def cross_validate(data: Dataset, trial: Trial, splitter: PurgedKFold | WalkForward) -> OutOfFold:
    """Fit on every train side, predict every test side.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trial : Trial
        What to fit.
    splitter : PurgedKFold or WalkForward
        Over the spans of ``data``.

    Returns
    -------
    OutOfFold

    Raises
    ------
    DegenerateModelError
        A fold holds one class only.
    """
    index, fold, probability, fold_auc, splits = [], [], [], [], []
    for number, split in enumerate(splitter.splits()):
        model = fit_model(trial, data.X[split.train], data.y[split.train])
        predicted = model.predict(data.X[split.test])
        index.append(split.test)
        fold.append(np.full(len(split.test), number))
        probability.append(predicted)
        if len(np.unique(data.y[split.test])) < 2:
            raise DegenerateModelError("a fold holds one class only", got=f"fold {number + 1}")
        fold_auc.append(auc(data.y[split.test], predicted))
        splits.append(split)
    if not splits:
        raise DegenerateModelError("no fold has rows on both sides")
    return OutOfFold(
        np.concatenate(index),
        np.concatenate(fold),
        np.concatenate(probability),
        tuple(fold_auc),
        tuple(splits),
    )


def search(data: Dataset, trials: Sequence[Trial], splitter: PurgedKFold) -> list[TrialResult]:
    """Cross-validate every trial; the list is the trial ledger, in the order tried."""
    return [TrialResult(trial, cross_validate(data, trial, splitter)) for trial in trials]


def choose(results: Sequence[TrialResult], *, margin: float) -> TrialResult:
    """Take the best of the first family, unless another family beats it by the margin.

    Parameters
    ----------
    results : sequence of TrialResult
        At least one.
    margin : float
        Mean AUC a challenger must gain.

    Returns
    -------
    TrialResult
    """
    incumbent = [r for r in results if r.trial.family == results[0].trial.family]
    best = max(incumbent, key=lambda r: r.out_of_fold.mean_auc)
    challenger = max(results, key=lambda r: r.out_of_fold.mean_auc)
    gain = challenger.out_of_fold.mean_auc - best.out_of_fold.mean_auc
    return challenger if gain > margin else best


def walk(data: Dataset, trial: Trial, *, n_segments: int) -> OutOfFold:
    """Walk forward over equal calendar segments, refitting before each."""
    return cross_validate(data, trial, WalkForward(data.t0, data.t1, n_segments=n_segments))


def refit(data: Dataset, trial: Trial) -> FittedModel:
    """Fit on all rows: the model that is exported."""
    return fit_model(trial, data.X, data.y)
