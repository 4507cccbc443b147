"""One limit against the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from mlwb.core.clock import parse_utc
from mlwb.evidence import Metric, Record
from mlwb.gates._verdict import Check, Outcome
from mlwb.gates._view import EvidenceView
from mlwb.params import Limit

__all__ = ["Derived", "check_limit", "holds"]

_SKEW = timedelta(minutes=5)
"""How far ahead of the judge's clock another machine's clock may be."""


@dataclass(frozen=True)
class Derived:
    """A number a gate worked out itself, and the record it rests on, if one does."""

    metric: Metric
    record: Record | None = None


def holds(observed: object, comparator: str, limit: str) -> bool:
    """Whether a finite number satisfies a limit, compared as decimals without rounding.

    Parameters
    ----------
    observed : object
        Anything but a finite int or float does not satisfy any limit.
    comparator : {"<", "<=", ">", ">=", "=="}
        Any other comparator is satisfied by nothing.
    limit : str
        Decimal.

    Examples
    --------
    >>> holds(0.2, "<", "0.2"), holds(0.1 + 0.1, "<=", "0.2"), holds(True, ">=", "0")
    (False, True, False)
    """
    if not _is_number(observed):
        return False
    value, bound = Decimal(repr(observed)), Decimal(limit)
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "==": value == bound,
    }.get(comparator, False)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def check_limit(
    limit: Limit,
    view: EvidenceView,
    derived: Mapping[str, Derived],
    *,
    now: datetime,
    policy_digest: str = "",
) -> tuple[Check, ...]:
    """Judge one limit: one check, or one for each segment.

    Parameters
    ----------
    limit : Limit
        What must hold.
    view : EvidenceView
        The evidence.
    derived : mapping of str to Derived
        Numbers the gate worked out itself, by metric name.
    now : datetime
        Timezone-aware; ages are counted back from it.
    policy_digest : str, default=""
        The policy the limit is from: evidence measured before it came into force is stale.

    Returns
    -------
    tuple of Check
        Never empty.
    """
    own = derived.get(limit.metric)
    record = own.record if own else view.newest(limit.kind)
    if own is None and record is None:
        missing = _check(limit, None, Outcome.MISSING, f"there is no {limit.kind} evidence")
        # The gate `evidence` names the kinds that a promotion cannot do without.
        return (replace(missing, severity="soft") if limit.optional else missing,)
    if record is not None:
        unusable = _unusable(limit, view, record, now, policy_digest=policy_digest)
        if unusable is not None:
            return (_check(limit, None, *unusable),)
    if own is not None:
        return (_judge(limit, own.metric, None),)
    return tuple(_check_segments(limit, record)) if record else ()


def _unusable(
    limit: Limit, view: EvidenceView, record: Record, now: datetime, *, policy_digest: str
) -> tuple[Outcome, str] | None:
    age = now - parse_utc(record.timestamp)
    if not view.is_about(record):
        return Outcome.INVALID, f"{record.kind} is about {record.model_version}"
    if record.origin not in limit.origins:
        accepted = " or ".join(limit.origins)
        return Outcome.INVALID, f"{record.kind} is {record.origin}, this limit takes {accepted}"
    if age < -_SKEW:
        return Outcome.INVALID, f"{record.kind} is dated in the future"
    if age > timedelta(hours=limit.max_age_h):
        hours = age.total_seconds() / 3600
        return Outcome.STALE, f"{record.kind} is {hours:.0f} h old, at most {limit.max_age_h} h"
    changed = view.predates(record, policy_digest)
    if changed:
        return Outcome.STALE, f"{record.kind} was measured before the policy changed on {changed}"
    return None


def _check_segments(limit: Limit, record: Record) -> Iterator[Check]:
    named = [metric for metric in record.metrics if metric.name == limit.metric]
    by_segment = {metric.segment: metric for metric in named}
    segments = _segments(limit, record, by_segment)
    if len(by_segment) < len(named):
        reason = f"{record.kind} has {limit.metric} twice"
        yield _check(limit, None, Outcome.INVALID, reason)
    elif not segments:
        yield _check(limit, None, Outcome.MISSING, f"{record.kind} has no {limit.metric} to judge")
    else:
        for segment in segments:
            lacking = Metric(limit.metric, None, segment=segment)
            reason = f"{record.kind} has no {_label(lacking)}"
            metric = by_segment.get(segment)
            if metric is None:
                yield _check(limit, lacking, Outcome.MISSING, reason)
            else:
                yield _judge(limit, metric, record)


def _segments(limit: Limit, record: Record, by_segment: Mapping[str, Metric]) -> list[str]:
    if limit.when:
        chosen = record.segments(limit.when).items()
        return [segment for segment, metric in chosen if holds(metric.value, "==", "1")]
    if limit.segment == "*":
        return [segment for segment in by_segment if segment]
    return limit.segment.split("|")


def _judge(limit: Limit, metric: Metric, record: Record | None) -> Check:
    observed, label = metric.value, _label(metric)
    if observed is None:
        return _check(limit, metric, Outcome.UNPROVEN, f"{label}: {metric.null_reason}")
    if not _is_number(observed):
        return _check(limit, metric, Outcome.INVALID, f"{label} is no finite number")
    if limit.min_n and (metric.n is None or metric.n < limit.min_n):
        had = "an unknown number of" if metric.n is None else str(metric.n)
        reason = f"{label} rests on {had} observations, it needs {limit.min_n}"
        return _check(limit, metric, Outcome.UNPROVEN, reason)
    said = f"{label} = {observed:.6g}"
    if holds(observed, limit.comparator, limit.value):
        return _check(limit, metric, Outcome.PASS, f"{said} {limit.comparator} {limit.value}")
    because = f", {metric.definition}" if record is None and metric.definition else ""
    said = f"{said}, must be {limit.comparator} {limit.value}{because}"
    if limit.refuted_by and not _is_refuted(limit, metric, record):
        return _check(limit, metric, Outcome.UNPROVEN, f"{said}; the interval spans the limit")
    return _check(limit, metric, Outcome.FAIL, said)


def _is_refuted(limit: Limit, metric: Metric, record: Record | None) -> bool:
    """Whether the other end of the interval is a number and misses the limit too."""
    others = record.metrics if record else ()
    values = [m.value for m in others if (m.name, m.segment) == (limit.refuted_by, metric.segment)]
    return any(
        _is_number(value) and not holds(value, limit.comparator, limit.value) for value in values
    )


def _label(metric: Metric) -> str:
    return f"{metric.name}[{metric.segment}]" if metric.segment else metric.name


def _check(limit: Limit, metric: Metric | None, outcome: Outcome, reason: str) -> Check:
    unmeasured = metric is not None and metric.value is None
    return Check(
        id=limit.id,
        metric=limit.metric,
        segment=metric.segment if metric else "",
        observed=metric.value if metric else None,
        comparator=limit.comparator,
        limit=limit.value,
        n=metric.n if metric else None,
        outcome=outcome,
        severity="soft" if limit.optional and unmeasured else limit.severity,
        waived=limit.waived,
        reason=reason,
    )
