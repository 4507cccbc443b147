"""What a gate says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Check", "Cited", "Decision", "Outcome", "Verdict"]


class Outcome(StrEnum):
    """Six outcomes; only ``PASS`` passes. Worst first."""

    FAIL = "FAIL"
    INVALID = "INVALID"
    MISSING = "MISSING"
    STALE = "STALE"
    UNPROVEN = "UNPROVEN"
    PASS = "PASS"  # noqa: S105 - an outcome, not a password


@dataclass(frozen=True, kw_only=True)
class Check:
    """One number against one limit.

    Parameters
    ----------
    id : str
        Id of the limit.
    metric, segment : str
        The number.
    observed : float, int or None
        Its value; None when there is none to compare.
    comparator, limit : str
        What must hold, as the policy writes it.
    n : int or None
        Observations behind the value.
    outcome : Outcome
        FAIL: the limit does not hold. INVALID: the evidence may not be used (origin, version,
        time, no number). MISSING: it is not there. STALE: it is too old. UNPROVEN: too few
        observations, not measured, or the uncertainty spans the limit.
    severity : {"hard", "soft"}
        A soft check only warns.
    waived : str
        Why the policy waives the check; empty when it does not.
    reason : str
        Sentence for people.
    """

    id: str
    metric: str
    segment: str
    observed: float | int | None
    comparator: str
    limit: str
    n: int | None
    outcome: Outcome
    severity: str
    waived: str
    reason: str

    @property
    def is_binding(self) -> bool:
        """Whether the outcome counts for the gate."""
        return self.severity == "hard" and not self.waived


@dataclass(frozen=True)
class Cited:
    """Evidence a verdict rests on: run id and digest of the record."""

    run_id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of one gate.

    Parameters
    ----------
    gate : str
        Gate id.
    outcome : Outcome
        The worst of the binding checks.
    severity : {"hard", "soft"}
        A soft gate never blocks.
    waived : str
        Why the policy waives the gate, empty when it does not. The outcome stays the real one.
    reason : str
        Sentence for people.
    checks : tuple of Check
        All checks, also those that only warn.
    evidence : tuple of Cited
        Records looked at.
    policy_digest : str
        Policy judged by.
    """

    gate: str
    outcome: Outcome
    severity: str
    waived: str
    reason: str
    checks: tuple[Check, ...]
    evidence: tuple[Cited, ...]
    policy_digest: str

    @property
    def is_pass(self) -> bool:
        """Whether the outcome is PASS; a waiver does not make it one."""
        return self.outcome is Outcome.PASS


@dataclass(frozen=True)
class Decision:
    """Whether the candidate may be promoted, and why not.

    Parameters
    ----------
    promote : bool
        True only when every hard gate passed or is waived by the policy.
    reasons : tuple of str
        One sentence for each gate that blocks; when none does, for each waived gate.
    """

    promote: bool
    reasons: tuple[str, ...]
