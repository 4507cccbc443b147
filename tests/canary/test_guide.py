"""The guide of a rollout: what fills a phase, and what is judged without filling it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mlwb.canary import AbortLimits, Dwell, JudgeLimits, RolloutGuide, StepKind, Traffic
from mlwb.core.arrays import Bool1D

_LIMITS = AbortLimits(p95_ms=120.0, error_rate=0.5, match_rate=0.9, min_requests=50)
_JUDGED = JudgeLimits(
    0.02, 0.10, 120.0, error=0.01, mismatch=0.05, p95_ms=80.0, candidate_p95_ms=60.0
)


def _guide() -> RolloutGuide:
    dwell = Dwell("evidence", 0.0, 1e9, 50)
    return RolloutGuide(3, dwell, limits=_LIMITS, judged=_JUDGED, match_delta=0.05)


def _traffic(n: int) -> Traffic:
    """Requests that both versions answer alike."""
    score = np.full(n, 0.5)
    return Traffic(np.full(n, 200), np.ones(n), score, np.ones(n, bool), score, np.ones(n))


def _failed(found: Traffic, where: Bool1D) -> Traffic:
    return replace(found, shadow_score=np.where(where, math.nan, found.shadow_score))


def test_late_requests_do_not_fill_a_phase() -> None:
    """Fifty of its own end it; any number of the phase before, one less."""
    guide = _guide()
    assert guide.look(_traffic(49), elapsed_s=1.0, late=_traffic(40)).kind is StepKind.STAY
    assert guide.n_observed == 49
    assert guide.look(_traffic(1), elapsed_s=1.0).kind is StepKind.NEXT


def test_late_requests_are_judged() -> None:
    """A candidate that failed just before the next phase is stopped in it."""
    late = _failed(_traffic(40), np.ones(40, bool))
    step = _guide().look(_traffic(0), elapsed_s=0.0, late=late)
    assert step.kind is StepKind.ABORT
    assert step.reason.startswith("candidate error in 40 of 40")


def test_a_failed_request_does_not_fill_a_phase() -> None:
    """The evidence counts answers, so fifty asked of which one failed are not enough."""
    guide = _guide()
    one_bad = _failed(_traffic(50), np.arange(50) == 49)
    assert guide.look(one_bad, elapsed_s=1.0).kind is StepKind.STAY
    assert guide.look(_traffic(1), elapsed_s=1.0).kind is StepKind.NEXT
