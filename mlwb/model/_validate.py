"""Search and out-of-sample evaluation under purged validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model._auc import auc
from mlwb.model._fit import FittedModel, Trial, fit_model
from mlwb.model._split import PurgedSplitter, Split, WalkForward

__all__ = [
    "Dataset",
    "OutOfFold",
    "TrialResult",
    "choose",
    "cross_validate",
    "predict_splits",
    "refit",
    "search",
    "walk",
]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with what is done, what there is, and the name of what was done."""


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
    weight : ndarray of shape (n_rows,), float64, default=ones
        Uniqueness of each label, in (0, 1]: what it is worth beside those it overlaps.
    """

    X: Float2D
    y: Float1D
    t0: Int1D
    t1: Int1D
    target: Float1D
    names: tuple[str, ...]
    weight: Float1D = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if len(self.weight) == 0:
            object.__setattr__(self, "weight", np.ones(len(self.y)))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_eff(self) -> float:
        """Sum of the weights: how many labels that do not overlap the rows are worth."""
        return float(self.weight.sum())

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
            self.weight[index],
        )

    def without(self, columns: Sequence[str]) -> Dataset:
        """The same rows without some features."""
        kept = [i for i, name in enumerate(self.names) if name not in columns]
        return replace(self, X=self.X[:, kept], names=tuple(self.names[i] for i in kept))


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows the model had not seen.

    Parameters
    ----------
    index : ndarray of int64
        Rows predicted, increasing within a fold.
    fold : ndarray of int64
        Fold of each.
    probability : ndarray of float64
        Prediction of each.
    fold_auc : tuple of float
        AUC of each fold; NaN where a segment of :func:`walk` holds one class only.
    splits : tuple of Split
        What was trained on and tested.
    n_eff : float, default=nan
        Weight of the rows predicted.
    """

    index: Int1D
    fold: Int1D
    probability: Float1D
    fold_auc: tuple[float, ...]
    splits: tuple[Split, ...]
    n_eff: float = float("nan")

    @property
    def mean_auc(self) -> float:
        """Mean over folds."""
        return float(np.mean(self.fold_auc))


@dataclass(frozen=True)
class TrialResult:
    """A trial and what it scored."""

    trial: Trial
    out_of_fold: OutOfFold


def cross_validate(
    data: Dataset, trial: Trial, splitter: PurgedSplitter, *, is_auc_weighted: bool = False
) -> OutOfFold:
    """Fit on every train side with the rows' weights, predict every test side.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trial : Trial
        What to fit.
    splitter : PurgedSplitter
        Over the spans of ``data``. A combinatorial one predicts a row several times, once a split.
    is_auc_weighted : bool, default=False
        Weigh the rows in the AUC of a fold as in the fit.

    Returns
    -------
    OutOfFold

    Raises
    ------
    DegenerateModelError
        A fold holds one class only.
    """
    found = _out_of_fold(data, trial, tuple(splitter.splits()), is_auc_weighted=is_auc_weighted)
    for number, value in enumerate(found.fold_auc, start=1):
        if not np.isfinite(value):
            raise DegenerateModelError("a fold holds one class only", got=f"fold {number}")
    return found


def _out_of_fold(
    data: Dataset, trial: Trial, splits: tuple[Split, ...], *, is_auc_weighted: bool = False
) -> OutOfFold:
    predictions = predict_splits(data, trial, splits)
    fold_auc = []
    for split, predicted in zip(splits, predictions, strict=True):
        weight = data.weight[split.test] if is_auc_weighted else None
        fold_auc.append(auc(data.y[split.test], predicted, weight))
    index = np.concatenate([split.test for split in splits])
    return OutOfFold(
        index,
        np.repeat(np.arange(len(splits)), [len(split.test) for split in splits]),
        np.concatenate(predictions),
        tuple(fold_auc),
        splits,
        float(data.weight[index].sum()),
    )


def predict_splits(data: Dataset, trial: Trial, splits: Sequence[Split]) -> list[Float1D]:
    """What a model of the train rows of each split says of its test rows."""
    if not splits:
        raise DegenerateModelError("no fold has rows of both classes on both sides")
    predictions = []
    for split in splits:
        train = split.train
        model = fit_model(trial, data.X[train], data.y[train], data.weight[train])
        predictions.append(model.predict(data.X[split.test]))
    return predictions


def search(
    data: Dataset,
    trials: Iterable[Trial],
    splitter: PurgedSplitter,
    *,
    progress: Progress | None = None,
) -> list[TrialResult]:
    """Cross-validate every trial, the losers kept: what was tried counts as much as what won.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trials : iterable of Trial
        As :func:`make_trials` lists them.
    splitter : PurgedSplitter
        Over the spans of ``data``.
    progress : callable, optional
        Called after each trial with the number done, the number there are, and its name.

    Returns
    -------
    list of TrialResult
        In the order tried.
    """
    wanted, results = list(trials), list[TrialResult]()
    for trial in wanted:
        results.append(TrialResult(trial, cross_validate(data, trial, splitter)))
        if progress is not None:
            progress(len(results), len(wanted), trial.name)
    return results


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
    """Walk forward over equal calendar segments, refitting before each.

    A quiet week may bring one class alone: such a segment has no AUC (NaN), and one before which
    only one class was seen is left out, as there is nothing to learn from.
    """
    splits = WalkForward(data.t0, data.t1, n_segments=n_segments).splits()
    able = tuple(split for split in splits if np.ptp(data.y[split.train]) > 0.0)
    return _out_of_fold(data, trial, able)


def refit(data: Dataset, trial: Trial) -> FittedModel:
    """Fit on all rows with their weights: the model that is exported."""
    return fit_model(trial, data.X, data.y, data.weight)
