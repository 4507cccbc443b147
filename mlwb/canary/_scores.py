"""The candidate's scores as a distribution, beside the champion's on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwb.canary._traffic import Traffic
from mlwb.core.arrays import Float1D, Int1D
from mlwb.drift import cells_of
from mlwb.stats import DivergenceBets

__all__ = ["SCORE_PSI", "ScoreLimit", "score_path", "score_psi"]

SCORE_PSI = "score_psi"
"""What the question is called."""


@dataclass(frozen=True)
class ScoreLimit:
    """How far the candidate's scores may lie from the champion's, all together.

    Each may be close enough to the champion's, and all of them another distribution. The market
    has no part in it: both versions score the same rows.

    Parameters
    ----------
    edges : ndarray of shape (n_bins - 1,), float64
        Of the champion's scores, frozen when it was trained.
    psi : float
        Largest PSI, nats; from the policy.
    """

    edges: Float1D
    psi: float

    def start(self) -> DivergenceBets:
        """Bets before the first row."""
        return DivergenceBets.start(self.psi, len(self.edges) + 1)

    def cells(self, traffic: Traffic) -> tuple[Int1D, Int1D]:
        """Cells of the champion's and of the candidate's score, of each row that both scored."""
        both = traffic.compared
        first, second = traffic.score[both], traffic.shadow_score[both]
        return cells_of(self.edges, first), cells_of(self.edges, second)


def score_path(traffic: Traffic, limit: ScoreLimit) -> Float1D:
    """Log evidence after each request that the PSI of the scores is above its limit.

    Parameters
    ----------
    traffic : Traffic
        Requests in the order in which they were sent.
    limit : ScoreLimit
        What is held against it.

    Returns
    -------
    ndarray of shape (n_requests,), float64
        0 until something was compared; all 0 where the traffic was split.
    """
    path = np.concatenate([[0.0], limit.start().walk(*limit.cells(traffic))])
    return np.asarray(path[np.cumsum(traffic.compared)])


def score_psi(traffic: Traffic, limit: ScoreLimit) -> tuple[float, int]:
    """The plain PSI of all scores, NaN where nothing was compared, and of how many rows."""
    bets = limit.start().update(*limit.cells(traffic))
    return bets.value, bets.n_obs
