"""What the psi gate works out itself: Holm over features, features moved, features unjudged."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from mlwb.evidence import Metric, Record
from mlwb.gates._check import Derived, holds
from mlwb.gates._view import EvidenceView
from mlwb.params import Policy
from mlwb.stats import holm

__all__ = ["derive_prediction", "derive_psi"]


def derive_psi(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Smallest p after Holm, features that are large and no chance, features nobody can judge."""
    del now
    record = view.newest("psi_snapshot")
    if record is None:
        return {}
    flags = record.segments("gateable")
    gateable = sorted(name for name, flag in flags.items() if holds(flag.value, "==", "1"))
    adjusted = _adjusted(record, gateable)
    found = (_smallest(adjusted), _moved(record, adjusted, policy), _unjudged(record, policy))
    return {metric.name: Derived(metric, record) for metric in found}


def _adjusted(record: Record, features: list[str]) -> dict[str, float]:
    """Holm-adjusted p of each feature that can be judged; none where one of them has no p."""
    found = record.segments("p_block")
    values = [found[feature].value if feature in found else None for feature in features]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {}
    return dict(zip(features, holm(np.asarray(known, dtype=np.float64)).tolist(), strict=True))


def _smallest(adjusted: dict[str, float]) -> Metric:
    if not adjusted:
        return _lacking("p_block_holm")
    return Metric("p_block_holm", min(adjusted.values()), n=len(adjusted))


def _moved(record: Record, adjusted: dict[str, float], policy: Policy) -> Metric:
    """Features beyond chance whose PSI, less what chance gives, is not below their limit."""
    name = "features_moved"
    if not adjusted:
        return _lacking(name)
    limit, level = policy.limit("psi.feature"), str(policy.gates["psi"].settings["level"])
    sizes = record.segments("psi_corrected")
    large = [
        feature
        for feature in adjusted
        if feature not in sizes or not holds(sizes[feature].value, limit.comparator, limit.value)
    ]
    moved = [feature for feature in large if not holds(adjusted[feature], ">", level)]
    return Metric(name, len(moved), n=len(adjusted), definition=", ".join(moved))


def _unjudged(record: Record, policy: Policy) -> Metric:
    """Features that no window of this length can judge, and the window that could."""
    flags, days = record.segments("gateable"), record.segments("gateable_days")
    features = {*record.segments("psi"), *record.segments("psi_upper"), *flags}
    judged = {feature for feature in flags if holds(flags[feature].value, "==", "1")}
    allowed = policy.gates["psi"].settings.get("not_gateable_allowed", ())
    unlisted = sorted(features - judged - set(allowed))
    mean = [metric for metric in record.metrics if metric.name == "overall_gateable"]
    if not any(holds(metric.value, "==", "1") for metric in mean):
        unlisted.append("the mean over features")
    named = "; ".join(f"{feature} ({_needs(days.get(feature))})" for feature in unlisted)
    why = f"no window of this length can judge {named}; the policy must name them"
    return Metric("not_gateable_unlisted", None if unlisted else 0, null_reason=why)


def derive_prediction(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Whether the score is beyond judging, and the window that could judge it."""
    del policy, now
    record = view.newest("psi_snapshot")
    if record is None:
        return {}
    found = {metric.name: metric for metric in record.metrics if not metric.segment}
    flag = found.get("prediction_gateable")
    is_judged = flag is not None and holds(flag.value, "==", "1")
    need = _needs(found.get("prediction_gateable_days"))
    why = f"no window of this length can judge the score ({need})"
    count = Metric("prediction_not_gateable", 0 if is_judged else None, null_reason=why)
    return {count.name: Derived(count, record)}


def _needs(days: Metric | None) -> str:
    if days is None or days.value is None:
        return "no window that fits the reference could"
    return f"{days.value:g} days could"


def _lacking(name: str) -> Metric:
    return Metric(name, None, null_reason="not every gateable feature has a block p value")
