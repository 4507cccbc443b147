"""Windows of the reference against the rest of it: what PSI chance alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mlwb.core.arrays import Float1D, Int1D
from mlwb.core.errors import EmptyWindowError
from mlwb.drift._psi import psi_of_counts

__all__ = ["MIN_BLOCKS", "BlockNull", "block_null"]

MIN_BLOCKS = 5
"""Fewer blocks than this say nothing about the spread of a statistic."""


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
