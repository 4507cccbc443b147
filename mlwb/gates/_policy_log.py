"""Which policy is in force: said in the ledger before anything is decided by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from mlwb.core.canonical import digest, parse_json
from mlwb.core.errors import EvidenceMissingError, PolicyError
from mlwb.evidence import Context, EvidenceStore, Metric, Record, new_record
from mlwb.gates._view import ONLY_WORDS
from mlwb.params import Limit, Policy, parse_policy

__all__ = ["log_policy", "logged_policy", "policy_log_problems"]


def log_policy(store: EvidenceStore, policy: Policy, context: Context) -> Record | None:
    """Put a policy in force: a record of kind ``policy``, unless it is in force already.

    Parameters
    ----------
    store : EvidenceStore
        Where the record goes.
    policy : Policy
        What is going to be judged by; its whole content is stored, so that an old decision can
        be computed again after the file changed.
    context : Context
        Stamps the record.

    Returns
    -------
    Record or None
        The new record; None where nothing changed.

    Raises
    ------
    EvidenceError
        The ledger was edited.
    """
    try:
        before = store.newest("policy")
    except EvidenceMissingError:
        before = None
    if before is not None and before.details["digest"] == policy.digest:
        return None
    seq = before.details["seq"] + 1 if before else 1
    changed = _changes(_policy_of(before), policy) if before else []
    record = new_record(
        "policy",
        [Metric("seq", seq), Metric("limits_changed", len(changed))],
        replace(context, model_version="none", origin="live"),
        details={
            "name": policy.name,
            "digest": policy.digest,
            "seq": seq,
            "content": json.dumps(policy.content),  # as text: the order of limits is kept
            "changed": changed,
        },
    )
    store.write(record)
    return record


def logged_policy(store: EvidenceStore, policy_digest: str) -> Policy | None:
    """A policy that was ever in force, by its digest; None where none with it can be read."""
    for record in reversed(store.records("policy")):
        if record.details["digest"] == policy_digest:
            return _policy_of(record)
    return None


def policy_log_problems(records: Sequence[Record]) -> list[str]:
    """What is wrong with records of kind ``policy``, in the order they were written.

    Numbers that do not grow one by one (an older policy put back under its old number), and
    contents that are not what their digest says.
    """
    found = []
    for place, record in enumerate(records, start=1):
        said = record.details
        if said["seq"] != place:
            found.append(f"policy {said['seq']} stands where {place} belongs")
        if digest(parse_json(said["content"])) != said["digest"]:
            found.append(f"policy {said['seq']} is not what its digest says")
    return found


def _policy_of(record: Record) -> Policy | None:
    """The logged policy; None where this version no longer reads what it held."""
    try:
        return parse_policy(parse_json(record.details["content"]), is_old=True)
    except PolicyError:
        return None


def _changes(old: Policy | None, new: Policy) -> list[str]:
    if old is None:
        return ["everything: the policy before is of a form that is no longer read"]
    limits = {**old.limits, **new.limits}
    said = [(name, _said(old.limits.get(name)), _said(new.limits.get(name))) for name in limits]
    found = [f"{name}: {was} -> {now}" for name, was, now in said if was != now]
    found += [
        f"{name}: its counts, age, origins or place"
        for name, was, now in said
        if was == now and _bare(old.limits[name]) != _bare(new.limits[name])
    ]
    for gate, after in new.gates.items():
        before = old.gates[gate]
        was, now = (item.waived or "not waived" for item in (before, after))
        found += [f"{gate}: {was} -> {now}"] if was != now else []
        if (before.severity, before.settings) != (after.severity, after.settings):
            found.append(f"{gate}: its severity or settings")
    found += [
        f"{group}: its settings"
        for group, settings in new.watch_settings.items()
        if dict(settings) != dict(old.watch_settings.get(group, {}))
    ]
    return found or [ONLY_WORDS]


def _said(limit: Limit | None) -> str:
    if limit is None:
        return "none"
    waived = ", waived" if limit.waived else ""
    return f"{limit.comparator} {limit.value} {limit.severity}{waived}"


def _bare(limit: Limit) -> Limit:
    """A limit without its words."""
    return replace(limit, source="", waived="")
