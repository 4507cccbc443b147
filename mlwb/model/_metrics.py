"""Scores of a probability against a binary label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model._auc import auc

__all__ = ["Scores", "correlation", "rank_correlation", "score"]

TOP_SHARE = 0.20
"""Top share of precision and recall, as the requirements fix it."""


@dataclass(frozen=True)
class Scores:
    """What a set of predictions is worth.

    Parameters
    ----------
    auc : float
        Area under the ROC curve, ties one half.
    precision_top_20pct, recall_top_20pct : float
        Of the rows with the highest fifth of scores; ties at the cut are shared.
    base_rate : float
        Share of label 1.
    brier : float
        Mean squared error of the probability.
    n_rows, n_top : int
        Rows scored, rows in the top fifth.
    auc_weighted : float, default=nan
        AUC under the rows' weights; NaN where none were given.
    n_eff : float, default=nan
        Sum of the weights: how many labels that do not overlap the rows are worth.
    """

    auc: float
    precision_top_20pct: float
    recall_top_20pct: float
    base_rate: float
    brier: float
    n_rows: int
    n_top: int
    auc_weighted: float = float("nan")
    n_eff: float = float("nan")


def _top_hits(y: Float1D, probability: Float1D, share: float) -> tuple[float, int]:
    """Label 1 among the highest scores, rows tied at the cut counted in part."""
    n_top = int(np.ceil(share * len(y)))
    cut = np.partition(probability, len(y) - n_top)[len(y) - n_top]
    above, tied = probability > cut, probability == cut
    from_ties = (n_top - int(above.sum())) * float(y[tied].mean())
    return float(y[above].sum()) + from_ties, n_top


def correlation(x: Float1D, y: Float1D) -> float:
    """Pearson correlation; NaN when one side is constant."""
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def rank_correlation(x: Float1D, y: Float1D) -> float:
    """Spearman correlation with average ranks; NaN when one side is constant."""
    return correlation(rankdata(x), rankdata(y))


def score(y: Float1D, probability: Float1D, weight: Float1D | None = None) -> Scores:
    """All scores of one set of predictions; see :class:`Scores`.

    ``recall * base_rate == n_top / n_rows * precision`` holds, ties or not.

    Parameters
    ----------
    y, probability : ndarray of shape (n_rows,), float64
        Labels 0 or 1 and scores.
    weight : ndarray of shape (n_rows,), float64, optional
        Uniqueness of each label, for ``auc_weighted`` and ``n_eff`` alone.

    Returns
    -------
    Scores

    Raises
    ------
    DegenerateModelError
        One class only, or a score that is not finite.
    """
    if len(np.unique(y)) != 2 or not np.isfinite(probability).all():
        raise DegenerateModelError("scores need both classes and finite predictions")
    hits, n_top = _top_hits(y, probability, TOP_SHARE)
    return Scores(
        auc=auc(y, probability),
        precision_top_20pct=hits / n_top,
        recall_top_20pct=hits / float(y.sum()),
        base_rate=float(y.mean()),
        brier=float(np.mean((probability - y) ** 2)),
        n_rows=len(y),
        n_top=n_top,
        auc_weighted=float("nan") if weight is None else auc(y, probability, weight),
        n_eff=float("nan") if weight is None else float(weight.sum()),
    )
