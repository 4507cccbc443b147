"""Whether the skill is more than luck, and whether any group of features does harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D, Int1D
from mlwb.model._fit import Trial
from mlwb.model._split import PurgedKFold
from mlwb.model._validate import Dataset, OutOfFold, cross_validate
from mlwb.stats import BlockMeans, block_length, block_means, holm, p_against

__all__ = [
    "FEATURE_GROUPS",
    "GroupEffect",
    "Skill",
    "ablate",
    "rank_contributions",
    "skill",
]

FEATURE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "returns": ("mid_logret_1m", "mid_logret_5m"),
    "book": ("spread_bp", "vol1m_log"),
    "oscillator": ("rsi14_z",),
    "level": ("zscore_mid_24h",),
    "volatility": ("realised_vol_60m", "vol_ratio"),
    "clock": ("minute_sin", "minute_cos"),
}
"""Features that are dropped together."""


@dataclass(frozen=True)
class Skill:
    """Mean rank information coefficient with its resampled distribution.

    Parameters
    ----------
    rank_ic : float
        Mean over rows of the product of standardised ranks, within folds.
    p_against : float
        Share of resampled means at or below zero.
    drawn : BlockMeans
        The resamples.
    """

    rank_ic: float
    p_against: float
    drawn: BlockMeans


@dataclass(frozen=True)
class GroupEffect:
    """What dropping a group and refitting does.

    Parameters
    ----------
    group : str
        Key of ``FEATURE_GROUPS``.
    delta : float
        Mean rank IC without the group minus with it; positive says the group does harm.
    p_value, p_adjusted : float
        Of a positive delta, alone and after Holm over all groups.
    """

    group: str
    delta: float
    p_value: float
    p_adjusted: float


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
        out[rows] = _standard_ranks(probability[rows]) * _standard_ranks(target[rows])
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


def ablate(
    data: Dataset,
    trial: Trial,
    full: OutOfFold,
    *,
    splitter: PurgedKFold,
    target: Float1D,
    n_resamples: int,
    seed: int,
) -> list[GroupEffect]:
    """Drop each feature group, refit on the same folds, compare row by row.

    Parameters
    ----------
    data : Dataset
        Rows in time order.
    trial : Trial
        The chosen configuration, unchanged.
    full : OutOfFold
        Its predictions with all features.
    splitter : PurgedKFold
        The same folds.
    target : ndarray of shape (n_rows,), float64
        What scores should order.
    n_resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    list of GroupEffect
        One for each group that holds some but not all of the features.
    """
    base = rank_contributions(full.probability, target[full.index], full.fold)
    found: list[tuple[str, Skill]] = []
    for group, members in FEATURE_GROUPS.items():
        reduced = data.without(members)
        if len(reduced.names) in (0, len(data.names)):
            continue
        other = cross_validate(reduced, trial, splitter)
        without = rank_contributions(other.probability, target[other.index], other.fold)
        effect = skill(without - base, least_block=1, n_resamples=n_resamples, seed=seed)
        found.append((group, effect))
    return _adjusted(found)


def _adjusted(found: Sequence[tuple[str, Skill]]) -> list[GroupEffect]:
    adjusted = holm(np.asarray([effect.p_against for _, effect in found]))
    return [
        GroupEffect(group, effect.rank_ic, effect.p_against, float(p))
        for (group, effect), p in zip(found, adjusted, strict=True)
    ]


def _standard_ranks(values: Float1D) -> Float1D:
    ranks = rankdata(values)
    spread = ranks.std()
    if spread == 0.0:
        return np.zeros(len(values))
    return np.asarray((ranks - ranks.mean()) / spread, dtype=np.float64)
