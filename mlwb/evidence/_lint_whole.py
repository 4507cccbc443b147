"""Contradictions inside one record beyond a single number: sums, means, histograms, times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mlwb.core.chain import Problem
from mlwb.core.clock import parse_utc
from mlwb.core.errors import EvidenceSchemaError
from mlwb.evidence._record import Metric, Record

__all__ = ["SKEW", "lint_histograms", "lint_mean", "lint_phases", "lint_requests", "lint_times"]

SKEW = timedelta(minutes=5)
"""How far ahead of this one another machine's clock may be."""
_STAMP = "%Y%m%dT%H%M%SZ"
_MEAN = "mean over "
_PHASED = ("error_rate", "shadow_error_rate", "match_rate")


def lint_requests(record: Record) -> Iterator[Problem]:
    """No rate over requests counts more of them than there were."""
    sent = _whole(record).get("requests")
    if sent is None or sent.value is None:
        return
    for metric in record.metrics:
        over = metric.n is not None and metric.n > sent.value
        if over and not metric.segment and metric.name.endswith("_rate"):
            what = f"it counts {metric.n} of {sent.value:g} requests"
            yield Problem("counts", metric.label, what)


def lint_phases(record: Record) -> Iterator[Problem]:
    """The whole of a canary is the sum of its phases, or at least not outside them."""
    if record.kind != "canary_run":
        return
    whole = _whole(record)
    for name in _PHASED:
        total = whole.get(name)
        phases = [metric for metric in record.segments(name).values() if metric.value is not None]
        if total is not None and total.value is not None and phases:
            yield from _sums(total, phases)


def _sums(total: Metric, phases: list[Metric]) -> Iterator[Problem]:
    values = [float(metric.value or 0) for metric in phases]
    if not min(values) <= float(total.value or 0) <= max(values):
        what = f"{total.value:g} lies outside its phases, {min(values):g} to {max(values):g}"
        yield Problem("sums", total.label, what)
    counts = [(metric.k, metric.n) for metric in (total, *phases)]
    known = [(k, n) for k, n in counts if k is not None and n is not None]
    if len(known) < len(counts):
        return
    added = sum(k for k, _ in known[1:]), sum(n for _, n in known[1:])
    if added != known[0]:
        what = f"{known[0][0]} of {known[0][1]}, but its phases add up to {added[0]} of {added[1]}"
        yield Problem("sums", total.label, what)


def lint_mean(record: Record) -> Iterator[Problem]:
    """A mean over named segments is the mean of those segments."""
    for metric in record.metrics:
        over = metric.definition.removeprefix(_MEAN)
        if over == metric.definition or metric.value is None or metric.segment:
            continue
        parts = record.segments(metric.name.removesuffix("_overall"))
        values = [part.value for name in over.split(", ") for part in [parts.get(name)] if part]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(over.split(", ")):
            continue
        mean = math.fsum(known) / len(known)
        if not math.isclose(metric.value, mean, rel_tol=1e-9, abs_tol=1e-12):
            what = f"{metric.value:g} is not the mean of its {len(known)} parts, {mean:g}"
            yield Problem("mean", metric.label, what)


def lint_histograms(record: Record) -> Iterator[Problem]:
    """The counts of a feature add up to the observations its drift is computed from."""
    features = record.details.get("features", ())
    named = [item for item in features if isinstance(item, Mapping)]
    for item in named:
        counts, metric = (
            item.get("current_counts"),
            record.segments("psi").get(str(item.get("name"))),
        )
        if not isinstance(counts, (list, tuple)) or metric is None or metric.n is None:
            continue
        if sum(counts) != metric.n or min(counts, default=0) < 0:
            what = f"its histogram counts {sum(counts)}, the number rests on {metric.n}"
            yield Problem("histogram", metric.label, what)


def lint_times(record: Record, now: datetime | None) -> Iterator[Problem]:
    """Stamps agree with each other, and nothing is from the future."""
    stamp = parse_utc(record.timestamp)
    parts = record.run_id.split("_")
    if len(parts) >= 5 and parts[-2] != stamp.strftime(_STAMP):
        what = f"the run id says {parts[-2]}, the record {record.timestamp}"
        yield Problem("time", "timestamp", what)
    if now is not None and stamp > now + SKEW:
        yield Problem("time", "timestamp", f"{record.timestamp} is in the future")
    yield from _input_times(record, stamp)
    yield from _window(record, stamp)


def _input_times(record: Record, stamp: datetime) -> Iterator[Problem]:
    for item in record.inputs:
        first, last = _time(item.time_min), _time(item.time_max)
        if first and last and first > last:
            yield Problem("time", item.role, f"it ends {item.time_max}, before it begins")
        if last and record.origin != "simulated" and last > stamp + SKEW:
            yield Problem("time", item.role, f"it ends {item.time_max}, after it was measured")


def _window(record: Record, stamp: datetime) -> Iterator[Problem]:
    begun, ended = (_time(record.details.get(key)) for key in ("started_at", "finished_at"))
    if begun is None or ended is None:
        return
    if begun > ended or ended > stamp + SKEW:
        yield Problem("window", "finished_at", "it ends before it begins, or after it was recorded")
    covered = _whole(record).get("covered_h")
    lasted = (ended - begun).total_seconds() / 3600.0
    if covered is not None and (covered.value or 0) > lasted + 1e-9:
        what = f"{covered.value:g} h covered of a window of {lasted:g} h"
        yield Problem("window", covered.label, what)


def _time(text: Any) -> datetime | None:
    try:
        return parse_utc(text) if isinstance(text, str) and text else None
    except EvidenceSchemaError:
        return None


def _whole(record: Record) -> dict[str, Metric]:
    return {metric.name: metric for metric in record.metrics if not metric.segment}
