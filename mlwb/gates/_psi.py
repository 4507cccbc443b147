"""What the gates psi and drift work out themselves: what has moved, and what nobody can judge.

The rule is that of :func:`mlwb.drift.calibration.reading`, applied to recorded numbers; a test
holds the two against each other.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from mlwb.evidence import Metric, Record
from mlwb.gates._check import Derived, holds
from mlwb.gates._view import EvidenceView
from mlwb.params import Limit, Policy
from mlwb.stats import holm

__all__ = ["derive_prediction", "derive_psi"]

_MEAN = "the mean over features"


def derive_psi(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Smallest p after Holm, features that are large and no chance, features nobody can judge."""
    del now
    record = view.newest("psi_snapshot")
    if record is None:
        return {}
    gateable = _gateable(record, policy)
    adjusted = _adjusted(record, gateable)
    found = (_smallest(adjusted), _moved(record, gateable, policy), _unjudged(record, policy))
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


def _moved(record: Record, gateable: list[str], policy: Policy) -> Metric:
    """Features, and their mean, that are beyond chance and large."""
    name, whole, adjusted = "features_moved", _whole(record), _adjusted(record, gateable)
    is_judged = _is_mean_judged(whole, policy)
    p_overall = whole.get("p_overall")
    if len(adjusted) < len(gateable) or not record.segments("gateable"):
        return _lacking(name)
    if is_judged and (p_overall is None or p_overall.value is None):
        return Metric(name, None, null_reason=f"{_MEAN} has no block p value")
    limit, sizes = policy.limit("psi.feature"), record.segments("psi_corrected")
    moved = [
        feature
        for feature, p_value in sorted({**_alone(record, gateable), **adjusted}.items())
        if _has_moved(
            sizes.get(feature), p_value, limit, _level(policy, is_judged=feature in adjusted)
        )
    ]
    if p_overall is not None and p_overall.value is not None:
        size, limit = whole.get("psi_overall_corrected"), policy.limit("psi.overall")
        if _has_moved(size, p_overall.value, limit, _level(policy, is_judged=is_judged)):
            moved.append(_MEAN)
    n = len(record.segments("gateable"))
    return Metric(name, len(moved), n=n, definition=", ".join(moved))


def _alone(record: Record, gateable: list[str]) -> dict[str, float]:
    """P of each feature that chance alone carries to the limit, each for itself."""
    return {
        feature: metric.value
        for feature, metric in record.segments("p_block").items()
        if feature not in gateable and metric.value is not None
    }


def _has_moved(size: Metric | None, p_value: float, limit: Limit, level: str) -> bool:
    """Beyond chance, and the PSI less what chance gives is not below the limit."""
    is_small = size is not None and holds(size.value, limit.comparator, limit.value)
    return not is_small and not holds(p_value, ">", level)


def _level(policy: Policy, *, is_judged: bool) -> str:
    """P values up to this one speak for a change; where chance reaches the limit, far fewer do."""
    return str(policy.gates["psi"].settings["level" if is_judged else "sure"])


def _whole(record: Record) -> dict[str, Metric]:
    """Numbers that are about no single feature."""
    return {metric.name: metric for metric in record.metrics if not metric.segment}


def _gateable(record: Record, policy: Policy) -> list[str]:
    """Features that a window of this length can judge."""
    ends, limit = record.segments("psi_null95"), policy.limit("psi.feature")
    flags = record.segments("gateable").items()
    return sorted(name for name, flag in flags if _is_judged(flag, ends.get(name), limit))


def _is_mean_judged(whole: dict[str, Metric], policy: Policy) -> bool:
    flag, end = whole.get("overall_gateable"), whole.get("psi_overall_null95")
    return _is_judged(flag, end, policy.limit("psi.overall"))


def _is_judged(flag: Metric | None, end: Metric | None, limit: Limit) -> bool:
    """Said to be so when it was measured, and also by the limit of this policy."""
    is_said = flag is not None and holds(flag.value, "==", "1")
    return is_said and (end is None or holds(end.value, limit.comparator, limit.value))


def _unjudged(record: Record, policy: Policy) -> Metric:
    """Features that no window of this length can judge, and the window that could."""
    flags, days = record.segments("gateable"), record.segments("gateable_days")
    features = {*record.segments("psi"), *record.segments("psi_upper"), *flags}
    judged = set(_gateable(record, policy))
    allowed = policy.gates["psi"].settings.get("not_gateable_allowed", ())
    unlisted = sorted(features - judged - set(allowed))
    said = []
    if unlisted:
        named = "; ".join(f"{feature} ({_needs(days.get(feature))})" for feature in unlisted)
        said.append(f"no window of this length can judge {named}; the policy must name them")
    if not _is_mean_judged(_whole(record), policy):
        said.append(f"no window of this length can judge {_MEAN}, and no policy exempts it")
    why = "; ".join(said)
    return Metric("not_gateable_unlisted", None if said else 0, null_reason=why)


def derive_prediction(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """Whether the score has moved, or is beyond judging, and the window that could judge it."""
    del now
    record = view.newest("psi_snapshot")
    if record is None:
        return {}
    whole = _whole(record)
    flag, end = whole.get("prediction_gateable"), whole.get("prediction_psi_null95")
    is_judged = _is_judged(flag, end, policy.limit("drift.prediction_psi"))
    need = _needs(whole.get("prediction_gateable_days"))
    why = f"no window of this length can judge the score ({need})"
    count = Metric("prediction_not_gateable", 0 if is_judged else None, null_reason=why)
    found = (count, _moved_score(whole, policy, "" if is_judged else why))
    return {metric.name: Derived(metric, record) for metric in found}


def _moved_score(whole: dict[str, Metric], policy: Policy, why: str) -> Metric:
    name, p_value = "prediction_moved", whole.get("prediction_p_block")
    if p_value is None or p_value.value is None:
        return Metric(name, None, null_reason=why or "the score has no block p value")
    size, limit = whole.get("prediction_psi_corrected"), policy.limit("drift.prediction_psi")
    has_moved = _has_moved(size, p_value.value, limit, _level(policy, is_judged=not why))
    if why and not has_moved:
        return Metric(name, None, null_reason=why)
    return Metric(name, int(has_moved))


def _needs(days: Metric | None) -> str:
    if days is None or days.value is None:
        return "no window that fits the reference could"
    return f"{days.value:g} days could"


def _lacking(name: str) -> Metric:
    return Metric(name, None, null_reason="not every gateable feature has a block p value")
