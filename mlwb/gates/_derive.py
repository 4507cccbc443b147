"""Numbers a limit cannot read from one record: counted over records, or checked against facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from mlwb.core.clock import parse_utc
from mlwb.evidence import Metric, Record, lint
from mlwb.gates._check import Derived, holds
from mlwb.gates._confirm import confirmation_faults
from mlwb.gates._money import derive_pnl
from mlwb.gates._policy_log import policy_log_problems
from mlwb.gates._psi import derive_prediction, derive_psi
from mlwb.gates._view import EvidenceView
from mlwb.params import Policy

__all__ = ["DERIVE"]


def _ablation(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Groups without which the rank IC rises by more than the policy's harm, at its level."""
    del now
    record = view.newest("ablation")
    if record is None:
        return {}
    rules = policy.gates["ablation"].settings
    harm, level = str(rules["harm"]), str(rules["level"])
    p_values = record.segments("p_adjusted")
    harmful = [
        group
        for group, delta in record.segments("delta").items()
        if not holds(delta.value, "<=", harm)
        and not (group in p_values and holds(p_values[group].value, ">", level))
    ]
    n = len(record.segments("delta"))
    why = "no group was left out"
    count = Metric("harmful_groups", len(harmful) if n else None, n=n, null_reason="" if n else why)
    return {"harmful_groups": Derived(count, record)}


def _nightly(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Green dates in a row, ending with the newest; a date is green when all its runs are."""
    del now
    runs = view.all("nightly")
    if not runs:
        return {}
    origins = policy.limit("nightly.consecutive_green").origins
    green: dict[datetime, bool] = {}
    for record in runs:
        date = parse_utc(record.timestamp).replace(hour=0, minute=0, second=0, microsecond=0)
        green[date] = green.get(date, True) and _is_green(record, view, policy, origins)
    streak, date = 0, max(green)
    while green.get(date, False):
        streak, date = streak + 1, date - timedelta(days=1)
    newest = max(runs, key=lambda record: record.timestamp)
    return {"consecutive_green": Derived(Metric("consecutive_green", streak, n=len(runs)), newest)}


def _is_green(record: Record, view: EvidenceView, policy: Policy, origins: tuple[str, ...]) -> bool:
    flags = [metric.value for metric in record.metrics if metric.name == "green"]
    return (
        len(flags) == 1
        and holds(flags[0], "==", "1")
        and view.is_about(record)
        and record.origin in origins
        and record.policy_digest == policy.digest
    )


def _evidence(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    kinds = policy.gates["evidence"].settings.get("kinds", ())
    newest = {kind: view.newest(kind) for kind in kinds}
    there = [record for record in newest.values() if record is not None]
    missing = [kind for kind, record in newest.items() if record is None]
    other = [record.kind for record in there if not view.is_about(record)]
    wrong = [f"{record.kind} {problem}" for record in there for problem in lint(record, now=now)]
    wrong += policy_log_problems(view.all("policy"))
    chain = view.chain_problems
    found = {
        "kinds_missing": _count("kinds_missing", missing if kinds else None),
        "other_versions": _count("other_versions", other),
        "lint_problems": _count("lint_problems", wrong),
        "chain_problems": _count("chain_problems", None if chain is None else list(chain)),
    }
    return {name: Derived(metric) for name, metric in found.items()}


def _count(name: str, items: list[str] | None) -> Metric:
    if items is None:
        return Metric(name, None, null_reason="nobody looked")
    return Metric(name, len(items), definition="; ".join(items))


def _confirmation(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    record = view.newest("confirmation")
    if record is None:
        return {}
    wrong = confirmation_faults(record, view, policy, now)
    metric = Metric("valid_confirmation", 0 if wrong else 1, definition="; ".join(wrong))
    return {"valid_confirmation": Derived(metric, record)}


DERIVE: Mapping[str, Callable[[EvidenceView, Policy, datetime], dict[str, Derived]]] = (
    MappingProxyType(
        {
            "ablation": _ablation,
            "pnl": derive_pnl,
            "psi": derive_psi,
            "drift": derive_prediction,
            "nightly": _nightly,
            "evidence": _evidence,
            "confirmation": _confirmation,
        }
    )
)
"""Gate id to the function that works out its own numbers."""
