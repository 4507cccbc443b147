"""The judgement while requests come: looked at as often as one likes, a little work a look."""

from __future__ import annotations

import math

import numpy as np

from mlwb.canary._judge import JudgeLimits, Question, questions_of
from mlwb.canary._traffic import Traffic
from mlwb.stats import MeanBets

__all__ = ["RolloutWatch"]


class RolloutWatch:
    """Takes requests and says when to stop.

    What it stops, :func:`judge` stops too, at that look or before.

    Parameters
    ----------
    limits : JudgeLimits
        From the policy.
    match_delta : float
        Largest score difference that still agrees.

    Attributes
    ----------
    log_evidence : float
        Logarithm of the evidence against the rollout, all questions together, at the last look.
    """

    def __init__(self, limits: JudgeLimits, *, match_delta: float) -> None:
        self.log_evidence = 0.0
        self._limits, self._match_delta = limits, match_delta
        self._bets: dict[str, MeanBets] = {}
        self._below: dict[str, MeanBets] = {}
        self._shown: set[str] = set()

    @property
    def is_certain(self) -> bool:
        """Whether each question was shown to be within its limit, at some look."""
        return bool(self._below) and len(self._shown) == len(self._below)

    def look(self, fresh: Traffic) -> str:
        """Take the requests since the last look.

        Parameters
        ----------
        fresh : Traffic
            In the order in which they were sent; may be empty.

        Returns
        -------
        str
            Why the rollout must stop, or empty.
        """
        questions = questions_of(fresh, self._limits, match_delta=self._match_delta)
        for question in questions:
            bets = self._bets.get(question.name) or MeanBets.start([question.stop_limit])
            self._bets[question.name] = bets.update(question.stops.astype(np.float64))
            self._show(question)
        weights = np.array([question.weight for question in questions])
        each = np.array([math.log(self._bets[q.name].e_above[0]) for q in questions])
        each += np.log(weights / weights.sum())
        self.log_evidence = float(np.logaddexp.reduce(each))
        if self.log_evidence < -math.log(self._limits.level):
            return ""
        return self._reason(questions[int(each.argmax())])

    def _show(self, question: Question) -> None:
        below = self._below.get(question.name) or MeanBets.start([question.limit])
        self._below[question.name] = below.update(question.counts.astype(np.float64))
        if self._below[question.name].e_below[0] >= 1.0 / self._limits.level:
            self._shown.add(question.name)

    def _reason(self, worst: Question) -> str:
        bets = self._bets[worst.name]
        return (
            f"{worst.name.replace('_', ' ')} in {bets.total:.0f} of {bets.n_obs}, "
            f"more than {worst.stop_limit:.0%} beyond chance "
            f"(e-value {math.exp(self.log_evidence):.0f})"
        )
