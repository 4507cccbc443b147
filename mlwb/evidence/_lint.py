"""Numbers that cannot be: found before anybody believes them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from mlwb.core.chain import Problem
from mlwb.evidence._lint_whole import (
    lint_histograms,
    lint_mean,
    lint_phases,
    lint_requests,
    lint_times,
)
from mlwb.evidence._record import Metric, Record

__all__ = ["lint"]

_NEEDED = {"p95": 59, "p99": 299}
"""Observations for a distribution-free one-sided 95 % bound: smallest n with q**n <= 0.05."""

_TOLERANCE = 1e-12
_COUNTED = re.compile(r"(^|_)(error|success|match|win)_rate$")
"""Rates of whole things: requests, comparisons, trades."""
_PROBABILITY = re.compile(r"^(p_|auc|precision|recall|brier(?!_rise$)|psr$|dsr$|pbo$)|_p$|_p_holm$")
_CORRELATION = re.compile(r"^rank_(ic|corr)($|_)")
_QUANTILES = ("min", "p50", "p95", "p99", "max")


def lint(record: Record, *, now: datetime | None = None) -> tuple[Problem, ...]:
    """Numbers of a record that contradict each other or claim more than was observed.

    Checked of each number: a rate is exactly k / n with whole 0 <= k <= n, and where only n is
    said, some whole k gives it to the digits it has; shares, probabilities and correlations are
    within their range; a p95 stands on n >= 59 and a p99 on n >= 299 observations; an interval is
    not empty. Checked together: min <= p50 <= p95 <= p99 <= max; errors and successes add up;
    no rate counts more requests than were sent; recall follows from precision and base rate; a
    canary is the sum of its phases; a mean is the mean of its parts; histograms add up; windows lie
    inside their times; no time is in the future.

    Parameters
    ----------
    record : Record
        Any record.
    now : datetime, optional
        Timezone-aware; a record dated later (by more than five minutes) is named.

    Returns
    -------
    tuple of Problem
        Empty when nothing is impossible. ``where`` is the metric.

    Examples
    --------
    >>> from mlwb.core.clock import ManualClock
    >>> from mlwb.evidence import Context, new_record
    >>> wrong = Metric("error_rate", 0.0035, n=50)
    >>> record = new_record("smoke", [wrong], Context(clock=ManualClock()))
    >>> print(lint(record)[0])
    error_rate: no whole number of 50 is 0.0035 [rate]
    """
    found: list[Problem] = []
    for metric in record.metrics:
        found.extend(_lint_metric(metric))
    for segment in sorted({metric.segment for metric in record.metrics}):
        own = {m.name: m for m in record.metrics if m.segment == segment and m.value is not None}
        found.extend(_lint_quantiles(own))
        found.extend(_lint_counts(own))
        found.extend(_lint_top(own, ""))
        found.extend(_lint_top(own, "_holdout"))
    for rule in (lint_requests, lint_phases, lint_mean, lint_histograms):
        found.extend(rule(record))
    found.extend(lint_times(record, now))
    return tuple(found)


def _lint_metric(metric: Metric) -> Iterator[Problem]:
    where, value = metric.label, metric.value
    if value is None:
        return
    if metric.k is not None:
        yield from _lint_rate(metric, value)
    elif metric.n and _COUNTED.search(metric.name):
        yield from _lint_uncounted(metric, value, metric.n)
    low, high = _range(metric.name)
    if not low <= value <= high:
        yield Problem("range", where, f"{value:g} is outside [{low:g}, {high:g}]")
    if metric.ci is not None and not metric.ci.lo <= metric.ci.hi:
        yield Problem(
            "interval", where, f"the interval [{metric.ci.lo:g}, {metric.ci.hi:g}] is empty"
        )
    needed = _NEEDED.get(_quantile(metric.name))
    if needed is not None and metric.n is not None and metric.n < needed:
        yield Problem("too_few", where, f"{metric.n} observations claim it, it needs {needed}")


def _range(name: str) -> tuple[float, float]:
    if name.endswith(("_rate", "_share")) or _PROBABILITY.search(name):
        return 0.0, 1.0
    return (-1.0, 1.0) if _CORRELATION.search(name) else (-math.inf, math.inf)


def _lint_rate(metric: Metric, value: float) -> Iterator[Problem]:
    k, n = metric.k, metric.n
    if n is None or k is None or not 0 <= k <= n or n == 0:
        yield Problem("rate", metric.label, f"{k} of {n} is no count")
    elif not math.isclose(value, k / n, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        yield Problem("rate", metric.label, f"{value:g} is not {k} of {n}")


def _lint_uncounted(metric: Metric, value: float, n: int) -> Iterator[Problem]:
    """GRIM: a rate of n whole things is some k / n, to as many digits as it is given with."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    half = 0.5 * 10.0 ** int(exponent) + _TOLERANCE
    if abs(round(value * n) / n - value) > half:
        yield Problem("rate", metric.label, f"no whole number of {n} is {value:g}")


def _quantile(name: str) -> str:
    return next((part for part in name.split("_") if part in _QUANTILES), "")


def _lint_quantiles(own: dict[str, Metric]) -> Iterator[Problem]:
    families: dict[str, dict[str, Metric]] = {}
    for name, metric in own.items():
        part = _quantile(name)
        if part and name.endswith("_ms"):
            families.setdefault(name.replace(part, "*", 1), {})[part] = metric
    for family in families.values():
        ladder = [family[part] for part in _QUANTILES if part in family]
        for lower, upper in pairwise(ladder):
            if (lower.value or 0) > (upper.value or 0):
                what = f"{lower.value:g} is above {upper.name} = {upper.value:g}"
                yield Problem("quantiles", lower.label, what)


def _lint_counts(own: dict[str, Metric]) -> Iterator[Problem]:
    error, success = own.get("error_rate"), own.get("success_rate")
    if error is None or success is None or error.k is None or success.k is None:
        return
    if error.n != success.n or error.k + success.k != error.n:
        what = f"{error.k} errors and {success.k} successes are not {error.n} requests"
        yield Problem("counts", error.label, what)


def _lint_top(own: dict[str, Metric], part: str) -> Iterator[Problem]:
    """Recall in the top share = precision * rows taken / positives: true hits counted twice."""
    names = (f"precision_top_20pct{part}", f"recall_top_20pct{part}", f"base_rate{part}")
    if not all(name in own for name in names):
        return
    precision, recall, base = (own[name] for name in names)
    if precision.k is None or recall.k is None:
        yield from _lint_top_values(precision, recall, base)
        return
    if precision.k != recall.k:
        what = f"{recall.k} hits here, {precision.k} hits in {precision.name}"
        yield Problem("identity", recall.label, what)
    if base.k is not None and recall.n != base.k:
        what = f"{recall.n} positives here, {base.k} in {base.name}"
        yield Problem("identity", recall.label, what)


def _lint_top_values(precision: Metric, recall: Metric, base: Metric) -> Iterator[Problem]:
    """The same identity without counts: hits and positives from shares and their rows."""
    if precision.n is None or base.n is None or not base.value:
        return
    hits = float(precision.value or 0) * precision.n
    expected = hits / (float(base.value) * base.n)
    if not math.isclose(float(recall.value or 0), expected, rel_tol=1e-6, abs_tol=1e-9):
        what = f"{recall.value:g}, but {precision.name} and {base.name} give {expected:g}"
        yield Problem("identity", recall.label, what)
