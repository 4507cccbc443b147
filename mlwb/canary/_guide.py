"""When a rollout goes to its next phase, ends, or stops: the decision alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np

from mlwb.canary._judge import JudgeLimits
from mlwb.canary._scores import ScoreLimit
from mlwb.canary._traffic import AbortLimits, Traffic, abort_reason, summarise
from mlwb.canary._watch import RolloutWatch
from mlwb.core.arrays import Float1D
from mlwb.stats import quantile_shift

__all__ = ["Dwell", "RolloutGuide", "Step", "StepKind"]

_P95_TOLERATED = 0.1
"""Part by which the candidate's p95 may exceed the champion's, as in ``quantile_shift``."""
_EACH_ARM = 100
"""Answers of each arm before their latencies are compared; then again after as many more."""


class StepKind(StrEnum):
    """What to do next."""

    STAY = "stay"
    NEXT = "next"
    FINISH = "finish"
    ABORT = "abort"


@dataclass(frozen=True)
class Step:
    """What to do next, and why.

    Parameters
    ----------
    kind : StepKind
        What.
    reason : str, default=""
        Why a rollout stops.
    """

    kind: StepKind
    reason: str = ""


@dataclass(frozen=True)
class Dwell:
    """How long a phase lasts.

    Parameters
    ----------
    by : {"evidence", "duration"}
        Until enough was observed, within the two times; or ``least_s``, whatever was observed.
    least_s, most_s : float
        Seconds.
    observed : int
        Requests that the candidate has to answer in each phase.
    """

    by: Literal["evidence", "duration"]
    least_s: float
    most_s: float
    observed: int


class RolloutGuide:
    """Takes what was observed and says how to go on.

    The anytime-valid judgement may stop the rollout at any look, over all phases; the plain numbers
    of a phase are held against the abort limits once, when the phase is over. The last phase goes
    on until every question is shown to be within its limit, or its time is up. The level of a split
    rollout is shared by the limits and the comparison of the two arms, half each.

    Parameters
    ----------
    n_phases : int
        Phases of the rollout.
    dwell : Dwell
        How long each lasts.
    limits : AbortLimits
        For the plain numbers of a phase.
    judged : JudgeLimits
        For the judgement at any moment.
    match_delta : float
        Largest score difference that still agrees.
    is_split : bool, default=False
        The candidate answers its share.
    scores : ScoreLimit, optional
        How far the scores may lie apart as distributions; not asked when absent, nor of a split.

    Attributes
    ----------
    phase : int
        Which it is now, from 0.
    """

    def __init__(
        self,
        n_phases: int,
        dwell: Dwell,
        *,
        limits: AbortLimits,
        judged: JudgeLimits,
        match_delta: float,
        is_split: bool = False,
        scores: ScoreLimit | None = None,
    ) -> None:
        self.phase = 0
        self._n_phases, self._dwell, self._limits = n_phases, dwell, limits
        self._match_delta = match_delta
        level = judged.level / 2.0 if is_split else judged.level
        self._watch = RolloutWatch(
            replace(judged, level=level),
            match_delta=match_delta,
            scores=None if is_split else scores,
        )
        self._arms = _Arms(level) if is_split else None
        self._parts: list[Traffic] = []

    @property
    def log_evidence(self) -> float:
        """Logarithm of the evidence against the rollout at the last look."""
        return self._watch.log_evidence

    @property
    def n_observed(self) -> int:
        """Requests of this phase that the candidate answered, as evidence counts them."""
        return sum(int(part.answered.sum()) for part in self._parts)

    def resume(self, phases: Sequence[Traffic]) -> None:
        """Begin where a rollout was left.

        Parameters
        ----------
        phases : sequence of Traffic
            What was observed in each phase so far, the unfinished one last.
        """
        for part in phases:
            self._take(part)
        self.phase, self._parts = len(phases) - 1, list(phases[-1:])

    def look(self, fresh: Traffic, *, elapsed_s: float, late: Traffic | None = None) -> Step:
        """Take what came since the last look.

        Parameters
        ----------
        fresh : Traffic
            Requests of this phase, in order; may be empty.
        elapsed_s : float
            Since the phase began.
        late : Traffic, optional
            Requests of phases before, whose lines came only now: judged like all others, but no
            part of what this phase has observed.

        Returns
        -------
        Step
            After ``NEXT`` the next look is at the next phase.
        """
        self._parts.append(fresh)
        if against := (self._take(late) if late else "") or self._take(fresh):
            return Step(StepKind.ABORT, against)
        if not self._is_over(elapsed_s):
            return Step(StepKind.STAY)
        found = summarise(_joined(self._parts), match_delta=self._match_delta)
        if reason := abort_reason(found, self._limits):
            return Step(StepKind.ABORT, reason)
        if self._dwell.by == "evidence" and found.n_answered < self._dwell.observed:
            reason = f"only {found.n_answered} of {self._dwell.observed} requests observed in time"
            return Step(StepKind.ABORT, reason)
        if self.phase + 1 == self._n_phases:
            return Step(StepKind.FINISH)
        self.phase += 1
        self._parts = []
        return Step(StepKind.NEXT)

    def _take(self, part: Traffic) -> str:
        """Look at some requests; why the rollout must stop, or empty."""
        beyond = self._watch.look(part)
        slower = self._arms.look(part) if self._arms else ""
        return beyond or slower

    def _is_over(self, elapsed_s: float) -> bool:
        if elapsed_s < self._dwell.least_s:
            return False
        if self._dwell.by == "duration" or elapsed_s >= self._dwell.most_s:
            return True
        is_last = self.phase + 1 == self._n_phases
        return self.n_observed >= self._dwell.observed and (self._watch.is_certain or not is_last)


class _Arms:
    """The candidate's latencies beside the champion's, where each answered its part.

    Errors need no second arm: a candidate that fails ends the split at its first failure.
    """

    def __init__(self, level: float) -> None:
        self._line = -math.log(level)
        self._champion: list[Float1D] = []
        self._candidate: list[Float1D] = []
        self._next = _EACH_ARM

    def look(self, fresh: Traffic) -> str:
        """Why to stop, or empty."""
        scored = (fresh.status == 200) & (fresh.latency_ms > 0.0)
        self._champion.append(fresh.latency_ms[scored & ~fresh.shadowed])
        self._candidate.append(fresh.latency_ms[scored & fresh.answered])
        least = min(sum(map(len, self._champion)), sum(map(len, self._candidate)))
        if least < self._next:
            return ""
        self._next = least + _EACH_ARM
        champion, candidate = np.concatenate(self._champion), np.concatenate(self._candidate)
        if quantile_shift(champion, candidate, tolerance=_P95_TOLERATED) < self._line:
            return ""
        old, new = np.quantile(champion, 0.95), np.quantile(candidate, 0.95)
        return f"the candidate's p95 of {new:.3g} ms is beyond chance above {old:.3g} ms"


def _joined(parts: list[Traffic]) -> Traffic:
    names = ("status", "latency_ms", "score", "shadowed", "shadow_score", "shadow_ms")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Traffic(**columns, is_split=parts[0].is_split)
