"""Whether the skill is more than luck: against no skill, a rule, or another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import DegenerateModelError
from mlwb.model._validate import Dataset, OutOfFold
from mlwb.stats import BlockMeans, block_length, block_means, p_against, standardised

__all__ = [
    "RULES",
    "Skill",
    "p_against_folds",
    "rank_contributions",
    "rule_scores",
    "skill",
    "skill_beyond",
]

RULES: Mapping[str, str] = {"volatility": "realised_vol_60m"}
"""The feature that ranks a label's target without any model, by label kind.

Volatility persists, so the last hour's ranks the next one's; nothing so simple ranks a direction.
"""


@dataclass(frozen=True)
class Skill:
    """Mean rank information coefficient with its resampled distribution.

    Parameters
    ----------
    rank_ic : float
        Mean over rows of the product of standardised ranks, within folds; beyond a baseline, of
        the difference.
    p_against : float
        Share of resampled means at or below zero.
    drawn : BlockMeans
        The resamples.
    """

    rank_ic: float
    p_against: float
    drawn: BlockMeans


def rank_contributions(
    probability: Float1D,
    target: Float1D,
    fold: Int1D,
) -> Float1D:
    """Product of standardised ranks row by row; its mean over a fold is the fold's rank IC.

    Parameters
    ----------
    probability, target : ndarray of shape (n_rows,), float64
        Scores and what they should order.
    fold : ndarray of shape (n_rows,)
        Ranks are taken within folds, since folds are scored by different models.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        Zero throughout a fold where one side is constant.
    """
    out = np.zeros(len(probability))
    for number in np.unique(fold):
        rows = fold == number
        out[rows] = standardised(rankdata(probability[rows])) * standardised(rankdata(target[rows]))
    return out


def skill(contributions: Float1D, *, least_block: int, n_resamples: int, seed: int) -> Skill:
    """Bootstrap the mean of contributions in time order.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows,), float64
        Per-row skill, or the paired difference of two models.
    least_block : int
        Shortest block, rows: the overlap of labels.
    n_resamples, seed : int
        Of the circular block bootstrap.

    Returns
    -------
    Skill
    """
    block = block_length(contributions, least=least_block)
    rng = np.random.default_rng(seed)
    drawn = block_means(contributions, block=block, n_resamples=n_resamples, rng=rng)
    return Skill(drawn.mean, p_against(drawn), drawn)


def skill_beyond(
    out: OutOfFold,
    target: Float1D,
    baseline: Float1D | None,
    *,
    least_block: int,
    n_resamples: int,
    seed: int,
) -> Skill:
    """What a model knows that a baseline does not, row by row on the same rows.

    Parameters
    ----------
    out : OutOfFold
        Out-of-sample predictions of the model.
    target : ndarray of shape (n_rows,), float64
        What scores should order, for every row of the data set.
    baseline : ndarray of shape (n_rows,), float64, or None
        The other's scores for every row: a rule's (:func:`rule_scores`), or those of a champion
        that was not trained on these rows. None is no skill at all.
    least_block : int
        Shortest block, rows: the overlap of labels.
    n_resamples, seed : int
        Of the circular block bootstrap.

    Returns
    -------
    Skill
        Of the paired difference of rank contributions.

    Raises
    ------
    DegenerateModelError
        A baseline score is not finite.
    """
    rows = out.index
    gained = rank_contributions(out.probability, target[rows], out.fold)
    if baseline is not None:
        if not np.isfinite(baseline[rows]).all():
            raise DegenerateModelError("a baseline needs a finite score for every row")
        gained = gained - rank_contributions(baseline[rows], target[rows], out.fold)
    return skill(gained, least_block=least_block, n_resamples=n_resamples, seed=seed)


def rule_scores(data: Dataset, kind: str) -> Float1D | None:
    """Scores of the rule that needs no model; None where the label or the features have none.

    Parameters
    ----------
    data : Dataset
        Rows with features.
    kind : str
        Label kind, a key of :data:`RULES` or another.

    Returns
    -------
    ndarray of shape (n_rows,), float64, or None
    """
    feature = RULES.get(kind)
    return data.X[:, data.names.index(feature)] if feature in data.names else None


def p_against_folds(contributions: Float1D, fold: Int1D, *, n_resamples: int, seed: int) -> float:
    """Share of resampled means of fold means at or below zero; advisory.

    The requirements' own rule: fold means drawn with replacement as if independent, without the
    +1. With five folds a model without skill passes at 0.10 in about 16 % of cases, and five
    folds that agree give exactly 0: see ``docs/significance.md``. The gate reads
    :attr:`Skill.p_against`.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows,), float64
        Per-row skill, or the paired difference of two models.
    fold : ndarray of shape (n_rows,), int64
        Fold of each row.
    n_resamples, seed : int
        Of the resampling.

    Returns
    -------
    float
        In [0, 1].
    """
    means = np.asarray([contributions[fold == number].mean() for number in np.unique(fold)])
    rng = np.random.default_rng(seed)
    drawn = block_means(means, block=1, n_resamples=n_resamples, rng=rng)
    return float((drawn.draws <= 0.0).mean())
