"""Windows of the reference against the rest of it: what PSI chance alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from mlwb.core.arrays import Float1D, Int1D, Int2D
from mlwb.drift._chance import law_degrees, window_scores

__all__ = ["BlockNull", "block_null"]


@dataclass(frozen=True)
class BlockNull:
    """PSI of windows of the reference against the rest of it, and the law that they follow.

    ``PSI / mean`` follows ``F(h, h * (n_blocks - 1))``, with ``h = 2 * mean ** 2 / variance`` of
    the scores: the chi-square with their mean and variance (Satterthwaite, Rao and Scott), whose
    scale is itself an estimate from so many blocks.

    Parameters
    ----------
    scores : ndarray of shape (n_windows,), float64
        Nats: each block, or windows of blocks drawn at random, scaled by ``memory``.
    window_blocks : int
        Blocks a window.
    n_blocks : int
        Blocks of the reference.
    memory : float
        How many times a window of blocks in a row exceeds one of blocks drawn at random, >= 1.
    """

    scores: Float1D
    window_blocks: int
    n_blocks: int
    memory: float = 1.0

    @property
    def mean(self) -> float:
        """What chance gives on average, nats."""
        return float(self.scores.mean())

    @property
    def degrees(self) -> float:
        """Degrees of freedom h of the law, > 0: directions in which the window can be off."""
        return law_degrees(self.scores)

    @property
    def scale(self) -> float:
        """Variance of the root of PSI in one such direction, nats: mean over degrees."""
        return self.mean / self.degrees

    @property
    def limit95(self) -> float:
        """95 % quantile of the null: a change below this cannot be told from chance."""
        return self.quantile(0.95)

    @property
    def n_disjoint(self) -> int:
        """Windows that share no block: what the reference is worth as a sample of them."""
        return self.n_blocks // self.window_blocks

    @property
    def spread(self) -> float:
        """Variance of a window's mean less the reference's, as a multiple of a block's."""
        return self.memory * (1.0 / self.window_blocks + 1.0 / self.n_blocks)

    def quantile(self, probability: float) -> float:
        """PSI that chance stays below with this probability, nats."""
        h = self.degrees
        return self.mean * float(stats.f.ppf(probability, h, h * (self.n_blocks - 1)))

    def p_value(self, value: float) -> float:
        """Probability of a window at least this far off, without any change."""
        if self.mean <= 0.0:
            return 1.0 if value <= 0.0 else 0.0
        h = self.degrees
        return float(stats.f.sf(value / self.mean, h, h * (self.n_blocks - 1)))


def block_null(name: str, counts: Sequence[Int1D] | Int2D, *, window_blocks: int) -> BlockNull:
    """Score windows of the reference against the rest of it.

    A reference of forty days holds two disjoint windows of a fortnight, too few to know a
    distribution from. So the windows are blocks drawn at random, four hundred times, and their
    scores are scaled by what blocks in a row add through their memory
    (``docs/decisions/0011-days-drawn-at-random.md``). A window of one block is each block once.

    Parameters
    ----------
    name : str
        Feature name.
    counts : sequence of ndarray
        Counts of each block, in time order, none empty.
    window_blocks : int
        Blocks a window; the length of the sample that will be judged.

    Returns
    -------
    BlockNull

    Raises
    ------
    EmptyWindowError
        Fewer than five blocks, or no remainder of a window's length.
    """
    found = window_scores(name, counts, window_blocks=window_blocks)
    return BlockNull(found.scores, window_blocks, found.n_blocks, found.memory)
