"""A quality report as metrics of evidence."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlwb.core.arrays import Bool1D, Int1D
from mlwb.core.bars import INTERVAL_S
from mlwb.data import Count, QualityReport
from mlwb.evidence import Context, Metric, Record, new_record, rate
from mlwb.stages.market import Prepared

__all__ = ["completeness_of", "quality_record"]

CLOSURE_S = 300
"""A longer gap is the market being closed; inside the calendar the data gate allows no such gap."""
SPARED = 0.05
"""Share of a look-back that may be closed: features ask for 95 % of their window."""


def quality_record(prepared: Prepared, found: QualityReport, shared: Context) -> Record:
    """The data quality record: what the check before a run and stage 01 both write."""
    return new_record(
        "data_quality",
        [*_metrics(found), *completeness_of(prepared)],
        shared,
        details=_details(prepared, found),
    )


def _metrics(found: QualityReport) -> list[Metric]:
    """Every check of the report with its denominator."""
    skew = found.clock_skew_p99_ms
    reason = "" if skew is not None else "the source records one clock"
    return [
        Metric("days", found.span_days, unit="d", n=found.bars),
        Metric("bars", found.bars, unit="bars"),
        _share("coverage", found.coverage),
        _share("completeness", found.completeness),
        Metric("longest_gap_s", found.longest_gap_s, unit="s", n=found.n_gaps),
        Metric("stale_longest_bars", found.stale_longest_bars, unit="bars", n=found.stale_runs),
        _number("duplicates_identical", found.duplicates_identical),
        _number("duplicates_conflicting", found.duplicates_conflicting),
        _number("out_of_order", found.out_of_order),
        _share("crossed_share", found.crossed),
        _share("locked_share", found.locked),
        _number("non_positive", found.non_positive),
        _number("ohlc_violations", found.ohlc_violations),
        _number("non_finite", found.non_finite),
        _share("spikes_share", found.spikes),
        Metric("clock_skew_p99_ms", skew, unit="ms", null_reason=reason),
    ]


def _details(prepared: Prepared, found: QualityReport) -> dict[str, Any]:
    """What a person reads beside the numbers."""
    source = prepared.market.source
    return {
        "symbol": found.symbol,
        "profile": source.profile,
        "calendar": found.calendar,
        "clock": source.clock,
        "decisions": source.decisions,
        "shape": found.shape,
        "features_dropped": prepared.dropped,
        "first_utc": found.first_utc,
        "last_utc": found.last_utc,
        "findings": [
            {"check": f.check, "count": f.count, "detail": f.detail, "serious": f.is_serious}
            for f in found.findings
        ],
    }


def completeness_of(prepared: Prepared) -> list[Metric]:
    """Share of bars on which each feature is known, where the market was open to know it."""
    metrics = []
    definition = (
        "bars with a value, of bars whose look-back began after the start and lies, but for "
        "5 %, inside open hours"
    )
    for spec, values in zip(prepared.specs, prepared.X.T, strict=True):
        due = _due(prepared.ts, spec.lookback_s)
        known = int((np.isfinite(values) & due).sum())
        metrics.append(
            rate(
                "feature_completeness",
                known,
                int(due.sum()),
                segment=spec.name,
                definition=definition,
            )
        )
    return metrics


def _due(ts: Int1D, lookback_s: int) -> Bool1D:
    """Bars at which a look-back of this length could be known."""
    closed = np.diff(ts, prepend=ts[0]) - INTERVAL_S
    closed[closed <= CLOSURE_S] = 0
    total = np.cumsum(closed)
    begin = ts - lookback_s
    first = np.minimum(np.searchsorted(ts, begin, side="right"), np.arange(len(ts)))
    cut = np.minimum(closed[first], np.maximum(ts[first] - begin - INTERVAL_S, 0))
    inside = total - total[first] + cut
    return np.asarray((begin >= ts[0]) & (inside <= SPARED * lookback_s))


def _share(name: str, count: Count) -> Metric:
    return rate(name, count.k, count.n)


def _number(name: str, count: Count) -> Metric:
    return Metric(name, count.k, unit="rows", n=count.n)
