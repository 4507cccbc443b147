"""Which features the model leans on out of sample, and whether folds agree about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D, Float2D
from mlwb.core.errors import EmptyWindowError
from mlwb.model._auc import auc
from mlwb.model._fit import FittedModel, Trial
from mlwb.model._split import PurgedSplitter
from mlwb.model._validate import Dataset, refit

__all__ = ["Importance", "importance", "kendall_w", "top_overlap"]

_TOP = 3


@dataclass(frozen=True)
class Importance:
    """Permutation importance by fold.

    Parameters
    ----------
    names : tuple of str
        Features, or groups of features that were shuffled together.
    loss : ndarray of shape (n_folds, n_names), float64
        AUC that is lost when the feature's rows are shuffled; about 0 for one that is not used.
    agreement : float
        Kendall's W of the folds' rankings: 1 when all folds rank alike, about 1 / n_folds by
        chance.
    top_overlap : float
        Mean Jaccard index of the three leading names over pairs of folds.
    """

    names: tuple[str, ...]
    loss: Float2D
    agreement: float
    top_overlap: float

    @property
    def mean_loss(self) -> Float1D:
        """Mean over folds, shape (n_names,)."""
        return np.asarray(self.loss.mean(axis=0), dtype=np.float64)

    def is_stable(self, least: float) -> bool:
        """Whether folds agree at least so much; unknown agreement is not stable."""
        return self.agreement >= least


def importance(
    data: Dataset,
    trial: Trial,
    splitter: PurgedSplitter,
    *,
    n_repeats: int = 2,
    seed: int,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Importance:
    """Shuffle features on the test side of every fold and see what the AUC loses.

    The model is fitted once a fold, on the purged train side; nothing is refitted for a feature.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trial : Trial
        The chosen configuration.
    splitter : PurgedSplitter
        Folds.
    n_repeats : int, default=2
        Shuffles a feature and fold, averaged.
    seed : int
        Of the shuffles.
    groups : mapping of str to sequence of str, optional
        Features to shuffle together, by group; each on its own without it. Of two features that
        say the same neither is missed alone: put them into one group.

    Returns
    -------
    Importance

    Raises
    ------
    EmptyWindowError
        No group holds a feature of the data.
    """
    named = groups or {name: (name,) for name in data.names}
    columns = {
        name: [data.names.index(member) for member in members if member in data.names]
        for name, members in named.items()
    }
    columns = {name: found for name, found in columns.items() if found}
    if not columns:
        raise EmptyWindowError("no feature to shuffle", expected=", ".join(data.names))
    rng = np.random.default_rng(seed)
    losses = []
    for split in splitter.splits():
        model = refit(data.rows(split.train), trial)
        rows = data.rows(split.test)
        losses.append([_loss(model, rows, c, n_repeats, rng=rng) for c in columns.values()])
    loss = np.asarray(losses)
    return Importance(tuple(columns), loss, kendall_w(loss), top_overlap(loss))


def _loss(
    model: FittedModel,
    rows: Dataset,
    columns: Sequence[int],
    n_repeats: int,
    *,
    rng: np.random.Generator,
) -> float:
    whole = auc(rows.y, model.predict(rows.X))
    shuffled = rows.X.copy()
    lost = []
    for _ in range(n_repeats):
        shuffled[:, columns] = rows.X[rng.permutation(len(rows))][:, columns]
        lost.append(whole - auc(rows.y, model.predict(shuffled)))
    return float(np.mean(lost))


def kendall_w(loss: Float2D) -> float:
    """Kendall's W: how much several rankings of the same things agree.

    ``12 S / (m^2 (n^3 - n) - m T)``, S the sum of squared deviations of the rank sums, T the
    correction for ties.

    Parameters
    ----------
    loss : ndarray of shape (n_rankings, n_things), float64
        Each row ranks the things; ties take the mean rank.

    Returns
    -------
    float
        In [0, 1]; NaN for fewer than two rankings or things, or when nothing is ranked.

    Examples
    --------
    >>> kendall_w(np.array([[3.0, 2.0, 1.0], [9.0, 5.0, 4.0]]))
    1.0
    """
    m, n = loss.shape
    if m < 2 or n < 2:
        return float("nan")
    ranks = rankdata(loss, axis=1)
    sums = ranks.sum(axis=0)
    spread = float(np.square(sums - sums.mean()).sum())
    sizes = [np.unique(row, return_counts=True)[1] for row in ranks]
    ties = sum(float((size**3 - size).sum()) for size in sizes)
    largest = m * m * (n**3 - n) - m * ties
    return 12.0 * spread / largest if largest > 0 else float("nan")


def top_overlap(loss: Float2D, top: int = _TOP) -> float:
    """Mean Jaccard index of the leading things over all pairs of rankings.

    Parameters
    ----------
    loss : ndarray of shape (n_rankings, n_things), float64
        Larger leads; ties go to the earlier column.
    top : int, default=3
        Things that lead.

    Returns
    -------
    float
        In [0, 1]; NaN for fewer than two rankings.
    """
    leading = [set(np.argsort(-row, kind="stable")[:top].tolist()) for row in loss]
    shared = [len(a & b) / len(a | b) for a, b in combinations(leading, 2)]
    return float(np.mean(shared)) if shared else float("nan")
