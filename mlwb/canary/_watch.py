"""The judgement while requests come: looked at as often as one likes, a little work a look."""

from __future__ import annotations

import math

import numpy as np

from mlwb.canary._judge import JudgeLimits, Question, questions_of
from mlwb.canary._scores import SCORE_PSI, ScoreLimit
from mlwb.canary._traffic import Traffic
from mlwb.stats import DivergenceBets, MeanBets, e_value

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
    scores : ScoreLimit, optional
        How far the scores may lie apart as distributions; not asked when absent.

    Attributes
    ----------
    log_evidence : float
        Logarithm of the evidence against the rollout, all questions together, at the last look.
    """

    def __init__(
        self, limits: JudgeLimits, *, match_delta: float, scores: ScoreLimit | None = None
    ) -> None:
        self.log_evidence = 0.0
        self._limits, self._match_delta = limits, match_delta
        self._bets: dict[str, MeanBets] = {}
        self._below: dict[str, MeanBets] = {}
        self._shown: set[str] = set()
        self._scores = scores
        self._apart: DivergenceBets | None = scores.start() if scores else None

    @property
    def is_certain(self) -> bool:
        """Whether each question was shown to be within its limit, and the scores say nothing."""
        is_silent = self._apart is None or self._apart.log_evidence <= 0.0
        return bool(self._below) and len(self._shown) == len(self._below) and is_silent

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
        weights = [question.weight for question in questions]
        against = [math.log(self._bets[q.name].e_above[0]) for q in questions]
        if self._scores and self._apart:
            self._apart = self._apart.update(*self._scores.cells(fresh))
            weights.append(1.0)
            against.append(self._apart.log_evidence)
        each = np.array(against) + np.log(np.array(weights) / sum(weights))
        self.log_evidence = float(np.logaddexp.reduce(each))
        if self.log_evidence < -math.log(self._limits.level):
            return ""
        worst = int(each.argmax())
        return self._reason(questions[worst]) if worst < len(questions) else self._far_apart()

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
            f"(e-value {e_value(self.log_evidence):.0f})"
        )

    def _far_apart(self) -> str:
        bets, name = self._apart, SCORE_PSI.replace("_psi", " PSI")
        if bets is None:
            return ""
        return (
            f"{name} {bets.value:.2f} over {bets.n_obs} rows, "
            f"more than {bets.limit:g} beyond chance (e-value {e_value(self.log_evidence):.0f})"
        )
