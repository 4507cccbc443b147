"""Quantiles of any number of values in flat memory: exact to the edge."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["DELTA_EDGES", "LATENCY_EDGES_MS", "SCORE_EDGES", "Binned"]

_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
LATENCY_EDGES_MS = (*(step * 10.0**power for power in range(-2, 5) for step in _STEPS), 1e5)
"""A tenth to a third apart; every latency limit in use (10, 20, 60, 80, 120, 200) is one."""
SCORE_EDGES = tuple(step / 1000 for step in range(1001))
DELTA_EDGES = SCORE_EDGES
"""Thousandths, so that a match limit with three decimals is one."""


class Binned:
    """Counts between fixed edges, with sum and largest value.

    Parameters
    ----------
    edges : sequence of float
        Increasing upper bounds, inclusive; one more cell takes the rest.

    Examples
    --------
    >>> found = Binned((1.0, 2.0, 5.0))
    >>> for value in (0.4, 1.6, 1.7, 4.0):
    ...     found.add(value)
    >>> found.n, found.mean, found.quantile(0.5), found.quantile(0.95)
    (4, 1.925, 2.0, 4.0)
    """

    __slots__ = ("counts", "edges", "largest", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0
        self.largest = -math.inf

    def add(self, value: float) -> None:
        """Count one finite value."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value
        self.largest = max(self.largest, value)

    @property
    def n(self) -> int:
        """Values counted."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Of the values themselves; NaN without any."""
        return self.total / self.n if self.n else math.nan

    def quantile(self, q: float) -> float:
        """Least edge that a share ``q`` of the values does not exceed; NaN without values.

        Never above the largest value. A limit that is an edge holds for it exactly where it
        holds for the quantile of the values.
        """
        least, below = q * self.n, 0
        for edge, count in zip((*self.edges, math.inf), self.counts, strict=True):
            below += count
            if below >= least and below:
                return min(edge, self.largest)
        return math.nan
