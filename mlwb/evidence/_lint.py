"""Numbers that cannot be: found before anybody believes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from mlwb.core.chain import Problem
from mlwb.evidence._record import Metric, Record

__all__ = ["lint"]

_NEEDED = {"p95": 59, "p99": 299}
"""Observations for a distribution-free one-sided 95 % bound: smallest n with q**n <= 0.05."""

_TOLERANCE = 1e-12


def lint(record: Record) -> tuple[Problem, ...]:
    """Numbers of a record that contradict each other or claim more than was observed.

    Checked: a rate is exactly k / n with whole 0 <= k <= n; a share lies in [0, 1]; min <= p50 <=
    p95 <= p99 <= max; a p95 stands on n >= 59 and a p99 on n >= 299 observations; error and
    success counts add up; recall follows from precision and base rate; an interval holds its value.

    Parameters
    ----------
    record : Record
        Any record.

    Returns
    -------
    tuple of Problem
        Empty when nothing is impossible. ``where`` is the metric.

    Examples
    --------
    >>> from mlwb.core.clock import ManualClock
    >>> from mlwb.evidence import Context, new_record
    >>> wrong = Metric("error_rate", 0.0035, n=50, k=0)
    >>> record = new_record("smoke", [wrong], Context(clock=ManualClock()))
    >>> print(lint(record)[0])
    error_rate: 0.0035 is not 0 of 50 [rate]
    """
    found: list[Problem] = []
    for metric in record.metrics:
        found.extend(_lint_metric(metric))
    for segment in sorted({metric.segment for metric in record.metrics}):
        own = {m.name: m for m in record.metrics if m.segment == segment and m.value is not None}
        found.extend(_lint_quantiles(own))
        found.extend(_lint_counts(own))
        found.extend(_lint_top(own))
    return tuple(found)


def _label(metric: Metric) -> str:
    return f"{metric.name}[{metric.segment}]" if metric.segment else metric.name


def _lint_metric(metric: Metric) -> Iterator[Problem]:
    where, value = _label(metric), metric.value
    if value is None:
        return
    if metric.k is not None:
        yield from _lint_rate(where, value, metric)
    if metric.name.endswith(("_rate", "_share")) and not 0 <= value <= 1:
        yield Problem("range", where, f"a share of {value:g} is outside [0, 1]")
    if metric.ci is not None and not metric.ci.lo <= metric.ci.hi:
        yield Problem(
            "interval", where, f"the interval [{metric.ci.lo:g}, {metric.ci.hi:g}] is empty"
        )
    needed = _NEEDED.get(_quantile(metric.name))
    if needed is not None and metric.n is not None and metric.n < needed:
        yield Problem("too_few", where, f"{metric.n} observations claim it, it needs {needed}")


def _lint_rate(where: str, value: float, metric: Metric) -> Iterator[Problem]:
    k, n = metric.k, metric.n
    if n is None or k is None or not 0 <= k <= n or n == 0:
        yield Problem("rate", where, f"{k} of {n} is no count")
    elif not math.isclose(value, k / n, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        yield Problem("rate", where, f"{value:g} is not {k} of {n}")


def _quantile(name: str) -> str:
    return next((part for part in name.split("_") if part in {"p50", "p95", "p99", "max"}), "")


def _lint_quantiles(own: dict[str, Metric]) -> Iterator[Problem]:
    families: dict[str, dict[str, Metric]] = {}
    for name, metric in own.items():
        part = _quantile(name)
        if part and name.endswith("_ms"):
            families.setdefault(name.replace(part, "*", 1), {})[part] = metric
    for family in families.values():
        ladder = [family[part] for part in ("p50", "p95", "p99", "max") if part in family]
        for lower, upper in pairwise(ladder):
            if (lower.value or 0) > (upper.value or 0):
                what = f"{lower.value:g} is above {upper.name} = {upper.value:g}"
                yield Problem("quantiles", _label(lower), what)


def _lint_counts(own: dict[str, Metric]) -> Iterator[Problem]:
    error, success = own.get("error_rate"), own.get("success_rate")
    if error is None or success is None or error.k is None or success.k is None:
        return
    if error.n != success.n or error.k + success.k != error.n:
        what = f"{error.k} errors and {success.k} successes are not {error.n} requests"
        yield Problem("counts", _label(error), what)


def _lint_top(own: dict[str, Metric]) -> Iterator[Problem]:
    """Recall in the top share = precision * rows taken / positives: true hits counted twice."""
    names = ("precision_top_20pct", "recall_top_20pct", "base_rate")
    if not all(name in own for name in names):
        return
    precision, recall, base = (own[name] for name in names)
    if None in (precision.k, recall.k):
        return
    if precision.k != recall.k:
        what = f"{recall.k} hits here, {precision.k} hits in precision_top_20pct"
        yield Problem("identity", _label(recall), what)
    if base.k is not None and recall.n != base.k:
        what = f"{recall.n} positives here, {base.k} in base_rate"
        yield Problem("identity", _label(recall), what)
