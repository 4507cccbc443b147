"""What PSI chance alone gives on dependent data, and bounds of the population PSI.

Minutes of a market are not independent, so the reference is cut into blocks (days) and each
block is compared with the rest: those scores are the null distribution of a block-long window.
Offline only (scipy).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._bins import N_SPECIAL, bin_counts
from mlwb.drift._psi import psi_of_counts

__all__ = [
    "BlockNull",
    "Bounds",
    "block_counts",
    "block_null",
    "bounds",
    "ks_of_counts",
]

MIN_BLOCKS = 5
"""Fewer blocks than this say nothing about the spread of a statistic."""
_SPREADLESS, _FAR = 1e-4, 1e-9
"""Scales below these shares of the null's mean and of the value move a bound by 3 % at most, and
are beyond what the noncentral chi-square can be computed for."""


@dataclass(frozen=True)
class BlockNull:
    """PSI of each reference window against the rest of the reference.

    Parameters
    ----------
    scores : ndarray of shape (n_windows,), float64
        Nats. Windows overlap when they are longer than a block.
    window_blocks : int
        Blocks a window.
    """

    scores: Float1D
    window_blocks: int

    @property
    def limit95(self) -> float:
        """95 % quantile of the null: a change below this cannot be told from chance."""
        return float(np.quantile(self.scores, 0.95))

    @property
    def n_disjoint(self) -> int:
        """Windows that share no block: what the scores are worth as a sample."""
        return (len(self.scores) - 1) // self.window_blocks + 1

    def fitted(self) -> tuple[float, float]:
        """Scale g and degrees h of ``g * chi2_h`` with the scores' mean and variance."""
        mean, variance = float(self.scores.mean()), float(self.scores.var(ddof=1))
        if mean <= 0.0:
            return 1e-12, 1.0
        scale = max(variance / (2.0 * mean), 1e-12)
        return scale, max(mean / scale, 1e-6)

    def p_value(self, value: float) -> float:
        """Probability of a window at least this far off, without any change.

        The rank among the scores, ``(1 + #{score >= value}) / (n + 1)``. A value beyond every
        score has no rank to tell it from the next one: there the tail of the fitted
        ``g * chi2_h`` answers, never above the rank.
        """
        above = int((self.scores >= value).sum())
        rank = (1 + above) / (len(self.scores) + 1)
        if above:
            return float(rank)
        scale, degrees = self.fitted()
        return float(min(rank, stats.chi2.sf(value / scale, degrees)))


@dataclass(frozen=True)
class Bounds:
    """One-sided bounds of the population PSI.

    Parameters
    ----------
    lower, upper : float
        Nats, each at its own level.
    level : float
        Coverage of each bound.
    """

    lower: float
    upper: float
    level: float


def block_counts(edges: Float1D, values: Float1D, blocks: Int1D) -> list[Int1D]:
    """Count values into frozen bins, block by block in order.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Frozen inner edges.
    values : ndarray of shape (n_obs,), float64
        In time order.
    blocks : ndarray of shape (n_obs,), int64
        Block number of each row, for example the UTC day.

    Returns
    -------
    list of ndarray
    """
    return [bin_counts(edges, values[blocks == block]) for block in np.unique(blocks)]


def block_null(name: str, counts: Sequence[Int1D], *, window_blocks: int) -> BlockNull:
    """Score every window of the reference against the rest of it.

    Parameters
    ----------
    name : str
        Feature name.
    counts : sequence of ndarray
        Counts of each block, in time order.
    window_blocks : int
        Blocks a window; the length of the sample that will be judged.

    Returns
    -------
    BlockNull

    Raises
    ------
    EmptyWindowError
        Fewer than five windows fit beside a remainder of equal length.
    """
    table = np.asarray(counts)
    n_windows = len(table) - window_blocks + 1
    if n_windows < MIN_BLOCKS or len(table) < 2 * window_blocks:
        raise EmptyWindowError(
            f"the reference of {name} is too short for its own null",
            expected=f"at least {max(2 * window_blocks, window_blocks + MIN_BLOCKS - 1)} blocks",
            got=f"{len(table)}",
        )
    total, running = table.sum(axis=0), np.cumsum(np.vstack([0 * table[0], table]), axis=0)
    windows = running[window_blocks:] - running[:-window_blocks]
    scores = [psi_of_counts(name, total - window, window).value for window in windows]
    return BlockNull(np.asarray(scores), window_blocks)


def bounds(value: float, null: BlockNull, *, level: float = 0.95) -> Bounds:
    """Bounds of the population PSI by inverting a moment-matched noncentral chi-square.

    The null scores are matched by ``g * chi2_h``; the bounds are ``g * lambda`` with lambda the
    noncentrality at which the observed value sits at the level's quantile. A value unusually
    small for its null would give an upper bound of 0; the bound is never below the value.
    A null without spread (the time of day: every day is the same) leaves no uncertainty; the
    bounds are then the value less the null's mean, and the value.

    Parameters
    ----------
    value : float
        Observed PSI, nats.
    null : BlockNull
        Its null for a window of the same length.
    level : float, default=0.95
        One-sided coverage of each bound.

    Returns
    -------
    Bounds
    """
    mean, variance = float(null.scores.mean()), float(null.scores.var(ddof=1))
    scale = variance / (2.0 * mean) if mean > 0.0 else 0.0
    if scale <= max(_SPREADLESS * mean, _FAR * value):
        return Bounds(lower=max(value - mean, 0.0), upper=value, level=level)
    x, degrees = value / scale, mean / scale
    return Bounds(
        lower=scale * _noncentrality(x, degrees, level),
        upper=max(scale * _noncentrality(x, degrees, 1.0 - level), value),
        level=level,
    )


def _noncentrality(x: float, degrees: float, probability: float) -> float:
    """Lambda at which ``P(X <= x) = probability``; 0 where even no shift is less likely."""
    if x <= 0.0 or float(stats.chi2.cdf(x, degrees)) <= probability:
        return 0.0

    def excess(noncentrality: float) -> float:
        return float(stats.ncx2.cdf(x, degrees, noncentrality)) - probability

    top = max(1.0, x)
    while excess(top) > 0.0:
        top *= 2.0
    return float(optimize.brentq(excess, 0.0, top, xtol=1e-9 * top))


def ks_of_counts(reference: Int1D, current: Int1D) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov statistic at frozen edges, with its asymptotic p value.

    Parameters
    ----------
    reference, current : ndarray of shape (n_bins + 3,), int64
        Counts as :func:`mlwb.drift.bin_counts` gives them; the special cells are left out.

    Returns
    -------
    tuple of float
        Largest difference of the two distribution functions over the edges, in [0, 1], which is
        at most the statistic of the raw values; and its p value for independent rows.

    Raises
    ------
    EmptyWindowError
        One side is empty.
    """
    first, second = reference[:-N_SPECIAL], current[:-N_SPECIAL]
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        raise EmptyWindowError("no rows to compare", got=f"{n} and {m}")
    gap = float(np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max())
    return gap, float(stats.kstwobign.sf(gap * np.sqrt(n * m / (n + m))))
