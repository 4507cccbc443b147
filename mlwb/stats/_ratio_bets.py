"""Evidence that events are more frequent in one arm than in the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mlwb.core.arrays import Bool1D, Float1D, FloatArray
from mlwb.core.errors import DataSchemaError
from mlwb.stats._sequential import log_mean

__all__ = ["RatioBets"]

_RATIOS = 1.0 + np.geomspace(0.1, 8.0, 12)
"""Alternatives, in tolerated ratios."""


@dataclass(frozen=True)
class RatioBets:
    """Evidence that events are more frequent in one arm than in another, by some factor.

    Only events are looked at: under a ratio r an event comes from the candidate with probability
    ``s r / (s r + 1 - s)``, s the candidate's share of the traffic at that moment. Shares and base
    rate may change; evidence carries over.

    Parameters
    ----------
    tolerated : float
        Ratio of the two rates that is accepted, >= 1.
    log_wealth : ndarray of shape (12,), float64
        Of each alternative.
    highest : float
        The highest logarithm of their mean so far.
    n_events : int
        Events taken.

    References
    ----------
    .. [1] Lindon and Malek (2022). Anytime-valid inference for multinomial count data. NeurIPS 35.

    Examples
    --------
    >>> bets = RatioBets.start(1.25)
    >>> [bets.update(np.ones(n, bool), np.full(n, 0.5)).highest > math.log(20) for n in (8, 9)]
    [False, True]
    """

    tolerated: float
    log_wealth: Float1D
    highest: float = 0.0
    n_events: int = 0

    @classmethod
    def start(cls, tolerated: float) -> RatioBets:
        """Begin with one unit.

        Raises
        ------
        DataSchemaError
            ``tolerated`` is below 1 or not finite.
        """
        if not (math.isfinite(tolerated) and tolerated >= 1.0):
            raise DataSchemaError("no ratio to tolerate", expected=">= 1", got=str(tolerated))
        return cls(tolerated, np.zeros(len(_RATIOS)))

    def update(self, in_candidate: Bool1D, share: Float1D) -> RatioBets:
        """Take more events, in the order in which they came.

        Parameters
        ----------
        in_candidate : ndarray of shape (n_new,), bool
            Where each event came from.
        share : ndarray of shape (n_new,), float64
            The candidate's share of the traffic when it came, in (0, 1); at 0 or 1 there is
            nothing to compare, and the event is passed over.

        Returns
        -------
        RatioBets
        """
        counts = (share > 0.0) & (share < 1.0)
        s, mine = share[counts, None], in_candidate[counts, None]
        known, other = (
            _from_candidate(s, self.tolerated),
            _from_candidate(s, self.tolerated * _RATIOS),
        )
        steps = np.where(mine, np.log(other / known), np.log((1.0 - other) / (1.0 - known)))
        path = self.log_wealth + np.cumsum(steps, axis=0)
        if not len(path):
            return self
        pooled = log_mean(path)
        return replace(
            self,
            log_wealth=path[-1],
            highest=max(self.highest, float(pooled.max())),
            n_events=self.n_events + len(path),
        )

    @property
    def log_evidence(self) -> float:
        """Logarithm of the mean wealth now."""
        return float(log_mean(self.log_wealth))


def _from_candidate(share: FloatArray, ratio: float | FloatArray) -> FloatArray:
    weighted = share * ratio
    return np.asarray(weighted / (weighted + 1.0 - share))
