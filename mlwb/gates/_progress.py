"""How far a candidate is on its way to production: what is counted, and what it must reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mlwb.gates._derive import DERIVE
from mlwb.gates._evaluate import evaluate
from mlwb.gates._verdict import Outcome, Verdict
from mlwb.gates._view import EvidenceView
from mlwb.params import Limit, Policy

__all__ = ["Progress", "is_green", "progress_of"]

_COUNTED = {
    "canary": ("canary.phases_completed", "phases"),
    "shadow": ("shadow.covered_h", "h"),
    "nightly": ("nightly.consecutive_green", "nights"),
    "validation": ("validation.covered_h", "h"),
    "confirmation": ("confirmation.valid", "confirmation"),
}
"""Gates that take time or people: the limit that counts it, and its unit."""


@dataclass(frozen=True)
class Progress:
    """One thing a candidate waits for.

    Parameters
    ----------
    gate : str
        The gate that asks for it.
    reached, needed : float
        In ``unit``; ``reached`` is 0 where nothing was recorded.
    unit : str
        ``"nights"``, ``"h"``, ``"phases"``, ``"confirmation"``.
    outcome : Outcome
        Of the gate.
    waived : str
        Why the gate does not block all the same; empty when it does.
    reason : str
        Why the gate does not pass; empty when it does.
    """

    gate: str
    reached: float
    needed: float
    unit: str
    outcome: Outcome
    waived: str
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the gate no longer blocks."""
        return self.outcome is Outcome.PASS or bool(self.waived)

    def __str__(self) -> str:
        state = "done" if self.is_done else "waiting"
        if self.waived and self.reached < self.needed:
            state = "waived"
        return f"{self.gate}: {self.reached:g} of {self.needed:g} {self.unit}, {state}"


def progress_of(view: EvidenceView, policy: Policy, now: datetime) -> tuple[Progress, ...]:
    """What stands between a candidate and production besides the measurements.

    Parameters
    ----------
    view : EvidenceView
        Evidence about the candidate.
    policy : Policy
        What it is judged by.
    now : datetime
        Timezone-aware; ages are counted back from it.

    Returns
    -------
    tuple of Progress
        Canary phases, shadow hours, green nights, validation hours, the confirmation.
    """
    return tuple(_one(gate, view, policy, now) for gate in _COUNTED)


def is_green(verdicts: Iterable[Verdict], policy: Policy) -> tuple[bool, tuple[str, ...]]:
    """Whether a night was green, and which gates kept it from being so.

    Every gate that the policy's ``nightly.settings.judged`` names must pass; one that was not
    asked is red. A waiver does not make a night green.
    """
    judged = policy.gates["nightly"].settings.get("judged", ())
    passed = {verdict.gate for verdict in verdicts if verdict.is_pass}
    red = tuple(gate for gate in judged if gate not in passed)
    return bool(judged) and not red, red


def _one(gate: str, view: EvidenceView, policy: Policy, now: datetime) -> Progress:
    limit_id, unit = _COUNTED[gate]
    limit, verdict = policy.limit(limit_id), evaluate(gate, view, policy, now)
    reached = _reached(gate, limit, view, policy, now=now)
    needed = float(limit.value)
    if limit.min_n:  # a share of n things, all of them
        reached, needed = reached * limit.min_n, needed * limit.min_n
    waived = verdict.waived or next((c.waived for c in verdict.checks if c.id == limit_id), "")
    reason = "" if verdict.is_pass else verdict.reason
    return Progress(gate, reached, needed, unit, verdict.outcome, waived, reason)


def _reached(
    gate: str, limit: Limit, view: EvidenceView, policy: Policy, *, now: datetime
) -> float:
    derive = DERIVE.get(gate)
    own = derive(view, policy, now).get(limit.metric) if derive else None
    record = view.newest(limit.kind)
    if own is not None:
        return float(own.metric.value or 0)
    if record is None or not view.is_about(record) or record.origin not in limit.origins:
        return 0.0
    found = [m.value for m in record.metrics if (m.name, m.segment) == (limit.metric, "")]
    return float(found[0] or 0) if found else 0.0
