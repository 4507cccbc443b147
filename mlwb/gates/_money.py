"""What the pnl gate works out itself: what a short record cannot show, and losing regimes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mlwb.evidence import Metric, Record
from mlwb.gates._check import Derived, holds
from mlwb.gates._view import EvidenceView
from mlwb.params import Limit, Policy

__all__ = ["derive_pnl"]


def derive_pnl(view: EvidenceView, policy: Policy, now: datetime) -> dict[str, Derived]:
    """``psr`` as shown, refuted or neither; and how many regimes are shown to lose."""
    del now
    record = view.newest("pnl")
    if record is None:
        return {}
    found = {}
    gate = policy.gates["pnl"]
    limits = {limit.metric: limit for limit in gate.limits}
    values = _values(record)
    if "psr" in limits and "psr" in values:
        found["psr"] = Derived(_shown(values, limits["psr"]), record)
    if record.segments("regime_p_negative"):
        found["negative_regimes"] = Derived(_losing(record, policy), record)
    return found


def _values(record: Record) -> dict[str, Metric]:
    return {metric.name: metric for metric in record.metrics if not metric.segment}


def _shown(values: dict[str, Metric], limit: Limit) -> Metric:
    """The probability where it decides; null where the record is too short to show either."""
    metric = values["psr"]
    observed = metric.value
    is_shown = holds(observed, limit.comparator, limit.value)
    if observed is None or is_shown or not holds(1.0 - observed, "<", limit.value):
        return replace(metric, definition="")
    ratio, error, length = (
        values[name].value if name in values else None
        for name in ("sharpe", "sharpe_se", "min_track_record")
    )
    said = f"Sharpe {ratio:.2f}" if ratio is not None else "the Sharpe ratio"
    said += f" with a standard error of {error:.2f}" if error is not None else ""
    said += f" after {metric.n} days" if metric.n is not None else ""
    more = (
        f"{length:,.0f} days at this rate would"
        if length is not None
        else "no length at this rate would"
    )
    return Metric("psr", None, n=metric.n, null_reason=f"{said}; {more} show it above 0")


def _losing(record: Record, policy: Policy) -> Metric:
    """Regimes whose net is negative at the policy's level, among those with enough decisions."""
    settings = policy.gates["pnl"].settings
    level, least = str(settings["level"]), str(settings["min_decisions"])
    decisions = record.segments("regime_decisions")
    known = {
        name: m for name, m in record.segments("regime_p_negative").items() if name in decisions
    }
    enough = [name for name in known if holds(decisions[name].value, ">=", least)]
    losing = [name for name in enough if holds(known[name].value, "<=", level)]
    few = [name for name in known if name not in enough and name != "unknown"]
    if few and not losing:
        why = f"fewer than {least} decisions in {', '.join(sorted(few))}"
        return Metric("negative_regimes", None, n=len(known), null_reason=why)
    return Metric("negative_regimes", len(losing), n=len(known), definition=", ".join(losing))
