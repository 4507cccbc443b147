"""What a feature knows about what comes next, with honest error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from mlwb.core.arrays import Float1D
from mlwb.stats import BlockMeans, block_length, block_means, holm, standardised

__all__ = ["Information", "adjusted", "information"]

LEVELS = (0.001, 0.01, 0.05)
"""Adjusted p values that earn three stars, two and one."""


@dataclass(frozen=True)
class Information:
    """Information coefficients of one feature at one horizon, over time.

    Parameters
    ----------
    name : str
        Feature name.
    horizon_s : int
        Seconds ahead.
    rank_ic : float
        Spearman correlation of feature and target over time; NaN when one side is constant.
    low, high : float
        95 % block-bootstrap interval of ``rank_ic``.
    n_obs, block : int
        Rows, and rows a bootstrap block.
    ic, ic_low, ic_high : float
        The same for Pearson's correlation.
    p : float
        Two-sided p value of ``rank_ic`` = 0: the normal tail of its block-bootstrap standard error,
        since the share among some hundred draws cannot get small enough to be adjusted.
    p_holm : float
        ``p`` adjusted by :func:`adjusted`; NaN before.
    """

    name: str
    horizon_s: int
    rank_ic: float
    low: float
    high: float
    n_obs: int
    block: int
    ic: float = math.nan
    ic_low: float = math.nan
    ic_high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan

    @property
    def stars(self) -> str:
        """``***`` for an adjusted p value below 0.001, ``**`` below 0.01, ``*`` below 0.05."""
        return "*" * sum(self.p_holm < level for level in LEVELS)


def information(
    name: str,
    values: Float1D,
    target: Float1D,
    *,
    horizon_s: int,
    horizon_rows: int,
    n_resamples: int,
    seed: int,
) -> Information:
    """Rank IC and Pearson IC of one feature against one target.

    Parameters
    ----------
    name : str
        Feature name.
    values, target : ndarray of shape (n_rows,), float64
        In time order; rows where either is NaN are left out.
    horizon_s : int
        Seconds the target looks ahead.
    horizon_rows : int
        Rows that overlap because of it: the shortest bootstrap block.
    n_resamples, seed : int
        Of the circular block bootstrap; both coefficients see the same blocks.

    Returns
    -------
    Information

    References
    ----------
    .. [1] Politis and Romano (1994); block length by Politis and White (2004).
    """
    rows = np.isfinite(values) & np.isfinite(target)
    x, y = values[rows], target[rows]
    if len(x) == 0 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        nan = float("nan")
        return Information(name, horizon_s, nan, nan, nan, len(x), 1)
    by_rank = standardised(rankdata(x)) * standardised(rankdata(y))
    by_value = standardised(x) * standardised(y)
    block = block_length(by_rank, least=horizon_rows)
    ranked, plain = (
        block_means(
            series,
            block=block,
            n_resamples=n_resamples,
            rng=np.random.default_rng([seed, horizon_s]),
        )
        for series in (by_rank, by_value)
    )
    low, high = _possible(ranked.interval(0.95))
    ic_low, ic_high = _possible(plain.interval(0.95))
    return Information(
        name=name,
        horizon_s=horizon_s,
        rank_ic=ranked.mean,
        low=low,
        high=high,
        n_obs=ranked.n_obs,
        block=block,
        ic=plain.mean,
        ic_low=ic_low,
        ic_high=ic_high,
        p=_two_sided(ranked),
    )


def adjusted(items: Sequence[Information]) -> tuple[Information, ...]:
    """Holm over everything that was looked at: all features times all horizons.

    Parameters
    ----------
    items : sequence of Information
        One family; those without a p value stay without.

    Returns
    -------
    tuple of Information
        In the order given, with ``p_holm``.
    """
    told = [i for i, item in enumerate(items) if math.isfinite(item.p)]
    found = list(items)
    if told:
        for i, p in zip(told, holm(np.asarray([items[i].p for i in told])), strict=True):
            found[i] = replace(found[i], p_holm=float(p))
    return tuple(found)


def _two_sided(drawn: BlockMeans) -> float:
    error = float(drawn.draws.std(ddof=1))
    if error == 0.0:
        return 0.0 if drawn.mean else 1.0
    return 2.0 * NormalDist().cdf(-abs(drawn.mean) / error)


def _possible(interval: tuple[float, float]) -> tuple[float, float]:
    """Ends of an interval where a correlation can be: few blocks reach beyond."""
    low, high = interval
    return max(low, -1.0), min(high, 1.0)
