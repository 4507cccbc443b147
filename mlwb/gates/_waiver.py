"""A person's exception for one gate: named, dated, bound to exactly one candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mlwb.core.clock import format_utc, parse_utc
from mlwb.core.errors import PolicyError
from mlwb.evidence import Context, Record, new_record
from mlwb.gates._view import EvidenceView
from mlwb.params import GATE_IDS, NEVER_WAIVED, Policy

__all__ = ["UNWAIVABLE", "Waivers", "waiver_record", "waivers_of"]

UNWAIVABLE = NEVER_WAIVED | {"data", "confirmation"}
"""Gates no person can waive: what the model is, what it was fed, and the person's own yes."""


@dataclass(frozen=True)
class Waivers:
    """What people have waived for a candidate.

    Parameters
    ----------
    valid : mapping of str to str
        Gate to who waives it, until when and why.
    ignored : mapping of str to tuple of str
        Gate to why its other waivers do not count.
    """

    valid: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def waivers_of(view: EvidenceView, policy: Policy, now: datetime) -> Waivers:
    """Read the waivers of a view: those that count, and why the others do not."""
    valid, ignored = dict[str, str](), dict[str, tuple[str, ...]]()
    for record in view.all("waiver"):
        gate = str(record.details["gate"])
        wrong = next(iter(_faults(record, view, policy, now)), "")
        if wrong:
            ignored[gate] = (*ignored.get(gate, ()), wrong)
        else:
            said = record.details
            valid[gate] = f"{said['approver']} until {said['expires_at']}: {said['reason']}"
    return Waivers(valid, ignored)


def waiver_record(
    view: EvidenceView,
    policy: Policy,
    context: Context,
    *,
    gate: str,
    reason: str,
    approver: str,
    days: float,
) -> Record:
    """A waiver as a record; nothing is written.

    Parameters
    ----------
    view : EvidenceView
        The candidate, with the digest of its manifest.
    policy : Policy
        The policy in force.
    context : Context
        Stamps the record; its version and origin are replaced.
    gate : str
        The gate waived.
    reason, approver : str
        Why, and who answers for it.
    days : float
        From now on; at most the policy's ``evidence.settings.waiver_max_days``.

    Returns
    -------
    Record

    Raises
    ------
    PolicyError
        The gate cannot be waived, the time is too long, or a text is empty.
    """
    if gate not in GATE_IDS or gate in UNWAIVABLE:
        allowed = [name for name in GATE_IDS if name not in UNWAIVABLE]
        raise PolicyError(f"{gate} cannot be waived", expected=", ".join(allowed), got=gate)
    if not 0 < days <= _max_days(policy):
        raise PolicyError(
            "a waiver is for a short time", expected=f"at most {_max_days(policy):g} days",
            got=f"{days:g}",
        )  # fmt: skip
    if not reason.strip() or not approver.strip():
        raise PolicyError("a waiver names its reason and who answers for it")
    until = context.clock.now() + timedelta(days=days)
    return new_record(
        "waiver",
        [],
        replace(context, model_version=view.model_version, origin="live"),
        details={
            "gate": gate,
            "reason": reason.strip(),
            "approver": approver.strip(),
            "expires_at": format_utc(until),
            "policy_digest": policy.digest,
            "manifest_sha256": view.manifest_sha256,
        },
    )


def _faults(record: Record, view: EvidenceView, policy: Policy, now: datetime) -> list[str]:
    said, gate, days = record.details, str(record.details["gate"]), _max_days(policy)
    given, until = parse_utc(record.timestamp), parse_utc(str(said["expires_at"]))
    manifest = view.manifest_sha256
    rules = [
        (f"{gate} cannot be waived", gate in GATE_IDS and gate not in UNWAIVABLE),
        (f"it was given for {record.model_version}", record.model_version == view.model_version),
        (
            "it was given for other model bytes",
            bool(manifest) and said["manifest_sha256"] == manifest,
        ),
        ("it was given under another policy", said["policy_digest"] == policy.digest),
        (f"it is {record.origin}", record.origin == "live"),
        (f"it is for more than {days:g} days", until - given <= timedelta(days=days)),
        (f"it expired at {said['expires_at']}", now < until),
        ("it is dated in the future", given <= now + timedelta(minutes=5)),
    ]
    return [what for what, is_right in rules if not is_right]


def _max_days(policy: Policy) -> float:
    """Longest waiver; a policy that says nothing allows none."""
    return float(str(policy.gates["evidence"].settings.get("waiver_max_days", "0")))
