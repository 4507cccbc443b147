"""From evidence and policy to verdicts, and from verdicts to a decision. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mlwb.core.errors import PolicyError
from mlwb.evidence import Record
from mlwb.gates._check import Derived, check_limit
from mlwb.gates._derive import DERIVE
from mlwb.gates._verdict import Check, Decision, Outcome, Verdict
from mlwb.gates._view import EvidenceView, as_view
from mlwb.gates._waiver import Waivers, waivers_of
from mlwb.params import GATE_IDS, GatePolicy, Policy

__all__ = ["GATES", "decide", "evaluate", "evaluate_all", "evaluate_watch"]

GATES = GATE_IDS
"""Gate ids in the order of the verdict table."""
_NO_WAIVERS = Waivers()


def evaluate(
    gate_id: str,
    records: Mapping[str, Record] | EvidenceView,
    policy: Policy,
    now: datetime,
) -> Verdict:
    """The verdict of one gate.

    Parameters
    ----------
    gate_id : str
        One of :data:`GATES`.
    records : mapping of str to Record, or EvidenceView
        Evidence by kind, or a view with the facts only a view holds (ledger, model bytes).
    policy : Policy
        The limits.
    now : datetime
        Timezone-aware; ages are counted back from it.

    Returns
    -------
    Verdict

    Raises
    ------
    PolicyError
        No such gate.
    """
    if gate_id not in GATES:
        raise PolicyError("no such gate", expected=", ".join(GATES), got=gate_id)
    view, gate = as_view(records), policy.gates[gate_id]
    derive = DERIVE.get(gate_id)
    derived = derive(view, policy, now) if derive else {}
    return _verdict(gate, view, derived, policy, now=now)


def evaluate_all(
    records: Mapping[str, Record] | EvidenceView, policy: Policy, now: datetime
) -> tuple[Verdict, ...]:
    """The verdicts of all gates, in the order of :data:`GATES`; see :func:`evaluate`."""
    view = as_view(records)
    return tuple(evaluate(gate, view, policy, now) for gate in GATES)


def evaluate_watch(
    name: str, records: Mapping[str, Record] | EvidenceView, policy: Policy, now: datetime
) -> Verdict:
    """The verdict on limits that must hold while a version serves; no part of a decision.

    Parameters
    ----------
    name : str
        A group of ``Policy.watch``.
    records : mapping of str to Record, or EvidenceView
        Evidence by kind, or a view.
    policy : Policy
        The limits.
    now : datetime
        Timezone-aware; ages are counted back from it.

    Returns
    -------
    Verdict
        ``gate`` is the name of the group.

    Raises
    ------
    PolicyError
        No such group.
    """
    if name not in policy.watch:
        raise PolicyError("no such watch", expected=", ".join(policy.watch), got=name)
    limits = policy.watch[name]
    group = GatePolicy(id=name, about="", severity="hard", limits=limits)
    return _verdict(group, as_view(records), {}, policy, now=now)


def decide(verdicts: Iterable[Verdict], policy: Policy, waivers: Waivers = _NO_WAIVERS) -> Decision:
    """Whether a set of verdicts allows a promotion.

    Every gate must be there, judged under this policy, and pass; only a soft gate, one this
    policy waives, or one a person waived for this candidate may do otherwise.

    Parameters
    ----------
    verdicts : iterable of Verdict
        One for each gate.
    policy : Policy
        The policy they were judged under.
    waivers : Waivers, optional
        Of :func:`waivers_of` on the view they were computed from.

    Returns
    -------
    Decision
    """
    by_gate = {verdict.gate: verdict for verdict in verdicts}
    blocking = [_block(gate, by_gate.get(gate), policy, waivers) for gate in GATES]
    reasons = tuple(reason for reason in blocking if reason)
    if reasons:
        return Decision(promote=False, reasons=reasons)
    waived = [
        (gate, policy.gates[gate].waived or _waived(outcome, waivers.valid.get(gate, "")))
        for gate, outcome in ((gate, by_gate[gate].outcome) for gate in GATES)
    ]
    return Decision(
        promote=True, reasons=tuple(f"{gate} waived: {why}" for gate, why in waived if why)
    )


def _verdict(
    gate: GatePolicy,
    view: EvidenceView,
    derived: Mapping[str, Derived],
    policy: Policy,
    *,
    now: datetime,
) -> Verdict:
    in_force = policy.digest if gate.id in GATES else ""  # a watch is not silenced by a new policy
    checks = tuple(
        check
        for limit in gate.limits
        for check in check_limit(limit, view, derived, now=now, policy_digest=in_force)
    )
    kinds = {limit.kind for limit in gate.limits}
    used = {kind: view.newest(kind) for kind in sorted(kinds)}
    outcome, waivers = _worst(checks), waivers_of(view, policy, now)
    ignored = [f"a waiver does not count: {why}" for why in waivers.ignored.get(gate.id, ())]
    return Verdict(
        gate=gate.id,
        outcome=outcome,
        severity=_severity(gate, view),
        waived=gate.waived or _waived(outcome, waivers.valid.get(gate.id, "")),
        reason="; ".join([_reason(outcome, checks), *ignored]),
        checks=checks,
        evidence=tuple(view.cite(record) for record in used.values() if record),
        policy_digest=policy.digest,
    )


def _waived(outcome: Outcome, waiver: str) -> str:
    """A person's waiver where it counts: a pass needs none, unusable evidence gets none."""
    return "" if outcome in (Outcome.PASS, Outcome.INVALID) else waiver


def _block(gate: str, verdict: Verdict | None, policy: Policy, waivers: Waivers) -> str:
    """Why a gate blocks, empty when it does not."""
    if verdict is None:
        return f"{gate}: not evaluated"
    if verdict.policy_digest != policy.digest:
        return f"{gate}: judged under another policy"
    is_soft = policy.gates[gate].severity == "soft" and verdict.severity == "soft"
    if verdict.is_pass or is_soft or policy.gates[gate].waived:
        return ""
    if _waived(verdict.outcome, waivers.valid.get(gate, "")):
        return ""
    return f"{gate} {verdict.outcome}: {verdict.reason}"


def _is_warning(check: Check) -> bool:
    """A limit missed without blocking; an optional number that nobody measured is none."""
    if check.is_binding or check.outcome is Outcome.PASS:
        return False
    return bool(check.waived) or check.outcome is Outcome.FAIL


def _worst(checks: tuple[Check, ...]) -> Outcome:
    binding = {check.outcome for check in checks if check.is_binding}
    return next((outcome for outcome in Outcome if outcome in binding), Outcome.UNPROVEN)


def _severity(gate: GatePolicy, view: EvidenceView) -> str:
    """A soft gate is hard for the labels the policy names, and where the label is not known."""
    hard_for = gate.settings.get("hard_for_labels")
    if gate.severity == "hard" or hard_for is None:
        return gate.severity
    record = view.newest(gate.limits[0].kind)
    label = record.details.get("label") if record else None
    kind = label.get("kind") if isinstance(label, Mapping) else None
    return "hard" if kind is None or kind in hard_for else "soft"


def _reason(outcome: Outcome, checks: tuple[Check, ...]) -> str:
    binding = [check for check in checks if check.is_binding]
    warned = [check for check in checks if _is_warning(check)]
    if outcome is Outcome.PASS:
        said = f"{len(binding)} of {len(binding)} limits hold"
    else:
        worst = list(dict.fromkeys(c.reason for c in binding if c.outcome is outcome))
        more = f" (and {len(worst) - 2} more)" if len(worst) > 2 else ""
        said = ("; ".join(worst[:2]) or "every check is waived") + more
    notes = [f"waived: {c.reason}" if c.waived else f"warning: {c.reason}" for c in warned[:2]]
    return "; ".join([said, *notes])
