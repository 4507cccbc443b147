"""Ranks of the newest of a bag as p values, and what they keep of the rank before."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from mlwb.core.arrays import Float1D

__all__ = ["RankMemory", "memory_of", "parse_memory", "rank_p", "tie_break"]

_MOST = 0.95
"""A share above this leaves nothing of a day to bet on."""
_LEAST_P = 1e-12
_NORMAL = NormalDist()


@dataclass(frozen=True)
class RankMemory:
    """How much of a block's rank is that of the block before.

    Parameters
    ----------
    share : float
        Correlation of neighbours' ranks as normal scores, in [0, 0.95]. 0 where blocks are
        exchangeable.
    last : float
        Normal score of the last rank, positive for a block far off.
    """

    share: float = 0.0
    last: float = 0.0

    def cleared(self, p_value: float) -> float:
        """P value of what is new in a rank: of the residual on the one before.

        ``P(Z >= (z - share * last) / sqrt(1 - share^2))``, z the normal score of ``p_value``: the
        rank's own p value where nothing is remembered, uniform given the past where normal scores
        are a Gaussian autoregression.
        """
        if self.share == 0.0:
            return p_value
        new = _score(p_value) - self.share * self.last
        return max(0.5 * math.erfc(new / math.sqrt(2.0 - 2.0 * self.share**2)), _LEAST_P)

    def after(self, p_value: float) -> RankMemory:
        """The memory that the next block meets."""
        return RankMemory(self.share, _score(p_value))


def memory_of(scores: Float1D, *, share: float | None = None) -> RankMemory:
    """RankMemory of a reference's scores, in time order.

    Parameters
    ----------
    scores : ndarray of shape (n_blocks,), float64
        Of each block, at least two.
    share : float, optional
        Taken as given; estimated where not: the first autocorrelation of the normal scores of the
        ranks, less its bias ``-(1 + 3 r) / n`` (Marriott and Pope 1954), within [0, 0.95].

    Returns
    -------
    RankMemory

    Examples
    --------
    >>> round(memory_of(np.sin(np.arange(40.0) / 3.0)).share, 2)
    0.95
    """
    n = len(scores)
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    z = np.array([_score(1.0 - (rank + 0.5) / n) for rank in ranks])
    if share is None:
        r = float(z[1:] @ z[:-1]) / float(z @ z)
        share = min(max(r + (1.0 + 3.0 * r) / n, 0.0), _MOST)
    return RankMemory(share, float(z[-1]))


def parse_memory(stored: Mapping[str, Any]) -> RankMemory:
    """Read the plain form of a memory; ``ValueError`` and the like where it is none."""
    memory = RankMemory(float(stored["share"]), float(stored["last"]))
    if not (0.0 <= memory.share <= _MOST and math.isfinite(memory.last)):
        raise ValueError("a memory that no ranks lead to")
    return memory


def rank_p(scores: Float1D, tie_break: float) -> float:
    """Share of scores at least as high as the last one, ties broken by a number in (0, 1)."""
    newest = scores[-1]
    above, same = int((scores > newest).sum()), int((scores == newest).sum())
    return (above + tie_break * same) / len(scores)


def tie_break(seed: int, name: str, day: int) -> float:
    """A number in (0, 1) that depends on nothing observed."""
    drawn = hashlib.sha256(f"{seed}/{name}/{day}".encode()).digest()
    return (int.from_bytes(drawn[:6], "big") + 0.5) / 2.0**48


def _score(p_value: float) -> float:
    return -_NORMAL.inv_cdf(p_value)
