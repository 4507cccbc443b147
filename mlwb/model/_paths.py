"""Combinatorial validation: many out-of-sample histories from the fits of one scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.model._auc import auc
from mlwb.model._family import Trial
from mlwb.model._metrics import Scores, score
from mlwb.model._split import CombinatorialPurgedCV, Split
from mlwb.model._validate import Dataset, predict_splits

__all__ = ["Paths", "cross_validate_paths"]


@dataclass(frozen=True)
class Paths:
    """Whole out-of-sample histories, put together from the splits of a combinatorial scheme.

    Parameters
    ----------
    probability : ndarray of shape (n_paths, n_rows), float64
        Prediction of every row on every path.
    group : ndarray of shape (n_rows,), int64
        Run in time of each row: on a path, one model predicts one group.
    split : ndarray of shape (n_paths, n_groups), int64
        Split whose model it is.
    splits : tuple of Split
        What was trained on and tested.
    scores : tuple of Scores
        Of each path, all its rows together.
    group_auc : ndarray of shape (n_paths, n_groups), float64
        AUC of each group on each path, NaN where it holds one class only.
    """

    probability: Float2D
    group: Int1D
    split: Int1D
    splits: tuple[Split, ...]
    scores: tuple[Scores, ...]
    group_auc: Float2D

    @property
    def auc(self) -> Float1D:
        """Mean AUC over the groups of each path, shape (n_paths,), as folds are averaged.

        NaN for a path with a group of one class.
        """
        return np.asarray(self.group_auc.mean(axis=1))


def cross_validate_paths(data: Dataset, trial: Trial, splitter: CombinatorialPurgedCV) -> Paths:
    """Fit every split once, and score every history their predictions make up.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trial : Trial
        What to fit.
    splitter : CombinatorialPurgedCV
        Over the spans of ``data``.

    Returns
    -------
    Paths

    Raises
    ------
    DegenerateModelError
        A training side, or all rows together, hold one class only.
    """
    splits = tuple(splitter.splits())
    predictions = predict_splits(data, trial, splits)
    probability, group = splitter.path_predictions(predictions), splitter.group()
    members = [np.flatnonzero(group == number) for number in range(splitter.n_groups)]
    return Paths(
        probability,
        group,
        splitter.paths(),
        splits,
        tuple(score(data.y, path, data.weight) for path in probability),
        np.array([[auc(data.y[rows], path[rows]) for rows in members] for path in probability]),
    )
