"""Whether any group of features makes the model worse: drop it, refit, compare row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlwb.core.arrays import Float1D, Int1D
from mlwb.model._fit import Trial
from mlwb.model._significance import Skill, rank_contributions, skill
from mlwb.model._split import PurgedSplitter
from mlwb.model._validate import Dataset, OutOfFold, cross_validate
from mlwb.stats import holm, standardised

__all__ = ["FEATURE_GROUPS", "GroupEffect", "ablate", "costed_ic", "feature_groups"]

FEATURE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "returns": ("mid_logret_1m", "mid_logret_5m"),
    "book": ("spread_bp", "vol1m_log", "book_imbalance"),
    "oscillator": ("rsi14_z",),
    "level": ("zscore_mid_24h",),
    "volatility": ("realised_vol_60m", "vol_ratio"),
    "clock": ("minute_sin", "minute_cos"),
}
"""Features that are dropped together; any other feature but the bias is a group of its own."""


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
    delta_after_costs : float, default=NaN
        The same change of the information coefficient after costs (:func:`costed_ic`); NaN where
        no costs were given, as for a label whose score nobody can trade.
    """

    group: str
    delta: float
    p_value: float
    p_adjusted: float
    delta_after_costs: float = math.nan


def feature_groups(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Split features into the groups that are dropped together.

    Parameters
    ----------
    names : sequence of str
        Features of a data set.

    Returns
    -------
    dict of str to tuple of str
        Groups of ``FEATURE_GROUPS`` with the members that are there, then features of one's own,
        each by itself. The bias is in none: the intercept takes its place.

    Examples
    --------
    >>> feature_groups(["bias", "rsi14_z", "spread_bp", "my_signal"])
    {'book': ('spread_bp',), 'oscillator': ('rsi14_z',), 'my_signal': ('my_signal',)}
    """
    known = {
        group: tuple(name for name in members if name in names)
        for group, members in FEATURE_GROUPS.items()
    }
    grouped = {name for members in known.values() for name in members} | {"bias"}
    alone = {name: (name,) for name in names if name not in grouped}
    return {group: members for group, members in (known | alone).items() if members}


def ablate(
    data: Dataset,
    trial: Trial,
    full: OutOfFold,
    *,
    splitter: PurgedSplitter,
    target: Float1D,
    n_resamples: int,
    seed: int,
    least_block: int = 1,
    cost: Float1D | None = None,
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
    splitter : PurgedSplitter
        The same folds.
    target : ndarray of shape (n_rows,), float64
        What scores should order.
    n_resamples, seed : int
        Of the bootstrap.
    least_block : int, default=1
        Shortest block, rows: the overlap of labels.
    cost : ndarray of shape (n_rows,), float64, optional
        One-way cost as a fraction of the traded amount; only where ``target`` is a return.

    Returns
    -------
    list of GroupEffect
        One for each of :func:`feature_groups` that does not hold all of the features.
    """
    base = rank_contributions(full.probability, target[full.index], full.fold)
    found: list[tuple[str, Skill, float]] = []
    for group, members in feature_groups(data.names).items():
        reduced = data.without(members)
        if not reduced.names:
            continue
        other = cross_validate(reduced, trial, splitter)
        without = rank_contributions(other.probability, target[other.index], other.fold)
        effect = skill(without - base, least_block=least_block, n_resamples=n_resamples, seed=seed)
        costed = math.nan
        if cost is not None:
            costed = costed_ic(data, other, target, cost) - costed_ic(data, full, target, cost)
        found.append((group, effect, costed))
    adjusted = holm(np.asarray([effect.p_against for _, effect, _ in found]))
    return [
        GroupEffect(group, effect.rank_ic, effect.p_against, float(p), costed)
        for (group, effect, costed), p in zip(found, adjusted, strict=True)
    ]


def costed_ic(data: Dataset, out: OutOfFold, target: Float1D, cost: Float1D) -> float:
    """Information coefficient after costs: what holding the score would earn, in units of risk.

    Pearson correlation of score and return, less ``mean(cost_t |z_t - z_{t-h}|) / sd(r)``, z the
    score standardised in its fold. Holding for a horizon of h is h sleeves that take turns; a
    sleeve without a row before it is opened, one without a row after it is closed, both paid for.

    Parameters
    ----------
    data : Dataset
        Rows in time order; their spans say what follows what.
    out : OutOfFold
        Scores.
    target : ndarray of shape (n_rows,), float64
        Return over each row's span.
    cost : ndarray of shape (n_rows,), float64
        One-way cost as a fraction of the traded amount.

    Returns
    -------
    float
        Mean over folds; NaN where a score or the return is constant in one.
    """
    folds = [out.fold == number for number in np.unique(out.fold)]
    return float(
        np.mean([_costed(data, out.index[f], out.probability[f], (target, cost)) for f in folds])
    )


def _costed(data: Dataset, rows: Int1D, score: Float1D, paid: tuple[Float1D, Float1D]) -> float:
    earned, cost = paid[0][rows], paid[1][rows]
    if np.ptp(score) == 0.0 or np.ptp(earned) == 0.0:
        return math.nan
    z = standardised(score)
    start, end = data.t0[rows], data.t1[rows]
    after = np.minimum(np.searchsorted(start, end), len(rows) - 1)
    followed = start[after] == end
    held = np.zeros(len(rows))
    held[after[followed]] = z[followed]
    charged = cost * np.abs(z - held) + np.where(followed, 0.0, cost * np.abs(z))
    return float((z * (earned - earned.mean()) - charged).mean() / earned.std())
