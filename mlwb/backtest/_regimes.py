"""A book cut by hours and by market regimes, with resampling of its hours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlwb.backtest._account import Ledger
from mlwb.core.arrays import Bool1D, Float1D, Int1D
from mlwb.stats import BlockMeans, block_length, block_means, holm

__all__ = ["RegimeMoney", "by_regime", "hourly", "resample_hours"]

_HOUR_S = 3_600
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class RegimeMoney:
    """What a book made in one regime.

    Parameters
    ----------
    name : str
        Regime, known at the decision.
    gross, cost, net : float
        Sums of simple returns.
    n_steps, n_decisions : int
        Steps held, and decisions made, in the regime.
    p_negative : float
        Share of resamples in which the regime did not lose, with the +1 of Phipson and Smyth:
        small where its net is shown to be negative. 1 where nothing happened.
    p_holm : float
        The same, adjusted for the number of regimes.
    """

    name: str
    gross: float
    cost: float
    net: float
    n_steps: int
    n_decisions: int
    p_negative: float
    p_holm: float = math.nan


def hourly(values: Float1D, ts: Int1D) -> Float1D:
    """Sums over UTC hours, from the first to the last; 0 for an hour without a step.

    Parameters
    ----------
    values : ndarray of shape (n_steps,), float64
        Finite.
    ts : ndarray of shape (n_steps,), int64
        Seconds since 1970, increasing.

    Returns
    -------
    ndarray of shape (n_hours,), float64
    """
    hour = ts // _HOUR_S
    return np.bincount(hour - hour[0], weights=values).astype(np.float64)


def resample_hours(values: Float1D, ts: Int1D, *, n_resamples: int, seed: int) -> BlockMeans:
    """Circular block bootstrap of the mean hour, blocks by Politis and White.

    Parameters
    ----------
    values : ndarray of shape (n_steps,), float64
        For example net returns.
    ts : ndarray of shape (n_steps,), int64
        Seconds since 1970, increasing.
    n_resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    BlockMeans
        Of hours; :func:`mlwb.stats.p_against` of it tests that the mean is above 0.
    """
    hours = hourly(values, ts)
    rng = np.random.default_rng(seed)
    return block_means(hours, block=block_length(hours), n_resamples=n_resamples, rng=rng)


def by_regime(
    ledger: Ledger,
    ts: Int1D,
    regime: Int1D,
    *,
    names: Sequence[str],
    is_decision: Bool1D,
    n_resamples: int,
    seed: int,
) -> tuple[RegimeMoney, ...]:
    """Split a book by the regime its decisions were made in.

    Parameters
    ----------
    ledger : Ledger
        Step by step.
    ts : ndarray of shape (n_steps,), int64
        Seconds since 1970, increasing.
    regime : ndarray of shape (n_steps,), int64
        Index into ``names`` as of the decision; -1 where unknown.
    names : sequence of str
        Of the regimes.
    is_decision : ndarray of shape (n_steps,), bool
        Steps whose position was decided by a score.
    n_resamples, seed : int
        Of the block bootstrap over hours.

    Returns
    -------
    tuple of RegimeMoney
        One a regime, and one ``unknown`` where there are such steps: they add up to the book.
    """
    found = []
    for index, name in [*enumerate(names), (-1, _UNKNOWN)]:
        rows = regime == index
        if index < 0 and not rows.any():
            continue
        drawn = resample_hours(
            np.where(rows, ledger.net, 0.0), ts, n_resamples=n_resamples, seed=seed
        )
        p = (1 + int((drawn.draws >= 0.0).sum())) / (n_resamples + 1)
        found.append(
            RegimeMoney(
                name=name,
                gross=float(ledger.gross[rows].sum()),
                cost=float(ledger.cost[rows].sum()),
                net=float(ledger.net[rows].sum()),
                n_steps=int(rows.sum()),
                n_decisions=int((rows & is_decision).sum()),
                p_negative=p,
            )
        )
    adjusted = holm(np.asarray([item.p_negative for item in found]))
    return tuple(replace(item, p_holm=float(p)) for item, p in zip(found, adjusted, strict=True))
