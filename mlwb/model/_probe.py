"""Whether fitting looks at anything but the training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlwb.core.arrays import Float1D, Float2D, Int1D
from mlwb.model._split import Split
from mlwb.model._validate import Dataset

__all__ = ["outside_influence"]

Fit = Callable[[Dataset, Int1D], Callable[[Float2D], Float1D]]
"""``fit(data, train)`` to a function from features to scores."""


def outside_influence(fit: Fit, data: Dataset, split: Split, *, seed: int) -> int:
    """Test rows whose score changes when rows outside training are replaced before fitting.

    Everything that is fitted (scaler, clip bounds, selection, cuts, the model) must come from the
    training rows alone. So every other row is overwritten with other values, the fit is made
    again, and the scores of the original test rows must be the same bits.

    Parameters
    ----------
    fit : callable
        ``fit(data, train)``: gets all rows and the numbers of those it may learn from, returns a
        function from raw features, shape (n, n_features), to scores, shape (n,). Deterministic.
    data : Dataset
        Rows in time order.
    split : Split
        What is trained on and tested.
    seed : int
        Of the values that are put in.

    Returns
    -------
    int
        0 for a pipeline fitted inside the fold.

    Examples
    --------
    >>> from mlwb.model import PurgedKFold, Trial, refit
    >>> rng = np.random.default_rng(0)
    >>> X, t0 = rng.normal(size=(400, 2)), 60 * np.arange(400)
    >>> y = (X[:, 0] > 0).astype(float)
    >>> data = Dataset(X, y, t0, t0 + 60, X[:, 0], ("a", "b"))
    >>> first = next(PurgedKFold(t0, t0 + 60).splits())
    >>> def inside(data, train):
    ...     return refit(data.rows(train), Trial("logistic", 1.0, 0)).predict
    >>> outside_influence(inside, data, first, seed=0)
    0
    """
    test = data.X[split.test]
    honest = fit(data, split.train)(test)
    changed = fit(_overwritten(data, split.train, np.random.default_rng(seed)), split.train)(test)
    return int((honest != changed).sum())


def _overwritten(data: Dataset, kept: Int1D, rng: np.random.Generator) -> Dataset:
    """The data with every row that is not kept drawn anew: shuffled, spread out, labels turned."""
    other = np.setdiff1d(np.arange(len(data)), kept)
    drawn = other[rng.permutation(len(other))]
    X, y, target = data.X.copy(), data.y.copy(), data.target.copy()
    X[other] = 3.0 * data.X[drawn] + data.X.std(axis=0)
    y[other], target[other] = 1.0 - data.y[drawn], -data.target[drawn]
    return replace(data, X=X, y=y, target=target)
